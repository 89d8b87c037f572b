//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// manyLinks is how many interfaces there are beside those of every namespace.
const manyLinks = 500

// linkFloor is the role of a process that does the least that reading all interfaces takes,
// with their settings and without statistics.
func linkFloor([]string) error {
	const iflaExtMask, skipStats = 29, 8 // IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS
	return floorOf(unix.RTM_GETLINK, unix.SizeofIfInfomsg, appendAttr(nil, iflaExtMask, native32(skipStats))...)
}

// interfaceConfig measures the settings of many interfaces, for IPv4 and IPv6.
func (b *bench) interfaceConfig() ([]line, error) {
	ns, err := newNamespace(0, 0, 0)
	if err != nil {
		return nil, err
	}
	var links strings.Builder
	for i := range manyLinks / 2 {
		fmt.Fprintf(&links, "link add e%d type veth peer name f%d\n", i, i)
	}
	ip := exec.Command("ip", "-batch", "-")
	ip.Stdin = strings.NewReader(links.String())
	if err := ns.run(ip); err != nil {
		return nil, err
	}
	of := func(what string, args ...string) *measurement {
		return &measurement{what: what, ns: ns, args: args, file: filepath.Join(b.dir, "output")}
	}
	query := func(sql string) *measurement {
		return of("interfaces: query "+sql, executable(b.dir), "query", "--csv", sql+" FROM kernel_interface_config")
	}
	floor := of(fmt.Sprintf("interfaces: floor, %d", manyLinks), "/proc/self/exe", "-links")
	detailed := of("interfaces: ip -j -d link", "ip", "-j", "-d", "link")
	all, some := query("SELECT *"), query("SELECT dev, family, effective_rp_filter")
	some.limits, all.limits = []limit{{2.5, floor, "floor"}}, []limit{{4, floor, "floor"}}
	measurements := []*measurement{floor, detailed, all, some}
	var missing []line
	if _, err := exec.LookPath("sysctl"); err == nil {
		files := of("interfaces: sysctl -a, net.ipv[46].conf alone", "sysctl", "-a", "-r", `^net\.ipv[46]\.conf\.`)
		all.limits = append(all.limits, limit{0.1, files, "sysctl"})
		measurements = append(measurements, files)
	} else {
		missing = append(missing, line{what: "sysctl: not installed"})
	}
	if err := rounds(b.rounds, measurements); err != nil {
		return nil, err
	}
	var lines []line
	for _, m := range measurements {
		lines = append(lines, m.line(floor))
	}
	return append(lines, missing...), nil
}
