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

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/consistency"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

const local = unix.RT_TABLE_LOCAL

// manyIPv4 answers with so many IPv4 routes that IPv6 is read beside them.
func manyIPv4(r fakeRequest) []event {
	var all []event
	if r.Route.Family == 0 && r.Route.Table != local {
		for i := range consistency.ParallelAfter + 5 {
			all = append(all, datagram(route4(r.Seq, byte(i), 254)))
		}
	}
	six := [][]byte{route6(r.Seq, 1, 254), route6(r.Seq, 2, 254), route6(r.Seq, 3, local)}
	if r.Route.Table == local {
		six = six[2:]
	}
	switch r.Route.Family {
	case 0, object.IPv6:
		all = append(all, datagram(six...))
	case object.IPMR:
		all = append(all, datagram(nltest.RouteMessage(r.Seq, nltest.Mroute(object.IPMR, "10.1.0.7"))))
	}
	return append(all, datagram(done(r.Seq, 0)))
}

// TestReadParallel has so many IPv4 routes that IPv6 is read beside them.
func TestReadParallel(t *testing.T) {
	six := func(r fakeRequest) bool { return r.Type == unix.RTM_GETROUTE && r.Route.Family == object.IPv6 }
	after := []object.DumpRequest{{Family: object.MPLS}, {Family: object.IPMR}, {Family: object.IP6MR}}
	for _, tc := range []struct {
		name   string
		req    Request
		answer func(fakeRequest) []event // of the parallel dump; nil: as it should
		rows   int
		want   []object.DumpRequest // all but the parallel dump's and its proof
	}{
		{"all", request(Filter{}), nil, consistency.ParallelAfter + 5 + 3 + 1,
			append([]object.DumpRequest{{}}, after...)},
		{"ipv6", request(Filter{Families: []object.Family{object.IPv6}}), nil, 3, nil},
		{"ipv6 and others", request(Filter{Families: []object.Family{object.IPv6, object.IPMR, object.MPLS}}), nil,
			3 + 1, after[:2]},
		{"ipv6 of one table", request(Filter{Families: []object.Family{object.IPv6}, Tables: []uint32{254}}), nil, 2,
			nil},
		{"ipv6 of a small table", request(Filter{Families: []object.Family{object.IPv6}, Tables: []uint32{77}}), nil,
			0, []object.DumpRequest{{Table: 77}}},
		{"ipv4 and ipv6", request(Filter{Families: []object.Family{object.IPv4, object.IPv6}}, object.Links.Kind),
			nil, consistency.ParallelAfter + 5 + 3, []object.DumpRequest{{}}},
		{"ipv4", request(Filter{Families: []object.Family{object.IPv4}}), nil, consistency.ParallelAfter + 5,
			[]object.DumpRequest{{}}},
		{"one table", request(Filter{Families: []object.Family{object.IPv4, object.IPv6}, Tables: []uint32{254}}),
			nil, consistency.ParallelAfter + 5 + 2, []object.DumpRequest{{Table: 254}}},
		{"a route that does not fit", request(Filter{}), func(r fakeRequest) []event {
			return []event{datagram(route6(r.Seq, 1, 254)), {Datagram: []byte{}}}
		}, consistency.ParallelAfter + 5 + 3, []object.DumpRequest{{}}},
		{"a route that does not fit, of which nothing is said",
			request(Filter{Families: []object.Family{object.IPv6}}), func(r fakeRequest) []event {
				return []event{datagram(route6(r.Seq, 1, 254)), datagram(done(r.Seq, 0))}
			}, 3, []object.DumpRequest{{}}},
		{"none", request(Filter{}), func(r fakeRequest) []event { return []event{datagram(done(r.Seq, 0))} },
			consistency.ParallelAfter + 5 + 3, []object.DumpRequest{{}}},
		{"an error", request(Filter{}), func(r fakeRequest) []event { return []event{failure(unix.EIO)} },
			consistency.ParallelAfter + 5 + 3, []object.DumpRequest{{}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := &fakeKernel{fake: fake{T: t, Answer: func(r fakeRequest) []event {
				switch {
				case r.Type != unix.RTM_GETROUTE:
					return ordinary(r)
				case six(r) && tc.answer != nil:
					return tc.answer(r)
				}
				return manyIPv4(r)
			}}}
			s, err := k.read(tc.req)
			if err != nil || !s.Consistent || s.Tries != 1 || size(s) != tc.rows {
				t.Fatalf("%v, consistent %v, %d tries, %d rows, want %d", err, s.Consistent, s.Tries, size(s), tc.rows)
			}
			var got []object.DumpRequest
			for _, r := range k.Routes() {
				if r.Family != object.IPv6 && r.Table != local {
					got = append(got, r)
				}
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("requests %+v, want %+v", got, tc.want)
			}
		})
	}
}

