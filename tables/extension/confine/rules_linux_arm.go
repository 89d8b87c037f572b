package confine

import "golang.org/x/sys/unix"

// See amd64.
const (
	architecture uint32 = unix.AUDIT_ARCH_ARM
	cloneFlags          = 0
)

// Those of ARM alone have numbers that package unix does not have (__ARM_NR_cacheflush, __ARM_NR_set_tls).
var own = append(of32bits(), 0xf0002, 0xf0005)

// socketCalls is for architectures with socketcall.
func socketCalls() []rule { return nil }
