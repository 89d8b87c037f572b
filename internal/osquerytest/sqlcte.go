package osquerytest

import (
	"slices"
	"strings"
)

// materialized returns SQL with AS MATERIALIZED for each common table expression that is used
// more than once and says nothing of it. That is what SQLite did by itself (3.35 until osquery's
// 3.42 at least); newer ones may ask the tables again for each use, with its conditions.
func materialized(sql string) string {
	all := tokens(sql)
	var insert []int // where in the SQL, from the last to the first
	for i := range all {
		if all[i].is("with") {
			for _, at := range usedTwice(all, i) {
				insert = append(insert, all[at].end)
			}
		}
	}
	slices.Sort(insert)
	for _, at := range slices.Backward(insert) {
		sql = sql[:at] + " MATERIALIZED" + sql[at:]
	}
	return sql
}

// A word is a token that is neither blank nor comment.
type word struct {
	text string
	end  int // in the SQL
}

func (w word) is(keywords ...string) bool {
	return slices.ContainsFunc(keywords, func(k string) bool { return strings.EqualFold(k, w.text) })
}

// name is what an identifier stands for.
func (w word) name() string { return strings.ToLower(strings.Trim(w.text, "\"`[]")) }

func tokens(sql string) (all []word) {
	for at := 0; at < len(sql); {
		text := token(sql[at:])
		at += len(text)
		if strings.TrimSpace(text) != "" && !strings.HasPrefix(text, "--") && !strings.HasPrefix(text, "/*") {
			all = append(all, word{text, at})
		}
	}
	return all
}

// A cte is name AS (body), as places in the words of the SQL.
type cte struct {
	name      string
	as        int
	says      bool // [NOT] MATERIALIZED
	from, end int  // the body, without its parentheses
}

// usedTwice returns where the AS of such ones are of the WITH at a place.
func usedTwice(all []word, with int) (places []int) {
	at := with + 1
	if at < len(all) && all[at].is("recursive") {
		at++
	}
	var ctes []cte
	for more := true; more && at+1 < len(all); {
		c := cte{name: all[at].name()}
		if at++; all[at].is("(") {
			at = closing(all, at) + 1
		}
		for c.as = at; at < len(all) && !all[at].is("("); at++ {
			c.says = c.says || all[at].is("materialized")
		}
		c.from, c.end = at+1, closing(all, at)
		ctes = append(ctes, c)
		at = c.end + 1
		more = at < len(all) && all[at].is(",")
		at++
	}
	at = min(at-1, len(all))
	end := at // of the statement
	for end < len(all) && !all[end].is(")", ";") {
		if all[end].is("(") {
			end = closing(all, end)
		}
		end = min(end+1, len(all))
	}
	for i, c := range ctes {
		if !c.says && c.as < len(all) && uses(all, ctes, i, at, end) > 1 {
			places = append(places, c.as)
		}
	}
	return places
}

// uses is how often a cte is read: in the statement, and wherever one that is defined later is
// that reads it.
func uses(all []word, ctes []cte, i, at, end int) int {
	n := reads(all, ctes[i].name, at, end)
	for later := i + 1; later < len(ctes); later++ {
		if in := reads(all, ctes[i].name, ctes[later].from, ctes[later].end); in > 0 {
			n += in * uses(all, ctes, later, at, end)
		}
	}
	return n
}

// reads counts where a name stands in FROM.
func reads(all []word, name string, from, end int) (n int) {
	for i := from; i < min(end, len(all)); i++ {
		if all[i].name() == name && !strings.HasPrefix(all[i].text, "'") && inFrom(all, i) {
			n++
		}
	}
	return n
}

func inFrom(all []word, i int) bool {
	if i+1 < len(all) && all[i+1].is(".", "(") || i == 0 {
		return false
	}
	if !all[i-1].is(",") {
		return all[i-1].is("from", "join")
	}
	for depth, i := 0, i-1; i >= 0; i-- {
		switch {
		case all[i].is(")"):
			depth++
		case all[i].is("("):
			depth--
		case depth == 0 && all[i].is("from"):
			return true
		case depth == 0 && all[i].is("select", "where", "by", "having", "limit", "window", "values"):
			return false
		}
		if depth < 0 {
			return false
		}
	}
	return false
}

// closing returns where the parenthesis ends that is opened at a place.
func closing(all []word, at int) int {
	for depth := 0; at < len(all); at++ {
		if all[at].is("(") {
			depth++
		} else if all[at].is(")") {
			if depth--; depth == 0 {
				return at
			}
		}
	}
	return len(all)
}
