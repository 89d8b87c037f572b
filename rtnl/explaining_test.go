package rtnl

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

// A world is rules, routes and packets of one family, made by chance.
type world struct {
	*rand.Rand
	family string // of ip
	ipv6   bool
	devs   []string
}

func pick[T any](w *world, all ...T) T { return all[w.IntN(len(all))] }

func (w *world) prefix() string {
	if w.ipv6 {
		return pick(w, "fd50::/16", "fd50:1::/32", "fd50:1:1::/48", "fd50::/12", "fd50:1::1/128", "default",
			"fd00::/16")
	}
	return pick(w, "50.0.0.0/8", "50.1.0.0/16", "50.1.1.0/24", "48.0.0.0/4", "50.1.1.1/32", "default", "10.0.0.0/8")
}

func (w *world) addr() string {
	if w.ipv6 {
		return pick(w, "fd50::9", "fd50:1::1", "fd50:1:1::7", "fd5a::1", "fd00::7", "fd01::7", "2001:db8::1")
	}
	return pick(w, "50.9.9.9", "50.1.1.1", "50.1.9.1", "51.0.0.1", "10.0.0.7", "10.0.1.7", "192.0.2.1")
}

// own returns one of this host's addresses, or one of v0's neighbours.
func (w *world) source(own bool) string {
	switch {
	case w.ipv6 && own:
		return pick(w, "fd00::1", "fd01::1")
	case w.ipv6:
		return "fd00::9"
	case own:
		return pick(w, "10.0.0.1", "10.0.1.1")
	}
	return "10.0.0.9"
}

func (w *world) table() string { return pick(w, "100", "101", "102", "main", "local") }

func (w *world) route() string {
	dst, metric := w.prefix(), fmt.Sprint(" metric ", 1+w.IntN(3))
	table := " table " + pick(w, "100", "101", "102", "main")
	tos := ""
	if !w.ipv6 && w.IntN(6) == 0 {
		tos = " tos 8"
	}
	if w.IntN(3) == 0 {
		kind := pick(w, "throw ", "throw ", "blackhole ", "unreachable ", "prohibit ")
		return "route add " + kind + dst + tos + table + metric
	}
	dev := w.IntN(2)
	gateway := fmt.Sprintf(" via 10.0.%d.%d", dev, 5+w.IntN(3))
	if w.ipv6 {
		gateway = fmt.Sprintf(" via fd0%d::%d", dev, 5+w.IntN(3))
	}
	return "route add " + dst + tos + pick(w, gateway, "") + " dev " + w.devs[dev] + table + metric
}

func (w *world) rule() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rule add priority %d", 1+w.IntN(40))
	if w.IntN(5) == 0 {
		b.WriteString(" not")
	}
	maybe := func(n int, text string) {
		if w.IntN(n) == 0 {
			b.WriteString(" " + text)
		}
	}
	maybe(4, "from "+pick(w, w.prefix(), w.source(true), w.source(false)))
	maybe(4, "to "+w.prefix())
	maybe(6, "iif "+pick(w, "lo", w.devs[0], w.devs[1], "nosuch"))
	maybe(6, "oif "+pick(w, w.devs[0], w.devs[1], "nosuch"))
	maybe(5, "fwmark "+pick(w, "1", "0x2", "0x1/0x3", "0/0x1"))
	maybe(6, "uidrange 0-0") // there are no other users in the test's namespace
	maybe(6, "ipproto "+pick(w, "tcp", "udp"))
	maybe(6, "sport "+pick(w, "80", "1000-2000"))
	maybe(6, "dport "+pick(w, "443", "400-500"))
	maybe(6, "tos "+pick(w, "8", "16"))
	switch w.IntN(8) {
	case 0:
		b.WriteString(" goto " + fmt.Sprint(41+w.IntN(30)))
	case 1:
		b.WriteString(" " + pick(w, "blackhole", "prohibit", "unreachable", "nop"))
	case 2:
		b.WriteString(" table " + w.table() + " suppress_prefixlength " + pick(w, "0", "8", "16", "32"))
	case 3:
		b.WriteString(" table " + w.table() + " suppress_ifgroup " + pick(w, "0", "7"))
	default:
		b.WriteString(" table " + w.table())
	}
	return b.String()
}