// TestReadParallelNoConnection: no second connection can be had.
func TestReadParallelNoConnection(t *testing.T) {
	dials := 0
	k := &fakeKernel{fake: fake{T: t, Answer: manyIPv4, DialErr: func(_ Namespace, groups uint32) error {
		if dials++; dials == 3 {
			return unix.EMFILE
		}
		return nil
	}}}
	if s, err := k.read(request(Filter{})); err != nil || size(s) != consistency.ParallelAfter+5+3 {
		t.Errorf("%v", err)
	}
}

// TestParallelCounted has a kernel that says how many IPv6 routes it has: where as
// many came, nothing else is asked.
func TestParallelCounted(t *testing.T) {
	six := func(r fakeRequest) [][]byte {
		v := nltest.V6()
		v.Table, v.Src, v.NexthopID = 254, netip.Prefix{}, object.Opt[uint32]{}
		v.Multipath = []object.Nexthop{{OIF: 3, Weight: 1}, {OIF: 4, Weight: 1}}
		multipath := nltest.Padded(unix.RTM_NEWROUTE, unix.NLM_F_MULTI, r.Seq, nltest.AppendRoute(nil, v))
		v.NexthopID = object.Some(uint32(7))
		object := nltest.Padded(unix.RTM_NEWROUTE, unix.NLM_F_MULTI, r.Seq, nltest.AppendRoute(nil, v))
		return [][]byte{multipath, object, route6(r.Seq, 1, local)}
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
		k := &fakeKernel{fake: fake{T: t, Answer: func(r fakeRequest) (all []event) {
			switch {
			case r.Route.Family == 0 && r.Route.Table != local:
				for i := range consistency.ParallelAfter + 5 {
					all = append(all, datagram(route4(r.Seq, byte(i), 254)))
				}
			case r.Route.Family == 0:
				all = append(all, datagram(route6(r.Seq, 1, local)))
			case r.Route.Family == object.IPv6:
				all = append(all, datagram(six(r)...))
			}
			return append(all, datagram(done(r.Seq, 0)))
		}}}
		kernel := k.kernel()
		kernel.stats = file
		s, err := kernel.Read(context.Background(),
			request(Filter{Families: []object.Family{object.IPv6}, Tables: tc.tables}))
		want := 3 - len(tc.tables)
		if err != nil || !s.Consistent || size(s) != want {
			t.Fatalf("%q: %v, %d routes", tc.stats, err, size(s))
		}
		proof := false
		for _, r := range k.Routes() {
			proof = proof || r == object.DumpRequest{Table: local}
		}
		if proof != tc.proof {
			t.Errorf("%q, tables %v: table local was asked for: %v", tc.stats, tc.tables, proof)
		}
	}
}

// TestParallelHears has an IPv4 route that changes beside a datagram's end: before all
// IPv4 routes were read, or while what is read in parallel is waited for.
func TestParallelHears(t *testing.T) {
	for drain, tries := range map[int]int{1: 2, 2: 1} {
		k := &fakeKernel{fake: fake{T: t, Answer: func(r fakeRequest) (all []event) {
			if r.Route.Family == 0 {
				for i := range consistency.ParallelAfter + 5 {
					all = append(all, datagram(route4(r.Seq, byte(i), 254)))
				}
			}
			return append(all, datagram(route6(r.Seq, 1, 254), route6(r.Seq, 2, local)), datagram(done(r.Seq, 0)))
		}, Hear: func(n int) []event {
			if n == drain {
				return []event{datagram(route4(0, 3, 254))}
			}
			return nil
		}}}
		s, err := k.read(request(Filter{Families: []object.Family{object.IPv4, object.IPv6}}))
		if err != nil || !s.Consistent || s.Tries != tries || size(s) != consistency.ParallelAfter+5+2 {
			t.Errorf("heard at %d: %v, consistent %v after %d tries, %d routes", drain, err, s.Consistent, s.Tries,
				size(s))
		}
	}
}

