package rtnl

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

// A meddler is a kernel's socket in whose route dumps something happens before a
// datagram is received, which is before the kernel makes the one after it.
type meddler struct {
	conn.Socket
	n      int
	before func(n int)
}

func (m *meddler) Send(msg netlink.Message) (netlink.Message, error) {
	m.n = 0
	if msg.Header.Type != object.RTM_GETROUTE {
		m.n = -1
	}
	return m.Socket.Send(msg)
}

func (m *meddler) Receive(buf []byte, nowait bool) (int, error) {
	if m.n >= 0 {
		m.n++
		m.before(m.n)
	}
	return m.Socket.Receive(buf, nowait)
}

// meddle returns a dialer of the kernel that calls before in each dump, with the
// numbers of the dump and of the datagram, from 1.
func meddle(before func(dump, datagram int)) conn.Dialer {
	dumps := 0
	return func(ctx context.Context, ns conn.Namespace, groups uint32) (conn.Socket, bool, error) {
		s, strict, err := conn.Dial(ctx, ns, groups)
		if err == nil && groups == 0 {
			s = &meddler{Socket: s, before: func(n int) {
				if n == 1 {
					dumps++
				}
				before(dumps, n)
			}}
		}
		return s, strict, err
	}
}

// timesOf counts the routes of table 1000 by what tells them apart.
func timesOf(s *Snapshot, f object.Family) map[string]int {
	n := map[string]int{}
	for r := range s.Routes(object.AllFields) {
		if r.Family == f && r.Table == 1000 {
			n[fmt.Sprintf("%v %v %d", r.Dst, r.Src, r.Priority.V)]++
		}
	}
	return n
}

// mostOf returns what comes most often.
func mostOf(n map[string]int) (what string, times int) {
	for w, i := range n {
		if i > times {
			what, times = w, i
		}
	}
	return what, times
}

// A meddling is routes of table 1000, and a change where the kernel loses its place.
type meddling struct {
	name, ip string
	family   object.Family
	routes   []string // without "route add table 1000"
	change   []string
	want     []string // untouched routes that are in danger
	filter   Filter
}

// lines makes lines from a format and the numbers from 0 up.
func lines(n int, format func(i int) string) (all []string) {
	for i := range n {
		all = append(all, format(i))
	}
	return all
}

func meddlings() []meddling {
	ofOneAddress := lines(600, func(i int) string { return fmt.Sprintf("20.0.0.0/24 via 10.0.0.9 metric %d", i+1) })
	// The last of all routes does not fit into the datagram of those before it.
	hops := strings.Join(lines(130, func(i int) string { return fmt.Sprintf(" nexthop via fd00::%x", i+16) }), "")
	largeLast := append(lines(215, func(i int) string { return fmt.Sprintf("2001:db8:%x::/48 via fd00::9", i) }),
		"default"+hops)
	oneFewer := []string{"route del 2001:db8::/48 table 1000", "route del 2001:db8:1::/48 table 1000",
		"route add 2001:d00::/32 via fd00::9 table 1000"}
	return []meddling{
		{
			// The kernel remembers that it has walked over N routes of an address, and
			// passes over as many at the next address when this one has gone.
			name: "an address goes away in the middle", ip: "-4", family: object.IPv4,
			routes: append(slices.Clone(ofOneAddress),
				lines(100, func(i int) string { return fmt.Sprintf("20.0.1.%d/32 via 10.0.0.9", i) })...),
			change: lines(600, func(i int) string {
				return fmt.Sprintf("route del 20.0.0.0/24 metric %d table 1000",
					i+1)
			}),
			want: []string{"20.0.1.0/32 invalid Prefix 0", "20.0.1.1/32 invalid Prefix 0"},
		},
		{
			name: "an address loses what was sent of it", ip: "-4", family: object.IPv4,
			routes: ofOneAddress,
			change: []string{"route del 20.0.0.0/24 metric 1 table 1000", "route del 20.0.0.0/24 metric 2 table 1000"},
			want:   lines(598, func(i int) string { return fmt.Sprintf("20.0.0.0/24 invalid Prefix %d", i+3) }),
			filter: Filter{Tables: []uint32{1000}},
		},
		{
			// The kernel passes over as many as it had walked over: one too many.
			name: "the last one does not fit and is passed over", ip: "-6", family: object.IPv6,
			routes: largeLast,
			change: oneFewer,
			want:   []string{"::/0 invalid Prefix 1024"},
		},
		{
			name: "the last one of a table that is asked for alone", ip: "-6", family: object.IPv6,
			routes: largeLast,
			change: oneFewer,
			want:   []string{"::/0 invalid Prefix 1024"},
			filter: Filter{Tables: []uint32{1000}},
		},
		{
			// 2024 and 1000 have one low byte, and the kernel one list for both.
			name: "a new table before this one", ip: "-4", family: object.IPv4,
			routes: lines(2000, func(i int) string { return fmt.Sprintf("20.%d.%d.0/24 via 10.0.0.9", i/200, i%200) }),
			change: []string{"route add 20.9.0.0/16 via 10.0.0.9 table 2024"},
			want:   []string{"20.0.0.0/24 invalid Prefix 0", "20.9.199.0/24 invalid Prefix 0"},
		},
		{
			name: "a new table before this one", ip: "-6", family: object.IPv6,
			routes: lines(1000, func(i int) string { return fmt.Sprintf("2001:db8:%x::/48 via fd00::9", i) }),
			change: []string{"route add 2001:db9::/32 via fd00::9 table 2024"},
			want:   []string{"2001:db8::/48 invalid Prefix 1024", "2001:db8:3e7::/48 invalid Prefix 1024"},
		},
	}
}

