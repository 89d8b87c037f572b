package rtnl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

// textOf shows a change of a route, a link or a nexthop object.
func textOf(c Change) string {
	text := c.Message.Kind().Name
	if c.Gone {
		text = "no " + text
	}
	switch c.Message.Kind() {
	case object.Routes.Kind:
		var r object.Route
		object.Routes.Decode(&r, c.Message)
		text += fmt.Sprintf(" %v", r.Dst)
		for _, hop := range r.Nexthops(nil, nil) {
			if hop.Gateway.IsValid() {
				text += fmt.Sprintf(" %v", hop.Gateway)
			}
		}
	case object.Links.Kind:
		var l object.Link
		object.Links.Decode(&l, c.Message)
		text += " " + l.Name
	case object.NexthopObjects.Kind:
		text += fmt.Sprintf(" %d", object.NexthopObjects.Number(c.Message))
	}
	return text
}

// watched makes changes and returns those that are told of, up to one that is shown as
// last.
func watched(t *testing.T, k *Kernel, ns Namespace, change func(), last string, kinds ...*object.Kind) (all []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	changes := k.Watch(ctx, ns, kinds...)
	change()
	for c, err := range changes {
		if err != nil {
			t.Fatal(err, all)
		}
		all = append(all, textOf(c))
		if all[len(all)-1] == last {
			break
		}
	}
	return all
}

