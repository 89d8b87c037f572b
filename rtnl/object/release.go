package object

import "fmt"

// A Release is the version of a kernel: 6.18.44.
type Release struct{ Major, Minor, Patch int }

// ParseRelease reads what uname prints: "6.1.0-18-amd64". What cannot be read is taken for
// zero, which is before all others.
func ParseRelease(s string) Release {
	var r Release
	if n, _ := fmt.Sscanf(s, "%d.%d.%d", &r.Major, &r.Minor, &r.Patch); n < 2 {
		return Release{}
	}
	return r
}

// Before reports whether the release came before another version.
func (r Release) Before(major, minor, patch int) bool {
	switch {
	case r.Major != major:
		return r.Major < major
	case r.Minor != minor:
		return r.Minor < minor
	}
	return r.Patch < patch
}

// Since reports whether the release has what came with the first of some releases, and with
// the others as updates of what was there before.
func (r Release) Since(releases ...Release) bool {
	for i, o := range releases {
		if !r.Before(o.Major, o.Minor, o.Patch) && (i == 0 || r.Major == o.Major && r.Minor == o.Minor) {
			return true
		}
	}
	return false
}

func (r Release) String() string { return fmt.Sprintf("%d.%d", r.Major, r.Minor) }
