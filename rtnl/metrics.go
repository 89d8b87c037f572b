package rtnl

// A Metric is the number of a route metric (RTAX_*).
type Metric uint8

// The metrics of linux/rtnetlink.h, with the unit of their value.
const (
	MetricLock             Metric = 1  // bit N: metric N is locked
	MetricMTU              Metric = 2  // bytes
	MetricWindow           Metric = 3  // bytes
	MetricRTT              Metric = 4  // 1/8 ms
	MetricRTTVar           Metric = 5  // 1/4 ms
	MetricSSThresh         Metric = 6  // segments
	MetricCwnd             Metric = 7  // segments
	MetricAdvMSS           Metric = 8  // bytes
	MetricReordering       Metric = 9  // segments
	MetricHopLimit         Metric = 10 // hops; 4294967295: unset
	MetricInitCwnd         Metric = 11 // segments
	MetricFeatures         Metric = 12 // RTAX_FEATURE_* bits
	MetricRTOMin           Metric = 13 // ms
	MetricInitRwnd         Metric = 14 // segments
	MetricQuickAck         Metric = 15 // 1 if on
	MetricCCAlgo           Metric = 16 // a name: see Metrics.CC
	MetricFastOpenNoCookie Metric = 17 // 1 if on, Linux 4.15
	metricEnd              Metric = 18
)

var metricNames = [metricEnd]string{"", "lock", "mtu", "window", "rtt", "rttvar", "ssthresh", "cwnd", "advmss",
	"reordering", "hoplimit", "initcwnd", "features", "rto_min", "initrwnd", "quickack", "congctl",
	"fastopen_no_cookie"}

var featureNames = [...]string{"ecn", "sack", "timestamp", "allfrag", "tcp_usec_ts"}

// Metrics is RTA_METRICS: the values that the route overrides.
type Metrics struct {
	CC string // RTAX_CC_ALGO: congestion control algorithm, "" where absent

	has    uint32 // bit N: metric N is there
	values [metricEnd]uint32
}

// Get returns a metric's value in the unit of the kernel, and whether the route
// carries it. Of MetricCCAlgo only the presence is told.
func (m *Metrics) Get(n Metric) (uint32, bool) {
	if n >= metricEnd {
		return 0, false
	}
	return m.values[n], m.has&(1<<n) != 0
}

// decode reads the nested RTAX_* attributes. understood is false where one of
// them is not known or not of the length it should have: then the caller keeps
// RTA_METRICS as raw bytes too, so that nothing is lost.
func (m *Metrics) decode(b []byte) (understood bool, err error) {
	understood = true
	a := walk(b)
	for a.next() {
		n := Metric(a.typ)
		switch {
		case a.typ == uint16(MetricCCAlgo) && len(a.data) > 0 && a.data[0] != 0:
			m.CC = cstring(a.data)
		case a.typ > 0 && a.typ < uint16(metricEnd) && n != MetricCCAlgo && len(a.data) == 4:
			m.values[n] = u32(a.data)
		default:
			understood = false
			continue
		}
		m.has |= 1 << n
	}
	if !a.ok() {
		return false, malformed("RTA_METRICS", len(b)-len(a.rest), "attribute does not fit")
	}
	return understood, nil
}

// AppendLocked appends the names of the locked metrics: see AppendMetrics.
func (m *Metrics) AppendLocked(b []byte) []byte { return AppendMetrics(b, m.values[MetricLock]) }

// AppendMetrics appends the names of metrics, separated by commas. Bit N of a mask,
// such as RTAX_LOCK, is RTAX number N; one without a name is appended as its number.
func AppendMetrics(b []byte, mask uint32) []byte { return appendBits(b, uint64(mask), metricNames[:]) }

// AppendFeatures appends the names of RTAX_FEATURES, separated by commas.
func (m *Metrics) AppendFeatures(b []byte) []byte { return AppendFeatures(b, m.values[MetricFeatures]) }

// AppendFeatures appends the names of features, the bits of RTAX_FEATURES, separated
// by commas; one without a name is appended as its number.
func AppendFeatures(b []byte, mask uint32) []byte {
	return appendBits(b, uint64(mask), featureNames[:])
}
