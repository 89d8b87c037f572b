package rtnl

import (
	"context"
	"errors"

	"kernelroutes/rtnl/object"
)

// A Tally is how many routes there are, by class.
type Tally struct {
	Groups []Group // in no order; of each class one
	// Snapshot has what the request asked for beside routes, of the same time, and knows
	// whether the counts are certain: see Snapshot.Consistent.
	Snapshot *Snapshot
}

// A Group is the routes of one class.
type Group struct {
	object.Class
	object.Counts
}

// Tally returns how many routes Read would find, by what a grouping tells apart. Of the
// kinds that the request asks for routes must be the only one. It takes little more time
// than the kernel does to send the routes, and hardly any memory: they are counted on the
// bytes as they come, and kept only where they changed meanwhile, so that one dump is not
// enough to count them. No privilege is needed.
func (k *Kernel) Tally(ctx context.Context, req Request, by object.Grouping) (*Tally, error) {
	if err := req.prepareTally(&by); err != nil {
		return nil, err
	}
	s, counted, err := k.read(ctx, req, &by)
	if err != nil {
		return nil, err
	}
	return s.tally(by, counted), nil
}

// prepareTally adds what is referred to of which a tally depends.
func (r *Request) prepareTally(by *object.Grouping) error {
	if len(r.Kinds) != 1 || r.Kinds[0] != object.Routes.Kind {
		return &ReadError{Op: "count by class", Err: errors.New("not only routes are asked for"),
			Remedy: "have object.Routes.Kind alone in Request.Kinds"}
	}
	if by.UsesObjects() {
		r.Referred = join(r.Referred, []*object.Kind{object.NexthopObjects.Kind})
	}
	return nil
}

// tally counts the routes of a snapshot, to which those are added that were counted before,
// if any. The snapshot is the tally's from then on.
func (s *Snapshot) tally(by object.Grouping, counted *object.Tally) *Tally {
	if counted == nil {
		counted = object.NewTally(by)
	}
	counted.AddAll(s.Runs(object.Routes.Kind))
	t := &Tally{Snapshot: s.with(object.Routes.Kind, nil)}
	for class, counts := range counted.Resolve(byNumber(s, object.NexthopObjects)) {
		t.Groups = append(t.Groups, Group{class, counts})
	}
	return t
}

// Tally answers like Kernel.Tally, from what is held where Read does.
func (c *Cache) Tally(ctx context.Context, req Request, by object.Grouping) (*Tally, error) {
	if len(req.IDs) == 0 && !c.mayHold(&req) {
		return c.Kernel.Tally(ctx, req, by)
	}
	return tallyOf(ctx, c, req, by)
}

// Tally returns what Kernel.Tally had returned for the request at that time.
func (i *Instant) Tally(ctx context.Context, req Request, by object.Grouping) (*Tally, error) {
	return tallyOf(ctx, i, req, by)
}

// tallyOf counts what is read.
func tallyOf(ctx context.Context, from interface {
	Read(context.Context, Request) (*Snapshot, error)
}, req Request, by object.Grouping) (*Tally, error) {
	if err := req.prepareTally(&by); err != nil {
		return nil, err
	}
	s, err := from.Read(ctx, req)
	if err != nil {
		return nil, err
	}
	return s.tally(by, nil), nil
}
