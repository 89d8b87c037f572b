package rtnl

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

// objects asks for all nexthop objects and what they refer to, or for those with some
// numbers.
func objects(numbers ...uint32) Request {
	k := object.NexthopObjects.Kind
	r := Request{Kinds: []*object.Kind{k}, Referred: []*object.Kind{object.Links.Kind}}
	if numbers != nil {
		r.Numbers = map[*object.Kind][]uint32{k: numbers}
	}
	return r
}

// ids returns the numbers of the nexthop objects in a snapshot.
func ids(s *Snapshot) (ids []uint32) {
	for o := range All(s, object.NexthopObjects) {
		ids = append(ids, o.ID)
	}
	return ids
}

// TestObjectsInterrupted has something change while the objects are dumped: a kernel that goes
// on by number loses nothing by it.
func TestObjectsInterrupted(t *testing.T) {
	answer := func(r fakeRequest) []event {
		if r.Type != unix.RTM_GETNEXTHOP {
			return ordinary(r)
		}
		return []event{datagram(interruptedFlag(nexthop(r.Seq, 5))), datagram(interruptedFlag(done(r.Seq, 0)))}
	}
	for release, byNumber := range map[string]bool{"": true, "5.13.0": true, "5.12.19": false, "5.4.0": false} {
		k := &fakeKernel{fake: fake{T: t, Answer: answer}, release: release}
		s, err := k.read(objects())
		if byNumber && (err != nil || !s.Consistent || s.Tries != 1 || !slices.Equal(ids(s), []uint32{5})) ||
			!byNumber && !errors.Is(err, ErrInterrupted) {
			t.Errorf("Linux %s: %v, %+v", release, err, s)
		}
	}
}

// TestObjectsDetails has kernels that do not know of statistics, or have no room for an object
// with them.
func TestObjectsDetails(t *testing.T) {
	for _, errno := range []unix.Errno{0, unix.EINVAL, unix.EMSGSIZE, unix.EPERM} {
		k := &fakeKernel{fake: fake{T: t}}
		k.Answer = func(r fakeRequest) []event {
			if !r.Details || errno == 0 {
				return ordinary(r)
			}
			return []event{datagram(nexthop(r.Seq, 4)), datagram(done(r.Seq, uint32(errno)))}
		}
		s, err := k.read(objects())
		if refused := errno == unix.EPERM; refused != (err != nil) || !refused && !slices.Equal(ids(s), []uint32{5}) {
			t.Errorf("%v: %v, %+v", errno, err, s)
		}
		// What routes refer to is asked for as it always was.
		k.Requests = nil
		if _, err := k.read(request(Filter{}, object.NexthopObjects.Kind)); err != nil ||
			slices.ContainsFunc(k.Requests, func(r fakeRequest) bool { return r.Details }) {
			t.Errorf("routes: %v, %+v", err, k.Requests)
		}
	}
}

// TestObjectsByNumber asks for few objects, one of which is not there.
func TestObjectsByNumber(t *testing.T) {
	many := make([]uint32, maxLookups+1)
	for i := range many {
		many[i] = uint32(i + 1)
	}
	routes := objects(5)
	routes.Kinds = append(routes.Kinds, object.Routes.Kind)
	for _, c := range []struct {
		name    string
		release string
		request Request
		asked   []uint32 // 0: all
	}{
		{"two", "", objects(5, 9), []uint32{5, 9}},
		{"one twice", "6.18.44", objects(5, 5), []uint32{5, 5}},
		{"the number of none", "", objects(0, 5), []uint32{5}},
		{"none but that", "", objects(0), nil},
		{"many", "", objects(many...), []uint32{0}},
		{"of no known number", "", objects([]uint32{}...), []uint32{0}},
		{"beside routes, which refer to others", "", routes, []uint32{0}},
		{"a kernel that warns of large ones", "6.12.5", objects(5), []uint32{0}},
		{"and another", "6.18.3", objects(5), []uint32{0}},
	} {
		k := &fakeKernel{fake: fake{T: t}, release: c.release}
		k.Answer = func(r fakeRequest) []event {
			if r.Object != 0 && r.Object != 5 {
				return []event{datagram(nltest.Failed(r.Seq, uint32(unix.ENOENT)))}
			}
			return ordinary(r)
		}
		s, err := k.read(c.request)
		if err != nil || !s.Consistent {
			t.Errorf("%s: %v, %+v", c.name, err, s)
			continue
		}
		var asked []uint32
		for _, r := range k.Requests {
			if r.Type == unix.RTM_GETNEXTHOP {
				asked = append(asked, r.Object)
			}
		}
		if !slices.Equal(asked, c.asked) || (len(ids(s)) == 0) != (asked == nil) {
			t.Errorf("%s: asked for %v, got %v", c.name, asked, ids(s))
		}
	}
}

