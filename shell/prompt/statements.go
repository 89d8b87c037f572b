package prompt

import (
	"strings"

	"kernelroutes/shell/token"
)

// empty reports whether a text has nothing in it to run, and nothing that goes on in the next line.
func empty(sql string) bool {
	for _, t := range token.All(sql) {
		if t.Open && !strings.HasPrefix(sql[t.Start:], "--") || t.Kind != token.Comment && sql[t.Start:t.End] != ";" {
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
	for _, t := range token.All(sql) {
		text := sql[t.Start:t.End]
		switch {
		case t.Kind == token.Comment:
			if t.Open && strings.HasPrefix(text, "/*") {
				return false
			}
			continue
		case t.Open:
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
		if t.Kind != token.Word {
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
	for _, t := range token.All(sql) {
		between, text := sql[at:t.Start], sql[t.Start:t.End]
		at = t.End
		if strings.ContainsAny(between, "\r\n") {
			between = " "
		}
		switch {
		case t.Kind == token.Quoted && strings.ContainsAny(text, "\r\n"):
			return "", false
		case t.Kind == token.Comment:
			text = inLine(text)
		}
		b.WriteString(between + text)
		if strings.HasPrefix(sql[t.Start:], "--") && at < len(sql) {
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
