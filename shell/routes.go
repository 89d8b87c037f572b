package shell

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
	"kernelroutes/tables"
)

// RoutesOptions are the options of the older module's command line.
type RoutesOptions struct {
	Family         object.Family // 0: IPv4 and IPv6
	Table          string        // a name or a number; "": all tables
	Summary        bool          // text instead of JSON
	NoUnknownAttrs bool          // JSON without unknown_rta_attrs
}

// An OptionError is an option whose value means nothing.
type OptionError struct{ msg string }

func (e *OptionError) Error() string { return e.msg }

// Routes prints the IPv4 and IPv6 routes as the older module did: a JSON array
// with one route a line, or a summary for people.
func Routes(ctx context.Context, out io.Writer, src tables.Source, opts RoutesOptions) error {
	names := src.Names()
	req := rtnl.RouteRequest(rtnl.Filter{})
	req.Families = []object.Family{object.IPv4, object.IPv6}
	if opts.Family != 0 {
		req.Families = []object.Family{opts.Family}
	}
	if opts.Table != "" {
		ids, err := tableIDs(names, opts.Table)
		if err != nil {
			return err
		}
		req.Tables = ids
	}
	snap, err := src.Read(ctx, req)
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	if err != nil {
		return err
	}
	if opts.Summary {
		return printSummary(ctx, newOutput(ctx, out), snap, names)
	}
	return printJSON(ctx, newOutput(ctx, out), snap, names, !opts.NoUnknownAttrs)
}

// tableIDs returns the tables that have a name, or the one with a number. A name may
// be written in capitals, as the output has it, if no table has that very name.
func tableIDs(names *iproute2.Names, s string) ([]uint32, error) {
	set := names.Tables()
	if !utf8.ValidString(s) {
		s = string(wire.AppendName(nil, s)) // the bytes as they are in the file
	}
	ids := set.IDs(s)
	exact := slices.DeleteFunc(slices.Clone(ids), func(id uint32) bool { return !set.Has(id, s) })
	switch id, ok := parseTable(s); {
	case len(exact) > 0:
		return exact, nil
	case len(ids) > 0:
		return ids, nil
	case ok:
		return []uint32{id}, nil
	}
	return nil, &OptionError{fmt.Sprintf(
		"unknown table %q: neither a number up to 4294967295 nor a name in rt_tables, such as main or local", s)}
}

// parseTable reads a number as ip does (rtnl_rttable_a2n): in decimal, in
// hexadecimal after 0x, in octal after 0.
func parseTable(s string) (id uint32, ok bool) {
	s = strings.TrimPrefix(strings.TrimLeft(s, " \t\n\v\f\r"), "+")
	base := 10
	if hex, found := strings.CutPrefix(strings.ToLower(s), "0x"); found {
		s, base = hex, 16
	} else if strings.HasPrefix(s, "0") {
		base = 8
	}
	n, err := strconv.ParseUint(s, base, 32)
	return uint32(n), err == nil
}

// nexthops returns the nexthops of a route that has several, or whose only one
// is known to a nexthop object alone; otherwise the route itself says it all.
func nexthops(snap *rtnl.Snapshot, r *object.Route, buf []object.Nexthop) []object.Nexthop {
	if len(r.Multipath) == 0 && !r.NexthopID.OK {
		return buf[:0]
	}
	return snap.Nexthops(r, buf)
}

// several reports whether nexthops are listed one by one. A nexthop group of a
// blackhole has none, though the kernel may send RTA_MULTIPATH.
func several(r *object.Route, hops []object.Nexthop) bool {
	return len(hops) > 1 || len(hops) == 1 && len(r.Multipath) > 0
}
