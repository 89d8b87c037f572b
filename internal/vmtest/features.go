//go:build linux

package main

import (
	"maps"
	"slices"
	"strings"
)

// A feature is a column of the table in docs/kernels.md: something that works on a kernel if tests pass there.
type feature struct {
	name  string
	tests []string // FOLDER.TEST
}

var features = []feature{
	{"Routes", []string{"tables.TestLive", "tables.TestDifferential", "rtnl.TestFilterKernel",
		"rtnl.TestParallelKernel"}},
	{"Routes that do not fit", []string{"tables.TestLargeRoutes", "tables.TestTooLarge", "tables.TestLargeGroup"}},
	{"Nexthop objects", []string{"tables.TestNexthopObjects", "tables.TestNexthopObjectConditions",
		"rtnl.TestObjectsAndTheirRoutes"}},
	{"Resilient groups", []string{"tables.TestResilient"}},
	{"Rules", []string{"tables.TestRandomRules", "tables.TestNewerRules", "tables.TestRulesOfNamespaces",
		"rtnl.TestRules"}},
	{"Lookups", []string{"tables.TestLookups", "tables.TestLookupsRandom", "tables.TestLookupsRefused"}},
	{"Settings of interfaces", []string{"tables.TestInterfaceConfig", "tables.TestEffectiveIPv4",
		"tables.TestSinceOfSettings"}},
	{"Namespaces", []string{"tables.TestNetns", "tables.TestAllNamespaces"}},
	{"Events", []string{"events.TestApply", "events.TestApplyBeginning", "events.TestActions",
		"events.TestWentUnseen"}},
	{"Authors", []string{"events.TestAuthors", "author.TestIP", "author.TestDaemon", "author.TestKernel"}},
	{"VRF", []string{"tables.TestVRFLive", "tables.TestInterfaceConfigVRF", "events.TestVRF"}},
	{"MPLS", []string{"tables.TestMPLS", "events.TestMPLS"}},
	{"Tunnels, seg6, ila, xfrm", []string{"tables.TestTunnels"}},
	{"WireGuard", []string{"tables.TestWireGuard", "tables.TestDeviceKinds"}},
	{"Multicast routing", []string{"tables.TestMulticastRouting"}},
	{"Captures", []string{"capture.TestCaptureAnswersAsTheKernel", "capture.TestFollowKernel",
		"capture.TestCapturesOfBefore", "object.TestRouteRoundTrip", "object.TestNexthopRoundTrip", "object.TestRule"}},
}

// testsOfFeatures returns the tests by the last name of their package.
func testsOfFeatures() map[string][]string {
	all := map[string][]string{}
	for _, f := range features {
		for _, t := range f.tests {
			pkg, test, _ := strings.Cut(t, ".")
			all[pkg] = append(all[pkg], test)
		}
	}
	return all
}

// featurePackages are the packages in which these tests are.
func featurePackages() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(testsOfFeatures())) {
		switch name {
		case "rtnl", "tables":
			all = append(all, "./"+name)
		default:
			all = append(all, "./rtnl/"+name)
		}
	}
	return all
}

// runOf returns the tests of a package that features are made of, as -test.run wants them.
func runOf(pkg string) string {
	return "^(" + strings.Join(testsOfFeatures()[pkg[strings.LastIndex(pkg, "/")+1:]], "|") + ")$"
}
