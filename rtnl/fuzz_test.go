package rtnl

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The functions check what must hold of a decoder for all bytes. Unit tests call
// them too, with bytes of which more is known.

// exact copies bytes into memory of just their size: reading on after them
// panics.
func exact(b []byte) []byte { return slices.Clip(append(make([]byte, 0, len(b)), b...)) }

// inside checks that slices are parts of b.
func inside(t testing.TB, b []byte, parts ...[]byte) {
	t.Helper()
	from := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	for _, p := range parts {
		if p == nil {
			continue
		}
		at := uintptr(unsafe.Pointer(unsafe.SliceData(p)))
		if at < from || at+uintptr(len(p)) > from+uintptr(len(b)) {
			t.Fatalf("%x is not inside %x", p, b)
		}
	}
}

func attrData(list []Attr) (parts [][]byte) {
	for _, a := range list {
		parts = append(parts, a.Data)
	}
	return parts
}

// checkError checks that an error says where in b it is.
func checkError(t testing.TB, b []byte, err error) {
	t.Helper()
	var m *MalformedError
	if !errors.As(err, &m) || m.Offset < 0 || m.Offset > len(b) || m.Why == "" || m.What == "" {
		t.Fatalf("%x: %v", b, err)
	}
}

// split takes attributes apart, as walk does, and checks that they and their
// padding are all of b.
func split(t testing.TB, b []byte) (list []Attr) {
	t.Helper()
	for len(b) >= 4 {
		n := int(u16(b))
		if n < 4 || n > len(b) {
			t.Fatalf("attribute of %d bytes was accepted where %d are left", n, len(b))
		}
		list = append(list, Attr{u16(b[2:]) & 0x3fff, b[4:n:n]})
		b = b[min(align4(n), len(b)):]
	}
	if len(bytes.Trim(b, "\x00")) > 0 {
		t.Fatalf("%x was accepted after the last attribute", b)
	}
	return list
}

func checkRoute(t testing.TB, b []byte) {
	t.Helper()
	b = exact(b)
	var r Route
	err := r.UnmarshalBinary(b)
	h, headErr := readHead(b)
	if (err == nil) != (headErr == nil) {
		t.Fatalf("%x: Route says %v, readHead says %v", b, err, headErr)
	}
	if err != nil {
		checkError(t, b, err)
		checkError(t, b, headErr)
		return
	}
	inside(t, b, r.DstLabel, r.NewDst, r.Encap.Raw, h.dst, h.src, h.hops)
	inside(t, b, attrData(r.Unknown)...)
	for i := range r.Multipath {
		inside(t, b, r.Multipath[i].NewDst, r.Multipath[i].Encap.Raw)
		inside(t, b, attrData(r.Multipath[i].Unknown)...)
	}

	// What is not understood is kept, and nothing else.
	unknown := notUnderstood(split(t, b[rtmsgLen:]), r.Encap, rtaEncap,
		func(typ uint16, d []byte) bool { return understood(r.Family, typ, d) })
	if !reflect.DeepEqual(r.Unknown, unknown) {
		t.Fatalf("%x: unknown are %v, want %v", b, r.Unknown, unknown)
	}

	// The head is that of the route.
	want := routeHead{family: r.Family, typ: r.Type, protocol: r.Protocol, table: r.Table, flags: r.Flags, tos: r.TOS,
		dstLen: b[1], srcLen: b[2], dst: h.dst, src: h.src, priority: r.Priority.V, iif: r.IIF.V, oif: r.OIF.V,
		hops: h.hops, object: h.object, objectID: r.NexthopID.V, encap: h.encap}
	if !reflect.DeepEqual(h, want) || r.NexthopID.OK && !h.object || (len(r.Multipath) > 0) && h.hops == nil {
		t.Fatalf("%x: head is %+v of route %+v", b, h, r)
	}
	tunnel := func(n Nexthop) bool { return n.Encap.Raw != nil }
	if !h.encap && (r.Encap.Raw != nil || slices.ContainsFunc(r.Multipath, tunnel)) {
		t.Fatalf("%x: head has no tunnel, route is %+v", b, r)
	}
	if alen := r.Family.addrLen(); alen > 0 {
		if r.Dst.Bits() != int(h.dstLen) || h.dst != nil && !bytes.Equal(r.Dst.Addr().AsSlice(), h.dst) || h.dst == nil && !r.Dst.Addr().IsUnspecified() {
			t.Fatalf("%x: destination is %v", b, r.Dst)
		}
		if r.Src.IsValid() != (h.src != nil || h.srcLen > 0) || h.src != nil && !bytes.Equal(r.Src.Addr().AsSlice(), h.src) {
			t.Fatalf("%x: source is %v", b, r.Src)
		}
	}

	// Decoding what was encoded gives the same.
	if len(b) < 1<<15 {
		var again Route
		if err := again.UnmarshalBinary(exact(appendRoute(nil, &r))); err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%x: %v\n was %+v\n  is %+v", b, err, r, again)
		}
	}

	// The identity needs no more than FieldID, and tells what it is made of.
	id := string(r.AppendID(nil))
	var part Route
	if err := part.decode(b, FieldID); err != nil {
		t.Fatalf("%x: %v", b, err)
	}
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
	new(Snapshot).Nexthops(&r, nil)
	(&Filter{OIFs: []uint32{1, 2}}).match(&h)
}

