package conn

import (
	"flag"
	"testing"

	"github.com/mdlayher/netlink"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

var update = flag.Bool("update", false, "write this kernel's datagrams to testdata/fuzz, where FuzzDatagram begins")

// TestCorpus checks datagrams of the kernel as FuzzDatagram does. With -update it writes
// them to testdata/fuzz:
//
//	go test ./rtnl/conn -run TestCorpus -update
func TestCorpus(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Batch(t, "-4", "route add throw 10.9.0.0/16 table 1000", "route add 10.4.0.0/16 via 10.0.0.2 table 1000")
	nstest.Batch(t, "-6", "route add unreachable fd06::/64 table 1000 metric 4294967295")
	for name, b := range map[string][]byte{
		"routes": answer(t, object.DumpRequest{Table: 1000}.AppendTo(nil)),
		"error":  answer(t, []byte{2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}), // no dump of one destination
	} {
		checkDatagram(t, b, wire.Seq(b))
		if *update {
			nltest.WriteSeed(t, "FuzzDatagram", "kernel-"+name, b, wire.Seq(b))
		}
	}
}

// answer returns the first datagram of a dump of routes.
func answer(t *testing.T, payload []byte) []byte {
	s, _, err := Dial(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	header := netlink.Header{Type: object.RTM_GETROUTE, Flags: netlink.Request | netlink.Dump}
	if _, err := s.Send(netlink.Message{Header: header, Data: payload}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, MaxDatagram)
	n, err := s.Receive(buf, false)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}
