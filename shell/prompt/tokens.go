package prompt

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A kind is that of a token.
type kind int

const (
	word    kind = iota // a keyword, a name, a number
	quoted              // 'text', "name", `name` or [name]
	comment             // -- to the end of the line, or /* */
	sign                // one character of anything else
)

// A token is a piece of SQL; blanks are none.
type token struct {
	kind
	start, end int  // in the text
	open       bool // it goes on after the text
}

// tokens cuts SQL into pieces as SQLite does (sqlite3GetToken), as far as it matters where they end.
func tokens(sql string) (all []token) {
	for at := 0; at < len(sql); {
		t := next(sql, at)
		if t.end == t.start {
			return all
		}
		all = append(all, t)
		at = t.end
	}
	return all
}

// next returns the first token from a position on, an empty one if there is none.
func next(sql string, at int) token {
	at += len(sql[at:]) - len(strings.TrimLeft(sql[at:], " \t\n\f\r"))
	rest := sql[at:]
	if rest == "" {
		return token{start: at, end: at}
	}
	until := func(kind kind, after int, end string) token {
		if i := strings.Index(rest[after:], end); i >= 0 {
			return token{kind: kind, start: at, end: at + after + i + len(end)}
		}
		return token{kind: kind, start: at, end: len(sql), open: true}
	}
	switch c := rest[0]; {
	case strings.HasPrefix(rest, "--"):
		return until(comment, 2, "\n")
	case strings.HasPrefix(rest, "/*"):
		return until(comment, 2, "*/")
	case c == '[':
		return until(quoted, 1, "]")
	case c == '\'' || c == '"' || c == '`':
		for i := 1; i < len(rest); i++ {
			if rest[i] != c {
				continue
			}
			if i+1 < len(rest) && rest[i+1] == c {
				i++ // twice is once, inside
				continue
			}
			return token{kind: quoted, start: at, end: at + i + 1}
		}
		return token{kind: quoted, start: at, end: len(sql), open: true}
	}
	n := strings.IndexFunc(rest, func(r rune) bool { return !inWord(r) })
	switch {
	case n < 0:
		return token{kind: word, start: at, end: len(sql)}
	case n > 0:
		return token{kind: word, start: at, end: at + n}
	}
	_, n = utf8.DecodeRuneInString(rest)
	return token{kind: sign, start: at, end: at + n}
}

// inWord reports whether a name may have a character in it.
func inWord(r rune) bool {
	return r == '_' || r == '$' || r > unicode.MaxASCII || unicode.IsLetter(r) || unicode.IsDigit(r)
}

// empty reports whether a text has nothing in it to run, and nothing that goes on in the next line.
func empty(sql string) bool {
	for _, t := range tokens(sql) {
		if t.open && !strings.HasPrefix(sql[t.start:], "--") || t.kind != comment && sql[t.start:t.end] != ";" {
			return false
		}
	}
	return true
}

// complete reports whether what is typed ends with a statement's semicolon, as sqlite3_complete does: one in
// a quote, a comment or the body of a trigger is none.
func complete(sql string) bool {
	var trigger, ended bool // in a trigger; the last token was the semicolon
	var words []string      // of the statement, the first ones; of a trigger the last ones
	for _, t := range tokens(sql) {
		text := sql[t.start:t.end]
		switch {
		case t.kind == comment:
			if t.open && strings.HasPrefix(text, "/*") {
				return false
			}
			continue
		case t.open:
			return false
		case text == ";" && trigger:
			ended = len(words) >= 2 && words[len(words)-1] == "END" && words[len(words)-2] == ";"
			if ended {
				trigger, words = false, nil
			} else {
				words = append(words[:0], ";")
			}
			continue
		case text == ";":
			ended, words = true, nil
			continue
		}
		ended = false
		if t.kind != word {
			text = "?"
		}
		if words = append(words, strings.ToUpper(text)); len(words) > 8 {
			words = words[1:]
		}
		trigger = trigger || beginsTrigger(words)
	}
	return ended
}

// beginsTrigger reports whether the first words of a statement say that it makes a trigger.
func beginsTrigger(words []string) bool {
	for len(words) > 0 && (words[0] == "EXPLAIN" || words[0] == "QUERY" || words[0] == "PLAN") {
		words = words[1:]
	}
	if len(words) < 2 || words[0] != "CREATE" {
		return false
	}
	return words[1] == "TRIGGER" || len(words) > 2 && (words[1] == "TEMP" || words[1] == "TEMPORARY") &&
		words[2] == "TRIGGER"
}

// oneLine returns a statement of several lines as one that means the same; false: there is none, as a line
// ends inside a quote.
func oneLine(sql string) (string, bool) {
	var b strings.Builder
	at := 0
	for _, t := range tokens(sql) {
		between, text := sql[at:t.start], sql[t.start:t.end]
		at = t.end
		if strings.ContainsAny(between, "\r\n") {
			between = " "
		}
		switch {
		case t.kind == quoted && strings.ContainsAny(text, "\r\n"):
			return "", false
		case t.kind == comment:
			text = inLine(text)
		}
		b.WriteString(between + text)
		if strings.HasPrefix(sql[t.start:], "--") && at < len(sql) {
			b.WriteString(" ")
		}
	}
	return strings.TrimSpace(b.String()), true
}

// inLine makes a comment one that ends in its line.
func inLine(text string) string {
	if said, found := strings.CutPrefix(text, "--"); found {
		text = "/*" + strings.ReplaceAll(strings.TrimRight(said, "\r\n"), "*/", "* /") + " */"
	}
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }), " ")
}
