// Package token cuts SQL into tokens, as far as it matters where they end.
package token

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Kind is that of a token.
type Kind int

// The kinds.
const (
	Word    Kind = iota // a keyword, a name, a number
	Quoted              // 'text', "name", `name` or [name]
	Comment             // -- to the end of the line, or /* */
	Sign                // one character of anything else
)

// A Token is a piece of SQL; blanks are none.
type Token struct {
	Kind
	Start, End int  // in the SQL
	Open       bool // it goes on after the SQL
}

// All cuts SQL into tokens as SQLite does (sqlite3GetToken).
func All(sql string) (all []Token) {
	for at := 0; at < len(sql); {
		t := next(sql, at)
		if t.End == t.Start {
			return all
		}
		all = append(all, t)
		at = t.End
	}
	return all
}

// next returns the first token from a position on, an empty one if there is none.
func next(sql string, at int) Token {
	at += len(sql[at:]) - len(strings.TrimLeft(sql[at:], " \t\n\f\r"))
	rest := sql[at:]
	if rest == "" {
		return Token{Start: at, End: at}
	}
	until := func(kind Kind, after int, end string) Token {
		if i := strings.Index(rest[after:], end); i >= 0 {
			return Token{Kind: kind, Start: at, End: at + after + i + len(end)}
		}
		return Token{Kind: kind, Start: at, End: len(sql), Open: true}
	}
	switch c := rest[0]; {
	case strings.HasPrefix(rest, "--"):
		return until(Comment, 2, "\n")
	case strings.HasPrefix(rest, "/*"):
		return until(Comment, 2, "*/")
	case c == '[':
		return until(Quoted, 1, "]")
	case c == '\'' || c == '"' || c == '`':
		for i := 1; i < len(rest); i++ {
			if rest[i] != c {
				continue
			}
			if i+1 < len(rest) && rest[i+1] == c {
				i++ // twice is once, inside
				continue
			}
			return Token{Kind: Quoted, Start: at, End: at + i + 1}
		}
		return Token{Kind: Quoted, Start: at, End: len(sql), Open: true}
	}
	n := strings.IndexFunc(rest, func(r rune) bool { return !InWord(r) })
	switch {
	case n < 0:
		return Token{Kind: Word, Start: at, End: len(sql)}
	case n > 0:
		return Token{Kind: Word, Start: at, End: at + n}
	}
	_, n = utf8.DecodeRuneInString(rest)
	return Token{Kind: Sign, Start: at, End: at + n}
}

// InWord reports whether a name may have a character in it.
func InWord(r rune) bool {
	return r == '_' || r == '$' || r > unicode.MaxASCII || unicode.IsLetter(r) || unicode.IsDigit(r)
}

// Words calls yield for each token of a statement but comments, with its quotes.
func Words(sql string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for at := 0; ; {
			t := next(sql, at)
			if t.End == t.Start || t.Kind != Comment && !yield(sql[t.Start:t.End]) {
				return
			}
			at = t.End
		}
	}
}
