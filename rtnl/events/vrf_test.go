package events

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/needtest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// vrfChanges move interfaces into VRFs and out of them, so that the kernel takes their routes from
// one table and makes them in another, mostly without a word of the first.
var vrfChanges = [][]string{
	{"route add 20.0.0.0/8 via 10.1.0.9", "-6 route add fd20::/16 via fd01::9", "nexthop add id 1 via 10.1.0.9 dev v1",
		"route add 21.0.0.0/8 nhid 1"},
	{"link add red type vrf table 1010", "link set red up"},
	{"link set v1 master red"}, // which takes its IPv6 addresses
	{"-6 addr add fd01::1/64 dev v1 nodad"},
	{"route add 20.0.0.0/8 via 10.1.0.9 vrf red", "-6 route add fd20::/16 via fd01::9 vrf red",
		"route add unreachable default metric 4278198272 vrf red"},
	{"link add blue type vrf table 3000000000", "link set blue up", "link set v2 master blue"},
	{"link set v1 nomaster"},
	{"route add 20.0.0.0/8 via 10.1.0.9"},
	{"link set v1 master blue", "addr add 10.7.0.1/24 dev v1"},
	{"link set v1 down"}, {"link set v1 up"},
	{"link del blue"},
	{"link set v1 master red", "link set v2 master red"},
	{"link del v2"},
	{"link del red"},
}

// TestVRF moves interfaces into VRFs and out of them: events lead from what there was to what there
// is, and all that ip monitor shows is told, and nothing else but what goes silently.
func TestVRF(t *testing.T) {
	nstest.New(t)
	_, err := nstest.Try("link add try0 type vrf table 4242")
	needtest.Kernel(t, "devices of type vrf", "4.3", err)
	nstest.IP(t, "link del try0")
	nstest.Sysctl(t, "net.ipv6.conf.default.addr_gen_mode", "1")
	for _, v := range []string{"0", "1", "2"} {
		nstest.Veth(t, "v"+v, "10."+v+".0.1/24", "fd0"+v+"::1/64")
	}
	lines, events := stepping(t, vrfChanges, monitor)
	compareBags(t, lines, events)
}

// mplsChanges are of routes of labels, some of which go with an interface or with their labels.
var mplsChanges = [][]string{
	{"-f mpls route add 100 as 200 via inet 10.1.0.9 dev v1", "-f mpls route add 101 via inet6 fd01::9 dev v1",
		"-f mpls route add 102 via inet 10.2.0.9 dev v2", "-f mpls route add 900 dev lo"},
	{"-f mpls route replace 100 as 201/202 via inet 10.2.0.9 dev v2"},
	{"-f mpls route add 103 nexthop as 200 via inet 10.1.0.9 dev v1 nexthop via inet6 fd02::9 dev v2"},
	{"-f mpls route del 101"},
	{"route add 20.0.0.0/8 encap mpls 300 via 10.1.0.9", "-6 route add fd20::/16 encap mpls 300 ttl 3 via fd01::9"},
	{"link set v1 down"}, {"link set v1 up"},
	{"sysctl net.mpls.platform_labels 500"}, {"sysctl net.mpls.platform_labels 1000"},
	{"-f mpls route add 900 dev lo"},
	{"link del v1"},
	{"link del v2"},
}

// TestMPLS changes routes of labels: events lead from what there was to what there is.
func TestMPLS(t *testing.T) {
	nstest.New(t)
	_, err := os.Stat("/proc/sys/net/mpls/platform_labels")
	needtest.Kernel(t, "MPLS (module mpls_router)", "4.1", err)
	nstest.Sysctl(t, "net.mpls.platform_labels", "1000")
	nstest.Sysctl(t, "net.ipv6.conf.default.addr_gen_mode", "1")
	for _, v := range []string{"0", "1", "2"} {
		nstest.Veth(t, "v"+v, "10."+v+".0.1/24", "fd0"+v+"::1/64")
	}
	_, events := stepping(t, mplsChanges, func(_ *testing.T, change func()) []string { change(); return nil })
	labels := 0
	for _, e := range events {
		var r object.Route
		if e.Kind == object.Routes.Kind && object.Decode(e.Object, object.Routes, &r) && r.Family == object.MPLS {
			t.Logf("%v label %s", e.Action, object.AppendLabels(nil, r.DstLabel))
			labels++
		}
	}
	if labels < 12 {
		t.Errorf("only %d events of labels", labels)
	}
}

// stepping takes steps, changes as ip or sysctl makes them. After each the events must have led to
// what there is. It returns the events, and what around returns, which runs along.
func stepping(t *testing.T, steps [][]string, around func(*testing.T, func()) []string) ([]string, []*Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	r := &replayer{state: replay{}, marked: make(chan string, 100)}
	var events []*Event
	f := testFollower(t)
	f.Present = true
	done := f.inBackground(ctx, func(e *Event, err error) bool {
		if err == nil {
			events = append(events, e)
			r.take(e)
		} else if ctx.Err() == nil {
			t.Error(err)
		}
		return err == nil
	})
	lines := around(t, func() {
		for i, step := range steps {
			for _, line := range step {
				if key, ok := strings.CutPrefix(line, "sysctl "); ok {
					key, value, _ := strings.Cut(key, " ")
					nstest.Sysctl(t, key, value)
				} else {
					nstest.IP(t, line)
				}
			}
			r.settles(t, ctx, &rtnl.Kernel{})
			nstest.IP(t, fmt.Sprintf("route add blackhole 99.%d.0.0/16", i))
			<-r.marked
		}
	})
	cancel()
	<-done
	if len(r.odd) > 0 || r.lost > 0 {
		t.Errorf("%d losses, events that do not fit:\n%s", r.lost, strings.Join(r.odd, "\n"))
	}
	return lines, events
}

// compareBags sees that each line has its event, and each event that was told its line, in whatever
// order: the kernel does some of it a while later.
func compareBags(t *testing.T, lines []string, events []*Event) {
	t.Helper()
	missing := map[string]int{}
	gone, moved := 0, 0
	for _, line := range lines {
		if text := shown(t, line); !marks(text) {
			missing[text]++
		}
	}
	between := false
	for _, e := range events {
		text := told(e)
		if strings.HasPrefix(text, "is route 254 98.") {
			between = strings.Contains(text, "98.1.")
			continue
		}
		switch {
		case !between || text == "" || marks(text):
		case silently(e):
			gone++
		default:
			missing[text]--
			if strings.Contains(text, "route 1010 ") || strings.Contains(text, "route 3000000000 ") {
				moved++
			}
		}
	}
	var all []string
	for text, n := range missing {
		if n != 0 {
			all = append(all, fmt.Sprintf("%+d %s", n, text))
		}
	}
	if slices.Sort(all); len(all) > 0 {
		t.Errorf("ip monitor shows more (+) or less (-):\n%s", strings.Join(all, "\n"))
	}
	if t.Logf("%d lines, %d of routes in VRFs, %d went silently", len(lines), moved, gone); moved < 20 || gone < 10 {
		t.Errorf("only %d changes in VRFs, and %d silent ones", moved, gone)
	}
}

// marks reports whether a text is of a route that tells the test how far things are.
func marks(text string) bool {
	return strings.Contains(text, " 254 99.") || strings.Contains(text, " 254 98.")
}
