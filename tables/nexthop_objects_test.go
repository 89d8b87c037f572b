package tables_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/nametest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/capture"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// Attributes that the package unix does not have.
const (
	nhaResGroup      = 12
	nhaOpFlags       = 14
	nhaGroupStats    = 15
	nhaHWStatsEnable = 16
	nhaHWStatsUsed   = 17
)

// ipObjects returns what ip says of the nexthop objects, as rows of kernel_nexthops. routes are
// how many use each.
func (v *ipView) ipObjects(routes map[uint32]int) (rows []row) {
	hwStats := wireHWStats(v.t)
	family := map[string]string{}
	for name, flag := range map[string]string{"ipv4": "-4", "ipv6": "-6"} {
		for _, o := range ipJSON(v.t, flag+" -d -j nexthop show") {
			family[o.text("id")] = name
		}
	}
	hidden := row{}
	addHidden(v.t, hidden)
	for _, o := range ipJSON(v.t, "-d -j nexthop show") {
		o, encap := v.takeEncap(o)
		id := number(o.text("id"))
		r := row{"nexthop_id": o.text("id"), "family": family[o.text("id")], "gateway": o.text("gateway"),
			"gateway_family": "", "dev": o.text("dev"), "dev_index": v.links[o.text("dev")]["dev_index"],
			"scope": o.text("scope"), "protocol": ipProtocol(o.text("protocol")),
			"flag_names": flagNames(o.get("flags")), "blackhole": v.hasKey(o, "blackhole"), "fdb": v.hasKey(o, "fdb"),
			"encap_type": encap["encap_type"], "encap": encap["encap"], "routes": fmt.Sprint(routes[id]),
			"unknown_attrs": "[]", "snapshot_consistent": "1", netnsID: hidden[netnsID], "pid_with_namespace": "0",
			"onlink": "0"}
		if r["gateway"] != "" {
			r["gateway_family"] = "ipv4"
			if strings.Contains(r["gateway"], ":") {
				r["gateway_family"] = "ipv6"
			}
		}
		flags := map[string]int{"": 0, "onlink": 4, "linkdown": 16}
		sum := 0
		for name := range strings.SplitSeq(r["flag_names"], ",") {
			n, ok := flags[name]
			if !ok {
				v.t.Fatalf("ip printed the flag %s, of which this test knows nothing", name)
			}
			sum += n
			if name == "onlink" {
				r["onlink"] = "1"
			}
		}
		r["flags"] = fmt.Sprint(sum)
		rows = append(rows, v.ipMembers(r, o, hwStats[id])...)
	}
	return rows
}

// ipMembers returns an object's row for each member, if it is a group.
func (v *ipView) ipMembers(r row, o jsonObject, hwStats string) (rows []row) {
	group, ok := o.get("group").([]any)
	if !ok {
		return []row{r}
	}
	id := number(r["nexthop_id"])
	r["group_type"], r["hw_stats"] = "mpath", hwStats
	if typ := o.text("type"); typ != "" {
		r["group_type"] = typ
	}
	if args, ok := o.get("resilient_args").(jsonObject); ok {
		r["buckets"] = args.text("buckets")
		for _, name := range []string{"idle_timer", "unbalanced_timer", "unbalanced_time"} {
			seconds, err := args.get(name).(json.Number).Float64()
			if err != nil {
				v.t.Fatal(err)
			}
			r[name] = fmt.Sprint(int64(seconds*1000 + 0.5))
		}
	}
	for i, m := range objects(group) {
		of := v.groups[id][i]
		weight := m.text("weight")
		if weight == "" {
			weight = "1"
		}
		if of.id != number(m.text("id")) || of.weight&0xff != number(weight)&0xff {
			v.t.Errorf("group %d: ip says %v, the bytes say %v", id, m, of)
		}
		member := row{"group_member_id": m.text("id"), "weight": fmt.Sprint(of.weight)}
		for k, value := range r {
			member[k] = value
		}
		rows = append(rows, member)
	}
	return rows
}

// ipProtocol is ip's word for a protocol, of which iproute2 6.1 lacks some: mrouted, ovn, openr.
func ipProtocol(name string) string {
	if n, err := strconv.Atoi(name); err == nil {
		return nametest.New(nil).Protocol(uint8(n))
	}
	return name
}

