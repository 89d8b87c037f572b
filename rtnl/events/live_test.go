package events

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// textOf shows an event in a line.
func textOf(e *Event) string {
	b := []byte(e.Action.String())
	if e.Kind == nil {
		return string(b)
	}
	b = append(append(b, ' '), e.Kind.Name...)
	b = fmt.Appendf(b, " %s", describe(e.Object))
	if e.Twin != 0 || e.OldTwin != 0 {
		b = fmt.Appendf(b, " twin %d %d", e.Twin, e.OldTwin)
	}
	if e.Old.Len() > 0 {
		b = fmt.Appendf(b, " was %s", describe(e.Old))
	}
	return string(b)
}

func describe(run object.Run) string {
	var r object.Route
	var n object.NexthopObject
	var u object.Rule
	var l object.Link
	switch run.Kind() {
	case object.Routes.Kind:
		object.Decode(run, object.Routes, &r)
		text := fmt.Sprintf("%d %v", r.Table, r.Dst)
		if m, _ := r.Metric(); m != 0 {
			text += fmt.Sprintf(" metric %d", m)
		}
		if r.NexthopID.OK {
			text += fmt.Sprintf(" nhid %d", r.NexthopID.V)
		}
		for _, h := range r.Nexthops(nil, nil) {
			if h.Gateway.IsValid() {
				text += fmt.Sprintf(" %v", h.Gateway)
			} else {
				text += fmt.Sprintf(" if%d", h.OIF)
			}
		}
		return text
	case object.NexthopObjects.Kind:
		object.Decode(run, object.NexthopObjects, &n)
		return fmt.Sprintf("%d %v %v", n.ID, n.Gateway, n.Group)
	case object.Rules.Kind:
		object.Decode(run, object.Rules, &u)
		return fmt.Sprintf("%d %d", u.Priority, u.Table)
	case object.Links.Kind:
		object.Decode(run, object.Links, &l)
		return l.Name
	}
	return ""
}

// thisNamespace returns the namespace of a test's thread.
func thisNamespace() rtnl.Namespace {
	return rtnl.Namespace(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
}

// following makes changes and returns the events up to one that begins with last.
func following(t *testing.T, change func(), last string) (all []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begun, done := make(chan bool), make(chan bool)
	f := newFollower(&rtnl.Kernel{}, Following{Namespace: thisNamespace(), Logger: testLogger(t),
		Begun: func() error { close(begun); return nil }})
	go func() {
		defer close(done)
		f.run(ctx, func(e *Event, err error) bool {
			if err != nil {
				t.Error(err)
				return false
			}
			all = append(all, textOf(e))
			return !strings.HasPrefix(all[len(all)-1], last)
		})
	}()
	select {
	case <-begun:
		change()
	case <-done:
	}
	<-done
	return all
}

func TestEvents(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	all := following(t, func() {
		nstest.Batch(t, "-N",
			"route add 20.0.0.0/8 via 10.0.0.2",
			"route replace 20.0.0.0/8 via 10.0.0.3",
			"route append 20.0.0.0/8 via 10.0.0.4",
			"nexthop add id 5 via 10.0.0.2 dev v0",
			"route del 20.0.0.0/8",
			"route add fd20::/64 nexthop via fd00::2 nexthop via fd00::3 nexthop via fd00::4",
			"route append fd20::/64 via fd00::9 dev v0",
			"route del fd20::/64 via fd00::3",
			"route del fd20::/64",
			"route add 21.0.0.0/8 nhid 5",
			"rule add pref 100 table 7",
			"rule del pref 100 table 7",
			"nexthop del id 5",
			"address add 10.7.0.1/24 dev v0",
			"route add 30.0.0.0/8 via 10.0.0.2 src 10.7.0.1",
			"address del 10.7.0.1/24 dev v0",
			"route add 31.0.0.0/8 via 10.0.0.2",
			"link set v0 down",
		)
		time.Sleep(time.Second)
		nstest.IP(t, "route add blackhole 99.0.0.0/8")
	}, "added route 254 99")
	t.Log("\n" + strings.Join(all, "\n"))
}