// checkRouteFields checks that decoding some fields gives the same as decoding
// all.
func checkRouteFields(t testing.TB, b []byte, bits uint32) {
	t.Helper()
	b = exact(b)
	f := fields(bits)
	var full, part Route
	if err := full.UnmarshalBinary(b); err != nil {
		part.decode(b, f)
		return
	}
	if err := part.decode(b, f); err != nil {
		t.Fatalf("%x: fields %#x: %v", b, f, err)
	}
	want := restrict(&full, f)
	if f&FieldTable == 0 {
		want.Table = uint32(b[4])
	}
	if !reflect.DeepEqual(part, want) {
		t.Fatalf("%x: fields %#x:\n got %+v\nwant %+v", b, f, part, want)
	}
}

// checkHops checks the payload of an RTA_MULTIPATH.
func checkHops(t testing.TB, b []byte) {
	t.Helper()
	b = exact(b)
	var r Route
	err := r.decodeMultipath(b)
	if _, headErr := checkMultipath(b); (err == nil) != (headErr == nil) {
		t.Fatalf("%x: decodeMultipath says %v, checkMultipath says %v", b, err, headErr)
	}
	if err != nil {
		checkError(t, b, err)
		return
	}
	rest := b
	for i := range r.Multipath {
		hop := &r.Multipath[i]
		n := int(u16(rest))
		inside(t, b, hop.NewDst, hop.Encap.Raw)
		inside(t, b, attrData(hop.Unknown)...)
		unknown := notUnderstood(split(t, rest[rtnhLen:n]), hop.Encap, rtaEncap, hopUnderstood)
		if hop.Flags != uint32(rest[2]) || hop.Weight != uint32(rest[3])+1 || hop.OIF != u32(rest[4:]) || !reflect.DeepEqual(hop.Unknown, unknown) {
			t.Fatalf("%x: hop %d is %+v, unknown should be %v", b, i, hop, unknown)
		}
		if !(&Filter{OIFs: []uint32{hop.OIF}}).uses(&routeHead{hops: b}) {
			t.Fatalf("%x: interface %d is not found", b, hop.OIF)
		}
		rest = rest[min(align4(n), len(rest)):]
	}
	if len(rest) > 0 {
		t.Fatalf("%x: %d bytes are left after %d hops", b, len(rest), len(r.Multipath))
	}
	var again Route
	if err := again.decodeMultipath(exact(appendMultipath(nil, IPv4, r.Multipath))); err != nil || !reflect.DeepEqual(again, r) {
		t.Fatalf("%x: %v\n was %+v\n  is %+v", b, err, r.Multipath, again.Multipath)
	}
}

