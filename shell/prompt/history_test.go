package prompt

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"kernelroutes/internal/needtest"

	"github.com/peterh/liner"
)

func TestHistoryPath(t *testing.T) {
	for _, c := range []struct{ state, home, want string }{
		{"/s", "/h", "/s/kernel-routes/history"},
		{"", "/h", "/h/.local/state/kernel-routes/history"},
		{"relative", "/h", "/h/.local/state/kernel-routes/history"},
		{"", "", ""},
		{"", "relative", ""},
	} {
		env := map[string]string{"XDG_STATE_HOME": c.state, "HOME": c.home}
		got, err := historyPath(func(name string) string { return env[name] })
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}

func newHistory(t *testing.T) *history {
	return &history{path: filepath.Join(t.TempDir(), historyBelow), uid: os.Geteuid()}
}

// TestHistoryFile: what cannot be shown again is left out, whatever else the file holds.
func TestHistoryFile(t *testing.T) {
	h := newHistory(t)
	if entries, err := h.load(); len(entries) > 0 || err != nil {
		t.Errorf("at first there are %q, %v", entries, err)
	}
	long := strings.Repeat("x", maxEntry)
	text := "SELECT 'größe';\n\xff\xfe\n\x1b[31mred\n\n  \n" + long + "\n" + long +
		"x\n.tables\r\n.mode csv\na\x00b\nlast"
	if err := os.WriteFile(h.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := h.load()
	if want := []string{"SELECT 'größe';", long, ".mode csv", "last"}; !slices.Equal(got, want) || err != nil {
		t.Errorf("%v, got %.100q", err, got)
	}
	for _, entry := range []string{"two\nlines", "\x1b", "", long + "x"} {
		if err := h.add(entry); err != nil {
			t.Error(err)
		}
	}
	if b, err := os.ReadFile(h.path); string(b) != text || err != nil {
		t.Errorf("%v, the file has changed", err)
	}
	for range 2 { // behind a line that has no end
		if err := h.add("more"); err != nil {
			t.Error(err)
		}
	}
	if b, err := os.ReadFile(h.path); string(b) != text+"\nmore\nmore\n" || err != nil {
		t.Errorf("%v, the file ends with %.100q", err, b[max(0, len(b)-50):])
	}
}

// TestHistoryBounds: the file is cut, to its last lines, when it has become long.
func TestHistoryBounds(t *testing.T) {
	h := newHistory(t)
	line := func(i int) string { return fmt.Sprintf("SELECT %d;", i) }
	for i := range maxEntries + 1 {
		if err := h.add(line(i)); err != nil {
			t.Fatal(err)
		}
	}
	check := func() {
		t.Helper()
		got, err := h.load()
		if err != nil || len(got) != liner.HistoryLimit || got[len(got)-1] != line(maxEntries) {
			t.Errorf("%v, %d entries, the last are %.100q", err, len(got), got[max(0, len(got)-2):])
		}
	}
	check()
	b, err := os.ReadFile(h.path)
	if n := strings.Count(string(b), "\n"); err != nil || n != liner.HistoryLimit {
		t.Errorf("%v, the file has %d lines", err, n)
	}
	if info, err := os.Stat(h.path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	huge := strings.Repeat("y", maxRemember) + "\n" + string(b)
	if err := os.WriteFile(h.path, []byte(huge), 0o600); err != nil {
		t.Fatal(err)
	}
	check()
	if info, err := os.Stat(h.path); err != nil || info.Size() > maxRemember {
		t.Errorf("%v, the file has still %d bytes", err, info.Size())
	}
	if left, _ := os.ReadDir(filepath.Dir(h.path)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// TestHistories: of several prompts that remember at once, and cut the file, no line is lost but the oldest.
func TestHistories(t *testing.T) {
	h := newHistory(t)
	const prompts, lines = 8, 100
	var wg sync.WaitGroup
	for i := range prompts {
		wg.Go(func() {
			mine := &history{path: h.path, uid: h.uid}
			for j := range lines {
				if err := mine.add(fmt.Sprintf("SELECT %d, %d;", i, j)); err != nil {
					t.Error(err)
				}
				if f, locked, err := mine.lock(); err == nil {
					if locked && j%10 == 0 { // as one that begins does
						var all []string
						b, _ := os.ReadFile(mine.path)
						for line := range strings.Lines(string(b)) {
							all = append(all, strings.TrimSpace(line))
						}
						if err := mine.cut(all); err != nil {
							t.Error(err)
						}
					}
					f.Close()
				}
			}
		})
	}
	wg.Wait()
	got, err := h.load()
	if err != nil || len(got) != prompts*lines {
		t.Errorf("%v, %d lines are there, want %d", err, len(got), prompts*lines)
	}
}

// TestHistoryOwner: another user's file is neither read nor written, nor does root make files in another user's
// folder.
func TestHistoryOwner(t *testing.T) {
	h := newHistory(t)
	if err := h.add("SELECT 1;"); err != nil {
		t.Fatal(err)
	}
	h.uid++
	if got, err := h.load(); err == nil || !strings.Contains(err.Error(), "another user") {
		t.Errorf("%q, %v", got, err)
	}
	root := newHistory(t)
	root.uid = 0
	if os.Geteuid() == 0 {
		if err := os.Chown(filepath.Dir(filepath.Dir(root.path)), 1000, -1); err != nil {
			needtest.Missing(t, "this root may not give a folder to another user: %v", err)
		}
	}
	if got, err := root.load(); err == nil || !strings.Contains(err.Error(), "another user") {
		t.Errorf("%q, %v", got, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(filepath.Dir(root.path))); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
