package rtnl

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A recording is what passed over a running host's netlink sockets, as nlmon
// interfaces show it: requests, dumps of several programs at once, single answers,
// notifications, and other protocols' messages.
//
// Of each kind of objects the newest dump counts that is whole: all its messages
// have the port and the sequence number of one request, and NLMSG_DONE followed
// without an error and without NLM_F_DUMP_INTR anywhere. What a dump covers is what
// its request asked for. Where the recording has no requests at all (what a program
// received, not what nlmon shows), it is taken for what comes in it, if the dump is
// known to begin in the recording, see begins. Notifications are not applied.
type recording struct {
	in       *packetReader
	at       int64             // time of the current packet
	requests []recordedRequest // that were not answered yet
	open     map[dumpKey]*recordedDump

	routes         map[group]*recordedDump // by what they cover; zero fields: every one
	links, objects *recordedDump
	count          int // dumps
	changes        int // notifications

	size      int             // bytes of messages that are kept, at most
	asked     bool            // there is a request for a dump
	begun     bool            // there is the beginning of a dump without its request
	ended     map[uint32]bool // ports of which a dump has ended, for begins
	netlink   bool            // there is a packet of netlink
	filtered  bool            // there is a dump of routes that was asked for with conditions
	broken    string          // why the last dump of routes that is not whole is not
	otherLink uint16          // a link type that is none of netlink
}

// A dumpKey tells one dump from others that run at the same time.
type dumpKey struct{ port, seq uint32 }

// A recordedRequest is a request for a dump, or for one object.
type recordedRequest struct {
	dumpKey        // port is 0 if the program left it to the kernel
	typ     uint16 // of the answers: RTM_NEWROUTE, ...
	dump    bool
	scope   dumpScope
}

// A dumpScope is what a dump was asked for.
type dumpScope struct {
	known bool
	dumpRequest
	other bool // conditions beyond table and protocol
}

// A recordedDump is what has come of a dump.
type recordedDump struct {
	typ      uint16 // RTM_NEWROUTE, ...
	scope    dumpScope
	runs     [][]byte
	broken   string // why it is not whole
	number   int
	time     int64 // of its end
	changes  int   // notifications before its end
	families []Family
	late     bool // it may have begun before the recording, as there is no request for it
	objects  bool // a route uses a nexthop object
}

// Why a dump is not whole.
const (
	interrupted = "was interrupted by a change (NLM_F_DUMP_INTR)"
	begunBefore = "may have begun before the recording, which does not have its request"
)

// A recording that goes on for ever does not take memory for ever.
const (
	maxKept         = 1 << 30 // bytes of messages: ten million routes
	maxOpenDumps    = 256
	maxOpenRequests = 1024
	maxScopes       = 4096
)

func newRecording(in *packetReader) *recording {
	return &recording{in: in, open: map[dumpKey]*recordedDump{}, routes: map[group]*recordedDump{},
		ended: map[uint32]bool{}}
}

// read reads the recording to its end, beginning with a packet that was read
// already.
func (r *recording) read(first *packet) (*Capture, error) {
	p := *first
	for {
		if err := r.packet(&p); err != nil {
			return nil, err
		}
		var err error
		p, err = r.in.next()
		switch {
		case err == io.EOF, err != nil && r.in.short && len(r.routes) > 0:
			return r.finish()
		case err != nil:
			return nil, err
		}
	}
}

func (r *recording) packet(p *packet) error {
	protocol, msgs, ok := p.netlink()
	if !ok {
		if !mayBeNetlink(p.link) {
			r.otherLink = p.link
		}
		return nil
	}
	r.netlink = true
	switch {
	case protocol != unix.NETLINK_ROUTE:
		return nil
	case p.cut:
		return &CaptureError{fmt.Sprintf("a packet before byte %d was not kept whole", r.in.off),
			"record again with a larger snap length (tcpdump -s 0), or " + makeFirst}
	case otherOrder(msgs):
		return errOrder
	}
	r.at = p.time
	for len(msgs) >= unix.NLMSG_HDRLEN {
		n := int(u32(msgs))
		if n < unix.NLMSG_HDRLEN || n > len(msgs) {
			break
		}
		r.message(msgs[:n])
		msgs = msgs[min(align4(n), len(msgs)):]
	}
	if r.size > maxKept {
		if r.size = r.kept(); r.size > maxKept {
			return errTooMuch
		}
	}
	if slices.ContainsFunc(msgs, func(b byte) bool { return b != 0 }) {
		// A program may have sent this, or the kernel as part of any dump.
		for _, d := range r.open {
			d.broken = "has a packet that cannot be read"
		}
	}
	return nil
}

