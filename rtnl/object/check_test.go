package object_test

import (
	"bytes"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// The functions check what must hold of a decoder for all bytes. Unit tests call
// them too, with bytes of which more is known.

func attrData(list []wire.Attr) (parts [][]byte) {
	for _, a := range list {
		parts = append(parts, a.Data)
	}
	return parts
}

// checkError checks that an error says where in b it is.
func checkError(t testing.TB, b []byte, err error) {
	t.Helper()
	var m *wire.MalformedError
	if !errors.As(err, &m) || m.Offset < 0 || m.Offset > len(b) || m.Why == "" || m.What == "" {
		t.Fatalf("%x: %v", b, err)
	}
}

// split takes attributes apart, as walk does, and checks that they and their
// padding are all of b.
func split(t testing.TB, b []byte) (list []wire.Attr) {
	t.Helper()
	for len(b) >= 4 {
		n := int(wire.U16(b))
		if n < 4 || n > len(b) {
			t.Fatalf("attribute of %d bytes was accepted where %d are left", n, len(b))
		}
		list = append(list, wire.Attr{Type: wire.U16(b[2:]) & 0x3fff, Data: b[4:n:n]})
		b = b[min(wire.Align(n), len(b)):]
	}
	if len(bytes.Trim(b, "\x00")) > 0 {
		t.Fatalf("%x was accepted after the last attribute", b)
	}
	return list
}

// check returns the message with a payload. It is in memory of just its size.
func check(k *Kind, payload []byte) (*Message, error) {
	m := new(Message)
	return m, k.Check(m, ExactCopy(MessageOf(k.New, 0, 0, payload)))
}

func checkRoute(t testing.TB, b []byte) {
	t.Helper()
	b = ExactCopy(b)
	var r Route
	err := r.UnmarshalBinary(b)
	m, checkErr := check(Routes.Kind, b)
	if (err == nil) != (checkErr == nil) {
		t.Fatalf("%x: Route says %v, Check says %v", b, err, checkErr)
	}
	if err != nil {
		checkError(t, b, err)
		checkError(t, b, checkErr)
		return
	}
	Inside(t, b, r.DstLabel, r.NewDst, r.Encap.Raw)
	Inside(t, b, attrData(r.Unknown)...)
	for i := range r.Multipath {
		Inside(t, b, r.Multipath[i].NewDst, r.Multipath[i].Encap.Raw)
		Inside(t, b, attrData(r.Multipath[i].Unknown)...)
	}

	// What is not understood is kept, and nothing else.
	attributes := split(t, b[RtmsgLen:])
	unknown := notUnderstood(attributes, r.Encap, RTA_ENCAP,
		func(typ uint16, d []byte) bool { return understood(r.Family, typ, d) })
	if !reflect.DeepEqual(r.Unknown, unknown) {
		t.Fatalf("%x: unknown are %v, want %v", b, r.Unknown, unknown)
	}
	checkMessage(t, m, &r, attributes)

	// Decoding what was encoded gives the same.
	if len(b) < 1<<15 {
		again, want := Route{}, r
		want.Metrics.CC = escaped(r.Metrics.CC)
		if err := again.UnmarshalBinary(ExactCopy(AppendRoute(nil, &r))); err != nil ||
			!reflect.DeepEqual(again, want) {
			t.Fatalf("%x: %v\n was %+v\n  is %+v", b, err, want, again)
		}
	}

	// The identity needs no more than FieldID, and tells what it is made of.
	id := string(r.AppendID(nil))
	var part Route
	part.Decode(m, FieldID)
	if got := string(part.AppendID(nil)); got != id {
		t.Fatalf("%x: identity is %s, and %s of FieldID", b, id, got)
	}
	if _, known := ParseFamily(r.Family.String()); known {
		f, table, dst, ok := ParseID(id)
		if !ok || f != r.Family || table != r.Table || r.Dst.IsValid() && dst != r.Dst {
			t.Fatalf("%x: identity %s is of %v %d %v", b, id, f, table, dst)
		}
	}

	// Nothing depends on what comes after the message.
	longer := append(slices.Clone(b), bytes.Repeat([]byte{0xff}, 64)...)
	var same Route
	if err := same.UnmarshalBinary(longer[:len(b)]); err != nil || !reflect.DeepEqual(same, r) {
		t.Fatalf("%x: %v\n was %+v\n  is %+v", b, err, r, same)
	}
	r.Nexthops(nil, nil)
}

// checkMessage checks what is read from a route's message without decoding it.
func checkMessage(t testing.TB, m *Message, r *Route, attributes []wire.Attr) {
	t.Helper()
	b := m.Payload()
	var has Fields
	for _, a := range attributes {
		has |= 1 << min(a.Type, 63)
	}
	p, f, table := Routes.Position(m), Family(b[0]), Routes.Table(m)
	if m.Has() != has || table != (Table{r.Family, r.Table}) || p.DstLen != b[1] || p.SrcLen != b[2] ||
		p.TOS != r.TOS ||
		p.Priority != r.Priority.V || m.U32(RTA_IIF) != r.IIF.V || m.U32(RTA_OIF) != r.OIF.V ||
		m.U32(RTA_NH_ID) != r.NexthopID.V || m.UsesObject() != (has&(1<<RTA_NH_ID) != 0) ||
		r.NexthopID.OK && !m.UsesObject() || len(r.Multipath) > 0 && has&(1<<RTA_MULTIPATH) == 0 {
		t.Fatalf("%x: %v, %+v of route %+v", b, table, p, r)
	}
	dst, bits := m.RouteDst()
	Inside(t, b, dst)
	if f.AddrLen() > 0 {
		if r.Dst.Bits() != bits || dst != nil && !bytes.Equal(r.Dst.Addr().AsSlice(), dst) ||
			dst == nil && !r.Dst.Addr().IsUnspecified() {
			t.Fatalf("%x: destination is %v", b, r.Dst)
		}
		src := m.Sized(RTA_SRC, f.AddrLen())
		Inside(t, b, src)
		if r.Src.IsValid() != (src != nil || p.SrcLen > 0) || src != nil && !bytes.Equal(r.Src.Addr().AsSlice(), src) {
			t.Fatalf("%x: source is %v", b, r.Src)
		}
		if !bytes.Equal(p.Dst[:len(dst)], dst) || !bytes.Equal(p.Src[:len(src)], src) {
			t.Fatalf("%x: position %+v", b, p)
		}
	}
	want := map[uint32]bool{}
	addLinks := func(e Encap, more ...uint32) {
		for _, index := range append(more, tunnelLinks(e)...) {
			if index != 0 {
				want[index] = true
			}
		}
	}
	addLinks(r.Encap, r.OIF.V, r.IIF.V)
	for i := range r.Multipath {
		addLinks(r.Multipath[i].Encap, r.Multipath[i].OIF)
	}
	var refs References
	Routes.Refer(m, &refs)
	if got := refs.Of(Links.Kind); len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Fatalf("%x: refers to interfaces %v, not %v", b, got, want)
	}
	if got := refs.Of(NexthopObjects.Kind); r.NexthopID.V != 0 != got[r.NexthopID.V] {
		t.Fatalf("%x: refers to nexthop objects %v", b, got)
	}
	entries, cached := Routes.Entries(m)
	wantEntries := max(len(r.Multipath), 1)
	if m.UsesObject() {
		wantEntries = 1
	} else if has&(1<<RTA_MULTIPATH) != 0 {
		wantEntries = len(r.Multipath)
	}
	if r.Family != IPv6 { // whose tables the kernel counts
		wantEntries = 0
	}
	if entries != wantEntries || cached != (r.Family == IPv6 && r.Flags&0x200 != 0) {
		t.Fatalf("%x: %d entries, cached %v", b, entries, cached)
	}
	// Whether there are several nexthops, or an object, is told by the attribute being there.
	if m.UsesObject() != r.NexthopID.OK || has&(1<<RTA_MULTIPATH) != 0 != (len(r.Multipath) > 0) {
		return
	}
	for seed := range uint64(4) {
		filter := someFilter(NewChance(seed), r)
		if got := filter.Match(m); got != Matches(&filter, r) {
			t.Fatalf("%x: %+v says %v of %+v", b, filter, got, r)
		}
	}
}

