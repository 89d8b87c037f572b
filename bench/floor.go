//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// floor is the role of a process that does the least that reading all routes
// takes: a loop of read with a buffer of 64 KiB, in which nothing is decoded. It
// prints how many bytes the kernel sent.
func floor([]string) error { return floorOf(unix.RTM_GETROUTE, unix.SizeofRtMsg) }

// floorOf is floor of what messages of a type ask for, with a header of a size and what comes
// after it.
func floorOf(typ uint16, header int, more ...byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1); err != nil {
		return err
	}
	request := append(make([]byte, unix.SizeofNlMsghdr+header), more...) // AF_UNSPEC
	binary.NativeEndian.PutUint32(request, uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], typ)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for total := 0; ; {
		n, err := unix.Read(fd, buf)
		if err != nil {
			return err
		}
		total += n
		// The dump ends with NLMSG_DONE, a header and an int: a message of its own,
		// or the last one of a datagram.
		const size = unix.SizeofNlMsghdr + 4
		if n < size || binary.NativeEndian.Uint16(buf[4:]) == unix.NLMSG_ERROR {
			return errors.New("the kernel dumps nothing")
		}
		last := buf[n-size : n]
		if binary.NativeEndian.Uint32(last) == size && binary.NativeEndian.Uint16(last[4:]) == unix.NLMSG_DONE {
			fmt.Println(total)
			return nil
		}
	}
}
