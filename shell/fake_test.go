package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"kernelroutes/tables"
)

// A fake is a table with fixed rows. It keeps the queries that it was asked.
type fake struct {
	sqlTable
	rows    [][]any // string, int, int64, or nil where absent
	err     error
	queries []tables.Query
}

// newFake makes a table; a column is a name and, where it is not TEXT, a type:
// "dst", "metric BIGINT".
func newFake(name string, columns []string, rows ...[]any) *fake {
	f := &fake{rows: rows}
	f.Table = &tables.Table{Name: name}
	for _, c := range columns {
		name, typ, _ := strings.Cut(c, " ")
		info := tables.ColumnInfo{Name: name, Type: tables.Text, Options: tables.Additional}
		if typ != "" {
			info.Type = tables.Type(typ)
		}
		if name == "id" {
			info.Options = tables.Index
		}
		f.Columns = append(f.Columns, info)
	}
	f.scan = func(_ context.Context, _ tables.Source, q tables.Query) (tables.Rows, error) {
		q.Constraints = append([]tables.Constraint(nil), q.Constraints...)
		f.queries = append(f.queries, q)
		if f.err != nil {
			return nil, f.err
		}
		return &fakeRows{rows: f.rows}, nil
	}
	return f
}

type fakeRows struct {
	rows    [][]any
	started bool
}

func (r *fakeRows) Next() bool {
	if r.started {
		r.rows = r.rows[1:]
	}
	r.started = true
	return len(r.rows) > 0
}

// RowID counts from the end: every scan has the same rows.
func (r *fakeRows) RowID() int64 { return int64(len(r.rows)) }

func (r *fakeRows) AppendText(b []byte, col int) []byte {
	text, _ := r.rows[0][col].(string)
	return append(b, text...)
}

func (r *fakeRows) Int(col int) (int64, bool) {
	switch v := r.rows[0][col].(type) {
	case int:
		return int64(v), true
	case int64: // for what an int of 32 bits does not hold
		return v, true
	}
	return 0, false
}

// query is Query with other tables.
func query(
	ctx context.Context, out io.Writer, src tables.Source, all []sqlTable, sql string, opts Options,
) error {
	s := NewSession(src, opts)
	s.all = all
	defer s.Close()
	if err := s.Run(ctx, out, sql); !errors.Is(err, ErrQuit) {
		return err
	}
	return nil
}

// ask runs SQL on fake tables and returns what was printed.
func ask(f Format, sql string, fakes ...*fake) (string, error) {
	var all []sqlTable
	for _, t := range fakes {
		all = append(all, t.sqlTable)
	}
	var out bytes.Buffer
	err := query(context.Background(), &out, nil, all, sql, Options{Format: f})
	return out.String(), err
}

// mustAsk is ask where no error is expected.
func mustAsk(t *testing.T, f Format, sql string, fakes ...*fake) string {
	t.Helper()
	out, err := ask(f, sql, fakes...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

func routesFake() *fake {
	return newFake("r", []string{"id", "dst", "dev", "metric BIGINT", "flags INTEGER"},
		[]any{"a", "0.0.0.0/0", "eth0", 100, 0},
		[]any{"b", "10.0.0.0/8", "eth1", nil, 4},
		[]any{"c", "192.0.2.0/24", nil, int64(math.MaxUint32), 0},
	)
}

// numbers is a subquery with the numbers from 1 to n in the column value.
func numbers(n int64) string {
	return fmt.Sprintf("(WITH RECURSIVE c(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM c LIMIT %d) "+
		"SELECT value FROM c)", n)
}
