package tables

import (
	"net/netip"
	"slices"
)

// ForgetAdvice makes the tables say again what was said of late.
func ForgetAdvice() { recent = adviceCache{} }

// OfRoutes returns the tables whose rows are routes or parts of them.
func OfRoutes() []*Table {
	return slices.DeleteFunc(Whole(), func(t *Table) bool { return t.Column("route_id") < 0 || t.Column("dst") < 0 })
}

// Whole returns the tables of which all rows can be asked of any source: no condition is required.
// Those of events only one has that has listened, and that of the program the program alone.
func Whole() []*Table {
	return slices.DeleteFunc(All(), func(t *Table) bool {
		return t == Events || t == Info ||
			slices.ContainsFunc(t.Columns, func(c ColumnInfo) bool { return c.Options&Required != 0 })
	})
}

// Keys returns the keys of a prefix.
func Keys(p netip.Prefix) (first, last string) {
	return string(appendFirstKey(nil, p)), string(appendLastKey(nil, p))
}

// OfCaptures returns the tables that captures have rows of which know no other kinds than links,
// nexthop objects and routes.
func OfCaptures() []*Table {
	return slices.DeleteFunc(Whole(), func(t *Table) bool { return t == Rules })
}
