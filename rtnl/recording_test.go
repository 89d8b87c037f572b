package rtnl

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// recordedAt is when the packets of tests were recorded.
var recordedAt = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// talk sends a dump request to the kernel and returns it with the datagrams that
// were the answer, as nlmon shows them.
func talk(t *testing.T, strict int, typ uint16, seq uint32, payload []byte) (request []byte, answer [][]byte) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	// Programs that run at the same time have ports of their own.
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, strict); err != nil {
		t.Fatal(err)
	}
	request = message(typ, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, seq, payload)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	for {
		buf := make([]byte, maxDatagram)
		n, err := unix.Read(fd, buf)
		if err != nil {
			t.Fatal(err)
		}
		answer = append(answer, buf[:n])
		for b := buf[:n]; len(b) > 0; b = b[align4(int(u32(b))):] {
			if u16(b[4:]) == unix.NLMSG_DONE || u16(b[4:]) == unix.NLMSG_ERROR {
				return request, answer
			}
		}
	}
}

// recorded makes packets of datagrams.
func recorded(link uint16, datagrams ...[]byte) (packets []testPacket) {
	for _, d := range datagrams {
		packets = append(packets, testPacket{data: cooked(link, unix.NETLINK_ROUTE, d), time: recordedAt})
	}
	return packets
}

// interleave mixes lists, one of each in turn.
func interleave[T any](lists ...[]T) (all []T) {
	for i := 0; ; i++ {
		n := len(all)
		for _, list := range lists {
			if i < len(list) {
				all = append(all, list[i])
			}
		}
		if len(all) == n {
			return all
		}
	}
}

// TestRecordingOfTheKernel: what several programs were told at the same time is
// what the kernel says.
func TestRecordingOfTheKernel(t *testing.T) {
	capturedNamespace(t)
	everything := Request{Links: true, Nexthops: true}
	s, err := new(Kernel).Read(context.Background(), everything)
	if err != nil {
		t.Fatal(err)
	}
	want := dump(s)
	oneFamily := func(f Family) []byte { return append([]byte{byte(f)}, make([]byte, rtmsgLen-1)...) }
	conversation := func(strict int, typ uint16, seq uint32, payload []byte) [][]byte {
		request, answer := talk(t, strict, typ, seq, payload)
		return append([][]byte{request}, answer...)
	}
	links := conversation(1, unix.RTM_GETLINK, 100, slices.Concat(make([]byte, ifinfomsgLen), encAttr(iflaExtMask, encNE(uint32(8)))))
	objects := conversation(0, unix.RTM_GETNEXTHOP, 100, make([]byte, nhmsgLen))
	addresses := conversation(0, unix.RTM_GETADDR, 100, make([]byte, 8))
	generic := testPacket{data: cooked(linkTypeNetlink, unix.NETLINK_GENERIC, []byte{1, 2, 3}), time: recordedAt}
	// As struct ifinfomsg and IFLA_EXT_MASK, which older programs send for everything.
	old := slices.Concat(make([]byte, ifinfomsgLen), encAttr(iflaExtMask, encNE(uint32(1))))

	for name, routes := range map[string][][]byte{
		"all families":              conversation(1, unix.RTM_GETROUTE, 200, make([]byte, rtmsgLen)),
		"all families, not strict":  conversation(0, unix.RTM_GETROUTE, 200, make([]byte, rtmsgLen)),
		"all families, the old way": conversation(0, unix.RTM_GETROUTE, 200, old),
		// Without NETLINK_GET_STRICT_CHK conditions are not heard.
		"conditions that were not heard": conversation(0, unix.RTM_GETROUTE, 200, dumpRequest{table: 254, protocol: 77}.appendTo(nil)),
		"family after family": slices.Concat(conversation(1, unix.RTM_GETROUTE, 200, oneFamily(IPv4)),
			conversation(1, unix.RTM_GETROUTE, 201, oneFamily(IPv6))),
		"a dump of all after one of a table": slices.Concat(conversation(1, unix.RTM_GETROUTE, 200, dumpRequest{family: IPv4, table: 1000}.appendTo(nil)),
			conversation(1, unix.RTM_GETROUTE, 201, make([]byte, rtmsgLen))),
		"a dump of a table after one of all": slices.Concat(conversation(1, unix.RTM_GETROUTE, 201, make([]byte, rtmsgLen)),
			conversation(1, unix.RTM_GETROUTE, 202, dumpRequest{family: IPv4, table: 1000}.appendTo(nil))),
		"a dump of a protocol after one of all": slices.Concat(conversation(1, unix.RTM_GETROUTE, 201, make([]byte, rtmsgLen)),
			conversation(1, unix.RTM_GETROUTE, 202, dumpRequest{family: IPv4, protocol: 16}.appendTo(nil))),
		"without requests": conversation(0, unix.RTM_GETROUTE, 200, make([]byte, rtmsgLen))[1:],
	} {
		links, addresses, objects := links, addresses, objects
		notes := []string(nil)
		if name == "without requests" {
			links, addresses, objects = links[1:], addresses[1:], objects[1:]
			notes = []string{"it holds no requests: whether its dumps have all that there was is not known"}
		}
		packets := recorded(linkTypeNetlink, interleave(links, addresses, routes, objects)...)
		packets = slices.Insert(packets, 3, generic)
		for form, file := range containers(t, packets) {
			got := readRecording(t, name+", "+form, file)
			if got == nil {
				continue
			}
			s, err := got.Read(context.Background(), everything)
			if err != nil {
				t.Fatal(err)
			}
			g := dump(s)
			for i := range max(len(g), len(want)) {
				if i >= len(g) || i >= len(want) || g[i] != want[i] {
					t.Fatalf("%s, %s, line %d:\nkernel    %s\nrecording %s", name, form, i, want[i:min(i+1, len(want))], g[i:min(i+1, len(g))])
				}
			}
			if s.Consistent {
				t.Errorf("%s, %s: consistent", name, form)
			}
			coverage := "all routes"
			if strings.HasPrefix(name, "family after") {
				coverage = "only ipv4 routes, ipv6 routes"
			}
			stamp := "2026-05-04 03:02:01 UTC"
			if strings.Contains(form, "simple") {
				stamp = "1970-01-01 00:00:00 UTC" // there are no times
			}
			notes := append([]string{"it is a recording of netlink messages, as of " + stamp + ": " + coverage, readersNames}, notes...)
			if !slices.Equal(got.Notes(), notes) {
				t.Errorf("%s, %s: notes %q, want %q", name, form, got.Notes(), notes)
			}
		}
		for _, link := range []uint16{linkTypeSLL, linkTypeSLL2} {
			readRecording(t, name, pcapFile(binary.LittleEndian, pcapNano, uint32(link), recorded(link, interleave(links, routes)...)))
		}
	}
}

