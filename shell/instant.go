package shell

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/events"
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
	names *iproute2.Names

	mu     sync.Mutex // several namespaces are read side by side
	in     map[rtnl.Namespace]*namespaceInstant
	events []*events.Event // all there are
	known  bool            // events is
}

// A namespaceInstant is an instant of one network namespace.
type namespaceInstant struct {
	mu    sync.Mutex
	read  *rtnl.Instant
	links []object.Link // all there are, once they are known
}

// Names returns the same names for every scan of the statement.
func (i *instant) Names() *iproute2.Names {
	if i.names == nil {
		i.names = i.Source.Names()
	}
	return i.names
}

// begin reads all that the statement may ask for in the namespace of a request, if it has not
// been read. What it returns is locked, unless there is an error.
func (i *instant) begin(ctx context.Context, req *rtnl.Request) (*namespaceInstant, error) {
	i.mu.Lock()
	names := i.Names()
	if i.in == nil {
		i.in = map[rtnl.Namespace]*namespaceInstant{}
	}
	key := req.Namespace
	if key != "" && req.NamespaceID != 0 { // it may have several paths
		key = rtnl.NamespaceOf(req.NamespaceID)
	}
	in := i.in[key]
	if in == nil {
		in = &namespaceInstant{}
		i.in[key] = in
	}
	i.mu.Unlock()
	in.mu.Lock()
	if in.read != nil {
		return in, nil
	}
	all := i.request(names)
	all.Namespace, all.NamespaceID = req.Namespace, req.NamespaceID
	s, err := i.Source.Read(ctx, all)
	if err != nil {
		in.mu.Unlock()
		return nil, err
	}
	in.read = s.Instant(names)
	return in, nil
}

// Count answers as of the first call.
func (i *instant) Count(ctx context.Context, req rtnl.Request) (n int, consistent bool, err error) {
	in, err := i.begin(ctx, &req)
	if err != nil {
		return 0, false, err
	}
	defer in.mu.Unlock()
	return in.read.Count(ctx, req)
}

// Read answers as of the first call.
func (i *instant) Read(ctx context.Context, req rtnl.Request) (*rtnl.Snapshot, error) {
	in, err := i.begin(ctx, &req)
	if err != nil {
		return nil, err
	}
	defer in.mu.Unlock()
	if req.Link == nil {
		return in.read.Read(ctx, req)
	}
	chosen, choose := false, req.Link
	req.Link = func(l *object.Link) bool {
		is := choose(l)
		chosen = chosen || is
		return is
	}
	s, err := in.read.Read(ctx, req)
	if err != nil || chosen {
		return s, err
	}
	// Interfaces that no route refers to were not read: the table shall see that there
	// is one that was asked for, though it has no routes.
	if in.links == nil {
		all, err := i.Source.Read(ctx, rtnl.Request{Namespace: req.Namespace, NamespaceID: req.NamespaceID,
			Kinds: []*object.Kind{object.Links.Kind}})
		if err != nil {
			return nil, err
		}
		for l := range rtnl.All(all, object.Links) {
			in.links = append(in.links, *l)
		}
	}
	for n := range in.links {
		choose(&in.links[n])
	}
	return s, nil
}

// Health tells how the program is at the moment.
func (i *instant) Health() (tables.Health, error) { return tables.HealthOf(i.Source) }

// Events answers as of the first call.
func (i *instant) Events(ctx context.Context, after uint64) ([]*events.Event, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.known {
		all, err := tables.EventsOf(ctx, i.Source, 0)
		if err != nil {
			return nil, err
		}
		i.events, i.known = all, true
	}
	from, found := slices.BinarySearchFunc(i.events, after, func(e *events.Event, seq uint64) int {
		return cmp.Compare(e.Seq, seq)
	})
	if found {
		from++
	}
	return slices.Clone(i.events[from:]), nil
}

// request is for what the plans may ask for, whatever the values are that SQLite
// takes from other tables.
func (i *instant) request(names *iproute2.Names) rtnl.Request {
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
