package object

import "kernelroutes/rtnl/wire"

// A Kind is one kind of what RTNetlink tells: what is asked, what comes, and how a
// message is understood. Everything that reads, listens, proves, records and remembers
// goes by this declaration: for another kind it is all there is to write, beside a line
// in Kinds.
type Kind struct {
	Name   string // as errors have it: "route"
	Plural string // "routes"

	// Get asks for objects, New comes as the answer and when one was added or changed,
	// Del when one has gone (RTM_*). Get is 0 for a kind that is only listened to.
	Get, New, Del uint16
	// Groups are the multicast groups that tell of changes (RTNLGRP_*, 1 to 32).
	Groups []uint

	Struct string // that a message begins with: "rtmsg"
	Header int    // its size in bytes
	// Nested checks what is nested in the attributes, and whatever else decoding relies
	// on; nil: nothing.
	Nested func(*Message) error

	// StaleWith are kinds whose changes may make objects of this kind go away or change
	// with no message about it.
	StaleWith []*Kind
	// Refer notes the objects of other kinds that an object refers to; nil: none.
	Refer func(*Message, *References)
	// Number is by what other objects refer to one; nil: none does.
	Number func(*Message) uint32
	// Governs, if set, reports whether an object has a say on others that do not refer to it, as
	// a VRF device on the routes of its table.
	Governs func(*Message) bool
	// Request is the payload of the request for all objects, or for one by its number,
	// if the kernel can be asked so; 0 stands for all.
	Request func(number uint32) []byte
	// Lookup says that the kernel can be asked for one object, which is done for few that
	// others refer to. LookupSince are the releases of Linux from which on it can be asked for
	// one that a user names (Release.Since).
	Lookup      bool
	LookupSince []Release
	// Details is Request with what the kernel does not tell unasked. One that does not know
	// that, or has no room for an object with it, is asked again by Request. nil: there is no
	// more to be told.
	Details func(number uint32) []byte
	// ByNumber is the release of Linux from which on a dump goes on after the number of the
	// object that came last: objects that nobody touches come, and once, whatever changes
	// beside them, and what does is told in messages. So NLM_F_DUMP_INTR says nothing new.
	// Zero: dumps are not that good.
	ByNumber Release
	// Known are the attributes that decoding looks at, if they are a small part of a
	// message; 0: all.
	Known Fields

	// Filtered says that objects may be many: a Filter chooses some of them, and Dumps are
	// what brings these.
	Filtered bool
	// ByFamily says that of a Filter the families alone choose (Filter.Families): there are
	// few objects, and the kernel is asked for those of one family at a time.
	ByFamily bool
	// Dump is the payload of the request for a dump by table; nil: all come at once.
	Dump func(DumpRequest) []byte
	// Table is the kernel's table that the object is in; nil: there is one.
	Table func(*Message) Table
	// Position is where the object stands in the kernel's walk of its table, and Order how
	// the kernel walks the tables of a family; nil: that is not known.
	Position func(*Message) Position
	Order    func(Family) Order

	// Unlocked says that since Linux 6.9 a dump takes no lock: what a datagram has of a table
	// is one walk over it, at the end of which NLMSG_DONE is in the last datagram, but a change
	// may be told of after a dump has seen it. See consistency.Merge.
	Unlocked bool
	// Same returns a number that two messages about one object share, whatever state it is in;
	// nil: Position tells objects apart well enough.
	Same func(*Message) uint64

	// Grows, if set, reports whether the kernel adds the object part by part and tells
	// of it when it is whole, so that a dump may see less; Within reports whether an
	// object may be a part of another.
	Grows  func(*Message) bool
	Within func(part, whole *Message) bool
	// Entries is how many entries of the kernel's own count the object stands for, and
	// whether they are cached ones; nil: the kernel does not count.
	Entries func(*Message) (n int, cached bool)

	// Asked reads the payload of a request for a dump, of whatever program: which objects
	// it is for, and whether there are conditions beyond that.
	Asked func(payload []byte) (r DumpRequest, more bool)
	// Foreign, if set, reports whether a message is about something else than an object
	// of the kind; First whether no dump has an object before this one.
	Foreign, First func(*Message) bool

	// Lacked says what is missing where objects of the kind are that others refer to, and
	// Remedy what to do where a recording has none; "": nothing beyond that.
	Lacked, Remedy string

	ordinal int // place in Kinds
}

