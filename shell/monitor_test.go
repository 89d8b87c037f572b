package shell

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/eventtest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/author"
	"kernelroutes/rtnl/events"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/option"
	"kernelroutes/tables"
)

// changes yields events, then an error if it is not nil.
func changes(all []*events.Event, err error) iter.Seq2[*events.Event, error] {
	return func(yield func(*events.Event, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

func monitored(t *testing.T, all []*events.Event, opts MonitorOptions) string {
	t.Helper()
	var out bytes.Buffer
	if err := Monitor(t.Context(), &out, iproute2.NoNames(), changes(all, nil), opts); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

const monitoredText = `added     route ipv4 254 default via 192.0.2.9 dev eth1 proto 16 metric 100  ` +
	`by dhclient[611] uid 0 (/usr/sbin/dhclient), by another socket than its first
replaced  route ipv4 254 default via 192.0.2.1 dev eth0 proto 16 metric 100, was via 192.0.2.9 dev eth1  ` +
	`by dhclient[611] uid 0 (/usr/sbin/dhclient)
added     rule ipv4 32765 not fwmark 0xca6c lookup 1000 proto 3  by ip[701] uid 0 (/usr/bin/ip)
added     nexthop 1 ipv4 via 192.0.2.2 dev eth0 proto 11  by zebra[702] uid 92 (/usr/lib/frr/zebra)
appended  route ipv4 254 100.64.0.0/10 via 192.0.2.2 dev eth0 nhid 1 proto 3  by zebra[702] uid 92 (/usr/lib/frr/zebra)
added     route ipv4 254 198.51.100.0/24 dev eth1 proto 3 scope 253  ` +
	`by calico-node[703] uid 0 (/usr/bin/calico-node), in another PID namespace
deleted   route ipv4 254 198.51.100.0/24 dev eth1 proto 3 scope 253  by a process that is not known, port 802
deleted   address 192.0.2.8/24 dev eth1  by ip[701] uid 0 (/usr/bin/ip)
gone      route ipv4 254 192.0.2.0/24 dev eth1 proto 3 scope 253  by ip[701] uid 0 (/usr/bin/ip)
deleted   link eth1  by the kernel
lost      changes before this are not known: they came too fast; what differs now comes next, as added and gone
gone      route ipv4 254 203.0.113.0/24 dev 4 proto 3 scope 253  by whom is not known
replaced  route ipv6 254 2001:db8:9::/48 nexthop via 2001:db8::2 dev eth0 weight 1 nexthop via 2001:db8::3 dev eth0 ` +
	`weight 1 proto 186 metric 20, was nexthop via 2001:db8::4 dev eth0 weight 1  ` +
	`by zebra[702] uid 92 (/usr/lib/frr/zebra)
added     route ipv6 254 2001:db8:a::/64 via 2001:db8::1 dev eth0 proto 186 metric 20  by the kernel
`

// withoutClock cuts the time from each line, which is that of the event.
func withoutClock(t *testing.T, text string, all []*events.Event) string {
	t.Helper()
	var b strings.Builder
	n := 0
	for line := range strings.Lines(text) {
		at, rest, _ := strings.Cut(line, " ")
		for n < len(all) && all[n].At().Format("15:04:05.000") != at {
			n++
		}
		if n++; n > len(all) {
			t.Fatalf("the time of no event: %s", line)
		}
		b.WriteString(rest)
	}
	return b.String()
}

// TestMonitorText has a line of each kind.
func TestMonitorText(t *testing.T) {
	all := eventtest.Sample(time.Now())
	if got := withoutClock(t, monitored(t, all, MonitorOptions{}), all); got != monitoredText {
		t.Errorf("%s", got)
	}
}

// TestMonitorOptions: routes and rules are chosen by table and family; a loss is told in any case.
func TestMonitorOptions(t *testing.T) {
	all := eventtest.Sample(time.Now())
	lines := strings.SplitAfter(monitoredText, "\n")
	for _, c := range []struct {
		opts MonitorOptions
		want []int
	}{
		{MonitorOptions{Table: "254"}, []int{0, 1, 4, 5, 6, 8, 10, 11, 12, 13}},
		{MonitorOptions{Table: "1000"}, []int{2, 10}},
		{MonitorOptions{Table: "0x7"}, []int{10}},
		{MonitorOptions{Family: object.IPv4}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
		{MonitorOptions{Family: object.IPv6}, []int{9, 10, 12, 13}},
		{MonitorOptions{Family: object.IPv6, Table: "254"}, []int{10, 12, 13}},
	} {
		want := ""
		for _, n := range c.want {
			want += lines[n]
		}
		if got := withoutClock(t, monitored(t, all, c.opts), all); got != want {
			t.Errorf("%+v:\n%s", c.opts, got)
		}
	}
	var bad *option.Error
	err := Monitor(t.Context(), nil, iproute2.NoNames(), changes(all, nil), MonitorOptions{Table: "nope"})
	if !errors.As(err, &bad) {
		t.Errorf("table nope: %v", err)
	}
}

// TestMonitorJSON: the objects are what query --jsonl prints of the table.
func TestMonitorJSON(t *testing.T) {
	all := eventtest.Sample(time.Now())
	all[0].Author = &author.Author{PID: 1, Name: "a\"\n", Path: "\xff"}
	var want bytes.Buffer
	src := &eventtest.Source{Source: &rtnl.Kernel{}, All: all}
	err := Query(t.Context(), &want, src, "SELECT * FROM kernel_route_events", Options{Format: JSONL})
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	err = Monitor(t.Context(), &got, iproute2.HostNames(), changes(all, nil), MonitorOptions{JSON: true})
	if err != nil || got.String() != want.String() {
		t.Errorf("%v\n%s\nwant\n%s", err, &got, &want)
	}
	var first map[string]string
	if err := json.Unmarshal([]byte(strings.SplitN(got.String(), "\n", 2)[0]), &first); err != nil ||
		first["seq"] != "1" || first["gateway"] != "192.0.2.9" || first["priority"] != "" {
		t.Errorf("%v, %v", err, first)
	}
}

// TestMonitorIsSafe: what a process calls itself does not drive a terminal, nor make lines.
func TestMonitorIsSafe(t *testing.T) {
	all := eventtest.Sample(time.Now())[:1]
	all[0].Author = &author.Author{PID: 7, Name: "\x1b[2J\n", Path: "/tmp/\u202ex\x07", UID: 1}
	got := monitored(t, all, MonitorOptions{})
	if !strings.Contains(got, `by \x1b[2J\n[7] uid 1 (/tmp/\u202ex\a)`) || strings.Count(got, "\n") != 1 {
		t.Errorf("%q", got)
	}
}

// TestMonitorAuthors has what is said of authors that no sample has.
func TestMonitorAuthors(t *testing.T) {
	by := &author.Author{PID: 7, UID: 1, Name: "x"} // whose program may not be known
	for _, c := range []struct {
		told      bool
		port      uint32
		by        *author.Author
		certainty author.Certainty
		want      string
	}{
		{true, 0, nil, author.Unknown, "by a process that is not known, as it was not asked for over netlink"},
		{true, 0, nil, author.Kernel, "by the kernel"},
		{true, 9, nil, author.Unknown, "by a process that is not known, port 9"},
		{false, 0, nil, author.Unknown, "by whom is not known"},
		{true, 7, by, author.Process, "by x[7] uid 1"},
		{true, 7, by, author.OtherSocket, "by x[7] uid 1, by another socket than its first"},
	} {
		e := *eventtest.Sample(time.Now())[0]
		e.Told, e.Port, e.Author, e.Certainty = c.told, c.port, c.by, c.certainty
		if got := monitored(t, []*events.Event{&e}, MonitorOptions{}); !strings.HasSuffix(got, "  "+c.want+"\n") {
			t.Errorf("want %s: %s", c.want, got)
		}
	}
}

// TestMonitorTwins: what is replaced by what looks alike was nothing else.
func TestMonitorTwins(t *testing.T) {
	e := *eventtest.Sample(time.Now())[1]
	e.Old = e.Object
	e.Action, e.Certainty = events.Present, author.Unknown
	if got := monitored(t, []*events.Event{&e}, MonitorOptions{}); !strings.HasSuffix(got,
		" present   route ipv4 254 default via 192.0.2.1 dev eth0 proto 16 metric 100\n") {
		t.Errorf("%s", got)
	}
}

// TestMonitorNexthops: of nexthops those are shown as what was there before that went.
func TestMonitorNexthops(t *testing.T) {
	for _, c := range []struct {
		old, now []string
		was      string
	}{
		{[]string{"fd00::2", "fd00::3"}, []string{"fd00::2"}, ", was nexthop via fd00::3 dev eth0 weight 1"},
		{[]string{"fd00::2", "fd00::3"}, []string{"fd00::3", "fd00::4"}, ", was nexthop via fd00::2 dev eth0 weight 1"},
		{[]string{"fd00::2"}, []string{"fd00::4"}, ", was via fd00::2"},
		{[]string{"fd00::2"}, []string{"fd00::2"}, ""},
	} {
		e := *eventtest.Sample(time.Now())[12]
		e.Object = eventtest.Route(eventtest.Shared("2001:db8:9::/48", 2, c.now...))
		e.Old = eventtest.Route(eventtest.Shared("2001:db8:9::/48", 2, c.old...))
		got := monitored(t, []*events.Event{&e}, MonitorOptions{})
		if !strings.Contains(got, " metric 20"+c.was+"  by zebra") {
			t.Errorf("%q, %q: %s", c.old, c.now, got)
		}
	}
}

// A pieces keeps what is written, piece by piece.
type pieces struct{ written chan string }

func (p pieces) Write(b []byte) (int, error) {
	p.written <- string(b)
	return len(b), nil
}

// TestMonitorAtOnce: a change is printed when it comes, though none comes after it; what comes while
// another is written comes together.
func TestMonitorAtOnce(t *testing.T) {
	all := eventtest.Sample(time.Now())
	come, p := make(chan *events.Event), pieces{make(chan string)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Monitor(ctx, p, iproute2.NoNames(), func(yield func(*events.Event, error) bool) {
			for {
				select {
				case e := <-come:
					if !yield(e, nil) {
						return
					}
				case <-ctx.Done():
					yield(nil, ctx.Err())
					return
				}
			}
		}, MonitorOptions{Family: object.IPv4})
	}()
	come <- all[0]
	if got := <-p.written; strings.Count(got, "\n") != 1 {
		t.Errorf("first piece: %q", got)
	}
	come <- all[1]
	come <- all[13] // which is none of IPv4: the one before is printed nevertheless
	if got := <-p.written; strings.Count(got, "\n") != 1 || !strings.Contains(got, "replaced") {
		t.Errorf("second piece: %q", got)
	}
	cancel()
	if err := <-done; !errors.Is(err, ErrInterrupted) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestMonitorFails: the error of the changes, after what came before it, and that of the output.
func TestMonitorFails(t *testing.T) {
	all, failed := eventtest.Sample(time.Now()), errors.New("the namespace is gone")
	var out bytes.Buffer
	err := Monitor(t.Context(), &out, iproute2.NoNames(), changes(all, failed), MonitorOptions{})
	if !errors.Is(err, failed) || withoutClock(t, out.String(), all) != monitoredText {
		t.Errorf("%v\n%s", err, &out)
	}
	endless := func(yield func(*events.Event, error) bool) {
		for yield(all[0], nil) {
		}
	}
	if err := Monitor(t.Context(), brokenWriter{}, iproute2.NoNames(), endless, MonitorOptions{}); err != errBroken {
		t.Errorf("a broken output: %v", err)
	}
}

var errBroken = errors.New("broken")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

// TestMonitorManyRows: no line is lost, no column left out, nor a hidden one shown.
func TestMonitorManyRows(t *testing.T) {
	sample := eventtest.Sample(time.Now())
	var all []*events.Event
	for i := range 20_000 {
		e := *sample[i%len(sample)]
		all = append(all, &e)
	}
	out := monitored(t, all, MonitorOptions{JSON: true})
	if n := strings.Count(out, "\n"); n != len(all) {
		t.Errorf("%d lines of %d", n, len(all))
	}
	columns := 0
	for _, c := range tables.Events.Columns {
		shown := strings.Contains(out[:strings.IndexByte(out, '\n')], `"`+c.Name+`":`)
		if shown != (c.Options&tables.Hidden == 0) {
			t.Errorf("%s is shown: %v", c.Name, shown)
		}
		columns++
	}
	if columns < 50 {
		t.Errorf("%d columns", columns)
	}
}
