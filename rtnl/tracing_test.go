package rtnl

import (
	"net/netip"
	"runtime"
	"testing"

	"kernelroutes/rtnl/object"
)

// tracingOne returns a tracer of a packet for which there is one route, in the table main, and no rule yet.
func tracingOne() (*tracer, *object.Route) {
	r := &object.Route{Family: object.IPv4, Type: object.Unicast, Dst: netip.MustParsePrefix("50.0.0.0/8"), Table: 254,
		OIF: object.Some(uint32(3))}
	return &tracer{flow: &flow{family: object.IPv4, dst: netip.MustParseAddr("50.0.0.1")},
		tables: map[uint32][]candidate{254: {{Route: r, hops: []object.Nexthop{{OIF: 3}}}}}}, r
}

// settled explains how the packet comes to the route, and returns how many bytes that has taken.
func settled(tr *tracer, r *object.Route) (e *Explanation, took uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	tr.from(0, nil)
	e = &Explanation{Lookup: Lookup{Answer: r, Match: r}}
	e.settle(&LookupRequest{Destination: tr.flow.dst}, tr)
	runtime.ReadMemStats(&after)
	return e, after.TotalAlloc - before.TotalAlloc
}

// TestManyWays: what explaining takes grows as the rules do of which it is not known whether they are for the packet,
// not as all steps of all ways; where the ways are too many, it is not told.
func TestManyWays(t *testing.T) {
	for _, c := range []struct {
		rules int
		told  bool
	}{{maxWays - 1, true}, {maxWays, false}, {3000, false}} {
		tr, r := tracingOne()
		for range c.rules { // each refuses the packet, if it is for it
			tr.rules = append(tr.rules, object.Rule{Action: object.FR_ACT_PROHIBIT})
			tr.judged = append(tr.judged, judgement{perhaps, ConditionUID})
		}
		tr.rules = append(tr.rules, object.Rule{Action: object.FR_ACT_TO_TBL, Table: 254})
		tr.judged = append(tr.judged, judgement{surely, ""})

		e, took := settled(tr, r)
		if e.Told != c.told || e.Told && (len(e.Steps) != c.rules+1 || e.Decisive != r) {
			t.Errorf("%d rules: told is %v, by %d steps", c.rules, e.Told, len(e.Steps))
		}
		if kept := len(tr.ways); !c.told && kept > 0 {
			t.Errorf("%d rules: %d ways are kept, of no use", c.rules, kept)
		}
		most := uint64(c.rules) << 10
		if t.Logf("%d rules take %d KiB", c.rules, took>>10); took > most {
			t.Errorf("%d rules take %d KiB, want at most %d", c.rules, took>>10, most>>10)
		}
	}
}

// TestManyAlike: all of many ways lead to the answer, and differ in whether rules are for the packet. They differ from
// the first rules on, and what they take is little more than to know which the others are.
func TestManyAlike(t *testing.T) {
	tr, r := tracingOne()
	for range 9 { // 512 ways
		tr.rules = append(tr.rules, object.Rule{Action: object.FR_ACT_TO_TBL, Table: 100})
		tr.judged = append(tr.judged, judgement{perhaps, ConditionUID})
	}
	for range 300 {
		tr.rules = append(tr.rules, object.Rule{Action: object.FR_ACT_NOP})
		tr.judged = append(tr.judged, judgement{never, ConditionMark})
	}
	tr.rules = append(tr.rules, object.Rule{Action: object.FR_ACT_TO_TBL, Table: 254})
	tr.judged = append(tr.judged, judgement{surely, ""})
	e, took := settled(tr, r)
	if took > 512*310*64 {
		t.Errorf("512 ways by 310 rules take %d KiB", took>>10)
	}
	if len(tr.ways) != 512 || !e.Told || len(e.Steps) != 310 || e.Decisive != r {
		t.Fatalf("of %d ways told is %v, by %d steps", len(tr.ways), e.Told, len(e.Steps))
	}
	for i, s := range e.Steps {
		if s.Met.OK != (i >= 9) || s.Outcome == Decides != (i == 309) {
			t.Errorf("step %d: %+v", i, s)
		}
	}
}