// Ordinal returns the place of the kind among Kinds.
func (k *Kind) Ordinal() int { return k.ordinal }

// Groups returns the multicast groups that tell of changes of some kinds: bit N-1 for
// group N.
func Groups(kinds ...*Kind) (mask uint32) {
	for _, k := range kinds {
		for _, g := range k.Groups {
			mask |= 1 << (g - 1)
		}
	}
	return mask
}

// A Values is a Kind whose objects are decoded as T.
type Values[T any] struct {
	*Kind
	Decode func(*T, *Message)
}

// unmarshal decodes a payload that was not checked.
func (k *Values[T]) unmarshal(v *T, payload []byte) error {
	var m Message
	if err := k.check(&m, payload); err != nil {
		return err
	}
	k.Decode(v, &m)
	return nil
}

// A Table is what the kernel walks in order: a routing table of one family. Zero for
// kinds that have none.
type Table struct {
	Family Family
	ID     uint32
}

// askedWhole reads the request for a dump of a kind that no table tells apart: it has
// conditions where there is an attribute but one.
func askedWhole(header int, harmless uint16) func([]byte) (DumpRequest, bool) {
	return func(payload []byte) (r DumpRequest, more bool) {
		for a := wire.Walk(payload[min(header, len(payload)):]); a.Next(); {
			more = more || a.Type != harmless
		}
		return r, more
	}
}

// checkNested reports attributes nested in one that do not fit.
func checkNested(name string, data []byte) error {
	if end, ok := wire.Fit(data); !ok {
		return wire.Malformed(name, end, "attribute does not fit")
	}
	return nil
}

// Fields is a set of a message's attributes: bit N stands for attribute N, the last
// one for all from 63 on. It says which ones a message has, and which of them are to be
// decoded. What the fixed header of a message holds is always decoded.
type Fields uint64

const (
	// AllFields has everything decoded, and what is not understood collected.
	AllFields = ^Fields(0)

	lastField = 63
)

func fieldOf(number uint16) Fields { return 1 << min(number, lastField) }

// A Message is a message about an object that has been checked: its header is there, and
// every attribute fits, nested ones too. So whatever is read from it needs no check
// again: there is no message that was accepted and cannot be decoded.
//
// It refers to the bytes that it was read from, and is used again for the next one.
type Message struct {
	kind    *Kind
	bytes   []byte // with struct nlmsghdr
	payload []byte
	has     Fields
	twice   Fields                // what it has more than once, which no kernel sends
	at      [lastField + 1]uint32 // where in the payload the attributes begin that it has, the last ones
}

// Check makes m the message in b, whose length is that in its header, or returns a
// *wire.MalformedError that says where it is none.
func (k *Kind) Check(m *Message, b []byte) error {
	m.bytes = b
	return k.check(m, wire.Payload(b))
}

func (k *Kind) check(m *Message, payload []byte) error {
	if len(payload) < k.Header {
		return wire.Malformed(k.Name, len(payload), "shorter than struct "+k.Struct)
	}
	if end, ok := m.index(k, payload); !ok {
		return wire.Malformed(k.Name, end, "attribute does not fit")
	}
	if k.Nested != nil {
		return k.Nested(m)
	}
	return nil
}

// index notes where the attributes are, as far as they fit.
func (m *Message) index(k *Kind, payload []byte) (end int, ok bool) {
	m.kind, m.payload = k, payload
	var has, twice Fields
	at := k.Header
	for {
		typ, n := wire.Head(payload[at:])
		if n == 0 {
			break
		}
		typ = min(typ, lastField)
		twice |= has & (1 << typ)
		has |= 1 << typ
		m.at[typ] = uint32(at)
		at = min(at+wire.Align(n), len(payload))
	}
	m.has, m.twice = has, twice
	end, ok = wire.Fit(payload[at:])
	return at + end, ok
}

// Kind returns what the message is about.
func (m *Message) Kind() *Kind { return m.kind }

// Bytes returns the message, header included.
func (m *Message) Bytes() []byte { return m.bytes }

