package osquerytest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// schema is the statement that declares a table (columnDefinition of osquery/core/tables.cpp).
// Options that the columns of an extension are given only by extensions_default_index are not
// in it.
func (t *table) schema() string {
	var b strings.Builder
	var keys []string
	indexed := false
	b.WriteString("CREATE TABLE " + t.name)
	for i, c := range t.columns {
		b.WriteString([]string{"(", ", "}[min(i, 1)] + "`" + c.name + "` " + c.affinity)
		if c.options&(index|additional) != 0 && !c.byDefault {
			keys = append(keys, "`"+c.name+"`")
			indexed = indexed || c.options&index != 0
		}
		if c.options&hidden != 0 {
			b.WriteString(" HIDDEN")
		}
	}
	noRowIDs := len(keys) > 0 && !t.extension
	if !indexed && len(keys) > 0 {
		keys = nil
		for _, c := range t.columns {
			keys = append(keys, "`"+c.name+"`")
		}
	}
	if len(keys) > 0 {
		b.WriteString(", PRIMARY KEY (" + strings.Join(keys, ", ") + ")")
	}
	b.WriteString(")")
	if noRowIDs {
		b.WriteString(" WITHOUT ROWID")
	}
	return b.String()
}

// A vtab is a table in SQLite.
type vtab struct {
	*table
	db *database
}

// A scan is what xBestIndex has decided, and xFilter carries out.
type scan struct {
	args []argument
	used uint64
}

// An argument is a constraint whose value xFilter is given.
type argument struct {
	column int
	op     int
	in     bool // IN that is told at once, until xFilter has been called
}

// Operators of constraints, as SQLite numbers them.
const (
	opEquals         = 2
	opGreater        = 4
	opLessOrEqual    = 8
	opLess           = 16
	opGreaterOrEqual = 32
	opLimit          = 73 // and OFFSET is 74: both come as if for the first column
)

// noIndex is the cost without a constraint that a table is told of; with any, it is 1. So two
// plans cost the same that tell one or two constraints.
const noIndex = 1_000_000

// BestIndex is osquery's xBestIndex. It leaves the estimated number of rows as it is.
func (v *vtab) BestIndex(idx *sqlite3.IndexInfo) error {
	s := scan{used: idx.ColumnsUsed}
	cost, isRequired, isGiven := float64(noIndex), false, false
	limited := !outer(idx)
	for i, c := range idx.Constraint {
		if !c.Usable || c.Column < 0 || c.Column >= len(v.columns) || c.Op >= opLimit && !limited {
			continue
		}
		col := v.columns[c.Column]
		if ordered(int(c.Op)) && col.affinity == "TEXT" {
			cost += 10 // even where it is 1 already
			continue
		}
		switch {
		case col.options&required != 0:
			isGiven, cost = true, 1
		case col.options&(index|additional) != 0:
			cost = 1
		default:
			continue
		}
		a := argument{column: c.Column, op: int(c.Op)}
		if idx.In(i, -1) && col.options&optimized != 0 {
			a.in = idx.In(i, 1)
		}
		s.args = append(s.args, a)
		idx.ConstraintUsage[i].ArgvIndex = len(s.args)
	}
	for i, c := range v.columns {
		isRequired = isRequired || s.uses(i) && c.options&required != 0
	}
	if isRequired && !isGiven {
		cost = noIndex
	}
	idx.EstimatedCost = cost
	idx.IdxNum = len(v.db.scans)
	v.db.scans = append(v.db.scans, s)
	return nil
}

// outer reports whether a comparison has a value that is not in the statement itself, as another
// table's column in a sub-query. Then osquery's SQLite, in contrast to newer ones, tells nothing of
// LIMIT, which EXISTS has too.
func outer(idx *sqlite3.IndexInfo) bool {
	for i, c := range idx.Constraint {
		if c.Usable && c.Op <= opGreaterOrEqual && !idx.In(i, -1) {
			if _, err := idx.RHSValue(i); err != nil {
				return true
			}
		}
	}
	return false
}

