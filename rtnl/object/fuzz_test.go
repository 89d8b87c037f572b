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
	f.Fuzz(func(t *testing.T, b []byte) { checkLink(t, b) })
}
