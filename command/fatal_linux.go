package command

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Go's runtime ends the process with a trace of all goroutines where the system gives it no memory, no
// thread or no poller: nothing can recover from that, it may happen before main, and GOTRACEBACK does
// not turn it off. But all that it prints goes by overrideWrite, if that is set, which package runtime
// promises to keep (go.dev/issue/67401). Here it is set by the linker, before any code runs, so that
// whoever starves the program reads one line that says what to do, and its exit status is that of other
// failures. Any other fatal error is a fault of the program, and keeps its trace.

//go:linkname overrideWrite runtime.overrideWrite
var overrideWrite func(fd uintptr, p unsafe.Pointer, n int32) int32 = writeFatal

// The shortages, by what the runtime says of them: of the text of a fatal error a part, of what it
// prints before that the beginning.
var shortages = [...]struct {
	fatal bool
	text  string
	line  string
}{
	{true, "out of memory", noMemory},
	{true, "cannot allocate memory", noMemory},
	{true, "failed to reserve page summary memory", noMemory},
	{false, "runtime: out of memory", noMemory},
	{false, "runtime: mmap", noMemory},
	{false, "runtime: failed to create new OS thread", "no thread can be made: the limit of processes and threads " +
		"of this user (ulimit -u) or of the control group (pids.max) is reached, or a seccomp rule denies clone; " +
		"allow more"},
	{false, "runtime: epoll", noPoller},
	{false, "runtime: eventfd", noPoller},
	{false, "runtime: unexpected error while checking standard file", "standard input, output and error cannot be " +
		"looked at (fcntl), as a seccomp rule denies it; allow it"},
	{true, "sigaction failed", "signals cannot be handled (sigaction), as a seccomp rule denies it; allow it"},
	{false, "runtime: standard file descriptor", "standard input, output or error is closed, and /dev/null cannot be " +
		"opened in its place; leave them open, or have a /dev/null"},
}

const (
	noMemory = "out of memory: the system gives the program no more; allow more (ulimit -v: 1.6 GB of address space " +
		"at least, ulimit -d, memory.max of the control group), or ask for fewer rows or columns"
	noPoller = "no file can be opened that waits for others (epoll, eventfd): the limit of open files (ulimit -n) is " +
		"reached, or a seccomp rule denies it; allow more"
)

// faults are what the runtime says of a signal in its own code. It does not look everywhere whether it was
// given memory (the collector's spanQueue in Go 1.26): where there is a limit that is taken for the reason.
var faults = [...]string{"SIGSEGV: segmentation violation", "unexpected signal during runtime execution"}

// limit is one of resources, as prlimit tells it: the present one and the highest.
var limit [2]uint64

// isLimited reports whether memory has a limit.
//
//go:nosplit
//go:norace
func isLimited() bool {
	for _, resource := range [...]uintptr{syscall.RLIMIT_AS, syscall.RLIMIT_DATA} {
		_, _, errno := syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, resource, 0, uintptr(unsafe.Pointer(&limit)), 0, 0)
		if errno == 0 && limit[0] != 1<<64-1 {
			return true
		}
	}
	return false
}

// fatalHeld says that the runtime has printed fatalPrefix, which is kept back until it says more.
var fatalHeld bool

const fatalPrefix = "fatal error: "

// writeFatal is what the runtime prints by. It may be called without memory, goroutine or lock: it
// allocates nothing, calls nothing that might, and has no place to which a collection could come.
//
//go:nosplit
//go:norace
func writeFatal(fd uintptr, p unsafe.Pointer, n int32) int32 {
	if fd == 2 && n > 0 {
		text := unsafe.String((*byte)(p), int(n))
		if text == fatalPrefix {
			fatalHeld = true
			return n
		}
		for i := range shortages {
			if s := &shortages[i]; hasAt(text, s.text, s.fatal && fatalHeld, s.fatal) {
				endWith(s.line)
			}
		}
		for _, fault := range faults {
			if text == fault && isLimited() {
				endWith(noMemory)
			}
		}
		if fatalHeld {
			fatalHeld = false
			writeText(fatalPrefix)
		}
	}
	written, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(p), uintptr(n))
	if errno != 0 {
		return -int32(errno)
	}
	return int32(written)
}

// hasAt reports whether a text begins with a part or, anywhere, has it somewhere.
//
//go:nosplit
//go:norace
func hasAt(text, part string, anywhere, only bool) bool {
	if only && !anywhere {
		return false
	}
	for at := 0; at+len(part) <= len(text); at++ {
		if text[at:at+len(part)] == part {
			return true
		}
		if !anywhere {
			return false
		}
	}
	return false
}

// endWith ends the program with a line.
//
//go:nosplit
//go:norace
func endWith(line string) {
	if program == "" { // which is told later than the runtime begins
		writeText(extensionName)
	} else {
		writeText(program)
	}
	writeText(": ")
	writeText(line)
	writeText("\n")
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, exitFailed, 0, 0)
	}
}

//go:nosplit
//go:norace
func writeText(text string) {
	syscall.RawSyscall(syscall.SYS_WRITE, 2, uintptr(unsafe.Pointer(unsafe.StringData(text))), uintptr(len(text)))
}
