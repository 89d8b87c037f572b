package tables

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A requestContext is what osquery sends with a generate request, in JSON
// (TablePlugin::setRequestFromContext, ConstraintList::serialize). Its
// colsUsedBitset says less than colsUsed, as one bit stands for all columns
// after the 63rd, and is not read.
type requestContext struct {
	Constraints []struct {
		Name string          `json:"name"`
		List array[listItem] `json:"list"`
	} `json:"constraints"`
	ColsUsed *array[string] `json:"colsUsed"`
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
type opNumber Op

func (o *opNumber) UnmarshalJSON(b []byte) error {
	n, _ := strconv.Atoi(strings.Trim(string(b), `"`))
	*o = opNumber(n)
	return nil
}

// parseRequest returns what the context of a generate request asks of t. An
// empty context asks for everything.
//
// What is not understood is left out, be it an operator, a column or a context
// without colsUsed: it can only make the answer larger, and SQLite filters every
// row again.
func parseRequest(t *Table, context string) (Query, error) {
	q := Query{Used: make([]bool, len(t.Columns))}
	var rc requestContext
	if context != "" {
		if err := json.Unmarshal([]byte(context), &rc); err != nil {
			return Query{}, fmt.Errorf("osquery's request cannot be read: %w", err)
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
func appendConstraints(cs []Constraint, col int, list []listItem) []Constraint {
	damaged := func(i listItem) bool { return strings.ContainsRune(i.Expr, utf8.RuneError) }
	equalities := true
	for _, i := range list {
		if Op(i.Op) == Equals && damaged(i) {
			equalities = false
		}
	}
	for _, i := range list {
		switch op := Op(i.Op); op {
		case Equals:
			if equalities {
				cs = append(cs, Constraint{Column: col, Op: op, Expr: i.Expr})
			}
		case GreaterThan, LessOrEqual, LessThan, GreaterOrEqual:
			if !damaged(i) {
				cs = append(cs, Constraint{Column: col, Op: op, Expr: i.Expr})
			}
		}
	}
	return cs
}
