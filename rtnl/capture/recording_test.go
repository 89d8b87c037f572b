package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	. "kernelroutes/internal/nltest"
	"kernelroutes/rtnl"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// recordedAt is when the packets of tests were recorded.
var recordedAt = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// recorded makes packets of datagrams.
func recorded(link uint16, datagrams ...[]byte) (packets []testPacket) {
	for _, d := range datagrams {
		packets = append(packets, testPacket{data: cooked(link, wire.NETLINK_ROUTE, d), time: recordedAt})
	}
	return packets
}

func readRecording(t *testing.T, name string, file []byte) *Capture {
	t.Helper()
	c, err := Read(bytes.NewReader(file))
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return c
}

// failed is the answer to a request that failed; with 0 it is an acknowledgement.
func failed(seq, errno uint32, request []byte) []byte {
	return Padded(wire.NLMSG_ERROR, 0, seq, Cat(NE(-errno), request))
}

// from sets the port that a message is for, or of a request, from.
func from(port uint32, msg []byte) []byte {
	msg = slices.Clone(msg)
	binary.NativeEndian.PutUint32(msg[12:], port)
	return msg
}

// dumpFlags are those of a request for a dump.
const dumpFlags = wire.NLM_F_REQUEST | wire.NLM_F_DUMP

func dumpOf(seq uint32, r DumpRequest) []byte {
	return Padded(RTM_GETROUTE, dumpFlags, seq, r.AppendTo(nil))
}

func linkDump(seq uint32) []byte {
	return Padded(RTM_GETLINK, dumpFlags, seq, make([]byte, IfinfomsgLen))
}

// routed is a message of a dump with a route to 10.N.0.0/16, or fdN::/16.
func routed(seq uint32, f Family, table uint32, n byte, attrs ...[]byte) []byte {
	h := []byte{byte(f), 16, 0, 0, byte(min(table, 252)), 4, 0, 1, 0, 0, 0, 0}
	dst := Attr(RTA_DST, []byte{10, n, 0, 0})
	if f == IPv6 {
		dst = Attr(RTA_DST, append([]byte{0xfd, n}, make([]byte, 14)...))
	}
	return Padded(RTM_NEWROUTE, wire.NLM_F_MULTI, seq, Cat(h, dst, Attr(RTA_TABLE, NE(table)), Cat(attrs...)))
}

// main4 and main6 are messages of a dump with a route in table main.
func main4(seq uint32, n byte) []byte { return routed(seq, IPv4, RT_TABLE_MAIN, n) }
func main6(seq uint32, n byte) []byte { return routed(seq, IPv6, RT_TABLE_MAIN, n) }

// told is a message about the route 10.1.0.0/16 that is part of no dump.
func told(typ uint16, seq uint32) []byte { return Padded(typ, 0, seq, wire.Payload(main4(0, 1))) }

func linked(seq uint32) []byte {
	return Padded(RTM_NEWLINK, wire.NLM_F_MULTI, seq, AppendLink(nil, &Link{Index: 2, Name: "eth0"}))
}

func loopback(seq uint32) []byte {
	return Padded(RTM_NEWLINK, wire.NLM_F_MULTI, seq, AppendLink(nil, &Link{Index: 1, Name: "lo"}))
}

// flagged sets flags of a message.
func flagged(flags uint16, msg []byte) []byte {
	msg = slices.Clone(msg)
	binary.NativeEndian.PutUint16(msg[6:], wire.Flags(msg)|flags)
	return msg
}

// withFamily sets the first byte of a message's payload.
func withFamily(msg []byte, family byte) []byte {
	return With(msg, wire.HeaderLen, family)
}

// A recordingCase is a recording from which routes can be read.
type recordingCase struct {
	name      string
	datagrams [][]byte
	want      string   // destinations and their tables
	what      string   // what it is
	notes     []string // beyond what every recording says
}