func (v *ipView) hasKey(o jsonObject, key string) string {
	if slices.ContainsFunc(o, func(m member) bool { return m.key == key }) {
		return "1"
	}
	return "0"
}

// ipUses counts the routes that use each nexthop object, by ip's word: see kernel_nexthops.routes.
func (v *ipView) ipUses() map[uint32]int {
	uses := map[uint32]int{}
	for _, family := range []string{"-4", "-6"} {
		for _, o := range ipJSON(v.t, family+" -d -j route show table all") {
			id := o.text("nhid")
			if id == "" {
				continue
			}
			uses[number(id)]++
			for _, m := range v.groups[number(id)] {
				uses[m.id]++
			}
		}
	}
	return uses
}

// addGroup makes a nexthop group whose packets are counted in hardware, were there any, which
// iproute2 6.1 does not know of.
func addCountedGroup(t testing.TB, id uint32, members ...uint32) {
	t.Helper()
	var group []byte
	for _, m := range members {
		group = append(append(group, nlU32(m)...), 0, 0, 0, 0)
	}
	ae := netlink.NewAttributeEncoder()
	ae.Uint32(unix.NHA_ID, id)
	ae.Bytes(unix.NHA_GROUP, group)
	ae.Uint32(nhaHWStatsEnable, 1)
	if err := tellWire(dialWire(t), unix.RTM_NEWNEXTHOP, make([]byte, sizeofNhmsg), ae); err != nil {
		t.Fatalf("nexthop group %d: %v", id, err)
	}
}

// moreObjects makes nexthop objects of every kind, beside those of generator.objects.
func (g generator) moreObjects(t testing.TB, many int) {
	var four, six, groups []string
	for id := 1000; id < 1000+many; id++ {
		switch g.IntN(8) {
		case 0:
			four = append(four, fmt.Sprintf("nexthop add id %d blackhole", id))
		case 1:
			six = append(six, fmt.Sprintf("nexthop add id %d blackhole", id))
		case 2:
			four = append(four, fmt.Sprintf("nexthop add id %d dev %s", id, g.pick("v0", "v1")))
		case 3:
			six = append(six, fmt.Sprintf("nexthop add id %d dev %s", id, g.pick("v0", "v1")))
		case 4:
			four = append(four, fmt.Sprintf("nexthop add id %d via 10.77.%d.%d dev v1 onlink proto %d", id, g.IntN(256),
				g.IntN(256), g.protocol()))
		case 5:
			four = append(four, fmt.Sprintf("nexthop add id %d%s via 10.0.%d.%d dev v%d%s", id, g.encap4(), id%2,
				3+g.IntN(250), id%2, g.maybe(2, "proto %d", g.protocol())))
		case 6:
			six = append(six, fmt.Sprintf("nexthop add id %d%s via fe80::%x dev v%d%s", id, g.encap6(), 3+g.IntN(60000),
				g.IntN(2), g.maybe(2, "proto %d", g.protocol())))
		case 7:
			six = append(six, fmt.Sprintf("nexthop add id %d via fd00::%x dev v0%s", id, 3+g.IntN(60000),
				g.maybe(2, "proto %d", g.protocol())))
		}
	}
	for id := 5000; id < 5020; id++ {
		four = append(four, fmt.Sprintf("nexthop add id %d via 10.%d.%d.9 fdb", id, g.IntN(256), g.IntN(256)))
		six = append(six, fmt.Sprintf("nexthop add id %d via fd00::%x fdb", id+100, 3+g.IntN(60000)))
		groups = append(groups, fmt.Sprintf("nexthop add id %d group %d,%d/5019 fdb", id+1000, 5000+g.IntN(19),
			1+g.IntN(255)), fmt.Sprintf("nexthop add id %d group %d fdb proto %d", id+1100, id+100, g.protocol()))
		groups = append(groups, fmt.Sprintf("nexthop add id %d group 21/22,%d type resilient buckets %d%s%s", id+2000,
			1+g.IntN(255), 2+g.IntN(50), g.maybe(2, "idle_timer %d", g.IntN(10000)),
			g.maybe(2, "unbalanced_timer %d", g.IntN(10000))))
	}
	batch(t, "-4", four...)
	batch(t, "-6", six...)
	batch(t, "", groups...)
	if older(t, "6.9") { // which refuses to count, as what it does not know
		addWireGroup(t, 9000, nhMember{21, 1}, nhMember{22, 1})
	} else {
		addCountedGroup(t, 9000, 21, 22)
	}
}

