package shell

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"

	"kernelroutes/rtnl/events"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/iptext"
	"kernelroutes/shell/option"
	"kernelroutes/tables"
)

// MonitorOptions say which changes Monitor prints, and how.
type MonitorOptions struct {
	JSON   bool          // one object a line, with the columns of kernel_route_events, instead of text
	Family object.Family // 0: all. What has none, as a link, is printed in any case
	Table  string        // only routes and rules of the table with a name or a number; "": everything
}

// maxWaiting is how many events wait to be printed.
const maxWaiting = 1024

// Monitor prints changes as they come, a line for each, those that are there at once together. It
// returns the error that the sequence ends with, ErrInterrupted if the context has ended, and an
// *option.Error for a table that there is none of. That changes were lost is printed whatever the
// options are.
func Monitor(ctx context.Context, out io.Writer, names *iproute2.Names, changes iter.Seq2[*events.Event, error],
	opts MonitorOptions) error {
	m, err := newMonitor(names, opts)
	if err != nil {
		return err
	}
	follow, cancel := context.WithCancel(ctx)
	defer cancel()
	waiting := make(chan *events.Event, maxWaiting)
	go func() {
		defer close(waiting)
		for e, failed := range changes {
			if failed != nil {
				err = failed
				return
			}
			select {
			case waiting <- e:
			case <-follow.Done():
				return
			}
		}
	}()
	o := newOutput(ctx, out)
	for open := true; open; {
		var e *events.Event
		select {
		case e, open = <-waiting:
		default:
			if err := o.flush(); err != nil {
				return err
			}
			select {
			case e, open = <-waiting:
			case <-ctx.Done():
				return ErrInterrupted
			}
		}
		if e == nil {
			continue
		}
		m.event, m.ready = e, true
		if m.rows.Next() && m.wanted() {
			m.append(o)
		}
		if err := o.rowDone(); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	return errors.Join(o.flush(), err) // which nobody sets any longer
}

// A monitor is one call of Monitor.
type monitor struct {
	iptext.Describer
	opts   MonitorOptions
	tables []uint32 // nil: all

	event *events.Event
	ready bool // event has not been read as a row
	rows  tables.Rows
	json  jsonPrinter
	text  []byte
	table int // the column
}

func newMonitor(names *iproute2.Names, opts MonitorOptions) (*monitor, error) {
	m := &monitor{Describer: iptext.Describer{Names: names}, opts: opts, table: tables.Events.Column("table_id")}
	if opts.Table != "" {
		var err error
		if m.tables, err = option.Tables(names, opts.Table); err != nil {
			return nil, err
		}
	}
	m.rows = tables.EventRows(names, func() *events.Event {
		if !m.ready {
			return nil
		}
		m.ready = false
		return m.event
	})
	columns := make([]string, 0, len(tables.Events.Columns))
	for _, c := range tables.Events.Columns {
		columns = append(columns, c.Name)
	}
	m.json.begin(nil, columns)
	m.json.keys = slices.DeleteFunc(m.json.keys, func(k jsonKey) bool {
		return tables.Events.Columns[k.col].Options&tables.Hidden != 0
	})
	return m, nil
}

// wanted reports whether the options let the event through.
func (m *monitor) wanted() bool {
	if m.event.Action == events.Lost {
		return true
	}
	if m.opts.Family != 0 {
		m.text = m.rows.AppendText(m.text[:0], tables.Events.Column("family"))
		if len(m.text) > 0 && string(m.text) != m.opts.Family.String() {
			return false
		}
	}
	if m.tables == nil {
		return true
	}
	id, ok := m.rows.Int(m.table)
	return ok && slices.Contains(m.tables, uint32(id))
}

// append prints the event.
func (m *monitor) append(o *output) {
	if m.opts.JSON {
		o.buf = append(m.json.appendObject(o.buf, m), '\n')
		return
	}
	start := len(o.buf)
	o.buf = append(iptext.Visible(m.appendText(o.buf), start), '\n')
}

// appendTo is for jsonPrinter.
func (m *monitor) appendTo(b []byte, col int) []byte {
	b, _ = tables.Events.AppendValue(b, m.rows, col)
	return b
}