// Payload returns the message without struct nlmsghdr.
func (m *Message) Payload() []byte { return m.payload }

// Moved tells the message that its bytes are now in b.
func (m *Message) Moved(b []byte) { m.bytes, m.payload = b, wire.Payload(b) }

// Attributes returns the attributes, one after the other.
func (m *Message) Attributes() []byte { return m.payload[m.kind.Header:] }

// Has returns which attributes the message has.
func (m *Message) Has() Fields { return m.has }

// data returns the payload of an attribute that the message has.
func (m *Message) data(n int) []byte {
	at := m.at[n&lastField]
	b := m.payload[at:]
	return b[wire.AttrHeaderLen:wire.U16(b)]
}

// Data returns the payload of an attribute, nil if the message does not have it.
func (m *Message) Data(number uint16) []byte {
	if m.has&(1<<number) == 0 {
		return nil
	}
	return m.data(int(number))
}

// Sized returns the payload of an attribute that has so many bytes, nil if the message
// does not have such a one.
func (m *Message) Sized(number uint16, size int) []byte {
	d := m.Data(number)
	if len(d) == size {
		return d
	}
	if m.twice&(1<<number) != 0 {
		return m.lastSized(number, size)
	}
	return nil
}

func (m *Message) lastSized(number uint16, size int) (last []byte) {
	a := wire.Walk(m.Attributes())
	for a.Next() {
		if a.Type == number && len(a.Data) == size {
			last = a.Data
		}
	}
	return last
}

// U32 returns an attribute that is a u32, 0 if it is not there or of another length.
func (m *Message) U32(number uint16) uint32 {
	if d := m.Sized(number, 4); d != nil {
		return wire.U32(d)
	}
	return 0
}

// each calls check for the attributes of a number, with where in the payload they begin.
func (m *Message) each(number uint16, check func(at int, data []byte) error) error {
	if m.twice&(1<<number) == 0 {
		if m.has&(1<<number) == 0 {
			return nil
		}
		return check(int(m.at[number]), m.data(int(number)))
	}
	at := m.kind.Header
	for a := wire.Walk(m.Attributes()); a.Next(); at = len(m.payload) - len(a.Rest) {
		if a.Type != number {
			continue
		}
		if err := check(at, a.Data); err != nil {
			return err
		}
	}
	return nil
}

// A DumpRequest is one dump of a kind that is in tables: zero fields set no condition. Type,
// protocol and output interface are conditions on routes.
type DumpRequest struct {
	Family   Family
	Table    uint32
	Type     RouteType
	Protocol uint8
	OIF      uint32
}

// Asks reports whether the dump brings the objects of a table.
func (r DumpRequest) Asks(t Table) bool {
	return (r.Family == 0 || r.Family == t.Family) && (r.Table == 0 || r.Table == t.ID)
}

// References are objects that others refer to, by kind and number.
type References struct {
	sets [maxKinds]map[uint32]bool // by Kind.Ordinal
	last [maxKinds]uint32          // the number that was added last, which most objects share
}

// maxKinds is more than there are Kinds.
const maxKinds = 8

// Add adds an object by its number, which is not 0.
func (r *References) Add(k *Kind, number uint32) { r.add(k.ordinal, number) }

func (r *References) add(ordinal int, number uint32) {
	if number == r.last[ordinal] {
		return
	}
	if r.sets[ordinal] == nil {
		r.sets[ordinal] = map[uint32]bool{}
	}
	r.sets[ordinal][number], r.last[ordinal] = true, number
}

// Reset forgets them all, but keeps the memory.
func (r *References) Reset() {
	for i := range r.sets {
		clear(r.sets[i])
	}
	r.last = [maxKinds]uint32{}
}

// Of returns the numbers of a kind's objects.
func (r *References) Of(k *Kind) map[uint32]bool { return r.sets[k.ordinal] }

// Union adds what others refer to, which are used no more.
func (r *References) Union(others *References) {
	for i, set := range others.sets {
		if r.sets[i] == nil {
			r.sets[i], r.last[i] = set, others.last[i]
			continue
		}
		for number := range set {
			r.add(i, number)
		}
	}
}
