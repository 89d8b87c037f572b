package command

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestChangelog: CHANGELOG.md has the form of Keep a Changelog 1.1.0.
func TestChangelog(t *testing.T) {
	text, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	if err := checkChangelog(string(text)); err != nil {
		t.Error(err)
	}
}

// changelogSections are the sections that a version may have, in this order.
var changelogSections = []string{"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}

// releaseHeading is a version of Semantic Versioning with its date.
var releaseHeading = regexp.MustCompile(
	`^\[(\d+)\.(\d+)\.(\d+)(?:-[0-9A-Za-z.-]+)?\] - (\d{4}-\d{2}-\d{2})(?: \[YANKED\])?$`)

// checkChangelog says what is wrong with a changelog.
func checkChangelog(text string) error {
	if !strings.HasPrefix(text, "# Changelog\n") {
		return fmt.Errorf("it does not begin with # Changelog")
	}
	parts := strings.Split(text, "\n## ")
	if len(parts) < 2 || !strings.HasPrefix(parts[1], "[Unreleased]\n") {
		return fmt.Errorf("the first version is not [Unreleased]")
	}
	var version []int
	date := time.Now().AddDate(0, 0, 1).Format(time.DateOnly) // tomorrow, for clocks that are not alike
	for i, part := range parts[1:] {
		heading, body, _ := strings.Cut(part, "\n")
		if i > 0 {
			m := releaseHeading.FindStringSubmatch(heading)
			if m == nil {
				return fmt.Errorf("%q is not [VERSION] - DATE", heading)
			}
			if _, err := time.Parse(time.DateOnly, m[4]); err != nil {
				return fmt.Errorf("%q: %w", heading, err)
			}
			var this []int
			for _, number := range m[1:4] {
				n, err := strconv.Atoi(number)
				if err != nil {
					return err
				}
				this = append(this, n)
			}
			if version != nil && slices.Compare(this, version) > 0 || m[4] > date {
				return fmt.Errorf("%q is newer than what is above it, or than today", heading)
			}
			version, date = this, m[4]
		}
		if err := checkSections(body, i > 0); err != nil {
			return fmt.Errorf("%q: %w", heading, err)
		}
	}
	return nil
}

// checkSections checks what is below the heading of a version, which says something once it is released.
func checkSections(body string, released bool) error {
	sections := strings.Split("\n"+body, "\n### ")
	last := -1
	for _, section := range sections[1:] {
		name, items, _ := strings.Cut(section, "\n")
		i := slices.Index(changelogSections, name)
		switch {
		case i < 0:
			return fmt.Errorf("there is no section %q: %s", name, strings.Join(changelogSections, ", "))
		case i <= last:
			return fmt.Errorf("section %q is a second one, or stands after a later one", name)
		case !strings.HasPrefix(items, "\n- "):
			return fmt.Errorf("section %q has no list", name)
		}
		last = i
	}
	if strings.Contains(sections[0], "\n- ") {
		return fmt.Errorf("a list is in no section")
	}
	if released && last < 0 {
		return fmt.Errorf("it says nothing")
	}
	return nil
}

// TestChangelogFinds: what has another form is found.
func TestChangelogFinds(t *testing.T) {
	const top = "# Changelog\n\nText.\n\n## [Unreleased]\n\n"
	const added = "### Added\n\n- A thing.\n"
	release := func(heading string) string { return "\n## " + heading + "\n\n" + added }
	for _, test := range []struct {
		text string
		ok   bool
	}{
		{top, true},
		{top + added, true},
		{top + added + "\n### Fixed\n\n- Another.\n" + release("[1.0.0] - 2026-01-31"), true},
		{top + release("[1.10.0] - 2026-01-31") + release("[1.9.1-rc.1] - 2026-01-31 [YANKED]"), true},
		{"# Changes\n" + top, false},
		{"# Changelog\n" + release("[1.0.0] - 2026-01-31"), false},
		{top + release("1.0.0 - 2026-01-31"), false},
		{top + release("[v1.0.0] - 2026-01-31"), false},
		{top + release("[1.0.0] - 31.01.2026"), false},
		{top + release("[1.0.0] - 2026-02-30"), false},
		{top + release("[1.0.0] - 9999-01-01"), false},
		{top + release("[1.9.0] - 2026-01-31") + release("[1.10.0] - 2026-01-30"), false},
		{top + release("[1.10.0] - 2026-01-30") + release("[1.9.0] - 2026-01-31"), false},
		{top + "### New\n\n- A thing.\n", false},
		{top + "### Fixed\n\n- A thing.\n\n" + added, false},
		{top + added + "\n" + added, false},
		{top + "### Added\n\nA thing.\n", false},
		{top + "- A thing.\n", false},
		{top + "\n## [1.0.0] - 2026-01-31\n", false},
	} {
		if err := checkChangelog(test.text); (err == nil) != test.ok {
			t.Errorf("%v for\n%s", err, test.text)
		}
	}
}
