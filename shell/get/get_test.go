package get

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/option"
)

// TestPackets has what is said of packets, in numbers of all spellings.
func TestPackets(t *testing.T) {
	all, err := packets([]string{"192.0.2.1", "::ffff:192.0.2.2"}, &Options{Source: "10.0.0.1", Mark: "0xCA6C",
		TOS: "16", UID: "010", IPProto: "TCP", SPort: "0", DPort: "443"})
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	want := rtnl.LookupRequest{Destination: netip.MustParseAddr("192.0.2.1"), From: netip.MustParseAddr("10.0.0.1"),
		Mark: object.Some(uint32(0xca6c)), TOS: object.Some(uint8(16)), UID: object.Some(uint32(10)),
		IPProto: object.Some(uint8(6)), SPort: object.Some(uint16(0)), DPort: object.Some(uint16(443))}
	if all[0].LookupRequest != want {
		t.Errorf("%+v, want %+v", all[0].LookupRequest, want)
	}
	for _, o := range []Options{{Mark: "1_0"}, {Mark: "0x"}, {Mark: "+1"}, {TOS: "1e1"}, {UID: " 1"},
		{IPProto: "256"}} {
		if all, err := packets([]string{"::1"}, &o); !errors.As(err, new(*option.Error)) {
			t.Errorf("%+v: %+v, %v", o, all, err)
		}
	}
}

// explained returns an explainer of a packet to 192.0.2.1 that the kernel has answered.
func explained() *explainer {
	dst := netip.MustParseAddr("192.0.2.1")
	answer := &object.Route{Family: object.IPv4, Type: object.Unicast, Dst: netip.PrefixFrom(dst, 32),
		Gateway: netip.MustParseAddr("10.0.0.1"), OIF: object.Some(uint32(3)), Table: 254}
	return &explainer{names: iproute2.NoNames(), packet: &packet{address: "192.0.2.1",
		LookupRequest: rtnl.LookupRequest{Destination: dst}}, Explanation: &rtnl.Explanation{
		Lookup: rtnl.Lookup{Answer: answer, Consistent: true}, Out: object.Link{Index: 3, Name: "eth0"},
		Snapshot: rtnl.NewSnapshot(true, nil)}}
}

// TestNotTold: where the way cannot be told, the kernel's answer stands alone.
func TestNotTold(t *testing.T) {
	e := explained()
	text := string(e.appendText(nil))
	for _, want := range []string{"how the kernel comes to its answer cannot be told: rules or routes changed",
		"\nthe packet goes to the gateway 10.0.0.1, out of eth0\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing: %s", want, text)
		}
	}
	if strings.Contains(text, "rule 0") {
		t.Error(text)
	}
	b, err := e.appendJSON(nil)
	var got map[string]any
	if err := errors.Join(err, json.Unmarshal(b, &got)); err != nil {
		t.Fatal(err)
	}
	if rules, ok := got["rules"].([]any); got["explained"] != false || !ok || len(rules) != 0 || got["route"] != nil ||
		got["gateway"] != "10.0.0.1" || got["mtu"] != nil {
		t.Errorf("%s", b)
	}
	e.Consistent = false
	if text := string(e.appendText(nil)); !strings.Contains(text, "the answer changed on every try") {
		t.Error(text)
	}
}

// TestUnknownRule: of a rule of which it is not known whether it is for the packet, this is said.
func TestUnknownRule(t *testing.T) {
	e := explained()
	e.Told = true
	e.Steps = []rtnl.Step{{Rule: object.Rule{Priority: 7, UIDs: object.Some(object.UIDRange{Start: 1, End: 65534}),
		Action: object.FR_ACT_TO_TBL, Table: 5}, Why: rtnl.ConditionUID, Outcome: rtnl.Skipped}}
	text := string(e.appendText(nil))
	const want = "rule 7  from all uidrange 1-65534 lookup 5  whether it is for this packet is not known"
	if !strings.Contains(text, want) {
		t.Error(text)
	}
	b, err := e.appendJSON(nil)
	if err != nil || !strings.Contains(string(b), `"matched":null,"condition":"uidrange"`) {
		t.Errorf("%s, %v", b, err)
	}
}
