//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/events"
)

// changed is how many destinations the routes have that are changed: each is added, replaced and
// deleted in turn. Every other one is of IPv6.
const changed = 1000

// sendChanges is the role of a process that makes changes: so and so many, at so many a second.
func sendChanges(args []string) error {
	total, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	rate, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	fd, oif, err := openSender()
	if err != nil {
		return err
	}
	const pause = 10 * time.Millisecond
	batch := max(1, rate*int(pause)/int(time.Second))
	begun := time.Now()
	var b []byte
	for n := 0; n < total; n += batch {
		b = b[:0]
		for i := n; i < min(n+batch, total); i++ {
			b = appendChange(b, i, oif)
		}
		if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return fmt.Errorf("change %d: %w", n, err)
		}
		time.Sleep(time.Until(begun.Add(time.Duration(n+batch) * time.Second / time.Duration(rate))))
	}
	// What failed is acknowledged, and nothing else.
	switch n, _, err := unix.Recvfrom(fd, make([]byte, 4<<10), unix.MSG_DONTWAIT); {
	case err == nil:
		return fmt.Errorf("a change failed: %d bytes say so", n)
	case !errors.Is(err, unix.EAGAIN):
		return err
	}
	if late := time.Since(begun) - time.Duration(total)*time.Second/time.Duration(rate); late > time.Second {
		fmt.Fprintf(os.Stderr, "the changes took %v too long\n", late)
	}
	return nil
}

// appendChange appends the request for one of the changes.
func appendChange(b []byte, n int, oif uint32) []byte {
	start := len(b)
	verb, dst := n%3, n/3%changed
	addr := netip.AddrFrom4([4]byte{10, 128, byte(dst >> 8), byte(dst)})
	family := byte(unix.AF_INET)
	if dst%2 == 1 {
		family, addr = unix.AF_INET6, netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x80, 14: byte(dst >> 8), 15: byte(dst)})
	}
	typ, flags := uint16(unix.RTM_NEWROUTE), uint16(unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	switch verb {
	case 1:
		flags = unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	case 2:
		typ, flags = unix.RTM_DELROUTE, 0
	}
	b = append(b, make([]byte, unix.SizeofNlMsghdr)...)
	b = append(b, family, byte(addr.BitLen()), 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_BGP, unix.RT_SCOPE_UNIVERSE,
		unix.RTN_UNICAST, 0, 0, 0, 0)
	b = appendAttr(b, unix.RTA_DST, addr.AsSlice())
	b = appendAttr(b, unix.RTA_PRIORITY, native32(20))
	if verb < 2 {
		b = appendAttr(b, unix.RTA_OIF, native32(oif))
		b = appendAttr(b, unix.RTA_GATEWAY, gateway(addr, dst+verb).AsSlice())
	}
	m := b[start:]
	binary.NativeEndian.PutUint32(m, uint32(len(m)))
	binary.NativeEndian.PutUint16(m[4:], typ)
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST|flags)
	return b
}

// answer prints a line that says it is ready, and then for each line of its input how many
// changes were seen, and how many losses, until that ends.
func answer(seen func() (changes, lost uint64, err error)) error {
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		changes, lost, err := seen()
		if err != nil {
			return err
		}
		fmt.Println(changes, lost)
	}
	return nil
}

// changesFloor is the role of a process that does the least that hearing of all changes of routes
// takes: a loop of read with a buffer of 64 KiB, in which messages are counted.
func changesFloor([]string) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 16<<20); err != nil {
			return err
		}
	}
	groups := uint32(1<<(unix.RTNLGRP_IPV4_ROUTE-1) | 1<<(unix.RTNLGRP_IPV6_ROUTE-1))
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return err
	}
	var seen, lost atomic.Uint64
	failed := make(chan error, 1)
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := unix.Read(fd, buf)
			switch {
			case errors.Is(err, unix.ENOBUFS):
				lost.Add(1)
				continue
			case err != nil:
				failed <- err
				return
			}
			for b := buf[:n]; len(b) >= unix.SizeofNlMsghdr; {
				size := int(binary.NativeEndian.Uint32(b))
				b = b[min(len(b), max((size+3)&^3, unix.SizeofNlMsghdr)):]
				seen.Add(1)
			}
		}
	}()
	return answer(func() (uint64, uint64, error) {
		select {
		case err := <-failed:
			return 0, 0, err
		default:
			return seen.Load(), lost.Load(), nil
		}
	})
}

// follow is the role of a process that keeps the events as the extension does.
func follow([]string) error {
	log := events.Start(&rtnl.Kernel{}, events.Options{})
	defer log.Close()
	if _, err := log.Events(context.Background(), 0); err != nil {
		return err
	}
	return answer(func() (changes, lost uint64, err error) {
		all, err := log.Events(context.Background(), 0)
		for _, e := range all {
			if changes = e.Seq; e.Action == events.Lost {
				lost++
			}
		}
		return changes, lost, err
	})
}
