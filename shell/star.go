package shell

import (
	"slices"
	"strings"

	"kernelroutes/shell/token"
)

// stars say which columns of a statement come from * or table.*: all but some at the beginning and
// at the end, which are named.
type stars struct {
	any         bool
	first, last int // how many are named before, and behind
}

// from reports whether a column comes from a star.
func (s stars) from(i, columns int) bool { return s.any && i >= s.first && i < columns-s.last }

// starsOf returns which columns of a statement come from stars. Where a named column stands between
// two stars it cannot be told: then none do.
func starsOf(sql string) (s stars) {
	between := 0
	for _, star := range selected(sql) {
		switch {
		case star && between > 0:
			return stars{}
		case star:
			s.any = true
		case s.any:
			between++
		default:
			s.first++
		}
	}
	if s.last = between; !s.any {
		return stars{}
	}
	return s
}

// selected returns what the first SELECT of a statement selects that is in no parentheses: for each
// item whether it is a star.
func selected(sql string) (items []bool) {
	var item []string
	found, depth, before := false, 0, ""
	for token := range token.Words(sql) {
		switch {
		case token == "(":
			depth++
		case token == ")":
			depth--
		}
		word := strings.ToUpper(token)
		switch {
		case before == "" && word != "SELECT" && word != "WITH": // EXPLAIN, PRAGMA, ...
			return nil
		case !found:
			found = depth == 0 && word == "SELECT"
		case depth == 0 && word == ",":
			items, item = append(items, isStar(item)), item[:0]
		case depth == 0 && (word == "FROM" && before != "DISTINCT" || slices.Contains(ends, word)):
			return append(items, isStar(item))
		case len(items) == 0 && len(item) == 0 && (word == "DISTINCT" || word == "ALL"):
		default:
			item = append(item, token)
		}
		before = word
	}
	return append(items, isStar(item))
}

// ends are what else may stand behind what is selected, and have another SELECT behind it.
var ends = []string{"UNION", "EXCEPT", "INTERSECT", ";"}

// isStar reports whether an item is * or table.*.
func isStar(item []string) bool {
	n := len(item)
	return n > 0 && item[n-1] == "*" && (n == 1 || item[n-2] == ".")
}
