package diff

import (
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/iptext"
	"kernelroutes/tables"
)

// A thing is a kind of objects that are compared: the rows of a table, of which some may be one object.
type thing struct {
	*tables.Table
	// key are the columns that tell objects apart, in the order in which they are sorted. Several
	// objects may have the same.
	key []string
	// shares is how many columns of the key those objects have in common that the kernel tries in the order in
	// which it has them; 0: it does not.
	shares int
	// alike are the columns by which, among several with the same key, one that was is the one now.
	alike []string
	// aside are columns that are shown but not compared: numbers that the kernel chooses, and what is
	// worked out from other objects, which are compared themselves.
	aside []string
	// without are columns that are not even shown, as all routes would be read for them.
	without []string
	// parts is the table of whose rows an object has several, in their order; nil: there are none, or
	// they are rows of the same table.
	parts *tables.Table
	// member are the columns of the parts that are compared, if they are of the same table; else all
	// are but aside.
	member []string
	// called is what the parts are called.
	called string
	// walk goes over the objects in the order of the rows. What it returns moves to the next object,
	// and returns how many rows the object has and what describes it. nil: each row is an object.
	walk func(*rtnl.Snapshot) func() (rows int, describe func(iptext.Describer) []string)
	// kind is what the kernel has the objects as; nil: it has none that are one each.
	kind *object.Kind
	// word is the first one of what describes an object without walk.
	word string

	columns, partColumns []int // of an object and of its parts, in their tables
}

const (
	family    = "family"
	tableID   = "table_id"
	devIndex  = "dev_index"
	nexthopID = "nexthop_id"
	hopCount  = "nexthop_count"
	dev       = "dev"
)

// things are what is compared, in the order in which it is printed.
var things = []*thing{
	(&thing{
		Table: tables.Rules,
		key: []string{family, "priority", "inverted", "src", "dst", "iif", "oif", "fwmark", "fwmask", "tos", "dscp",
			"dscp_mask", "uid_start", "uid_end", "ip_proto", "sport_start", "sport_end", "sport_mask", "dport_start",
			"dport_end", "dport_mask", "tun_id", "flowlabel", "flowlabel_mask"},
		shares: 2,
		alike:  []string{"action", tableID, "goto_priority"},
		aside:  []string{"rule_id", "vrf"},
		walk:   walkRules,
		kind:   object.Rules.Kind,
	}).prepare(),
	(&thing{
		Table:  tables.Routes,
		key:    []string{family, tableID, "dst", "src", "tos", "metric"},
		shares: 6,
		alike:  []string{"type", "gateway", dev, nexthopID},
		aside:  []string{"route_id", devIndex, "dev_kind", "dev_operstate", "vrf"},
		parts:  tables.Nexthops,
		called: "nexthops",
		walk:   walkRoutes,
		kind:   object.Routes.Kind,
	}).prepare(),
	(&thing{
		Table:   tables.NexthopObjects,
		key:     []string{nexthopID},
		aside:   []string{devIndex},
		without: []string{"routes"},
		member:  []string{"group_member_id", "weight"},
		called:  "members",
		walk:    walkNexthopObjects,
		kind:    object.NexthopObjects.Kind,
	}).prepare(),
	(&thing{
		Table: tables.InterfaceConfig,
		key:   []string{dev, family},
		aside: []string{devIndex},
		word:  "interface",
	}).prepare(),
}

// partsAside are the columns of parts that are not compared.
var partsAside = []string{"route_id", "nexthop_index", devIndex, "dev_kind", "dev_operstate", "vrf"}

func walkRules(snap *rtnl.Snapshot) func() (int, func(iptext.Describer) []string) {
	next := rtnl.Each(snap, object.Rules)
	return func() (int, func(iptext.Describer) []string) {
		r := next()
		return 1, func(d iptext.Describer) []string { return d.Rule(r) }
	}
}

func walkRoutes(snap *rtnl.Snapshot) func() (int, func(iptext.Describer) []string) {
	c := snap.Cursor(object.AllFields)
	return func() (int, func(iptext.Describer) []string) {
		c.Next()
		return 1, func(d iptext.Describer) []string { return d.Route(c.Route(), snap) }
	}
}

func walkNexthopObjects(snap *rtnl.Snapshot) func() (int, func(iptext.Describer) []string) {
	next := rtnl.Each(snap, object.NexthopObjects)
	return func() (int, func(iptext.Describer) []string) {
		o := next()
		if o == nil {
			return 0, nil
		}
		return max(1, len(o.Group)), func(d iptext.Describer) []string { return d.NexthopObject(o, snap) }
	}
}
