package object_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// numbered is a message of a route that its table numbers, of one of several lengths.
func numbered(t *testing.T, n uint32) *Message {
	t.Helper()
	r := &Route{Family: IPv4, Table: n, Dst: netip.MustParsePrefix("10.0.0.0/8")}
	payload := AppendRoute(nil, r)
	if n%3 == 0 { // the last attribute lacks its padding, and so the message
		payload = append(payload, Cat(NE(uint16(5)), NE(uint16(RTA_PREF)), []byte{1})...)
	}
	m, err := check(Routes.Kind, payload)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func tables(runs ...Run) (list []uint32) {
	Each(runs, func(m *Message) bool {
		list = append(list, Routes.Table(m).ID)
		return true
	})
	return list
}

func TestRun(t *testing.T) {
	var log Messages
	var want []uint32
	for n := range uint32(20_000) {
		log.Add(numbered(t, n))
		want = append(want, n)
	}
	if got := tables(log.Runs...); !slices.Equal(got, want) {
		t.Errorf("%d messages come back", len(got))
	}
	count := 0
	for _, r := range log.Runs {
		count += r.Count()
		if len(r.Bytes()) != r.Len() || r.Len() > 1<<20 {
			t.Errorf("%d bytes, %d", len(r.Bytes()), r.Len())
		}
	}
	if count != len(want) || len(log.Runs) < 3 {
		t.Errorf("%d messages in %d runs", count, len(log.Runs))
	}
	// The rest, a part and a copy of a run.
	run := log.Runs[0]
	var m Message
	var at []int
	for rest := run; rest.Next(&m); {
		at = append(at, run.Len()-rest.Len())
	}
	if got := tables(run.At(at[4])); !slices.Equal(got, want[5:len(at)]) {
		t.Errorf("the rest from the sixth one on is %d", got)
	}
	part := run.Cut(at[0], at[2])
	if got := tables(part); !slices.Equal(got, []uint32{1, 2}) {
		t.Errorf("the second and third one are %d", got)
	}
	clone := Packed([]Run{part})[0]
	if clear(part.Bytes()); !slices.Equal(tables(clone), []uint32{1, 2}) {
		t.Error("a copy changes with what it is of")
	}
	stopped := 0
	Each(log.Runs[1:], func(*Message) bool { stopped++; return stopped < 3 })
	if stopped != 3 {
		t.Errorf("stops after %d", stopped)
	}
}

// TestRunOfOne has a message with its padding.
func TestRunOfOne(t *testing.T) {
	for n := range uint32(3) {
		m := numbered(t, n)
		b := make([]byte, wire.Align(len(m.Bytes())), wire.Align(len(m.Bytes()))+4)
		m.Moved(b[:copy(b, m.Bytes())])
		if run := RunOf(m); !slices.Equal(tables(run), []uint32{n}) || run.Count() != 1 || run.Len()%4 != 0 {
			t.Errorf("%d: %x", n, run.Bytes())
		}
		if m.Kind() != Routes.Kind || !bytes.Equal(m.Attributes(), m.Payload()[RtmsgLen:]) {
			t.Errorf("%d: %v, %x", n, m.Kind(), m.Attributes())
		}
	}
}

// TestMessageOfAnyKind: what is too short for its struct is none.
func TestMessageOfAnyKind(t *testing.T) {
	for _, k := range append(slices.Clone(Kinds), Addresses) {
		for n := range k.Header + 3 {
			m, err := check(k, make([]byte, n))
			if (err == nil) != (n >= k.Header) {
				t.Errorf("%s of %d bytes: %v", k.Name, n, err)
			}
			if err == nil && (m.Has() != 0 || m.Kind() != k) {
				t.Errorf("%s of %d bytes has %#x", k.Name, n, m.Has())
			}
		}
	}
}

func TestReferences(t *testing.T) {
	group := &NexthopObject{ID: 9, Group: []GroupMember{{5, 1}, {6, 1}}}
	single := &NexthopObject{ID: 5, OIF: 3, Encap: Encap{Type: LWTUNNEL_ENCAP_SEG6_LOCAL, Raw: Attr(7, NE(uint32(8)))}}
	var refs, more References
	for _, o := range []*NexthopObject{group, single, {ID: 7, Blackhole: true}} {
		m, err := check(NexthopObjects.Kind, AppendNexthop(nil, o))
		if err != nil {
			t.Fatal(err)
		}
		if got := NexthopObjects.Number(m); got != o.ID {
			t.Errorf("%d is number %d", o.ID, got)
		}
		NexthopObjects.Refer(m, &refs)
	}
	m, err := check(Links.Kind, AppendLink(nil, &Link{Index: 4}))
	if err != nil || Links.Number(m) != 4 {
		t.Error("link 4 has another number", err)
	}
	more.Add(Links.Kind, 4)
	more.Add(Links.Kind, 8)
	refs.Union(&more)
	for k, want := range map[*Kind][]uint32{Links.Kind: {3, 4, 8}, NexthopObjects.Kind: {5, 6}, Routes.Kind: nil} {
		if got := refs.Of(k); len(got) != len(want) {
			t.Errorf("%s: %v, not %v", k.Plural, got, want)
		} else {
			for _, n := range want {
				if !got[n] {
					t.Errorf("%s: %v, not %v", k.Plural, got, want)
				}
			}
		}
	}
	for i, k := range Kinds {
		if k.Ordinal() != i {
			t.Errorf("%s is kind %d", k.Name, k.Ordinal())
		}
	}
}

// TestLogKnown: of a message of which only what is decoded is kept, the same is decoded.
func TestLogKnown(t *testing.T) {
	link := Cat(make([]byte, IfinfomsgLen), Attr(1, make([]byte, 6)), Attr(IFLA_IFNAME, Str("old")),
		Attr(23, make([]byte, 200)), Attr(IFLA_OPERSTATE, []byte{6}),
		Attr(IFLA_AF_SPEC|NLA_F_NESTED, Attr(AF_INET, Attr(IFLA_INET_CONF, make([]byte, 700)))),
		Attr(IFLA_IFNAME, Str("größe")),
		Attr(IFLA_LINKINFO|NLA_F_NESTED, Attr(IFLA_INFO_KIND, Str("veth"))), Attr(70, nil))
	nexthop := AppendNexthop(nil, NewChance(1).Nexthop())
	var log, whole Messages
	var m Message
	check := func(k *Kind, payload []byte) {
		t.Helper()
		log, whole = Messages{}, Messages{}
		for range 40 {
			if err := k.Check(&m, MessageOf(k.New, 2, 7, payload)); err != nil {
				t.Fatal(err)
			}
			log.AddKnown(&m)
			whole.Add(&m)
		}
		if log.Count() != 40 || len(Packed(log.Runs)) != 1 {
			t.Errorf("%d messages", log.Count())
		}
	}
	check(Links.Kind, link)
	var want Link
	if err := want.UnmarshalBinary(link); err != nil || want != (Link{Name: "größe", Kind: "veth", OperState: 6}) {
		t.Fatal(err, want)
	}
	Each(log.Runs, func(m *Message) bool {
		var checked Message
		if err := Links.Check(&checked, m.Bytes()); err != nil {
			t.Fatal(err)
		}
		var got Link
		if Links.Decode(&got, &checked); got != want || len(m.Bytes()) > 100 {
			t.Fatalf("got %+v of %d bytes, want %+v", got, len(m.Bytes()), want)
		}
		return true
	})
	check(NexthopObjects.Kind, nexthop) // of which all is decoded
	if a, b := Packed(log.Runs), Packed(whole.Runs); string(a[0].Bytes()) != string(b[0].Bytes()) {
		t.Error("something of a nexthop object is not kept")
	}
}