// TestObjectsByNumberFail has the kernel refuse.
func TestObjectsByNumberFail(t *testing.T) {
	k := &fakeKernel{fake: fake{T: t, Answer: broken(unix.RTM_GETNEXTHOP, always, func(r fakeRequest) []event {
		return []event{datagram(nltest.Failed(r.Seq, uint32(unix.EIO)))}
	})}}
	const text = "look up nexthop objects: nexthop 5: input/output error"
	if s, err := k.read(objects(5)); err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("%v, %+v", err, s)
	}
}

// TestUnionOfNumbers checks that what brings all of two requests asks for no less.
func TestUnionOfNumbers(t *testing.T) {
	kind := object.NexthopObjects.Kind
	links := Request{Kinds: []*object.Kind{object.Links.Kind}}
	for _, c := range []struct {
		a, b Request
		want []uint32
	}{
		{objects(5), objects(7, 5), []uint32{5, 7}},
		{objects(5), objects(), nil},
		{objects(), objects(), nil},
		{objects(5), links, []uint32{5}}, // which is not used: see Request.few
	} {
		for _, u := range []Request{c.a.Union(c.b), c.b.Union(c.a)} {
			if got := slices.Sorted(slices.Values(u.Numbers[kind])); !slices.Equal(got, c.want) {
				t.Errorf("%v and %v: %v", c.a.Numbers, c.b.Numbers, u.Numbers)
			}
		}
	}
}

// TestChurnOfObjects reads nexthop objects while another process changes others, and looks for
// those that nobody touched.
func TestChurnOfObjects(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	var lines []string
	untouched := map[uint32]int{}
	for i := range manyObjects {
		id := uint32(1000 + 2*i)
		untouched[id] = 0
		lines = append(lines, fmt.Sprintf("nexthop add id %d via 10.0.%d.%d dev v0", id, 1+i/200, 1+i%200))
	}
	nstest.Batch(t, "-4", lines...)
	c := churn(t, "-4", func(i int) string {
		if i%100 == 0 {
			time.Sleep(2 * time.Millisecond) // on a busy machine, too, dumps come between
		}
		id := 1001 + i/2*7919%manyObjects*2
		if i%2 == 1 {
			return fmt.Sprint("nexthop del id ", id)
		}
		return fmt.Sprintf("nexthop add id %d via 10.0.0.9 dev v0", id)
	})
	dumps, consistent := 0, 0
	least := nstest.Amount(200, 50)
	for ; dumps < least || c.changes.Load() < manyChanges && dumps < 100*least; dumps++ {
		s, err := (&Kernel{}).Read(t.Context(), objects())
		if err != nil {
			t.Fatal(err)
		}
		if s.Consistent {
			consistent++
		}
		clear(untouched)
		last := uint32(0)
		for _, id := range ids(s) {
			if id <= last {
				t.Errorf("%d comes after %d", id, last)
			}
			last = id
			untouched[id]++
		}
		for i := range manyObjects {
			if n := untouched[uint32(1000+2*i)]; n != 1 {
				t.Errorf("object %d came %d times, consistent %v", 1000+2*i, n, s.Consistent)
			}
		}
	}
	close(c.stop)
	<-c.done
	t.Logf("%d dumps, %d consistent, beside %d changes", dumps, consistent, c.changes.Load())
	if consistent < dumps {
		t.Errorf("only %d of %d are consistent: nothing refers to what changes", consistent, dumps)
	}
	if c.changes.Load() < manyChanges {
		t.Errorf("only %d changes: this proves nothing", c.changes.Load())
	}
}

