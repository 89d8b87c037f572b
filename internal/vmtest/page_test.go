//go:build linux

package main

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/kernels.md anew, of testdata/results.json")

// TestPage sees that the page has what became of the tests, and nothing else.
func TestPage(t *testing.T) {
	const file = "../../docs/kernels.md"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all, err := load("testdata/results.json")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(page), pageBegin)
	_, after, ends := strings.Cut(rest, pageEnd)
	if !begins || !ends {
		t.Fatalf("%s lacks the lines between which the table is", file)
	}
	want := before + pageBegin + "\n" + markdown(all) + "\n" + pageEnd + after
	if want == string(page) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what testdata/results.json has; write it anew with -update", file)
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestResultsAreOfTests sees that each test of a feature is there, and that nothing is kept of others.
func TestResultsAreOfTests(t *testing.T) {
	all, err := load("testdata/results.json")
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]bool{}
	for _, f := range features {
		for _, test := range f.tests {
			wanted[test] = true
			folder, name, _ := strings.Cut(test, ".")
			dir := "../../rtnl/" + folder
			if folder == "rtnl" || folder == "tables" {
				dir = "../../" + folder
			}
			if !declares(t, dir, name) {
				t.Errorf("%s: there is no %s in %s", f.name, name, dir)
			}
		}
	}
	for _, s := range all {
		for test := range s.Tests {
			if top, _, _ := strings.Cut(test, "/"); !wanted[top] {
				t.Errorf("Linux %s: %s is of no feature", s.Kernel, test)
			}
		}
	}
	if !slices.ContainsFunc(all, func(s saved) bool { return s.Arch == "s390x" }) || len(all) < len(kernels) {
		t.Errorf("only %d kernels", len(all))
	}
}

// declares reports whether a test is in a folder.
func declares(t *testing.T, dir, test string) bool {
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(dir + "/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+test+"(t *testing.T)") {
			return true
		}
	}
	return false
}

// TestMarkdown: what works, what does in part, what is lacking and what fails are told apart.
func TestMarkdown(t *testing.T) {
	before := features
	defer func() { features = before }()
	features = []feature{{"A", []string{"tables.TestA"}}, {"B", []string{"tables.TestB", "rtnl.TestB"}}}
	const lacks = skipped + "this kernel, or its ip, lacks "
	got := markdown([]saved{
		{Kernel: "5.10.1", Arch: "amd64", Tests: map[string]string{"tables.TestA": passed, "tables.TestA/b": lacks +
			"-6 route add ::1 x: ip -6 route add ::1 x: exit status 2", "tables.TestB": passed,
			"rtnl.TestB": lacks + "MPLS (module x): stat /proc: no"}},
		{Kernel: "6.1", Arch: "s390x", Tests: map[string]string{"tables.TestA": failed,
			"tables.TestB": lacks + "b: c"}},
		{Kernel: "6.2", Arch: "amd64", Tests: map[string]string{"tables.TestA": passed, "tables.TestB": lacks + "b: c",
			"rtnl.TestB": skipped + "no b"}},
		{Kernel: "6.2.1", Arch: "amd64", Tests: map[string]string{"tables.TestA": unended}},
		{Kernel: "6.3", Arch: "amd64", Tests: map[string]string{"tables.TestA": passed, "tables.TestB": passed,
			"rtnl.TestB": passed}},
	})
	const want = "| | 5.10.1 | 6.1 s390x | 6.2 | 6.2.1 | 6.3 |\n|---|---|---|---|---|---|\n" +
		"| A | in part | fails | yes | not ended | yes |\n| B | in part | not tried | lacked | not tried | yes |\n" +
		"\n**5.10.1** lacks, or its `ip` does: MPLS (module x); `ip -6 route add ::1 x`.\n" +
		"\n**6.1 s390x** lacks, or its `ip` does: b. Tests fail: `tables.TestA`.\n" +
		"\n**6.2** lacks, or its `ip` does: b; no b.\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestDocumented: what documents tell to run means something.
func TestDocumented(t *testing.T) {
	found := 0
	for _, file := range []string{"../../docs/kernels.md", "../../CONTRIBUTING.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			command, _, _ := strings.Cut(line, "#")
			args, is := strings.CutPrefix(command, "go run ./internal/vmtest")
			if !is {
				continue
			}
			found++
			if _, err := parse(strings.Fields(args)); err != nil {
				t.Errorf("%s: %s: %v", file, command, err)
			}
		}
	}
	if found < 6 {
		t.Errorf("%d commands", found)
	}
}
