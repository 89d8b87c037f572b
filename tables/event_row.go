package tables

import (
	"slices"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/events"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// An eventRow is a row of kernel_route_events. There may be many, so that it is small: what it
// shows is decoded when a column asks for it.
type eventRow struct {
	*events.Event
	at *eventReader
}

// An eventReader decodes the objects of one event at a time.
type eventReader struct {
	names *iproute2.Names
	needs needs

	event    *events.Event // whose objects these are
	now, old eventObject
	before   bool // old has been decoded

	snaps map[referredKey]*rtnl.Snapshot // of what events refer to
}

// A referredKey tells by their memory, which does not change, which messages an event refers to:
// most refer to the same few links.
type referredKey [4]*byte

// maxSnaps is how many snapshots are kept.
const maxSnaps = 1024

// referred returns a snapshot of what an event refers to.
func (r *eventReader) referred(e *events.Event) *rtnl.Snapshot {
	var key referredKey
	known := len(e.Referred) <= len(key)
	for i, run := range e.Referred {
		if known && run.Len() > 0 {
			key[i] = &run.Bytes()[0]
		}
	}
	if s := r.snaps[key]; known && s != nil {
		return s
	}
	runs := map[*object.Kind][]object.Run{}
	for _, run := range e.Referred {
		if run.Len() > 0 {
			runs[run.Kind()] = append(runs[run.Kind()], run)
		}
	}
	s := rtnl.NewSnapshot(true, runs)
	if known {
		if r.snaps == nil || len(r.snaps) == maxSnaps {
			r.snaps = map[referredKey]*rtnl.Snapshot{}
		}
		r.snaps[key] = s
	}
	return s
}

// An eventObject is an object of an event: as a row of the table which has such objects, where
// there is one.
type eventObject struct {
	kind    *object.Kind // nil: there is none
	scope   scope
	message object.Message

	route    routeRow
	rule     ruleRow
	nexthop  nexthopObjectRow
	link     object.Link // the one itself, or that of an address
	address  object.InterfaceAddress
	ofRoute  object.Route
	ofRule   object.Rule
	ofObject object.NexthopObject
}

// unread is for objects that need nothing of others.
var unread = rtnl.NewSnapshot(true, nil)

// decode takes an object of the reader's event.
func (o *eventObject) decode(of object.Run, twin int, r *eventReader) {
	o.kind, o.scope.snap = nil, unread
	kind := of.Kind()
	if !of.Next(&o.message) {
		return
	}
	o.kind = kind
	needsLinks, needsObjects := r.needs.referred.has(object.Links.Kind), false
	if kind == object.Routes.Kind {
		o.ofRoute.Decode(&o.message, r.needs.fields)
		o.ofRoute.SetTwin(twin)
		needsObjects = o.ofRoute.NexthopID.OK && r.needs.referred.has(object.NexthopObjects.Kind)
	}
	if needsLinks && kind != object.Rules.Kind && kind != object.Links.Kind || needsObjects {
		o.scope.snap = r.referred(r.event)
	}
	switch kind {
	case object.Routes.Kind:
		o.route = routeRow{Route: &o.ofRoute, scope: &o.scope, names: r.names, hops: o.route.hops[:0]}
		if r.needs.hops || needsObjects {
			o.route.hops = o.scope.snap.Nexthops(&o.ofRoute, o.route.hops)
		}
	case object.Rules.Kind:
		object.Rules.Decode(&o.ofRule, &o.message)
		o.rule = ruleRow{Rule: &o.ofRule, scope: &o.scope, names: r.names, twin: twin}
	case object.NexthopObjects.Kind:
		object.NexthopObjects.Decode(&o.ofObject, &o.message)
		o.nexthop = nexthopObjectRow{NexthopObject: &o.ofObject, snap: o.scope.snap, names: r.names}
	case object.Links.Kind:
		object.Links.Decode(&o.link, &o.message)
	case object.Addresses:
		o.address.Decode(&o.message)
		if o.link, _ = o.scope.snap.Link(o.address.Link); o.link.Index == 0 {
			o.link = object.Link{Index: o.address.Link}
		}
	}
}

// object returns what the event is about.
func (r *eventRow) object() *eventObject {
	at := r.at
	if at.event != r.Event {
		at.event, at.before = r.Event, false
		at.now.decode(r.Object, r.Twin, at)
	}
	return &at.now
}

// replaced returns what was there before.
func (r *eventRow) replaced() *eventObject {
	now, at := r.object(), r.at
	if !at.before {
		at.before = true
		at.old.decode(r.Old, r.OldTwin, at)
		if at.old.kind == object.Routes.Kind && now.kind == object.Routes.Kind {
			at.old.route.hop = wentOf(at.old.route.hops, now.route.hops)
		}
	}
	return &at.old
}

// wentOf returns the nexthop that is among several and no longer there, if it is the only one.
func wentOf(old, now []object.Nexthop) (went *object.Nexthop) {
	if len(old) < 2 {
		return nil // a route shows its only one anyway
	}
	for i := range old {
		is := func(h object.Nexthop) bool { return sameWay(&h, &old[i]) }
		if slices.ContainsFunc(now, is) {
			continue
		}
		if went != nil {
			return nil
		}
		went = &old[i]
	}
	return went
}

// sameWay reports whether two nexthops lead the same way.
func sameWay(a, b *object.Nexthop) bool {
	return a.OIF == b.OIF && a.Gateway == b.Gateway && slices.Equal(a.LinkGateway, b.LinkGateway) &&
		a.Encap.Type == b.Encap.Type && slices.Equal(a.Encap.Raw, b.Encap.Raw) && slices.Equal(a.NewDst, b.NewDst)
}

// What follows returns the object as a row of another table, nil if it is no such object.

func (o *eventObject) asRoute() *routeRow {
	if o.kind != object.Routes.Kind {
		return nil
	}
	return &o.route
}

func (o *eventObject) asRule() *ruleRow {
	if o.kind != object.Rules.Kind {
		return nil
	}
	return &o.rule
}

func (o *eventObject) asNexthop() *nexthopObjectRow {
	if o.kind != object.NexthopObjects.Kind {
		return nil
	}
	return &o.nexthop
}

// asLink returns the link that has changed, or that of the address that has.
func (o *eventObject) asLink() *object.Link {
	if o.kind != object.Links.Kind && o.kind != object.Addresses {
		return nil
	}
	return &o.link
}

func (o *eventObject) asAddress() *object.InterfaceAddress {
	if o.kind != object.Addresses {
		return nil
	}
	return &o.address
}

func eventRoute(r *eventRow) *routeRow           { return r.object().asRoute() }
func eventRule(r *eventRow) *ruleRow             { return r.object().asRule() }
func eventNexthop(r *eventRow) *nexthopObjectRow { return r.object().asNexthop() }

func eventLink(r *eventRow) *object.Link                { return r.object().asLink() }
func eventAddress(r *eventRow) *object.InterfaceAddress { return r.object().asAddress() }

func replacedRoute(r *eventRow) *routeRow           { return r.replaced().asRoute() }
func replacedNexthop(r *eventRow) *nexthopObjectRow { return r.replaced().asNexthop() }

// ofTable returns a column of another table as one of this: it is absent where row returns nil,
// as the row is none of that table. Conditions are not pushed down, as the request would be
// another.
func ofTable[From, To any](columns []column[From], name string, row func(*To) *From) column[To] {
	i := slices.IndexFunc(columns, func(c column[From]) bool { return c.Name == name })
	c := columns[i]
	of := column[To]{ColumnInfo: c.ColumnInfo, needs: c.needs, domain: c.domain, names: c.names}
	of.Options = Additional | Optimized
	if c.text != nil {
		of.text = func(r *To, b []byte) []byte {
			if from := row(r); from != nil {
				return c.text(from, b)
			}
			return b
		}
	}
	if c.number != nil {
		of.number = func(r *To) (int64, bool) {
			if from := row(r); from != nil {
				return c.number(from)
			}
			return 0, false
		}
	}
	if c.id != nil {
		of.id = func(r *To) uint32 {
			if from := row(r); from != nil {
				return c.id(from)
			}
			return 0
		}
	}
	return of
}

// or returns a column that shows what one of several does: no two of them are there in one row.
// Its name and what it holds are those of the first.
func (c column[R]) or(others ...column[R]) column[R] {
	all := append([]column[R]{c}, others...)
	for _, o := range others {
		c.needs = c.needs.and(o.needs)
	}
	if c.text != nil {
		c.text = func(r *R, b []byte) []byte {
			for i := range all {
				n := len(b)
				if b = all[i].text(r, b); len(b) > n {
					break
				}
			}
			return b
		}
	}
	if c.number != nil {
		c.number = func(r *R) (v int64, ok bool) {
			for i := range all {
				if v, ok = all[i].number(r); ok {
					break
				}
			}
			return v, ok
		}
	}
	if c.id != nil {
		c.id = func(r *R) (id uint32) { // 0 for those that are not there
			for i := range all {
				id |= all[i].id(r)
			}
			return id
		}
	}
	return c
}

// called renames a column.
func (c column[R]) called(name string) column[R] {
	c.Name = name
	return c
}
