package shell

import (
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// A versionScheme is how a kind of packages orders its versions.
type versionScheme struct {
	name, collation string

	epoch      bool // one with an epoch (N:) is newer than one without
	delimiters bool // where two delimiters differ they decide
	rest       bool // what a longer version begins its rest with decides
	lengths    bool // if not, and the versions differ after a digit, lengths do
}

// versionSchemes are those of osquery's sqlite_version.cpp; the first is what
// version_compare uses if none is named.
var versionSchemes = [...]versionScheme{
	{collation: "version"},
	{name: "ARCH", collation: "version_arch", epoch: true, rest: true, lengths: true},
	{name: "DPKG", collation: "version_dpkg", epoch: true, delimiters: true},
	{name: "RHEL", collation: "version_rhel", epoch: true, delimiters: true, rest: true},
}

// versionCompare is version_compare(a, b [, scheme]): -1, 0 or 1.
func versionCompare(ctx sqlite3.Context, arg ...sqlite3.Value) {
	if len(arg) < 2 || arg[0].Type() != sqlite3.TEXT || arg[1].Type() != sqlite3.TEXT {
		ctx.ResultError(osqueryError("Must provide two version strings to compare."))
		return
	}
	scheme := &versionSchemes[0]
	if len(arg) > 2 {
		if arg[2].Type() != sqlite3.TEXT {
			ctx.ResultError(osqueryError("The optional third parameter is not a string."))
			return
		}
		if scheme = findVersionScheme(text(arg[2])); scheme == nil {
			ctx.ResultError(osqueryError("The optional third parameter does not match one of: (ARCH, DPKG, RHEL)."))
			return
		}
	}
	ctx.ResultInt64(int64(max(-1, min(scheme.compare(text(arg[0]), text(arg[1])), 1))))
}

func findVersionScheme(name string) *versionScheme {
	for i := range versionSchemes[1:] {
		if v := &versionSchemes[1+i]; strings.EqualFold(v.name, name) {
			return v
		}
	}
	return nil
}

func (v versionScheme) collate(a, b []byte) int { return v.compare(string(a), string(b)) }

// compare compares byte by byte; the first difference decides when the segment
// ends that it is in.
func (v *versionScheme) compare(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == "":
		return -1
	case b == "":
		return 1
	}
	if v.epoch {
		if d := compareEpoch(a, b); d != 0 {
			return d
		}
	}
	difference := 0
	for i := range min(len(a), len(b)) {
		atA, atB := delimiter(a[i]), delimiter(b[i])
		switch {
		case atA == 0 && atB == 0:
			if difference == 0 {
				difference = int(int8(a[i])) - int(int8(b[i]))
			}
		case atA == 0:
			return 1
		case atB == 0:
			return -1
		case difference != 0:
			return difference
		case v.delimiters && atA != atB:
			return atA - atB
		}
	}
	switch {
	case len(a) < len(b):
		return -v.longer(b, a, -difference)
	case len(a) > len(b):
		return v.longer(a, b, difference)
	}
	return difference
}

// longer compares a version with one that it is longer than. The difference is
// that of the segment where the shorter one ends.
func (v *versionScheme) longer(long, short string, difference int) int {
	next, last := long[len(short)], short[len(short)-1]
	if v.rest {
		switch next {
		case '~':
			return -1
		case '-':
			return 0
		case '^':
			return 1
		}
		if difference != 0 && (!v.lengths || last < '0' || last > '9') {
			return difference
		}
	} else if difference != 0 && delimiter(next) != 0 {
		return difference
	}
	return len(long) - len(short)
}

func compareEpoch(a, b string) int {
	epochA, epochB := strings.IndexByte(a, ':'), strings.IndexByte(b, ':')
	switch {
	case epochA >= 0 && epochB >= 0:
		return epochA - epochB
	case epochA >= 0:
		return 1
	case epochB >= 0:
		return -1
	}
	return 0
}

// delimiter returns the rank of a delimiter, 0 for any other byte.
func delimiter(c byte) int { return 1 + strings.IndexByte("~-^.:", c) }
