package rtnl

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

// withoutLink is a message that an interface has gone.
func withoutLink(index uint32, name string) event {
	return datagram(nltest.Padded(unix.RTM_DELLINK, 0, 0,
		nltest.AppendLink(nil, &object.Link{Index: index, Name: name})))
}

// routeVia is a message about a route that is changed.
func routeVia(seq uint32, r *object.Route, change func(*object.Route)) []byte {
	change(r)
	return nltest.Padded(unix.RTM_NEWROUTE, unix.NLM_F_MULTI, seq, nltest.AppendRoute(nil, r))
}

// vanishing is a kernel with interfaces 3 and 4, nexthop objects that use 4, and a route
// that refers to it. gone says after which of the listener's answers the interface is gone.
func vanishing(t *testing.T, route func(seq uint32) []byte, gone func(drains int) bool,
	hear func(n int) []event) *fakeKernel {
	objects := func(seq uint32) []byte {
		return slices.Concat(
			nltest.Padded(unix.RTM_NEWNEXTHOP, 0, seq,
				nltest.AppendNexthop(nil, &object.NexthopObject{ID: 5, OIF: 4})),
			nltest.Padded(unix.RTM_NEWNEXTHOP, 0, seq,
				nltest.AppendNexthop(nil,
					&object.NexthopObject{ID: 6, Group: []object.GroupMember{{ID: 5, Weight: 1}}})))
	}
	k := &fakeKernel{fake: fake{T: t, Hear: hear}}
	read := false // the route
	k.Answer = func(r fakeRequest) []event {
		all := []object.Link{{Index: 3, Name: "v0"}, {Index: 4, Name: "v1"}}
		if gone(k.Drains) || read && k.Drains == 0 {
			all = all[:1] // it goes after the routes were read
		}
		switch r.Type {
		case unix.RTM_GETLINK:
			return links(r, all...)
		case unix.RTM_GETNEXTHOP:
			return []event{datagram(objects(r.Seq)), datagram(done(r.Seq, 0))}
		}
		routes := [][]byte{route6(r.Seq, 1, 254)}
		if !gone(k.Drains) {
			read = true
			routes = slices.Insert(routes, 0, route(r.Seq))
		}
		return []event{datagram(routes...), datagram(done(r.Seq, 0))}
	}
	return k
}

// TestReadVanishedLink has an interface that goes while routes are read which refer to
// it, with a route that is whole at once, so that its table needs not be read again.
func TestReadVanishedLink(t *testing.T) {
	for _, tc := range []struct {
		name  string
		route func(seq uint32) []byte // refers to interface 4
		req   Request
	}{
		{"output", func(seq uint32) []byte {
			return routeVia(seq, nltest.V4(), func(r *object.Route) { r.OIF = object.Some(uint32(4)) })
		}, request(Filter{}, object.Links.Kind)},
		{"a nexthop", func(seq uint32) []byte {
			return routeVia(seq, nltest.ECMP(object.IPv4), func(r *object.Route) { r.Multipath[1].OIF = 4 })
		}, request(Filter{}, object.Links.Kind)},
		{"input", func(seq uint32) []byte {
			return routeVia(seq, nltest.V4(), func(r *object.Route) { r.IIF = object.Some(uint32(4)) })
		}, request(Filter{}, object.Links.Kind)},
		{"a nexthop object", func(seq uint32) []byte {
			return routeVia(seq, nltest.ViaObject(object.IPv4), func(r *object.Route) {})
		}, RouteRequest(Filter{})},
		{"a member of a group", func(seq uint32) []byte {
			return routeVia(seq, nltest.ViaObject(object.IPv4),
				func(r *object.Route) { r.NexthopID = object.Some(uint32(6)) })
		}, RouteRequest(Filter{})},
		{"a tunnel", func(seq uint32) []byte {
			return routeVia(seq, nltest.V4(), func(r *object.Route) {
				r.Encap = object.Encap{Type: unix.LWTUNNEL_ENCAP_SEG6_LOCAL, Raw: nltest.Attr(7, nltest.NE(uint32(4)))}
			})
		}, request(Filter{}, object.Links.Kind)},
		{"a nexthop's tunnel", func(seq uint32) []byte {
			return routeVia(seq, nltest.ECMP(object.IPv4), func(r *object.Route) {
				r.Multipath[1].OIF = 3
				r.Multipath[1].Encap = object.Encap{Type: unix.LWTUNNEL_ENCAP_XFRM,
					Raw: nltest.Attr(2, nltest.NE(uint32(4)))}
			})
		}, request(Filter{}, object.Links.Kind)},
		{"a choice of interfaces", func(seq uint32) []byte {
			return routeVia(seq, nltest.V4(), func(r *object.Route) { r.OIF = object.Some(uint32(4)) })
		}, request(Filter{Link: func(l *object.Link) bool { return l.Name == "v1" }}, object.Links.Kind)},
		{"a capture", func(seq uint32) []byte {
			return routeVia(seq, nltest.V4(), func(r *object.Route) { r.OIF = object.Some(uint32(4)) })
		}, everything(Filter{})},
	} {
		req := tc.req
		req.Families = []object.Family{object.IPv4}
		k := vanishing(t, tc.route, func(drains int) bool { return drains > 0 }, func(n int) []event {
			if n == 1 {
				return []event{withoutLink(4, "v1")}
			}
			return nil
		})
		s, err := k.read(req)
		if err != nil || !s.Consistent || s.Tries != 2 || size(s) != 0 {
			t.Errorf("%s: %v, %+v", tc.name, err, s)
		}
		// It comes and goes for ever.
		k = vanishing(t, tc.route, func(int) bool { return false },
			func(int) []event { return []event{withoutLink(4, "v1")} })
		s, err = k.read(req)
		if err != nil || s.Consistent || s.Tries != MaxTries || k.logged() != 1 ||
			!strings.Contains(k.log.String(), "links_changed=true") {
			t.Errorf("%s, for ever: %v, %+v, logged %s", tc.name, err, s, &k.log)
		}
	}
}

