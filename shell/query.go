// Package shell is what the program does without osquery: it answers SQL on an
// embedded SQLite and prints routes as its predecessor did.
package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"kernelroutes/tables"
)

// ErrInterrupted is what remains of a query whose context has ended.
var ErrInterrupted = errors.New("interrupted")

// Query runs SQL statements one after the other and prints the rows that they
// return. Between statements, the lines .tables and .schema [TABLE] are answered
// too. If it fails before 1 MiB has been printed, nothing has been printed.
func Query(ctx context.Context, out io.Writer, src tables.Source, sql string, f Format) error {
	var all []relation
	for _, t := range tables.All() {
		all = append(all, relation{t, t.Scan})
	}
	slices.SortFunc(all, func(a, b relation) int { return strings.Compare(a.Name, b.Name) })
	return query(ctx, out, src, all, sql, f)
}

func query(ctx context.Context, out io.Writer, src tables.Source, all []relation, sql string, f Format) (err error) {
	defer func() {
		// The library panics when memory is used up.
		switch e := recover(); fmt.Sprint(e) {
		case "<nil>":
		case "sqlite3: out of memory":
			err = fmt.Errorf("out of memory: SQLite would need more than %d MiB; ask for fewer rows or columns, or without ORDER BY", maxMemory>>20)
		default:
			panic(e)
		}
	}()
	if strings.Contains(sql, "\x00") {
		return errors.New("the SQL has a NUL byte in it; it has to be UTF-8 text")
	}
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	db, err := openDatabase(ctx, src, all)
	if err != nil {
		return err
	}
	defer db.Close()
	s := session{db: db, src: src, tables: all, out: newOutput(ctx, out), printer: f.printer()}
	defer s.out.wait() // also if it fails
	if err := s.run(sql); err != nil {
		return err
	}
	return s.out.flush()
}

// A session is one call of Query.
type session struct {
	db      *database
	src     tables.Source
	tables  []relation
	out     *output
	printer printer
}

func (s *session) run(sql string) error {
	for sql = skipBlank(sql); sql != ""; sql = skipBlank(sql) {
		var err error
		if sql[0] == '.' {
			var line string
			line, sql, _ = strings.Cut(sql, "\n")
			s.printer.finish(s.out)
			err = s.command(strings.TrimRight(line, "; \t\r"))
		} else {
			sql, err = s.statement(sql)
		}
		if err != nil {
			return err
		}
	}
	s.printer.finish(s.out)
	return nil
}

// skipBlank skips what may stand before a statement: white space, semicolons and
// comments.
func skipBlank(sql string) string {
	for {
		sql = strings.TrimLeft(sql, "; \t\n\f\r")
		switch {
		case strings.HasPrefix(sql, "--"):
			_, sql, _ = strings.Cut(sql, "\n")
		case strings.HasPrefix(sql, "/*"):
			_, sql, _ = strings.Cut(sql[2:], "*/")
		default:
			return sql
		}
	}
}

// statement runs the first statement and returns what comes after it.
func (s *session) statement(sql string) (tail string, err error) {
	plans := len(s.db.plans)
	stmt, tail, err := s.db.Prepare(sql)
	if err != nil {
		return "", s.explain(err)
	}
	if stmt == nil {
		return "", nil
	}
	defer stmt.Close()
	columns := make([]string, stmt.ColumnCount())
	for i := range columns {
		columns[i] = stmt.ColumnName(i)
	}
	r := row{Stmt: stmt, db: s.db}
	s.db.src = s.src
	if own := s.db.plans[plans:]; len(own) > 0 { // one of the tables is read
		program := s.db.program(sql[:len(sql)-len(tail)])
		if !scansOnce(program) {
			s.db.src = &instant{Source: s.src, plans: own}
		}
		r.from = passedOn(program, len(columns))
	}
	if len(columns) > 0 {
		s.printer.begin(s.out, columns)
	}
	for r.next() {
		s.printer.row(s.out, &r)
		if err := s.out.rowDone(); err != nil {
			return "", err
		}
	}
	if err := r.err(); err != nil {
		return "", s.explain(err)
	}
	if len(columns) > 0 {
		err = s.printer.end(s.out)
	}
	return tail, err
}

// command answers a dot command. As in osqueryi, its argument is the beginning
// of a table's name.
func (s *session) command(line string) error {
	args := strings.Fields(line)
	if len(args) > 2 || args[0] != ".tables" && args[0] != ".schema" {
		return fmt.Errorf("unknown command %q: there are .tables [TABLE] and .schema [TABLE]", line)
	}
	prefix, found := strings.Join(args[1:], ""), false
	for _, t := range s.tables {
		if !strings.HasPrefix(t.Name, prefix) {
			continue
		}
		found = true
		if args[0] == ".tables" {
			s.out.buf = append(s.out.buf, "  => "+t.Name+"\n"...)
		} else {
			s.out.buf = append(s.out.buf, schema(t.Table)+";\n"...)
		}
	}
	if !found {
		return fmt.Errorf("no such table: %s; %s", prefix, s.names())
	}
	return nil
}

// names says which tables there are.
func (s *session) names() string {
	var names []string
	for _, t := range s.tables {
		names = append(names, t.Name)
	}
	return "the tables are " + strings.Join(names, " and ")
}

// explain makes SQLite's error one for the user: what failed and what to do.
func (s *session) explain(err error) error {
	if s.db.ctx.Err() != nil {
		return ErrInterrupted
	}
	if s.db.failure != nil {
		return s.db.failure
	}
	msg := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "sqlite3: "), "SQL logic error: ")
	for _, hint := range []struct{ sign, text string }{
		{"no such table", s.names()},
		{"no such column", ".schema lists the columns"},
		{"syntax error", "see query --help for examples"},
		{"incomplete input", "the statement ends too early"},
		{"unrecognized token", "is a quote missing?"},
	} {
		if strings.Contains(msg, hint.sign) {
			return errors.New(msg + "; " + hint.text)
		}
	}
	return errors.New(msg)
}
