package command

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"kernelroutes/rtnl"
	"kernelroutes/tables"
	"kernelroutes/tables/extension/confine"
)

// What kernel_routes_info tells.

// started is when the program was, by and large.
var started = time.Now()

// health is what is known of every process.
func health(reads *rtnl.Counters) tables.Health {
	b := thisBuild()
	return tables.Health{Version: b.Version, Commit: b.Commit, Kernel: strings.TrimPrefix(kernelRelease(), "Linux "),
		PID: os.Getpid(), Started: started, Reads: reads.Stats(), Process: taken(), EventsState: tables.EventsOff}
}

// Health tells how the extension is.
func (s *extensionSource) Health() (tables.Health, error) {
	h := health(s.Kernel.Counters)
	h.Served, h.Protection = s.served.Served(), confine.Applied()
	if s.log != nil {
		h.EventsState = tables.EventsFollowing
		if h.Events = s.log.Stats(); h.Events.Err != nil {
			h.EventsState = tables.EventsFailing
		}
	}
	return h, nil
}

// A commandSource is what a command answers from that asks the kernel.
type commandSource struct{ rtnl.Cache }

// Health tells how the command is.
func (s *commandSource) Health() (tables.Health, error) { return health(s.Kernel.Counters), nil }

// taken is what the process takes of the host, as far as /proc tells it.
func taken() tables.Usage {
	u := tables.Usage{Memory: -1, MemoryPeak: -1, Goroutines: runtime.NumGoroutine(), OpenFiles: -1}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.SplitSeq(string(status), "\n") {
		var kib int64
		name, value, _ := strings.Cut(line, ":")
		if _, err := fmt.Sscan(value, &kib); err != nil {
			continue
		}
		switch name {
		case "VmRSS":
			u.Memory = kib << 10
		case "VmHWM":
			u.MemoryPeak = kib << 10
		}
	}
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		u.OpenFiles = len(files) - 1 // without the one that this reads
	}
	return u
}

var _ = []tables.HealthSource{(*extensionSource)(nil), (*commandSource)(nil)}
