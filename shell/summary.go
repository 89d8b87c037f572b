package shell

import (
	"context"
	"net/netip"
	"strconv"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/iptext"
)

// printSummary prints a line a route, in the older module's layout, and below it
// the nexthops of a route that has several.
func printSummary(ctx context.Context, o *output, snap *rtnl.Snapshot, names *iproute2.Names) error {
	total := 0
	for c := snap.Cursor(0); c.Next(); {
		total++
	}
	rule := strings.Repeat("=", 70)
	o.buf = append(o.buf, rule+"\nROUTING TABLE QUERY\n"+rule+"\n\n"...)
	o.buf = append(o.buf, "Total routes: "+strconv.Itoa(total)+"\n\nRoute entries:\n\n"...)
	var hops []object.Nexthop
	for c := snap.Cursor(object.FieldDst | object.FieldNexthops | object.FieldPriority); c.Next(); {
		r := c.Route()
		o.buf = iptext.Pad(object.AppendPrefix(append(o.buf, "  "...), r.Dst), len(o.buf)+2, 40)
		hops = iptext.Nexthops(snap, r, hops)
		switch {
		case iptext.Several(r, hops):
		case len(hops) == 1:
			o.buf = appendHop(o.buf, snap, hops[0].Gateway, hops[0].OIF)
		default:
			o.buf = appendHop(o.buf, snap, r.Gateway, r.OIF.V)
		}
		if r.Priority.OK {
			o.buf = iptext.AppendNumber(o.buf, " metric ", r.Priority.V)
		}
		o.buf = append(o.buf, " ["...)
		start := len(o.buf)
		o.buf = iptext.Visible(append(o.buf, strings.ToUpper(names.Protocol(r.Protocol))...), start)
		o.buf = append(o.buf, "]\n"...)
		if iptext.Several(r, hops) {
			for i := range hops {
				o.buf = append(o.buf, "    nexthop"...)
				o.buf = appendHop(o.buf, snap, hops[i].Gateway, hops[i].OIF)
				o.buf = append(iptext.AppendNumber(o.buf, " weight ", hops[i].Weight), '\n')
			}
		}
		if err := o.rowDone(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ErrInterrupted
		}
	}
	return o.flush()
}

// appendHop appends gateway and interface, where there are any. An interface
// that has gone away is shown by its number.
func appendHop(b []byte, snap *rtnl.Snapshot, gateway netip.Addr, oif uint32) []byte {
	if gateway.IsValid() {
		b = append(b, " via "...)
		b = iptext.Pad(object.AppendAddr(b, gateway), len(b), 20)
	}
	if oif != 0 {
		b = append(b, " dev "...)
		from := len(b)
		if l, ok := snap.Link(oif); ok {
			b = iptext.Visible(append(b, l.Name...), from)
		} else {
			b = strconv.AppendUint(b, uint64(oif), 10)
		}
		b = iptext.Pad(b, from, 10)
	}
	return b
}
