package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/needtest"
)

const top = "../.."

// TestNotice: NOTICE is what is linked now.
func TestNotice(t *testing.T) {
	want, err := notice(top)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(top + "/NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("NOTICE is not what is linked: go run ./internal/notice writes it again")
	}
	// Section 4(d) of the Apache License: thrift's own notice goes with every copy.
	thrift := "Apache Thrift\nCopyright (C) 2006 - 2019, The Apache Software Foundation\n\n" +
		"This product includes software developed at\nThe Apache Software Foundation (http://www.apache.org/).\n"
	if !bytes.Contains(got, []byte(thrift)) {
		t.Error("NOTICE has not what thrift's has")
	}
}

// TestLinked compares with what the linker put into a program, and with what must not be in one: modules
// of tests and generators.
func TestLinked(t *testing.T) {
	all, err := linked(top)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range all {
		names = append(names, c.name+" "+c.version)
	}
	file := filepath.Join(t.TempDir(), "program")
	// Compiled already by other tests, and otherwise the quicker the less is made of it.
	build := exec.Command("go", "build", "-mod=readonly", "-buildvcs=false", "-o", file, ".")
	build.Dir, build.Env = top, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	out, err := exec.Command("go", "version", "-m", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "dep" {
			told = append(told, f[1]+" "+f[2])
		}
	}
	slices.Sort(told)
	// The linker tells what this processor needs, of which the others may need more.
	for _, m := range told {
		if !slices.Contains(names, m) {
			t.Errorf("the program has %s in it, NOTICE does not tell of it", m)
		}
	}
	if len(told) == 0 {
		t.Errorf("go version -m tells of no module:\n%s", out)
	}
	for _, m := range []string{"licensecheck", "jsonschema", "yaml", "x/text"} {
		if slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, m) }) {
			t.Errorf("%s is linked", m)
		}
	}
}

// TestLicense: the Apache License is the Apache Software Foundation's text, to the last byte.
func TestLicense(t *testing.T) {
	text, err := os.ReadFile(top + "/LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	const want = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
	if got := fmt.Sprintf("%x", sha256.Sum256(text)); got != want {
		t.Errorf("LICENSE has the SHA-256 %s, that of www.apache.org %s", got, want)
	}
}

// TestGoLicense: our copy of Go's licence is that of the Go which builds the program, where it has one.
func TestGoLicense(t *testing.T) {
	ours, err := partTexts.ReadFile("parts/go.txt")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "LICENSE"))
	if err != nil {
		needtest.Missing(t, "the folder of this Go, %s, has no LICENSE: %v", runtime.Version(), err)
	}
	if !bytes.Equal(ours, theirs) {
		t.Error("internal/notice/parts/go.txt is not Go's LICENSE")
	}
}

// TestAllowed: what must not be linked is found.
func TestAllowed(t *testing.T) {
	mit, err := partTexts.ReadFile("parts/wasm2go.txt")
	if err != nil {
		t.Fatal(err)
	}
	commons := "\n\"Commons Clause\" License Condition v1.0\n\n" +
		"The Software is provided to you by the Licensor under the License, as defined below, subject to the " +
		"following condition. Without limiting other conditions in the " +
		"License, the grant of rights under the License will not include, and the License does not grant to you, " +
		"the right to Sell the Software."
	const mpl = "This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0. If a copy of " +
		"the MPL was not distributed with this file, You can obtain one at http://mozilla.org/MPL/2.0/."
	const gpl = "This program is free software; you can redistribute it and/or modify it under the terms of the GNU " +
		"General Public License as published by the Free Software Foundation; either version 2 of the License, or " +
		"(at your option) any later version."
	for _, test := range []struct{ name, text, want string }{
		{"MIT", string(mit), ""},
		{"MIT with a condition", string(mit) + commons, "% of the text"},
		{"MIT with a sentence", string(mit) + "\nThe Software shall be used for Good, not Evil.\n", "% of the text"},
		{"a copyleft", mpl, "MPL-2.0"},
		{"another one beside", string(mit) + "\n" + gpl, "GPL"},
		{"no licence", "All rights reserved.\n", "0.0 % of the text"},
	} {
		c := component{name: "example.com/m", version: "v1.0.0", texts: []text{{"LICENSE", test.text}}}
		err := c.classify()
		switch {
		case test.want == "" && (err != nil || !slices.Equal(c.licences, []string{"MIT"})):
			t.Errorf("%s: %v, %v", test.name, c.licences, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v instead of what names %s", test.name, err, test.want)
		}
	}
	none := component{name: "example.com/m", texts: []text{{"NOTICE", string(mit)}}}
	if err := none.classify(); err == nil {
		t.Error("a module without a licence may be linked")
	}
	if _, err := parts([]component{{name: sqliteModule, version: "v99.0.0"}}); err == nil {
		t.Error("nobody has to look again what another version of SQLite's module has in it")
	}
}

// TestPage: who wrote it is told for each, a text of the same words once.
func TestPage(t *testing.T) {
	terms := "Permission is granted\nto all.\n"
	wrapped := strings.ReplaceAll(terms, "\n", " ")
	all := []component{
		{name: "a", version: "v1", texts: []text{{"LICENSE", "MIT License\n\nCopyright (c) 2001 A\n\n" + terms}}},
		{name: "b", version: "v2", texts: []text{{"LICENSE", "Copyright 2002 B\n" + wrapped}}},
		{name: "c", version: "v3", texts: []text{
			{"LICENSE", terms + "But not to C.\n"}, {"NOTICE.txt", "\nC was here.\n"}}},
	}
	for i := range all {
		all[i].licences = []string{"X"}
		for _, x := range all[i].texts {
			all[i].addCopyright(x.content)
		}
	}
	got := string(page(all))
	for _, want := range []string{
		"\na v1\nLicence: X\nCopyright (c) 2001 A\nIts file LICENSE: text 1\n",
		"\nb v2\nLicence: X\nCopyright 2002 B\nIts file LICENSE: text 1\n",
		"\nc v3\nLicence: X\nIts file LICENSE: text 2\n\nIts file NOTICE.txt says:\n\nC was here.\n",
		"Text 1, of\n  a\n  b\n",
		"\n\n" + terms + "\n===",
		"\n" + terms + "But not to C.\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no\n%s\nin\n%s", want, got)
		}
	}
}
