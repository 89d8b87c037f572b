package shell

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// addressSpace returns how many bytes of address space this process may still
// reserve (RLIMIT_AS).
func addressSpace() int64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_AS, &limit) != nil || limit.Cur > plenty {
		return plenty
	}
	var pages int64
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		fmt.Sscan(string(statm), &pages)
	}
	return int64(limit.Cur) - pages*int64(os.Getpagesize())
}
