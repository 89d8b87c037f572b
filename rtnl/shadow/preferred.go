package shadow

import (
	"net/netip"

	"kernelroutes/rtnl/object"
)

// preferred returns the route to the same destination that always comes before another one.
func (t *Table) preferred(i int) (before int, ok bool) {
	r := &t.routes[i]
	before = int(t.first[i])
	switch {
	case before < 0:
		return before, false
	case t.Family == object.IPv6:
		return before, t.routes[before].metric < r.metric
	}
	// Of default routes that are alike the kernel takes one whose gateway answers (fib_select_default).
	return before, before < i && (t.routes[before].metric < r.metric || r.bits > 0)
}

// firsts returns for each route which one of those to its destination, for the same packets, comes before all
// that it can come before; -1: none does for certain. Each is looked at once: there may be many to one destination.
func (t *Table) firsts() []int32 {
	all := make([]int32, len(t.routes))
	for i := range t.nodes {
		if t.Family == object.IPv6 {
			t.firsts6(&t.nodes[i], all)
		} else {
			t.firsts4(&t.nodes[i], all)
		}
	}
	return all
}

// firsts4 finds the first route of each type of service that a packet can take. Those of one come together.
func (t *Table) firsts4(n *node, all []int32) {
	first := int32(-1)
	for i := n.from; i < n.to; i++ {
		if i > n.from && t.routes[i].tos != t.routes[i-1].tos {
			first = -1
		}
		if first < 0 && t.routes[i].flags&alive != 0 {
			first = i
		}
		all[i] = first
	}
}

// firsts6 finds for each source one of the routes with the lowest metric, of which one is taken if any is alive;
// else the preference of the router counts more than the metric (find_rr_leaf).
func (t *Table) firsts6(n *node, all []int32) {
	if n.to == n.from+1 && t.routes[n.from].flags&sourced == 0 { // as nearly all are
		all[n.from] = -1
		if t.routes[n.from].flags&alive != 0 {
			all[n.from] = n.from
		}
		return
	}
	lowest := map[netip.Prefix]int32{}
	sources := make([]netip.Prefix, n.to-n.from)
	for i := n.from; i < n.to; i++ {
		src := t.source(i)
		sources[i-n.from] = src
		first, ok := lowest[src]
		if !ok || t.routes[first].flags&alive == 0 && t.routes[first].metric == t.routes[i].metric {
			lowest[src] = i
		}
	}
	for i, src := range sources {
		first := lowest[src]
		if t.routes[first].flags&alive == 0 {
			first = -1
		}
		all[n.from+int32(i)] = first
	}
}

// source returns which sources a route is for; the zero prefix: all.
func (t *Table) source(i int32) netip.Prefix {
	if t.routes[i].flags&sourced == 0 {
		return netip.Prefix{}
	}
	var r object.Route
	t.Route(int(i), &r, object.FieldSrc)
	return r.Src
}
