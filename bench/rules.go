//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// manyRules is how many policy rules are read: as many as a router has that tells its
// customers apart, and more than most.
const manyRules = 10_000

// FRA_* of linux/fib_rules.h, and FR_ACT_TO_TBL.
const (
	fraSrc        = 2
	fraPriority   = 6
	fraTable      = 15
	actToTable    = 1
	fibRuleHdrLen = 12
)

// fillRules is the role of a process that adds so many rules to its namespace, each for a host
// and with a table of its own.
func fillRules(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	for i := range n {
		b := make([]byte, unix.SizeofNlMsghdr)
		b = append(b, unix.AF_INET, 0, 32, 0, 0, 0, 0, actToTable, 0, 0, 0, 0)
		b = appendAttr(b, fraSrc, []byte{10, 1, byte(i >> 8), byte(i)})
		b = appendAttr(b, fraPriority, native32(uint32(1000+i)))
		b = appendAttr(b, fraTable, native32(uint32(1000+i)))
		binary.NativeEndian.PutUint32(b, uint32(len(b)))
		binary.NativeEndian.PutUint16(b[4:], unix.RTM_NEWRULE)
		binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_CREATE|unix.NLM_F_ACK)
		if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return err
		}
		n, err := unix.Read(fd, b[:cap(b)])
		if err == nil && n < unix.SizeofNlMsghdr+4 {
			err = errors.New("a short answer")
		}
		if err == nil {
			if errno := -int32(binary.NativeEndian.Uint32(b[:n][unix.SizeofNlMsghdr:])); errno != 0 {
				err = syscall.Errno(errno)
			}
		}
		if err != nil {
			return fmt.Errorf("add rule %d: %w", i, err)
		}
	}
	return nil
}

// floorOfRules is what floor is, of rules.
func floorOfRules([]string) error { return floorOf(unix.RTM_GETRULE, fibRuleHdrLen) }

// rules measures what reads policy rules: the program, the floor and ip. The program has to
// read them twice, as each datagram is seen at another time.
func (b *bench) rules() ([]line, error) {
	ns, err := newNamespace(0, 0, 0)
	if err != nil {
		return nil, err
	}
	const self = "/proc/self/exe"
	fill := &measurement{ns: ns, args: []string{self, "-fillRules", strconv.Itoa(manyRules)}}
	if err := fill.run(); err != nil {
		return nil, err
	}
	file := filepath.Join(b.dir, "output")
	floor := &measurement{what: fmt.Sprintf("floor, %d policy rules", manyRules), ns: ns,
		args: []string{self, "-floorOfRules"}}
	ip := &measurement{what: "ip -j -d rule > FILE", ns: ns, file: file, args: []string{"ip", "-j", "-d", "rule"}}
	query := func(columns string) *measurement {
		return &measurement{what: "query --json SELECT " + columns + " FROM kernel_route_rules > FILE", ns: ns,
			file: file,
			args: []string{executable(b.dir), "query", "--json", "SELECT " + columns + " FROM kernel_route_rules"}}
	}
	all := []*measurement{floor, ip, query("priority, src, table_name, protocol"), query("*"), query("count(*)")}
	if err := rounds(b.rounds, all); err != nil {
		return nil, err
	}
	var lines []line
	for _, m := range all {
		lines = append(lines, m.line(floor))
	}
	return lines, nil
}
