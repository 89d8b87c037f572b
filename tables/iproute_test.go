package tables_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kernelroutes/internal/nametest"
	"kernelroutes/rtnl/iproute2"
)

// A row is the values of a row by column; absent ones, and empty text, are left
// out.
type row map[string]string

// A route is a row of kernel_routes with its rows of kernel_route_nexthops.
type route struct {
	row
	hops []row
}

// flat is a route as one row: nexthop columns have the nexthop's place in front.
func (r route) flat() row {
	all := maps.Clone(r.row)
	for i, h := range r.hops {
		for k, v := range h {
			all[fmt.Sprintf("nexthop%d.%s", i, k)] = v
		}
	}
	return all
}

// ipRealm0 stands for realm 0, which iproute2 names by its rt_realms file or
// else "unknown", depending on whether it has had to look into the file before.
const ipRealm0 = "realm 0"

func canonicalRealm(name string) string {
	if name == "unknown" || name == iproute2.HostNames().Realm(0) {
		return ipRealm0
	}
	return name
}

// An ipView is what ip says of the namespace that the test is in.
type ipView struct {
	t      testing.TB
	links  map[string]row        // dev_index, dev_kind, dev_operstate by name
	vrfs   map[string]string     // VRF devices by the number of their table
	in     map[string]string     // VRF devices by what is in them
	single map[uint32]jsonObject // nexthop objects
	groups map[uint32][]nhMember // from the kernel's bytes: ip 6.1 cuts weights to 8 bits
}

func newIPView(t testing.TB) *ipView {
	v := &ipView{t: t, links: map[string]row{}, single: map[uint32]jsonObject{}, groups: wireGroups(t),
		vrfs: map[string]string{}, in: map[string]string{}}
	for _, l := range ipJSON(t, "-d -j link show") {
		link := row{"dev_index": l.text("ifindex"), "dev_operstate": l.text("operstate")}
		if info, ok := l.get("linkinfo").(jsonObject); ok {
			link["dev_kind"] = info.text("info_kind")
			v.linkVRF(l, info)
		}
		v.links[l.text("ifname")] = link
	}
	for _, o := range ipJSON(t, "-s -d -j nexthop show") {
		v.single[number(o.text("id"))] = o
	}
	return v
}

// linkVRF notes that an interface is a VRF device, or in one.
func (v *ipView) linkVRF(l, info jsonObject) {
	if info.text("info_kind") == "vrf" {
		table := info.get("info_data").(jsonObject).text("table")
		if v.vrfs[table] == "" { // the one that was made first
			v.vrfs[table] = l.text("ifname")
		}
	}
	if info.text("info_slave_kind") == "vrf" {
		v.in[l.text("ifname")] = l.text("master")
	}
}

func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}

// routes returns what ip says of the routes of both families. Names and numbers
// come from two runs.
func (v *ipView) routes() []route {
	v.t.Helper()
	var all []route
	families := map[string]string{"ipv4": "-4", "ipv6": "-6"}
	if hasMPLS() {
		families["mpls"] = "-f mpls"
	}
	for family, flag := range families {
		named := ipJSON(v.t, flag+" -s -d -j route show table all")
		numeric := ipJSON(v.t, flag+" -N -s -d -j route show table all")
		if len(named) != len(numeric) {
			v.t.Fatalf("ip printed %d routes, then %d", len(named), len(numeric))
		}
		for i := range named {
			all = append(all, v.route(family, named[i], numeric[i]))
		}
	}
	return all
}

