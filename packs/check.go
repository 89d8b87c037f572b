package packs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Pack is several checks that are scheduled together.
type Pack struct {
	Name   string `yaml:"name"`
	Title  string `yaml:"title"`
	What   string `yaml:"what"` // what it is for
	Logged Logged `yaml:"logged"`
	Policy bool   `yaml:"policy"` // no row is as it should be: Fleet asks it as policies too

	Checks []*Check `yaml:"-"`
}

// Logged says how osquery logs the rows of a scheduled query.
type Logged string

// A snapshot logs all rows each time, a difference those that came and went, additions those
// that came.
const (
	Snapshot   Logged = "snapshot"
	Difference Logged = "difference"
	Additions  Logged = "additions"
)

// A Check is a query, with all that is to be said of it.
type Check struct {
	Name        string   `yaml:"name"`
	Title       string   `yaml:"title"` // what holds on a host that passes, or what the rows are
	Finds       string   `yaml:"finds"`
	Why         string   `yaml:"why"`
	Resolution  string   `yaml:"resolution"`
	Attack      []string `yaml:"attack"`   // MITRE ATT&CK techniques: "T1557 Adversary-in-the-Middle"
	AskedBy     []string `yaml:"asked_by"` // items of benchmarks, with number and title
	Severity    Severity `yaml:"severity"` //
	Interval    int      `yaml:"interval"` // seconds
	Cost        string   `yaml:"cost"`     // measured
	FalseAlarms string   `yaml:"false_alarms"`
	Logged      Logged   `yaml:"logged"` // if not as the pack
	Needs       string   `yaml:"needs"`  // a table; the check is left out as long as it is not there
	Query       string   `yaml:"query"`

	Pack *Pack `yaml:"-"`
	with []*definition
}

// Severity says how soon somebody should look at a row.
type Severity string

// The severities, as Fleet's and others' words.
const (
	Info     Severity = "info"
	Low      Severity = "low"
	Medium   Severity = "medium"
	High     Severity = "high"
	Critical Severity = "critical"
)

var severities = []Severity{Info, Low, Medium, High, Critical}

// A List is what checks compare with. It is a table of SQL whose rows a team edits.
type List struct {
	Name    string   `yaml:"name"`
	What    string   `yaml:"what"`
	Columns []string `yaml:"columns"`
	Rows    [][]any  `yaml:"rows"`
}

// A definition is what a check can select from: a list or a part.
type definition struct {
	name string
	list *List  // nil: a part
	sql  string // name (columns) AS (...)
	uses []*definition
}

// Lists returns the lists that the check compares with.
func (c *Check) Lists() (lists []*List) {
	for _, d := range c.with {
		if d.list != nil {
			lists = append(lists, d.list)
		}
	}
	return lists
}

// Load reads the declarations below a folder. An error names the file and what is wrong.
func Load(files fs.FS) ([]*Pack, error) {
	defs, err := loadDefinitions(files)
	if err != nil {
		return nil, err
	}
	heads, err := fs.Glob(files, "checks/*/pack.yml")
	if err != nil || len(heads) == 0 {
		return nil, errors.Join(errors.New("no checks/*/pack.yml is here"), err)
	}
	if err := onlyKnown(files); err != nil {
		return nil, err
	}
	var packs []*Pack
	seen := map[string]string{}
	for _, head := range heads {
		p := &Pack{}
		if err := decode(files, head, p); err != nil {
			return nil, err
		}
		if err := p.valid(path.Base(path.Dir(head))); err != nil {
			return nil, fmt.Errorf("%s: %w", head, err)
		}
		if err := p.load(files, path.Dir(head), defs); err != nil {
			return nil, err
		}
		for _, c := range p.Checks {
			for _, key := range []string{c.Name, c.Title} {
				if other := seen[key]; other != "" {
					return nil, fmt.Errorf("checks %s and %s/%s are both called %q; Fleet tells them apart by that",
						other, p.Name, c.Name, key)
				}
				seen[key] = p.Name + "/" + c.Name
			}
		}
		packs = append(packs, p)
	}
	return packs, nil
}

func (p *Pack) valid(folder string) error {
	switch {
	case p.Name != folder:
		return fmt.Errorf("its name is %q, that of its folder %q; give both the same", p.Name, folder)
	case p.Title == "" || p.What == "":
		return errors.New("title and what must be there")
	}
	return p.Logged.valid()
}

func (l Logged) valid() error {
	if l != Snapshot && l != Difference && l != Additions {
		return fmt.Errorf("logged is %q; it must be %s, %s or %s", l, Snapshot, Difference, Additions)
	}
	return nil
}

