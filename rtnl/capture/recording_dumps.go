package capture

import (
	"maps"
	"math"
	"slices"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A recordedDump is what has come of a dump.
type recordedDump struct {
	typ      uint16       // RTM_NEWROUTE, ...
	kind     *object.Kind // nil: none that is known
	scope    dumpScope
	log      object.Messages
	broken   string // why it is not whole
	number   int
	time     int64 // of its end
	changes  int   // notifications before its end
	families []object.Family
	late     bool              // it may have begun before the recording, as there is no request for it
	refs     object.References // what its objects refer to
}

// enoent is Linux's ENOENT, whatever the system is.
const enoent = 2

// Why a dump is not whole.
const (
	interrupted = "was interrupted by a change (NLM_F_DUMP_INTR)"
	begunBefore = "may have begun before the recording, which does not have its request"
)

// recordedDumps are the dumps of a recording: those that have no end yet, and the newest
// of those that are whole.
type recordedDumps struct {
	open   map[dumpKey]*recordedDump
	tables map[dumpedTable]*recordedDump  // of the kinds that are dumped by table
	whole  map[*object.Kind]*recordedDump // of the other kinds
	count  int

	m        object.Message  // the current message, if its kind is known
	begun    bool            // there is the beginning of a dump without its request
	ended    map[uint32]bool // ports of which a dump has ended, for begins
	filtered bool            // there is a dump by table that was asked for with conditions
	broken   string          // why the last dump by table that is not whole is not
}

// A recording that goes on for ever does not take memory for ever.
const (
	maxOpenDumps = 256
	maxEnded     = 4096
	maxTables    = 4096 // that are dumped one by one
)

func newRecordedDumps() recordedDumps {
	return recordedDumps{open: map[dumpKey]*recordedDump{}, tables: map[dumpedTable]*recordedDump{},
		whole: map[*object.Kind]*recordedDump{}, ended: map[uint32]bool{}}
}

// begin begins a dump with its first message.
func (r *recordedDumps) begin(key dumpKey, typ uint16, scope dumpScope, msg []byte) *recordedDump {
	d := r.next(typ, scope)
	d.late = !scope.known && !r.begins(key, msg)
	if len(r.open) == maxOpenDumps {
		r.forgetOldest()
	}
	r.open[key] = d
	return d
}

// next makes a dump that has no messages yet.
func (r *recordedDumps) next(typ uint16, scope dumpScope) *recordedDump {
	r.count++
	return &recordedDump{typ: typ, kind: kindOf(typ), scope: scope, number: r.count - 1}
}

// add takes in a message of a dump.
func (r *recordedDumps) add(d *recordedDump, msg []byte) {
	if wire.U16(msg[6:])&wire.NLM_F_DUMP_INTR != 0 {
		d.broken = interrupted
	}
	if err := d.add(&r.m, msg); err != nil {
		d.broken = "has a " + err.Error()
	}
}

// begins reports whether a dump whose request is not there is known to begin with a
// message. Nothing in a message says so, and what is recorded first may be the rest of
// a dump whatever it is, a few objects of many. But dumps of some kinds begin with an
// object that is always there (Kind.First), and a socket has one dump at a time: what
// follows another one begins here. From then on the recording is known to be one without
// requests, and to have begun.
func (r *recordedDumps) begins(key dumpKey, msg []byte) bool {
	r.begun = r.begun || isFirst(msg) || r.ended[key.port]
	return r.begun
}

// isFirst reports whether a message is about the object with which all dumps of its kind
// begin.
func isFirst(msg []byte) bool {
	var m object.Message
	k := kindOf(wire.Type(msg))
	return k != nil && k.First != nil && k.Check(&m, msg) == nil && k.First(&m)
}

// add makes m a message of the dump, and keeps a copy.
func (d *recordedDump) add(m *object.Message, msg []byte) error {
	if d.kind == nil {
		return nil
	}
	if err := d.kind.Check(m, msg); err != nil {
		return err
	}
	d.scope.other = d.scope.other || d.kind.Foreign != nil && d.kind.Foreign(m)
	if byTable(d.kind) && !d.wants(m) {
		return nil
	}
	if d.kind.Refer != nil {
		d.kind.Refer(m, &d.refs)
	}
	d.log.Add(m)
	return nil
}

// wants notes what an object says about the dump, and reports whether it belongs to
// what was asked for.
func (d *recordedDump) wants(m *object.Message) bool {
	s, t := &d.scope, d.kind.Table(m)
	if s.Family != 0 && t.Family != s.Family {
		return false // the kernel does not know the family and dumps all of them
	}
	if s.Table != 0 && t.ID != s.Table || s.Protocol != 0 && !s.Matches(m) {
		// The socket is without NETLINK_GET_STRICT_CHK: no condition was heard.
		*s = dumpScope{known: true, DumpRequest: object.DumpRequest{Family: s.Family}}
	}
	if !s.known && !slices.Contains(d.families, t.Family) {
		d.families = append(d.families, t.Family)
	}
	return true
}

// close takes a dump that has ended from the open ones.
func (r *recordedDumps) close(key dumpKey) {
	delete(r.open, key)
	if !r.begun && len(r.ended) < maxEnded {
		r.ended[key.port] = true
	}
}

// end takes in the message with which a dump has ended, NLMSG_DONE.
func (d *recordedDump) end(msg []byte) {
	if len(msg) >= wire.HeaderLen+4 && wire.U32(msg[wire.HeaderLen:]) != 0 {
		// With ENOENT the kernel says that there is no such table.
		if d.scope.Table == 0 || wire.U32(msg[wire.HeaderLen:]) != -enoent&math.MaxUint32 {
			d.failed(msg)
		}
	}
	if wire.U16(msg[6:])&wire.NLM_F_DUMP_INTR != 0 {
		d.broken = interrupted
	}
}

// failed notes the error in a message, if there is one.
func (d *recordedDump) failed(msg []byte) {
	if err := conn.Errno(msg); err != nil {
		d.broken = "ended with an error: " + err.Error()
	}
}

// take takes a dump that has ended, if it is whole.
func (r *recordedDumps) take(d *recordedDump) {
	switch {
	case d.kind == nil: // of no kind that is known
	case !byTable(d.kind) && d.broken == "" && !d.scope.other:
		r.whole[d.kind] = d
	case !byTable(d.kind): // not whole
	case d.broken != "":
		r.broken = d.broken
	case d.scope.other || d.scope.Protocol != 0:
		r.filtered = true
	default:
		r.takeTables(d)
	}
}

// takeTables takes a dump by table in place of those of which it covers all.
func (r *recordedDumps) takeTables(d *recordedDump) {
	c := dumpedTable{d.kind, object.Table{Family: d.scope.Family, ID: d.scope.Table}}
	if !d.scope.known {
		switch len(d.families) {
		case 0:
			return // it may be a dump of any kind
		case 1:
			c.Family = d.families[0]
		}
	}
	maps.DeleteFunc(r.tables, func(older dumpedTable, _ *recordedDump) bool { return c.covers(older) })
	if len(r.tables) < maxTables {
		r.tables[c] = d
	}
}

// source returns the newest dump that covers a table; nil: there is none.
func (r *recordedDumps) source(k *object.Kind, t object.Table) (newest *recordedDump) {
	for _, c := range covering(k, t) {
		if d := r.tables[c]; d != nil && (newest == nil || d.number > newest.number) {
			newest = d
		}
	}
	return newest
}

// forgetUnasked forgets the whole dumps whose request is not there. Where the recording has
// others, it was sent before the recording began.
func (r *recordedDumps) forgetUnasked() {
	for c, d := range r.tables {
		if !d.scope.known {
			delete(r.tables, c)
			r.broken = begunBefore
		}
	}
	maps.DeleteFunc(r.whole, func(_ *object.Kind, d *recordedDump) bool { return !d.scope.known })
}

// kept returns how many bytes all dumps take that may still be needed.
func (r *recordedDumps) kept() (n int) {
	needed := slices.Collect(maps.Values(r.open))
	needed = slices.AppendSeq(needed, maps.Values(r.whole))
	for _, d := range slices.AppendSeq(needed, maps.Values(r.tables)) {
		for _, run := range d.log.Runs {
			n += run.Len()
		}
	}
	return n
}

func (r *recordedDumps) forgetOldest() {
	var oldest dumpKey
	least := r.count
	for key, d := range r.open {
		if d.number < least {
			oldest, least = key, d.number
		}
	}
	delete(r.open, oldest)
}