// route makes the expected row of what ip printed.
func (v *ipView) route(family string, o, numeric jsonObject) route {
	o, enc := v.takeEncap(o)
	numeric, _ = v.takeEncap(numeric)
	if o.text("dst") != numeric.text("dst") {
		v.t.Fatalf("ip printed %v, then %v", o, numeric)
	}
	r := row{"family": family, "src_len": "0", "tos": "0", "unknown_attrs": "[]", "snapshot_consistent": "1",
		"table_id": numeric.text("table"), "metric": "0"}
	switch family {
	case "mpls": // of which ip says neither
		r["table_id"], r["table_name"] = "254", "main"
		delete(r, "metric")
	case "ipv6":
		for _, k := range []string{"clntref", "last_use", "expires", "error", "used", "id", "ts", "tsage"} {
			r["cache_"+k] = "0"
		}
	}
	single := row{"weight": "1", "flags": "0"}
	maps.Copy(single, enc)
	var hops []row
	for _, m := range o {
		hops = append(hops, v.routeMember(r, single, o, numeric, m)...)
	}
	switch {
	case v.blackhole(r["nexthop_id"]):
		hops = nil // ip shows the loopback interface in it, or nothing
	case hops != nil:
		if r["nexthop_id"] != "" {
			// RTA_MULTIPATH cuts weights to 8 bits and does not name the members.
			for i, m := range v.groups[number(r["nexthop_id"])] {
				hops[i]["nexthop_id"], hops[i]["weight"] = fmt.Sprint(m.id), fmt.Sprint(m.weight)
			}
		}
	case single["dev"] != "" || single["gateway"] != "":
		hops = []row{single}
		if group := v.groups[number(cmp.Or(r["nexthop_id"], "0"))]; len(group) == 1 {
			single["nexthop_id"], single["weight"] = fmt.Sprint(group[0].id), fmt.Sprint(group[0].weight)
		}
	case r["nexthop_id"] != "":
		hops = v.object(number(r["nexthop_id"]))
	}
	r["nexthop_count"], r["vrf"] = strconv.Itoa(len(hops)), v.vrfs[r["table_id"]]
	for _, k := range []string{"realm_from", "realm_to"} {
		if single[k] != "" {
			r[k] = single[k]
		}
	}
	if len(hops) == 1 {
		for _, k := range append([]string{"gateway", "gateway_family", "dev", "dev_index", "encap_type", "encap",
			"newdst"}, encapCounters...) {
			if hops[0][k] != "" {
				r[k] = hops[0][k]
			}
		}
		for k, s := range v.links[r["dev"]] {
			r[k] = s
		}
	}
	addHidden(v.t, r)
	for i, h := range hops {
		h["nexthop_index"] = strconv.Itoa(i)
		h["unknown_attrs"], h["snapshot_consistent"] = "[]", "1"
		for _, k := range slices.Concat(sharedColumns, ofNamespace) {
			if r[k] != "" {
				h[k] = r[k]
			}
		}
		maps.Copy(h, v.links[h["dev"]]) // its own, which the route has for a single nexthop alone
	}
	empty := func(_, v string) bool { return v == "" }
	maps.DeleteFunc(r, empty)
	for _, h := range hops {
		maps.DeleteFunc(h, empty)
	}
	return route{r, hops}
}

// routeMember puts a member of a route's object into the row, and into that of its single
// nexthop. It returns the rows of several.
func (v *ipView) routeMember(r, single row, o, numeric jsonObject, m member) (hops []row) {
	family := r["family"]
	s := jsonText(m.value)
	switch m.key {
	case "type", "scope", "prefsrc", "metric", "pref", "mark", "uid":
		r[m.key] = s
	case "protocol":
		if n, err := strconv.ParseUint(s, 10, 8); err == nil {
			s = nametest.New(nil).Protocol(uint8(n)) // iproute2 6.1 lacks some: mrouted, ovn, openr
		}
		r["protocol"] = s
	case "table":
		r["table_name"] = s
	case "dst":
		r["dst"], r["dst_len"] = v.prefix(family, s)
	case "from":
		r["src"], r["src_len"] = v.prefix(family, s)
	case "nhid":
		r["nexthop_id"], single["nexthop_id"] = s, s
	case "tos":
		n, err := strconv.ParseUint(numeric.text("tos"), 0, 8)
		if err != nil {
			v.t.Fatal(err)
		}
		r["tos"] = strconv.FormatUint(n, 10)
	case "gateway", "via", "dev", "flow", "to":
		v.hopMember(single, family, m)
	case "ttl-propogate": // in its own spelling
		r["ttl_propagate"] = map[any]string{true: "1", false: "0"}[m.value]
	case "flags":
		r["flag_names"] = flagNames(m.value)
		single["flag_names"] = r["flag_names"]
	case "expires":
		r["expires"], r["cache_expires"] = s, s
	case "error":
		r["cache_error"] = s
	case "users":
		r["cache_clntref"] = s
	case "used":
		r["cache_used"] = s
	case "age":
		r["cache_last_use"] = s
	case "metrics":
		for _, metrics := range objects(m.value) {
			v.metrics(r, metrics)
		}
	case "nexthops":
		for _, h := range objects(m.value) {
			hops = append(hops, v.hop(family, h))
		}
	case "nh_info": // the nexthop object, see below
	default:
		v.t.Fatalf("ip printed %q, of which this test knows nothing: %v", m.key, o)
	}
	return hops
}

// sharedColumns are the columns of a nexthop that are its route's.
var sharedColumns = []string{"family", "table_id", "table_name", "dst", "metric", "type", "protocol", "scope",
	"dst_len", "tos", "vrf", "dst_first", "dst_last", "src_first", "src_last"}

// blackhole reports whether a nexthop object is a blackhole, or a group of one.
func (v *ipView) blackhole(id string) bool {
	if id == "" {
		return false
	}
	n := number(id)
	if group := v.groups[n]; len(group) == 1 {
		n = group[0].id
	}
	return slices.ContainsFunc(v.single[n], func(m member) bool { return m.key == "blackhole" })
}

