package capture

import (
	"fmt"
	"strconv"

	"kernelroutes/rtnl/author"
	"kernelroutes/rtnl/events"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// An eventWriter writes the events of a capture.
type eventWriter struct {
	*captureWriter
	limit    int // bytes that whoever reads the file keeps
	authors  written[author.Author]
	referred written[referredKey]
}

func newEventWriter(c *captureWriter) *eventWriter {
	// The last packets must still fit.
	return &eventWriter{captureWriter: c, limit: maxKept - 2*maxPacket}
}

// written has the numbers of what is in the file, to be referred to.
type written[T comparable] struct {
	last    int
	size    int // bytes of memory, by and large
	numbers map[T]int
}

// maxWritten is how much memory is used to know what is in the file. What is forgotten comes again.
const maxWritten = 16 << 20

// number returns the number of something. first: it is not in the file and must be written now.
func (w *written[T]) number(of T, size int) (n int, first bool) {
	if n, known := w.numbers[of]; known {
		return n, false
	}
	if w.size += size + 64; w.numbers == nil || w.size > maxWritten {
		w.numbers, w.size = map[T]int{}, size+64
	}
	w.last++
	w.numbers[of] = w.last
	return w.last, true
}

// A referredKey is what makes objects that events refer to the same.
type referredKey struct {
	kind  *object.Kind
	bytes string
}

// size is how many bytes whoever reads it keeps of an event, at most.
func (w *eventWriter) size(e *events.Event) int {
	n := maxEventText + e.Size()
	for _, r := range e.Referred {
		n += maxEventText + r.Len()
	}
	return n
}

// maxEventText is more than a text about an event, an author or what is referred to takes, but for
// paths in it.
const maxEventText = 1 << 10

// fits reports whether the file can be read with the event.
func (w *eventWriter) fits(e *events.Event) bool {
	return w.kept+w.size(e) <= w.limit
}

// event writes an event.
func (w *eventWriter) event(e *events.Event) {
	w.at(e.At())
	by := w.author(e.Author)
	var referred []byte
	for _, r := range e.Referred {
		referred = strconv.AppendInt(append(referred, ' '), int64(w.refer(r)), 10)
	}
	b := []byte(eventText + "\n")
	b = appendField(b, "seq", e.Seq)
	b = appendField(b, "time", e.Time)
	b = appendField(b, "uptime", e.Uptime)
	b = fmt.Appendf(b, "action %s\n", e.Action)
	if e.Lost {
		b = append(b, "lost 1\n"...)
	}
	if e.Kind != nil {
		b = fmt.Appendf(b, "kind %s\n", e.Kind.Name)
	}
	b = appendField(b, "twin", e.Twin)
	b = appendField(b, "old_twin", e.OldTwin)
	if e.Told {
		b = append(b, "told 1\n"...)
	}
	b = appendField(b, "port", e.Port)
	b = appendField(b, "author", by)
	b = fmt.Appendf(b, "certainty %s\n", e.Certainty)
	if len(referred) > 0 {
		b = fmt.Appendf(b, "referred%s\n", referred)
	}
	b = appendField(b, "object", e.Object.Count())
	b = appendField(b, "old", e.Old.Count())
	w.text(b)
	w.run(e.Object)
	w.run(e.Old)
	w.kept += sizeOf(e) - e.Object.Len() - e.Old.Len() // which are counted
}

// appendField appends the line of a field, unless it is zero.
func appendField[T int | int64 | uint32 | uint64](b []byte, name string, v T) []byte {
	if v == 0 {
		return b
	}
	return fmt.Appendf(b, "%s %d\n", name, v)
}

// author writes an author if it is not in the file, and returns its number; 0 for nil.
func (w *eventWriter) author(a *author.Author) int {
	if a == nil {
		return 0
	}
	n, first := w.authors.number(*a, len(a.Name)+len(a.Path)+len(a.Cgroup))
	if first {
		b := []byte(authorText + "\n")
		b = appendField(b, "pid", a.PID)
		b = appendField(b, "parent_pid", a.ParentPID)
		b = appendField(b, "uid", a.UID)
		w.text(fmt.Appendf(b, "name %q\npath %q\ncgroup %q\n", a.Name, a.Path, a.Cgroup))
	}
	return n
}

// refer writes objects that are referred to if they are not in the file, and returns their number.
func (w *eventWriter) refer(r object.Run) int {
	n, first := w.referred.number(referredKey{r.Kind(), string(r.Bytes())}, r.Len())
	if first {
		w.text(fmt.Appendf(nil, "%s\nkind %s\nobject %d\n", referredText, r.Kind().Name, r.Count()))
		w.run(r)
	}
	return n
}

// run writes messages.
func (w *eventWriter) run(r object.Run) {
	for msg := range wire.Messages(r.Bytes()) {
		w.message(msg)
	}
}
