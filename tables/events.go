package tables

import (
	"context"
	"errors"
	"math"
	"slices"

	"kernelroutes/rtnl/events"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// Events is the table kernel_route_events.
var Events = define(Table{
	Name: "kernel_route_events",
	Description: "Changes of the Linux kernel's routes, policy rules and nexthop objects, one row for each, oldest " +
		"first, since the extension was started, with the process that asked for it. The oldest are dropped when " +
		"there are too many.",
	Examples: []Example{
		{"Who touched the default route today.",
			"SELECT datetime(time, 'unixepoch') AS at, action, gateway, dev, old_gateway, old_dev, process_name, " +
				"pid, uid, author_certainty FROM kernel_route_events WHERE object = 'route' " +
				"AND dst IN ('0.0.0.0/0', '::/0') AND time >= CAST(strftime('%s', 'now', 'start of day') AS INTEGER)"},
		{"Routes that lived shorter than a minute, who changed them last, and who took them away.",
			"SELECT dst, gateway, dev, lived / 1000000 AS milliseconds, author, action, process_name FROM (" +
				"SELECT *, uptime_ns - lag(uptime_ns) OVER own AS lived, lag(process_name) OVER own AS author " +
				"FROM kernel_route_events WHERE object = 'route' " +
				"WINDOW own AS (PARTITION BY route_id ORDER BY seq)) " +
				"WHERE action IN ('deleted', 'gone') AND lived < 60000000000"},
		{"The changes of the last five minutes.",
			"SELECT seq, time, action, object, dst, gateway, dev, table_name, process_name, pid, author_certainty " +
				"FROM kernel_route_events WHERE time >= CAST(strftime('%s', 'now') AS INTEGER) - 300"},
	},
}, eventColumns, source[eventRow]{find: findEvents, rows: foundRows[eventRow]})

// eventColumns are the columns of kernel_route_events. Those that say what has changed are the
// columns of kernel_routes, kernel_route_rules and kernel_nexthops.
var eventColumns = slices.Concat(
	[]column[eventRow]{
		bigint("seq",
			"Number of the change, from 1 on in the order in which they were told; none is used twice while the "+
				"extension runs",
			nothing, func(r *eventRow) (int64, bool) { return int64(r.Seq), true }).
			from("worked out from the order of messages").key().holds(numbersTo(math.MaxInt64)),
		integer("boot_seq_lost",
			"1 if messages about changes before this row were lost, as before one whose action is lost; else 0",
			nothing, func(r *eventRow) (int64, bool) { return boolean(r.Lost) }).
			from("worked out from ENOBUFS").holds(numbersTo(1)),
		bigint("time",
			"When the change was told of, in [seconds] since 1970 (Unix time)",
			nothing, func(r *eventRow) (int64, bool) { return r.At().Unix(), true }).
			from("CLOCK_REALTIME when the message came").holds(anyNumber),
		bigint("time_ns",
			"The same, in [nanoseconds]",
			nothing, func(r *eventRow) (int64, bool) { return r.Time, true }).
			from("CLOCK_REALTIME when the message came").holds(anyNumber),
		bigint("uptime_ns",
			"The same, in [nanoseconds] since the host was started: a clock that nobody sets",
			nothing, func(r *eventRow) (int64, bool) { return r.Uptime, true }).
			from("CLOCK_BOOTTIME when the message came").holds(anyNumber),
		text("action",
			"What happened: added, replaced, appended (behind one to the same destination), deleted, gone (with no "+
				"message of its own: with a link, an address or a nexthop object, or found out after a loss), lost "+
				"(changes before this row are not known)",
			nothing, func(r *eventRow, b []byte) []byte { return append(b, r.Action.String()...) }).
			from("worked out from nlmsg_type, nlmsg_flags and what was there before").
			holds(words(false, noNumber, eventActions, map[string]string{"new": "added", "add": "added",
				"change": "replaced", "changed": "replaced", "append": "appended", "del": "deleted",
				"removed": "deleted"})),
		text("object",
			"What has changed: route, rule, nexthop (a nexthop object), or link or address that took routes along; "+
				"empty if action is lost",
			nothing, (*eventRow).appendObject).
			from("nlmsg_type").
			holds(words(true, noNumber, eventObjects, map[string]string{"interface": "link", "addr": "address"})),
	},
	changedColumns,
	replacedColumns,
	authorColumns,
)

// eventActions are what actions rows have.
var eventActions = func() (all []string) {
	for a := events.Added; a <= events.Lost; a++ {
		all = append(all, a.String())
	}
	return all
}()

// eventObjects are what rows are about.
var eventObjects = []string{object.Routes.Name, object.Rules.Name, objectWord, object.Links.Name,
	object.Addresses.Name}

// objectWord is ip's word for a nexthop object.
const objectWord = "nexthop"

func (r *eventRow) appendObject(b []byte) []byte {
	switch r.Kind {
	case nil:
		return b
	case object.NexthopObjects.Kind:
		return append(b, objectWord...)
	}
	return append(b, r.Kind.Name...)
}

// An EventSource is a Source that knows the changes, too.
type EventSource interface {
	Source
	// Events returns those after one, by its Seq, oldest first. The slice is the caller's.
	Events(ctx context.Context, after uint64) ([]*events.Event, error)
}

// ErrNoEvents is why a source has no events.
var ErrNoEvents = errors.New("changes are known from when somebody listens: in osquery the extension does; on the " +
	"command line, kernel_routes.ext monitor shows them as they come, and capture --follow SECONDS records them for " +
	"query --from")

// EventsOf returns the events of a source after one, by its Seq, or ErrNoEvents.
func EventsOf(ctx context.Context, src Source, after uint64) ([]*events.Event, error) {
	if s, ok := src.(EventSource); ok {
		return s.Events(ctx, after)
	}
	return nil, ErrNoEvents
}

// findEvents finds the rows of kernel_route_events.
func findEvents(ctx context.Context, p *plan[eventRow], from Source) ([]placed[[]eventRow], error) {
	return eachPlace(ctx, p, from, func(at place) ([]eventRow, error) {
		if err := at.checkOwn(from, "changes are known only of the one that osquery runs in; "+
			"kernel_routes.ext monitor --netns NAME shows those of another"); err != nil {
			return nil, err
		}
		all, err := EventsOf(ctx, from, p.after("seq"))
		reader, rows := &eventReader{names: p.names, needs: p.needs}, make([]eventRow, len(all))
		for i, e := range all {
			rows[i] = eventRow{e, reader}
		}
		return rows, err
	})
}

// after returns a number that all which conditions on a column leave are greater than, 0 at least.
func (p *plan[R]) after(column string) uint64 {
	for i := range p.checks {
		if c := &p.checks[i]; p.columns[c.column].Name == column {
			return uint64(c.least() - 1)
		}
	}
	return 0
}

// least returns the least whole number above 0 that may pass.
func (c *check) least() int64 {
	least := int64(1)
	for _, b := range c.bounds {
		switch {
		case b.op == Equals:
			return 1 // a number that is not whole, beside others
		case !b.isInt:
		case b.op == GreaterThan && b.exact < math.MaxInt64:
			least = max(least, b.exact+1)
		case b.op == GreaterOrEqual:
			least = max(least, b.exact)
		}
	}
	if len(c.values) == 0 {
		return least
	}
	first := int64(math.MaxInt64)
	for v := range c.whole {
		first = min(first, v)
	}
	return max(least, first)
}

// EventRows returns the events that next returns as rows of Events with all columns, for who has
// them from elsewhere. Where next returns nil, Next returns false; it may be called again.
func EventRows(names *iproute2.Names, next func() *events.Event) Rows {
	columns := slices.Concat(namespaceColumns[eventRow](), eventColumns)
	p := newPlan(&source[eventRow]{}, columns, names, Query{})
	row := eventRow{at: &eventReader{names: names, needs: p.needs}}
	return &rows[eventRow]{plan: p, scope: &scope{snap: unread}, next: func() *eventRow {
		if row.Event = next(); row.Event == nil {
			return nil
		}
		return &row
	}}
}