func ordered(op int) bool {
	return op == opGreater || op == opLessOrEqual || op == opLess || op == opGreaterOrEqual
}

// uses reports whether a statement uses a column; bit 63 stands for all from there on.
func (s scan) uses(col int) bool { return s.used&(1<<min(col, 63)) != 0 }

// Open is called for each place in a statement where the table is named.
func (v *vtab) Open() (sqlite3.VTabCursor, error) { return &cursor{vtab: v}, nil }

// A cursor has the rows of a scan.
type cursor struct {
	*vtab
	rows []map[string]string
	row  int
}

// Filter is osquery's xFilter.
func (c *cursor) Filter(idxNum int, _ string, arg ...sqlite3.Value) error {
	s := &c.db.scans[idxNum]
	told := map[int][]constraint{}
	satisfied := !slices.ContainsFunc(c.columns, func(c column) bool { return c.options&required != 0 })
	for i := range s.args {
		a := &s.args[i]
		satisfied = satisfied || c.columns[a.column].options&required != 0 // whatever the value
		values, err := a.values(arg[i])
		if err != nil {
			return err
		}
		told[a.column] = append(told[a.column], values...)
	}
	// LIMIT before OFFSET, and both behind all others, as in older SQLite.
	slices.SortStableFunc(told[0], func(a, b constraint) int { return cmp.Compare(max(a.Op, 72), max(b.Op, 72)) })
	if !satisfied {
		//lint:ignore ST1005 the words are osquery's
		return c.fail(fmt.Errorf("Table %s was queried without a required column in the WHERE clause", c.name))
	}
	c.row, c.rows = 0, c.table.rows
	if !c.extension {
		return nil
	}
	text, err := c.contextText(told, *s)
	if err != nil {
		return c.fail(err)
	}
	r, bytes, err := c.db.manager.call(c.db.ctx, c.name, map[string]string{"action": "generate", "context": text})
	if err != nil {
		return c.fail(err)
	}
	c.db.result.Requests = append(c.db.result.Requests, Request{c.name, text, r.Response, bytes})
	if r.Status.Code != 0 {
		return c.fail(errors.New(r.Status.Message))
	}
	c.rows = r.Response
	return nil
}

// fail keeps an error as it is: SQLite's has other words too.
func (c *cursor) fail(err error) error {
	c.db.failure = err
	return err
}

// values returns what a table is told of an argument. A list of IN is told as several
// equalities, and only the first time: osquery then forgets that it is a list (xFilter sets
// the operator of the constraint itself), and a list as a single value is NULL. So the inner
// table of a join is told of such an IN in its first request alone.
func (a *argument) values(arg sqlite3.Value) (told []constraint, err error) {
	if !a.in {
		if text, ok := exprText(arg); ok && text != "" {
			told = append(told, constraint{a.op, text})
		}
		return told, nil
	}
	a.in, a.op = false, opEquals
	v, err := arg.InFirst()
	for ; err == nil; v, err = arg.InNext() {
		if text, ok := exprText(v); ok { // here even an empty one
			told = append(told, constraint{a.op, text})
		}
	}
	if !errors.Is(err, sqliteDone) {
		return nil, err
	}
	return told, nil
}

// sqliteDone is SQLITE_DONE.
const sqliteDone = sqlite3.ErrorCode(101)

// exprText is the text of a value, if it has one: up to a NUL, and of a real with 15 digits, as
// sqlite3_value_text of osquery's SQLite.
func exprText(v sqlite3.Value) (string, bool) {
	switch v.Type() {
	case sqlite3.NULL:
		return "", false
	case sqlite3.FLOAT:
		mantissa, exponent, has := strings.Cut(realText(v.Float()), "e")
		if !strings.Contains(mantissa, ".") && !strings.HasSuffix(mantissa, "inf") {
			mantissa += ".0"
		}
		if has {
			mantissa += "e" + exponent
		}
		return mantissa, true
	}
	text, _, _ := strings.Cut(v.Text(), "\x00")
	return text, true
}