func readRecording(t *testing.T, name string, file []byte) *Capture {
	t.Helper()
	c, err := ReadCapture(bytes.NewReader(file))
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return c
}

// from sets the port that a message is for, or of a request, from.
func from(port uint32, msg []byte) []byte {
	msg = slices.Clone(msg)
	binary.NativeEndian.PutUint32(msg[12:], port)
	return msg
}

func dumpOf(seq uint32, r dumpRequest) []byte {
	return message(unix.RTM_GETROUTE, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, seq, r.appendTo(nil))
}

// routed is a message of a dump with a route to 10.N.0.0/16, or fdN::/16.
func routed(seq uint32, f Family, table uint32, n byte, attrs ...[]byte) []byte {
	h := []byte{byte(f), 16, 0, 0, byte(min(table, 252)), 4, 0, 1, 0, 0, 0, 0}
	dst := encAttr(rtaDst, []byte{10, n, 0, 0})
	if f == IPv6 {
		dst = encAttr(rtaDst, append([]byte{0xfd, n}, make([]byte, 14)...))
	}
	return message(unix.RTM_NEWROUTE, unix.NLM_F_MULTI, seq, slices.Concat(append([][]byte{h, dst, encAttr(rtaTable, encNE(table))}, attrs...)...))
}

func linked(seq uint32) []byte {
	return message(unix.RTM_NEWLINK, unix.NLM_F_MULTI, seq, appendLink(nil, &Link{Index: 2, Name: "eth0"}))
}

func loopback(seq uint32) []byte {
	return message(unix.RTM_NEWLINK, unix.NLM_F_MULTI, seq, appendLink(nil, &Link{Index: 1, Name: "lo"}))
}

// flagged sets flags of a message.
func flagged(flags uint16, msg []byte) []byte {
	msg = slices.Clone(msg)
	binary.NativeEndian.PutUint16(msg[6:], u16(msg[6:])|flags)
	return msg
}

