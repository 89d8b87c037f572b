package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	. "kernelroutes/internal/nltest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// testRoute is an RTM_NEWROUTE message for 10.N.0.0/16.
func testRoute(n byte) []byte {
	return MessageOf(object.RTM_NEWROUTE, wire.NLM_F_MULTI, 1,
		Cat([]byte{byte(object.IPv4), 16, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0}, Attr(RTA_DST, []byte{10, n, 0, 0})))
}

// testLink is an RTM_NEWLINK message whose length is no multiple of four.
func testLink() []byte {
	const name = "eth"
	return MessageOf(object.RTM_NEWLINK, wire.NLM_F_MULTI, 1, Cat(make([]byte, 4), NE(uint32(2)), make([]byte, 8),
		NE(uint16(wire.AttrHeaderLen+len(name))), NE(uint16(IFLA_IFNAME)), []byte(name)))
}

// runOf makes a run of messages, the last without padding.
func runOf(t testing.TB, k *object.Kind, msgs ...[]byte) object.Run {
	t.Helper()
	var m object.Message
	var b []byte
	for i, msg := range msgs {
		if err := k.Check(&m, msg); err != nil {
			t.Fatal(err)
		}
		if i < len(msgs)-1 {
			msg = wire.AppendMessage(nil, msg)
		}
		b = append(b, msg...)
	}
	return m.RunIn(b)
}

// testNames are names of each of the four kinds.
func testNames(t testing.TB) *iproute2.Names {
	n := iproute2.NoNames()
	give(t, n, "rt_tables", "0 unspec\n254 main\n")
	give(t, n, "rt_protos", "0 unspec\n2 kernel\n")
	give(t, n, "rt_scopes", "0 global\n")
	give(t, n, "rt_realms", "0 unknown\n")
	return n
}

