package shadow

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// A scene is routes and rules by chance. Each route has a protocol of its own, by which it is known again.
type scene struct {
	*rand.Rand
	family object.Family
	lines  map[uint8]string // what makes each route
	// entangled says that a route which decides about nothing may have others decide all the same: a rule
	// does not accept it, and asks for no shorter prefix; or the kernel loses routes for certain sources
	// with the last one for all (fib6_repair_tree).
	entangled bool
	mostly    int // how many were shadowed for all but few packets
	excepted  int // of how many rules it was said that packets of theirs come to a route all the same,
	possible  int // and of how many that perhaps they do
	none      int // to how many tables no packets came, not even those that a rule leaves out
	refused   int // how many were accepted by no rule
	behind    int // how many were behind a rule for all packets to some destinations
	passed    int // how many were in tables that a goto for all packets goes past
}

func (s *scene) one(of ...string) string { return of[s.IntN(len(of))] }

func (s *scene) v4() bool { return s.family == object.IPv4 }

// pick returns a text of IPv4 or of IPv6.
func (s *scene) pick(v4, v6 string) string {
	if s.v4() {
		return v4
	}
	return v6
}

// dst returns one of few destinations that contain each other.
func (s *scene) dst() string {
	if s.IntN(6) == 0 {
		return s.one(s.pick("default", "default"), s.pick("0.0.0.0/1", "::/1"), s.pick("128.0.0.0/1", "8000::/1"))
	}
	bits := 28 + s.IntN(5)
	a := s.IntN(8) &^ (1<<(32-bits) - 1)
	if s.v4() {
		return fmt.Sprintf("10.9.0.%d/%d", a, bits)
	}
	return fmt.Sprintf("2001:db8:9::%x/%d", a, bits+96)
}

// add adds a route by chance to a table.
func (s *scene) add(table string, simple bool) string {
	verb, types := "add ", []string{"", "", "", "", "blackhole ", "unreachable ", "prohibit "}
	if !simple {
		types = append(types, "throw ", "throw ")
	}
	if s.v4() && !simple {
		verb = s.one("add ", "append ", "prepend ")
	}
	typ, dst := s.one(types...), s.dst()
	rest := " table " + table
	if typ == "" {
		rest += " dev " + s.one("v0", "v1")
	}
	if s.v4() && !simple && s.IntN(4) == 0 {
		rest += " tos 0x10"
	}
	if !s.v4() && !simple && s.entangled && s.IntN(4) == 0 && typ == "" {
		rest += " from " + s.one("fd00::/64", "fd00::1/128")
	}
	if n := s.IntN(4); n > 0 {
		rest += fmt.Sprintf(" metric %d", n*5)
	}
	proto := uint8(100 + len(s.lines))
	s.lines[proto] = fmt.Sprintf("%s%s%s proto %d", typ, dst, rest, proto)
	return "route " + verb + s.lines[proto]
}

// jumping returns a rule by chance, of a scene in which many jump.
func (s *scene) jumping() string {
	priority := 100 * (1 + s.IntN(9))
	rule := fmt.Sprintf("rule add priority %d ", priority)
	switch s.IntN(13) {
	case 0, 7:
		rule += s.one("fwmark 1 ", "not fwmark 1 ", s.pick("from 10.0.0.1 ", "from fd00::1 "))
		fallthrough
	case 1, 2, 3:
		return rule + fmt.Sprintf("goto %d", priority+100*(1+s.IntN(4)))
	case 4:
		return rule + s.one("", "fwmark 1 ", "not fwmark 1 ") + s.one("prohibit", "unreachable", "nop")
	case 5:
		return rule + "nop"
	case 6:
		rule += s.one("fwmark 1 ", "not fwmark 1 ", s.pick("from 10.0.0.1 ", "from fd00::1 "))
	case 8:
		rule += "to " + s.dst() + " "
	}
	return rule + "lookup " + s.one("100", "101", "102", "103", "104", "main")
}

