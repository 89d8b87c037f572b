//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// An outcome is what became of the tests on a kernel.
type outcome struct {
	kernel   kernel
	arch     arch
	release  string   // uname -r
	version  string   // uname -v
	lacks    []string // modules
	packages []result // in the order in which they ran
	took     time.Duration
}

// A result is what became of the tests of a package. Tests in tests are counted with the one that they are in.
type result struct {
	pkg                     string
	ended                   bool // or the machine did before
	status                  string
	seconds                 float64
	passed, failed, skipped []string
	unfinished              string            // the test that ran when the binary was ended
	output                  map[string]string // of tests that failed or were skipped; of the package at ""
}

// read makes an outcome of what the guest reported.
func (o *outcome) read(t *tests, reports []report) error {
	texts := map[string]*bytes.Buffer{}
	ends := map[string]report{}
	for _, r := range reports {
		switch {
		case r.Kernel != "":
			o.release, o.version, o.lacks = r.Kernel, r.Version, r.Lacks
			if r.Error != "" {
				return fmt.Errorf("in the machine: %s", r.Error)
			}
		case r.Ended:
			ends[r.Package] = r
		case r.Package != "":
			if texts[r.Package] == nil {
				texts[r.Package] = &bytes.Buffer{}
			}
			texts[r.Package].Write(r.Output)
		}
	}
	for _, p := range t.plan.Tests {
		end, ended := ends[p.Package]
		r := result{pkg: p.Package, ended: ended, status: end.Status, seconds: end.Seconds, output: map[string]string{}}
		if text := texts[p.Package]; text != nil {
			if err := r.count(text.Bytes()); err != nil {
				return err
			}
		}
		o.packages = append(o.packages, r)
	}
	return nil
}

// event is what go tool test2json makes of a test binary's output: see go doc test2json.
type event struct {
	Action, Test, Output string
}

// count finds what became of each test.
func (r *result) count(text []byte) error {
	cmd := exec.Command("go", "tool", "test2json")
	cmd.Stdin = bytes.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go tool test2json: %w", err)
	}
	for line := range bytes.Lines(out) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("read what go tool test2json prints: %w: %q", err, line)
		}
		if e.Test == r.unfinished && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip") {
			r.unfinished = ""
		}
		top := !strings.Contains(e.Test, "/") && e.Test != ""
		switch {
		case e.Action == "run" && top:
			r.unfinished = e.Test
		case e.Action == "output":
			r.output[e.Test] += e.Output
		case e.Action == "pass" && top:
			r.passed = append(r.passed, e.Test)
			delete(r.output, e.Test)
		case e.Action == "pass":
			delete(r.output, e.Test)
		case e.Action == "fail" && top:
			r.failed = append(r.failed, e.Test)
		case e.Action == "skip":
			r.skipped = append(r.skipped, e.Test)
		}
	}
	return nil
}

// bad reports whether the tests failed, which they did if any did not end.
func (r result) bad() bool { return !r.ended || r.status != "" || len(r.failed) > 0 }

// table prints what became of the tests, and reports whether any failed.
func table(w io.Writer, all []outcome) (failed bool) {
	for _, o := range all {
		fmt.Fprintf(w, "\nLinux %s (%s, %s), %v\n", o.release, o.kernel.suite, o.arch.debian, o.took.Round(time.Second))
		if len(o.lacks) > 0 {
			fmt.Fprintf(w, "without %s\n", strings.Join(o.lacks, " "))
		}
		for _, r := range o.packages {
			verdict := "ok"
			if r.bad() {
				verdict, failed = "FAILED", true
			}
			fmt.Fprintf(w, "  %-7s %-30s passed %3d, failed %2d, skipped %2d  %s\n", verdict,
				r.pkg, len(r.passed), len(r.failed), len(r.skipped), r.status)
		}
		for _, r := range o.packages {
			r.print(w)
		}
		failed = failed || len(o.packages) == 0
	}
	return failed
}

// print prints the reasons for which tests were skipped, and the output of those that failed.
func (r result) print(w io.Writer) {
	for _, test := range r.skipped {
		fmt.Fprintf(w, "\nskipped: %s %s\n%s", r.pkg, test, indent(r.output[test]))
	}
	if !r.bad() {
		return
	}
	for _, test := range r.failed {
		fmt.Fprintf(w, "\nFAILED: %s %s\n%s", r.pkg, test, indent(r.output[test]))
		for name, text := range r.output {
			if strings.HasPrefix(name, test+"/") {
				fmt.Fprint(w, indent(text))
			}
		}
	}
	if !r.ended {
		fmt.Fprintf(w, "\nFAILED: %s has not ended\n", r.pkg)
	}
	if len(r.failed) == 0 || !r.ended {
		fmt.Fprintf(w, "\nFAILED: %s\n", r.pkg)
		for _, text := range r.output {
			fmt.Fprint(w, indent(text))
		}
	}
}

// indent sets lines in, but those in which a test only says that it begins.
func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "=== ") {
			b.WriteString("    " + line)
		}
	}
	return b.String()
}
