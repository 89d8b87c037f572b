package capture

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Host says where and when a capture was made.
type Host struct {
	Time      time.Time
	Name      string // nodename of uname(2)
	Kernel    string // release of uname(2), as "6.18.44"
	Machine   string // machine of uname(2), as "x86_64"
	NetNS     uint64 // inode of the network namespace; 0: not known
	NetNSName string // its name in /run/netns (ip netns); "" if it has none
}

// thisHost describes this host now, and the network namespace of the calling thread.
func thisHost() Host {
	h := Host{Time: time.Now()}
	h.Name, h.Kernel, h.Machine = uname()
	h.NetNS, h.NetNSName = networkNamespace("/run/netns")
	return h
}

// appendText appends what the first packet of a capture says.
func (h *Host) appendText(b []byte, format int) []byte {
	b = fmt.Appendf(b, "%s%d\ntime %s\n", beginText, format, h.Time.UTC().Format(time.RFC3339Nano))
	return fmt.Appendf(b, "host %q\nkernel %q\nmachine %q\nnetns %d\nnetns_name %q\n",
		h.Name, h.Kernel, h.Machine, h.NetNS, h.NetNSName)
}

// parseHost reads the lines after the first one of what appendText wrote.
func parseHost(text string) (*Host, error) {
	h := new(Host)
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		var err error
		switch key {
		case "time":
			h.Time, err = time.Parse(time.RFC3339Nano, value)
		case "host":
			h.Name, err = strconv.Unquote(value)
		case "kernel":
			h.Kernel, err = strconv.Unquote(value)
		case "machine":
			h.Machine, err = strconv.Unquote(value)
		case "netns":
			h.NetNS, err = strconv.ParseUint(value, 10, 64)
		case "netns_name":
			h.NetNSName, err = strconv.Unquote(value)
		}
		if err != nil {
			return nil, fmt.Errorf("%s is %q", key, value)
		}
	}
	return h, nil
}
