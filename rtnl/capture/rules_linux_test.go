package capture

import (
	"context"
	"slices"
	"testing"

	. "kernelroutes/internal/nltest"
	"kernelroutes/rtnl"
	. "kernelroutes/rtnl/object"
)

// TestRecordingOfRules: rules come back from what ip, of whatever age, was told.
func TestRecordingOfRules(t *testing.T) {
	capturedNamespace(t)
	header := func(f Family) []byte { return With(make([]byte, FibRuleHdrLen), 0, byte(f)) }
	// As struct ifinfomsg and IFLA_EXT_MASK, which older programs send for everything.
	old := Cat(With(make([]byte, IfinfomsgLen), 0, byte(IPv4)), Attr(iflaExtMask, NE(uint32(1))))
	ask := func(strict int, seq uint32, payload []byte) [][]byte {
		return conversation(t, strict, RTM_GETRULE, seq, payload)
	}
	for name, tc := range map[string]struct {
		recording [][]byte
		families  []Family
	}{
		"all families":      {ask(1, 7, header(0)), nil},
		"all, not strict":   {ask(0, 7, header(0)), nil},
		"IPv4":              {ask(1, 7, header(IPv4)), []Family{IPv4}},
		"IPv4, the old way": {ask(0, 7, old), []Family{IPv4}},
		"IPv4, and IPv6": {slices.Concat(ask(1, 7, header(IPv4)), ask(1, 8, header(IPv6))),
			[]Family{IPv4, IPv6}},
		"IPv6 after all of it":  {slices.Concat(ask(1, 7, header(0)), ask(1, 8, header(IPv6))), nil},
		"multicast, if any are": {slices.Concat(ask(1, 7, header(0)), ask(1, 8, header(IPMR))), nil},
	} {
		req := rtnl.Request{Kinds: []*Kind{Rules.Kind}, Filter: rtnl.Filter{Families: tc.families}}
		want, err := new(rtnl.Kernel).Read(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readTest(t, recordingOf(tc.recording...)).Read(context.Background(), req)
		if w, g := rulesIn(want), rulesIn(got); err != nil || !slices.Equal(w, g) || len(w) < 4 {
			t.Errorf("%s: %v\n   kernel %q\nrecording %q", name, err, w, g)
		}
	}
}
