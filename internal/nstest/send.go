//go:build linux

package nstest

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/rtnl/wire"
)

// Send asks the kernel to make something that not every ip can ask for, and returns its
// answer. flags are beside NLM_F_REQUEST, NLM_F_ACK and NLM_F_CREATE.
func Send(t testing.TB, typ, flags uint16, payload []byte) error {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	flags |= unix.NLM_F_REQUEST | unix.NLM_F_ACK | unix.NLM_F_CREATE
	request := append(wire.AppendHeader(nil, wire.HeaderLen+len(payload), typ, flags, 1), payload...)
	if _, err := unix.Write(fd, request); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64<<10)
	n, err := unix.Read(fd, b)
	if err != nil {
		t.Fatal(err)
	}
	for msg := range wire.Messages(b[:n]) {
		if wire.Type(msg) == wire.NLMSG_ERROR && len(msg) >= wire.HeaderLen+4 {
			if errno := -int32(wire.U32(msg[wire.HeaderLen:])); errno != 0 {
				return unix.Errno(errno)
			}
			return nil
		}
	}
	return fmt.Errorf("the kernel answers %x", b[:n])
}
