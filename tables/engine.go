package tables

import (
	"context"
	"strings"

	"kernelroutes/rtnl/object"
)

// What rows can do beside what every engine needs of them. An engine for which an answer
// is large asks by a type assertion; rows that have been made elsewhere need not know it.

// PartRows are rows that come in parts, all of which in their order are the whole.
type PartRows interface {
	Rows
	// Split returns the rows, none of which has been read yet, in at most n parts, which
	// may be read side by side. Where it has returned several, another call returns all
	// rows again.
	Split(n int) []Rows
	// Count returns how many rows there are, if that is known without reading them.
	Count() (rows int, ok bool)
}

// OptionalRows are rows that tell without reading a column that it is absent.
type OptionalRows interface {
	Rows
	// Requires returns the attributes of which the row's object must have one for a
	// column to be there; 0: it may be there in any case.
	Requires(col int) object.Fields
	// Attributes returns those of the current row's object.
	Attributes() object.Fields
}

// Every answer of a table has both.
var (
	_ PartRows     = (*rows[struct{}])(nil)
	_ OptionalRows = (*rows[struct{}])(nil)
)

// WarnsInconsistent reports whether a text that Query.Warn was told is that the answer may
// not be of one time. Unlike a warning of a condition it is news each time.
func WarnsInconsistent(text string) bool { return strings.HasSuffix(text, inconsistent) }

// AnsweredBy returns the table with another function in the place of Scan, for tests of
// engines: rows that are slow, broken or at hand.
func (t *Table) AnsweredBy(scan func(context.Context, Source, Query) (Rows, error)) *Table {
	c := *t
	c.scan = scan
	return &c
}
