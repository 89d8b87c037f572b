package rtnl

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// references are the interfaces and nexthop objects that routes refer to.
type references struct {
	links   map[uint32]bool // by index
	objects map[uint32]bool // by id
	last    uint32          // the link that was added last, which most routes share
}

// add adds what a route refers to, which is the payload of a message; interfaces
// only if they are wanted.
func (r *references) add(h *routeHead, payload []byte, links bool) {
	if h.object {
		addTo(&r.objects, h.objectID)
	}
	if !links {
		return
	}
	r.addLink(h.oif)
	r.addLink(h.iif)
	if h.hops != nil {
		for member := range h.members() {
			r.addLink(u32(member[4:]))
		}
	}
	if h.encap {
		r.addEncaps(payload[rtmsgLen:])
		for member := range h.members() {
			r.addEncaps(member[rtnhLen:u16(member)])
		}
	}
}

func (r *references) addLink(index uint32) {
	if index != 0 && index != r.last {
		addTo(&r.links, index)
		r.last = index
	}
}

// addEncaps adds what the tunnel in a route's or nexthop's attributes refers to.
func (r *references) addEncaps(attributes []byte) {
	var e Encap
	for a := walk(attributes); a.next(); {
		switch {
		case a.typ == rtaEncap:
			e.Raw = a.data
		case a.typ == rtaEncapType && len(a.data) == 2:
			e.Type = u16(a.data)
		}
	}
	r.addEncap(&e)
}

// The attributes of tunnels that are the index of an interface.
const (
	seg6LocalIIF = 6 // SEG6_LOCAL_IIF
	seg6LocalOIF = 7 // SEG6_LOCAL_OIF
	lwtXfrmLink  = 2 // LWT_XFRM_LINK
)

func (r *references) addEncap(e *Encap) {
	for a := walk(e.Raw); a.next(); {
		link := e.Type == unix.LWTUNNEL_ENCAP_SEG6_LOCAL && (a.typ == seg6LocalIIF || a.typ == seg6LocalOIF) ||
			e.Type == unix.LWTUNNEL_ENCAP_XFRM && a.typ == lwtXfrmLink
		if link && len(a.data) == 4 {
			r.addLink(u32(a.data))
		}
	}
}

// addObject adds what a nexthop object refers to, and the members of a group.
func (r *references) addObject(objects map[uint32]*NexthopObject, id uint32) {
	o := objects[id]
	if o == nil {
		return
	}
	r.addLink(o.OIF)
	r.addEncap(&o.Encap)
	for _, m := range o.Group {
		if member := objects[m.ID]; member != nil { // no group: the kernel allows none in another
			r.addLink(member.OIF)
			r.addEncap(&member.Encap)
		}
	}
}

// union adds what others refer to.
func (r *references) union(others *references) {
	for index := range others.links {
		addTo(&r.links, index)
	}
	for id := range others.objects {
		addTo(&r.objects, id)
	}
}

func addTo(set *map[uint32]bool, n uint32) {
	if *set == nil {
		*set = map[uint32]bool{}
	}
	(*set)[n] = true
}

// maxLookups is how many interfaces are looked up one by one rather than all of
// them dumped. A look-up takes some 8 us, a dump 4 us for each interface of the
// host, of which there are at least as many.
const maxLookups = 64

// readLinks reads the interfaces that are referred to and not known yet: each by its
// index, or all that there are, if many are wanted.
func (r *reading) readLinks(e *session) error {
	unknown := r.unknownLinks()
	switch {
	case len(unknown) > maxLookups || r.req.raw && !r.allLinks:
		return e.run("dump links", r.dumpLinks)
	case len(unknown) > 0:
		return e.run("look up links", func(c *conn) error { return r.lookUpLinks(c, unknown) })
	}
	return nil
}

func (r *reading) dumpLinks(c *conn) (err error) {
	r.links, r.rawLinks, err = c.dumpLinks(r.req.raw)
	r.allLinks = err == nil
	return err
}

func (r *reading) lookUpLinks(c *conn, indexes []uint32) error {
	for _, index := range indexes {
		add := func(msg []byte) error { return addLink(r.links, msg) }
		err := c.get(unix.RTM_GETLINK, linkRequest(index), unix.RTM_NEWLINK, add)
		if err != nil && !errors.Is(err, unix.ENODEV) { // as it is gone
			return fmt.Errorf("interface %d: %w", index, err)
		}
		addTo(&r.lookedUp, index)
	}
	return nil
}

// unknownLinks returns the interfaces that are referred to and were not read.
func (r *reading) unknownLinks() (unknown []uint32) {
	r.completeReferences()
	if r.allLinks {
		return nil
	}
	for index := range r.refs.links {
		if !r.lookedUp[index] {
			unknown = append(unknown, index)
		}
	}
	slices.Sort(unknown)
	return unknown
}

// completeReferences adds what nexthop objects refer to, and what was heard of IPv6
// routes, which may come in their place: see settle.
func (r *reading) completeReferences() {
	for id := range r.refs.objects {
		r.refs.addObject(r.objects, id)
	}
	for ; r.referred < len(r.heard.multipath); r.referred++ {
		msg := r.heard.multipath[r.referred]
		if h := headAt(msg); r.req.match(&h) {
			r.refs.add(&h, msg[unix.NLMSG_HDRLEN:u32(msg)], true)
		}
	}
}

// forgetLinks has all interfaces read again.
func (r *reading) forgetLinks() {
	r.links, r.rawLinks, r.lookedUp, r.allLinks = map[uint32]Link{}, nil, nil, false
}

// concerns reports whether an interface that changed is one that a route refers to,
// or that the request chooses or might have chosen: then the routes, the interfaces
// and the nexthop objects that were read are not of one time.
func (r *reading) concerns(heard *changes) bool {
	return heard.anyDev || slices.ContainsFunc(heard.devs, func(l Link) bool {
		return r.refs.links[l.Index] ||
			r.asked.Link != nil && (slices.Contains(r.req.OIFs, l.Index) || r.asked.Link(&l))
	})
}
