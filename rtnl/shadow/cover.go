package shadow

import "slices"

// What the routes to one destination do for certain with a packet that nothing more specific is for.
type class uint8

const (
	unsure class = iota // with some packets something, or nothing: what is less specific may decide
	decides
	passes // some packets, or all, go on to the next rule
)

// A node is a destination of a table's, and the routes to it.
type node struct {
	prefix
	from, to int32 // of the table's routes
	parent   int32 // the node next to it of those that contain it, -1: none
	after    int32 // the first node after it that it does not contain
}

// nodesOf makes the nodes of routes that are in the order of their destinations.
func nodesOf(routes []route) []node {
	var nodes []node
	open := int32(-1) // the innermost node that may contain the next one
	for i := range routes {
		if n := len(nodes); n > 0 && nodes[n-1].prefix == routes[i].prefix {
			nodes[n-1].to++
			continue
		}
		for open >= 0 && !nodes[open].contains(routes[i].prefix) {
			nodes[open].after = int32(len(nodes))
			open = nodes[open].parent
		}
		nodes = append(nodes, node{prefix: routes[i].prefix, from: int32(i), to: int32(i + 1), parent: open})
		open = int32(len(nodes) - 1)
	}
	for ; open >= 0; open = nodes[open].parent {
		nodes[open].after = int32(len(nodes))
	}
	return nodes
}

// A tiling is nodes which together cover a destination: the first ones of them.
type tiling struct {
	first [2]int32
	count int32
}

func (t *tiling) add(o tiling) {
	for i := range min(o.count, 2) {
		if at := t.count + i; at < 2 {
			t.first[at] = o.first[i]
		}
	}
	t.count += o.count
}

func one(n int32) tiling { return tiling{first: [2]int32{n}, count: 1} }

// A cover is what a table decides for certain.
type cover struct {
	nodes []node
	state []state
	holes []int32 // before each node: how many have not whole
	found map[prefix]tiling
}

// A state is what is certain of a node's destination.
type state struct {
	class class
	whole bool // all of it is decided, if what is less specific decides
	alone bool // all of it is decided, by the node and what it contains
	tiled bool // all of it is decided by what the node contains
	tiles tiling
}

// newCover works out what a table decides, from the longest prefixes to the shortest.
func newCover(nodes []node, classOf func(*node) class) *cover {
	c := &cover{nodes: nodes, state: make([]state, len(nodes)), holes: make([]int32, len(nodes)+1),
		found: map[prefix]tiling{}}
	for i := len(nodes) - 1; i >= 0; i-- {
		n, s := &nodes[i], &c.state[i]
		s.class = classOf(n)
		s.tiles, s.tiled = c.tile(int32(i)+1, n.prefix)
		whole := true
		for child := int32(i) + 1; child < n.after && whole; child = nodes[child].after {
			whole = c.state[child].whole
		}
		s.whole, s.alone = whole, s.tiled
		switch s.class {
		case passes:
			s.whole = s.tiled
		case decides:
			s.alone = whole
		}
	}
	for i := range nodes {
		c.holes[i+1] = c.holes[i]
		if !c.state[i].whole {
			c.holes[i+1]++
		}
	}
	return c
}

// tile returns the nodes from one on which cover a prefix; false: they do not.
func (c *cover) tile(from int32, p prefix) (t tiling, ok bool) {
	next, more := p.key, true
	for i := from; int(i) < len(c.nodes) && more && p.contains(c.nodes[i].prefix); i = c.nodes[i].after {
		s := &c.state[i]
		if !s.alone || c.nodes[i].key != next {
			return tiling{}, false
		}
		if s.class == decides {
			t.add(one(i))
		} else {
			t.add(s.tiles)
		}
		next, more = c.nodes[i].end()
	}
	if end, notLast := p.end(); t.count == 0 || more != notLast || next != end {
		return tiling{}, false
	}
	return t, true
}

// find returns the node of a prefix, or the first one after it.
func (c *cover) find(p prefix) (i int32, found bool) {
	n, found := search(c.nodes, p)
	return int32(n), found
}

// above returns the node that decides about packets for a prefix if nothing more specific does, -1: none.
func (c *cover) above(i int32, p prefix) int32 {
	for i--; i >= 0; i = c.nodes[i].parent {
		if !c.nodes[i].contains(p) {
			continue
		}
		switch c.state[i].class {
		case decides:
			return i
		case passes:
			return -1
		}
	}
	return -1
}

// covers returns the nodes by which all packets for a prefix are decided, one that contains it or several that
// it contains; longer: only of such as are no shorter than the prefix. false: that is not certain.
func (c *cover) covers(p prefix, longer bool) (tiling, bool) {
	i, found := c.find(p)
	above := int32(-1)
	if !longer {
		above = c.above(i, p)
	}
	if !found {
		return c.within(i, p, above)
	}
	switch s := &c.state[i]; {
	case s.class == decides && s.whole:
		return one(i), true
	case s.class == unsure && above >= 0 && s.whole:
		return one(above), true
	default:
		return s.tiles, s.tiled
	}
}

// within is covers for a prefix that is none of the nodes, the first after which is i.
func (c *cover) within(i int32, p prefix, above int32) (tiling, bool) {
	if above >= 0 {
		after := i + int32(len(c.nodes[i:]))
		if end, ok := p.end(); ok {
			after, _ = c.find(prefix{key: end})
		}
		if c.holes[after] == c.holes[i] {
			return one(above), true
		}
	}
	t, known := c.found[p]
	if !known {
		t, _ = c.tile(i, p)
		c.found[p] = t
	}
	return t, t.count > 0
}

// base returns the node that decides about packets for a prefix where nothing more specific passes them on, -1:
// there is none.
func (c *cover) base(p prefix) int32 {
	i, found := c.find(p)
	if found {
		switch c.state[i].class {
		case decides:
			return i
		case passes:
			return -1
		}
	}
	return c.above(i, p)
}

// gaps returns the destinations in a prefix of which not all packets are decided though a base decides about it;
// false: they are too many to look at.
func (c *cover) gaps(p prefix) (gaps []prefix, few bool) {
	const most = 16
	for i, _ := c.find(p); ; {
		// The next one that has not whole.
		n, _ := slices.BinarySearch(c.holes[i:], c.holes[i]+1)
		if i += int32(n) - 1; int(i) >= len(c.nodes) || !p.contains(c.nodes[i].prefix) {
			return gaps, true
		}
		if c.state[i].class != passes {
			i++ // it is in one that it contains
			continue
		}
		if gaps = append(gaps, c.nodes[i].prefix); len(gaps) > most {
			return nil, false
		}
		i = c.nodes[i].after
	}
}
