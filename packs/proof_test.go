package packs

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kernelroutes/rtnl"
	"kernelroutes/shell"
	"kernelroutes/tables"
)

// A proof is a file of testdata/attacks: what is done to healthy hosts, and the rows that a
// check has then.
type proof struct {
	Check   string   `yaml:"check"`
	Attacks []attack `yaml:"attacks"`
}

type attack struct {
	What   string           `yaml:"what"`
	Host   string           `yaml:"host"`
	Run    string           `yaml:"run"`    // commands of the shell, run where the host's script is
	Events []event          `yaml:"events"` // what has happened, for a check of that
	Rows   []map[string]any `yaml:"rows"`   // all rows, in any order, with some of their columns
}

// attackFolder has a file for each check.
const attackFolder = "../testdata/attacks"

func loadPacks(t testing.TB) []*Pack {
	t.Helper()
	packs, err := Load(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	return packs
}

// policies returns the checks of which no host may have rows.
func policies(t *testing.T) (checks []*Check) {
	for _, p := range loadPacks(t) {
		if p.Policy {
			checks = append(checks, p.Checks...)
		}
	}
	return checks
}

// TestMatrix runs every check on every healthy host, where there is no row, and does to hosts
// what the checks are there for: they have exactly the rows that are at fault. README.md shows
// what it saw.
func TestMatrix(t *testing.T) {
	m := Matrix{someHosts(t), map[string]map[string]Cell{}}
	for _, c := range policies(t) {
		m.Cells[c.Name] = map[string]Cell{}
	}
	var filling sync.Mutex
	t.Run("hosts", func(t *testing.T) {
		for _, host := range m.Hosts {
			t.Run(host, func(t *testing.T) {
				t.Parallel()
				cells := checkAll(t, host)
				filling.Lock()
				defer filling.Unlock()
				for check, cell := range cells {
					m.Cells[check][host] = cell
				}
			})
		}
	})
	t.Run("attacks", func(t *testing.T) {
		for i, c := range policies(t) {
			if testing.Short() && i%3 > 0 {
				continue
			}
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				attackAll(t, c, m.Cells[c.Name])
			})
		}
	})
	files, err := filepath.Glob(attackFolder + "/*")
	if err != nil || len(files) != len(policies(t)) {
		t.Errorf("%d files in %s for %d checks: %v", len(files), attackFolder, len(policies(t)), err)
	}
	if testing.Short() || flag.Lookup("test.run").Value.String() != "" && !*update {
		return // some of it has been left out, or may have been
	}
	compareFile(t, "README.md", Page(loadPacks(t), m))
}

// checkAll runs every check on a healthy host.
func checkAll(t *testing.T, host string) map[string]Cell {
	cells := map[string]Cell{}
	buildHost(t, host)
	o := startOsquery(t)
	for _, p := range loadPacks(t) {
		for _, c := range p.Available() {
			if !p.Policy && c.Name != "namespaces" { // which takes to see all processes
				o.compareCheck(t, c, c.SQL(), c.ask(t, c.SQL(), nil))
			}
		}
	}
	for _, c := range policies(t) {
		rows := c.ask(t, c.SQL(), nil)
		cost := o.compareCheck(t, c, c.SQL(), rows)
		if len(rows) > 0 {
			t.Errorf("%s: %v", c.Name, rows)
		}
		passed := c.ask(t, c.PolicySQL(), nil)
		if (len(passed) == 1) != (len(rows) == 0) {
			t.Errorf("%s: %d rows, but the policy has %d", c.Name, len(rows), len(passed))
		}
		o.compareCheck(t, c, c.PolicySQL(), passed)
		cells[c.Name] = Cell{Rows: len(rows), Requests: cost.Requests, Sent: cost.Rows}
	}
	return cells
}

