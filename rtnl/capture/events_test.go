package capture

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	. "kernelroutes/internal/nltest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/author"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/events"
	. "kernelroutes/rtnl/object"
)

// addressMessage is a message about an address of interface 2.
func addressMessage(typ uint16) []byte {
	return Padded(typ, 0, 0, Cat([]byte{byte(IPv4), 24, 0, 0}, NE(uint32(2)), Attr(1, []byte{192, 0, 2, 1})))
}

// of makes a run of one message of a type, in memory of its own.
func of(t testing.TB, k *Kind, typ uint16, msg []byte) Run {
	msg = slices.Clone(msg)
	copy(msg[4:], NE(typ))
	return runOf(t, k, msg)
}

// madeUp are events of every kind, action and certainty, with all there is to say of each.
func madeUp(t testing.TB) (all []*events.Event) {
	routes, links := Routes.Kind, Links.Kind
	eth0, eth1 := runOf(t, links, LinkMessage(0, 2, "eth0")), runOf(t, links, LinkMessage(0, 3, "eth1"))
	hop := runOf(t, NexthopObjects.Kind, NexthopMessage(0, 7))
	both := runOf(t, links, LinkMessage(0, 4, "a"), LinkMessage(0, 5, "b"))
	dhcp := &author.Author{PID: 611, ParentPID: 1, Name: `dh"c\xff`, Path: "/usr/sbin/dhclient (deleted)",
		Cgroup: "/system.slice/a b.service"}
	user := &author.Author{PID: 1<<32 - 1, ParentPID: 1<<32 - 2, UID: 1000, Name: "ip\n\xff", Path: "/p\x00\n"}
	add := func(e events.Event) {
		n := uint64(len(all))
		e.Seq, e.Time, e.Uptime = 3*n+1, recordedAt.UnixNano()+int64(n), 1<<62+int64(n)
		all = append(all, &e)
	}
	v4 := runOf(t, routes, Route4(0, 1, 254))
	add(events.Event{Action: events.Present, Kind: routes, Object: v4, Referred: []Run{eth0, eth1, hop}})
	add(events.Event{Action: events.Added, Kind: routes, Object: v4, Referred: []Run{eth0, eth1, hop}, Told: true,
		Port: 611, Author: dhcp, Certainty: author.Process})
	add(events.Event{Action: events.Replaced, Kind: routes, Object: runOf(t, routes, Route6(0, 2, 7)),
		Old: runOf(t, routes, Route6(0, 3, 1<<31)), Twin: 1, OldTwin: 1<<31 - 1, Referred: []Run{both, eth0},
		Told: true, Port: 1<<32 - 1, Author: user, Certainty: author.OtherSocket})
	add(events.Event{Action: events.Appended, Kind: routes, Object: v4, Old: v4, Told: true, Port: 2, Author: dhcp,
		Certainty: author.OtherNamespace, Referred: []Run{eth1}})
	add(events.Event{Action: events.Deleted, Kind: routes, Object: of(t, routes, RTM_DELROUTE, Route4(0, 1, 254)),
		Told: true, Certainty: author.Kernel})
	add(events.Event{Action: events.Deleted, Kind: links, Object: of(t, links, RTM_DELLINK, LinkMessage(0, 2, "eth0")),
		Told: true, Port: 77})
	add(events.Event{Action: events.Deleted, Kind: Addresses,
		Object: runOf(t, Addresses, addressMessage(RTM_DELADDR)), Referred: []Run{eth0}})
	add(events.Event{Action: events.Gone, Kind: routes, Object: v4})
	add(events.Event{Action: events.Lost, Lost: true})
	add(events.Event{Action: events.Added, Lost: true, Kind: NexthopObjects.Kind, Object: hop,
		Referred: []Run{eth1, both}})
	rule := NewChance(1).Rule()
	add(events.Event{Action: events.Added, Kind: Rules.Kind, Object: runOf(t, Rules.Kind, RuleMessage(0, rule)),
		Twin: 2, Author: &author.Author{}, Certainty: author.Process})
	// A message whose length is no multiple of four.
	add(events.Event{Action: events.Replaced, Kind: links, Object: runOf(t, links, testLink(), LinkMessage(0, 9, "z"))})
	return all
}

// emptyFollowed begins a capture with events.
func emptyFollowed(t testing.TB, w io.Writer) *eventWriter {
	t.Helper()
	c := &captureWriter{w: bufio.NewWriterSize(w, conn.MaxDatagram)}
	empty, host := rtnl.NewSnapshot(true, nil), Host{Time: time.Unix(1, 2)}
	if err := c.snapshot(empty, host, testNames(t), captureFormat); err != nil {
		t.Fatal(err)
	}
	return newEventWriter(c)
}