type constraint struct {
	Op   int    `json:"op"`
	Expr string `json:"expr"`
}

type columnConstraints struct {
	Name     string       `json:"name"`
	List     []constraint `json:"list"`
	Affinity string       `json:"affinity"`
}

// contextText is the JSON of a request (setRequestFromContext): the columns are sorted by name.
func (t *table) contextText(told map[int][]constraint, s scan) (string, error) {
	var c struct {
		Constraints []columnConstraints `json:"constraints"`
		ColsUsed    []string            `json:"colsUsed"`
		Bits        uint64              `json:"colsUsedBitset"`
	}
	c.ColsUsed, c.Bits = []string{}, s.used
	for i, col := range t.columns {
		c.Constraints = append(c.Constraints,
			columnConstraints{col.name, append([]constraint{}, told[i]...), col.affinity})
		if s.uses(i) {
			c.ColsUsed = append(c.ColsUsed, col.name)
		}
	}
	slices.SortFunc(c.Constraints, func(a, b columnConstraints) int { return cmp.Compare(a.Name, b.Name) })
	text, err := json.Marshal(c)
	return string(text), err
}

// Next moves to the next row.
func (c *cursor) Next() error { c.row++; return nil }

// EOF reports whether there are no more rows.
func (c *cursor) EOF() bool { return c.row >= len(c.rows) }

// RowID is that which the extension gives, or the number of the row in this scan.
func (c *cursor) RowID() (int64, error) {
	text, is := c.rows[c.row]["rowid"]
	if !is {
		return int64(c.row), nil
	}
	id, ok := parseInteger(text, 10)
	if !ok {
		return 0, c.fail(fmt.Errorf("table %s: rowid %q is no number", c.name, text))
	}
	return id, nil
}

// Column hands a value over, with the type of its column (DynamicTableRow::get_column). Without a
// result it is NULL. That a row has no such column makes no difference.
func (c *cursor) Column(ctx sqlite3.Context, n int) error {
	text := c.rows[c.row][c.columns[n].name]
	switch c.columns[n].affinity {
	case "TEXT", "BLOB":
		ctx.ResultText(text)
	case "INTEGER":
		if v, ok := parseInteger(text, 0); ok {
			ctx.ResultInt64(int64(int32(v)))
		}
	case "BIGINT", "UNSIGNED BIGINT":
		if v, ok := parseInteger(text, 0); ok {
			ctx.ResultInt64(v)
		}
	case "DOUBLE":
		v, err := strconv.ParseFloat(strings.TrimLeft(text, spaces), 64)
		if err == nil || errors.Is(err, strconv.ErrRange) && !strings.Contains(text, "_") {
			ctx.ResultFloat(v)
		}
	}
	return nil
}

// spaces is what isspace of C takes for such.
const spaces = " \t\n\v\f\r"

// parseInteger is strtoll of C, as std::stoll calls it: what stands behind the digits is left
// out, and it fails without a digit, and out of range. Base 0 knows 0x and a 0 in front.
func parseInteger(text string, base int) (int64, bool) {
	text = strings.TrimLeft(text, spaces)
	sign, digits := "", text
	if text != "" && (text[0] == '-' || text[0] == '+') {
		sign, digits = text[:1], text[1:]
	}
	if base == 0 {
		base = 10
		switch {
		case len(digits) > 2 && strings.EqualFold(digits[:2], "0x") && digit(digits[2]) < 16:
			base, digits = 16, digits[2:]
		case strings.HasPrefix(digits, "0"):
			base = 8
		}
	}
	n := 0
	for n < len(digits) && digit(digits[n]) < base {
		n++
	}
	v, err := strconv.ParseInt(sign+digits[:n], base, 64)
	return v, err == nil
}

// digit is the value of a digit, and a large number for what is none.
func digit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'z':
		return int(c|0x20-'a') + 10
	}
	return math.MaxInt
}
