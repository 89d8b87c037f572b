package prompt

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"kernelroutes/shell"
	"kernelroutes/shell/token"
	"kernelroutes/tables"
)

// sqliteFunctions are those of SQLite's own functions that are used most.
var sqliteFunctions = strings.Fields(`abs avg char coalesce count date datetime group_concat hex ifnull iif instr
	json_array json_each json_extract json_group_array json_group_object json_object json_valid length like lower ltrim
	max min nullif printf quote rank replace round row_number rtrim strftime substr sum time total trim typeof unicode
	unixepoch upper`)

// A completer completes what is typed.
type completer struct {
	before  string      // the lines of the statement that have been typed already
	pasting func() bool // more has come already after what is to be completed; nil: never
	// own is what the session has made, but what is to be written in quotes.
	own []shell.Relation
}

var bare = regexp.MustCompile(`^[A-Za-z_]\w*$`)

// quoted reports whether a name is to be written in quotes.
func quoted(name string) bool {
	return !bare.MatchString(name) || slices.Contains(shell.Keywords(), strings.ToUpper(name))
}

// relations are all that a statement can read from, the tables first.
func (c *completer) relations() (all []shell.Relation) {
	for _, t := range tables.All() {
		all = append(all, shell.RelationOf(t))
	}
	return append(all, c.own...)
}

// made has what the session has made completed, too, if it needs no quotes.
func (c *completer) made(own []shell.Relation) {
	c.own = nil
	for _, r := range own {
		if !quoted(r.Name) {
			r.Columns = slices.DeleteFunc(slices.Clone(r.Columns), quoted)
			c.own = append(c.own, r)
		}
	}
}

// complete returns what can stand at a position of a line, counted in characters: the text before it, what
// can follow that, and the text after it.
func (c *completer) complete(line string, pos int) (head string, words []string, tail string) {
	runes := []rune(line)
	head, tail = string(runes[:pos]), string(runes[pos:])
	if c.before == "" && strings.HasPrefix(strings.TrimLeft(head, " \t"), ".") {
		head, words = c.command(head)
		return head, words, tail
	}
	if strings.TrimSpace(head) == "" {
		const indent = "    " // so that text which is indented with tabs can be pasted
		return head, []string{indent}, tail
	}
	sql := c.before + head
	all := token.All(sql)
	last := token.Token{Start: len(sql), End: len(sql)}
	if n := len(all); n > 0 && all[n-1].End == len(sql) {
		switch t := all[n-1]; {
		case t.Open && t.Kind == token.Quoted && c.pasted():
			return head, []string{"\t"}, tail
		case t.Open || t.Kind == token.Quoted || t.Kind == token.Comment:
			return head, nil, tail
		case t.Kind == token.Word:
			last, all = t, all[:n-1]
		}
	}
	typed := sql[last.Start:]
	head = head[:len(head)-len(typed)]
	found := candidates(c.relations(), typed, sql, all, tokensOf(sql+tail))
	if len(found) == 1 && found[0] == typed || !helps(found, typed) && c.pasted() {
		return head, []string{typed + " "}, tail
	}
	return head, keeping(typed, found), tail
}

// pasted reports whether a tab is one of a pasted text: that is a blank, where it would complete nothing.
func (c *completer) pasted() bool { return c.pasting != nil && c.pasting() }

// helps reports whether all words go on in the same way after what is typed.
func helps(words []string, typed string) bool {
	return typed != "" && len(words) > 0 && len(words[0]) > len(typed) &&
		!slices.ContainsFunc(words, func(w string) bool {
			return len(w) == len(typed) || w[len(typed)] != words[0][len(typed)]
		})
}

// keeping are the words, begun as what is typed if they differ from each other in that: the editor goes back to
// what all have in common (FROM and from_unixtime have nothing).
func keeping(typed string, words []string) []string {
	if !slices.ContainsFunc(words, func(w string) bool { return w[:len(typed)] != words[0][:len(typed)] }) {
		return words
	}
	var kept []string
	for _, w := range words {
		if w = typed + w[len(typed):]; !slices.Contains(kept, w) {
			kept = append(kept, w)
		}
	}
	return kept
}

// A piece is a token's text.
type piece struct {
	token.Token
	text string
}

func tokensOf(sql string) (all []piece) {
	for _, t := range token.All(sql) {
		if t.Kind != token.Comment {
			all = append(all, piece{t, sql[t.Start:t.End]})
		}
	}
	return all
}

// candidates are the words that begin as the one that is typed after the tokens before it.
func candidates(there []shell.Relation, typed, sql string, before []token.Token, statement []piece) []string {
	before = slices.DeleteFunc(slices.Clone(before), func(t token.Token) bool { return t.Kind == token.Comment })
	text := func(back int) string {
		if len(before) < back {
			return ""
		}
		t := before[len(before)-back]
		return strings.ToLower(sql[t.Start:t.End])
	}
	switch text(1) {
	case ".":
		of, known := named(there, statement)[text(2)]
		if !known {
			of = there
		}
		return beginning(columns(of), typed)
	case "from", "join", "into", "update", "table", "view":
		return beginning(namesOf(there), typed)
	case "order", "group", "partition":
		return beginning(cased(typed, "BY"), typed)
	}
	read := slices.DeleteFunc(slices.Clone(there), func(r shell.Relation) bool {
		return !slices.ContainsFunc(statement, func(p piece) bool { return p.names(r) })
	})
	if len(read) == 0 {
		read = there
	}
	found := beginning(columns(read), typed)
	if typed != "" {
		for _, f := range beginning(slices.Concat(sqliteFunctions, shell.Functions()), typed) {
			found = append(found, f+"(")
		}
		found = append(found, beginning(namesOf(there), typed)...)
	}
	return append(found, beginning(cased(typed, shell.Keywords()...), typed)...)
}

