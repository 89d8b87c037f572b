package object_test

import (
	"fmt"
	"testing"

	. "kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// TestCorpusOfRules makes rules of many kinds, and checks the kernel's messages about them as
// the fuzz target does. With -update it writes them to testdata/fuzz: see TestCorpus.
func TestCorpusOfRules(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Batch(t, "-4",
		"rule add priority 1 from 10.0.0.0/8 to 1.2.3.4 iif v0 oif gone fwmark 1/0xff tos 0x10 table 70000",
		"rule add priority 2 not uidrange 0-0 ipproto tcp sport 10 dport 20-30 suppress_prefixlength 0",
		"rule add priority 3 tun_id 99999999 suppress_ifgroup 5 realms 3/4 protocol 99",
		"rule add priority 4 goto 5", "rule add priority 5 nop", "rule add priority 6 l3mdev",
		"rule add priority 7 prohibit", "rule add priority 8 goto 5000")
	nstest.Batch(t, "-6",
		"rule add priority 1 from fd00::/8 to fd00::1 iif v0 fwmark 9 dport 20 table 3",
		"rule add priority 2 blackhole")
	addRule(t, &Rule{Family: IPv4, Priority: 20, Action: FR_ACT_TO_TBL, Table: 9, DSCP: Some[uint8](46),
		DSCPMask: Some[uint8](62), SPorts: Some(PortRange{80, 80}), SPortMask: Some[uint16](0xff0)})
	addRule(t, &Rule{Family: IPv6, Priority: 21, Action: FR_ACT_TO_TBL, Table: 9,
		FlowLabel: Some[uint32](0x12345), FlowLabelMask: Some[uint32](0xfffff)})
	n := 0
	for _, msg := range dump(t, RTM_GETRULE, Rules.Dump(DumpRequest{})) {
		payload := wire.Payload(msg)
		checkRule(t, payload)
		var r Rule
		if err := r.UnmarshalBinary(payload); err != nil {
			t.Fatal(err)
		}
		if len(r.Unknown) > 0 {
			t.Errorf("%v %d has unknown attributes %v", r.Family, r.Priority, r.Unknown)
		}
		n++
		seed(t, "FuzzRule", fmt.Sprint("kernel-", r.Family, "-", r.Priority), payload)
	}
	if n < 12+5 {
		t.Errorf("only %d rules", n)
	}
}

// addRule adds a rule with attributes that not every ip knows. A kernel that does not know
// them either answers with an error, and there is no rule.
func addRule(t *testing.T, r *Rule) {
	t.Helper()
	if err := nstest.Send(t, RTM_NEWRULE, 0, AppendRule(nil, r)); err != nil {
		t.Logf("priority %d: %v", r.Priority, err)
	}
}
