package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kernelroutes/rtnl/author"
	"kernelroutes/rtnl/events"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// Events returns the events that were recorded after one, by its Seq, oldest first. The slice is
// the caller's. An *Error says that the file has none because nothing was followed.
func (c *Capture) Events(_ context.Context, after uint64) ([]*events.Event, error) {
	switch {
	case c.coverage != nil:
		return nil, &Error{"the recording has no events, which tell who changed what", followAgain}
	case !c.followed:
		return nil, &Error{"the capture has no events: it was made without --follow", followAgain}
	}
	i, _ := slices.BinarySearchFunc(c.events, after, func(e *events.Event, after uint64) int {
		if e.Seq <= after {
			return -1
		}
		return 1
	})
	return slices.Clone(c.events[i:]), nil
}

const followAgain = "record them with capture --follow SECONDS"

// An eventReader reads the events of a capture.
type eventReader struct {
	events   []*events.Event
	authors  []*author.Author
	referred []*object.Run
	wanted   []wantedMessages // that come next
	ended    bool             // before its time
}

// wantedMessages are those of an object that a text has told of.
type wantedMessages struct {
	kind *object.Kind
	left int
	to   *object.Run
}

// want says that messages come next.
func (r *eventReader) want(k *object.Kind, n int, to *object.Run) {
	if n > 0 {
		r.wanted = append(r.wanted, wantedMessages{k, n, to})
	}
}

// message takes in a message that is wanted.
func (r *eventReader) message(m *object.Message, msg []byte) error {
	w := &r.wanted[0]
	if typ := wire.Type(msg); typ != w.kind.New && typ != w.kind.Del {
		return fmt.Errorf("a message of type %d is where an event has a %s", typ, w.kind.Name)
	}
	if err := w.kind.Check(m, msg); err != nil {
		return err
	}
	*w.to = m.RunIn(wire.AppendMessage(w.to.Bytes(), msg))
	if w.left--; w.left == 0 {
		r.wanted = r.wanted[1:]
	}
	return nil
}

// text reads a text of an event. known: it is one.
func (r *eventReader) text(b []byte) (size int, known bool, err error) {
	title, lines, _ := bytes.Cut(b, []byte{'\n'})
	switch string(title) {
	case eventText:
		size, err = r.event(string(lines))
	case authorText:
		err = r.author(string(lines))
	case referredText:
		err = r.refer(string(lines))
	case endText:
		r.ended = true
	default:
		return 0, false, nil
	}
	return size, true, err
}

// fields calls set for every field in the lines of a text, which reports whether it is none.
func fields(what, lines string, set func(name, value string) error) error {
	for line := range strings.Lines(lines) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if set(name, value) != nil {
			return fmt.Errorf("the %s of an %s is %q", name, what, value)
		}
	}
	return nil
}

// event reads what eventWriter.event wrote, and returns the event's size in memory without messages.
func (r *eventReader) event(lines string) (size int, err error) {
	e := new(events.Event)
	objects, old := 0, 0
	err = fields(eventText, lines, func(name, value string) (err error) {
		switch name {
		case "object":
			return setCount(&objects, value)
		case "old":
			return setCount(&old, value)
		}
		return r.field(e, name, value)
	})
	last := uint64(0)
	if n := len(r.events); n > 0 {
		last = r.events[n-1].Seq
	}
	switch {
	case err != nil:
		return 0, err
	case e.Seq <= last:
		return 0, fmt.Errorf("event %d comes after event %d", e.Seq, last)
	case e.Action == events.Lost && (e.Kind != nil || objects+old > 0), e.Action != events.Lost && (e.Kind == nil ||
		objects == 0):
		return 0, fmt.Errorf("event %d has not the objects that one with the action %s has", e.Seq, e.Action)
	}
	r.want(e.Kind, objects, &e.Object)
	r.want(e.Kind, old, &e.Old)
	r.events = append(r.events, e)
	return sizeOf(e), nil
}

