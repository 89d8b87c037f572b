package rtnl

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A capture file is a pcap file of link type LINKTYPE_NETLINK, which Wireshark
// and tshark open, with one netlink message in each packet.
//
// First come messages of type NLMSG_NOOP, which any reader of netlink passes over,
// whose payload is text: the first one says what the file is and where and when it
// was made, see Host; the others have the names of that host, each the name of a
// file of iproute2 (rt_tables, ...) and lines of that file. Text that is not known
// is passed over.
//
// Then come the messages as the kernel sent them: the links (RTM_NEWLINK), the
// nexthop objects (RTM_NEWNEXTHOP), the routes (RTM_NEWROUTE). RTM_NEW messages of
// other types are passed over and told of. All that a snapshot holds more is in the
// last packet, an NLMSG_DONE without an error: its text, where the kernel's own
// words would be (NLMSGERR_ATTR_MSG), says how many messages came before, and
// NLM_F_DUMP_INTR is set if the snapshot is not consistent. Nothing follows it.
//
// Format 1 has no text before the links. A change that a reader must know of to
// read the rest rightly raises the number of the format.
//
// The messages are in the byte order of the host that made the file. The headers of
// pcap are written so too, but are read in either order, as is pcapng, which
// Wireshark makes of a file that it saves.

const captureFormat = 2

// The text of the first packet, before the number of the format, and of the last.
const (
	beginText           = "kernel_routes capture, format "
	endBefore, endAfter = "kernel_routes capture of ", " messages"
	maxText             = 128 << 10 // bytes of text in a packet
	maxNamesText        = 16 << 20  // bytes of names in a file
	nlmsgerrAttrMsg     = 1         // NLMSGERR_ATTR_MSG
)

// Capture reads all routes but cloned ones, all links and all nexthop objects,
// and writes them as a capture file, with the names that hold on this host.
// Nothing is written on an error of reading.
func (k *Kernel) Capture(ctx context.Context, w io.Writer) error {
	s, err := k.Read(ctx, Request{Links: true, Nexthops: true, raw: true})
	if err != nil {
		return err
	}
	return s.writeCapture(w, thisHost(), k.Names())
}