func checkMetrics(t testing.TB, b []byte) {
	t.Helper()
	b = exact(b)
	var m Metrics
	ok, err := m.decode(b)
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
	if ok != want || m.has != has {
		t.Fatalf("%x: understood %v, want %v; has %#x, want %#x", b, ok, want, m.has, has)
	}
	var again Metrics
	if ok, err := again.decode(exact(appendMetrics(nil, &m))); !ok || err != nil || again != m {
		t.Fatalf("%x: %v, %v\n was %+v\n  is %+v", b, ok, err, m, again)
	}
	m.AppendLocked(m.AppendFeatures(nil))
}

func checkNexthop(t testing.TB, b []byte) {
	t.Helper()
	b = exact(b)
	var o NexthopObject
	if err := o.UnmarshalBinary(b); err != nil {
		checkError(t, b, err)
		return
	}
	inside(t, b, o.Encap.Raw)
	inside(t, b, attrData(o.Unknown)...)
	members := 0
	unknown := notUnderstood(split(t, b[nhmsgLen:]), o.Encap, nhaEncap, func(typ uint16, d []byte) bool {
		switch n := len(d); typ {
		case nhaID, nhaOIF:
			return n == 4
		case nhaGroup:
			members += n / 8
			return n%8 == 0
		case nhaGroupType:
			return n == 2
		case nhaEncapType:
			return n == 2 && u16(d) != 0
		case nhaGateway:
			return n == 4 || n == 16
		case nhaBlackhole:
			return n == 0
		case nhaEncap:
			return true
		}
		return false
	})
	if !reflect.DeepEqual(o.Unknown, unknown) || len(o.Group) > members {
		t.Fatalf("%x: %+v, unknown should be %v", b, o, unknown)
	}
	if len(b) < 1<<15 {
		var again NexthopObject
		if err := again.UnmarshalBinary(exact(appendNexthop(nil, &o))); err != nil || !reflect.DeepEqual(again, o) {
			t.Fatalf("%x: %v\n was %+v\n  is %+v", b, err, o, again)
		}
	}
	s := &Snapshot{objects: map[uint32]*NexthopObject{o.ID: &o}}
	hops := s.Nexthops(&Route{NexthopID: some(o.ID)}, nil)
	want := max(len(o.Group), 1)
	if o.Blackhole && len(o.Group) == 0 {
		want = 0
	}
	if len(hops) != want && !(o.Blackhole && len(o.Group) == 1 && o.Group[0].ID == o.ID) {
		t.Fatalf("%x: %d nexthops of %+v", b, len(hops), o)
	}
}

func checkLink(t testing.TB, b []byte) {
	t.Helper()
	b = exact(b)
	var l, again Link
	if err := l.UnmarshalBinary(b); err != nil {
		checkError(t, b, err)
		return
	}
	split(t, b[ifinfomsgLen:])
	if err := again.UnmarshalBinary(exact(appendLink(nil, &l))); err != nil || again != l {
		t.Fatalf("%x: %v\n was %+v\n  is %+v", b, err, l, again)
	}
	l.OperStateName()
}