// TestReadOtherLink has an interface that changes and that no route refers to: what
// was read stays true.
func TestReadOtherLink(t *testing.T) {
	for _, req := range []Request{
		RouteRequest(Filter{Families: []object.Family{object.IPv4}}),
		request(Filter{Families: []object.Family{object.IPv4},
			Link: func(l *object.Link) bool { return l.Name == "v0" }},
			object.Links.Kind),
		everything(Filter{Families: []object.Family{object.IPv4}}),
	} {
		k := &fakeKernel{fake: fake{T: t, Answer: ordinary,
			Hear: func(int) []event { return []event{datagram(link(0, 9, "v9"))} }}}
		if s, err := k.read(req); err != nil || !s.Consistent || s.Tries != 1 || size(s) != 2 {
			t.Errorf("%v, %+v", err, s)
		}
	}
	// It becomes one that the request chooses.
	n := 0
	k := &fakeKernel{fake: fake{T: t, Hear: func(int) []event {
		if n == 1 {
			return []event{datagram(link(0, 9, "v0"))}
		}
		return nil
	}, Answer: func(r fakeRequest) []event {
		if r.Type != unix.RTM_GETLINK {
			via9 := routeVia(r.Seq, nltest.V4(), func(r *object.Route) { r.OIF = object.Some(uint32(9)) })
			return []event{datagram(via9, route6(r.Seq, 1, 254)), datagram(done(r.Seq, 0))}
		}
		if n++; n == 1 {
			return links(r, object.Link{Index: 3, Name: "v0"}, object.Link{Index: 9, Name: "v9"})
		}
		return links(r, object.Link{Index: 9, Name: "v0"})
	}}}
	chosen := Filter{Families: []object.Family{object.IPv4}, Link: func(l *object.Link) bool { return l.Name == "v0" }}
	s, err := k.read(request(chosen, object.Links.Kind))
	if err != nil || !s.Consistent || s.Tries != 2 || size(s) != 1 {
		t.Errorf("%v, %+v", err, s)
	}
	// More of them than are told apart.
	var many []byte
	for i := range uint32(1001) {
		many = append(many, link(0, 1000+i, "v")...)
	}
	k = &fakeKernel{fake: fake{T: t, Answer: ordinary, Hear: func(n int) []event {
		if n == 1 {
			return []event{{Datagram: many[:len(many)/2]}, {Datagram: many[len(many)/2:]}}
		}
		return nil
	}}}
	s, err = k.read(request(Filter{Families: []object.Family{object.IPv4}}, object.Links.Kind))
	if err != nil || !s.Consistent || s.Tries != 2 {
		t.Errorf("%v, %+v", err, s)
	}
}

