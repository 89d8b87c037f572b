package extension

import (
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"kernelroutes/internal/logging"
	"kernelroutes/tables"
)

const (
	maxSeenWarnings = 1000 // that are remembered
	maxWarningText  = 1000 // bytes that are logged of one
	maxWarnings     = 10   // in warningInterval

	warningInterval = 10 * time.Second
)

// warnings logs what the user of a table should know of a condition, each text once:
// a scheduled query that has it comes again and again. A join with many values that mean
// nothing has a text for each of them, of which some are logged.
type warnings struct {
	logger *slog.Logger

	mu    sync.Mutex
	seen  map[uint64]bool // hashes
	begun time.Time       // an interval, with this many lines, and more that were not logged
	lines int
	more  int
}

var warningSeed = maphash.MakeSeed()

func (w *warnings) warn(t *tables.Table, text string) {
	if !w.isNew(maphash.Comparable(warningSeed, [2]string{t.Name, text})) {
		return
	}
	args := []any{"table", t.Name}
	if more, may := w.mayLog(); may {
		if more > 0 {
			args = append(args, logging.Suppressed, more)
		}
		w.logger.Warn(text[:min(len(text), maxWarningText)], args...)
	}
}

// mayLog reports whether there may be one more line, and how many there were that might not.
func (w *warnings) mayLog() (more int, may bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.begun) >= warningInterval {
		w.begun, w.lines = time.Now(), 0
	}
	if w.lines >= maxWarnings {
		w.more++
		return 0, false
	}
	w.lines++
	more, w.more = w.more, 0
	return more, true
}

func (w *warnings) isNew(hash uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen[hash] {
		return false
	}
	if w.seen == nil || len(w.seen) >= maxSeenWarnings {
		w.seen = map[uint64]bool{}
	}
	w.seen[hash] = true
	return true
}
