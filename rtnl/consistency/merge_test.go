package consistency

import (
	"slices"
	"testing"

	. "kernelroutes/internal/nltest"
	"kernelroutes/rtnl/object"
)

// dumped is the datagrams of a dump, and what was heard while they came.
type dumped struct {
	datagrams [][][]byte
	heard     [][]byte
	change    func(*Sink)
	growing   [][]byte // what was heard of objects that grow
}

func datagrams(all ...[][]byte) [][][]byte { return all }

// fours and sixes are messages about routes of table main, in the order of the kernel's walk.
func fours(numbers ...byte) (all [][]byte) {
	for _, n := range numbers {
		all = append(all, r4(n, 254))
	}
	return all
}

func sixes(numbers ...byte) (all [][]byte) {
	for _, n := range numbers {
		all = append(all, r6(n, 254))
	}
	return all
}

// mroutes are messages about multicast routes to 239.1.2.3, which are in no order.
func mroutes(sources ...string) (all [][]byte) {
	for _, s := range sources {
		all = append(all, RouteMessage(0, Mroute(object.IPMR, s)))
	}
	return all
}

// A merging is what must follow from dumps and from what was heard meanwhile.
type merging struct {
	name    string
	dumps   []dumped
	wanted  func(object.Table) bool
	want    []byte // the second bytes of the routes' addresses
	counted int
	missing []object.Table
}

func mergings() []merging {
	four1, four2, six2, local6 := fours(1), fours(2), sixes(2), [][]byte{r6(1, 255)}
	only4 := func(table object.Table) bool { return table.Family == object.IPv4 }
	only6 := func(table object.Table) bool { return table == main6 }
	counting := func(s *Sink) { s.Dump.CountBy = &object.Grouping{} }
	multicast := mroutes("10.0.0.1")
	return []merging{
		{"nothing changed", []dumped{{datagrams: datagrams(fours(1, 2), fours(3))}}, nil, []byte{1, 2, 3}, 0, nil},
		{"the newest in which nothing changed", []dumped{
			{datagrams: datagrams(fours(1, 2)), heard: four2}, {datagrams: datagrams(fours(1, 3))},
			{datagrams: datagrams(fours(1, 4))}, {datagrams: datagrams(fours(1, 5)), heard: four2},
		}, nil, []byte{1, 4}, 0, nil},
		{"all have gone", []dumped{{datagrams: datagrams(fours(1, 2), fours(3)), heard: four2},
			{datagrams: datagrams(sixes(1))}}, nil, []byte{1}, 0, nil},
		{"IPv4 changed elsewhere", []dumped{{datagrams: datagrams(fours(1, 2), fours(3, 4)), heard: four1}},
			nil, []byte{1, 2, 3, 4}, 0, nil},
		{"IPv4 changed where a datagram ended", []dumped{
			{datagrams: datagrams(fours(1, 2), fours(3, 4)), heard: four2}},
			nil, []byte{1, 2, 3, 4}, 0, []object.Table{main4}},
		{"and another dump ends elsewhere", []dumped{
			{datagrams: datagrams(fours(1, 2), fours(3, 4)), heard: four2},
			{datagrams: datagrams(fours(1), fours(2, 3, 4)), heard: four2},
		}, nil, []byte{1, 2, 3, 4}, 0, []object.Table{main4}}, // the change may be where this one ended
		{"and another dump goes over it", []dumped{
			{datagrams: datagrams(fours(1, 2), fours(3, 4)), heard: four2},
			{datagrams: datagrams(fours(1, 2, 3), fours(4)), heard: four2},
		}, nil, []byte{1, 2, 3, 4}, 0, nil},
		{"IPv6 changed anywhere", []dumped{{datagrams: datagrams(sixes(1, 2), sixes(3, 4)), heard: six2}},
			nil, []byte{1, 2, 3, 4}, 0, []object.Table{main6}},
		{"IPv6 changed, and two dumps overlap", []dumped{
			{datagrams: datagrams(sixes(1, 2, 3), sixes(4, 5), local6), heard: six2},
			{datagrams: datagrams(sixes(1), sixes(2, 3, 4, 5), local6), heard: six2},
		}, only6, []byte{1, 2, 3, 4, 5}, 0, []object.Table{main6}}, // datagram and table ended together
		{"IPv6 changed, and its end is seen", []dumped{
			{datagrams: datagrams(sixes(1, 2, 3), sixes(4, 5)), heard: six2},
			{datagrams: datagrams(sixes(1), append(sixes(2, 3, 4, 5), local6...)), heard: six2},
		}, only6, []byte{1, 2, 3, 4, 5}, 0, nil},
		{"interrupted", []dumped{{datagrams: datagrams(fours(1, 2), [][]byte{Interrupted(r4(3, 254))}), heard: four1}},
			nil, []byte{1, 2, 3}, 0, []object.Table{main4}},
		{"interrupted, and nothing was heard", []dumped{
			{datagrams: datagrams(fours(1, 2), append(sixes(1, 2), Interrupted(r6(3, 254))))}},
			nil, []byte{1, 2, 1, 2, 3}, 0, []object.Table{main4, main6}},
		{"in another order than the kernel's", []dumped{{datagrams: datagrams(fours(2, 1, 3)), heard: four1}},
			nil, []byte{2, 1, 3}, 0, []object.Table{main4}},
		{"multicast changed", []dumped{{datagrams: datagrams(mroutes("10.0.0.1", "10.0.0.2")),
			heard: mroutes("10.0.0.1")}},
			nil, []byte{1, 1}, 0, []object.Table{{Family: object.IPMR, ID: 254}}},
		{"what is not wanted", []dumped{{datagrams: datagrams(fours(1), sixes(2), sixes(3)), heard: six2}},
			only4, []byte{1}, 0, nil},
		{"counted", []dumped{{datagrams: datagrams(fours(1, 2), append(fours(3), sixes(1)...)), change: counting}},
			nil, nil, 4, nil},
		{"counted but for multicast", []dumped{
			{datagrams: datagrams(append(fours(1), multicast...)), change: counting}},
			nil, []byte{1}, 1, nil},
		{"counted where it changed", []dumped{
			{datagrams: datagrams(fours(1, 2), fours(3)), heard: four2, change: counting}},
			nil, nil, 0, []object.Table{main4}},
		{"IPv6 counted where it changed", []dumped{
			{datagrams: datagrams(sixes(1, 2), sixes(3)), heard: six2, change: counting}},
			nil, nil, 0, []object.Table{main6}},
		{"counted, and then kept", []dumped{
			{datagrams: datagrams(append(fours(1, 2), sixes(1)...)), heard: six2, change: counting},
			{datagrams: datagrams(sixes(1, 3)), change: func(s *Sink) { s.Dump.Request.Family = object.IPv6 }},
		}, nil, []byte{1, 3}, 2, nil},
		{"counted while one grew", []dumped{
			{datagrams: datagrams(append(fours(1), sixes(1)...)), change: counting, growing: sixes(1)}},
			nil, nil, 1, []object.Table{main6}},
		{"kept while one grew", []dumped{{datagrams: datagrams(sixes(1)), growing: sixes(1)}}, nil, []byte{1}, 0, nil},
	}
}