// packet returns a packet, by chance.
func (w *world) packet(devs []uint32) LookupRequest {
	r := LookupRequest{Destination: netip.MustParseAddr(w.addr())}
	in := w.IntN(4) == 0
	if in {
		r.InDev, r.From = devs[0], netip.MustParseAddr(w.source(false))
	} else {
		if w.IntN(2) == 0 {
			r.From = netip.MustParseAddr(w.source(true))
		}
		if w.IntN(4) == 0 {
			r.OutDev = pick(w, devs...)
		}
	}
	number := func(n, most int) (value int, ok bool) { return w.IntN(most), w.IntN(n) == 0 }
	if v, ok := number(2, 4); ok {
		r.Mark = object.Some(uint32(v))
	}
	if _, ok := number(3, 1); ok {
		r.TOS = object.Some(pick(w, uint8(8), 16, 24, 4))
	}
	if _, ok := number(2, 1); ok {
		r.UID = object.Some(pick(w, uint32(0), 7, 1500))
	}
	if _, ok := number(2, 1); ok {
		r.IPProto = object.Some(pick(w, uint8(6), 17))
		r.SPort = object.Some(pick(w, uint16(80), 1500))
		r.DPort = object.Some(pick(w, uint16(443), 450, 9))
	}
	return r
}

// TestExplainByChance: with rules, routes and packets that are made by chance, the explanation is
// what the kernel does, and is always told.
func TestExplainByChance(t *testing.T) {
	for _, ipv6 := range []bool{false, true} {
		for seed := range uint64(nstest.Amount(6, 2)) {
			w := &world{rand.New(rand.NewPCG(seed, 15)), "-4", ipv6, []string{"v0", "v1"}}
			if ipv6 {
				w.family = "-6"
			}
			t.Run(fmt.Sprint(w.family, seed), func(t *testing.T) { explainWorld(t, w) })
		}
	}
}

func explainWorld(t *testing.T, w *world) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Veth(t, "v1", "10.0.1.1/24", "fd01::1/64")
	nstest.IP(t, "link set v1 group 7")
	nstest.Sysctl(t, "net.ipv4.conf.all.forwarding", "1")
	nstest.Sysctl(t, "net.ipv4.conf.all.rp_filter", "0")
	nstest.Sysctl(t, "net.ipv4.conf.v0.rp_filter", "0")
	nstest.Sysctl(t, "net.ipv6.conf.all.forwarding", "1")
	var lines strings.Builder
	for range 14 {
		fmt.Fprintln(&lines, w.rule())
	}
	for range 24 {
		fmt.Fprintln(&lines, w.route())
	}
	cmd := exec.Command("ip", w.family, "-force", "-batch", "-") // some are there twice
	cmd.Stdin = strings.NewReader(lines.String())
	_ = cmd.Run()
	l := lookups(t)
	devs := []uint32{dev(t, "v0"), dev(t, "v1")}
	for range 200 {
		req := w.packet(devs)
		e, err := l.Explain(&req)
		if err != nil {
			t.Fatal(err)
		}
		if !e.Told {
			t.Errorf("%+v: not told: %+v\n%s%s%s", req, e.Lookup, nstest.IP(t, w.family+" rule"),
				nstest.IP(t, w.family+" route show table all"), steps(e))
			return
		}
		checkExplained(t, &req, e)
	}
}

