package capture

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"kernelroutes/rtnl/wire"
)

// A testPacket is a packet of a file that a test makes.
type testPacket struct {
	data []byte
	time time.Time
	lost uint32 // bytes that the snap length cut off
}

// cooked puts the header of a link type before netlink messages.
func cooked(link, protocol uint16, msgs ...[]byte) []byte {
	var b []byte
	if link == linkTypeSLL2 {
		b = binary.BigEndian.AppendUint16(b, protocol)
		b = append(b, 0, 0, 0, 0, 0, 7)
		b = binary.BigEndian.AppendUint16(b, arphrdNetlink)
		b = append(b, make([]byte, 10)...)
	} else {
		b = append(b, 0, 4)
		b = binary.BigEndian.AppendUint16(b, arphrdNetlink)
		b = append(b, make([]byte, 10)...)
		b = binary.BigEndian.AppendUint16(b, protocol)
	}
	return append(b, slices.Concat(msgs...)...)
}

type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// pcapFile makes a pcap file.
func pcapFile(order byteOrder, magic, link uint32, packets []testPacket) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = order.AppendUint32(b, maxPacket)
	b = order.AppendUint32(b, link)
	for _, p := range packets {
		b = order.AppendUint32(b, uint32(p.time.Unix()))
		b = order.AppendUint32(b, 0)
		b = order.AppendUint32(b, uint32(len(p.data)))
		b = order.AppendUint32(b, uint32(len(p.data))+p.lost)
		b = append(b, p.data...)
	}
	return b
}

// pcapngFile makes a section of a pcapng file: an interface of another link type, a
// block of names, then packets in blocks of a type on the second interface.
func pcapngFile(order byteOrder, typ uint32, link uint16, packets []testPacket) []byte {
	var file []byte
	block := func(typ uint32, body []byte) {
		body = append(body, make([]byte, wire.Align(len(body))-len(body))...)
		file = order.AppendUint32(file, typ)
		file = order.AppendUint32(file, uint32(12+len(body)))
		file = append(file, body...)
		file = order.AppendUint32(file, uint32(12+len(body)))
	}
	section := order.AppendUint32(nil, sectionMagic)
	section = order.AppendUint16(section, 1)
	section = order.AppendUint16(section, 0)
	section = order.AppendUint64(section, 1<<64-1) // length unknown
	section = order.AppendUint16(section, 4)       // the program
	section = order.AppendUint16(section, 5)
	block(blockSection, append(section, "tests\x00\x00\x00\x00\x00\x00\x00"...))
	iface := func(link uint16) {
		b := order.AppendUint16(nil, link)
		b = order.AppendUint16(b, 0)
		b = order.AppendUint32(b, 0)
		b = order.AppendUint16(b, optTimeOffset)
		b = order.AppendUint16(b, 8)
		b = order.AppendUint64(b, ^uint64(1000)+1)
		b = order.AppendUint16(b, optTimeUnit)
		b = order.AppendUint16(b, 1)
		block(blockInterface, append(b, 9, 0, 0, 0, 0, 0, 0, 0))
	}
	if typ != blockSimple { // it is always on the first interface
		iface(1)
	}
	iface(link)
	block(4, []byte("names")) // passed over
	for _, p := range packets {
		var b []byte
		stamp := uint64(p.time.Unix()+1000) * 1e9
		switch typ {
		case blockPacket:
			b = order.AppendUint32(b, 1)
		case blockOldPacket:
			b = order.AppendUint16(b, 1)
			b = order.AppendUint16(b, 0)
		}
		if typ != blockSimple {
			b = order.AppendUint32(b, uint32(stamp>>32))
			b = order.AppendUint32(b, uint32(stamp))
			b = order.AppendUint32(b, uint32(len(p.data)))
		}
		b = order.AppendUint32(b, uint32(len(p.data))+p.lost)
		block(typ, append(b, p.data...))
	}
	block(5, make([]byte, 12)) // statistics
	return file
}

func zipped(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// packetsOf returns the packets of a file.
func packetsOf(t testing.TB, file []byte) (all []testPacket) {
	in, err := newPacketReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := in.next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, testPacket{data: slices.Clone(p.data), time: time.Unix(p.time, 0)})
	}
}

// containers are the forms in which packets are read.
func containers(t testing.TB, packets []testPacket) map[string][]byte {
	all := map[string][]byte{}
	for name, order := range map[string]byteOrder{
		"little-endian": binary.LittleEndian, "big-endian": binary.BigEndian,
	} {
		all["pcap, nanoseconds, "+name] = pcapFile(order, pcapNano, linkTypeNetlink, packets)
		all["pcap, microseconds, "+name] = pcapFile(order, pcapMicro, linkTypeNetlink|0xf400<<16, packets)
		all["pcapng, "+name] = pcapngFile(order, blockPacket, linkTypeNetlink, packets)
		all["pcapng, old, "+name] = pcapngFile(order, blockOldPacket, linkTypeNetlink, packets)
		all["pcapng, simple, "+name] = pcapngFile(order, blockSimple, linkTypeNetlink, packets)
	}
	all["pcap, compressed"] = zipped(t, all["pcap, nanoseconds, little-endian"])
	all["pcapng, compressed"] = zipped(t, all["pcapng, big-endian"])
	half := len(packets) / 2
	all["pcapng, sections"] = slices.Concat(pcapngFile(binary.BigEndian, blockPacket, linkTypeNetlink, packets[:half]),
		pcapngFile(binary.LittleEndian, blockPacket, linkTypeSLL, packets[half:]))
	return all
}

