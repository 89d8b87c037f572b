package rtnl

import (
	"slices"
)

// A piece is a stretch of one group's walk without a gap: one run, or several
// that follow each other. The routes at its very ends may be incomplete, as the
// datagram may have begun or ended among routes of one position; so it vouches
// for what is strictly between, and beyond an end where it is open.
type piece struct {
	runs []run
}

func (p *piece) begins() bool    { return p.runs[0].begins }
func (p *piece) ends() bool      { return p.runs[len(p.runs)-1].ends }
func (p *piece) first() position { return p.runs[0].first }
func (p *piece) last() position  { return p.runs[len(p.runs)-1].last }

// merge puts one list of routes together from dumps that ran one after the
// other, the newest last, and were judged. Groups that are not wanted are left
// out. A group in which nothing changed while a dump ran is taken from that dump,
// the newest one. Of the others each stretch is taken from exactly one piece, and
// where one piece ends another must have been inside: then no route that was there
// all the time can be missing or come twice, and one that was changed is its old
// or its new self. missing are the groups where the pieces do not reach that far;
// what is known of them is in the list nevertheless.
//
// Of a group that was counted there is a number instead, where one dump is enough.
func merge(dumps []*routeDump, wanted func(group) bool) (list [][]byte, counted int, missing []group) {
	type walk struct {
		dump *routeDump
		runs []run
	}
	var order []group
	walks := map[group][]walk{}
	for _, d := range dumps {
		for runs := d.runs; len(runs) > 0; {
			g := runs[0].group
			n := 1
			for n < len(runs) && runs[n].group == g {
				n++
			}
			if wanted(g) {
				if walks[g] == nil {
					order = append(order, g)
				}
				walks[g] = append(walks[g], walk{d, runs[:n]})
			}
			runs = runs[n:]
		}
	}
	for _, g := range order {
		all := walks[g]
		var quiet *routeDump // the newest in which nothing changed
		for _, d := range dumps {
			if d.asked(g) && !d.changed(g) {
				quiet = d
			}
		}
		var taken []run // in full
		whole := true
		switch i := slices.IndexFunc(all, func(w walk) bool { return w.dump == quiet }); {
		case i >= 0:
			taken = all[i].runs
		case quiet != nil: // all routes of the group have gone
		case !g.family.ordered():
			taken = all[len(all)-1].runs
			whole = len(taken) == 1 && taken[0].begins && taken[0].ends
		default:
			var p, counts []piece
			for _, w := range all {
				if w.dump.counts(g) {
					counts = appendPieces(counts, w.runs)
				} else {
					p = appendPieces(p, w.runs)
				}
			}
			if len(counts) == 1 && counts[0].begins() && counts[0].ends() {
				taken = counts[0].runs
				break
			}
			list, whole = cover(list, g.family, p)
		}
		for _, r := range taken {
			list = appendRun(list, r.data)
			counted += r.counted
		}
		if !whole {
			missing = append(missing, g)
		}
	}
	return list, counted, missing
}

func appendRun(list [][]byte, data []byte) [][]byte {
	if len(data) == 0 {
		return list
	}
	return append(list, data)
}

// appendPieces joins the runs of a dump that follow each other.
func appendPieces(all []piece, runs []run) []piece {
	from := 0
	for i := range runs {
		if i > 0 && !runs[i].follows {
			all = append(all, piece{runs[from:i]})
			from = i
		}
	}
	return append(all, piece{runs[from:]})
}

// cover walks from the beginning of a group to its end over pieces that overlap.
func cover(list [][]byte, f Family, all []piece) (_ [][]byte, whole bool) {
	whole = true
	taken := span{f: f}
	current := best(all, f, func(p *piece) bool { return p.begins() })
	if current == nil {
		whole, current = false, leftmost(all, f, nil)
	}
	for current != nil {
		end := current.last()
		next := best(all, f, func(p *piece) bool {
			first := p.first()
			return p.begins() || f.compare(&first, &end) < 0
		})
		switch {
		case current.ends():
			next = nil
			taken.upper = nil
		case next != nil && (next.ends() || reaches(f, next, &end)):
			taken.upper = &end
		default:
			// A gap. Go on with what comes nearest after it.
			whole = false
			next = leftmost(all, f, &end)
			taken.upper = nil
		}
		var ordered bool
		list, ordered = taken.appendTo(list, current)
		whole = whole && ordered
		taken.lower, taken.after = &end, taken.upper == nil
		current = next
	}
	return list, whole
}

// reaches reports whether a piece leads beyond a position.
func reaches(f Family, p *piece, end *position) bool {
	last := p.last()
	return f.compare(&last, end) > 0
}

// best returns the piece that reaches farthest of those that are allowed.
func best(all []piece, f Family, allowed func(*piece) bool) *piece {
	var far *piece
	for i := range all {
		p := &all[i]
		if !allowed(p) {
			continue
		}
		if far == nil || p.ends() && !far.ends() {
			far = p
		} else if !far.ends() {
			a, b := p.last(), far.last()
			if f.compare(&a, &b) > 0 {
				far = p
			}
		}
	}
	return far
}

// leftmost returns the piece that begins first of those that reach beyond after.
func leftmost(all []piece, f Family, after *position) *piece {
	var left *piece
	for i := range all {
		p := &all[i]
		first := p.first()
		if after != nil && !reaches(f, p, after) {
			continue
		}
		if left != nil {
			if l := left.first(); f.compare(&first, &l) >= 0 {
				continue
			}
		}
		left = p
	}
	return left
}

// A span is the part of a group that is taken from one piece.
type span struct {
	f     Family
	lower *position // from here on; nil: from the beginning
	after bool      // but without the routes at lower itself
	upper *position // up to here, without the routes at upper; nil: to the end
}

// appendTo appends the messages of the piece that are in the span. ordered is
// false where they do not come in the order that compare knows.
func (s *span) appendTo(list [][]byte, p *piece) (_ [][]byte, ordered bool) {
	ordered = true
	var before *position
	for _, r := range p.runs {
		from, to := len(r.data), 0
		for off := 0; off < len(r.data); {
			h := headAt(r.data[off:])
			pos := positionOf(&h)
			ordered = ordered && (before == nil || s.f.compare(before, &pos) <= 0)
			before = &pos
			n := align4(int(u32(r.data[off:])))
			if s.holds(&pos) {
				from, to = min(from, off), off+n
			}
			off += n
		}
		if from < to {
			list = appendRun(list, r.data[from:to])
		}
	}
	return list, ordered
}

func (s *span) holds(pos *position) bool {
	if s.lower != nil {
		if c := s.f.compare(pos, s.lower); c < 0 || c == 0 && s.after {
			return false
		}
	}
	return s.upper == nil || s.f.compare(pos, s.upper) < 0
}

// missingRequest changes a request to one for the groups that have to be dumped
// again. With narrow it is for the table alone, if there is only one: then it
// cannot be told where the table ends if it changes again; else from what comes
// after it in the same datagram.
func missingRequest(req dumpRequest, missing []group, narrow bool) dumpRequest {
	one := missing[0]
	req.table = 0
	if slices.ContainsFunc(missing, func(g group) bool { return g.family != one.family }) {
		return req
	}
	if one.family == IPv6 {
		// Without the RTNL lock on recent kernels, and without walking IPv4.
		req.family = one.family
	}
	if narrow && len(missing) == 1 {
		req.table = one.table
	}
	return req
}
