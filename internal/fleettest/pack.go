package fleettest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// ValidatePack fails t for everything in files, osquery's packs, that osquery would refuse
// or pass over.
func ValidatePack(t testing.TB, files ...string) {
	t.Helper()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("read a pack: %v", err)
			continue
		}
		if err := CheckPack(file, text); err != nil {
			t.Error(err)
		}
	}
}

// CheckPack says what is wrong with the pack text, which is that of file.
func CheckPack(file string, text []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s: no strict JSON: %w", file, err)
	}
	found, err := validate("pack", value)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var errs []error
	for _, f := range found {
		errs = append(errs, fmt.Errorf("%s: %s", file, f))
	}
	return errors.Join(append(errs, repeatedKeys(file, text))...)
}

// repeatedKeys tells which keys an object has twice. JSON allows it; osquery runs the
// first of two queries of a name, and this package's decoder would show the last alone.
func repeatedKeys(file string, text []byte) error {
	var errs []error
	decoder := json.NewDecoder(bytes.NewReader(text))
	type object struct {
		keys  map[string]bool // nil for an array
		isKey bool            // whether a key comes next
	}
	var open []object
	for {
		token, err := decoder.Token()
		if err != nil {
			return errors.Join(errs...) // the end: what is no JSON is found before
		}
		if d, ok := token.(json.Delim); ok && (d == '}' || d == ']') {
			open = open[:len(open)-1]
			continue
		}
		if len(open) > 0 && open[len(open)-1].keys != nil {
			o := &open[len(open)-1]
			if key, ok := token.(string); ok && o.isKey {
				if o.keys[key] {
					errs = append(errs, fmt.Errorf("%s: %s: twice in one object", file, key))
				}
				o.keys[key], o.isKey = true, false
				continue
			}
			o.isKey = true // after this value
		}
		switch token {
		case json.Delim('{'):
			open = append(open, object{make(map[string]bool), true})
		case json.Delim('['):
			open = append(open, object{})
		}
	}
}
