package capture

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/wire"
)

// The pcap format, version 2.4: a file header, and a header before each packet.
const (
	pcapNano      = 0xa1b23c4d // time stamps in nanoseconds
	pcapMicro     = 0xa1b2c3d4 // time stamps in microseconds: what editcap and others make of it
	pcapHeaderLen = 24
	packetHeadLen = 16

	// maxPacket is libpcap's MAXIMUM_SNAPLEN.
	maxPacket = 256 << 10
)

// The pcapng format (draft-ietf-opsawg-pcapng): blocks, each with its type and its
// length before it and the length again behind it.
const (
	blockSection   = 0x0a0d0d0a // reads the same in either byte order
	blockInterface = 1
	blockOldPacket = 2 // obsolete, with the fields that blockPacket has in the same places
	blockSimple    = 3
	blockPacket    = 6

	sectionMagic  = 0x1a2b3c4d
	optTimeUnit   = 9  // if_tsresol
	optTimeOffset = 14 // if_tsoffset

	maxInterfaces = 1 << 16 // more are taken for damage
	maxOptions    = 4 << 10 // bytes of an interface's options that are looked at
)

// The link types that carry netlink messages. LINKTYPE_NETLINK's header is that of
// Linux cooked packets, which recordings of all interfaces have for every packet.
const (
	linkTypeNetlink = 253
	linkTypeSLL     = 113
	linkTypeSLL2    = 276

	cookedLen     = 16 // 2 bytes packet type, 2 ARPHRD_NETLINK, 10 address, 2 netlink protocol; in network byte order
	cooked2Len    = 20 // 2 bytes netlink protocol, 6 others, 2 ARPHRD_NETLINK, 10 others
	arphrdNetlink = 824
)

// A packet is one packet of a file.
type packet struct {
	link uint16 // LINKTYPE_*
	time int64  // Unix time in seconds
	data []byte // valid until the next packet is read
	cut  bool   // less than there was (snap length)
}

// netlink returns the messages in the packet and their protocol (NETLINK_ROUTE,
// ...). false: the packet is none of netlink.
func (p *packet) netlink() (protocol uint16, msgs []byte, ok bool) {
	hardware, proto, length := 2, 14, cookedLen
	switch p.link {
	case linkTypeNetlink, linkTypeSLL:
	case linkTypeSLL2:
		hardware, proto, length = 8, 0, cooked2Len
	default:
		return 0, nil, false
	}
	if len(p.data) < length || binary.BigEndian.Uint16(p.data[hardware:]) != arphrdNetlink {
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(p.data[proto:]), p.data[length:], true
}

// A packetReader reads the packets of a pcap or pcapng file, compressed with gzip
// or not. It needs no more memory than the largest of them, which is bounded,
// whatever the file says.
type packetReader struct {
	r     *bufio.Reader
	off   int64 // bytes read, after decompression
	short bool  // the file ended where it should not
	head  [pcapHeaderLen]byte
	buf   []byte // of the packet

	ng         bool             // pcapng
	order      binary.ByteOrder // of the headers
	interfaces []captureInterface
}

// A captureInterface is what a file says of where packets were recorded.
type captureInterface struct {
	link   uint16
	snap   uint32 // bytes that are kept of a packet, 0: all
	unit   uint64 // of time stamps: so many are a second
	offset int64  // seconds to be added to time stamps
}

// newPacketReader reads the header of a file.
func newPacketReader(r io.Reader) (*packetReader, error) {
	in := &packetReader{r: bufio.NewReaderSize(r, conn.MaxDatagram)}
	magic, err := in.peek()
	if err == nil && bytes.HasPrefix(magic, []byte{0x1f, 0x8b}) {
		z, zerr := gzip.NewReader(in.r)
		if zerr != nil {
			return nil, in.broken(zerr)
		}
		in.r = bufio.NewReaderSize(z, conn.MaxDatagram)
		magic, err = in.peek()
	}
	switch {
	case err != nil:
		return nil, err
	case len(magic) == 0:
		return nil, errEmpty
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return nil, errZstd
	case len(magic) < 4:
		return nil, errOther
	case wire.U32(magic) == blockSection:
		in.ng = true
		return in, nil
	}
	return in, in.fileHeader()
}

// peek returns the first four bytes, or fewer if there are no more.
func (in *packetReader) peek() ([]byte, error) {
	b, err := in.r.Peek(4)
	if err == io.EOF {
		err = nil
	}
	if err != nil {
		err = in.broken(err)
	}
	return b, err
}

// fileHeader reads pcap's.
func (in *packetReader) fileHeader() error {
	magic, _ := in.r.Peek(4)
	unit := uint64(1e9)
	switch wire.U32(magic) {
	case pcapMicro, bits.ReverseBytes32(pcapMicro):
		unit = 1e6
	case pcapNano, bits.ReverseBytes32(pcapNano):
	default:
		return errOther
	}
	in.order = binary.LittleEndian
	if m := binary.LittleEndian.Uint32(magic); m != pcapMicro && m != pcapNano {
		in.order = binary.BigEndian
	}
	b, err := in.fixed(pcapHeaderLen)
	if err != nil {
		return err
	}
	// Above the link type are flags and the length of a frame check sequence.
	link := uint16(in.order.Uint32(b[20:]))
	if !mayBeNetlink(link) {
		return errLinkType(link)
	}
	in.interfaces = []captureInterface{{link: link, unit: unit}}
	return nil
}

func mayBeNetlink(link uint16) bool {
	return link == linkTypeNetlink || link == linkTypeSLL || link == linkTypeSLL2
}

func errLinkType(link uint16) error {
	return &Error{
		fmt.Sprintf("its packets are of link type %d, not of netlink messages (%d)", link, linkTypeNetlink), makeFirst}
}

// broken makes an error of reading one of the file, if it is the file's fault.
func (in *packetReader) broken(err error) error {
	corrupt := flate.CorruptInputError(0)
	switch {
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		in.short = true
		return in.cutShort()
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt):
		return in.damaged("the compressed data is invalid")
	}
	return err
}

