package osquerytest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ncruces/go-sqlite3"
	"github.com/osquery/osquery-go/gen/osquery"
)

// SQL is answered by SQLite over virtual tables that decide as osquery's do: what a table is
// told (xBestIndex and xFilter of osquery/sql/virtual_table.cpp), what becomes of the values of
// rows (dynamic_table_row.cpp), and which statements are refused (sqlite_util.cpp). These
// decisions, not the rows alone, make the order in which SQLite joins tables.
//
// The library's SQLite is newer than osquery's, and is kept from most of what it plans otherwise
// (sqlplanner.go, sqlcte.go, outer in sqltable.go). What is left: the order of tables of which
// several are materialized CTEs or osquery's own, so that a required column may be told of that
// osquery would not be told of (CROSS JOIN decides it in both); pairs in IN, as (a, b) IN (VALUES
// ...); and whether LIMIT is told, which means nothing to a table.

// A Result is what a query came to.
type Result struct {
	Rows     []map[string]string // NULL is an empty text, as in osquery's results
	Requests []Request           // in their order
}

// A Request is one that was sent to an extension, with the answer to it.
type Request struct {
	Table   string
	Context string              // JSON
	Rows    []map[string]string // as the extension has sent them: SQLite filters them afterwards
	Bytes   int64               // of the answer
}

// A Cost is what a query costs the extension, and osquery, which holds the rows.
type Cost struct {
	Requests, Rows int
	Bytes          int64
}

// Cost adds up the requests.
func (r Result) Cost() Cost {
	var c Cost
	for _, q := range r.Requests {
		c = c.plus(Cost{1, len(q.Rows), q.Bytes})
	}
	return c
}

func (c Cost) plus(d Cost) Cost {
	return Cost{c.Requests + d.Requests, c.Rows + d.Rows, c.Bytes + d.Bytes}
}

func (c Cost) String() string {
	return fmt.Sprintf("%d requests, %d rows, %d bytes", c.Requests, c.Rows, c.Bytes)
}

// Query answers SQL as osquery does, over the tables of all extensions that are registered.
// The error is osquery's, or that of a table, with the same words.
func (m *Manager) Query(ctx context.Context, sql string) ([]map[string]string, error) {
	r, err := m.Run(ctx, sql)
	return r.Rows, err
}

// Run is Query that also tells what was asked of the extensions, even if it fails. The SQL may
// have several statements; their rows follow each other.
func (m *Manager) Run(ctx context.Context, sql string) (Result, error) {
	db, err := m.openDatabase(ctx)
	if err != nil {
		return Result{}, err
	}
	defer db.Close()
	if name := newerSyntax(sql); name != "" {
		return Result{}, fmt.Errorf("near %q: syntax error", name)
	}
	for sql = materialized(sql); sql != ""; {
		if sql, err = db.statement(sql); err != nil {
			db.result.Rows = nil
			break
		}
	}
	m.mu.Lock()
	m.sent = m.sent.plus(db.result.Cost())
	m.mu.Unlock()
	return db.result, err
}

// Sent is what all queries so far have cost.
func (m *Manager) Sent() Cost {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sent
}

// A Column is one of osquery's own tables.
type Column struct {
	Name, Type string
	Options    int // ColumnOptions of osquery's core/sql/column.h: 1 INDEX, 2 REQUIRED, ...
}