// tunnelLinks returns the interfaces that a tunnel refers to.
func tunnelLinks(e Encap) (links []uint32) {
	const seg6LocalIIF, seg6LocalOIF, lwtXfrmLink = 6, 7, 2
	for a := wire.Walk(e.Raw); a.Next(); {
		if len(a.Data) == 4 && (e.Type == LWTUNNEL_ENCAP_SEG6_LOCAL &&
			(a.Type == seg6LocalIIF || a.Type == seg6LocalOIF) ||
			e.Type == LWTUNNEL_ENCAP_XFRM && a.Type == lwtXfrmLink) {
			links = append(links, wire.U32(a.Data))
		}
	}
	return links
}

// checkRouteFields checks that decoding some fields gives the same as decoding
// all.
func checkRouteFields(t testing.TB, b []byte, bits uint32) {
	t.Helper()
	b = ExactCopy(b)
	f := fields(bits)
	var full, part Route
	if err := full.UnmarshalBinary(b); err != nil {
		return
	}
	m, err := check(Routes.Kind, b)
	if err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	part.Decode(m, Fields(bits)<<32|Fields(bits)) // any
	part = Route{}
	part.Decode(m, f)
	want := restrict(&full, f)
	if f&(1<<RTA_TABLE) == 0 {
		want.Table = uint32(b[4])
	}
	if !reflect.DeepEqual(part, want) {
		t.Fatalf("%x: fields %#x:\n got %+v\nwant %+v", b, f, part, want)
	}
}

