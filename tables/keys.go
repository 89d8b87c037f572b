package tables

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// SQL compares addresses and prefixes as texts, of which '10.0.0.0/9' < '9.0.0.0/8'. A key is
// a text in the order of the addresses: 4: or 6: for the family, and the address in
// hexadecimal digits. With the keys of the first and the last address of a prefix, whether
// an address or another prefix lies in it is a BETWEEN.

// appendAddrKey appends the key of an address, nothing for none.
func appendAddrKey(b []byte, a netip.Addr) []byte {
	switch {
	case a.Is4():
		v4 := a.As4()
		return hex.AppendEncode(append(b, "4:"...), v4[:])
	case a.Is6():
		v6 := a.As16()
		return hex.AppendEncode(append(b, "6:"...), v6[:])
	}
	return b
}

// parseAddrKey reads a key, in digits of either case.
func parseAddrKey(key string) (a netip.Addr, ok bool) {
	family, digits, _ := strings.Cut(key, ":")
	b, err := hex.DecodeString(digits)
	if err != nil || !(family == "4" && len(b) == 4 || family == "6" && len(b) == 16) {
		return a, false
	}
	return netip.AddrFromSlice(b)
}

// lastOf returns the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

func appendFirstKey(b []byte, p netip.Prefix) []byte {
	if !p.IsValid() {
		return b
	}
	return appendAddrKey(b, p.Addr())
}

func appendLastKey(b []byte, p netip.Prefix) []byte {
	if !p.IsValid() {
		return b
	}
	return appendAddrKey(b, lastOf(p))
}

