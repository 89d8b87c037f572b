package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"kernelroutes/tables"
)

// Files are how commands open the files that they name. No SQL that comes from elsewhere than a person
// at a prompt may: it has none.
type Files struct {
	// Read returns what a file holds.
	Read func(ctx context.Context, name string) (string, error)
	// Create opens a file to be written, empty.
	Create func(ctx context.Context, name string) (io.WriteCloser, error)
	// Source returns what is read from a capture, or from the kernel if name is "". Its errors name the file.
	Source func(ctx context.Context, name string) (tables.Source, error)
}

// An openFile is where .output has answers go.
type openFile struct {
	io.WriteCloser
	name string
}

func (f *openFile) Write(b []byte) (int, error) {
	n, err := f.WriteCloser.Write(b)
	return n, fileError("writing", f.name, err)
}

// A fileError is one with a file, which it names.
func fileError(doing, name string, err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	if err == nil || errors.Is(err, ErrInterrupted) {
		return err
	}
	return fmt.Errorf("%s %s: %w", doing, shorten(name), err)
}

func (s *Session) closeFile() error {
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return fileError("writing", f.name, f.Close())
}

// output has answers written to a file, or to the screen again.
func (s *Session) output(args []string) error {
	err := errors.Join(s.turn(), s.closeFile())
	if len(args) == 1 && args[0] != "-" && args[0] != "stdout" && err == nil {
		var w io.WriteCloser
		if w, err = s.Files.Create(s.ctx, args[0]); err == nil {
			s.file = &openFile{w, args[0]}
		}
		err = fileError("writing", args[0], err)
	}
	s.begin()
	return err
}

// from has answers come from a capture, or from the kernel again.
func (s *Session) from(args []string) error {
	src, err := s.Files.Source(s.ctx, strings.Join(args, ""))
	if err == nil {
		s.src = src
	}
	return err
}

// maxReading is how many files may be read one inside the other.
const maxReading = 20

// read runs what a file holds.
func (s *Session) read(args []string) error {
	name := args[0]
	if s.reading == maxReading {
		return fmt.Errorf("reading %s: more than %d files are read one inside the other; does one read itself?",
			shorten(name), maxReading)
	}
	sql, err := s.Files.Read(s.ctx, name)
	if err != nil {
		return fileError("reading", name, err)
	}
	if strings.Contains(sql, "\x00") {
		return fmt.Errorf("reading %s: it has a NUL byte in it; it has to be UTF-8 text", shorten(name))
	}
	s.reading++
	defer func() { s.reading-- }()
	return s.run(sql, name)
}

// A located error says in which file and line it is.
type located struct{ error }

func (l *located) Unwrap() error { return l.error }

// inFile says of an error in what file it is, and in which line, after the text before it.
func inFile(err error, file, before string) error {
	if file == "" || errors.Is(err, ErrInterrupted) || errors.Is(err, ErrQuit) || errors.As(err, new(*located)) {
		return err
	}
	return &located{fmt.Errorf("%s, line %d: %w", shorten(file), 1+strings.Count(before, "\n"), err)}
}
