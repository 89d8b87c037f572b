package rtnl

import (
	"errors"
	"reflect"
	"testing"
)

// appendMetrics encodes the payload of RTA_METRICS.
func appendMetrics(b []byte, m *Metrics) []byte {
	for n := MetricLock; n < metricEnd; n++ {
		switch {
		case m.has&(1<<n) == 0:
		case n == MetricCCAlgo:
			b = append(b, encAttr(uint16(n), encStr(m.CC))...)
		default:
			b = append(b, encAttr(uint16(n), encNE(m.values[n]))...)
		}
	}
	return b
}

// metricUnderstood reports whether an attribute inside RTA_METRICS is one that is
// decoded.
func metricUnderstood(typ uint16, d []byte) bool {
	if typ == uint16(MetricCCAlgo) {
		return cstring(d) != ""
	}
	return typ > 0 && typ < uint16(metricEnd) && len(d) == 4
}

func TestMetrics(t *testing.T) {
	value := func(n Metric, v uint32) []byte { return encAttr(uint16(n), encNE(v)) }
	type values map[Metric]uint32
	for _, c := range []struct {
		name       string
		b          []byte
		want       values
		cc         string
		understood bool
	}{
		{"none", nil, values{}, "", true},
		{"one", value(MetricMTU, 1400), values{MetricMTU: 1400}, "", true},
		{"zero", value(MetricMTU, 0), values{MetricMTU: 0}, "", true},
		{"unset hoplimit", value(MetricHopLimit, 1<<32-1), values{MetricHopLimit: 1<<32 - 1}, "", true},
		{"lock alone", value(MetricLock, 1<<MetricMTU), values{MetricLock: 1 << MetricMTU}, "", true},
		{"algorithm", encAttr(uint16(MetricCCAlgo), encStr("cubic")), values{MetricCCAlgo: 0}, "cubic", true},
		{"algorithm without NUL", encAttr(uint16(MetricCCAlgo), []byte("bbr")), values{MetricCCAlgo: 0}, "bbr", true},
		{"algorithm without a name", encAttr(uint16(MetricCCAlgo), encStr("")), values{}, "", false},
		{"nested flag", encAttr(0x8000|uint16(MetricMTU), encNE(uint32(1400))), values{MetricMTU: 1400}, "", true},
		{"number 0", encCat(encAttr(0, encNE(uint32(1))), value(MetricMTU, 1400)), values{MetricMTU: 1400}, "", false},
		{"number to come", encCat(value(MetricMTU, 1400), value(metricEnd, 1)), values{MetricMTU: 1400}, "", false},
		{"number beyond a byte", encAttr(256+uint16(MetricMTU), encNE(uint32(1))), values{}, "", false},
		{"short", encCat(encAttr(uint16(MetricMTU), []byte{1, 0}), value(MetricRTT, 8)), values{MetricRTT: 8}, "", false},
		{"long", encAttr(uint16(MetricMTU), encNE(uint64(1))), values{}, "", false},
	} {
		var m Metrics
		understood, err := m.decode(c.b)
		if err != nil || understood != c.understood || m.CC != c.cc {
			t.Errorf("%s: %v, understood %v, algorithm %q", c.name, err, understood, m.CC)
		}
		for n := range Metric(255) {
			want, there := c.want[n]
			if got, ok := m.Get(n); got != want || ok != there {
				t.Errorf("%s: metric %d is %d, %v", c.name, n, got, ok)
			}
		}
		checkMetrics(t, c.b)
	}
}

func TestMetricsMalformed(t *testing.T) {
	for _, c := range []struct {
		b      []byte
		offset int
	}{
		{encCat(encAttr(2, encNE(uint32(1))), []byte{3, 0, 2, 0}), 8},
		{encAttr(2, encNE(uint32(1)))[:7], 0},
		{encCat(encAttr(2, encNE(uint32(1))), []byte{1}), 8},
	} {
		var got Metrics
		_, err := got.decode(c.b)
		var m *MalformedError
		if !errors.As(err, &m) || m.What != "RTA_METRICS" || m.Offset != c.offset {
			t.Errorf("%x: %v", c.b, err)
		}
	}
}

func TestMetricsRoundTrip(t *testing.T) {
	for seed := range uint64(500) {
		want := newChance(seed).metrics()
		b := appendMetrics(nil, &want)
		var got Metrics
		if understood, err := got.decode(b); err != nil || !understood || !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: %v, %v\n got %+v\nwant %+v", seed, understood, err, got, want)
		}
		checkMetrics(t, b)
	}
}

func TestMetricNames(t *testing.T) {
	for _, c := range []struct {
		lock uint32
		want string
	}{
		{0, ""}, {1 << MetricMTU, "mtu"}, {1<<MetricMTU | 1<<MetricAdvMSS, "mtu,advmss"},
		{1<<MetricHopLimit | 1<<MetricRTOMin, "hoplimit,rto_min"}, {1 << MetricLock, "lock"},
		{1, "0"}, {1<<31 | 1<<18 | 1<<MetricFastOpenNoCookie, "fastopen_no_cookie,18,31"},
		{0x3fffe, "lock,mtu,window,rtt,rttvar,ssthresh,cwnd,advmss,reordering,hoplimit,initcwnd,features,rto_min,initrwnd," +
			"quickack,congctl,fastopen_no_cookie"},
	} {
		var m Metrics
		m.values[MetricLock] = c.lock
		if got := string(m.AppendLocked([]byte("x "))); got != "x "+c.want {
			t.Errorf("lock %#x: got %q, want %q", c.lock, got, c.want)
		}
	}
	for _, c := range []struct {
		features uint32
		want     string
	}{
		{0, ""}, {1, "ecn"}, {1 | 4, "ecn,timestamp"}, {31, "ecn,sack,timestamp,allfrag,tcp_usec_ts"}, {32 | 1<<31, "5,31"},
	} {
		var m Metrics
		m.values[MetricFeatures] = c.features
		if got := string(m.AppendFeatures([]byte("x "))); got != "x "+c.want {
			t.Errorf("features %#x: got %q, want %q", c.features, got, c.want)
		}
	}
}
