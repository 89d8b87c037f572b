package diff

import (
	"context"
	"errors"
	"fmt"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/capture"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// A state is one that is held: all that is read of it is of one time.
type state struct {
	State
	held       *rtnl.Instant // nil: the source does not change
	consistent bool          // all that was read so far
}

// hold reads a state, if it may change.
func (d *differ) hold(s State) (*state, error) {
	h := &state{State: s, consistent: true}
	if _, lasts := s.Source.(*capture.Capture); lasts {
		return h, nil
	}
	all := d.request(d.things[0])
	for _, t := range d.things[1:] {
		all = all.Union(d.request(t))
	}
	all.Namespace = s.Namespace
	snap, err := s.Read(d.ctx, all)
	if err != nil {
		return nil, err
	}
	h.held = snap.Instant(s.Names())
	return h, nil
}

// request is for all that is compared of a thing.
func (d *differ) request(t *thing) rtnl.Request {
	req := t.Request(d.names, tables.Query{Used: used(t.Table, t.columns)})
	if t.parts != nil {
		req = req.Union(t.parts.Request(d.names, tables.Query{Used: used(t.parts, t.partColumns)}))
	}
	if d.opts.Family != 0 {
		req.Families = []object.Family{d.opts.Family}
	}
	req.Tables = d.tables
	return req
}

// read returns the snapshot that a thing is in.
func (s *state) read(ctx context.Context, req rtnl.Request) (snap *rtnl.Snapshot, err error) {
	if s.held != nil {
		snap, err = s.held.Read(ctx, req)
	} else {
		snap, err = s.Read(ctx, req)
	}
	switch {
	case isLacking(err):
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	case err == nil && !snap.Consistent:
		s.consistent = false
	}
	return snap, err
}

// isLacking reports whether an error says that a capture has nothing of what is asked for.
func isLacking(err error) bool { return errors.Is(err, capture.ErrCapture) }

// A frozen source has one snapshot, in whatever is asked for, and names.
type frozen struct {
	tables.Source
	snap  *rtnl.Snapshot
	names *iproute2.Names
}

func (f *frozen) Names() *iproute2.Names { return f.names }

func (f *frozen) Read(context.Context, rtnl.Request) (*rtnl.Snapshot, error) { return f.snap, nil }
