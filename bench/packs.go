//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"kernelroutes/packs"
)

// nodeRoutes is how many routes a large node of a cluster has.
const nodeRoutes = 5000

// packCosts prints what each query of the packs takes on three hosts: an ordinary one with a
// tunnel, the same with the routes of a large cluster, and a router with all routes, on which no
// tunnel is. What a process takes to start and to say nothing is taken off.
func (b *bench) packCosts() error {
	ordinary, err := tunnelHost(0)
	if err != nil {
		return err
	}
	node, err := tunnelHost(nodeRoutes)
	if err != nil {
		return err
	}
	if b.big, err = newNamespace(b.ipv4, b.ipv6, 0); err != nil {
		return err
	}
	all, err := packs.Load(os.DirFS(filepath.Join(b.dir, "packs")))
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "query\tordinary host\t%d routes\t%d routes\t\n", nodeRoutes, b.ipv4+b.ipv6)
	hosts := []*namespace{ordinary, node, b.big}
	nothing, err := b.packCost("SELECT 1", hosts)
	if err != nil {
		return err
	}
	for _, p := range all {
		for _, c := range p.Available() {
			if c.Name == "namespaces" {
				continue // it takes root
			}
			if c.Needs != "" {
				continue // of events, which only the extension has: BenchmarkEventChecks of packs
			}
			took, err := b.packCost(c.SQL(), hosts)
			if err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			var cells []string
			for i, d := range took {
				cells = append(cells, milliseconds(max(d-nothing[i], 0)))
			}
			fmt.Fprintf(t, "%s\t%s\t\n", c.Name, strings.Join(cells, "\t"))
		}
	}
	return t.Flush()
}

// packCost returns the median wall time of a statement on each host.
func (b *bench) packCost(sql string, hosts []*namespace) (took []time.Duration, err error) {
	for _, ns := range hosts {
		m := &measurement{ns: ns, args: []string{executable(b.dir), "query", "--csv", sql}}
		if err := rounds(b.rounds, []*measurement{m}); err != nil {
			return nil, err
		}
		took = append(took, median(m.samples).wall)
	}
	return took, nil
}

// tunnelHost makes a host whose traffic goes into a tunnel, with routes besides.
func tunnelHost(routes int) (*namespace, error) {
	ns, err := newNamespace(routes, 0, 0)
	if err != nil {
		return nil, err
	}
	ip := exec.Command("ip", "-batch", "-")
	ip.Stdin = strings.NewReader(`link add tun0 type veth peer name far
link set tun0 up
link set far up
addr add 172.31.255.2/24 dev tun0
route add default via 10.0.0.2 dev v0 proto dhcp metric 100
route add 198.51.100.7 via 10.0.0.2 dev v0
route add 0.0.0.0/1 via 172.31.255.1 dev tun0
route add 128.0.0.0/1 via 172.31.255.1 dev tun0
`)
	return ns, ns.run(ip)
}
