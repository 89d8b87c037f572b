package packs

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"kernelroutes/rtnl/capture"
	"kernelroutes/rtnl/object"
)

// TestEncapTypes reads a captured route whose kind of tunnel was changed to each that there is:
// what no ordinary user can make, as a BPF program, and what a kernel may lack, is found too.
func TestEncapTypes(t *testing.T) {
	data, err := os.ReadFile("../testdata/captures/encaps.pcap")
	if err != nil {
		t.Fatal(err)
	}
	// RTA_ENCAP_TYPE, an attribute of six bytes, with the type ip.
	attribute := []byte{6, 0, 21, 0, object.LWTUNNEL_ENCAP_IP, 0}
	at := bytes.Index(data, attribute)
	if at < 0 {
		t.Fatal("the capture has no route with encap ip")
	}
	names := []string{"mpls", "ip", "ila", "ip6", "seg6", "bpf", "seg6local", "rpl", "ioam6", "xfrm"}
	check := policies(t)[slices.IndexFunc(policies(t), func(c *Check) bool { return c.Name == "tunnel_encap_route" })]
	for i, name := range names {
		changed := bytes.Clone(data)
		changed[at+4] = byte(object.LWTUNNEL_ENCAP_MPLS + i)
		c, err := capture.Read(bytes.NewReader(changed))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := queryOf(c, check.SQL(), func(text string) { t.Error(text) })
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(rows, func(r map[string]string) bool {
			return r["encap_type"] == name && r["dst"] == "10.1.0.0/24"
		}) {
			t.Errorf("%s: not among %v", name, rows)
		}
	}
}
