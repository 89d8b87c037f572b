package shell

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"unsafe"

	"github.com/ncruces/go-sqlite3"

	"kernelroutes/tables"
)

// An sqlTable is a table as SQLite sees it.
type sqlTable struct {
	*tables.Table
	scan func(context.Context, tables.Source, tables.Query) (tables.Rows, error)
}

// A database is a connection to SQLite, in memory, in which the tables exist as
// eponymous virtual tables. It behaves as osquery's does: an absent TEXT reads as
// an empty string and an absent number as NULL, "x" is a string where no column
// is called x, osquery's functions are there, and what osquery does not allow is
// refused.
type database struct {
	*sqlite3.Conn

	ctx    context.Context
	src    tables.Source
	tables []sqlTable
	warn   func(string) // nil: nobody wants to be warned
	memory int64        // what SQLite may use
	plans  []indexPlan  // IdxNum is an index into it

	rowIDs   bool // the statement may scan a table more than once
	indirect bool // values of tables are not passed on: see direct.go

	opened *cursor    // the last one
	own    []Relation // see Session.Own

	passed   int64     // rows of tables, by the statement
	progress *Progress // has so many of them as are known to others; nil: nobody wants to know

	parameter *sqlite3.Stmt // SELECT ?
	empty     sqlite3.Value
	statement string // that is prepared, and what comes after it
	failure   error  // why a table could not be read
	refused   error  // why a statement may not run
}

// openDatabase opens a database.
func openDatabase(all []sqlTable) (*database, error) {
	conn, memory, err := openMemory()
	if err != nil {
		return nil, err
	}
	db := &database{Conn: conn, ctx: context.Background(), tables: all, memory: memory}
	if err := db.prepare(); err != nil {
		conn.Close()
		return nil, err
	}
	return db, nil
}

// begin has what comes read from src, and interrupted when ctx ends.
func (db *database) begin(ctx context.Context, src tables.Source) {
	db.ctx, db.src, db.plans, db.failure, db.refused = ctx, src, nil, nil, nil
	db.SetInterrupt(ctx)
}

// prepare makes SQLite one that behaves as osquery's.
func (db *database) prepare() error {
	// Else a large sort, or a temporary table, is in a file.
	err := errors.Join(db.Exec("PRAGMA temp_store = memory"), defineFunctions(db.Conn))
	// SQLite's defaults, which the library changes.
	for option, on := range map[sqlite3.DBConfig]bool{
		sqlite3.DBCONFIG_DQS_DML:        true,  // "x" is a string where no column is called x
		sqlite3.DBCONFIG_DQS_DDL:        true,  // in CREATE VIEW too
		sqlite3.DBCONFIG_TRUSTED_SCHEMA: true,  // views may read the tables
		sqlite3.DBCONFIG_ENABLE_FKEY:    false, // REFERENCES means nothing
	} {
		_, e := db.Config(option, on)
		err = errors.Join(err, e)
	}
	for _, r := range db.tables {
		//lint:ignore SA1019 the method that is to be used instead needs Go 1.27
		err = errors.Join(err, sqlite3.CreateModule(db.Conn, r.Name, nil,
			func(conn *sqlite3.Conn, _, _, _ string, _ ...string) (*vtab, error) {
				v := &vtab{db: db, sqlTable: r}
				for _, c := range r.Columns {
					v.text = append(v.text, c.Type == tables.Text)
				}
				return v, conn.DeclareVTab(schema(r.Table))
			}))
	}
	if err != nil {
		return err
	}
	if db.parameter, _, err = db.Prepare("SELECT ?"); err != nil {
		return err
	}
	db.empty = *db.value("")
	return db.SetAuthorizer(db.authorize)
}

// Close closes the connection.
func (db *database) Close() error {
	return errors.Join(db.parameter.Close(), db.Conn.Close())
}

// value returns a text as a value that may be handed over many times.
func (db *database) value(text string) *sqlite3.Value {
	if db.parameter.BindText(1, text) != nil || !db.parameter.Step() {
		return nil
	}
	v := db.parameter.ColumnValue(0).Dup()
	db.parameter.Reset()
	return v
}

// schema returns the CREATE TABLE statement of a table, without the semicolon.
func schema(t *tables.Table) string {
	var b strings.Builder
	b.WriteString("CREATE TABLE " + t.Name)
	sep := "("
	for _, c := range t.Columns {
		b.WriteString(sep + "`" + c.Name + "` " + string(c.Type))
		if c.Options&tables.Hidden != 0 {
			b.WriteString(" HIDDEN")
		}
		sep = ", "
	}
	b.WriteString(")")
	return b.String()
}

// An indexPlan is what BestIndex decided and Filter carries out.
type indexPlan struct {
	table *vtab
	used  []bool
	args  []argument
	known []tables.Constraint // those of args whose value is in the statement itself

	joined   []int // see Query.Joined
	filtered bool  // Filter has carried it out
}

// An argument is a constraint whose value Filter is given.
type argument struct {
	column int
	op     tables.Op
	list   bool // IN: the value is a list
	text   bool // the column's type is TEXT
}

