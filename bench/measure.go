//go:build linux

package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// A sample is what one run took.
type sample struct {
	wall, cpu time.Duration // cpu: user and system
	rss       int64         // peak, in bytes
}

// A measurement is a command that is run again and again, and what its medians
// may be at most.
type measurement struct {
	what   string
	ns     *namespace
	args   []string
	file   string // where the output goes; /dev/null if it is empty
	once   bool   // it is run in the first round alone
	limits []limit
	maxRSS int64 // in bytes; 0: no limit

	samples []sample
}

// A limit is how much wall time one measurement may take, by that of another.
type limit struct {
	times float64
	than  *measurement
	name  string // of the other
}

// run runs the command once.
//
// The kernel counts what this process has in memory for the peak of its children
// (exec_mmap), so that none is below some 15 MiB.
func (m *measurement) run() error {
	cmd := exec.Command(m.args[0], m.args[1:]...)
	if m.file != "" {
		f, err := os.Create(m.file)
		if err != nil {
			return err
		}
		defer f.Close()
		cmd.Stdout = f
	}
	start := time.Now()
	if err := m.ns.run(cmd); err != nil {
		return err
	}
	wall := time.Since(start)
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	m.samples = append(m.samples, sample{wall, cpu, int64(usage.Maxrss) << 10})
	return nil
}

// rounds runs all commands one after the other, so many times.
func rounds(n int, all []*measurement) error {
	for i := range n {
		for _, m := range all {
			if m.once && i > 0 {
				continue
			}
			if err := m.run(); err != nil {
				return err
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", i+1, n)
	}
	return nil
}

// median returns the median of each value by itself.
func median(samples []sample) sample {
	return sample{middle(samples, func(s sample) time.Duration { return s.wall }),
		middle(samples, func(s sample) time.Duration { return s.cpu }),
		middle(samples, func(s sample) int64 { return s.rss })}
}

func middle[T cmp.Ordered](samples []sample, of func(sample) T) T {
	values := make([]T, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// A line of the table.
type line struct{ what, wall, cpu, rss, ratio, limit, verdict string }

const mib = 1 << 20

// line compares the medians with the limits and the floor.
func (m *measurement) line(floor *measurement) line {
	s := median(m.samples)
	l := sampleLine(m.what, s)
	l.ratio = fmt.Sprintf("%.2f x floor", times(m, floor))
	var limits, over []string
	for _, lim := range m.limits {
		limits = append(limits, fmt.Sprintf("%g x %s", lim.times, lim.name))
		if t := times(m, lim.than); t > lim.times {
			over = append(over, fmt.Sprintf("%.2f x %s", t, lim.name))
		}
	}
	if m.maxRSS > 0 {
		limits = append(limits, megabytes(m.maxRSS))
		if s.rss > m.maxRSS {
			over = append(over, megabytes(s.rss))
		}
	}
	l.limit = strings.Join(limits, ", ")
	switch {
	case len(over) > 0:
		l.verdict = "over: " + strings.Join(over, ", ")
	case len(limits) > 0:
		l.verdict = "ok"
	}
	return l
}

func times(a, b *measurement) float64 {
	return float64(median(a.samples).wall) / float64(median(b.samples).wall)
}

func sampleLine(what string, s sample) line {
	return line{what: what, wall: milliseconds(s.wall), cpu: milliseconds(s.cpu), rss: megabytes(s.rss)}
}

// keeps notes a limit and whether it was kept.
func (l *line) keeps(limit string, ok bool) {
	l.limit, l.verdict = limit, "over"
	if ok {
		l.verdict = "ok"
	}
}

// milliseconds formats three digits or more.
func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/mib) }

// printTable prints the lines.
func printTable(w io.Writer, lines []line) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\twall\tCPU\tpeak RSS\tratio\tat most\t")
	for _, l := range lines {
		fmt.Fprintln(t, strings.Join([]string{l.what, l.wall, l.cpu, l.rss, l.ratio, l.limit, l.verdict}, "\t"))
	}
	return t.Flush()
}
