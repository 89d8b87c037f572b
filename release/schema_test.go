package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestSbomSchema checks the bill of materials by CycloneDX's own schema, which comes with the library that
// its tool is made with. Licences are checked against SPDX's list by it.
func TestSbomSchema(t *testing.T) {
	file := packaged(t, tested, ".cdx.json")
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go")
	cmd.Dir = "tools"
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	const site = "http://cyclonedx.org/schema/"
	for _, name := range []string{"bom-1.6.schema.json", "spdx.schema.json"} {
		schema, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "schema", name))
		if err != nil {
			t.Fatal(err)
		}
		add(t, compiler, site+name, schema)
	}
	// The schema of signatures, of which there are none
	add(t, compiler, site+"jsf-0.82.schema.json", []byte(`{"definitions": {"signature": false}}`))
	schema, err := compiler.Compile(site + "bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	valid := func(data []byte) error {
		bom, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(bom)
	}
	if err := valid(data); err != nil {
		t.Error(err)
	}
	for from, to := range map[string]string{`"blessing"`: `"no licence"`, `"library"`: `"book"`, `"bom-ref"`: `"ref"`} {
		changed := bytes.Replace(data, []byte(from), []byte(to), 1)
		if bytes.Equal(changed, data) || valid(changed) == nil {
			t.Errorf("%s in place of %s is not found", to, from)
		}
	}
}

func add(t *testing.T, compiler *jsonschema.Compiler, name string, schema []byte) {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err == nil {
		err = compiler.AddResource(name, parsed)
	}
	if err != nil {
		t.Fatal(err)
	}
}