// toward returns a rule by chance for all packets to some destinations, of which the others come after it.
func (s *scene) toward() string {
	what := "lookup " + s.one("100", "101", "main")
	if s.IntN(2) == 0 {
		what = s.one("blackhole", "prohibit", "unreachable", "goto 150", "goto 200", "nop")
	}
	return fmt.Sprintf("rule add priority %d %sto %s %s", 50+s.IntN(80), s.one("", "", "", "not "), s.dst(), what)
}

// rule returns a rule by chance.
func (s *scene) rule() string {
	priority := 100 * (1 + s.IntN(9))
	rule := fmt.Sprintf("rule add priority %d ", priority)
	switch s.IntN(9) {
	case 0:
		rule += "fwmark 1 "
	case 1:
		rule += "not fwmark 1 "
	case 2:
		rule += s.pick("from 10.0.0.1 ", "from fd00::1 ")
	case 3:
		return rule + s.one("", "fwmark 1 ") + fmt.Sprintf("goto %d", priority+100*(1+s.IntN(4)))
	case 4:
		return rule + s.one("fwmark 1 ", "fwmark 1 ", "") + s.one("blackhole", "prohibit", "unreachable")
	}
	rule += "lookup " + s.one("100", "101", "main")
	if s.entangled && s.IntN(2) == 0 {
		rule += fmt.Sprintf(" suppress_prefixlength %d", s.IntN(2)*s.IntN(s.family.AddrLen()*8))
	}
	return rule
}

// batch runs lines with ip, those that mean nothing to the kernel in vain.
func batch(t *testing.T, f object.Family, lines []string) {
	t.Helper()
	family := map[object.Family]string{object.IPv4: "-4", object.IPv6: "-6"}[f]
	cmd := exec.Command("ip", family, "-force", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "File exists") && !strings.HasPrefix(line, "Command failed") {
			t.Fatalf("ip -batch: %v: %s", err, out)
		}
	}
}