// TestReadNewLink has an interface that comes with a route, after links were read.
func TestReadNewLink(t *testing.T) {
	k := &fakeKernel{fake: fake{T: t, Hear: func(n int) []event {
		if n == 1 {
			return []event{datagram(link(0, 4, "v1"))}
		}
		return nil
	}}}
	k.Answer = func(r fakeRequest) []event {
		if r.Type == unix.RTM_GETLINK {
			if k.Drains == 0 {
				return links(r, object.Link{Index: 3, Name: "v0"})
			}
			return links(r, object.Link{Index: 3, Name: "v0"}, object.Link{Index: 4, Name: "v1"})
		}
		routes := [][]byte{route4(r.Seq, 1, 254)}
		if k.Drains > 0 {
			routes = append(routes, routeVia(r.Seq, nltest.V4(),
				func(r *object.Route) { r.OIF = object.Some(uint32(4)) }))
		}
		return []event{datagram(routes...), datagram(done(r.Seq, 0))}
	}
	s, err := k.read(request(Filter{}, object.Links.Kind))
	if l, ok := s.Link(4); err != nil || !s.Consistent || size(s) != 2 || !ok || l.Name != "v1" {
		t.Errorf("%v, %+v", err, s)
	}
}

// linkChurn is how long TestLinkChurn reads, a quarter of it with -short.
const linkChurn = 2 * time.Second

// TestLinkChurn reads while interfaces with routes come and go: a route whose
// interface or nexthop object is not there is in no snapshot that is consistent.
func TestLinkChurn(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", "0") // routes name their object alone
	cmd := exec.Command("ip", "-force", "-batch", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan int)
	go func() {
		for n := 0; ; n++ {
			if _, err := fmt.Fprintf(in, "link add t0 type veth peer name t1\naddr add 10.9.0.1/24 dev t0\n"+
				"link set t0 up\nlink set t1 up\n"+
				"nexthop add id 9 via 10.9.0.2 dev t0\nroute add 20.9.2.0/24 nhid 9\n"+
				"route add 20.9.0.0/24 via 10.9.0.2\nroute add 20.9.1.0/24 nexthop via 10.9.0.2 nexthop via 10.0.0.2\n"+
				"route add fd09::/64 dev t0\nlink del t0\n"); err != nil {
				stopped <- n // it was killed
				return
			}
		}
	}()
	reads, consistent, seen, objects := 0, 0, 0, 0
	long := linkChurn / time.Duration(nstest.Amount(1, 4))
	// On a busy machine it takes longer until a read meets the interface.
	for start := time.Now(); time.Since(start) < long || seen == 0 && time.Since(start) < 30*time.Second; reads++ {
		s, err := new(Kernel).Read(t.Context(), RouteRequest(Filter{}))
		if err != nil {
			t.Fatal(err)
		}
		if s.Consistent {
			consistent++
		}
		var hops []object.Nexthop
		for c := s.Cursor(object.AllFields); c.Next(); {
			r := c.Route()
			if r.NexthopID.OK {
				objects++
				if _, ok := Get(s, object.NexthopObjects, r.NexthopID.V); s.Consistent && !ok {
					t.Errorf("read %d: %v refers to nexthop object %d, which is not there (%d tries)",
						reads, r.Dst, r.NexthopID.V, s.Tries)
				}
			}
			hops = s.Nexthops(r, hops)
			for _, hop := range hops {
				l, ok := s.Link(hop.OIF)
				if l.Name == "t0" {
					seen++
				}
				if s.Consistent && hop.OIF != 0 && !ok {
					t.Errorf("read %d: %v refers to interface %d, which is not there (%d tries)",
						reads, r.Dst, hop.OIF, s.Tries)
				}
			}
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	rounds := <-stopped
	t.Logf("%d reads, %d consistent, %d routes through the interface, %d by an object, which came %d times",
		reads, consistent, seen, objects, rounds)
	if consistent*2 < reads || seen == 0 || rounds < 20 {
		t.Errorf("this proves nothing: %s", errs.String())
	}
}
