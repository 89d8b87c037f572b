package capture

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"testing"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

var update = flag.Bool("update", false,
	"write what this kernel told to testdata/fuzz, where FuzzCapture begins, and testdata/events.pcap")

// stride is how far a test goes each time: further with -short.
func stride(all, short int) int {
	if testing.Short() {
		return short
	}
	return all
}

// readTest reads a file that can be read.
func readTest(t testing.TB, file []byte) *Capture {
	t.Helper()
	c, err := Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// routesAlone asks for routes, and not for what they refer to.
func routesAlone(f rtnl.Filter) rtnl.Request {
	return rtnl.Request{Kinds: []*object.Kind{object.Routes.Kind}, Filter: f}
}

// everything returns all that a capture has.
func everything(t testing.TB, c *Capture) *rtnl.Snapshot {
	t.Helper()
	var has []*object.Kind
	for _, k := range object.Kinds {
		if slices.Contains(c.without, k) {
			continue
		}
		of := c.coverage
		if of == nil || !slices.Contains(of.lacked, k) && (!byTable(k) || of.hasAny(k, &rtnl.Filter{})) {
			has = append(has, k)
		}
	}
	s, err := c.Read(context.Background(), rtnl.Request{Kinds: has})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// contents returns all that a capture says, to be compared.
func contents(t testing.TB, c *Capture) any {
	t.Helper()
	s := everything(t, c)
	var messages [][]byte
	for _, k := range object.Kinds {
		for _, run := range s.Runs(k) {
			messages = append(messages, run.Bytes())
		}
	}
	return []any{c.Host(), namesText(c.names), c.Notes(), c.coverage, s.Consistent, bytes.Join(messages, nil)}
}

// namesText returns all names, nil if there are none.
func namesText(n *iproute2.Names) (text []byte) {
	if n == nil {
		return nil
	}
	for _, f := range n.Files() {
		text = f.AppendLines(append(text, f.File+"\n"...))
	}
	return text
}

func sameNames(a, b *iproute2.Names) bool { return bytes.Equal(namesText(a), namesText(b)) }

// give adds the names in some lines to those of a file of iproute2.
func give(t testing.TB, n *iproute2.Names, file, lines string) {
	t.Helper()
	for _, f := range n.Files() {
		if f.File != file {
			continue
		}
		if err := f.ReadLines([]byte(lines)); err != nil {
			t.Fatal(err)
		}
	}
}

func canceled(err error) bool {
	return errors.Is(err, rtnl.ErrCanceled) && errors.Is(err, context.Canceled) && !errors.Is(err, rtnl.ErrDeadline)
}

// dump returns all that a snapshot says, a line a route, sorted.
func dump(s *rtnl.Snapshot) []string {
	lines := []string{}
	var hops []object.Nexthop
	for c := s.Cursor(object.AllFields); c.Next(); {
		r := c.Route()
		hops = s.Nexthops(r, hops)
		line := fmt.Sprintf("%s %+v %+v", r.AppendID(nil), *r, hops)
		for _, h := range hops {
			l, ok := s.Link(h.OIF)
			line += fmt.Sprintf(" %+v %v", l, ok)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}
