package command

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/needtest"
	"kernelroutes/internal/nstest"
)

// A watcher is a program that shows changes.
type watcher struct {
	*exec.Cmd
	out    *os.File // what it prints
	lines  chan string
	errors strings.Builder
}

// watch starts a program that shows changes.
func watch(t *testing.T, cmd *exec.Cmd) *watcher {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	v := &watcher{Cmd: cmd, out: r, lines: make(chan string, 10_000)}
	cmd.Stdout, cmd.Stderr = w, &v.errors
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		r.Close()
		cmd.Process.Kill()
		cmd.Wait() // a second time, if all went well
	})
	go func() {
		defer close(v.lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			v.lines <- s.Text()
		}
	}()
	return v
}

// line returns the next line that has some text.
func (v *watcher) line(t *testing.T, text string) string {
	t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case line, ok := <-v.lines:
			if !ok {
				t.Fatalf("it has ended without %q: %s", text, &v.errors)
			}
			if strings.Contains(line, text) {
				return line
			}
		case <-late:
			t.Fatalf("nothing with %q is printed: %s", text, &v.errors)
		}
	}
}

// begun waits until changes are shown, and makes them for that.
func (v *watcher) begun(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		nstest.IP(t, "route add blackhole 198.51.100.7/32")
		nstest.IP(t, "-6 route add blackhole 2001:db8:7::/48")
		nstest.IP(t, "route del blackhole 198.51.100.7/32")
		nstest.IP(t, "-6 route del blackhole 2001:db8:7::/48")
		select {
		case _, ok := <-v.lines:
			if !ok {
				t.Fatalf("it has ended: %s", &v.errors)
			}
			return
		default:
		}
	}
	t.Fatalf("no change is shown: %s", &v.errors)
}

// leaves waits until the program has ended, as its reader has gone.
func (v *watcher) leaves(t *testing.T) {
	t.Helper()
	stuck := time.AfterFunc(time.Minute, func() { v.Process.Kill() })
	defer stuck.Stop()
	if err := v.Wait(); err != nil || v.errors.Len() > 0 {
		t.Errorf("%v: %v, %s", v.Args, err, &v.errors)
	}
}

// watch runs a command line that shows changes until it has shown one, and sees it leave.
func (h *shellHost) watch(t *testing.T, line string) {
	t.Helper()
	v := watch(t, h.command("exec "+line))
	v.begun(t)
	v.out.Close()
	v.leaves(t)
}

