package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// endless is a query that does not end by itself.
const endless = "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n) SELECT v FROM n"

// sorting is one that prints some rows and then nothing.
const sorting = "SELECT v FROM (" + endless + " LIMIT 300000); SELECT max(v) FROM (" + endless + ")"

// TestPager: what is printed goes through the user's pager.
func TestPager(t *testing.T) {
	const one = "+---+\n| a |\n+---+\n| 1 |\n+---+\n"
	const sql = "SELECT * FROM (SELECT 1 AS a, NULL AS b)"
	note := program + ": not shown, as empty in these rows: b; --wide shows all\n"
	for _, test := range []struct {
		env  []string
		want string
	}{
		{[]string{`PAGER=echo "LESS=$LESS LV=$LV"; cat; echo end`}, "LESS=FRX LV=-c\n" + one + "end\n" + note},
		{[]string{`PAGER=echo "LESS=$LESS"; cat`, "LESS=i"}, "LESS=i\n" + one + note},
		{[]string{"PAGER=head -n 1"}, "+---+\n" + note},
		{[]string{"PAGER=sed s/1/2/"}, strings.Replace(one, "1", "2", 1) + note},
		{[]string{"PAGER=cat"}, one + note},
		{[]string{"PAGER="}, one + note},
	} {
		if got := onScreen(t, 80, test.env, "query", "--pager", sql); got != test.want {
			t.Errorf("%s: got %q, want %q", test.env, got, test.want)
		}
	}
	env := []string{"PAGER=echo paged; cat"}
	if got := onScreen(t, 80, env, "query", sql); strings.Contains(got, "paged") {
		t.Errorf("without --pager: %q", got)
	}
	if got := onScreen(t, 80, env, "query", "--pager", "SELECT 1 WHERE 0"); got != "" {
		t.Errorf("for nothing: %q", got)
	}
	if got := onScreen(t, 80, env, "routes", "--summary", "--pager"); !strings.HasPrefix(got, "paged\n=====") {
		t.Errorf("routes: %q", got)
	}
	// Nobody pages through a pipe.
	cmd := exec.Command(binary(t), "query", "--pager", "SELECT 1 AS a")
	cmd.Env = append(terminalEnv(), env...)
	if out, err := cmd.Output(); err != nil || string(out) != one {
		t.Errorf("in a pipe: %v, %q", err, out)
	}
}

// TestPagerQuits: a user who has seen enough ends the query, which is no failure.
func TestPagerQuits(t *testing.T) {
	got := onScreen(t, 80, []string{"PAGER=head -n 2"}, "query", "--pager", endless)
	if !strings.HasSuffix(got, "\n| v    |\n") {
		t.Errorf("got %q", got)
	}
	// Also one that prints nothing more.
	got = onScreen(t, 80, []string{"PAGER=head -n 1"}, "query", "--pager", sorting)
	if !strings.HasPrefix(got, "+--") {
		t.Errorf("got %q", got)
	}
}

func TestPagerFails(t *testing.T) {
	for pager, want := range map[string]string{
		"no-such-pager -x":  `the pager "no-such-pager -x" cannot be started: there is no no-such-pager; set PAGER`,
		"X=1 no-such-pager": `sh cannot run the pager "X=1 no-such-pager"; set PAGER to a command that there is`,
	} {
		x := inTerminal(t, 80, []string{"PAGER=" + pager}, "query", "--pager", "SELECT 1")
		status := x.Wait()
		if got := x.Written(); status != exitFailed || !strings.Contains(got, want) {
			t.Errorf("%s: exit status %d, %q", pager, status, got)
		}
	}
	// The query's own error is the one that is told.
	x := inTerminal(t, 80, []string{"PAGER=cat; echo paged"}, "query", "--pager", "SELECT 1; SELEC 2")
	status := x.Wait()
	got := x.Written()
	if status != exitFailed || strings.Contains(got, "paged") || !strings.Contains(got, "syntax error") {
		t.Errorf("exit status %d, %q", status, got)
	}
}

// TestPagerEnds: of a pager that fails one line says how. One that has been left, or that ends by what ends the
// program too, has not failed.
func TestPagerEnds(t *testing.T) {
	t.Parallel()
	for pager, want := range map[string]string{
		"false":                       "exit status 1",
		"cat; exit 2":                 "exit status 2", // as less has it for Ctrl-C, which nobody has typed
		`sh -c "kill -9 $$"`:          "signal: killed",
		`sh -c 'kill -9 $$'; exit $?`: "signal: killed", // as sh has it
		"cat; kill -TERM $$":          "signal: terminated",
		"cat; kill -HUP $$":           "signal: hangup",
		"true":                        "",
		"head -n 1; kill -PIPE $$":    "",
		"head -n 1; exit 141":         "",
	} {
		for _, sql := range []string{"SELECT 1", endless, sorting} {
			if sql != "SELECT 1" && strings.HasPrefix(pager, "cat") {
				continue // which reads to the end
			}
			x := inTerminal(t, 80, []string{"PAGER=" + pager}, "query", "--pager", sql)
			status, line, told := x.Wait(), "", exitOK
			if want != "" {
				line = fmt.Sprintf("%s: the pager %q has ended with %s, perhaps before all was shown; %s\n",
					program, pager, want, pagerRemedy)
				told = exitFailed
			}
			got := drawn.ReplaceAllString(x.Written(), "")
			if status != told || !strings.HasSuffix(got, line) || strings.Contains(got, program) != (line != "") {
				t.Errorf("%s: %s: exit status %d, %q", pager, sql, status, got)
			}
		}
	}
	// The query's own error is the one that is told.
	x := inTerminal(t, 80, []string{"PAGER=cat; exit 3"}, "query", "--pager", "SELECT 1; SELEC 2")
	status, got := x.Wait(), x.Written()
	if status != exitFailed || strings.Contains(got, "has ended") || !strings.Contains(got, "syntax error") {
		t.Errorf("exit status %d, %q", status, got)
	}
}

