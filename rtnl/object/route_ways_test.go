package object_test

import (
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
)

// TestAlike compares what is told with what a dump says of the same object later.
func TestAlike(t *testing.T) {
	rule := func(flags uint32) []byte {
		return Padded(RTM_NEWRULE, 0, 0, AppendRule(nil, &Rule{Family: IPv4, Action: 1, Priority: 7, Flags: flags}))
	}
	group := func(o NexthopObject) []byte {
		o.ID, o.Group = 5, []GroupMember{{ID: 1, Weight: 1}}
		return Padded(RTM_NEWNEXTHOP, 0, 0, AppendNexthop(nil, &o))
	}
	resilient := func(timer uint32, unbalanced uint64) []byte {
		return group(NexthopObject{GroupType: 1, Resilient: Resilient{Buckets: Some[uint16](8),
			IdleTimer: Some(timer), UnbalancedTime: Some(unbalanced)}})
	}
	for _, tc := range []struct {
		name string
		kind *Kind
		a, b []byte
		want bool
	}{
		{"a rule whose interfaces are not there", Rules.Kind, rule(1), rule(1 | 8 | 0x10), true},
		{"a rule whose target is not there", Rules.Kind, rule(1), rule(1 | 4), true},
		{"a rule that says not", Rules.Kind, rule(1), rule(1 | 2), false},
		{"a group with its statistics", NexthopObjects.Kind, group(NexthopObject{}), group(NexthopObject{
			HWStats: Some[uint32](0), Stats: []MemberStats{{ID: 1, Packets: Some[uint64](9)}}}), true},
		{"a group that is unbalanced", NexthopObjects.Kind, resilient(9, 0), resilient(9, 700), true},
		{"a group of another timer", NexthopObjects.Kind, resilient(9, 0), resilient(8, 0), false},
	} {
		var a, b Message
		if err := tc.kind.Check(&a, tc.a); err != nil {
			t.Fatal(err)
		}
		if err := tc.kind.Check(&b, tc.b); err != nil {
			t.Fatal(err)
		}
		if Alike(&a, &b) != tc.want || Alike(&b, &a) != tc.want || !Alike(&a, &a) {
			t.Errorf("%s: alike is %v, not %v", tc.name, !tc.want, tc.want)
		}
	}
}
