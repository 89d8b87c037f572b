package events

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// routeOf reads a route as in "20.0.0.0/8 via 10.0.0.2,10.0.0.3 metric 5": see the words below.
func routeOf(t testing.TB, text string) *object.Route {
	f := strings.Fields(text)
	r := &object.Route{Family: object.IPv4, Table: 254, Type: object.Unicast, Protocol: 4}
	if f[0] == "label" {
		r.Family, r.DstLabel, f = object.MPLS, nltest.Labels(16<<12|1<<8), f[1:]
	} else {
		r.Dst = netip.MustParsePrefix(f[0])
		if r.Dst.Addr().Is6() {
			r.Family, r.Priority = object.IPv6, object.Some[uint32](1024)
		}
	}
	for i := 1; i+1 < len(f); i += 2 {
		n, _ := strconv.ParseUint(f[i+1], 10, 32)
		switch f[i] {
		case "via":
			var hops []object.Nexthop
			for _, g := range strings.Split(f[i+1], ",") {
				hops = append(hops, object.Nexthop{OIF: 3, Weight: 1, Gateway: netip.MustParseAddr(g)})
			}
			if r.Multipath = hops; len(hops) == 1 {
				r.Multipath, r.Gateway, r.OIF = nil, hops[0].Gateway, object.Some[uint32](3)
			}
		case "dev":
			r.OIF = object.Some(uint32(n))
		case "metric":
			r.Priority = object.Some(uint32(n))
		case "tos":
			r.TOS = uint8(n)
		case "proto":
			r.Protocol = uint8(n)
		case "nhid":
			r.NexthopID = object.Some(uint32(n))
		case "mtu":
			r.Metrics = nltest.MetricsOf(map[uint8]uint32{2: uint32(n)}, "")
		case "family":
			r.Family = object.Family(n)
		case "iif":
			r.IIF = object.Some(uint32(n))
		case "src":
			r.Src = netip.MustParsePrefix(f[i+1])
		default:
			t.Fatalf("no such word: %s", f[i])
		}
	}
	return r
}

const (
	createFlag  = wire.NLM_F_CREATE
	replaceFlag = wire.NLM_F_REPLACE
	appendFlag  = wire.NLM_F_APPEND
)

// messageOf makes a notification: of a route as routeOf reads it, of "rule PRIORITY TABLE PROTOCOL",
// or of "nexthop ID" that may be a "blackhole". It begins with "-" if that has gone, "=" if it
// replaces, ">" if it is appended, and "~" if it is in another state.
func messageOf(t testing.TB, text string) []byte {
	flags, gone := uint16(createFlag), false
	switch text[0] {
	case '-':
		gone, text = true, text[1:]
	case '=':
		flags, text = replaceFlag, text[1:]
	case '>':
		flags, text = createFlag|appendFlag, text[1:]
	case '~':
		flags, text = 0, text[1:]
	}
	k, b := object.Routes.Kind, []byte(nil)
	var n [3]uint32
	switch f := strings.Fields(text); f[0] {
	case "rule":
		fmt.Sscanf(text, "rule %d %d %d", &n[0], &n[1], &n[2])
		k, b = object.Rules.Kind, nltest.AppendRule(nil, &object.Rule{Family: object.IPv4, Action: 1, Priority: n[0],
			Table: n[1], Protocol: object.Some(uint8(n[2]))})
	case "nexthop":
		fmt.Sscanf(text, "nexthop %d", &n[0])
		o := &object.NexthopObject{ID: n[0], Blackhole: len(f) > 2}
		if !o.Blackhole {
			o.OIF = 3
		}
		k, b = object.NexthopObjects.Kind, nltest.AppendNexthop(nil, o)
	default:
		b = nltest.AppendRoute(nil, routeOf(t, text))
	}
	if gone {
		return nltest.Padded(k.Del, 0, 0, b)
	}
	return nltest.Padded(k.New, flags, 0, b)
}

// applied takes in a message, and says what that comes to.
func (s *state) applied(t *testing.T, text string) string {
	t.Helper()
	msg := messageOf(t, text)
	var m object.Message
	k, ok := checked(&m, msg)
	if !ok {
		t.Fatalf("%s is no message", text)
	}
	c := s.apply(&m, wire.Type(msg) == k.Del)
	out := ""
	for _, w := range c.went {
		out += textOf(&Event{Action: Gone, Kind: k, Object: w.object, Twin: w.twin}) + "; "
	}
	out += textOf(&Event{Action: c.action, Kind: k, Object: c.object, Old: c.old, Twin: c.twin, OldTwin: c.oldTwin})
	if c.doubt {
		out += " ?"
	}
	return strings.NewReplacer("route 254 ", "", "254 ", "", " metric 1024", "").Replace(out)
}

