package survival

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
)

// hardships is set in the environment of a process that is to run a program with a hardship: JSON.
const hardships = "KERNEL_ROUTES_TEST_HARDSHIP"

// A mount is one that the program sees, and nobody else.
type mount struct {
	Source, Target, Type, Data string
	Flags                      uintptr
}

// A denial is a system call that a seccomp filter refuses.
type denial struct {
	Call  uintptr
	Arg   int // an argument that has to have the value, 1 for the first; 0: all calls
	Value uint32
	Errno syscall.Errno
}

// endure becomes the program of the arguments, with the hardship.
func endure(text string) error {
	var h hardship
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return err
	}
	os.Unsetenv(hardships)
	runtime.LockOSThread()
	if len(h.Mounts) > 0 {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("make / private: %w", err)
		}
	}
	// Where /proc, /dev or more are out of sight, the program is still to be found.
	program, err := unix.Open(os.Args[1], unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for _, m := range h.Mounts {
		if err := unix.Mount(m.Source, m.Target, m.Type, m.Flags, m.Data); err != nil {
			return fmt.Errorf("mount %s: %w", m.Target, err)
		}
	}
	argv, err := syscall.SlicePtrFromStrings(os.Args[1:])
	if err != nil {
		return err
	}
	envv, err := syscall.SlicePtrFromStrings(os.Environ())
	if err != nil {
		return err
	}
	filter := denialFilter(h.Denials)
	empty := []byte{0}
	// From here on nothing may be allocated, or opened.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	for resource, most := range h.Limits {
		limit := unix.Rlimit{Cur: most, Max: most}
		if _, _, errno := syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, uintptr(resource), uintptr(unsafe.Pointer(&limit)),
			0, 0, 0); errno != 0 {
			return errno
		}
	}
	for _, fd := range h.Closed {
		unix.Close(fd)
	}
	if len(h.Denials) > 0 {
		prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		if _, _, errno := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0,
			uintptr(unsafe.Pointer(&prog))); errno != 0 {
			return errno
		}
	}
	_, _, errno := syscall.RawSyscall6(unix.SYS_EXECVEAT, uintptr(program), uintptr(unsafe.Pointer(&empty[0])),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envv[0])), unix.AT_EMPTY_PATH, 0)
	return errno
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

// deny returns denials of calls, each with the same error.
func deny(errno syscall.Errno, calls ...uintptr) *hardship {
	h := &hardship{}
	for _, call := range calls {
		h.Denials = append(h.Denials, denial{Call: call, Errno: errno})
	}
	return h
}

// denyNetlink denies the sockets of a family alone.
func denyNetlink(errno syscall.Errno) *hardship {
	return &hardship{Denials: []denial{{Call: unix.SYS_SOCKET, Arg: 1, Value: unix.AF_NETLINK, Errno: errno}}}
}

// TestHardship: what is to be denied is.
func TestHardship(t *testing.T) {
	nstest.New(t)
	h := deny(unix.EPERM, unix.SYS_UNAME)
	h.Closed, h.Limits = []int{0}, map[int]uint64{unix.RLIMIT_NOFILE: 100}
	h.Mounts = []mount{{Source: "none", Target: "/sys", Type: "tmpfs"}}
	if plain, hard := (&hardship{}).run(t, "--version"), h.run(t, "--version"); plain.stdout == hard.stdout ||
		hard.status != exitOK || slices.Contains(spoken(plain.stderr), program) {
		t.Errorf("%+v\n%+v", plain, hard)
	}
}