// TestContainers: a capture says the same in every form of file, cut nowhere.
func TestContainers(t *testing.T) {
	want := contents(t, readTest(t, testCapture(t, true)))
	packets := packetsOf(t, testCapture(t, true))
	for name, file := range containers(t, packets) {
		c, err := Read(iotest.OneByteReader(bytes.NewReader(file)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := contents(t, c); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		whole := len(file)
		if strings.HasPrefix(name, "pcapng") && !strings.HasSuffix(name, "compressed") {
			whole -= 24 // the block after the last packet
		}
		for n := 0; n < whole; n += stride(1, 5) {
			if c, err := Read(bytes.NewReader(file[:n])); c != nil || !errors.Is(err, ErrCapture) {
				t.Fatalf("%s: the first %d of %d bytes: %v", name, n, len(file), err)
			}
		}
		broken := errors.New("broken")
		for n := 0; n < whole; n += stride(7, 29) {
			r := io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken))
			if c, err := Read(r); c != nil || !errors.Is(err, broken) {
				t.Fatalf("%s: broken after %d bytes: %v", name, n, err)
			}
		}
		// Times are those of the packets.
		if p := packetsOf(t, file); !strings.Contains(name, "simple") && !p[0].time.Equal(packets[0].time) {
			t.Errorf("%s: time %v, want %v", name, p[0].time, packets[0].time)
		}
	}
}

func TestTimeUnit(t *testing.T) {
	for res, want := range map[byte]uint64{
		0: 1, 6: 1e6, 9: 1e9, 19: 1e19, 127: 1e19, 0x80: 1, 0x8a: 1024, 0xff: 1 << 63,
	} {
		if got := timeUnit(res); got != want {
			t.Errorf("%#x: got %d, want %d", res, got, want)
		}
	}
}

// TestNoContainer damages pcapng files.
func TestNoContainer(t *testing.T) {
	good := pcapngFile(binary.LittleEndian, blockPacket, linkTypeNetlink, packetsOf(t, testCapture(t, true)))
	const iface = 12 + 16 + 16 // after the section header, whose options take 16 bytes
	edit32 := func(off int, to uint32) []byte {
		b := slices.Clone(good)
		binary.LittleEndian.PutUint32(b[off:], to)
		return b
	}
	first := bytes.Index(good, []byte(beginText)) - 16 - cookedLen - 28 // the first packet's block
	for _, tc := range []refused{
		{"a section of 8 bytes", edit32(4, 8), "a section header of 8 bytes"},
		{"a section of 4 GiB", edit32(4, 1<<32-4), "cut short after"},
		{"a section that ends otherwise", edit32(iface-4, 40), "a block's length is another behind it"},
		{"a block of 4 bytes", edit32(iface+4, 4), "a block of 4 bytes"},
		{"a block of 13 bytes", edit32(iface+4, 13), "a block of 13 bytes"},
		{"an interface of 16 bytes", edit32(iface+4, 16), "an interface that makes no sense"},
		{"a packet of no interface", edit32(first+8, 2), "a packet of no interface"},
		{"a packet of 4 GiB", edit32(first+20, 1<<32-1), "a packet of 4294967295 bytes"},
		{"a packet larger than its block", edit32(first+20, 300), "a packet of 300 bytes"},
		{"a block of 20 bytes", edit32(first+4, 20), "a packet's block is too short"},
		{"a snap length", edit32(first+24, 1000), "not kept whole"},
		{"Ethernet alone", pcapngFile(binary.LittleEndian, blockPacket, 1, packetsOf(t, testCapture(t, true))),
			"link type 1, not of netlink"},
	} {
		tc.check(t)
	}
	zip := zipped(t, good)
	for i := range zip {
		b := slices.Clone(zip)
		b[i] ^= 0x55
		if c, err := Read(bytes.NewReader(b)); err != nil && (c != nil || !errors.Is(err, ErrCapture)) {
			t.Errorf("compressed, byte %d: %v", i, err)
		}
	}
}

// What a pcapng file says of its lengths costs no memory.
func TestContainerMemory(t *testing.T) {
	huge := binary.LittleEndian.AppendUint32(nil, 0x0bad) // a block of an unknown type
	huge = binary.LittleEndian.AppendUint32(huge, 1<<32-4)
	file := append(pcapngFile(binary.LittleEndian, blockPacket, linkTypeNetlink, nil), huge...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Read(io.MultiReader(bytes.NewReader(file), io.LimitReader(zeros{}, 100<<20)))
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; err == nil || n > maxPacket {
		t.Errorf("%d bytes allocated, error %v", n, err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
