package rtnl

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A capture file is a pcap file of link type LINKTYPE_NETLINK, which Wireshark
// and tshark open: one packet for each message as the kernel sent it, first the
// links (RTM_NEWLINK), then the nexthop objects (RTM_NEWNEXTHOP), then the routes
// (RTM_NEWROUTE). All that a snapshot holds more is in the last packet, an
// NLMSG_DONE without an error: its text, where the kernel's own words would be
// (NLMSGERR_ATTR_MSG), says how many messages came before, and NLM_F_DUMP_INTR
// is set if the snapshot is not consistent. Nothing follows it.
//
// The pcap headers and the messages are in the byte order of the host that made
// the file.

// The pcap format, version 2.4: a file header, and a header before each packet.
const (
	pcapNano      = 0xa1b23c4d // time stamps in nanoseconds
	pcapMicro     = 0xa1b2c3d4 // time stamps in microseconds: what editcap and others make of it
	pcapHeaderLen = 24
	packetHeadLen = 16
	maxPacket     = 256 << 10

	// LINKTYPE_NETLINK: 2 bytes unused, ARPHRD_NETLINK, 10 bytes unused, the
	// netlink protocol (NETLINK_ROUTE, 0), in network byte order.
	linkTypeNetlink = 253
	cookedLen       = 16
	arphrdNetlink   = 824
)

// The text of the last packet.
const endBefore, endAfter = "kernel_routes capture of ", " messages"

// nlmsgerrAttrMsg is NLMSGERR_ATTR_MSG.
const nlmsgerrAttrMsg = 1

// Capture reads all routes but cloned ones, all links and all nexthop objects,
// and writes them as a capture file. Nothing is written on an error of reading.
func (k *Kernel) Capture(ctx context.Context, w io.Writer) error {
	s, err := k.Read(ctx, Request{Links: true, Nexthops: true, raw: true})
	if err != nil {
		return err
	}
	return s.writeCapture(w, time.Now())
}

func (s *Snapshot) writeCapture(w io.Writer, at time.Time) error {
	c := captureWriter{w: bufio.NewWriterSize(w, maxDatagram)}
	c.begin(at)
	c.messages(s.rawLinks)
	c.messages(s.rawObjects)
	for _, run := range s.routes {
		c.messages(run)
	}
	c.end(s.Consistent)
	return c.w.Flush()
}

// A captureWriter writes a capture file. Its errors are told by the last Flush.
type captureWriter struct {
	w    *bufio.Writer
	head []byte // of each packet
	n    int    // messages
}

func (c *captureWriter) begin(at time.Time) {
	b := binary.NativeEndian.AppendUint32(nil, pcapNano)
	b = binary.NativeEndian.AppendUint16(b, 2) // version 2.4
	b = binary.NativeEndian.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...) // time zone and accuracy
	b = binary.NativeEndian.AppendUint32(b, maxPacket)
	c.w.Write(binary.NativeEndian.AppendUint32(b, linkTypeNetlink))

	b = binary.NativeEndian.AppendUint32(nil, uint32(at.Unix()))
	b = binary.NativeEndian.AppendUint32(b, uint32(at.Nanosecond()))
	b = append(b, make([]byte, 8)...) // lengths
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint16(b, arphrdNetlink)
	b = append(b, make([]byte, 10)...)
	c.head = binary.BigEndian.AppendUint16(b, unix.NETLINK_ROUTE)
}

// messages writes a run of messages.
func (c *captureWriter) messages(run []byte) {
	for len(run) > 0 {
		n := int(u32(run))
		c.packet(run[:n])
		c.n++
		run = run[min(align4(n), len(run)):]
	}
}

func (c *captureWriter) packet(msg []byte) {
	n := uint32(cookedLen + len(msg))
	binary.NativeEndian.PutUint32(c.head[8:], n)
	binary.NativeEndian.PutUint32(c.head[12:], n)
	c.w.Write(c.head)
	c.w.Write(msg)
}

func (c *captureWriter) end(consistent bool) {
	flags := uint16(unix.NLM_F_MULTI | unix.NLM_F_ACK_TLVS)
	if !consistent {
		flags |= unix.NLM_F_DUMP_INTR
	}
	text := endBefore + strconv.Itoa(c.n) + endAfter + "\x00"
	n := unix.NLMSG_HDRLEN + 4 + nlaHeaderLen + len(text)
	b := appendHeader(nil, n, unix.NLMSG_DONE, flags, 0)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = binary.NativeEndian.AppendUint16(b, uint16(nlaHeaderLen+len(text)))
	b = binary.NativeEndian.AppendUint16(b, nlmsgerrAttrMsg)
	c.packet(append(b, text...))
}

