package rtnl

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

// twoNamespaces fills one namespace and leaves the calling goroutine in another, in which
// everything is different. ip runs ip in the first.
func twoNamespaces(t *testing.T, fill func()) (ns Namespace, ip func(args string)) {
	nstest.New(t)
	fill()
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	ns = Namespace(fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()))
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	nstest.IP(t, "route add 30.0.0.0/8 via 10.0.0.2")
	return ns, func(args string) {
		t.Helper()
		if err := ns.Do(func() error { return exec.Command("ip", strings.Fields(args)...).Run() }); err != nil {
			t.Fatalf("ip %s: %v", args, err)
		}
	}
}

// someOfAll has routes of several families, links and nexthop objects.
func someOfAll(t *testing.T) {
	nstest.Veth(t, "w0", "10.9.0.1/16", "fd09::1/64")
	nstest.Batch(t, "-N", "nexthop add id 5 via 10.9.0.2 dev w0", "route add 20.0.0.0/8 nhid 5",
		"route add fd20::/64 nexthop via fd09::2 nexthop via fd09::3", "route add 21.0.0.0/8 via 10.9.0.3 table 1000")
}

// inThread returns which namespace the calling thread is in, and how many of the process
// are in another one.
func inThread(t *testing.T, ns Namespace) (own string, others int) {
	t.Helper()
	own, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.Readlink(string(ns))
	if err != nil {
		t.Fatal(err)
	}
	tasks, _ := filepath.Glob("/proc/self/task/*/ns/net")
	for _, task := range tasks {
		if name, err := os.Readlink(task); err == nil && name == other {
			others++
		}
	}
	return own, others
}

// nsDialer notes in which namespaces sockets were opened.
func nsDialer(seen *[]Namespace, dial conn.Dialer) conn.Dialer {
	return func(ctx context.Context, ns Namespace, groups uint32) (conn.Socket, bool, error) {
		*seen = append(*seen, ns)
		return dial(ctx, ns, groups)
	}
}

