package rtnl

import (
	"fmt"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

func TestPrefixes(t *testing.T) {
	block := func(name string, prefixes int) string {
		return fmt.Sprintf("%s:\n\tAver depth:     2.42\n\tLeaves:         6\n\tPrefixes:       %d\n\t  1: 1  2: 3\n"+
			"Null ptrs: 11\n", name, prefixes)
	}
	const head = "Basic info: size of leaf: 48 bytes, size of tnode: 40 bytes.\n"
	for text, want := range map[string]int64{
		"": 0, "\n": 0, head: 0, "Main:\n\tPrefixes: x\n": 0,
		head + block("Main", 7) + block("Local", 7):                       7, // one trie
		head + block("Local", 7) + block("Main", 7):                       7,
		head + block("Main", 700) + block("Local", 7) + block("Id 77", 3): 710,
	} {
		if got := prefixes([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// TestProgress: what has come is counted as the kernel counts it, and the last count is what is expected.
func TestProgress(t *testing.T) {
	manyRoutes(t, 2000)
	nstest.Batch(t, "-6", "route add 2001:db8:1::/48 nexthop via fd00::2 nexthop via fd00::3")
	var p Progress
	if r := p.Now(); !r.Since.IsZero() {
		t.Errorf("before: %+v", r)
	}
	var during Reading
	k := Kernel{Progress: &p, Counters: new(Counters)}
	look := RouteRequest(Filter{})
	for try := range 2 {
		end := p.begin("", func() [2]int64 { return [2]int64{} }) // so that it goes on
		s, err := k.Read(t.Context(), look)
		if err != nil {
			t.Fatal(err)
		}
		during = p.Now()
		end(true)
		there := routesThereAre("", rt6StatsPath)
		v4, v6 := int64(0), int64(0)
		for c := s.Cursor(object.FieldNexthops); c.Next(); {
			switch r := c.Route(); r.Family {
			case object.IPv4:
				v4++
			case object.IPv6:
				v6 += int64(max(len(r.Multipath), 1))
			}
		}
		if there != [2]int64{v4, v6} {
			t.Errorf("the kernel counts %v, and there are %d and %d", there, v4, v6)
		}
		want := []FamilyReading{{Family: object.IPv4, Read: v4}, {Family: object.IPv6, Read: v6}}
		if try > 0 {
			want[0].Expected, want[1].Expected = v4, v6
		}
		if fmt.Sprint(during.Families) != fmt.Sprint(want) || during.Since.IsZero() || during.Again {
			t.Errorf("%+v, want %v", during, want)
		}
	}
	// Where the kernel is asked for a part, nobody knows how many that are.
	end := p.begin("", func() [2]int64 { return [2]int64{} })
	if _, err := k.Read(t.Context(), RouteRequest(Filter{Tables: []uint32{254}})); err != nil {
		t.Fatal(err)
	}
	during = p.Now()
	end(true)
	if len(during.Families) == 0 || during.Families[0].Expected != 0 {
		t.Errorf("%+v", during)
	}
	if r := p.Now(); !r.Since.IsZero() {
		t.Errorf("after: %+v", r)
	}
}