// load reads the checks of a pack.
func (p *Pack) load(files fs.FS, dir string, defs []*definition) error {
	names, err := fs.Glob(files, dir+"/*.yml")
	if err != nil {
		return err
	}
	for _, file := range names {
		if path.Base(file) == "pack.yml" {
			continue
		}
		c := &Check{Pack: p}
		if err := decode(files, file, c); err != nil {
			return err
		}
		if c.Logged == "" {
			c.Logged = p.Logged
		}
		c.with = used(c.Query, defs)
		if err := c.valid(strings.TrimSuffix(path.Base(file), ".yml")); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		p.Checks = append(p.Checks, c)
	}
	if len(p.Checks) == 0 {
		return fmt.Errorf("%s: no check is here", dir)
	}
	return nil
}

// maxInterval is osquery's (kMaxQueryInterval).
const maxInterval = 604800

func (c *Check) valid(file string) error {
	for name, text := range map[string]string{"title": c.Title, "finds": c.Finds, "why": c.Why, "cost": c.Cost,
		"query": c.Query} {
		if strings.TrimSpace(text) == "" {
			return fmt.Errorf("%s is not there", name)
		}
	}
	switch {
	case c.Name != file:
		return fmt.Errorf("its name is %q, that of its file %q; give both the same", c.Name, file)
	case c.Interval < 60 || c.Interval > maxInterval:
		return fmt.Errorf("interval is %d; it must be between 60 and %d seconds", c.Interval, maxInterval)
	case !slices.Contains(severities, c.Severity):
		return fmt.Errorf("severity is %q; it must be one of %q", c.Severity, severities)
	case strings.Contains(c.SQL(), "$") || strings.Contains(quoted.ReplaceAllString(plain(c.SQL()), ""), ";"):
		return errors.New("query, or a list or part that it uses, has a semicolon or a dollar; it must be one " +
			"statement, without its end, and Fleet takes a dollar for a variable")
	case !queryName.MatchString(c.Name) || strings.HasSuffix(c.Name, "epoch") || strings.HasSuffix(c.Name, "counter"):
		return fmt.Errorf("its name is %q; it must be of small letters, digits and _, and osquery runs none that "+
			"ends in epoch or counter", c.Name)
	case c.Pack.Policy && (c.Resolution == "" || c.FalseAlarms == ""):
		return errors.New("resolution and false_alarms must be there: somebody acts on its rows")
	}
	if err := c.Logged.valid(); err != nil {
		return err
	}
	for _, t := range c.Attack {
		if !technique.MatchString(t) {
			return fmt.Errorf("attack has %q; it must be like \"T1557 Adversary-in-the-Middle\"", t)
		}
	}
	return nil
}

var queryName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

var technique = regexp.MustCompile(`^T\d{4}(\.\d{3})? \S.*$`)

// loadDefinitions reads lists and parts.
func loadDefinitions(files fs.FS) (defs []*definition, err error) {
	lists, _ := fs.Glob(files, "lists/*.yml")
	parts, _ := fs.Glob(files, "parts/*.sql")
	for _, file := range slices.Concat(lists, parts) {
		d := &definition{name: strings.TrimSuffix(path.Base(file), path.Ext(file))}
		if path.Ext(file) == ".sql" {
			text, err := fs.ReadFile(files, file)
			if err != nil {
				return nil, err
			}
			d.sql = strings.TrimSpace(string(text))
			if !regexp.MustCompile(`(?m)^` + d.name + `\(`).MatchString(d.sql) {
				return nil, fmt.Errorf("%s: it does not define %s(COLUMNS) AS (...)", file, d.name)
			}
		} else {
			d.list = &List{}
			if err := decode(files, file, d.list); err != nil {
				return nil, err
			}
			if d.sql, err = d.list.sql(d.name); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
		}
		defs = append(defs, d)
	}
	return defs, nil
}

// decode reads a file of YAML, which has no fields but those of v.
func decode(files fs.FS, file string, v any) error {
	text, err := fs.ReadFile(files, file)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: a second document follows, which nobody reads", file)
	}
	return nil
}

// onlyKnown returns an error for a file that is passed over, as for a name that ends in .yaml.
func onlyKnown(files fs.FS) error {
	for pattern, known := range map[string]string{"checks/*": "pack.yml", "checks/*/*": ".yml", "lists/*": ".yml",
		"parts/*": ".sql"} {
		there, err := fs.Glob(files, pattern)
		if err != nil {
			return err
		}
		for _, file := range there {
			if pattern == "checks/*" {
				if _, err := fs.Stat(files, path.Join(file, known)); err != nil {
					return fmt.Errorf("%s is no pack: %w", file, err)
				}
			} else if path.Ext(file) != known {
				return fmt.Errorf("%s is not read: give it a name that ends in %s", file, known)
			}
		}
	}
	return nil
}
