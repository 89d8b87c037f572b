package capture

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	. "kernelroutes/internal/nltest"
	"kernelroutes/rtnl"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

const (
	rtmNewRule  = RTM_NEWRULE
	rtmGetRule  = RTM_GETRULE
	fraPriority = FRA_PRIORITY
)

// withRules puts a kind of rules that the package has never heard of, which is what the test
// says otherwise, in the place of the declared one until the test ends.
func withRules(t *testing.T, change func(*Kind)) *Kind {
	t.Helper()
	rules := *Rules.Kind // its place in Kinds cannot be set
	rules.Number = func(m *Message) uint32 { return m.U32(fraPriority) }
	rules.Dump, rules.Table, rules.Position, rules.Order, rules.ByFamily = nil, nil, nil, nil, false
	rules.StaleWith, rules.Nested, rules.Remedy = nil, nil, ""
	rules.Asked = func([]byte) (DumpRequest, bool) { return DumpRequest{}, false }
	change(&rules)
	before := Kinds
	t.Cleanup(func() { Kinds = before })
	Kinds = slices.Clone(Kinds)
	Kinds[rules.Ordinal()] = &rules
	return &rules
}

// ruleHeader is struct fib_rule_hdr.
func ruleHeader(f Family) []byte { return With(make([]byte, 12), 0, byte(f)) }

// rule is a message of a dump about a rule of a family.
func rule(seq uint32, f Family, priority uint32) []byte {
	payload := Cat(ruleHeader(f), Attr(fraPriority, NE(priority)))
	return Padded(rtmNewRule, wire.NLM_F_MULTI, seq, payload)
}

func rulesOf(t *testing.T, c *Capture, k *Kind, f rtnl.Filter) (numbers []uint32) {
	t.Helper()
	s, err := c.Read(context.Background(), rtnl.Request{Kinds: []*Kind{k}, Filter: f})
	if err != nil {
		t.Fatal(err)
	}
	Each(s.Runs(k), func(m *Message) bool {
		numbers = append(numbers, m.U32(fraPriority))
		return true
	})
	return numbers
}

// TestAnotherKind: a kind is captured and recorded by what it declares.
func TestAnotherKind(t *testing.T) {
	rules := withRules(t, func(*Kind) {})
	s := rtnl.NewSnapshot(true, map[*Kind][]Run{
		rules:       {runOf(t, rules, rule(0, IPv4, 7), rule(0, IPv4, 8))},
		Routes.Kind: {runOf(t, Routes.Kind, testRoute(1))},
	})
	var b bytes.Buffer
	if err := write(s, &b, Host{Time: time.Unix(1, 2)}, testNames(t)); err != nil {
		t.Fatal(err)
	}
	c := readTest(t, b.Bytes())
	if got := rulesOf(t, c, rules, rtnl.Filter{}); !slices.Equal(got, []uint32{7, 8}) || len(c.Notes()) > 0 {
		t.Errorf("captured are %v, notes %q", got, c.Notes())
	}

	request := Padded(rtmGetRule, dumpFlags, 3, ruleHeader(0))
	routes := [][]byte{dumpOf(1, DumpRequest{}), main4(1, 1), Done(1, 0)}
	c = readTest(t, recordingOf(slices.Concat(routes, [][]byte{request, rule(3, IPv4, 9), Done(3, 0)})...))
	if got := rulesOf(t, c, rules, rtnl.Filter{}); !slices.Equal(got, []uint32{9}) {
		t.Errorf("recorded are %v", got)
	}
	c = readTest(t, recordingOf(slices.Concat(routes, [][]byte{request, rule(3, IPv4, 9)})...))
	_, err := c.Read(context.Background(), rtnl.Request{Kinds: []*Kind{rules}})
	if !errors.Is(err, ErrCapture) || !strings.HasPrefix(err.Error(), "the recording has no rules; make a capture") {
		t.Errorf("rules without an end: %v", err)
	}
}

// byFamily makes rules a kind that is dumped by table.
func byFamily(k *Kind) {
	k.Dump = func(r DumpRequest) []byte { return ruleHeader(r.Family) }
	k.Table = func(m *Message) Table { return Table{Family: Family(m.Payload()[0])} }
	k.Asked = func(b []byte) (DumpRequest, bool) { return DumpRequest{Family: Family(b[0])}, false }
	k.Remedy = "record while `ip rule` runs"
}

// TestKindByTableUnfiltered: nobody is told that a kind is not there which a recording need
// not have, before it is asked for.
func TestKindByTableUnfiltered(t *testing.T) {
	rules := withRules(t, byFamily)
	c := readTest(t, recordingOf(dumpOf(1, DumpRequest{}), main4(1, 1), Done(1, 0)))
	if notes := c.Notes(); strings.Contains(notes[0], "rules") {
		t.Errorf("notes %q", notes)
	}
	_, err := c.Read(context.Background(), rtnl.Request{Kinds: []*Kind{rules}})
	if !errors.Is(err, ErrCapture) || !strings.Contains(err.Error(), "it has no rules; record while `ip rule`") {
		t.Errorf("got %v", err)
	}
	c = readTest(t, recordingOf(Padded(rtmGetRule, dumpFlags, 3, ruleHeader(0)), rule(3, IPv4, 9), rule(3, IPv6, 9),
		Done(3, 0)))
	if got := rulesOf(t, c, rules, rtnl.Filter{None: true}); !slices.Equal(got, []uint32{9, 9}) ||
		!strings.Contains(c.Notes()[0], "all rules, no routes") {
		t.Errorf("recorded are %v, notes %q", got, c.Notes())
	}
	refused{"no table", recordingOf(linkDump(9), linked(9), Done(9, 0)),
		"without a whole dump of routes; record while `ip route"}.check(t)
}

