package shell

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nametest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
	"kernelroutes/shell/option"
	"kernelroutes/tables"
)

func opt[T any](v T) object.Opt[T] { return object.Opt[T]{V: v, OK: true} }

// An emptySource has no routes and keeps the request.
type emptySource struct {
	tables.Source // for what is not asked
	asked         rtnl.Request
}

func (*emptySource) Count(context.Context, rtnl.Request) (int, bool, error) { return 0, true, nil }

func (*emptySource) Names() *iproute2.Names { return iproute2.HostNames() }

func (s *emptySource) Read(_ context.Context, req rtnl.Request) (*rtnl.Snapshot, error) {
	s.asked = req
	return &rtnl.Snapshot{}, nil
}

var prefix, addr = netip.MustParsePrefix, netip.MustParseAddr

// routeObjects are routes, and their JSON.
var routeObjects = []struct {
	name  string
	route object.Route
	want  string
}{
	{"the documented one", object.Route{
		Family: object.IPv4, Type: object.Unicast, Protocol: 16, Table: 254, Dst: prefix("0.0.0.0/0"),
		Gateway: addr("192.168.1.1"), OIF: opt(uint32(2)), Priority: opt(uint32(100)),
		PrefSrc: addr("192.168.1.100"),
	}, `{"family":"ipv4","type":"UNICAST","protocol":"DHCP","scope":"UNIVERSE","table":"MAIN",` +
		`"dst":"0.0.0.0/0","dst_len":0,` +
		`"gateway":"192.168.1.1","dev":"eth0","dev_index":2,"metric":100,"prefsrc":"192.168.1.100","flags":0}`},
	{"only what is always there", object.Route{
		Family: object.IPv6, Type: object.Blackhole, Protocol: 77, Scope: 77, Table: 77, Dst: prefix("fd00::/8"),
	}, `{"family":"ipv6","type":"BLACKHOLE","protocol":77,"scope":77,"table":77,` +
		`"dst":"fd00::/8","dst_len":8,"flags":0}`},
	{"names and numbers", object.Route{
		Family: object.IPv6, Type: 200, Protocol: 186, Scope: 253, Table: 4294967294, Dst: prefix("::/0"),
		Src: prefix("fd00::/64"),
		OIF: opt(uint32(9)), Priority: opt(uint32(0)), TOS: 16, Flags: 1 << 31,
	}, `{"family":"ipv6","type":200,"protocol":"BGP","scope":"LINK","table":4294967294,"dst":"::/0","dst_len":0,` +
		`"dev_index":9,"metric":0,"src":"fd00::/64","flags":2147483648,"tos":16,"table_id":4294967294}`},
	{"several nexthops", object.Route{
		Family: object.IPv4, Type: object.Unicast, Protocol: 4, Table: 254, Dst: prefix("10.0.0.0/8"),
		Multipath: []object.Nexthop{
			{OIF: 2, Gateway: addr("192.0.2.1"), Weight: 1},
			{OIF: 9, Gateway: addr("fe80::1"), Weight: 256, Flags: 4},
			{OIF: 2, Weight: 3},
		},
	}, `{"family":"ipv4","type":"UNICAST","protocol":"STATIC","scope":"UNIVERSE","table":"MAIN",` +
		`"dst":"10.0.0.0/8","dst_len":8,"flags":0,` +
		`"multipath":[{"dev_index":2,"dev":"eth0","gateway":"192.0.2.1","weight":1,"flags":0},` +
		`{"dev_index":9,"gateway":"fe80::1","weight":256,"flags":4},` +
		`{"dev_index":2,"dev":"eth0","weight":3,"flags":0}]}`},
	{"a nexthop object that is not known", object.Route{
		Family: object.IPv4, Type: object.Unicast, Protocol: 3, Table: 254, Dst: prefix("10.0.0.0/8"),
		NexthopID: opt(uint32(7)),
	}, `{"family":"ipv4","type":"UNICAST","protocol":"BOOT","scope":"UNIVERSE","table":"MAIN",` +
		`"dst":"10.0.0.0/8","dst_len":8,"flags":0,` +
		`"unknown_rta_attrs":[30],"unknown_rta_attrs_decoded":[{"type":30,"name":"RTA_NH_ID","value":7}]}`},
	{"cache and attributes without a key", object.Route{
		Family: object.IPv4, Type: object.Unicast, Protocol: 3, Table: 254, Dst: prefix("10.0.0.0/8"),
		Gateway: addr("fe80::1"),
		Cache:   opt(object.CacheInfo{ClntRef: 1, LastUse: 250, Expires: -300, Error: 4294967183, Used: 5}),
		IIF:     opt(uint32(3)), Mark: opt(uint32(1)), Pref: opt(uint8(3)), Realms: opt(uint32(3<<16 | 4)),
		Expires: opt(uint64(1234)),
		UID:     opt(uint32(1000)), SPort: opt(uint16(53)), NewDst: []byte{0, 0x06, 0x41, 0},
		Unknown: []wire.Attr{{Type: 99, Data: []byte{1, 2}}, {Type: 8, Data: nil}},
	}, `{"family":"ipv4","type":"UNICAST","protocol":"BOOT","scope":"UNIVERSE","table":"MAIN",` +
		`"dst":"10.0.0.0/8","dst_len":8,` +
		`"gateway":"fe80::1","flags":0,` +
		`"cacheinfo":{"clntref":1,"last_use":2,"expires":-3,"error":4294967183,"used":5},` +
		`"unknown_rta_attrs":[3,8,11,16,18,19,20,23,25,28,99],"unknown_rta_attrs_decoded":[` +
		`{"type":3,"name":"RTA_IIF","value":3},{"type":8,"len":0,"hex":""},` +
		`{"type":11,"name":"RTA_FLOW","value":"3/4"},` +
		`{"type":16,"name":"RTA_MARK","value":1},{"type":18,"name":"RTA_VIA","value":"fe80::1"},` +
		`{"type":19,"name":"RTA_NEWDST","value":"100"},{"type":20,"name":"RTA_PREF","value":"low"},` +
		`{"type":23,"name":"RTA_EXPIRES","value":12},{"type":25,"name":"RTA_UID","value":1000},` +
		`{"type":28,"name":"RTA_SPORT","value":53},{"type":99,"len":2,"hex":"0102"}]}`},
	{"what is decoded and kept", object.Route{
		Family: object.IPv4, Type: object.Unicast, Protocol: 3, Table: 254, Dst: prefix("10.0.0.0/8"),
		LinkGateway: []byte{2, 0, 0, 0, 0, 1}, FlowLabel: opt(uint32(9)), DelReason: opt(uint32(1)),
		Unknown: []wire.Attr{{Type: 31, Data: []byte{0, 0, 0, 9}}, {Type: 32, Data: []byte{1, 0, 0, 0}}},
	}, `{"family":"ipv4","type":"UNICAST","protocol":"BOOT","scope":"UNIVERSE","table":"MAIN","dst":"10.0.0.0/8",` +
		`"dst_len":8,"flags":0,"unknown_rta_attrs":[18,31,32],"unknown_rta_attrs_decoded":[` +
		`{"type":18,"name":"RTA_VIA","value":"02:00:00:00:00:01"},{"type":31,"name":"RTA_FLOWLABEL","value":9},` +
		`{"type":32,"name":"RTA_DEL_REASON","value":1}]}`},
	{"what is kept alone", object.Route{
		Family: object.IPv4, Type: object.Unicast, Protocol: 3, Table: 254, Dst: prefix("10.0.0.0/8"),
		Unknown: []wire.Attr{{Type: 31, Data: []byte{9}}, {Type: 32, Data: []byte{1}}},
	}, `{"family":"ipv4","type":"UNICAST","protocol":"BOOT","scope":"UNIVERSE","table":"MAIN","dst":"10.0.0.0/8",` +
		`"dst_len":8,"flags":0,"unknown_rta_attrs":[31,32],"unknown_rta_attrs_decoded":[` +
		`{"type":31,"len":1,"hex":"09"},{"type":32,"len":1,"hex":"01"}]}`},
}

