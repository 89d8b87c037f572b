package rtnl

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
)

const local = unix.RT_TABLE_LOCAL

// TestReadAside has so many IPv4 routes that IPv6 is read beside them.
func TestReadAside(t *testing.T) {
	routes := func(r fakeRequest) []event {
		var all []event
		if r.route.family == 0 && r.route.table != local {
			for i := range asideAfter + 5 {
				all = append(all, datagram(route4(r.seq, byte(i), 254)))
			}
		}
		six := [][]byte{route6(r.seq, 1, 254), route6(r.seq, 2, 254), route6(r.seq, 3, local)}
		if r.route.table == local {
			six = six[2:]
		}
		switch r.route.family {
		case 0, IPv6:
			all = append(all, datagram(six...))
		case IPMR:
			all = append(all, datagram(message(unix.RTM_NEWROUTE, 0, r.seq, appendRoute(nil, mroute(IPMR, "10.1.0.7")))))
		}
		return append(all, datagram(done(r.seq, 0)))
	}
	six := func(r fakeRequest) bool { return r.typ == unix.RTM_GETROUTE && r.route.family == IPv6 }
	after := []dumpRequest{{family: MPLS}, {family: IPMR}, {family: IP6MR}}
	for _, tc := range []struct {
		name   string
		req    Request
		answer func(fakeRequest) []event // of the aside; nil: as it should
		rows   int
		want   []dumpRequest // all but the aside's and its proof
	}{
		{"all", Request{}, nil, asideAfter + 5 + 3 + 1, append([]dumpRequest{{}}, after...)},
		{"ipv6", Request{Filter: Filter{Families: []Family{IPv6}}}, nil, 3, nil},
		{"ipv6 and others", Request{Filter: Filter{Families: []Family{IPv6, IPMR, MPLS}}}, nil, 3 + 1, after[:2]},
		{"ipv6 of one table", Request{Filter: Filter{Families: []Family{IPv6}, Tables: []uint32{254}}}, nil, 2, nil},
		{"ipv6 of a small table", Request{Filter: Filter{Families: []Family{IPv6}, Tables: []uint32{77}}}, nil, 0, []dumpRequest{{table: 77}}},
		{"ipv4 and ipv6", Request{Filter: Filter{Families: []Family{IPv4, IPv6}}, Links: true}, nil, asideAfter + 5 + 3, []dumpRequest{{}}},
		{"ipv4", Request{Filter: Filter{Families: []Family{IPv4}}}, nil, asideAfter + 5, []dumpRequest{{}}},
		{"one table", Request{Filter: Filter{Families: []Family{IPv4, IPv6}, Tables: []uint32{254}}}, nil, asideAfter + 5 + 2, []dumpRequest{{table: 254}}},
		{"a route that does not fit", Request{}, func(r fakeRequest) []event {
			return []event{datagram(route6(r.seq, 1, 254)), {b: []byte{}}}
		}, asideAfter + 5 + 3, []dumpRequest{{}}},
		{"a route that does not fit, of which nothing is said", Request{Filter: Filter{Families: []Family{IPv6}}}, func(r fakeRequest) []event {
			return []event{datagram(route6(r.seq, 1, 254)), datagram(done(r.seq, 0))}
		}, 3, []dumpRequest{{}}},
		{"none", Request{}, func(r fakeRequest) []event { return []event{datagram(done(r.seq, 0))} }, asideAfter + 5 + 3, []dumpRequest{{}}},
		{"an error", Request{}, func(r fakeRequest) []event { return []event{failure(unix.EIO)} }, asideAfter + 5 + 3, []dumpRequest{{}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := &fakeKernel{t: t, answer: func(r fakeRequest) []event {
				switch {
				case r.typ != unix.RTM_GETROUTE:
					return ordinary(r)
				case six(r) && tc.answer != nil:
					return tc.answer(r)
				}
				return routes(r)
			}}
			s, err := k.read(tc.req)
			if err != nil || !s.Consistent || s.Tries != 1 || size(s) != tc.rows {
				t.Fatalf("%v, consistent %v, %d tries, %d rows, want %d", err, s.Consistent, s.Tries, size(s), tc.rows)
			}
			var got []dumpRequest
			for _, r := range k.routes() {
				if r.family != IPv6 && r.table != local {
					got = append(got, r)
				}
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("requests %+v, want %+v", got, tc.want)
			}
		})
	}
	// No second connection can be had.
	dials := 0
	k := &fakeKernel{t: t, answer: routes, dialErr: func(groups uint32) error {
		if dials++; dials == 3 {
			return unix.EMFILE
		}
		return nil
	}}
	if s, err := k.read(Request{}); err != nil || size(s) != asideAfter+5+3 {
		t.Errorf("%v", err)
	}
}

