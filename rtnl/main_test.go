package rtnl

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
)

func TestMain(m *testing.M) {
	if nstest.Inside() {
		exampleNetwork()
	}
	nstest.Main(m)
}

// exampleNetwork gives the namespace in which examples run an interface and
// default routes, and returns when the kernel has added what goes with them. Errors are let
// pass: the processes that fuzz share the namespace, and all but the first meet what is there.
func exampleNetwork() {
	cmd := exec.Command("ip", "-force", "-batch", "-")
	cmd.Stdin = strings.NewReader(`link add eth0 type veth peer name peer0
link set lo up
link set eth0 addrgenmode none
link set peer0 addrgenmode none
link set eth0 up
link set peer0 up
addr add 192.168.1.100/24 dev eth0
addr add fd00::100/64 dev eth0 nodad
route add default via 192.168.1.1 dev eth0 metric 100
route add ::/0 via fd00::1 dev eth0 metric 1024
`)
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		os.Stderr.WriteString("cannot run ip: " + err.Error() + "\n")
	}
	for range 1000 { // the kernel's workers come a little later (linkwatch_event)
		out, _ := exec.Command("ip", "-6", "route", "show", "table", "local").Output()
		if all := string(out); strings.Contains(all, "local fd00::100 dev eth0") &&
			strings.Contains(all, "ff00::/8 dev eth0") && strings.Contains(all, "ff00::/8 dev peer0") {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
