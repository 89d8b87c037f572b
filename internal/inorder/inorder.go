// Package inorder works on parts of something side by side and uses the results
// one after the other.
package inorder

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Ahead is how many parts are worked on at a time, or wait to be used.
func Ahead() int { return 2 * runtime.GOMAXPROCS(0) }

// A Panic is what Do panics with if work did on another goroutine.
type Panic struct {
	Value any
	Stack []byte // of the goroutine that panicked
}

func (p *Panic) String() string { return fmt.Sprintf("%v\n%s", p.Value, p.Stack) }

// Do calls work for 0 to n-1, on all processors, and use with each result in their
// order, on the caller's goroutine. It ends with the first error of use, but not
// before the work that has begun.
func Do[T any](n int, work func(i int) T, use func(T) error) error {
	if n == 1 {
		return use(work(0))
	}
	type result struct {
		value    T
		panicked *Panic
	}
	results := make([]chan result, 0, n)
	begin := func() {
		i := len(results)
		if i == n {
			return
		}
		ch := make(chan result, 1)
		results = append(results, ch)
		go func() {
			var r result
			defer func() {
				if p := recover(); p != nil {
					r.panicked = &Panic{p, debug.Stack()}
				}
				ch <- r
			}()
			r.value = work(i)
		}()
	}
	for range Ahead() {
		begin()
	}
	var err error
	var panicked *Panic
	for i := 0; i < len(results); i++ {
		switch r := <-results[i]; {
		case err != nil || panicked != nil:
		case r.panicked != nil:
			panicked = r.panicked
		default:
			if err = use(r.value); err == nil {
				begin()
			}
		}
	}
	if panicked != nil {
		panic(panicked)
	}
	return err
}