// done is SQLITE_DONE.
const done = sqlite3.ErrorCode(101)

// A vtab is a table in SQLite.
type vtab struct {
	db *database
	sqlTable
	text []bool // by column: its type is TEXT
}

// What a scan costs, so that SQLite puts the table that can be narrowed inside
// a join, and narrows it by the column that identifies a row.
const (
	fullRows, fullCost   = 1_000_000, 1e7
	otherRows, otherCost = 10_000, 1e6
	indexRows, indexCost = 2, 10
	noAnswer             = 1e30 // without a condition that is required
	unsaidCost           = 10   // times the cost: see unsaid
)

// unsaid reports whether a column is used that says what to show, without an equality that says
// so. SQLite may have one in an OR, whose sides it tries apart: (netns = 'a' OR netns_id = 5)
// AND dst = 'x'. To ask for dst alone would lose what it means.
func (v *vtab) unsaid(used []bool, inputs map[string]bool) bool {
	for i, c := range v.Columns {
		if _, said := inputs[c.Input]; c.Input != "" && c.Options&tables.Hidden != 0 && used[i] && !said {
			return true
		}
	}
	return false
}

// BestIndex hands every condition over that a table may make use of. SQLite
// evaluates all of them again, so a table is free to ignore them.
func (v *vtab) BestIndex(idx *sqlite3.IndexInfo) error {
	p := indexPlan{table: v, used: make([]bool, len(v.Columns))}
	for i := range p.used {
		p.used[i] = idx.ColumnsUsed&(1<<min(i, 63)) != 0 // bit 63: all columns from there on
	}
	idx.EstimatedRows, idx.EstimatedCost = fullRows, fullCost
	required := slices.ContainsFunc(v.Columns, func(c tables.ColumnInfo) bool { return c.Options&tables.Required != 0 })
	inputs := map[string]bool{} // what rows are to show, by ColumnInfo.Input: whether it is known
	for i, c := range idx.Constraint {
		if c.Column >= 0 && tables.Op(c.Op) == tables.Equals && v.Columns[c.Column].Input != "" {
			input := v.Columns[c.Column].Input
			inputs[input] = inputs[input] || c.Usable
		}
		op, ok := v.operator(c)
		// Another collation makes more values equal than the table knows of, but that what rows
		// are to show is what they show.
		if !ok || idx.Collation(i) != "BINARY" && v.Columns[c.Column].Input == "" {
			continue
		}
		a := argument{c.Column, op, op == tables.Equals && idx.In(i, 1), v.text[c.Column]}
		p.args = append(p.args, a)
		switch value, err := idx.RHSValue(i); {
		case a.list: // SQLite does not tell a list that is written from a sub-select
		case err == nil:
			p.known, _ = a.appendTo(p.known, value)
		case op == tables.Equals:
			p.joined = append(p.joined, c.Column)
		}
		idx.ConstraintUsage[i].ArgvIndex = len(p.args)
		switch {
		case op != tables.Equals:
			idx.EstimatedRows, idx.EstimatedCost = idx.EstimatedRows-1, idx.EstimatedCost-1
		case v.Columns[c.Column].Options&(tables.Index|tables.Required) != 0:
			required = required && v.Columns[c.Column].Options&tables.Required == 0
			idx.EstimatedRows, idx.EstimatedCost = min(idx.EstimatedRows, indexRows), min(idx.EstimatedCost, indexCost)
		default:
			idx.EstimatedRows, idx.EstimatedCost = min(idx.EstimatedRows, otherRows), min(idx.EstimatedCost, otherCost)
		}
	}
	for _, known := range inputs {
		required = required || !known
	}
	if required {
		idx.EstimatedCost = noAnswer // so that SQLite tries another order of the tables
	} else if v.unsaid(p.used, inputs) {
		idx.EstimatedCost *= unsaidCost
	}
	idx.IdxNum = len(v.db.plans)
	v.db.plans = append(v.db.plans, p)
	return nil
}

// operator returns the operator of a constraint that a table may make use of.
func (v *vtab) operator(c sqlite3.IndexConstraint) (tables.Op, bool) {
	if !c.Usable || c.Column < 0 {
		return 0, false
	}
	switch op := tables.Op(c.Op); op {
	case tables.Equals:
		return op, true
	case tables.GreaterThan, tables.GreaterOrEqual, tables.LessThan, tables.LessOrEqual:
		return op, !v.text[c.Column] || v.Columns[c.Column].Sorted
	}
	return 0, false
}

// Open is called once for each place in a statement where the table is named.
func (v *vtab) Open() (sqlite3.VTabCursor, error) {
	v.db.opened = &cursor{vtab: v, texts: make([]repeated, len(v.Columns))}
	return v.db.opened, nil
}

// A cursor reads the rows of a table.
type cursor struct {
	*vtab
	rows  tables.Rows
	row   int64
	eof   bool
	where []tables.Constraint
	buf   []byte
	texts []repeated // by column
}

// Close frees what the cursor has left with SQLite.
func (c *cursor) Close() error {
	for i := range c.texts {
		c.texts[i].free()
	}
	return nil
}

