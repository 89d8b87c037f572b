package tables_test

import (
	"errors"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/tables"
)

// TestOtherNamespaceOfSnapshot: what is of one namespace is no answer about another, however that is
// named.
func TestOtherNamespaceOfSnapshot(t *testing.T) {
	nstest.New(t)
	s, err := new(rtnl.Kernel).Read(t.Context(), rtnl.RouteRequest(rtnl.Filter{}))
	if err != nil {
		t.Fatal(err)
	}
	src := s.Instant(iproute2.HostNames())
	all := scan(t, tables.Routes, src)
	if len(all) == 0 {
		t.Fatal("no route")
	}
	for _, c := range []tables.Constraint{
		where(tables.Routes, "netns", tables.Equals, "blue"),
		where(tables.Routes, "netns", tables.Equals, "net:[5]"),
		where(tables.Routes, "pid_with_namespace", tables.Equals, "1"),
		where(tables.Routes, "netns_id", tables.Equals, "5"),
		where(tables.Routes, "route_id", tables.Equals, all[0]["route_id"]+"@5"),
	} {
		if rows, err := scanErr(tables.Routes, src, c); !errors.Is(err, rtnl.ErrNoNamespace) || len(rows) > 0 {
			t.Errorf("%v: %d rows, %v", c, len(rows), err)
		}
	}
}

// TestUnsaidInputs: it is told of a column that says what to show if nothing says so, and not where
// the identity does. (osquery hands no empty text over, so that in a join by route_id and netns
// none comes for the own namespace.)
func TestUnsaidInputs(t *testing.T) {
	nstest.New(t)
	said := func(used string, constraints ...tables.Constraint) (all string) {
		q := tables.Query{Used: make([]bool, len(tables.Routes.Columns)), Constraints: constraints, Dropped: true,
			Warn: func(text string) { all += text }}
		q.Used[tables.Routes.Column(used)] = true
		if _, err := tables.Routes.Scan(t.Context(), &rtnl.Kernel{}, q); err != nil {
			t.Fatal(err)
		}
		return all
	}
	id := where(tables.Routes, "route_id", tables.Equals, "ipv4:254:20.0.0.0/8:0123456789abcdef")
	for _, tc := range []struct {
		used string
		is   []tables.Constraint
		want string
	}{
		{"netns", nil, "netns is used, but no value"},
		{"netns", []tables.Constraint{a20(tables.Routes)}, "netns is used, but no value"},
		{"pid_with_namespace", nil, "pid_with_namespace is used, but no value"},
		{"covers", nil, "covers is used, but no value"},
		{"covers", []tables.Constraint{id}, "covers is used, but no value"},
		{"netns", []tables.Constraint{where(tables.Routes, "netns", tables.Equals, "/proc/self/ns/net")}, ""},
		{"netns", []tables.Constraint{id}, ""},
		{"netns_id", nil, ""},
		{"dst", nil, ""},
	} {
		if got := said(tc.used, tc.is...); !strings.Contains(got, tc.want) || (got == "") != (tc.want == "") {
			t.Errorf("%s, %v: %q", tc.used, tc.is, got)
		}
	}
}
