// Package nearest finds out what was meant by a name that is misspelt or shortened.
package nearest

import (
	"cmp"
	"slices"
	"strings"
)

const (
	// maxLength is how many bytes a name has at most that something can be meant by.
	maxLength = 64
	// most is how many names may have been meant.
	most = 2
)

// Of returns which of the names that there are was probably meant, the likeliest first, at most two; none if
// none is near. That is one that is spelt almost so (in_cidr_blok: in_cidr_block), else one of which the end is
// missing (kernel_rout: kernel_routes), else one that has all words of it (kernel_rules: kernel_route_rules), else
// one that it shortens (gtw: gateway).
func Of(name string, there []string) []string {
	if name == "" || len(name) > maxLength {
		return nil
	}
	name = strings.ToLower(name)
	slip := func(name, text string) (int, bool) {
		far, ok := misspelt(name, text)
		return far, ok && far <= 1
	}
	for _, likeness := range []func(string, string) (int, bool){slip, begun, wordsOf, misspelt, shortened} {
		type candidate struct {
			text string
			far  int
		}
		var found []candidate
		for _, text := range there {
			if far, ok := likeness(name, strings.ToLower(text)); ok {
				found = append(found, candidate{text, far})
			}
		}
		slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.far, b.far) })
		var names []string
		for _, c := range found {
			if c.far == found[0].far && !slices.Contains(names, c.text) && len(names) < most {
				names = append(names, c.text)
			}
		}
		if names != nil {
			return names
		}
	}
	return nil
}

// Question asks whether names were meant, "" if there are none.
func Question(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(names, " or ") + "?"
}

// begun: but for the end.
func begun(name, text string) (far int, ok bool) {
	const least, most = 4, 3
	far = len(text) - len(name)
	return far, len(name) >= least && far <= most && strings.HasPrefix(text, name)
}

// misspelt: with a third of the characters in error, but not with all of a short name.
func misspelt(name, text string) (far int, ok bool) {
	allowed := min((len(name)+1)/3, 3)
	if n := len(name) - len(text); n > allowed || -n > allowed {
		return 0, false
	}
	far = Distance(name, text)
	return far, far <= allowed && far < len(name)
}

// wordsOf: each word of the name is one of the text, or almost.
func wordsOf(name, text string) (far int, ok bool) {
	split := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r == '_' || r == '-' })
	}
	words := split(text)
	for _, w := range split(name) {
		if len(w) < 3 || !slices.ContainsFunc(words, func(word string) bool {
			return w == word || len(w) > 3 && Distance(w, word) == 1
		}) {
			return 0, false
		}
	}
	return len(words), true
}

// shortened: the name has the first character of the text, and others of it in their order.
func shortened(name, text string) (far int, ok bool) {
	if len(name) < 2 || len(name) >= len(text) || name[0] != text[0] {
		return 0, false
	}
	at := 0
	for i := 0; i < len(text) && at < len(name); i++ {
		if text[i] == name[at] {
			at++
		}
	}
	return len(text), at == len(name)
}

// Distance returns how many bytes are to be inserted, deleted, replaced, or swapped with their neighbour, none
// twice, to make one text another.
func Distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := last[j]
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
