package confine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	rights "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// newFolder is that of osquery's socket in a test, with files that must stay as they are.
func newFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"there", "elsewhere/there"} {
		path := filepath.Join(folder, "sockets", name)
		if name != "there" {
			path = filepath.Join(folder, name)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// ordinary has a process be no root, in a user namespace in which that is possible.
func ordinary(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getgid(), Size: 1}},
	}
}

func hasLandlock() bool {
	abi, err := rights.LandlockGetABIVersion()
	return err == nil && abi > 0
}

func capabilitySet(all ...uint) (set uint64) {
	for _, c := range all {
		set |= 1 << c
	}
	return set
}

// TestConfined has processes confine themselves as root and as nobody, and try what an attacker would.
func TestConfined(t *testing.T) {
	const looks = 1<<unix.CAP_SYS_PTRACE | 1<<unix.CAP_DAC_READ_SEARCH
	for _, test := range []struct {
		as                   string
		how                  func(*exec.Cmd)
		permitted, effective uint64
	}{
		{"namespaces,authors", nil, looks | 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN, looks},
		{"namespaces", nil, looks | 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN, looks},
		{"authors", nil, looks | 1<<unix.CAP_NET_ADMIN, looks},
		{"", nil, capabilitySet(unix.CAP_NET_ADMIN), 0},
		{"namespaces,authors", ordinary, 0, 0},
		{"", ordinary, 0, 0},
	} {
		name := fmt.Sprintf("%q, root %v", test.as, test.how == nil)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := newFolder(t)
			r := confined(t, test.as, filepath.Join(folder, "sockets"), test.how)
			files := test.as == "" && hasLandlock()
			want := "no_new_privs capabilities seccomp"
			if files {
				want = "no_new_privs capabilities landlock seccomp"
			}
			if r.applied != want || !strings.Contains(r.log, `by="`+want+`"`) || strings.Count(r.log, "\n") != 1 {
				t.Errorf("applied %q, want %q; the log: %s", r.applied, want, r.log)
			}
			for _, a := range attempts {
				got, tried := r.results[a.name]
				want := expected(a.want, test.as, test.how == nil, files)
				if !tried || got != want && want != "any" {
					t.Errorf("%s: %q, want %q", a.name, got, want)
				}
			}
			checkThreads(t, r, test.permitted, test.effective, test.how == nil)
			if text, err := os.ReadFile(filepath.Join(folder, "sockets", "there")); string(text) != "text" {
				t.Errorf("a file is %q now, %v", text, err)
			}
		})
	}
}

// expected is the error of an attempt in a process of some kind.
func expected(want, as string, root, files bool) string {
	switch want {
	case wrongNamespace:
		if strings.Contains(as, "namespaces") {
			return "EPERM"
		}
		return "ENOSYS"
	case ownNamespace:
		switch {
		case !strings.Contains(as, "namespaces"):
			return "ENOSYS"
		case !root:
			return "EPERM" // by the kernel
		}
		return possible
	case byOthers:
		switch {
		case files:
			return "EACCES"
		case !root:
			return "any" // of another user namespace
		}
		return possible
	case byLandlock:
		if files {
			return "EACCES"
		}
		return possible
	}
	return want
}

func checkThreads(t *testing.T, r tried, permitted, effective uint64, root bool) {
	t.Helper()
	for _, thread := range r.threads {
		if thread["NoNewPrivs"] != "1" || thread["Seccomp"] != "2" {
			t.Errorf("a thread is not confined: %v", thread)
		}
		wants := map[string]uint64{"CapPrm": permitted, "CapEff": effective, "CapInh": 0, "CapAmb": 0}
		if root {
			wants["CapBnd"] = permitted
		}
		for name, want := range wants {
			if got, err := strconv.ParseUint(thread[name], 16, 64); err != nil || got != want {
				t.Errorf("a thread has %s %s, want %016x", name, thread[name], want)
			}
		}
	}
}
