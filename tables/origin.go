package tables

import (
	"slices"
	"strings"

	"kernelroutes/rtnl/object"
)

// What is known of a column's values beside their description: unit, source and since when Linux has
// them. Each is declared once. The unit is a word of the description, which a declaration has in
// brackets: "Path MTU in [bytes]". The source is named by from, or follows from the attributes that
// the column needs; and since when Linux has it follows from the attributes that the source names, or
// else is said by since. The description that everybody reads is put together by settle.

// Sources that several columns have.
const (
	askedFor  = "what the query asks for"
	ofGateway = "RTA_GATEWAY or RTA_VIA, or NHA_GATEWAY of the nexthop object"

	// tunnelTypes describes a type of tunnel, with the Linux that each came with (LWTUNNEL_ENCAP_*).
	tunnelTypes = "Type of the tunnel: mpls, ip, ila, ip6, seg6 and bpf (Linux 4.10), seg6local (4.14), rpl (5.7), " +
		"ioam6 (5.15), xfrm (6.1); empty for none"

	// vrfsSince is the first Linux with VRFs (193125dbd8eb).
	vrfsSince = "4.3"
	// matchesSince is the first Linux with RTM_F_FIB_MATCH (b61798130f1b for IPv4).
	matchesSince = "4.13"
	// countersSince is the first Linux in which a seg6local action counts (94604548aa71).
	countersSince = "5.13"
)

// ofVRF is where the name of a table's VRF is from.
func ofVRF(table string) string { return "IFLA_IFNAME of the VRF whose IFLA_VRF_TABLE is " + table }

// ofMetric says that the values come from a route metric.
func (c column[R]) ofMetric(m object.Metric) column[R] {
	return c.from(m.Constant() + " in RTA_METRICS").since(m.Since)
}

// metricNumbered returns the metric of a number.
func metricNumbered(number uint8) object.Metric {
	i := slices.IndexFunc(object.RouteMetrics, func(m object.Metric) bool { return m.Number == number })
	return object.RouteMetrics[i]
}

// cutUnit cuts the brackets around the unit from a description.
func cutUnit(marked string) (description, unit string) {
	before, rest, _ := strings.Cut(marked, "[")
	unit, after, ok := strings.Cut(rest, "]")
	lower := strings.ToLower(unit)
	if !ok || unit == "" || strings.Trim(lower, "abcdefghijklmnopqrstuvwxyz") != "" {
		return marked, ""
	}
	return before + unit + after, lower
}

// from says where the values come from: constants of the kernel's, as RTA_PRIORITY, members of its
// structs, as rtm_protocol, and words.
func (c column[R]) from(source string) column[R] {
	c.Source = source
	return c
}

// since says which Linux is the first that has the values, "" for all that Go runs on.
func (c column[R]) since(linux string) column[R] {
	c.Since = linux
	return c
}

// settle works out what a declaration leaves to be worked out, for a table that Linux has since some
// version itself.
func (c *column[R]) settle(tableSince string) {
	if c.Source == "" {
		c.Source = strings.Join(attributesIn(c.needs.fields), " or ")
	}
	if c.Since == "" {
		c.Since = sourceSince(c.Source)
	}
	if later(tableSince, c.Since) {
		c.Since = tableSince
	}
	if c.Since != tableSince {
		c.Description += sinceLinux(c.Since)
	}
	if c.Volatile {
		c.Description += changesWithTime
	}
}

// sinceLinux ends the description of a column that not every Linux has.
func sinceLinux(version string) string { return "; since Linux " + version }

// attributesIn returns the names of attributes of a route.
func attributesIn(f object.Fields) (names []string) {
	for _, a := range object.RouteAttributes() {
		if f&a.Field() != 0 {
			names = append(names, a.Name)
		}
	}
	return names
}

// sourceSince returns the first Linux that has one of the attributes that a source names, "" if all
// have one, or it names none.
func sourceSince(source string) (linux string) {
	first := true
	for _, name := range constantsIn(source) {
		since, known := object.AttributeSince(name)
		if !known {
			continue
		}
		if first || later(linux, since) {
			linux = since
		}
		first = false
	}
	return linux
}

// constantsIn returns the words of a source that are written as the kernel's constants are.
func constantsIn(source string) (names []string) {
	for _, word := range strings.FieldsFunc(source, func(r rune) bool { return strings.ContainsRune(" ,.:()", r) }) {
		if strings.Contains(word, "_") && word == strings.ToUpper(word) {
			names = append(names, word)
		}
	}
	return names
}

// later reports whether a version of Linux came after another; "" is before all.
func later(a, b string) bool {
	if a == "" || b == "" {
		return a != "" && b == ""
	}
	r := object.ParseRelease(a)
	return object.ParseRelease(b).Before(r.Major, r.Minor, r.Patch)
}
