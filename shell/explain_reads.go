package shell

import (
	"errors"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"kernelroutes/shell/token"
)

// A tableRead is what a part of a statement reads from, with the name that its columns have there.
type tableRead struct {
	Relation        // none, if it is not known
	as       string // "": it has no name
	derived  bool   // a subquery, or what WITH has made: it has the columns that it selects
}

// A scope is a part of a statement that reads from tables of its own: a SELECT, or what changes a table.
type scope struct {
	start, end int // its words
	reads      []tableRead
	from       bool   // it says from what it reads
	outer      *scope // whose columns it knows as well; nil: none's
}

// A fault is where SQLite has found an error in a statement, and what the words around it tell.
type fault struct {
	db     *database
	there  []Relation
	sql    string
	words  []string // without comments
	starts []int    // where they begin
	at     int      // the byte; -1: it is not known
	word   int      // that begins there; -1: none does
	scopes []*scope
}

// faultOf looks at the statement that has failed.
func (db *database) faultOf(err error) *fault {
	const most = 256 << 10 // of what is longer only the beginning is looked at
	rest := ""             // of the statement, from the error on
	if e := (*sqlite3.Error)(nil); errors.As(err, &e) {
		rest = e.SQL()
	}
	f := &fault{db: db, there: db.relations(), sql: db.statement[:min(len(db.statement), most)], at: -1, word: -1}
	if at := len(db.statement) - len(rest); rest != "" && at >= 0 && at < len(f.sql) {
		f.at = at
	}
	for _, t := range token.All(f.sql) {
		text := f.sql[t.Start:t.End]
		if text == ";" {
			break
		}
		if t.Kind == token.Comment {
			continue
		}
		if t.Start == f.at {
			f.word = len(f.words)
		}
		f.words, f.starts = append(f.words, text), append(f.starts, t.Start)
	}
	f.findScopes()
	return f
}

// locate finds the column that there is not where SQLite does not tell its place, as of those behind ON: if it is
// there once.
func (f *fault) locate(name string) {
	if f.at >= 0 {
		return
	}
	var parts []string
	for word := range token.Words(name[:min(len(name), 200)]) {
		parts = append(parts, word)
	}
	found := -1
	for i := 0; i+len(parts) <= len(f.words); i++ {
		if !slices.EqualFunc(parts, f.words[i:i+len(parts)], strings.EqualFold) || f.keyword(i-1) == "." ||
			f.keyword(i+len(parts)) == "." {
			continue
		}
		if found >= 0 {
			return
		}
		found = i
	}
	if found >= 0 && len(parts) > 0 {
		f.word, f.at = found, f.starts[found]
	}
}

// keyword returns a word in capitals, and signs as they are; "" if there is none.
func (f *fault) keyword(i int) string {
	const longest = 20
	if i < 0 || i >= len(f.words) || len(f.words[i]) > longest {
		return ""
	}
	return strings.ToUpper(f.words[i])
}

// selects reports whether a subquery begins with a word.
func (f *fault) selects(i int) bool {
	return slices.Contains([]string{"SELECT", "WITH", "VALUES"}, f.keyword(i))
}

// A level is what is known of the parentheses around a word.
type level struct {
	*scope
	from   bool // FROM is going on, so that a comma has another table behind it
	expect bool // what comes next is a table
	last   int  // the one that was named last, whose other name may come next; -1: none
}

// findScopes finds the parts of the statement that read, and from what.
func (f *fault) findScopes() {
	begin := func(i int, outer *scope) *scope {
		s := &scope{start: i, end: len(f.words), outer: outer}
		f.scopes = append(f.scopes, s)
		return s
	}
	levels, made := []level{{scope: begin(0, nil), last: -1}}, f.madeByWith()
	for i, word := range f.words {
		l := &levels[len(levels)-1]
		keyword := f.keyword(i)
		switch {
		case word == "(" && f.selects(i+1):
			outer := l.scope
			if l.expect || f.keyword(i-1) == "AS" || f.keyword(i-1) == "MATERIALIZED" { // FROM and WITH know no columns
				outer = nil
			}
			if l.expect {
				l.read(tableRead{derived: true})
			}
			levels = append(levels, level{scope: begin(i+1, outer), last: -1})
		case word == "(":
			levels = append(levels, level{scope: l.scope, from: l.expect, expect: l.expect, last: -1})
			l.expect = false
		case word == ")" && len(levels) > 1:
			levels = levels[:len(levels)-1]
			if outer := levels[len(levels)-1].scope; outer != l.scope {
				l.end = i
			}
		case l.expect && (isName(word) || word[0] == '\''):
			if f.keyword(i+1) != "." { // else it is a schema
				l.read(f.named(unquoted(word), made))
			}
		case l.last >= 0 && isName(word) && !slices.Contains(notNames, keyword):
			l.reads[l.last].as, l.last = unquoted(word), -1
		case keyword == "AS" || word == ".":
		case slices.Contains([]string{"UNION", "EXCEPT", "INTERSECT"}, keyword):
			l.end = i
			*l = level{scope: begin(i+1, l.outer), last: -1}
		default:
			l.pass(keyword, f.keyword(i-1))
		}
	}
}