const manyObjects = 1000 // take several datagrams

// addGroup makes a group of objects, of more members than ip takes.
func addGroup(t *testing.T, id uint32, members []uint32) {
	t.Helper()
	o := &object.NexthopObject{ID: id}
	for _, m := range members {
		o.Group = append(o.Group, object.GroupMember{ID: m, Weight: 1 + m%7})
	}
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Execute(netlink.Message{Data: nltest.AppendNexthop(nil, o), Header: netlink.Header{
		Type: object.RTM_NEWNEXTHOP, Flags: netlink.Request | netlink.Acknowledge | netlink.Create | netlink.Excl}})
	if err != nil {
		t.Fatal(err)
	}
}

// TestLargeObjects reads groups that take more than a page, and one that has no room for the
// statistics of its members.
func TestLargeObjects(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	var lines []string
	var members []uint32
	for i := range 3000 {
		members = append(members, uint32(1+i))
		lines = append(lines, fmt.Sprintf("nexthop add id %d via 10.0.%d.%d dev v0", 1+i, 1+i/200, 1+i%200))
	}
	nstest.Batch(t, "-4", lines...)
	sizes := map[uint32]int{10001: 100, 10002: 600}
	for id, n := range sizes {
		addGroup(t, id, members[:n])
	}
	for _, largest := range []int{600, 3000} {
		if largest == 3000 {
			sizes[10003] = largest
			addGroup(t, 10003, members)
		}
		for _, request := range []Request{objects(), objects(10001, 10002, 10003, 10004)} {
			s, err := new(Kernel).Read(t.Context(), request)
			if err != nil || !s.Consistent {
				t.Fatalf("%v, %+v", err, s)
			}
			groups := map[uint32]int{}
			for o := range All(s, object.NexthopObjects) {
				for i, m := range o.Group {
					groups[o.ID]++
					if m.ID != members[i] || m.Weight != 1+m.ID%7 {
						t.Fatalf("member %d of %d is %+v", i, o.ID, m)
					}
				}
				if len(o.Group) == 100 && largest == 600 && len(o.Stats) != 100 && len(o.Stats) != 0 {
					t.Errorf("%d statistics of %d members", len(o.Stats), len(o.Group))
				}
			}
			if !maps.Equal(groups, sizes) {
				t.Errorf("groups of %v, not %v", groups, sizes)
			}
		}
	}
}