func (s *Snapshot) writeCapture(w io.Writer, host Host, names *Names) error {
	c := captureWriter{w: bufio.NewWriterSize(w, maxDatagram)}
	c.begin(host.Time)
	c.text(host.appendText(nil))
	if err := c.names(names); err != nil {
		return err
	}
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

// text writes a message of text.
func (c *captureWriter) text(text []byte) {
	c.packet(append(appendHeader(nil, unix.NLMSG_HDRLEN+len(text), unix.NLMSG_NOOP, 0, 0), text...))
	c.n++
}

// names writes the names, in several messages where one would be too large.
func (c *captureWriter) names(names *Names) error {
	total := 0
	for _, f := range names.files() {
		lines := f.appendText(nil)
		if total += len(lines); total > maxNamesText {
			return fmt.Errorf("the names in iproute2's files take more than %d MiB; take some out", maxNamesText>>20)
		}
		for len(lines) > 0 {
			n := len(lines)
			if n > maxText {
				n = 1 + bytes.LastIndexByte(lines[:maxText], '\n')
			}
			c.text(append([]byte(f.file+"\n"), lines[:n]...))
			lines = lines[n:]
		}
	}
	return nil
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

// A Capture is a snapshot that was read from a capture file, or from a recording of
// netlink messages. It does not change and may be read by several goroutines.
type Capture struct {
	consistent bool
	routes     [][]byte // runs of RTM_NEWROUTE messages
	links      map[uint32]Link
	objects    map[uint32]*NexthopObject

	host  *Host  // nil: not known
	names *Names // nil: not known
	notes []string

	// Of a recording: which groups it has whole. Zero fields stand for every family
	// and every table. nil: all there are.
	covers  map[group]bool
	noLinks bool // it has no interfaces
}

// Names returns the names of the host that made the capture. A file that does not
// hold them is read with the names of this host.
func (c *Capture) Names() *Names {
	if c.names == nil {
		return HostNames()
	}
	return c.names
}

// Host returns where and when the capture was made; nil: the file does not say.
func (c *Capture) Host() *Host { return c.host }

// Notes returns what somebody who reads the capture should know, each a line of
// text: what the file lacks, and what cannot be relied on.
func (c *Capture) Notes() []string { return c.notes }

// Read returns what Kernel.Read returned for the request if it had been made
// when the capture was, but for the order of the routes and for cloned ones,
// which no capture holds. Snapshot.Tries is 0. A *CaptureError says that a
// recording has nothing of what is asked for.
func (c *Capture) Read(ctx context.Context, req Request) (*Snapshot, error) {
	if req.Nothing() {
		return &Snapshot{Consistent: true}, nil
	}
	if err := c.lacks(&req); err != nil {
		return nil, err
	}
	all := Snapshot{Consistent: c.consistent, links: c.links, objects: c.objects}
	s := all.answer(&req)
	if req.Nothing() {
		return s, nil
	}
	req.prepare()
	for _, run := range c.routes {
		if ctx.Err() != nil {
			return nil, readError("read a capture", ended(ctx))
		}
		s.routes = req.appendMatching(s.routes, run)
	}
	return s, nil
}

// ReadCapture reads a capture file to its end. An error is one of r, or a
// *CaptureError for a file that is cut short, damaged or of another kind: a part
// of a capture is never taken for the whole.
//
// The file may be pcap or pcapng, and compressed with gzip. One that is no work of
// Kernel.Capture is read too if it is a recording of netlink messages, as tcpdump
// makes from an nlmon interface, with at least one whole dump of routes: Notes then
// say what it is and what it lacks, and no snapshot of it is consistent. A packet that
// the recorder lost in the middle of a dump cannot be noticed, as none has a number.
func ReadCapture(r io.Reader) (*Capture, error) {
	in, err := newPacketReader(r)
	if err != nil {
		return nil, err
	}
	c := captureReader{in: in, format: 1}
	c.capture = Capture{links: map[uint32]Link{}, objects: map[uint32]*NexthopObject{}}
	return c.read()
}

// A captureReader reads a capture file.
type captureReader struct {
	in      *packetReader
	capture Capture
	format  int
	n       int            // messages
	early   [][]byte       // of format 1: the messages about links and nexthop objects
	size    int            // bytes of names
	kept    int            // bytes of messages
	unknown map[uint16]int // messages that were passed over, by type
}

func (c *captureReader) read() (*Capture, error) {
	for {
		p, err := c.in.next()
		if err == io.EOF {
			err = c.in.cutShort()
		}
		if err != nil {
			return nil, err
		}
		done, err := c.packet(&p)
		switch {
		case err == errForeign && c.format == 1:
			// Format 1 says only at its end what it is: so far it was a recording.
			return c.recording(&p)
		case err != nil:
			return nil, err
		case done:
			return c.finish(), nil
		}
	}
}

// recording reads on from a packet that no capture has.
func (c *captureReader) recording(p *packet) (*Capture, error) {
	r := newRecording(c.in)
	for _, run := range append(c.early, c.capture.routes...) {
		for len(run) > 0 {
			n := int(u32(run))
			r.message(run[:n])
			run = run[align4(n):]
		}
	}
	return r.read(p)
}

// packet takes in a packet. done: it is the last one.
func (c *captureReader) packet(p *packet) (done bool, err error) {
	msg, err := c.message(p)
	if err != nil {
		return false, err
	}
	if c.kept += len(msg); c.kept > maxKept {
		return false, errTooMuch
	}
	payload := msg[unix.NLMSG_HDRLEN:]
	switch typ := u16(msg[4:]); {
	case typ == unix.NLMSG_NOOP && c.n == 0 && bytes.HasPrefix(payload, []byte(beginText)):
		err = c.begin(string(payload))
	case typ == unix.NLMSG_NOOP && c.format > 1:
		err = c.text(payload)
	case c.format == 1 && typ != unix.RTM_NEWROUTE && typ != unix.NLMSG_DONE && len(c.capture.routes) > 0:
		err = errForeign // a recording, then, whose order counts
	case typ == unix.RTM_NEWLINK:
		err = c.damaged(addLink(c.capture.links, msg))
	case typ == unix.RTM_NEWNEXTHOP:
		err = c.damaged(addObject(c.capture.objects, msg))
	case typ == unix.RTM_NEWROUTE:
		_, err = readHead(payload)
		if err = c.damaged(err); err == nil {
			c.capture.routes = addRoute(c.capture.routes, msg)
		}
	case typ == unix.NLMSG_DONE:
		return true, c.end(msg)
	case c.format > 1 && typ >= unix.RTM_BASE && typ%4 == 0: // RTM_NEW*
		if c.unknown == nil {
			c.unknown = map[uint16]int{}
		}
		c.unknown[typ]++
	default:
		err = errForeign
	}
	if c.format == 1 && err == nil && u16(msg[4:]) != unix.RTM_NEWROUTE {
		c.early = addRoute(c.early, msg)
	}
	c.n++
	return false, err
}

// message returns the message of a packet.
func (c *captureReader) message(p *packet) ([]byte, error) {
	protocol, msg, ok := p.netlink()
	if ok && protocol == unix.NETLINK_ROUTE && otherOrder(msg) {
		return nil, errOrder
	}
	switch {
	case c.format == 1 && (p.cut || !ok):
		return nil, errForeign
	case p.cut:
		return nil, c.in.damaged("a packet was not kept whole")
	case len(p.data) < cookedLen:
		return nil, c.in.damaged(fmt.Sprintf("a packet of %d bytes", len(p.data)))
	case !ok:
		return nil, c.in.damaged("a packet without the header of netlink")
	case protocol != unix.NETLINK_ROUTE || len(msg) < unix.NLMSG_HDRLEN || u32(msg) != uint32(len(msg)):
		return nil, errForeign
	}
	return msg, nil
}

// otherOrder reports whether a message's length makes sense in the other byte order
// only.
func otherOrder(msg []byte) bool {
	if len(msg) < unix.NLMSG_HDRLEN {
		return false
	}
	fits := func(n uint32) bool { return n >= unix.NLMSG_HDRLEN && n <= uint32(len(msg)) }
	return !fits(u32(msg)) && fits(bits.ReverseBytes32(u32(msg)))
}

func (c *captureReader) damaged(err error) error {
	if err == nil {
		return nil
	}
	return c.in.damaged(err.Error())
}

// begin reads the text of the first packet.
func (c *captureReader) begin(text string) error {
	first, rest, _ := strings.Cut(text, "\n")
	format, err := strconv.Atoi(strings.TrimPrefix(first, beginText))
	switch {
	case err != nil || format < 2:
		return c.in.damaged("the format of the capture has no number")
	case format > captureFormat:
		return &CaptureError{fmt.Sprintf("it was made by a newer version of this program "+
			"(its format is %d, this version reads up to %d)", format, captureFormat), "read it with that version"}
	}
	c.format = format
	c.capture.names = noNames()
	c.capture.host, err = parseHost(rest)
	return c.damaged(err)
}

// text reads the text of a packet after the first one.
func (c *captureReader) text(b []byte) error {
	if c.size += len(b); c.size > 2*maxNamesText {
		return c.in.damaged("there is too much text in it")
	}
	file, lines, _ := bytes.Cut(b, []byte{'\n'})
	for _, f := range c.capture.names.files() {
		if f.file == string(file) {
			if err := f.readText(lines); err != nil {
				return c.in.damaged(fmt.Sprintf("%v of %s", err, f.file))
			}
			return nil
		}
	}
	return nil
}

// end checks the last packet.
func (c *captureReader) end(msg []byte) error {
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
	if c.n != want {
		return &CaptureError{fmt.Sprintf("it holds %d messages of %d", c.n, want), makeAgain}
	}
	c.capture.consistent = u16(msg[6:])&unix.NLM_F_DUMP_INTR == 0
	_, err = c.in.next()
	if err == io.EOF {
		return nil
	}
	if bad := (*CaptureError)(nil); err == nil || errors.As(err, &bad) && !c.in.short {
		err = c.in.damaged("more follows the end")
	}
	return err
}

// readersNames is what there is to know of a file without names.
const readersNames = "it does not hold the names of its host: " +
	"tables, protocols, scopes and realms have those of this host"

func (c *captureReader) finish() *Capture {
	if c.capture.names == nil {
		c.capture.notes = append(c.capture.notes, readersNames)
	}
	if !c.capture.consistent {
		c.capture.notes = append(c.capture.notes,
			"routes changed faster than they could be read when it was made: some may be missing")
	}
	for _, typ := range slices.Sorted(maps.Keys(c.unknown)) {
		c.capture.notes = append(c.capture.notes, fmt.Sprintf(
			"%d messages of RTNetlink type %d are passed over: a newer version of this program made it, and knows them",
			c.unknown[typ], typ))
	}
	return &c.capture
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
	errZstd  = &CaptureError{"the file is compressed with zstd", "decompress it first: zstd -d"}
	errOrder = &CaptureError{"its messages are of a host of the other byte order", "read it on such a host"}
	errOther = &CaptureError{"it is no pcap file", makeFirst}

	errTooMuch = &CaptureError{fmt.Sprintf("it holds more than %d MiB of messages", maxKept>>20), makeFirst}
	// A capture that was edited. Of other files it makes a recording.
	errForeign = &CaptureError{"it holds netlink messages, but is not the work of the capture command", makeFirst}
)

const (
	makeFirst = "make a capture with the capture command"
	makeAgain = "make it again with the capture command"
)