func (tc *recordingCase) check(t *testing.T) {
	t.Helper()
	c := readRecording(t, tc.name,
		pcapFile(binary.LittleEndian, pcapNano, linkTypeNetlink, recorded(linkTypeNetlink, tc.datagrams...)))
	if c == nil {
		return
	}
	s, err := c.Read(context.Background(), rtnl.RouteRequest(rtnl.Filter{}))
	if err != nil {
		t.Errorf("%s: %v", tc.name, err)
		return
	}
	var got []string
	for r := range s.Routes(AllFields) {
		got = append(got, fmt.Sprintf("%s %d", r.Dst, r.Table))
	}
	slices.Sort(got)
	if g := strings.Join(got, ", "); g != tc.want {
		t.Errorf("%s: got %s, want %s", tc.name, g, tc.want)
	}
	notes := append([]string{"it is a recording of netlink messages, as of 2026-05-04 03:02:01 UTC: " + tc.what,
		readersNames}, tc.notes...)
	if !slices.EqualFunc(c.Notes(), notes, strings.HasPrefix) || c.notes[0] != notes[0] {
		t.Errorf("%s: notes %q, want %q", tc.name, c.Notes(), notes)
	}
}

const noLinks = ", no interfaces, so that dev is empty"

// TestRecording: which dumps count, and what is said of them.
func TestRecording(t *testing.T) {
	all, v4 := DumpRequest{}, DumpRequest{Family: IPv4}
	gone := told(RTM_DELROUTE, 0)
	for _, tc := range []recordingCase{
		{"interfaces", [][]byte{linkDump(9), slices.Concat(linked(9), Done(9, 0)), dumpOf(1, all),
			slices.Concat(main4(1, 1), main6(1, 1)), Done(1, 0)},
			"10.1.0.0/16 254, fd01::/16 254", "all routes", nil},
		{"no routes at all", [][]byte{dumpOf(1, all), Done(1, 0)}, "", "all routes" + noLinks, nil},
		{"two programs with one sequence number", [][]byte{dumpOf(1, all),
			from(8, main4(1, 1)), from(9, main4(1, 2)), from(8, main4(1, 3)), from(9, Done(1, 0))},
			"10.2.0.0/16 254", "all routes" + noLinks, nil},
		{"the newest", [][]byte{dumpOf(1, all), main4(1, 1), Done(1, 0), dumpOf(2, all), main4(2, 2), Done(2, 0)},
			"10.2.0.0/16 254", "all routes" + noLinks, nil},
		{"a newest without an end", [][]byte{dumpOf(1, all), main4(1, 1), Done(1, 0), dumpOf(2, all), main4(2, 2)},
			"10.1.0.0/16 254", "all routes" + noLinks, nil},
		{"a newest that was interrupted", [][]byte{dumpOf(1, all), main4(1, 1), Done(1, 0),
			dumpOf(2, all), Interrupted(main4(2, 2)), Done(2, 0)},
			"10.1.0.0/16 254", "all routes" + noLinks, nil},
		{"a change with the number of a request", [][]byte{dumpOf(1, v4), told(RTM_NEWROUTE, 1),
			failed(1, 0, Padded(RTM_NEWROUTE, wire.NLM_F_REQUEST|wire.NLM_F_ACK, 1, nil)), main4(1, 1), Done(1, 0)},
			"10.1.0.0/16 254", "only ipv4 routes" + noLinks, nil},
		{"changes after it", [][]byte{dumpOf(1, all), main4(1, 1), Done(1, 0), gone},
			"10.1.0.0/16 254", "all routes" + noLinks, []string{"it holds changes after that"}},
		{"changes before it, single answers after it", [][]byte{gone, dumpOf(1, all), main4(1, 1), Done(1, 0),
			Padded(RTM_GETROUTE, wire.NLM_F_REQUEST, 7, make([]byte, RtmsgLen)), told(RTM_NEWROUTE, 7)},
			"10.1.0.0/16 254", "all routes" + noLinks, nil},
		{"nexthop objects missing", [][]byte{dumpOf(1, all),
			routed(1, IPv4, 254, 1, Attr(RTA_NH_ID, NE(uint32(5)))), Done(1, 0)},
			"10.1.0.0/16 254", "all routes" + noLinks +
				", no nexthop objects, so that routes that use one may lack gateway and dev", nil},
		{"bridge ports are no interfaces", [][]byte{linkDump(9), linked(9), withFamily(linked(9), 7), // AF_BRIDGE
			Done(9, 0), dumpOf(1, all), Done(1, 0)},
			"", "all routes" + noLinks, nil},
		{"junk that a program sent", [][]byte{{255, 255, 0, 0, 1, 2}, dumpOf(1, all), main4(1, 1), Done(1, 0)},
			"10.1.0.0/16 254", "all routes" + noLinks, nil},
		{"an error of no number", [][]byte{dumpOf(1, all), main4(1, 1),
			Padded(wire.NLMSG_ERROR, 0, 1, nil), Done(1, 0)},
			"10.1.0.0/16 254", "all routes" + noLinks, nil},
	} {
		tc.check(t)
	}
}