// AddTable adds one of osquery's own tables, as processes, with the rows that it is to have.
// Its columns are to have the options of osquery's specs (specs/*.table): where there is none,
// conditions are not passed on, in contrast to those of an extension.
func (m *Manager) AddTable(name string, columns []Column, rows ...map[string]string) {
	t := &table{name: name, rows: rows}
	for _, c := range columns {
		t.columns = append(t.columns, column{c.Name, c.Type, c.Options, false})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.own = append(m.own, t)
}

// Define has the functions defined that osquery adds to SQLite (in_cidr_block, split, ...). Of
// themselves there are only those of osquery's SQLite.
func (m *Manager) Define(define func(*sqlite3.Conn) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.define = define
}

// A database is a connection to SQLite with the tables. A query has one of its own.
type database struct {
	*sqlite3.Conn
	ctx     context.Context
	manager *Manager
	result  Result
	scans   []scan          // xBestIndex has decided: idxNum is an index into it
	defined map[string]bool // functions that are not SQLite's
	failure error           // why a table has failed, or a statement was refused
}

func (m *Manager) openDatabase(ctx context.Context) (*database, error) {
	m.mu.Lock()
	all, define := append([]*table{}, m.own...), m.define
	for _, e := range m.extensions {
		for name, registered := range e.registry["table"] {
			all = append(all, &table{name: name, columns: readColumns(registered), extension: true})
		}
	}
	m.mu.Unlock()
	conn, err := sqlite3.OpenContext(ctx, ":memory:")
	if err != nil {
		return nil, fmt.Errorf("opening SQLite: %w", err)
	}
	db := &database{Conn: conn, ctx: ctx, manager: m, defined: map[string]bool{}}
	if err := db.prepare(all, define); err != nil {
		conn.Close()
		return nil, fmt.Errorf("making SQLite osquery's: %w", err)
	}
	conn.SetInterrupt(ctx)
	return db, nil
}

// prepare makes SQLite osquery's: its planner, its settings, its functions, its tables.
func (db *database) prepare(all []*table, define func(*sqlite3.Conn) error) error {
	err := errors.Join(planAsOlder(db.Conn), db.Exec("PRAGMA temp_store = memory"), db.defineFunctions(define))
	// "x" is a text where no column is called x: SQLite's default, which the library changes.
	_, e := db.Config(sqlite3.DBCONFIG_DQS_DML, true)
	err = errors.Join(err, e, db.SetAuthorizer(db.authorize))
	for _, t := range all {
		connect := func(conn *sqlite3.Conn, _, _, _ string, _ ...string) (*vtab, error) {
			return &vtab{table: t, db: db}, conn.DeclareVTab(t.schema())
		}
		//lint:ignore SA1019 the method that is to be used instead needs Go 1.27
		e := sqlite3.CreateModule(db.Conn, t.name, connect, connect)
		if e == nil {
			e = db.Exec("CREATE VIRTUAL TABLE temp." + t.name + " USING " + t.name)
		}
		if e != nil {
			err = errors.Join(err, fmt.Errorf("attaching table %s: %w", t.name, e))
		}
	}
	return err
}

// statement runs the first statement and returns what comes after it.
func (db *database) statement(sql string) (tail string, err error) {
	stmt, tail, err := db.Prepare(sql)
	if err != nil {
		return "", db.explain(err)
	}
	if stmt == nil {
		return tail, nil
	}
	defer stmt.Close()
	for stmt.Step() {
		row := map[string]string{} // of two columns of one name the last is left
		for i := range stmt.ColumnCount() {
			row[stmt.ColumnName(i)] = resultText(stmt, i)
		}
		db.result.Rows = append(db.result.Rows, row)
	}
	if err := stmt.Err(); err != nil {
		return "", db.explain(err)
	}
	return tail, nil
}

// resultText is a value of a result (readRows of sqlite_util.cpp, castvariant.h).
func resultText(stmt *sqlite3.Stmt, col int) string {
	switch stmt.ColumnType(col) {
	case sqlite3.NULL:
		return ""
	case sqlite3.FLOAT:
		s := realText(stmt.ColumnFloat(col))
		if !strings.Contains(s, ".") {
			s += ".0" // even behind an exponent
		}
		return s
	}
	s, _, _ := strings.Cut(stmt.ColumnText(col), "\x00")
	return s
}

// realText is what printf makes of a real with %.15g.
func realText(f float64) string {
	s := strconv.FormatFloat(f, 'e', 14, 64)
	mantissa, exponent, ok := strings.Cut(s, "e")
	e, err := strconv.Atoi(exponent)
	if !ok || err != nil { // Inf
		return strings.ToLower(strings.TrimPrefix(s, "+"))
	}
	if e < -4 || e >= 15 {
		return trimZeros(mantissa) + "e" + exponent
	}
	return trimZeros(strconv.FormatFloat(f, 'f', 14-e, 64))
}

func trimZeros(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// explain makes SQLite's error what osquery says: the message alone, or the table's.
func (db *database) explain(err error) error {
	var e *sqlite3.Error
	switch {
	case db.ctx.Err() != nil:
		return db.ctx.Err()
	case db.failure != nil:
		return db.failure
	case errors.As(err, &e):
		text := strings.TrimPrefix(err.Error(), e.Code().Error()+": ")
		return errors.New(strings.TrimPrefix(text, "sqlite3: "))
	}
	return err
}

// A table is one as osquery has it.
type table struct {
	name      string
	columns   []column
	extension bool
	rows      []map[string]string // of a table that no extension has
}

// A column is one as an extension has registered it.
type column struct {
	name, affinity string
	options        int
	byDefault      bool // the options are those of extensions_default_index
}

// osquery's ColumnOptions (core/sql/column.h).
const (
	index      = 1
	required   = 2
	additional = 4
	optimized  = 8
	hidden     = 16
)

func readColumns(registered osquery.ExtensionPluginResponse) (columns []column) {
	for _, c := range registered {
		if c["id"] == "column" {
			options, _ := strconv.Atoi(c["op"])
			columns = append(columns, column{c["name"], c["type"], cmp.Or(options, index), options == 0})
		}
	}
	return columns
}
