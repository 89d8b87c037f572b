package statusline

import (
	"testing"
	"time"
)

func TestCounter(t *testing.T) {
	var none *Counter
	none.Begin("counting", "", 1) // nobody waits
	none.Next()
	var c Counter
	begun := time.Now()
	expect := func(want string) {
		t.Helper()
		if s := c.now.Load(); s != nil {
			s.since = begun
		}
		if got := c.Text(begun.Add(2 * time.Second)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	c.Next() // of nothing
	expect("")
	c.Begin("comparing kernel_routes", "the kernel", 5000)
	expect("comparing kernel_routes, in the kernel")
	for range 5000 {
		c.Next()
	}
	expect("comparing kernel_routes: 5,000 of 5,000, 2,500/s, in the kernel")
	c.Next() // there are more than was known
	expect("comparing kernel_routes: 5,001, 2,500/s, in the kernel")
	c.Begin("going through the routes", "", 0)
	expect("going through the routes")
	c.Next()
	expect("going through the routes: 1, 0/s")
}
