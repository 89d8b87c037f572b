package shell

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"kernelroutes/tables"
)

// A Session is a database in which statements are run one after the other: what one of them makes, as
// a view, the next ones find. Not for concurrent use.
type Session struct {
	Options

	src tables.Source
	all []sqlTable
	db  *database // nil: none has been needed, or SQLite has run out of memory

	// Of the Run that is under way.
	out     *output
	printer printer
}

// NewSession returns a session that reads from a source. Its Options may be changed between two runs.
func NewSession(src tables.Source, opts Options) *Session {
	var all []sqlTable
	for _, t := range tables.All() {
		all = append(all, sqlTable{t, t.Scan})
	}
	slices.SortFunc(all, func(a, b sqlTable) int { return strings.Compare(a.Name, b.Name) })
	return &Session{Options: opts, src: src, all: all}
}

// Close frees the database.
func (s *Session) Close() {
	if s.db != nil {
		s.db.Close()
		s.db = nil
	}
}

// SetSource has all that comes read from another source.
func (s *Session) SetSource(src tables.Source) { s.src = src }

// Run runs SQL statements one after the other and prints the rows that they return. Between
// statements, lines that begin with a dot are commands. If it fails before 1 MiB has been printed,
// nothing has been printed. Whatever the SQL is, and if memory is used up, it returns an error.
func (s *Session) Run(ctx context.Context, out io.Writer, sql string) (err error) {
	if strings.Contains(sql, "\x00") {
		return errors.New("the SQL has a NUL byte in it; it has to be UTF-8 text")
	}
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	s.out, s.printer = newOutput(ctx, out), s.Options.printer()
	if s.Rows != nil {
		s.Rows.Store(0)
	}
	defer func() {
		if e := recover(); e != nil {
			err = recovered(e, s.db)
			s.db = nil // SQLite is not to be called again
		}
		s.out.close() // also if it fails
	}()
	if s.db == nil {
		if s.db, err = openDatabase(s.all); err != nil {
			return err
		}
	}
	s.db.begin(ctx, s.src)
	s.db.warn, s.db.indirect, s.db.counter = once(s.Warn), s.indirect, s.Rows
	if err := s.run(sql); err != nil {
		return err
	}
	return s.out.flush()
}

func (s *Session) run(sql string) error {
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
