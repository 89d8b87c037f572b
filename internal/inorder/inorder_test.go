package inorder

import (
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestDo(t *testing.T) {
	for _, n := range []int{0, 1, Ahead(), 10 * Ahead()} {
		var begun atomic.Int32
		next := 0
		err := Do(n, func(i int) int {
			begun.Add(1)
			for range (n - i) % 7 {
				runtime.Gosched()
			}
			return i
		}, func(i int) error {
			if i != next {
				t.Fatalf("%d comes instead of %d", i, next)
			}
			if ahead := int(begun.Load()) - next; ahead > Ahead() {
				t.Errorf("%d ahead", ahead)
			}
			next++
			return nil
		})
		if err != nil || next != n {
			t.Errorf("%d of %d, %v", next, n, err)
		}
	}
}

// TestDoFails has a use and a work that fail: what has begun ends before Do does.
func TestDoFails(t *testing.T) {
	n := 10 * Ahead()
	var begun, ended atomic.Int32
	work := func(i int) int {
		begun.Add(1)
		defer ended.Add(1)
		if i > 3 {
			time.Sleep(time.Millisecond)
		}
		return i
	}
	no := errors.New("no")
	err := Do(n, work, func(i int) error {
		if i == 3 {
			return no
		}
		return nil
	})
	if want := int32(3 + Ahead()); err != no || begun.Load() != want || ended.Load() != want {
		t.Errorf("%v after %d begun and %d ended, want %d", err, begun.Load(), ended.Load(), want)
	}

	begun.Store(0)
	ended.Store(0)
	defer func() {
		p, ok := recover().(*Panic)
		if !ok || p.Value != "broken" || !strings.HasPrefix(p.String(), "broken\n") ||
			!strings.Contains(p.String(), "inorder.TestDoFails") {
			t.Errorf("panic %v", p)
		}
		if want := int32(2 + Ahead()); begun.Load() != want || ended.Load() != want {
			t.Errorf("%d begun and %d ended, want %d", begun.Load(), ended.Load(), want)
		}
	}()
	Do(n, func(i int) int {
		if work(i) == 2 {
			panic("broken")
		}
		return i
	}, func(int) error { return nil })
	t.Error("the panic is lost")
}
