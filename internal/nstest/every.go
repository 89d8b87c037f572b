//go:build linux

package nstest

import (
	"bytes"
	"fmt"
	"os/exec"
	"testing"
	"time"
)

// Every runs one of the lines with ip -batch each time the interval has passed, one
// after the other and again from the first, until the function that it returns is
// called. That returns how many lines were run.
func Every(t testing.TB, interval time.Duration, lines ...string) (stop func() int) {
	t.Helper()
	cmd := exec.Command("ip", "-batch", "-")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done, count := make(chan struct{}), make(chan int)
	go func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-done:
				in.Close()
				count <- n
				return
			case <-tick.C:
				fmt.Fprintln(in, lines[n%len(lines)])
			}
		}
	}()
	stopped := false
	stop = func() int {
		if stopped {
			return 0
		}
		stopped = true
		close(done)
		n := <-count
		if err := cmd.Wait(); err != nil {
			t.Errorf("ip -batch: %v\n%s", err, out.Bytes())
		}
		return n
	}
	t.Cleanup(func() { stop() })
	return stop
}