// held returns what is held of a message's key.
func (s *state) held(t *testing.T, text string) (all []string) {
	var m object.Message
	if _, ok := checked(&m, messageOf(t, text)); !ok || m.Kind() != object.Routes.Kind {
		return nil
	}
	k := keyOf(&m)
	for _, r := range s.routes.group(nil, &k) {
		all = append(all, strings.NewReplacer("254 ", "", " metric 1024", "").Replace(describe(s.routes.run(r))))
	}
	return all
}

// TestApply takes in messages one after the other. "?" is where what is held may not be what there
// is.
func TestApply(t *testing.T) {
	for _, test := range applyTests {
		t.Run(test.name, func(t *testing.T) {
			s := newState()
			last := ""
			for _, step := range test.steps {
				if got := s.applied(t, step[0]); got != step[1] {
					t.Errorf("%s:\ngot  %s\nwant %s", step[0], got, step[1])
				}
				last = step[0]
			}
			if got := strings.Join(s.held(t, last), "; "); got != test.held {
				t.Errorf("held\n%s\nwant\n%s", got, test.held)
			}
			for oif, n := range s.overLink {
				if n < 0 || oif == 0 {
					t.Errorf("%d routes over interface %d", n, oif)
				}
			}
		})
	}
}

var applyTests = []struct {
	name  string
	steps [][2]string // a message, and what it comes to
	held  string
}{
	{"IPv4", [][2]string{
		{"20.0.0.0/8 via 10.0.0.2", "added 20.0.0.0/8 10.0.0.2"},
		{"20.0.0.0/8 via 10.0.0.3", "added 20.0.0.0/8 10.0.0.3"}, // prepended
		{">20.0.0.0/8 via 10.0.0.4", "appended 20.0.0.0/8 10.0.0.4"},
		{"20.0.0.0/8 via 10.0.0.5 metric 7", "added 20.0.0.0/8 metric 7 10.0.0.5"},
		{"20.0.0.0/8 via 10.0.0.6 tos 16", "added 20.0.0.0/8 10.0.0.6"},
		{"=20.0.0.0/8 via 10.0.0.7", "replaced 20.0.0.0/8 10.0.0.7 was 20.0.0.0/8 10.0.0.3"},
		{"-20.0.0.0/8 via 10.0.0.2", "deleted 20.0.0.0/8 10.0.0.2"},
	}, "20.0.0.0/8 10.0.0.6; 20.0.0.0/8 10.0.0.7; 20.0.0.0/8 10.0.0.4; 20.0.0.0/8 metric 7 10.0.0.5"},
	{"IPv4 that does not fit", [][2]string{
		{"-20.0.0.0/8 via 10.0.0.2", "deleted 20.0.0.0/8 10.0.0.2 ?"},
		{"=20.0.0.0/8 via 10.0.0.3", "added 20.0.0.0/8 10.0.0.3 ?"},
		{">20.0.0.0/8 via 10.0.0.4 metric 7", "appended 20.0.0.0/8 metric 7 10.0.0.4 ?"},
		{"20.0.0.0/8 via 10.0.0.3", "gone 20.0.0.0/8 10.0.0.3; added 20.0.0.0/8 10.0.0.3 ?"},
		{"=20.0.0.0/8 via 10.0.0.3", "replaced 20.0.0.0/8 10.0.0.3 was 20.0.0.0/8 10.0.0.3"},
		{"~20.0.0.0/8 via 10.0.0.3", "replaced 20.0.0.0/8 10.0.0.3 was 20.0.0.0/8 10.0.0.3"},
	}, "20.0.0.0/8 10.0.0.3; 20.0.0.0/8 metric 7 10.0.0.4"},
	{"IPv4 by its nexthop object", [][2]string{
		{"20.0.0.0/8 nhid 1", "added 20.0.0.0/8 nhid 1 if0"},
		{"20.0.0.0/8 nhid 2", "added 20.0.0.0/8 nhid 2 if0"},
		{"=20.0.0.0/8 nhid 1 via 10.0.0.9", "replaced 20.0.0.0/8 nhid 1 10.0.0.9 was 20.0.0.0/8 nhid 1 if0"},
	}, "20.0.0.0/8 nhid 2 if0; 20.0.0.0/8 nhid 1 10.0.0.9"},
	{"IPv6 in another state", [][2]string{
		{"fd20::/64 via fd00::3", "added fd20::/64 fd00::3"},
		{"~fd20::/64 via fd00::3", "replaced fd20::/64 fd00::3 was fd20::/64 fd00::3"},
	}, "fd20::/64 fd00::3"},
	{"IPv6 that joins", [][2]string{
		{"fd20::/64 via fd00::2", "added fd20::/64 fd00::2"},
		{">fd20::/64 via fd00::2,fd00::3", "appended fd20::/64 fd00::2 fd00::3 was fd20::/64 fd00::2"},
		{"fd20::/64 via fd00::4,fd00::2,fd00::3",
			"appended fd20::/64 fd00::2 fd00::3 fd00::4 was fd20::/64 fd00::2 fd00::3"},
		{"fd20::/64 dev 3", "added fd20::/64 if3"},
		{"fd20::/64 via fd00::2 metric 7", "added fd20::/64 metric 7 fd00::2"},
		{"-fd20::/64 via fd00::3", "replaced fd20::/64 fd00::2 fd00::4 was fd20::/64 fd00::2 fd00::3 fd00::4"},
		{"-fd20::/64 via fd00::2", "replaced fd20::/64 fd00::4 was fd20::/64 fd00::2 fd00::4 ?"},
		{"-fd20::/64 via fd00::4", "deleted fd20::/64 fd00::4"},
	}, "fd20::/64 metric 7 fd00::2; fd20::/64 if3"},
	{"IPv6 that goes as a whole", [][2]string{
		{"fd20::/64 via fd00::2,fd00::3", "added fd20::/64 fd00::2 fd00::3"},
		{"-fd20::/64 via fd00::2,fd00::3", "deleted fd20::/64 fd00::2 fd00::3"},
		{"-fd20::/64 via fd00::2", "deleted fd20::/64 fd00::2 ?"},
	}, ""},
	{"IPv6 whose protocol was another's", [][2]string{
		{"fd20::/64 via fd00::2 proto 7", "added fd20::/64 fd00::2"},
		{">fd20::/64 via fd00::2,fd00::3 proto 7", "appended fd20::/64 fd00::2 fd00::3 was fd20::/64 fd00::2"},
		{"-fd20::/64 via fd00::2 proto 7", "replaced fd20::/64 fd00::3 was fd20::/64 fd00::2 fd00::3 ?"},
		{"-fd20::/64 via fd00::3 proto 9", "deleted fd20::/64 fd00::3"},
	}, ""},
	{"IPv6 replaced by what joins, or does not", [][2]string{
		{"fd20::/64 dev 3", "added fd20::/64 if3"},
		{"fd20::/64 via fd00::2", "added fd20::/64 fd00::2"},
		{"=fd20::/64 via fd00::3", "replaced fd20::/64 fd00::3 was fd20::/64 fd00::2"},
		{"=fd20::/64 dev 4", "replaced fd20::/64 if4 was fd20::/64 if3"},
		{"-fd20::/64 via fd00::3", "deleted fd20::/64 fd00::3"},
		{"=fd20::/64 via fd00::5", "replaced fd20::/64 fd00::5 was fd20::/64 if4"},
		{"=fd20::/64 via fd00::6 metric 7", "added fd20::/64 metric 7 fd00::6 ?"},
	}, "fd20::/64 metric 7 fd00::6; fd20::/64 fd00::5"},
	{"IPv6 twins", [][2]string{
		{"fd20::/64 dev 3 mtu 1400", "added fd20::/64 if3"},
		{"fd20::/64 dev 4", "added fd20::/64 if4"},
		{"fd20::/64 dev 5", "added fd20::/64 if5"},
		{"=fd20::/64 dev 5", "replaced fd20::/64 if5 was fd20::/64 if3"},
		{"-fd20::/64 dev 5", "deleted fd20::/64 if5 twin 1 0"},
	}, "fd20::/64 if4; fd20::/64 if5"},
	{"IPv6 by its nexthop object", [][2]string{
		{"fd20::/64 nhid 1", "added fd20::/64 nhid 1 if0"},
		{">fd20::/64 nhid 2", "appended fd20::/64 nhid 2 if0"},
		{"=fd20::/64 nhid 2 via fd00::9", "replaced fd20::/64 nhid 2 fd00::9 was fd20::/64 nhid 2 if0"},
	}, "fd20::/64 nhid 1 if0; fd20::/64 nhid 2 fd00::9"},
	{"MPLS", [][2]string{
		{"label 16 via 10.0.0.2", "added invalid Prefix 10.0.0.2"},
		{"=label 16 via 10.0.0.3", "replaced invalid Prefix 10.0.0.3 was invalid Prefix 10.0.0.2"},
		{"-label 16 via 10.0.0.3", "deleted invalid Prefix 10.0.0.3"},
		{"-label 16 via 10.0.0.3", "deleted invalid Prefix 10.0.0.3 ?"},
	}, ""},
	{"multicast", [][2]string{
		{"239.0.0.1/32 family 128 src 10.0.0.9/32", "added 239.0.0.1/32"},
		{"239.0.0.1/32 family 128 src 10.0.0.9/32 iif 3 dev 4", "replaced 239.0.0.1/32 if4 was 239.0.0.1/32"},
		{"-239.0.0.1/32 family 128 src 10.0.0.9/32 iif 3", "deleted 239.0.0.1/32"},
	}, ""},
	{"multicast from anywhere", [][2]string{
		{"239.0.0.1/32 family 128 src 0.0.0.0/32 iif 3", "added 239.0.0.1/32"},
		{"239.0.0.1/32 family 128 src 0.0.0.0/32 iif 4", "added 239.0.0.1/32"},
		{"-239.0.0.1/32 family 128 src 0.0.0.0/32 iif 3", "deleted 239.0.0.1/32"},
	}, "239.0.0.1/32"},
	{"rules", [][2]string{
		{"rule 7 100 3", "added rule 7 100"},
		{"rule 7 101 3", "added rule 7 101"},
		{"rule 7 100 4", "added rule 7 100"},
		{"rule 7 100 3", "added rule 7 100 twin 1 0"},
		{"-rule 7 100 3", "deleted rule 7 100 twin 1 0"},
		{"-rule 7 100 3", "deleted rule 7 100"},
		{"-rule 7 100 3", "deleted rule 7 100 ?"},
		{"-rule 7 101 9", "deleted rule 7 101 ?"},
	}, ""},
	{"nexthop objects", [][2]string{
		{"nexthop 1", "added nexthop 1 invalid IP []"},
		{"=nexthop 1 blackhole", "replaced nexthop 1 invalid IP [] was 1 invalid IP []"},
		{"20.0.0.0/8 nhid 1", "added 20.0.0.0/8 nhid 1 if0"},
		{"=nexthop 1", "replaced nexthop 1 invalid IP [] was 1 invalid IP [] ?"}, // the route's type
		{"-nexthop 1", "deleted nexthop 1 invalid IP []"},
		{"-nexthop 1", "deleted nexthop 1 invalid IP [] ?"},
	}, ""},
}

// TestApplyBeginning takes in again what was read already.
func TestApplyBeginning(t *testing.T) {
	s := newState()
	for _, text := range []string{"20.0.0.0/8 via 10.0.0.2", "fd20::/64 via fd00::2"} {
		s.beginning = false
		s.applied(t, text)
		s.beginning = true
		want := strings.Replace(s.applied(t, text), "gone", "", 1)
		if got := s.held(t, text); len(got) != 1 || !strings.HasPrefix(want, "added") {
			t.Errorf("%s: %s, then there are %q", text, want, got)
		}
	}
}

// TestApplyVery deletes that of two routes which differ in what no identity has.
func TestApplyVery(t *testing.T) {
	s := newState()
	s.applied(t, "fd20::/64 dev 3")
	s.applied(t, "fd20::/64 dev 5 mtu 1400")
	s.applied(t, "=fd20::/64 dev 5")
	s.applied(t, "-fd20::/64 dev 5 mtu 1400")
	for r := range s.routes.all {
		if s.routes.message(&s.other, r); s.routes.count != 1 || s.other.Data(8) != nil { // RTA_METRICS
			t.Errorf("%d routes, with metrics %x", s.routes.count, s.other.Data(8))
		}
	}
}
