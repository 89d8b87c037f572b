package packs

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
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

// Fleet returns the pack as fleetctl apply reads it: a document for each policy and each query.
func (p *Pack) Fleet() ([]byte, error) {
	var out bytes.Buffer
	e := p.head(&out, "fleetctl apply -f")
	for _, c := range p.Available() {
		if p.Policy {
			policy := c.fleetPolicy()
			policy.Tags = strings.Join(c.tags(), ", ")
			if err := e.Encode(fleetDocument{"v1", "policy", policy}); err != nil {
				return nil, err
			}
		}
		if err := e.Encode(fleetDocument{"v1", "query", c.fleetQuery()}); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), e.Close()
}

// GitOps returns the pack as fleetctl gitops reads what paths name: a list of policies, if it has
// any, and one of reports. Neither may have a key that Fleet does not know, as tags.
func (p *Pack) GitOps() (policies, reports []byte, err error) {
	var listed []fleetPolicy
	var queries []fleetQuery
	for _, c := range p.Available() {
		if p.Policy {
			listed = append(listed, c.fleetPolicy())
		}
		queries = append(queries, c.fleetQuery())
	}
	write := func(list any) []byte {
		var out bytes.Buffer
		e := p.head(&out, "fleetctl gitops, below path:")
		err = errors.Join(err, e.Encode(list), e.Close())
		return out.Bytes()
	}
	if listed != nil {
		policies = write(listed)
	}
	return policies, write(queries), err
}

// head writes how a file begins, and returns what writes the rest.
func (p *Pack) head(out *bytes.Buffer, reader string) *yaml.Encoder {
	fmt.Fprintf(out, "# %s: %s. For %s\n# Made from packs/checks/%s by go run ./packs/generate.\n", p.Name, p.Title,
		reader, p.Name)
	e := yaml.NewEncoder(out)
	e.SetIndent(2)
	return e
}

func (c *Check) fleetPolicy() fleetPolicy {
	return fleetPolicy{
		Name:        c.Title,
		Platform:    "linux",
		Description: flat(c.Finds) + " " + flat(c.Why),
		Resolution:  flat(c.Resolution),
		Query:       c.PolicySQL() + ";",
		Critical:    c.Severity == Critical || c.Severity == High,
	}
}

func (c *Check) fleetQuery() fleetQuery {
	return fleetQuery{
		Name:        c.Pack.Name + ": " + c.Name, // a policy may have the title
		Platform:    "linux",
		Description: flat(c.Finds),
		Query:       c.SQL() + ";",
		Interval:    c.Interval,
		Logging:     fleetLogging[c.Logged],
		Automations: true,
		MinVersion:  osqueryVersion,
	}
}

// fleetLogging are Fleet's words.
var fleetLogging = map[Logged]string{
	Snapshot:   "snapshot",
	Difference: "differential",
	Additions:  "differential_ignore_removals",
}

// tags are what Fleet can choose policies by.
func (c *Check) tags() []string {
	tags := []string{c.Pack.Name, string(c.Severity)}
	for _, t := range c.Attack {
		id, _, _ := strings.Cut(t, " ")
		tags = append(tags, id)
	}
	for _, b := range c.AskedBy {
		// One of several items of a benchmark.
		if name, _, _ := strings.Cut(b, ":"); !slices.Contains(tags, name) {
			tags = append(tags, name)
		}
	}
	return tags
}
