package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// allowed are the licences of what may be linked, by their SPDX identifiers: those that ask for no more
// than that their text goes with a copy.
var allowed = []string{
	"Apache-2.0",
	"BSD-2-Clause",
	"BSD-3-Clause",
	"ISC",
	"MIT",
	"MIT-0",
	"SunPro",            // parts of Go's package math
	"LicenseRef-Cephes", // the same
	"Unlicense",         // public domain
	"blessing",          // public domain: SQLite
}

// reviewed are texts, by SHA-256, that have more in them than licences, and were read.
var reviewed = map[string][]string{
	// thrift's LICENSE: Apache-2.0, and then what goes for its compiler and for libraries other than Go's.
	"c866aafb79e8d5885eabb9d44a0105c8fcca35d26c5088025b131a908458a8af": {"Apache-2.0"},
	// regexp2's ATTRIB: what was ported from .NET and from Go; Mono's part is tests.
	"8db174fc98abc02f154c20ffdacdfbd37528ef25e0f098e20a2c21defd76329a": {"MIT", "BSD-3-Clause"},
	// License of libcap's packages cap and psx: BSD-3-Clause, or GPL-2.0 instead, as one likes. The first is taken.
	"18eb30b662ed0abeef6ad6ded90a99b30332418d2f71e63dcb4646bbb23b9acc": {"BSD-3-Clause"},
	"279fa656c62857d42952b86a0789b98669ca1cb4b324a8d9e91397c174af4c14": {"BSD-3-Clause"},
}

// classify finds out the component's licences and checks that it may be linked.
func (c *component) classify() error {
	for _, t := range c.texts {
		if isNotice(t.name) {
			continue // it has no terms
		}
		ids, err := licencesOf(t.content)
		if err != nil {
			return fmt.Errorf("%s %s: %s: %w", c.name, c.version, t.name, err)
		}
		c.licences = append(c.licences, ids...)
	}
	if len(c.licences) == 0 {
		return fmt.Errorf("%s %s has no file with a licence: it may not be linked", c.name, c.version)
	}
	slices.Sort(c.licences)
	c.licences = slices.Compact(c.licences)
	for _, t := range c.texts {
		c.addCopyright(t.content)
	}
	if len(c.copyright) > 0 {
		return nil
	}
	for _, name := range c.sources { // the Apache License names nobody
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		header, _, _ := strings.Cut(string(content), "\npackage ")
		c.addCopyright(header)
	}
	return nil
}

func isNotice(name string) bool {
	return strings.HasPrefix(strings.ToUpper(name[strings.LastIndexByte(name, '/')+1:]), "NOTICE")
}

// licencesOf returns the licences that a text is, or why it may not be linked what has it.
func licencesOf(content string) ([]string, error) {
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	if ids := reviewed[sum]; ids != nil {
		return ids, nil
	}
	found := licensecheck.Scan([]byte(termsOf(content)))
	var ids []string
	for _, m := range found.Match {
		if !slices.Contains(ids, m.ID) {
			ids = append(ids, m.ID)
		}
		if !slices.Contains(allowed, m.ID) {
			return nil, fmt.Errorf("the licence %s is not among those that may be linked (allowed in "+
				"internal/notice/licences.go)", m.ID)
		}
	}
	if found.Percent < 100 || len(ids) == 0 { // one more sentence may forbid what the rest allows
		return nil, fmt.Errorf("%.1f %% of the text are licences that are known (%s): read it, and if it may "+
			"be linked put its SHA-256, %s, into reviewed (internal/notice/licences.go)",
			found.Percent, strings.Join(ids, ", "), sum)
	}
	return ids, nil
}

// title matches a line above a licence that only names it.
var title = regexp.MustCompile(`^[# ]*(The )?MIT (No Attribution )?License( \(MIT\))?$`)

// termsOf returns a text without titles and the lines about who wrote it.
func termsOf(content string) string {
	var lines []string
	for line := range strings.Lines(content) {
		line = strings.TrimRight(line, " \t\r\n")
		if !copyrightLine.MatchString(line) && !title.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

// copyrightLine matches who wrote something, but neither the Apache License's example nor what is quoted
// within a text.
var copyrightLine = regexp.MustCompile(
	`^(?:// ?)?((?:(?:Portions|Revisions) )?Copyright (?:\([cC]\)|©|\d{4}).*\S)\s*$`)

// addCopyright adds the lines of a text that say who wrote it.
func (c *component) addCopyright(content string) {
	for line := range strings.Lines(content) {
		if m := copyrightLine.FindStringSubmatch(line); m != nil && !slices.Contains(c.copyright, m[1]) {
			c.copyright = append(c.copyright, m[1])
		}
	}
}