// undo returns what takes the change back.
func (m *meddling) undo() (all []string) {
	for _, line := range slices.Backward(m.change) {
		if strings.HasPrefix(line, "route add") {
			line = strings.Replace(line, "add", "del", 1)
		} else if line = strings.Replace(line, "del", "add", 1); !strings.Contains(line, " via ") {
			via := " via 10.0.0.9"
			if m.family == object.IPv6 {
				via = " via fd00::9"
			}
			line += via
		}
		all = append(all, line)
	}
	return all
}

// TestMeddling changes routes at the very places of a dump where the kernel loses
// its own.
func TestMeddling(t *testing.T) {
	for _, m := range meddlings() {
		for _, once := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s %s, once %v", m.name, m.ip, once), func(t *testing.T) { m.test(t, once) })
		}
	}
}

func (m *meddling) test(t *testing.T, once bool) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	nstest.Batch(t, m.ip, lines(len(m.routes), func(i int) string { return "route add table 1000 " + m.routes[i] })...)
	changed := false
	k := Kernel{dial: meddle(func(dump, datagram int) {
		if datagram != 1 || once && dump > 1 {
			return
		}
		// In turns, so that each dump meets the change.
		if changed = !changed; changed {
			nstest.Batch(t, m.ip, m.change...)
		} else {
			nstest.Batch(t, m.ip, m.undo()...)
		}
	})}
	s, err := k.Read(t.Context(), Request{Kinds: []*object.Kind{object.Routes.Kind}, Filter: m.filter})
	if err != nil {
		t.Fatal(err)
	}
	n := timesOf(s, m.family)
	for _, want := range m.want {
		if n[want] != 1 && (s.Consistent || n[want] > 1) {
			t.Fatalf("%s is there %d times (consistent %v, tries %d)", want, n[want], s.Consistent, s.Tries)
		}
	}
	if what, times := mostOf(n); times > 1 {
		t.Errorf("%s comes %d times (consistent %v, tries %d)", what, times, s.Consistent, s.Tries)
	}
	if once && !s.Consistent {
		t.Errorf("not consistent after %d tries, though there was one change", s.Tries)
	}
	t.Logf("consistent %v, %d tries", s.Consistent, s.Tries)
}

// TestMeddlingAtRandom changes routes of the kernel before every datagram of
// every dump.
func TestMeddlingAtRandom(t *testing.T) {
	for _, tc := range []struct {
		ip, via string
		family  object.Family
		dst     func(c nltest.Chance) netip.Prefix
	}{
		{"-4", "10.0.0.9", object.IPv4, func(c nltest.Chance) netip.Prefix {
			bits := 20 + c.IntN(13)
			b := []byte{20, byte(c.IntN(4)), byte(c.IntN(256)), byte(c.IntN(4))}
			return netip.PrefixFrom(netip.AddrFrom4([4]byte(nltest.Mask(b, 4, bits))), bits)
		}},
		{"-6", "fd00::9", object.IPv6, func(c nltest.Chance) netip.Prefix {
			bits := 20 + c.IntN(60)
			b := []byte{0x20, 1, byte(c.IntN(256)), byte(c.IntN(4)), byte(c.IntN(4)), 15: 0}
			return netip.PrefixFrom(netip.AddrFrom16([16]byte(nltest.Mask(b, 16, bits))), bits)
		}},
	} {
		t.Run(tc.ip, func(t *testing.T) { meddleAtRandom(t, tc.ip, tc.via, tc.family, tc.dst) })
	}
}

func meddleAtRandom(t *testing.T, ip, via string, family object.Family, dst func(nltest.Chance) netip.Prefix) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	c := nltest.NewChance(42)
	var untouched, touched []string
	seen := map[string]bool{}
	want := map[string]bool{}
	for len(untouched) < nstest.Amount(3000, 1000) {
		dst, metric := dst(c), 1+c.IntN(3)
		line := fmt.Sprintf("%v via %s metric %d table 1000", dst, via, metric)
		if seen[line] {
			continue
		}
		seen[line] = true
		if c.IntN(4) == 0 {
			touched = append(touched, line)
		} else {
			untouched = append(untouched, "route add "+line)
			want[fmt.Sprintf("%v invalid Prefix %d", dst, metric)] = true
		}
	}
	nstest.Batch(t, ip, untouched...)
	consistent := 0
	const reads = 12
	for range reads {
		k := Kernel{dial: meddle(func(int, int) {
			var lines strings.Builder
			for range 1 + c.IntN(8) {
				verb := []string{"add", "del"}[c.IntN(2)]
				fmt.Fprintf(&lines, "route %s %s\n", verb, touched[c.IntN(len(touched))])
			}
			cmd := exec.Command("ip", ip, "-force", "-batch", "-")
			cmd.Stdin = strings.NewReader(lines.String())
			cmd.Run() // some are there already, or not there
		})}
		s, err := k.Read(t.Context(), Request{Kinds: []*object.Kind{object.Routes.Kind},
			Filter: Filter{Families: []object.Family{family}}})
		if err != nil {
			t.Fatal(err)
		}
		n := timesOf(s, family)
		if what, times := mostOf(n); times > 1 {
			t.Errorf("%s comes %d times (consistent %v, tries %d)", what, times, s.Consistent, s.Tries)
		}
		if !s.Consistent {
			continue
		}
		consistent++
		lost := 0
		for what := range want {
			if n[what] == 0 {
				lost++
			}
		}
		if lost > 0 {
			t.Errorf("%d routes are not there after %d tries", lost, s.Tries)
		}
	}
	t.Logf("%d of %d consistent", consistent, reads)
	if consistent*2 < reads {
		t.Errorf("only %d of %d are consistent", consistent, reads)
	}
}
