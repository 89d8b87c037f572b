package show

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strconv"

	"kernelroutes/internal/thousands"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/capture"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/shadow"
	"kernelroutes/shell/iptext"
	"kernelroutes/shell/option"
	"kernelroutes/shell/statusline"
	"kernelroutes/tables"
)

// Options say what is shown, and how.
type Options struct {
	Namespace rtnl.Namespace      // "": the one that the program is in
	Family    object.Family       // IPv4 or IPv6, with its multicast routing; 0: all
	Table     string              // a name or a number; "": all tables
	Dev       string              // any name, or the number, of an interface that routes lead through; "": any
	Color     bool                // whether default routes and those that refuse packets stand out
	Width     int                 // of the terminal, in columns, that routes are to fit in; 0: any
	Warn      func(string)        // is told of what the text has no place for
	Progress  *statusline.Counter // if not nil, counts the routes that are gone through
}

// families are all that there are, in the order in which they are shown.
var families = []struct {
	family, with object.Family // with: what is shown if only that family is wanted
	title        string
}{
	{object.IPv4, object.IPv4, "ipv4"},
	{object.IPv6, object.IPv6, "ipv6"},
	{object.MPLS, 0, "mpls"},
	{object.IPMR, object.IPv4, "ipv4 multicast routing (ipmr)"},
	{object.IP6MR, object.IPv6, "ipv6 multicast routing (ip6mr)"},
}

// Write prints the routes. All of them are of one time: what they are compared with too.
func Write(ctx context.Context, out io.Writer, src tables.Source, opts Options) error {
	w := &writer{ctx: ctx, out: bufio.NewWriterSize(out, 1<<16), opts: opts,
		text: iptext.Describer{Names: src.Names(), Tunnels: true, State: true}}
	if opts.Table != "" {
		ids, err := option.Tables(src.Names(), opts.Table)
		if err != nil {
			return err
		}
		w.only = ids
	}
	req := rtnl.Request{Namespace: opts.Namespace, Kinds: []*object.Kind{object.Routes.Kind, object.Rules.Kind},
		Along: []*object.Kind{object.Links.Kind}, Referred: []*object.Kind{object.NexthopObjects.Kind}}
	if opts.Dev != "" { // of which alternative names are wanted too: Along may leave them out
		req.Kinds = append(req.Kinds, object.Links.Kind)
	}
	for _, f := range families {
		if opts.Family != 0 && f.with == opts.Family {
			req.Families = append(req.Families, f.family)
		}
	}
	snap, err := w.read(src, req)
	if err != nil {
		return err
	}
	if !snap.Consistent {
		opts.Warn("routes and rules changed faster than they could be read: some may be missing, and what is said " +
			"to be shadowed may not be; ask again")
	}
	opts.Progress.Begin("comparing "+thousands.Of(int64(snap.Count(object.Routes.Kind)))+" routes", "", 0)
	if w.all, err = shadow.Analyze(ctx, snap); err != nil {
		return err
	}
	w.snap = snap
	if err := w.findDev(); err != nil {
		return err
	}
	if err := w.families(); err != nil {
		return err
	}
	return w.out.Flush()
}

// read reads all that is shown; of captures and recordings without rules all else.
func (w *writer) read(src tables.Source, req rtnl.Request) (*rtnl.Snapshot, error) {
	snap, err := src.Read(w.ctx, req)
	if !errors.Is(err, capture.ErrCapture) {
		return snap, err
	}
	req.Kinds = slices.DeleteFunc(slices.Clone(req.Kinds), func(k *object.Kind) bool { return k == object.Rules.Kind })
	snap, second := src.Read(w.ctx, req)
	if second != nil {
		return nil, err
	}
	w.opts.Warn("tables are shown without the rules that consult them: " + err.Error())
	return snap, nil
}

// A writer prints what is in a snapshot.
type writer struct {
	ctx  context.Context
	out  *bufio.Writer
	opts Options
	text iptext.Describer
	snap *rtnl.Snapshot
	all  *shadow.Analysis
	only []uint32 // tables; nil: all
	dev  uint32   // index of the interface; 0: any

	devName string // of that interface: --dev may have another one, or its number

	// Of the family that is printed.
	family           object.Family
	rules            []object.Rule
	shown            map[uint32]bool // tables
	routes, shadowed int
	mostly           int // shadowed, except for some packets
	perhaps          int // shadowed, except perhaps for some packets
	tables           int // that have routes

	line  []byte
	route object.Route
	hops  []object.Nexthop
}

