//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// nexthopObjects is how many nexthop objects are compared: as a router with many neighbours
// has them. One in ten is a group of four.
const nexthopObjects = 5000

func init() { roles["-nexthops"] = nexthopFloor }

// nexthops measures the table kernel_nexthops in a namespace of its own.
func (b *bench) nexthops() ([]line, error) {
	ns, err := newNamespace(0, 0, 0)
	if err != nil {
		return nil, err
	}
	var batch strings.Builder
	const singles = nexthopObjects * 9 / 10
	for i := range singles {
		fmt.Fprintf(&batch, "nexthop add id %d via 10.0.%d.%d dev v0 proto 186\n", 1+i, i/250, 2+i%250)
	}
	for i := singles; i < nexthopObjects; i++ {
		n := 1 + i - singles
		fmt.Fprintf(&batch, "nexthop add id %d group %d,%d/%d/%d/%d proto 186\n", 1+i, n, 1+i%255, n+500, n+1000,
			n+1500)
	}
	ip := exec.Command("ip", "-batch", "-")
	ip.Stdin = strings.NewReader(batch.String())
	if err := ns.run(ip); err != nil {
		return nil, err
	}
	rows := singles + 4*(nexthopObjects-singles)
	if err := b.checkNexthops(ns, rows); err != nil {
		return nil, err
	}
	query := func(what, sql string) *measurement {
		return &measurement{what: what, ns: ns, args: []string{executable(b.dir), "query", "--csv", sql}}
	}
	floor := &measurement{what: fmt.Sprintf("floor of %d nexthop objects", nexthopObjects), ns: ns,
		args: []string{"/proc/self/exe", "-nexthops"}}
	start := query("query of one nexthop object",
		"SELECT nexthop_id, gateway FROM kernel_nexthops WHERE nexthop_id = 7")
	all := query("query SELECT * FROM kernel_nexthops", "SELECT * FROM kernel_nexthops")
	iproute := &measurement{what: "ip -j -d nexthop", ns: ns, args: []string{"ip", "-j", "-d", "nexthop"}}
	some := query("query SELECT nexthop_id, gateway, dev, group_member_id, weight",
		"SELECT nexthop_id, gateway, dev, group_member_id, weight FROM kernel_nexthops")
	all.limits, some.limits = []limit{{4, floor, "floor"}}, []limit{{2, iproute, "ip"}}
	measurements := []*measurement{floor, start, some, all, iproute}
	if err := rounds(b.rounds, measurements); err != nil {
		return nil, err
	}
	var lines []line
	for _, m := range measurements {
		lines = append(lines, m.line(floor))
	}
	return lines, nil
}

// checkNexthops makes sure that what is measured is right.
func (b *bench) checkNexthops(ns *namespace, want int) error {
	var out strings.Builder
	cmd := exec.Command(executable(b.dir), "query", "--list", "SELECT count(*) FROM kernel_nexthops")
	cmd.Stdout = &out
	if err := ns.run(cmd); err != nil {
		return err
	}
	if lines := strings.Fields(out.String()); len(lines) == 0 || lines[len(lines)-1] != strconv.Itoa(want) {
		return fmt.Errorf("there should be %d rows of nexthop objects, but the answer is %q", want, out.String())
	}
	return nil
}

// nexthopFloor is the role of a process that does the least that reading all nexthop objects
// takes: see floor.
func nexthopFloor([]string) error {
	const nhmsg = 8
	return floorOf(unix.RTM_GETNEXTHOP, nhmsg)
}
