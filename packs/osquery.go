package packs

import (
	"bytes"
	"encoding/json"

	"kernelroutes/tables"
)

// osqueryVersion is the first version of osquery whose SQLite knows what the checks use:
// AS MATERIALIZED (SQLite 3.35).
const osqueryVersion = "5.0.0"

// A conf is a pack as osquery reads it.
type conf struct {
	Platform string      `json:"platform"`
	Version  string      `json:"version"`
	Queries  *orderedmap `json:"queries"`
}

type confQuery struct {
	Query       string `json:"query"`
	Interval    int    `json:"interval"`
	Description string `json:"description"`
	Value       string `json:"value"`
	Snapshot    *bool  `json:"snapshot,omitempty"`
	Removed     *bool  `json:"removed,omitempty"`
}

// Conf returns the pack as osquery reads it: strict JSON. There is no discovery query: it would
// run before the extension has registered, and the pack would sleep for an hour.
func (p *Pack) Conf() ([]byte, error) {
	c := conf{Platform: "linux", Version: osqueryVersion, Queries: &orderedmap{}}
	for _, k := range p.Available() {
		q := confQuery{
			Query:       oneLine(k.SQL()) + ";",
			Interval:    k.Interval,
			Description: flat(k.Finds),
			Value:       flat(k.Why),
		}
		if k.Logged == Snapshot {
			q.Snapshot = new(true)
		} else {
			q.Removed = new(k.Logged == Difference)
		}
		c.Queries.add(k.Name, q)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(c)
	return out.Bytes(), err
}

// Available returns the checks whose tables are there.
func (p *Pack) Available() (checks []*Check) {
	for _, c := range p.Checks {
		if c.available() {
			checks = append(checks, c)
		}
	}
	return checks
}

func (c *Check) available() bool { return c.Needs == "" || hasTable(c.Needs) }

func hasTable(name string) bool {
	for _, t := range tables.All() {
		if t.Name == name {
			return true
		}
	}
	return false
}

// An orderedmap is a JSON object whose members stay in the order in which they were added.
type orderedmap struct {
	names  []string
	values []any
}

func (m *orderedmap) add(name string, v any) {
	m.names, m.values = append(m.names, name), append(m.values, v)
}

// MarshalJSON is json.Marshaler's.
func (m *orderedmap) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, name := range m.names {
		if i > 0 {
			out = append(out, ',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		out = append(append(out, key...), ':')
		var value bytes.Buffer
		e := json.NewEncoder(&value)
		e.SetEscapeHTML(false)
		if err := e.Encode(m.values[i]); err != nil {
			return nil, err
		}
		out = append(out, value.Bytes()...)
	}
	return append(out, '}'), nil
}