// findDev finds the interface that routes are to lead through, by any of its names, else by its number.
func (w *writer) findDev() error {
	if w.opts.Dev == "" {
		return nil
	}
	n, err := strconv.ParseUint(w.opts.Dev, 10, 32)
	numbered := err == nil
	var there []string
	var found, byNumber object.Link
	object.Each(w.snap.Runs(object.Links.Kind), func(m *object.Message) bool {
		var l object.Link
		object.Links.Decode(&l, m)
		if l.Name == w.opts.Dev || object.LinkHasAltName(m, w.opts.Dev) {
			found = l
		}
		if numbered && l.Index == uint32(n) {
			byNumber = l
		}
		there = append(there, l.Name)
		return found.Index == 0
	})
	if found.Index == 0 {
		found = byNumber
	}
	if found.Index == 0 {
		return option.Errorf("--dev='%s': %s", w.opts.Dev, tables.NoInterface(w.opts.Dev, there))
	}
	w.dev, w.devName = found.Index, found.Name
	return nil
}

// families prints all families that are wanted. Those that few hosts have are only shown if they have routes.
func (w *writer) families() error {
	first := true
	for _, f := range families {
		if w.opts.Family != 0 && w.opts.Family != f.with {
			continue
		}
		w.family, w.rules, w.shown = f.family, rtnl.RulesInOrder(w.snap, f.family), map[uint32]bool{}
		w.routes, w.shadowed, w.mostly, w.perhaps, w.tables = 0, 0, 0, 0, 0
		if f.family != object.IPv4 && f.family != object.IPv6 && !w.has(f.family) {
			continue
		}
		if !first {
			w.print("")
		}
		first = false
		w.print(f.title)
		if err := w.tablesInOrder(); err != nil {
			return err
		}
		w.print("")
		w.print(w.summary())
	}
	return nil
}

func (w *writer) has(f object.Family) bool {
	for t := range w.all.Tables() {
		if t.Family == f && w.wants(t.ID) {
			return true
		}
	}
	return false
}

func (w *writer) wants(table uint32) bool { return w.only == nil || slices.Contains(w.only, table) }

// summary says how many routes have been shown.
func (w *writer) summary() string {
	s := plural(w.routes, "route") + " in " + plural(w.tables, "table")
	if w.routes == 0 {
		s = "no routes"
		if w.opts.Table != "" {
			s += " in table " + w.opts.Table
		}
	}
	if w.dev != 0 {
		s += " through " + w.devName
	}
	if w.shadowed > 0 {
		s += ", " + strconv.Itoa(w.shadowed) + " of them shadowed"
	}
	if w.mostly > 0 {
		s += ", " + strconv.Itoa(w.mostly) + " of them shadowed except for some packets"
	}
	if w.perhaps > 0 {
		s += ", " + strconv.Itoa(w.perhaps) + " of them shadowed except perhaps for some packets"
	}
	return s
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// print prints a line, at a terminal as several that fit.
func (w *writer) print(text string) {
	w.line = iptext.Visible(append(w.line[:0], text...), 0)
	if w.opts.Width > 0 && iptext.Width(w.line) > w.opts.Width {
		w.line = folded(w.line, w.opts.Width)
	}
	w.out.Write(append(w.line, '\n')) // an error is what Flush returns
}

// folded breaks a line between words where it does not fit. It goes on below its last part that stands apart
// from what is before; that part comes on a line of its own if it begins too far to the right.
func folded(line []byte, width int) []byte {
	start := 0
	if apart := bytes.LastIndex(line, []byte("  ")); apart >= 0 {
		start = apart + len("  ")
	}
	all, column := slices.Clone(line[:start]), iptext.Width(line[:start])
	if column+2 > width/2 {
		all, column = bytes.TrimRight(all, " "), 6
		if len(all) > 0 {
			all = append(all, '\n')
		}
		all = iptext.Pad(all, len(all), column)
	}
	return iptext.Fill(all, line[start:], width, column, column+2)
}
