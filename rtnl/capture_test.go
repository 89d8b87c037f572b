package rtnl

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
)

// capturedNamespace makes a namespace with routes of many kinds and returns a
// capture of it.
func capturedNamespace(t testing.TB) []byte {
	nstest.New(t)
	nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", "0")
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Veth(t, "v1", "10.0.1.1/24", "fd01::1/64")
	nstest.IP(t, "nexthop add id 1 via 10.0.0.2 dev v0")
	nstest.IP(t, "nexthop add id 2 via 10.0.1.2 dev v1")
	nstest.IP(t, "nexthop add id 3 group 1,5/2,9")
	nstest.IP(t, "nexthop add id 4 blackhole")
	nstest.Batch(t, "-4",
		"route add default via 10.0.0.2 metric 100 proto 16",
		"route add 10.1.0.0/16 via 10.0.0.3 mtu lock 1400 congctl reno",
		"route add 10.2.0.0/16 nexthop via 10.0.0.2 weight 3 nexthop via 10.0.1.2",
		"route add 10.3.0.0/16 nhid 1",
		"route add 10.4.0.0/16 nhid 3 table 1000",
		"route add 10.5.0.0/16 nhid 4",
		"route add 10.6.0.0/16 via inet6 fd00::2 dev v0 table 4294967294",
		"route add blackhole 10.7.0.0/16 table 1000",
	)
	nstest.Batch(t, "-6",
		"route add default via fd00::2 metric 4294967295",
		"route add fd02::/64 from fd03::/64 via fd00::2",
		"route add fd04::/64 nexthop via fd00::2 nexthop via fd01::2",
		"route add fd05::/64 encap seg6 mode encap segs fd00::9 dev v0",
		"route add unreachable fd06::/64 table 1000",
	)
	var b bytes.Buffer
	if err := (&Kernel{}).Capture(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// dump returns all that a snapshot says, a line a route, sorted.
func dump(s *Snapshot) []string {
	lines := []string{}
	var hops []Nexthop
	for c := s.Cursor(AllFields); c.Next(); {
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

func TestCaptureAnswersAsTheKernel(t *testing.T) {
	file := capturedNamespace(t)
	c, err := ReadCapture(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	link := func(name string) func(*Link) bool { return func(l *Link) bool { return l.Name == name } }
	v1 := uint32(0)
	for i, l := range c.links {
		if l.Name == "v1" {
			v1 = i
		}
	}
	both := Request{Links: true, Nexthops: true}
	for _, f := range []Filter{
		{},
		{Families: []Family{IPv4}},
		{Families: []Family{IPv6}},
		{Families: []Family{IPv4, IPv6}},
		{Families: []Family{}},
		{Tables: []uint32{1000}},
		{Tables: []uint32{255, 254, 4294967294}},
		{Tables: []uint32{7}},
		{Types: []RouteType{Blackhole}},
		{Types: []RouteType{Local, Unreachable}},
		{Protocols: []uint8{16}},
		{Dsts: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("::/0")}},
		{OIFs: []uint32{v1}},
		{OIFs: []uint32{v1, 1}},
		{Link: link("v0")},
		{Link: link("v1"), OIFs: []uint32{1}},
		{Link: link("nosuch")},
		{Link: link("v1"), Tables: []uint32{254}, Families: []Family{IPv6}},
	} {
		req := both
		req.Filter = f
		want, err := new(Kernel).Read(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Read(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		if w, g := dump(want), dump(got); !slices.Equal(w, g) {
			t.Errorf("%+v:\nkernel  %s\ncapture %s", f, strings.Join(w, "\n        "), strings.Join(g, "\n        "))
		}
		if !got.Consistent || got.Tries != 0 {
			t.Errorf("%+v: consistent %v after %d tries", f, got.Consistent, got.Tries)
		}
	}
	if n := len(c.objects); n != 4 {
		t.Errorf("%d nexthop objects, want all 4", n)
	}
	// Nothing that was not asked for.
	s, err := c.Read(context.Background(), Request{})
	if err != nil || s.links != nil || s.objects != nil {
		t.Errorf("links %v, objects %v, error %v", s.links, s.objects, err)
	}
	// With Single the kernel may leave out routes that use nexthop objects.
	s, err = c.Read(context.Background(), Request{Filter: Filter{OIFs: []uint32{v1}, Single: true}})
	if err != nil {
		t.Fatal(err)
	}
	for c := s.Cursor(AllFields); c.Next(); {
		if r := c.Route(); r.Multipath != nil || r.OIF.V != v1 && !r.NexthopID.OK {
			t.Errorf("not single and over v1: %+v", *r)
		}
	}
}

func TestCaptureContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c := &Capture{routes: [][]byte{{}}}
	if _, err := c.Read(ctx, Request{}); !canceled(err) {
		t.Errorf("got %v", err)
	}
	nstest.New(t)
	var b bytes.Buffer
	if err := new(Kernel).Capture(ctx, &b); !canceled(err) || b.Len() > 0 {
		t.Errorf("got %v and %d bytes", err, b.Len())
	}
}

// testRoute is an RTM_NEWROUTE message for 10.N.0.0/16.
func testRoute(n byte) []byte {
	b := appendHeader(nil, unix.NLMSG_HDRLEN+rtmsgLen+8, unix.RTM_NEWROUTE, unix.NLM_F_MULTI, 1)
	b = append(b, byte(IPv4), 16, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0)
	b = binary.NativeEndian.AppendUint16(b, 8)
	b = binary.NativeEndian.AppendUint16(b, rtaDst)
	return append(b, 10, n, 0, 0)
}

// testLink is an RTM_NEWLINK message whose length is no multiple of four.
func testLink() []byte {
	name := "eth\x00"[:3]
	b := appendHeader(nil, unix.NLMSG_HDRLEN+ifinfomsgLen+nlaHeaderLen+len(name), unix.RTM_NEWLINK, unix.NLM_F_MULTI, 1)
	b = append(b, make([]byte, 4)...)
	b = binary.NativeEndian.AppendUint32(b, 2)
	b = append(b, make([]byte, 8)...)
	b = binary.NativeEndian.AppendUint16(b, uint16(nlaHeaderLen+len(name)))
	b = binary.NativeEndian.AppendUint16(b, iflaIfname)
	return append(b, name...)
}

// testCapture is a capture with a link and three routes.
func testCapture(t testing.TB, consistent bool) []byte {
	s := Snapshot{
		Consistent: consistent,
		rawLinks:   appendMessage(nil, testLink()),
		routes:     [][]byte{append(testRoute(1), testRoute(2)...), testRoute(3)},
	}
	var b bytes.Buffer
	if err := s.writeCapture(&b, Host{Time: time.Unix(1, 2)}, BuiltinNames()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCaptureIsConsistent(t *testing.T) {
	for _, want := range []bool{true, false} {
		c, err := ReadCapture(bytes.NewReader(testCapture(t, want)))
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Read(context.Background(), Request{Links: true})
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

// TestCutCapture cuts a capture everywhere.
func TestCutCapture(t *testing.T) {
	file := capturedNamespace(t)
	for n := 0; n < len(file); n += nstest.Amount(1, 5) {
		c, err := ReadCapture(bytes.NewReader(file[:n]))
		var e *CaptureError
		if c != nil || !errors.As(err, &e) || !errors.Is(err, ErrCapture) || e.Why == "" || e.Remedy == "" {
			t.Fatalf("the first %d of %d bytes: %v", n, len(file), err)
		}
	}
	if _, err := ReadCapture(iotest.OneByteReader(bytes.NewReader(file))); err != nil {
		t.Error(err)
	}
}

func TestNoCapture(t *testing.T) {
	good := testCapture(t, true)
	const texts = 5
	packet := func(i int) int { // where packet i after those of text begins
		off := pcapHeaderLen
		for range texts + i {
			off += packetHeadLen + int(u32(good[off+8:]))
		}
		return off
	}
	edit := func(off int, to ...byte) []byte {
		b := slices.Clone(good)
		copy(b[off:], to)
		return b
	}
	edit32 := func(off int, to uint32) []byte { return edit(off, binary.NativeEndian.AppendUint32(nil, to)...) }
	swap32 := func(off int) []byte { return edit32(off, bits.ReverseBytes32(u32(good[off:]))) }
	msg := packet(1) + packetHeadLen + cookedLen // the first route
	end := packet(4) + packetHeadLen + cookedLen
	text := packet(-texts) + packetHeadLen + cookedLen + unix.NLMSG_HDRLEN
	attr := end + unix.NLMSG_HDRLEN + 4

	for _, tc := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "the file is empty; make a capture"},
		{"three bytes", good[:3], "it is no pcap file"},
		{"text", []byte("SELECT * FROM kernel_routes"), "it is no pcap file"},
		{"gzip of nothing", edit(0, 0x1f, 0x8b, 8, 0), "the compressed data is invalid"},
		{"zstd", edit(0, 0x28, 0xb5, 0x2f, 0xfd), "compressed with zstd; decompress it first"},
		{"pcapng without a byte order", edit(0, 0x0a, 0x0d, 0x0d, 0x0a), "a section header without a byte order"},
		{"messages of the other order", swap32(msg), "other byte order"},
		{"all messages of the other order", swap32(text - unix.NLMSG_HDRLEN), "other byte order"},
		{"a newer version's", edit(text+len(beginText), '3'), "made by a newer version of this program (its format is 3, this version reads up to 2); read it"},
		{"a version that there was not", edit(text+len(beginText), '1'), "the format of the capture has no number"},
		{"without a version", edit(text+len(beginText), '?'), "the format of the capture has no number"},
		{"a time that is none", edit(text+len(beginText)+len("2\ntime "), '?'), `time is "?`},
		{"a name of no number", edit(packet(1-texts)+packetHeadLen+cookedLen+unix.NLMSG_HDRLEN+len("rt_tables\n"), '?'), `"? unspec\n" is no line of rt_tables`},
		{"file header alone", good[:pcapHeaderLen], "cut short after 24 bytes; make it again"},
		{"cut between packets", good[:packet(2)], fmt.Sprintf("cut short after %d bytes", packet(2))},
		{"Ethernet", edit32(20, 1), "its packets are of link type 1, not of netlink messages (253)"},
		{"a packet of 4 GiB", edit32(packet(1)+8, 1<<32-1), "damaged before byte"},
		{"two packets of 4 GiB", edit(packet(1)+8, bytes.Repeat([]byte{255}, 8)...), "a packet of 4294967295 bytes"},
		{"a packet of 15 bytes", edit(packet(1)+8, append(binary.NativeEndian.AppendUint32(nil, 15), binary.NativeEndian.AppendUint32(nil, 15)...)...), "a packet of 15 bytes"},
		{"snap length", edit32(packet(1)+12, 1000), "not kept whole"},
		{"no netlink header", edit(packet(1)+packetHeadLen+2, 0, 1), "without the header of netlink"},
		{"another netlink protocol", edit(packet(1)+packetHeadLen+14, 0, 12), "not the work of the capture command"},
		{"several messages in a packet", edit32(msg, 20), "not the work of the capture command"},
		{"a message longer than its packet", edit32(msg, 1000), "not the work of the capture command"},
		{"a request", edit(msg+4, binary.NativeEndian.AppendUint16(nil, unix.RTM_GETROUTE)...), "not the work of the capture command"},
		{"a bad route", edit(msg+unix.NLMSG_HDRLEN+1, 200), "malformed route at byte 1"},
		{"a bad link", edit(packet(0)+packetHeadLen+cookedLen+unix.NLMSG_HDRLEN+ifinfomsgLen, 200), "malformed link at byte"},
		{"a link that is a nexthop object", edit(packet(0)+packetHeadLen+cookedLen+4, binary.NativeEndian.AppendUint16(nil, unix.RTM_NEWNEXTHOP)...), "malformed nexthop at byte"},
		{"done with an error", edit32(end+unix.NLMSG_HDRLEN, 1), "not the work of the capture command"},
		{"done without the text", edit(attr+2, 99), "not the work of the capture command"},
		{"done with a damaged text", edit(attr+nlaHeaderLen+3, '?'), "not the work of the capture command"},
		{"done with another count", edit(attr+nlaHeaderLen+len(endBefore), '5'), "it holds 9 messages of 5"},
		{"a packet taken out", slices.Concat(good[:packet(1)], good[packet(2):]), "it holds 8 messages of 9"},
		{"a packet twice", slices.Concat(good[:packet(2)], good[packet(1):]), "it holds 10 messages of 9"},
		{"two captures", slices.Concat(good, good), "more follows the end"},
	} {
		c, err := ReadCapture(bytes.NewReader(tc.file))
		if c != nil || !errors.Is(err, ErrCapture) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
	for n := range good {
		broken := errors.New("broken")
		r := io.MultiReader(bytes.NewReader(good[:n]), iotest.ErrReader(broken))
		if c, err := ReadCapture(r); c != nil || !errors.Is(err, broken) {
			t.Fatalf("broken after %d bytes: %v", n, err)
		}
	}
	for what, file := range map[string][]byte{
		"time stamps in microseconds": edit32(0, pcapMicro),
		// "FCS length present" and a length of 4.
		"bits above the link type": edit32(20, linkTypeNetlink|1<<26|4<<28),
		"Linux cooked packets":     edit32(20, linkTypeSLL),
	} {
		if _, err := ReadCapture(bytes.NewReader(file)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestCaptureHost: a capture says where and when it was made.
func TestCaptureHost(t *testing.T) {
	before := time.Now()
	c, err := ReadCapture(bytes.NewReader(capturedNamespace(t)))
	if err != nil {
		t.Fatal(err)
	}
	inode, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	uname, err := exec.Command("uname", "-nrm").Output()
	if err != nil {
		t.Fatal(err)
	}
	h := c.Host()
	if got, want := fmt.Sprintf("%s %s %s net:[%d]", h.Name, h.Kernel, h.Machine, h.NetNS), strings.TrimSpace(string(uname))+" "+inode; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if h.Time.Before(before) || h.Time.After(time.Now()) || h.NetNSName != "" {
		t.Errorf("got %+v", h)
	}
	if len(c.Notes()) > 0 || !c.Names().equal(HostNames()) {
		t.Errorf("notes %q, names %v", c.Notes(), c.Names())
	}

	// A namespace that ip netns named, as a file that is bound to it.
	dir := t.TempDir()
	if err := os.Symlink("/proc/thread-self/ns/net", filepath.Join(dir, "blue")); err != nil {
		t.Fatal(err)
	}
	if _, name := networkNamespace(dir); name != "blue" {
		t.Errorf("the namespace's name is %q", name)
	}

	odd := Host{Time: time.Unix(5, 6).UTC(), Name: "a\nhost \"x\"\xff", Kernel: "1\x00", NetNS: 1<<64 - 1, NetNSName: "b\tc"}
	_, text, _ := strings.Cut(string(odd.appendText(nil)), "\n")
	if got, err := parseHost(text + "later\nwhatever 7\n"); err != nil || *got != odd {
		t.Errorf("got %+v, %v; want %+v", got, err, odd)
	}
}

// TestCaptureNames: all names come back, many as they may be.
func TestCaptureNames(t *testing.T) {
	names := ReadNames(t.TempDir())
	for _, f := range names.files() {
		f.set(7, "seven")
		f.set(254, "inet")
		f.set(0, "n\xffone")
	}
	tables := names.files()[0]
	for id := range uint32(20_000) { // more than a packet holds
		tables.set(1<<31+id, fmt.Sprintf("table%d", id))
	}
	var b bytes.Buffer
	if err := new(Snapshot).writeCapture(&b, Host{}, names); err != nil {
		t.Fatal(err)
	}
	if n := len(packetsOf(t, b.Bytes())); n < 7 {
		t.Errorf("%d packets", n)
	}
	c, err := ReadCapture(&b)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Names().equal(names) {
		t.Errorf("got %v", c.Names())
	}
	// The last one of a number's names is the one that is shown.
	several := newNameSet(math.MaxUint32)
	for _, g := range []nameGiven{{1000, "last"}, {254, "zz"}, {254, "main"}, {254, "inet"}, {254, "main"}} {
		several.set(g.id, g.name)
	}
	if got, want := string(several.appendText(nil)), "254 inet\n254 zz\n254 main\n1000 last\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for id := range uint32(1000) {
		tables.set(id+256, strings.Repeat("x", 20_000))
	}
	if err := new(Snapshot).writeCapture(io.Discard, Host{}, names); err == nil || !strings.Contains(err.Error(), "more than 16 MiB") {
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
	first := packets[5:]
	count(first, "4")
	c, err := ReadCapture(bytes.NewReader(pcapFile(binary.LittleEndian, pcapNano, linkTypeNetlink, first)))
	if err != nil {
		t.Fatal(err)
	}
	if c.Host() != nil || c.Names() != HostNames() || !slices.Equal(c.Notes(), []string{readersNames}) || !c.consistent {
		t.Errorf("format 1: %+v", c)
	}

	packets = packetsOf(t, testCapture(t, true))
	rule := testPacket{data: cooked(linkTypeNetlink, unix.NETLINK_ROUTE, message(unix.RTM_NEWRULE, unix.NLM_F_MULTI, 1, make([]byte, 12)))}
	text := testPacket{data: cooked(linkTypeNetlink, unix.NETLINK_ROUTE, message(unix.NLMSG_NOOP, 0, 0, []byte("weather\nfine")))}
	packets = slices.Insert(packets, 6, rule, text, rule)
	count(packets, "12")
	binary.NativeEndian.PutUint32(packets[len(packets)-1].data[cookedLen:], uint32(len(packets[len(packets)-1].data)-cookedLen))
	c, err = ReadCapture(bytes.NewReader(pcapFile(binary.LittleEndian, pcapNano, linkTypeNetlink, packets)))
	if err != nil {
		t.Fatal(err)
	}
	if want := "2 messages of RTNetlink type 32 are passed over: "; len(c.Notes()) != 1 || !strings.HasPrefix(c.Notes()[0], want) {
		t.Errorf("notes %q", c.Notes())
	}
}

// A message that does not end at a multiple of four is padded as the kernel does.
func TestCaptureOfOddMessages(t *testing.T) {
	odd := appendHeader(nil, unix.NLMSG_HDRLEN+rtmsgLen+5, unix.RTM_NEWROUTE, unix.NLM_F_MULTI, 1)
	odd = append(odd, byte(IPv6), 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0)
	odd = binary.NativeEndian.AppendUint16(odd, 5)
	odd = binary.NativeEndian.AppendUint16(odd, rtaPref)
	odd = append(odd, 3)
	s := Snapshot{routes: [][]byte{append(appendMessage(nil, odd), odd...)}} // the last without padding
	var b bytes.Buffer
	if err := s.writeCapture(&b, Host{}, BuiltinNames()); err != nil {
		t.Fatal(err)
	}
	c, err := ReadCapture(&b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Read(context.Background(), Request{})
	if err != nil || !reflect.DeepEqual(dump(got), dump(&s)) {
		t.Errorf("got %q, want %q, error %v", dump(got), dump(&s), err)
	}
}

// What a file says of its lengths costs no memory.
func TestCaptureMemory(t *testing.T) {
	file := testCapture(t, true)
	binary.NativeEndian.PutUint32(file[pcapHeaderLen+8:], maxPacket)
	binary.NativeEndian.PutUint32(file[pcapHeaderLen+12:], maxPacket)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ReadCapture(bytes.NewReader(file))
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; err == nil || n > 2*maxPacket {
		t.Errorf("%d bytes allocated, error %v", n, err)
	}
}

// TestTshark opens a capture with Wireshark's command line.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("no tshark: it is not checked that Wireshark opens a capture")
	}
	file := filepath.Join(t.TempDir(), "test.pcap")
	if err := os.WriteFile(file, capturedNamespace(t), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tshark, "-r", file, "-V")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Message type: Create network interface",
		"Message type: Add network route",
		"Length of destination: 16",
		"Route type: Gateway or direct route",
		"Message type: End of a dump",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("tshark does not print %q", want)
		}
	}
	for _, bad := range []string{"Malformed", "Expert Info"} {
		if i := strings.Index(string(text), bad); i >= 0 {
			t.Errorf("tshark complains: ...%s", text[max(i-1000, 0):min(i+200, len(text))])
		}
	}
}

// FuzzCapture: a file is refused, or it is a capture whose every route can be
// decoded, which lasts if it is written again, and of which no less is a capture.
// Of a recording less may be one too.
func FuzzCapture(f *testing.F) {
	f.Add(testCapture(f, true))
	f.Add(testCapture(f, false))
	for _, file := range containers(f, packetsOf(f, testCapture(f, true))) {
		f.Add(file)
	}
	for _, file := range containers(f, recorded(linkTypeNetlink, dumpOf(1, dumpRequest{family: IPv4}), linked(2), done(2, 0),
		slices.Concat(routed(1, IPv4, 254, 1), routed(1, IPv4, 7, 1)), done(1, 0), dumpOf(3, dumpRequest{table: 7}), routed(3, IPv6, 7, 1), done(3, 0))) {
		f.Add(file)
	}
	files, err := filepath.Glob("../testdata/captures/*.pcap")
	if err != nil || len(files) == 0 {
		f.Fatal("no captures to begin with: ", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		c, err := ReadCapture(bytes.NewReader(file))
		if err != nil {
			if c != nil || !errors.Is(err, ErrCapture) {
				t.Fatalf("%v, %v", c, err)
			}
			return
		}
		if _, err := ReadCapture(bytes.NewReader(file[:len(file)-1])); err == nil && c.covers == nil {
			t.Fatal("without its last byte it is a capture too")
		}
		s, err := c.Read(context.Background(), Request{Links: true, Nexthops: true})
		if err != nil {
			t.Fatal(err)
		}
		want := dump(s)
		var b bytes.Buffer
		if err := s.writeCapture(&b, Host{}, BuiltinNames()); err != nil {
			t.Fatal(err)
		}
		again, err := ReadCapture(&b)
		if err != nil {
			t.Fatal(err)
		}
		again.links, again.objects = c.links, c.objects
		s, err = again.Read(context.Background(), Request{Links: true, Nexthops: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := dump(s); !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}
