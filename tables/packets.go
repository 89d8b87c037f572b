package tables

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// A packet is what a query says of one: each combination of the values that it gives.
// A row shows what was asked in the words in which it was asked, for SQLite compares it.
type packet struct {
	destination, from, inDev, outDev string

	request rtnl.LookupRequest
	zone    string // interface, by name or index; "": see outDev
}

// maxPackets bounds how many packets one query may be about.
const maxPackets = 1 << 20

// packets returns the packets that a query is about, or an error that says what it lacks.
func (p *plan[R]) packets() ([]packet, error) {
	all, err := p.destinations()
	if err != nil {
		return nil, err
	}
	if all, err = p.sources(all); err != nil {
		return nil, err
	}
	for _, in := range []struct {
		column string
		set    func(*packet, string)
	}{
		{"in_dev", func(k *packet, v string) { k.inDev = v }},
		{"out_dev", func(k *packet, v string) { k.outDev = v }},
	} {
		if all, err = product(all, distinct(p.asked(in.column)), in.set); err != nil {
			return nil, err
		}
	}
	for _, in := range []struct {
		column string
		most   int64
		set    func(*rtnl.LookupRequest, int64)
	}{
		{"mark", math.MaxUint32, func(r *rtnl.LookupRequest, v int64) { r.Mark = object.Some(uint32(v)) }},
		{"tos", math.MaxUint8, func(r *rtnl.LookupRequest, v int64) { r.TOS = object.Some(uint8(v)) }},
		{"uid", math.MaxUint32, func(r *rtnl.LookupRequest, v int64) { r.UID = object.Some(uint32(v)) }},
		{"ip_proto", math.MaxUint8, func(r *rtnl.LookupRequest, v int64) { r.IPProto = object.Some(uint8(v)) }},
		{"sport", math.MaxUint16, func(r *rtnl.LookupRequest, v int64) { r.SPort = object.Some(uint16(v)) }},
		{"dport", math.MaxUint16, func(r *rtnl.LookupRequest, v int64) { r.DPort = object.Some(uint16(v)) }},
	} {
		values, err := inRange(in.column, in.most, p.asked(in.column))
		if err != nil {
			return nil, err
		}
		if all, err = product(all, values, func(k *packet, v int64) { in.set(&k.request, v) }); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// product returns each of the packets with each of the values; without values the packets.
func product[T any](packets []packet, values []T, set func(*packet, T)) ([]packet, error) {
	if len(values) == 0 {
		return packets, nil
	}
	if n := len(packets) * len(values); n > maxPackets {
		return nil, fmt.Errorf("these conditions are about more than %d packets, one for each combination of what is "+
			"asked for; ask for less at a time", maxPackets)
	}
	all := make([]packet, 0, len(packets)*len(values))
	for _, k := range packets {
		for _, v := range values {
			set(&k, v)
			all = append(all, k)
		}
	}
	return all, nil
}

// destinations returns a packet to each destination.
func (p *plan[R]) destinations() (all []packet, err error) {
	asked := distinct(p.asked("destination"))
	if len(asked) == 0 {
		return nil, errors.New("which destination? Say WHERE destination = '192.0.2.1' (or IN, or a join with an " +
			"address); an empty one is none, so leave those out in a join (AND remote_address <> '')")
	}
	for _, v := range asked {
		a, err := ParseAddr("destination", v)
		if err != nil {
			return nil, err
		}
		k := packet{destination: v, zone: a.Zone()}
		k.request.Destination = a
		all = append(all, k)
	}
	return all, nil
}

// sources returns the packets with each source of their family.
func (p *plan[R]) sources(packets []packet) (all []packet, err error) {
	asked := distinct(p.asked("from_addr"))
	addrs := make([]netip.Addr, len(asked))
	for i, v := range asked {
		if v == "" {
			continue // rows show that for none
		}
		if addrs[i], err = ParseAddr("from_addr", v); err != nil {
			return nil, err
		}
	}
	indexes := make([]int, len(asked))
	for i := range indexes {
		indexes[i] = i
	}
	all, err = product(packets, indexes, func(k *packet, i int) { k.from, k.request.From = asked[i], addrs[i] })
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(k packet) bool { return !k.request.SameFamily() })
	if len(all) == 0 { // of several some may fit
		return nil, fmt.Errorf("from_addr=%s is an address of another family than destination=%s", quote(asked[0]),
			quote(packets[0].destination))
	}
	return all, nil
}

// ParseAddr reads an address that is given for a column, or for what else has one.
func ParseAddr(column, value string) (netip.Addr, error) {
	a, err := netip.ParseAddr(value)
	if err == nil {
		return a, nil
	}
	hint := "it is like 192.0.2.1 or 2001:db8::1"
	if p, err := netip.ParsePrefix(value); err == nil {
		hint = "give one address of that prefix, as " + p.Addr().String()
	} else if trimmed, err := netip.ParseAddr(strings.TrimSpace(value)); err == nil {
		hint = didYouMean(trimmed.String())
	} else if value == "" {
		hint = "an empty one is none"
	}
	return a, fmt.Errorf("%s is no IP address for %s: %s", quote(value), column, hint)
}

// inRange returns the numbers that are asked for in a column, each once.
func inRange(column string, most int64, values []string) (all []int64, err error) {
	known := map[int64]bool{}
	for _, v := range values {
		n, ok := wholeNumber(v)
		if !ok || n < 0 || n > most {
			return nil, fmt.Errorf("%s=%s is out of range: it is a whole number from 0 to %d", column, quote(v), most)
		}
		if !known[n] {
			known[n] = true
			all = append(all, n)
		}
	}
	return all, nil
}

// findLookups makes the rows of kernel_route_lookups.
func findLookups(ctx context.Context, p *plan[lookupRow], from Source) ([]placed[[]lookupRow], error) {
	packets, err := p.packets()
	if err != nil {
		return nil, err
	}
	return eachPlace(ctx, p, from, func(at place) ([]lookupRow, error) {
		l, err := from.Lookups(ctx, at.namespace, at.id)
		if err != nil {
			return nil, err
		}
		defer l.Close()
		rows := make([]lookupRow, len(packets))
		for i := range packets {
			rows[i] = lookupRow{packet: &packets[i], names: p.names, idSuffix: at.idSuffix}
			if err := rows[i].lookup(l, p.needs); err != nil {
				return nil, err
			}
		}
		return rows, nil
	})
}

// lookup finds out what is needed of a row's packet.
func (r *lookupRow) lookup(l *rtnl.Lookups, needs needs) (err error) {
	req := r.request
	if req.InDev, err = IndexOf(l, "in_dev", r.inDev); err != nil {
		return err
	}
	if req.OutDev, err = IndexOf(l, "out_dev", r.outDev); err != nil {
		return err
	}
	zone, err := IndexOf(l, "the zone of destination", r.zone)
	switch {
	case err != nil:
		return err
	case zone != 0 && req.OutDev != 0 && zone != req.OutDev:
		return fmt.Errorf("destination=%s is to be reached through another interface than out_dev=%s",
			quote(r.destination), quote(r.outDev))
	case zone != 0:
		req.OutDev = zone
	}
	found, err := l.Lookup(&req, needs.found)
	if err != nil {
		return err
	}
	r.fill(found)
	if r.oif.OK && needs.referred.has(object.Links.Kind) {
		if r.link, _, err = l.Link(r.oif.V); err != nil {
			return err
		}
	}
	if needs.along.has(object.Links.Kind) {
		r.vrf, err = l.VRF(r.table)
	}
	return err
}

// IndexOf returns the index of an interface by its name or index, which is given for a column, or for what
// else has one; 0 for none.
func IndexOf(l *rtnl.Lookups, column, name string) (uint32, error) {
	if name == "" {
		return 0, nil
	}
	link, ok, err := l.LinkByName(name)
	if n, e := strconv.ParseUint(name, 10, 32); err == nil && !ok && e == nil {
		link, ok, err = l.Link(uint32(n))
	}
	if err == nil && !ok {
		there, _ := l.Interfaces() // without them less is said
		err = fmt.Errorf("%s=%s: %s", column, quote(name), NoInterface(name, there))
	}
	return link.Index, err
}

// find returns rows that source.find finds.
func (p *plan[R]) find(ctx context.Context, t *Table, from Source, q Query) (Rows, error) {
	found, err := p.source.find(ctx, p, from)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	scopes := make([]scope, len(found))
	p.found = map[*rtnl.Snapshot][]R{}
	for i, f := range found {
		scopes[i] = scope{rtnl.NewSnapshot(true, nil), f.place}
		p.found[scopes[i].snap] = f.value
	}
	if q.Warn != nil && len(scopes) > 0 {
		p.warn(ctx, t.Name, from, q, &scopes[0].place)
		if q.Dropped {
			p.warnOfInputs(t, q)
		}
	}
	return p.rows(scopes), nil
}

// foundRows returns an iterator over the rows that were found.
func foundRows[R any](p *plan[R], s *scope) func() *R {
	left := p.found[s.snap]
	return func() *R {
		if len(left) == 0 {
			return nil
		}
		r := &left[0]
		left = left[1:]
		return r
	}
}