// TestNamespace reads another namespace as one that is in it reads it.
func TestNamespace(t *testing.T) {
	var want []string
	var wantLinks, wantObjects int
	ns, _ := twoNamespaces(t, func() {
		someOfAll(t)
		s, err := new(Kernel).Read(t.Context(), everything(Filter{}))
		if err != nil {
			t.Fatal(err)
		}
		want, wantLinks, wantObjects = texts(s), s.Count(object.Links.Kind), s.Count(object.NexthopObjects.Kind)
	})
	own, _ := inThread(t, ns)
	for _, release := range []string{"", "6.1.0"} { // which counts IPv6 routes
		var seen []Namespace
		k := Kernel{dial: nsDialer(&seen, conn.Dial), stats: rt6StatsPath, release: release}
		req := everything(Filter{})
		req.Namespace = ns
		s, err := k.Read(t.Context(), req)
		if err != nil || !s.Consistent || s.Tries != 1 {
			t.Fatal(err, s)
		}
		got := texts(s)
		if release != "" { // with the same routes in another order
			slices.Sort(got)
			slices.Sort(want)
		}
		if !slices.Equal(got, want) || s.Count(object.Links.Kind) != wantLinks ||
			s.Count(object.NexthopObjects.Kind) != wantObjects || wantObjects != 1 {
			t.Errorf("release %q: got\n%s\nwant\n%s", release, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		all := 0
		for _, kind := range req.Kinds {
			all += s.Count(kind)
		}
		if n, consistent, err := k.Count(t.Context(), req); err != nil || !consistent || n != all ||
			s.Count(object.Routes.Kind) != len(want) {
			t.Errorf("%v, %d objects, consistent %v", err, n, consistent)
		}
		if slices.Contains(seen, "") || len(seen) < 4 {
			t.Errorf("sockets were opened in %q", seen)
		}
	}
	if now, others := inThread(t, ns); now != own || others != 0 {
		t.Errorf("the thread is in %s, not %s; %d threads are in %s", now, own, others, ns)
	}
	// This one was never meant.
	s, err := new(Kernel).Read(t.Context(),
		RouteRequest(Filter{Dsts: []netip.Prefix{netip.MustParsePrefix("30.0.0.0/8")}}))
	if err != nil || size(s) != 1 {
		t.Error(err, s)
	}
}

// TestNamespaceReplaced has a name that is given to another namespace while the one is read
// that had it before.
func TestNamespaceReplaced(t *testing.T) {
	ns, _ := twoNamespaces(t, func() { someOfAll(t) })
	path := filepath.Join(t.TempDir(), "blue")
	name := func(target string) {
		os.Remove(path)
		if err := os.Symlink(target, path); err != nil {
			t.Error(err)
		}
	}
	for _, release := range []string{"", "6.1.0"} {
		name(string(ns))
		k := Kernel{stats: rt6StatsPath, release: release, dial: func(ctx context.Context, ns Namespace,
			groups uint32) (conn.Socket, bool, error) {
			s, strict, err := conn.Dial(ctx, ns, groups)
			name("/proc/thread-self/ns/net") // once the listener is there
			return s, strict, err
		}}
		s, err := k.Read(t.Context(), Request{Namespace: Namespace(path), Kinds: object.Kinds})
		if err != nil || !s.Consistent || s.Count(object.NexthopObjects.Kind) != 1 {
			t.Fatal(err, s)
		}
		if all := texts(s); !slices.ContainsFunc(all,
			func(text string) bool { return strings.Contains(text, " w0 ") }) ||
			slices.ContainsFunc(all, func(text string) bool { return strings.Contains(text, " v0 ") }) {
			t.Errorf("release %q: another namespace was read:\n%s", release, strings.Join(all, "\n"))
		}
	}
}

// TestNamespaceChanges: what changes in the namespace that is read is heard, and what
// changes in one's own is not.
func TestNamespaceChanges(t *testing.T) {
	ns, ip := twoNamespaces(t, func() { someOfAll(t) })
	for _, tc := range []struct {
		name   string
		change func()
		tries  int
	}{
		{"there", func() { ip("link set w0 txqueuelen 77") }, 2},
		{"here", func() { nstest.IP(t, "link set v0 txqueuelen 77") }, 1},
	} {
		k := Kernel{dial: meddle(func(dump, datagram int) {
			if dump == 1 && datagram == 1 {
				tc.change()
			}
		})}
		req := RouteRequest(Filter{Families: []object.Family{object.IPv4}})
		req.Namespace = ns
		s, err := k.Read(t.Context(), req)
		if err != nil || !s.Consistent || s.Tries != tc.tries {
			t.Errorf("%s: %v, %+v", tc.name, err, s)
		}
	}
	got := watched(t, &Kernel{}, ns, func() {
		nstest.IP(t, "route add blackhole 98.0.0.0/8")
		ip("route add blackhole 99.0.0.0/8")
	}, "route 99.0.0.0/8", object.Routes.Kind)
	if !slices.Equal(got, []string{"route 99.0.0.0/8"}) {
		t.Errorf("got %q", got)
	}
}

// TestNamespaceParallel has so many IPv4 routes that IPv6 is read beside them, and
// counted, in the namespace that is read.
func TestNamespaceParallel(t *testing.T) {
	ns, _ := twoNamespaces(t, func() {
		someOfAll(t)
		var lines []string
		for i := range 12_000 {
			lines = append(lines, fmt.Sprintf("route add 40.%d.%d.0/24 via 10.9.0.2", i>>8, i&255))
		}
		nstest.Batch(t, "-4", lines...)
	})
	var r recorder
	k := Kernel{dial: r.dial, stats: rt6StatsPath}
	s, err := k.Read(t.Context(), Request{Namespace: ns, Kinds: []*object.Kind{object.Routes.Kind}})
	if err != nil || !s.Consistent || size(s) < 12_000 {
		t.Fatal(err, s)
	}
	if !slices.Contains(r.requests, object.DumpRequest{Family: object.IPv6}) {
		t.Fatalf("IPv6 was not read in parallel: %v", r.requests)
	}
	if slices.Contains(r.requests, object.DumpRequest{Table: local}) {
		t.Error("the routes that the kernel counts are those of another namespace")
	}
}

// TestNamespaceFails has one that is not there.
func TestNamespaceFails(t *testing.T) {
	nstest.New(t)
	own, _ := inThread(t, "/proc/self/ns/net")
	for _, ns := range []Namespace{"/proc/self/ns/none", "/dev/null", "/proc/self/ns/mnt"} {
		req := RouteRequest(Filter{})
		req.Namespace = ns
		s, err := new(Kernel).Read(t.Context(), req)
		if !errors.Is(err, ErrNoNamespace) || s != nil || !strings.Contains(err.Error(), string(ns)) {
			t.Errorf("%s: %v, %v", ns, err, s)
		}
		for _, err := range new(Kernel).Watch(t.Context(), ns, object.Routes.Kind) {
			if !errors.Is(err, ErrNoNamespace) || !strings.Contains(err.Error(), string(ns)) {
				t.Errorf("%s: %v", ns, err)
			}
		}
	}
	if now, _ := inThread(t, "/proc/self/ns/net"); now != own {
		t.Errorf("the thread is in %s, not %s", now, own)
	}
}

// TestCacheNamespaces: what is held and remembered of one namespace is no answer to a
// request for another one.
func TestCacheNamespaces(t *testing.T) {
	ns, ip := twoNamespaces(t, func() {
		nstest.Veth(t, "w0", "10.0.0.1/16") // whose routes have the same identities
		nstest.IP(t, "route add 30.0.0.0/8 via 10.0.0.2")
	})
	c := &Cache{}
	defer c.Close()
	devs := func(req Request) (all []string) {
		t.Helper()
		s, err := c.Read(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for r := range s.Routes(object.AllFields) {
			l, _ := s.Link(r.OIF.V)
			all = append(all, l.Name)
		}
		return all
	}
	dst := Filter{Dsts: []netip.Prefix{netip.MustParsePrefix("30.0.0.0/8")}}
	here, there := RouteRequest(dst), RouteRequest(dst)
	there.Namespace = ns
	for range 4 {
		if got := devs(here); !slices.Equal(got, []string{"v0"}) {
			t.Errorf("here: %q", got)
		}
		if got := devs(there); !slices.Equal(got, []string{"w0"}) {
			t.Errorf("there: %q", got)
		}
		if n, _, err := c.Count(t.Context(), there); err != nil || n != 1 {
			t.Errorf("there: %d, %v", n, err)
		}
	}
	ip("route del 30.0.0.0/8")
	if got := devs(there); got != nil {
		t.Errorf("there, deleted: %q", got)
	}
	// Identities that were given out here are not known there, and the other way round.
	given := RouteRequest(dst)
	given.GivesIDs = true
	s, err := c.Read(t.Context(), given)
	if err != nil {
		t.Fatal(err)
	}
	var id string
	for r := range s.Routes(object.FieldID) {
		id = string(r.AppendID(nil))
	}
	here.IDs, there.IDs = []string{id}, []string{id}
	nstest.IP(t, "route del 30.0.0.0/8")
	if got := devs(here); !slices.Equal(got, []string{"v0"}) {
		t.Errorf("here, as it was: %q", got)
	}
	if got := devs(there); got != nil {
		t.Errorf("there: %q", got)
	}
	if n, _, err := c.Count(t.Context(), here); err != nil || n != 1 {
		t.Errorf("here: %d, %v", n, err)
	}
}
