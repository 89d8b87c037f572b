//go:build linux

package packs

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/events"
	"kernelroutes/tables"
)

// A liveSource knows what is happening in the test's namespace.
type liveSource struct {
	*rtnl.Kernel
	log *events.Log
}

func (s *liveSource) Events(ctx context.Context, after uint64) ([]*events.Event, error) {
	return s.log.Events(ctx, after)
}

// startLive follows the changes in a new namespace, until the test ends.
func startLive(t *testing.T) *liveSource {
	t.Helper()
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	ns := rtnl.Namespace(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	s := &liveSource{new(rtnl.Kernel), events.Start(new(rtnl.Kernel), events.Options{Namespace: ns})}
	t.Cleanup(s.log.Close)
	if _, err := s.Events(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	return s
}

// rows runs a check until it has as many rows.
func (s *liveSource) rows(t *testing.T, c *Check, n int) (rows []map[string]string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		var err error
		if rows, err = queryOf(s, c.SQL(), func(text string) { t.Error(text) }); err != nil {
			t.Fatal(err)
		}
		if len(rows) == n {
			return rows
		}
		if time.Now().After(end) {
			t.Fatalf("%s has %d rows, want %d: %v", c.Name, len(rows), n, rows)
		}
	}
}

// addByIoctl adds 203.0.113.0/24 over a device as route of net-tools does.
func addByIoctl(t *testing.T, gateway [4]byte) {
	t.Helper()
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s)
	address := func(a [4]byte) unix.RawSockaddrInet4 {
		return unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a}
	}
	entry := struct { // struct rtentry
		_                     uint64
		dst, gateway, genmask unix.RawSockaddrInet4
		flags                 uint16
		_                     [64]byte
	}{dst: address([4]byte{203, 0, 113, 0}), gateway: address(gateway), genmask: address([4]byte{255, 255, 255, 0}),
		flags: unix.RTF_UP | unix.RTF_GATEWAY}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCADDRT,
		uintptr(unsafe.Pointer(&entry))); errno != 0 {
		t.Fatal(errno)
	}
}

// TestEventChecks has ip and a program with the old ioctl change routes, and the kernel: what the first two do is
// shown, and no more when the list has ip in its control group. What was there for a moment is a short-lived one.
func TestEventChecks(t *testing.T) {
	s := startLive(t)
	stranger, short := checkNamed(t, "route_changed_by_stranger"), checkNamed(t, "route_short_lived")
	cmd := nstest.Last(t, 0)
	cmd.Change(t, "route add 198.51.100.0/24 via 10.0.0.2\nroute replace 198.51.100.0/24 via 10.0.0.3\n"+
		"rule add pref 100 table 77\nnexthop add id 7 via 10.0.0.2 dev v0\nroute add 2001:db8:7::/48 via fd00::2")
	s.rows(t, stranger, 5)
	addByIoctl(t, [4]byte{10, 0, 0, 2})
	rows := s.rows(t, stranger, 6)
	for i, want := range []string{"added route 198.51.100.0/24 10.0.0.2", "replaced route 198.51.100.0/24 10.0.0.3",
		"added rule  ", "added nexthop  10.0.0.2", "added route 2001:db8:7::/48 fd00::2",
		"added route 203.0.113.0/24 10.0.0.2"} {
		r := rows[i]
		if got := r["action"] + " " + r["object"] + " " + r["dst"] + " " + r["gateway"]; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if i == 5 {
			if r["author_certainty"] != "unknown" || r["port_id"] != "0" || r["process_path"] != "" || r["pid"] != "" {
				t.Errorf("by ioctl: %v", r)
			}
		} else if r["author_certainty"] != "process" || r["pid"] != fmt.Sprint(cmd.Process.Pid) ||
			r["process_name"] != "ip" || !strings.HasSuffix(r["process_path"], "bin/ip") || r["cgroup"] == "" {
			t.Errorf("by ip: %v", r)
		}
	}
	// The first one has lived until it was replaced.
	if r := s.rows(t, short, 1)[0]; r["gateway"] != "10.0.0.2" || r["ended_action"] != "replaced" ||
		r["ended_pid"] != r["pid"] || r["ended_seq"] != rows[1]["seq"] {
		t.Errorf("short-lived: %v", r)
	}
	cmd.Change(t, "route del 198.51.100.0/24\nlink set v0 down")
	ends := map[string]string{}
	for _, r := range s.rows(t, short, 4) { // the kernel tells of IPv6 routes that go with v0
		ends[r["dst"]+" "+r["gateway"]] = r["ended_action"]
	}
	if want := map[string]string{"198.51.100.0/24 10.0.0.2": "replaced", "198.51.100.0/24 10.0.0.3": "deleted",
		"2001:db8:7::/48 fd00::2": "deleted", "203.0.113.0/24 10.0.0.2": "gone"}; !maps.Equal(ends, want) {
		t.Errorf("they ended as %v, want %v", ends, want)
	}
	cgroup := rows[0]["cgroup"]
	list := fmt.Sprintf("name: process_writer\nwhat: Ours.\ncolumns: [path, cgroup, why]\nrows:\n"+
		"  - ['%%bin/ip', '%s', test]\n", strings.ReplaceAll(cgroup, "'", "''"))
	files, err := WithLists(os.DirFS("."), fstest.MapFS{"process_writer.yml": &fstest.MapFile{Data: []byte(list)}})
	if err != nil {
		t.Fatal(err)
	}
	packs, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packs {
		for _, c := range p.Checks {
			if c.Name == stranger.Name || c.Name == short.Name {
				if r := s.rows(t, c, 1)[0]; r["dst"] != "203.0.113.0/24" {
					t.Errorf("%s, with ip in the list: %v", c.Name, r)
				}
			}
		}
	}
}

