package object_test

import (
	"errors"
	"reflect"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// metricUnderstood reports whether an attribute inside RTA_METRICS is one that is
// decoded.
func metricUnderstood(typ uint16, d []byte) bool {
	if typ == RTAX_CC_ALGO {
		return wire.String(d) != ""
	}
	return typ > 0 && typ < uint16(RTAX_END) && len(d) == 4
}

func TestMetrics(t *testing.T) {
	value := func(n uint16, v uint32) []byte { return Attr(n, NE(v)) }
	type values map[uint8]uint32
	for _, c := range []struct {
		name       string
		b          []byte
		want       values
		cc         string
		understood bool
	}{
		{"none", nil, values{}, "", true},
		{"one", value(RTAX_MTU, 1400), values{RTAX_MTU: 1400}, "", true},
		{"zero", value(RTAX_MTU, 0), values{RTAX_MTU: 0}, "", true},
		{"unset hoplimit", value(RTAX_HOPLIMIT, 1<<32-1), values{RTAX_HOPLIMIT: 1<<32 - 1}, "", true},
		{"lock alone", value(RTAX_LOCK, 1<<RTAX_MTU), values{RTAX_LOCK: 1 << RTAX_MTU}, "", true},
		{"algorithm", Attr(RTAX_CC_ALGO, Str("cubic")), values{RTAX_CC_ALGO: 0}, "cubic", true},
		{"algorithm without NUL", Attr(RTAX_CC_ALGO, []byte("bbr")), values{RTAX_CC_ALGO: 0}, "bbr", true},
		{"algorithm without a name", Attr(RTAX_CC_ALGO, Str("")), values{}, "", false},
		{"nested flag", Attr(NLA_F_NESTED|RTAX_MTU, NE(uint32(1400))), values{RTAX_MTU: 1400}, "", true},
		{"number 0", Cat(Attr(0, NE(uint32(1))), value(RTAX_MTU, 1400)), values{RTAX_MTU: 1400}, "", false},
		{"number to come", Cat(value(RTAX_MTU, 1400), value(uint16(RTAX_END), 1)), values{RTAX_MTU: 1400}, "", false},
		{"number beyond a byte", Attr(256+RTAX_MTU, NE(uint32(1))), values{}, "", false},
		{"short", Cat(Attr(RTAX_MTU, []byte{1, 0}), value(RTAX_RTT, 8)), values{RTAX_RTT: 8}, "", false},
		{"long", Attr(RTAX_MTU, NE(uint64(1))), values{}, "", false},
	} {
		var m Metrics
		understood, err := m.Decode(c.b)
		if err != nil || understood != c.understood || m.CC != c.cc {
			t.Errorf("%s: %v, understood %v, algorithm %q", c.name, err, understood, m.CC)
		}
		for n := range uint8(255) {
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
		{Cat(Attr(2, NE(uint32(1))), []byte{3, 0, 2, 0}), 8},
		{Attr(2, NE(uint32(1)))[:7], 0},
		{Cat(Attr(2, NE(uint32(1))), []byte{1}), 8},
	} {
		var got Metrics
		_, err := got.Decode(c.b)
		var m *wire.MalformedError
		if !errors.As(err, &m) || m.What != "RTA_METRICS" || m.Offset != c.offset {
			t.Errorf("%x: %v", c.b, err)
		}
	}
}

func TestMetricsRoundTrip(t *testing.T) {
	for seed := range uint64(500) {
		want := NewChance(seed).Metrics()
		b := AppendRouteMetrics(nil, &want)
		var got Metrics
		if understood, err := got.Decode(b); err != nil || !understood || !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: %v, %v\n got %+v\nwant %+v", seed, understood, err, got, want)
		}
		checkMetrics(t, b)
	}
}
