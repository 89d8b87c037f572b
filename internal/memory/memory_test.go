package memory

import (
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// TestAsk: a little is there, and what no machine has is not.
func TestAsk(t *testing.T) {
	if err := Ask(1 << 20); err != nil {
		t.Error(err)
	}
	if runtime.GOOS != "linux" {
		return
	}
	const most = 1<<min(62, 8*wordSize-2) - 1<<28
	if err := Ask(most); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "ulimit") {
		t.Error(err)
	}
	// What the user has set stays.
	before := debug.SetMemoryLimit(1 << 40)
	defer debug.SetMemoryLimit(before)
	if KeepBelow(); debug.SetMemoryLimit(-1) != 1<<40 {
		t.Error("another limit")
	}
}

const wordSize = 4 << (^uintptr(0) >> 63)
