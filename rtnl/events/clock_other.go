//go:build !linux

package events

import "time"

// now returns Unix nanoseconds; when the host was started is not known.
func now() (wall, uptime int64) { return time.Now().UnixNano(), 0 }