// checkDatagram checks what is made of a datagram in a dump, and in a listener.
func checkDatagram(t testing.TB, b []byte, seq uint32) {
	t.Helper()
	b = exact(b)
	c := &conn{seq: seq}
	var got [][]byte
	var interrupted bool
	done, err := c.messages(b, &dumpSink{want: unix.RTM_NEWROUTE, message: func(msg []byte) (bool, error) {
		inside(t, b, msg)
		got = append(got, msg)
		return true, nil
	}}, &interrupted)

	// The same again, step by step.
	var want [][]byte
	var wantIntr, wantDone, wantErr bool
	for rest := b; len(rest) > 0 && !wantDone && !wantErr; {
		if wantErr = len(rest) < 16 || u32(rest) < 16 || uint64(u32(rest)) > uint64(len(rest)); wantErr {
			break
		}
		n := int(u32(rest))
		msg := rest[:n]
		rest = rest[min(align4(n), len(rest)):]
		if u32(msg[8:]) != seq {
			continue
		}
		wantIntr = wantIntr || u16(msg[6:])&unix.NLM_F_DUMP_INTR != 0
		switch u16(msg[4:]) {
		case unix.RTM_NEWROUTE:
			want = append(want, msg)
		case unix.NLMSG_OVERRUN:
			wantErr = true
		case unix.NLMSG_ERROR:
			wantDone, wantErr = n >= 20, n < 20 || u32(msg[16:]) != 0
		case unix.NLMSG_DONE:
			wantDone, wantErr = true, n >= 20 && u32(msg[16:]) != 0
		}
	}
	if (err != nil) != wantErr || done != wantDone || interrupted != wantIntr || !reflect.DeepEqual(got, want) {
		t.Fatalf("%x: error %v, done %v, interrupted %v, messages %x;\nwant error %v, done %v, interrupted %v, messages %x",
			b, err, done, interrupted, got, wantErr, wantDone, wantIntr, want)
	}

	var heard changes
	heard.add(b)
	whole := true
	for rest := b; len(rest) > 0 && whole; {
		whole = len(rest) >= 16 && u32(rest) >= 16 && uint64(u32(rest)) <= uint64(len(rest))
		if !whole {
			break
		}
		msg := rest[:u32(rest)]
		rest = rest[min(align4(len(msg)), len(rest)):]
		switch u16(msg[4:]) {
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			if h, err := readHead(msg[16:]); err != nil {
				whole = false
			} else if !heard.group(group{h.family, h.table}) {
				t.Fatalf("%x: a change of a route in table %d was missed", b, h.table)
			}
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
			if !heard.links || !heard.routes {
				t.Fatalf("%x: a change of an interface was missed", b)
			}
		case unix.RTM_NEWNEXTHOP, unix.RTM_DELNEXTHOP:
			if !heard.objects || !heard.routes {
				t.Fatalf("%x: a change of a nexthop object was missed", b)
			}
		case unix.RTM_NEWADDR, unix.RTM_DELADDR:
			if !heard.routes {
				t.Fatalf("%x: a change of an address was missed", b)
			}
		default:
			whole = false
		}
	}
	if !whole && !(heard.routes && heard.links && heard.objects) {
		t.Fatalf("%x: what is not understood is no change", b)
	}
}

func FuzzRoute(f *testing.F) {
	for _, c := range routeAttrs {
		f.Add(append(rtmsg(c.family), c.attrs...), ^uint32(0))
	}
	for seed := range uint64(20) {
		f.Add(appendRoute(nil, newChance(seed).route()), uint32(1)<<seed)
	}
	f.Fuzz(func(t *testing.T, b []byte, bits uint32) {
		checkRoute(t, b)
		checkRouteFields(t, b, bits)
	})
}

func FuzzMultipath(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(appendMultipath(nil, IPv4, newChance(seed).hops(IPv4)))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkHops(t, b) })
}

func FuzzMetrics(f *testing.F) {
	for seed := range uint64(20) {
		m := newChance(seed).metrics()
		f.Add(appendMetrics(nil, &m))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkMetrics(t, b) })
}

func FuzzNexthop(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(appendNexthop(nil, newChance(seed).nexthop()))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkNexthop(t, b) })
}

func FuzzLink(f *testing.F) {
	f.Add(appendLink(nil, &Link{Index: 2, Name: "eth0", OperState: 6}))
	f.Add(appendLink(nil, &Link{Index: 3, Name: "v0", Kind: "veth"}))
	f.Fuzz(func(t *testing.T, b []byte) { checkLink(t, b) })
}

func FuzzDatagram(f *testing.F) {
	for _, typ := range []uint16{unix.RTM_NEWROUTE, unix.RTM_NEWLINK, unix.RTM_NEWNEXTHOP, unix.RTM_DELADDR, unix.NLMSG_DONE, unix.NLMSG_ERROR, unix.NLMSG_OVERRUN} {
		msg := append(appendHeader(nil, 36, typ, unix.NLM_F_MULTI, 1), make([]byte, 20)...)
		f.Add(append(slices.Clone(msg), msg...), uint32(1))
		f.Add(msg[:35], uint32(0))
	}
	f.Fuzz(func(t *testing.T, b []byte, seq uint32) { checkDatagram(t, b, seq) })
}
