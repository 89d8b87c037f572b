package packs

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// declared are the files of a pack with one check, which is right.
func declared() fstest.MapFS {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	return fstest.MapFS{
		"checks/p/pack.yml": file("name: p\ntitle: Pack\nwhat: A pack.\nlogged: difference\npolicy: true\n"),
		"checks/p/c.yml": file("name: c\ntitle: Check\nfinds: Something.\nwhy: It matters.\nresolution: Mend it.\n" +
			"severity: low\ninterval: 300\ncost: none\nfalse_alarms: None.\nattack: [T1557 Adversary-in-the-Middle]\n" +
			"query: |\n  SELECT dst FROM part WHERE dst IN (SELECT dst FROM list)\n"),
		"lists/list.yml": file("name: list\nwhat: Some destinations.\ncolumns: [dst, n]\nrows:\n  - [it's, 1]\n"),
		"parts/part.sql": file("-- All.\npart(dst) AS (\n  SELECT dst FROM kernel_routes -- all\n)\n"),
	}
}

func TestLoad(t *testing.T) {
	packs, err := Load(declared())
	if err != nil {
		t.Fatal(err)
	}
	c := packs[0].Checks[0]
	const sql = "-- List list: Some destinations.\nlist(dst, n) AS (VALUES\n  ('it''s', 1)),\n" +
		"-- All.\npart(dst) AS (\n  SELECT dst FROM kernel_routes -- all\n)\n" +
		"SELECT dst FROM part WHERE dst IN (SELECT dst FROM list)"
	if got := c.SQL(); got != "WITH "+sql {
		t.Errorf("it has\n%s", got)
	}
	data, err := packs[0].Conf()
	var conf struct {
		Queries map[string]struct{ Query string }
	}
	if err != nil || json.Unmarshal(data, &conf) != nil || conf.Queries["c"].Query != "WITH list(dst, n) AS (VALUES "+
		"('it''s', 1)), part(dst) AS (SELECT dst FROM kernel_routes) SELECT dst FROM part WHERE dst IN (SELECT dst "+
		"FROM list);" {
		t.Errorf("%v\n%s", err, data)
	}
}

// TestLoadErrors changes one thing of what is right.
func TestLoadErrors(t *testing.T) {
	const check, head, list, part = "checks/p/c.yml", "checks/p/pack.yml", "lists/list.yml", "parts/part.sql"
	for _, c := range []struct{ file, old, new, want string }{
		{check, "name: c", "name: d", `checks/p/c.yml: its name is "d", that of its file "c"; give both the same`},
		{check, "title: Check", "", "checks/p/c.yml: title is not there"},
		{check, "why: It", "wy: It", "field wy not found"},
		{check, "severity: low", "severity: huge", `severity is "huge"; it must be one of`},
		{check, "300", "30", "interval is 30; it must be between 60 and 604800 seconds"},
		{check, "300", "604801", "interval is 604801"},
		{check, "300", "soon", "cannot unmarshal"},
		{check, "resolution: Mend it.", "", "resolution and false_alarms must be there"},
		{check, "T1557 A", "1557 A", `attack has "1557 Adversary-in-the-Middle"; it must be like`},
		{check, "SELECT dst FROM part", "SELECT 1; SELECT dst FROM part", "has a semicolon"},
		{check, "SELECT dst FROM part", "SELECT '$HOME', dst FROM part", "a dollar"},
		{list, "it's", "$HOME", "a dollar"},
		{part, "-- all", "-- $all", "a dollar"},
		{part, "SELECT dst", "SELECT 1; SELECT dst", "it uses, has a semicolon"},
		{check, "query: |", "query: SELECT 1\n---\nquery: |", "a second document follows, which nobody reads"},
		{check, "severity: low", "severity: low\nlogged: never", `logged is "never"`},
		{head, "difference", "sometimes", `checks/p/pack.yml: logged is "sometimes"`},
		{head, "name: p", "name: q", `its name is "q", that of its folder "p"`},
		{head, "what: A pack.", "", "title and what must be there"},
		{list, "name: list", "name: other", `lists/list.yml: its name is "other"`},
		{list, "[it's, 1]", "[one]", "row 1 has 1 values, not 2"},
		{list, "[it's, 1]", "[one, 1.5]", "neither a text nor a whole number"},
		{list, "columns: [dst, n]", "", "what and columns must be there"},
		{part, "part(dst)", "other(dst)", "parts/part.sql: it does not define part(COLUMNS) AS (...)"},
	} {
		files := declared()
		text := string(files[c.file].Data)
		if !strings.Contains(text, c.old) {
			t.Fatalf("%s has no %q", c.file, c.old)
		}
		files[c.file].Data = []byte(strings.Replace(text, c.old, c.new, 1))
		if _, err := Load(files); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %q: %v, not %s", c.file, c.new, err, c.want)
		}
	}
	files := declared()
	files["checks/q/pack.yml"] = &fstest.MapFile{Data: []byte(strings.Replace(string(files[head].Data), "p", "q", 1))}
	if _, err := Load(files); err == nil || !strings.Contains(err.Error(), "checks/q: no check is here") {
		t.Error(err)
	}
	files["checks/q/e.yml"] = &fstest.MapFile{
		Data: []byte(strings.Replace(string(files[check].Data), "name: c", "name: e", 1))}
	if _, err := Load(files); err == nil || !strings.Contains(err.Error(),
		`checks p/c and q/e are both called "Check"; Fleet tells them apart by that`) {
		t.Error(err)
	}
	for file, want := range map[string]string{
		"checks/p/d.yaml": "checks/p/d.yaml is not read: give it a name that ends in .yml",
		"lists/d.yaml":    "lists/d.yaml is not read",
		"parts/d.txt":     "parts/d.txt is not read: give it a name that ends in .sql",
		"checks/r/d.yml":  "checks/r is no pack: ",
	} {
		files := declared()
		files[file] = &fstest.MapFile{}
		if _, err := Load(files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %s", file, err, want)
		}
	}
	if _, err := Load(fstest.MapFS{}); err == nil || !strings.Contains(err.Error(), "no checks/*/pack.yml is here") {
		t.Error(err)
	}
}