// TestMonitor has the kernel change, and sees each change with what was there before and its author.
func TestMonitor(t *testing.T) {
	fixedNamespace(t)
	v := watch(t, exec.Command(binary(t), "monitor"))
	v.begun(t)
	ip := nstest.Last(t, 0)
	by := fmt.Sprintf("  by ip[%d] uid %d (", ip.Process.Pid, os.Getuid())
	for _, change := range []struct{ line, want string }{
		{"route add 203.0.113.0/24 via 192.0.2.1 dev eth0 proto static",
			"added     route ipv4 main 203.0.113.0/24 via 192.0.2.1 dev eth0 proto static"},
		{"route replace 203.0.113.0/24 via 192.0.2.2 dev eth0 proto static",
			"replaced  route ipv4 main 203.0.113.0/24 via 192.0.2.2 dev eth0 proto static, was via 192.0.2.1"},
		{"route append 203.0.113.0/24 via 192.0.2.3 dev eth0 proto static",
			"appended  route ipv4 main 203.0.113.0/24 via 192.0.2.3 dev eth0 proto static"},
		{"route del 203.0.113.0/24 via 192.0.2.2",
			"deleted   route ipv4 main 203.0.113.0/24 via 192.0.2.2 dev eth0 proto static"},
		{"route add 2001:db8:9::/48 via 2001:db8::9 metric 7",
			"added     route ipv6 main 2001:db8:9::/48 via 2001:db8::9 dev eth0 proto boot metric 7"},
		{"rule add priority 99 from 192.0.2.0/24 fwmark 5 lookup 1000",
			"added     rule ipv4 99 from 192.0.2.0/24 fwmark 0x5 lookup 1000 proto unspec"},
		{"rule del priority 99",
			"deleted   rule ipv4 99 from 192.0.2.0/24 fwmark 0x5 lookup 1000 proto unspec"},
		{"nexthop add id 7 via 192.0.2.7 dev eth0", "added     nexthop 7 ipv4 via 192.0.2.7 dev eth0 proto "},
		{"route add 203.0.113.64/26 nhid 7", "added     route ipv4 main 203.0.113.64/26 via 192.0.2.7 dev eth0 nhid 7"},
		// Routes that go without a message.
		{"nexthop del id 7", "gone      route ipv4 main 203.0.113.64/26 "},
		{"addr del 192.0.2.10/24 dev eth0",
			"gone      route ipv4 main 10.0.0.0/8 nexthop via 192.0.2.2 dev eth0 weight 3"},
	} {
		ip.Change(t, change.line)
		line := v.line(t, change.want)
		if !strings.Contains(line, by) {
			t.Errorf("not%s: %s", by, line)
		}
		if _, err := time.Parse("15:04:05.000", line[:len("15:04:05.000")]); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	v.out.Close() // while nothing changes
	v.leaves(t)
}

// TestMonitorJSONLines: each line is an object with columns of the table.
func TestMonitorJSONLines(t *testing.T) {
	fixedNamespace(t)
	v := watch(t, exec.Command(binary(t), "monitor", "--json", "--table", "1000"))
	v.begunWith(t, "route add blackhole 198.51.100.9/32 table 1000", "route del blackhole 198.51.100.9/32 table 1000")
	ip := nstest.Last(t, 0)
	ip.Change(t, "route add 203.0.113.0/24 via 192.0.2.1") // in another table
	ip.Change(t, "route add blackhole 203.0.113.0/24 table 1000")
	var row map[string]string
	if err := json.Unmarshal([]byte(v.line(t, "203.0.113.0/24")), &row); err != nil {
		t.Fatal(err)
	}
	seq, err := strconv.Atoi(row["seq"])
	if err != nil || seq < 1 || row["action"] != "added" || row["type"] != "blackhole" || row["table_id"] != "1000" ||
		row["process_name"] != "ip" || row["author_certainty"] != "process" ||
		row["pid"] != strconv.Itoa(ip.Process.Pid) {
		t.Errorf("%v", row)
	}
	if err := v.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	v.Wait()
	if status := v.ProcessState.ExitCode(); status != 130 {
		t.Errorf("exit status %d, %s", status, &v.errors)
	}
}

// begunWith is begun where only some changes are shown.
func (v *watcher) begunWith(t *testing.T, add, del string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		nstest.IP(t, add)
		nstest.IP(t, del)
		if len(v.lines) > 0 {
			return
		}
	}
	t.Fatalf("no change is shown: %s", &v.errors)
}

// TestMonitorSinceSnapshot: what there is comes first, as query shows it, and then the changes.
func TestMonitorSinceSnapshot(t *testing.T) {
	fixedNamespace(t)
	want := strings.Fields(run(t, "", "query", "--list", "--header=false", "SELECT route_id FROM kernel_routes"))
	slices.Sort(want)
	v := watch(t, exec.Command(binary(t), "monitor", "--json", "--since-snapshot"))
	var got []string
	for len(got) < len(want) {
		var row map[string]string
		if err := json.Unmarshal([]byte(v.line(t, `"object":"route"`)), &row); err != nil {
			t.Fatal(err)
		}
		if row["action"] != "present" || row["process_name"] != "" {
			t.Fatalf("%v", row)
		}
		got = append(got, row["route_id"])
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	nstest.IP(t, "route add blackhole 203.0.113.0/24")
	if line := v.line(t, "203.0.113.0/24"); !strings.Contains(line, `"action":"added"`) {
		t.Errorf("%s", line)
	}
	v.out.Close()
	v.leaves(t)
}

// TestMonitorNetns: changes of another namespace, by its path.
func TestMonitorNetns(t *testing.T) {
	nstest.New(t)
	path := filepath.Join(t.TempDir(), "ns")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(path, unix.MNT_DETACH) })
	cmd := exec.Command(needtest.Program(t, "unshare"), "--net", binary(t), "monitor", "--netns", path)
	v := watch(t, cmd)
	v.begunWith(t, "route add blackhole 198.51.100.9/32", "route del blackhole 198.51.100.9/32")
	if line := v.line(t, "blackhole 198.51.100.9/32"); !strings.Contains(line, " route ipv4 main ") {
		t.Errorf("%s", line)
	}
	v.out.Close()
	v.leaves(t)
}

// TestIdleMonitorLeaves: a reader that goes is noticed though nothing changes.
func TestIdleMonitorLeaves(t *testing.T) {
	nstest.New(t)
	for _, args := range [][]string{{"monitor"}, {"monitor", "--json"}} {
		cmd := exec.Command(binary(t), args...)
		r, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		v := &watcher{Cmd: cmd}
		cmd.Stderr = &v.errors
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill() })
		waitsForOthers(t, cmd.Process.Pid)
		r.(io.Closer).Close()
		v.leaves(t)
	}
}
