package rtnl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// statsFile writes an rt6_stats that counts so many entries.
func statsFile(t *testing.T, entries int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rt6_stats")
	if err := os.WriteFile(file, fmt.Appendf(nil, "0010 0004 0009 %04x 0000 0000 0000\n", entries), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// An oldTable6 is what the kernel of oldKernel has of IPv6: one route in a table for
// each of its numbers.
type oldTable6 struct {
	table uint32
	dsts  []byte
}

// oldKernel answers as Linux before 6.9 does: a dump ends after so many IPv6 routes
// as if there were no more, and goes on with the next family.
func oldKernel(fit int, tables ...oldTable6) func(fakeRequest) []event {
	return func(r fakeRequest) []event {
		if r.typ != unix.RTM_GETROUTE {
			return ordinary(r)
		}
		var all [][]byte
		if f := r.route.family; f == 0 || f == IPv4 {
			all = append(all, route4(r.seq, 1, 254), route4(r.seq, 2, 254))
		}
		sent := 0
		for _, table := range tables {
			for _, n := range table.dsts {
				if r.route.asks(group{IPv6, table.table}) && sent < fit {
					all = append(all, route6(r.seq, n, table.table))
					sent++
				}
			}
		}
		if f := r.route.family; f == 0 || f == IPMR {
			all = append(all, message(unix.RTM_NEWROUTE, 0, r.seq, appendRoute(nil, mroute(IPMR, "10.1.0.7"))))
		}
		if len(all) == 0 {
			return []event{datagram(done(r.seq, 0))}
		}
		return []event{datagram(all...), datagram(done(r.seq, 0))}
	}
}

// twelve are twelve routes, two of them in table local.
var twelve = []oldTable6{{254, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}, {local, []byte{11, 12}}}

// TestOldKernelLosesRoutes has a kernel before Linux 6.9 that dumps four of twelve
// IPv6 routes, with no error. No request that IPv6 may match is answered.
func TestOldKernelLosesRoutes(t *testing.T) {
	six := netip.MustParsePrefix("fd05::/64")
	for name, req := range map[string]Request{
		"all":                 {},
		"all, with the rest":  {Links: true, Nexthops: true},
		"ipv6":                {Filter: Filter{Families: []Family{IPv6}}},
		"ipv6 and ipv4":       {Filter: Filter{Families: []Family{IPv4, IPv6}}},
		"a table":             {Filter: Filter{Tables: []uint32{254}}},
		"a table of ipv6":     {Filter: Filter{Tables: []uint32{254}, Families: []Family{IPv6}}},
		"the last table":      {Filter: Filter{Tables: []uint32{local}}},
		"a small table":       {Filter: Filter{Tables: []uint32{77}}},
		"a destination":       {Filter: Filter{Dsts: []netip.Prefix{six}}},
		"several":             {Filter: Filter{Dsts: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), six}}},
		"a protocol":          {Filter: Filter{Protocols: []uint8{4}}},
		"a type":              {Filter: Filter{Types: []RouteType{Unicast}}},
		"an interface":        {Filter: Filter{OIFs: []uint32{3}, Single: true}},
		"an interface's name": {Filter: Filter{Link: func(l *Link) bool { return l.Name == "v0" }}},
		"the number":          {Count: true},
	} {
		releases := map[string]int{"6.8.12-1-generic": 1511, "6.1.0-18-amd64": 12, "4.4.0": 5, "strange": 1511}
		for release, entries := range releases {
			k := &fakeKernel{t: t, answer: oldKernel(4, twelve...), release: release, stats: statsFile(t, entries)}
			s, err := k.read(req)
			dumps := 0
			for _, r := range k.routes() {
				if r == (dumpRequest{family: IPv6}) {
					dumps++
				}
			}
			if !errors.Is(err, ErrTooLarge) || dumps != 2 {
				t.Fatalf("%s, %s: %v, %v, %d dumps of IPv6", release, name, err, s, dumps)
			}
			for _, part := range []string{
				"dump IPv6 routes: a route is too large",
				fmt.Sprintf("the kernel has %d IPv6 nexthops and ended without an error after 4", entries),
				"nexthop group", "or use Linux 6.9 or later",
			} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v does not say %q", err, part)
				}
			}
		}
	}
	k := &fakeKernel{t: t, answer: oldKernel(4, twelve...), release: "6.1.0", stats: statsFile(t, 1511)}
	var b bytes.Buffer
	if err := k.kernel().Capture(context.Background(), &b); !errors.Is(err, ErrTooLarge) || b.Len() > 0 {
		t.Errorf("capture: %v, %d bytes", err, b.Len())
	}
	cache := Cache{Kernel: *k.kernel()}
	defer cache.drop()
	for range 3 {
		s, err := cache.Read(context.Background(), Request{Filter: Filter{Dsts: []netip.Prefix{six}}})
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("look-up: %v, %v", err, s)
		}
	}
	// What cannot be IPv6 is answered, and IPv6 is not asked for.
	four := netip.MustParsePrefix("10.1.0.0/16")
	for _, f := range []Filter{{Families: []Family{IPv4}}, {Dsts: []netip.Prefix{four}}, {Families: []Family{IPMR}}} {
		k := &fakeKernel{t: t, answer: oldKernel(4, twelve...), release: "6.1.0", stats: statsFile(t, 1511)}
		s, err := k.read(Request{Filter: f})
		if err != nil || !s.Consistent || size(s) == 0 || slices.Contains(k.routes(), dumpRequest{family: IPv6}) {
			t.Errorf("%+v: %v, %v, requests %v", f, err, s, k.routes())
		}
	}
}

