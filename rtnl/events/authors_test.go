package events

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/author"
)

// TestAuthors has a thousand commands that change a route each: whoever is named has done it.
func TestAuthors(t *testing.T) {
	nstest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	commands := nstest.Amount(1000, 100)
	var mu sync.Mutex
	told := map[string]*Event{}
	done := testFollower(t).inBackground(ctx, func(e *Event, err error) bool {
		if err != nil {
			t.Error(err)
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if text := textOf(e); strings.HasPrefix(text, "added route 254 30.") {
			told[text] = e
		}
		return len(told) < commands
	})
	pids := map[string]int{}
	for i := range commands {
		dst := fmt.Sprintf("30.0.%d.%d", i/250, i%250)
		cmd := exec.Command("ip", "route", "add", "blackhole", dst)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		pids["added route 254 "+dst+"/32"] = cmd.Process.Pid
	}
	<-done
	named, paths := 0, 0
	for text, pid := range pids {
		e := told[text]
		switch {
		case e == nil:
			t.Fatalf("nothing told of: %s", text)
		case int(e.Port) != pid:
			t.Errorf("%s: by port %d, not %d", text, e.Port, pid)
		case e.Author == nil && e.Certainty == author.Unknown: // it had ended
		case e.Certainty != author.Process || int(e.Author.PID) != pid || e.Author.Name != "ip" ||
			int(e.Author.ParentPID) != os.Getpid() || int(e.Author.UID) != os.Getuid() ||
			e.Author.Path != "" && !strings.HasSuffix(e.Author.Path, "/ip"):
			t.Errorf("%s: %s by %+v, not process %d", text, e.Certainty, e.Author, pid)
		default:
			named++
			if e.Author.Path != "" {
				paths++
			}
		}
	}
	t.Logf("of %d commands %d are named, %d with their path", commands, named, paths)
	if paths == 0 {
		t.Error("none is named with its path")
	}
}
