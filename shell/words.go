package shell

import "strings"

// words calls yield for each token of a statement but comments. A text or name in quotes, and a
// number, is one token, with its quotes.
func words(sql string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for sql != "" {
			n := tokenLen(sql)
			token := sql[:n]
			sql = sql[n:]
			comment := strings.HasPrefix(token, "--") || strings.HasPrefix(token, "/*")
			if !comment && strings.TrimSpace(token) != "" && !yield(token) {
				return
			}
		}
	}
}

// tokenLen returns the length of the first token of a statement, or of one character of white space.
func tokenLen(sql string) int {
	until := func(from int, end string) int {
		if i := strings.Index(sql[from:], end); i >= 0 {
			return from + i + len(end)
		}
		return len(sql)
	}
	switch c := sql[0]; {
	case strings.HasPrefix(sql, "--"):
		return until(2, "\n")
	case strings.HasPrefix(sql, "/*"):
		return until(2, "*/")
	case c == '\'' || c == '"' || c == '`': // a doubled one is two tokens, which is as good
		return until(1, sql[:1])
	case c == '[':
		return until(1, "]")
	}
	n := 0
	for n < len(sql) && inWord(sql[n]) {
		n++
	}
	return max(n, 1)
}

func inWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}
