package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A captureReader reads a capture file.
type captureReader struct {
	in         *packetReader
	contents   fileContents
	format     int
	n          int               // messages
	logs       []object.Messages // the messages about objects, by kind
	last       int               // the kind of the last one
	consistent bool
	size       int            // bytes of text
	sysctls    rtnl.Sysctls   // nil: there are none
	kept       int            // bytes of messages
	kinds      []string       // the names of those that were captured
	unknown    map[uint16]int // messages that were passed over, by type
	m          object.Message // the current one
	events     eventReader
}

// readContents reads a capture or a recording.
func readContents(r io.Reader) (*fileContents, error) {
	in, err := newPacketReader(r)
	if err != nil {
		return nil, err
	}
	c := captureReader{in: in, format: 1, logs: make([]object.Messages, len(object.Kinds)),
		kinds: firstKinds}
	return c.read()
}

func (c *captureReader) read() (*fileContents, error) {
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
func (c *captureReader) recording(p *packet) (*fileContents, error) {
	r := newRecording(c.in)
	for i := range c.logs {
		object.Each(c.logs[i].Runs, func(m *object.Message) bool {
			r.message(m.Bytes())
			return true
		})
	}
	if err := r.read(p); err != nil {
		return nil, err
	}
	return r.finish()
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
	payload := msg[wire.HeaderLen:]
	switch typ := wire.Type(msg); {
	case typ == wire.NLMSG_NOOP && c.n == 0 && bytes.HasPrefix(payload, []byte(beginText)):
		err = c.begin(string(payload))
	case len(c.events.wanted) > 0 && typ != wire.NLMSG_DONE:
		err = c.damaged(c.events.message(&c.m, msg))
	case typ == wire.NLMSG_NOOP && c.format > 1:
		err = c.text(payload)
	case kindOf(typ) != nil:
		err = c.object(kindOf(typ), msg)
	case typ == wire.NLMSG_DONE:
		return true, c.end(msg)
	case c.format > 1 && typ >= object.RTM_BASE && typ%4 == 0: // RTM_NEW*
		if c.unknown == nil {
			c.unknown = map[uint16]int{}
		}
		c.unknown[typ]++
	default:
		err = errForeign
	}
	c.n++
	return false, err
}

// object takes in a message about an object.
func (c *captureReader) object(k *object.Kind, msg []byte) error {
	if c.format == 1 && k.Ordinal() < c.last {
		return errForeign // a recording, then, whose order counts
	}
	if len(c.events.events) > 0 {
		return c.in.damaged("an object comes after the events, and is of none")
	}
	c.last = k.Ordinal()
	if err := k.Check(&c.m, msg); err != nil {
		return c.damaged(err)
	}
	c.logs[k.Ordinal()].Add(&c.m)
	return nil
}

// message returns the message of a packet.
func (c *captureReader) message(p *packet) ([]byte, error) {
	protocol, msg, ok := p.netlink()
	if ok && protocol == wire.NETLINK_ROUTE && otherOrder(msg) {
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
	case protocol != wire.NETLINK_ROUTE || len(msg) < wire.HeaderLen || wire.U32(msg) != uint32(len(msg)):
		return nil, errForeign
	}
	return msg, nil
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
		return &Error{fmt.Sprintf("it was made by a newer version of this program "+
			"(its format is %d, this version reads up to %d)", format, captureFormat), "read it with that version"}
	}
	c.format = format
	c.contents.names = iproute2.NoNames()
	c.kinds = parseKinds(rest)
	c.contents.host, err = parseHost(rest)
	return c.damaged(err)
}

// text reads the text of a packet after the first one.
func (c *captureReader) text(b []byte) error {
	if c.format > snapshotFormat {
		size, known, err := c.events.text(b)
		if c.kept += size; known {
			return c.damaged(err)
		}
	}
	if c.size += len(b); c.size > 2*maxNamesText {
		return c.in.damaged("there is too much text in it")
	}
	file, lines, _ := bytes.Cut(b, []byte{'\n'})
	if string(file) == sysctlText {
		return c.damaged(c.readSysctls(string(lines)))
	}
	for _, f := range c.contents.names.Files() {
		if f.File == string(file) {
			if err := f.ReadLines(lines); err != nil {
				return c.in.damaged(fmt.Sprintf("%v of %s", err, f.File))
			}
			return nil
		}
	}
	return nil
}

// readSysctls reads what captureWriter.sysctls wrote.
func (c *captureReader) readSysctls(lines string) error {
	for line := range strings.Lines(lines) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " = ")
		if !ok {
			return fmt.Errorf("a setting without a value: %q", line)
		}
		if c.sysctls == nil {
			c.sysctls = rtnl.Sysctls{}
		}
		c.sysctls[name] = value
	}
	return nil
}

// end checks the last packet.
func (c *captureReader) end(msg []byte) error {
	if len(c.events.wanted) > 0 {
		return c.in.damaged("an event has not all its messages")
	}
	b := msg[wire.HeaderLen:]
	if len(b) < 4 || wire.U32(b) != 0 {
		return errForeign
	}
	a := wire.Walk(b[4:])
	if !a.Next() || a.Type != wire.NLMSGERR_ATTR_MSG {
		return errForeign
	}
	text, before := strings.CutPrefix(wire.String(a.Data), endBefore)
	text, after := strings.CutSuffix(text, endAfter)
	want, err := strconv.Atoi(text)
	if !before || !after || err != nil {
		return errForeign
	}
	if c.n != want {
		return &Error{fmt.Sprintf("it holds %d messages of %d", c.n, want), makeAgain}
	}
	c.consistent = wire.Flags(msg)&wire.NLM_F_DUMP_INTR == 0
	_, err = c.in.next()
	if err == io.EOF {
		return nil
	}
	if bad := (*Error)(nil); err == nil || errors.As(err, &bad) && !c.in.short {
		err = c.in.damaged("more follows the end")
	}
	return err
}

func (c *captureReader) finish() *fileContents {
	if c.contents.names == nil {
		c.contents.notes = append(c.contents.notes, readersNames)
	}
	if !c.consistent {
		c.contents.notes = append(c.contents.notes,
			"routes changed faster than they could be read when it was made: some may be missing")
	}
	for _, typ := range slices.Sorted(maps.Keys(c.unknown)) {
		c.contents.notes = append(c.contents.notes, fmt.Sprintf(
			"%d messages of RTNetlink type %d are passed over: a newer version of this program made it, and knows them",
			c.unknown[typ], typ))
	}
	if c.events.ended {
		c.contents.notes = append(c.contents.notes, "more changed than a file holds: "+
			"what came later than its events was not recorded")
	}
	c.contents.events, c.contents.followed = c.events.events, c.format > snapshotFormat
	messages := map[*object.Kind][]object.Run{}
	for i, k := range object.Kinds {
		messages[k] = c.logs[i].Runs
		if !slices.Contains(c.kinds, k.Name) {
			c.contents.without = append(c.contents.without, k)
		}
	}
	c.contents.snapshot = rtnl.NewSnapshot(c.consistent, messages)
	c.contents.snapshot.Sysctls = c.sysctls
	return &c.contents
}