func (r *recording) message(msg []byte) {
	typ, flags := u16(msg[4:]), u16(msg[6:])
	key := dumpKey{u32(msg[12:]), u32(msg[8:])}
	d := r.open[key]
	if d != nil && flags&unix.NLM_F_DUMP_INTR != 0 {
		d.broken = interrupted
	}
	switch {
	case flags&unix.NLM_F_REQUEST != 0:
		r.request(typ, flags, key, msg[unix.NLMSG_HDRLEN:])
	case typ == unix.NLMSG_DONE:
		r.done(key, d, msg)
	case typ == unix.NLMSG_ERROR:
		r.failed(key, d, msg)
	case typ == unix.NLMSG_OVERRUN && d != nil:
		d.broken = "has lost messages (NLMSG_OVERRUN)"
	case typ < unix.RTM_BASE:
	case flags&unix.NLM_F_MULTI == 0:
		r.single(typ, key)
	default:
		r.dumped(typ, key, msg)
	}
}

// rtmGet is what RTM_GETROUTE and its like are more than RTM_NEWROUTE and its like.
const rtmGet = 2

// request notes a request for objects, of any type: only so the answers are told
// apart.
//
// A request is known by port and sequence number, but most programs leave the port
// to the kernel.
func (r *recording) request(typ, flags uint16, key dumpKey, payload []byte) {
	if typ < unix.RTM_BASE || typ%4 != rtmGet {
		return
	}
	req := recordedRequest{dumpKey: key, typ: typ - rtmGet, dump: flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP}
	r.asked = r.asked || req.dump
	switch typ {
	case unix.RTM_GETROUTE:
		req.scope = routeScope(payload)
	case unix.RTM_GETLINK:
		req.scope = objectScope(payload, ifinfomsgLen, iflaExtMask)
	case unix.RTM_GETNEXTHOP:
		req.scope = objectScope(payload, nhmsgLen, 0)
		req.scope.other = req.scope.other || len(payload) > 0 && payload[0] != 0
	}
	if len(r.requests) == maxOpenRequests {
		r.requests = slices.Delete(r.requests, 0, 1)
	}
	r.requests = append(r.requests, req)
}

// routeScope reads the payload of RTM_GETROUTE: struct rtmsg and its attributes, or
// what older programs send instead, of which the kernel reads the family only.
func routeScope(b []byte) dumpScope {
	s := dumpScope{known: true}
	if len(b) > 0 {
		s.family = Family(b[0])
	}
	if len(b) < rtmsgLen {
		return s
	}
	s.table, s.protocol = uint32(b[4]), b[5]
	s.other = b[1] != 0 || b[2] != 0 || b[3] != 0 || b[6] != 0 || b[7] != 0 || u32(b[8:]) != 0
	for a := walk(b[rtmsgLen:]); a.next(); {
		if a.typ == rtaTable && len(a.data) == 4 {
			s.table = u32(a.data)
		} else {
			s.other = true
		}
	}
	return s
}

// objectScope reads the payload of another request, which may have one attribute
// that is no condition.
func objectScope(b []byte, headLen int, harmless uint16) dumpScope {
	s := dumpScope{known: true}
	for a := walk(b[min(headLen, len(b)):]); a.next(); {
		s.other = s.other || a.typ != harmless
	}
	return s
}

// scope returns what a dump was asked for. Several programs may have used the same
// sequence number without a port; unless they asked for the same it is not known.
func (r *recording) scope(key dumpKey, typ uint16) (s dumpScope) {
	for _, req := range r.requests {
		if !req.dump || req.typ != typ || !req.answers(key) {
			continue
		}
		if s.known && s != req.scope {
			return dumpScope{known: true, other: true}
		}
		s = req.scope
	}
	return s
}

// answers reports whether what has a key may be an answer to the request.
func (q *recordedRequest) answers(key dumpKey) bool {
	return q.seq == key.seq && (q.port == key.port || q.port == 0)
}

// answered forgets the request that was answered, and reports whether there is one.
func (r *recording) answered(key dumpKey, typ uint16, dump bool) bool {
	i := slices.IndexFunc(r.requests, func(q recordedRequest) bool {
		return q.typ == typ && q.dump == dump && q.answers(key)
	})
	if i >= 0 {
		r.requests = slices.Delete(r.requests, i, i+1)
	}
	return i >= 0
}