// attackAll does what the proof of a check says, and counts what was found.
func attackAll(t *testing.T, c *Check, cells map[string]Cell) {
	var p proof
	if err := decode(os.DirFS(attackFolder), c.Name+".yml", &p); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for i, a := range p.Attacks {
		rows += len(a.Rows)
		if testing.Short() && i%8 > 0 {
			continue
		}
		cell := cells[a.Host]
		if len(a.Rows) > 0 {
			cell.Attacks++
		}
		inOsquery := i%4 == 0 && !c.ofEvents() && !testing.Short() // the events of an attack are in none but ours
		name := strings.ReplaceAll(a.What, "/", "-")
		if t.Run(name, func(t *testing.T) { a.check(t, c, inOsquery) }) && len(a.Rows) > 0 {
			cell.Found++
		}
		cells[a.Host] = cell
	}
	if p.Check != c.Name || rows == 0 {
		t.Errorf("%s.yml is of %q, and finds %d rows", c.Name, p.Check, rows)
	}
}

// check does what an attack is. That osquery has the same rows was shown for every statement on the healthy
// hosts: here it is shown again for some.
func (a attack) check(t *testing.T, c *Check, inOsquery bool) {
	buildHost(t, a.Host)
	runShell(t, a.Run)
	rows := c.ask(t, c.SQL(), a.Events)
	passed := c.ask(t, c.PolicySQL(), a.Events)
	if inOsquery {
		o := startOsquery(t)
		o.compare(t, c.SQL(), rows)
		o.compare(t, c.PolicySQL(), passed)
	}
	for _, r := range rows {
		for name := range r {
			if changing.FindString(name) == name {
				t.Errorf("it shows %s, which changes with time", name)
			}
		}
	}
	if !sameRows(rows, a.Rows) {
		t.Errorf("on %s:\n%s\nhas the rows\n%v\nnot\n%v", a.Host, a.Run, rows, a.Rows)
	}
	if passes := len(passed) == 1; passes != (len(a.Rows) == 0) {
		t.Errorf("the policy passes: %v", passes)
	}
}

// ask runs a statement on the embedded SQLite in the test's namespace.
func ask(t *testing.T, sql string) []map[string]string {
	t.Helper()
	rows, err := query(sql, func(text string) { t.Errorf("%s\nwarns: %s", sql, text) })
	if err != nil {
		t.Fatalf("%s\n%v", sql, err)
	}
	return rows
}

func query(sql string, warn func(text string)) ([]map[string]string, error) {
	return queryOf(new(rtnl.Kernel), sql, warn)
}

// queryOf runs a statement on the embedded SQLite, on what the source has.
func queryOf(from tables.Source, sql string, warn func(text string)) (rows []map[string]string, err error) {
	var out bytes.Buffer
	opts := shell.Options{Format: shell.JSON, Warn: warn}
	if err := shell.Query(context.Background(), &out, from, withTime(sql), opts); err != nil {
		return nil, err
	}
	err = json.Unmarshal(out.Bytes(), &rows)
	return rows, err
}

// sameRows reports whether rows are those that are wanted, in any order.
func sameRows(rows []map[string]string, wanted []map[string]any) bool {
	if len(rows) != len(wanted) {
		return false
	}
	taken := make([]bool, len(rows))
	for _, w := range wanted {
		found := false
		for i, r := range rows {
			if !taken[i] && matches(r, w) {
				taken[i], found = true, true
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

func matches(row map[string]string, wanted map[string]any) bool {
	for name, want := range wanted {
		got, ok := row[name]
		text, err := json.Marshal(want)
		if s, is := want.(string); is {
			text = []byte(s)
		}
		if !ok || err != nil || got != string(text) {
			return false
		}
	}
	return true
}

// runShell runs commands in the test's namespace, where the hosts' scripts are.
func runShell(t *testing.T, commands string) {
	t.Helper()
	cmd := exec.Command("sh", "-euc", ". ./lib.sh\n"+commands)
	cmd.Dir = hostsFolder
	cmd.Env = environment(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s\n%v\n%s", commands, err, out)
	}
}