// TestRecordingOfTables: of each table the newest dump counts that covers it.
func TestRecordingOfTables(t *testing.T) {
	all, v4, v6 := DumpRequest{}, DumpRequest{Family: IPv4}, DumpRequest{Family: IPv6}
	table7, thousand := DumpRequest{Table: 7}, DumpRequest{Family: IPv4, Table: 1000}
	for _, tc := range []recordingCase{
		{"IPv4", [][]byte{dumpOf(1, v4), main4(1, 1), Done(1, 0)},
			"10.1.0.0/16 254", "only ipv4 routes" + noLinks, nil},
		{"IPv6 newer than all", [][]byte{dumpOf(1, all), main4(1, 1), main6(1, 1), Done(1, 0),
			dumpOf(2, v6), main6(2, 2), Done(2, 0)},
			"10.1.0.0/16 254, fd02::/16 254", "all routes" + noLinks, nil},
		{"a table", [][]byte{dumpOf(1, thousand), routed(1, IPv4, 1000, 1), Done(1, 0)},
			"10.1.0.0/16 1000", "only ipv4 routes of table 1000" + noLinks, nil},
		{"a table that there is not", [][]byte{dumpOf(1, thousand), Done(1, enoent)},
			"", "only ipv4 routes of table 1000" + noLinks, nil},
		{"tables", [][]byte{dumpOf(1, DumpRequest{Family: IPv4, Table: 254}), dumpOf(2, table7),
			routed(2, IPv4, 7, 1), main4(1, 1), routed(2, IPv6, 7, 1), Done(2, 0), Done(1, 0)},
			"10.1.0.0/16 254, 10.1.0.0/16 7, fd01::/16 7",
			"only ipv4 routes of table 254, routes of table 7" + noLinks, nil},
		{"one table twice", [][]byte{dumpOf(1, table7), routed(1, IPv4, 7, 1), routed(1, IPv6, 7, 1), Done(1, 0),
			dumpOf(2, DumpRequest{Family: IPv4, Table: 7}), routed(2, IPv4, 7, 2), Done(2, 0)},
			"10.2.0.0/16 7, fd01::/16 7", "only ipv4 routes of table 7, routes of table 7" + noLinks, nil},
		{"the newest of a table after one of all", [][]byte{dumpOf(1, all), main4(1, 1), routed(1, IPv4, 7, 1),
			Done(1, 0), dumpOf(2, table7), routed(2, IPv4, 7, 2), Done(2, 0)},
			"10.1.0.0/16 254, 10.2.0.0/16 7", "all routes" + noLinks, nil},
		{"a family that the kernel does not know", [][]byte{dumpOf(1, v6), main4(1, 1), main6(1, 2), Done(1, 0)},
			"fd02::/16 254", "only ipv6 routes" + noLinks, nil},
		{"one that began before", [][]byte{main4(1, 1), Done(1, 0),
			dumpOf(2, table7), routed(2, IPv4, 7, 2), Done(2, 0)},
			"10.2.0.0/16 7", "only routes of table 7" + noLinks, nil},
	} {
		tc.check(t)
	}
}

