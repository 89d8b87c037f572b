package extension

import (
	"hash/maphash"
	"log/slog"
	"sync"

	"kernelroutes/tables"
)

const (
	maxSeenWarnings = 1000 // that are remembered
	maxWarningText  = 1000 // bytes that are logged of one
)

// warnings logs what the user of a table should know of a condition, each text once:
// a scheduled query that has it comes again and again.
type warnings struct {
	logger *slog.Logger

	mu   sync.Mutex
	seen map[uint64]bool // hashes
}

var warningSeed = maphash.MakeSeed()

func (w *warnings) warn(t *tables.Table, text string) {
	if w.isNew(maphash.Comparable(warningSeed, [2]string{t.Name, text})) {
		w.logger.Warn(text[:min(len(text), maxWarningText)], "table", t.Name)
	}
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