// ErrCapture: a file that is no capture, or not a whole one; see CaptureError.
var ErrCapture = errors.New("no capture that can be read")

// A CaptureError tells what a file is instead of a capture that can be read.
type CaptureError struct {
	Why    string // what the file is
	Remedy string // what to do
}

func (e *CaptureError) Error() string { return e.Why + "; " + e.Remedy }

// Is makes errors.Is(err, ErrCapture) true.
func (e *CaptureError) Is(target error) bool { return target == ErrCapture }

// A Capture is a snapshot that was read from a capture file. It does not change
// and may be read by several goroutines.
type Capture struct {
	consistent bool
	routes     [][]byte // runs of RTM_NEWROUTE messages
	links      map[uint32]Link
	objects    map[uint32]*NexthopObject
}

// Names returns the names of the host that reads the capture.
func (c *Capture) Names() *Names { return HostNames() }

// Read returns what Kernel.Read returned for the request if it had been made
// when the capture was, but for the order of the routes and for cloned ones,
// which no capture holds. Snapshot.Tries is 0.
func (c *Capture) Read(ctx context.Context, req Request) (*Snapshot, error) {
	if req.Nothing() {
		return &Snapshot{Consistent: true}, nil
	}
	s := &Snapshot{Consistent: c.consistent}
	if req.Links || req.Link != nil {
		s.links = c.links
	}
	if req.Nexthops {
		s.objects = c.objects
	}
	if req.Link != nil {
		if req.chooseLinks(c.links); req.Nothing() {
			return s, nil
		}
	}
	req.prepare()
	for _, run := range c.routes {
		if ctx.Err() != nil {
			return nil, deadline("read a capture", context.Cause(ctx))
		}
		s.routes = req.appendMatching(s.routes, run)
	}
	return s, nil
}

// ReadCapture reads a capture file to its end. An error is one of r, or a
// *CaptureError for a file that is cut short, damaged or of another kind: a part
// of a capture is never taken for the whole.
func ReadCapture(r io.Reader) (*Capture, error) {
	in := captureReader{r: bufio.NewReaderSize(r, maxDatagram)}
	if err := in.begin(); err != nil {
		return nil, err
	}
	c := &Capture{links: map[uint32]Link{}, objects: map[uint32]*NexthopObject{}}
	for n := 0; ; n++ {
		msg, err := in.packet()
		if err != nil {
			return nil, err
		}
		switch u16(msg[4:]) {
		case unix.RTM_NEWLINK:
			err = addLink(c.links, msg)
		case unix.RTM_NEWNEXTHOP:
			err = addObject(c.objects, msg)
		case unix.RTM_NEWROUTE:
			if _, err = readHead(msg[unix.NLMSG_HDRLEN:]); err == nil {
				c.routes = addRoute(c.routes, msg)
			}
		case unix.NLMSG_DONE:
			if err := in.end(msg, n); err != nil {
				return nil, err
			}
			c.consistent = u16(msg[6:])&unix.NLM_F_DUMP_INTR == 0
			return c, nil
		default:
			return nil, errForeign
		}
		if err != nil {
			return nil, in.damaged(err.Error())
		}
	}
}

// Runs grow from what holds a laptop's routes to what wastes little of a
// router's.
const (
	minRun = 4 << 10
	maxRun = 1 << 20
)

// addRoute appends a message to the last run, or begins another.
func addRoute(runs [][]byte, msg []byte) [][]byte {
	last := len(runs) - 1
	if last < 0 || cap(runs[last])-len(runs[last]) < align4(len(msg)) {
		size := minRun
		if last >= 0 {
			size = min(2*cap(runs[last]), maxRun)
		}
		runs = append(runs, make([]byte, 0, max(size, align4(len(msg)))))
		last++
	}
	runs[last] = appendMessage(runs[last], msg)
	return runs
}

// appendMessage appends a message and its padding.
func appendMessage(b, msg []byte) []byte {
	b = append(b, msg...)
	return append(b, make([]byte, align4(len(msg))-len(msg))...)
}

