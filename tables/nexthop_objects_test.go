package tables_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/nametest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
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
func (v *ipView) ipObjects(routes map[uint32]int, hwStats func(id uint32) string) (rows []row) {
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
			"scope": o.text("scope"), "protocol": ipProtocol(o.text("protocol")), "flag_names": flagNames(o.get("flags")),
			"blackhole": v.hasKey(o, "blackhole"), "fdb": v.hasKey(o, "fdb"), "encap_type": encap["encap_type"],
			"encap": encap["encap"], "routes": fmt.Sprint(routes[id]), "unknown_attrs": "[]", "snapshot_consistent": "1",
			netnsID: hidden[netnsID], "pid_with_namespace": "0", "onlink": "0"}
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
		rows = append(rows, v.ipMembers(r, o, hwStats)...)
	}
	return rows
}

// ipMembers returns an object's row for each member, if it is a group.
func (v *ipView) ipMembers(r row, o jsonObject, hwStats func(id uint32) string) (rows []row) {
	group, ok := o.get("group").([]any)
	if !ok {
		return []row{r}
	}
	id := number(r["nexthop_id"])
	r["group_type"], r["hw_stats"] = "mpath", hwStats(id)
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
			four = append(four, fmt.Sprintf("nexthop add id %d dev %s", id, g.pick("v0", "v1", "br0", "p0")))
		case 3:
			six = append(six, fmt.Sprintf("nexthop add id %d dev %s", id, g.pick("v0", "v1", "p0")))
		case 4:
			four = append(four, fmt.Sprintf("nexthop add id %d via 10.77.%d.%d dev v1 onlink proto %d", id, g.IntN(256),
				g.IntN(256), g.protocol()))
		case 5:
			four = append(four, fmt.Sprintf("nexthop add id %d via 10.0.%d.%d dev v%d%s%s", id, id%2, 3+g.IntN(250), id%2,
				g.encap4(), g.maybe(2, "proto %d", g.protocol())))
		case 6:
			six = append(six, fmt.Sprintf("nexthop add id %d via fe80::%x dev v%d%s%s", id, 3+g.IntN(60000), g.IntN(2),
				g.encap6(), g.maybe(2, "proto %d", g.protocol())))
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
	addCountedGroup(t, 9000, 21, 22)
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

// TestNexthopObjects compares every column of some hundreds of random nexthop objects with
// what ip says.
func TestNexthopObjects(t *testing.T) {
	for seed := range uint64(nstest.Amount(3, 1)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			randomObjects(t, seed)
			v := newIPView(t)
			uses := v.ipUses()
			got := scan(t, tables.NexthopObjects, &rtnl.Kernel{})
			want := v.ipObjects(uses, func(id uint32) string {
				if id == 9000 {
					return "1"
				}
				return "0"
			})
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
			if uses[9000] != 1 || uses[40] == 0 {
				t.Errorf("too few routes use objects: %v", uses)
			}
		})
	}
}
