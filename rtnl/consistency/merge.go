package consistency

import (
	"bytes"
	"slices"

	"kernelroutes/rtnl/object"
)

// A segment is what one dump brought of a table without a gap: one part, or several
// that follow each other. The objects at its very ends may be incomplete, as the
// datagram may have begun or ended among objects of one position; so it vouches
// for what is strictly between, and beyond an end where it is open.
type segment struct {
	parts []Part
}

func (p *segment) begins() bool { return p.parts[0].begins }
func (p *segment) ends() bool   { return p.parts[len(p.parts)-1].ends }

// Where a segment begins and ends, in memory of its parts: each is compared with all others, and a
// position whose address a function takes would be allocated each time.
func (p *segment) first() *object.Position { return &p.parts[0].first }
func (p *segment) last() *object.Position  { return &p.parts[len(p.parts)-1].last }

// Merge puts one list of objects together from dumps that ran one after the
// other, the newest last, and whose gaps were found. Tables that are not wanted are left
// out. A table in which nothing changed while a dump ran is taken from that dump,
// the newest one. Of the others each position is taken from exactly one segment, and
// where one segment ends another must have begun before, and go on: then no object that was there
// all the time can be missing or come twice, and one that was changed is as it was
// before or after. missing are the tables of which the segments leave something out;
// what is known of them is in the list nevertheless.
//
// That nothing changed in a table is taken from a dump without locks only where the one after
// it heard of nothing either (see unchanged), and before it what the segments prove. Where
// neither does, it is as if nobody had touched an object that several segments have.
//
// Of a table that was counted (Dump.CountBy) there is a tally instead, where one dump is
// enough; counted is nil if there is none. It is not where an object may be in part that the
// kernel was adding to: growing are messages that tell of such objects (see Complete).
func Merge(dumps []*Dump, wanted func(object.Table) bool, growing []object.Run) (
	list []object.Run, counted *object.Tally, missing []object.Table) {
	grown := map[object.Table]bool{}
	object.Each(growing, func(m *object.Message) bool {
		grown[m.Kind().Table(m)] = true
		return true
	})
	order, walks := byTable(dumps, wanted)
	for _, t := range order {
		all := walks[t]
		compare := all[0].dump.Kind.Order(t.Family).Compare
		unchanged := unchanged(dumps, t, grown[t])
		var taken walked // in full
		whole := true
		unlocked := compare != nil && all[0].dump.Kind.Unlocked && (len(all) > 1 || len(all[0].parts) == 1)
		if unlocked {
			if proved, whole := prove(all, compare, dumps[len(dumps)-1].touched()); whole {
				list = append(list, proved...)
				continue
			}
		}
		switch i := slices.IndexFunc(all, func(w walked) bool { return w.dump == unchanged }); {
		case i >= 0:
			taken = all[i]
		case unchanged != nil: // all objects of the table have gone
		case compare == nil:
			taken = all[len(all)-1]
			whole = len(taken.parts) == 1 && taken.parts[0].begins && taken.parts[0].ends
		default:
			var p []segment
			for _, w := range all {
				if !w.dump.counts(t) {
					p = appendSegments(p, w.parts)
				} else if !grown[t] && w.uninterrupted() {
					taken = w
				}
			}
			if taken.dump != nil {
				break
			}
			if unlocked {
				if likely, ok := splice(all[0].dump.Kind, all, new(touched)); ok {
					list, whole = append(list, likely...), false
					break
				}
			}
			list, whole = cover(list, compare, p)
		}
		for _, r := range taken.parts {
			list = object.AppendRun(list, r.data)
		}
		if taken.dump != nil && taken.dump.counts(t) {
			if counted == nil {
				counted = object.NewTally(*taken.dump.CountBy)
			}
			counted.Union(taken.dump.tallies[t])
		}
		if !whole {
			missing = append(missing, t)
		}
	}
	return list, counted, missing
}

// unchanged returns the newest dump while which nothing changed in a table; nil: there is none.
//
// Of a dump without locks that is known only once another one, which came after it, has heard
// of nothing either: the kernel tells of a rule after it has let go of its lock (fib_newrule,
// since Linux 6.15), so that the dump may have seen a change of which it is told later. That
// may take longer than the other dump where whoever made the change has to wait for a
// processor, but then the two dumps differ.
//
// A dump that counts tells nothing of a table in which an object may have been in part (grown).
func unchanged(dumps []*Dump, t object.Table, grown bool) (newest *Dump) {
	var before *Dump // a dump without locks that heard of nothing
	for _, d := range dumps {
		switch {
		case !d.Asked(t), d.counts(t) && grown:
		case d.changed(t):
			before = nil
		case !d.Kind.Unlocked || d.Locked:
			newest, before = d, nil
		default:
			if before != nil && alike(before, d, t) {
				newest = before
			}
			before = d
		}
	}
	return newest
}

// alike reports whether two dumps have the same of a table.
func alike(a, b *Dump, t object.Table) bool {
	return bytes.Equal(a.content(t), b.content(t))
}

// content returns the payloads of a table's messages.
func (d *Dump) content(t object.Table) (b []byte) {
	for _, p := range d.Parts {
		if p.Table == t {
			object.Each([]object.Run{p.data}, func(m *object.Message) bool {
				b = append(b, m.Payload()...)
				return true
			})
		}
	}
	return b
}

// prove puts a table together from dumps without locks, by what their datagrams have alone.
func prove(all []walked, compare compare, t *touched) (list []object.Run, whole bool) {
	var p []segment
	for _, w := range all {
		p = appendSegments(p, w.parts)
	}
	if list, whole = cover(nil, compare, p); whole {
		return list, true
	}
	return splice(all[0].dump.Kind, all, t)
}