// failed takes in an error or an acknowledgement, in which the request that it is
// about comes next.
func (r *recording) failed(key dumpKey, d *recordedDump, msg []byte) {
	if d != nil && dumpErrno(msg) != nil {
		d.broken = "ended with an error: " + dumpErrno(msg).Error()
	}
	if about := msg[unix.NLMSG_HDRLEN:]; len(about) >= 4+unix.NLMSG_HDRLEN {
		typ, flags := u16(about[4+4:]), u16(about[4+6:])
		r.answered(key, typ-rtmGet, flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP)
	}
}

// empty returns the dump that has ended without a message, by its request. Where
// it may have been one of several there is none.
func (r *recording) empty(key dumpKey) *recordedDump {
	var asked []recordedRequest
	for _, q := range r.requests {
		if q.dump && q.answers(key) {
			asked = append(asked, q)
		}
	}
	if len(asked) != 1 {
		return nil
	}
	r.count++
	return &recordedDump{typ: asked[0].typ, scope: asked[0].scope, number: r.count - 1}
}

// single notes a message that is part of no dump: a notification, unless one object
// was asked for.
func (r *recording) single(typ uint16, key dumpKey) {
	switch typ {
	case unix.RTM_NEWROUTE, unix.RTM_NEWLINK, unix.RTM_NEWNEXTHOP:
		if !r.answered(key, typ, false) {
			r.changes++
		}
	case unix.RTM_DELROUTE, unix.RTM_DELLINK, unix.RTM_DELNEXTHOP:
		r.changes++
	}
}

// dumped takes in a message of a dump.
func (r *recording) dumped(typ uint16, key dumpKey, msg []byte) {
	d := r.open[key]
	if d == nil || d.typ != typ {
		d = &recordedDump{typ: typ, scope: r.scope(key, typ), number: r.count}
		d.late = !d.scope.known && !r.begins(key, msg)
		if r.count++; len(r.open) == maxOpenDumps {
			r.forgetOldest()
		}
		r.open[key] = d
	}
	if u16(msg[6:])&unix.NLM_F_DUMP_INTR != 0 {
		d.broken = interrupted
	}
	if err := d.add(msg); err != nil {
		d.broken = "has a " + err.Error()
	}
	r.size += len(msg)
}

// begins reports whether a dump whose request is not there is known to begin with a
// message. Nothing in a message says so, and what is recorded first may be the rest of
// a dump whatever it is, a few routes of many. But a dump of interfaces begins with lo,
// and a socket has one dump at a time: what follows another one begins here. From then
// on the recording is known to be one without requests, and to have begun.
func (r *recording) begins(key dumpKey, msg []byte) bool {
	r.begun = r.begun || isLoopback(msg) || r.ended[key.port]
	return r.begun
}

// kept returns how many bytes all dumps take that may still be needed.
func (r *recording) kept() (n int) {
	needed := append(slices.Collect(maps.Values(r.open)), r.links, r.objects)
	for _, d := range append(needed, slices.Collect(maps.Values(r.routes))...) {
		if d != nil {
			for _, run := range d.runs {
				n += len(run)
			}
		}
	}
	return n
}

// isLoopback reports whether a message is RTM_NEWLINK of the interface with index 1.
func isLoopback(msg []byte) bool {
	const index = unix.NLMSG_HDRLEN + 4 // ifi_index
	return u16(msg[4:]) == unix.RTM_NEWLINK && len(msg) >= index+4 && u32(msg[index:]) == 1
}

func (r *recording) forgetOldest() {
	var oldest dumpKey
	least := r.count
	for key, d := range r.open {
		if d.number < least {
			oldest, least = key, d.number
		}
	}
	delete(r.open, oldest)
}

// add checks a message and keeps it.
func (d *recordedDump) add(msg []byte) error {
	payload := msg[unix.NLMSG_HDRLEN:]
	switch d.typ {
	case unix.RTM_NEWLINK:
		var l Link
		if err := l.UnmarshalBinary(payload); err != nil {
			return err
		}
		// Messages of another family are about something else, as the ports of bridges.
		d.scope.other = d.scope.other || payload[0] != 0
	case unix.RTM_NEWNEXTHOP:
		if err := new(NexthopObject).UnmarshalBinary(payload); err != nil {
			return err
		}
	case unix.RTM_NEWROUTE:
		h, err := readHead(payload)
		if err != nil || !d.wants(&h) {
			return err
		}
		d.objects = d.objects || h.object
	default:
		return nil
	}
	d.runs = addRoute(d.runs, msg)
	return nil
}