// TestOldKernelWhole has one that dumps all routes.
func TestOldKernelWhole(t *testing.T) {
	after := func(table uint32) []dumpRequest {
		return []dumpRequest{{family: MPLS, table: table}, {family: IPMR, table: table}, {family: IP6MR, table: table}}
	}
	for _, tc := range []struct {
		name string
		req  Request
		rows int
		want []dumpRequest // besides that of IPv6, which comes after IPv4
	}{
		{"all", Request{}, 2 + 12 + 1, append([]dumpRequest{{}}, after(0)...)},
		{"their number", Request{Count: true}, 2 + 12 + 1, append([]dumpRequest{{}}, after(0)...)},
		{"ipv6", Request{Filter: Filter{Families: []Family{IPv6}}}, 12, nil},
		{"ipv6 and multicast", Request{Filter: Filter{Families: []Family{IPv6, IPMR}}}, 12 + 1, after(0)[1:2]},
		{"ipv4 and ipv6", Request{Filter: Filter{Families: []Family{IPv4, IPv6}}}, 2 + 12, []dumpRequest{{}}},
		{"a destination", Request{Filter: Filter{Dsts: []netip.Prefix{netip.MustParsePrefix("fd05::/64")}}}, 1,
			append([]dumpRequest{{}}, after(0)...)},
		{"a table", Request{Filter: Filter{Tables: []uint32{local}, Protocols: []uint8{4}}}, 2,
			append([]dumpRequest{{table: local, protocol: 4}}, after(local)...)},
	} {
		k := &fakeKernel{t: t, release: "6.1.0", stats: statsFile(t, 12), answer: oldKernel(always, twelve...)}
		s, err := k.read(tc.req)
		if err != nil || !s.Consistent || s.Tries != 1 || size(s) != tc.rows {
			t.Fatalf("%s: %v, %+v", tc.name, err, s)
		}
		at := 0
		if len(tc.want) > 0 && tc.want[0].family == 0 {
			at = 1
		}
		if got, want := k.routes(), slices.Insert(tc.want, at, dumpRequest{family: IPv6}); !slices.Equal(got, want) {
			t.Errorf("%s: requests %v, want %v", tc.name, got, want)
		}
	}
}

