package consistency

import (
	"flag"
	"slices"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

var update = flag.Bool("update", false, "write this kernel's datagrams to testdata/fuzz, where FuzzChanges begins")

// TestCorpus checks what a listener hears of the kernel as FuzzChanges does. With -update
// it writes that to testdata/fuzz:
//
//	go test ./rtnl/consistency -run TestCorpus -update
func TestCorpus(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	groups := object.Groups(append(slices.Clone(object.Kinds), object.Addresses)...)
	s, _, err := conn.Dial(t.Context(), "", groups)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, change := range []struct{ name, ip string }{
		{"route4", "route add throw 10.9.0.0/16 table 1000"},
		{"route6", "-6 route add unreachable fd06::/64 table 1000 metric 4294967295"},
		{"nexthop", "nexthop add id 1 via 10.0.0.2 dev v0"},
		{"link", "link set v0 alias told"},
		{"address", "address add 10.0.9.1/32 dev lo"},
	} {
		nstest.IP(t, change.ip)
		buf := make([]byte, conn.MaxDatagram)
		n, err := s.Receive(buf, false)
		if err != nil {
			t.Fatal(err)
		}
		checkChanges(t, buf[:n])
		if *update {
			nltest.WriteSeed(t, "FuzzChanges", "kernel-"+change.name, buf[:n])
		}
		for err == nil && n > 0 { // what else the change brings
			if n, err = s.Receive(buf, true); n > 0 {
				checkChanges(t, buf[:n])
			}
		}
	}
}