// TestAsideCounted has a kernel that says how many IPv6 routes it has: where as
// many came, nothing else is asked.
func TestAsideCounted(t *testing.T) {
	six := func(r fakeRequest) [][]byte {
		v := v6()
		v.Table, v.Src, v.NexthopID = 254, netip.Prefix{}, Opt[uint32]{}
		v.Multipath = []Nexthop{{OIF: 3, Weight: 1}, {OIF: 4, Weight: 1}}
		multipath := message(unix.RTM_NEWROUTE, unix.NLM_F_MULTI, r.seq, appendRoute(nil, v))
		v.NexthopID = some(uint32(7))
		object := message(unix.RTM_NEWROUTE, unix.NLM_F_MULTI, r.seq, appendRoute(nil, v))
		return [][]byte{multipath, object, route6(r.seq, 1, local)}
	}
	for _, tc := range []struct {
		stats  string
		tables []uint32
		proof  bool
	}{
		{"0010 0004 0009 0004 0000 0000 0000\n", nil, false},
		{"0010 0004 0009 0004 0000 0000 0000\n", []uint32{254}, false},
		{"0010 0004 0009 0014 0000 0000 0000\n", nil, true},
		{"0010 0004 0009 0003 0000 0000 0000\n", nil, true},
		{"0010 0004 0009 0014 0000 0000 0000\n", []uint32{254}, false}, // only table local could be cut short
		{"0004 0004 0004", nil, true},
		{"4 4 4 -4", nil, true},
		{"", nil, true},
	} {
		file := filepath.Join(t.TempDir(), "rt6_stats")
		if err := os.WriteFile(file, []byte(tc.stats), 0o600); err != nil {
			t.Fatal(err)
		}
		k := &fakeKernel{t: t, answer: func(r fakeRequest) (all []event) {
			switch {
			case r.route.family == 0 && r.route.table != local:
				for i := range asideAfter + 5 {
					all = append(all, datagram(route4(r.seq, byte(i), 254)))
				}
			case r.route.family == 0:
				all = append(all, datagram(route6(r.seq, 1, local)))
			case r.route.family == IPv6:
				all = append(all, datagram(six(r)...))
			}
			return append(all, datagram(done(r.seq, 0)))
		}}
		kernel := k.kernel()
		kernel.stats = file
		s, err := kernel.Read(context.Background(), Request{Filter: Filter{Families: []Family{IPv6}, Tables: tc.tables}})
		want := 3 - len(tc.tables)
		if err != nil || !s.Consistent || size(s) != want {
			t.Fatalf("%q: %v, %d routes", tc.stats, err, size(s))
		}
		proof := false
		for _, r := range k.routes() {
			proof = proof || r == dumpRequest{table: local}
		}
		if proof != tc.proof {
			t.Errorf("%q, tables %v: table local was asked for: %v", tc.stats, tc.tables, proof)
		}
	}
}

// TestAsideHears has an IPv4 route that changes beside a datagram's end: before all
// IPv4 routes were read, or while what is read aside is waited for.
func TestAsideHears(t *testing.T) {
	for drain, tries := range map[int]int{1: 2, 2: 1} {
		k := &fakeKernel{t: t, answer: func(r fakeRequest) (all []event) {
			if r.route.family == 0 {
				for i := range asideAfter + 5 {
					all = append(all, datagram(route4(r.seq, byte(i), 254)))
				}
			}
			return append(all, datagram(route6(r.seq, 1, 254), route6(r.seq, 2, local)), datagram(done(r.seq, 0)))
		}, hear: func(n int) []event {
			if n == drain {
				return []event{datagram(route4(0, 3, 254))}
			}
			return nil
		}}
		s, err := k.read(Request{Filter: Filter{Families: []Family{IPv4, IPv6}}})
		if err != nil || !s.Consistent || s.Tries != tries || size(s) != asideAfter+5+2 {
			t.Errorf("heard at %d: %v, consistent %v after %d tries, %d routes", drain, err, s.Consistent, s.Tries, size(s))
		}
	}
}

// A recorder notes what the kernel is asked for.
type recorder struct {
	mu       sync.Mutex
	requests []dumpRequest
}

type recordedSocket struct {
	socket
	r *recorder
}

func (r *recorder) dial(ctx context.Context, groups uint32) (socket, bool, error) {
	s, strict, err := dialKernel(ctx, groups)
	return &recordedSocket{s, r}, strict, err
}