// TestRecording: which dumps count, and what is said of them.
func TestRecording(t *testing.T) {
	all, v4, v6 := dumpRequest{}, dumpRequest{family: IPv4}, dumpRequest{family: IPv6}
	linkDump := message(unix.RTM_GETLINK, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, 9, make([]byte, ifinfomsgLen))
	noLinks := ", no interfaces, so that dev is empty"
	gone := message(unix.RTM_DELROUTE, 0, 0, routed(0, IPv4, 254, 1)[unix.NLMSG_HDRLEN:])
	answer := flagged(0, message(unix.RTM_NEWROUTE, 0, 7, routed(0, IPv4, 254, 1)[unix.NLMSG_HDRLEN:]))

	for _, tc := range []struct {
		name      string
		datagrams [][]byte
		want      string   // destinations and their tables
		what      string   // what it is
		notes     []string // beyond what every recording says
	}{
		{"interfaces", [][]byte{linkDump, slices.Concat(linked(9), done(9, 0)), dumpOf(1, all), slices.Concat(routed(1, IPv4, 254, 1), routed(1, IPv6, 254, 1)), done(1, 0)},
			"10.1.0.0/16 254, fd01::/16 254", "all routes", nil},
		{"no routes at all", [][]byte{dumpOf(1, all), done(1, 0)}, "", "all routes" + noLinks, nil},
		{"two programs with one sequence number", [][]byte{dumpOf(1, all),
			from(8, routed(1, IPv4, 254, 1)), from(9, routed(1, IPv4, 254, 2)), from(8, routed(1, IPv4, 254, 3)), from(9, done(1, 0))},
			"10.2.0.0/16 254", "all routes" + noLinks, nil},
		{"the newest", [][]byte{dumpOf(1, all), routed(1, IPv4, 254, 1), done(1, 0), dumpOf(2, all), routed(2, IPv4, 254, 2), done(2, 0)},
			"10.2.0.0/16 254", "all routes" + noLinks, nil},
		{"a newest without an end", [][]byte{dumpOf(1, all), routed(1, IPv4, 254, 1), done(1, 0), dumpOf(2, all), routed(2, IPv4, 254, 2)},
			"10.1.0.0/16 254", "all routes" + noLinks, nil},
		{"a newest that was interrupted", [][]byte{dumpOf(1, all), routed(1, IPv4, 254, 1), done(1, 0), dumpOf(2, all), interruptedFlag(routed(2, IPv4, 254, 2)), done(2, 0)},
			"10.1.0.0/16 254", "all routes" + noLinks, nil},
		{"IPv4", [][]byte{dumpOf(1, v4), routed(1, IPv4, 254, 1), done(1, 0)}, "10.1.0.0/16 254", "only ipv4 routes" + noLinks, nil},
		{"IPv6 newer than all", [][]byte{dumpOf(1, all), routed(1, IPv4, 254, 1), routed(1, IPv6, 254, 1), done(1, 0), dumpOf(2, v6), routed(2, IPv6, 254, 2), done(2, 0)},
			"10.1.0.0/16 254, fd02::/16 254", "all routes" + noLinks, nil},
		{"a table", [][]byte{dumpOf(1, dumpRequest{family: IPv4, table: 1000}), routed(1, IPv4, 1000, 1), done(1, 0)},
			"10.1.0.0/16 1000", "only ipv4 routes of table 1000" + noLinks, nil},
		{"a table that there is not", [][]byte{dumpOf(1, dumpRequest{family: IPv4, table: 1000}), done(1, uint32(unix.ENOENT))},
			"", "only ipv4 routes of table 1000" + noLinks, nil},
		{"tables", [][]byte{dumpOf(1, dumpRequest{family: IPv4, table: 254}), dumpOf(2, dumpRequest{table: 7}),
			routed(2, IPv4, 7, 1), routed(1, IPv4, 254, 1), routed(2, IPv6, 7, 1), done(2, 0), done(1, 0)},
			"10.1.0.0/16 254, 10.1.0.0/16 7, fd01::/16 7", "only ipv4 routes of table 254, routes of table 7" + noLinks, nil},
		{"one table twice", [][]byte{dumpOf(1, dumpRequest{table: 7}), routed(1, IPv4, 7, 1), routed(1, IPv6, 7, 1), done(1, 0),
			dumpOf(2, dumpRequest{family: IPv4, table: 7}), routed(2, IPv4, 7, 2), done(2, 0)},
			"10.2.0.0/16 7, fd01::/16 7", "only ipv4 routes of table 7, routes of table 7" + noLinks, nil},
		{"without requests, after interfaces", [][]byte{loopback(8), linked(8), done(8, 0), gone,
			from(5, flagged(unix.NLM_F_DUMP_FILTERED, routed(1, IPv4, 254, 1))), from(5, done(1, 0))},
			"10.1.0.0/16 254", "only ipv4 routes", []string{"it holds no requests"}},
		{"without requests, after the socket's dump before", [][]byte{from(5, linked(8)), from(5, done(8, 0)),
			from(5, routed(9, IPv4, 254, 1)), from(5, done(9, 0))},
			"10.1.0.0/16 254", "only ipv4 routes" + noLinks, []string{"it holds no requests"}},
		{"the newest of a table after one of all", [][]byte{dumpOf(1, all), routed(1, IPv4, 254, 1), routed(1, IPv4, 7, 1), done(1, 0),
			dumpOf(2, dumpRequest{table: 7}), routed(2, IPv4, 7, 2), done(2, 0)},
			"10.1.0.0/16 254, 10.2.0.0/16 7", "all routes" + noLinks, nil},
		{"one that began before", [][]byte{routed(1, IPv4, 254, 1), done(1, 0), dumpOf(2, dumpRequest{table: 7}), routed(2, IPv4, 7, 2), done(2, 0)},
			"10.2.0.0/16 7", "only routes of table 7" + noLinks, nil},
		{"a change with the number of a request", [][]byte{dumpOf(1, v4), message(unix.RTM_NEWROUTE, 0, 1, routed(0, IPv4, 254, 1)[unix.NLMSG_HDRLEN:]),
			message(unix.NLMSG_ERROR, 0, 1, append(encNE(uint32(0)), message(unix.RTM_NEWROUTE, unix.NLM_F_REQUEST|unix.NLM_F_ACK, 1, nil)...)),
			routed(1, IPv4, 254, 1), done(1, 0)},
			"10.1.0.0/16 254", "only ipv4 routes" + noLinks, nil},
		{"changes after it", [][]byte{dumpOf(1, all), routed(1, IPv4, 254, 1), done(1, 0), gone},
			"10.1.0.0/16 254", "all routes" + noLinks, []string{"it holds changes after that"}},
		{"changes before it, single answers after it", [][]byte{gone, dumpOf(1, all), routed(1, IPv4, 254, 1), done(1, 0),
			message(unix.RTM_GETROUTE, unix.NLM_F_REQUEST, 7, make([]byte, rtmsgLen)), answer},
			"10.1.0.0/16 254", "all routes" + noLinks, nil},
		{"nexthop objects missing", [][]byte{dumpOf(1, all), routed(1, IPv4, 254, 1, encAttr(rtaNHID, encNE(uint32(5)))), done(1, 0)},
			"10.1.0.0/16 254", "all routes" + noLinks + ", no nexthop objects, so that routes that use one may lack gateway and dev", nil},
		{"bridge ports are no interfaces", [][]byte{linkDump, linked(9), flagged(0, withFamily(linked(9), unix.AF_BRIDGE)), done(9, 0), dumpOf(1, all), done(1, 0)},
			"", "all routes" + noLinks, nil},
		{"junk that a program sent", [][]byte{{255, 255, 0, 0, 1, 2}, dumpOf(1, all), routed(1, IPv4, 254, 1), done(1, 0)},
			"10.1.0.0/16 254", "all routes" + noLinks, nil},
	} {
		c := readRecording(t, tc.name, pcapFile(binary.LittleEndian, pcapNano, linkTypeNetlink, recorded(linkTypeNetlink, tc.datagrams...)))
		if c == nil {
			continue
		}
		s, err := c.Read(context.Background(), Request{})
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		var got []string
		for cur := s.Cursor(AllFields); cur.Next(); {
			r := cur.Route()
			got = append(got, fmt.Sprintf("%s %d", r.Dst, r.Table))
		}
		slices.Sort(got)
		if g := strings.Join(got, ", "); g != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, g, tc.want)
		}
		notes := append([]string{"it is a recording of netlink messages, as of 2026-05-04 03:02:01 UTC: " + tc.what, readersNames}, tc.notes...)
		if !slices.EqualFunc(c.Notes(), notes, strings.HasPrefix) || c.notes[0] != notes[0] {
			t.Errorf("%s: notes %q, want %q", tc.name, c.Notes(), notes)
		}
	}
}

