//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
)

// A kernel is one that Debian has in a release.
type kernel struct {
	series string // "6.1", or newest
	suite  string // the release
}

// kernels are those that are tried: of the releases that hosts run, and of what comes next.
var kernels = []kernel{
	{"5.10", "bullseye"},
	{"6.1", "bookworm"},
	{"6.12", "trixie"},
	{"newest", "sid"},
}

func seriesOf() []string {
	var all []string
	for _, k := range kernels {
		all = append(all, k.series)
	}
	return all
}

// host is this host's kernel.
var host = kernel{"host", "this host"}

func kernelOf(series string) (kernel, error) {
	for _, k := range append(slices.Clone(kernels), host) {
		if k.series == series {
			return k, nil
		}
	}
	return kernel{}, fmt.Errorf("there is no kernel %q; there are %s and host", series, strings.Join(seriesOf(), ", "))
}

// An arch is a processor.
type arch struct {
	debian  string // its name in Debian
	goarch  string
	qemu    string // the program that is such a machine
	machine []string
	bus     string // of virtio devices
	console string // the kernel's
}

var archs = []arch{
	{"amd64", "amd64", "qemu-system-x86_64", []string{"-machine", "q35", "-cpu", "max"}, "pci", "ttyS0"},
	{"s390x", "s390x", "qemu-system-s390x", []string{"-machine", "s390-ccw-virtio", "-cpu", "max"}, "ccw",
		"ttysclp0"},
}

func archOf(debian string) (arch, error) {
	for _, a := range archs {
		if a.debian == debian {
			return a, nil
		}
	}
	return arch{}, fmt.Errorf("there is no machine for the processor %q; there are amd64 and s390x", debian)
}

// userland are the packages of a machine, with which come those that they depend on.
var userland = []string{
	"iproute2", "mount", "util-linux", "kmod", "busybox-static", "dash", "bash", "coreutils", "strace", "procps",
	"netbase",
}

// modules are the folders and files of the kernel's modules that a machine has: those below kernel/. geneve and
// vxlan are not among them: tests have no use for them.
var modules = []string{
	"net/", "crypto/", "lib/", "drivers/virtio/", "drivers/char/virtio_console", "drivers/char/hw_random/",
	"drivers/s390/virtio/", "drivers/net/wireguard/", "drivers/net/ipvlan/", "drivers/net/bonding/",
	"drivers/net/veth", "drivers/net/dummy", "drivers/net/ifb", "drivers/net/tun", "drivers/net/vrf",
	"drivers/net/macvlan", "drivers/net/macvtap", "drivers/net/tap", "drivers/net/nlmon", "arch/x86/crypto/",
	"arch/s390/crypto/", "fs/fuse/", "fs/overlayfs/", "fs/autofs/",
}

// loaded are the modules that are loaded before the tests, which could not be from a user namespace. What a kernel
// has not, or has built in, is passed over.
var loaded = []string{
	"veth", "bridge", "ifb", "tun", "dummy", "vrf", "macvlan", "ipvlan", "8021q", "bonding", "wireguard",
	"mpls_router", "mpls_iptunnel", "mpls_gso", "ila", "sit", "ip_gre", "ip6_gre", "ipip", "ip6_tunnel", "ip_vti",
	"ip6_vti", "xfrm_interface", "xfrm_user", "esp4", "esp6", "fou", "fou6", "act_mirred", "cls_u32", "sch_ingress",
	"sch_netem", "nlmon", "netlink_diag", "inet_diag", "unix_diag", "nf_tables", "ip_tables", "ip6_tables",
}

// defaultPackages are those whose tests say something about the kernel.
var defaultPackages = []string{
	"./rtnl/...", "./tables/...", "./shell/...", "./command", "./packs", "./internal/osquerytest", "./internal/nstest",
}

// serial returns the options for a console that is written to a file.
func (a arch) serial(file string) []string {
	if a.debian == "s390x" {
		return []string{"-chardev", "file,id=console,path=" + file, "-device", "sclpconsole,chardev=console"}
	}
	return []string{"-serial", "file:" + file}
}
