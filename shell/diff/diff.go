// Package diff tells what is different in two states of routing: what has appeared, vanished and
// changed. They are compared by what they are, not by what the kernel numbers as it likes: two hosts,
// or one before and after it was started anew, have other indexes of interfaces. The files:
//
//	diff.go      Print: all of it
//	things.go    what is compared, and what tells it apart
//	state.go     the states, each as of one time
//	objects.go   reads objects as rows of the tables, so that a new column is compared
//	compare.go   finds the differences, on hashes
//	order.go     what has moved past others that are tried with it
//	told.go      columns that a state cannot tell
//	record.go    what is shown of the objects that differ
//	text.go      differences as text and as JSON
package diff

import (
	"bufio"
	"context"
	"io"
	"slices"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell"
	"kernelroutes/shell/option"
	"kernelroutes/shell/statusline"
	"kernelroutes/tables"
)

// A State is one of the two that are compared.
type State struct {
	tables.Source
	Name      string         // what messages call it
	Kernel    string         // the release of its kernel, as "6.18.44"; "": not known
	Namespace rtnl.Namespace // that is read
}

// Options say what Print compares, and how it prints.
type Options struct {
	Family object.Family // 0: all
	Table  string        // only routes and rules of the table with a name or a number; "": everything
	JSON   bool          // an array of objects instead of text
	// Warn is told what cannot be compared, and what may be wrong.
	Warn func(text string)
	// Progress, if not nil, counts the objects that are gone through.
	Progress *statusline.Counter
}

// Print prints what is different now from what was. It returns shell.ErrInterrupted if the context has
// ended, and an *option.Error for a table that neither state has.
func Print(ctx context.Context, out io.Writer, was, now State, opts Options) error {
	d := &differ{ctx: ctx, opts: opts, names: now.Names(), warn: opts.Warn}
	err := d.print(out, was, now)
	if ctx.Err() != nil {
		return shell.ErrInterrupted
	}
	return err
}

// A differ is one call of Print.
type differ struct {
	ctx    context.Context
	opts   Options
	warn   func(string)
	names  *iproute2.Names // by which both are compared: those of now
	tables []uint32        // nil: all
	things []*thing
	failed error // why the last thing could not be read
}

func (d *differ) print(out io.Writer, was, now State) error {
	if err := d.choose(was.Names()); err != nil {
		return err
	}
	a, err := d.hold(was)
	if err != nil {
		return err
	}
	b, err := d.hold(now)
	if err != nil {
		return err
	}
	var all []*difference
	compared := false
	for _, t := range d.things {
		found, err := d.compare(t, a, b)
		switch {
		case d.ctx.Err() != nil:
			return d.ctx.Err()
		case isLacking(err):
			d.failed = err
			d.warn(t.Name + " is not compared: " + err.Error())
			continue
		case err != nil:
			return err
		}
		compared = true
		all = append(all, found...)
	}
	if !compared {
		return d.failed
	}
	d.doubts(a)
	d.doubts(b)
	w := bufio.NewWriterSize(out, 1<<16)
	if d.opts.JSON {
		err = d.printJSON(w, all)
	} else {
		err = d.printText(w, all)
	}
	if err != nil {
		return err
	}
	return w.Flush()
}

// choose works out what the options choose. Each state has names of its own, and a table is meant by
// either.
func (d *differ) choose(others *iproute2.Names) error {
	d.things = things
	if d.opts.Table == "" {
		return nil
	}
	d.things = slices.DeleteFunc(slices.Clone(things), func(t *thing) bool { return t.Column(tableID) < 0 })
	var err error
	for _, names := range []*iproute2.Names{d.names, others} {
		ids, unknown := option.Tables(names, d.opts.Table)
		d.tables = append(d.tables, ids...)
		if unknown != nil {
			err = unknown
		}
	}
	if len(d.tables) > 0 {
		return nil
	}
	return err
}

// doubts warns of a state that is not of one time.
func (d *differ) doubts(s *state) {
	if !s.consistent {
		d.warn(s.Name + ": it changed while it was read, or cannot be proved to be whole: what is said to have " +
			"appeared or vanished may have been there, and the order of routes and of rules is not compared")
	}
}
