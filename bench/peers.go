//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
)

func peersExecutable(dir string) string { return filepath.Join(dir, "peers") }

// peers are the other libraries that list all routes.
func (b *bench) peers() (runs []*measurement, missing []line) {
	for _, p := range []struct{ what, name string }{
		{"vishvananda/netlink", "vishvananda"}, {"jsimonetti/rtnetlink", "jsimonetti"},
	} {
		if _, err := os.Stat(peersExecutable(b.dir)); err != nil {
			missing = append(missing, line{what: p.what + ": not built"})
			continue
		}
		runs = append(runs, &measurement{what: p.what, ns: b.big, args: []string{peersExecutable(b.dir), p.name}})
	}
	if exec.Command("python3", "-c", "import pyroute2").Run() == nil {
		runs = append(runs, &measurement{what: "pyroute2, IPv6 alone, once", ns: b.big, once: true,
			args: []string{"python3", "-c", pyroute2}})
	} else {
		missing = append(missing, line{what: "pyroute2: not installed"})
	}
	return runs, missing
}

// pyroute2 is a program in Python that does the same, of IPv6 alone: a million
// routes would take it minutes and gigabytes.
const pyroute2 = `
import socket
from pyroute2 import IPRoute
with IPRoute() as ipr:
    print(len(list(ipr.get_routes(family=socket.AF_INET6))))
`
