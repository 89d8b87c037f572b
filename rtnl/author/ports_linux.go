package author

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// firstRows is the size of a few lines of /proc/net/netlink.
const firstRows = 512

// socket returns what a descriptor of the socket that has a port leads to, socket:[INODE]; "" if
// none has it. The kernel walks over the sockets of all namespaces for that (netlink_seq_next), by
// protocol, of which NETLINK_ROUTE is the first. It may pass over one when the table grows
// meanwhile. It writes lines for as much as is asked for, so that is little first.
func (f *Finder) socket(port uint32) string {
	kept, offset := 0, int64(0) // kept: bytes of a line that is not whole yet
	for size := firstRows; ; size = len(f.text) {
		n, err := unix.Pread(f.ports, f.text[kept:size], offset)
		if err != nil || n <= 0 {
			return ""
		}
		offset += int64(n)
		text := f.text[:kept+n]
		for {
			line, rest, whole := bytes.Cut(text, []byte("\n"))
			if !whole {
				break
			}
			text = rest
			switch r, ok := parseRow(line); {
			case !ok:
			case r.protocol != unix.NETLINK_ROUTE:
				return ""
			case r.port == port:
				return "socket:[" + string(r.inode) + "]"
			}
		}
		if kept = copy(f.text[:], text); kept == len(f.text) {
			return ""
		}
	}
}