// followedBy is a capture whose events somebody else writes.
func followedBy(t testing.TB, write func(*eventWriter)) []byte {
	t.Helper()
	var b bytes.Buffer
	w := emptyFollowed(t, &b)
	write(w)
	w.end(true)
	if err := w.w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// followedCapture is a capture with events.
func followedCapture(t testing.TB, all []*events.Event) []byte {
	t.Helper()
	return followedBy(t, func(w *eventWriter) {
		for _, e := range all {
			w.event(e)
		}
	})
}

// eventsOf returns the events of a capture.
func eventsOf(t testing.TB, c *Capture) []*events.Event {
	t.Helper()
	all, err := c.Events(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// padded returns an event whose runs all end with their padding, as they do when they are read.
func padded(e *events.Event) *events.Event {
	whole := func(r Run) Run {
		var log Messages
		Each([]Run{r}, func(m *Message) bool { log.Add(m); return true })
		if log.Count() == 0 {
			return Run{}
		}
		return Packed(log.Runs)[0]
	}
	p := *e
	p.Object, p.Old, p.Referred = whole(e.Object), whole(e.Old), nil
	for _, r := range e.Referred {
		p.Referred = append(p.Referred, whole(r))
	}
	return &p
}

// sameEvents compares events in all that they say.
func sameEvents(t testing.TB, what string, got, want []*events.Event) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d events, want %d", what, len(got), len(want))
		return
	}
	for i, e := range want {
		if !reflect.DeepEqual(padded(got[i]), padded(e)) {
			t.Errorf("%s: event %d:\n got %+v\nwant %+v", what, i, *padded(got[i]), *padded(e))
		}
	}
}

// TestEvents: events come back as they were, in every form of file, and no part of them is taken
// for the whole.
func TestEvents(t *testing.T) {
	want := madeUp(t)
	actions, certainties, kinds := map[events.Action]bool{}, map[author.Certainty]bool{}, map[*Kind]bool{}
	for _, e := range want {
		actions[e.Action], certainties[e.Certainty], kinds[e.Kind] = true, true, true
	}
	if len(actions) != int(events.Lost)+1 || len(certainties) != int(author.Kernel)+1 || len(kinds) != 6 {
		t.Errorf("%d actions, %d certainties, %d kinds are tried", len(actions), len(certainties), len(kinds))
	}
	file := followedCapture(t, want)
	for name, file := range containers(t, packetsOf(t, file)) {
		sameEvents(t, name, eventsOf(t, readTest(t, file)), want)
	}
	for n := 0; n < len(file); n += stride(1, 5) {
		if c, err := Read(bytes.NewReader(file[:n])); c != nil || !errors.Is(err, ErrCapture) {
			t.Fatalf("the first %d of %d bytes: %v", n, len(file), err)
		}
	}
	c, err := Read(iotest.OneByteReader(bytes.NewReader(file)))
	if err != nil || len(c.Notes()) > 0 {
		t.Fatal(err, c.Notes())
	}

	// What several events share is there once.
	all := eventsOf(t, c)
	if all[1].Author != all[3].Author || &all[0].Referred[1].Bytes()[0] != &all[3].Referred[0].Bytes()[0] {
		t.Error("what events share is there more than once")
	}
	if n := bytes.Count(file, []byte("eth0")); n != 2 { // one is an event's object
		t.Errorf("eth0 is %d times in the file", n)
	}
	// The time of a packet is the event's.
	packets := packetsOf(t, file)
	if at := packets[len(packets)-2].time; !at.Equal(recordedAt) {
		t.Errorf("the last event is of %v", at)
	}
}

// TestEventsAfter asks for the events after one.
func TestEventsAfter(t *testing.T) {
	all := madeUp(t) // with the numbers 1, 4, 7, ...
	c := readTest(t, followedCapture(t, all))
	for after := range uint64(3*len(all) + 2) {
		got, err := c.Events(context.Background(), after)
		if err != nil {
			t.Fatal(err)
		}
		sameEvents(t, fmt.Sprint("after ", after), got, all[min((after+2)/3, uint64(len(all))):])
		clear(got) // the slice is the caller's
	}
	none := readTest(t, followedCapture(t, nil))
	if got, err := none.Events(context.Background(), 0); err != nil || len(got) > 0 {
		t.Errorf("no events: %v, %v", got, err)
	}
}

// TestNoEvents: a file that cannot have events says so, and what to do.
func TestNoEvents(t *testing.T) {
	recording := recordingOf(dumpOf(1, DumpRequest{}), main4(1, 1), Done(1, 0))
	old, err := os.ReadFile("../../testdata/captures/ecmp.pcap")
	if err != nil {
		t.Fatal(err)
	}
	const none = "the capture has no events: it was made without --follow"
	for _, tc := range []struct {
		file []byte
		want string
	}{
		{testCapture(t, true), none},
		{old, none},
		{recording, "the recording has no events, which tell who changed what"},
	} {
		got, err := readTest(t, tc.file).Events(context.Background(), 0)
		tc.want += "; record them with capture --follow SECONDS"
		if got != nil || !errors.Is(err, ErrCapture) || err.Error() != tc.want {
			t.Errorf("got %v, %v; want %q", got, err, tc.want)
		}
	}
}

// TestNoCaptureOfEvents has events that the capture command does not write.
func TestNoCaptureOfEvents(t *testing.T) {
	const lost = "event\nseq 1\naction lost\n"
	route := Route4(0, 1, 254)
	for _, tc := range []struct {
		texts []string
		msgs  [][]byte // after the last text
		want  string
	}{
		{[]string{"event\nseq 1\naction gone\nkind route\nobject 2\n"}, [][]byte{route},
			"an event has not all its messages"},
		{[]string{"event\nseq 1\naction gone\nkind route\nobject 1\n", lost}, nil,
			"a message of type 1 is where an event has a route"},
		{[]string{"event\nseq 1\naction gone\nkind rule\nobject 1\n"}, [][]byte{route},
			"a message of type 24 is where an event has a rule"},
		{[]string{"event\nseq 1\naction gone\nkind route\nobject 1\n"}, [][]byte{With(route, 17, 200)},
			"malformed route at byte 1"},
		{[]string{lost}, [][]byte{route}, "an object comes after the events, and is of none"},
		{[]string{"event\naction lost\n"}, nil, "event 0 comes after event 0"},
		{[]string{lost, lost}, nil, "event 1 comes after event 1"},
		{[]string{"event\nseq 1\naction gone\n"}, nil, "event 1 has not the objects that one with the action gone has"},
		{[]string{"event\nseq 1\naction gone\nkind route\nold 1\n"}, [][]byte{route}, "has not the objects"},
		{[]string{"event\nseq 1\naction lost\nkind route\n"}, nil, "has not the objects"},
		{[]string{"event\nseq 1\naction lost\nold 1\n"}, [][]byte{route}, "has not the objects"},
		{[]string{"event\nseq -1\n"}, nil, `the seq of an event is "-1"`},
		{[]string{"event\ntime soon\n"}, nil, `the time of an event is "soon"`},
		{[]string{"event\nuptime\n"}, nil, `the uptime of an event is ""`},
		{[]string{"event\naction mended\n"}, nil, `the action of an event is "mended"`},
		{[]string{"event\nkind weather\n"}, nil, `the kind of an event is "weather"`},
		{[]string{"event\ntwin 2147483648\n"}, nil, `the twin of an event is "2147483648"`},
		{[]string{"event\nold_twin -1\n"}, nil, `the old_twin of an event is "-1"`},
		{[]string{"event\nlost perhaps\n"}, nil, `the lost of an event is "perhaps"`},
		{[]string{"event\ntold perhaps\n"}, nil, `the told of an event is "perhaps"`},
		{[]string{"event\nport 4294967296\n"}, nil, `the port of an event is "4294967296"`},
		{[]string{"event\nobject many\n"}, nil, `the object of an event is "many"`},
		{[]string{"event\nold many\n"}, nil, `the old of an event is "many"`},
		{[]string{"event\ncertainty some\n"}, nil, `the certainty of an event is "some"`},
		{[]string{"event\nauthor 1\n"}, nil, `the author of an event is "1"`},
		{[]string{"event author\n", "event\nauthor 0\n"}, nil, `the author of an event is "0"`},
		{[]string{"event\nreferred 1\n"}, nil, `the referred of an event is "1"`},
		{[]string{"event\nreferred \n"}, nil, `the referred of an event is ""`},
		{[]string{"event author\npid x\n"}, nil, `the pid of an event author is "x"`},
		{[]string{"event author\nparent_pid x\n"}, nil, `the parent_pid of an event author is "x"`},
		{[]string{"event author\nuid x\n"}, nil, `the uid of an event author is "x"`},
		{[]string{"event author\nname x\n"}, nil, `the name of an event author is "x"`},
		{[]string{"event author\npath \"\n"}, nil, `the path of an event author is "\""`},
		{[]string{"event author\ncgroup x\n"}, nil, `the cgroup of an event author is "x"`},
		{[]string{"event referred\nobject 1\n"}, nil, "an event refers to no objects"},
		{[]string{"event referred\nkind link\n"}, nil, "an event refers to no objects"},
		{[]string{"event referred\nkind address\nobject 1\n"}, nil, `the kind of an event referred is "address"`},
		{[]string{"event referred\nkind link\nobject x\n"}, nil, `the object of an event referred is "x"`},
	} {
		refused{fmt.Sprintf("%q", tc.texts), followedBy(t, func(w *eventWriter) {
			for _, text := range tc.texts {
				w.text([]byte(text))
			}
			for _, msg := range tc.msgs {
				w.message(msg)
			}
		}), tc.want}.check(t)
	}
}

// TestEventsOfLater: what a newer version has more is passed over.
func TestEventsOfLater(t *testing.T) {
	c := readTest(t, followedBy(t, func(w *eventWriter) {
		w.text([]byte("event author\npid 7\nmood fine\nname \"a\"\n"))
		w.text([]byte("weather\nfine"))
		w.text([]byte("event\nseq 1\nmood fine\naction lost\nauthor 1\nmoods\n\n"))
	}))
	want := []*events.Event{{Seq: 1, Action: events.Lost, Author: &author.Author{PID: 7, Name: "a"}}}
	sameEvents(t, "later", eventsOf(t, c), want)
	// In a capture without events such texts are none.
	file := bytes.Replace(testCapture(t, true), []byte("rt_realms\n"), []byte("event\nseq\n"), 1)
	if _, err := readTest(t, file).Events(context.Background(), 0); err == nil {
		t.Error("a capture without events has some")
	}
}

// TestManyEvents: a file is small, and what the writer remembers is bounded.
func TestManyEvents(t *testing.T) {
	const count = 10_000
	link := runOf(t, Links.Kind, Padded(RTM_NEWLINK, 0, 0, Cat(AppendLink(nil, &Link{Index: 2, Name: "eth0"}),
		Attr(100, make([]byte, 1500))))) // as the kernel tells of a link
	var all []*events.Event
	var by *author.Author
	for n := range uint64(count) {
		if n%20 == 0 { // as scripts that run ip -batch
			by = &author.Author{PID: uint32(1e6 + n), ParentPID: 1e6, Name: "ip", Path: "/usr/sbin/ip",
				Cgroup: "/user.slice/user-1000.slice/session-1.scope"}
		}
		all = append(all, &events.Event{Seq: n + 1, Time: recordedAt.UnixNano() + int64(n), Uptime: 1e15,
			Kind: Routes.Kind, Action: events.Added, Object: runOf(t, Routes.Kind, Route4(0, byte(n), 254)),
			Referred: []Run{link},
			Told:     true, Port: by.PID, Author: by, Certainty: author.Process})
	}
	file := followedCapture(t, all)
	t.Logf("%d events take %d bytes", count, len(file))
	if len(file) > 5e6 {
		t.Errorf("%d events take %d bytes", count, len(file))
	}
	sameEvents(t, "many", eventsOf(t, readTest(t, file)), all)

	// Links that are never the same twice.
	var numbers written[referredKey]
	for n := range 3 * maxWritten / 1000 {
		key := referredKey{Links.Kind, fmt.Sprintf("%1000d", n)}
		if got, first := numbers.number(key, 1000); got != n+1 || !first {
			t.Fatalf("%d is number %d, %v", n, got, first)
		}
		if got, first := numbers.number(key, 1000); got != n+1 || first {
			t.Fatalf("%d is number %d when it comes again, %v", n, got, first)
		}
		if len(numbers.numbers) > maxWritten/1000 {
			t.Fatalf("%d are remembered", len(numbers.numbers))
		}
	}
}

// TestEventsTooMuch: what a file makes the program keep is bounded with its events, and what is
// written can be read.
func TestEventsTooMuch(t *testing.T) {
	all := madeUp(t)
	file := followedCapture(t, all)
	in, err := newPacketReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	c := captureReader{in: in, format: 1, logs: make([]Messages, len(Kinds))}
	if _, err := c.read(); err != nil {
		t.Fatal(err)
	}
	w := emptyFollowed(t, io.Discard)
	for _, e := range all {
		before, most := w.kept, w.size(e)
		if w.event(e); w.kept-before > most {
			t.Errorf("event %d takes %d bytes, not at most %d", e.Seq, w.kept-before, most)
		}
	}
	w.end(true)
	if w.kept != c.kept {
		t.Errorf("the writer counts %d bytes, the reader %d", w.kept, c.kept)
	}
	if in, err = newPacketReader(bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	c = captureReader{in: in, format: 1, logs: make([]Messages, len(Kinds)), kept: maxKept - c.kept + 1}
	if got, err := c.read(); got != nil || err != errTooMuch {
		t.Errorf("%v, %v", got, err)
	}
}

// TestGoldenEvents reads what this version wrote when it was new, on any host of its byte order.
func TestGoldenEvents(t *testing.T) {
	const golden = "testdata/events.pcap"
	if !LittleEndian {
		t.Skip("the golden file is of a little-endian host")
	}
	file := followedCapture(t, madeUp(t))
	if *update {
		if err := os.WriteFile(golden, file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	sameEvents(t, golden, eventsOf(t, readTest(t, want)), madeUp(t))
	if !bytes.Equal(file, want) {
		t.Errorf("events are written otherwise than in %s: is that a new format?", golden)
	}
}
