package capture

import (
	"fmt"
	"io"
	"slices"

	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A recordingReader reads a recording, which has what passed over a running host's
// netlink sockets, as nlmon interfaces show it: requests, dumps of several programs at
// once, single answers, notifications, and other protocols' messages.
//
// Of each kind of objects, and of each table where a kind is dumped by table, the
// newest dump counts that is whole: all its messages have the port and the sequence
// number of one request, and NLMSG_DONE followed without an error and without
// NLM_F_DUMP_INTR anywhere. What a dump covers is what its request asked for. Where
// the recording has no requests for dumps at all (what a program received, not what
// nlmon shows), a dump is taken for one of what comes in it, if it is known to begin in
// the recording, see begins. Notifications are not applied.
type recordingReader struct {
	in       *packetReader
	at       int64 // time of the current packet
	requests recordedRequests
	dumps    recordedDumps
	changes  int // notifications

	size      int    // bytes of messages that are kept, at most
	netlink   bool   // there is a packet of netlink
	otherLink uint16 // a link type that is none of netlink
}

func newRecording(in *packetReader) *recordingReader {
	return &recordingReader{in: in, dumps: newRecordedDumps()}
}

// read reads the recording to its end, beginning with a packet that was read
// already.
func (r *recordingReader) read(first *packet) error {
	p := *first
	for {
		if err := r.packet(&p); err != nil {
			return err
		}
		var err error
		p, err = r.in.next()
		switch {
		case err == io.EOF, err != nil && r.in.short && len(r.dumps.tables) > 0:
			return nil
		case err != nil:
			return err
		}
	}
}

func (r *recordingReader) packet(p *packet) error {
	protocol, msgs, ok := p.netlink()
	if !ok {
		if !mayBeNetlink(p.link) {
			r.otherLink = p.link
		}
		return nil
	}
	r.netlink = true
	switch {
	case protocol != wire.NETLINK_ROUTE:
		return nil
	case p.cut:
		return &Error{fmt.Sprintf("a packet before byte %d was not kept whole", r.in.off),
			"record again with a larger snap length (tcpdump -s 0), or " + makeFirst}
	case otherOrder(msgs):
		return errOrder
	}
	r.at = p.time
	for {
		msg, rest, ok := wire.Cut(msgs)
		if !ok {
			break
		}
		r.message(msg)
		msgs = rest
	}
	if r.size > maxKept {
		if r.size = r.dumps.kept(); r.size > maxKept {
			return errTooMuch
		}
	}
	if slices.ContainsFunc(msgs, func(b byte) bool { return b != 0 }) {
		// A program may have sent this, or the kernel as part of any dump.
		for _, d := range r.dumps.open {
			d.broken = "has a packet that cannot be read"
		}
	}
	return nil
}

func (r *recordingReader) message(msg []byte) {
	typ, flags := wire.Type(msg), wire.Flags(msg)
	key := dumpKey{wire.Port(msg), wire.Seq(msg)}
	d := r.dumps.open[key]
	if d != nil && flags&wire.NLM_F_DUMP_INTR != 0 {
		d.broken = interrupted
	}
	switch {
	case flags&wire.NLM_F_REQUEST != 0:
		r.requests.add(typ, flags, key, msg[wire.HeaderLen:])
	case typ == wire.NLMSG_DONE:
		r.done(key, d, msg)
	case typ == wire.NLMSG_ERROR:
		r.failed(key, d, msg)
	case typ == wire.NLMSG_OVERRUN && d != nil:
		d.broken = "has lost messages (NLMSG_OVERRUN)"
	case typ < object.RTM_BASE:
	case flags&wire.NLM_F_MULTI == 0:
		r.single(typ, key)
	default:
		r.dumped(typ, key, d, msg)
	}
}

// single notes a message that is part of no dump: a notification, unless one object
// was asked for.
func (r *recordingReader) single(typ uint16, key dumpKey) {
	for _, k := range object.Kinds {
		if typ == k.New && !r.requests.answered(key, typ, false) || typ == k.Del {
			r.changes++
		}
	}
}

// dumped takes in a message of a dump, of which d is the part that came before; nil: none.
func (r *recordingReader) dumped(typ uint16, key dumpKey, d *recordedDump, msg []byte) {
	if d == nil || d.typ != typ {
		d = r.dumps.begin(key, typ, r.requests.scope(key, typ), msg)
	}
	r.dumps.add(d, msg)
	r.size += len(msg)
}

// done ends a dump.
func (r *recordingReader) done(key dumpKey, d *recordedDump, msg []byte) {
	r.dumps.close(key)
	if d == nil {
		req, ok := r.requests.dumpOf(key)
		if !ok {
			return
		}
		d = r.dumps.next(req.typ, req.scope)
	}
	r.requests.answered(key, d.typ, true)
	d.end(msg)
	if !d.scope.known && (r.requests.asked || d.late) {
		d.broken = begunBefore
	}
	d.time, d.changes = r.at, r.changes
	r.dumps.take(d)
}

// failed takes in an error or an acknowledgement, in which the request that it is
// about comes next.
func (r *recordingReader) failed(key dumpKey, d *recordedDump, msg []byte) {
	if len(msg) < wire.HeaderLen+4 {
		return // no kernel sends this
	}
	if d != nil {
		d.failed(msg)
	}
	if about := msg[wire.HeaderLen+4:]; len(about) >= wire.HeaderLen {
		r.requests.answered(key, wire.Type(about)-rtmGet, wire.Flags(about)&wire.NLM_F_DUMP == wire.NLM_F_DUMP)
	}
}
