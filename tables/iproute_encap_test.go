package tables_test

import (
	"fmt"
	"slices"
	"strings"
)

// encapKeys are the members that belong to an encap, in ip's order.
var encapKeys = map[string][]string{
	"ip":   {"id", "src", "dst", "ttl", "tos", "key", "csum", "seq"},
	"ip6":  {"id", "src", "dst", "hoplimit", "tc", "key", "csum", "seq"},
	"seg6": {"mode", "tunsrc", "segs", "hmac"},
	"seg6local": {"action", "srh", "table", "vrftable", "nh4", "nh6", "iif", "oif", "stats64", "flavors", "lblen",
		"nflen"},
	"mpls": {"dst", "ttl"},
	"ila":  {"locator", "csum_mode", "ident_type", "hook_type"},
	"rpl":  {"segs"},
	"xfrm": {"if_id", "link_dev"},
}

// encapWords are the words of ip -d route for members that have another one in JSON, or none.
var encapWords = map[string]string{"mpls dst": "", "ila locator": "", "ila csum_mode": " csum-mode",
	"ila ident_type": " ident-type", "ila hook_type": " hook-type"}

// takeEncap takes an encap out of an object and returns its columns, in the
// words of ip -d route without -j.
func (v *ipView) takeEncap(o jsonObject) (rest jsonObject, columns row) {
	i := slices.IndexFunc(o, func(m member) bool { return m.key == "encap" })
	if i < 0 {
		return o, row{}
	}
	if within, ok := o[i].value.(jsonObject); ok { // iproute2 since 6.2 or so
		all := within[slices.IndexFunc(within, func(m member) bool { return m.key == "encap_type" })+1:]
		return slices.Delete(slices.Clone(o), i, i+1), v.encapColumns(within.text("encap_type"), all)
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
		if n < 0 || o[end].key == "table" && isRoute && !slices.ContainsFunc(o[end+1:],
			func(m member) bool { return m.key == "table" }) {
			break
		}
		keys = keys[n+1:]
	}
	return slices.Concat(o[:i], o[end:]), v.encapColumns(typ, o[i+1:end])
}

// encapColumns returns the columns of an encap with these members.
func (v *ipView) encapColumns(typ string, members jsonObject) row {
	columns := row{"encap_type": typ, "encap": typ + v.encapText(typ, members)}
	if counters, ok := members.get("stats64").(jsonObject); ok {
		for _, c := range counters {
			columns["encap_"+c.key] = jsonText(c.value)
		}
	}
	return columns
}

// encapCounters are the columns of the counters of an encap.
var encapCounters = []string{"encap_packets", "encap_bytes", "encap_errors"}

func (v *ipView) encapText(typ string, members jsonObject) string {
	var b strings.Builder
	for _, m := range members {
		word, special := encapWords[typ+" "+m.key]
		switch {
		case special:
			fmt.Fprintf(&b, "%s %v", word, m.value)
		case !slices.Contains(encapKeys[typ], m.key) && typ != "":
			v.t.Fatalf("ip printed %q for encap %s, of which this test knows nothing", m.key, typ)
		case m.key == "segs":
			segs := m.value.([]any)
			fmt.Fprintf(&b, " segs %d [ ", len(segs))
			for _, s := range segs {
				fmt.Fprint(&b, s, " ")
			}
			b.WriteByte(']')
		case m.key == "srh":
			b.WriteString(v.encapText("seg6", m.value.(jsonObject)))
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
