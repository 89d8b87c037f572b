//go:build linux

package packs

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
)

const hostsFolder = "../testdata/hosts"

// hosts returns the names of the healthy hosts, which are those of the scripts that make them.
func hosts(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(hostsFolder + "/*.sh")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".sh"); name != "lib" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatalf("no hosts in %s", hostsFolder)
	}
	return names
}

// someHosts returns them all, or three of them with -short: a router, a cluster's node, a tunnel.
func someHosts(t testing.TB) (some []string) {
	for i, name := range hosts(t) {
		if !testing.Short() || i%6 == 2 {
			some = append(some, name)
		}
	}
	return some
}

// neighbour starts a process in a network namespace of its own, where the other ends of a host's cables are,
// and returns its PID. It ends with the test, or with us: its input then ends.
func neighbour(t testing.TB) int {
	t.Helper()
	cmd := exec.Command("sh", "-c", "read line")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start a process in another network namespace: %v", err)
	}
	t.Cleanup(func() {
		input.Close()
		cmd.Wait() // an input without a line is an error for read
	})
	return cmd.Process.Pid
}

// outside has the neighbour of each test's host.
var outside sync.Map

// environment is what the scripts of a test's host find, and what is done to it afterwards.
func environment(t testing.TB) []string {
	pid, _ := outside.Load(t)
	return append(os.Environ(), fmt.Sprintf("OUTSIDE=%v", pid))
}

// buildHost moves the calling goroutine into a new network namespace, until the test ends, and makes it that of
// the host.
func buildHost(t testing.TB, name string) {
	t.Helper()
	nstest.New(t)
	outside.Store(t, neighbour(t))
	t.Cleanup(func() { outside.Delete(t) })
	cmd := exec.Command("sh", "-eu", name+".sh")
	cmd.Dir = hostsFolder
	cmd.Env = environment(t)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("testdata/hosts/%s.sh: %v\n%s", name, err, out)
	}
	openTunnels(t)
}

// openTunnels is the program behind each tun device, until the test ends: a device without one has no carrier.
func openTunnels(t testing.TB) {
	t.Helper()
	var links []struct {
		Name string `json:"ifname"`
	}
	if err := json.Unmarshal([]byte(nstest.IP(t, "-j link show type tun")), &links); err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if link.Name == "" { // ip 6.1 has an empty object for each device that is of another kind
			continue
		}
		device, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { device.Close() })
		request, err := unix.NewIfreq(link.Name)
		if err != nil {
			t.Fatal(err)
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(int(device.Fd()), unix.TUNSETIFF, request); err != nil {
			t.Fatalf("open the tun device %s: %v", link.Name, err)
		}
		waitFor(t, "link show dev "+link.Name, "LOWER_UP")
		waitFor(t, "-6 route show table local dev "+link.Name, "ff00::/8")
	}
}

// waitFor waits until ip with the arguments shows the text.
func waitFor(t testing.TB, args, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(nstest.IP(t, args), text); {
		if time.Now().After(deadline) {
			t.Fatalf("ip %s does not show %s", args, text)
		}
		time.Sleep(time.Millisecond)
	}
}

var lifetime = regexp.MustCompile(`expires \d+sec`)

// routingOf returns all of the routing of the host that name stands for, without what is left of lifetimes and
// without the name of table main, which ip shows in some answers only.
func routingOf(t *testing.T, name string) (routing string) {
	t.Run("build", func(t *testing.T) {
		buildHost(t, name)
		for _, args := range []string{"-4 -d route show table all", "-6 -d route show table all",
			"-4 -d rule", "-6 -d rule", "-d nexthop"} {
			routing += "$ ip " + args + "\n" + nstest.IP(t, args)
		}
	})
	return lifetime.ReplaceAllString(strings.ReplaceAll(routing, " table main", ""), "expires")
}

// lines returns how many lines of the text have the pattern.
func lines(pattern, text string) int {
	return len(regexp.MustCompile("(?m)"+pattern).FindAllString(text, -1))
}

// claim is what the comments of a script say of the host.
type claim struct {
	lines   []string // patterns of lines that ip -d shows, without " table main"
	lacking string   // the device that has no carrier
	many    string   // a pattern of lines of which there are
	count   int
}