// TestPagerInterrupted: Ctrl-C that ends the pager is what has ended the program, whether the query was over or not.
func TestPagerInterrupted(t *testing.T) {
	t.Parallel()
	for _, pager := range []string{
		"PAGER=head -n 1; echo paused; exec sleep 1000",
		// As less -K. It looks again and again: a key that comes before the sleep has begun does not end that.
		"PAGER=trap 'exit 2' INT; head -n 1; echo paused; while sleep 0.1; do :; done",
	} {
		for _, sql := range []string{"SELECT 1", endless} {
			x := inTerminal(t, 80, []string{pager}, "query", "--pager", sql)
			x.WaitFor(0, "paused\n")
			x.Type("\x03")
			status := x.Wait()
			if all := x.Written(); status != 130 || !strings.HasSuffix(all, program+": interrupted\n") {
				t.Errorf("%s: %s: exit status %d, %q", pager, sql, status, all)
			}
		}
	}
}

// TestPagerAtPrompt: Ctrl-C that ends the pager is told in a line of its own, also where all had been printed.
func TestPagerAtPrompt(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{"SELECT 1;", endless + ";"} {
		p := atPrompt(t, []string{"PAGER=head -n 1; echo paused; exec sleep 1000"}, "--pager")
		p.Type(sql + "\r")
		p.wait("paused\n")
		p.Type("\x03")
		if got := p.wait(ready); got != "^C\nError: interrupted"+ready {
			t.Errorf("%s: %q", sql, got)
		}
		p.says("SELECT nope;", "\nError: no such column: nope")
		p.Type("\x04")
		p.ends(exitOK)
	}
}

// TestPagerTerminated: who ends the program has not to be told of the pager, which ends with it.
func TestPagerTerminated(t *testing.T) {
	t.Parallel()
	check := func(sql string, both bool) {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
			x := inTerminal(t, 80, []string{"PAGER=head -n 1; echo paused; exec sleep 1000"}, "query", "--pager", sql)
			x.WaitFor(0, "paused\n")
			pid := x.Cmd.Process.Pid
			if both { // as of a terminal that goes away
				pid = -pid
			}
			if err := syscall.Kill(pid, sig); err != nil {
				t.Fatal(err)
			}
			status := x.Wait()
			if all := x.Written(); status != 128+int(sig) || strings.Contains(all, "has ended") {
				t.Errorf("%v, both %v: exit status %d, %q", sig, both, status, all)
			}
		}
	}
	for _, sql := range []string{"SELECT 1", endless} {
		check(sql, false)
		check(sql, true)
	}
}

// TestPagerInterrupt: Ctrl-C ends the query, and neither the pager nor, before that, the program.
func TestPagerInterrupt(t *testing.T) {
	const pager = "PAGER=trap '' INT; head -n 1; echo paused; cat >/dev/null; echo over; read x </dev/tty; echo resumed"
	for sql, want := range map[string]int{endless: 130, "SELECT 1": exitOK} {
		x := inTerminal(t, 80, []string{pager}, "query", "--pager", sql)
		_, n := x.WaitFor(0, "paused\n")
		if sql == endless {
			x.Type("\x03")
		}
		_, n = x.WaitFor(n, "over\n")
		x.Type("\x03")
		_, n = x.WaitFor(n, "^C")
		x.Type("\r")
		since, _ := x.WaitFor(n, "resumed\n")
		status := x.Wait()
		all := x.Written()
		interrupted := strings.HasSuffix(all, "\n"+program+": interrupted\n")
		if status != want || interrupted != (want == 130) || strings.Contains(since, "interrupted\nresumed") {
			t.Errorf("%s: exit status %d, %q", sql, status, all)
		}
	}
}

// TestPagerHasEnded: the pipe to a pager is closed when that has ended, at any time before the context ends.
func TestPagerHasEnded(t *testing.T) {
	_, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	p := &pager{ctx: t.Context(), cmd: &exec.Cmd{}, in: in}
	if _, err := p.Write([]byte("x")); !errors.Is(err, errClosedPipe) {
		t.Error(err)
	}
}