// orAny returns a prefix, or all addresses of the family where it is not valid; for MPLS it
// stays so.
func orAny(p netip.Prefix, f object.Family) netip.Prefix {
	switch {
	case p.IsValid():
		return p.Masked() // a rule keeps bits beyond the length
	case f.AddrLen() == 4:
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	case f.AddrLen() == 16:
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.Prefix{}
}

// sources returns the source addresses that a route is for.
func (r *routeRow) sources() netip.Prefix { return orAny(r.Src, r.Family) }

// prefixKeys are the hidden columns of routes' prefixes.
func prefixKeys() []column[routeRow] {
	const form = " as text in the order of addresses: 4: or 6: and hexadecimal digits; empty for mpls"
	key := func(name, what string, f object.Fields, push func(*pushdown, *check),
		value func(*routeRow, []byte) []byte) column[routeRow] {
		return text(name, what+form, field(f), value).ranged(push).hidden().holds(keys).
			from("worked out from RTA_" + strings.ToUpper(name[:3]) + " and rtm_" + name[:3] + "_len")
	}
	return []column[routeRow]{
		key("dst_first", "First address of the destination", object.FieldDst, pushFirst,
			func(r *routeRow, b []byte) []byte { return appendFirstKey(b, r.Dst) }),
		key("dst_last", "Last address of the destination", object.FieldDst, pushLast,
			func(r *routeRow, b []byte) []byte { return appendLastKey(b, r.Dst) }),
		key("src_first", "First source address that the route is for", object.FieldSrc, nil,
			func(r *routeRow, b []byte) []byte { return appendFirstKey(b, r.sources()) }),
		key("src_last", "Last source address that the route is for", object.FieldSrc, nil,
			func(r *routeRow, b []byte) []byte { return appendLastKey(b, r.sources()) }),
	}
}

// rulePrefixKeys are those of rules' prefixes. What an inverted rule is for is no range of
// addresses: FIB_RULE_INVERT turns all of what the rule says round, not its prefixes alone
// (fib_rule_match).
func rulePrefixKeys() []column[ruleRow] {
	key := func(name, what, of string, value func(*ruleRow, []byte) []byte) column[ruleRow] {
		description := what + " address of " + of + ", or of the whole family where that is empty, as text in the " +
			"order of addresses: 4: or 6: and hexadecimal digits; of the prefix itself where the rule is inverted"
		return text(name, description, nothing, value).ranged(nil).hidden().holds(keys).
			from("worked out from FRA_" + strings.ToUpper(of) + " and fib_rule_hdr." + of + "_len")
	}
	return []column[ruleRow]{
		key("dst_first", "First", "dst",
			func(r *ruleRow, b []byte) []byte { return appendFirstKey(b, orAny(r.Dst, r.Family)) }),
		key("dst_last", "Last", "dst",
			func(r *ruleRow, b []byte) []byte { return appendLastKey(b, orAny(r.Dst, r.Family)) }),
		key("src_first", "First", "src",
			func(r *ruleRow, b []byte) []byte { return appendFirstKey(b, orAny(r.Src, r.Family)) }),
		key("src_last", "Last", "src",
			func(r *ruleRow, b []byte) []byte { return appendLastKey(b, orAny(r.Src, r.Family)) }),
	}
}

// osquery sends an extension no comparisons of texts but equalities (sensibleComparison of
// virtual_table.cpp), so that there a join by keys asks for all routes again and again. An
// equality on column covers says the same of one address or prefix.

// A cover is what the destinations of routes are to have in them.
type cover struct {
	asked string       // as it was written; "": anything
	in    netip.Prefix // not valid for anything
}

// parseCover reads an address or a prefix; one that IPv6 sockets have of IPv4 is IPv4's.
func parseCover(value string) (c cover, ok bool) {
	c.asked = value
	if value == "" {
		return c, true
	}
	value = strings.TrimRight(value, " ")
	if a, err := netip.ParseAddr(value); err == nil {
		a = a.Unmap().WithZone("")
		c.in = netip.PrefixFrom(a, a.BitLen())
		return c, true
	}
	p, err := netip.ParsePrefix(value)
	c.in = p.Masked()
	return c, err == nil
}

// covers is the column that says so.
func covers() column[routeRow] {
	c := text("covers",
		"Input: address or prefix that the destination has in it; empty if it is not asked for",
		field(object.FieldDst), func(r *routeRow, b []byte) []byte { return append(b, r.cover...) })
	return c.from(askedFor).pushed(pushCovers).hidden().input(c.Name).perRow().holds(&domain{
		absent: true,
		can:    func(_ *iproute2.Names, value string) bool { _, ok := parseCover(value); return ok },
		advise: func(*adviser, string) string {
			return "it is an address or a prefix, like 192.0.2.1 or 2001:db8::/32"
		},
	})
}

func pushCovers(n *pushdown, values []string) {
	n.covers = []cover{}
	all, anything := []netip.Prefix{}, false
	for _, v := range distinct(values) {
		c, ok := parseCover(v)
		if !ok {
			continue
		}
		n.covers = append(n.covers, c)
		if anything = anything || !c.in.IsValid(); !anything {
			all = append(all, covering(c.in.Addr(), c.in.Bits())...)
		}
	}
	if !anything {
		restrict(n.Filter, &n.Dsts, all)
	}
}

// covering returns the prefixes of an address up to a length.
func covering(a netip.Addr, bits int) (all []netip.Prefix) {
	for n := range bits + 1 {
		p, _ := a.Prefix(n)
		all = append(all, p)
	}
	return all
}

// covered returns the rows of next that cover what is asked for, once for each.
func covered(covers []cover, next func() *routeRow) func() *routeRow {
	if covers == nil {
		return next
	}
	var row *routeRow
	var left []cover
	return func() *routeRow {
		for {
			for len(left) == 0 {
				if row = next(); row == nil {
					return nil
				}
				left = covers
			}
			c := left[0]
			left = left[1:]
			if d := row.Dst; !c.in.IsValid() || d.IsValid() && d.Bits() <= c.in.Bits() && d.Contains(c.in.Addr()) {
				row.cover = c.asked
				return row
			}
		}
	}
}

// keys is the domain of keys.
var keys = &domain{
	absent: true,
	can: func(_ *iproute2.Names, value string) bool {
		_, ok := parseAddrKey(value)
		return ok && value == strings.ToLower(value)
	},
	advise: func(_ *adviser, value string) string {
		if a, err := netip.ParseAddr(value); err == nil {
			return didYouMean(string(appendAddrKey(nil, a.WithZone(""))))
		}
		if _, ok := parseAddrKey(value); ok {
			return didYouMean(strings.ToLower(value))
		}
		return "it is like 4:0a000000, or 6: and 32 hexadecimal digits"
	},
}

// A textBound is a condition on a text by its order.
type textBound struct {
	op    Op
	value string
}

// holds lets through what an engine may accept: with regard to case and without.
func (b *textBound) holds(v []byte) bool {
	return b.allows(strings.Compare(string(v), b.value)) ||
		b.allows(strings.Compare(strings.ToLower(string(v)), strings.ToLower(b.value)))
}

func (b *textBound) allows(order int) bool {
	switch b.op {
	case GreaterThan, GreaterOrEqual:
		return order > 0 || order == 0 && b.op == GreaterOrEqual
	case LessThan, LessOrEqual:
		return order < 0 || order == 0 && b.op == LessOrEqual
	}
	return true
}

// A keyRange is what the destinations of all routes that are wanted have in them: all from an
// address to another. Its ends are not valid where nothing is known.
type keyRange struct{ from, to netip.Addr }

// pushFirst takes in conditions on dst_first: no route is wanted that begins after some address.
func pushFirst(n *pushdown, c *check) {
	a, ok := c.end(LessThan, LessOrEqual, func(x, y netip.Addr) bool { return x.Less(y) })
	if ok {
		n.covered.from = a
	}
}

// pushLast takes in conditions on dst_last: no route is wanted that ends before some address.
func pushLast(n *pushdown, c *check) {
	a, ok := c.end(GreaterThan, GreaterOrEqual, func(x, y netip.Addr) bool { return y.Less(x) })
	if ok {
		n.covered.to = a
	}
}

// end returns the address that all wanted keys are on one side of, the nearest of several.
func (c *check) end(strict, not Op, nearer func(x, y netip.Addr) bool) (end netip.Addr, ok bool) {
	bounds := c.order
	if len(c.values) == 1 {
		bounds = append(slices.Clip(bounds), textBound{not, c.values[0]})
	}
	for _, b := range bounds {
		a, is := parseAddrKey(b.value)
		// Digits in upper case are in another order.
		is = is && b.value == strings.ToLower(b.value) && (b.op == strict || b.op == not)
		if is && (!ok || nearer(a, end)) {
			end, ok = a, true
		}
	}
	return end, ok
}

// pushCovered asks for the prefixes alone that have a known range in them: they are few.
func (n *pushdown) pushCovered() {
	from, to := n.covered.from, n.covered.to
	if !from.IsValid() || !to.IsValid() || from.BitLen() != to.BitLen() || to.Less(from) {
		return
	}
	bits := 0
	for bits < from.BitLen() && netip.PrefixFrom(from, bits+1).Masked().Contains(to) {
		bits++
	}
	restrict(n.Filter, &n.Dsts, covering(from, bits))
}
