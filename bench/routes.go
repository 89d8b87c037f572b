//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// A share is how many prefixes of a length there are among all others.
type share struct{ bits, parts int }

// The lengths of prefixes in the Internet's tables, roughly as in 2024.
var (
	ipv4Shares = []share{{24, 6150}, {23, 1030}, {22, 1140}, {21, 550}, {20, 470}, {19, 270}, {18, 150}, {17, 90},
		{16, 140}, {15, 22}, {14, 12}, {13, 6}, {12, 3}, {11, 1}}
	ipv6Shares = []share{{48, 460}, {32, 120}, {44, 95}, {40, 85}, {36, 50}, {46, 40}, {47, 30}, {29, 25}, {42, 25},
		{33, 20}, {34, 15}, {38, 15}, {45, 15}, {35, 7}}
)

// prefixes yields n different prefixes, the same in each run.
func prefixes(n int, shares []share, address func(*rand.Rand) netip.Addr) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		var lengths []int
		for _, s := range shares {
			for range s.parts {
				lengths = append(lengths, s.bits)
			}
		}
		r := rand.New(rand.NewPCG(uint64(shares[0].bits), 77))
		seen := map[netip.Prefix]bool{}
		for len(seen) < n {
			p := netip.PrefixFrom(address(r), lengths[r.IntN(len(lengths))]).Masked()
			if seen[p] {
				continue
			}
			seen[p] = true
			if !yield(p) {
				return
			}
		}
	}
}

// ipv4Prefixes are of the unicast addresses, without 10.0.0.0/8 and 127.0.0.0/8.
func ipv4Prefixes(n int) iter.Seq[netip.Prefix] {
	return prefixes(n, ipv4Shares, func(r *rand.Rand) netip.Addr {
		for {
			a := [4]byte(binary.BigEndian.AppendUint32(nil, r.Uint32()))
			if a[0] > 0 && a[0] < 224 && a[0] != 10 && a[0] != 127 {
				return netip.AddrFrom4(a)
			}
		}
	})
}

// ipv6Prefixes are in 2000::/3.
func ipv6Prefixes(n int) iter.Seq[netip.Prefix] {
	return prefixes(n, ipv6Shares, func(r *rand.Rand) netip.Addr {
		a := [16]byte{}
		binary.BigEndian.PutUint64(a[:], 1<<61|r.Uint64()>>3)
		return netip.AddrFrom16(a)
	})
}

// gateways is how many gateways the routes have, of each family.
const gateways = 70

// gateway returns one of the gateways behind v0.
func gateway(like netip.Addr, n int) netip.Addr {
	n %= gateways
	if like.Is4() {
		return netip.AddrFrom4([4]byte{10, 0, 0, byte(2 + n)})
	}
	return netip.AddrFrom16([16]byte{0: 0xfd, 15: byte(2 + n)})
}

// openSender opens a socket for changes of routes through v0, whose index is oif.
func openSender() (fd int, oif uint32, err error) {
	v0, err := net.InterfaceByName("v0")
	if err != nil {
		return 0, 0, err
	}
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	return fd, uint32(v0.Index), err
}

// fill is the role of a process that adds routes to its namespace: so and so many
// ones with IPv4, with IPv6, and with two nexthops. See newNamespace.
func fill(args []string) error {
	var counts [3]int
	for i := range counts {
		var err error
		if counts[i], err = strconv.Atoi(args[i]); err != nil {
			return err
		}
	}
	fd, oif, err := openSender()
	if err != nil {
		return err
	}
	f := &filler{fd: fd, oif: oif, left: counts[2]}
	for p := range ipv4Prefixes(counts[0] + counts[2]) {
		f.add(p, unix.RT_TABLE_MAIN)
	}
	for p := range ipv6Prefixes(counts[1]) {
		f.add(p, unix.RT_TABLE_MAIN)
	}
	for p := range ipv4Prefixes(3) {
		f.add(p, 77)
	}
	f.flush()
	return f.err
}

