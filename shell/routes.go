package shell

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// RoutesOptions are the options of the older module's command line.
type RoutesOptions struct {
	Family         rtnl.Family // 0: IPv4 and IPv6
	Table          string      // a name or a number; "": all tables
	Summary        bool        // text instead of JSON
	NoUnknownAttrs bool        // JSON without unknown_rta_attrs
}

// An OptionError is an option whose value means nothing.
type OptionError struct{ msg string }

func (e *OptionError) Error() string { return e.msg }

// Routes prints the IPv4 and IPv6 routes as the older module did: a JSON array
// with one route a line, or a summary for people.
func Routes(ctx context.Context, out io.Writer, src tables.Source, opts RoutesOptions) error {
	names := src.Names()
	req := rtnl.Request{Links: true, Nexthops: true}
	req.Families = []rtnl.Family{rtnl.IPv4, rtnl.IPv6}
	if opts.Family != 0 {
		req.Families = []rtnl.Family{opts.Family}
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

// tableIDs returns the tables that have a name, which may be written in capitals
// as the output has it, or the one with a number.
func tableIDs(names *rtnl.Names, s string) ([]uint32, error) {
	for _, name := range []string{s, strings.ToLower(s)} {
		if ids := names.TableIDs(name); len(ids) > 0 {
			return ids, nil
		}
	}
	if id, err := strconv.ParseUint(s, 10, 32); err == nil {
		return []uint32{uint32(id)}, nil
	}
	return nil, &OptionError{fmt.Sprintf(
		"unknown table %q: neither a number up to 4294967295 nor a name in rt_tables, such as main or local", s)}
}

// nexthops returns the nexthops of a route that has several, or whose only one
// is known to a nexthop object alone; otherwise the route itself says it all.
func nexthops(snap *rtnl.Snapshot, r *rtnl.Route, buf []rtnl.Nexthop) []rtnl.Nexthop {
	if len(r.Multipath) == 0 && !r.NexthopID.OK {
		return buf[:0]
	}
	return snap.Nexthops(r, buf)
}

// several reports whether nexthops are listed one by one. A nexthop group of a
// blackhole has none, though the kernel may send RTA_MULTIPATH.
func several(r *rtnl.Route, hops []rtnl.Nexthop) bool {
	return len(hops) > 1 || len(hops) == 1 && len(r.Multipath) > 0
}
