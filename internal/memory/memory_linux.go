package memory

import (
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// short returns why there are not so many bytes.
func short(bytes int) error {
	data, mb := bytes+dataReserve, (bytes+dataReserve)>>20
	if !mappable(data, unix.PROT_READ|unix.PROT_WRITE) || !mappable(bytes+addressReserve, unix.PROT_NONE) {
		return fmt.Errorf("the system has less than %d MiB left for this program (ulimit -d, ulimit -v, "+
			"overcommit_memory)", mb)
	}
	for _, g := range limited() {
		if left, limit, ok := g.left(); ok && left < int64(data) {
			return fmt.Errorf("the control group %s has less than %d MiB left of %d MiB", g.name, mb, limit>>20)
		}
	}
	return nil
}

// mappable reports whether the kernel gives so much memory, and gives it back: it alone knows all
// limits, and needs no /proc for that. What is not written to is not taken.
func mappable(bytes, protection int) bool {
	b, err := unix.Mmap(-1, 0, bytes, protection, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err != unix.ENOMEM // what is refused otherwise says nothing
	}
	return unix.Munmap(b) == nil
}

// groupLimit returns the lowest limit of the control groups that the process is in.
func groupLimit() (limit int64, ok bool) {
	for _, g := range limited() {
		if _, l, known := g.left(); known && (!ok || l < limit) {
			limit, ok = l, true
		}
	}
	return limit, ok
}

// A group is a control group, or one above it, that has a limit of memory.
type group struct {
	name string
	dir  string
	*version
}

// A version is one of the two interfaces of control groups.
type version struct {
	root           string
	limit, current string
	cache          []string // of memory.stat: what the kernel takes back before it refuses any
}

var (
	version1 = &version{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
		[]string{"total_inactive_file", "total_active_file"}}
	version2 = &version{"/sys/fs/cgroup", "memory.max", "memory.current", []string{"inactive_file", "active_file"}}
	// Where both are there, the second has no memory, unless it is told to.
	unified = &version{"/sys/fs/cgroup/unified", "memory.max", "memory.current", version2.cache}
)

// limited returns the groups with a limit. The process is taken to stay where it is.
var limited = sync.OnceValue(func() (groups []group) {
	text, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // number, controllers, path
		if len(parts) < 3 {
			continue
		}
		var versions []*version
		switch {
		case parts[1] == "":
			versions = []*version{version2, unified}
		case parts[1] == "memory" || strings.HasPrefix(parts[1], "memory,") || strings.HasSuffix(parts[1], ",memory"):
			versions = []*version{version1}
		}
		for _, v := range versions {
			for name := path.Clean(parts[2]); ; name = path.Dir(name) {
				g := group{name, v.root + name, v}
				if _, _, ok := g.left(); ok {
					groups = append(groups, g)
				}
				if len(name) < 2 {
					break
				}
			}
		}
	}
	return groups
})

// left returns how much the group may still take, and its limit.
func (g *group) left() (left, limit int64, ok bool) {
	const unlimited = 1 << 60 // as the first version says that there is none
	limit, ok = number(g.dir + "/" + g.limit)
	current, known := number(g.dir + "/" + g.current)
	if !ok || !known || limit >= unlimited {
		return 0, 0, false
	}
	stat, _ := os.ReadFile(g.dir + "/memory.stat")
	for line := range strings.Lines(string(stat)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		for _, c := range g.cache {
			if n, err := strconv.ParseInt(value, 10, 64); key == c && err == nil {
				current -= n
			}
		}
	}
	return limit - current, limit, true
}

// number reads a file that is one.
func number(file string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil // "max" is none
}
