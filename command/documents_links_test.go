package command

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	inlineCode = regexp.MustCompile("`[^`\n]*`")
	link       = regexp.MustCompile(`\]\(([^()\s]+)\)`)
)

// TestDocumentLinks follows every link of every page of the repository that leads to a file of it, and
// to a heading. Every page below docs is linked from somewhere.
func TestDocumentLinks(t *testing.T) {
	linked := map[string]bool{}
	pages := markdownPages(t)
	for _, path := range pages {
		text, _ := readPage(t, path)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, err := linkTarget(t, path, m[1])
			if err != nil {
				t.Errorf("%s: %s: %v", path, m[1], err)
			}
			if target != path {
				linked[target] = true
			}
		}
	}
	for _, path := range pages {
		if strings.HasPrefix(path, "docs"+string(filepath.Separator)) && !linked[path] {
			t.Errorf("no page has a link to %s", path)
		}
	}
}

// markdownPages returns all pages of the repository.
func markdownPages(t *testing.T) (pages []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == ".git" || path == "dist") {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			pages = append(pages, path)
		}
		return err
	})
	if err != nil || len(pages) < 8 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	return pages
}

// readPage returns a page's text without code, and the anchors of its headings as GitHub makes them.
func readPage(t *testing.T, path string) (prose string, anchors []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	code := false
	for line := range strings.Lines(string(text)) {
		if fence.MatchString(strings.TrimSuffix(line, "\n")) {
			code = !code
			continue
		}
		if code {
			continue
		}
		if title := strings.TrimLeft(line, "#"); title != line && strings.HasPrefix(title, " ") {
			anchors = append(anchors, anchor(title, anchors))
		}
		b.WriteString(line)
	}
	return inlineCode.ReplaceAllString(b.String(), ""), anchors
}

// anchor returns the anchor of a heading: its letters, digits, hyphens and underscores in lower case,
// with hyphens for spaces, and a number if there is one like it already.
func anchor(title string, others []string) string {
	title = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`).ReplaceAllString(title, "$1")
	id := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(title))
	for n, first := 1, id; slices.Contains(others, id); n++ {
		id = fmt.Sprintf("%s-%d", first, n)
	}
	return id
}

// linkTarget returns the file that a link leads to, "" if it is one elsewhere.
func linkTarget(t *testing.T, page, to string) (string, error) {
	t.Helper()
	if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
		return "", nil
	}
	file, heading, deep := strings.Cut(to, "#")
	target, folder := page, filepath.Dir(page)
	if page == filepath.Join("release", "INSTALL.md") {
		folder = "." // it is at the top of an archive, beside docs
	}
	if file != "" {
		target = filepath.Join(folder, filepath.FromSlash(file))
	}
	if _, err := os.Stat(target); err != nil || !filepath.IsLocal(target) {
		return "", fmt.Errorf("there is no %s", target)
	}
	if !deep {
		return target, nil
	}
	if filepath.Ext(target) != ".md" {
		return target, fmt.Errorf("%s has no headings", target)
	}
	if _, anchors := readPage(t, target); !slices.Contains(anchors, heading) {
		return target, fmt.Errorf("%s has no heading #%s", target, heading)
	}
	return target, nil
}

// TestAnchor tries what GitHub makes of headings.
func TestAnchor(t *testing.T) {
	for title, want := range map[string]string{
		" What osquery's `routes` cannot tell\n": "what-osquerys-routes-cannot-tell",
		" kernel_routes":                         "kernel_routes-1",
		" [A](b.md), C — d":                      "a-c--d",
	} {
		if got := anchor(title, []string{"kernel_routes"}); got != want {
			t.Errorf("%q: %q, want %q", title, got, want)
		}
	}
	for to, want := range map[string]string{
		"docs/memory.md#the-limit": "docs/memory.md", "https://osquery.io/x#y": "",
		"CONTRIBUTING.md": "CONTRIBUTING.md",
	} {
		if got, err := linkTarget(t, "README.md", to); got != want || err != nil {
			t.Errorf("%s: %s, %v", to, got, err)
		}
	}
	for _, to := range []string{"docs/memory.md#limit", "nosuch.md", "../go.mod", "go.mod#x", "#nosuch"} {
		if got, err := linkTarget(t, "README.md", to); err == nil {
			t.Errorf("%s leads to %q", to, got)
		}
	}
}
