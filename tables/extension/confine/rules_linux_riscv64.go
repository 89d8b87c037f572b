package confine

import "golang.org/x/sys/unix"

// See amd64.
const (
	architecture uint32 = unix.AUDIT_ARCH_RISCV64
	cloneFlags          = 0
)

var own = []uint32{unix.SYS_NEWFSTATAT, unix.SYS_GETRLIMIT}

func special() []rule { return []rule{when(unix.SYS_MMAP, noCode(2))} }
