package events

import (
	"context"
	"fmt"
	"slices"
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

// following makes changes and returns the events: those up to the route to 99.0.0.0/8, which comes
// last, and more if so many are wanted.
func following(t *testing.T, wanted int, change func()) (all []*Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	over := false
	done := testFollower(t).inBackground(ctx, func(e *Event, err error) bool {
		if err != nil {
			if !over {
				t.Error(err)
			}
			return false
		}
		text := textOf(e)
		over = over || strings.HasPrefix(text, "added route 254 99.")
		if !strings.Contains(text, " 254 99.") && !background(e) {
			all = append(all, e)
		}
		return !over || len(all) < wanted
	})
	change()
	nstest.IP(t, "route add blackhole 99.0.0.0/8")
	<-done
	return all
}

// background reports whether an event is one of what the kernel does by itself for an address or
// an interface.
func background(e *Event) bool {
	var r object.Route
	return e.Kind == object.Routes.Kind && object.Decode(e.Object, object.Routes, &r) && r.Protocol == 2
}

func textsOf(events []*Event) (all []string) {
	for _, e := range events {
		all = append(all, textOf(e))
	}
	return all
}

// TestSilent makes the kernel take away routes and nexthop objects, mostly without a word.
func TestSilent(t *testing.T) {
	for _, test := range silent {
		t.Run(test.name, func(t *testing.T) {
			nstest.New(t)
			for _, s := range test.sysctls {
				key, value, _ := strings.Cut(s, "=")
				nstest.Sysctl(t, key, value)
			}
			nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
			nstest.Veth(t, "v1", "10.1.0.1/16", "fd01::1/64")
			if len(test.first) > 0 {
				nstest.Batch(t, "-N", test.first...)
			}
			got := following(t, len(test.want), func() { nstest.Batch(t, "-N", test.change...) })
			if !slices.Equal(textsOf(got), test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(textsOf(got), "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}
