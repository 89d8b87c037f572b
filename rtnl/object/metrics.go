package object

import (
	"strings"

	"kernelroutes/rtnl/wire"
)

// A Metric is a route metric (RTAX_*).
type Metric struct {
	Number uint8  // RTAX_*
	Name   string // as ip calls it
	Ticks  uint32 // how many of the kernel's units make one that ip shows; 0: it is no number, but what Doc says
	Unit   string // that ip shows; "": none
	Doc    string
	Since  string // the first Linux that has it, as "4.15"; "" for one before 3.2, the oldest that Go runs on
}

// Constant is the name of the kernel's constant.
func (m *Metric) Constant() string {
	name := m.Name
	if m.Number == RTAX_CC_ALGO {
		name = "cc_algo"
	}
	return "RTAX_" + strings.ToUpper(name)
}

// RouteMetrics are the metrics of linux/rtnetlink.h, in the order in which they are shown.
// A metric is one line.
var RouteMetrics = []Metric{
	{2, "mtu", 1, "bytes", "Path MTU", ""},
	{8, "advmss", 1, "bytes", "Advertised maximum TCP segment size", ""},
	{3, "window", 1, "bytes", "Maximum TCP window to advertise", ""},
	{10, "hoplimit", 1, "", "Hop limit (TTL) of packets sent", ""}, // 4294967295: unset
	{11, "initcwnd", 1, "segments", "Initial TCP congestion window", ""},
	{14, "initrwnd", 1, "segments", "Initial TCP receive window", ""},
	{4, "rtt", 8, "milliseconds", "Initial round-trip time", ""},
	{5, "rttvar", 4, "milliseconds", "Initial variance of the round-trip time", ""},
	{6, "ssthresh", 1, "segments", "Initial slow-start threshold", ""},
	{7, "cwnd", 1, "segments", "Clamp of the congestion window", ""},
	{9, "reordering", 1, "segments", "Maximum reordering", ""},
	{13, "rto_min", 1, "milliseconds", "Minimum TCP retransmission timeout", ""},
	{15, "quickack", 1, "", "1 if TCP quick acknowledgements are on", "3.11"},
	{RTAX_CC_ALGO, "congctl", 0, "", "a name: see Metrics.CC", "4.0"},
	{RTAX_FEATURES, "features", 0, "", "RTAX_FEATURE_* bits", ""},
	{17, "fastopen_no_cookie", 1, "", "1 if TCP Fast Open needs no cookie", "4.15"},
	{RTAX_LOCK, "lock", 0, "", "bit N: metric N is locked", ""},
}

// The metrics that are no plain number, or have a value that means none.
const (
	RTAX_LOCK     = 1
	RTAX_HOPLIMIT = 10
	RTAX_FEATURES = 12
	RTAX_CC_ALGO  = 16

	maxMetrics = 24 // more than there are
)

// knownMetrics has a bit for each metric.
var knownMetrics = func() (mask uint32) {
	for _, m := range RouteMetrics {
		if m.Number >= maxMetrics {
			panic("a metric's number is too large: " + m.Name)
		}
		mask |= 1 << m.Number
	}
	return mask
}()

// Metrics is RTA_METRICS: the values that the route overrides.
type Metrics struct {
	CC string // RTAX_CC_ALGO: congestion control algorithm, "" where absent

	has    uint32 // bit N: metric N is there
	values [maxMetrics]uint32
}

// Get returns the value of a metric (RTAX_*) in the unit of the kernel, and whether the
// route carries it. Of RTAX_CC_ALGO only the presence is told.
func (m *Metrics) Get(n uint8) (uint32, bool) {
	if n >= maxMetrics {
		return 0, false
	}
	return m.values[n], m.has&(1<<n) != 0
}

// MTU returns the path MTU in bytes, and whether the route carries it.
func (m *Metrics) MTU() (uint32, bool) { return m.Get(rtaxMTU) }

const rtaxMTU = 2

// decode reads the nested RTAX_* attributes. It returns false where one of them is not
// known or not of the length it should have: then RTA_METRICS is kept as raw bytes too,
// so that nothing is lost.
func (m *Metrics) decode(b []byte) (understood bool) {
	understood = true
	a := wire.Walk(b)
	for a.Next() {
		switch {
		case a.Type == RTAX_CC_ALGO && len(a.Data) > 0 && a.Data[0] != 0:
			m.CC = wire.String(a.Data)
		case a.Type < maxMetrics && knownMetrics&^(1<<RTAX_CC_ALGO)&(1<<a.Type) != 0 && len(a.Data) == 4:
			m.values[a.Type] = wire.U32(a.Data)
		default:
			understood = false
			continue
		}
		m.has |= 1 << a.Type
	}
	return understood
}

// checkMetrics checks that RTA_METRICS can be decoded.
func checkMetrics(_ int, b []byte) error { return checkNested("RTA_METRICS", b) }