var claims = map[string]claim{
	"aws-eks-node": {lines: []string{"512:\tfrom all to 192.168.1.201 lookup main",
		"1024:.* fwmark 0x80/0x80 lookup main", "1536:\tfrom 192.168.1.201 lookup 2",
		"default via 192.168.0.1 dev ens6 table 2",
		"192.168.1.201 dev eni.* proto boot scope link"}},
	"azure-vm": {lines: []string{"169.254.169.254 via 10.1.0.1 .* proto dhcp", "168.63.129.16 via .* proto dhcp"}},
	"bgp-router": {lines: []string{"10.10.99.0/24 nhid 14 proto bgp", "10.20.99.0/24 proto bgp .* metric 20 $",
		"default nhid 24 proto bgp", "2001:db8:19::/48 nhid 24 proto bgp", "blackhole 203.0.113.0/24 .*proto 196"},
		many: `^unicast 10\.[12]0\.\d+\.0/24 .*proto bgp`, count: 200},
	"cloud-onlink": {lines: []string{"172.31.1.1 dev eth0 .*scope link", "default via 172.31.1.1 .* onlink"}},
	"docker-host": {lines: []string{"172.17.0.0/16 dev docker0 .* linkdown",
		"172.18.0.0/16 dev br-3c9f1d7ab210 .*src 172.18.0.1 $"}, lacking: "docker0"},
	"gcp-instance":    {lines: []string{"169.254.169.254 via 10.128.0.1 .* proto dhcp", "10.128.0.1 .* scope link"}},
	"ipv6-only-nat64": {lines: []string{"64:ff9b::/96 .* proto ra", "default .* proto ra .* expires"}},
	"kubernetes-node": {lines: []string{"blackhole 10.65.1.0/26 proto bird", "10.65.2.0/26 via 10.0.0.12 .*proto bird"},
		many: `^unicast 10\.65\.1\.\d+ dev cali.{11} proto boot scope link`, count: 50},
	"kubernetes-node-cni-bridge": {lines: []string{"10.244.0.0/24 dev cni0 proto kernel .*src 10.244.0.1 $",
		"10.244.1.0/24 via 10.0.0.12 dev eth0 proto boot"}},
	"laptop-dhcp-ra": {lines: []string{"default via 192.168.1.1 dev wlan0 proto dhcp .* metric 600",
		"default via fe80::1 dev wlan0 proto ra .* metric 600", "2001:db8:1::/64 dev wlan0 proto ra"}},
	"laptop-networkd": {lines: []string{"default via 192.168.1.1 dev enp1s0 proto dhcp .* metric 1024",
		"192.168.1.1 dev enp1s0 proto dhcp scope link", "default nhid .* proto ra .* expires"}},
	"libvirt-host": {lines: []string{"192.168.122.0/24 dev virbr0 .* linkdown"}, lacking: "virbr0"},
	"networkd-two-uplinks": {lines: []string{"from 192.0.2.66 lookup 101 proto static",
		"default .* dev eth1 .* metric 200"}},
	"networkmanager-vpn":   {lines: []string{"default dev tun0 proto static scope link metric 50 $"}},
	"openvpn-def1":         {lines: []string{"0.0.0.0/1 via 10.8.0.1 dev tun0", "128.0.0.0/1 via 10.8.0.1 dev tun0"}},
	"strongswan-table-220": {lines: []string{"220:\tfrom all lookup 220", "default via .* table 220 .*src 10.10.10.1"}},
	"tailscale-exit-node":  {lines: []string{"5270:\tfrom all lookup 52", "default dev tailscale0 table 52"}},
	"wg-quick-full-tunnel": {lines: []string{"suppress_prefixlength 0",
		"default dev wg0 table 51820 proto boot scope link"}},
}

func TestHosts(t *testing.T) {
	if got := hosts(t); len(got) != len(claims) {
		t.Errorf("%d scripts, claims of %d hosts", len(got), len(claims))
	}
	for _, name := range hosts(t) {
		t.Run(name, func(t *testing.T) {
			checkScript(t, name)
			routing := routingOf(t, name)
			claim := claims[name]
			if len(claim.lines) == 0 {
				t.Fatal("claims has nothing of this host")
			}
			for _, line := range claim.lines {
				if lines(line, routing) == 0 {
					t.Errorf("no line of ip is %q", line)
				}
			}
			if got := lines(claim.many, routing); claim.many != "" && got != claim.count {
				t.Errorf("%d lines of ip are %q, want %d", got, claim.many, claim.count)
			}
			// Everything has a carrier where nothing else is said, tunnels too.
			for line := range strings.Lines(routing) {
				lacks := claim.lacking != "" && strings.Contains(line, claim.lacking)
				if strings.Contains(line, "linkdown") && !lacks {
					t.Errorf("without carrier: %s", line)
				}
			}
			if testing.Short() {
				return
			}
			if again := routingOf(t, name); again != routing {
				t.Errorf("another time it is different: %s", firstDifference(routing, again))
			}
		})
	}
}

// checkScript fails for a script that has no source, is long, or is no shell script.
func checkScript(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(hostsFolder, name+".sh"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^# Source: (.*\n# )*.*\d`).Match(text) {
		t.Error("no comment says the source, with a version: # Source: ...")
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if last := lines[len(lines)-1]; last != "settled" {
		t.Errorf("the last line is %q, not settled", last)
	}
	if len(lines) > 60 {
		t.Errorf("%d lines, at most 60 can be read at once", len(lines))
	}
	for i, line := range lines {
		if len(strings.ReplaceAll(line, "\t", "    ")) > 120 {
			t.Errorf("line %d has more than 120 columns", i+1)
		}
	}
	if out, err := exec.Command("sh", "-n", filepath.Join(hostsFolder, name+".sh")).CombinedOutput(); err != nil {
		t.Errorf("sh -n: %v\n%s", err, out)
	}
}

// firstDifference returns the first line that is not the same in both.
func firstDifference(a, b string) string {
	left, right := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(left), len(right)) {
		if left[i] != right[i] {
			return fmt.Sprintf("%q and %q", left[i], right[i])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(left), len(right))
}
