package capture_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/capture"
	"kernelroutes/rtnl/object"
)

// Which routes did a host have?
func ExampleRead() {
	f, err := os.Open("../../testdata/captures/host-names.pcap")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	c, err := capture.Read(f)
	if err != nil {
		log.Fatal(err)
	}
	s, err := c.Read(context.Background(), rtnl.RouteRequest(rtnl.Filter{Types: []object.RouteType{object.Unicast}}))
	if err != nil {
		log.Fatal(err)
	}
	if h := c.Host(); h != nil {
		fmt.Println("made on", h.Machine)
	}
	for r := range s.Routes(object.AllFields) {
		if r.Family == object.IPv4 {
			link, _ := s.Link(r.OIF.V)
			fmt.Println(r.Dst, "dev", link.Name, "table", c.Names().Tables().Name(r.Table))
		}
	}
	// Output:
	// made on x86_64
	// 10.1.0.0/16 dev v0 table hosta
	// 10.2.0.0/16 dev v0 table large
	// 10.0.0.0/24 dev v0 table main
	// 10.0.1.0/24 dev v1 table main
}