// object returns the nexthops that a nexthop object is.
func (v *ipView) object(id uint32) []row {
	o, ok := v.single[id]
	if !ok {
		v.t.Fatalf("ip printed no nexthop object %d", id)
	}
	if v.groups[id] == nil {
		return []row{v.objectHop(o, 1)}
	}
	var hops []row
	for _, m := range v.groups[id] {
		hops = append(hops, v.objectHop(v.single[m.id], m.weight))
	}
	return hops
}

func (v *ipView) objectHop(o jsonObject, weight uint32) row {
	o, h := v.takeEncap(o)
	h["weight"] = strconv.FormatUint(uint64(weight), 10)
	for _, m := range o {
		switch m.key {
		case "id":
			h["nexthop_id"] = jsonText(m.value)
		case "gateway", "via", "dev":
			v.hopMember(h, "", m)
		case "flags":
			h["flag_names"] = flagNames(m.value)
		case "scope", "protocol", "blackhole", "group", "fdb":
		default:
			v.t.Fatalf("ip printed %q for a nexthop object, of which this test knows nothing: %v", m.key, o)
		}
	}
	return h
}

// hop reads a member of a multipath route.
func (v *ipView) hop(family string, o jsonObject) row {
	o, h := v.takeEncap(o)
	if family == "mpls" {
		h["weight"] = "1" // which ip does not print there
	}
	for _, m := range o {
		switch m.key {
		case "weight":
			h["weight"] = jsonText(m.value)
		case "flags":
			h["flag_names"] = flagNames(m.value)
		case "gateway", "via", "dev", "flow", "to":
			v.hopMember(h, family, m)
		default:
			v.t.Fatalf("ip printed %q for a nexthop, of which this test knows nothing: %v", m.key, o)
		}
	}
	return h
}

func (v *ipView) hopMember(h row, family string, m member) {
	switch m.key {
	case "gateway":
		v.gateway(h, m.value.(string))
		if family != "" && h["gateway_family"] != family {
			v.t.Fatalf("%s route with gateway %v", family, m.value)
		}
	case "to":
		h["newdst"] = m.value.(string)
	case "via":
		via := m.value.(jsonObject)
		if via.text("family") == "link" {
			h["gateway"], h["gateway_family"] = via.text("host"), "link"
			return
		}
		v.gateway(h, via.text("host"))
		if want := map[string]string{"inet": "ipv4", "inet6": "ipv6"}[via.text("family")]; h["gateway_family"] != want {
			v.t.Fatalf("via %v", via)
		}
	case "dev":
		h["dev"] = m.value.(string)
		h["dev_index"] = v.links[h["dev"]]["dev_index"]
	case "flow":
		flow := m.value.(jsonObject)
		if from := flow.text("from"); from != "" {
			h["realm_from"] = from
		}
		h["realm_to"] = canonicalRealm(flow.text("to"))
	}
}

func (v *ipView) gateway(h row, s string) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		v.t.Fatal(err)
	}
	h["gateway"], h["gateway_family"] = s, "ipv6"
	if a.Is4() {
		h["gateway_family"] = "ipv4"
	}
}

// prefix reads "default", an address or a prefix.
func (v *ipView) prefix(family, s string) (prefix, length string) {
	if family == "mpls" {
		return s, "20" // a label
	}
	any, bits := "0.0.0.0", 32
	if family == "ipv6" {
		any, bits = "::", 128
	}
	if s == "default" {
		s = any + "/0"
	}
	if !strings.Contains(s, "/") {
		s = fmt.Sprintf("%s/%d", s, bits)
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().BitLen() != bits {
		v.t.Fatalf("%s prefix %s: %v", family, s, err)
	}
	return s, strconv.Itoa(p.Bits()) // in its own spelling
}

func (v *ipView) metrics(r row, o jsonObject) {
	var features []string
	for _, m := range o {
		s := jsonText(m.value)
		switch m.key {
		case "ecn", "tcp_usec_ts":
			features = append(features, m.key)
		case "congestion":
			r["congctl"] = s
		case "mtu", "advmss", "window", "hoplimit", "initcwnd", "initrwnd", "rtt", "rttvar", "ssthresh", "cwnd",
			"reordering", "rto_min", "quickack", "fastopen_no_cookie":
			r[m.key] = s
		default:
			v.t.Fatalf("ip printed the metric %q, of which this test knows nothing", m.key)
		}
	}
	if features != nil {
		r["features"] = strings.Join(features, ",")
	}
}

func flagNames(v any) string {
	var names []string
	all, _ := v.([]any) // ip 5.10 prints none for nexthop groups
	for _, f := range all {
		names = append(names, f.(string))
	}
	return strings.Join(names, ",")
}
