package shell

import (
	"regexp"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
	"github.com/ncruces/go-sqlite3"
)

// osquery's regular expressions are C++'s std::regex: ECMAScript's of 1999 with
// POSIX classes, over bytes, not characters. Go's own lack back references and
// looking ahead.

// maxRegex is osquery's --regex_max_size.
const maxRegex = 256

const errRegex = osqueryError("Invalid regex")

// stdRegex matches what std::regex takes of a pattern, and namedGroup a group that
// it does not take. The library takes more: escapes that mean nothing, braces that
// are no repetition, groups that are named, have options, or look behind.
var (
	stdRegex = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?s:[^\\{\[]|\\[^A-Za-z_]|\\[bBcdDfnrsStuvwWx]|\{\d+(?:,\d*)?\}|` +
			`\[(?:\\[^A-Za-z_]|\\[bBcdDfnrsStuvwWx]|\[[:.=][^\]]*\]|[^\]\\])*\])*$`)
	})
	namedGroup = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?:^|[^\\])(?:\\\\)*\(\?[^:=!]`)
	})
)

// compileRegex compiles a pattern. The one compiled last is kept: mostly all rows
// of a statement have the same.
var compileRegex = func() func(string) (*regexp2.Regexp, error) {
	var (
		mu   sync.Mutex
		last string
		re   *regexp2.Regexp
	)
	return func(pattern string) (*regexp2.Regexp, error) {
		mu.Lock()
		defer mu.Unlock()
		if re != nil && pattern == last {
			return re, nil
		}
		if !stdRegex().MatchString(pattern) || namedGroup().MatchString(pattern) {
			return nil, errRegex
		}
		compiled, err := regexp2.Compile(string(bytesAsRunes(pattern)), regexp2.ECMAScript|regexp2.RE2)
		if err != nil {
			return nil, errRegex
		}
		// std::regex gives up too, after a number of steps.
		compiled.MatchTimeout = time.Second
		last, re = pattern, compiled
		return re, nil
	}
}()

// bytesAsRunes makes a character of each byte. Those that are not ASCII become of
// private use, since they are neither letters nor blanks in C's locale.
func bytesAsRunes(s string) []rune {
	const privateUse = 0xe000
	runes := make([]rune, len(s))
	for i := range len(s) {
		if runes[i] = rune(s[i]); runes[i] >= utf8.RuneSelf {
			runes[i] += privateUse
		}
	}
	return runes
}

// regexMatch is regex_match(text, pattern, group): the text of a group of the
// first match, NULL if there is none.
func regexMatch(ctx sqlite3.Context, arg ...sqlite3.Value) {
	if anyNull(arg) {
		return
	}
	s, pattern, group := text(arg[0]), text(arg[1]), int32(arg[2].Int64())
	if len(pattern) > maxRegex {
		ctx.ResultError(osqueryError("Invalid regex: too big, max size is 256 bytes"))
		return
	}
	re, err := compileRegex(pattern)
	if err != nil {
		ctx.ResultError(err)
		return
	}
	m, err := re.FindRunesMatch(bytesAsRunes(s))
	switch {
	case err != nil:
		ctx.ResultError(errRegex)
	case m != nil && group >= 0 && int(group) < m.GroupCount():
		g := m.GroupByNumber(int(group))
		ctx.ResultText(s[g.Index : g.Index+g.Length])
	}
}

// regexSplit returns what is between the matches. An empty part at the end is
// none.
func regexSplit(s, pattern string) (parts []string, _ error) {
	if len(pattern) > maxRegex {
		return nil, errRegex
	}
	re, err := compileRegex(pattern)
	if err != nil {
		return nil, err
	}
	end := 0
	m, err := re.FindRunesMatch(bytesAsRunes(s))
	for ; m != nil; m, err = re.FindNextMatch(m) {
		parts = append(parts, s[end:m.Index])
		end = m.Index + m.Length
	}
	if err != nil {
		return nil, errRegex
	}
	if end < len(s) || parts == nil {
		parts = append(parts, s[end:])
	}
	return parts, nil
}
