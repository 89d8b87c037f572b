package rtnl_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"os/exec"
	"time"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// List the default routes.
func ExampleKernel_Read() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var kernel rtnl.Kernel
	snapshot, err := kernel.Read(ctx, rtnl.RouteRequest(rtnl.Filter{
		Types: []object.RouteType{object.Unicast},
		Dsts:  []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")},
	}))
	if err != nil {
		log.Fatal(err)
	}
	var hops []object.Nexthop
	for route := range snapshot.Routes(object.FieldDst | object.FieldPriority | object.FieldNexthops) {
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

// Count routes by who installed them, however many there are.
func ExampleRequest_countBy() {
	req := rtnl.RouteRequest(rtnl.Filter{Families: []object.Family{object.IPv4},
		Tables: []uint32{object.RT_TABLE_MAIN}})
	req.CountBy = &object.Grouping{Protocol: true, Nexthops: true, Defaults: true}
	var kernel rtnl.Kernel
	snapshot, err := kernel.Read(context.Background(), req)
	if err != nil {
		log.Fatal(err)
	}
	for _, group := range snapshot.Groups {
		fmt.Println("protocol", group.Protocol, "routes", group.Routes, "nexthops", group.Nexthops,
			"default routes", group.Defaults)
	}
	// Unordered output:
	// protocol 2 routes 1 nexthops 1 default routes 0
	// protocol 3 routes 1 nexthops 1 default routes 1
}

// Ask what the kernel would do with a packet of the VPN's own, which has a mark, and which route
// decides that.
func ExampleKernel_Lookups() {
	var kernel rtnl.Kernel
	lookups, err := kernel.Lookups(context.Background(), "", 0)
	if err != nil {
		log.Fatal(err)
	}
	defer lookups.Close()
	packet := rtnl.LookupRequest{Destination: netip.MustParseAddr("192.0.2.1"), Mark: object.Some[uint32](51820)}
	found, err := lookups.Lookup(&packet, rtnl.WantAnswer|rtnl.WantMatch)
	if err != nil {
		log.Fatal(err)
	}
	if found.Error != "" {
		fmt.Println(found.Error)
		return
	}
	link, _, err := lookups.Link(found.Answer.OIF.V)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("via", found.Answer.Gateway, "dev", link.Name, "by", found.Match.Dst)
	// Output:
	// via 192.168.1.1 dev eth0 by 0.0.0.0/0
}

// Wait for changes of routes. Another program makes some, and one of interfaces, which
// is not asked for.
func ExampleKernel_Watch() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var kernel rtnl.Kernel
	changes := kernel.Watch(ctx, "", object.Routes.Kind) // they are told of from here on
	for _, change := range []string{
		"route add 198.51.100.0/24 via 192.168.1.2",
		"link set eth0 txqueuelen 100",
		"route del 198.51.100.0/24",
	} {
		if err := ip(change); err != nil {
			log.Fatal(err)
		}
	}
	for change, err := range changes {
		if err != nil {
			log.Fatal(err)
		}
		var route object.Route
		object.Routes.Decode(&route, change.Message)
		if change.Gone {
			fmt.Println(route.Dst, "has gone")
			break
		}
		fmt.Println(route.Dst, "via", route.Gateway)
	}
	// Output:
	// 198.51.100.0/24 via 192.168.1.2
	// 198.51.100.0/24 has gone
}

// Read the interfaces of another network namespace: that of a process.
func ExampleRequest_namespace() {
	process := exec.Command("unshare", "--net", "sh", "-c", "echo; exec cat")
	in, _ := process.StdinPipe()
	out, _ := process.StdoutPipe()
	if err := process.Start(); err != nil {
		log.Fatal(err)
	}
	defer process.Wait()
	defer in.Close()
	if _, err := out.Read(make([]byte, 1)); err != nil { // it is there
		log.Fatal(err)
	}
	var kernel rtnl.Kernel
	snapshot, err := kernel.Read(context.Background(), rtnl.Request{
		Namespace: rtnl.Namespace(fmt.Sprintf("/proc/%d/ns/net", process.Process.Pid)),
		Kinds:     []*object.Kind{object.Links.Kind},
	})
	if err != nil {
		log.Fatal(err)
	}
	for link := range rtnl.All(snapshot, object.Links) {
		fmt.Println(link.Index, link.Name, link.OperStateName())
	}
	// Output: 1 lo DOWN
}

func ip(args string) error { return exec.Command("sh", "-c", "ip "+args).Run() }