// TestRouteObject compares with the documentation of the older module.
func TestRouteObject(t *testing.T) {
	for _, test := range routeObjects {
		e := &routeEncoder{snap: &rtnl.Snapshot{}, names: nametest.New(nil), unknown: true,
			devs: textCache{all: map[uint32][]byte{2: []byte(`,"dev":"eth0"`)}}}
		for range 2 { // the second time names are remembered
			got := string(e.append(nil, &test.route, object.AllFields))
			if got != test.want {
				t.Errorf("%s: got\n%s\nwant\n%s", test.name, got, test.want)
			}
			if !json.Valid([]byte(got)) {
				t.Errorf("%s: not JSON: %s", test.name, got)
			}
		}
		e.unknown = false
		if got := string(e.append(nil, &test.route, object.AllFields)); strings.Contains(got, "unknown") ||
			!json.Valid([]byte(got)) {
			t.Errorf("%s: without unknown attributes: %s", test.name, got)
		}
	}
}

// TestBlackholeObjects has routes whose nexthop object is a blackhole: they have
// no nexthops, whatever the kernel copies into them.
func TestBlackholeObjects(t *testing.T) {
	nstest.New(t)
	nstest.IP(t, "-6 nexthop add id 3 blackhole")
	nstest.IP(t, "nexthop add id 12 group 3")
	nstest.Batch(t, "-6", "route add fd01::/64 nhid 3", "route add fd02::/64 nhid 12")
	for _, compat := range []string{"1", "0"} {
		nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", compat)
		for _, summary := range []bool{false, true} {
			var out bytes.Buffer
			if err := Routes(context.Background(), &out, &rtnl.Kernel{},
				RoutesOptions{Family: object.IPv6, Summary: summary}); err != nil {
				t.Fatal(err)
			}
			if s := out.String(); !strings.Contains(s, "fd02::/64") || strings.Contains(s, "multipath") ||
				strings.Contains(s, "nexthop dev") {
				t.Errorf("compat mode %s, summary %v:\n%s", compat, summary, s)
			}
		}
	}
}

