package rtnl_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"time"

	"kernelroutes/rtnl"
)

// List the default routes.
func ExampleKernel_Read() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var kernel rtnl.Kernel
	snapshot, err := kernel.Read(ctx, rtnl.Request{
		Filter: rtnl.Filter{
			Types: []rtnl.RouteType{rtnl.Unicast},
			Dsts:  []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")},
		},
		Links:    true,
		Nexthops: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	var hops []rtnl.Nexthop
	for c := snapshot.Cursor(rtnl.FieldDst | rtnl.FieldPriority | rtnl.FieldNexthops); c.Next(); {
		route := c.Route()
		hops = snapshot.Nexthops(route, hops)
		for _, hop := range hops {
			link, _ := snapshot.Link(hop.OIF)
			fmt.Println(route.Family, route.Dst, "via", hop.Gateway, "dev", link.Name, "metric", route.Priority.V)
		}
	}
	// Output:
	// ipv4 0.0.0.0/0 via 192.168.1.1 dev eth0 metric 100
	// ipv6 ::/0 via fd00::1 dev eth0 metric 1024
}
