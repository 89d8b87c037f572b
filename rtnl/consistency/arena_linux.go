package consistency

import "golang.org/x/sys/unix"

// adviseHuge asks the kernel to back memory with huge pages. One without them is only
// slower.
func adviseHuge(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