// randomObjects makes a network with nexthop objects, and routes that use some of them.
func randomObjects(t testing.TB, seed uint64) {
	nstest.New(t)
	network(t)
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	g.objects(t)
	g.moreObjects(t, nstest.Amount(500, 100))
	var four, six []string
	for i := range nstest.Amount(400, 100) {
		four = append(four, fmt.Sprintf("route add 20.%d.%d.0/24%s table %d", i/256, i%256,
			g.object("1", "21", "22", "23", "24", "28", "29"), 100+g.IntN(3)))
		six = append(six, fmt.Sprintf("route add fd77:%x::/32%s", i, g.object("1", "2", "3", "4", "8", "9")))
	}
	batch(t, "-4", append(four, "route add 30.0.0.0/24 dev v0", "route add 30.0.1.0/24 nhid 9000")...)
	batch(t, "-6", six...)
}

// compareObjects compares every column of the nexthop objects with what ip says, and returns them
// and how many routes use each.
func compareObjects(t *testing.T, v *ipView) (got []row, uses map[uint32]int) {
	t.Helper()
	uses = v.ipUses()
	got = scan(t, tables.NexthopObjects, &rtnl.Kernel{})
	want := v.ipObjects(uses)
	for _, r := range want {
		for k, value := range r {
			if value == "" {
				delete(r, k)
			}
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows, not %d", len(got), len(want))
	}
	for i := range got {
		if columns := unlike(got[i], want[i]); len(columns) > 0 {
			t.Errorf("%v\n got %v\nwant %v", columns, got[i], want[i])
		}
	}
	return got, uses
}

// TestNexthopObjects compares every column of some hundreds of random nexthop objects with
// what ip says.
func TestNexthopObjects(t *testing.T) {
	for seed := range uint64(nstest.Amount(3, 1)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			randomObjects(t, seed)
			got, uses := compareObjects(t, newIPView(t))
			if least := nstest.Amount(500, 100); uses[9000] != 1 || uses[40] == 0 || len(got) < least {
				t.Errorf("only %d rows, and too few routes use objects: %v", len(got), uses)
			}
		})
	}
}

// objectsAsked is a kernel that notes what is asked of it.
type objectsAsked struct {
	rtnl.Kernel
	request rtnl.Request
}

func (s *objectsAsked) Read(ctx context.Context, r rtnl.Request) (*rtnl.Snapshot, error) {
	s.request = r
	return s.Kernel.Read(ctx, r)
}

var objectConditions = []struct {
	column  string
	values  []string
	numbers []uint32 // that the kernel is asked for; nil: all objects
	least   int      // rows
	since   string   // Linux; before it there are no such rows
}{
	{"nexthop_id", []string{"21"}, []uint32{21}, 1, ""},
	{"nexthop_id", []string{"21.0", "60", "9000"}, []uint32{21, 60, 9000}, 6, ""},
	{"nexthop_id", []string{"4294967295", "9000"}, []uint32{4294967295, 9000}, 2, ""},
	{"nexthop_id", []string{"123456"}, []uint32{123456}, 0, ""},
	{"nexthop_id", []string{"0"}, []uint32{0}, 0, ""},
	{"nexthop_id", []string{"-1", "21"}, []uint32{21}, 1, ""},
	{"nexthop_id", []string{"no number"}, []uint32{}, 0, ""},
	{"group_member_id", []string{"21"}, nil, 2, ""},
	{"gateway", []string{"FD00::9"}, nil, 1, ""},
	{"group_type", []string{"resilient"}, nil, 20, "5.13"},
	{"fdb", []string{"1"}, nil, 40, ""},
	{"blackhole", []string{"1"}, nil, 2, ""},
	{"hw_stats", []string{"1"}, nil, 2, "6.9"},
	{"dev", []string{"v0"}, nil, 2, ""},
	{"protocol", []string{"bgp", "186"}, nil, 1, ""},
}