// TestObjectsAndTheirRoutes reads objects, and counts the routes that use them, while others
// come and go with their object: none may use an object that the snapshot lacks, nor one
// that is not there with it.
func TestObjectsAndTheirRoutes(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	var lines []string
	for i := range 500 {
		lines = append(lines, fmt.Sprintf("nexthop add id %d via 10.0.%d.%d dev v0", 1+i, 1+i/200, 1+i%200),
			fmt.Sprintf("route add 20.0.%d.%d nhid %d", i/200, i%200, 1+i))
	}
	nstest.Batch(t, "-4", lines...)
	c := churn(t, "-4", func(i int) string {
		if i%40 == 0 {
			time.Sleep(2 * time.Millisecond) // so that some snapshots are of one time
		}
		id := 1000 + i/8%100
		switch i % 8 {
		case 0:
			return fmt.Sprintf("nexthop add id %d via 10.0.0.9 dev v0", id)
		case 7:
			return fmt.Sprint("nexthop del id ", id) // and its routes with it, of which nobody is told
		}
		return fmt.Sprintf("route add 20.1.%d.%d nhid %d", i%8, id%100, id)
	})
	request := objects()
	request.Along = []*object.Kind{object.Routes.Kind}
	request.CountBy = &object.Grouping{Object: true}
	consistent, most := 0, 0
	least := nstest.Amount(200, 50)
	dumps := 0
	for ; dumps < least || c.changes.Load() < manyChanges && dumps < 100*least; dumps++ {
		s, err := new(Kernel).Read(t.Context(), request)
		if errors.Is(err, ErrInterrupted) { // where the machine is slow: nothing is told that could be wrong
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		uses := map[uint32]int{}
		for _, g := range s.Groups {
			uses[g.NexthopID] += g.Routes
			if g.NexthopID >= 1000 {
				most = max(most, g.Routes)
			}
			if _, ok := Get(s, object.NexthopObjects, g.NexthopID); !ok && g.NexthopID != 0 && s.Consistent {
				t.Errorf("%d routes use object %d, which is not there", g.Routes, g.NexthopID)
			}
		}
		for id := range uint32(500) {
			if uses[1+id] != 1 {
				t.Errorf("%d routes use object %d, consistent %v", uses[1+id], 1+id, s.Consistent)
			}
		}
		if s.Consistent {
			consistent++
		}
	}
	close(c.stop)
	<-c.done
	t.Logf("%d dumps, %d consistent, beside %d changes, up to %d routes of an object", dumps, consistent,
		c.changes.Load(), most)
	if consistent == 0 || most == 0 {
		t.Error("this shows nothing")
	}
}

// A sender is a kernel's socket that tells what it sends before it does.
type sender struct {
	conn.Socket
	before func(typ uint16)
}

func (s *sender) Send(m netlink.Message) (netlink.Message, error) {
	s.before(uint16(m.Header.Type))
	return s.Socket.Send(m)
}

// TestObjectGoesAfterItsRoutes takes an object away, and its routes with it, of which no message
// tells, when the routes have been counted.
func TestObjectGoesAfterItsRoutes(t *testing.T) {
	for _, counted := range []bool{true, false} {
		for _, change := range []string{"nexthop del id 7", "link del v1"} {
			t.Run(fmt.Sprint(change, counted), func(t *testing.T) {
				nstest.New(t)
				nstest.Veth(t, "v0", "10.0.0.1/16")
				nstest.Veth(t, "v1", "10.1.0.1/16")
				nstest.Batch(t, "-4", "nexthop add id 6 via 10.0.0.9 dev v0", "nexthop add id 7 via 10.1.0.9 dev v1",
					"route add 20.0.0.0/24 nhid 6", "route add 20.0.1.0/24 nhid 7", "route add 20.0.2.0/24 nhid 7")
				request := objects()
				request.Along = []*object.Kind{object.Routes.Kind}
				if counted {
					request.CountBy = &object.Grouping{Object: true}
				}
				changed := false
				k := &Kernel{stats: rt6StatsPath}
				k.dial = func(ctx context.Context, ns Namespace, groups uint32) (conn.Socket, bool, error) {
					s, strict, err := conn.Dial(ctx, ns, groups)
					return &sender{s, func(typ uint16) {
						if typ == object.RTM_GETNEXTHOP && !changed {
							changed = true
							nstest.IP(t, change)
						}
					}}, strict, err
				}
				s, err := k.Read(t.Context(), request)
				if err != nil || !s.Consistent || s.Tries < 2 || !slices.Equal(ids(s), []uint32{6}) {
					t.Fatalf("%v, %+v: %v", err, s, ids(s))
				}
				uses := map[uint32]int{}
				for _, g := range s.Groups {
					uses[g.NexthopID] += g.Routes
				}
				for r := range s.Routes(object.FieldNexthopID) {
					uses[r.NexthopID.V]++
				}
				if delete(uses, 0); !maps.Equal(uses, map[uint32]int{6: 1}) {
					t.Errorf("routes use objects %v", uses)
				}
			})
		}
	}
}