// TestOldKernelUnknown has one whose routes cannot be counted: the answer is not
// consistent, which is told once.
func TestOldKernelUnknown(t *testing.T) {
	noIPv6 := filepath.Join(t.TempDir(), "rt6_stats")
	if err := os.WriteFile(filepath.Join(filepath.Dir(noIPv6), "dev"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	odd := statsFile(t, 0)
	if err := os.WriteFile(odd, []byte("4 4 4 -4"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, stats string
		consistent  bool
		routes      []oldTable6
	}{
		{"no file", filepath.Join(t.TempDir(), "rt6_stats"), false, twelve},
		{"no number", odd, false, twelve},
		{"fewer than there are", statsFile(t, 11), false, twelve},
		{"no IPv6", noIPv6, true, nil},
		{"no IPv6, but routes", noIPv6, false, twelve},
	} {
		k := &fakeKernel{t: t, release: "6.1.0", stats: tc.stats, answer: oldKernel(always, tc.routes...)}
		kernel := k.kernel()
		for range 2 {
			want := 3
			for _, table := range tc.routes {
				want += len(table.dsts)
			}
			s, err := kernel.Read(context.Background(), Request{})
			if err != nil || s.Consistent != tc.consistent || s.Tries != 1 || size(s) != want {
				t.Errorf("%s: %v, %+v", tc.name, err, s)
			}
		}
		want := 1
		if tc.consistent {
			want = 0
		}
		if k.logged() != want || strings.Count(k.log.String(), "before 6.9") != want {
			t.Errorf("%s: logged %s", tc.name, &k.log)
		}
	}
}

// TestOldKernelChanges has changes beside the dumps of one: what it counts is not what
// comes, until nothing changes any more.
func TestOldKernelChanges(t *testing.T) {
	changed := datagram(route6(0, 2, 254), route6(0, 3, 254))
	for _, tc := range []struct {
		name       string
		fit        int
		entries    int
		filter     Filter
		until      int // drains that hear of the change
		consistent bool
		tries      int
		err        error
	}{
		{"one dump is short", 11, 12, Filter{}, 1, true, 2, nil},
		{"all dumps are short", 11, 12, Filter{}, always, false, MaxTries, nil},
		{"a table that a dump has reached the end of", 11, 12, Filter{Tables: []uint32{253}}, always, true, 1, nil},
		{"the last table, which it has not", 11, 12, Filter{Tables: []uint32{local}}, always, false, MaxTries, nil},
		{"more than changes explain", 4, 1511, Filter{}, always, false, 0, ErrTooLarge},
	} {
		dumps := 0
		k := &fakeKernel{t: t, release: "6.1.0", stats: statsFile(t, tc.entries)}
		k.answer = func(r fakeRequest) []event {
			fit := tc.fit
			if r.route.family == IPv6 {
				if dumps++; dumps > tc.until {
					fit = always
				}
			}
			return oldKernel(fit, append([]oldTable6{{253, nil}}, twelve...)...)(r)
		}
		k.hear = func(n int) []event {
			if n%2 == 0 && n/2 <= tc.until { // while IPv6 is dumped
				return []event{changed}
			}
			return nil
		}
		s, err := k.read(Request{Filter: tc.filter})
		switch {
		case !errors.Is(err, tc.err):
			t.Errorf("%s: %v", tc.name, err)
		case err == nil && (s.Consistent != tc.consistent || s.Tries != tc.tries):
			t.Errorf("%s: consistent %v, %d tries", tc.name, s.Consistent, s.Tries)
		}
	}
}

// TestOldKernelCached has cached routes in a dump, which are counted among the others
// only before Linux 4.15.
func TestOldKernelCached(t *testing.T) {
	cached := route6(0, 40, 254)
	copy(cached[unix.NLMSG_HDRLEN+8:], encNE(uint32(rtmFCloned)))
	for release, entries := range map[string]int{"3.10.0-1160.el7": 13, "5.15.0": 12} {
		k := &fakeKernel{t: t, release: release, stats: statsFile(t, entries)}
		k.answer = func(r fakeRequest) []event {
			all := oldKernel(always, twelve...)(r)
			if r.route.family == IPv6 {
				copy(cached[8:], encNE(r.seq))
				all = append([]event{{b: cached}}, all...)
			}
			return all
		}
		if s, err := k.read(Request{}); err != nil || !s.Consistent || size(s) != 15 {
			t.Errorf("%s: %v, %+v", release, err, s)
		}
	}
}

func TestRelease(t *testing.T) {
	for text, want := range map[string]release{
		"6.1.0-18-amd64": {6, 1}, "6.9.0": {6, 9}, "6.10.3-arch1": {6, 10}, "5.4": {5, 4}, "7.0-rc1": {7, 0},
		"10.2.1": {10, 2}, "six": {}, "6": {}, "6.": {}, " ": {}, "": recent,
	} {
		if got := parseRelease(text); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
	for r, old := range map[release]bool{
		{6, 8}: true, {6, 9}: false, {6, 18}: false, {5, 19}: true, {7, 0}: false, {}: true, recent: false,
	} {
		if r.before(6, 9) != old {
			t.Errorf("%v is before 6.9: %v", r, !old)
		}
	}
	if r := hostRelease(); r == recent || r.before(3, 2) {
		t.Errorf("this kernel is %v", r)
	}
}
