// Peers lists all routes with another library, which the argument names, and
// prints how many there are; or listens to changes of routes, and for each line
// of its input prints how many there were. It is a module of its own so that these libraries are
// no dependency of the program.
package main

import (
	"bufio"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func main() {
	peers := map[string]func() (int, error){"vishvananda": vishvananda, "jsimonetti": jsimonetti, "changes": changes}
	list := peers[os.Args[len(os.Args)-1]]
	if list == nil {
		fmt.Fprintln(os.Stderr, "usage: peers vishvananda|jsimonetti|changes")
		os.Exit(2)
	}
	n, err := list()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
	fmt.Println(n)
}

func vishvananda() (total int, err error) {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		// Without the filter it would be table main alone.
		all := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
		routes, err := netlink.RouteListFiltered(family, all, netlink.RT_FILTER_TABLE)
		if err != nil {
			return 0, err
		}
		total += len(routes)
	}
	return total, nil
}

func jsimonetti() (int, error) {
	conn, err := rtnetlink.Dial(nil)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	routes, err := conn.Route.List() // both families
	return len(routes), err
}

// changes prints how many losses there were, too.
func changes() (int, error) {
	var seen, lost atomic.Uint64
	updates := make(chan netlink.RouteUpdate, 1000)
	err := netlink.RouteSubscribeWithOptions(updates, nil, netlink.RouteSubscribeOptions{
		ReceiveBufferSize: 16 << 20,
		ErrorCallback:     func(error) { lost.Add(1) },
	})
	if err != nil {
		return 0, err
	}
	go func() {
		for range updates {
			seen.Add(1)
		}
	}()
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(seen.Load(), lost.Load())
	}
	return int(seen.Load()), nil
}
