package shell

import (
	"context"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// What a statement shows must be of one time. A statement that scans a table once
// asks for just what it needs. For any other all that its tables together may ask
// for is read when the first one asks, and answers every scan.

// An instant is the source of a statement that scans more than once.
type instant struct {
	tables.Source
	plans []indexPlan // of the statement
	read  *rtnl.Instant
	names *iproute2.Names
	links []object.Link // all there are, once they are known
}

// Names returns the same names for every scan of the statement.
func (i *instant) Names() *iproute2.Names {
	if i.names == nil {
		i.names = i.Source.Names()
	}
	return i.names
}

// begin reads all that the statement may ask for, if it has not been read.
func (i *instant) begin(ctx context.Context) error {
	if i.read != nil {
		return nil
	}
	s, err := i.Source.Read(ctx, i.request())
	if err != nil {
		return err
	}
	i.read = s.Instant(i.Names())
	return nil
}

// Count answers as of the first call.
func (i *instant) Count(ctx context.Context, req rtnl.Request) (n int, consistent bool, err error) {
	if err := i.begin(ctx); err != nil {
		return 0, false, err
	}
	return i.read.Count(ctx, req)
}

// Read answers as of the first call.
func (i *instant) Read(ctx context.Context, req rtnl.Request) (*rtnl.Snapshot, error) {
	if err := i.begin(ctx); err != nil {
		return nil, err
	}
	if req.Link == nil {
		return i.read.Read(ctx, req)
	}
	chosen, choose := false, req.Link
	req.Link = func(l *object.Link) bool {
		is := choose(l)
		chosen = chosen || is
		return is
	}
	s, err := i.read.Read(ctx, req)
	if err != nil || chosen {
		return s, err
	}
	// Interfaces that no route refers to were not read: the table shall see that there
	// is one that was asked for, though it has no routes.
	if i.links == nil {
		all, err := i.Source.Read(ctx, rtnl.Request{Namespace: req.Namespace, Kinds: []*object.Kind{object.Links.Kind}})
		if err != nil {
			return nil, err
		}
		for l := range rtnl.All(all, object.Links) {
			i.links = append(i.links, *l)
		}
	}
	for n := range i.links {
		choose(&i.links[n])
	}
	return s, nil
}

// request is for what the plans may ask for, whatever the values are that SQLite
// takes from other tables.
func (i *instant) request() rtnl.Request {
	names := i.Names()
	var all rtnl.Request
	for n, p := range i.plans {
		req := p.table.Request(names, tables.Query{Constraints: p.known, Used: p.used})
		if n == 0 {
			all = req
		}
		all = all.Union(req)
	}
	return all
}

// backwards are the instructions with which SQLite makes loops and calls what it may
// call again: they jump to P2.
var backwards = map[string]bool{
	"Next": true, "Prev": true, "VNext": true, "SorterNext": true, "RowSetRead": true,
	"Goto": true, "Gosub": true, "Yield": true,
	"If": true, "IfNot": true, "IfPos": true, "IfNotZero": true, "DecrJumpZero": true,
}

// scansOnce reports whether a program scans one table, and does so once: nothing
// after the beginning of the scan jumps to before it, and it is in no subroutine, which
// a loop may call that comes before it. (That the end of a program jumps to its second
// instruction is how each one begins.)
func scansOnce(program []instruction) bool {
	scan := -1
	for i, op := range program {
		switch op.opcode {
		case "VFilter":
			if scan >= 0 {
				return false
			}
			scan = i
		case "Program": // a trigger, whose program follows and may run for each row
			return false
		}
	}
	for i, op := range program {
		switch {
		case i <= scan && op.opcode != "Gosub", op.p2 > scan, !backwards[op.opcode]:
		case op.opcode == "Goto" && op.p2 == 1:
		default:
			return false
		}
	}
	return scan >= 0
}
