package main

import (
	"fmt"
	"strings"
)

const introduction = `kernel-routes
Copyright 2026 The kernel-routes authors

Licensed under the Apache License, Version 2.0: see the file LICENSE.

The program has the following in it, on one processor or all. Who wrote it is told first, and then
the texts of the licences, those that are the same word for word once. All of it may be passed on as
long as this file goes with it.

(Written by go run ./internal/notice: changes here are lost.)
`

var rule = strings.Repeat("-", 80) + "\n"

// A printed is a text that several components may share.
type printed struct {
	content string
	words   string // by which it is known
	of      []string
}

// page lays NOTICE out.
func page(all []component) []byte {
	var b strings.Builder
	b.WriteString(introduction)
	var texts []*printed
	for _, c := range all {
		b.WriteString("\n" + rule + strings.TrimSpace(c.name+" "+c.version) + "\n")
		fmt.Fprintf(&b, "Licence: %s\n", strings.Join(c.licences, " AND "))
		for _, line := range c.copyright {
			b.WriteString(line + "\n")
		}
		for _, t := range c.texts {
			if isNotice(t.name) {
				fmt.Fprintf(&b, "\nIts file %s says:\n\n%s\n", t.name, strings.Trim(t.content, "\n"))
				continue
			}
			said := "Text"
			if t.name != "" {
				said = "Its file " + t.name + ": text"
			}
			fmt.Fprintf(&b, "%s %d\n", said, number(&texts, t, c.name))
		}
	}
	for i, t := range texts {
		fmt.Fprintf(&b, "\n%sText %d, of\n", strings.ReplaceAll(rule, "-", "="), i+1)
		for _, name := range t.of {
			b.WriteString("  " + name + "\n")
		}
		b.WriteString(strings.ReplaceAll(rule, "-", "=") + "\n" + t.content + "\n")
	}
	return []byte(b.String())
}

// number returns which text it is, from 1 on, adding it if there is none of the same words. The lines
// about who wrote it are the component's.
func number(texts *[]*printed, t text, of string) int {
	content := termsOf(t.content)
	words := strings.Join(strings.Fields(content), " ")
	for i, p := range *texts {
		if p.words == words {
			if p.of[len(p.of)-1] != of {
				p.of = append(p.of, of)
			}
			return i + 1
		}
	}
	*texts = append(*texts, &printed{content, words, []string{of}})
	return len(*texts)
}
