package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"kernelroutes/internal/needtest"
)

// ordered are versions as git may tell them, from old to new.
var ordered = []string{
	"v0.0.0-20261126122442-7932e2d35987", // no tag yet
	"v0.1.0",
	"v1.2.2",
	"v1.2.3-0.20251126122442-7932e2d35987", // commits after 1.2.2
	"v1.2.3-0.20261126000000-ffffe2d35987",
	"v1.2.3-0.20261126001000-0000e2d35987",
	"v1.2.3-0.20261126122442-aaaae2d35987",
	"v1.2.3-alpha.1",
	"v1.2.3-alpha.1.0.20261126122443-7932e2d35987", // one after alpha.1
	"v1.2.3-alpha.2",
	"v1.2.3-alpha.10",
	"v1.2.3-beta.1",
	"v1.2.3-beta.1.0.20261126122443-7932e2d35987",
	"v1.2.3-rc.1",
	"v1.2.3-rc.2",
	"v1.2.3",
	"v1.2.4-0.20270101000000-7932e2d35987",
	"v1.2.4",
	"v1.2.10",
	"v1.10.0",
	"v10.0.0",
}

func parsed(t *testing.T) (list []version) {
	t.Helper()
	for _, text := range ordered {
		v, err := parseVersion(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	return list
}

func TestVersions(t *testing.T) {
	for text, want := range map[string][3]string{
		"v1.2.3":      {"1.2.3", "1.2.3", "1.2.3"},
		"1.2.3":       {"1.2.3", "1.2.3", "1.2.3"},
		"v1.2.3-rc.1": {"1.2.3-rc.1", "1.2.3~rc.1", "1.2.3_rc1"},
		"v0.0.0-20261126122442-7932e2d35987": {
			"0.0.0-20261126122442.7932e2d35987", "0.0.0~~20261126122442.7932e2d35987",
			"0.0.0_alpha0_p20261126_p122442"},
		"v1.2.4-0.20261126122442-7932e2d35987": {
			"1.2.4-20261126122442.7932e2d35987", "1.2.4~~20261126122442.7932e2d35987",
			"1.2.4_alpha0_p20261126_p122442"},
		"v1.2.3-rc.1.0.20261126122442-7932e2d35987": {"1.2.3-rc.1-20261126122442.7932e2d35987",
			"1.2.3~rc.1.0.20261126122442.7932e2d35987", "1.2.3_rc1_p20261126_p122442"},
	} {
		v, err := parseVersion(text)
		if err != nil {
			t.Error(err)
		} else if got := [3]string{v.String(), v.deb(), v.apk()}; got != want {
			t.Errorf("%s: %v, expected %v", text, got, want)
		} else if v.semver != strings.TrimPrefix(text, "v") {
			t.Errorf("%s became %s", text, v.semver)
		}
	}
	for _, text := range []string{
		"", "1.2", "v1.2.3.4", "1.2.3+meta", "v1.2.3-rc.1+dirty", "v0.0.0-20261126122442-7932e2d35987+dirty", "(devel)",
		"v1.2.3-preview", "v1.2.3-rc1", "v1.2.3-rc.01", "v1.2.3-alpha.0", "01.2.3", "v1.2.3\n", "1.2.3 -rc.1",
		"v1.2.3-rc.1 x",
	} {
		if v, err := parseVersion(text); err == nil {
			t.Errorf("%q was taken, as %s", text, v)
		}
	}
}

// inOrder checks that what compares says of each pair that it is in order.
func inOrder(t *testing.T, name func(version) string, less func(a, b string) bool) {
	t.Helper()
	versions := parsed(t)
	for i := range versions {
		for j := range i {
			if a, b := name(versions[j]), name(versions[i]); !less(a, b) || less(b, a) || a == b {
				t.Errorf("%s is not before %s", a, b)
			}
		}
	}
}

func TestDpkgOrder(t *testing.T) {
	needtest.Program(t, "dpkg")
	inOrder(t, func(v version) string { return v.deb() + "-1" }, func(a, b string) bool {
		return exec.Command("dpkg", "--compare-versions", a, "lt", b).Run() == nil
	})
}

func TestRpmOrder(t *testing.T) {
	needtest.Program(t, "rpm")
	inOrder(t, version.deb, func(a, b string) bool {
		out, err := exec.Command("rpm", "--eval", fmt.Sprintf("%%{lua: print(rpm.vercmp(%q, %q))}", a, b)).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out)) == "-1"
	})
}

// apkSuffixes are in apk's order (version.c of apk-tools), with "" for a version without.
var apkSuffixes = []string{"alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"}

var apkVersion = regexp.MustCompile(`^(\d+(?:\.\d+)*)((?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*)$`)

// TestApkOrder goes by the rules of apk-tools: numbers, then suffixes with numbers, one after the other, of
// which some are before the end and some behind.
func TestApkOrder(t *testing.T) {
	type step struct{ rank, number int64 }
	end := step{rank: 4}
	steps := func(text string) (list []step) {
		m := apkVersion.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("%s is no version of apk", text)
		}
		number := func(digits string) int64 {
			n, err := strconv.ParseInt("0"+digits, 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		for _, part := range strings.Split(m[1], ".") {
			list = append(list, step{100, number(part)})
		}
		for _, suffix := range strings.Split(m[2], "_")[1:] {
			word := strings.TrimRight(suffix, "0123456789")
			for rank, known := range apkSuffixes {
				if known == word {
					list = append(list, step{int64(rank), number(suffix[len(word):])})
				}
			}
		}
		return append(list, end)
	}
	inOrder(t, version.apk, func(a, b string) bool {
		x, y := steps(a), steps(b)
		for i := 0; i < len(x) && i < len(y); i++ {
			if x[i] != y[i] {
				return x[i].rank < y[i].rank || x[i].rank == y[i].rank && x[i].number < y[i].number
			}
		}
		return false
	})
}
