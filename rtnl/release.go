package rtnl

import "fmt"

// A release is the version of a kernel.
type release struct{ major, minor int }

// recent stands for a kernel of which nothing has to be known.
var recent = release{major: 1 << 30}

// parseRelease reads what uname prints: "6.1.0-18-amd64". What cannot be read is taken
// for old, which costs time and loses nothing.
func parseRelease(s string) release {
	if s == "" {
		return recent
	}
	var r release
	if n, _ := fmt.Sscanf(s, "%d.%d", &r.major, &r.minor); n < 2 {
		return release{}
	}
	return r
}

func (r release) before(major, minor int) bool {
	return r.major < major || r.major == major && r.minor < minor
}

func (r release) String() string { return fmt.Sprintf("%d.%d", r.major, r.minor) }