func (in *packetReader) cutShort() error {
	return &Error{fmt.Sprintf("it is cut short after %d bytes", in.off), makeAgain}
}

func (in *packetReader) damaged(why string) error {
	return &Error{fmt.Sprintf("it is damaged before byte %d: %s", in.off, why), makeAgain}
}

// fixed reads at most pcapHeaderLen bytes, which are valid until it is called again.
func (in *packetReader) fixed(n int) ([]byte, error) { return in.fill(in.head[:n]) }

func (in *packetReader) fill(b []byte) ([]byte, error) {
	n, err := io.ReadFull(in.r, b)
	in.off += int64(n)
	if err != nil {
		return nil, in.broken(err)
	}
	return b, nil
}

// body reads the n bytes of a packet.
func (in *packetReader) body(n uint32) ([]byte, error) {
	if n > maxPacket {
		return nil, in.damaged(fmt.Sprintf("a packet of %d bytes", n))
	}
	if int(n) > cap(in.buf) {
		in.buf = make([]byte, max(n, 4<<10))
	}
	return in.fill(in.buf[:n])
}

func (in *packetReader) skip(n int64) error {
	skipped, err := io.CopyN(io.Discard, in.r, n)
	in.off += skipped
	if err != nil {
		return in.broken(err)
	}
	return nil
}

// next reads the next packet. It returns io.EOF at the end of the file.
func (in *packetReader) next() (p packet, err error) {
	for {
		switch _, err := in.r.Peek(1); {
		case err == io.EOF:
			return p, io.EOF
		case err != nil:
			return p, in.broken(err)
		}
		if !in.ng {
			return in.pcapPacket()
		}
		if p, found, err := in.block(); found || err != nil {
			return p, err
		}
	}
}

func (in *packetReader) pcapPacket() (p packet, err error) {
	b, err := in.fixed(packetHeadLen)
	if err != nil {
		return p, err
	}
	n, whole := in.order.Uint32(b[8:]), in.order.Uint32(b[12:])
	if n > whole {
		return p, in.damaged(fmt.Sprintf("a packet of %d bytes", n))
	}
	p = packet{link: in.interfaces[0].link, time: int64(in.order.Uint32(b)), cut: n < whole}
	p.data, err = in.body(n)
	return p, err
}

// block reads one block of a pcapng file.
func (in *packetReader) block() (p packet, found bool, err error) {
	b, err := in.fixed(8)
	if err != nil {
		return p, false, err
	}
	if wire.U32(b) == blockSection {
		return p, false, in.section(wire.U32(b[4:]))
	}
	if in.order == nil {
		return p, false, in.damaged("a block before the section header")
	}
	typ, length := in.order.Uint32(b), in.order.Uint32(b[4:])
	if length < 12 || length%4 != 0 {
		return p, false, in.damaged(fmt.Sprintf("a block of %d bytes", length))
	}
	rest := int64(length) - 12
	switch typ {
	case blockInterface:
		rest, err = in.interfaceBlock(rest)
	case blockPacket, blockOldPacket, blockSimple:
		found = true
		p, rest, err = in.packetBlock(typ, rest)
	}
	if err == nil {
		err = in.endBlock(rest, length)
	}
	return p, found, err
}

