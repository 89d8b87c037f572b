package command

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kernelroutes/internal/needtest"
	"kernelroutes/tables"
)

// asLink returns the commands as they are under the name of the link, which the pages have.
func asLink(t *testing.T) *cobra.Command {
	t.Helper()
	before := program
	program = commandName
	t.Cleanup(func() { program = before })
	return rootCommand(new(extensionFlags))
}

// manual returns the man pages by their file names.
func manual(t *testing.T) map[string]string {
	t.Helper()
	root := asLink(t)
	pages := map[string]string{commandName + ".1": commandPage(root), "kernel_routes.7": tablesPage()}
	for _, cmd := range root.Commands() {
		pages[commandName+"-"+cmd.Name()+".1"] = commandPage(cmd)
	}
	return pages
}

// emptyParagraph matches a paragraph or an item in which nothing is.
var emptyParagraph = regexp.MustCompile(`(?m)^\.S[HS] .*\n\.PP$|^\.PP\n\.[A-Z]+( .*)?$|^\.TP\n(\\fB\\fR)?$`)

// TestManual compares the man pages with what they are made of. With -update it writes them.
func TestManual(t *testing.T) {
	const dir = "docs/man"
	pages := manual(t)
	for name, page := range pages {
		golden(t, filepath.Join(dir, name), page)
		if i := strings.IndexFunc(page, func(r rune) bool { return r > '~' }); i >= 0 {
			t.Errorf("%s: no man shows this everywhere: %.20q", name, page[i:])
		}
		if empty := emptyParagraph.FindString(page); empty != "" {
			t.Errorf("%s: mandoc, which is Alpine's man, complains of %q", name, empty)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if pages[f.Name()] == "" {
			t.Errorf("%s/%s: a page of nothing", dir, f.Name())
		}
	}
}

// struck is what a terminal without colours has for bold and italic.
var struck = regexp.MustCompile(`.\x08`)

// rendered is a page as man shows it on a terminal of 80 columns, each line of which has to
// fit, with all white space made one.
func rendered(t *testing.T, page string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("docs/man", page))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(needtest.Program(t, "man"), "--warnings", "-E", "UTF-8", "-l", "-Tutf8", path)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), "MANWIDTH=80", "MANPAGER=cat", "LC_ALL=C.UTF-8", "GROFF_NO_SGR=1", "MANOPT=")
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Errorf("%s: %v, %s", page, err, &errs)
	}
	text := struck.ReplaceAllString(out.String(), "")
	for line := range strings.Lines(text) {
		if len(strings.TrimSuffix(line, "\n")) > 80 {
			t.Errorf("%s: too wide: %s", page, line)
		}
	}
	return strings.Join(strings.Fields(text), " ")
}

// TestManualRendered: man has nothing to complain of, and shows all that help says.
func TestManualRendered(t *testing.T) {
	needtest.Program(t, "man")
	root := asLink(t)
	for _, cmd := range append(root.Commands(), root) {
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
		text := rendered(t, name+".1")
		has := func(s string) {
			t.Helper()
			if s = strings.Join(strings.Fields(s), " "); !strings.Contains(text, s) {
				t.Errorf("%s.1 lacks %q", name, s)
			}
		}
		long, _ := exitStatus(cmd.Long)
		for line := range strings.Lines(long) {
			has(line)
		}
		has(strings.ToLower(cmd.Short[:1]) + cmd.Short[1:])
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			value, usage := pflag.UnquoteUsage(f)
			if f.Value.Type() == "bool" {
				value = ""
			} else {
				value = "=" + value
			}
			has("--" + f.Name + value + " " + usage)
		})
		for line := range strings.Lines(cmd.Example) {
			if !strings.Contains(strings.ReplaceAll(text, ` \ `, " "), strings.Join(strings.Fields(line), " ")) {
				t.Errorf("%s.1 lacks %s", name, line)
			}
		}
		for _, section := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES",
			"SEE ALSO", "0 if all went well", "1 if something failed", "2 if the command line means nothing",
			"130 if interrupted", "143 if terminated"} {
			has(section)
		}
	}
	text := rendered(t, "kernel_routes.7")
	for _, table := range tables.All() {
		parts := []string{"TABLE " + table.Name + " " + table.Description}
		for _, e := range table.Examples {
			parts = append(parts, e.Shows, e.SQL)
		}
		for _, c := range table.Columns {
			parts = append(parts, c.Name+" ("+string(c.Type)+marked(c)+") "+c.Description+".")
		}
		for _, part := range parts {
			if part = strings.Join(strings.Fields(part), " "); !strings.Contains(text, part) {
				t.Errorf("kernel_routes.7 lacks %q", part)
			}
		}
	}
}

// TestManualNames: apropos finds the pages by all their names, and by what they are about.
func TestManualNames(t *testing.T) {
	lexgrog := needtest.Program(t, "lexgrog")
	names := map[string][]string{commandName + ".1": {commandName, extensionName}}
	for _, table := range tables.All() {
		names["kernel_routes.7"] = append(names["kernel_routes.7"], table.Name)
	}
	about := map[string]string{commandName + ".1": "the routing state", "kernel_routes.7": "the routing state"}
	for _, cmd := range asLink(t).Commands() {
		page := commandName + "-" + cmd.Name()
		names[page+".1"], about[page+".1"] = []string{page}, strings.ToLower(cmd.Short[:1])+cmd.Short[1:]
	}
	for _, page := range slices.Sorted(maps.Keys(names)) {
		path := filepath.Join("docs/man", page)
		out, err := exec.Command(lexgrog, path).CombinedOutput()
		var found []string
		for line := range strings.Lines(string(out)) {
			name, said, ok := strings.Cut(strings.Trim(strings.TrimPrefix(line, path+": "), "\"\n"), " - ")
			found = append(found, name)
			if !ok || !strings.HasPrefix(said, about[page]) {
				t.Errorf("%s: %s", page, line)
			}
		}
		if err != nil || !slices.Equal(found, names[page]) {
			t.Errorf("%s: %v, %s", page, err, out)
		}
	}
}