// TestTexts sees that all that a declaration says is in what is made of it, also what would be a
// comment of SQL or a mark of Markdown.
func TestTexts(t *testing.T) {
	files := declared()
	text := string(files["checks/p/c.yml"].Data)
	text = strings.Replace(text, "Something.", "Something | a.*.b --x to\n  the ( end ).", 1)
	files["checks/p/c.yml"].Data = []byte(strings.Replace(text, "Mend it.", "Run sysctl --system; it's done.", 1))
	packs, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	made, err := Files(packs)
	if err != nil {
		t.Fatal(err)
	}
	made["README.md"] = Page(packs, Matrix{})
	const finds, resolution = "Something | a.*.b --x to the ( end ).", "Run sysctl --system; it's done."
	for file, want := range map[string][]string{
		"p.conf":                      {finds},
		"fleet/p.yml":                 {finds, resolution},
		"fleet/gitops/p.policies.yml": {finds, resolution},
		"fleet/gitops/p.reports.yml":  {finds},
		"README.md":                   {`Something \| a.\*.b --x to the ( end ).`, resolution},
	} {
		for _, text := range want {
			if !strings.Contains(string(made[file]), text) {
				t.Errorf("%s has no %q:\n%s", file, text, made[file])
			}
		}
	}
}

// TestUsed sees that every list and every part is used: one that is misspelt in a query is no error
// before the query is run, and nobody would miss one that is left over.
func TestUsed(t *testing.T) {
	used := map[string]bool{}
	for _, p := range loadPacks(t) {
		for _, c := range p.Checks {
			for _, d := range c.with {
				used[d.name] = true
			}
		}
	}
	defs, err := loadDefinitions(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range defs {
		if !used[d.name] {
			t.Errorf("no check uses %s", d.name)
		}
	}
}

// TestEmptyList: a list without rows matches nothing.
func TestEmptyList(t *testing.T) {
	l := &List{Name: "list", What: "x", Columns: []string{"a", "b"}}
	sql, err := l.sql("list")
	if err != nil {
		t.Fatal(err)
	}
	if rows := ask(t, "WITH "+sql+" SELECT count(*) AS n FROM list"); len(rows) != 1 || rows[0]["n"] != "0" {
		t.Errorf("%v: %s", rows, sql)
	}
}

// TestGenerate runs the command that a team runs, with a list of its own.
func TestGenerate(t *testing.T) {
	lists, to := t.TempDir(), t.TempDir()
	list := "name: outside_tunnel\nwhat: Ours.\ncolumns: [dst, why]\nrows:\n  - ['10.77.%', ours]\n"
	if err := os.WriteFile(filepath.Join(lists, "outside_tunnel.yml"), []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	generate := func(args ...string) (string, error) {
		cmd := exec.Command("go", append([]string{"run", "./packs/generate"}, args...)...)
		cmd.Dir = ".."
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := generate("--lists", lists, "--to", to); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	files, err := Files(loadPacks(t))
	if err != nil {
		t.Fatal(err)
	}
	for name := range files {
		data, err := os.ReadFile(filepath.Join(to, name))
		if err != nil {
			t.Error(err)
		}
		if has := strings.Contains(string(data), "10.77.%"); has != strings.Contains(name, "compliance") {
			t.Errorf("%s has the list's row: %v", name, has)
		}
	}
	misspelt := t.TempDir()
	if err := os.WriteFile(filepath.Join(misspelt, "outside_tunnels.yml"), []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range [][]string{{"--lists", misspelt}, {"--from", t.TempDir()}, {"--lists", "/nowhere"},
		{"--to", "/proc/x"}, {"stray"}} {
		if out, err := generate(wrong...); err == nil || !strings.Contains(out, "cannot make the packs: ") {
			t.Errorf("%q: %v\n%s", wrong, err, out)
		}
	}
}
