package object_test

import (
	"testing"

	. "kernelroutes/rtnl/object"
)

func TestRelease(t *testing.T) {
	first, update := Release{Major: 7}, Release{Major: 6, Minor: 18, Patch: 30}
	for _, c := range []struct {
		text             string
		release          Release
		old, has, hasOld bool // before 6.9, since first and update, since update
	}{
		{"6.1.0-18-amd64", Release{Major: 6, Minor: 1}, true, false, false},
		{"6.8.12", Release{Major: 6, Minor: 8, Patch: 12}, true, false, false},
		{"6.9.0", Release{Major: 6, Minor: 9}, false, false, false},
		{"6.10.3-arch1", Release{Major: 6, Minor: 10, Patch: 3}, false, false, false},
		{"6.18.29", Release{Major: 6, Minor: 18, Patch: 29}, false, false, false},
		{"6.18.30", Release{Major: 6, Minor: 18, Patch: 30}, false, true, true},
		{"6.18.44-fc-v669", Release{Major: 6, Minor: 18, Patch: 44}, false, true, true},
		{"6.19.2", Release{Major: 6, Minor: 19, Patch: 2}, false, false, true},
		{"5.19", Release{Major: 5, Minor: 19}, true, false, false},
		{"7.0-rc1", Release{Major: 7}, false, true, true},
		{"10.2.1", Release{Major: 10, Minor: 2, Patch: 1}, false, true, true},
		{"six", Release{}, true, false, false}, {"6", Release{}, true, false, false},
		{"6.", Release{}, true, false, false}, {" ", Release{}, true, false, false},
		{"", Release{}, true, false, false},
	} {
		r := ParseRelease(c.text)
		if r != c.release || r.Before(6, 9, 0) != c.old || r.Since(first, update) != c.has ||
			r.Since(update) != c.hasOld {
			t.Errorf("%q: %+v, before 6.9 %v, since %v and %v", c.text, r, r.Before(6, 9, 0), r.Since(first, update),
				r.Since(update))
		}
		if r.Since() {
			t.Errorf("%q has what came with no release", c.text)
		}
	}
}
