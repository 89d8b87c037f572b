package command

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// replaced makes a host with a route that exists all the time, but is replaced by
// another every five milliseconds.
func replaced(t *testing.T) (stop func() int) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	lines := []string{}
	for _, gateway := range []string{"10.0.0.2", "10.0.0.3"} {
		lines = append(lines, "route replace 20.0.0.0/8 via "+gateway)
	}
	nstest.IP(t, lines[1])
	nstest.IP(t, "route add 21.0.0.0/8 nexthop via 10.0.0.4 nexthop via 10.0.0.5")
	return nstest.Every(t, 5*time.Millisecond, lines...)
}

// TestJoinInOsquery joins the two tables as osquery does: a request for the first
// one, and for each of its rows a request for the second one by the row's route_id.
func TestJoinInOsquery(t *testing.T) {
	joins, readers := nstest.Amount(10_000, 400), 4
	stop := replaced(t)
	x := startExtension(t)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	x.Context = ctx
	tables := [2]string{"kernel_routes", "kernel_route_nexthops"}
	var each sync.WaitGroup
	for r := range readers {
		// Either table may be the first one.
		outer, inner := tables[r%2], tables[(r+1)%2]
		each.Go(func() {
			for range joins / readers {
				rows := x.Generate(t, outer, []string{"table_name=main"}, "route_id", "dst", "table_name")
				found := map[string]int{}
				for _, row := range rows {
					joined := x.Generate(t, inner, []string{"route_id=" + row["route_id"]},
						"route_id", "dst", "snapshot_consistent")
					for _, j := range joined {
						if j["route_id"] == row["route_id"] && j["snapshot_consistent"] == "1" {
							found[row["dst"]]++
						}
					}
				}
				// The multipath route has two nexthops, whichever table is the first one.
				want := map[string]int{"10.0.0.0/16": 1, "20.0.0.0/8": 1, "21.0.0.0/8": 2, "fd00::/64": 1}
				if fmt.Sprint(found) != fmt.Sprint(want) {
					t.Errorf("%s JOIN %s: rows found: %v, want %v", outer, inner, found, want)
					return
				}
			}
		})
	}
	each.Wait()
	if n := stop(); n < 10 {
		t.Errorf("the route was replaced %d times: this proves nothing", n)
	} else {
		t.Logf("%d joins beside %d changes", joins, n)
	}
}

// TestJoinOfManyReaders has changes of all kinds under readers that look routes up one
// by one and together (IN): each finds every route that it was told of, as it was.
func TestJoinOfManyReaders(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	nstest.Veth(t, "v1", "10.1.0.1/16")
	setup := []string{"nexthop add id 5 via 10.0.0.2 dev v0", "nexthop add id 6 group 5", "route add 22.0.0.0/8 nhid 5",
		"route add 23.0.0.0/8 nhid 6", "route add 20.0.0.0/8 via 10.0.0.3", "route add fd20::/64 via fd00::3",
		"route add 21.0.0.0/8 nexthop via 10.0.0.4 nexthop via 10.0.0.5"}
	nstest.Batch(t, "-N", setup...)
	stop := nstest.Every(t, 5*time.Millisecond,
		"route replace 20.0.0.0/8 via 10.0.0.2", "route replace fd20::/64 via fd00::2",
		"route replace 21.0.0.0/8 nexthop via 10.0.0.4 nexthop via 10.0.0.6",
		"nexthop replace id 5 via 10.0.0.9 dev v0",
		"link set v1 name w1", "link add d1 type veth peer name d2", "route add 24.0.0.0/8 via 10.1.0.2",
		"route replace 20.0.0.0/8 via 10.0.0.3", "route replace fd20::/64 via fd00::3",
		"route replace 21.0.0.0/8 nexthop via 10.0.0.4 nexthop via 10.0.0.5",
		"nexthop replace id 5 via 10.0.0.2 dev v0",
		"route del 24.0.0.0/8", "link set w1 name v1", "link del d1")
	x := startExtension(t)
	readers, joins := 40, 1_000
	if testing.Short() {
		joins = 200
	}
	var each sync.WaitGroup
	for r := range readers {
		each.Go(func() {
			for range joins / readers {
				rows := x.Generate(t, "kernel_routes", []string{"table_name=main"}, "route_id", "dst", "gateway", "dev",
					"nexthop_id")
				var ids []string
				for _, row := range rows {
					ids = append(ids, "route_id="+row["route_id"])
				}
				joined := map[string][]map[string]string{}
				for i := range ids {
					conditions := ids[i : i+1]
					if r%2 == 0 {
						conditions = ids
					}
					for _, hop := range x.Generate(t, "kernel_route_nexthops", conditions, "route_id", "dst", "gateway",
						"dev") {
						joined[hop["route_id"]] = append(joined[hop["route_id"]], hop)
					}
					if r%2 == 0 {
						break
					}
				}
				for _, row := range rows {
					hops := joined[row["route_id"]]
					want := 1
					if row["dst"] == "21.0.0.0/8" {
						want = 2
					}
					// An object and a name may have changed before another answer gave the same identity out.
					if len(hops) != want || want == 1 && row["nexthop_id"] == "" &&
						hops[0]["gateway"] != row["gateway"] {
						t.Errorf("reader %d: %v joins %v", r, row, hops)
						return
					}
				}
				if len(rows) < 7 {
					t.Errorf("reader %d: %d routes", r, len(rows))
				}
			}
		})
	}
	each.Wait()
	if n := stop(); n < 10 {
		t.Errorf("%d changes: this proves nothing", n)
	} else {
		t.Logf("%d joins beside %d changes", joins, n)
	}
}

