package tables_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/capture"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// A heldSource answers each request with the same snapshot.
type heldSource struct {
	*rtnl.Snapshot
	*rtnl.Kernel // for what is not asked
}

func (h heldSource) Count(context.Context, rtnl.Request) (n int, consistent bool, err error) {
	return h.Snapshot.Count(object.Routes.Kind), h.Consistent, nil
}

func (heldSource) Names() *iproute2.Names { return iproute2.HostNames() }

func (h heldSource) Read(context.Context, rtnl.Request) (*rtnl.Snapshot, error) {
	return h.Snapshot, nil
}

// BenchmarkRows builds rows of all columns, of 10,000 routes: decoded, and each
// column appended. One operation is all of them, ns/row one.
func BenchmarkRows(b *testing.B) {
	nstest.New(b)
	nstest.Veth(b, "v0", "10.0.0.1/16")
	var lines []string
	for i := range 10_000 {
		lines = append(lines, fmt.Sprintf("route add 20.%d.%d.0/24 via 10.0.0.%d proto bgp metric 20", i>>8, i&255,
			2+i%70))
	}
	nstest.Batch(b, "-4", lines...)
	s, err := new(rtnl.Kernel).Read(context.Background(), rtnl.RouteRequest(rtnl.Filter{}))
	if err != nil {
		b.Fatal(err)
	}
	for _, t := range tables.OfRoutes() {
		b.Run(t.Name, func(b *testing.B) {
			b.ReportAllocs()
			rows := 0
			var value []byte
			for b.Loop() {
				r, err := t.Scan(context.Background(), heldSource{Snapshot: s}, tables.Query{})
				if err != nil {
					b.Fatal(err)
				}
				for rows = 0; r.Next(); rows++ {
					for col := range t.Columns {
						value, _ = t.AppendValue(value[:0], r, col)
					}
				}
			}
			if rows < len(lines) {
				b.Fatalf("%d rows", rows)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
		})
	}
}

// TestRowsDoNotAllocate checks that the columns of a row are appended without
// allocations, however many there are.
func TestRowsDoNotAllocate(t *testing.T) {
	for _, name := range []string{"basics-ipv4", "ecmp", "encaps"} {
		capture := openCapture(t, name)
		for _, table := range tables.OfCaptures() {
			r, err := table.Scan(context.Background(), capture, tables.Query{})
			if err != nil {
				t.Fatal(err)
			}
			value := make([]byte, 0, 4<<10)
			for r.Next() {
				for col, c := range table.Columns {
					if n := testing.AllocsPerRun(5,
						func() { value, _ = table.AppendValue(value[:0], r, col) }); n != 0 {
						t.Errorf("%s, %s: %v allocations for %s", name, table.Name, n, c.Name)
					}
				}
			}
		}
	}
}

func openCapture(t testing.TB, name string) *capture.Capture {
	t.Helper()
	f, err := os.Open("../testdata/captures/" + name + ".pcap")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := capture.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
