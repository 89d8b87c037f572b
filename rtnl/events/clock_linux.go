package events

import (
	"time"

	"golang.org/x/sys/unix"
)

// now returns Unix nanoseconds and nanoseconds since the host was started.
func now() (wall, uptime int64) {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Now().UnixNano(), ts.Nano()
}
