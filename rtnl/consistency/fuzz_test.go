package consistency

import (
	"slices"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// checkChanges checks what a listener makes of a datagram.
func checkChanges(t testing.TB, b []byte) {
	t.Helper()
	b = slices.Clip(slices.Clone(b))
	var heard Changes
	heard.add(b)
	routes, links, objects, rules := object.Routes.Kind, object.Links.Kind, object.NexthopObjects.Kind,
		object.Rules.Kind
	all := func() bool { return heard.Any(routes) && heard.Any(links) && heard.Any(objects) }
	whole := true
	for rest := b; len(rest) > 0 && whole; {
		whole = len(rest) >= 16 && wire.U32(rest) >= 16 && uint64(wire.U32(rest)) <= uint64(len(rest))
		if !whole {
			break
		}
		msg := rest[:wire.U32(rest)]
		rest = rest[min(wire.Align(len(msg)), len(rest)):]
		var m object.Message
		switch typ := wire.Type(msg); typ {
		case object.RTM_NEWROUTE, object.RTM_DELROUTE:
			if whole = routes.Check(&m, msg) == nil; !whole {
				break
			}
			if table := routes.Table(&m); !heard.table(routes, table) || !heard.Told(routes) {
				t.Fatalf("%x: a change of a route in table %v was missed", b, table)
			}
		case object.RTM_NEWRULE, object.RTM_DELRULE:
			if whole = rules.Check(&m, msg) == nil; !whole {
				break
			}
			touched := heard.heard(rules).touched
			if !heard.table(rules, rules.Table(&m)) || !heard.Told(rules) || !touched.lost &&
				!touched.has(rules.Same(&m)) {
				t.Fatalf("%x: a change of a rule was missed", b)
			}
		case object.RTM_NEWNETCONF, object.RTM_DELNETCONF:
			if whole = object.Netconfs.Check(&m, msg) == nil; whole && !heard.Told(object.Netconfs.Kind) {
				t.Fatalf("%x: a change of settings was missed", b)
			}
		case object.RTM_NEWLINK, object.RTM_DELLINK:
			if whole = links.Check(&m, msg) == nil; !whole {
				break
			}
			checkNumber(t, &heard, &m)
			if !heard.Any(routes) || !heard.Any(objects) {
				t.Fatalf("%x: a change of an interface was missed", b)
			}
		case object.RTM_NEWNEXTHOP, object.RTM_DELNEXTHOP:
			if whole = objects.Check(&m, msg) == nil; !whole {
				break
			}
			checkNumber(t, &heard, &m)
			if !heard.Any(routes) {
				t.Fatalf("%x: a change of a nexthop object was missed", b)
			}
		case object.RTM_NEWADDR, object.RTM_DELADDR:
			if whole = object.Addresses.Check(&m, msg) == nil; whole && !heard.Any(routes) {
				t.Fatalf("%x: a change of an address was missed", b)
			}
		default:
			whole = false
		}
	}
	if !whole && !all() {
		t.Fatalf("%x: what is not understood is no change", b)
	}
}

// checkNumber checks that a change of an object is known by its number.
func checkNumber(t testing.TB, heard *Changes, m *object.Message) {
	t.Helper()
	k := m.Kind()
	same := func(other *object.Message) bool { return k.Number(other) == k.Number(m) }
	if !heard.Told(k) || !heard.Number(k, same) {
		t.Fatalf("a change of %s %d was missed", k.Name, k.Number(m))
	}
}

func FuzzChanges(f *testing.F) {
	for _, typ := range []uint16{object.RTM_NEWROUTE, object.RTM_NEWLINK, object.RTM_NEWNEXTHOP, object.RTM_DELADDR,
		object.RTM_DELRULE, wire.NLMSG_DONE, wire.NLMSG_ERROR, wire.NLMSG_OVERRUN} {
		msg := nltest.MessageOf(typ, wire.NLM_F_MULTI, 1, make([]byte, 20))
		f.Add(append(slices.Clone(msg), msg...))
		f.Add(msg[:35])
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkChanges(t, b) })
}
