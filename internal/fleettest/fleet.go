package fleettest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// A Document is a policy or a query of Fleet.
type Document struct {
	File string
	Line int // of the file, from 1
	Kind string
	Spec Spec
}

// Spec is what policies and queries have in common, and what tests ask about.
type Spec struct {
	Name               string `yaml:"name"`
	Query              string `yaml:"query"`
	Description        string `yaml:"description"`
	Resolution         string `yaml:"resolution"`
	Platform           string `yaml:"platform"`
	Critical           bool   `yaml:"critical"`
	Tags               string `yaml:"tags"`
	Interval           int    `yaml:"interval"`
	Logging            string `yaml:"logging"`
	AutomationsEnabled bool   `yaml:"automations_enabled"`
}

// separator is what divides a file into documents for fleetctl (SplitYaml in pkg/spec/spec.go),
// which looks at lines, not at YAML: three hyphens divide a block of text too.
var separator = regexp.MustCompile(`(?m:^---[\t ]*)`)

// yaml11 are words that are truth values for fleetctl, whose YAML is 1.1, but text for this
// package's, whose YAML is 1.2: a policy of the name Off has no name there.
var yaml11 = []string{"y", "n", "yes", "no", "on", "off"}

// Validate fails t for everything in files that Fleet would refuse or pass over, and
// returns the documents that are right, in their order. No two of the same kind have a
// name in common, in whichever files they are.
func Validate(t testing.TB, files ...string) []Document {
	t.Helper()
	documents, err := Read(files...)
	if err != nil {
		t.Error(err)
	}
	return documents
}

// Read is Validate that returns what is wrong.
func Read(files ...string) ([]Document, error) {
	var documents []Document
	var errs []error
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			errs = append(errs, fmt.Errorf("read Fleet's documents: %w", err))
			continue
		}
		found, err := Parse(file, text)
		documents, errs = append(documents, found...), append(errs, err)
	}
	return documents, errors.Join(append(errs, unique(documents))...)
}

// Parse returns the documents in text, which is that of file, and what is wrong with the others.
func Parse(file string, text []byte) ([]Document, error) {
	var documents []Document
	var errs []error
	if ext := filepath.Ext(file); ext != ".yml" && ext != ".yaml" {
		errs = append(errs, fmt.Errorf("%s: fleetctl apply takes files whose names end in .yml or .yaml", file))
	}
	begin, seen := 0, false
	for _, at := range append(separator.FindAllIndex(text, -1), []int{len(text), len(text)}) {
		chunk := text[begin:at[0]]
		if len(bytes.TrimSpace(chunk)) > 0 {
			seen = true
			for chunk[0] == '\n' { // so that the document begins where it is said to
				begin, chunk = begin+1, chunk[1:]
			}
			d, err := parseDocument(file, 1+bytes.Count(text[:begin], []byte("\n")), chunk)
			if errs = append(errs, err); err == nil {
				documents = append(documents, d)
			}
		}
		begin = at[1]
	}
	if !seen {
		errs = append(errs, fmt.Errorf("%s: no document in it", file))
	}
	return documents, errors.Join(errs...)
}

// parseDocument reads one document, which begins in the line called first.
func parseDocument(file string, first int, text []byte) (Document, error) {
	d := Document{File: file, Line: first}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var root yaml.Node
	if err := decoder.Decode(&root); errors.Is(err, io.EOF) {
		return d, fmt.Errorf("%s: document at line %d: nothing but comments, which fleetctl refuses: remove the --- "+
			"between them and a document", file, first)
	} else if err != nil {
		return d, fmt.Errorf("%s: document at line %d: %w", file, first, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return d, fmt.Errorf("%s: document at line %d: more follows that --- does not divide from it", file, first)
	}
	var value map[string]any
	if err := root.Decode(&value); err != nil {
		return d, fmt.Errorf("%s: document at line %d: %w", file, first, err)
	}
	return check(d, &root, value)
}

// check compares a document, whose first line is d.Line, with the schema of its kind.
func check(d Document, root *yaml.Node, value map[string]any) (Document, error) {
	file, first := d.File, d.Line
	d.Kind, _ = value["kind"].(string)
	schema := map[string]string{"policy": "policy", "query": "query", "report": "query"}[d.Kind]
	if schema == "" {
		return d, fmt.Errorf("%s: document at line %d: its kind is %v: use policy, query or report",
			file, first, value["kind"])
	}
	found, err := validate(schema, value)
	if err != nil {
		return d, fmt.Errorf("%s: %w", file, err)
	}
	var errs []error
	for _, f := range append(found, ambiguous(root)...) {
		errs = append(errs, fmt.Errorf("%s:%d: %s %s", file, first-1+lineOf(root, f.path), d.Kind, f))
	}
	if len(errs) > 0 {
		return d, errors.Join(errs...)
	}
	var spec struct{ Spec Spec }
	if err := root.Decode(&spec); err != nil {
		return d, fmt.Errorf("%s: document at line %d: %w", file, first, err)
	}
	d.Spec = spec.Spec
	return d, nil
}

// unique tells which names Fleet would overwrite one document by another for.
func unique(documents []Document) error {
	type key struct{ kind, name string }
	first := make(map[key]Document)
	var errs []error
	for _, d := range documents {
		k := key{d.Kind, d.Spec.Name}
		if d.Kind == "report" {
			k.kind = "query" // the same thing by its newer name
		}
		if other, ok := first[k]; ok {
			errs = append(errs, fmt.Errorf("%s: document at line %d: the name %q is that of %s, line %d, already",
				d.File, d.Line, d.Spec.Name, other.File, other.Line))
			continue
		}
		first[k] = d
	}
	return errors.Join(errs...)
}

// ambiguous returns the values below node that fleetctl takes for truth values.
func ambiguous(node *yaml.Node) (found []finding) {
	walk(node, nil, func(path []string, n *yaml.Node) {
		plain := n.Kind == yaml.ScalarNode && n.Style == 0
		if plain && slices.Contains(yaml11, strings.ToLower(n.Value)) {
			text := fmt.Sprintf("%s is a truth value in YAML 1.1, which fleetctl reads: quote it", n.Value)
			found = append(found, finding{path, text})
		}
	})
	return found
}

// lineOf returns the line of what path leads to, or of the innermost part of it that is there.
func lineOf(root *yaml.Node, path []string) int {
	line := 1
	walk(root, nil, func(p []string, n *yaml.Node) {
		if len(p) <= len(path) && slices.Equal(p, path[:len(p)]) {
			line = max(n.Line, 1) // what was not read from a file has none
		}
	})
	return line
}

// walk calls f for every node with the path to it, as JSON pointers have it. A value's line
// is that of its key, where text may begin below it.
func walk(n *yaml.Node, path []string, f func(path []string, n *yaml.Node)) {
	switch n.Kind {
	case yaml.DocumentNode:
		for _, child := range n.Content {
			walk(child, path, f)
		}
	case yaml.MappingNode:
		f(path, n)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			child := *value
			child.Line = key.Line
			walk(&child, append(slices.Clip(path), key.Value), f)
		}
	case yaml.SequenceNode:
		f(path, n)
		for i, child := range n.Content {
			walk(child, append(slices.Clip(path), fmt.Sprint(i)), f)
		}
	default:
		f(path, n)
	}
}
