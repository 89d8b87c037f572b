package rtnl

import (
	"net/netip"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

// TestRuleApplies has rules of each kind, for a packet that came in, and for one of this host.
func TestRuleApplies(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "fd00::1/64")
	l := lookups(t)
	v0 := dev(t, "v0")
	own := to("fd50::1", func(r *LookupRequest) {
		r.Mark, r.IPProto, r.DPort = object.Some(uint32(7)), object.Some(uint8(6)), object.Some(uint16(443))
	})
	in := to("fd50::1", from("fd00::9"), func(r *LookupRequest) {
		r.InDev, r.OutDev, r.UID, r.TOS = v0, v0, object.Some(uint32(5)), object.Some(uint8(8))
	})
	prefix := netip.MustParsePrefix
	ports := object.Some(object.PortRange{Start: 400, End: 500})
	for _, c := range []struct {
		rule    object.Rule
		own, in verdict
	}{
		{object.Rule{}, surely, surely},
		{object.Rule{Flags: object.FIB_RULE_INVERT}, never, never},
		{object.Rule{Mark: object.Some(uint32(7))}, surely, never},
		{object.Rule{Mark: object.Some(uint32(7)), Flags: object.FIB_RULE_INVERT}, never, surely},
		{object.Rule{Mark: object.Some(uint32(3)), Mask: object.Some(uint32(3))}, surely, never},
		{object.Rule{Mask: object.Some(uint32(7))}, never, surely},
		{object.Rule{Dst: prefix("fd50::/16")}, surely, surely},
		{object.Rule{Dst: prefix("fd51::/16")}, never, never},
		{object.Rule{Src: prefix("fd00::/64")}, never, surely},
		{object.Rule{Src: prefix("fd01::/64")}, never, never},
		{object.Rule{Src: prefix("fd00::/64"), Flags: object.FIB_RULE_FIND_SADDR}, perhaps, surely},
		{object.Rule{IIF: "v0"}, never, surely},
		{object.Rule{IIF: "v0", Flags: object.FIB_RULE_IIF_DETACHED}, never, never},
		{object.Rule{IIF: "lo"}, surely, never},
		{object.Rule{OIF: "v0"}, never, never},
		{object.Rule{IPProto: object.Some(uint8(6))}, surely, never},
		{object.Rule{DPorts: ports}, surely, never},
		{object.Rule{SPorts: ports}, never, never},
		{object.Rule{DPorts: ports, DPortMask: object.Some(uint16(1))}, never, surely},
		{object.Rule{UIDs: object.Some(object.UIDRange{Start: 5, End: 9})}, never, surely},
		{object.Rule{UIDs: object.Some(object.UIDRange{Start: 6, End: 9})}, never, never},
		{object.Rule{UIDs: object.Some(object.UIDRange{Start: 5, End: 65534})}, perhaps, perhaps},
		{object.Rule{TOS: 8}, never, surely},
		{object.Rule{TOS: 8, Flags: object.FIB_RULE_INVERT}, surely, never},
		{object.Rule{DSCP: object.Some(uint8(2))}, never, surely},
		{object.Rule{DSCP: object.Some(uint8(3)), DSCPMask: object.Some(uint8(2))}, never, surely},
		{object.Rule{FlowLabel: object.Some(uint32(3)), FlowLabelMask: object.Some(uint32(4))}, surely, surely},
		{object.Rule{FlowLabel: object.Some(uint32(3))}, never, never},
		{object.Rule{TunID: object.Some(uint64(3))}, never, never},
		{object.Rule{L3MDev: object.Some(uint8(1))}, never, never},
		{object.Rule{TOS: 8, Dst: prefix("fd51::/16"), Flags: object.FIB_RULE_INVERT}, surely, surely},
	} {
		for _, p := range []struct {
			req  *LookupRequest
			want verdict
		}{{&own, c.own}, {&in, c.in}} {
			f, err := l.flow(p.req)
			if err != nil {
				t.Fatal(err)
			}
			if v, why, err := l.applies(&c.rule, f); err != nil || v != p.want {
				t.Errorf("%+v for %+v: %d because of %s, %v, want %d", c.rule, p.req, v, why, err, p.want)
			}
		}
	}
	out := to("fd50::1", func(r *LookupRequest) { r.OutDev = v0 })
	f, err := l.flow(&out)
	if err != nil {
		t.Fatal(err)
	}
	if v, _, err := l.applies(&object.Rule{OIF: "v0"}, f); err != nil || v != surely {
		t.Errorf("out: %d, %v", v, err)
	}
}

// TestLookupSharedByTables has one nexthop object in routes of several tables, and rules that tell
// which of them decides, or not.
func TestLookupSharedByTables(t *testing.T) {
	ways(t)
	nstest.Batch(t, "-6", "route add fd60::/16 nhid 6 table 500", "route add fd60::/16 nhid 6 table 700",
		"route add fd60::/16 nhid 6", "route add throw fd60:1::/32 table 500", "route add throw fd60:1::/32 table 700",
		"route add throw fd60::/16 table 700 metric 5", "rule add priority 40 to fd60:2::/32 tos 8 lookup 500",
		"rule add priority 41 to fd60:3::/32 lookup 500 suppress_prefixlength 0")
	l := lookups(t)
	mark := func(r *LookupRequest) { r.Mark = object.Some(uint32(7)) }
	https := func(r *LookupRequest) { r.IPProto, r.DPort = object.Some(uint8(6)), object.Some(uint16(443)) }
	for range 2 {
		for _, c := range []struct {
			req   LookupRequest
			table uint32 // 0: it cannot be told
		}{
			{to("fd60::1"), 254}, {to("fd60::1", mark), 500}, {to("fd60:1::1"), 254}, {to("fd60:1::1", mark), 0},
			{to("fd60::1", https), 0}, {to("fd60:2::1"), 254}, {to("fd60:3::1"), 0}, {to("fd60:3::1", mark), 0},
		} {
			found, err := l.Lookup(&c.req, WantAnswer|WantID)
			if err != nil || !found.Consistent || found.Answer.Table != c.table || (found.ID != "") != (c.table != 0) {
				t.Errorf("%+v: %+v, %v, want table %d", c.req, found, err, c.table)
			}
		}
	}
}
