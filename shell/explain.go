package shell

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kernelroutes/internal/nearest"
	"kernelroutes/shell/token"
	"kernelroutes/tables"
)

// explain makes SQLite's error one for the user: what failed and what to do.
func (s *Session) explain(err error) error {
	switch {
	case s.db.ctx.Err() != nil:
		return ErrInterrupted
	case s.db.failure != nil:
		return s.db.failure
	case s.db.refused != nil:
		return s.db.refused
	}
	msg := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "sqlite3: "), "SQL logic error: ")
	f := s.db.faultOf(err)
	for sign, explained := range map[string]func(string) error{
		"no such table: ":        s.db.noSuchTable,
		"no such column: ":       f.noSuchColumn,
		"no such function: ":     noSuchFunction,
		"ambiguous column name:": f.ambiguous,
	} {
		if name, ok := strings.CutPrefix(msg, sign); ok {
			return explained(name)
		}
	}
	if _, name, ok := strings.Cut(msg, " has no column named "); ok { // INSERT
		return f.noSuchColumn(name)
	}
	for _, t := range s.db.tables {
		if msg == "table "+t.Name+" may not be modified" {
			return fmt.Errorf("table %s is read-only: it shows what the kernel has; change that with ip", t.Name)
		}
	}
	if name, ok := strings.CutPrefix(msg, "cannot join using column "); ok {
		return f.notInBoth(msg, name)
	}
	msg = shorten(msg)
	for _, hint := range []struct{ sign, text string }{
		{"syntax error", f.meant(msg) + s.examplesAt()},
		{"incomplete input", "the statement ends too early"},
		{"unrecognized token", cmp.Or(f.text(), "is a quote missing?")},
		{"string or blob too big", "ask for shorter values"},
	} {
		if strings.Contains(msg, hint.sign) {
			return errors.New(msg + "; " + hint.text)
		}
	}
	return errors.New(msg)
}

// question asks whether names were meant, with a blank after it; "" if there are none.
func question(names []string) string {
	if q := nearest.Question(names); q != "" {
		return q + " "
	}
	return ""
}

// noSuchTable says which tables there are.
func (db *database) noSuchTable(name string) error {
	var names []string
	for _, r := range db.relations() {
		names = append(names, r.Name)
	}
	_, short, qualified := strings.Cut(name, ".")
	if !qualified {
		short = name
	}
	return fmt.Errorf("no such table: %s; %sthe tables are %s; osquery's own are not here", shorten(name),
		question(nearest.Of(short, names)), tables.Listed(names[:len(db.tables)]))
}

func noSuchFunction(name string) error {
	var names []string
	for f := range functions() {
		names = append(names, f)
	}
	slices.Sort(names)
	if q := nearest.Question(nearest.Of(name, names)); q != "" {
		return fmt.Errorf("no such function: %s; %s", shorten(name), q)
	}
	return errors.New("no such function: " + shorten(name))
}

// keywords are those of SQLite that a statement about the tables may have.
var keywords = strings.Fields(`ALL AND AS ASC BETWEEN BY CASE CAST COLLATE CREATE CROSS DELETE DESC DISTINCT DROP ELSE
	END ESCAPE EXCEPT EXISTS EXPLAIN FROM GLOB GROUP HAVING IN INNER INSERT INTERSECT INTO IS ISNULL JOIN LEFT LIKE
	LIMIT MATCH NATURAL NOT NOTNULL NULL OFFSET ON OR ORDER OUTER OVER PARTITION PLAN PRAGMA QUERY RECURSIVE REGEXP
	SELECT SET TABLE TEMP THEN UNION UPDATE USING VALUES VIEW WHEN WHERE WITH`)

// examplesAt says where examples are.
func (s *Session) examplesAt() string {
	if s.Files != nil {
		return ".examples shows what can be asked"
	}
	return "see query --help for examples"
}

// Keywords returns words of SQL, in the order of the alphabet.
func Keywords() []string { return slices.Clone(keywords) }

// meant says what was probably meant where a statement is not SQL, with a blank after it: a command, a text, a
// keyword that is misspelt, or a column whose name is a keyword; "" if that is not known.
func (f *fault) meant(msg string) string {
	db := f.db
	_, rest, _ := strings.Cut(msg, `near "`)
	near, _, _ := strings.Cut(rest, `"`)
	if c := f.command(); c != "" {
		return question([]string{c})
	}
	if text := f.text(); text != "" {
		return text + "; "
	}
	if slices.Contains(keywords, strings.ToUpper(near)) && otherNames[strings.ToLower(near)] != nil &&
		!db.isClause(near) {
		if columns, _ := columnsMeant(f.reads(), near); columns != nil {
			return question(columns)
		}
	}
	for word := range token.Words(db.statement) {
		if word == ";" {
			break
		}
		if !token.InWord(rune(word[0])) || !isName(word) || db.isKnown(word) {
			continue
		}
		if k := keywordMeant(strings.ToUpper(word)); k != "" {
			return fmt.Sprintf("did you mean %s for %s? ", k, word)
		}
	}
	return ""
}

// isClause reports whether a keyword is the only FROM of the statement, so that no column is meant by it, but
// something is missing before it, or too much.
func (db *database) isClause(keyword string) bool {
	times := 0
	for word := range token.Words(db.statement) {
		if strings.EqualFold(word, keyword) {
			times++
		}
	}
	return strings.EqualFold(keyword, "FROM") && times == 1
}

// keywordMeant returns the keyword that differs from a word in one character; of several the one that the word
// begins, as somebody has stopped too early. "" if there is none, or the word is too short to be sure.
func keywordMeant(word string) (meant string) {
	const least = 4 // characters of the keyword
	for _, k := range keywords {
		switch {
		case len(word) < least-1 || len(word) > 20 || len(k) < least || nearest.Distance(word, k) != 1:
		case len(word) < least && word[0] != k[0]:
		case strings.HasPrefix(k, word):
			return k
		case meant == "":
			meant = k
		}
	}
	return meant
}

// isKnown reports whether a word is a function, a table or a column of one.
func (db *database) isKnown(word string) bool {
	word = strings.ToLower(word)
	return functions()[word] || slices.ContainsFunc(db.relations(), func(r Relation) bool {
		return strings.EqualFold(r.Name, word) || slices.Contains(r.Columns, word)
	})
}

// shorten cuts what SQLite quotes of a statement to what fits into a message.
func shorten(text string) string {
	const most = 500
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}
