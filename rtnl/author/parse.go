package author

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// maxPID is the highest process id that there can be (PID_MAX_LIMIT).
const maxPID = 1 << 22

// A status is what is needed of /proc/PID/status.
type status struct {
	name      string
	tgid      uint32
	parent    uint32
	uid       uint32
	inner     uint32 // the id in the process's own PID namespace
	namespace bool   // that is another one than that of /proc
}

// parseStatus reads /proc/PID/status; false if that is not what it is.
func parseStatus(text []byte) (s status, ok bool) {
	for line := range bytes.Lines(text) {
		key, value, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(":"))
		switch string(key) {
		case "Name":
			s.name = unescape(string(bytes.TrimPrefix(value, []byte("\t"))))
		case "Tgid":
			s.tgid, _ = number(value)
			s.inner = s.tgid // as it stays before Linux 4.1, which has no NSpid
		case "PPid":
			s.parent, _ = number(value)
		case "Uid":
			s.uid, ok = number(value)
		case "NSpid": // from the namespace of /proc inwards
			ids := bytes.Fields(value)
			if len(ids) > 1 {
				s.inner, _ = number(ids[len(ids)-1])
				s.namespace = true
			}
			return s, ok && s.tgid != 0
		}
	}
	return s, ok && s.tgid != 0
}

// parseStart reads from /proc/PID/stat when the process was started, after the host was, in
// hundredths of a second (USER_HZ).
func parseStart(text []byte) (started time.Duration, ok bool) {
	words := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // a name may have anything in it
	if len(words) < 20 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(words[19]), 10, 64)
	return time.Duration(n) * 10 * time.Millisecond, err == nil
}

// unescape undoes what the kernel writes in the place of two characters of a name in
// /proc/PID/status (proc_task_name).
func unescape(name string) string {
	return strings.NewReplacer(`\\`, `\`, `\n`, "\n").Replace(name)
}

// number reads the first decimal number in a text, after blanks.
func number(text []byte) (n uint32, ok bool) {
	text = bytes.TrimLeft(text, " \t")
	for i, c := range text {
		switch d := uint64(c - '0'); {
		case c < '0' || c > '9':
			return n, i > 0
		case uint64(n)*10+d > 1<<32-1:
			return 0, false
		default:
			n = n*10 + uint32(d)
		}
	}
	return n, len(text) > 0
}

// parseCgroup reads /proc/PID/cgroup: the path of version 2, unless everything is at its root,
// as on hosts where systemd uses version 1; then that which systemd knows the process by.
func parseCgroup(text []byte) string {
	var unified, systemd string
	for line := range bytes.Lines(text) {
		_, line, _ = bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(":"))
		controllers, path, _ := bytes.Cut(line, []byte(":"))
		switch string(controllers) {
		case "":
			unified = string(path)
		case "name=systemd":
			systemd = string(path)
		}
	}
	if (unified == "" || unified == "/") && systemd != "" {
		return systemd
	}
	return unified
}

// A row is what is needed of a line of /proc/net/netlink: a socket.
type row struct {
	protocol uint32
	port     uint32
	inode    []byte // in decimal digits
}

// parseRow reads a line; false if it is none of a socket, as the first.
func parseRow(line []byte) (r row, ok bool) {
	for column := 0; ; column++ {
		line = bytes.TrimLeft(line, " ")
		end := bytes.IndexByte(line, ' ')
		if end < 0 {
			end = len(line)
		}
		word := line[:end]
		line = line[end:]
		switch column {
		case 1:
			r.protocol, ok = number(word)
		case 2:
			r.port, ok = number(word)
		case 9: // sk, Eth, Pid, Groups, Rmem, Wmem, Dump, Locks, Drops, Inode
			r.inode = word
			_, ok = number(word)
			return r, ok
		}
		if len(word) == 0 || !ok && column > 0 {
			return r, false
		}
	}
}

// lastPID reads the process id that was given last from /proc/loadavg; 0: it is not there.
func lastPID(text []byte) uint32 {
	text = bytes.TrimRight(text, "\n")
	pid, _ := number(text[bytes.LastIndexByte(text, ' ')+1:])
	return pid
}
