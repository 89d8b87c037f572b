package tables

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"kernelroutes/internal/nearest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A condition that no row can meet gives no row and no error, as SQL wants it, and
// so a check whether there is some route passes for ever if a name in it is written
// wrongly. That is said, with what was probably meant.

// A domain tells which values a column can have.
type domain struct {
	absent bool // the empty text is one of them

	// spell returns the spelling of a value that rows show; false: no row can have it.
	spell func(value string) (string, bool)
	// can is asked instead where there is but one spelling.
	can func(n *iproute2.Names, value string) bool

	// advise says what to do about a value that no row can have. "" is said of a
	// value that turns out to be possible.
	advise func(a *adviser, value string) string
}

func (d *domain) allows(n *iproute2.Names, value string) bool {
	switch {
	case value == "" && d.absent:
		return true
	case d.spell != nil:
		_, ok := d.spell(value)
		return ok
	}
	return d.can(n, value)
}

// An adviser is who knows what there is.
type adviser struct {
	ctx    context.Context
	src    Source
	names  *iproute2.Names
	column string
	at     *place // where the query looks
}

// maxWarnings is how many values of one condition are warned of.
const maxWarnings = 3

// warn tells of conditions that no row can meet, because none of the values that
// they allow is one that rows can have. Of an IN list with a possible value nothing
// is said, nor of a possible value that just no row has at the moment. An engine may
// compare text without regard to case (COLLATE NOCASE) or to blanks at the end,
// which it does not tell: osquery hands such a condition over like any other, and it
// is warned of although rows may meet it.
func (p *plan[R]) warn(ctx context.Context, table string, src Source, q Query, at *place) {
	for i := range p.checks {
		c := &p.checks[i]
		col := &p.columns[c.column]
		possible := func(v string) bool {
			return col.domain.allows(p.names, v) || col.domain == outputs && (q.Elsewhere || !p.devs.lack(v)) ||
				col.domain == inputs && (q.Elsewhere || at.all())
		}
		if col.domain == nil || slices.Contains(q.Joined, c.column) || slices.ContainsFunc(c.values, possible) {
			continue
		}
		a := adviser{ctx, src, p.names, col.Name, at}
		for _, v := range c.values[:min(len(c.values), maxWarnings)] {
			text := recent.recall(adviceKey{p.names, table, at.id, c.column, v}, func(affordable bool) string {
				return a.warning(table, col.domain, v, affordable)
			})
			if text != "" {
				q.Warn(text)
			}
		}
	}
}

// warning is what to say of a value; "" if it turns out to be possible. Without
// affordable it is to cost nothing.
func (a *adviser) warning(table string, d *domain, value string, affordable bool) string {
	text := fmt.Sprintf("%s: no row can have %s=%s", table, a.column, quote(value))
	if !utf8.ValidString(value) {
		value = string(wire.AppendName(nil, value)) // as a row shows such bytes
	}
	if trimmed := strings.TrimSpace(value); trimmed != value && d.allows(a.names, trimmed) {
		return text + ": " + didYouMean(trimmed)
	}
	if !affordable {
		return text
	}
	advice := d.advise(a, value)
	if advice == "" {
		return ""
	}
	return text + ": " + advice
}

// quote is the value as it would stand in SQL, shortened, on one line.
func quote(value string) string {
	const most = 80
	if r := []rune(value); len(r) > most {
		value = string(r[:most]) + "..."
	}
	value = strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar
	}, value)
	return "'" + strings.ReplaceAll(value, "'", "''") + "'"
}

// warnOfInputs tells of columns that say what to show, and that are used without saying it. It
// may be that SQLite asks before it knows the value, which another table has: then it drops
// all rows. It does so where the table has a constant condition too, and where it stands
// before the other one.
func (p *plan[R]) warnOfInputs(t *Table, q Query) {
	said := map[string]bool{netnsName: len(p.inodes) > 0} // what was asked for, and what has been told
	for i := range p.checks {
		said[p.columns[p.checks[i].column].Input] = true
	}
	for i := range p.columns {
		c := &p.columns[i]
		if c.Input == "" || said[c.Input] || q.Used == nil || !q.Used[i] || c.Name == netnsID {
			continue
		}
		said[c.Input] = true
		q.Warn(fmt.Sprintf("%s: %s is used, but no value for it has come: if it is to be another table's, write "+
			"OTHER_TABLE CROSS JOIN %[1]s ON ...", t.Name, c.Name))
	}
}

// An adviceCache holds what was said of late, because a join says the same of
// each of its rows, and bounds what is spent on it.
type adviceCache struct {
	mu    sync.Mutex
	since time.Time
	spent time.Duration
	texts map[adviceKey]string
}

type adviceKey struct {
	names  *iproute2.Names // the host's
	table  string
	place  uint64
	column int
	value  string
}

const (
	adviceTime = 10 * time.Second // after which all is forgotten
	maxAdvice  = 64               // values that are spoken of in that time
	maxSpent   = time.Second      // then values are named without advice
)

var recent adviceCache

// recall returns what was said, or else what work returns; "" if enough was said.
func (m *adviceCache) recall(key adviceKey, work func(affordable bool) string) string {
	m.mu.Lock()
	if now := time.Now(); now.Sub(m.since) > adviceTime {
		m.since, m.spent, m.texts = now, 0, map[adviceKey]string{}
	}
	text, ok := m.texts[key]
	full, affordable := len(m.texts) >= maxAdvice, m.spent < maxSpent
	m.mu.Unlock()
	if ok || full {
		return text
	}
	start := time.Now()
	text = work(affordable)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spent += time.Since(start)
	m.texts[key] = text
	return text
}

// isNear reports whether suggest would name one of them alone.
func isNear(value string, there []string) bool {
	return slices.ContainsFunc(there, func(text string) bool { return distance(value, text) <= near(value) })
}

// near is the distance up to which a value may be meant by another.
func near(value string) int { return max(1, min(len(value), maxCompared)/3) }

// maxCompared is how many bytes of a value are compared with others.
const maxCompared = 1000

// suggest names the nearest of the values that there are, or several where none is
// near. Of values as near the first is preferred.
func suggest(value string, there []string) string {
	type candidate struct {
		text     string
		distance int
	}
	seen := map[string]bool{}
	var all []candidate
	for _, text := range there {
		if text != "" && !seen[text] {
			seen[text] = true
			all = append(all, candidate{text, distance(value, text)})
		}
	}
	slices.SortStableFunc(all, func(x, y candidate) int { return x.distance - y.distance })
	if len(all) == 0 {
		return "there is none"
	}
	if all[0].distance <= near(value) {
		return didYouMean(all[0].text)
	}
	const most = 6
	var nearest []string
	for _, c := range all[:min(most, len(all))] {
		nearest = append(nearest, quote(c.text))
	}
	return "the nearest that there are: " + strings.Join(nearest, ", ")
}

func didYouMean(value string) string { return "did you mean " + quote(value) + "?" }

// distance is how far a value is from a text, without regard to case and to blanks around.
func distance(a, b string) int {
	a = strings.ToLower(strings.TrimSpace(a))
	return nearest.Distance(a[:min(len(a), maxCompared)], strings.ToLower(b))
}

// read asks for more. A piece of advice is not worth much time.
func (a *adviser) read(filter rtnl.Filter, kinds ...*object.Kind) *rtnl.Snapshot {
	ctx, cancel := context.WithTimeout(a.ctx, maxSpent)
	defer cancel()
	s, err := a.src.Read(ctx, a.at.request(&rtnl.Request{Kinds: kinds, Filter: filter}))
	if err != nil {
		return &rtnl.Snapshot{}
	}
	return s
}
