package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// platforms are the processors that the program is released for, all with Linux.
var platforms = []string{"386", "amd64", "arm", "arm64", "ppc64le", "riscv64", "s390x"}

// A component is something with a licence that is linked into the program.
type component struct {
	name, version string
	licences      []string // SPDX identifiers
	copyright     []string // lines, where the texts have them in front
	texts         []text
	sources       []string // files that are compiled
}

// A text is a file that tells of a licence.
type text struct {
	name, content string
}

// licenceFile matches the names of these files. regexp2 has an ATTRIB.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|copyright|notice|attrib)`)

// A listed is a package as go list tells of it.
type listed struct {
	Dir             string
	GoFiles, SFiles []string
	Standard        bool
	Module          *struct {
		Path, Version, Dir string
		Main               bool
		Replace            *struct{ Path, Version string }
	}
}

// linked returns the modules that packages of the program are of, on any platform, sorted.
func linked(folder string) ([]component, error) {
	all := make(map[string]*component)
	files := make(map[string]bool)
	for _, arch := range platforms {
		packages, err := list(folder, arch)
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			if p.Standard || p.Module == nil || p.Module.Main {
				continue
			}
			if r := p.Module.Replace; r != nil {
				return nil, fmt.Errorf("%s is replaced by %s: NOTICE would name the wrong one", p.Module.Path, r.Path)
			}
			c := all[p.Module.Path]
			if c == nil {
				c = &component{name: p.Module.Path, version: p.Module.Version}
				all[c.name] = c
			}
			for _, f := range slices.Concat(p.GoFiles, p.SFiles) {
				c.sources = append(c.sources, filepath.Join(p.Dir, f))
			}
			if err := c.addTexts(p.Module.Dir, p.Dir, files); err != nil {
				return nil, err
			}
		}
	}
	var sorted []component
	for _, name := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, *all[name])
	}
	return sorted, nil
}

// list returns the packages that are linked for a processor.
func list(folder, arch string) ([]listed, error) {
	// Also where GOFLAGS says -mod=mod or there is a vendor folder, which leaves the licences out.
	cmd := exec.Command("go", "list", "-mod=readonly", "-deps", "-json=Dir,GoFiles,SFiles,Standard,Module", ".")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0", "GOWORK=off")
	var told bytes.Buffer
	cmd.Stderr = &told
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list for %s: %w\n%s", arch, err, told.Bytes())
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("go list for %s: %w", arch, err)
		}
		all = append(all, p)
	}
}

// addTexts adds the files about licences of a package's folder, and of those above it up to the module's,
// those of each folder once. Elsewhere they are about what is not linked.
func (c *component) addTexts(module, folder string, seen map[string]bool) error {
	for ; !seen[folder]; folder = filepath.Dir(folder) {
		seen[folder] = true
		files, err := os.ReadDir(folder)
		if err != nil {
			return err
		}
		for _, f := range files {
			if !f.Type().IsRegular() || !licenceFile.MatchString(f.Name()) || strings.HasSuffix(f.Name(), ".go") {
				continue
			}
			content, err := os.ReadFile(filepath.Join(folder, f.Name()))
			if err != nil {
				return err
			}
			name, err := filepath.Rel(module, filepath.Join(folder, f.Name()))
			if err != nil {
				return err
			}
			c.texts = append(c.texts, text{filepath.ToSlash(name), string(content)})
		}
		if folder == module {
			break
		}
	}
	slices.SortFunc(c.texts, func(a, b text) int { return strings.Compare(a.name, b.name) })
	return nil
}
