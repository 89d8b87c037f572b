package events

import (
	"context"
	"log/slog"

	"kernelroutes/rtnl"
)

// Defaults of Options.
const (
	MaxRows  = 100_000
	MaxBytes = 64 << 20
)

// Options say what a Log keeps.
type Options struct {
	Namespace rtnl.Namespace
	MaxRows   int          // events that are kept; 0: MaxRows
	MaxBytes  int64        // of memory for them, by and large; 0: MaxBytes
	Logger    *slog.Logger // nil: none
}

// A Log keeps the newest events. Safe for concurrent use.
type Log struct {
}

// Start begins to follow the changes in the background, until the Log is closed.
func Start(k *rtnl.Kernel, o Options) *Log { return &Log{} }

// Close ends it.
func (l *Log) Close() {}

// Events returns the events that are kept of those after one, by its Seq, oldest first. The
// slice is the caller's. On an error there are none: changes cannot be followed.
func (l *Log) Events(ctx context.Context, after uint64) ([]*Event, error) { return nil, nil }

// Follow yields the changes in a namespace, from the call on, as they happen; if present is true,
// first what there is, as Present. It is to be ranged over once. It ends with an error, that of
// the context when that ends.
func Follow(ctx context.Context, k *rtnl.Kernel, ns rtnl.Namespace, present bool) func(func(*Event, error) bool) {
	return func(yield func(*Event, error) bool) {}
}
