package survival

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/exttest"
	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

// empty puts an empty folder in the place of others, in which nothing can be made.
func empty(folders ...string) *hardship {
	h := &hardship{}
	for _, folder := range folders {
		h.Mounts = append(h.Mounts, mount{"none", folder, "tmpfs", "size=64k", unix.MS_RDONLY})
	}
	return h
}

// TestNoFolders: without /proc, /sys, /etc, /dev or all of them there is the answer, or a line: the settings of
// interfaces that /proc/sys alone has are absent, and a capture needs its folder.
func TestNoFolders(t *testing.T) {
	nstest.New(t)
	all := tasks(t)
	for _, folders := range [][]string{{"/proc"}, {"/sys"}, {"/etc"}, {"/dev"}, {"/etc", "/sys", "/dev", "/proc"}} {
		what := "without " + strings.Join(folders, ", ")
		for i := range all {
			answered, r := all[i].try(t, empty(folders...), what)
			if !answered {
				t.Errorf("%s: %s: %s", what, all[i].args, r.stderr)
			}
		}
		h := empty(folders...)
		if proc := slices.Contains(folders, "/proc"); proc {
			h.run(t, "query", "SELECT dst FROM kernel_routes WHERE netns='*'").failed(t, what, "/proc is mounted")
		}
	}
}

// TestExtensionNoFolders: so it is for the extension, which still hears of changes.
func TestExtensionNoFolders(t *testing.T) {
	nstest.New(t)
	tasks(t)
	x := exttest.StartAt(t, osquerytest.Start(t), empty("/etc", "/sys", "/dev", "/proc").before(t))
	if rows := x.Generate(t, "kernel_routes", []string{"table_id=77"}, "dst"); len(rows) != 1 {
		t.Errorf("%v", rows)
	}
	nstest.IP(t, "route add blackhole 198.51.100.7/32 table 78")
	for {
		rows := x.Generate(t, "kernel_route_events", nil, "dst", "action", "attribution")
		if slices.ContainsFunc(rows, func(r map[string]string) bool { return r["dst"] == "198.51.100.7/32" }) {
			break
		}
		if x.Context.Err() != nil {
			t.Fatalf("no event: %v", rows)
		}
	}
	noTrace(t, "without folders", x.Stderr.String())
	terminates(t, x)
}

// TestClosed: no socket or file takes the place of a standard stream that is closed, and what has nowhere to go
// is no success.
func TestClosed(t *testing.T) {
	nstest.New(t)
	all := tasks(t)
	for _, closed := range [][]int{{0}, {1}, {2}, {0, 1, 2}} {
		h := &hardship{Closed: closed}
		for i := range all {
			what := fmt.Sprintf("closed: %v: %s", closed, all[i].args)
			r := h.run(t, all[i].args...)
			out := slices.Contains(closed, 1) && all[i].file == ""
			switch {
			case out && (r.status != exitFailed || r.stdout != ""):
				t.Errorf("%s: exit status %d, printed %q", what, r.status, r.stdout)
			case out && !slices.Contains(closed, 2):
				r.failed(t, what, "standard output is closed")
			case !out && (r.status != exitOK || r.stderr != "" || all[i].file == "" && r.stdout != all[i].want):
				t.Errorf("%s: exit status %d, %q, printed %q", what, r.status, r.stderr, r.stdout)
			case all[i].file != "":
				if got := readCapture(t, all[i].file); got != all[i].want {
					t.Errorf("%s: another capture: %s", what, got)
				}
			}
		}
		// Nor can they be opened in their place.
		h.Mounts = empty("/dev").Mounts
		r := h.run(t, "query", "SELECT 1 AS one")
		if slices.Contains(closed, 2) && (r.status != exitFailed || r.stdout != "") {
			t.Errorf("closed: %v, no /dev/null: %+v", closed, r)
		} else if !slices.Contains(closed, 2) {
			r.failed(t, fmt.Sprintf("closed: %v, no /dev/null", closed), "/dev/null")
		}
	}
}

// TestFull: standard output and error that take nothing.
func TestFull(t *testing.T) {
	nstest.New(t)
	all := append(tasks(t), task{args: []string{"monitor", "--since-snapshot"}})
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for i := range all {
		if all[i].file != "" {
			continue
		}
		var errs bytes.Buffer
		cmd := (&hardship{}).command(t.Context(), t, all[i].args...)
		cmd.Stdout, cmd.Stderr = full, &errs
		cmd.Run()
		(result{"", errs.String(), cmd.ProcessState.ExitCode()}).failed(t, fmt.Sprint(all[i].args), "no space left")
		cmd = (&hardship{}).command(t.Context(), t, all[i].args...)
		cmd.Stdout, cmd.Stderr = full, full
		if cmd.Run(); cmd.ProcessState.ExitCode() != exitFailed {
			t.Errorf("%s, both full: exit status %d", all[i].args, cmd.ProcessState.ExitCode())
		}
	}
}

// TestFileSystems: a capture that cannot be written is none, and what was there stays.
func TestFileSystems(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "ve", "192.0.2.1/24")
	var many []string
	for i := range 1500 {
		many = append(many, fmt.Sprintf("route add blackhole 10.0.%d.%d/32", i>>8, i&255))
	}
	nstest.Batch(t, "-4", many...)
	folder := t.TempDir()
	file := filepath.Join(folder, "routes.pcap")
	for _, test := range []struct {
		name, data string
		flags      uintptr
		part       string
	}{
		{"read-only", "", unix.MS_RDONLY, "read-only file system"},
		{"full", "size=64k", 0, "no space left"},
		{"without inodes", "nr_inodes=1", 0, "no space left"},
	} {
		h := &hardship{Mounts: []mount{{"none", folder, "tmpfs", test.data, test.flags}}}
		h.run(t, "capture", file).failed(t, test.name, test.part, file)
		h.run(t, "capture", "--follow", "1", file).failed(t, test.name, test.part, file)
		// All that is beneath is still there, and nothing else.
		if files, err := os.ReadDir(folder); err != nil || len(files) > 0 {
			t.Errorf("%s: %v, %v", test.name, files, err)
		}
	}
	h := &hardship{Mounts: []mount{{"", "/", "", "", unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY}}}
	if r := h.run(t, "query", "--csv", "SELECT count(*) AS n FROM kernel_routes WHERE type='blackhole'"); r.stdout !=
		"n\n1500\n" || r.status != exitOK || r.stderr != "" {
		t.Errorf("on a read-only system: %+v", r)
	}
}

// TestSmallBuffers: where a socket's buffer may not be made larger than net.core.rmem_default, as where rmem_max is
// as small (which only the host's own namespace can set; smaller ones are tried by rtnl), nothing is lost.
func TestSmallBuffers(t *testing.T) {
	nstest.New(t)
	all := tasks(t)
	h := &hardship{Denials: []denial{ // so that it stays at rmem_default, which a namespace of its own has
		{Call: unix.SYS_SETSOCKOPT, Arg: 3, Value: unix.SO_RCVBUFFORCE, Errno: unix.EPERM},
		{Call: unix.SYS_SETSOCKOPT, Arg: 3, Value: unix.SO_RCVBUF, Errno: unix.EPERM},
	}}
	for i := range all {
		if answered, r := all[i].try(t, h, "small buffers"); !answered || r.stderr != "" {
			t.Errorf("%s: %s", all[i].args, r.stderr)
		}
	}
}
