package shell

import (
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/author"
	"kernelroutes/rtnl/events"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/iptext"
)

// A change as text is made of parts, as "via 192.0.2.1" and "metric 100". So what was replaced is
// shown by those parts of it that are others now.

const (
	clock       = "15:04:05.000"
	actionWidth = len("replaced ") // of the longest action, with a blank
)

// appendText appends the event in a line.
func (m *monitor) appendText(b []byte) []byte {
	e := m.event
	b = append(e.At().AppendFormat(b, clock), ' ')
	b = iptext.Pad(append(b, e.Action.String()...), len(b), actionWidth)
	b = append(b, ' ')
	if e.Action == events.Lost {
		return append(b, "changes before this are not known: they came too fast; what differs now comes next, as "+
			"added and gone"...)
	}
	now := m.parts(e.Object, e.Snapshot())
	b = append(b, strings.Join(now, " ")...)
	if was := iptext.Others(m.parts(e.Old, e.OldSnapshot()), now); len(was) > 0 {
		b = append(append(b, ", was "...), strings.Join(was, " ")...)
	}
	return appendAuthor(b, e)
}

// appendAuthor appends who has done it, and how sure that is.
func appendAuthor(b []byte, e *events.Event) []byte {
	a := e.Author
	switch {
	case e.Action == events.Present:
		return b
	case a == nil && e.Certainty == author.Kernel:
		return append(b, "  by the kernel"...)
	case a == nil && e.Told && e.Port == 0:
		return append(b, "  by a process that is not known, as it was not asked for over netlink"...)
	case a == nil && e.Told:
		return iptext.AppendNumber(b, "  by a process that is not known, port ", e.Port)
	case a == nil:
		return append(b, "  by whom is not known"...)
	}
	b = append(append(b, "  by "...), a.Name...)
	b = append(iptext.AppendNumber(b, "[", a.PID), ']')
	b = iptext.AppendNumber(b, " uid ", a.UID)
	if a.Path != "" {
		b = append(append(append(b, " ("...), a.Path...), ')')
	}
	switch e.Certainty {
	case author.OtherSocket:
		b = append(b, ", by another socket than its first"...)
	case author.OtherNamespace:
		b = append(b, ", in another PID namespace"...)
	case author.Unknown:
		b = append(b, ", which is not certain"...)
	}
	return b
}

// parts describe an object, with what it refers to in a snapshot.
func (m *monitor) parts(of object.Run, snap *rtnl.Snapshot) []string {
	var msg object.Message
	kind := of.Kind()
	if !of.Next(&msg) {
		return nil
	}
	switch kind {
	case object.Routes.Kind:
		c := snap.Cursor(object.AllFields)
		c.Next()
		return m.Route(c.Route(), snap)
	case object.Rules.Kind:
		var r object.Rule
		object.Rules.Decode(&r, &msg)
		return m.Rule(&r)
	case object.NexthopObjects.Kind:
		var o object.NexthopObject
		object.NexthopObjects.Decode(&o, &msg)
		return m.NexthopObject(&o, snap)
	case object.Links.Kind:
		var l object.Link
		object.Links.Decode(&l, &msg)
		p := []string{kind.Name, l.Name}
		switch flags := object.LinkFlags(&msg); {
		case m.event.Action == events.Deleted:
		case flags&object.IFF_UP == 0:
			p = append(p, "down")
		case flags&object.IFF_LOWER_UP == 0:
			p = append(p, "without carrier")
		}
		return p
	}
	var a object.InterfaceAddress
	a.Decode(&msg)
	return []string{kind.Name, iptext.Prefix(a.Address), "dev " + iptext.LinkName(snap, a.Link)}
}