// checkHops checks the payload of an RTA_MULTIPATH.
func checkHops(t testing.TB, b []byte) {
	t.Helper()
	b = ExactCopy(b)
	var r Route
	err := r.DecodeMultipath(b)
	if err != nil {
		checkError(t, b, err)
		return
	}
	rest := b
	for i := range r.Multipath {
		hop := &r.Multipath[i]
		n := int(wire.U16(rest))
		Inside(t, b, hop.NewDst, hop.Encap.Raw)
		Inside(t, b, attrData(hop.Unknown)...)
		unknown := notUnderstood(split(t, rest[RtnexthopLen:n]), hop.Encap, RTA_ENCAP, hopUnderstood)
		if hop.Flags != uint32(rest[2]) || hop.Weight != uint32(rest[3])+1 || hop.OIF != wire.U32(rest[4:]) ||
			!reflect.DeepEqual(hop.Unknown, unknown) {
			t.Fatalf("%x: hop %d is %+v, unknown should be %v", b, i, hop, unknown)
		}
		if !slices.Contains(slices.Collect(Outputs(b)), hop.OIF) {
			t.Fatalf("%x: interface %d is not found", b, hop.OIF)
		}
		rest = rest[min(wire.Align(n), len(rest)):]
	}
	if len(rest) > 0 {
		t.Fatalf("%x: %d bytes are left after %d hops", b, len(rest), len(r.Multipath))
	}
	var again Route
	if err := again.DecodeMultipath(ExactCopy(AppendMultipath(nil, IPv4, r.Multipath))); err != nil ||
		!reflect.DeepEqual(again, r) {
		t.Fatalf("%x: %v\n was %+v\n  is %+v", b, err, r.Multipath, again.Multipath)
	}
}

func checkMetrics(t testing.TB, b []byte) {
	t.Helper()
	b = ExactCopy(b)
	var m Metrics
	ok, err := m.Decode(b)
	if err != nil {
		checkError(t, b, err)
		return
	}
	want := true
	var has uint32
	for _, a := range split(t, b) {
		if metricUnderstood(a.Type, a.Data) {
			has |= 1 << a.Type
		} else {
			want = false
		}
	}
	if got := metricsThere(&m); ok != want || got != has {
		t.Fatalf("%x: understood %v, want %v; has %#x, want %#x", b, ok, want, got, has)
	}
	var again Metrics
	b = ExactCopy(AppendRouteMetrics(nil, &m))
	m.CC = escaped(m.CC)
	if ok, err := again.Decode(b); !ok || err != nil || again != m {
		t.Fatalf("%x: %v, %v\n was %+v\n  is %+v", b, ok, err, m, again)
	}
}

// escaped is what a name is decoded as that was decoded, and encoded as it was then: it is
// the same unless it had bytes to escape.
func escaped(name string) string { return wire.String([]byte(name)) }

// metricsThere has bit N set if metric N is there.
func metricsThere(m *Metrics) (has uint32) {
	for n := range RTAX_END {
		if _, ok := m.Get(n); ok {
			has |= 1 << n
		}
	}
	return has
}