// wants notes what a route says about the dump, and reports whether it belongs to
// what was asked for.
func (d *recordedDump) wants(h *routeHead) bool {
	s := &d.scope
	if s.family != 0 && h.family != s.family {
		return false // the kernel does not know the family and dumps all of them
	}
	if s.table != 0 && h.table != s.table || s.protocol != 0 && h.protocol != s.protocol {
		// The socket is without NETLINK_GET_STRICT_CHK: no condition was heard.
		*s = dumpScope{known: true, dumpRequest: dumpRequest{family: s.family}}
	}
	if !s.known && !slices.Contains(d.families, h.family) {
		d.families = append(d.families, h.family)
	}
	return true
}

// done ends a dump.
func (r *recording) done(key dumpKey, d *recordedDump, msg []byte) {
	delete(r.open, key)
	if !r.asked && !r.begun {
		r.ended[key.port] = true
	}
	if d == nil {
		if d = r.empty(key); d == nil {
			return
		}
	}
	r.answered(key, d.typ, true)
	if len(msg) >= unix.NLMSG_HDRLEN+4 && u32(msg[unix.NLMSG_HDRLEN:]) != 0 {
		err := dumpErrno(msg)
		if d.scope.table != 0 && errors.Is(err, unix.ENOENT) {
			err = nil // there is no such table
		}
		if err != nil {
			d.broken = "ended with an error: " + err.Error()
		}
	}
	if u16(msg[6:])&unix.NLM_F_DUMP_INTR != 0 {
		d.broken = interrupted
	}
	if !d.scope.known && (r.asked || d.late) {
		d.broken = begunBefore
	}
	d.time, d.changes = r.at, r.changes
	r.whole(d)
}

// whole takes a dump that has ended, if it is whole.
func (r *recording) whole(d *recordedDump) {
	switch {
	case d.typ == unix.RTM_NEWROUTE && d.broken != "":
		r.broken = d.broken
	case d.typ == unix.RTM_NEWROUTE && (d.scope.other || d.scope.protocol != 0):
		r.filtered = true
	case d.broken != "" || d.scope.other: // not whole
	case d.typ == unix.RTM_NEWLINK:
		r.links = d
	case d.typ == unix.RTM_NEWNEXTHOP:
		r.objects = d
	case d.typ == unix.RTM_NEWROUTE:
		r.wholeRoutes(d)
	}
}

// wholeRoutes takes a dump of routes in place of those of which it covers all.
func (r *recording) wholeRoutes(d *recordedDump) {
	g := group{d.scope.family, d.scope.table}
	if !d.scope.known {
		switch len(d.families) {
		case 0:
			return // it may be a dump of any kind
		case 1:
			g.family = d.families[0]
		}
	}
	for o := range r.routes {
		if (g.family == 0 || g.family == o.family) && (g.table == 0 || g.table == o.table) {
			delete(r.routes, o)
		}
	}
	if len(r.routes) < maxScopes {
		r.routes[g] = d
	}
}

// source returns the newest dump that covers a group; nil: there is none.
func (r *recording) source(g group) (newest *recordedDump) {
	for _, covering := range []group{{}, {family: g.family}, {table: g.table}, g} {
		if d := r.routes[covering]; d != nil && (newest == nil || d.number > newest.number) {
			newest = d
		}
	}
	return newest
}

// finish makes a capture of the recording.
func (r *recording) finish() (*Capture, error) {
	if r.asked {
		// A request that is not there was sent before the recording began.
		for g, d := range r.routes {
			if !d.scope.known {
				delete(r.routes, g)
				r.broken = begunBefore
			}
		}
		r.links, r.objects = r.links.asked(), r.objects.asked()
	}
	if len(r.routes) == 0 {
		return nil, r.nothing()
	}
	c := &Capture{links: map[uint32]Link{}, objects: map[uint32]*NexthopObject{}, covers: map[group]bool{}}
	var all []*recordedDump
	for g, d := range r.routes {
		c.covers[g] = true
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b *recordedDump) int { return a.number - b.number })
	for _, d := range all {
		for _, run := range d.runs {
			c.routes = r.appendSourced(c.routes, d, run)
		}
	}
	// What was decoded before is decoded again without an error.
	r.links.each(func(msg []byte) { _ = addLink(c.links, msg) })
	r.objects.each(func(msg []byte) { _ = addObject(c.objects, msg) })
	c.noLinks = r.links == nil
	c.notes = r.notes(c, all)
	return c, nil
}

