package command

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kernelroutes/internal/needtest"
	"kernelroutes/internal/nstest"
)

// serviceFile is the example of a service that runs the command monitor.
const serviceFile = "docs/examples/systemd/kernel-routes-monitor.service"

// service returns what the example sets, all values of a name joined by blanks.
func service(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(serviceFile)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			settings[name] = strings.TrimSpace(settings[name] + " " + value)
		}
	}
	return settings
}

// TestService has systemd read the example: it knows each setting, and finds it safe. What would take away
// what is to be seen is not set.
func TestService(t *testing.T) {
	set := service(t)
	for _, name := range []string{"PrivateNetwork", "PrivateUsers", "PrivatePIDs", "ProtectProc", "ProcSubset"} {
		if _, ok := set[name]; ok {
			t.Errorf("%s= hides what it is to show", name)
		}
	}
	args := strings.Fields(set["ExecStart"])
	if args[0] != "/usr/bin/"+commandName || !slices.Equal(args[1:], []string{"monitor", "--json"}) {
		t.Errorf("it runs %q", args)
	}
	analyze := needtest.Program(t, "systemd-analyze")
	text, err := os.ReadFile(serviceFile)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), filepath.Base(serviceFile))
	text = bytes.Replace(text, []byte(args[0]), []byte(binary(t)), 1)
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", "--man=no"}, {"security", "--offline=yes", "--threshold=20"}} {
		out, err := exec.Command(analyze, append(args, file)...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
}

// TestServiceCalls compares what monitor calls with what the example allows.
func TestServiceCalls(t *testing.T) {
	analyze := needtest.Program(t, "systemd-analyze")
	needStrace(t)
	set := service(t)
	out, err := exec.Command(analyze, "--no-pager", "syscall-filter").Output()
	if err != nil {
		t.Fatal(err)
	}
	groups, group := map[string][]string{}, ""
	for line := range strings.Lines(string(out)) {
		switch name := strings.TrimSpace(line); {
		case strings.HasPrefix(line, "@"):
			group = name
		case name != "" && name[0] != '#':
			groups[group] = append(groups[group], name)
		}
	}
	allowed := map[string]bool{}
	var put func(name string, ok bool)
	put = func(name string, ok bool) {
		if name[0] == '@' && groups[name] == nil {
			t.Errorf("systemd does not know %s", name)
		}
		allowed[name] = ok
		for _, member := range groups[name] {
			put(member, ok)
		}
	}
	ok := true
	for _, name := range strings.Fields(set["SystemCallFilter"]) {
		if rest, not := strings.CutPrefix(name, "~"); not {
			ok, name = false, rest
		}
		put(name, ok)
	}
	nstest.New(t)
	nstest.Veth(t, "v0", "192.0.2.1/24")
	calls, _ := tracedMonitor(t)
	for i, c := range calls {
		switch {
		case !allowed[c.name]:
			t.Errorf("it calls %s", c.String())
		case c.name == "setns":
			t.Errorf("it enters a namespace: %s", c.String())
		case c.name == "socket" && !strings.HasPrefix(c.args, set["RestrictAddressFamilies"]+","):
			t.Errorf("it makes another socket: %s", c.String())
		case i > 0 && strings.HasPrefix(c.name, "m") && strings.Contains(c.args, "PROT_EXEC"):
			t.Errorf("it makes memory executable: %s", c.String())
		}
	}
}

// TestServiceRuns has monitor run with the capabilities of the example, and see who makes a change.
func TestServiceRuns(t *testing.T) {
	set := service(t)
	capabilities := "-all"
	for _, name := range strings.Fields(set["CapabilityBoundingSet"]) {
		capabilities += ",+" + strings.ToLower(strings.TrimPrefix(name, "CAP_"))
	}
	nstest.New(t)
	nstest.Veth(t, "v0", "192.0.2.1/24")
	cmd := exec.Command(needtest.Program(t, "setpriv"), append([]string{"--bounding-set=" + capabilities,
		"--inh-caps=-all", "--no-new-privs", binary(t)}, strings.Fields(set["ExecStart"])[1:]...)...)
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	ip := nstest.Last(t, 0)
	pid := strconv.Itoa(ip.Process.Pid)
	done := make(chan bool)
	go func() {
		defer close(done)
		var printed []byte
		part := make([]byte, 64<<10)
		for {
			n, err := r.Read(part)
			if printed = append(printed, part[:n]...); err != nil ||
				bytes.Contains(printed, []byte(`"pid":"`+pid+`"`)) && bytes.Contains(printed, []byte(`"uid":"0"`)) {
				return
			}
		}
	}()
	for end, found := time.Now().Add(time.Minute), false; !found; {
		ip.Change(t, "route replace 198.51.100.1/32 dev v0")
		ip.Change(t, "route del 198.51.100.1/32")
		select {
		case <-done:
			found = true
		case <-time.After(20 * time.Millisecond):
			if time.Now().After(end) {
				t.Fatal("who makes the change is not seen")
			}
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	go io.Copy(io.Discard, r)
	cmd.Wait()
	if status := strconv.Itoa(cmd.ProcessState.ExitCode()); status != set["SuccessExitStatus"] {
		t.Errorf("exit status %s, and the service has %s for its end", status, set["SuccessExitStatus"])
	}
}