// sizeOf returns how many bytes of memory an event takes, by and large, with the list of what it
// refers to, which a file may have for each of many.
func sizeOf(e *events.Event) int {
	const run = 32 // an object.Run
	return e.Size() + run*len(e.Referred)
}

var errNoWord = errors.New("no such word")

// field sets a field of an event.
func (r *eventReader) field(e *events.Event, name, value string) (err error) {
	ok := true
	switch name {
	case "seq":
		e.Seq, err = strconv.ParseUint(value, 10, 64)
	case "time":
		e.Time, err = strconv.ParseInt(value, 10, 64)
	case "uptime":
		e.Uptime, err = strconv.ParseInt(value, 10, 64)
	case "action":
		e.Action, ok = events.ParseAction(value)
	case "lost":
		e.Lost, err = strconv.ParseBool(value)
	case "kind":
		e.Kind = kindNamed(value)
		ok = e.Kind != nil
	case "twin":
		err = setCount(&e.Twin, value)
	case "old_twin":
		err = setCount(&e.OldTwin, value)
	case "told":
		e.Told, err = strconv.ParseBool(value)
	case "port":
		err = setU32(&e.Port, value)
	case "author":
		n := 0
		if err = setCount(&n, value); err == nil && (n == 0 || n > len(r.authors)) {
			return errNoWord
		}
		if err == nil {
			e.Author = r.authors[n-1]
		}
	case "certainty":
		e.Certainty, ok = author.ParseCertainty(value)
	case "referred":
		return r.setReferred(e, value)
	}
	if !ok {
		return errNoWord
	}
	return err
}

// setReferred sets what an event refers to, by numbers.
func (r *eventReader) setReferred(e *events.Event, numbers string) error {
	e.Referred = nil
	for number := range strings.SplitSeq(numbers, " ") {
		n := 0
		if err := setCount(&n, number); err != nil {
			return err
		}
		if n == 0 || n > len(r.referred) {
			return errNoWord
		}
		e.Referred = append(e.Referred, *r.referred[n-1])
	}
	return nil
}

// author reads what eventWriter.author wrote.
func (r *eventReader) author(lines string) error {
	a := new(author.Author)
	r.authors = append(r.authors, a)
	return fields(authorText, lines, func(name, value string) (err error) {
		switch name {
		case "pid":
			err = setU32(&a.PID, value)
		case "parent_pid":
			err = setU32(&a.ParentPID, value)
		case "uid":
			err = setU32(&a.UID, value)
		case "name":
			a.Name, err = strconv.Unquote(value)
		case "path":
			a.Path, err = strconv.Unquote(value)
		case "cgroup":
			a.Cgroup, err = strconv.Unquote(value)
		}
		return err
	})
}

// refer reads what eventWriter.refer wrote.
func (r *eventReader) refer(lines string) error {
	var k *object.Kind
	n, run := 0, new(object.Run)
	r.referred = append(r.referred, run)
	err := fields(referredText, lines, func(name, value string) error {
		switch name {
		case "kind":
			// An event's snapshot has no other kinds.
			if k = kindNamed(value); k == nil || k == object.Addresses {
				return errNoWord
			}
		case "object":
			return setCount(&n, value)
		}
		return nil
	})
	if err == nil && (k == nil || n == 0) {
		err = errors.New("an event refers to no objects")
	}
	r.want(k, n, run)
	return err
}

// kindNamed returns the kind of objects with a name that events are about; nil: there is none.
func kindNamed(name string) *object.Kind {
	if name == object.Addresses.Name {
		return object.Addresses
	}
	for _, k := range object.Kinds {
		if k.Name == name {
			return k
		}
	}
	return nil
}

func setU32(to *uint32, value string) error {
	n, err := strconv.ParseUint(value, 10, 32)
	*to = uint32(n)
	return err
}

func setCount(to *int, value string) error {
	n, err := strconv.ParseUint(value, 10, 31)
	*to = int(n)
	return err
}