// A filler adds routes, many with one system call. The first error stays.
type filler struct {
	fd    int
	oif   uint32
	left  int // routes that get two nexthops
	added int
	batch []byte
	last  int // where the last message of the batch begins
	err   error
}

// add adds a route with protocol bgp and metric 20.
func (f *filler) add(dst netip.Prefix, table byte) {
	if f.err != nil {
		return
	}
	family := byte(unix.AF_INET6)
	if dst.Addr().Is4() {
		family = unix.AF_INET
	}
	f.last = len(f.batch)
	f.added++
	b := append(f.batch, make([]byte, unix.SizeofNlMsghdr)...)
	b = append(b, family, byte(dst.Bits()), 0, 0, table,
		unix.RTPROT_BGP, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST, 0, 0, 0, 0)
	b = appendAttr(b, unix.RTA_DST, dst.Addr().AsSlice())
	b = appendAttr(b, unix.RTA_PRIORITY, native32(20))
	if f.left > 0 {
		f.left--
		b = appendAttr(b, unix.RTA_MULTIPATH, f.nexthop(dst, 0), f.nexthop(dst, 1))
	} else {
		b = appendAttr(b, unix.RTA_OIF, native32(f.oif))
		b = appendAttr(b, unix.RTA_GATEWAY, gateway(dst.Addr(), f.added).AsSlice())
	}
	m := b[f.last:]
	binary.NativeEndian.PutUint32(m, uint32(len(m)))
	binary.NativeEndian.PutUint16(m[4:], unix.RTM_NEWROUTE)
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	binary.NativeEndian.PutUint32(m[8:], uint32(f.added))
	f.batch = b
	if len(f.batch) > 32<<10 {
		f.flush()
	}
}

// nexthop is a struct rtnexthop with a gateway.
func (f *filler) nexthop(dst netip.Prefix, n int) []byte {
	gw := appendAttr(nil, unix.RTA_GATEWAY, gateway(dst.Addr(), f.added+n).AsSlice())
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofRtNexthop+len(gw)))
	b = append(b, 0, 0) // flags, weight
	b = binary.NativeEndian.AppendUint32(b, f.oif)
	return append(b, gw...)
}

// flush sends the batch and waits until its last message is acknowledged; of the
// others only errors are.
func (f *filler) flush() {
	if len(f.batch) == 0 || f.err != nil {
		return
	}
	flags := f.batch[f.last+6:]
	binary.NativeEndian.PutUint16(flags, binary.NativeEndian.Uint16(flags)|unix.NLM_F_ACK)
	if f.err = unix.Sendto(f.fd, f.batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); f.err != nil {
		return
	}
	f.batch = f.batch[:0]
	buf := make([]byte, 4<<10)
	for seq := 0; seq != f.added; {
		n, err := unix.Read(f.fd, buf)
		if err == nil && n < unix.SizeofNlMsghdr+4 {
			err = errors.New("a short answer")
		}
		if err != nil {
			f.err = fmt.Errorf("add routes: %w", err)
			return
		}
		seq = int(binary.NativeEndian.Uint32(buf[8:]))
		if errno := -int32(binary.NativeEndian.Uint32(buf[unix.SizeofNlMsghdr:])); errno != 0 {
			f.err = fmt.Errorf("add route %d: %w", seq, syscall.Errno(errno))
			return
		}
	}
}

func native32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// appendAttr appends a netlink attribute. The length of its data is a multiple
// of four.
func appendAttr(b []byte, typ uint16, data ...[]byte) []byte {
	at := len(b)
	b = append(b, 0, 0)
	b = binary.NativeEndian.AppendUint16(b, typ)
	for _, d := range data {
		b = append(b, d...)
	}
	binary.NativeEndian.PutUint16(b[at:], uint16(len(b)-at))
	return b
}
