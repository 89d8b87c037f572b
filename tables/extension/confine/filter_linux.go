package confine

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A rule lets a system call through.
type rule struct {
	call uint32 // its number
	// ways are what its arguments may be; none: anything. One of them has to fit.
	ways [][]condition
}

// A condition is on an argument: its bits in mask are those of value. All that are looked at are 32 bits
// wide for the kernel, or are taken for it.
type condition struct {
	argument    int // from 0 on
	mask, value uint32
}

// What a call that is not let through returns. To Go's runtime and libraries a call that is not there
// is nothing new: a kernel may be too old for it, and they do it another way. (clone3 is such a one, of
// the C library.) Arguments that may not be are an error of their own.
const (
	notThere   = uint32(unix.ENOSYS)
	notAllowed = uint32(unix.EPERM)
)

// Where the kernel shows what a call is: struct seccomp_data.
const (
	offsetCall         = 0
	offsetArchitecture = 4
	offsetArguments    = 16 // of 64 bits each
)

// assemble makes a program of rules: one comparison after the other, the kernel remembers the outcome for
// those without conditions (Linux 5.11).
func assemble(rules []rule) []bpf.Instruction {
	load := func(offset uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: offset, Size: 4} }
	refuse := func(errno uint32) bpf.Instruction {
		return bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | errno}
	}
	allow := bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	program := []bpf.Instruction{
		load(offsetArchitecture),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: architecture, SkipTrue: 1},
		refuse(notThere), // as that of 32 bits, on a kernel of 64
		load(offsetCall),
	}
	for _, r := range rules {
		var body []bpf.Instruction
		for _, way := range r.ways {
			for i, c := range way {
				rest := uint8(3*(len(way)-i-1) + 1) // the conditions behind it, and allow
				body = append(body, load(offsetArguments+8*uint32(c.argument)+lowWord),
					bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: c.mask},
					bpf.JumpIf{Cond: bpf.JumpEqual, Val: c.value, SkipFalse: rest})
			}
			body = append(body, allow)
		}
		if len(r.ways) == 0 {
			body = append(body, allow)
		} else {
			body = append(body, refuse(notAllowed))
		}
		program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: r.call, SkipFalse: uint8(len(body))})
		program = append(program, body...)
	}
	return append(program, refuse(notThere))
}

// lowWord is where the lower half of an argument is.
var lowWord = func() uint32 {
	one := uint16(1)
	if *(*byte)(unsafe.Pointer(&one)) == 0 { // s390x
		return 4
	}
	return 0
}()

// loadFilter has the kernel refuse, on all threads, each system call that the extension has no use for
// (Linux 3.17).
func loadFilter(o *Options) error {
	if architecture == 0 {
		return fmt.Errorf("the system calls of %s are not known here", runtime.GOARCH)
	}
	return load(assemble(rules(o)))
}

// load has all threads take a filter.
func load(instructions []bpf.Instruction) error {
	raw, err := bpf.Assemble(instructions)
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	program := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// Before Linux 5.16 a filter also has the processor guess less, and take longer for everything: that
	// is against code of others in the process, of which there is none (Linux 4.17 can leave it).
	err = setFilter(unix.SECCOMP_FILTER_FLAG_TSYNC|unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, program)
	if err == syscall.EINVAL {
		err = setFilter(unix.SECCOMP_FILTER_FLAG_TSYNC, program)
	}
	return err
}

// setFilter has all threads take a filter, or none.
func setFilter(flags uintptr, program *unix.SockFprog) error {
	// The thread that asks for it needs no_new_privs, and gives it to the others with the filter. If it
	// cannot be set here, it may be set nevertheless, by who has started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	thread, _, errno := syscall.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags,
		uintptr(unsafe.Pointer(program)))
	switch {
	case errno != 0:
		return errno
	case thread != 0:
		return fmt.Errorf("thread %d has a filter of its own", thread)
	}
	return nil
}
