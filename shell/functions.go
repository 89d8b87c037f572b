package shell

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// A function is one that osquery adds to SQLite. It returns its result by
// calling a method of its context; without a call that is NULL.
type function struct {
	name string
	args int // -1: any number
	call sqlite3.ScalarFunction
}

// An osqueryError is what a function fails with, in the words of osquery.
type osqueryError string

func (e osqueryError) Error() string { return string(e) }

// osqueryFunctions behave as osquery 5.23's (osquery/sql/sqlite_*.cpp), errors
// and oddities included. Those that look at files are left out (carve,
// find_file_path_in_cmd, is_path_deterministic).
var osqueryFunctions = []function{
	{"split", 3, splitInto(split)},
	{"regex_split", 3, splitInto(regexSplit)},
	{"regex_match", 3, regexMatch},
	{"concat", -1, func(ctx sqlite3.Context, arg ...sqlite3.Value) { concat(ctx, "", arg) }},
	{"concat_ws", -1, concatWS},
	{"inet_aton", 1, textFunction(inetAton)},
	{"parent_directory", 1, parentDirectory},

	{"md5", 1, textFunction(hashed(func(b []byte) []byte { h := md5.Sum(b); return h[:] }))},
	{"sha1", 1, textFunction(hashed(func(b []byte) []byte { h := sha1.Sum(b); return h[:] }))},
	{"sha256", 1, textFunction(hashed(func(b []byte) []byte { h := sha256.Sum256(b); return h[:] }))},
	{"to_base64", 1, base64Function(toBase64)},
	{"conditional_to_base64", 1, base64Function(conditionalToBase64)},
	{"from_base64", 1, base64Function(fromBase64)},

	{"in_cidr_block", 2, inCIDRBlock},
	{"community_id_v1", 5, communityIDOrNull},
	{"community_id_v1", 6, communityIDOrNull},
	{"community_id_v1_strict", 5, communityIDStrict},
	{"community_id_v1_strict", 6, communityIDStrict},
	{"version_compare", -1, versionCompare},
	{"sleep", 1, sleep},

	{"sqrt", 1, mathFunction(sqrt)}, {"exp", 1, mathFunction(exp)}, {"power", 2, power},
	{"log", 1, mathFunction(log)}, {"log10", 1, mathFunction(log10)},
	{"sin", 1, mathFunction(sin)}, {"cos", 1, mathFunction(cos)},
	{"tan", 1, mathFunction(tan)}, {"cot", 1, mathFunction(cot)},
	{"asin", 1, mathFunction(asin)}, {"acos", 1, mathFunction(acos)}, {"atan", 1, mathFunction(atan)},
	{"degrees", 1, mathFunction(degrees)}, {"radians", 1, mathFunction(radians)}, {"pi", 0, pi},
	{"ceil", 1, ceil}, {"floor", 1, floor},
}

// Functions are the names of the functions that osquery adds to SQLite.
func Functions() (names []string) {
	for _, f := range osqueryFunctions {
		names = append(names, f.name)
	}
	return slices.Compact(names)
}

// newerForms are numbers of arguments that functions take only in a newer SQLite
// than osquery's.
var newerForms = []struct {
	name string
	args []int
}{
	{"iif", []int{2, 4, 5, 6, 7, 8, 9}}, {"json_valid", []int{2}}, {"log", []int{2}},
}

// defineFunctions defines osquery's functions and collations.
func defineFunctions(conn *sqlite3.Conn) error {
	var err error
	for _, f := range osqueryFunctions {
		flags := sqlite3.DETERMINISTIC | sqlite3.INNOCUOUS
		if f.name == "sleep" {
			flags = sqlite3.INNOCUOUS
		}
		err = errors.Join(err, conn.CreateFunction(f.name, f.args, flags, interruptible(f.call)))
	}
	for _, f := range newerForms {
		for _, args := range f.args {
			wrong := errors.New("wrong number of arguments to function " + f.name + "()")
			err = errors.Join(err, conn.CreateFunction(f.name, args, sqlite3.INNOCUOUS,
				func(ctx sqlite3.Context, _ ...sqlite3.Value) { ctx.ResultError(wrong) }))
		}
	}
	for _, v := range versionSchemes {
		err = errors.Join(err, conn.CreateCollation(v.collation, v.collate))
	}
	return err
}

// interruptible has a function fail if the statement has been interrupted meanwhile: SQLite looks for that once in
// many steps, and may have none to go.
func interruptible(call sqlite3.ScalarFunction) sqlite3.ScalarFunction {
	return func(ctx sqlite3.Context, arg ...sqlite3.Value) {
		if call(ctx, arg...); ctx.Conn().GetInterrupt().Err() != nil {
			ctx.ResultError(sqlite3.INTERRUPT)
		}
	}
}

