package object_test

import (
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
)

func FuzzRoute(f *testing.F) {
	for _, c := range routeAttrs {
		f.Add(append(rtmsg(c.family), c.attrs...), ^uint32(0))
	}
	for seed := range uint64(20) {
		f.Add(AppendRoute(nil, NewChance(seed).Route()), uint32(1)<<seed)
	}
	f.Fuzz(func(t *testing.T, b []byte, bits uint32) {
		checkRoute(t, b)
		checkRouteFields(t, b, bits)
		checkTally(t, b, bits)
	})
}

func FuzzMultipath(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(AppendMultipath(nil, IPv4, NewChance(seed).Hops(IPv4)))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkHops(t, b) })
}

func FuzzMetrics(f *testing.F) {
	for seed := range uint64(20) {
		m := NewChance(seed).Metrics()
		f.Add(AppendRouteMetrics(nil, &m))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkMetrics(t, b) })
}

func FuzzNexthop(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(AppendNexthop(nil, NewChance(seed).Nexthop()))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkNexthop(t, b) })
}

func FuzzLink(f *testing.F) {
	f.Add(AppendLink(nil, &Link{Index: 2, Name: "eth0", OperState: 6}))
	f.Add(AppendLink(nil, &Link{Index: 3, Name: "v0", Kind: "veth"}))
	f.Add(AppendLink(nil, &Link{Index: 4, Name: "red", Kind: "vrf", VRFTable: 1001}))
	f.Add(AppendLinkConfig(nil, &Link{Index: 5, Name: "v1"}, []uint32{1, 2, 3}, make([]uint32, 62)))
	f.Fuzz(func(t *testing.T, b []byte) { checkLink(t, b) })
}

func FuzzNetconf(f *testing.F) {
	f.Add(AppendNetconf(nil, &Netconf{Family: IPv4, Index: Some(uint32(NetconfAll)), RPFilter: Some(uint32(2))}))
	f.Add(AppendNetconf(nil, &Netconf{Family: IPv6, Index: Some(uint32(NetconfDefault)), Forwarding: Some(uint32(1)),
		ForceForwarding: Some(uint32(1)), ProxyNeigh: Some(^uint32(0))}))
	f.Fuzz(func(t *testing.T, b []byte) { checkNetconf(t, b) })
}