func analyze(t *testing.T) *Analysis {
	t.Helper()
	a, err := Analyze(t.Context(), read(t))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func read(t testing.TB) *rtnl.Snapshot {
	t.Helper()
	k := &rtnl.Kernel{}
	snap, err := k.Read(context.Background(), rtnl.Request{Kinds: []*object.Kind{object.Routes.Kind, object.Rules.Kind},
		Along: []*object.Kind{object.Links.Kind}, Referred: []*object.Kind{object.NexthopObjects.Kind}})
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// claimed returns the routes of the scene that something comes before, for every packet or for all but few, and
// those that nothing does.
func (s *scene) claimed(a *Analysis) (shadowed []uint8, mostly map[uint8]Shadow, used []uint8) {
	mostly = map[uint8]Shadow{}
	for table := range a.Tables() {
		for i := range table.Len() {
			var r object.Route
			table.Route(i, &r, object.AllFields)
			if r.Family != s.family || s.lines[r.Protocol] == "" {
				continue
			}
			by, ok := table.Shadow(i)
			if ok && by.Rule != nil && by.Rule.Action == object.FR_ACT_GOTO {
				s.passed++
			}
			if ok && by.Refused != nil {
				s.refused++
			}
			if ok && by.Rule != nil && by.Rule.Dst.IsValid() {
				s.behind++
			}
			switch {
			case !ok:
				used = append(used, r.Protocol)
			case by.Except != nil || by.Perhaps != nil:
				mostly[r.Protocol] = by
			default:
				shadowed = append(shadowed, r.Protocol)
			}
		}
	}
	return shadowed, mostly, used
}

// corners returns an address of each part of the address space in which the same routes match, and rules.
func (s *scene) corners(a *Analysis) []netip.Addr {
	all := map[netip.Addr]bool{}
	for _, more := range []string{s.pick("1.1.1.1", "2000::1"), s.pick("200.0.0.1", "9000::1")} {
		all[netip.MustParseAddr(more)] = true
	}
	add := func(p netip.Prefix) {
		if p.Bits() < 2 {
			return
		}
		last := p.Addr().AsSlice()
		for bit := p.Bits(); bit < len(last)*8; bit++ {
			last[bit/8] |= 0x80 >> (bit % 8)
		}
		end, _ := netip.AddrFromSlice(last)
		all[p.Addr()], all[end.Next()] = true, true
	}
	for table := range a.Tables() {
		for i := range table.Len() {
			var r object.Route
			table.Route(i, &r, object.AllFields)
			if r.Family == s.family && s.lines[r.Protocol] != "" {
				add(r.Dst)
			}
		}
	}
	for i := range a.order[s.family].steps {
		add(a.order[s.family].steps[i].rule.Dst)
	}
	return slices.SortedFunc(maps.Keys(all), netip.Addr.Compare)
}

// A packet is what is asked about.
type packet struct {
	to            netip.Addr
	mark          uint32
	tos, from, in bool // in: it came in through v0
}

// answers returns what becomes of packets to some destinations, with different marks, types of service and
// sources, and to those that come in: an error, or the protocol of the route that decides.
func (s *scene) answers(t *testing.T, to []netip.Addr) map[packet]string {
	t.Helper()
	l, err := (&rtnl.Kernel{}).Lookups(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	all := map[packet]string{}
	v0, err := net.InterfaceByName("v0")
	if err != nil {
		t.Fatal(err)
	}
	for _, dst := range to {
		for variant := range 18 {
			p := packet{to: dst, mark: uint32(variant / 6), tos: variant&1 != 0, from: variant%6/2 == 1,
				in: variant%6/2 == 2}
			req := rtnl.LookupRequest{Destination: dst, Mark: object.Some(p.mark)}
			if p.tos {
				req.TOS = object.Some[uint8](0x10)
			}
			if p.in {
				req.InDev, req.From = uint32(v0.Index), netip.MustParseAddr(s.pick("10.0.0.2", "fd00::2"))
			}
			if p.from {
				req.From = netip.MustParseAddr(s.pick("10.0.0.1", "fd00::1"))
			}
			found, err := l.Lookup(&req, rtnl.WantAnswer|rtnl.WantMatch)
			if err != nil {
				t.Fatal(err)
			}
			answer := string(found.Error)
			if found.Match != nil {
				answer = fmt.Sprint(found.Match.Protocol)
			}
			all[p] = answer
		}
	}
	return all
}

// check asks the kernel about packets before and after all is taken away that is said to be shadowed. It
// returns how much that was.
func (s *scene) check(t *testing.T, simple bool) int {
	t.Helper()
	a := analyze(t)
	shadowed, mostly, used := s.claimed(a)
	to := s.corners(a)
	before := s.answers(t, to)
	deciding, ordinary := map[string]bool{}, map[string]bool{}
	for packet, answer := range before {
		deciding[answer] = true
		if packet.mark == 0 && !packet.from && !packet.tos && !packet.in {
			ordinary[answer] = true
		}
	}
	for proto, by := range mostly {
		s.exceptions(t, proto, &by, before)
	}
	for _, proto := range shadowed {
		if deciding[fmt.Sprint(proto)] {
			t.Errorf("is said to be shadowed, and decides: %s", s.lines[proto])
		}
	}
	for _, proto := range used {
		line := s.lines[proto]
		refuses := !strings.Contains(line, "dev ")
		if simple && !deciding[fmt.Sprint(proto)] && !refuses {
			t.Errorf("decides about nothing, and is not said to be shadowed: %s", line)
		}
	}
	for table := range a.Tables() {
		s.barred(t, a, table, deciding, ordinary)
	}
	if simple || !s.entangled {
		s.without(t, shadowed, to, before)
	}
	if again, _, _ := s.claimed(analyze(t)); simple && len(again) > 0 {
		t.Errorf("%d more routes are shadowed without those that were", len(again))
	}
	if t.Failed() {
		for _, command := range []string{"rule", "route show table all"} {
			t.Logf("%s\n%s", command, nstest.IP(t, s.pick("-4 ", "-6 ")+command))
		}
		t.Fatalf("shadowed: %v\nroutes: %v", shadowed, s.lines)
	}
	return len(shadowed)
}

// TestRandom asks the kernel whether what is said to be shadowed decides about anything.
func TestRandom(t *testing.T) {
	for _, f := range []object.Family{object.IPv4, object.IPv6} {
		for _, mode := range []string{"simple", "original rules", "rules", "jumps", "destinations", "few packets"} {
			t.Run(f.String()+" "+mode, func(t *testing.T) {
				nstest.New(t)
				nstest.Sysctl(t, "net.ipv6.conf.default.addr_gen_mode", "1")
				nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
				nstest.Veth(t, "v1", "10.0.1.1/24", "fd01::1/64")
				nstest.Sysctl(t, "net.ipv4.ip_forward", "1")
				nstest.Sysctl(t, "net.ipv6.conf.all.forwarding", "1")
				nstest.Sysctl(t, "net.ipv4.conf.all.rp_filter", "0")
				nstest.Sysctl(t, "net.ipv4.conf.v0.rp_filter", "0")
				s := &scene{Rand: rand.New(rand.NewPCG(uint64(f), uint64(len(mode)))), family: f}
				total := 0
				scenes := nstest.Amount(16, 6)
				switch mode {
				case "jumps", "destinations":
					scenes *= 4 // as few of them have it all
				case "few packets":
					scenes *= 10
				}
				for n := range scenes {
					total += s.play(t, mode, n)
				}
				s.counted(t, mode)
				t.Logf("%d routes were in tables that all packets go past", s.passed)
				t.Logf("%d routes were behind rules that refuse all packets to some destinations", s.behind)
				if mode == "destinations" && s.behind < nstest.Amount(40, 10) {
					t.Errorf("only %d routes were behind rules for destinations", s.behind)
				}
				if mode == "jumps" && s.passed < nstest.Amount(80, 20) {
					t.Errorf("only %d routes were in tables that all packets go past", s.passed)
				}
				if t.Logf("%d routes were shadowed", total); total < nstest.Amount(60, 20) {
					t.Errorf("only %d routes were shadowed", total)
				}
			})
		}
	}
}

// play makes routes and rules by chance, checks them, and takes them away.
func (s *scene) play(t *testing.T, mode string, n int) (shadowed int) {
	s.lines, s.entangled = map[uint8]string{}, n%2 == 1
	var lines []string
	tables := []string{"main"}
	switch mode {
	case "original rules":
		tables = []string{"main", "main", "local"}
	case "jumps":
		tables = []string{"main", "100", "101", "102", "103", "104"}
		for range 6 + s.IntN(10) {
			lines = append(lines, s.jumping())
		}
	case "few packets":
		tables = []string{"main", "100", "101"}
		for range 2 + s.IntN(6) {
			lines = append(lines, s.singling())
		}
	case "destinations":
		tables = []string{"main", "100", "101"}
		for range 1 + s.IntN(4) {
			lines = append(lines, s.toward())
		}
		for range s.IntN(4) {
			lines = append(lines, s.rule())
		}
	case "rules":
		tables = []string{"main", "100", "101"}
		for range 1 + s.IntN(5) {
			lines = append(lines, s.rule())
		}
	}
	for range 10 + s.IntN(40) {
		lines = append(lines, s.add(s.one(tables...), mode == "simple"))
	}
	batch(t, s.family, lines)
	shadowed = s.check(t, mode == "simple")
	var undo []string
	for _, line := range lines {
		if rule, ok := strings.CutPrefix(line, "rule add "); ok {
			undo = append(undo, "rule del "+rule)
		}
	}
	for _, line := range s.lines {
		undo = append(undo, "route del "+line)
	}
	cmd := exec.Command("ip", s.pick("-4", "-6"), "-force", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(undo, "\n") + "\n")
	_ = cmd.Run() // some have not been added, some have been taken away
	return shadowed
}
