package capture

import (
	"fmt"
	"slices"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// A dumpedTable is what a dump by table covers: the objects of a kind in one of the
// kernel's tables. Zero fields of the table stand for every family, and for every number.
type dumpedTable struct {
	kind *object.Kind
	object.Table
}

// covers reports whether what the other covers is a part of it.
func (d dumpedTable) covers(o dumpedTable) bool {
	return d.kind == o.kind && (d.Family == 0 || d.Family == o.Family) && (d.ID == 0 || d.ID == o.ID)
}

// covering returns what a dump may cover that covers a table.
func covering(k *object.Kind, t object.Table) [4]dumpedTable {
	return [...]dumpedTable{
		{k, object.Table{}}, {k, object.Table{Family: t.Family}}, {k, object.Table{ID: t.ID}}, {k, t}}
}

// String names the objects.
func (d dumpedTable) String() string {
	s := d.kind.Plural
	if d.Family != 0 {
		s = d.Family.String() + " " + s
	}
	if d.ID != 0 {
		s += fmt.Sprintf(" of table %d", d.ID)
	}
	return s
}

// byTable reports whether the objects of a kind are dumped by table.
func byTable(k *object.Kind) bool { return k.Dump != nil }

// kindsByTable returns the kinds that are dumped by table.
func kindsByTable() []*object.Kind {
	return slices.DeleteFunc(slices.Clone(object.Kinds), func(k *object.Kind) bool { return !byTable(k) })
}

// A coverage is what a recording has whole dumps of.
type coverage struct {
	tables []dumpedTable  // of the kinds that are dumped by table
	lacked []*object.Kind // the other kinds of which there is none
}

// lacks returns an error if a recording has nothing of what is asked for. A capture that
// is none has no coverage, and lacks nothing.
func (c *coverage) lacks(req *rtnl.Request) error {
	if c == nil || req.Nothing() {
		return nil
	}
	if k := req.Chooses(); k != nil && slices.Contains(c.lacked, k) {
		return errLacked(k)
	}
	for _, k := range slices.Concat(req.Kinds, req.Along) {
		switch {
		case slices.Contains(c.lacked, k) && !slices.Contains(req.Along, k):
			return errLacked(k)
		case byTable(k) && !req.Of(k).None && !c.hasAny(k, req.Of(k)):
			return &Error{fmt.Sprintf("the recording has no whole dump of the %s that are asked for, it has %s",
				k.Plural, c.of(k)), remedy(k)}
		}
	}
	return nil
}

func errLacked(k *object.Kind) error { return &Error{"the recording has " + lacked(k), remedy(k)} }

// lacked says what is missing where a recording has no objects of a kind.
func lacked(k *object.Kind) string {
	if k.Lacked != "" {
		return k.Lacked
	}
	return "no " + k.Plural
}

// remedy says what to do where a recording has no objects of a kind.
func remedy(k *object.Kind) string {
	if k.Remedy != "" {
		return k.Remedy
	}
	return makeFirst
}

// any reports whether the recording has objects of a kind that is dumped by table.
func (c *coverage) any(k *object.Kind) bool {
	return slices.ContainsFunc(c.tables, func(has dumpedTable) bool { return has.kind == k })
}

// hasAny reports whether the recording has a table of those that a filter wants.
func (c *coverage) hasAny(k *object.Kind, f *rtnl.Filter) bool {
	return slices.ContainsFunc(c.tables, func(has dumpedTable) bool {
		return has.kind == k && (has.Family == 0 || f.WantsFamily(has.Family)) && (has.ID == 0 || f.WantsTable(has.ID))
	})
}

// of says which objects of a kind that is dumped by table the recording has.
func (c *coverage) of(k *object.Kind) string {
	if slices.Contains(c.tables, dumpedTable{kind: k}) {
		return "all " + k.Plural
	}
	var list []string
	for _, has := range c.tables {
		if has.kind == k {
			list = append(list, has.String())
		}
	}
	if len(list) == 0 {
		return "no " + k.Plural
	}
	slices.Sort(list)
	if more := len(list) - 10; more > 0 {
		list = append(list[:10], fmt.Sprintf("and %d more", more))
	}
	return "only " + strings.Join(list, ", ")
}
