package main

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
)

// A version is a semantic version, as Go derives it from git: that of the commit's tag, or the next
// one's pre-release with the commit's time and hash (a pseudo-version) where the commit has none.
type version struct {
	semver string // the whole of it: 1.2.3-0.20261126122442-7932e2d35987
	number string // 1.2.3
	pre    string // rc.1, "" for none
	commit string // 20261126122442.7932e2d35987, "" for a tag
}

var semver = regexp.MustCompile(`^v?((?:(?:0|[1-9]\d*)\.){2}(?:0|[1-9]\d*))(?:-([0-9A-Za-z.-]+))?$`)

// pseudo is the end of a pseudo-version. Before a tag of which it is the pre-release stands 0.
var pseudo = regexp.MustCompile(`^(?:(?:(.*)\.)?0\.)?(\d{14})-([0-9a-f]{12})$`)

func parseVersion(text string) (v version, err error) {
	m := semver.FindStringSubmatch(text)
	if m == nil {
		return v, fmt.Errorf("%q is no version that a package can have: it is to be as 1.2.3 or 1.2.3-rc.1", text)
	}
	v.semver, v.number, v.pre = strings.TrimPrefix(text, "v"), m[1], m[2]
	if p := pseudo.FindStringSubmatch(v.pre); p != nil {
		v.pre, v.commit = p[1], p[2]+"."+p[3]
	}
	if v.pre != "" && !apkPre.MatchString(v.pre) {
		return v, fmt.Errorf("%q: a pre-release is to be alpha.N, beta.N or rc.N, from 1 on, which apk can tell", text)
	}
	return v, nil
}

// String is the version as in names of files.
func (v version) String() string {
	s := v.number
	for _, part := range []string{v.pre, v.commit} {
		if part != "" {
			s += "-" + part
		}
	}
	return s
}

// deb is the version for dpkg and rpm, which sort what is behind ~ before the version without it. A commit
// before a tag without a pre-release comes before the tag's pre-releases: ~~ is before ~ and all else, whereas
// digits are before letters only for dpkg.
func (v version) deb() string {
	switch {
	case v.pre != "" && v.commit != "":
		return v.number + "~" + v.pre + ".0." + v.commit
	case v.pre != "":
		return v.number + "~" + v.pre
	case v.commit != "":
		return v.number + "~~" + v.commit
	}
	return v.number
}

var apkPre = regexp.MustCompile(`^(alpha|beta|rc)\.([1-9]\d*)$`)

// apk is the version for apk, which knows few words: _alpha, _beta and _rc come before the version
// itself, _p behind what it stands after.
func (v version) apk() string {
	s := v.number
	switch {
	case v.pre != "":
		s += "_" + apkPre.ReplaceAllString(v.pre, "$1$2")
	case v.commit != "":
		s += "_alpha0"
	}
	if v.commit != "" {
		// Date and time apart, as numbers were of 32 bits in older apk-tools.
		s += "_p" + v.commit[:8] + "_p" + cmp.Or(strings.TrimLeft(v.commit[8:14], "0"), "0")
	}
	return s
}