func (s *recordedSocket) send(m netlink.Message) (netlink.Message, error) {
	if m.Header.Type == unix.RTM_GETROUTE {
		q := dumpRequest{family: Family(m.Data[0])}
		for a := walk(m.Data[rtmsgLen:]); a.next(); {
			if a.typ == rtaTable {
				q.table = u32(a.data)
			}
		}
		s.r.mu.Lock()
		s.r.requests = append(s.r.requests, q)
		s.r.mu.Unlock()
	}
	return s.socket.send(m)
}

// TestAsideKernel has IPv6 routes of every kind beside many IPv4 routes: the
// kernel counts them as routeHead.entries does.
func TestAsideKernel(t *testing.T) {
	manyRoutes(t, 12_000)
	nstest.Batch(t, "-6", "nexthop add id 5 via fd00::5 dev v0", "nexthop add id 6 via fd00::6 dev v0", "nexthop add id 8 blackhole")
	nstest.IP(t, "nexthop add id 7 group 5/6")
	nstest.Batch(t, "-6",
		"route add fd01::/64 via fd00::2",
		"route add fd01::/64 via fd00::2 metric 7",
		"route add fd02::/64 nexthop via fd00::2 nexthop via fd00::3 nexthop via fd00::4",
		"route add fd03::/64 nhid 5",
		"route add fd04::/64 nhid 7",
		"route add fd05::/64 nhid 8",
		"route add blackhole fd06::/64",
		"route add unreachable default metric 4294967295",
		"route add fd07::/64 nexthop via fd00::2 nexthop via fd00::3",
		"route append fd07::/64 via fd00::4",
		"route del fd07::/64 via fd00::2",
		"route add fd08::/64 nexthop via fd00::2 nexthop via fd00::3 nexthop via fd00::4",
		"route replace fd08::/64 via fd00::5",
		"route add fd09::/64 via fd00::2",
		"route replace fd09::/64 nexthop via fd00::3 nexthop via fd00::4",
		"route add fd0a::/64 via fd00::2 expires 600",
		"route add fd0b::/64 dev v0 encap ip6 dst fd00::9",
		"route add fd0c::/64 from fd0d::/64 via fd00::2",
		"route add fd0e::/64 via fd00::2 table 510",
		"route add fd0e::/64 via fd00::2 table 511",
		"route add fd0f::1 via fd00::2 table local",
	)
	read := func() (*Snapshot, bool, error) {
		var r recorder
		k := Kernel{dial: r.dial, stats: rt6StatsPath}
		s, err := k.Read(context.Background(), Request{})
		aside, proof := false, false
		for _, q := range r.requests {
			aside = aside || q == dumpRequest{family: IPv6}
			proof = proof || q == dumpRequest{table: local}
		}
		if !aside {
			t.Fatalf("IPv6 was not read aside: %v", r.requests)
		}
		return s, proof, err
	}
	s, proof, err := read()
	if err != nil || !s.Consistent {
		t.Fatal(err, s)
	}
	n := 0
	for c := s.Cursor(AllFields); c.Next(); {
		if c.Route().Family == IPv6 {
			n++
		}
	}
	if want := strings.Count(nstest.IP(t, "-6 -o route show table all"), "\n"); n != want {
		t.Errorf("%d IPv6 routes, ip has %d", n, want)
	}
	if proof {
		t.Errorf("the kernel does not count its IPv6 routes as entries does")
	}
	// Read as before Linux 6.9: all IPv6 routes by themselves.
	old := Kernel{dial: dialKernel, stats: rt6StatsPath, release: "6.1.0"}
	if s2, err := old.Read(context.Background(), Request{}); err != nil || !s2.Consistent || s2.Tries != 1 || size(s2) != size(s) {
		t.Errorf("%v, %d routes, want %d", err, size(s2), size(s))
	}
	// A route that does not fit, in table local and then elsewhere.
	var name unix.Utsname
	var major, minor int
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	if major < 6 || major == 6 && minor < 9 {
		t.Skip("Linux 6.9 or later, which tells of an IPv6 route that does not fit, is missing")
	}
	for _, table := range []string{"local", "main"} {
		var lines []string
		for i := range 1500 {
			lines = append(lines, fmt.Sprintf("route append fd10::1 via fd00::1:%x table %s", i, table))
		}
		nstest.Batch(t, "-6", lines...)
		if s, _, err := read(); !errors.Is(err, ErrTooLarge) {
			t.Errorf("table %s: %v, %v", table, s, err)
		}
		if s, err := old.Read(context.Background(), Request{}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("table %s, as before 6.9: %v, %v", table, s, err)
		}
		nstest.IP(t, "-6 route del fd10::1 table "+table)
		if s, _, err := read(); err != nil || !s.Consistent {
			t.Errorf("table %s, deleted: %v", table, err)
		}
	}
}