// withFamily sets the first byte of a message's payload.
func withFamily(msg []byte, family byte) []byte {
	msg = slices.Clone(msg)
	msg[unix.NLMSG_HDRLEN] = family
	return msg
}

// TestNoRecording: a part of a dump is never taken for the whole.
func TestNoRecording(t *testing.T) {
	all := dumpRequest{}
	linkRequest := message(unix.RTM_GETLINK, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, 9, make([]byte, ifinfomsgLen))
	whole := [][]byte{dumpOf(1, all), routed(1, IPv4, 254, 1), done(1, 0)}
	file := func(packets ...testPacket) []byte {
		return pcapFile(binary.BigEndian, pcapMicro, linkTypeNetlink, packets)
	}
	of := func(datagrams ...[]byte) []byte { return file(recorded(linkTypeNetlink, datagrams...)...) }
	cut := recorded(linkTypeNetlink, whole...)
	cut[1].data, cut[1].lost = cut[1].data[:40], 4
	badRoute := routed(1, IPv4, 254, 1)
	badRoute[unix.NLMSG_HDRLEN+1] = 200
	otherBytes := bytes.Clone(whole[1])
	slices.Reverse(otherBytes[:4])

	for _, tc := range []struct {
		name string
		file []byte
		want string
	}{
		{"no end", of(dumpOf(1, all), routed(1, IPv4, 254, 1)), "without a whole dump of routes: the last one has no end; record while"},
		{"the end of another", of(dumpOf(1, all), routed(1, IPv4, 254, 1), done(2, 0)), "has no end"},
		{"the end of another program", of(from(3, dumpOf(1, all)), from(3, routed(1, IPv4, 254, 1)), from(4, done(1, 0))), "has no end"},
		{"interrupted", of(dumpOf(1, all), interruptedFlag(routed(1, IPv4, 254, 1)), routed(1, IPv4, 254, 2), done(1, 0)), "the last one was interrupted"},
		{"interrupted at the end", of(dumpOf(1, all), routed(1, IPv4, 254, 1), interruptedFlag(done(1, 0))), "the last one was interrupted"},
		{"an error at the end", of(dumpOf(1, all), routed(1, IPv4, 254, 1), done(1, uint32(unix.EMSGSIZE), "too large")), "ended with an error: message too long: too large"},
		{"a route that cannot be decoded", of(dumpOf(1, all), badRoute, done(1, 0)), "the last one has a malformed route at byte 1"},
		{"lost messages", of(dumpOf(1, all), routed(1, IPv4, 254, 1), message(unix.NLMSG_OVERRUN, 0, 1, nil), done(1, 0)), "has lost messages"},
		{"the beginning is missing", of(routed(1, IPv4, 254, 1), routed(1, IPv6, 254, 1), done(1, 0)), "the last one may have begun before the recording"},
		{"the beginning is missing, others' is not", of(linkRequest, linked(9), routed(1, IPv4, 254, 1), done(9, 0), done(1, 0)), "may have begun before the recording"},
		{"the beginning is missing, later ones' is not", of(gone2(), linked(9), routed(1, IPv4, 254, 1), done(1, 0), linkRequest), "may have begun before the recording"},
		{"the beginning is missing, a change came first", of(gone2(), routed(1, IPv4, 254, 1), done(1, 0)), "may have begun before the recording"},
		{"the beginnings of two are missing", of(from(8, linked(9)), from(9, routed(1, IPv4, 254, 1)), from(8, done(9, 0)), from(9, done(1, 0))),
			"may have begun before the recording"},
		{"another's beginning comes later", of(from(9, routed(1, IPv4, 254, 1)), from(8, loopback(9)), from(9, done(1, 0))),
			"may have begun before the recording"},
		{"refused", of(dumpOf(1, all), message(unix.NLMSG_ERROR, 0, 1, append(encNE(uint32(1<<32-1)), dumpOf(1, all)...))), "without a whole dump of routes; record while"},
		{"an error in the middle", of(dumpOf(1, all), routed(1, IPv4, 254, 1), message(unix.NLMSG_ERROR, 0, 1, append(encNE(^uint32(unix.ENOBUFS)+1), dumpOf(1, all)...)), done(1, 0)), "ended with an error: no buffer space"},
		{"a protocol", of(dumpOf(1, dumpRequest{protocol: 4}), routed(1, IPv4, 254, 1), done(1, 0)), "asked for with conditions"},
		{"cached routes", of(dumpOf(1, all)[:unix.NLMSG_HDRLEN+8], message(unix.RTM_GETROUTE, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, 1,
			[]byte{2, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0}), routed(1, IPv4, 254, 1), done(1, 0)), "asked for with conditions"},
		{"two requests with one number", of(dumpOf(1, all), dumpOf(1, dumpRequest{table: 7}), routed(1, IPv4, 7, 1), done(1, 0)), "asked for with conditions"},
		{"half a packet in it", of(dumpOf(1, all), routed(1, IPv4, 254, 1), routed(1, IPv4, 254, 2)[:30], done(1, 0)), "has a packet that cannot be read"},
		{"no dump", of(message(unix.RTM_NEWROUTE, 0, 0, routed(0, IPv4, 254, 1)[unix.NLMSG_HDRLEN:]), done(4, 0)), "without a whole dump of routes; record while"},
		{"interfaces alone", of(message(unix.RTM_GETLINK, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, 9, make([]byte, ifinfomsgLen)), linked(9), done(9, 0)), "without a whole dump of routes"},
		{"a snap length", file(cut...), "was not kept whole; record again with a larger snap length (tcpdump -s 0)"},
		{"the other byte order", of(whole[0], otherBytes, whole[2]), "other byte order"},
		{"no netlink", file(testPacket{data: make([]byte, 60)}), "it holds no netlink messages"},
		{"cut short", of(dumpOf(1, all), routed(1, IPv4, 254, 1))[:120], "cut short after 120 bytes"},
	} {
		c, err := ReadCapture(bytes.NewReader(tc.file))
		if c != nil || !errors.Is(err, ErrCapture) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}

	// A recording that is cut short later on has what came before.
	b := of(append(whole, gone2())...)
	c := readRecording(t, "cut short", b[:len(b)-1])
	if c != nil && !slices.Contains(c.Notes(), fmt.Sprintf("it is cut short after %d bytes: what came later is not in it", len(b)-1)) {
		t.Errorf("cut short: notes %q", c.Notes())
	}
}

