package tables_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kernelroutes/rtnl"
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

// An object is a JSON object of ip with its members in order. ip prints an
// encap's fields among the route's own, so that a key may come twice.
type object []member

type member struct {
	key   string
	value any // string, json.Number, bool, nil, object, []any
}

// get returns the first member of that name.
func (o object) get(key string) any {
	for _, m := range o {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

func (o object) text(key string) string { return jsonText(o.get(key)) }

func jsonText(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// objects returns an array of objects.
func objects(v any) []object {
	var all []object
	for _, e := range v.([]any) {
		all = append(all, e.(object))
	}
	return all
}

func readJSON(d *json.Decoder) any {
	switch token, err := d.Token(); {
	case err != nil:
		panic(err)
	case token == json.Delim('{'):
		o := object{}
		for d.More() {
			key, _ := d.Token()
			o = append(o, member{key.(string), readJSON(d)})
		}
		d.Token()
		return o
	case token == json.Delim('['):
		a := []any{}
		for d.More() {
			a = append(a, readJSON(d))
		}
		d.Token()
		return a
	default:
		return token
	}
}

// ipJSON runs ip with arguments that make it print an array of objects.
func ipJSON(t testing.TB, args string) []object {
	t.Helper()
	cmd := exec.Command("ip", strings.Fields(args)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 || !json.Valid(out) {
		t.Fatalf("ip %s: %v\n%s%.2000s", args, err, &stderr, out)
	}
	d := json.NewDecoder(bytes.NewReader(out))
	d.UseNumber()
	return objects(readJSON(d))
}

// ipRealm0 stands for realm 0, which iproute2 names by its rt_realms file or
// else "unknown", depending on whether it has had to look into the file before.
const ipRealm0 = "realm 0"

func canonicalRealm(name string) string {
	if name == "unknown" || name == rtnl.HostNames().Realm(0) {
		return ipRealm0
	}
	return name
}

// An ipView is what ip says of the namespace that the test is in.
type ipView struct {
	t      testing.TB
	links  map[string]row        // dev_index, dev_kind, dev_operstate by name
	single map[uint32]object     // nexthop objects
	groups map[uint32][]nhMember // from the kernel's bytes: ip 6.1 cuts weights to 8 bits
}

func newIPView(t testing.TB) *ipView {
	v := &ipView{t: t, links: map[string]row{}, single: map[uint32]object{}, groups: wireGroups(t)}
	for _, l := range ipJSON(t, "-d -j link show") {
		link := row{"dev_index": l.text("ifindex"), "dev_operstate": l.text("operstate")}
		if info, ok := l.get("linkinfo").(object); ok {
			link["dev_kind"] = info.text("info_kind")
		}
		v.links[l.text("ifname")] = link
	}
	for _, o := range ipJSON(t, "-s -d -j nexthop show") {
		v.single[number(o.text("id"))] = o
	}
	return v
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
	for family, flag := range map[string]string{"ipv4": "-4", "ipv6": "-6"} {
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
func (v *ipView) route(family string, o, numeric object) route {
	o, enc := v.takeEncap(o)
	numeric, _ = v.takeEncap(numeric)
	if o.text("dst") != numeric.text("dst") {
		v.t.Fatalf("ip printed %v, then %v", o, numeric)
	}
	r := row{"family": family, "src_len": "0", "tos": "0", "unknown_attrs": "[]", "snapshot_consistent": "1",
		"table_id": numeric.text("table"), "metric": "0"}
	if family == "ipv6" {
		for _, k := range []string{"clntref", "last_use", "expires", "error", "used", "id", "ts", "tsage"} {
			r["cache_"+k] = "0"
		}
	}
	only := row{"weight": "1", "flags": "0"}
	maps.Copy(only, enc)
	var hops []row
	for _, m := range o {
		s := jsonText(m.value)
		switch m.key {
		case "type", "scope", "prefsrc", "metric", "pref", "mark", "uid":
			r[m.key] = s
		case "protocol":
			if n, err := strconv.ParseUint(s, 10, 8); err == nil {
				s = rtnl.BuiltinNames().Protocol(uint8(n)) // iproute2 6.1 lacks some: mrouted, ovn, openr
			}
			r["protocol"] = s
		case "table":
			r["table_name"] = s
		case "dst":
			r["dst"], r["dst_len"] = v.prefix(family, s)
		case "from":
			r["src"], r["src_len"] = v.prefix(family, s)
		case "nhid":
			r["nexthop_id"], only["nexthop_id"] = s, s
		case "tos":
			n, err := strconv.ParseUint(numeric.text("tos"), 0, 8)
			if err != nil {
				v.t.Fatal(err)
			}
			r["tos"] = strconv.FormatUint(n, 10)
		case "gateway", "via", "dev", "flow":
			v.hopMember(only, family, m)
		case "flags":
			r["flag_names"] = flagNames(m.value)
			only["flag_names"] = r["flag_names"]
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
	case only["dev"] != "" || only["gateway"] != "":
		hops = []row{only}
		if group := v.groups[number(cmp.Or(r["nexthop_id"], "0"))]; len(group) == 1 {
			only["nexthop_id"], only["weight"] = fmt.Sprint(group[0].id), fmt.Sprint(group[0].weight)
		}
	case r["nexthop_id"] != "":
		hops = v.object(number(r["nexthop_id"]))
	}
	r["nexthop_count"] = strconv.Itoa(len(hops))
	for _, k := range []string{"realm_from", "realm_to"} {
		if only[k] != "" {
			r[k] = only[k]
		}
	}
	if len(hops) == 1 {
		for _, k := range append([]string{"gateway", "gateway_family", "dev", "dev_index", "encap_type", "encap"}, encapCounters...) {
			if hops[0][k] != "" {
				r[k] = hops[0][k]
			}
		}
		for k, s := range v.links[r["dev"]] {
			r[k] = s
		}
	}
	for i, h := range hops {
		h["nexthop_index"] = strconv.Itoa(i)
		h["unknown_attrs"], h["snapshot_consistent"] = "[]", "1"
		for _, k := range sharedColumns {
			if r[k] != "" {
				h[k] = r[k]
			}
		}
	}
	empty := func(_, v string) bool { return v == "" }
	maps.DeleteFunc(r, empty)
	for _, h := range hops {
		maps.DeleteFunc(h, empty)
	}
	return route{r, hops}
}

// sharedColumns are the columns of a nexthop that are its route's.
var sharedColumns = []string{"family", "table_id", "table_name", "dst", "metric"}

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

func (v *ipView) objectHop(o object, weight uint32) row {
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
func (v *ipView) hop(family string, o object) row {
	o, h := v.takeEncap(o)
	for _, m := range o {
		switch m.key {
		case "weight":
			h["weight"] = jsonText(m.value)
		case "flags":
			h["flag_names"] = flagNames(m.value)
		case "gateway", "via", "dev", "flow":
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
	case "via":
		via := m.value.(object)
		v.gateway(h, via.text("host"))
		if want := map[string]string{"inet": "ipv4", "inet6": "ipv6"}[via.text("family")]; h["gateway_family"] != want {
			v.t.Fatalf("via %v", via)
		}
	case "dev":
		h["dev"] = m.value.(string)
		h["dev_index"] = v.links[h["dev"]]["dev_index"]
	case "flow":
		flow := m.value.(object)
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

func (v *ipView) metrics(r row, o object) {
	var features []string
	for _, m := range o {
		s := jsonText(m.value)
		switch m.key {
		case "ecn", "tcp_usec_ts":
			features = append(features, m.key)
		case "congestion":
			r["congctl"] = s
		case "mtu", "advmss", "window", "hoplimit", "initcwnd", "initrwnd", "rtt", "rttvar", "ssthresh", "cwnd", "reordering", "rto_min", "quickack", "fastopen_no_cookie":
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
	for _, f := range v.([]any) {
		names = append(names, f.(string))
	}
	return strings.Join(names, ",")
}

// encapKeys are the members that belong to an encap, in ip's order.
var encapKeys = map[string][]string{
	"ip":        {"id", "src", "dst", "ttl", "tos", "key", "csum", "seq"},
	"ip6":       {"id", "src", "dst", "hoplimit", "tc", "key", "csum", "seq"},
	"seg6":      {"mode", "segs", "hmac"},
	"seg6local": {"action", "srh", "table", "vrftable", "nh4", "nh6", "iif", "oif", "stats64", "flavors", "lblen", "nflen"},
}

// takeEncap takes an encap out of an object and returns its columns, in the
// words of ip -d route without -j.
func (v *ipView) takeEncap(o object) (rest object, columns row) {
	i := slices.IndexFunc(o, func(m member) bool { return m.key == "encap" })
	if i < 0 {
		return o, row{}
	}
	typ, isRoute := o[i].value.(string), o.get("type") != nil
	keys, ok := encapKeys[typ]
	if !ok {
		v.t.Fatalf("ip printed encap %s, of which this test knows nothing", typ)
	}
	end := i + 1
	for ; end < len(o); end++ {
		n := slices.Index(keys, o[end].key)
		// The last table of a route is its own.
		if n < 0 || o[end].key == "table" && isRoute && !slices.ContainsFunc(o[end+1:], func(m member) bool { return m.key == "table" }) {
			break
		}
		keys = keys[n+1:]
	}
	columns = row{"encap_type": typ, "encap": typ + v.encapText(o[i+1:end])}
	if counters, ok := o[i+1 : end].get("stats64").(object); ok {
		for _, c := range counters {
			columns["encap_"+c.key] = jsonText(c.value)
		}
	}
	return slices.Concat(o[:i], o[end:]), columns
}

// encapCounters are the columns of the counters of an encap.
var encapCounters = []string{"encap_packets", "encap_bytes", "encap_errors"}

func (v *ipView) encapText(members object) string {
	var b strings.Builder
	for _, m := range members {
		switch {
		case m.key == "segs":
			segs := m.value.([]any)
			fmt.Fprintf(&b, " segs %d [ ", len(segs))
			for _, s := range segs {
				fmt.Fprint(&b, s, " ")
			}
			b.WriteByte(']')
		case m.key == "srh":
			b.WriteString(v.encapText(m.value.(object)))
		case m.key == "stats64": // which have columns of their own
		case m.key == "hmac":
			fmt.Fprintf(&b, " hmac %s", strings.ToUpper(strings.TrimPrefix(m.value.(string), "0x")))
		case m.key == "flavors":
			fmt.Fprintf(&b, " flavors %s", flagNames(m.value))
		case m.value == true:
			b.WriteString(" " + m.key)
		default:
			fmt.Fprintf(&b, " %s %v", m.key, m.value)
		}
	}
	return b.String()
}
