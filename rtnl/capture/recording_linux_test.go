package capture

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	. "kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/conn"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// talk sends a dump request to the kernel and returns it with the datagrams that
// were the answer, as nlmon shows them.
func talk(t *testing.T, strict int, typ uint16, seq uint32, payload []byte) (request []byte, answer [][]byte) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, wire.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	// Programs that run at the same time have ports of their own.
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, strict); err != nil {
		t.Fatal(err)
	}
	request = Padded(typ, wire.NLM_F_REQUEST|wire.NLM_F_DUMP, seq, payload)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	for {
		buf := make([]byte, conn.MaxDatagram)
		n, err := unix.Read(fd, buf)
		if err != nil {
			t.Fatal(err)
		}
		answer = append(answer, buf[:n])
		for b := buf[:n]; len(b) > 0; b = b[wire.Align(int(wire.U32(b))):] {
			if wire.Type(b) == wire.NLMSG_DONE || wire.Type(b) == wire.NLMSG_ERROR {
				return request, answer
			}
		}
	}
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

// conversations are what programs may have said to the kernel to see its routes, by what
// they asked for.
func conversations(t *testing.T) map[string][][]byte {
	ask := func(strict int, seq uint32, payload []byte) [][]byte {
		return conversation(t, strict, RTM_GETROUTE, seq, payload)
	}
	header := make([]byte, RtmsgLen)
	dump := func(r DumpRequest) []byte { return r.AppendTo(nil) }
	oneFamily := func(f Family) []byte { return With(header, 0, byte(f)) }
	// As struct ifinfomsg and IFLA_EXT_MASK, which older programs send for everything.
	old := Cat(make([]byte, IfinfomsgLen), Attr(iflaExtMask, NE(uint32(1))))
	return map[string][][]byte{
		"all families":              ask(1, 200, header),
		"all families, not strict":  ask(0, 200, header),
		"all families, the old way": ask(0, 200, old),
		// Without NETLINK_GET_STRICT_CHK conditions are not heard.
		"conditions that were not heard": ask(0, 200, dump(DumpRequest{Table: 254, Protocol: 77})),
		"family after family":            slices.Concat(ask(1, 200, oneFamily(IPv4)), ask(1, 201, oneFamily(IPv6))),
		"a dump of all after one of a table": slices.Concat(
			ask(1, 200, dump(DumpRequest{Family: IPv4, Table: 1000})), ask(1, 201, header)),
		"a dump of a table after one of all": slices.Concat(
			ask(1, 201, header), ask(1, 202, dump(DumpRequest{Family: IPv4, Table: 1000}))),
		"a dump of a protocol after one of all": slices.Concat(
			ask(1, 201, header), ask(1, 202, dump(DumpRequest{Family: IPv4, Protocol: 16}))),
		"without requests": ask(0, 200, header)[1:],
	}
}

const iflaExtMask = 29 // IFLA_EXT_MASK

// conversation is a request and its answer.
func conversation(t *testing.T, strict int, typ uint16, seq uint32, payload []byte) [][]byte {
	request, answer := talk(t, strict, typ, seq, payload)
	return append([][]byte{request}, answer...)
}

// TestRecordingOfTheKernel: what several programs were told at the same time is
// what the kernel says.
func TestRecordingOfTheKernel(t *testing.T) {
	capturedNamespace(t)
	s, err := new(rtnl.Kernel).Read(context.Background(), rtnl.RouteRequest(rtnl.Filter{}))
	if err != nil {
		t.Fatal(err)
	}
	want := dump(s)
	links := conversation(t, 1, RTM_GETLINK, 100, Cat(make([]byte, IfinfomsgLen), Attr(iflaExtMask, NE(uint32(8)))))
	objects := conversation(t, 0, RTM_GETNEXTHOP, 100, make([]byte, NhmsgLen))
	const getAddr = 22 // RTM_GETADDR
	addresses := conversation(t, 0, getAddr, 100, make([]byte, 8))
	generic := testPacket{data: cooked(linkTypeNetlink, unix.NETLINK_GENERIC, []byte{1, 2, 3}), time: recordedAt}

	for name, routes := range conversations(t) {
		links, addresses, objects := links, addresses, objects
		notes := []string(nil)
		if name == "without requests" {
			links, addresses, objects = links[1:], addresses[1:], objects[1:]
			notes = []string{"it holds no requests: whether its dumps have all that there was is not known"}
		}
		packets := recorded(linkTypeNetlink, interleave(links, addresses, routes, objects)...)
		packets = slices.Insert(packets, 3, generic)
		for form, file := range containers(t, packets) {
			if got := readRecording(t, name+", "+form, file); got != nil {
				checkRecorded(t, name, form, got, want, notes)
			}
		}
		for _, link := range []uint16{linkTypeSLL, linkTypeSLL2} {
			readRecording(t, name, pcapFile(binary.LittleEndian, pcapNano, uint32(link),
				recorded(link, interleave(links, routes)...)))
		}
	}
}

// checkRecorded checks a recording in some form of file.
func checkRecorded(t *testing.T, name, form string, got *Capture, want, notes []string) {
	t.Helper()
	s, err := got.Read(context.Background(), rtnl.RouteRequest(rtnl.Filter{}))
	if err != nil {
		t.Fatal(err)
	}
	g := dump(s)
	for i := range max(len(g), len(want)) {
		if i >= len(g) || i >= len(want) || g[i] != want[i] {
			t.Fatalf("%s, %s, line %d:\nkernel    %s\nrecording %s", name, form, i,
				want[min(i, len(want)):min(i+1, len(want))], g[min(i, len(g)):min(i+1, len(g))])
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
	what := "it is a recording of netlink messages, as of " + stamp + ": " + coverage
	notes = append([]string{what, readersNames}, notes...)
	if !slices.Equal(got.Notes(), notes) {
		t.Errorf("%s, %s: notes %q, want %q", name, form, got.Notes(), notes)
	}
}

// TestCorpus checks a capture and recordings of the kernel as FuzzCapture does. With
// -update it writes a recording to testdata/fuzz, for captures are in testdata already:
//
//	go test ./rtnl/capture -run TestCorpus -update
func TestCorpus(t *testing.T) {
	checkCapture(t, capturedNamespace(t))
	for _, datagrams := range conversations(t) {
		checkCapture(t, recordingOf(datagrams...))
	}

	nstest.New(t)
	nstest.IP(t, "route add 10.1.0.0/16 nexthop dev lo weight 3 nexthop dev lo")
	small := recordingOf(slices.Concat(
		conversation(t, 1, RTM_GETLINK, 100, Links.Request(0)),
		conversation(t, 1, RTM_GETNEXTHOP, 100, NexthopObjects.Request(0)),
		conversation(t, 1, RTM_GETROUTE, 101, make([]byte, RtmsgLen)))...)
	checkCapture(t, small)
	if *update {
		WriteSeed(t, "FuzzCapture", "kernel-recording", small)
	}
}