// section begins a section, which has a byte order and interfaces of its own. The
// block's length was read in the byte order of this host.
func (in *packetReader) section(length uint32) error {
	b, err := in.fixed(4)
	if err != nil {
		return err
	}
	switch uint32(sectionMagic) {
	case binary.LittleEndian.Uint32(b):
		in.order = binary.LittleEndian
	case binary.BigEndian.Uint32(b):
		in.order = binary.BigEndian
	default:
		return in.damaged("a section header without a byte order")
	}
	if wire.U32(b) != sectionMagic {
		length = bits.ReverseBytes32(length)
	}
	if length < 28 || length%4 != 0 {
		return in.damaged(fmt.Sprintf("a section header of %d bytes", length))
	}
	in.interfaces = in.interfaces[:0]
	return in.endBlock(int64(length)-16, length)
}

// endBlock skips the rest of a block and checks the length behind it.
func (in *packetReader) endBlock(rest int64, length uint32) error {
	if err := in.skip(rest); err != nil {
		return err
	}
	b, err := in.fixed(4)
	if err == nil && in.order.Uint32(b) != length {
		err = in.damaged("a block's length is another behind it")
	}
	return err
}

// interfaceBlock returns how many bytes of the block's body are left.
func (in *packetReader) interfaceBlock(rest int64) (int64, error) {
	if rest < 8 || len(in.interfaces) == maxInterfaces {
		return 0, in.damaged("an interface that makes no sense")
	}
	b, err := in.fixed(8)
	if err != nil {
		return 0, err
	}
	i := captureInterface{link: in.order.Uint16(b), snap: in.order.Uint32(b[4:]), unit: 1e6}
	n := min(rest-8, maxOptions)
	options, err := in.body(uint32(n))
	if err != nil {
		return 0, err
	}
	for len(options) >= 4 {
		option, size := in.order.Uint16(options), int(in.order.Uint16(options[2:]))
		options = options[4:]
		if option == 0 || size > len(options) {
			break
		}
		switch {
		case option == optTimeUnit && size == 1:
			i.unit = timeUnit(options[0])
		case option == optTimeOffset && size == 8:
			i.offset = int64(in.order.Uint64(options))
		}
		options = options[min(wire.Align(size), len(options)):]
	}
	in.interfaces = append(in.interfaces, i)
	return rest - 8 - n, nil
}

// timeUnit decodes if_tsresol: a power of ten, or of two if the highest bit is set.
func timeUnit(res byte) uint64 {
	if res&0x80 != 0 {
		return 1 << min(res&0x7f, 63)
	}
	unit := uint64(1)
	for range min(res, 19) {
		unit *= 10
	}
	return unit
}

// packetBlock returns how many bytes of the block's body are left.
func (in *packetReader) packetBlock(typ uint32, rest int64) (p packet, _ int64, err error) {
	headLen := 20
	if typ == blockSimple {
		headLen = 4
	}
	if rest < int64(headLen) {
		return p, 0, in.damaged("a packet's block is too short")
	}
	b, err := in.fixed(headLen)
	if err != nil {
		return p, 0, err
	}
	rest -= int64(headLen)
	id, n, whole := uint32(0), uint32(0), in.order.Uint32(b[headLen-4:])
	switch typ {
	case blockSimple:
		n = uint32(min(int64(whole), rest))
		if len(in.interfaces) > 0 && in.interfaces[0].snap > 0 {
			n = min(n, in.interfaces[0].snap)
		}
	case blockPacket:
		id, n = in.order.Uint32(b), in.order.Uint32(b[12:])
	default:
		id, n = uint32(in.order.Uint16(b)), in.order.Uint32(b[12:])
	}
	switch {
	case int64(id) >= int64(len(in.interfaces)):
		return p, 0, in.damaged("a packet of no interface")
	case n > whole || int64(n) > rest:
		return p, 0, in.damaged(fmt.Sprintf("a packet of %d bytes", n))
	}
	i := in.interfaces[id]
	p = packet{link: i.link, cut: n < whole}
	if typ != blockSimple {
		stamp := uint64(in.order.Uint32(b[4:]))<<32 | uint64(in.order.Uint32(b[8:]))
		p.time = int64(stamp/i.unit) + i.offset
	}
	p.data, err = in.body(n)
	return p, rest - int64(n), err
}
