package fleettest

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// english words what jsonschema finds.
var english = message.NewPrinter(language.English)

// A finding is something that a schema does not allow, and the path to it.
type finding struct {
	path []string
	text string
}

// schemas are compiled once: tests validate many files.
var schemas = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	dir, err := schemaDir()
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiled := make(map[string]*jsonschema.Schema)
	for _, name := range []string{"policy", "query", "pack", "table"} {
		file := filepath.Join(dir, name+".schema.json")
		if compiled[name], err = compiler.Compile(file); err != nil {
			return nil, fmt.Errorf("compile %s: %w", file, err)
		}
	}
	return compiled, nil
})

// schemaDir finds testdata/fleet from the folder of any package's tests.
func schemaDir() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find testdata/fleet: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "testdata", "fleet"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find testdata/fleet: no go.mod in %s or above: run this in the repository", start)
		}
	}
}

// validate returns what the schema called name does not allow of value.
func validate(name string, value any) ([]finding, error) {
	compiled, err := schemas()
	if err != nil {
		return nil, err
	}
	err = compiled[name].Validate(value)
	var invalid *jsonschema.ValidationError
	if err == nil || !errors.As(err, &invalid) {
		return nil, err
	}
	return leaves(invalid), nil
}

// leaves are the findings themselves, without the parts of the schema that led to them.
func leaves(e *jsonschema.ValidationError) (found []finding) {
	if len(e.Causes) == 0 {
		text := e.ErrorKind.LocalizedString(english)
		if _, ok := e.ErrorKind.(*kind.Not); ok {
			// "'not' failed" says nothing: what is not allowed has a name in the schema.
			text = "is against " + path.Base(e.SchemaURL) + " in the schema"
		}
		return []finding{{e.InstanceLocation, text}}
	}
	for _, cause := range e.Causes {
		found = append(found, leaves(cause)...)
	}
	return found
}

func (f finding) String() string {
	if len(f.path) == 0 {
		return f.text
	}
	return strings.Join(f.path, ".") + ": " + f.text
}
