package packs

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A fleetDocument is one object of Fleet, as fleetctl reads it.
type fleetDocument struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Spec       any    `yaml:"spec"`
}

// A fleetPolicy passes on a host where its query returns a row.
type fleetPolicy struct {
	Name        string `yaml:"name"`
	Platform    string `yaml:"platform"`
	Description string `yaml:"description"`
	Resolution  string `yaml:"resolution"`
	Query       string `yaml:"query"`
	Tags        string `yaml:"tags,omitempty"`
	Critical    bool   `yaml:"critical"`
}

// A fleetQuery is run at its interval; its results are what Fleet calls a report.
type fleetQuery struct {
	Name        string `yaml:"name"`
	Platform    string `yaml:"platform"`
	Description string `yaml:"description"`
	Query       string `yaml:"query"`
	Interval    int    `yaml:"interval"`
	Logging     string `yaml:"logging"`
	Automations bool   `yaml:"automations_enabled"`
	MinVersion  string `yaml:"min_osquery_version"`
}

// Fleet returns the pack as Fleet reads it, one document a query, and one a policy.
func (p *Pack) Fleet() ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# %s: %s\n# Made from packs/checks/%s by go run ./packs/generate.\n", p.Name, p.Title, p.Name)
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	add := func(kind string, spec any) error { return e.Encode(fleetDocument{"v1", kind, spec}) }
	for _, c := range p.Available() {
		if p.Policy {
			err := add("policy", fleetPolicy{
				Name:        c.Title,
				Platform:    "linux",
				Description: oneLine(c.Finds) + " " + oneLine(c.Why),
				Resolution:  oneLine(c.Resolution),
				Query:       c.PolicySQL() + ";",
				Tags:        strings.Join(c.tags(), ", "),
				Critical:    c.Severity == Critical || c.Severity == High,
			})
			if err != nil {
				return nil, err
			}
		}
		err := add("query", fleetQuery{
			Name:        c.fleetName(),
			Platform:    "linux",
			Description: oneLine(c.Finds),
			Query:       c.SQL() + ";",
			Interval:    c.Interval,
			Logging:     fleetLogging[c.Logged],
			Automations: true,
			MinVersion:  osqueryVersion,
		})
		if err != nil {
			return nil, err
		}
	}
	return out.Bytes(), e.Close()
}

// fleetLogging are Fleet's words.
var fleetLogging = map[Logged]string{
	Snapshot:   "snapshot",
	Difference: "differential",
	Additions:  "differential_ignore_removals",
}

// fleetName is what the check's query is called in Fleet, where a policy may have the title.
func (c *Check) fleetName() string { return c.Pack.Name + ": " + c.Name }

// tags are what Fleet can choose policies by.
func (c *Check) tags() []string {
	tags := []string{c.Pack.Name, string(c.Severity)}
	for _, t := range c.Attack {
		id, _, _ := strings.Cut(t, " ")
		tags = append(tags, id)
	}
	for _, b := range c.AskedBy {
		name, _, _ := strings.Cut(b, ":")
		tags = append(tags, name)
	}
	return tags
}