// asked returns the dump if its request is known, else nil.
func (d *recordedDump) asked() *recordedDump {
	if d == nil || !d.scope.known {
		return nil
	}
	return d
}

// each calls f for each message of a dump that may be nil.
func (d *recordedDump) each(f func(msg []byte)) {
	if d == nil {
		return
	}
	for _, run := range d.runs {
		for len(run) > 0 {
			n := int(u32(run))
			f(run[:n])
			run = run[align4(n):]
		}
	}
}

// appendSourced appends the stretches of a run whose groups are taken from a dump.
func (r *recording) appendSourced(list [][]byte, d *recordedDump, run []byte) [][]byte {
	from := 0
	for off := 0; off < len(run); {
		h := headAt(run[off:])
		next := off + align4(int(u32(run[off:])))
		if r.source(group{h.family, h.table}) != d {
			list = appendRun(list, run[from:off])
			from = next
		}
		off = next
	}
	return appendRun(list, run[from:])
}

// nothing says why there are no routes.
func (r *recording) nothing() error {
	const remedy = "record while `ip route show table all` runs, or " + makeFirst
	const none = "it is a recording of netlink messages without a whole dump of routes"
	open := false
	for _, d := range r.open {
		open = open || d.typ == unix.RTM_NEWROUTE
	}
	switch {
	case !r.netlink && r.otherLink != 0:
		return errLinkType(r.otherLink)
	case !r.netlink:
		return &CaptureError{"it holds no netlink messages", makeFirst}
	case open:
		return &CaptureError{none + ": the last one has no end", remedy}
	case r.broken != "":
		return &CaptureError{none + ": the last one " + r.broken, remedy}
	case r.filtered:
		return &CaptureError{none + ": they were asked for with conditions", remedy}
	}
	return &CaptureError{none, remedy}
}

// notes says what the recording is, and what it lacks.
func (r *recording) notes(c *Capture, dumps []*recordedDump) []string {
	first, last := dumps[0], dumps[len(dumps)-1]
	objects, unsure := false, false
	for _, d := range dumps {
		objects, unsure = objects || d.objects, unsure || !d.scope.known
	}
	at := time.Unix(last.time, 0).UTC().Format("2006-01-02 15:04:05 MST")
	what := "it is a recording of netlink messages, as of " + at + ": " + c.coverage()
	if c.noLinks {
		what += ", no interfaces, so that dev is empty"
	}
	if objects && r.objects == nil {
		what += ", no nexthop objects, so that routes that use one may lack gateway and dev"
	}
	notes := []string{what, readersNames}
	if unsure {
		notes = append(notes, "it holds no requests: whether its dumps have all that there was is not known")
	}
	if r.changes > first.changes {
		notes = append(notes, "it holds changes after that, which are not applied")
	}
	if r.in.short {
		notes = append(notes, fmt.Sprintf("it is cut short after %d bytes: what came later is not in it", r.in.off))
	}
	return notes
}

// coverage says which routes the recording has.
func (c *Capture) coverage() string {
	if c.covers[group{}] {
		return "all routes"
	}
	var list []string
	for g := range c.covers {
		list = append(list, g.String())
	}
	slices.Sort(list)
	if more := len(list) - 10; more > 0 {
		list = append(list[:10], fmt.Sprintf("and %d more", more))
	}
	return "only " + strings.Join(list, ", ")
}

// String names the routes of a group; zero fields stand for every one.
func (g group) String() string {
	s := "routes"
	if g.family != 0 {
		s = g.family.String() + " routes"
	}
	if g.table != 0 {
		s += fmt.Sprintf(" of table %d", g.table)
	}
	return s
}

// lacks returns an error if a recording has nothing of what is asked for.
func (c *Capture) lacks(req *Request) error {
	if c.covers == nil {
		return nil
	}
	if req.Link != nil && c.noLinks {
		return &CaptureError{"the recording has no interfaces, so that their names are not known",
			"ask for dev_index instead, or record while `ip link` runs"}
	}
	for g := range c.covers {
		if (g.family == 0 || allows(req.Families, g.family)) && (g.table == 0 || allows(req.Tables, g.table)) {
			return nil
		}
	}
	return &CaptureError{
		"the recording has no whole dump of the routes that are asked for, it has " + c.coverage(),
		"record while `ip route show table all` runs"}
}
