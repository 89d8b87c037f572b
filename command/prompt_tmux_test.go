package command

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/needtest"
)

// TestPromptInTmux looks at what a person sees, through tmux, which is a terminal of its own.
func TestPromptInTmux(t *testing.T) {
	t.Parallel()
	program, dir := needtest.Program(t, "tmux"), t.TempDir()
	socket, err := os.MkdirTemp("", "tmux") // the path of a socket is to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(socket) })
	tmux := func(args ...string) string {
		cmd := exec.Command(program, append([]string{"-L", "prompt", "-f", "/dev/null"}, args...)...)
		cmd.Env = append(os.Environ(), "TMUX_TMPDIR="+socket, "TMUX=", "SHELL=/bin/sh", "XDG_STATE_HOME="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	shows := func(want string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			screen := strings.TrimRight(tmux("capture-pane", "-p"), "\n")
			if strings.HasSuffix(screen, want) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%q is not at the end of the screen:\n%s", want, screen)
			}
		}
	}
	tmux("new-session", "-d", "-x", "60", "-y", "20", binary(t)+" shell; echo status $?; cat")
	t.Cleanup(func() { tmux("kill-server") })
	shows("\nroutes>")
	tmux("send-keys", "-l", "SELECT 'one'||'two' AS x")
	shows("\nroutes> SELECT 'one'||'two' AS x")
	tmux("send-keys", "Home")
	tmux("send-keys", "M-d")
	tmux("send-keys", "-l", "sel")
	tmux("send-keys", "Tab")
	shows("\nroutes> select 'one'||'two' AS x")
	tmux("send-keys", "Enter")
	shows("\n   ...>")
	tmux("send-keys", "-l", `\;`)
	tmux("send-keys", "Enter")
	shows("\n+--------+\n| x      |\n+--------+\n| onetwo |\n+--------+\nroutes>")
	tmux("send-keys", "Up")
	shows("\nroutes> select 'one'||'two' AS x ;")
	tmux("resize-window", "-x", "40", "-y", "20")
	tmux("send-keys", "C-c")
	shows("^C\nroutes>")
	tmux("send-keys", "-l", "SELECT kernel_route")
	tmux("send-keys", "Tab", "Tab")
	shows("\nroutes> SELECT kernel_route")
	tmux("send-keys", "C-u")
	tmux("send-keys", "C-d")
	shows("\nstatus 0")
}
