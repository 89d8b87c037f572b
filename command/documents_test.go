package command

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kernelroutes/tables"
)

// documents are the files whose blocks are run: those at the top and all below docs.
// packs/README.md is written by the tests of packs.
func documents(t *testing.T) []string {
	t.Helper()
	files := slices.DeleteFunc(markdownPages(t), func(path string) bool {
		return filepath.Dir(path) != "." && !strings.HasPrefix(path, "docs"+string(filepath.Separator))
	})
	if len(files) < 5 {
		t.Fatalf("%d documents", len(files))
	}
	return files
}

// A block is what stands between two fences.
type block struct {
	place    string // FILE:LINE of its first fence
	language string
	mark     string // what follows the language
	lines    []string
}

var fence = regexp.MustCompile("^ *```+ *([^ `]*) *([^`]*)$")

// blocksOf returns the blocks of a document.
func blocksOf(t *testing.T, path string) (blocks []block) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for i, line := range strings.Split(string(text), "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && inside:
			inside = false
		case m != nil:
			inside = true
			blocks = append(blocks, block{place: fmt.Sprintf("%s:%d", path, i+1), language: m[1], mark: m[2]})
		case inside:
			b := &blocks[len(blocks)-1]
			b.lines = append(b.lines, line)
		}
	}
	if inside {
		t.Fatalf("%s: a fence is not closed", blocks[len(blocks)-1].place)
	}
	return blocks
}

// TestDocumentLanguages demands that every block says what it is: what could be run is run, or
// notRun says why not.
func TestDocumentLanguages(t *testing.T) {
	examples := exampleFiles(t)
	known := []string{"console", "sh", "sql", "go", "json", "yaml", "ini", "toml", "dockerfile"}
	for _, path := range documents(t) {
		for _, b := range blocksOf(t, path) {
			if b.language == "bash" {
				if !examples[strings.Join(b.lines, "\n")+"\n"] {
					t.Errorf("%s: a script that is no file of docs/examples, where tests run it", b.place)
				}
			} else if !slices.Contains(known, b.language) {
				t.Errorf("%s: a block of %q, not of one of %s", b.place, b.language, strings.Join(known, ", "))
			}
			if b.mark != "" && (b.language != "sql" || b.mark != noRow) {
				t.Errorf("%s: %q means nothing for %s", b.place, b.mark, b.language)
			}
		}
	}
}

