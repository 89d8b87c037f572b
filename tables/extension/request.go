package extension

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"kernelroutes/tables"
)

// A requestContext is what osquery sends with a generate request, in JSON
// (TablePlugin::setRequestFromContext, ConstraintList::serialize). Its
// colsUsedBitset says less than colsUsed, as one bit stands for all columns
// after the 63rd, and is not read.
type requestContext struct {
	Constraints []columnConstraints `json:"constraints"`
	ColsUsed    *array[string]      `json:"colsUsed"`
}

type columnConstraints struct {
	Name string          `json:"name"`
	List array[listItem] `json:"list"`
}

type listItem struct {
	Op   opNumber `json:"op"`
	Expr string   `json:"expr"`
}

// An array is a JSON array, or the "" that osquery before 3.0 wrote for an empty
// one.
type array[T any] []T

func (a *array[T]) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `[]`, `""`:
		*a = nil
		return nil
	}
	return json.Unmarshal(b, (*[]T)(a))
}

// An opNumber is an operator, which osquery before 3.0 wrote as a string. What
// is no number becomes 0, which is no operator.
type opNumber tables.Op

func (o *opNumber) UnmarshalJSON(b []byte) error {
	n, _ := strconv.Atoi(strings.Trim(string(b), `"`))
	*o = opNumber(n)
	return nil
}

// readContext reads a context that is written as osquery 5 writes it: in this
// order, without blanks, escapes and what is not ASCII. It returns false for any
// other, which is for encoding/json to read. With 68 columns, each of them listed
// twice, that takes more time than all the rest of a request of a join.
func readContext(text string) (rc requestContext, ok bool) {
	c := cursor{left: text}
	c.must(`{"constraints":[`)
	c.list(func() {
		var column columnConstraints
		c.must(`{"name":"`)
		column.Name = c.text()
		c.must(`,"list":[`)
		c.list(func() {
			c.must(`{"op":`)
			op, _ := strconv.Atoi(c.number())
			c.must(`,"expr":"`)
			column.List = append(column.List, listItem{opNumber(op), c.text()})
			c.must(`}`)
		})
		c.must(`,"affinity":"`)
		c.text()
		c.must(`}`)
		if len(column.List) > 0 { // as few have: osquery lists every column
			rc.Constraints = append(rc.Constraints, column)
		}
	})
	if c.is(`,"colsUsed":[`) {
		used := make(array[string], 0, strings.Count(c.left, ","))
		c.list(func() {
			c.must(`"`)
			used = append(used, c.text())
		})
		rc.ColsUsed = &used
	}
	if c.is(`,"colsUsedBitset":`) {
		c.number()
	}
	c.must(`}`)
	return rc, !c.lost && c.left == ""
}

// A cursor reads text whose shape is known. It is lost when the shape is another.
type cursor struct {
	left string
	lost bool
}

// is passes over what comes next, if it is that.
func (c *cursor) is(next string) (yes bool) {
	c.left, yes = strings.CutPrefix(c.left, next)
	return yes
}

func (c *cursor) must(next string) {
	if !c.is(next) {
		c.lost = true
	}
}

// text reads the rest of a string.
func (c *cursor) text() string {
	for i := range len(c.left) {
		switch b := c.left[i]; {
		case b == '"':
			s := c.left[:i]
			c.left = c.left[i+1:]
			return s
		case b < ' ' || b == '\\' || b >= utf8.RuneSelf:
			c.lost = true
			return ""
		}
	}
	c.lost = true
	return ""
}

// number reads the digits of a number that is not negative.
func (c *cursor) number() string {
	digits := len(c.left) - len(strings.TrimLeft(c.left, "0123456789"))
	s := c.left[:digits]
	if s == "" || s[0] == '0' && s != "0" {
		c.lost = true
	}
	c.left = c.left[digits:]
	return s
}

// list reads the rest of an array.
func (c *cursor) list(element func()) {
	for n := 0; !c.lost && !c.is(`]`); n++ {
		if n > 0 {
			c.must(`,`)
		}
		element()
	}
}

// maxCommas bounds what a request takes when it has been read: a comma may be a value
// of 40 bytes. As many values as osquery can send in maxRequest have 900,000.
const maxCommas = 1 << 20

// parseRequest returns what the context of a generate request asks of t. An
// empty context asks for everything.
//
// What is not understood is left out, be it an operator, a column or a context
// without colsUsed: it can only make the answer larger, and SQLite filters every
// row again.
func parseRequest(t *tables.Table, context string) (tables.Query, error) {
	if strings.Count(context, ",") > maxCommas {
		return tables.Query{}, fmt.Errorf("a request of more than %d values: %w", maxCommas, errTooLarge)
	}
	q := tables.Query{Used: make([]bool, len(t.Columns))}
	rc, ok := readContext(context)
	if !ok && context != "" {
		rc = requestContext{}
		if err := json.Unmarshal([]byte(context), &rc); err != nil {
			return tables.Query{}, fmt.Errorf("osquery's request cannot be read: %w", err)
		}
	}

	for _, c := range rc.Constraints {
		if len(c.List) == 0 {
			continue // as most are: osquery lists every column
		}
		if col := t.Column(c.Name); col >= 0 {
			q.Constraints = appendConstraints(q.Constraints, col, c.List)
		}
	}

	if rc.ColsUsed == nil {
		for col := range q.Used {
			q.Used[col] = true
		}
		return q, nil
	}
	for _, name := range *rc.ColsUsed {
		if col := t.Column(name); col >= 0 {
			q.Used[col] = true
		}
	}
	return q, nil
}

// appendConstraints appends the constraints of one column. An expression that
// was not UTF-8 has lost its bytes on the way through JSON and would exclude the
// rows that it means (an interface's name may hold any byte). Such a one is left
// out, and with it all equalities of the column, as they are alternatives.
func appendConstraints(cs []tables.Constraint, col int, list []listItem) []tables.Constraint {
	damaged := func(i listItem) bool { return strings.ContainsRune(i.Expr, utf8.RuneError) }
	equalities := true
	for _, i := range list {
		if tables.Op(i.Op) == tables.Equals && damaged(i) {
			equalities = false
		}
	}
	for _, i := range list {
		switch op := tables.Op(i.Op); op {
		case tables.Equals:
			if equalities {
				cs = append(cs, tables.Constraint{Column: col, Op: op, Expr: i.Expr})
			}
		case tables.GreaterThan, tables.LessOrEqual, tables.LessThan, tables.GreaterOrEqual:
			if !damaged(i) {
				cs = append(cs, tables.Constraint{Column: col, Op: op, Expr: i.Expr})
			}
		}
	}
	return cs
}
