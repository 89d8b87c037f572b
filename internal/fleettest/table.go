package fleettest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"
)

// ValidateTable fails t for everything in files, Fleet's pages of tables, that Fleet would refuse or
// pass over.
func ValidateTable(t testing.TB, files ...string) {
	t.Helper()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("read Fleet's page of a table: %v", err)
			continue
		}
		if err := CheckTable(file, text); err != nil {
			t.Error(err)
		}
	}
}

// CheckTable says what is wrong with Fleet's page of a table: text, which is that of file.
func CheckTable(file string, text []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var root yaml.Node
	if err := decoder.Decode(&root); err != nil {
		return fmt.Errorf("%s: no YAML: %w", file, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: more than one document, which Fleet refuses", file)
	}
	var value any
	if err := root.Decode(&value); err != nil { // a key twice
		return fmt.Errorf("%s: %w", file, err)
	}
	found, err := validate("table", value)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var errs []error
	for _, f := range found {
		errs = append(errs, fmt.Errorf("%s:%d: %s", file, lineOf(&root, f.path), f))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	return checkNames(file, &root)
}

// checkNames tells which names of a page, which is right else, Fleet would not find.
func checkNames(file string, root *yaml.Node) error {
	var page struct {
		Name    string
		Columns []struct{ Name string }
	}
	if err := root.Decode(&page); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var errs []error
	if want := page.Name + ".yml"; filepath.Base(file) != want {
		errs = append(errs, fmt.Errorf("%s: the page of %s is %s for Fleet, which links to it by that name and reads "+
			"no files but *.yml", file, page.Name, want))
	}
	known := map[string]bool{}
	for _, c := range page.Columns {
		if known[c.Name] {
			errs = append(errs, fmt.Errorf("%s: column %s is there twice, of which Fleet takes the first",
				file, c.Name))
		}
		known[c.Name] = true
	}
	return errors.Join(errs...)
}