func checkNexthop(t testing.TB, b []byte) {
	t.Helper()
	b = ExactCopy(b)
	var o NexthopObject
	if err := o.UnmarshalBinary(b); err != nil {
		checkError(t, b, err)
		return
	}
	Inside(t, b, o.Encap.Raw)
	Inside(t, b, attrData(o.Unknown)...)
	members := 0
	unknown := notUnderstood(split(t, b[NhmsgLen:]), o.Encap, NHA_ENCAP, func(typ uint16, d []byte) bool {
		switch n := len(d); typ {
		case NHA_ID, NHA_OIF, NHA_OP_FLAGS, NHA_HW_STATS_ENABLE, NHA_HW_STATS_USED:
			return n == 4
		case NHA_GROUP:
			members += n / 8
			return n%8 == 0
		case NHA_GROUP_TYPE:
			return n == 2
		case NHA_ENCAP_TYPE:
			return n == 2 && wire.U16(d) != 0
		case NHA_GATEWAY:
			return n == 4 || n == 16
		case NHA_BLACKHOLE, NHA_FDB:
			return n == 0
		case NHA_RES_GROUP:
			return resilientUnderstood(t, d)
		case NHA_GROUP_STATS:
			return statsUnderstood(t, d)
		case NHA_ENCAP:
			return true
		}
		return false
	})
	if !reflect.DeepEqual(o.Unknown, unknown) || len(o.Group) > members {
		t.Fatalf("%x: %+v, unknown should be %v", b, o, unknown)
	}
	for _, m := range o.Group {
		if m.Weight < 1 || m.Weight > 1<<16 || m.Weight > 256 && o.OpFlags.V < 1<<31 {
			t.Fatalf("%x: weight %d", b, m.Weight)
		}
	}
	checkObjectReferences(t, b, &o)
	if len(b) < 1<<15 {
		var again NexthopObject
		if err := again.UnmarshalBinary(ExactCopy(AppendNexthop(nil, &o))); err != nil || !reflect.DeepEqual(again, o) {
			t.Fatalf("%x: %v\n was %+v\n  is %+v", b, err, o, again)
		}
	}
	hops := (&Route{NexthopID: Some(o.ID)}).Nexthops(map[uint32]*NexthopObject{o.ID: &o}, nil)
	want := max(len(o.Group), 1)
	if o.Blackhole && (len(o.Group) != 1 || o.Group[0].ID == o.ID) {
		want = 0
	}
	if len(hops) != want {
		t.Fatalf("%x: %d nexthops of %+v", b, len(hops), o)
	}
}

// checkObjectReferences checks that an object refers to the same undecoded.
func checkObjectReferences(t testing.TB, b []byte, o *NexthopObject) {
	t.Helper()
	m, err := check(NexthopObjects.Kind, b)
	if err != nil {
		t.Fatal(err)
	}
	var refs References
	NexthopObjects.Refer(m, &refs)
	members := map[uint32]bool{}
	for _, member := range o.Group {
		members[member.ID] = true
	}
	got := maps.Clone(refs.Of(NexthopObjects.Kind))
	delete(got, 0)
	delete(members, 0)
	if !maps.Equal(got, members) || o.OIF != 0 && !refs.Of(Links.Kind)[o.OIF] ||
		len(refs.Of(Links.Kind)) > 1 && o.Encap.Raw == nil {
		t.Fatalf("%x: refers to %v and %v: %+v", b, got, refs.Of(Links.Kind), o)
	}
}

// resilientUnderstood reports whether all of NHA_RES_GROUP is understood: see nha_res_group.
func resilientUnderstood(t testing.TB, d []byte) bool {
	sizes := []int{0, 2, 4, 4, 8}
	return !slices.ContainsFunc(split(t, d), func(a wire.Attr) bool {
		return int(a.Type) >= len(sizes) || len(a.Data) != sizes[a.Type]
	})
}

// statsUnderstood reports whether all of NHA_GROUP_STATS is understood.
func statsUnderstood(t testing.TB, d []byte) bool {
	understood := true
	for _, entry := range split(t, d) {
		if entry.Type != 1 {
			understood = false
			continue
		}
		for _, a := range split(t, entry.Data) {
			number := a.Type == 2 || a.Type == 3
			understood = understood && (len(a.Data) == 4 && (number || a.Type == 1) || len(a.Data) == 8 && number)
		}
	}
	return understood
}
