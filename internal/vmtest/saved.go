//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// resultsFile has what became of the tests of features, where this is run last.
const resultsFile = "internal/vmtest/testdata/results.json"

// saved is what became of the tests of features on a kernel.
type saved struct {
	Kernel string // its version
	Host   string // whose it is
	Series string // of kernels
	Arch   string // as Debian calls it
	// Tests has what became of each, as FOLDER.TEST: passed, failed, or skipped and why. Of tests in tests only those
	// that did not pass are there.
	Tests map[string]string
}

// save writes what became of the tests on a kernel into the file, in the place of what was there of this kernel.
func save(file string, o outcome) error {
	all, err := load(file)
	if err != nil {
		return err
	}
	if o.release == "" {
		return nil // it did not begin
	}
	s := saved{Kernel: versionOf(o.release, o.version), Host: "Debian " + o.kernel.suite, Series: o.kernel.series,
		Arch: o.arch.debian, Tests: map[string]string{}}
	if o.kernel == host {
		s.Host = "a host"
	}
	for i, a := range all {
		if a.Series == s.Series && a.Arch == s.Arch {
			s.Tests = a.Tests
			all = slices.Delete(all, i, i+1)
			break
		}
	}
	for _, r := range o.packages {
		r.save(s.Tests)
	}
	all = append(all, s)
	slices.SortFunc(all, func(a, b saved) int {
		return strings.Compare(a.Arch+" "+versionKey(a.Kernel), b.Arch+" "+versionKey(b.Kernel))
	})
	text, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

func load(file string) (all []saved, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("read what became of tests before: %w", err)
	}
	return all, nil
}

// What becomes of a test; what is skipped says why. What has not ended was ended for its time, or with the machine.
const (
	passed  = "passed"
	unended = "not ended"
	failed  = "failed"
	skipped = "skipped: "
)

// save puts what became of tests of features into those of a kernel.
func (r result) save(tests map[string]string) {
	folder := r.pkg[strings.LastIndex(r.pkg, "/")+1:]
	wanted := testsOfFeatures()[folder]
	within := func(test string) bool {
		top, _, _ := strings.Cut(test, "/")
		return slices.Contains(wanted, top)
	}
	ran := map[string]string{}
	for _, test := range r.passed {
		ran[test] = passed
	}
	for _, test := range r.skipped {
		ran[test] = skipped + reason(r.output[test])
	}
	for _, test := range r.failed {
		ran[test] = failed
	}
	if r.unfinished != "" {
		ran[r.unfinished] = unended
	}
	for test, what := range ran {
		if !within(test) {
			continue
		}
		name := folder + "." + test
		if !strings.Contains(test, "/") {
			maps.DeleteFunc(tests, func(t, _ string) bool {
				return strings.HasPrefix(t, name+"/") && ran[strings.TrimPrefix(t, folder+".")] == ""
			})
		}
		tests[name] = what
	}
}

var (
	placeInFile = regexp.MustCompile(`^\s*\S+\.go:\d+: `)
	ofDebian    = regexp.MustCompile(`Debian (\d+\.\d+\.\d+)`)
	numbers     = regexp.MustCompile(`^\d+(\.\d+)*`)
	digits      = regexp.MustCompile(`\d+`)
)

// reason returns why a test was skipped, by its output.
func reason(output string) string {
	for line := range strings.Lines(output) {
		if placeInFile.MatchString(line) {
			return strings.TrimSpace(placeInFile.ReplaceAllString(line, ""))
		}
	}
	return "it does not say why"
}

// versionOf returns a kernel's version as uname tells it, Debian's in -v and others' in -r.
func versionOf(release, version string) string {
	if d := ofDebian.FindStringSubmatch(version); d != nil {
		return d[1]
	}
	return numbers.FindString(release)
}

// versionKey makes versions sort as numbers do.
func versionKey(version string) string {
	return digits.ReplaceAllStringFunc(version, func(d string) string { return fmt.Sprintf("%6s", d) })
}