// exampleFiles returns the texts of the files below docs/examples.
func exampleFiles(t *testing.T) map[string]bool {
	t.Helper()
	texts := map[string]bool{}
	err := filepath.WalkDir("docs", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasPrefix(path, filepath.Join("docs", "examples")) {
			return err
		}
		text, err := os.ReadFile(path)
		texts[string(text)] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// TestDocuments runs the commands that the documents show in their console blocks, in the fixed
// namespace, and compares what they print with what is shown. The pages of the tables have their
// descriptions and columns. With -update all of that is written anew.
func TestDocuments(t *testing.T) {
	sh := exampleShell(t)
	tablePages(t)
	for _, path := range documents(t) {
		old, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := runConsoles(t, sh, path, string(old))
		for _, table := range tables.All() {
			if path == tablePage(table) {
				text = describe(t, table, text)
			}
		}
		golden(t, path, text)
	}
}

// runConsoles returns the text with what the commands of its console blocks print.
func runConsoles(t *testing.T, sh *shellHost, path, old string) string {
	t.Helper()
	var text strings.Builder
	console, keep, continued := false, false, ""
	var session []string // what is typed at a prompt; nil: there is none
	for line := range strings.Lines(old) {
		trimmed := strings.TrimSpace(line)
		command, isCommand := strings.CutPrefix(trimmed, "$ ")
		switch {
		case strings.HasPrefix(trimmed, "```"):
			if session != nil {
				text.WriteString(sh.session(t, path, session))
				session = nil
			}
			console, keep = trimmed == "```console", false
		case !console:
		case continued != "" || isCommand:
			if continued != "" {
				command = continued + " " + trimmed
			}
			if head, more := strings.CutSuffix(command, `\`); more {
				continued = head
				break
			}
			continued = ""
			text.WriteString(line)
			if command == "kernel-routes query" {
				session = []string{}
			} else if keep = !runs(command); !keep {
				text.WriteString(sh.shown(t, path, command))
			}
			continue
		case session != nil:
			if typed := atPromptOf(line); typed != "" {
				session = append(session, typed)
			}
			continue
		case !keep:
			continue // output: written anew
		}
		text.WriteString(line)
	}
	return text.String()
}

// tablePage is the page of a table.
func tablePage(table *tables.Table) string { return filepath.Join("docs", "tables", table.Name+".md") }

// tablePages sees that each table has a page, and each page a table. With -update it begins those
// that are missing.
func tablePages(t *testing.T) {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join("docs", "tables", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages = slices.DeleteFunc(pages, func(path string) bool { return filepath.Base(path) == "README.md" })
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables.All() {
		path := tablePage(table)
		if !strings.Contains(string(readme), "]("+filepath.ToSlash(path)+") | ") {
			t.Errorf("README.md has no line for %s", table.Name)
		}
		if i := slices.Index(pages, path); i >= 0 {
			pages = slices.Delete(pages, i, i+1)
			continue
		}
		if !*update {
			t.Errorf("%s is missing; -update begins it", path)
			continue
		}
		text := "# " + table.Name + "\n\n.\n\n## Examples\n"
		for _, e := range table.Examples {
			text += "\n" + e.Shows + "\n\n```console\n$ kernel-routes query --line \"" + e.SQL + "\"\n```\n"
		}
		if err := os.WriteFile(path, []byte(text+"\n## Columns\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range pages {
		t.Errorf("%s is the page of no table", path)
	}
}

// TestTableExamples: the page of each table shows rows of it, which TestDocuments compares with real ones.
func TestTableExamples(t *testing.T) {
	for _, table := range tables.All() {
		asked := regexp.MustCompile(`^\$ kernel-routes query .*\b(FROM|JOIN) ` + table.Name + `\b`)
		if table == tables.Events { // a command has not listened, but shows the same live
			asked = regexp.MustCompile(`^\$ kernel-routes monitor\b`)
		}
		if !slices.ContainsFunc(blocksOf(t, tablePage(table)), func(b block) bool {
			return b.language == "console" && len(b.lines) > 3 && asked.MatchString(b.lines[0])
		}) {
			t.Errorf("%s has no example with rows", tablePage(table))
		}
	}
}

// describe returns a table's page with the table's own words: the description below the title, and
// the columns, up to the next section.
func describe(t *testing.T, table *tables.Table, page string) string {
	t.Helper()
	title := "# " + table.Name + "\n\n"
	rest, ok := strings.CutPrefix(page, title)
	_, rest, described := strings.Cut(rest, "\n\n")
	before, columns, listed := strings.Cut(rest, "\n## Columns\n")
	if !ok || !described || !listed {
		t.Fatalf("%s: no title, paragraph below it or ## Columns", tablePage(table))
	}
	after := ""
	if i := strings.Index(columns, "\n## "); i >= 0 {
		after = columns[i:]
	}
	return title + wrap(table.Description) + "\n\n" + before + "\n## Columns\n\n" + table.Markdown() + after
}

// wrap breaks a text into lines.
func wrap(text string) string {
	var b bytes.Buffer
	width := 0
	for word := range strings.FieldsSeq(text) {
		if width > 0 && width+1+len(word) > 95 {
			b.WriteString("\n")
			width = 0
		}
		if width > 0 {
			b.WriteString(" ")
			width++
		}
		b.WriteString(word)
		width += len(word)
	}
	return b.String()
}

// TestDescribe tries what writes the pages of tables.
func TestDescribe(t *testing.T) {
	table := tables.Counts
	page := "# kernel_route_counts\n\nOld\nwords.\n\nProse.\n\n## Columns\n\n| old |\n\n## See also\n\nX.\n"
	got := describe(t, table, page)
	want := "# kernel_route_counts\n\n" + wrap(table.Description) + "\n\nProse.\n\n## Columns\n\n" +
		table.Markdown() + "\n## See also\n\nX.\n"
	if got != want {
		t.Errorf("%s", firstDifference(want, got))
	}
	if again := describe(t, table, got); again != got {
		t.Errorf("the second time: %s", firstDifference(got, again))
	}
}