// TestWatchRoutes makes changes of routes, and of other things, of which nothing is told.
func TestWatchRoutes(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	got := watched(t, &Kernel{}, "", func() {
		nstest.Batch(t, "-N",
			"route add 20.0.0.0/8 via 10.0.0.2",
			"link set v0 txqueuelen 100",
			"route replace 20.0.0.0/8 via 10.0.0.3",
			"nexthop add id 5 via 10.0.0.2 dev v0",
			"route del 20.0.0.0/8",
			"route add fd20::/64 nexthop via fd00::2 nexthop via fd00::3 nexthop via fd00::4",
			"route del fd20::/64 via fd00::3",
			"route del fd20::/64",
			"route add 21.0.0.0/8 nhid 5",
			"nexthop del id 5", // and the route goes
			"route add blackhole 99.0.0.0/8",
		)
	}, "route 99.0.0.0/8", object.Routes.Kind)
	want := []string{
		"route 20.0.0.0/8 10.0.0.2",
		"route 20.0.0.0/8 10.0.0.3",
		"no route 20.0.0.0/8 10.0.0.3",
		"route fd20::/64 fd00::2 fd00::3 fd00::4",
		"no route fd20::/64 fd00::3",
		"no route fd20::/64 fd00::2 fd00::4",
		"route 21.0.0.0/8 10.0.0.2",
		"route 99.0.0.0/8",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestWatchLinks has a bridge, which tells of its ports in messages that are like those
// about interfaces.
func TestWatchLinks(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0")
	nstest.IP(t, "link add b0 type bridge")
	got := watched(t, &Kernel{}, "", func() {
		nstest.Batch(t, "-N",
			"link set v0 master b0",
			"route add blackhole 99.0.0.0/8",
			"link set v0 nomaster",
			"link add last type bridge",
			"link del b0",
		)
	}, "no link b0", object.Links.Kind)
	if !slices.Contains(got, "link v0") || !slices.Contains(got, "link last") || slices.Contains(got, "no link v0") ||
		slices.ContainsFunc(got, func(text string) bool { return strings.Contains(text, "route") }) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// TestWatchPort: a change says who made it.
func TestWatchPort(t *testing.T) {
	for _, port := range []uint32{0, 4711} {
		msg := route4(0, 1, 254)
		copy(msg[12:], nltest.NE(port))
		k := &fakeKernel{fake: fake{T: t, Answer: ordinary, Hear: func(int) []event { return []event{datagram(msg)} }}}
		for c, err := range k.kernel().Watch(t.Context(), "", object.Routes.Kind) {
			if err != nil || c.Port != port || c.Gone {
				t.Errorf("%v, %+v", err, c)
			}
			break
		}
		if k.Open != 0 {
			t.Errorf("%d sockets are still open", k.Open)
		}
	}
}

// TestWatchFails has what a watch cannot go on after, and what it can.
func TestWatchFails(t *testing.T) {
	first := route4(0, 1, 254)
	cut := event{Datagram: slices.Concat(first, route4(0, 3, 254)[:40])}
	const interrupted = "watch for changes: dump interrupted; routes change too fast: ask again, or ask for one table"
	const report = "; please report it with the output of the capture command"
	for _, tc := range []struct {
		name  string
		hear  []event // at first
		later []event // and then, before an error
		want  []string
	}{
		{"overflow", []event{datagram(first), failure(unix.ENOBUFS), datagram(first), failure(unix.ENOBUFS)},
			[]event{datagram(route4(0, 2, 254))}, // what was queued is not told of
			[]string{"route 10.1.0.0/16 10.0.0.2", interrupted, "route 10.2.0.0/16 10.0.0.2"}},
		{"a datagram that fills the buffer", []event{{Datagram: make([]byte, 4*conn.MaxDatagram)}},
			[]event{datagram(first)}, []string{interrupted, "route 10.1.0.0/16 10.0.0.2"}},
		{"a route that is none", []event{datagram(nltest.Padded(unix.RTM_NEWROUTE, 0, 0, []byte{2}))}, nil,
			[]string{"watch for changes: malformed route at byte 1: shorter than struct rtmsg" + report}},
		{"a message that is cut", []event{cut}, nil, []string{"route 10.1.0.0/16 10.0.0.2",
			fmt.Sprintf("watch for changes: malformed datagram at byte %d: nlmsg_len does not fit", len(first)) +
				report}},
		{"others", []event{datagram(link(0, 3, "v0"), nexthop(0, 5), route6(0, 1, 254))}, nil,
			[]string{"route fd01::/64 fd00::9"}},
	} {
		k := &fakeKernel{fake: fake{T: t, Answer: ordinary}}
		k.Hear = func(n int) []event {
			switch {
			case n == 1:
				return tc.hear
			case n == 2 && tc.later != nil:
				return nil // the queue is empty
			}
			return append(tc.later, failure(unix.EIO))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var got []string
		for c, err := range k.kernel().Watch(ctx, "", object.Routes.Kind) {
			if errors.Is(err, unix.EIO) {
				break
			}
			if err != nil {
				got = append(got, err.Error())
			} else {
				got = append(got, textOf(c))
			}
		}
		if !slices.Equal(got, tc.want) || k.Open != 0 {
			t.Errorf("%s: %d sockets are open, got\n%q\nwant\n%q", tc.name, k.Open, got, tc.want)
		}
	}
	k := &fakeKernel{fake: fake{T: t, DialErr: func(Namespace, uint32) error { return unix.EPERM }}}
	n := 0
	for _, err := range k.kernel().Watch(t.Context(), "", object.Routes.Kind) {
		if n++; !errors.Is(err, ErrPermission) {
			t.Error(err)
		}
	}
	if n != 1 {
		t.Errorf("%d errors", n)
	}
}

// TestWatchOverflow has the kernel lose messages, and tell of later changes.
func TestWatchOverflow(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	changes := new(Kernel).Watch(ctx, "", object.Routes.Kind)
	var lines []string
	for i := range 40_000 { // more than the queue holds: see conn.Dial
		lines = append(lines, fmt.Sprintf("route add 20.%d.%d.0/24 via 10.0.0.2", i>>8, i&255))
	}
	nstest.Batch(t, "-4", lines...)
	lost, later := 0, 0
	for c, err := range changes {
		switch {
		case errors.Is(err, ErrInterrupted):
			lost++
			nstest.Batch(t, "-4", "route add blackhole 98.0.0.0/8", "route add blackhole 99.0.0.0/8")
			continue
		case err != nil:
			t.Fatal(err)
		case lost == 1:
			later++
		}
		if textOf(c) == "route 99.0.0.0/8" {
			break
		}
	}
	if lost != 1 || later != 2 {
		t.Errorf("%d times changes were lost, and of two that came later %d were told", lost, later)
	}
}

// TestWatchEnds: a context that ends ends the watch, and whose wish that was is told.
func TestWatchEnds(t *testing.T) {
	nstest.New(t)
	files := nstest.OpenFiles(t)
	canceledBefore, cancel := context.WithCancel(t.Context())
	cancel()
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	for _, tc := range []struct {
		ctx  context.Context
		want error
	}{{canceledBefore, ErrCanceled}, {soon, ErrDeadline}, {soon, ErrDeadline}} {
		n := 0
		for c, err := range new(Kernel).Watch(tc.ctx, "", object.Routes.Kind) {
			if n++; !errors.Is(err, tc.want) || n > 1 {
				t.Errorf("%v, %+v, want %v", err, c, tc.want)
			}
		}
		if n != 1 {
			t.Errorf("%d errors, want %v", n, tc.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes := new(Kernel).Watch(ctx, "", object.Routes.Kind)
	nstest.IP(t, "route add blackhole 99.0.0.0/8")
	n := 0
	for c, err := range changes {
		if n++; n == 1 && (err != nil || textOf(c) != "route 99.0.0.0/8") || n == 2 && !canceled(err) || n > 2 {
			t.Errorf("%v, %+v", err, c)
		}
		cancel()
	}
	if n != 2 {
		t.Errorf("%d changes, want one and an error", n)
	}
	if now := nstest.OpenFiles(t); now > files {
		t.Errorf("%d files are open, %d before", now, files)
	}
}
