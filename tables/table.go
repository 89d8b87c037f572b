package tables

import (
	"context"
	"strconv"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
)

// A Type is the SQL type of a column, as osquery names it.
type Type string

// The types that the tables use. Booleans are INTEGER; everything that can
// exceed 31 bits is BIGINT, because osquery cuts INTEGER to 32 bits, signed.
const (
	Text    Type = "TEXT"
	Integer Type = "INTEGER"
	BigInt  Type = "BIGINT"
)

// An Option tells osquery how a column takes part in constraints (the numbers
// are osquery's ColumnOptions).
type Option uint

// The options that the tables use.
const (
	Index      Option = 1  // identifies a row; constraints are sent
	Required   Option = 2  // there is no answer without an equality on it
	Additional Option = 4  // constraints are sent, to be pushed down or checked
	Hidden     Option = 16 // not part of SELECT *
	Optimized  Option = 8  // an IN list is sent whole, as several equalities
)

// An Op is a constraint's operator, with osquery's numbers. Any other number
// (LIMIT arrives as 73, on the first column) means nothing here.
type Op int

// The operators that are pushed down or checked.
const (
	Equals         Op = 2
	GreaterThan    Op = 4
	LessOrEqual    Op = 8
	LessThan       Op = 16
	GreaterOrEqual Op = 32
)

// A Constraint is one condition that all rows asked for meet. Several equalities
// on one column are alternatives (IN), conditions with other operators all hold.
type Constraint struct {
	Column int    // index into Table.Columns
	Op     Op     //
	Expr   string // always text: "254", "254.0", "main"
}

// A Query is what an engine asks of a table. The engine filters every row
// again, so a table may return more rows than asked for, never fewer.
type Query struct {
	Constraints []Constraint
	Used        []bool // by column: whether its value will be read. Others may be left out

	// Joined are the columns with equalities whose values come from other rows or are
	// worked out, as in a join. Nobody has written such a value, or is warned of it.
	// osquery does not tell which they are.
	Joined []int

	// Elsewhere says that more answers may be asked for, of other network namespaces: what is
	// missing in one may be in another.
	Elsewhere bool

	// Dropped says that the engine may have left out conditions that it will check: osquery's
	// SQLite does where one of them is with another table's column.
	Dropped bool

	// RowIDs says that Rows.RowID will be called.
	RowIDs bool

	// Warn, if set, is told of what the user should know but SQL has no place for,
	// such as a condition that no row can ever meet. It is called before the first
	// row is returned, on the goroutine that scans.
	Warn func(text string)
}

// A Source is where the routing state is read from: the kernel, or a capture.
type Source interface {
	Read(context.Context, rtnl.Request) (*rtnl.Snapshot, error)
	// Count returns how many objects Read would find of the kinds that the request asks
	// for, and whether that is certain.
	Count(context.Context, rtnl.Request) (n int, consistent bool, err error)
	// Lookups prepares for look-ups in a namespace, which has the inode id if that is not 0.
	Lookups(ctx context.Context, ns rtnl.Namespace, id uint64) (*rtnl.Lookups, error)
	// Names are those of the host whose state it is.
	Names() *iproute2.Names
	// NamespaceID returns the inode of a network namespace; that of "" is 0 if nobody knows.
	NamespaceID(rtnl.Namespace) (uint64, error)
	// Namespaces returns all that there are, and of how many processes it is not to be seen
	// in which they are.
	Namespaces() (found []rtnl.FoundNamespace, unseen int, err error)
}

// Rows are the answer to a query, one after the other. Not for concurrent use.
type Rows interface {
	// Next moves to the next row, the first at first. It returns false at the end.
	Next() bool
	// AppendText appends the value of a TEXT column; an absent one appends
	// nothing, as it reads as '' in osquery.
	AppendText(b []byte, col int) []byte
	// Int returns the value of an INTEGER or BIGINT column; false: NULL.
	Int(col int) (int64, bool)
	// RowID returns a number that the row has in every answer of the table, and no
	// other row but by a chance of one to 2^63. SQLite merges what it has asked for by
	// several requests (a = 1 OR b = 2) by such numbers: without them it takes the
	// third row of the second answer for the third one of the first. It is meaningful
	// only if Query.RowIDs was set.
	RowID() int64
}

// ColumnInfo is what schema, specification and documentation say of a column.
type ColumnInfo struct {
	Name        string
	Type        Type
	Options     Option
	Description string // no full stop, with the unit, and with Since where it is not the table's
	Unit        string // of numbers: "bytes", "milliseconds", ...; "": none
	Source      string // where the values come from, in the kernel's words: RTA_PRIORITY, rtm_protocol
	Since       string // the first Linux that has them, as "5.3"; "": 3.2, the first that Go runs on, or before
	// Volatile columns change with time, or from one reading to the next, while the
	// route stays as it is: a differential query that has one logs rows for ever.
	Volatile bool
	// Input, if not empty, says that an equality on the column does not choose among rows but says
	// what they are to show, and names what that is: columns with one Input say the same in
	// several ways. Where the equality is with another table's column, that table is to be read
	// first.
	Input string
	// Sorted says of a TEXT column that <, <=, > and >= narrow what is read or sent.
	Sorted bool
}

// A Table is a table by its name, its columns and the function that answers a
// query. Adding one takes a file of its own and a line in All.
type Table struct {
	Name        string
	Description string
	Since       string // the first Linux that has such objects, as "5.3"; "": 3.2 or before
	Examples    []Example
	Columns     []ColumnInfo

	request func(*iproute2.Names, Query) rtnl.Request
	scan    func(context.Context, Source, Query) (Rows, error)
}

// An Example is a query, and what it shows: a sentence, with a full stop.
type Example struct{ Shows, SQL string }

// Request returns what Scan asks the source for. Fewer constraints make it ask for
// more: an engine that knows only some of them beforehand can tell what a table will
// need at most.
func (t *Table) Request(names *iproute2.Names, q Query) rtnl.Request { return t.request(names, q) }

// Scan answers a query. Rows come only when everything has been read and
// checked: an error never follows rows.
func (t *Table) Scan(ctx context.Context, src Source, q Query) (Rows, error) {
	return t.scan(ctx, src, q)
}

// Column returns the index of a column by its name, -1 if there is none.
func (t *Table) Column(name string) int {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return i
		}
	}
	return -1
}

// AppendValue appends a column's value as text, whatever its type; false: it is
// absent.
func (t *Table) AppendValue(b []byte, rows Rows, col int) ([]byte, bool) {
	if t.Columns[col].Type == Text {
		n := len(b)
		b = rows.AppendText(b, col)
		return b, len(b) > n
	}
	v, ok := rows.Int(col)
	if !ok {
		return b, false
	}
	return strconv.AppendInt(b, v, 10), true
}

// All returns the tables in the order in which they are listed.
func All() []*Table {
	return []*Table{Routes, Nexthops, NexthopObjects, Rules, Counts, InterfaceConfig, Lookups, Events, Info}
}

// Listed lists names as a sentence does: "a, b and c".
func Listed(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
