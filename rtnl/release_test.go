package rtnl

import "testing"

func TestRelease(t *testing.T) {
	if got := parseRelease(""); got != recent {
		t.Errorf("an unknown kernel is %v", got)
	}
	if got := parseRelease("6.1.0-18-amd64"); got != (release{Major: 6, Minor: 1}) {
		t.Errorf("6.1 is %v", got)
	}
	if r := hostRelease(); r == recent || r.Before(3, 2, 0) {
		t.Errorf("this kernel is %v", r)
	}
}
