package events

import (
	"time"
	"unsafe"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/author"
	"kernelroutes/rtnl/object"
)

// An Action is what happened to an object.
type Action uint8

const (
	// Present: it was there when it began. Only those who ask for it are told.
	Present Action = iota
	// Added: it is there now.
	Added
	// Replaced: it is there in the place of another, Event.Old, or is another one now. An IPv6
	// route that has lost some of its nexthops is so, too.
	Replaced
	// Appended: it came behind another one to the same destination (NLM_F_APPEND); an IPv6 route
	// may have become a part of that one, which is Event.Old, then.
	Appended
	// Deleted: it was taken away, and the kernel has told of it.
	Deleted
	// Gone: it went away with something else, of which alone the kernel has told, or it was
	// found to be there no more.
	Gone
	// Lost: the kernel, or this program, could not keep up, and changes before this are not told.
	// What is different since comes next, as Added, Replaced and Gone.
	Lost
)

var actions = [...]string{"present", "added", "replaced", "appended", "deleted", "gone", "lost"}

// String returns the action in lower case.
func (a Action) String() string { return actions[a] }

// ParseAction is the inverse of String.
func ParseAction(s string) (Action, bool) {
	for a, name := range actions {
		if name == s {
			return Action(a), true
		}
	}
	return 0, false
}

// An Event is one change. It does not change.
type Event struct {
	// Seq counts events from 1; 0 for Present.
	Seq uint64
	// Time is when the message came, or that by which it was found out; Unix nanoseconds.
	Time int64
	// Uptime is the same, in nanoseconds since the host was started (CLOCK_BOOTTIME).
	Uptime int64
	Action Action
	// Lost says that messages before this were lost.
	Lost bool
	// Kind is what changed: a route, rule or nexthop object, or a link or address that took
	// routes along. nil for Lost.
	Kind *object.Kind
	// Object is the object's message: as it is now, or as it was before it went. Empty for Lost.
	Object object.Run
	// Old is the message of what was replaced; empty if there is none, or it is not known.
	Old object.Run
	// Twin and OldTwin are how many objects like Object and Old came before it, in the kernel's
	// order: see object.Route.Twin and object.RuleTwins.
	Twin, OldTwin int
	// Referred are the objects that Object and Old refer to, as they were then: links and
	// nexthop objects.
	Referred []object.Run

	// Told says that there was a message about it, or about what took it along, so that Port is
	// known: the netlink port of whoever asked for it (nlmsg_pid); 0 for the kernel, and for a
	// process that asked by other means, as an ioctl.
	Told      bool
	Port      uint32
	Author    *author.Author // nil: it is not known
	Certainty author.Certainty
}

// At returns when it was.
func (e *Event) At() time.Time { return time.Unix(0, e.Time) }

// Snapshot returns the object with what it refers to, as it was then; without objects for Lost.
func (e *Event) Snapshot() *rtnl.Snapshot { return e.snapshot(e.Object) }

// OldSnapshot returns the same of what was replaced, without objects if that is not known.
func (e *Event) OldSnapshot() *rtnl.Snapshot { return e.snapshot(e.Old) }

func (e *Event) snapshot(of object.Run) *rtnl.Snapshot {
	runs := map[*object.Kind][]object.Run{}
	for _, r := range append([]object.Run{of}, e.Referred...) {
		if r.Len() > 0 && r.Kind() != object.Addresses {
			runs[r.Kind()] = append(runs[r.Kind()], r)
		}
	}
	return rtnl.NewSnapshot(true, runs)
}

// eventSize is what an event takes beside its messages, by and large: those that it refers to are
// shared by many.
const eventSize = 200

// Size returns how many bytes of memory the event takes, by and large, without its author and the
// list of what it refers to, which it may share with others.
func (e *Event) Size() int { return eventSize + e.Object.Len() + e.Old.Len() }

// shareable returns how many bytes an event takes beside Size, but for what it shares with the one
// before; nil: none is before it.
func (e *Event) shareable(before *Event) (n int) {
	if before == nil {
		before = new(Event)
	}
	if a := e.Author; a != nil && a != before.Author {
		n += int(unsafe.Sizeof(*a)) + len(a.Name) + len(a.Path) + len(a.Cgroup)
	}
	if len(e.Referred) > 0 && unsafe.SliceData(e.Referred) != unsafe.SliceData(before.Referred) {
		n += len(e.Referred) * int(unsafe.Sizeof(e.Referred[0]))
	}
	return n
}