// What is wrong with a file that is no capture, whatever it holds.
var (
	errEmpty = &CaptureError{"the file is empty", makeFirst}
	errGzip  = &CaptureError{"the file is compressed with gzip", "decompress it first"}
	errNG    = &CaptureError{"the file is in pcapng format", "convert it first: editcap -F nsecpcap FILE NEWFILE"}
	errOrder = &CaptureError{"it was made on a host of the other byte order, in which its messages are too", "read it on such a host"}
	errOther = &CaptureError{"it is no pcap file", makeFirst}
	// As made by tcpdump from an nlmon interface.
	errForeign = &CaptureError{"it holds netlink messages, but is not the work of the capture command", makeFirst}
)

const (
	makeFirst = "make a capture with the capture command"
	makeAgain = "make it again with the capture command"
)

// A captureReader reads the packets of a file. It needs no more memory than the
// largest of them, which is bounded, whatever the file says.
type captureReader struct {
	r   *bufio.Reader
	off int64 // bytes read
	buf []byte
}

func (in *captureReader) damaged(why string) error {
	return &CaptureError{fmt.Sprintf("it is damaged before byte %d: %s", in.off, why), makeAgain}
}

// next reads n bytes, which are valid until it is called again.
func (in *captureReader) next(n int) ([]byte, error) {
	if n > cap(in.buf) {
		in.buf = make([]byte, max(n, 4<<10))
	}
	got, err := io.ReadFull(in.r, in.buf[:n])
	in.off += int64(got)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = &CaptureError{fmt.Sprintf("it is cut short after %d bytes", in.off), makeAgain}
	}
	return in.buf[:got], err
}

// begin reads the file header.
func (in *captureReader) begin() error {
	b, err := in.next(pcapHeaderLen)
	var short *CaptureError
	if err != nil && !errors.As(err, &short) {
		return err
	}
	switch {
	case len(b) == 0:
		return errEmpty
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b}):
		return errGzip
	case len(b) < 4:
		return errOther
	}
	switch magic := u32(b); magic {
	case pcapNano, pcapMicro:
	case bits.ReverseBytes32(pcapNano), bits.ReverseBytes32(pcapMicro):
		return errOrder
	case 0x0a0d0d0a:
		return errNG
	default:
		return errOther
	}
	if err != nil {
		return err
	}
	if link := u32(b[20:]); link != linkTypeNetlink {
		return &CaptureError{fmt.Sprintf("it is a pcap file of link type %d, not of netlink messages (%d)", link, linkTypeNetlink), makeFirst}
	}
	return nil
}

// packet reads a packet, which is one message.
func (in *captureReader) packet() ([]byte, error) {
	b, err := in.next(packetHeadLen)
	if err != nil {
		return nil, err
	}
	n, whole := u32(b[8:]), u32(b[12:])
	switch {
	case n < whole:
		return nil, in.damaged("a packet was not kept whole")
	case n != whole || n < cookedLen || n > maxPacket:
		return nil, in.damaged(fmt.Sprintf("a packet of %d bytes", n))
	}
	if b, err = in.next(int(n)); err != nil {
		return nil, err
	}
	if binary.BigEndian.Uint16(b[2:]) != arphrdNetlink {
		return nil, in.damaged("a packet without the header of netlink")
	}
	msg := b[cookedLen:]
	switch {
	case binary.BigEndian.Uint16(b[14:]) != unix.NETLINK_ROUTE || len(msg) < unix.NLMSG_HDRLEN:
		return nil, errForeign
	case u32(msg) == uint32(len(msg)):
		return msg, nil
	case bits.ReverseBytes32(u32(msg)) == uint32(len(msg)):
		return nil, errOrder
	}
	return nil, errForeign
}

// end checks the last packet, before which n others came.
func (in *captureReader) end(msg []byte, n int) error {
	b := msg[unix.NLMSG_HDRLEN:]
	if len(b) < 4 || u32(b) != 0 {
		return errForeign
	}
	a := walk(b[4:])
	if !a.next() || a.typ != nlmsgerrAttrMsg {
		return errForeign
	}
	text, before := strings.CutPrefix(cstring(a.data), endBefore)
	text, after := strings.CutSuffix(text, endAfter)
	want, err := strconv.Atoi(text)
	if !before || !after || err != nil {
		return errForeign
	}
	if n != want {
		return &CaptureError{fmt.Sprintf("it holds %d messages of %d", n, want), makeAgain}
	}
	switch _, err := in.r.ReadByte(); err {
	case io.EOF:
		return nil
	case nil:
		return in.damaged("more follows the end")
	default:
		return err
	}
}
