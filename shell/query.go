package shell

import (
	"context"
	"errors"
	"io"
	"strings"

	"kernelroutes/tables"
)

// ErrInterrupted is what remains of a query whose context has ended.
var ErrInterrupted = errors.New("interrupted")

// Options say how Query prints.
type Options struct {
	Format Format

	// Separator stands between the values of CSV and List, "," and "|" if empty.
	Separator string
	// NoHeader leaves the names of the columns out of CSV and List.
	NoHeader bool
	// Warn, if not nil, is told once of everything that a user should know of a
	// statement that succeeds.
	Warn func(text string)
	// Widths are those of Pretty's columns, in their order, in columns of a terminal: what is longer
	// is cut. 0, and what is missing: as wide as the column is. Negative: to the right.
	Widths []int
	// Progress, if not nil, has how far each statement of a Run is.
	Progress *Progress
	// Note, if not nil, is told what a command wants to be said besides the rows, such as how long a
	// statement took.
	Note func(text string)
	// Terminal, if not nil, is where what is printed goes.
	Terminal *Terminal
	// Files, if not nil, opens what commands name: somebody types them.
	Files *Files

	indirect bool // for tests: no values but SQLite's are printed
}

// Query runs SQL statements one after the other and prints the rows that they
// return: see Session.Run.
func Query(ctx context.Context, out io.Writer, src tables.Source, sql string, opts Options) error {
	s := NewSession(src, opts)
	defer s.Close()
	if err := s.Run(ctx, out, sql); !errors.Is(err, ErrQuit) {
		return err
	}
	return nil
}

// once returns a function that passes each text on only once.
func once(warn func(string)) func(string) {
	if warn == nil {
		return nil
	}
	told := map[string]bool{}
	return func(text string) {
		if !told[text] {
			told[text] = true
			warn(text)
		}
	}
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
func (s *Session) statement(sql string) (tail string, err error) {
	plans := len(s.db.plans)
	s.db.statement = sql
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
	s.db.src, s.db.rowIDs = s.src, false
	if own := s.db.plans[plans:]; len(own) > 0 { // one of the tables is read
		program := s.db.program(sql[:len(sql)-len(tail)])
		if !scansOnce(program) {
			s.db.src, s.db.rowIDs = &instant{Source: s.src, plans: own}, true
		}
		if !s.db.indirect {
			r.from = originColumns(program, len(columns))
		}
	}
	if len(columns) > 0 {
		s.out.stars = starsOf(sql[:len(sql)-len(tail)])
		s.printer.begin(s.out, columns)
	}
	for r.next() {
		s.printer.row(s.out, &r)
		s.rows++
		if err := s.out.rowDone(); err != nil {
			return "", err
		}
	}
	if err := r.err(); err != nil {
		return "", s.explain(err)
	}
	if len(columns) > 0 {
		err = s.printer.end(s.out)
	} else { // it may have made something
		s.db.findOwn()
	}
	return tail, err
}
