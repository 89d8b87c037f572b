package fleettest

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// passedOver are the keys of Fleet's own library that fleetctl apply passes over, and fleetctl gitops
// refuses as unknown (from 4.83 on; pkg/spec/gitops.go).
var passedOver = []string{"tags", "purpose", "contributors"}

// ValidateList fails t for everything in a file of a list of policies or reports, as fleetctl gitops
// reads it below path, that Fleet would refuse, and returns what is right.
func ValidateList(t testing.TB, kind, file string) []Document {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("read a list for Fleet: %v", err)
		return nil
	}
	documents, err := ParseList(kind, file, text)
	if err != nil {
		t.Error(err)
	}
	return documents
}

// ParseList returns what is in text, which is that of file: a list of the kind policy or report, and
// what is wrong with the others.
func ParseList(kind, file string, text []byte) ([]Document, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(separator.FindAll(text, -1)) > 0 {
		return nil, fmt.Errorf("%s: --- in a list, of which fleetctl gitops reads one document", file)
	}
	if len(root.Content) != 1 || root.Content[0].Kind != yaml.SequenceNode || len(root.Content[0].Content) == 0 {
		return nil, fmt.Errorf("%s: no list with something in it", file)
	}
	var documents []Document
	var errs []error
	for _, item := range root.Content[0].Content {
		d, err := parseItem(kind, file, item)
		if errs = append(errs, err); err == nil {
			documents = append(documents, d)
		}
	}
	return documents, errors.Join(append(errs, unique(documents))...)
}

// parseItem reads one policy or report of a list.
func parseItem(kind, file string, item *yaml.Node) (Document, error) {
	var spec map[string]any
	if err := item.Decode(&spec); err != nil {
		return Document{}, fmt.Errorf("%s:%d: %w", file, item.Line, err)
	}
	for _, key := range passedOver {
		if _, ok := spec[key]; ok {
			return Document{}, fmt.Errorf("%s:%d: %s is a key that fleetctl gitops refuses", file, item.Line, key)
		}
	}
	for _, key := range []string{"name", "query"} {
		if text, _ := spec[key].(string); strings.Contains(text, "$") {
			return Document{}, fmt.Errorf("%s:%d: %s has a dollar, which fleetctl gitops takes for a variable",
				file, item.Line, key)
		}
	}
	document := yaml.Node{}
	value := map[string]any{"apiVersion": "v1", "kind": kind, "spec": spec}
	if err := document.Encode(value); err != nil {
		return Document{}, fmt.Errorf("%s:%d: %w", file, item.Line, err)
	}
	return check(Document{File: file, Line: item.Line}, &document, value)
}
