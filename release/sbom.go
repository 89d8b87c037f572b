package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// askSQLite finds out which SQLite is compiled in. No module tells that, and whoever looks for a
// vulnerable SQLite looks for its own name.
func (b *build) askSQLite(program string) error {
	out, err := output(exec.Command(program, "query", "--csv", "SELECT sqlite_version() AS version"))
	if err != nil {
		return err
	}
	lines := strings.Fields(out)
	b.sqlite = lines[len(lines)-1]
	return nil
}

// licences reads NOTICE: the licence of everything that is linked.
func (b *build) licences() (map[string]string, error) {
	data, err := os.ReadFile(filepath.Join(b.dir, "NOTICE"))
	if err != nil {
		return nil, err
	}
	licences := map[string]string{}
	lines := strings.Split(string(data), "\n")
	for i := 0; i+2 < len(lines); i++ {
		licence, ok := strings.CutPrefix(lines[i+2], "Licence: ")
		if ok && strings.Trim(lines[i], "-") == "" && lines[i] != "" {
			licences[lines[i+1]] = licence
		}
	}
	return licences, nil
}

type object = map[string]any

// sbom makes a bill of materials of a binary in CycloneDX's format. cyclonedx-gomod makes it of what the
// compiler has written into the binary. It takes licences from the module cache, guesses some wrong, and knows
// none of Go and of modules without a dot in their path: they come from NOTICE, which a test compares
// with the modules' files. What changes with each run is left out, or is of the commit.
func (b *build) sbom(t target, binary string) error {
	cmd := b.tool("cyclonedx-gomod", "bin", "-json", "-std", "-noserial", "-notimestamp", "-disable-html-escape",
		"-version", "v"+b.version.semver, binary)
	out, err := output(cmd)
	if err != nil {
		return fmt.Errorf("make the SBOM for %s: %w", t.Arch, err)
	}
	// Databases of vulnerabilities have Go's standard library as stdlib, in version 1.2.3: none knows std.
	out = strings.ReplaceAll(out, "pkg:golang/std@go", "pkg:golang/stdlib@")
	bom := object{}
	if err := json.Unmarshal([]byte(out), &bom); err != nil {
		return err
	}
	if err := b.complete(bom); err != nil {
		return fmt.Errorf("the SBOM for %s: %w", t.Arch, err)
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(bom); err != nil {
		return err
	}
	return write(filepath.Join(b.to, b.name(t)+".cdx.json"), text.Bytes(), 0o644)
}

// complete adds to a bill of materials what its tool cannot know.
func (b *build) complete(bom object) error {
	licences, err := b.licences()
	if err != nil {
		return err
	}
	metadata := bom["metadata"].(object)
	metadata["timestamp"] = b.date.Format(time.RFC3339)
	for _, tool := range metadata["tools"].([]any) {
		delete(tool.(object), "hashes") // which depend on who has built it, with which Go
	}
	main := metadata["component"].(object)
	main["description"] = "The routing state of the Linux kernel as SQL tables, for osquery and by itself"
	main["licenses"] = licensed("Apache-2.0")

	components := bom["components"].([]any)
	for _, c := range components {
		c := c.(object)
		name, version := c["name"].(string), c["version"].(string)
		licence := licences[name+" "+version]
		if name == "std" {
			licence = licences["Go: standard library and runtime"]
			c["name"], c["version"] = "stdlib", strings.TrimPrefix(version, "go")
			c["cpe"] = "cpe:2.3:a:golang:go:" + strings.TrimPrefix(version, "go") + ":*:*:*:*:*:*:*"
		}
		if licence == "" {
			return fmt.Errorf("NOTICE has no licence of %s %s: write it again (go run ./internal/notice)",
				name, version)
		}
		c["licenses"] = licensed(licence)
	}
	bom["components"] = append(components, object{
		"type": "library", "name": "sqlite", "version": b.sqlite, "scope": "required", "licenses": licensed("blessing"),
		"description": "compiled into github.com/ncruces/go-sqlite3-wasm",
		"bom-ref":     "pkg:generic/sqlite@" + b.sqlite, "purl": "pkg:generic/sqlite@" + b.sqlite,
		"cpe": "cpe:2.3:a:sqlite:sqlite:" + b.sqlite + ":*:*:*:*:*:*:*",
	})
	return dependOnSQLite(bom, "pkg:generic/sqlite@"+b.sqlite)
}

// dependOnSQLite says which module has SQLite in it.
func dependOnSQLite(bom object, ref string) error {
	dependencies := bom["dependencies"].([]any)
	for _, d := range dependencies {
		d := d.(object)
		if strings.Contains(d["ref"].(string), "/ncruces/go-sqlite3-wasm/") {
			d["dependsOn"] = []any{ref}
			bom["dependencies"] = append(dependencies, object{"ref": ref})
			return nil
		}
	}
	return fmt.Errorf("no module has SQLite in it: release/sbom.go names the one that had")
}

// licensed is a licence as CycloneDX has it: one, or an expression of several.
func licensed(spdx string) []any {
	if strings.Contains(spdx, " ") {
		return []any{object{"expression": spdx}}
	}
	return []any{object{"license": object{"id": spdx}}}
}