// text is the text of a value up to its first NUL, which ends it in osquery. A
// real has 15 digits.
func text(v sqlite3.Value) string {
	if v.Type() == sqlite3.FLOAT {
		return string(appendReal(nil, v.Float()))
	}
	s, _, _ := strings.Cut(v.Text(), "\x00")
	return s
}

// anyNull reports whether one of the arguments is NULL, for which most functions
// return NULL.
func anyNull(arg []sqlite3.Value) bool {
	for _, v := range arg {
		if v.Type() == sqlite3.NULL {
			return true
		}
	}
	return false
}

// textFunction is a function of one text that is not NULL.
func textFunction(f func(sqlite3.Context, string)) sqlite3.ScalarFunction {
	return func(ctx sqlite3.Context, arg ...sqlite3.Value) {
		if !anyNull(arg) {
			f(ctx, text(arg[0]))
		}
	}
}

func hashed(sum func([]byte) []byte) func(sqlite3.Context, string) {
	return func(ctx sqlite3.Context, s string) { ctx.ResultText(hex.EncodeToString(sum([]byte(s)))) }
}

// base64Function is a function of all bytes of a value that is not NULL.
func base64Function(f func(string) string) sqlite3.ScalarFunction {
	return func(ctx sqlite3.Context, arg ...sqlite3.Value) {
		switch {
		case anyNull(arg):
		case arg[0].Type() == sqlite3.FLOAT:
			ctx.ResultText(f(text(arg[0])))
		default:
			ctx.ResultText(f(arg[0].Text()))
		}
	}
}

func toBase64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func conditionalToBase64(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return toBase64(s)
	}
	return s
}

// fromBase64 takes line breaks and any padding, and returns nothing for what is
// not base64. As in osquery, a = inside is an A.
func fromBase64(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", ""), "\n", "")
	s = strings.ReplaceAll(strings.TrimRight(s, "="), "=", "A")
	b, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil || strings.Contains(s, "\r") {
		return ""
	}
	return string(b)
}

// inetAton returns an IPv4 address as a number, NULL for anything else.
func inetAton(ctx sqlite3.Context, s string) {
	if a, err := netip.ParseAddr(s); err == nil && a.Is4() {
		b := a.As4()
		ctx.ResultInt64(int64(b[0])<<24 | int64(b[1])<<16 | int64(b[2])<<8 | int64(b[3]))
	}
}

func parentDirectory(ctx sqlite3.Context, arg ...sqlite3.Value) {
	if arg[0].Type() != sqlite3.TEXT {
		ctx.ResultError(osqueryError("Invalid inputs to parent_directory, TEXT was expected"))
		return
	}
	path := text(arg[0])
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		ctx.ResultText(path[:i])
	}
}

// concat joins texts; NULL is none. As in osquery, one that is followed by NULLs
// only has a separator after it.
func concat(ctx sqlite3.Context, separator string, arg []sqlite3.Value) {
	if len(arg) == 0 {
		return
	}
	var b strings.Builder
	for i, v := range arg {
		if v.Type() == sqlite3.NULL {
			continue
		}
		b.WriteString(text(v))
		if i < len(arg)-1 {
			b.WriteString(separator)
		}
	}
	ctx.ResultText(b.String())
}

func concatWS(ctx sqlite3.Context, arg ...sqlite3.Value) {
	if len(arg) == 0 {
		ctx.ResultError(osqueryError("Missing separator to concat_ws"))
		return
	}
	concat(ctx, text(arg[0]), arg[1:])
}

// splitInto is a function of a text, what it is split by, and which part is
// wanted.
func splitInto(parts func(s, by string) ([]string, error)) sqlite3.ScalarFunction {
	return func(ctx sqlite3.Context, arg ...sqlite3.Value) {
		if anyNull(arg) {
			return
		}
		s, by, index := text(arg[0]), text(arg[1]), int32(arg[2].Int64())
		if by == "" {
			ctx.ResultError(osqueryError("Invalid input to split function"))
			return
		}
		all, err := parts(s, by)
		switch {
		case err != nil:
			ctx.ResultError(err)
		case index >= 0 && int(index) < len(all):
			ctx.ResultText(all[index])
		}
	}
}

// split splits a text at any of some bytes. Empty parts are dropped, then white
// space at both ends of the others.
func split(s, at string) (parts []string, _ error) {
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && strings.IndexByte(at, s[i]) < 0 {
			continue
		}
		if i > start {
			parts = append(parts, strings.Trim(s[start:i], " \t\n\v\f\r"))
		}
		start = i + 1
	}
	return parts, nil
}

// sleep waits for some seconds, or until the statement is interrupted.
func sleep(ctx sqlite3.Context, arg ...sqlite3.Value) {
	seconds := int32(arg[0].Int64())
	if seconds < 0 {
		seconds = 0
	}
	select {
	case <-time.After(time.Duration(seconds) * time.Second):
	case <-ctx.Conn().GetInterrupt().Done():
	}
	ctx.ResultInt64(int64(seconds))
}
