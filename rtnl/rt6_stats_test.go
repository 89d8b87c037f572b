package rtnl

import (
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

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/object"
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
		if r.Type != unix.RTM_GETROUTE {
			return ordinary(r)
		}
		var all [][]byte
		if f := r.Route.Family; f == 0 || f == object.IPv4 {
			all = append(all, route4(r.Seq, 1, 254), route4(r.Seq, 2, 254))
		}
		sent := 0
		for _, table := range tables {
			for _, n := range table.dsts {
				if r.Route.Asks(object.Table{Family: object.IPv6, ID: table.table}) && sent < fit {
					all = append(all, route6(r.Seq, n, table.table))
					sent++
				}
			}
		}
		if f := r.Route.Family; f == 0 || f == object.IPMR {
			all = append(all, nltest.RouteMessage(r.Seq, nltest.Mroute(object.IPMR, "10.1.0.7")))
		}
		if len(all) == 0 {
			return []event{datagram(done(r.Seq, 0))}
		}
		return []event{datagram(all...), datagram(done(r.Seq, 0))}
	}
}

// twelve are twelve routes, two of them in table local.
var twelve = []oldTable6{{254, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}, {local, []byte{11, 12}}}

// TestOldKernelLosesRoutes has a kernel before Linux 6.9 that dumps four of twelve
// IPv6 routes, with no error. No request that IPv6 may match is answered.
func TestOldKernelLosesRoutes(t *testing.T) {
	six := netip.MustParsePrefix("fd05::/64")
	for name, req := range map[string]Request{
		"all":                 request(Filter{}),
		"all, with the rest":  RouteRequest(Filter{}),
		"ipv6":                request(Filter{Families: []object.Family{object.IPv6}}),
		"ipv6 and ipv4":       request(Filter{Families: []object.Family{object.IPv4, object.IPv6}}),
		"a table":             request(Filter{Tables: []uint32{254}}),
		"a table of ipv6":     request(Filter{Tables: []uint32{254}, Families: []object.Family{object.IPv6}}),
		"the last table":      request(Filter{Tables: []uint32{local}}),
		"a small table":       request(Filter{Tables: []uint32{77}}),
		"a destination":       request(Filter{Dsts: []netip.Prefix{six}}),
		"several":             request(Filter{Dsts: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), six}}),
		"a protocol":          request(Filter{Protocols: []uint8{4}}),
		"a type":              request(Filter{Types: []object.RouteType{object.Unicast}}),
		"an interface":        request(Filter{OIFs: []uint32{3}, Single: true}),
		"an interface's name": request(Filter{Link: func(l *object.Link) bool { return l.Name == "v0" }}),
	} {
		releases := map[string]int{"6.8.12-1-generic": 1511, "6.1.0-18-amd64": 12, "4.4.0": 5, "strange": 1511}
		for release, entries := range releases {
			k := &fakeKernel{fake: fake{T: t, Answer: oldKernel(4, twelve...)}, release: release,
				stats: statsFile(t, entries)}
			s, err := k.read(req)
			dumps := 0
			for _, r := range k.Routes() {
				if r == (object.DumpRequest{Family: object.IPv6}) {
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
	k := &fakeKernel{fake: fake{T: t, Answer: oldKernel(4, twelve...)}, release: "6.1.0", stats: statsFile(t, 1511)}
	if s, err := k.read(everything(Filter{})); !errors.Is(err, ErrTooLarge) {
		t.Errorf("what a capture asks for: %v, %v", err, s)
	}
	if n, _, err := k.kernel().Count(t.Context(), request(Filter{})); !errors.Is(err, ErrTooLarge) {
		t.Errorf("the number: %v, %d", err, n)
	}
	cache := Cache{Kernel: *k.kernel()}
	defer cache.drop()
	for range 3 {
		s, err := cache.Read(context.Background(), request(Filter{Dsts: []netip.Prefix{six}}))
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("look-up: %v, %v", err, s)
		}
	}
	// What cannot be IPv6 is answered, and IPv6 is not asked for.
	four := netip.MustParsePrefix("10.1.0.0/16")
	for _, f := range []Filter{{Families: []object.Family{object.IPv4}}, {Dsts: []netip.Prefix{four}},
		{Families: []object.Family{object.IPMR}}} {
		k := &fakeKernel{fake: fake{T: t, Answer: oldKernel(4, twelve...)}, release: "6.1.0", stats: statsFile(t, 1511)}
		s, err := k.read(request(f))
		if err != nil || !s.Consistent || size(s) == 0 ||
			slices.Contains(k.Routes(), object.DumpRequest{Family: object.IPv6}) {
			t.Errorf("%+v: %v, %v, requests %v", f, err, s, k.Routes())
		}
	}
}

// TestOldKernelWhole has one that dumps all routes.
func TestOldKernelWhole(t *testing.T) {
	after := func(table uint32) []object.DumpRequest {
		return []object.DumpRequest{{Family: object.MPLS, Table: table}, {Family: object.IPMR, Table: table},
			{Family: object.IP6MR, Table: table}}
	}
	for _, tc := range []struct {
		name string
		req  Request
		rows int
		want []object.DumpRequest // besides that of IPv6, which comes after IPv4
	}{
		{"all", request(Filter{}), 2 + 12 + 1, append([]object.DumpRequest{{}}, after(0)...)},
		{"ipv6", request(Filter{Families: []object.Family{object.IPv6}}), 12, nil},
		{"ipv6 and multicast", request(Filter{Families: []object.Family{object.IPv6, object.IPMR}}), 12 + 1,
			after(0)[1:2]},
		{"ipv4 and ipv6", request(Filter{Families: []object.Family{object.IPv4, object.IPv6}}), 2 + 12,
			[]object.DumpRequest{{}}},
		{"a destination", request(Filter{Dsts: []netip.Prefix{netip.MustParsePrefix("fd05::/64")}}), 1,
			append([]object.DumpRequest{{}}, after(0)...)},
		{"a table", request(Filter{Tables: []uint32{local}, Protocols: []uint8{4}}), 2,
			append([]object.DumpRequest{{Table: local, Protocol: 4}}, after(local)...)},
	} {
		k := &fakeKernel{fake: fake{T: t, Answer: oldKernel(always, twelve...)}, release: "6.1.0",
			stats: statsFile(t, 12)}
		s, err := k.read(tc.req)
		if err != nil || !s.Consistent || s.Tries != 1 || size(s) != tc.rows {
			t.Fatalf("%s: %v, %+v", tc.name, err, s)
		}
		at := 0
		if len(tc.want) > 0 && tc.want[0].Family == 0 {
			at = 1
		}
		if got, want := k.Routes(), slices.Insert(tc.want, at,
			object.DumpRequest{Family: object.IPv6}); !slices.Equal(got, want) {
			t.Errorf("%s: requests %v, want %v", tc.name, got, want)
		}
		if n, consistent, err := k.kernel().Count(t.Context(), tc.req); err != nil || !consistent || n != tc.rows {
			t.Errorf("%s: %v, %d routes, consistent %v", tc.name, err, n, consistent)
		}
	}
}

// TestOldKernelNone asks for routes of which none can match: none are dumped, nor are they
// missed, even if what they would be among cannot be dumped.
func TestOldKernelNone(t *testing.T) {
	for name, req := range map[string]Request{
		"no such interface": request(Filter{Link: func(*object.Link) bool { return false }}),
		"beside links":      everything(Filter{None: true}),
	} {
		k := &fakeKernel{fake: fake{T: t, Answer: oldKernel(4, twelve...)}, release: "6.1.0", stats: statsFile(t, 12)}
		s, err := k.read(req)
		if err != nil || !s.Consistent || s.Tries != 1 || size(s) != 0 || len(k.Routes()) > 0 {
			t.Errorf("%s: %v, %+v, requests %v", name, err, s, k.Routes())
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
		k := &fakeKernel{fake: fake{T: t, Answer: oldKernel(always, tc.routes...)}, release: "6.1.0", stats: tc.stats}
		kernel := k.kernel()
		for range 2 {
			want := 3
			for _, table := range tc.routes {
				want += len(table.dsts)
			}
			s, err := kernel.Read(context.Background(), request(Filter{}))
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
		k := &fakeKernel{fake: fake{T: t}, release: "6.1.0", stats: statsFile(t, tc.entries)}
		k.Answer = func(r fakeRequest) []event {
			fit := tc.fit
			if r.Route.Family == object.IPv6 {
				if dumps++; dumps > tc.until {
					fit = always
				}
			}
			return oldKernel(fit, append([]oldTable6{{253, nil}}, twelve...)...)(r)
		}
		k.Hear = func(n int) []event {
			if n%2 == 0 && n/2 <= tc.until { // while IPv6 is dumped
				return []event{changed}
			}
			return nil
		}
		s, err := k.read(request(tc.filter))
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
	copy(cached[unix.NLMSG_HDRLEN+8:], nltest.NE(uint32(0x200)))
	for release, entries := range map[string]int{"3.10.0-1160.el7": 13, "5.15.0": 12} {
		k := &fakeKernel{fake: fake{T: t}, release: release, stats: statsFile(t, entries)}
		k.Answer = func(r fakeRequest) []event {
			all := oldKernel(always, twelve...)(r)
			if r.Route.Family == object.IPv6 {
				copy(cached[8:], nltest.NE(r.Seq))
				all = append([]event{{Datagram: cached}}, all...)
			}
			return all
		}
		if s, err := k.read(request(Filter{})); err != nil || !s.Consistent || size(s) != 15 {
			t.Errorf("%s: %v, %+v", release, err, s)
		}
	}
}
