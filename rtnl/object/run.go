package object

import (
	"iter"

	"kernelroutes/rtnl/wire"
)

// A Run is messages about objects of one kind that have been checked, one after the
// other, each with its padding. Only a Message can be appended.
type Run struct {
	kind  *Kind
	bytes []byte
}

// RunOf returns a run of one message, in the message's memory, which must have room for
// its padding.
func RunOf(m *Message) Run {
	return Run{m.kind, m.bytes[:wire.Align(len(m.bytes)):wire.Align(len(m.bytes))]}
}

// RunIn returns the run in some memory, whose last message is m.
func (m *Message) RunIn(b []byte) Run { return Run{m.kind, b} }

// Kind returns what the messages are about; nil for the zero Run.
func (r Run) Kind() *Kind { return r.kind }

// Len returns how many bytes the run takes.
func (r Run) Len() int { return len(r.bytes) }

// Bytes returns the messages' bytes.
func (r Run) Bytes() []byte { return r.bytes }

// Next makes m the first message of the run and drops it from the run. It returns
// false if there is none.
func (r *Run) Next(m *Message) bool {
	if len(r.bytes) == 0 {
		return false
	}
	n := wire.Len(r.bytes)
	m.bytes = r.bytes[:n:min(wire.Align(n), len(r.bytes))]
	m.index(r.kind, wire.Payload(r.bytes[:n])) // as it did when the message was checked
	r.bytes = r.bytes[min(wire.Align(n), len(r.bytes)):]
	return true
}

// Offsets yields where each message begins.
func (r Run) Offsets() iter.Seq[int] {
	return func(yield func(int) bool) {
		for off := 0; off < len(r.bytes) && yield(off); off += wire.Align(wire.Len(r.bytes[off:])) {
		}
	}
}

// Count returns how many messages the run has.
func (r Run) Count() (n int) {
	for range r.Offsets() {
		n++
	}
	return n
}

// At returns what is from an offset on at which a message begins.
func (r Run) At(offset int) Run { return Run{r.kind, r.bytes[offset:]} }

// Cut returns what is from one offset to another, at which messages begin.
func (r Run) Cut(from, to int) Run { return Run{r.kind, r.bytes[from:to:to]} }

// AppendRun appends a run that has messages.
func AppendRun(list []Run, r Run) []Run {
	if r.Len() == 0 {
		return list
	}
	return append(list, r)
}

// Packed returns runs with copies of the messages, in memory of their size.
func Packed(runs []Run) []Run {
	size := 0
	for _, r := range runs {
		size += len(r.bytes)
	}
	if size == 0 {
		return nil
	}
	all := Run{runs[0].kind, make([]byte, 0, size)}
	for _, r := range runs {
		all.bytes = append(all.bytes, r.bytes...)
	}
	return []Run{all}
}

// A Messages collects messages of one kind in memory of its own, which grows from what
// holds a few links to what wastes little of a router's routes.
type Messages struct {
	Runs []Run

	count int
}

// Count returns how many messages there are.
func (l *Messages) Count() int { return l.count }

const (
	minRun = 512
	maxRun = 1 << 20
)

// Add appends a copy of a message.
func (l *Messages) Add(m *Message) { l.add(m.kind, m.bytes) }

func (l *Messages) add(k *Kind, msg []byte) {
	need := wire.Align(len(msg))
	last := len(l.Runs) - 1
	if last < 0 || cap(l.Runs[last].bytes)-len(l.Runs[last].bytes) < need {
		size := minRun
		if last >= 0 {
			size = min(2*cap(l.Runs[last].bytes), maxRun)
		}
		l.Runs = append(l.Runs, Run{k, make([]byte, 0, max(size, need))})
		last++
	}
	l.Runs[last].bytes = wire.AppendMessage(l.Runs[last].bytes, msg)
	l.count++
}

// AddKnown appends a copy of a message that has only the attributes which are decoded.
func (l *Messages) AddKnown(m *Message) {
	if m.kind.Known == 0 {
		l.Add(m)
		return
	}
	var room [256]byte // of most
	l.add(m.kind, m.appendSome(room[:0], m.kind.Known))
}

// Each calls f for every message of some runs, as long as it returns true. The message is
// valid until the next.
func Each(runs []Run, f func(*Message) bool) {
	if len(runs) == 0 {
		return // with no need for a Message, which is allocated
	}
	var m Message
	for _, r := range runs {
		for r.Next(&m) {
			if !f(&m) {
				return
			}
		}
	}
}

// Decode decodes the first message of a run of a kind's; false: there is none.
func Decode[T any](r Run, k Values[T], v *T) bool {
	var m Message
	if !r.Next(&m) {
		return false
	}
	k.Decode(v, &m)
	return true
}
