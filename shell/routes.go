package shell

import (
	"context"
	"io"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/option"
	"kernelroutes/tables"
)

// RoutesOptions are the options of the older module's command line.
type RoutesOptions struct {
	Family         object.Family // 0: IPv4 and IPv6
	Table          string        // a name or a number; "": all tables
	Summary        bool          // text instead of JSON
	NoUnknownAttrs bool          // JSON without unknown_rta_attrs
}

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
		ids, err := option.Tables(names, opts.Table)
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
