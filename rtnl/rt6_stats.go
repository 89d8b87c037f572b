package rtnl

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// rt6Stats is /proc/net/rt6_stats of a network namespace: nil where it cannot be read.
type rt6Stats struct {
	file *os.File // nil: the kernel has no IPv6
}

// rt6StatsPath is of the namespace of the thread that opens it (Linux 3.17).
const rt6StatsPath = "/proc/thread-self/net/rt6_stats"

// openRT6Stats opens it in the namespace that is read.
func (s *session) openRT6Stats() *rt6Stats { return openRT6StatsIn(s.asked.Namespace, s.stats) }

func openRT6StatsIn(ns Namespace, path string) (stats *rt6Stats) {
	if ns.Do(func() error { stats = openRT6Stats(path); return nil }) != nil {
		return nil
	}
	return stats
}

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