// A recorder notes what the kernel is asked for.
type recorder struct {
	mu       sync.Mutex
	requests []object.DumpRequest
}

type recordedSocket struct {
	conn.Socket
	r *recorder
}

func (r *recorder) dial(ctx context.Context, ns Namespace, groups uint32) (conn.Socket, bool, error) {
	s, strict, err := conn.Dial(ctx, ns, groups)
	return &recordedSocket{s, r}, strict, err
}

func (s *recordedSocket) Send(m netlink.Message) (netlink.Message, error) {
	if m.Header.Type == unix.RTM_GETROUTE {
		q := object.DumpRequest{Family: object.Family(m.Data[0])}
		for a := wire.Walk(m.Data[nltest.RtmsgLen:]); a.Next(); {
			if a.Type == nltest.RTA_TABLE {
				q.Table = wire.U32(a.Data)
			}
		}
		s.r.mu.Lock()
		s.r.requests = append(s.r.requests, q)
		s.r.mu.Unlock()
	}
	return s.Socket.Send(m)
}

// readParallel reads all routes of the kernel, and reports whether table local was asked for
// once more.
func readParallel(t *testing.T) (_ *Snapshot, proof bool, err error) {
	t.Helper()
	var r recorder
	k := Kernel{dial: r.dial, stats: rt6StatsPath}
	s, err := k.Read(context.Background(), request(Filter{}))
	parallel := false
	for _, q := range r.requests {
		parallel = parallel || q == object.DumpRequest{Family: object.IPv6}
		proof = proof || q == object.DumpRequest{Table: local}
	}
	if !parallel {
		t.Fatalf("IPv6 was not read in parallel: %v", r.requests)
	}
	return s, proof, err
}

// TestParallelKernel has IPv6 routes of every kind beside many IPv4 routes: the
// kernel counts them as object.Kind.Entries does.
func TestParallelKernel(t *testing.T) {
	manyRoutes(t, 12_000)
	nstest.Batch(t, "-6", "nexthop add id 5 via fd00::5 dev v0", "nexthop add id 6 via fd00::6 dev v0",
		"nexthop add id 8 blackhole")
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
	s, proof, err := readParallel(t)
	if err != nil || !s.Consistent {
		t.Fatal(err, s)
	}
	n := 0
	for c := s.Cursor(object.AllFields); c.Next(); {
		if c.Route().Family == object.IPv6 {
			n++
		}
	}
	if want := strings.Count(nstest.IP(t, "-6 -o route show table all"), "\n"); n != want {
		t.Errorf("%d IPv6 routes, ip has %d", n, want)
	}
	if proof {
		t.Errorf("the kernel does not count its IPv6 routes as Entries does")
	}
	// Read as before Linux 6.9: all IPv6 routes by themselves.
	old := Kernel{dial: conn.Dial, stats: rt6StatsPath, release: "6.1.0"}
	if s2, err := old.Read(context.Background(), request(Filter{})); err != nil || !s2.Consistent || s2.Tries != 1 ||
		size(s2) != size(s) {
		t.Errorf("%v, %d routes, want %d", err, size(s2), size(s))
	}
	testTooLargeIPv6(t, &old)
}

// testTooLargeIPv6 has a route that does not fit, in table local and then elsewhere. old
// reads as before Linux 6.9.
func testTooLargeIPv6(t *testing.T, old *Kernel) {
	for _, table := range []string{"local", "main"} {
		var lines []string
		for i := range 1500 {
			lines = append(lines, fmt.Sprintf("route append fd10::1 via fd00::1:%x table %s", i, table))
		}
		nstest.Batch(t, "-6", lines...)
		if hostRelease().Before(6, 9, 0) {
			t.Log("this kernel does not tell of an IPv6 route that does not fit: it is read as such a kernel alone")
		} else if s, _, err := readParallel(t); !errors.Is(err, ErrTooLarge) {
			t.Errorf("table %s: %v, %v", table, s, err)
		}
		if s, err := old.Read(context.Background(), request(Filter{})); !errors.Is(err, ErrTooLarge) {
			t.Errorf("table %s, as before 6.9: %v, %v", table, s, err)
		}
		nstest.IP(t, "-6 route del fd10::1 table "+table)
		if s, _, err := readParallel(t); err != nil || !s.Consistent {
			t.Errorf("table %s, deleted: %v", table, err)
		}
	}
}