// checkExplained checks an explanation against the kernel's answer.
func checkExplained(t *testing.T, req *LookupRequest, e *Explanation) {
	t.Helper()
	if e.Shortcut != "" {
		return
	}
	for i, s := range e.Steps {
		if s.Outcome == Decides && i < len(e.Steps)-1 {
			t.Errorf("%+v: a rule decides, and others are tried:%s", *req, steps(e))
		}
	}
	if e.Match != nil && (e.Decisive == nil || !isRoute(e.Match, e.Decisive)) {
		t.Errorf("%+v: %+v decides, not %+v", *req, e.Match, e.Decisive)
	}
	if e.Answer != nil && e.Decisive != nil && len(e.Steps) > 0 && e.Steps[len(e.Steps)-1].Outcome != Decides {
		t.Errorf("%+v: nothing decides:%s", *req, steps(e))
	}
}

// steps shows the steps of an explanation.
func steps(e *Explanation) string {
	var b strings.Builder
	for _, s := range e.Steps {
		fmt.Fprintf(&b, "\n%d %v %s %s %d", s.Rule.Priority, s.Met, s.Why, s.Outcome, s.Table)
		if s.Route != nil {
			fmt.Fprintf(&b, " %v %v", s.Route.Type, s.Route.Dst)
		}
	}
	return b.String()
}

// TestExplainWhileItChanges: an explanation that is told is of one time, whatever changes meanwhile.
func TestExplainWhileItChanges(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24")
	nstest.Batch(t, "-4", "route add default via 10.0.0.2", "route add default via 10.0.0.3 table 100",
		"rule add priority 9 nop")
	stop := nstest.Every(t, time.Millisecond, "rule add priority 5 lookup 100", "rule del priority 5")
	defer stop()
	l := lookups(t)
	req := to("50.0.0.1")
	told := 0
	for told < 20 {
		e, err := l.Explain(&req)
		if err != nil {
			t.Fatal(err)
		}
		if !e.Told {
			if e.Steps != nil || e.Decisive != nil {
				t.Fatalf("what is not told is shown:%s", steps(e))
			}
			continue
		}
		told++
		want, rule := uint32(254), uint32(32766)
		if e.Answer.Gateway == netip.MustParseAddr("10.0.0.3") {
			want, rule = 100, 5
		}
		if last := e.Steps[len(e.Steps)-1]; e.Decisive.Table != want || last.Rule.Priority != rule {
			t.Fatalf("%v by %+v:%s", e.Answer.Gateway, e.Decisive, steps(e))
		}
	}
}

// TestExplainUnknown: where it is not known whether a rule is for the packet, it is told that only if that changes
// nothing.
func TestExplainUnknown(t *testing.T) {
	table := func(dst, gateway string) []candidate {
		r := &object.Route{Family: object.IPv4, Type: object.Unicast, Dst: netip.MustParsePrefix(dst), Table: 254,
			Gateway: netip.MustParseAddr(gateway), OIF: object.Some(uint32(3))}
		return []candidate{{Route: r, hops: []object.Nexthop{{OIF: 3, Gateway: r.Gateway}}}}
	}
	f := &flow{family: object.IPv4, dst: netip.MustParseAddr("50.0.0.1")}
	to := func(table uint32) object.Rule { return object.Rule{Action: object.FR_ACT_TO_TBL, Table: table} }
	for _, known := range []bool{true, false} {
		tr := &tracer{flow: f, rules: []object.Rule{to(100), to(254)}, tables: map[uint32][]candidate{},
			judged: []judgement{{perhaps, ConditionUID}, {surely, ""}}}
		tr.tables[254] = table("50.0.0.0/8", "10.0.0.2")
		if !known {
			tr.tables[100] = tr.tables[254]
		}
		tr.from(0, nil)
		e := &Explanation{Lookup: Lookup{Answer: tr.tables[254][0].Route, Match: tr.tables[254][0].Route}}
		e.settle(&LookupRequest{Destination: f.dst}, tr)
		if e.Told != known || known && (e.Steps[0].Met.OK || e.Steps[1].Outcome != Decides) {
			t.Errorf("%v: %+v%s", known, e, steps(e))
		}
	}
}
