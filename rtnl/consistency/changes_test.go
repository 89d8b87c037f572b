package consistency

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"

	. "kernelroutes/internal/fakekernel"
	. "kernelroutes/internal/nltest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

var (
	routes, links, objects = object.Routes.Kind, object.Links.Kind, object.NexthopObjects.Kind

	main4 = object.Table{Family: object.IPv4, ID: 254}
	main6 = object.Table{Family: object.IPv6, ID: 254}
)

// heardOf returns what a listener makes of messages.
func heardOf(messages ...[]byte) *Changes {
	var c Changes
	c.add(Cat(messages...))
	return &c
}

// numbered reports whether there was a message about an object by its number.
func numbered(c *Changes, k *object.Kind, number uint32) bool {
	return c.Number(k, func(m *object.Message) bool { return k.Number(m) == number })
}

// TestChanges has what a listener knows after one message.
func TestChanges(t *testing.T) {
	type known struct {
		routes, links, objects bool // any may have changed
		main4, main6           bool // tables
		told                   []*object.Kind
		entries                uint64
	}
	ecmp := RouteMessage(0, ECMP(object.IPv6))
	everything := known{true, true, true, true, true, object.Kinds, AnyEntries}
	for _, tc := range []struct {
		name    string
		message []byte
		want    known
	}{
		{"nothing", nil, known{}},
		{"an IPv4 route", Route4(0, 1, 254), known{main4: true, told: []*object.Kind{routes}}},
		{"an IPv6 route", Route6(0, 1, 254), known{main6: true, told: []*object.Kind{routes}, entries: 1}},
		{"an IPv6 multipath route", ecmp, known{main6: true, told: []*object.Kind{routes}, entries: 2}},
		{"in another table", Route4(0, 1, 1000), known{told: []*object.Kind{routes}}},
		{"in another table of the same low byte", Route4(0, 1, 510), known{main4: true, told: []*object.Kind{routes}}},
		{"one that went", With(Route4(0, 1, 254), 4, object.RTM_DELROUTE),
			known{main4: true, told: []*object.Kind{routes}}},
		{"an interface", LinkMessage(0, 3, "v0"), known{routes: true, objects: true, main4: true, main6: true,
			told: []*object.Kind{links}, entries: AnyEntries}},
		{"a nexthop object", NexthopMessage(0, 5), known{routes: true, main4: true, main6: true,
			told: []*object.Kind{objects}, entries: AnyEntries}},
		{"an address", Padded(object.RTM_NEWADDR, 0, 0, make([]byte, 8)), known{routes: true, main4: true, main6: true,
			entries: AnyEntries}},
		{"half an address", Padded(object.RTM_NEWADDR, 0, 0, make([]byte, 4)), everything},
		{"of another type", Padded(28, 0, 0, make([]byte, 12)), everything},
		{"no message", []byte{1, 2, 3}, everything},
		{"a length that does not fit", With(Route4(0, 1, 254), 0, 255), everything},
	} {
		c := heardOf(tc.message)
		got := known{c.Any(routes), c.Any(links), c.Any(objects), c.table(routes, main4), c.table(routes, main6), nil,
			c.Entries(routes)}
		for _, k := range object.Kinds {
			if c.Told(k) {
				got.told = append(got.told, k)
			}
		}
		if !slices.Equal(got.told, tc.want.told) {
			t.Errorf("%s: told of %d kinds", tc.name, len(got.told))
		}
		got.told, tc.want.told = nil, nil
		if got.routes != tc.want.routes || got.links != tc.want.links || got.objects != tc.want.objects ||
			got.main4 != tc.want.main4 || got.main6 != tc.want.main6 || got.entries != tc.want.entries {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

// TestChangesOfNumbers tells objects apart by their numbers, as long as they are not many.
func TestChangesOfNumbers(t *testing.T) {
	c := heardOf(LinkMessage(0, 3, "v0"))
	if !numbered(c, links, 3) || numbered(c, links, 4) || numbered(c, objects, 3) {
		t.Error("an interface is not told from others")
	}
	for range maxNumbered - 1 {
		c.add(LinkMessage(0, 3, "v0"))
	}
	if numbered(c, links, 4) {
		t.Error("as many as are told apart are not")
	}
	if c.add(LinkMessage(0, 3, "v0")); !numbered(c, links, 4) || !c.Any(links) {
		t.Error("one that is not kept is forgotten")
	}
	if heard := heardOf([]byte{1}); !numbered(heard, links, 4) || !numbered(heard, objects, 4) {
		t.Error("what is not understood may be about any object")
	}
}

// TestChangesBetween looks for changes of addresses where a datagram ended.
func TestChangesBetween(t *testing.T) {
	c := heardOf(Route4(0, 5, 254), Route4(0, 2, 1000), Route6(0, 3, 254)).of(routes)
	c.sort()
	for _, tc := range []struct {
		from, to byte
		want     bool
	}{
		{1, 1, false}, {1, 2, true}, {2, 2, true}, {2, 4, true}, {3, 4, false}, {3, 5, true}, {5, 5, true},
		{6, 255, false},
	} {
		if got := c.between([4]byte{10, tc.from}, [4]byte{10, tc.to}); got != tc.want {
			t.Errorf("10.%d.0.0 to 10.%d.0.0: %v", tc.from, tc.to, got)
		}
	}
	link := heardOf(LinkMessage(0, 3, "v0")).of(routes)
	if link.sort(); !link.between([4]byte{}, [4]byte{}) {
		t.Error("a change of any is none here")
	}
}

// TestChangesOfGrowing keeps the messages about objects that grow, also for what comes after.
func TestChangesOfGrowing(t *testing.T) {
	ecmp := RouteMessage(0, ECMP(object.IPv6))
	gone := With(ecmp, 4, object.RTM_DELROUTE)
	c := heardOf(Route6(0, 1, 254), ecmp, gone, RouteMessage(0, ECMP(object.IPv4)))
	if list, all := c.Growing(routes); routesIn(list) != 1 || !all {
		t.Errorf("%d messages, all %v", routesIn(list), all)
	}
	next := c.Next()
	if next.Any(routes) || next.table(routes, main6) || next.Told(routes) || next.Entries(routes) != 0 {
		t.Error("what was heard before is heard again")
	}
	next.add(ecmp)
	if list, all := next.Growing(routes); routesIn(list) != 2 || !all {
		t.Errorf("%d messages, all %v", routesIn(list), all)
	}
	for range maxGrowing/len(ecmp) + 1 {
		next.add(ecmp)
	}
	if _, all := next.Growing(routes); all {
		t.Error("more than are kept are all")
	}
	if after := next.Next(); !after.lost {
		t.Error("it is forgotten that some were lost")
	}
}

// TestChangesClone adds to the one and not to the other.
func TestChangesClone(t *testing.T) {
	c := heardOf(Route4(0, 1, 254))
	n := c.clone()
	c.add(Cat(Route4(0, 2, 255), LinkMessage(0, 3, "v0")))
	if n.Any(routes) || !n.table(routes, main4) || n.table(routes, object.Table{Family: object.IPv4, ID: 255}) ||
		len(n.of(routes).addresses) != 1 {
		t.Errorf("%+v", n)
	}
}

// TestChangesObject is told of each message.
func TestChangesObject(t *testing.T) {
	var got []string
	c := Changes{Object: func(m *object.Message, gone bool) {
		what := m.Kind().Name
		if gone {
			what += " gone"
		}
		got = append(got, what)
	}}
	next := c.Next()
	next.add(Cat(Route4(0, 1, 254), With(LinkMessage(0, 3, "v0"), 4, object.RTM_DELLINK), NexthopMessage(0, 5)))
	if want := []string{"route", "link gone", "nexthop"}; !slices.Equal(got, want) {
		t.Errorf("told of %q", got)
	}
}

// TestListener drains a listener: to the end of what there is, and through what is lost.
func TestListener(t *testing.T) {
	for _, tc := range []struct {
		name   string
		events []Event
		any    bool // anything may have changed
		err    error
	}{
		{"nothing", nil, false, nil},
		{"two datagrams", []Event{Datagram(Route4(0, 1, 254)), Datagram(Route6(0, 1, 254))}, false, nil},
		{"an overflow", []Event{Failure(syscall.ENOBUFS), Datagram(Route4(0, 1, 254))}, true, nil},
		{"a datagram that is too large", []Event{Datagram(make([]byte, 2*conn.MaxDatagram))}, true, nil},
		{"an error", []Event{Failure(syscall.EIO)}, false, syscall.EIO},
	} {
		var groups uint32
		k := &Kernel{T: t, Hear: func(int) []Event { return tc.events },
			DialErr: func(ns conn.Namespace, g uint32) error { groups = g; return nil }}
		l, err := Listen(t.Context(), k.Dial, "", []*object.Kind{links, object.NexthopObjects.Kind, routes})
		if err != nil {
			t.Fatal(err)
		}
		var c Changes
		if err := l.Drain(&c); !errors.Is(err, tc.err) || c.Any(routes) != tc.any || c.Any(links) != tc.any {
			t.Errorf("%s: %v, any %v", tc.name, err, c.Any(routes))
		}
		if len(tc.events) == 2 && (!c.table(routes, main4) || !tc.any && !c.table(routes, main6)) {
			t.Errorf("%s: the second datagram was not taken", tc.name)
		}
		// LINK 1, IPV4_IFADDR 5, IPV4_MROUTE 6, IPV4_ROUTE 7, IPV6_IFADDR 9, IPV6_MROUTE
		// 10, IPV6_ROUTE 11, MPLS_ROUTE 27, NEXTHOP 32.
		if want := uint32(1<<0 | 1<<4 | 1<<5 | 1<<6 | 1<<8 | 1<<9 | 1<<10 | 1<<26 | 1<<31); groups != want {
			t.Errorf("groups %#x, want %#x", groups, want)
		}
		if l.Close(); k.Open != 0 {
			t.Error("the socket is still open")
		}
	}
}

// TestListenerGroups joins the groups of what is asked for, and of what makes it stale.
func TestListenerGroups(t *testing.T) {
	for _, tc := range []struct {
		kind *object.Kind
		want uint32
	}{{links, 1 << 0}, {objects, 1<<0 | 1<<31}} {
		k := &Kernel{T: t, DialErr: func(_ conn.Namespace, groups uint32) error {
			if groups != tc.want {
				t.Errorf("%s: groups %#x, want %#x", tc.kind.Plural, groups, tc.want)
			}
			return syscall.EMFILE
		}}
		if _, err := Listen(context.Background(), k.Dial, "", []*object.Kind{tc.kind}); !errors.Is(err,
			conn.ErrSocket) {
			t.Error(err)
		}
	}
}