// A walked is what a dump brought of one table.
type walked struct {
	dump  *Dump
	parts []Part
}

// uninterrupted reports whether it is the table from its beginning to its end.
func (w *walked) uninterrupted() bool {
	all := appendSegments(nil, w.parts)
	return len(all) == 1 && all[0].begins() && all[0].ends()
}

// byTable sorts what dumps brought by its table, in the order in which tables first came.
func byTable(dumps []*Dump, wanted func(object.Table) bool) (order []object.Table, walks map[object.Table][]walked) {
	walks = map[object.Table][]walked{}
	for _, d := range dumps {
		for parts := d.Parts; len(parts) > 0; {
			t := parts[0].Table
			n := 1
			for n < len(parts) && parts[n].Table == t {
				n++
			}
			if wanted(t) {
				if walks[t] == nil {
					order = append(order, t)
				}
				walks[t] = append(walks[t], walked{d, parts[:n]})
			}
			parts = parts[n:]
		}
	}
	return order, walks
}

// appendSegments joins the parts of a dump that follow each other.
func appendSegments(all []segment, parts []Part) []segment {
	from := 0
	for i := range parts {
		if i > 0 && !parts[i].follows {
			all = append(all, segment{parts[from:i]})
			from = i
		}
	}
	return append(all, segment{parts[from:]})
}

// cover walks from the beginning of a table to its end over segments that overlap.
func cover(list []object.Run, f compare, all []segment) (_ []object.Run, whole bool) {
	whole = true
	taken := interval{compare: f}
	current := best(all, f, func(p *segment) bool { return p.begins() })
	if current == nil {
		whole, current = false, leftmost(all, f, nil)
	}
	for current != nil {
		end := current.last()
		next := best(all, f, func(p *segment) bool {
			return p.begins() || f(p.first(), end) < 0
		})
		switch {
		case current.ends():
			next = nil
			taken.upper = nil
		case next != nil && (next.ends() || reaches(f, next, end)):
			taken.upper = end
		default:
			// A gap. Go on with what comes nearest after it.
			whole = false
			next = leftmost(all, f, end)
			taken.upper = nil
		}
		var ordered bool
		list, ordered = taken.appendTo(list, current)
		whole = whole && ordered
		taken.lower, taken.after = end, taken.upper == nil
		current = next
	}
	return list, whole
}

// reaches reports whether a segment leads beyond a position.
func reaches(f compare, p *segment, end *object.Position) bool {
	return f(p.last(), end) > 0
}

// best returns the segment that reaches farthest of those that are allowed.
func best(all []segment, f compare, allowed func(*segment) bool) *segment {
	var far *segment
	for i := range all {
		p := &all[i]
		if !allowed(p) {
			continue
		}
		if far == nil || p.ends() && !far.ends() {
			far = p
		} else if !far.ends() && f(p.last(), far.last()) > 0 {
			far = p
		}
	}
	return far
}

// leftmost returns the segment that begins first of those that reach beyond after.
func leftmost(all []segment, f compare, after *object.Position) *segment {
	var left *segment
	for i := range all {
		p := &all[i]
		if after != nil && !reaches(f, p, after) {
			continue
		}
		if left == nil || f(p.first(), left.first()) < 0 {
			left = p
		}
	}
	return left
}

// A compare orders positions: see object.Order.
type compare func(a, b *object.Position) int

// An interval is the part of a table that is taken from one segment.
type interval struct {
	compare
	lower *object.Position // from here on; nil: from the beginning
	after bool             // but without the objects at lower itself
	upper *object.Position // up to here, without the objects at upper; nil: to the end
}

// appendTo appends the messages of the segment that are in the interval. ordered is
// false where they do not come in the order that compare knows.
func (s *interval) appendTo(list []object.Run, p *segment) (_ []object.Run, ordered bool) {
	ordered = true
	var m object.Message
	var pos, before object.Position // out of the loop, in which one would be allocated for each message
	first := true
	for _, part := range p.parts {
		from, to, off := part.data.Len(), 0, 0
		for left := part.data; left.Next(&m); {
			pos = m.Kind().Position(&m)
			ordered = ordered && (first || s.compare(&before, &pos) <= 0)
			before, first = pos, false
			next := part.data.Len() - left.Len()
			if s.holds(&pos) {
				from, to = min(from, off), next
			}
			off = next
		}
		if from < to {
			list = object.AppendRun(list, part.data.Cut(from, to))
		}
	}
	return list, ordered
}

func (s *interval) holds(pos *object.Position) bool {
	if s.lower != nil {
		if c := s.compare(pos, s.lower); c < 0 || c == 0 && s.after {
			return false
		}
	}
	return s.upper == nil || s.compare(pos, s.upper) < 0
}

// Again changes a request to one for the tables that have to be dumped again. With alone
// it is for the one table alone, if there is only one: then it cannot be told where the
// table ends if it changes again; else from what comes after it in the same datagram.
func Again(req object.DumpRequest, missing []object.Table, alone bool) object.DumpRequest {
	one := missing[0]
	req.Table = 0
	if slices.ContainsFunc(missing, func(t object.Table) bool { return t.Family != one.Family }) {
		return req
	}
	if one.Family == object.IPv6 {
		// Without the RTNL lock on recent kernels, and without walking IPv4.
		req.Family = one.Family
	}
	if alone && len(missing) == 1 {
		req.Table = one.ID
	}
	return req
}
