package survival

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// A soakThing is what a row, or several, are to show: a route, a rule or a nexthop object.
type soakThing struct {
	soakPlace
	text    string   // of its row: see textOfRoute, textOfRule, textOfNexthop
	hops    string   // of its rows in kernel_route_nexthops
	partial []string // texts and hops while the kernel adds an IPv6 route's nexthops one by one

	typ, protocol, dev string
	gateways           []string
	nexthop            uint32            // the nexthop object that a route uses; 0: none
	members            map[uint32]uint32 // the weights of a group
	route, remove      []byte            // payloads of requests, to make it and to take it away
}

// A soakPlace is where no more than one thing is at a time.
type soakPlace struct {
	kind          string // route, rule, nexthop
	family, table string
	dst           string // of a route; the id of an object
	metric        int    // or a rule's priority
}

// A soakVersion is what was at a place, nil for nothing. The kernel was asked to make it so at
// start, and had done so at end, which is zero before.
type soakVersion struct {
	start, end time.Time
	is         *soakThing
}

// A soakModel knows what there was at each place, for soakMemory.
type soakModel struct {
	mu     sync.Mutex
	places map[soakPlace][]soakVersion
}

// soakMemory is for how long a model knows what was before. A query takes less.
const soakMemory = 2 * time.Minute

func newSoakModel() *soakModel { return &soakModel{places: map[soakPlace][]soakVersion{}} }

// now returns what is at a place, if nothing is being changed.
func (m *soakModel) now(p soakPlace) *soakThing {
	m.mu.Lock()
	defer m.mu.Unlock()
	if all := m.places[p]; len(all) > 0 {
		return all[len(all)-1].is
	}
	return nil
}

// those returns the things that there are, by their place.
func (m *soakModel) those(kind string) map[soakPlace]*soakThing {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[soakPlace]*soakThing{}
	for p, versions := range m.places {
		if is := versions[len(versions)-1].is; is != nil && p.kind == kind {
			all[p] = is
		}
	}
	return all
}

// begin notes that the kernel is asked for a change, which end ends.
func (m *soakModel) begin(change map[soakPlace]*soakThing) (end func(done bool)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for p, is := range change {
		all := m.places[p]
		for len(all) > 1 && !all[1].end.IsZero() && now.Sub(all[1].end) > soakMemory {
			all = all[1:]
		}
		m.places[p] = append(all, soakVersion{start: now, is: is})
	}
	return func(done bool) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for p := range change {
			all := m.places[p]
			if last := len(all) - 1; done {
				all[last].end = time.Now()
			} else if m.places[p] = all[:last]; last == 0 {
				delete(m.places, p)
			}
		}
	}
}

// possible returns what may have been at a place between two times, nil for nothing. It is called
// with m.mu held.
func (m *soakModel) possible(p soakPlace, from, to time.Time) (all []*soakThing) {
	versions := m.places[p]
	if len(versions) == 0 || versions[0].start.After(from) {
		all = append(all, nil)
	}
	for i, v := range versions {
		if v.start.After(to) {
			break
		}
		if i+1 < len(versions) && !versions[i+1].end.IsZero() && versions[i+1].end.Before(from) {
			continue
		}
		all = append(all, v.is)
	}
	return all
}

// A soakAnswer is what rows say, for comparison with a model.
type soakAnswer struct {
	from, to time.Time
	part     bool // the kernel could not be read consistently, which every row says
	rows     map[soakPlace][]string
	wanted   func(*soakThing) bool // what conditions choose
	hops     bool                  // texts are those of nexthops
}

// compare returns in what the answer is not what it has to be: of each thing that was there all the
// time there is one row, of one that was there for a part of it there is one or none, and each is as
// the thing was at some time.
func (m *soakModel) compare(a *soakAnswer) (wrong []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	report := func(p soakPlace, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("%v: ", p)+fmt.Sprintf(format, args...))
	}
	for p, versions := range m.places {
		if !slices.ContainsFunc(versions, func(v soakVersion) bool { return v.is != nil && a.wanted(v.is) }) {
			continue
		}
		texts, absent := m.texts(p, a)
		switch rows := a.rows[p]; {
		case len(rows) > 1:
			report(p, "%d rows: %q", len(rows), rows)
		case len(rows) == 1 && !slices.Contains(texts, rows[0]):
			report(p, "is %q, may be %q, absent %v", rows[0], texts, absent)
		case len(rows) == 0 && !absent && !a.part:
			report(p, "is missing, may be %q", texts)
		}
	}
	for p, rows := range a.rows {
		if m.places[p] == nil {
			report(p, "was never there, and is %q", rows)
		}
	}
	slices.Sort(wrong)
	return wrong
}

