package consistency

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	. "kernelroutes/internal/fakekernel"
	. "kernelroutes/internal/nltest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

// runSink runs a sink for a dump of a fake kernel, after it was changed.
func runSink(t *testing.T, answer func(Request) []Event, change func(*Sink)) (*Sink, error) {
	t.Helper()
	c, err := conn.Dialer((&Kernel{T: t, Answer: answer}).Dial).Open(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := &Sink{Dump: Dump{Kind: routes}, Arena: new(Arena), Match: matching}
	if change != nil {
		change(s)
	}
	return s, s.Run(c)
}

// fixed answers with datagrams of messages whose sequence number is 0 as yet.
func fixed(datagrams ...[][]byte) func(Request) []Event {
	return func(r Request) (all []Event) {
		for _, d := range datagrams {
			var messages [][]byte
			for _, m := range d {
				m = With(m)
				copy(m[8:], NE(r.Seq))
				messages = append(messages, m)
			}
			all = append(all, Datagram(messages...))
		}
		return append(all, Datagram(Done(r.Seq, 0)))
	}
}

func r4(n byte, table uint32) []byte { return Route4(0, n, table) }
func r6(n byte, table uint32) []byte { return Route6(0, n, table) }

// partsOf describes parts: family, table, first and last address, how many are kept and
// how many are counted of the table; "[" for the first of its table, "." where the datagram went on after it.
func partsOf(d *Dump) string {
	var all []string
	for _, p := range d.Parts {
		s := fmt.Sprintf("%v %d: %d-%d %d %d", p.Family, p.ID, p.first.Dst[1], p.last.Dst[1], p.data.Count(),
			total(d.tallies[p.Table]))
		if p.begins {
			s = "[" + s
		}
		if !p.cut {
			s += "."
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

func total(t *object.Tally) int {
	if t == nil {
		return 0
	}
	return t.Total()
}

// TestSink has what a dump keeps of what comes, and what it notes of the rest.
func TestSink(t *testing.T) {
	odd := func(m *object.Message) bool { return routes.Position(m).Dst[1]%2 == 1 }
	three := [][]byte{r4(1, 254), r4(2, 254), r4(3, 254)}
	both := fixed([][]byte{r4(1, 254), r6(2, 254)}, [][]byte{r6(3, 254)})
	for _, tc := range []struct {
		name   string
		answer func(Request) []Event
		change func(*Sink)
		want   string
		err    error
	}{
		{"nothing", fixed(), nil, "", nil},
		{"one datagram", fixed(three), nil, "[ipv4 254: 1-3 3 0", nil},
		{"two datagrams", fixed(three, [][]byte{r4(4, 254)}), nil, "[ipv4 254: 1-3 3 0 ipv4 254: 4-4 1 0", nil},
		{"two tables", fixed([][]byte{r4(1, 254), r4(1, 255)}, [][]byte{r4(2, 255), r6(9, 254)}), nil,
			"[ipv4 254: 1-1 1 0. [ipv4 255: 1-1 1 0 ipv4 255: 2-2 1 0. [ipv6 254: 9-9 1 0", nil},
		{"what does not match", fixed(three, [][]byte{r4(4, 254), r4(6, 254)},
			[][]byte{r4(8, 254), r4(9, 254), r4(10, 254)}),
			func(s *Sink) { s.Match = odd }, "[ipv4 254: 1-3 2 0 ipv4 254: 4-6 0 0 ipv4 254: 8-10 1 0", nil},
		{"counted", fixed(three, [][]byte{r6(1, 254)}),
			func(s *Sink) { s.Match, s.Dump.CountBy = odd, &object.Grouping{} },
			"[ipv4 254: 1-3 0 2 [ipv6 254: 1-1 0 1", nil},
		{"a table twice", fixed([][]byte{r4(1, 254), r4(1, 255)}, [][]byte{r4(2, 254)}), nil, "", conn.ErrInterrupted},
		{"IPv4 alone is wanted", both, func(s *Sink) { s.OnlyIPv4 = true }, "[ipv4 254: 1-1 1 0.", nil},
		{"without IPv6", both, func(s *Sink) { s.Dump.WithoutIPv6 = true }, "[ipv4 254: 1-1 1 0.", nil},
		{"a family that the kernel does not know", both,
			func(s *Sink) { s.Dump.Request.Family = object.MPLS }, "", nil},
		{"no such table", func(r Request) []Event { return []Event{Datagram(Done(r.Seq, uint32(syscall.ENOENT)))} },
			func(s *Sink) { s.Dump.Request.Table = 77 }, "", nil},
		{"no such interface", func(r Request) []Event { return []Event{Datagram(Done(r.Seq, uint32(syscall.ENODEV)))} },
			func(s *Sink) { s.Dump.Request.OIF = 77 }, "", nil},
		{"no table", func(r Request) []Event { return []Event{Datagram(Done(r.Seq, uint32(syscall.ENOENT)))} },
			nil, "", syscall.ENOENT},
		{"a message that is malformed", fixed([][]byte{Padded(object.RTM_NEWROUTE, 0, 0, []byte{2})}), nil, "", nil},
	} {
		s, err := runSink(t, tc.answer, tc.change)
		if malformed := strings.Contains(tc.name, "malformed"); malformed {
			if err == nil || !strings.Contains(err.Error(), "shorter than struct rtmsg") {
				t.Errorf("%s: %v", tc.name, err)
			}
			continue
		}
		if got := partsOf(&s.Dump); !errors.Is(err, tc.err) || err == nil && (tc.err != nil || got != tc.want) {
			t.Errorf("%s: %v\n got %s\nwant %s", tc.name, err, got, tc.want)
		}
		for _, p := range s.Dump.Parts { // what is kept is what came
			object.Each([]object.Run{p.data}, func(m *object.Message) bool {
				if !s.Match(m) || routes.Table(m) != p.Table {
					t.Errorf("%s: a message of %v is kept in %v", tc.name, routes.Table(m), p.Table)
				}
				return true
			})
		}
	}
}

// TestSinkEntries counts what the kernel counts, wanted or not.
func TestSinkEntries(t *testing.T) {
	cached := r6(4, 254)
	copy(cached[16+8:], NE(uint32(0x200))) // RTM_F_CLONED
	s, err := runSink(t, fixed([][]byte{r4(1, 254), r6(1, 254), RouteMessage(0, ECMP(object.IPv6)), cached}),
		func(s *Sink) { s.Match = func(*object.Message) bool { return false } })
	if err != nil || s.Entries != 4 || s.Cached != 1 || s.Largest != 2 {
		t.Errorf("%v, %d entries, %d cached, at most %d", err, s.Entries, s.Cached, s.Largest)
	}
}

// TestSinkRefers notes what the objects refer to that are kept.
func TestSinkRefers(t *testing.T) {
	for _, refer := range []bool{true, false} {
		s, err := runSink(t, fixed([][]byte{r4(1, 254), r4(2, 254)}), func(s *Sink) { s.Refer = refer })
		if err != nil || s.Dump.References.Of(links)[3] != refer {
			t.Errorf("%v, %v", err, s.Dump.References.Of(links))
		}
	}
	s, err := runSink(t, fixed([][]byte{r4(1, 254)}), func(s *Sink) {
		s.Refer, s.Match = true, func(*object.Message) bool { return false }
	})
	if err != nil || len(s.Dump.References.Of(links)) > 0 {
		t.Errorf("%v, %v", err, s.Dump.References.Of(links))
	}
}

// TestSinkLax has a kernel that would misread conditions.
func TestSinkLax(t *testing.T) {
	k := &Kernel{T: t, Lax: true, Answer: fixed()}
	c, err := conn.Dialer(k.Dial).Open(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := &Sink{Dump: Dump{Kind: routes, Request: object.DumpRequest{Family: object.IPv6, Table: 254, OIF: 3}},
		Arena: new(Arena), Match: matching}
	want := object.DumpRequest{Family: object.IPv6}
	if err := s.Run(c); err != nil || k.Routes()[0] != want || s.Dump.Request != want {
		t.Errorf("%v, %+v, %+v", err, k.Routes(), s.Dump.Request)
	}
}

// TestSinkParallel reads IPv6 beside IPv4 that is long, and listens meanwhile.
func TestSinkParallel(t *testing.T) {
	long := func(n int) func(Request) []Event {
		var all [][][]byte
		for i := range n {
			all = append(all, [][]byte{r4(byte(i), 254)})
		}
		return fixed(append(all, [][]byte{r6(1, 254)})...)
	}
	for _, tc := range []struct {
		n                  int
		whole, begun, ends bool
		listened           int
	}{
		{ParallelAfter - 1, true, false, false, 0}, // too short
		{ParallelAfter, true, true, true, 1},
		{ParallelAfter, false, true, false, 1},
		{2*listenAfter + 1, true, true, true, 3},
		{2*listenAfter + 1, false, true, false, 3},
	} {
		begun, listened := false, 0
		var heard Changes
		s, err := runSink(t, long(tc.n), func(s *Sink) {
			s.Listen = func() *Changes { listened++; return &heard }
			s.Parallel = func() func() bool {
				begun = true
				return func() bool { heard.add(r4(1, 254)); return tc.whole }
			}
		})
		parts := len(s.Dump.Parts)
		if err != nil || begun != tc.begun || s.Dump.EndedBeforeIPv6 != tc.ends || listened != tc.listened ||
			parts != tc.n && tc.ends || parts != tc.n+1 && !tc.ends {
			t.Errorf("%d datagrams, %v: %v, begun %v, ended %v, listened %d times, %d parts",
				tc.n, tc.whole, err, begun, s.Dump.EndedBeforeIPv6, listened, parts)
		}
		// What was heard later does not concern a dump that had ended.
		if s.Dump.FindGaps(&heard); s.Dump.changed(main4) != (begun && !tc.ends) {
			t.Errorf("%d datagrams, %v: changed %v", tc.n, tc.whole, s.Dump.changed(main4))
		}
		if s.Dump.Asked(main6) == tc.ends || !s.Dump.Asked(main4) {
			t.Errorf("%d datagrams, %v: IPv6 was asked for %v", tc.n, tc.whole, s.Dump.Asked(main6))
		}
	}
}

// TestReached: the kernel goes by the low byte of a table's number.
func TestReached(t *testing.T) {
	of := func(id uint32) object.Table { return object.Table{Family: object.IPv6, ID: id} }
	d := Dump{Kind: routes, Truncated: true, Parts: []Part{{Table: of(1)}, {Table: of(254)}}}
	if !d.Reached(of(1)) || !d.Reached(of(1000)) || d.Reached(of(254)) || d.Reached(of(510)) || d.Reached(of(255)) {
		t.Error("of a dump that may have ended too early")
	}
	if d.Truncated = false; !d.Reached(of(255)) {
		t.Error("of one that has not")
	}
}

// TestArena keeps what was received where it is.
func TestArena(t *testing.T) {
	a := NewArena(new(conn.Buffer))
	var kept [][]byte
	for i := range 300 {
		b := a.room()
		if len(b) != conn.MaxDatagram || cap(b) != conn.MaxDatagram {
			t.Fatalf("%d bytes of %d", len(b), cap(b))
		}
		for j := range 32 << 10 {
			b[j] = byte(i)
		}
		kept = append(kept, b[:32<<10])
		a.keep(32 << 10)
	}
	for i, b := range kept {
		if b[0] != byte(i) || b[len(b)-1] != byte(i) {
			t.Fatalf("datagram %d is of %d and %d", i, b[0], b[len(b)-1])
		}
	}
	if a.Size() < 300*32<<10 || a.Size() > 4*300*32<<10 {
		t.Errorf("%d bytes", a.Size())
	}
}
