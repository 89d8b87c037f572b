//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/tables"
)

// How many packets are looked up, of either family, each by a route of its own.
const lookups4, lookups6 = 900, 100

// destinations returns addresses of which routes decide that newNamespace has made.
func destinations() (all []string) {
	for p := range ipv4Prefixes(lookups4) {
		all = append(all, p.Addr().Next().String())
	}
	for p := range ipv6Prefixes(lookups6) {
		all = append(all, p.Addr().Next().String())
	}
	return all
}

// lookups measures what it takes to look packets up beside all routes.
func (b *bench) lookups(dump *measurement) ([]*measurement, error) {
	all := destinations()
	batch := filepath.Join(b.dir, "lookups")
	lines := "route get " + strings.Join(all, "\nroute get ") + "\n"
	if err := os.WriteFile(batch, []byte(lines), 0o600); err != nil {
		return nil, err
	}
	query := func(columns string) []string {
		return []string{executable(b.dir), "query", "--csv", "SELECT " + columns + " FROM kernel_route_lookups " +
			"WHERE destination IN ('" + strings.Join(all, "', '") + "')"}
	}
	n := len(all)
	bare := &measurement{what: fmt.Sprintf("%d look-ups, bare system calls", n), ns: b.big,
		args: append([]string{"/proc/self/exe", "-lookups"}, all...)}
	ip := &measurement{what: "ip -j -batch of ip route get", ns: b.big, args: []string{"ip", "-j", "-batch", batch}}
	short := &measurement{what: "query destination, dev, gateway, error", ns: b.big,
		args: query("destination, dev, gateway, error")}
	long := &measurement{what: "query * (three exchanges for each)", ns: b.big, args: query("*")}
	short.limits = []limit{{0.2, dump, "floor"}}
	long.limits = []limit{{0.2, dump, "floor"}}
	return []*measurement{bare, ip, short, long}, nil
}

// bareLookups is the role of a process that does the least that look-ups take: a request and
// a read for each, in which nothing is decoded.
func bareLookups(addrs []string) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	buf := make([]byte, 64<<10)
	for i, text := range addrs {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return err
		}
		family := byte(unix.AF_INET6)
		if a.Is4() {
			family = unix.AF_INET
		}
		b := make([]byte, unix.SizeofNlMsghdr, 64)
		b = append(b, family, byte(a.BitLen()), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		b = appendAttr(b, unix.RTA_DST, a.AsSlice())
		binary.NativeEndian.PutUint32(b, uint32(len(b)))
		binary.NativeEndian.PutUint16(b[4:], unix.RTM_GETROUTE)
		binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST)
		binary.NativeEndian.PutUint32(b[8:], uint32(i))
		if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return err
		}
		n, err := unix.Read(fd, buf)
		if err != nil {
			return err
		}
		if n < unix.SizeofNlMsghdr || binary.NativeEndian.Uint16(buf[4:]) != unix.RTM_NEWROUTE {
			return errors.New("the kernel has no route to " + text)
		}
	}
	return nil
}

// extensionLookups asks as a join on an address does: a request for each packet, beside all
// routes.
func (b *bench) extensionLookups() ([]line, error) {
	p, err := b.plugIn(b.big, b.product)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	var messages [][]byte
	for _, d := range destinations() {
		r := request{tables.Lookups, []string{"destination", "dev", "gateway", "table_name", "route_id", "error"},
			"destination", tables.Equals, d}
		if len(messages) == 0 {
			if rows, err := r.call(p.socket); err != nil || len(rows) != 1 || rows[0]["dev"] != "v0" {
				return nil, fmt.Errorf("look-up of %s: %v, %w", d, rows, err)
			}
		}
		messages = append(messages, r.message(r.table.Name))
	}
	var samples []sample
	for range b.rounds {
		s, _, err := p.ask(messages)
		if err != nil {
			return nil, err
		}
		samples = append(samples, s)
	}
	s := median(samples)
	each := s.wall / time.Duration(len(messages))
	l := sampleLine(fmt.Sprintf("extension: join, %d look-ups beside all routes", len(messages)), s)
	l.ratio = fmt.Sprintf("%.3f ms each", float64(each)/float64(time.Millisecond))
	l.keeps("1 ms each", each <= time.Millisecond)
	return []line{l}, nil
}