func gone2() []byte {
	return message(unix.RTM_DELROUTE, 0, 0, routed(0, IPv4, 254, 1)[unix.NLMSG_HDRLEN:])
}

// TestRecordingLacks: what a recording has nothing of is an error, not no rows.
func TestRecordingLacks(t *testing.T) {
	c := readRecording(t, "recording", pcapFile(binary.LittleEndian, pcapNano, linkTypeNetlink, recorded(linkTypeNetlink,
		dumpOf(1, dumpRequest{family: IPv4, table: 254}), routed(1, IPv4, 254, 1), done(1, 0))))
	for _, tc := range []struct {
		filter Filter
		want   string // of the error
	}{
		{Filter{}, ""},
		{Filter{Families: []Family{IPv4, IPv6}}, ""},
		{Filter{Families: []Family{IPv4}, Tables: []uint32{7, 254}}, ""},
		{Filter{Families: []Family{IPv6}}, "it has only ipv4 routes of table 254; record while"},
		{Filter{Tables: []uint32{7}}, "it has only ipv4 routes of table 254; record while"},
		{Filter{Link: func(*Link) bool { return true }}, "the recording has no interfaces"},
		{Filter{OIFs: []uint32{2}}, ""},
		{Filter{Dsts: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}, ""},
	} {
		s, err := c.Read(context.Background(), Request{Filter: tc.filter, Links: true})
		if tc.want == "" && (err != nil || s == nil) || tc.want != "" && (!errors.Is(err, ErrCapture) || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%+v: got %v, want %q", tc.filter, err, tc.want)
		}
	}
}

// TestLongRecording: what is not needed any more takes no memory, and programs that
// never end their dumps do not either.
func TestLongRecording(t *testing.T) {
	r := newRecording(&packetReader{})
	for seq := range uint32(3 * maxOpenRequests) {
		for _, msg := range [][]byte{dumpOf(seq, dumpRequest{}), routed(seq, IPv4, 254, 1)} {
			r.message(msg)
		}
		if seq%2 == 0 {
			r.message(done(seq, 0))
		}
		r.message(from(5, dumpOf(seq, dumpRequest{table: seq + 1000})))
	}
	if len(r.open) > maxOpenDumps || len(r.requests) > maxOpenRequests || len(r.routes) != 1 {
		t.Errorf("%d dumps, %d requests, %d whole dumps", len(r.open), len(r.requests), len(r.routes))
	}
	if n := r.kept(); n > 2*maxOpenDumps*len(routed(0, IPv4, 254, 1)) || r.size < n {
		t.Errorf("%d bytes are kept, %d counted", n, r.size)
	}
}
