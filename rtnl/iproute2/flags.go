package iproute2

import (
	"strconv"

	"kernelroutes/rtnl/object"
)

// appendBits appends the names of the bits that are set, lowest first, with
// commas between; a bit without a name is appended as its number.
func appendBits(b []byte, mask uint64, names []string) []byte {
	start := len(b)
	for n := 0; mask != 0; n, mask = n+1, mask>>1 {
		if mask&1 == 0 {
			continue
		}
		b = comma(b, start)
		if n < len(names) && names[n] != "" {
			b = append(b, names[n]...)
		} else {
			b = strconv.AppendInt(b, int64(n), 10)
		}
	}
	return b
}

// flagNames are RTNH_F_* (the low byte) and RTM_F_* in iproute2's words and
// order; those that iproute2 does not print follow.
var flagNames = [...]struct {
	bit  uint32
	name string
}{
	{0x1, "dead"}, {0x4, "onlink"}, {0x2, "pervasive"}, {0x8, "offload"}, {0x40, "trap"}, {0x100, "notify"},
	{0x10, "linkdown"}, {0x20, "unresolved"},
	{0x4000, "rt_offload"}, {0x8000, "rt_trap"}, {0x20000000, "rt_offload_failed"},
	{0x200, "cloned"}, {0x400, "equalize"}, {0x800, "prefix"}, {0x1000, "lookup_table"}, {0x2000, "fib_match"},
}

// AppendFlags appends the names of rtm_flags or rtnh_flags in iproute2's words,
// separated by commas, and what has no name as one hexadecimal number.
func AppendFlags(b []byte, flags uint32) []byte {
	start := len(b)
	for _, f := range flagNames {
		if flags&f.bit != 0 {
			b = append(comma(b, start), f.name...)
			flags &^= f.bit
		}
	}
	if flags != 0 {
		b = append(comma(b, start), "0x"...)
		b = strconv.AppendUint(b, uint64(flags), 16)
	}
	return b
}

// comma separates an element from one that was appended since start.
func comma(b []byte, start int) []byte {
	if len(b) > start {
		b = append(b, ',')
	}
	return b
}

// metricNames are indexed by RTAX_*.
var metricNames = func() (names []string) {
	for _, m := range object.RouteMetrics {
		names = append(names, make([]string, max(0, int(m.Number)+1-len(names)))...)
		names[m.Number] = m.Name
	}
	return names
}()

var featureNames = []string{"ecn", "sack", "timestamp", "allfrag", "tcp_usec_ts"}

// AppendMetrics appends the names of metrics, separated by commas. Bit N of a mask,
// such as RTAX_LOCK, is RTAX number N; one without a name is appended as its number.
func AppendMetrics(b []byte, mask uint32) []byte { return appendBits(b, uint64(mask), metricNames) }

// AppendFeatures appends the names of features, the bits of RTAX_FEATURES, separated
// by commas; one without a name is appended as its number.
func AppendFeatures(b []byte, mask uint32) []byte {
	return appendBits(b, uint64(mask), featureNames)
}
