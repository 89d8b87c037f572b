package tables_test

import (
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// TestVRF names the VRF device whose table a route is in. (Not every kernel has such devices, so
// that these are made of bytes, as vrf_fillinfo does.)
func TestVRF(t *testing.T) {
	var routes [][]byte
	for _, table := range []uint32{254, 10, 300, 301} {
		r := nltest.V4()
		r.Table = table
		routes = append(routes, nltest.AppendRoute(nil, r))
	}
	var links [][]byte
	for _, l := range []object.Link{
		{Index: 1, Name: "lo"},
		{Index: 9, Name: "late", Kind: "vrf", VRFTable: 300}, // the second one of that table
		{Index: 5, Name: "blue", Kind: "vrf", VRFTable: 300},
		{Index: 6, Name: "red", Kind: "vrf", VRFTable: 10},
		{Index: 7, Name: "v0", Kind: "veth", VRFTable: 301},
	} {
		links = append(links, nltest.AppendLink(nil, &l))
	}
	src := rtnl.NewSnapshot(true, map[*object.Kind][]object.Run{
		object.Routes.Kind: nltest.Runs(t, object.Routes.Kind, routes...),
		object.Links.Kind:  nltest.Runs(t, object.Links.Kind, links...),
	}).Instant(iproute2.HostNames())
	for _, of := range tables.OfRoutes() {
		got := map[string]string{}
		for _, r := range scan(t, of, src) {
			got[r["table_id"]] = r["vrf"]
		}
		for table, want := range map[string]string{"254": "", "10": "red", "300": "blue", "301": ""} {
			if vrf, ok := got[table]; !ok || vrf != want {
				t.Errorf("%s: table %s is of VRF %q, want %q", of.Name, table, vrf, want)
			}
		}
		blue := scan(t, of, src, where(of, "vrf", tables.Equals, "blue"))
		if len(blue) != 1 || blue[0]["table_id"] != "300" {
			t.Errorf("%s, vrf=blue: %v", of.Name, blue)
		}
	}
}

// TestVRFNeedsLinks: all links are read for that column, and only for it.
func TestVRFNeedsLinks(t *testing.T) {
	for _, name := range []string{"vrf", "dst"} {
		used := make([]bool, len(tables.Routes.Columns))
		used[tables.Routes.Column(name)] = true
		req := tables.Routes.Request(iproute2.HostNames(), tables.Query{Used: used})
		if along := len(req.Along) > 0; along != (name == "vrf") {
			t.Errorf("%s: along are %v", name, req.Along)
		}
	}
}
