package command

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/internal/ptytest"
)

// TestShowSources: a capture, and a network namespace that is looked at from another one, show what is shown in it.
func TestShowSources(t *testing.T) {
	fixedNamespace(t)
	want := run(t, "", "show")
	file := filepath.Join(t.TempDir(), "routes.pcap")
	run(t, "", "capture", file)
	if got := run(t, "", "show", "--from", file); got != want {
		t.Errorf("from a capture: %s", firstDifference(want, got))
	}
	captured, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, string(captured), "show", "--from", "-"); got != want {
		t.Errorf("from standard input: %s", firstDifference(want, got))
	}

	inside := exec.Command("sleep", "1000")
	if err := inside.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		inside.Process.Kill()
		inside.Wait()
	})
	nstest.New(t)
	if got := run(t, "", "show", "--netns", fmt.Sprintf("/proc/%d/ns/net", inside.Process.Pid)); got != want {
		t.Errorf("from another namespace: %s", firstDifference(want, got))
	}
	if got := run(t, "", "show", "--ipv6"); strings.Contains(got, "2001:db8") {
		t.Errorf("of its own namespace: %s", got)
	}
}

// TestShowOldCapture: of a capture without rules all else is shown, and that they are missing is said.
func TestShowOldCapture(t *testing.T) {
	stdout, stderr, status := command(t, nil, "show", "--ipv4", "--from", "testdata/captures/tables.pcap")
	if status != exitOK || !strings.Contains(stdout, "no rules are known") ||
		!strings.Contains(stdout, "table local (255)\n") || !strings.Contains(stderr, "the capture has no rules") {
		t.Errorf("exit status %d, printed %s, %s", status, stdout, stderr)
	}
}

// TestShowTerminal: routes fit a terminal, unless that is not wanted.
func TestShowTerminal(t *testing.T) {
	fixedNamespace(t)
	for _, wide := range []bool{false, true} {
		args := []string{"show", "--ipv4", "--table", "main"}
		if wide {
			args = append(args, "--wide")
		}
		x := ptytest.Start(t, ptytest.Size{Rows: 24, Columns: 60}, exec.Command(binary(t), args...))
		if status := x.Wait(); status != exitOK {
			t.Errorf("exit status %d", status)
		}
		line := "via 192.0.2.1 dev eth0 proto dhcp src 192.0.2.10 metric 100\n"
		if got := x.Written(); strings.Contains(got, line) != wide {
			t.Errorf("wide %t: %s", wide, got)
		}
	}
}

// TestShowDev: an interface has alternative names and a number as well, in captures too.
func TestShowDev(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "192.0.2.10/24")
	nstest.Veth(t, "v1", "198.51.100.10/24")
	nstest.IP(t, "link property add dev v1 altname uplink altname second")
	nstest.IP(t, "link property add dev v1 altname 1") // a name, though it is the number of another one
	link, err := net.InterfaceByName("v1")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "routes.pcap")
	run(t, "", "capture", file)
	for _, from := range [][]string{nil, {"--from", file}} {
		args := append([]string{"show", "--ipv4"}, from...)
		want := run(t, "", append(args, "--dev", "v1")...)
		if !strings.Contains(want, "198.51.100.10/32") || !strings.HasSuffix(want, " through v1\n") {
			t.Fatalf("%q: %s", from, want)
		}
		for _, dev := range []string{"uplink", "second", strconv.Itoa(link.Index), "1"} {
			if got := run(t, "", append(args, "--dev", dev)...); got != want {
				t.Errorf("%q %s: %s", from, dev, firstDifference(want, got))
			}
		}
		for _, dev := range []string{"0", "99999", "uplin"} {
			_, stderr, status := command(t, nil, append(args, "--dev", dev)...)
			if status != exitUsage || !strings.Contains(stderr, "there is no such interface") {
				t.Errorf("%q %s: exit status %d, %s", from, dev, status, stderr)
			}
		}
	}
}