// TestChangesInOsquery runs the query of changes as osquery's schedule does, some time passing between two runs: the
// extension is told the time as a number, and sends what is not older; each change is logged once, as its row stays
// as it was, and none when it is too old to be shown.
func TestChangesInOsquery(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	o := startOsquery(t)
	c := checkNamed(t, "changes")
	start := time.Now().Unix()
	logged, before := map[string]int{}, map[string]bool{}
	run := func(after int64) (sent int) {
		t.Helper()
		o.time["unix_time"] = fmt.Sprint(start + after)
		result, err := o.manager.Run(o.ctx, oneLine(c.SQL()))
		if err != nil || len(result.Requests) != 2 { // which come to the rows, and where the newest begin
			t.Fatalf("%v: %d requests", err, len(result.Requests))
		}
		for _, q := range result.Requests {
			if want := fmt.Sprintf(`{"name":"time","list":[{"op":32,"expr":"%d"}]`, start+after-300); !strings.Contains(
				q.Context, want) {
				t.Fatalf("the extension is asked with %s, which has no %s", q.Context, want)
			}
		}
		rows := map[string]bool{}
		for _, r := range result.Rows {
			text := fmt.Sprint(r)
			if rows[text] = true; !before[text] {
				logged[r["action"]+" "+r["dst"]]++
			}
		}
		before = rows
		return result.Cost().Rows
	}
	run(0)
	nstest.IP(t, "route add 198.51.100.0/24 via 10.0.0.2")
	nstest.IP(t, "route del 198.51.100.0/24")
	ours := func() int { return logged["added 198.51.100.0/24"] + logged["deleted 198.51.100.0/24"] }
	for end := time.Now().Add(time.Minute); ours() < 2; run(60) {
		if time.Now().After(end) {
			t.Fatalf("logged are %v", logged)
		}
	}
	nstest.IP(t, "route add 203.0.113.0/24 via 10.0.0.2")
	for end := time.Now().Add(time.Minute); logged["added 203.0.113.0/24"] == 0; run(180) {
		if time.Now().After(end) {
			t.Fatalf("logged are %v", logged)
		}
	}
	if sent := run(240); sent < 2*3 {
		t.Errorf("%d rows in the window are sent", sent)
	}
	if sent := run(3600); sent != 0 {
		t.Errorf("an hour later %d rows are sent", sent)
	}
	if logged["added 198.51.100.0/24"] != 1 || logged["deleted 198.51.100.0/24"] != 1 ||
		logged["added 203.0.113.0/24"] != 1 {
		t.Errorf("logged are %v", logged)
	}
}

// TestFlood has somebody make more changes than osquery can hold, in order to be seen by no query: each of them still
// has an answer, with what is newest.
func TestFlood(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it makes 40,000 changes")
	}
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	o := startOsquery(t)
	if _, err := o.manager.Run(o.ctx, "SELECT seq FROM kernel_route_events"); err != nil {
		t.Fatal(err)
	}
	told := func(dst string) {
		nstest.IP(t, "route add "+dst+" via 10.0.0.2")
		for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			result, err := o.manager.Run(o.ctx, "SELECT seq FROM kernel_route_events WHERE dst = '"+dst+"'")
			if err != nil || time.Now().After(end) {
				t.Fatalf("%s is not told: %v", dst, err)
			}
			if len(result.Rows) > 0 {
				return
			}
		}
	}
	for n := range 8 { // part by part: what waits to be read has little room here
		var lines []string
		for i := range 2500 {
			dst := fmt.Sprintf("20.%d.%d.%d/32", n, i>>8, i&255)
			lines = append(lines, "route add "+dst+" via 10.0.0.2", "route del "+dst)
		}
		nstest.Batch(t, "-4", lines...)
		told(fmt.Sprintf("30.0.0.%d/32", n))
	}
	told("30.0.1.0/32") // and nothing is lost just now
	if _, err := o.manager.Run(o.ctx, "SELECT * FROM kernel_route_events"); err == nil {
		t.Error("osquery can hold them all: this proves nothing")
	}
	for name, most := range map[string]int{"changes": 12000, "route_changed_by_stranger": 10000,
		"route_short_lived": 10000} {
		result, err := o.manager.Run(o.ctx, oneLine(checkNamed(t, name).SQL()))
		if err != nil || len(result.Rows) < 1000 || len(result.Rows) > most {
			t.Errorf("%s has %d rows: %v", name, len(result.Rows), err)
		}
		last := slices.ContainsFunc(result.Rows, func(r map[string]string) bool { return r["dst"] == "30.0.1.0/32" })
		if last != (name != "route_short_lived") {
			t.Errorf("%s shows the last route: %v", name, last)
		}
	}
}

var _ tables.EventSource = (*liveSource)(nil)