// testCapture is a capture with a link and three routes.
func testCapture(t testing.TB, consistent bool) []byte {
	s := rtnl.NewSnapshot(consistent, map[*object.Kind][]object.Run{
		object.Links.Kind: {runOf(t, object.Links.Kind, testLink())},
		object.Routes.Kind: {runOf(t, object.Routes.Kind, testRoute(1), testRoute(2)),
			runOf(t, object.Routes.Kind, testRoute(3))},
	})
	var b bytes.Buffer
	if err := write(s, &b, Host{Time: time.Unix(1, 2)}, testNames(t)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// testTexts is how many packets of text testCapture begins with.
const testTexts = 5

func TestCaptureIsConsistent(t *testing.T) {
	for _, want := range []bool{true, false} {
		c := readTest(t, testCapture(t, want))
		s, err := c.Read(context.Background(), rtnl.RouteRequest(rtnl.Filter{}))
		if err != nil {
			t.Fatal(err)
		}
		if s.Consistent != want {
			t.Errorf("consistent: %v, want %v", s.Consistent, want)
		}
		if n := len(dump(s)); n != 3 {
			t.Errorf("%d routes, want 3", n)
		}
		if l, ok := s.Link(2); !ok || l.Name != "eth" {
			t.Errorf("link %+v, %v", l, ok)
		}
	}
}

// An edited file is damaged in one place.
type edited []byte

func (e edited) at(off int, to ...byte) []byte {
	b := slices.Clone(e)
	copy(b[off:], to)
	return b
}

func (e edited) at16(off int, to uint16) []byte { return e.at(off, NE(to)...) }
func (e edited) at32(off int, to uint32) []byte { return e.at(off, NE(to)...) }
func (e edited) swap32(off int) []byte          { return e.at32(off, bits.ReverseBytes32(wire.U32(e[off:]))) }

// packet returns where a packet begins; negative numbers are those of text.
func (e edited) packet(i int) int {
	off := pcapHeaderLen
	for range testTexts + i {
		off += packetHeadLen + int(wire.U32(e[off+8:]))
	}
	return off
}

// message returns where the message of a packet begins.
func (e edited) message(i int) int { return e.packet(i) + packetHeadLen + cookedLen }

// A refused file is none that can be read.
type refused struct {
	name string
	file []byte
	want string // of the error
}

func (r refused) check(t *testing.T) {
	t.Helper()
	c, err := Read(bytes.NewReader(r.file))
	if c != nil || !errors.Is(err, ErrCapture) || !strings.Contains(err.Error(), r.want) {
		t.Errorf("%s: got %v, want %q", r.name, err, r.want)
	}
}

func TestNoCapture(t *testing.T) {
	good := edited(testCapture(t, true))
	text := good.message(-testTexts) + wire.HeaderLen
	format := text + len(beginText)
	msg := good.message(1) // the first route
	for _, tc := range []refused{
		{"empty", nil, "the file is empty; make a capture"},
		{"three bytes", good[:3], "it is no pcap file"},
		{"text", []byte("SELECT * FROM kernel_routes"), "it is no pcap file"},
		{"gzip of nothing", good.at(0, 0x1f, 0x8b, 8, 0), "the compressed data is invalid"},
		{"zstd", good.at(0, 0x28, 0xb5, 0x2f, 0xfd), "compressed with zstd; decompress it first"},
		{"pcapng without a byte order", good.at(0, 0x0a, 0x0d, 0x0d, 0x0a), "a section header without a byte order"},
		{"messages of the other order", good.swap32(msg), "other byte order"},
		{"all messages of the other order", good.swap32(text - wire.HeaderLen), "other byte order"},
		{"a newer version's", good.at(format, '4'),
			"made by a newer version of this program (its format is 4, this version reads up to 3); read it"},
		{"a version that there was not", good.at(format, '1'), "the format of the capture has no number"},
		{"without a version", good.at(format, '?'), "the format of the capture has no number"},
		{"a time that is none", good.at(format+len("2\ntime "), '?'), `time is "?`},
		{"a name of no number", good.at(good.message(1-testTexts)+wire.HeaderLen+len("rt_tables\n"), '?'),
			`"? unspec\n" is no line of rt_tables`},
		{"file header alone", good[:pcapHeaderLen], "cut short after 24 bytes; make it again"},
		{"cut between packets", good[:good.packet(2)], fmt.Sprintf("cut short after %d bytes", good.packet(2))},
		{"Ethernet", good.at32(20, 1), "its packets are of link type 1, not of netlink messages (253)"},
		{"a packet of 4 GiB", good.at32(good.packet(1)+8, 1<<32-1), "damaged before byte"},
		{"two packets of 4 GiB", good.at(good.packet(1)+8, bytes.Repeat([]byte{255}, 8)...),
			"a packet of 4294967295 bytes"},
		{"a packet of 15 bytes", good.at(good.packet(1)+8, Cat(NE(uint32(15)), NE(uint32(15)))...),
			"a packet of 15 bytes"},
		{"snap length", good.at32(good.packet(1)+12, 1000), "not kept whole"},
	} {
		tc.check(t)
	}
	for n := range good {
		broken := errors.New("broken")
		r := io.MultiReader(bytes.NewReader(good[:n]), iotest.ErrReader(broken))
		if c, err := Read(r); c != nil || !errors.Is(err, broken) {
			t.Fatalf("broken after %d bytes: %v", n, err)
		}
	}
	for what, file := range map[string][]byte{
		"time stamps in microseconds": good.at32(0, pcapMicro),
		// "FCS length present" and a length of 4.
		"bits above the link type": good.at32(20, linkTypeNetlink|1<<26|4<<28),
		"Linux cooked packets":     good.at32(20, linkTypeSLL),
	} {
		if _, err := Read(bytes.NewReader(file)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestNoCaptureMessages has messages that the capture command does not write.
func TestNoCaptureMessages(t *testing.T) {
	const foreign = "not the work of the capture command"
	good := edited(testCapture(t, true))
	link, msg, end := good.message(0), good.message(1), good.message(4)
	attr := end + wire.HeaderLen + 4
	words := attr + wire.AttrHeaderLen
	for _, tc := range []refused{
		{"no netlink header", good.at(good.packet(1)+packetHeadLen+2, 0, 1), "without the header of netlink"},
		{"another netlink protocol", good.at(good.packet(1)+packetHeadLen+14, 0, 12), foreign},
		{"several messages in a packet", good.at32(msg, 20), foreign},
		{"a message longer than its packet", good.at32(msg, 1000), foreign},
		{"a request", good.at16(msg+4, object.RTM_GETROUTE), foreign},
		{"a bad route", good.at(msg+wire.HeaderLen+1, 200), "malformed route at byte 1"},
		{"a bad link", good.at(link+wire.HeaderLen+IfinfomsgLen, 200), "malformed link at byte"},
		{"a link that is a nexthop object", good.at16(link+4, object.RTM_NEWNEXTHOP), "malformed nexthop at byte"},
		{"done with an error", good.at32(end+wire.HeaderLen, 1), foreign},
		{"done without the text", good.at(attr+2, 99), foreign},
		{"done with a damaged text", good.at(words+3, '?'), foreign},
		{"done with another count", good.at(words+len(endBefore), '5'), "it holds 9 messages of 5"},
		{"a packet taken out", slices.Concat(good[:good.packet(1)], good[good.packet(2):]), "it holds 8 messages of 9"},
		{"a packet twice", slices.Concat(good[:good.packet(2)], good[good.packet(1):]), "it holds 10 messages of 9"},
		{"two captures", slices.Concat(good, good), "more follows the end"},
	} {
		tc.check(t)
	}
}

// TestHostText: what a capture says of its host comes back, whatever the names are.
func TestHostText(t *testing.T) {
	odd := Host{Time: time.Unix(5, 6).UTC(), Name: "a\nhost \"x\"\xff", Kernel: "1\x00",
		NetNS: 1<<64 - 1, NetNSName: "b\tc"}
	_, text, _ := strings.Cut(string(odd.appendText(nil, snapshotFormat)), "\n")
	if got, err := parseHost(text + "later\nwhatever 7\n"); err != nil || *got != odd {
		t.Errorf("got %+v, %v; want %+v", got, err, odd)
	}
}

// TestCaptureNames: all names come back, many as they may be.
func TestCaptureNames(t *testing.T) {
	names := testNames(t)
	for _, f := range names.Files() {
		give(t, names, f.File, "7 seven\n254 inet\n0 n\\xffone\n")
	}
	var tables strings.Builder
	for id := range uint32(20_000) { // more than a packet holds
		fmt.Fprintf(&tables, "%d table%d\n", 1<<31+id, id)
	}
	give(t, names, "rt_tables", tables.String())
	var b bytes.Buffer
	empty := rtnl.NewSnapshot(false, nil)
	if err := write(empty, &b, Host{}, names); err != nil {
		t.Fatal(err)
	}
	if n := len(packetsOf(t, b.Bytes())); n < 7 {
		t.Errorf("%d packets", n)
	}
	if c := readTest(t, b.Bytes()); !sameNames(c.Names(), names) {
		t.Errorf("got %v", c.Names())
	}
	for id := range 1000 {
		give(t, names, "rt_tables", fmt.Sprintf("%d %s\n", id+256, strings.Repeat("x", 20_000)))
	}
	err := write(empty, io.Discard, Host{}, names)
	if err == nil || !strings.Contains(err.Error(), "more than 16 MiB") {
		t.Errorf("20 MB of names: %v", err)
	}
}

// TestFormats: captures of before and, as far as it goes, of later are read.
func TestFormats(t *testing.T) {
	packets := packetsOf(t, testCapture(t, true))
	count := func(packets []testPacket, n string) {
		last := &packets[len(packets)-1]
		last.data = bytes.Replace(last.data, []byte("9 messages"), []byte(n+" messages"), 1)
	}
	first := packets[testTexts:]
	count(first, "4")
	c := readTest(t, pcapFile(binary.LittleEndian, pcapNano, linkTypeNetlink, first))
	if c.Host() != nil || c.Names() != iproute2.HostNames() || !slices.Equal(c.Notes(), []string{readersNames}) ||
		!everything(t, c).Consistent {
		t.Errorf("format 1: %+v", c)
	}

	packets = packetsOf(t, testCapture(t, true))
	const newStats = 92 // RTM_NEWSTATS, which is of no kind
	stats := Padded(newStats, wire.NLM_F_MULTI, 1, make([]byte, 12))
	text := Padded(wire.NLMSG_NOOP, 0, 0, []byte("weather\nfine"))
	packets = slices.Insert(packets, testTexts+1, recorded(linkTypeNetlink, stats, text, stats)...)
	count(packets, "12")
	last := packets[len(packets)-1].data
	binary.NativeEndian.PutUint32(last[cookedLen:], uint32(len(last)-cookedLen))
	c = readTest(t, pcapFile(binary.LittleEndian, pcapNano, linkTypeNetlink, packets))
	want := "2 messages of RTNetlink type 92 are passed over: "
	if len(c.Notes()) != 1 || !strings.HasPrefix(c.Notes()[0], want) {
		t.Errorf("notes %q", c.Notes())
	}
}

// A message that does not end at a multiple of four is padded as the kernel does.
func TestCaptureOfOddMessages(t *testing.T) {
	odd := MessageOf(object.RTM_NEWROUTE, wire.NLM_F_MULTI, 1,
		Cat([]byte{byte(object.IPv6), 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0}, Attr(RTA_PREF, []byte{3})[:5]))
	routes := object.Routes.Kind
	s := rtnl.NewSnapshot(false, map[*object.Kind][]object.Run{routes: {runOf(t, routes, odd, odd)}})
	var b bytes.Buffer
	if err := write(s, &b, Host{}, testNames(t)); err != nil {
		t.Fatal(err)
	}
	got, err := readTest(t, b.Bytes()).Read(context.Background(), rtnl.RouteRequest(rtnl.Filter{}))
	if err != nil || len(dump(s)) != 2 || !reflect.DeepEqual(dump(got), dump(s)) {
		t.Errorf("got %q, want %q, error %v", dump(got), dump(s), err)
	}
}

// What a file says of its lengths costs no memory.
func TestCaptureMemory(t *testing.T) {
	file := testCapture(t, true)
	binary.NativeEndian.PutUint32(file[pcapHeaderLen+8:], maxPacket)
	binary.NativeEndian.PutUint32(file[pcapHeaderLen+12:], maxPacket)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Read(bytes.NewReader(file))
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; err == nil || n > 2*maxPacket {
		t.Errorf("%d bytes allocated, error %v", n, err)
	}
}

// What a file makes the program keep is bounded.
func TestTooMuch(t *testing.T) {
	in, err := newPacketReader(bytes.NewReader(testCapture(t, true)))
	if err != nil {
		t.Fatal(err)
	}
	c := captureReader{in: in, format: 1, logs: make([]object.Messages, len(object.Kinds)), kept: maxKept - 400}
	if got, err := c.read(); got != nil || err != errTooMuch {
		t.Errorf("%v, %v", got, err)
	}
	// Of a recording only what may still be needed counts.
	r := newRecording(nil)
	r.size = maxKept
	for _, p := range recorded(linkTypeNetlink, dumpOf(1, object.DumpRequest{}), main4(1, 1), main4(1, 2)) {
		if err := r.packet(&packet{link: linkTypeNetlink, data: p.data}); err != nil {
			t.Error(err)
		}
	}
	if r.size != 2*len(main4(1, 1)) {
		t.Errorf("%d bytes are needed", r.size)
	}
}
