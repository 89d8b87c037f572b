package shell

import (
	"net/netip"
	"slices"
	"strings"

	"kernelroutes/shell/token"
)

// text says that texts are in quotes, if what the error is at is probably one; else "".
func (f *fault) text() string {
	text, before := f.run()
	if text == "" {
		return ""
	}
	_, noAddress := netip.ParseAddr(text)
	_, noPrefix := netip.ParsePrefix(text)
	isKeyword := slices.Contains(keywords, strings.ToUpper(text))
	if noAddress != nil && noPrefix != nil && (isKeyword || !f.isCompared(before)) {
		return ""
	}
	return "texts are in quotes: '" + shorten(text) + "'"
}

// run returns what is written without a blank where the error is, such as 10.0.0.0/8 or br-lan, and the word at
// which it begins. "" if it is no text.
func (f *fault) run() (text string, word int) {
	in := func(r rune) bool { return token.InWord(r) || strings.ContainsRune(".:/%-", r) }
	if f.at < 0 {
		return "", 0
	}
	start := len(strings.TrimRightFunc(f.sql[:f.at], in))
	text = f.sql[start:]
	if n := strings.IndexFunc(text, func(r rune) bool { return !in(r) }); n >= 0 {
		text = text[:n]
	}
	text, _, _ = strings.Cut(text, "--") // a comment
	text = strings.TrimRight(text, ".-")
	word, found := slices.BinarySearch(f.starts, start)
	if !found || start+len(text) <= f.at || !token.InWord(rune(text[0])) && text[0] != ':' {
		return "", 0
	}
	return text, word
}

// isCompared reports whether something that is no text is compared with a word, as = word, LIKE word or IN (word:
// that is rather a text than a column.
func (f *fault) isCompared(i int) bool {
	operator := i - 1
	if list := f.listOf(i); list >= 0 {
		operator = list
	}
	switch f.keyword(operator) {
	case "=", "LIKE", "GLOB", "IN", "IS":
	case ">":
		if f.keyword(operator-1) != "<" {
			return false
		}
	case "NOT":
		if f.keyword(operator-1) != "IS" {
			return false
		}
	default:
		return false
	}
	left := operator - 1
	for slices.Contains([]string{"=", "<", ">", "!", "NOT", "IS"}, f.keyword(left)) {
		left--
	}
	return left >= 0 && !strings.ContainsRune("'0123456789", rune(f.words[left][0]))
}

// listOf returns where IN is, if a word is in a list behind it; else -1.
func (f *fault) listOf(i int) int {
	for i--; i > 0 && f.words[i] != "("; i-- {
		if f.words[i] == ")" {
			return -1
		}
	}
	if i > 0 && f.keyword(i-1) == "IN" {
		return i - 1
	}
	return -1
}

// clauseOf returns the keyword that begins the part of the statement where a word is.
func (f *fault) clauseOf(i int) string {
	for depth := 0; i >= 0; i-- {
		switch keyword := f.keyword(i); {
		case keyword == ")":
			depth++
		case keyword == "(":
			depth = max(depth-1, 0)
		case depth == 0 && slices.Contains([]string{"SELECT", "ON", "WHERE", "HAVING", "SET"}, keyword):
			return keyword
		}
	}
	return ""
}

// command returns the command that was meant by a statement that begins as other programs have it, or without
// the dot; else "".
func (f *fault) command() string {
	if f.word != 0 {
		return ""
	}
	switch first := strings.ToLower(f.words[0]); first {
	case "show":
		return ".tables"
	case "describe", "desc":
		if len(f.words) > 1 {
			if t := f.named(unquoted(f.words[1]), nil); t.Name != "" {
				return ".schema " + t.Name
			}
		}
		return ".schema"
	default:
		if slices.ContainsFunc(Commands(), func(c Command) bool { return c.Name == "."+first }) {
			return "." + first
		}
	}
	return ""
}
