//go:build linux

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Between these lines docs/kernels.md has what markdown makes of the results.
const (
	pageBegin = "<!-- what internal/vmtest/testdata/results.json has -->\n"
	pageEnd   = "<!-- end -->\n"
)

// markdown returns the results as a table, a column for each kernel, and a list of what they lack.
func markdown(all []saved) string {
	var b strings.Builder
	b.WriteString("| |")
	for _, s := range all {
		fmt.Fprintf(&b, " %s |", s.heading())
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(all)) + "\n")
	for _, f := range features {
		fmt.Fprintf(&b, "| %s |", f.name)
		for _, s := range all {
			fmt.Fprintf(&b, " %s |", s.works(f))
		}
		b.WriteString("\n")
	}
	for _, s := range all {
		lacks, fails := s.lacks(), s.fails()
		if len(lacks)+len(fails) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n**%s**", s.heading())
		if len(lacks) > 0 {
			fmt.Fprintf(&b, " lacks, or its `ip` does: %s.", strings.Join(lacks, "; "))
		}
		if len(fails) > 0 {
			fmt.Fprintf(&b, " Tests fail: %s.", strings.Join(fails, ", "))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (s saved) heading() string {
	if s.Arch == "amd64" {
		return s.Kernel
	}
	return s.Kernel + " " + s.Arch
}

// works tells whether a feature works, by the tests that it has.
func (s saved) works(f feature) string {
	tried, ok, part := 0, 0, false
	for _, test := range f.tests {
		what, ran := s.Tests[test]
		switch {
		case !ran:
			continue
		case what == failed:
			return "fails"
		case what == unended:
			return "not ended"
		case what == passed:
			ok++
		}
		tried++
		for t, what := range s.Tests {
			part = part || strings.HasPrefix(t, test+"/") && what != passed
		}
	}
	switch {
	case tried < len(f.tests):
		return "not tried"
	case ok == 0:
		return "lacked"
	case part || ok < tried:
		return "in part"
	}
	return "yes"
}

// lacks returns what tests were skipped for.
func (s saved) lacks() []string {
	all := map[string]bool{}
	for _, what := range s.Tests {
		if why, is := strings.CutPrefix(what, skipped); is {
			all[lacking(why)] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func (s saved) fails() []string {
	var all []string
	for _, test := range slices.Sorted(maps.Keys(s.Tests)) {
		if s.Tests[test] == failed && !strings.Contains(test, "/") {
			all = append(all, "`"+test+"`")
		}
	}
	return all
}

// lacking returns what is lacking of a reason as needtest.Kernel writes it. A command of ip is shown as such.
func lacking(why string) string {
	what, is := strings.CutPrefix(why, "this kernel, or its ip, lacks ")
	if !is {
		return why
	}
	if _, command, found := strings.Cut(what, ": ip "); found {
		what, _, _ = strings.Cut(what, ": ip "+command)
	} else if i := strings.Index(what, ": "); i >= 0 {
		what = what[:i]
	}
	if strings.HasPrefix(what, "-4 ") || strings.HasPrefix(what, "-6 ") {
		return "`ip " + what + "`"
	}
	return what
}
