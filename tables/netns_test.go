package tables_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// mountNetns makes a folder /run/netns of the test's own, and returns a function that gives the
// namespace of the calling thread a name in it.
func mountNetns(t *testing.T) (name func(string)) {
	t.Helper()
	for _, mount := range []func() error{
		func() error { return unix.Mount("tmpfs", "/run", "tmpfs", 0, "") },
		func() error { return os.Mkdir("/run/netns", 0o755) },
	} {
		if err := mount(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { unix.Unmount("/run", unix.MNT_DETACH) })
	return func(name string) {
		path := "/run/netns/" + name
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// namespaces makes namespaces, each with the same interface and routes that overlap. It leaves
// the calling goroutine in one of its own, and returns their inodes.
func namespaces(t *testing.T, names ...string) (ids map[string]uint64) {
	t.Helper()
	name := mountNetns(t)
	ids = map[string]uint64{}
	for i, n := range append(names, "") {
		t.Run("namespace "+n, func(t *testing.T) {
			nstest.New(t)
			fillNamespace(t, i)
			if n != "" {
				name(n)
			}
			ids[n] = ownInode(t)
		})
	}
	nstest.New(t)
	fillNamespace(t, 99)
	ids[""] = ownInode(t)
	return ids
}

func fillNamespace(t *testing.T, i int) {
	nstest.Veth(t, "v0", "10.0.0.1/24")
	nstest.Batch(t, "-4", fmt.Sprintf("route add 20.0.0.0/8 via 10.0.0.%d", 2+i), "route add 21.0.0.0/8 via 10.0.0.2",
		fmt.Sprintf("route add 22.%d.0.0/16 nexthop via 10.0.0.3 nexthop via 10.0.0.4", i))
}

func ownInode(t testing.TB) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// gateways returns some columns of rows, one line each, sorted.
func columns(rows []row, names ...string) (all []string) {
	for _, r := range rows {
		var values []string
		for _, n := range names {
			values = append(values, r[n])
		}
		all = append(all, strings.Join(values, " "))
	}
	slices.Sort(all)
	return all
}

// a20 chooses the route that each namespace has, with a gateway of its own.
func a20(table *tables.Table) tables.Constraint {
	return where(table, "dst", tables.Equals, "20.0.0.0/8")
}

// TestNetns shows namespaces by their name, path and inode, and as those of processes.
func TestNetns(t *testing.T) {
	ids := namespaces(t, "red", "blue")
	process := exec.Command("sleep", "60")
	if err := rtnl.Namespace("/run/netns/blue").Do(process.Start); err != nil {
		t.Fatal(err)
	}
	defer func() { process.Process.Kill(); process.Wait() }()
	pid := fmt.Sprint(process.Process.Pid)
	if err := os.Symlink("/run/netns/red", "/run/netns/alias"); err != nil {
		t.Fatal(err)
	}
	type is = struct{ column, value string }
	const shown = "gateway netns pid_with_namespace netns_id"
	line := func(gateway, netns, pid, of string) string {
		return fmt.Sprintf("%s %s %s %d", gateway, netns, pid, ids[of])
	}
	const own, red, blue = "10.0.0.101", "10.0.0.2", "10.0.0.3"
	for _, tc := range []struct {
		is   []is
		want []string
	}{
		{nil, []string{line(own, "", "0", "")}},
		{[]is{{"netns", ""}}, []string{line(own, "", "0", "")}},
		{[]is{{"pid_with_namespace", "0"}}, []string{line(own, "", "0", "")}},
		{[]is{{"netns", "red"}}, []string{line(red, "red", "0", "red")}},
		{[]is{{"netns", "alias"}}, []string{line(red, "alias", "0", "red")}},
		{[]is{{"netns", "/run/netns/blue"}}, []string{line(blue, "/run/netns/blue", "0", "blue")}},
		{[]is{{"netns", "red"}, {"netns", "blue"}, {"netns", "red"}},
			[]string{line(red, "red", "0", "red"), line(blue, "blue", "0", "blue")}},
		{[]is{{"netns", fmt.Sprintf("net:[%d]", ids["red"])}},
			[]string{line(red, fmt.Sprintf("net:[%d]", ids["red"]), "0", "red")}},
		{[]is{{"netns", "/proc/thread-self/ns/net"}}, []string{line(own, "/proc/thread-self/ns/net", "0", "")}},
		{[]is{{"pid_with_namespace", pid}}, []string{line(blue, "", pid, "blue")}},
		{[]is{{"pid_with_namespace", " " + pid + ".0"}}, []string{line(blue, "", pid, "blue")}},
		{[]is{{"pid_with_namespace", pid}, {"pid_with_namespace", "0"}},
			[]string{line(own, "", "0", ""), line(blue, "", pid, "blue")}},
		{[]is{{"pid_with_namespace", pid}, {"netns", "blue"}}, []string{line(blue, "blue", pid, "blue")}},
		{[]is{{"pid_with_namespace", pid}, {"netns", "red"}}, nil},
		{[]is{{"pid_with_namespace", "-1"}}, nil},
		{[]is{{"pid_with_namespace", "1.5"}}, nil},
		{[]is{{"pid_with_namespace", "junk"}}, nil},
		{[]is{{"netns_id", fmt.Sprint(ids["red"])}}, []string{line(red, "", "0", "red")}},
		{[]is{{"netns_id", fmt.Sprint(ids[""])}}, []string{line(own, "", "0", "")}},
		{[]is{{"netns_id", fmt.Sprint(ids["red"])}, {"netns", "blue"}}, nil},
		{[]is{{"netns_id", "0"}, {"netns_id", fmt.Sprint(ids[""])}, {"netns_id", "-1"},
			{"netns_id", fmt.Sprint(ids["red"])}},
			[]string{line(own, "", "0", ""), line(red, "", "0", "red")}},
		{[]is{{"netns_id", "0"}}, nil},
		{[]is{{"netns_id", "junk"}}, nil},
	} {
		var constraints []tables.Constraint
		for _, c := range tc.is {
			constraints = append(constraints, where(tables.Routes, c.column, tables.Equals, c.value))
		}
		for _, src := range []tables.Source{&rtnl.Kernel{}, &rtnl.Cache{}} {
			rows, err := scanErr(tables.Routes, src, append(constraints, a20(tables.Routes))...)
			slices.Sort(tc.want)
			if got := columns(rows, strings.Fields(shown)...); err != nil || !slices.Equal(got, tc.want) {
				t.Errorf("%T, %v: got %q, want %q, %v", src, tc.is, got, tc.want, err)
			}
		}
	}
}

// TestNetnsRefused: what is no namespace is an error that says so, and no row of any other.
// Nothing is opened that could block.
func TestNetnsRefused(t *testing.T) {
	namespaces(t, "red")
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := errors.Join(syscall.Mkfifo(fifo, 0o600), syscall.Mkfifo("/run/netns/fifo", 0o600)); err != nil {
		t.Fatal(err)
	}
	outside := fmt.Sprint(os.Getppid()) // which is in another user namespace
	for _, tc := range []struct{ column, value, want string }{
		{"netns", "green", "enter network namespace /run/netns/green: no network namespace: no such file"},
		{"netns", "Red", "/run/netns/Red: no network namespace"},
		{"netns", fifo, fifo + ": no network namespace"},
		{"netns", "fifo", "/run/netns/fifo: no network namespace"},
		{"netns", ".", "no network namespace"},
		{"netns", "..", "no network namespace"},
		{"netns", "../netns/red", "a path begins with /"},
		{"netns", "/dev/null", "no network namespace"},
		{"netns", "/proc/self/ns/mnt", "no network namespace"},
		{"netns", "a\x00b", "invalid argument"},
		{"pid_with_namespace", "4194304", "/proc/4194304/ns/net: no network namespace"},
		{"pid_with_namespace", outside, "not permitted"},
		{"netns_id", "1", "net:[1]"},
		{"netns", "*", "the network namespaces of "}, // of processes outside, which may not be seen
	} {
		rows, err := scanErr(tables.Routes, &rtnl.Kernel{}, where(tables.Routes, tc.column, tables.Equals, tc.value))
		if err == nil || !strings.Contains(err.Error(), tc.want) || rows != nil {
			t.Errorf("%s=%q: %d rows, %v", tc.column, tc.value, len(rows), err)
		}
		// Not even beside one that is.
		_, err = scanErr(tables.Routes, &rtnl.Kernel{}, where(tables.Routes, "netns", tables.Equals, "red"),
			where(tables.Routes, tc.column, tables.Equals, tc.value))
		if tc.column != "netns_id" && err == nil {
			t.Errorf("%s=%q beside another one: no error", tc.column, tc.value)
		}
	}
}

// A seenKernel is the kernel where all processes can be seen.
type seenKernel struct {
	rtnl.Kernel
	found  []rtnl.FoundNamespace
	before func(rtnl.Request) error // is called before each reading; may be nil
}

func (k *seenKernel) Namespaces() ([]rtnl.FoundNamespace, int, error) { return k.found, 0, nil }

func (k *seenKernel) Read(ctx context.Context, r rtnl.Request) (*rtnl.Snapshot, error) {
	if k.before != nil {
		if err := k.before(r); err != nil {
			return nil, err
		}
	}
	return k.Kernel.Read(ctx, r)
}

// TestAllNamespaces reads each namespace that there is: one that vanishes is left out, one that
// has another path by now is not, and those that may not be entered are an error.
func TestAllNamespaces(t *testing.T) {
	ids := namespaces(t, "red", "blue", "gone")
	src := &seenKernel{found: []rtnl.FoundNamespace{{ID: ids[""]}}}
	for _, n := range []string{"red", "blue", "gone"} {
		src.found = append(src.found, rtnl.FoundNamespace{Namespace: rtnl.Namespace("/run/netns/" + n), ID: ids[n]})
	}
	all := func() ([]string, error) {
		rows, err := scanErr(tables.Nexthops, src, where(tables.Nexthops, "netns", tables.Equals, "*"),
			a20(tables.Nexthops))
		return columns(rows, "gateway", "netns", "netns_id"), err
	}
	want := func(names ...string) (lines []string) {
		gateways := map[string]string{"": "101", "red": "2", "blue": "3", "gone": "4"}
		for _, n := range names {
			lines = append(lines, fmt.Sprintf("10.0.0.%s * %d", gateways[n], ids[n]))
		}
		slices.Sort(lines)
		return lines
	}
	if got, err := all(); err != nil || !slices.Equal(got, want("", "red", "blue", "gone")) {
		t.Errorf("got %q, %v", got, err)
	}
	rows, err := tables.Routes.Scan(t.Context(), src, tables.Query{Used: make([]bool, len(tables.Routes.Columns)),
		Constraints: []tables.Constraint{where(tables.Routes, "netns", tables.Equals, "*")}})
	n := 0
	for err == nil && rows.Next() {
		n++
	}
	one := len(scan(t, tables.Routes, src))
	if err != nil || n != 4*one {
		t.Errorf("%d routes are counted, %d are in one namespace, %v", n, one, err)
	}
	// One is moved to another path, and one taken away, after they were found.
	var once sync.Once
	src.before = func(rtnl.Request) error {
		once.Do(func() {
			if err := errors.Join(os.WriteFile("/run/netns/moved", nil, 0o600),
				unix.Mount("/run/netns/blue", "/run/netns/moved", "", unix.MS_BIND, ""),
				unix.Unmount("/run/netns/blue", unix.MNT_DETACH), unix.Unmount("/run/netns/gone",
					unix.MNT_DETACH)); err != nil {
				t.Error(err)
			}
		})
		return nil
	}
	got, err := all()
	// Where the tests' parents may not be seen, it is not known that no path leads to it.
	if err != nil && strings.Contains(err.Error(), "1 of 4 network namespaces may not be entered") {
		src.found = src.found[:3]
		got, err = all()
	}
	if err != nil || !slices.Equal(got, want("", "red", "blue")) {
		t.Errorf("got %q, %v", got, err)
	}
	src.before = func(r rtnl.Request) error {
		if r.Namespace == "" {
			return nil
		}
		return &rtnl.ReadError{Op: "enter it", Kind: rtnl.ErrPermission}
	}
	if got, err := all(); err == nil || got != nil || !strings.Contains(err.Error(),
		fmt.Sprintf("netns='*': %d of %d network namespaces may not be entered", len(src.found)-1, len(src.found))) ||
		!errors.Is(err, rtnl.ErrPermission) {
		t.Errorf("got %q, %v", got, err)
	}
	src.before = func(r rtnl.Request) error {
		if r.Namespace == "" {
			return nil
		}
		return errors.New("it broke")
	}
	if _, err := all(); err == nil || !strings.HasPrefix(err.Error(), "network namespace /run/netns/") {
		t.Error(err)
	}
}

// TestNetnsJoin looks routes up by their identity, of several namespaces with the same ones.
func TestNetnsJoin(t *testing.T) {
	ids := namespaces(t, "red", "blue")
	for _, src := range []tables.Source{&rtnl.Kernel{}, &rtnl.Cache{}} {
		seen := map[string]bool{}
		for _, name := range []string{"", "red", "blue"} {
			for _, r := range scan(t, tables.Routes, src, where(tables.Routes, "netns", tables.Equals, name),
				where(tables.Routes, "table_name", tables.Equals, "main"), where(tables.Routes, "family", tables.Equals,
					"ipv4")) {
				if id := r["route_id"]; seen[id] || strings.Contains(id, "@") != (name != "") {
					t.Errorf("%s has %s, as another one", name, id)
				}
				seen[r["route_id"]] = true
				hops := scan(t, tables.Nexthops, src, where(tables.Nexthops, "route_id", tables.Equals, r["route_id"]))
				if fmt.Sprint(len(hops)) != r["nexthop_count"] || hops[0]["netns_id"] != fmt.Sprint(ids[name]) ||
					hops[0]["dst"] != r["dst"] || len(hops) == 1 && hops[0]["gateway"] != r["gateway"] {
					t.Errorf("%T: %v has nexthops %v", src, r, hops)
				}
			}
		}
		if len(seen) != 3*4 {
			t.Errorf("%d routes", len(seen))
		}
	}
	junk := fmt.Sprintf("ipv4:254:20.0.0.0/8:0123456789abcdef@%d", ids["red"])
	for _, id := range []string{junk, junk + "x", "@", "@1", junk[:len(junk)-1] + "@", "x@0"} {
		rows, err := scanErr(tables.Nexthops, &rtnl.Kernel{}, where(tables.Nexthops, "route_id", tables.Equals, id))
		if len(rows) > 0 || err != nil && id != junk[:len(junk)-1] {
			t.Errorf("%s: %v, %v", id, rows, err)
		}
	}
}

// TestNetnsThreads: no thread is left in a namespace that was read, by however many at once.
func TestNetnsThreads(t *testing.T) {
	ids := namespaces(t, "red", "blue")
	own := rtnl.Namespace("/proc/thread-self/ns/net")
	before, err := own.ID()
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var failed atomic.Int32
	for i := range 32 {
		running.Go(func() {
			for range nstest.Amount(50, 10) {
				name, gateway := []string{"red", "blue"}[i%2], []string{"10.0.0.2", "10.0.0.3"}[i%2]
				rows, err := scanErr(tables.Routes, &rtnl.Kernel{}, where(tables.Routes, "netns", tables.Equals, name),
					a20(tables.Routes))
				if err != nil || len(rows) != 1 || rows[0]["gateway"] != gateway {
					failed.Add(1)
					t.Log(rows, err)
				}
			}
		})
	}
	running.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d answers are wrong", failed.Load())
	}
	tasks, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil || len(tasks) == 0 {
		t.Fatal(tasks, err)
	}
	for _, task := range tasks {
		for _, name := range []string{"red", "blue"} {
			if of, err := os.Readlink(task); err == nil && of == fmt.Sprintf("net:[%d]", ids[name]) {
				t.Errorf("%s is in %s", task, name)
			}
		}
	}
	if now, err := own.ID(); err != nil || now != before {
		t.Errorf("this thread is in %d, %v", now, err)
	}
}

// TestManyNamespaces reads many namespaces at once, each of which has one route of its own.
func TestManyNamespaces(t *testing.T) {
	nstest.New(t)
	const many = 200
	src := &seenKernel{found: []rtnl.FoundNamespace{{ID: ownInode(t)}}}
	var made sync.WaitGroup
	done := make(chan bool)
	paths := make([]rtnl.FoundNamespace, many)
	for i := range many {
		made.Add(1)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends
			paths[i].Namespace = rtnl.Namespace(fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid()))
			err := syscall.Unshare(syscall.CLONE_NEWNET)
			if err == nil {
				err = exec.Command("ip", "route", "add", "blackhole", fmt.Sprintf("20.0.%d.0/24", i)).Run()
			}
			if err == nil {
				paths[i].ID, err = paths[i].Namespace.ID()
			}
			if err != nil {
				t.Error(err)
			}
			made.Done()
			<-done
		}()
	}
	made.Wait()
	defer close(done)
	src.found = append(src.found, paths...)
	before := nstest.OpenFiles(t)
	rows := scan(t, tables.Routes, src, where(tables.Routes, "netns", tables.Equals, "*"),
		where(tables.Routes, "type", tables.Equals, "blackhole"))
	got := columns(rows, "dst", "netns_id")
	var want []string
	for i, p := range paths {
		want = append(want, fmt.Sprintf("20.0.%d.0/24 %d", i, p.ID))
	}
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("got %d routes %q", len(got), got)
	}
	if after := nstest.OpenFiles(t); after > before {
		t.Errorf("%d files are open, %d before", after, before)
	}
}
