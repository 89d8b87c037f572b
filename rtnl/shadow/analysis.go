package shadow

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// An Analysis is the routes of a snapshot by table. It is not for concurrent use.
type Analysis struct {
	snap   *rtnl.Snapshot
	tables []*Table
	byID   map[tableID]*Table
	order  map[object.Family]*order
}

// A Table is the routes of one table, by their destinations, those to one destination in the order in
// which the kernel looks at them. Routes of families other than IPv4 and IPv6 are as the kernel has them.
type Table struct {
	Family object.Family
	ID     uint32

	of      *Analysis
	routes  []route
	nodes   []node         // nil: it has not been worked out yet, as what follows
	first   []int32        // of each route: the one that is looked at first for its packets, see firsts
	own     *cover         // what is decided in the table: also that the next rule is asked
	tos     bool           // some are for a type of service
	answers map[int]*cover // what is decided, by the length up to which prefixes are not accepted
	reach   []reach        // the rules that lead to it
	barrier int            // the place of the rule because of which none of these is asked, -1: some may be
	lengths []int          // up to which rules that lead to it do not accept prefixes, in order
	before  map[int]before // what is asked before, by the first of the lengths that a route is within
}

type tableID struct {
	family object.Family
	id     uint32
}

// A route is what is needed of one to compare it with others, and where it is.
type route struct {
	prefix
	flags  uint8
	family object.Family
	tos    uint8
	table  uint32
	metric uint32
	run    uint32 // among those of the snapshot,
	offset uint64 // and where in it the message begins
}

// What a route is.
const (
	alive   = 1 << iota // a packet can take it, or is refused
	rejects             // of type blackhole, unreachable, prohibit or throw
	throws              // of type throw
	sourced             // for some sources only
)

// comparedFields are what a route is compared by.
const comparedFields = object.FieldDst | object.FieldSrc | object.FieldPriority | object.FieldTable |
	object.FieldNexthops | object.FieldCache

// Analyze sorts the routes of a snapshot, which should have all routes of their tables and families, all
// rules, all links (for VRFs) and the nexthop objects that the routes use.
func Analyze(ctx context.Context, snap *rtnl.Snapshot) (*Analysis, error) {
	a := &Analysis{snap: snap, byID: map[tableID]*Table{}, order: map[object.Family]*order{}}
	routes, err := a.collect(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(routes, compareRoutes)
	for len(routes) > 0 {
		first := routes[0]
		n := 1
		for n < len(routes) && routes[n].family == first.family && routes[n].table == first.table {
			n++
		}
		t := &Table{Family: first.family, ID: first.table, of: a, routes: routes[:n:n]}
		a.tables = append(a.tables, t)
		a.byID[tableID{t.Family, t.ID}] = t
		routes = routes[n:]
	}
	for _, f := range []object.Family{object.IPv4, object.IPv6} {
		a.order[f] = newOrder(snap, f)
	}
	return a, nil
}

func (a *Analysis) collect(ctx context.Context) ([]route, error) {
	routes := make([]route, 0, a.snap.Count(object.Routes.Kind))
	var r object.Route
	var m object.Message
	var hops []object.Nexthop
	for run, all := range a.snap.Runs(object.Routes.Kind) {
		for offset := range all.Offsets() {
			if len(routes)%1024 == 0 && ctx.Err() != nil {
				return nil, fmt.Errorf("compare routes: %w", context.Cause(ctx))
			}
			one := all.At(offset)
			one.Next(&m)
			r.Decode(&m, comparedFields)
			c := route{prefix: prefixOf(r.Dst), family: r.Family, tos: r.TOS, table: r.Table, metric: r.Priority.V,
				run: uint32(run), offset: uint64(offset)}
			hops = a.snap.Nexthops(&r, hops)
			c.flags = flagsOf(a.snap, &r, hops)
			routes = append(routes, c)
		}
	}
	return routes, nil
}

// flagsOf tells what a route is.
func flagsOf(snap *rtnl.Snapshot, r *object.Route, hops []object.Nexthop) (flags uint8) {
	if r.Src.IsValid() && r.Src.Bits() > 0 {
		flags |= sourced
	}
	switch r.Type {
	case object.Throw:
		flags |= throws | rejects
	case object.Blackhole, object.Unreachable, object.Prohibit:
		flags |= rejects
	}
	if r.Family == object.IPv4 && flags&rejects != 0 {
		return flags | alive // no interface is looked at (fib_table_lookup)
	}
	if r.Cache.OK && r.Cache.V.Expires < 0 || r.Flags&object.RTNH_F_DEAD != 0 && len(hops) <= 1 {
		return flags
	}
	if r.NexthopID.OK {
		o, known := rtnl.Get(snap, object.NexthopObjects, r.NexthopID.V)
		if !known && len(hops) == 1 && hops[0].OIF == 0 {
			return flags
		}
		if known && len(hops) == 0 {
			if r.Family == object.IPv4 || o.Blackhole {
				flags |= rejects
			}
			return flags | alive // a blackhole
		}
	}
	lives := func(h object.Nexthop) bool { return h.Flags&object.RTNH_F_DEAD == 0 }
	if len(hops) == 0 || slices.ContainsFunc(hops, lives) {
		flags |= alive
	}
	return flags
}

// compareRoutes orders routes by table and destination, then as the kernel looks at them: IPv4 by type of
// service, the highest first, and metric (fib_find_alias), IPv6 by source, the longest first, and metric
// (fib6_add_rt2node); those that are alike as they came.
func compareRoutes(a, b route) int {
	c := cmp.Or(cmp.Compare(a.family, b.family), cmp.Compare(a.table, b.table))
	if c == 0 && (a.family == object.IPv4 || a.family == object.IPv6) {
		c = cmp.Or(a.prefix.compare(b.prefix), cmp.Compare(b.tos, a.tos), cmp.Compare(b.flags&sourced, a.flags&sourced),
			cmp.Compare(a.metric, b.metric))
	}
	return cmp.Or(c, cmp.Compare(a.run, b.run), cmp.Compare(a.offset, b.offset))
}

// Tables yields the tables that have routes, by family and number.
func (a *Analysis) Tables() iter.Seq[*Table] { return slices.Values(a.tables) }

// Table returns a table; nil: it has no routes.
func (a *Analysis) Table(f object.Family, id uint32) *Table { return a.byID[tableID{f, id}] }

// Len returns how many routes the table has.
func (t *Table) Len() int { return len(t.routes) }

// Route decodes a route of the table by its place in it. It is valid as long as the snapshot.
func (t *Table) Route(i int, r *object.Route, want object.Fields) {
	var m object.Message
	c := &t.routes[i]
	one := t.of.snap.Runs(object.Routes.Kind)[c.run].At(int(c.offset))
	one.Next(&m)
	r.Decode(&m, want)
}

func search(nodes []node, p prefix) (int, bool) {
	return slices.BinarySearchFunc(nodes, p, func(n node, p prefix) int { return n.prefix.compare(p) })
}

// SameRank reports whether two routes to one destination differ in nothing that says which comes first, but
// that one was there before the other.
func (t *Table) SameRank(i, j int) bool {
	return t.routes[i].metric == t.routes[j].metric && t.routes[i].tos == t.routes[j].tos
}
