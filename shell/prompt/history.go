package prompt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/peterh/liner"
	"golang.org/x/sys/unix"
)

// A history is a file in which statements are remembered, one a line. Several prompts may have it open: each
// adds its lines at the end.
type history struct {
	path string // "": there is none
	uid  int    // of who may have it

	hurried bool // nobody is waited for who has the lock
}

// Bounds of a history.
const (
	maxEntries   = 2 * liner.HistoryLimit // when it is cut to its last half
	maxEntry     = 64 << 10               // bytes of a line; longer ones are not remembered
	maxRemember  = 4 << 20                // bytes that are read, at the end
	historyBelow = "kernel-routes/history"
)

// historyPath returns where the history is, as the XDG Base Directory Specification says.
func historyPath(env func(string) string) (string, error) {
	if dir := env("XDG_STATE_HOME"); filepath.IsAbs(dir) { // others are to be ignored
		return filepath.Join(dir, historyBelow), nil
	}
	if home := env("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local/state", historyBelow), nil
	}
	return "", errors.New("neither XDG_STATE_HOME nor HOME is set")
}

// open opens the file, which is made if there is none. A FIFO is no history, and is not waited for.
func (h *history) open() (*os.File, error) {
	folder := filepath.Dir(h.path)
	if err := h.ours(folder); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(h.path, os.O_RDWR|os.O_CREATE|os.O_APPEND|unix.O_NONBLOCK|unix.O_NOCTTY, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("it is no regular file")
	case h.owner(info) != h.uid:
		err = errors.New("it is another user's")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ours refuses root a folder to be made in another user's, who could not write there afterwards (sudo).
func (h *history) ours(folder string) error {
	for h.uid == 0 {
		info, err := os.Stat(folder)
		if err == nil && h.owner(info) != 0 {
			return fmt.Errorf("%s is another user's", folder)
		}
		if err == nil || !errors.Is(err, fs.ErrNotExist) || folder == filepath.Dir(folder) {
			return nil
		}
		folder = filepath.Dir(folder)
	}
	return nil
}

// lock opens the file and locks it, so that no other prompt cuts it meanwhile. Who holds the lock for long is not
// waited for a second time: to add a line is safe then too, unless it is being cut.
func (h *history) lock() (f *os.File, locked bool, err error) {
	const patience, pause = time.Second, time.Millisecond
	for end := time.Now().Add(patience); ; {
		if f, err = h.open(); err != nil {
			return nil, false, err
		}
		locked = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
		mine, e1 := f.Stat()
		there, e2 := os.Stat(h.path)
		late := time.Now().After(end)
		if e1 == nil && e2 == nil && os.SameFile(mine, there) && (locked || late || h.hurried) {
			h.hurried = !locked
			return f, locked, nil
		}
		f.Close() // another one has taken its place, or has the lock
		if late {
			return nil, false, errors.New("it is being replaced all the time")
		}
		time.Sleep(pause)
	}
}

// load returns what is remembered, and cuts the file if it has become long.
func (h *history) load() ([]string, error) {
	f, locked, err := h.lock()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	from := max(0, info.Size()-maxRemember)
	text, err := io.ReadAll(io.NewSectionReader(f, from, maxRemember))
	if err != nil {
		return nil, err
	}
	if from > 0 {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	var entries []string
	lines := bytes.Count(text, []byte("\n"))
	for line := range bytes.Lines(text) {
		if entry := string(bytes.TrimSuffix(line, []byte("\n"))); rememberable(entry) {
			entries = append(entries, entry)
		}
	}
	entries = entries[max(0, len(entries)-liner.HistoryLimit):]
	if locked && (lines > maxEntries || from > 0) {
		err = h.cut(entries)
	}
	return entries, err
}

// rememberable reports whether a line can be shown again: what could drive a terminal is not.
func rememberable(line string) bool {
	return strings.TrimSpace(line) != "" && len(line) <= maxEntry && utf8.ValidString(line) &&
		!strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsGraphic(r) })
}

// cut replaces the file by one with some lines.
func (h *history) cut(entries []string) error {
	place, err := filepath.EvalSymlinks(h.path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(place), ".history-") // 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(entries, "\n") + "\n")
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), place)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// add remembers a line.
func (h *history) add(entry string) error {
	if !rememberable(entry) {
		return nil
	}
	f, _, err := h.lock()
	if err != nil {
		return err
	}
	if !endsLine(f) { // somebody has edited it
		entry = "\n" + entry
	}
	_, err = f.WriteString(entry + "\n")
	return errors.Join(err, f.Close())
}

// endsLine reports whether the last line of a file has an end, if there is one.
func endsLine(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return true
	}
	last := make([]byte, 1)
	_, err = f.ReadAt(last, info.Size()-1)
	return err != nil || last[0] == '\n'
}

// owner returns the user whose a file is.
func (h *history) owner(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return h.uid
}