// TestNexthopObjectConditions asks for few objects, in ways that the kernel can and cannot be
// asked, and compares the answer with that of all.
func TestNexthopObjectConditions(t *testing.T) {
	randomObjects(t, 7)
	table := tables.NexthopObjects
	kind := object.NexthopObjects.Kind
	routes := table.Column("routes")
	all := scan(t, table, &rtnl.Kernel{})
	for _, c := range objectConditions {
		var constraints []tables.Constraint
		for _, v := range c.values {
			constraints = append(constraints, where(table, c.column, tables.Equals, v))
		}
		used := make([]bool, len(table.Columns))
		for i := range used {
			used[i] = i != routes
		}
		src := &objectsAsked{}
		rows, err := table.Scan(t.Context(), src, tables.Query{Constraints: constraints, Used: used})
		if err != nil {
			t.Fatal(err)
		}
		var got []row
		for rows.Next() {
			r := row{}
			for i, col := range table.Columns {
				if v, ok := table.AppendValue(nil, rows, i); ok && used[i] {
					r[col.Name] = string(v)
				}
			}
			got = append(got, r)
		}
		var want []row
		for _, r := range all {
			r = maps.Clone(r)
			delete(r, "routes")
			if slices.ContainsFunc(c.values, func(v string) bool {
				return r[c.column] != "" && strings.EqualFold(strings.TrimSuffix(v, ".0"), r[c.column])
			}) {
				want = append(want, r)
			}
		}
		for i := range want {
			if c.column == "gateway" { // as it was asked for
				want[i]["gateway"] = c.values[0]
			}
		}
		if !reflect.DeepEqual(got, want) || len(got) < c.least && !older(t, c.since) {
			t.Errorf("%s = %q:\n got %v\nwant %v", c.column, c.values, got, want)
		}
		if numbers := src.request.Numbers[kind]; !slices.Equal(numbers, c.numbers) {
			t.Errorf("%s = %q: asked for %v", c.column, c.values, numbers)
		}
		if len(src.request.Along) > 0 || slices.Contains(src.request.Kinds, object.Routes.Kind) {
			t.Errorf("%s = %q: asked for %v along", c.column, c.values, src.request.Along)
		}
	}
	// All routes are read for their number alone.
	src := &objectsAsked{}
	for _, r := range scan(t, table, src, where(table, "nexthop_id", tables.Equals, "21")) {
		i := slices.IndexFunc(all, func(a row) bool { return a["nexthop_id"] == "21" })
		if !reflect.DeepEqual(r, all[i]) {
			t.Errorf("got %v\nwant %v", r, all[i])
		}
	}
	if !slices.Equal(src.request.Along, []*object.Kind{object.Routes.Kind}) {
		t.Errorf("asked for %v along", src.request.Along)
	}
}

// TestNexthopObjectsInCapture writes objects and reads them again, with those that no route
// uses, and how many routes use the others.
func TestNexthopObjectsInCapture(t *testing.T) {
	randomObjects(t, 8)
	var file bytes.Buffer
	if err := capture.Write(t.Context(), new(rtnl.Kernel), &file); err != nil {
		t.Fatal(err)
	}
	c, err := capture.Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	got, want := scan(t, tables.NexthopObjects, c), scan(t, tables.NexthopObjects, &rtnl.Kernel{})
	unused := 0
	for _, r := range want {
		if r["routes"] == "0" {
			unused++
		}
	}
	if report(t, "capture", differences(got, want, "capture", "kernel")); unused == 0 || unused == len(want) {
		t.Errorf("%d of %d objects are used by no route", unused, len(want))
	}
}

// TestNexthopObjectsOfInstant answers from one snapshot of routes and objects, as a statement
// with several tables does.
func TestNexthopObjectsOfInstant(t *testing.T) {
	randomObjects(t, 9)
	request := tables.NexthopObjects.Request(iproute2.HostNames(), tables.Query{})
	request = request.Union(tables.Routes.Request(iproute2.HostNames(), tables.Query{Constraints: []tables.Constraint{
		where(tables.Routes, "dst", tables.Equals, "30.0.0.0/24")}}))
	s, err := new(rtnl.Kernel).Read(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	instant := s.Instant(iproute2.HostNames())
	got, want := scan(t, tables.NexthopObjects, instant), scan(t, tables.NexthopObjects, &rtnl.Kernel{})
	for _, rows := range [][]row{got, want} {
		for _, r := range rows {
			delete(r, netnsID) // which a snapshot does not know
		}
	}
	report(t, "instant", differences(got, want, "instant", "kernel"))
}
