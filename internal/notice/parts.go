package main

import (
	"embed"
	"fmt"
	"slices"
)

// A part is something of others in what is linked. It was found by reading the sources of a version of the
// module: with another version somebody has to look again.
type part struct {
	name     string
	licences []string
	file     string // in parts/, the whole text
	module   string // which has it in it; "": Go itself
	version  string // that was looked at
	sources  string // what tells of it there
}

// The texts are copies, as the folder of Go may have none (packages of distributions), and not every
// module that something was made with is in the module cache.
//
//go:embed parts/*.txt
var partTexts embed.FS

const (
	sqliteModule  = "github.com/ncruces/go-sqlite3-wasm/v6"
	sqliteVersion = "v6.5.35401"
)

var allParts = []part{
	{"Go: standard library and runtime", []string{"BSD-3-Clause"}, "go.txt", "", "", "LICENSE"},
	{"Go: package math, of FreeBSD's msun and of the Cephes Mathematical Library",
		[]string{"LicenseRef-Cephes", "SunPro"}, "math.txt", "", "", "math/*.go"},
	{"Go: moving of memory and division, of Inferno", []string{"MIT"}, "inferno.txt", "", "",
		"runtime/memmove_*.s, runtime/vlop_arm.s"},
	{"SQLite 3.54.1, with its extensions decimal, ieee754, regexp, series and uint", []string{"blessing"},
		"sqlite.txt", sqliteModule, sqliteVersion, "build/main.c, build/download.sh"},
	{"wasm2go v0.4.20 (github.com/ncruces/wasm2go): code that it generates, and its C library", []string{"MIT"},
		"wasm2go.txt", sqliteModule, sqliteVersion, "build/build.sh, build/main.c"},
	{"stb_sprintf v1.10, in that C library", []string{"Unlicense"}, "stb_sprintf.txt", sqliteModule, sqliteVersion,
		"libc-gen/c/stb_sprintf.h of wasm2go"},
}

// parts returns what is in the modules of others.
func parts(linked []component) ([]component, error) {
	var all []component
	for _, p := range allParts {
		if p.module != "" {
			i := slices.IndexFunc(linked, func(c component) bool { return c.name == p.module })
			if i < 0 {
				return nil, fmt.Errorf("%s is not linked, which had %s in it: remove it from internal/notice/parts.go",
					p.module, p.name)
			}
			if v := linked[i].version; v != p.version {
				return nil, fmt.Errorf("%s: %s was looked for in %s, %s is linked: see whether it is there (%s), with "+
					"which licence and what else, and say so in internal/notice/parts.go",
					p.module, p.name, p.version, v, p.sources)
			}
		}
		content, err := partTexts.ReadFile("parts/" + p.file)
		if err != nil {
			return nil, err
		}
		for _, id := range p.licences {
			if !slices.Contains(allowed, id) {
				return nil, fmt.Errorf("%s: the licence %s is not among those that may be linked", p.name, id)
			}
		}
		c := component{name: p.name, licences: p.licences, texts: []text{{"", string(content)}}}
		c.addCopyright(string(content))
		all = append(all, c)
	}
	return all, nil
}
