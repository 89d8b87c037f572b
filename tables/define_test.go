package tables

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// links is a table whose rows are no routes.
var links = define(Table{Name: "links"}, []column[object.Link]{
	text("dev", "Name", nothing, func(l *object.Link, b []byte) []byte { return append(b, l.Name...) }),
	bigint("dev_index", "Index", nothing, func(l *object.Link) (int64, bool) { return present(l.Index) }).key(),
	consistent[object.Link](),
}, source[object.Link]{
	kind: object.Links.Kind,
	rows: func(_ *plan[object.Link], s *scope) func() *object.Link {
		return rtnl.Each(s.snap, object.Links)
	},
	single: true,
	splits: true,
})

// A notedKernel is the kernel, and notes how it is asked.
type notedKernel struct {
	rtnl.Kernel
	read, counted []rtnl.Request
	inconsistent  bool
}

func (k *notedKernel) Read(ctx context.Context, r rtnl.Request) (*rtnl.Snapshot, error) {
	k.read = append(k.read, r)
	s, err := k.Kernel.Read(ctx, r)
	if k.inconsistent && err == nil {
		s.Consistent = false
	}
	return s, err
}

func (k *notedKernel) Count(ctx context.Context, r rtnl.Request) (int, bool, error) {
	k.counted = append(k.counted, r)
	n, consistent, err := k.Kernel.Count(ctx, r)
	return n, consistent && !k.inconsistent, err
}

// TestTableOfLinks asks a table that is none of routes for what depends on the kind.
func TestTableOfLinks(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24")
	src := &notedKernel{}
	used := func(names ...string) []bool {
		all := make([]bool, len(links.Columns))
		for _, n := range names {
			all[links.Column(n)] = true
		}
		return all
	}
	scan := func(q Query) (all []string) {
		rows, err := links.Scan(t.Context(), src, q)
		if err != nil {
			t.Fatal(err)
		}
		var b []byte
		for rows.Next() {
			b = b[:0]
			for col, used := range q.Used {
				if used {
					b, _ = links.AppendValue(append(b, ' '), rows, col)
				}
			}
			all = append(all, string(b))
		}
		return all
	}
	all := scan(Query{Used: used("dev", "snapshot_consistent")})
	interfaces, err := net.Interfaces() // some kernels have tunnels in every namespace
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(interfaces) || !slices.Contains(all, " v0 1") || !slices.Contains(all, " lo 1") {
		t.Errorf("rows are %q", all)
	}
	for _, r := range src.read {
		if r.GivesIDs || len(r.Referred) > 0 || !slices.Equal(r.Kinds, []*object.Kind{object.Links.Kind}) {
			t.Errorf("asks for %+v", r)
		}
	}
	// What is the same of every row needs no rows.
	for range 2 {
		want := slices.Repeat([]string{" 1"}, len(interfaces))
		if src.inconsistent {
			want = slices.Repeat([]string{" 0"}, len(interfaces))
		}
		var said []string
		got := scan(Query{Used: used("snapshot_consistent"), Warn: func(text string) { said = append(said, text) }})
		if !slices.Equal(got, want) || len(src.read) != 1 {
			t.Errorf("%q, after %d reads", got, len(src.read))
		}
		warned := len(said) == 1 && WarnsInconsistent(said[0]) &&
			strings.HasPrefix(said[0], "links: links changed while they were read")
		if src.inconsistent != warned {
			t.Errorf("inconsistent %v: said is %q", src.inconsistent, said)
		}
		src.inconsistent = true
	}
	if len(src.counted) != 2 {
		t.Errorf("%d times counted", len(src.counted))
	}
	// A condition that is not pushed down, and numbers of rows.
	q := Query{Used: used("dev"), Constraints: []Constraint{{links.Column("dev"), Equals, "v0"}}, RowIDs: true}
	if got := scan(q); !slices.Equal(got, []string{" v0"}) {
		t.Errorf("dev = v0: %q", got)
	}
}

// TestTableWithoutKey: all rows of such a table had one number.
func TestTableWithoutKey(t *testing.T) {
	defer func() {
		if p := recover(); p != "t: no column tells its rows apart" {
			t.Errorf("panic %v", p)
		}
	}()
	define(Table{Name: "t"}, []column[object.Link]{consistent[object.Link]()}, source[object.Link]{})
}
