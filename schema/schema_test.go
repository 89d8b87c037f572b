package schema

import (
	"bytes"
	"flag"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"kernelroutes/internal/eventtest"
	"kernelroutes/internal/fleettest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/shell"
	"kernelroutes/tables"
)

func TestMain(m *testing.M) { nstest.Main(m) }

var update = flag.Bool("update", false, "write the pages")

// TestGenerated compares the pages that are there with what the tables' declarations make. There is no other file.
func TestGenerated(t *testing.T) {
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if *update {
			if err := os.WriteFile(name, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		there, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(there, data) {
			t.Errorf("%s is not what the declarations make; run go test ./schema -update and look at the difference",
				name)
		}
	}
	there, err := filepath.Glob("tables/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range there {
		if files[file] == nil {
			t.Errorf("%s is there, but is made of nothing", file)
		}
	}
}

// A page is what a reader of YAML makes of a file.
type page struct {
	Name, Description, Notes, Examples string
	Platforms                          []string
	Evented                            *bool
	Columns                            []struct {
		Name, Type, Description string
		Required, Hidden        *bool
	}
}

// pages reads the page of every table, as strictly as can be.
func pages(t *testing.T) map[*tables.Table]page {
	all := map[*tables.Table]page{}
	for _, table := range tables.All() {
		file := "tables/" + table.Name + ".yml"
		fleettest.ValidateTable(t, file)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := yaml.NewDecoder(bytes.NewReader(data))
		d.KnownFields(true)
		var p page
		if err := d.Decode(&p); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[table] = p
	}
	return all
}

// TestPages compares what Fleet reads with the tables.
func TestPages(t *testing.T) {
	for table, p := range pages(t) {
		if p.Name != table.Name || p.Description != table.Description ||
			!slices.Equal(p.Platforms, []string{"linux"}) || p.Evented == nil || *p.Evented {
			t.Errorf("%s: the page is %+v", table.Name, p)
		}
		if len(p.Columns) != len(table.Columns) {
			t.Fatalf("%s: %d columns of %d", table.Name, len(p.Columns), len(table.Columns))
		}
		for i, c := range p.Columns {
			want := table.Columns[i]
			if c.Name != want.Name || c.Type != strings.ToLower(string(want.Type)) ||
				c.Description != want.Description ||
				c.Required == nil || *c.Required != (want.Options&tables.Required != 0) ||
				c.Hidden == nil || *c.Hidden != (want.Options&tables.Hidden != 0) {
				t.Errorf("%s.%s: %+v, is %+v", table.Name, want.Name, c, want)
			}
		}
	}
}

// emphasis finds a * that may begin emphasis in Markdown, as whatever follows it does until the next one.
var emphasis = regexp.MustCompile(`\*[^\s*]`)

// TestMarkdown sees that texts which Fleet takes for Markdown say there what they say here.
func TestMarkdown(t *testing.T) {
	for table, p := range pages(t) {
		texts := map[string]string{"its description": p.Description}
		for _, c := range p.Columns {
			texts[c.Name] = c.Description
		}
		for what, text := range texts {
			if strings.ContainsAny(text, "<>|`") || len(emphasis.FindAllString(text, -1)) > 1 {
				t.Errorf("%s: of %s Markdown makes something else: %s", table.Name, what, text)
			}
		}
		if strings.Count(p.Notes, "`")%2 != 0 || strings.Contains(strings.ReplaceAll(p.Notes, "SELECT *", ""), "*") {
			t.Errorf("%s: of its notes Markdown makes something else:\n%s", table.Name, p.Notes)
		}
	}
}

// TestNotes sees that a page says what there is to know of a table.
func TestNotes(t *testing.T) {
	for table, p := range pages(t) {
		notes := strings.Join(strings.Fields(p.Notes), " ")
		phrases := []string{"extension `kernel_routes`", "package `kernel-routes`", "No privilege is needed"}
		switch table { // the first two of no other network namespace, and of no snapshot
		case tables.Events:
			phrases = append(phrases, "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "action is lost")
		case tables.Info:
			phrases = append(phrases, "There is one row")
		default:
			phrases = append(phrases, "CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "`snapshot_consistent` is ")
		}
		for _, phrase := range phrases {
			if !strings.Contains(notes, phrase) {
				t.Errorf("%s: the notes say nothing of %s", table.Name, phrase)
			}
		}
		if since := strings.Contains(notes, "It needs Linux "+table.Since+", "); since != (table.Since != "") {
			t.Errorf("%s: since %q, the notes are\n%s", table.Name, table.Since, p.Notes)
		}
		for begin, want := range map[string]func(tables.ColumnInfo) bool{
			"There is no answer without a value": func(c tables.ColumnInfo) bool {
				return c.Options&tables.Required != 0
			},
			"`SELECT *` does not show": func(c tables.ColumnInfo) bool {
				return c.Options&tables.Hidden != 0
			},
			"These columns change by themselves": func(c tables.ColumnInfo) bool { return c.Volatile },
			"A condition on these columns": func(c tables.ColumnInfo) bool {
				return c.Input != "" && c.Options&tables.Required == 0
			},
		} {
			_, list, _ := strings.Cut(notes, "- "+begin)
			list, _, _ = strings.Cut(list, "`. ")
			for _, c := range table.Columns {
				if listed := strings.Contains(list+"`", "`"+c.Name+"`"); listed != want(c) {
					t.Errorf("%s: %s is listed under %s: %v", table.Name, c.Name, begin, listed)
				}
			}
		}
	}
}

var fenced = regexp.MustCompile("(?s)(?:^|\n\n)([^\n`][^`]*?)\n\n```sql\n(.*?)\n```")

// A wellSource knows how the program is.
type wellSource struct{ eventtest.Source }

func (*wellSource) Health() (tables.Health, error) { return tables.Health{}, nil }

// TestExamples runs the examples as the pages have them. They are those of the specification.
func TestExamples(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "eth0", "192.0.2.10/24", "2001:db8::10/64")
	all, src := pages(t), &wellSource{eventtest.Source{Source: new(rtnl.Kernel), All: eventtest.Sample(time.Now())}}
	for _, table := range slices.SortedFunc(maps.Keys(all), func(a, b *tables.Table) int {
		return strings.Compare(a.Name, b.Name)
	}) {
		p := all[table]
		found := fenced.FindAllStringSubmatch(p.Examples, -1)
		if len(found) != len(table.Examples) || strings.Count(p.Examples, "```") != 2*len(found) {
			t.Fatalf("%s: %d examples of %d:\n%s", table.Name, len(found), len(table.Examples), p.Examples)
		}
		for i, e := range found {
			want := table.Examples[i]
			if shows := strings.Join(strings.Fields(e[1]), " "); shows != want.Shows {
				t.Errorf("%s: %q shows %q, not %q", table.Name, e[2], shows, want.Shows)
			}
			if sql := strings.Join(strings.Fields(e[2]), " "); sql != want.SQL+";" {
				t.Errorf("%s: %q is not %q", table.Name, sql, want.SQL)
			}
			opts := shell.Options{Format: shell.JSON, Warn: func(text string) { t.Logf("%s: %s", e[2], text) }}
			if err := shell.Query(t.Context(), io.Discard, src, e[2], opts); err != nil {
				t.Errorf("%s: %v", e[2], err)
			}
		}
	}
}

// TestRefuses sees that a page which would be wrong is not made.
func TestRefuses(t *testing.T) {
	right := func() *tables.Table {
		return &tables.Table{Name: "a", Description: "Of a.",
			Examples: []tables.Example{{Shows: "All.", SQL: "SELECT 1"}},
			Columns:  []tables.ColumnInfo{{Name: "b", Type: tables.Text, Description: "of b"}}}
	}
	if _, err := File(right()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*tables.Table){
		"no description":          func(t *tables.Table) { t.Description = "" },
		"two lines":               func(t *tables.Table) { t.Description = "Of\na." },
		"two spaces":              func(t *tables.Table) { t.Columns[0].Description = "of  b" },
		"a space at the end":      func(t *tables.Table) { t.Columns[0].Description = "of b " },
		"a column without words":  func(t *tables.Table) { t.Columns[0].Description = "" },
		"a table without example": func(t *tables.Table) { t.Examples = nil },
	} {
		table := right()
		change(table)
		if data, err := File(table); err == nil {
			t.Errorf("%s: made is\n%s", name, data)
		}
	}
}

// TestWrap sees that no word and no space is lost where lines are broken.
func TestWrap(t *testing.T) {
	const text = "a bb ccc dddd eeeeeeeeeeee f"
	lines := wrap(text, 6)
	if want := []string{"a bb", "ccc", "dddd", "eeeeeeeeeeee", "f"}; !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
	if got := strings.Join(lines, " "); got != text {
		t.Errorf("%q", got)
	}
}