// notNames may stand behind a table, and are no other name of it.
var notNames = []string{"FULL", "RIGHT", "INDEXED", "RETURNING", "WINDOW"}

// read notes a table.
func (l *level) read(t tableRead) {
	l.reads = append(l.reads, t)
	l.expect, l.last = false, len(l.reads)-1
}

// pass notes what a keyword or a sign says of what comes behind it.
func (l *level) pass(keyword, before string) {
	l.expect, l.last = false, -1
	switch keyword {
	case "FROM", "JOIN", "INTO", "UPDATE":
		if before != "DISTINCT" { // IS DISTINCT FROM
			l.from, l.expect, l.scope.from = true, true, true
		}
	case ",":
		l.expect = l.from
	case "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "SET", "WINDOW", "RETURNING":
		l.from = false
	}
}

// named returns what is read by a name, where WITH has made some.
func (f *fault) named(name string, made []string) tableRead {
	is := func(other string) bool { return strings.EqualFold(other, name) }
	if slices.ContainsFunc(made, is) {
		return tableRead{as: name, derived: true}
	}
	if i := slices.IndexFunc(f.there, func(r Relation) bool { return is(r.Name) }); i >= 0 {
		return tableRead{Relation: f.there[i], as: f.there[i].Name}
	}
	return tableRead{as: name}
}

// madeByWith returns the names that stand before AS (SELECT, with or without columns in parentheses.
func (f *fault) madeByWith() (names []string) {
	for i := range f.words {
		if f.keyword(i) != "AS" {
			continue
		}
		body, name := i+1, i-1
		for f.keyword(body) == "NOT" || f.keyword(body) == "MATERIALIZED" {
			body++
		}
		if f.keyword(body) != "(" || !f.selects(body+1) {
			continue
		}
		if f.keyword(name) == ")" {
			for name > 0 && f.words[name] != "(" {
				name--
			}
			name--
		}
		if name >= 0 {
			names = append(names, unquoted(f.words[name]))
		}
	}
	return names
}

// here returns the part of the statement where the error is, nil if that is not known.
func (f *fault) here() (found *scope) {
	for _, s := range f.scopes {
		if f.word >= s.start && f.word < s.end && (found == nil || s.start >= found.start) {
			found = s
		}
	}
	return found
}

// reads returns from what is read where the error is, or, if that is not known, anywhere in the statement.
func (f *fault) reads() (found []tableRead) {
	s := f.here()
	if s == nil {
		for _, s := range f.scopes {
			found = append(found, s.reads...)
		}
		return found
	}
	for ; s != nil; s = s.outer {
		found = append(found, s.reads...)
	}
	return found
}

// withoutFrom returns the table before which FROM is missing where the error is; "": none.
func (f *fault) withoutFrom() string {
	s := f.here()
	if s == nil || s.from {
		return ""
	}
	for i := s.start; i < s.end; i++ {
		if w := f.words[i]; isName(w) && f.keyword(i+1) != "." {
			if t := f.named(unquoted(w), nil); t.Name != "" {
				return t.Name
			}
		}
	}
	return ""
}

// isName reports whether a token can be a name: no sign, no text and no keyword.
func isName(text string) bool {
	c := text[0]
	return (c == '"' || c == '`' || c == '[' || token.InWord(rune(c))) &&
		!slices.Contains(keywords, strings.ToUpper(text))
}

// unquoted returns a name without its quotes.
func unquoted(name string) string { return strings.Trim(name, "\"`[]'") }
