package tables_test

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// BenchmarkNamespaces reads the few routes of 50 namespaces: by a query, by one Kernel, and by a
// bare dump in each, for which it is entered once. One operation is one namespace.
func BenchmarkNamespaces(b *testing.B) {
	const many = 50
	var constraints []tables.Constraint
	var paths []rtnl.Namespace
	done := make(chan bool)
	defer close(done)
	for range many {
		path := make(chan string)
		go func() {
			nstest.New(b)
			path <- fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
			<-done
		}()
		p := <-path
		paths = append(paths, rtnl.Namespace(p))
		constraints = append(constraints, where(tables.Routes, "netns", tables.Equals, p))
	}
	used := make([]bool, len(tables.Routes.Columns))
	for _, c := range []string{"netns_id", "dst", "gateway", "dev", "metric"} {
		used[tables.Routes.Column(c)] = true
	}
	perNamespace := func(b *testing.B, all func()) {
		b.ReportAllocs()
		for b.Loop() {
			all()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/many, "ns/namespace")
	}
	b.Run("query", func(b *testing.B) {
		perNamespace(b, func() {
			rows, err := tables.Routes.Scan(b.Context(), &rtnl.Kernel{}, tables.Query{Constraints: constraints,
				Used: used})
			if err != nil {
				b.Fatal(err)
			}
			for rows.Next() {
			}
		})
	})
	b.Run("Kernel", func(b *testing.B) {
		req := rtnl.RouteRequest(rtnl.Filter{})
		perNamespace(b, func() {
			for _, req.Namespace = range paths {
				if _, err := new(rtnl.Kernel).Read(b.Context(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	b.Run("floor", func(b *testing.B) {
		buf := make([]byte, conn.MaxDatagram)
		perNamespace(b, func() {
			for _, ns := range paths {
				c, err := conn.Dialer(conn.Dial).Open(b.Context(), ns, 0)
				if err != nil {
					b.Fatal(err)
				}
				_, err = c.Dump(object.RTM_GETROUTE, object.DumpRequest{}.AppendTo(nil), conn.Sink{
					Buffer:   func() []byte { return buf },
					Datagram: func() bool { return true },
				})
				if err != nil {
					b.Fatal(err)
				}
				c.Close()
			}
		})
	})
}