// TestRecordingOfManyTables: not all of them are named.
func TestRecordingOfManyTables(t *testing.T) {
	var datagrams [][]byte
	for n := range uint32(12) {
		datagrams = append(datagrams, dumpOf(n, DumpRequest{Table: 100 + n}), Done(n, 0))
	}
	c := readTest(t, recordingOf(datagrams...))
	_, err := c.Read(context.Background(), rtnl.RouteRequest(rtnl.Filter{Tables: []uint32{7}}))
	want := "it has only routes of table 100, routes of table 101, routes of table 102, routes of table 103, " +
		"routes of table 104, routes of table 105, routes of table 106, routes of table 107, routes of table 108, " +
		"routes of table 109, and 2 more; record"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// TestRecordingWithoutRequests is of what a program received.
func TestRecordingWithoutRequests(t *testing.T) {
	const dumpFiltered = 0x20 // NLM_F_DUMP_FILTERED
	notes := []string{"it holds no requests"}
	for _, tc := range []recordingCase{
		{"after interfaces", [][]byte{loopback(8), linked(8), Done(8, 0), told(RTM_DELROUTE, 0),
			from(5, flagged(dumpFiltered, main4(1, 1))), from(5, Done(1, 0))},
			"10.1.0.0/16 254", "only ipv4 routes", notes},
		{"after the socket's dump before", [][]byte{from(5, linked(8)), from(5, Done(8, 0)),
			from(5, main4(9, 1)), from(5, Done(9, 0))},
			"10.1.0.0/16 254", "only ipv4 routes" + noLinks, notes},
	} {
		tc.check(t)
	}
}

// recordingOf makes a file of datagrams.
func recordingOf(datagrams ...[]byte) []byte {
	return pcapFile(binary.BigEndian, pcapMicro, linkTypeNetlink, recorded(linkTypeNetlink, datagrams...))
}

// TestNoRecording: a part of a dump is never taken for the whole.
func TestNoRecording(t *testing.T) {
	const emsgsize, enobufs = 90, 105
	all := DumpRequest{}
	of := recordingOf
	badRoute := With(main4(1, 1), wire.HeaderLen+1, 200)
	cached := Padded(RTM_GETROUTE, dumpFlags, 1, []byte{2, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0})
	for _, tc := range []refused{
		{"no end", of(dumpOf(1, all), main4(1, 1)),
			"without a whole dump of routes: the last one has no end; record while"},
		{"the end of another", of(dumpOf(1, all), main4(1, 1), Done(2, 0)), "has no end"},
		{"the end of another program", of(from(3, dumpOf(1, all)), from(3, main4(1, 1)), from(4, Done(1, 0))),
			"has no end"},
		{"interrupted", of(dumpOf(1, all), Interrupted(main4(1, 1)), main4(1, 2), Done(1, 0)),
			"the last one was interrupted"},
		{"interrupted at the end", of(dumpOf(1, all), main4(1, 1), Interrupted(Done(1, 0))),
			"the last one was interrupted"},
		{"an error at the end", of(dumpOf(1, all), main4(1, 1), Done(1, emsgsize, "too large")),
			"ended with an error: " + errorText(emsgsize, "message too long") + ": too large"},
		{"a route that cannot be decoded", of(dumpOf(1, all), badRoute, Done(1, 0)),
			"the last one has a malformed route at byte 1"},
		{"lost messages", of(dumpOf(1, all), main4(1, 1), Padded(wire.NLMSG_OVERRUN, 0, 1, nil), Done(1, 0)),
			"has lost messages"},
		{"refused", of(dumpOf(1, all), failed(1, 1, dumpOf(1, all))), "without a whole dump of routes; record while"},
		{"an error in the middle", of(dumpOf(1, all), main4(1, 1), failed(1, enobufs, dumpOf(1, all)), Done(1, 0)),
			"ended with an error: " + errorText(enobufs, "no buffer space")},
		{"a protocol", of(dumpOf(1, DumpRequest{Protocol: 4}), main4(1, 1), Done(1, 0)), "asked for with conditions"},
		{"cached routes", of(dumpOf(1, all)[:wire.HeaderLen+8], cached, main4(1, 1), Done(1, 0)),
			"asked for with conditions"},
		{"two requests with one number", of(dumpOf(1, all), dumpOf(1, DumpRequest{Table: 7}), routed(1, IPv4, 7, 1),
			Done(1, 0)), "asked for with conditions"},
		{"half a packet in it", of(dumpOf(1, all), main4(1, 1), main4(1, 2)[:30], Done(1, 0)),
			"has a packet that cannot be read"},
		{"no dump", of(told(RTM_NEWROUTE, 0), Done(4, 0)), "without a whole dump of routes; record while"},
		{"interfaces alone", of(linkDump(9), linked(9), Done(9, 0)), "without a whole dump of routes"},
	} {
		tc.check(t)
	}
}

// errorText is Linux's text for an error, or another system's.
func errorText(errno syscall.Errno, linux string) string {
	if runtime.GOOS == "linux" {
		return linux
	}
	return errno.Error()
}

// TestRecordingBegunBefore: what may be the rest of a dump is never taken for the whole.
func TestRecordingBegunBefore(t *testing.T) {
	const late = "the last one may have begun before the recording"
	of, gone := recordingOf, told(RTM_DELROUTE, 0)
	for _, tc := range []refused{
		{"the beginning is missing", of(main4(1, 1), main6(1, 1), Done(1, 0)), late},
		{"the beginning is missing, others' is not", of(linkDump(9), linked(9), main4(1, 1), Done(9, 0), Done(1, 0)),
			late},
		{"the beginning is missing, later ones' is not", of(gone, linked(9), main4(1, 1), Done(1, 0), linkDump(9)),
			late},
		{"the beginning is missing, a change came first", of(gone, main4(1, 1), Done(1, 0)), late},
		{"the beginnings of two are missing", of(from(8, linked(9)), from(9, main4(1, 1)), from(8, Done(9, 0)),
			from(9, Done(1, 0))), late},
		{"a request comes later", of(loopback(8), linked(8), Done(8, 0), main4(1, 1), Done(1, 0), linkDump(9)), late},
		{"another's beginning comes later", of(from(9, main4(1, 1)), from(8, loopback(9)), from(9, Done(1, 0))),
			late},
	} {
		tc.check(t)
	}
}

// TestNoRecordingPackets has packets that were not recorded whole, or by others.
func TestNoRecordingPackets(t *testing.T) {
	all := DumpRequest{}
	whole := [][]byte{dumpOf(1, all), main4(1, 1), Done(1, 0)}
	file := func(packets ...testPacket) []byte {
		return pcapFile(binary.BigEndian, pcapMicro, linkTypeNetlink, packets)
	}
	cut := recorded(linkTypeNetlink, whole...)
	cut[1].data, cut[1].lost = cut[1].data[:40], 4
	otherBytes := bytes.Clone(whole[1])
	slices.Reverse(otherBytes[:4])
	for _, tc := range []refused{
		{"a snap length", file(cut...), "was not kept whole; record again with a larger snap length (tcpdump -s 0)"},
		{"the other byte order", recordingOf(whole[0], otherBytes, whole[2]), "other byte order"},
		{"no netlink", file(testPacket{data: make([]byte, 60)}), "it holds no netlink messages"},
		{"cut short", recordingOf(dumpOf(1, all), main4(1, 1))[:120], "cut short after 120 bytes"},
	} {
		tc.check(t)
	}

	// A recording that is cut short later on has what came before.
	b := recordingOf(append(whole, told(RTM_DELROUTE, 0))...)
	c := readRecording(t, "cut short", b[:len(b)-1])
	note := fmt.Sprintf("it is cut short after %d bytes: what came later is not in it", len(b)-1)
	if c != nil && !slices.Contains(c.Notes(), note) {
		t.Errorf("cut short: notes %q", c.Notes())
	}
}

// TestRecordingLacks: what a recording has nothing of is an error, not no rows.
func TestRecordingLacks(t *testing.T) {
	c := readTest(t, recordingOf(Padded(RTM_GETNEXTHOP, dumpFlags, 9, make([]byte, NhmsgLen)), Done(9, 0),
		dumpOf(1, DumpRequest{Family: IPv4, Table: 254}), main4(1, 1), Done(1, 0)))
	type filter = rtnl.Filter
	links, objects, routes := Links.Kind, NexthopObjects.Kind, Routes.Kind
	const no4 = "it has only ipv4 routes of table 254; record while `ip route"
	for _, tc := range []struct {
		request rtnl.Request
		want    string // of the error
	}{
		{rtnl.RouteRequest(filter{}), ""},
		{rtnl.RouteRequest(filter{Families: []Family{IPv4, IPv6}}), ""},
		{rtnl.RouteRequest(filter{Families: []Family{IPv4}, Tables: []uint32{7, 254}}), ""},
		{rtnl.RouteRequest(filter{Families: []Family{IPv6}}), no4},
		{rtnl.RouteRequest(filter{Tables: []uint32{7}}), no4},
		{rtnl.RouteRequest(filter{Link: func(*Link) bool { return true }}), "the recording has no interfaces"},
		{rtnl.RouteRequest(filter{OIFs: []uint32{2}}), ""},
		{rtnl.RouteRequest(filter{Dsts: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}), ""},
		{rtnl.Request{Kinds: []*Kind{links}}, "ask for dev_index instead, or record while `ip link` runs"},
		{rtnl.Request{Kinds: []*Kind{objects}}, ""},
		{rtnl.Request{Kinds: []*Kind{objects, routes}, Filter: filter{Families: []Family{IPv6}}}, no4},
		{rtnl.Request{Kinds: []*Kind{objects, routes}, Filter: filter{None: true}}, ""},
		{rtnl.Request{Kinds: []*Kind{routes, links}}, "the recording has no interfaces"},
		{rtnl.RouteRequest(filter{None: true, Families: []Family{IPv6}}), ""},
	} {
		s, err := c.Read(context.Background(), tc.request)
		if tc.want == "" && (err != nil || s == nil) ||
			tc.want != "" && (!errors.Is(err, ErrCapture) || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%+v: got %v, want %q", tc.request, err, tc.want)
		}
		n, _, counted := c.Count(context.Background(), tc.request)
		if fmt.Sprint(counted) != fmt.Sprint(err) || err == nil && n != s.Count(routes)+s.Count(links) {
			t.Errorf("%+v: counts %d, %v", tc.request, n, counted)
		}
	}
}

// TestLongRecording: what is not needed any more takes no memory, and programs that
// never end their dumps do not either.
func TestLongRecording(t *testing.T) {
	r := newRecording(&packetReader{})
	for seq := range uint32(3 * maxOpenRequests) {
		for _, msg := range [][]byte{dumpOf(seq, DumpRequest{}), main4(seq, 1)} {
			r.message(msg)
		}
		if seq%2 == 0 {
			r.message(Done(seq, 0))
		}
		r.message(from(5, dumpOf(seq, DumpRequest{Table: seq + 1000})))
	}
	if len(r.dumps.open) > maxOpenDumps || len(r.requests.open) > maxOpenRequests || len(r.dumps.tables) != 1 {
		t.Errorf("%d dumps, %d requests, %d whole dumps", len(r.dumps.open), len(r.requests.open), len(r.dumps.tables))
	}
	if n := r.dumps.kept(); n > 2*maxOpenDumps*len(main4(0, 1)) || r.size < n {
		t.Errorf("%d bytes are kept, %d counted", n, r.size)
	}
}