// TestAnotherKindByTable: of several kinds that are dumped by table each has dumps of its
// own.
func TestAnotherKindByTable(t *testing.T) {
	rules := withRules(t, func(k *Kind) {
		k.Filtered = true
		byFamily(k)
	})
	request := func(f Family) []byte { return Padded(rtmGetRule, dumpFlags, 3, ruleHeader(f)) }
	const lacks = "the recording has no whole dump of the rules that are asked for, it has "
	routes := [][]byte{dumpOf(1, DumpRequest{}), main4(1, 1), Done(1, 0)}
	of := func(more ...[]byte) []byte { return recordingOf(append(slices.Clone(routes), more...)...) }
	for _, tc := range []struct {
		file []byte
		what string
		err  string // of a request for IPv6 rules
	}{
		{of(request(0), rule(3, IPv4, 9), rule(3, IPv6, 9), Done(3, 0)), "all rules, all routes", ""},
		{of(request(IPv4), rule(3, IPv4, 9), Done(3, 0)), "only ipv4 rules, all routes",
			lacks + "only ipv4 rules; record while `ip rule` runs"},
		{of(), "no rules, all routes", lacks + "no rules; record while `ip rule` runs"},
		{recordingOf(request(IPv6), rule(3, IPv6, 9), Done(3, 0)), "only ipv6 rules, no routes", ""},
	} {
		c := readTest(t, tc.file)
		if !strings.Contains(c.Notes()[0], ": "+tc.what+noLinks) {
			t.Errorf("%s: notes %q", tc.what, c.Notes())
		}
		six := rtnl.Request{Kinds: []*Kind{rules}, Filter: rtnl.Filter{Families: []Family{IPv6}}}
		_, err := c.Read(context.Background(), six)
		if err == nil && tc.err != "" || err != nil && err.Error() != tc.err {
			t.Errorf("%s: got %v, want %q", tc.what, err, tc.err)
		}
	}
	refused{"no table", recordingOf(linkDump(9), linked(9), Done(9, 0)),
		"without a whole dump of rules or routes; record while `ip rule` runs, or record while `ip route"}.check(t)
}

// TestRecordedRules: rules are recorded family by family, as ip asks for them, and a request
// for one family needs that one alone.
func TestRecordedRules(t *testing.T) {
	request := func(f Family) []byte { return Padded(rtmGetRule, dumpFlags, 3, ruleHeader(f)) }
	file := recordingOf(request(IPv4), rule(3, IPv4, 9), rule(3, IPv4, 10), Done(3, 0),
		Padded(rtmGetRule, dumpFlags, 4, ruleHeader(IPv6)), rule(4, IPv6, 11), Done(4, 0))
	c := readTest(t, file)
	if note := c.Notes()[0]; !strings.Contains(note, ": only ipv4 rules, ipv6 rules, no routes") {
		t.Errorf("notes %q", note)
	}
	for _, tc := range []struct {
		filter rtnl.Filter
		want   []uint32
	}{
		{rtnl.Filter{}, []uint32{9, 10, 11}},
		{rtnl.Filter{Families: []Family{IPv4}}, []uint32{9, 10}},
		{rtnl.Filter{Families: []Family{IPv6}}, []uint32{11}},
		{rtnl.Filter{None: true}, nil},
		{rtnl.Filter{None: true, EveryFamily: true}, []uint32{9, 10, 11}},
	} {
		if got := rulesOf(t, c, Rules.Kind, tc.filter); !slices.Equal(got, tc.want) {
			t.Errorf("%+v: rules %v, not %v", tc.filter, got, tc.want)
		}
	}
	_, err := c.Read(context.Background(), rtnl.Request{Kinds: []*Kind{Rules.Kind},
		Filter: rtnl.Filter{Families: []Family{IPMR}}})
	want := "the recording has no whole dump of the rules that are asked for, it has only ipv4 rules, ipv6 rules; " +
		"record while `ip rule` and `ip -6 rule` run"
	if !errors.Is(err, ErrCapture) || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

// TestCapturesOfBefore: a capture in which there can be no rules says so when it is asked for
// them, and is as good as ever for all else; one of a host that has none has none.
func TestCapturesOfBefore(t *testing.T) {
	for _, file := range []string{"ecmp", "host-names"} {
		b, err := os.ReadFile("../../testdata/captures/" + file + ".pcap")
		if err != nil {
			t.Fatal(err)
		}
		if !LittleEndian {
			// It is told that they are of a little-endian host.
			if _, err := Read(bytes.NewReader(b)); !errors.Is(err, ErrCapture) ||
				!strings.Contains(err.Error(), "of a host of the other byte order") {
				t.Errorf("%s: %v", file, err)
			}
			continue
		}
		c := readTest(t, b)
		_, err = c.Read(context.Background(), rtnl.Request{Kinds: []*Kind{Rules.Kind}})
		if !errors.Is(err, ErrCapture) || err.Error() != "the capture has no rules: the version of this program that "+
			"made "+
			"it did not know them; make it again with the capture command" {
			t.Errorf("%s: %v", file, err)
		}
		if _, _, err := c.Count(context.Background(), rtnl.Request{Kinds: []*Kind{Rules.Kind}}); err == nil {
			t.Errorf("%s: rules are counted", file)
		}
		if _, err := c.Read(context.Background(), rtnl.RouteRequest(rtnl.Filter{})); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	var b bytes.Buffer
	if err := write(rtnl.NewSnapshot(true, nil), &b, Host{}, testNames(t)); err != nil {
		t.Fatal(err)
	}
	if got := rulesOf(t, readTest(t, b.Bytes()), Rules.Kind, rtnl.Filter{}); len(got) > 0 {
		t.Errorf("rules %v", got)
	}
}
