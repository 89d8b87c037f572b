package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestEncapNames compares tunnels that refer to tables and interfaces with what
// ip -d route prints. Both read name files of the test's own, in a mount namespace.
func TestEncapNames(t *testing.T) {
	names := filepath.Join(t.TempDir(), "rt_tables")
	if err := os.WriteFile(names, []byte("255 local\n254 main\n100 lan\n1020 vrf-blue\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const script = `set -e
		for folder in /etc/iproute2 /usr/share/iproute2 /usr/lib/iproute2; do
			if [ -d $folder ]; then mount --bind $0 $folder; fi
		done
		ip link add d0 type veth peer name d1
		ip link set d0 up
		ip link set d1 up
		ip -6 addr add fd00::1/64 dev d0 nodad
		ip -6 route add fd01::/64 dev d0 encap seg6local action End.DT6 table 1020 count
		ip -6 route add fd02::/64 dev d0 encap seg6local action End.T table 100
		ip -6 route add fd03::/64 dev d0 encap seg6local action End.DT6 table main
		ip -6 route add fd04::/64 dev d0 encap seg6local action End.DT6 table 1021
		ip -6 route add fd05::/64 dev d0 encap seg6local action End.X nh6 fd00::9 oif d1
		ip -6 route add fd06::/64 dev d0 encap seg6local action End.DX2 oif d1 count
		ip -6 -d route show | tr -s ' ' | sed -n 's/.* encap \(.*\) dev d0 .*/\1/p'
		echo ==
		$1 query --list "SELECT encap FROM kernel_routes WHERE encap <> ''"
		echo ==
		$1 query --list "SELECT encap FROM kernel_route_nexthops WHERE encap <> ''"`
	cmd := exec.Command("sh", "-c", script, filepath.Dir(names), binary(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	answers := strings.Split(string(out), "==\n")
	ip := strings.Split(strings.TrimSpace(answers[0]), "\n")
	if len(ip) != 6 || !strings.Contains(answers[0], "table vrf-blue\n") || !strings.Contains(answers[0], "oif d1\n") {
		t.Fatalf("ip printed %q", answers[0])
	}
	for _, answer := range answers[1:] {
		if got := strings.Split(strings.TrimSpace(answer), "\n")[1:]; !slices.Equal(got, ip) {
			t.Errorf("got  %q\nwant %q", got, ip)
		}
	}
}