// TestLookupAfterAnswer: a route that was looked up by its route_id is as it was in
// the answer before; everything else is as it is now.
func TestLookupAfterAnswer(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	nstest.IP(t, "route add 20.0.0.0/8 via 10.0.0.2")
	x := startExtension(t)
	ask := func(table, condition string) string {
		text := ""
		for _, r := range x.Generate(t, table, []string{condition}, "route_id", "dst", "gateway", "dev") {
			text += r["dst"] + " " + r["gateway"] + " " + r["dev"] + ";"
		}
		return text
	}
	id := x.Generate(t, "kernel_routes", []string{"dst=20.0.0.0/8"}, "route_id")[0]["route_id"]
	for _, change := range []struct{ ip, now string }{
		{"route replace 20.0.0.0/8 via 10.0.0.3", "20.0.0.0/8 10.0.0.3 v0;"},
		{"link set v0 down", ""},
		{"link del v0", ""},
	} {
		nstest.IP(t, change.ip)
		for _, table := range []string{"kernel_routes", "kernel_route_nexthops"} {
			if got, want := ask(table, "route_id="+id), "20.0.0.0/8 10.0.0.2 v0;"; got != want {
				t.Errorf("after ip %s: %s by route_id: got %q, want %q", change.ip, table, got, want)
			}
			if got := ask(table, "dst=20.0.0.0/8"); got != change.now {
				t.Errorf("after ip %s: %s by dst: got %q, want %q", change.ip, table, got, change.now)
			}
		}
	}
	// A route that an answer left out was not given out by it.
	nstest.Veth(t, "v1", "10.1.0.1/16")
	nstest.IP(t, "route add 21.0.0.0/8 via 10.1.0.2 metric 77")
	s, err := new(rtnl.Kernel).Read(t.Context(), rtnl.RouteRequest(rtnl.Filter{Tables: []uint32{254}}))
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for c := s.Cursor(object.FieldID); c.Next(); {
		ids[c.Route().Dst.String()] = string(c.Route().AppendID(nil))
	}
	for _, table := range []string{"kernel_routes", "kernel_route_nexthops"} {
		if got, want := ask(table, "gateway=10.1.0.2"), "21.0.0.0/8 10.1.0.2 v1;"; got != want {
			t.Errorf("%s by gateway: got %q, want %q", table, got, want)
		}
	}
	nstest.IP(t, "link set v1 name w1")
	for dst, want := range map[string]string{"21.0.0.0/8": "21.0.0.0/8 10.1.0.2 v1;",
		"10.1.0.0/16": "10.1.0.0/16  w1;"} {
		if got := ask("kernel_route_nexthops", "route_id="+ids[dst]); got != want {
			t.Errorf("%s by route_id after its link was renamed: got %q, want %q", dst, got, want)
		}
	}
	if got := ask("kernel_routes", "route_id=ipv4:254:99.0.0.0/8:0000000000000000"); got != "" {
		t.Errorf("a route_id that nobody gave out: %q", got)
	}
}
