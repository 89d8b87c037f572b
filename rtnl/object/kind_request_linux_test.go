package object_test

import (
	"testing"

	"kernelroutes/internal/nstest"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// TestKindRequest asks for interfaces of one kind: of none that it does not know the kernel sends
// all, and does not say that it left any out.
func TestKindRequest(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0")
	for _, large := range []bool{false, true} {
		for kind, filtered := range map[string]bool{"veth": true, "nosuch": false} {
			all := dump(t, RTM_GETLINK, KindRequest(kind, large))
			if want := map[bool]int{true: 2, false: 3}[filtered]; len(all) != want {
				t.Errorf("%s, %v: %d interfaces, not %d", kind, large, len(all), want)
			}
			for _, msg := range all {
				var l Link
				if err := l.UnmarshalBinary(wire.Payload(msg)); err != nil {
					t.Fatal(err)
				}
				if wire.Flags(msg)&wire.NLM_F_DUMP_FILTERED != 0 != filtered || filtered && l.Kind != kind {
					t.Errorf("%s, %v: %+v, flags %x", kind, large, l, wire.Flags(msg))
				}
			}
		}
	}
}