// Filter begins a scan.
func (c *cursor) Filter(idxNum int, _ string, arg ...sqlite3.Value) error {
	p := &c.db.plans[idxNum]
	c.rows, c.row, c.eof = nil, 0, true
	c.where = c.where[:0]
	if c.db.progress != nil {
		c.db.progress.Scans.Add(1)
	}
	for i, a := range p.args {
		possible, err := c.constrain(a, arg[i])
		if err != nil || !possible {
			return err
		}
	}
	q := tables.Query{Constraints: c.where, Used: p.used, Joined: p.joined, RowIDs: c.db.rowIDs}
	if !p.filtered { // else all has been said
		q.Warn, q.Elsewhere = c.db.warn, c.db.rowIDs && c.db.namesNamespaces()
	}
	p.filtered = true
	rows, err := c.scan(c.db.ctx, c.db.src, q)
	if err != nil {
		c.db.failure = err
		return err
	}
	c.rows = rows
	return c.Next()
}

// namesNamespaces reports whether a table of the statement is asked for some network namespace.
func (db *database) namesNamespaces() bool {
	return slices.ContainsFunc(db.plans, func(p indexPlan) bool {
		return slices.ContainsFunc(p.args, func(a argument) bool {
			return p.table.Columns[a.column].Input == tables.NamespaceInput
		})
	})
}

// constrain adds one condition. It returns false if no row can meet it.
func (c *cursor) constrain(a argument, arg sqlite3.Value) (bool, error) {
	if !a.list {
		var possible bool
		c.where, possible = a.appendTo(c.where, arg)
		return possible, nil
	}
	possible := false
	for v, err := arg.InFirst(); ; v, err = arg.InNext() {
		switch {
		case errors.Is(err, done):
			return possible, nil
		case err != nil:
			return false, err
		}
		var can bool
		c.where, can = a.appendTo(c.where, v)
		possible = possible || can
	}
}

// appendTo adds one comparison to a query's. It returns false if no row can meet it,
// because nothing compares with NULL.
func (a argument) appendTo(where []tables.Constraint, v sqlite3.Value) ([]tables.Constraint, bool) {
	if v.Type() == sqlite3.NULL {
		return where, false
	}
	switch {
	case a.op == tables.Equals:
	case a.text && v.Type() != sqlite3.BLOB: // SQLite, too, makes text of a number then
	case a.text, v.NumericType() != sqlite3.INTEGER && v.NumericType() != sqlite3.FLOAT:
		return where, true // all numbers are less than any text, that than any blob; tables do not know that
	}
	return append(where, tables.Constraint{Column: a.column, Op: a.op, Expr: v.Text()}), true
}

// countedRows is how many rows there are between two times that others are told of them.
const countedRows = 1024

// Next moves to the next row.
func (c *cursor) Next() error {
	c.row++
	if c.db.passed++; c.db.passed%countedRows == 0 && c.db.progress != nil {
		c.db.progress.Rows.Add(countedRows)
	}
	c.eof = !c.rows.Next()
	if c.eof {
		c.rows = nil
	}
	return nil
}

// EOF reports whether there are no more rows.
func (c *cursor) EOF() bool { return c.eof }

// RowID numbers the rows of a scan, so that a row has the same number in all scans of
// a statement: SQLite merges scans by it.
func (c *cursor) RowID() (int64, error) {
	if c.db.rowIDs {
		return c.rows.RowID(), nil
	}
	return c.row, nil
}

// Column hands a value over to SQLite. Without a result the value is NULL.
func (c *cursor) Column(ctx sqlite3.Context, n int) error {
	if !c.text[n] {
		if v, ok := c.rows.Int(n); ok {
			ctx.ResultInt64(v)
		}
		return nil
	}
	c.buf = c.rows.AppendText(c.buf[:0], n)
	if v := c.texts[n].value(c.db, c.buf); v != nil {
		ctx.ResultValue(*v)
		return nil
	}
	// SQLite copies the bytes before ResultText returns.
	ctx.ResultText(unsafe.String(unsafe.SliceData(c.buf), len(c.buf)))
	return nil
}

// A repeated is the text that a column had last. Most columns have the same one
// in many rows, and handing a value over that SQLite has already costs a fifth.
type repeated struct {
	text  []byte
	times int
	held  *sqlite3.Value // the text, once it has come often enough
}

// internAfter is how often a text comes before SQLite is given it to keep.
const internAfter = 4

// value returns the text as a value that SQLite has already, nil if there is none.
func (r *repeated) value(db *database, text []byte) *sqlite3.Value {
	switch {
	case len(text) == 0:
		return &db.empty
	case !bytes.Equal(text, r.text):
		r.free()
		r.text, r.times = append(r.text[:0], text...), 1
	case r.held == nil:
		if r.times++; r.times == internAfter {
			r.held = db.value(string(text))
		}
	}
	return r.held
}

func (r *repeated) free() {
	if r.held != nil {
		r.held.Close()
		r.held = nil
	}
}
