package shell

import (
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
	for sign, explained := range map[string]func(string) error{
		"no such table: ":        s.db.noSuchTable,
		"no such column: ":       s.db.noSuchColumn,
		"no such function: ":     noSuchFunction,
		"ambiguous column name:": s.db.ambiguous,
	} {
		if name, ok := strings.CutPrefix(msg, sign); ok {
			return explained(name)
		}
	}
	if _, name, ok := strings.Cut(msg, " has no column named "); ok { // INSERT
		return s.db.noSuchColumn(name)
	}
	for _, t := range s.db.tables {
		if msg == "table "+t.Name+" may not be modified" {
			return fmt.Errorf("table %s is read-only: it shows what the kernel has; change that with ip", t.Name)
		}
	}
	msg = shorten(msg)
	for _, hint := range []struct{ sign, text string }{
		{"syntax error", s.db.meant(msg) + s.examplesAt()},
		{"incomplete input", "the statement ends too early"},
		{"unrecognized token", "is a quote missing?"},
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

// otherNames are what columns are called elsewhere: in ip, in osquery's tables, by people.
var otherNames = map[string][]string{
	"gw":             {"gateway"},
	"nexthop":        {"gateway"},
	"next_hop":       {"gateway"},
	"nh":             {"gateway"},
	"via":            {"gateway"},
	"nhid":           {"nexthop_id"},
	"nh_id":          {"nexthop_id"},
	"interface":      {"dev"},
	"interface_name": {"dev"},
	"iface":          {"dev"},
	"ifname":         {"dev"},
	"intf":           {"dev"},
	"nic":            {"dev"},
	"device":         {"dev"},
	"link":           {"dev"},
	"out_if":         {"dev"},
	"oif":            {"dev"},
	"index":          {"dev_index"},
	"ifindex":        {"dev_index"},
	"if_index":       {"dev_index"},
	"table":          {"table_name", "table_id"},
	"rtable":         {"table_name", "table_id"},
	"tableid":        {"table_id"},
	"to":             {"dst", "destination"},
	"dest":           {"dst", "destination"},
	"destination":    {"dst"},
	"dst":            {"destination"},
	"prefix":         {"dst"},
	"network":        {"dst"},
	"cidr":           {"dst"},
	"netmask":        {"dst_len"},
	"mask":           {"dst_len", "fwmask"},
	"prefixlen":      {"dst_len"},
	"prefix_len":     {"dst_len"},
	"from":           {"src"},
	"source":         {"src", "prefsrc"},
	"src_ip":         {"prefsrc", "src"},
	"proto":          {"protocol"},
	"priority":       {"metric"},
	"prio":           {"priority", "metric"},
	"preference":     {"priority", "pref", "metric"},
	"pref":           {"priority"},
	"metric":         {"priority"},
	"cost":           {"metric"},
	"mark":           {"fwmark"},
	"lookup":         {"table_name"},
	"goto":           {"goto_priority"},
	"not":            {"inverted"},
	"multipath":      {"nexthop_count"},
	"nexthops":       {"nexthop_count"},
	"id":             {"route_id", "rule_id", "nexthop_id"},
	"state":          {"dev_operstate"},
	"operstate":      {"dev_operstate"},
	"namespace":      {"netns"},
}

// A tableRead is a table in a statement, with the name that its columns have there.
type tableRead struct {
	Relation
	as string
}

// reads returns the tables that the statement names, as far as its words tell.
func (db *database) reads() (found []tableRead) {
	there := db.relations()
	before := [2]string{} // the words before this one
	for word := range token.Words(db.statement) {
		if word == ";" {
			break
		}
		name := strings.Trim(word, "\"`[]")
		i := slices.IndexFunc(there, func(r Relation) bool { return strings.EqualFold(r.Name, name) })
		last := len(found) - 1
		switch {
		case i >= 0:
			found = append(found, tableRead{there[i], there[i].Name})
		case last >= 0 && isName(word) && (strings.EqualFold(before[0], found[last].Name) ||
			strings.EqualFold(before[0], "AS") && strings.EqualFold(before[1], found[last].Name)):
			found[last].as = name
		}
		before = [2]string{name, before[0]}
	}
	return found
}

// isName reports whether a token can be a name: no sign, no text and no keyword.
func isName(text string) bool {
	c := text[0]
	return (c == '"' || c == '`' || c == '[' || token.InWord(rune(c))) &&
		!slices.Contains(keywords, strings.ToUpper(text))
}

// columnsMeant returns the columns of tables that may have been meant by a name, and the first of the
// tables that has them; or else the first one, "" if there is none.
func columnsMeant(reads []tableRead, name string) (meant []string, table string) {
	var all []string
	for _, t := range reads {
		all = append(all, t.Columns...)
	}
	for _, other := range otherNames[strings.ToLower(name)] {
		if slices.Contains(all, other) {
			meant = append(meant, other)
		}
	}
	if meant == nil {
		meant = nearest.Of(name, all)
	}
	for _, t := range reads {
		if len(meant) == 0 || slices.Contains(t.Columns, meant[0]) {
			return meant, t.Name
		}
	}
	return meant, ""
}

// noSuchColumn names the columns that may have been meant.
func (db *database) noSuchColumn(name string) error {
	reads, column := db.reads(), name
	var qualifier string
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		qualifier, column = name[:i], name[i+1:]
		reads, qualifier = qualified(reads, qualifier)
	}
	meant, table := columnsMeant(reads, column)
	for i := range meant {
		meant[i] = qualifier + meant[i]
	}
	schema := ".schema"
	if table != "" {
		schema += " " + table
	}
	return fmt.Errorf("no such column: %s; %s%s lists the columns", shorten(name), question(meant), schema)
}

// qualified returns the table that is meant by what stands before a column's dot, and what is to stand
// there. There is none if it is a subquery.
func qualified(reads []tableRead, qualifier string) (of []tableRead, prefix string) {
	var names []string
	for _, t := range reads {
		names = append(names, t.as)
	}
	is := func(name string) func(tableRead) bool {
		return func(t tableRead) bool { return strings.EqualFold(t.as, name) || strings.EqualFold(t.Name, name) }
	}
	i := slices.IndexFunc(reads, is(qualifier))
	if i < 0 {
		near := nearest.Of(qualifier, names)
		if near == nil {
			return nil, ""
		}
		i = slices.IndexFunc(reads, is(near[0]))
	}
	return reads[i : i+1], reads[i].as + "."
}

// ambiguous says how a column is named that several tables have.
func (db *database) ambiguous(name string) error {
	name = strings.TrimSpace(name)
	var named []string
	for _, t := range db.reads() {
		if slices.ContainsFunc(t.Columns, func(c string) bool { return strings.EqualFold(c, name) }) {
			named = append(named, t.as+"."+name)
		}
	}
	if len(named) < 2 || named[0] == named[1] {
		return fmt.Errorf("ambiguous column name: %s; write TABLE.COLUMN", shorten(name))
	}
	return fmt.Errorf("ambiguous column name: %s; write %s", shorten(name), strings.Join(named[:2], " or "))
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

// meant says what was probably meant where a statement is not SQL, with a blank after it: a keyword that
// is misspelt, or a column whose name is a keyword; "" if that is not known.
func (db *database) meant(msg string) string {
	_, rest, _ := strings.Cut(msg, `near "`)
	near, _, _ := strings.Cut(rest, `"`)
	if slices.Contains(keywords, strings.ToUpper(near)) && otherNames[strings.ToLower(near)] != nil &&
		!db.isClause(near) {
		if columns, _ := columnsMeant(db.reads(), near); columns != nil {
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