// texts returns what the row of a place may say, and whether there may be none.
func (m *soakModel) texts(p soakPlace, a *soakAnswer) (texts []string, absent bool) {
	for _, is := range m.possible(p, a.from, a.to) {
		switch {
		case is == nil || !a.wanted(is):
			absent = true
		case a.hops:
			texts = append(append(texts, is.hops), is.partial...)
		default:
			texts = append(append(texts, is.text), is.partial...)
		}
	}
	return texts, absent
}

// bounds returns how many of the things that are wanted there were, at least and at most.
func (m *soakModel) bounds(from, to time.Time, wanted func(*soakThing) bool) (least, most int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.places {
		is := func(t *soakThing) bool { return t != nil && wanted(t) }
		all := m.possible(p, from, to)
		if slices.ContainsFunc(all, is) {
			most++
			if !slices.ContainsFunc(all, func(t *soakThing) bool { return !is(t) }) {
				least++
			}
		}
	}
	return least, most
}

// A soakRow is a row, by the names of columns, of SQL or of what ip prints.
type soakRow = map[string]string

// soakRouteColumns are those that placeOfRoute and textOfRoute need.
const soakRouteColumns = "family, table_name, dst, metric, type, protocol, gateway, dev, nexthop_count, nexthop_id, " +
	"mtu, snapshot_consistent"

func placeOfRoute(r soakRow) soakPlace {
	p := soakPlace{kind: "route", family: r["family"], table: r["table_name"], dst: r["dst"]}
	fmt.Sscan(r["metric"], &p.metric)
	return p
}

// textOfRoute leaves out what follows from a nexthop object, which is another thing.
func textOfRoute(r soakRow) string {
	switch {
	case r["nexthop_id"] != "":
		return fmt.Sprintf("unicast %s mtu %q nexthop object %s", r["protocol"], r["mtu"], r["nexthop_id"])
	case r["type"] != "unicast":
		return r["type"] + " " + r["protocol"]
	}
	return fmt.Sprintf("unicast %s mtu %q via %s dev %s of %s", r["protocol"], r["mtu"], r["gateway"], r["dev"],
		r["nexthop_count"])
}

const soakRuleColumns = "family, priority, src, table_name, protocol, action, snapshot_consistent"

func placeOfRule(r soakRow) soakPlace {
	p := soakPlace{kind: "rule", family: r["family"]}
	fmt.Sscan(r["priority"], &p.metric)
	return p
}

func textOfRule(r soakRow) string { return r["src"] + " " + r["table_name"] }

const soakNexthopColumns = "nexthop_id, gateway, dev, group_member_id, weight, snapshot_consistent"

func placeOfNexthop(r soakRow) soakPlace { return soakPlace{kind: "nexthop", dst: r["nexthop_id"]} }

// textsOfNexthops are what rows say of nexthop objects: a group has a row for each of its members.
func textsOfNexthops(rows []soakRow) map[soakPlace][]string {
	groups, all := map[soakPlace][]string{}, map[soakPlace][]string{}
	for _, r := range rows {
		if p := placeOfNexthop(r); r["group_member_id"] == "" {
			all[p] = append(all[p], "via "+r["gateway"]+" dev "+r["dev"])
		} else {
			groups[p] = append(groups[p], r["group_member_id"]+"/"+r["weight"])
		}
	}
	for p, members := range groups {
		slices.Sort(members)
		all[p] = append(all[p], "group "+strings.Join(members, " "))
	}
	return all
}

func textOfGroup(members map[uint32]uint32) string {
	var all []string
	for _, id := range slices.Collect(maps.Keys(members)) {
		all = append(all, fmt.Sprintf("%d/%d", id, members[id]))
	}
	slices.Sort(all)
	return "group " + strings.Join(all, " ")
}

// textsOf are the texts of rows by their places.
func textsOf(rows []soakRow, place func(soakRow) soakPlace, text func(soakRow) string) map[soakPlace][]string {
	all := map[soakPlace][]string{}
	for _, r := range rows {
		all[place(r)] = append(all[place(r)], text(r))
	}
	return all
}
