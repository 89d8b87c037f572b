package capture

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// Write reads all objects of all kinds but cloned routes, and writes them as a capture
// file, with the names that hold on this host. Nothing is written on an error of reading.
func Write(ctx context.Context, k *rtnl.Kernel, w io.Writer) error {
	s, err := k.Read(ctx, rtnl.Request{Kinds: object.Kinds})
	if err != nil {
		return err
	}
	return write(s, w, thisHost(), k.Names())
}

func write(s *rtnl.Snapshot, w io.Writer, host Host, names *iproute2.Names) error {
	c := captureWriter{w: bufio.NewWriterSize(w, conn.MaxDatagram)}
	if err := c.snapshot(s, host, names, snapshotFormat); err != nil {
		return err
	}
	c.end(s.Consistent)
	return c.w.Flush()
}

// A captureWriter writes a capture file. Its errors are told by the last Flush.
type captureWriter struct {
	w    *bufio.Writer
	head []byte // of each packet
	n    int    // messages
	kept int    // bytes that whoever reads it keeps: captureReader.kept
}

// snapshot writes all but the last packet of a file without events.
func (c *captureWriter) snapshot(s *rtnl.Snapshot, host Host, names *iproute2.Names, format int) error {
	c.begin(host.Time)
	c.text(appendKinds(host.appendText(nil, format)))
	if err := c.names(names); err != nil {
		return err
	}
	c.sysctls(s.Sysctls)
	for _, k := range object.Kinds {
		for _, run := range s.Runs(k) {
			for msg := range wire.Messages(run.Bytes()) {
				c.message(msg)
			}
		}
	}
	return nil
}

func (c *captureWriter) begin(at time.Time) {
	b := binary.NativeEndian.AppendUint32(nil, pcapNano)
	b = binary.NativeEndian.AppendUint16(b, 2) // version 2.4
	b = binary.NativeEndian.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...) // time zone and accuracy
	b = binary.NativeEndian.AppendUint32(b, maxPacket)
	c.w.Write(binary.NativeEndian.AppendUint32(b, linkTypeNetlink))

	b = make([]byte, packetHeadLen) // time and lengths
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint16(b, arphrdNetlink)
	b = append(b, make([]byte, 10)...)
	c.head = binary.BigEndian.AppendUint16(b, wire.NETLINK_ROUTE)
	c.at(at)
}

// at sets the time of the packets that come next.
func (c *captureWriter) at(t time.Time) {
	binary.NativeEndian.PutUint32(c.head, uint32(t.Unix()))
	binary.NativeEndian.PutUint32(c.head[4:], uint32(t.Nanosecond()))
}

// text writes a message of text.
func (c *captureWriter) text(text []byte) {
	c.message(append(wire.AppendHeader(nil, wire.HeaderLen+len(text), wire.NLMSG_NOOP, 0, 0), text...))
}

// message writes a message that counts.
func (c *captureWriter) message(msg []byte) {
	c.packet(msg)
	c.n++
}

// names writes the names, in several messages where one would be too large.
func (c *captureWriter) names(names *iproute2.Names) error {
	total := 0
	for _, f := range names.Files() {
		lines := f.AppendLines(nil)
		if total += len(lines); total > maxNamesText {
			return fmt.Errorf("the names in iproute2's files take more than %d MiB; take some out", maxNamesText>>20)
		}
		c.lines(f.File, lines)
	}
	return nil
}

// sysctls writes the settings of all and default, if they are known.
func (c *captureWriter) sysctls(all rtnl.Sysctls) {
	var lines []byte
	for _, name := range slices.Sorted(maps.Keys(all)) {
		lines = fmt.Appendf(lines, "%s = %s\n", name, all[name])
	}
	c.lines(sysctlText, lines)
}

// lines writes lines under a title.
func (c *captureWriter) lines(title string, lines []byte) {
	for len(lines) > 0 {
		n := len(lines)
		if n > maxText {
			n = 1 + bytes.LastIndexByte(lines[:maxText], '\n')
		}
		c.text(append([]byte(title+"\n"), lines[:n]...))
		lines = lines[n:]
	}
}

func (c *captureWriter) packet(msg []byte) {
	n := uint32(cookedLen + len(msg))
	binary.NativeEndian.PutUint32(c.head[8:], n)
	binary.NativeEndian.PutUint32(c.head[12:], n)
	c.w.Write(c.head)
	c.w.Write(msg)
	c.kept += len(msg)
}

func (c *captureWriter) end(consistent bool) {
	flags := uint16(wire.NLM_F_MULTI | wire.NLM_F_ACK_TLVS)
	if !consistent {
		flags |= wire.NLM_F_DUMP_INTR
	}
	text := endBefore + strconv.Itoa(c.n) + endAfter + "\x00"
	n := wire.HeaderLen + 4 + wire.AttrHeaderLen + len(text)
	b := wire.AppendHeader(nil, n, wire.NLMSG_DONE, flags, 0)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = binary.NativeEndian.AppendUint16(b, uint16(wire.AttrHeaderLen+len(text)))
	b = binary.NativeEndian.AppendUint16(b, wire.NLMSGERR_ATTR_MSG)
	c.packet(append(b, text...))
}