// TestRoutesOfManyParts has so many routes that several goroutines make the JSON.
func TestRoutesOfManyParts(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	var lines []string
	for i := range 15_000 {
		lines = append(lines, fmt.Sprintf("route add 20.%d.%d.0/24 via 10.0.0.%d metric %d", i>>8, i&255, 2+i%70, i))
	}
	nstest.Batch(t, "-4", lines...)
	s, err := new(rtnl.Kernel).Read(t.Context(), rtnl.RouteRequest(rtnl.Filter{}))
	if err != nil {
		t.Fatal(err)
	}
	if parts := s.Split(object.Routes.Kind, 1000); len(parts) < 3 {
		t.Fatalf("%d parts", len(parts))
	}
	want := []byte{'['}
	e := &routeEncoder{snap: s, names: iproute2.HostNames(), unknown: true}
	for c := s.Cursor(object.AllFields); c.Next(); {
		if len(want) > 1 {
			want = append(want, ',')
		}
		want = e.append(append(want, '\n'), c.Route(), c.Attributes())
	}
	want = append(want, "\n]\n"...)
	var got bytes.Buffer
	if err := Routes(t.Context(), &got, s.Instant(iproute2.HostNames()), RoutesOptions{}); err != nil ||
		!json.Valid(got.Bytes()) {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%d bytes instead of %d: %.300s", got.Len(), len(want), got.Bytes())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := printJSON(ctx, newOutput(ctx, &got), s, e.names, true); err != ErrInterrupted {
		t.Errorf("cancelled: %v", err)
	}
}

func TestRoutesOptions(t *testing.T) {
	for _, test := range []struct {
		opts RoutesOptions
		want rtnl.Filter
	}{
		{RoutesOptions{}, rtnl.Filter{Families: []object.Family{object.IPv4, object.IPv6}}},
		{RoutesOptions{Family: object.IPv6}, rtnl.Filter{Families: []object.Family{object.IPv6}}},
		{RoutesOptions{Table: "main", Family: object.IPv4},
			rtnl.Filter{Families: []object.Family{object.IPv4}, Tables: []uint32{254}}},
		{RoutesOptions{Table: "LOCAL", Family: object.IPv4},
			rtnl.Filter{Families: []object.Family{object.IPv4}, Tables: []uint32{255}}},
		{RoutesOptions{Table: "254", Family: object.IPv4},
			rtnl.Filter{Families: []object.Family{object.IPv4}, Tables: []uint32{254}}},
		{RoutesOptions{Table: "4294967295", Family: object.IPv4},
			rtnl.Filter{Families: []object.Family{object.IPv4}, Tables: []uint32{4294967295}}},
	} {
		var src emptySource
		var out bytes.Buffer
		if err := Routes(context.Background(), &out, &src, test.opts); err != nil || out.String() != "[]\n" {
			t.Errorf("%+v: %q, %v", test.opts, &out, err)
		}
		got, want := src.asked.Filter, test.want
		if len(got.Families) != len(want.Families) || got.Families[0] != want.Families[0] ||
			len(got.Tables) != len(want.Tables) || len(got.Tables) > 0 && got.Tables[0] != want.Tables[0] ||
			!slices.Equal(src.asked.Referred, []*object.Kind{object.Links.Kind, object.NexthopObjects.Kind}) {
			t.Errorf("%+v: asked for %+v", test.opts, src.asked)
		}
	}
	for _, table := range []string{"nope", "4294967296", "-1", "0x", "08", "0x1_0", "0b11", "100 ", "ma in"} {
		var bad *option.Error
		var out bytes.Buffer
		err := Routes(context.Background(), &out, &emptySource{}, RoutesOptions{Table: table})
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), table) || out.Len() > 0 {
			t.Errorf("table %s: printed %q, error %v", table, &out, err)
		}
	}
}

func TestEmptySummary(t *testing.T) {
	var out bytes.Buffer
	if err := Routes(context.Background(), &out, &emptySource{}, RoutesOptions{Summary: true}); err != nil {
		t.Fatal(err)
	}
	rule := strings.Repeat("=", 70)
	if want := rule + "\nROUTING TABLE QUERY\n" + rule +
		"\n\nTotal routes: 0\n\nRoute entries:\n\n"; out.String() != want {
		t.Errorf("got\n%s", &out)
	}
}

// TestNoUnknownAttrs: less is decoded then, and nothing else may be missing.
func TestNoUnknownAttrs(t *testing.T) {
	for _, c := range goldenCases {
		src := openCapture(t, c.name)
		var routes [2][]map[string]any
		for i, without := range []bool{false, true} {
			var out bytes.Buffer
			if err := Routes(context.Background(), &out, src, RoutesOptions{NoUnknownAttrs: without}); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(out.Bytes(), &routes[i]); err != nil {
				t.Fatal(c.name, err)
			}
		}
		for _, r := range routes[0] {
			delete(r, "unknown_rta_attrs")
			delete(r, "unknown_rta_attrs_decoded")
		}
		if !reflect.DeepEqual(routes[0], routes[1]) {
			t.Errorf("%s: got\n%v\nwant\n%v", c.name, routes[1], routes[0])
		}
	}
}
