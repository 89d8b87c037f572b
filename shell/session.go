package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"kernelroutes/internal/thousands"
	"kernelroutes/tables"
)

// ErrQuit is what Run returns when it has come to .quit, before which all went well.
var ErrQuit = errors.New("the session is to end")

// A Session is a database in which statements are run one after the other: what one of them makes, as
// a view, the next ones find, and what a command such as .mode sets holds for what follows. Not for
// concurrent use.
type Session struct {
	Options

	src tables.Source
	all []sqlTable
	db  *database // nil: none has been needed, or SQLite has run out of memory

	timer bool      // .timer on
	wide  *bool     // .wide; nil: as the terminal is
	file  *openFile // where .output has answers go; nil: to Run's out

	// Of the Run that is under way.
	ctx     context.Context
	screen  io.Writer // Run's out
	shown   *Terminal // the terminal that screen is, if it is one
	out     *output
	printer printer
	rows    int // of the statement
	reading int // how many files .read is in
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

// Close frees the database, and closes the file that .output has opened. Its error is that of the file.
func (s *Session) Close() error {
	if s.db != nil {
		s.db.Close()
		s.db = nil
	}
	return s.closeFile()
}

// Run runs SQL statements one after the other and prints the rows that they return. Between
// statements, lines that begin with a dot are commands. If it fails before 1 MiB has been printed,
// nothing has been printed; where somebody types (Options.Files), each statement's rows are printed
// when it ends. Whatever the SQL is, and if memory is used up, it returns an error.
func (s *Session) Run(ctx context.Context, out io.Writer, sql string) (err error) {
	if strings.Contains(sql, "\x00") {
		return errors.New("the SQL has a NUL byte in it; it has to be UTF-8 text")
	}
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	s.ctx, s.screen, s.shown, s.reading = ctx, out, s.Terminal, 0
	s.begin()
	defer func() {
		if e := recover(); e != nil {
			err = s.lost(e)
		}
		s.out.close() // also if it fails
		s.Terminal = s.shown
	}()
	if s.db == nil {
		if s.db, err = openDatabase(s.all); err != nil {
			return err
		}
	}
	s.db.begin(ctx, s.src)
	s.db.warn, s.db.indirect, s.db.progress = once(s.Warn), s.indirect, s.Progress
	err = s.run(sql, "")
	if err != nil && !errors.Is(err, ErrQuit) {
		return err
	}
	if failed := s.out.flush(); failed != nil {
		return failed
	}
	return err
}

// begin has what follows printed as the Options say, to where .output says.
func (s *Session) begin() {
	if s.file != nil {
		s.out, s.Terminal = newOutput(s.ctx, NewPieces(s.ctx, s.file)), nil
	} else {
		s.out, s.Terminal = newOutput(s.ctx, s.screen), s.seenAt()
	}
	s.printer = s.Options.printer()
}

// seenAt is the terminal that rows are seen at, as .wide has it; nil: there is none.
func (s *Session) seenAt() *Terminal {
	if s.shown == nil {
		return nil
	}
	t := *s.shown
	if t.Typed = s.Files != nil; s.wide != nil {
		t.Wide = *s.wide
	}
	return &t
}

// turn writes what has been printed, so that what follows is printed in another way or elsewhere.
func (s *Session) turn() error {
	s.printer.finish(s.out)
	return s.out.flush()
}

// lost drops the database after a panic: SQLite is not to be called again, but to have memory back of which
// there is not enough for a session that goes on.
func (s *Session) lost(panicked any) error {
	err := recovered(panicked, s.db)
	if s.db != nil && s.Files != nil && outOfMemory(panicked) {
		s.db.discard()
	}
	made := s.Own() != nil
	s.db = nil
	if made {
		err = fmt.Errorf("%w; the views and tables that were made in this session are gone", err)
	}
	return err
}

// run runs statements and commands; file names where they come from, if that is a file.
func (s *Session) run(sql, file string) error {
	all := sql
	for sql = skipBlank(sql); sql != ""; sql = skipBlank(sql) {
		before, err := all[:len(all)-len(sql)], s.begins()
		if err != nil {
			return err
		}
		if sql[0] == '.' {
			var line string
			line, sql, _ = strings.Cut(sql, "\n")
			s.printer.finish(s.out)
			err = s.command(strings.TrimRight(line, "; \t\r"))
		} else {
			sql, err = s.timed(sql)
		}
		if err != nil {
			return inFile(err, file, before)
		}
	}
	s.printer.finish(s.out)
	return nil
}

// timed runs a statement, and tells how long it took if that is wanted.
func (s *Session) timed(sql string) (tail string, err error) {
	start := time.Now()
	s.rows = 0
	transaction := !s.db.GetAutocommit()
	tail, err = s.statement(sql)
	if err != nil {
		if transaction { // which SQLite undoes after some errors
			s.db.findOwn()
		}
		return "", err
	}
	if s.Files != nil || s.timer { // the time stands below what it is about
		if err := s.turn(); err != nil {
			return "", err
		}
	}
	if s.timer && s.Note != nil {
		s.Note(fmt.Sprintf("Run Time: real %.3f s, %s", time.Since(start).Seconds(), counted(s.rows, "row")))
	}
	return tail, nil
}

// counted is a number of things in words: "1,234 rows".
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return thousands.Of(n) + " " + thing
}
