package survival

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/buildtest"
	"kernelroutes/internal/nstest"
)

// A Denial is a system call that a seccomp filter refuses.
type denial struct {
	Call  uintptr
	Arg   int // an argument that has to have the value, 1 for the first; 0: all calls
	Value uint32
	Errno syscall.Errno
}

// denials is set in the environment of a process that is to run a program, with denials: JSON.
const denials = "KERNEL_ROUTES_TEST_DENIALS"

func TestMain(m *testing.M) {
	if text := os.Getenv(denials); text != "" {
		fmt.Fprintln(os.Stderr, "the test's filter:", runDenied(text))
		os.Exit(99)
	}
	nstest.Main(m, buildtest.Remove)
}

// runDenied becomes the program of the arguments, which has the denials from then on.
func runDenied(text string) error {
	var all []denial
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return err
	}
	os.Unsetenv(denials)
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	filter := denialFilter(all)
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0,
		uintptr(unsafe.Pointer(&prog))); errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
}

// denialFilter is the filter as the kernel takes it: classic BPF over struct seccomp_data.
func denialFilter(all []denial) (filter []unix.SockFilter) {
	const number, args = 0, 16
	low := uint32(0)
	if probe := uint16(1); *(*byte)(unsafe.Pointer(&probe)) == 0 {
		low = 4 // of 64 bits, where the first byte is the highest
	}
	load := func(at uint32) {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at})
	}
	unless := func(value uint32, skip uint8) {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: skip, K: value})
	}
	for _, d := range all {
		load(number)
		if d.Arg == 0 {
			unless(uint32(d.Call), 1)
		} else {
			unless(uint32(d.Call), 3)
			load(args + 8*uint32(d.Arg-1) + low)
			unless(d.Value, 1)
		}
		filter = append(filter, unix.SockFilter{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ERRNO | uint32(d.Errno)})
	}
	return append(filter, unix.SockFilter{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ALLOW})
}

// denied returns a command that runs the program with denials.
func denied(t *testing.T, all []denial, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{buildtest.Program(t)}, args...)...)
	cmd.Env = append(os.Environ(), denials+"="+string(text))
	return cmd
}
