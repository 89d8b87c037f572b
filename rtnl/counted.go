package rtnl

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Before Linux 6.9 a dump ends at an IPv6 route that does not fit into a datagram, as
// if there were no more: with no error, whatever was asked for (inet6_dump_fib returns
// the length of a datagram, which is 0 then). What the kernel counts tells of it:
// there, all IPv6 routes are dumped, whichever are wanted, and compared with its count.

// counted reports whether IPv6 is dumped by itself, and its routes counted.
func (r *reading) counted() bool { return r.release.before(6, 9) && r.req.mayMatchIPv6() }

// dumpCounted dumps all IPv6 routes. If fewer come than the kernel counts, and more
// are missing than a dump may pass over for the changes that were heard meanwhile, the
// error is ErrTooLarge.
func (r *reading) dumpCounted(c *conn) error {
	s := r.sink(dumpRequest{family: IPv6}, &r.mem)
	s.listen = r.listen
	stats := openRT6Stats(r.stats)
	defer stats.close()
	heard := r.listen().entries
	before := stats.entries()
	if err := c.dumpRoutes(&s); err != nil {
		return err
	}
	after := stats.entries()
	heard = r.listen().entries - heard
	walked := s.entries
	if !r.release.before(4, 15) {
		walked -= s.cloned
	}
	switch missing := min(before, after) - walked; {
	case before == walked && after == walked:
	case before < 0 || after < 0 || heard == 0 && before == after && missing < 0:
		r.unproved = true // it is not known, or no count of what there is
	case missing > 0 && heard < anyEntries && uint64(missing) > heard*uint64(s.largest):
		err := fmt.Errorf("the kernel has %d IPv6 nexthops and ended without an error after %d", after, walked)
		return &ReadError{"dump IPv6 routes", ErrTooLarge, err, countedRemedy}
	default:
		s.dump.truncated = true
	}
	r.took(&s.dump)
	r.todoIPv6 = false
	return nil
}

const countedRemedy = "an IPv6 route has more nexthops than 32 KiB hold, and Linux before 6.9 leaves out " +
	"what comes after it: put its nexthops into a nexthop group and set net.ipv4.nexthop_compat_mode=0, " +
	"give it fewer, or use Linux 6.9 or later"

// truncatedIPv6 reports whether IPv6 may have tables that are wanted, and that no dump
// has reached.
func (r *reading) truncatedIPv6() bool {
	tables := r.req.Tables
	if tables == nil {
		tables = []uint32{unix.RT_TABLE_LOCAL} // the kernel's last
	}
	for _, table := range tables {
		reached := false
		for _, d := range r.dumps {
			g := group{IPv6, table}
			reached = reached || d.asked(g) && d.reached(g)
		}
		if !reached {
			return true
		}
	}
	return false
}

// rt6Stats is /proc/net/rt6_stats of a network namespace: nil where it cannot be read.
type rt6Stats struct {
	file *os.File // nil: the kernel has no IPv6
}

// rt6StatsPath is of the namespace of the thread that opens it (Linux 3.17).
const rt6StatsPath = "/proc/thread-self/net/rt6_stats"

func openRT6Stats(path string) *rt6Stats {
	f, err := os.Open(path)
	if err == nil {
		return &rt6Stats{f}
	}
	// With ipv6.disable=1 there is none, but everything else.
	if _, err2 := os.Stat(filepath.Join(filepath.Dir(path), "dev")); errors.Is(err, fs.ErrNotExist) && err2 == nil {
		return &rt6Stats{}
	}
	return nil
}

// entries returns how many routes all IPv6 tables have, each nexthop of a
// multipath route counted (fib_rt_entries, the fourth number of rt6_stats_seq_show);
// -1 if that is not known.
func (s *rt6Stats) entries() int {
	switch {
	case s == nil:
		return -1
	case s.file == nil:
		return 0
	}
	var buf [128]byte
	n, _ := s.file.ReadAt(buf[:], 0)
	fields := bytes.Fields(buf[:n])
	if len(fields) < 4 {
		return -1
	}
	entries, err := strconv.ParseUint(string(fields[3]), 16, 32)
	if err != nil {
		return -1
	}
	return int(entries)
}

func (s *rt6Stats) close() {
	if s != nil && s.file != nil {
		s.file.Close()
	}
}

// A release is the version of a kernel.
type release struct{ major, minor int }

// recent stands for a kernel of which nothing has to be known.
var recent = release{major: 1 << 30}

// parseRelease reads what uname prints: "6.1.0-18-amd64". What cannot be read is taken
// for old, which costs time and loses nothing.
func parseRelease(s string) release {
	if s == "" {
		return recent
	}
	var r release
	if n, _ := fmt.Sscanf(s, "%d.%d", &r.major, &r.minor); n < 2 {
		return release{}
	}
	return r
}

func (r release) before(major, minor int) bool {
	return r.major < major || r.major == major && r.minor < minor
}

func (r release) String() string { return fmt.Sprintf("%d.%d", r.major, r.minor) }

// hostRelease returns the version of the running kernel.
var hostRelease = sync.OnceValue(func() release {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return release{}
	}
	return parseRelease(unix.ByteSliceToString(name.Release[:]) + " ")
})
