package events

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/author"
	"kernelroutes/rtnl/object"
)

// toldOf makes changes and returns the events up to one whose text begins with last.
func toldOf(t *testing.T, last string, lines ...string) (all []*Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	f := testFollower(t)
	f.Begun = func() error { nstest.Batch(t, "-N", lines...); return nil }
	f.run(ctx, func(e *Event, err error) bool {
		if err != nil {
			t.Error(err)
			return false
		}
		all = append(all, e)
		return !strings.HasPrefix(textOf(e), last)
	})
	return all
}

// TestRouteOfSeveralProtocols takes away a route whose nexthops were asked for with a protocol each.
// The kernel tells of each by its own; the events are about routes of which was told before.
func TestRouteOfSeveralProtocols(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "fd00::1/64")
	there := map[string]bool{}
	for _, e := range toldOf(t, "added route 254 99",
		"route add fd20::/64 via fd00::2 dev v0 src fd00::1 proto 3",
		"route append fd20::/64 via fd00::3 dev v0 proto 186",
		"link set v0 down",
		"route add blackhole 99.0.0.0/8",
	) {
		if e.Kind != object.Routes.Kind || !strings.Contains(textOf(e), "fd20::") {
			continue
		}
		id := identityOf(e.Object, e.Twin)
		if e.Action != Deleted {
			delete(there, identityOf(e.Old, e.OldTwin))
			there[id] = true
			continue
		}
		if !there[id] {
			t.Errorf("%s: nothing told that it was there", textOf(e))
		}
		delete(there, id)
	}
	if len(there) > 0 {
		t.Errorf("nothing told that they are gone: %v", there)
	}
}

// TestAuthorOfWhatIsLeft has the kernel take the nexthops, one after the other, of a route that a
// program could have asked for with SIOCADDRT, by its protocol.
func TestAuthorOfWhatIsLeft(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "fd00::1/64")
	found := false
	for _, e := range toldOf(t, "added route 254 99",
		"route add fd20::/64 proto 3 nexthop via fd00::2 dev v0 nexthop via fd00::3 dev v0",
		"link set v0 down",
		"route add blackhole 99.0.0.0/8",
	) {
		if e.Action != Replaced || e.Kind != object.Routes.Kind {
			continue
		}
		found = true
		if e.Port != 0 || e.Certainty != author.Kernel {
			t.Errorf("%s: by port %d, %s", textOf(e), e.Port, e.Certainty)
		}
	}
	if !found {
		t.Error("nothing was replaced")
	}
}

// TestLinkOfWhichMoreIsTold compares all while a message waits that a link went down. The
// comparison may have read the routes before that and the links after it, so that the message must
// still be taken for a change.
func TestLinkOfWhichMoreIsTold(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24")
	ifi, err := net.InterfaceByName("v0")
	if err != nil {
		t.Fatal(err)
	}
	f := testFollower(t)
	f.begins(t, func(*Event, error) bool { return true })
	nstest.IP(t, "link set v0 down")
	if err := f.compare(item{}); err != nil {
		t.Fatal(err)
	}
	if f.state.links[uint32(ifi.Index)].flags&object.IFF_UP == 0 {
		t.Error("the link is down before the message is taken")
	}
	for _, i := range f.ahead {
		if err := f.take(i); err != nil {
			t.Fatal(err)
		}
	}
	if f.state.links[uint32(ifi.Index)].flags&object.IFF_UP != 0 {
		t.Error("the link is up after the message")
	}
}

// TestRestOfRouteWithLink takes the nexthop away whose protocol a route was told of with, and then
// the link of another one: the route stays, though it is held with that protocol yet.
func TestRestOfRouteWithLink(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "fd00::1/64")
	nstest.Veth(t, "v1", "fd01::1/64")
	for _, e := range toldOf(t, "added route 254 99",
		"route add fd20::/64 via fd00::2 dev v0 proto 186",
		"route append fd20::/64 via fd01::2 dev v1 proto 3",
		"route append fd20::/64 via fd00::3 dev v0 proto 3",
		"route del fd20::/64 via fd00::2 dev v0",
		"link set v1 down",
		"route add blackhole 99.0.0.0/8",
	) {
		if e.Action == Gone && e.Told && e.Kind == object.Routes.Kind && strings.Contains(textOf(e), "fd20::") {
			t.Errorf("%s, though it is there", textOf(e))
		}
	}
}

// TestWentUnseen has a link go down and up, where what went with it could not be read: that an IPv4
// route is added that was there says that it had gone.
func TestWentUnseen(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24")
	var all []string
	f := testFollower(t)
	f.begins(t, func(e *Event, _ error) bool {
		if e.Kind == object.Routes.Kind && strings.Contains(textOf(e), " 254 10.0.0.0/24") {
			all = append(all, e.Action.String())
		}
		return true
	})
	nstest.IP(t, "link set v0 down")
	nstest.IP(t, "link set v0 up")
	if err := f.fence(); err != nil {
		t.Fatal(err)
	}
	for _, i := range f.ahead {
		if k := kindOf(i.msg); k != object.Links.Kind {
			if err := f.take(i); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := strings.Join(all, " "); got != "gone added" {
		t.Errorf("%q, want %q", got, "gone added")
	}
}