// cased are the keywords in small letters if what is typed is in such.
func cased(typed string, keywords ...string) []string {
	if !strings.ContainsFunc(typed, unicode.IsLower) {
		return keywords
	}
	var small []string
	for _, k := range keywords {
		small = append(small, strings.ToLower(k))
	}
	return small
}

// beginning are the words that begin as what is typed, whatever the case, each once, in their order.
func beginning(words []string, typed string) (found []string) {
	for _, w := range words {
		if len(w) >= len(typed) && strings.EqualFold(w[:len(typed)], typed) && !slices.Contains(found, w) {
			found = append(found, w)
		}
	}
	return found
}

func namesOf(all []shell.Relation) (names []string) {
	for _, r := range all {
		names = append(names, r.Name)
	}
	return names
}

// columns are the names of the columns of tables, sorted.
func columns(of []shell.Relation) (names []string) {
	for _, r := range of {
		names = append(names, r.Columns...)
	}
	slices.Sort(names)
	return names
}

// named are the tables of a statement by the names that they have in it, in small letters.
func named(there []shell.Relation, statement []piece) map[string][]shell.Relation {
	named := map[string][]shell.Relation{}
	for i, p := range statement {
		at := slices.IndexFunc(there, p.names)
		if at < 0 || i > 0 && statement[i-1].text == "." {
			continue
		}
		r := there[at : at+1]
		named[strings.ToLower(p.text)] = r
		rest := statement[i+1:]
		if len(rest) > 0 && strings.EqualFold(rest[0].text, "AS") {
			rest = rest[1:]
		}
		if len(rest) > 0 && (rest[0].Kind == token.Word || rest[0].Kind == token.Quoted) &&
			!slices.Contains(shell.Keywords(), strings.ToUpper(rest[0].text)) {
			named[strings.ToLower(rest[0].text)] = r
		}
	}
	return named
}

// names reports whether a token is a table's name.
func (p piece) names(r shell.Relation) bool {
	return strings.EqualFold(strings.Trim(p.text, "\"`[]"), r.Name)
}

// command completes a line that begins with a dot.
func (c *completer) command(head string) (rest string, words []string) {
	line := strings.TrimLeft(head, " \t")
	start := strings.LastIndexAny(head, " \t") + 1
	name, _, more := strings.Cut(line, " ")
	if !more {
		var names []string
		for _, c := range shell.Commands() {
			names = append(names, c.Name)
		}
		return head[:start], once(beginning(names, name), name)
	}
	known, err := shell.FindCommand(name)
	if err != nil {
		return head, nil
	}
	typed, args := head[start:], strings.Trim(known.Args, "[]")
	before, _ := shell.Words(line[:len(line)-len(typed)])
	if args == "FILE" {
		return fileArgument(head, line)
	}
	if len(before) > 1 {
		return head, nil
	}
	var all []string
	switch args {
	case "TABLE":
		all = namesOf(c.relations())
	case "MODE":
		all = shell.FormatNames()
	case "COMMAND":
		for _, c := range shell.Commands() {
			all = append(all, c.Name)
		}
	case "on|off":
		all = strings.Split(args, "|")
	}
	return head[:start], beginning(all, typed)
}

// once adds a blank to the only word if it has been typed whole.
func once(words []string, typed string) []string {
	if len(words) == 1 && words[0] == typed {
		return []string{typed + " "}
	}
	return words
}

// fileArgument completes the name of a file, which is the command's only argument.
func fileArgument(head, line string) (rest string, words []string) {
	_, typed, _ := strings.Cut(line, " ")
	typed = strings.TrimLeft(typed, " ")
	rest = head[:len(head)-len(typed)]
	quote := ""
	if typed != "" && (typed[0] == '\'' || typed[0] == '"') {
		quote, typed = typed[:1], typed[1:]
	}
	if strings.Contains(typed, quote) && quote != "" || quote == "" && strings.ContainsAny(typed, " \t") {
		return head, nil
	}
	folder, base := filepath.Split(typed)
	entries, _ := os.ReadDir(cmp.Or(folder, "."))
	const most = 1000
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, base) || name[0] == '.' && base == "" || strings.ContainsAny(name, `'"`) ||
			!rememberable(name) {
			continue
		}
		name = folder + name
		q := quote
		if q == "" && strings.Contains(name, " ") {
			q = "'"
		}
		end := q
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			name, end = name+"/", ""
		}
		if words = append(words, q+name+end); len(words) == most {
			break
		}
	}
	return rest, words
}
