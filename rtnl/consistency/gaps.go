package consistency

import "kernelroutes/rtnl/object"

// changed reports whether a table may have changed while the dump ran, or is not all
// there.
func (d *Dump) changed(t object.Table) bool {
	return d.interrupted || !d.Reached(t) || d.heard.table(d.Kind, t)
}

// touched are the objects that were heard of since the reading began.
func (d *Dump) touched() *touched { return &d.heard.heard(d.Kind).touched }

// Reached reports whether the dump has certainly come to the end of a table: one of
// IPv6 that may have ended too early, where a table comes after it. The kernel goes
// by the low byte of a table's number (inet6_dump_fib).
func (d *Dump) Reached(t object.Table) bool {
	n := len(d.Parts)
	return !d.Truncated || n > 0 && t.ID&0xff < d.Parts[n-1].ID&0xff
}

// Asked reports whether the dump would have brought the objects of a table.
func (d *Dump) Asked(t object.Table) bool {
	return d.Request.Asks(t) && !(d.EndedBeforeIPv6 && t.Family != object.IPv4) &&
		!(d.WithoutIPv6 && t.Family == object.IPv6)
}

// FindGaps notes before and after which parts of the dump something may have been passed
// over, once it is known what changed while it ran: where a datagram ends, that depends on
// how the kernel finds its place again (see object.Resume). Only the first call counts.
func (d *Dump) FindGaps(heard *Changes) {
	if d.heard != nil {
		return
	}
	if d.until != nil {
		heard = d.until
	}
	d.heard = heard
	of := heard.heard(d.Kind)
	of.sort()
	for i := range d.Parts {
		p := &d.Parts[i]
		to := [4]byte{255, 255, 255, 255}
		same := i+1 < len(d.Parts) && d.Parts[i+1].Table == p.Table
		if same {
			to = [4]byte(d.Parts[i+1].first.Dst[:])
		}
		order := d.Kind.Order(p.Family)
		sure := order.Resume == object.Exact ||
			order.Resume == object.ByAddress && !d.interrupted && !of.between([4]byte(p.last.Dst[:]), to)
		switch {
		case same:
			next := &d.Parts[i+1]
			next.follows = sure && order.Compare(&p.last, &next.first) < 0
		case i+1 < len(d.Parts):
			p.ends = sure || !p.cut
		default:
			// A dump of one family ends in the same way where an object does not fit.
			p.ends = !p.cut || sure && d.Request.Family == 0 || d.done && d.Kind.Unlocked
		}
	}
}