func TestMerge(t *testing.T) {
	for _, tc := range mergings() {
		var dumps []*Dump
		var growing object.Messages
		for _, d := range tc.dumps {
			for _, b := range d.growing {
				var m object.Message
				if err := routes.Check(&m, b); err != nil {
					t.Fatal(err)
				}
				growing.Add(&m)
			}
			s, err := runSink(t, fixed(d.datagrams...), d.change)
			if err != nil {
				t.Fatal(err)
			}
			s.Dump.FindGaps(heardOf(d.heard...))
			dumps = append(dumps, &s.Dump)
		}
		if tc.wanted == nil {
			tc.wanted = wanted
		}
		list, counted, missing := Merge(dumps, tc.wanted, growing.Runs)
		var got []byte
		object.Each(list, func(m *object.Message) bool {
			got = append(got, routes.Position(m).Dst[1])
			return true
		})
		if !slices.Equal(got, tc.want) || total(counted) != tc.counted || !slices.Equal(missing, tc.missing) {
			t.Errorf("%s: %v, %d counted, without %v", tc.name, got, total(counted), missing)
		}
	}
}

// TestAgain asks for no more than is needed.
func TestAgain(t *testing.T) {
	local6 := object.Table{Family: object.IPv6, ID: 255}
	for _, tc := range []struct {
		missing []object.Table
		alone   bool
		want    object.DumpRequest
	}{
		{[]object.Table{main4}, false, object.DumpRequest{Protocol: 4}},
		{[]object.Table{main4}, true, object.DumpRequest{Protocol: 4, Table: 254}},
		{[]object.Table{main6}, false, object.DumpRequest{Protocol: 4, Family: object.IPv6}},
		{[]object.Table{main6}, true, object.DumpRequest{Protocol: 4, Family: object.IPv6, Table: 254}},
		{[]object.Table{main6, local6}, true, object.DumpRequest{Protocol: 4, Family: object.IPv6}},
		{[]object.Table{main4, main6}, true, object.DumpRequest{Protocol: 4}},
	} {
		got := Again(object.DumpRequest{Protocol: 4, Table: 7}, tc.missing, tc.alone)
		if got != tc.want {
			t.Errorf("%v, alone %v: %+v", tc.missing, tc.alone, got)
		}
	}
}
