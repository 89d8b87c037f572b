package command

import (
	native "encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kernelroutes/internal/logging"
	"kernelroutes/tables/extension"
)

// A securityDoc is what SECURITY.md lists.
type securityDoc struct {
	sockets  []string          // family, and type or protocol
	messages map[uint16]string // of netlink
	read     map[string]*regexp.Regexp
	written  []string
	never    []string
	kept     []string // capabilities

	used map[string]bool // what was seen of it
}

// code matches what the first column of a table names.
var code = regexp.MustCompile("`([^`]+)`")

// readSecurity reads the tables of SECURITY.md.
func readSecurity(t *testing.T) *securityDoc {
	t.Helper()
	text, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	d := &securityDoc{messages: map[uint16]string{}, read: map[string]*regexp.Regexp{}, used: map[string]bool{}}
	section := ""
	for line := range strings.Lines(string(text)) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.TrimSpace(title)
		}
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		columns := strings.Split(line, "|")
		var names []string
		for _, m := range code.FindAllStringSubmatch(columns[1], -1) {
			names = append(names, m[1])
		}
		switch section {
		case "Sockets":
			if n, err := strconv.ParseUint(strings.TrimSpace(columns[2]), 10, 16); err == nil {
				d.messages[uint16(n)] = names[0]
				continue
			}
			d.sockets = append(d.sockets, strings.Join(names, " "))
		case "Files that are read":
			for _, name := range names {
				d.read[name] = pathPattern(name)
			}
		case "Files that are written":
			d.written = append(d.written, names...)
		case "What the extension gives up":
			if strings.HasPrefix(names[0], "CAP_") {
				d.kept = append(d.kept, names...)
			}
		case "System calls that are never made":
			d.never = append(d.never, names...)
		}
	}
	if len(d.sockets) != 2 || len(d.messages) < 5 || len(d.read) < 20 || len(d.written) != 3 ||
		len(d.never) < 30 || len(d.kept) < 4 {
		t.Fatalf("SECURITY.md's tables cannot be read: %+v", d)
	}
	return d
}

// pathPattern makes a pattern of a path as SECURITY.md writes it.
func pathPattern(path string) *regexp.Regexp {
	p := regexp.QuoteMeta(path)
	p = strings.NewReplacer(`\*\*`, `.+`, `\*`, `[^/]+`, "PID", `\d+`, "TID", `\d+`).Replace(p)
	return regexp.MustCompile("^" + p + "$")
}

var (
	looks = []string{"open", "openat", "openat2", "stat", "lstat", "newfstatat", "fstatat64", "stat64", "lstat64",
		"statx", "readlink", "readlinkat", "access", "faccessat", "faccessat2", "statfs", "statfs64"}
	changes = []string{"rename", "renameat", "renameat2", "unlink", "unlinkat", "chmod", "fchmodat", "chown", "lchown",
		"fchownat", "truncate", "utimensat", "setxattr"}
	writes = regexp.MustCompile(`O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)`)
	// othersFiles are links of another process, which would open what they lead to.
	othersFiles = regexp.MustCompile(`^/proc/\d+/(exe|fd/[^/]+)$`)
	sunPath     = regexp.MustCompile(`sun_path="([^"]*)"`)
)

// problems compares calls with the lists and returns what is not on them. work is the folder of the files
// that the command line names, and socket osquery's.
func (d *securityDoc) problems(calls []call, work, socket string) (all []string) {
	executed := false
	for i := range calls {
		c := &calls[i]
		if c.name == "execve" && !executed {
			executed = true // the program itself, by strace
			continue
		}
		if said := d.problem(c, work, socket); said != "" {
			all = append(all, said+": "+c.String())
		}
	}
	return all
}

func (d *securityDoc) problem(c *call, work, socket string) string {
	path := c.path()
	inWork := filepath.Dir(path) == work
	ownSocket := ours(path, socket)
	switch {
	case slices.Contains(d.never, c.name):
		return "it is never called"
	case refused.MatchString(c.args), slices.Contains(narrowed, c.name) && narrowly.MatchString(c.args):
		return "nothing is refused that is called, by the filter of the extension"
	case c.name == "capset":
		return d.capabilityProblem(c)
	case strings.HasPrefix(c.name, "clone") && !strings.Contains(c.args, "CLONE_THREAD"):
		return "no process is made"
	case c.name == "setns" && !strings.HasSuffix(strings.SplitN(c.args, ")", 2)[0], "CLONE_NEWNET"):
		return "it is entered for the network alone"
	case c.name == "socket" || c.name == "socketpair":
		return d.socketProblem(c)
	case c.name == "connect" || c.name == "bind":
		m := sunPath.FindStringSubmatch(c.args)
		if m != nil && ours(m[1], socket) || c.name == "bind" && strings.Contains(c.args, "sa_family=AF_NETLINK") {
			return ""
		}
		return "there is osquery's socket, and no other"
	case strings.Contains(c.args, "<NETLINK:") && (c.name == "write" || strings.HasPrefix(c.name, "send")):
		return d.messageProblem(c)
	case slices.Contains(changes, c.name), writes.MatchString(c.args) && strings.HasPrefix(c.name, "open"):
		name := filepath.Base(path)
		if ownSocket || inWork && (name == "routes.pcap" || strings.HasPrefix(name, ".kernel_routes-")) {
			return ""
		}
		return "no such file is written"
	case path == "" || ownSocket || inWork:
		return ""
	case socket != "" && path == filepath.Dir(socket) && slices.Contains(looks, c.name):
		return "" // who may write to it
	case othersFiles.MatchString(path) && strings.HasPrefix(c.name, "open"):
		return "only where such a link leads to is read"
	case slices.Contains(looks, c.name):
		return d.readProblem(path)
	}
	return "the test does not know this call"
}

var (
	// refused matches what a call returns that the filter does not know, and narrowed are those that it
	// lets through with some arguments alone.
	refused  = regexp.MustCompile(`\) += -1 ENOSYS `)
	narrowly = regexp.MustCompile(`\) += -1 EPERM `)
	narrowed = []string{"openat", "socket", "clone", "mmap", "mprotect", "kill", "tgkill", "prctl", "ioctl", "fcntl",
		"fchmod", "prlimit64"}
	capability = regexp.MustCompile(`CAP_[A-Z_]+`)
)

// capabilityProblem: what is set has been kept.
func (d *securityDoc) capabilityProblem(c *call) string {
	_, sets, _ := strings.Cut(c.args, "pid=0}, ")
	for _, name := range capability.FindAllString(sets, -1) {
		if !slices.Contains(d.kept, name) {
			return name + " is given up"
		}
	}
	if strings.Contains(sets, "0x") { // some that strace does not know
		return "no such capability is kept"
	}
	return ""
}

// ours reports whether a path is osquery's socket, or the extension's beside it.
func ours(path, socket string) bool {
	rest, ok := strings.CutPrefix(path, socket)
	_, err := strconv.ParseUint(strings.TrimPrefix(rest, "."), 10, 64)
	return socket != "" && ok && (rest == "" || rest[0] == '.' && err == nil)
}

func (d *securityDoc) socketProblem(c *call) string {
	for _, s := range d.sockets {
		family, kind, _ := strings.Cut(s, " ")
		if strings.HasPrefix(c.args, family+", ") && strings.Contains(c.args, kind) {
			d.used[s] = true
			return ""
		}
	}
	return "no such socket is made"
}

func (d *securityDoc) messageProblem(c *call) string {
	_, data, _ := strings.Cut(c.args, `, "`)
	for len(data) >= 16 {
		length, kind := native.NativeEndian.Uint32([]byte(data)), native.NativeEndian.Uint16([]byte(data[4:]))
		name := d.messages[kind]
		if name == "" {
			return fmt.Sprintf("no message %d is sent", kind)
		}
		d.used[name] = true
		if length < 16 || int(length) >= len(data) {
			return ""
		}
		data = data[length:]
	}
	return ""
}

func (d *securityDoc) readProblem(path string) string {
	said := "it does not look at " + path
	for name, pattern := range d.read {
		if pattern.MatchString(path) {
			d.used[name], said = true, ""
		}
	}
	return said
}

// unused tells of sockets and messages that are listed and not needed. Files are where a host has them.
func (d *securityDoc) unused(t *testing.T) {
	t.Helper()
	for _, s := range d.sockets {
		if !d.used[s] {
			t.Errorf("no socket %s is made, which SECURITY.md lists", s)
		}
	}
	for _, name := range d.messages {
		if !d.used[name] {
			t.Errorf("no %s is sent, which SECURITY.md lists", name)
		}
	}
	for name := range d.read {
		if !d.used[name] {
			t.Logf("nothing looked at %s", name)
		}
	}
}

// asked matches where a program asks for a variable of its environment by a name in the source.
var asked = regexp.MustCompile(`(?:Getenv|LookupEnv)\((?:"([^"]*)"|([A-Za-z.]+))\)`)

// TestSecurityEnvironment: SECURITY.md tells of every variable for which the packages that are linked ask,
// beside Go's own.
func TestSecurityEnvironment(t *testing.T) {
	text, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "\n## Environment\n")
	list, _, _ = strings.Cut(list, "\n## ")
	// What is asked for by names that are put together, or are constants.
	names := map[string][]string{"variable": {extension.MaxResponseVariable, eventsVariable, netnsVariable,
		confineVariable},
		"logging.Variable":       {logging.Variable},
		"activeHelpGlobalEnvVar": {"COBRA_ACTIVE_HELP"}, "key": {}} // x/sys/unix hands it through
	out, err := exec.Command("go", "list", "-deps", "-f",
		"{{if not .Standard}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}\n{{end}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for file := range strings.FieldsSeq(string(out)) {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range asked.FindAllStringSubmatch(string(source), -1) {
			all, known := []string{m[1]}, true
			if m[1] == "" {
				all, known = names[m[2]]
			}
			if !known {
				t.Errorf("%s: what is %s?", file, m[0])
			}
			for _, name := range all {
				seen[name] = true
				if !strings.Contains(list, "`"+name+"`") {
					t.Errorf("%s: %s, and SECURITY.md does not tell of %s", file, m[0], name)
				}
			}
		}
	}
	for _, name := range []string{extension.MaxResponseVariable, eventsVariable, netnsVariable, confineVariable,
		"NLDEBUG", "BASH_COMP_DEBUG_FILE", "SQLITE_TMPDIR"} {
		if !seen[name] {
			t.Errorf("nothing asks for %s", name)
		}
	}
}

// TestSecurityFinds: what SECURITY.md does not list is found.
func TestSecurityFinds(t *testing.T) {
	doc := readSecurity(t)
	for _, test := range []struct {
		line string
		ok   bool
	}{
		{`openat(AT_FDCWD</>, "/etc/iproute2/rt_tables", O_RDONLY|O_CLOEXEC) = 5</etc/iproute2/rt_tables>`, true},
		{`openat(7</proc/sys/net/ipv4/conf/lo>, "forwarding", O_RDONLY) = 5`, true},
		{`openat(AT_FDCWD</work>, "routes.pcap", O_RDONLY) = 5`, true},
		{`openat(AT_FDCWD</work>, ".kernel_routes-1x", O_WRONLY|O_CREAT|O_EXCL, 0666) = 5`, true},
		{`socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_ROUTE) = 5<NETLINK:[1]>`, true},
		{`connect(3<UNIX-STREAM:[1]>, {sa_family=AF_UNIX, sun_path="/x/osquery.em"}, 16) = 0`, true},
		{`bind(3<UNIX-STREAM:[1]>, {sa_family=AF_UNIX, sun_path="/x/osquery.em.17"}, 16) = 0`, true},
		{`unlinkat(AT_FDCWD</>, "/x/osquery.em.17", 0) = 0`, true},
		{`clone(child_stack=0x1, flags=CLONE_VM|CLONE_THREAD|CLONE_SETTLS) = 7`, true},
		{`setns(7</proc/1/ns/net>, CLONE_NEWNET) = 0`, true},
		{`readlinkat(7</proc/12>, "fd/3", "socket:[5]", 4096) = 10`, true},
		{`newfstatat(AT_FDCWD</>, "/x", {st_mode=S_IFDIR|0755, st_size=4096}, 0) = 0`, true},
		{`capset({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, {effective=1<<CAP_SYS_ADMIN, ` +
			`permitted=1<<CAP_SYS_ADMIN|1<<CAP_NET_ADMIN, inheritable=0}) = 0`, true},
		{`readlinkat(7</proc/12 (deleted)>, "exe", 0x1, 4096) = -1 ESRCH (No such process)`, true},
		{`openat(7</proc/12>(deleted), "status", O_RDONLY|O_CLOEXEC) = -1 ESRCH (No such process)`, true},
		{`openat(7</proc/12>, "task/12/children", O_RDONLY|O_CLOEXEC) = 8</proc/12/task/12/children>`, true},

		{`openat(AT_FDCWD</>, "/etc/passwd", O_RDONLY) = 5`, false},
		{`openat(AT_FDCWD</>, "/proc/loadavg", O_RDONLY) = -1 EPERM (Operation not permitted)`, false},
		{`getsid(0) = -1 ENOSYS (Function not implemented)`, false},
		{`newfstatat(AT_FDCWD</>, "/x/other", {st_mode=S_IFDIR|0755, st_size=4096}, 0) = 0`, false},
		{`capset({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, {effective=1<<CAP_SYS_ADMIN, ` +
			`permitted=1<<CAP_SYS_ADMIN|1<<CAP_CHOWN, inheritable=0}) = 0`, false},
		{`openat(AT_FDCWD</proc/sys/net/ipv4>, "../../kernel/hostname", O_RDONLY) = 5`, false},
		{`openat(AT_FDCWD</proc/1>, "environ", O_RDONLY) = 5`, false},
		{`openat(7</proc/12>, "fd/3", O_RDONLY|O_CLOEXEC) = 8</etc/shadow>`, false},
		{`openat(7</proc/12>, "exe", O_RDONLY|O_CLOEXEC) = 8</usr/bin/ip>`, false},
		{`openat(7</proc/12 (deleted)>, "cmdline", O_RDONLY) = 5`, false},
		{`openat(AT_FDCWD</work>, "other", O_WRONLY|O_CREAT, 0666) = 5`, false},
		{`openat(AT_FDCWD</>, "/etc/iproute2/rt_tables", O_RDWR) = 5`, false},
		{`unlink("/x/osquery.em.db") = 0`, false},
		{`unlink("/etc/iproute2/rt_tables") = 0`, false},
		{`execve("/bin/sh", ["sh"], 0x1 /* 9 vars */) = 0`, false},
		{`clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD) = 7`, false},
		{`setns(7</proc/1/ns/mnt>, CLONE_NEWNS) = 0`, false},
		{`socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 5`, false},
		{`socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT) = 5`, false},
		{`connect(3, {sa_family=AF_INET, sin_port=htons(443)}, 16) = 0`, false},
		{`connect(3, {sa_family=AF_UNIX, sun_path="/run/dbus/system_bus_socket"}, 16) = 0`, false},
		{`bind(3, {sa_family=AF_UNIX, sun_path="/x/osquery.em.sock"}, 16) = 0`, false},
		{`write(5<NETLINK:[1]>, "` + header(26) + `", 16) = 16`, true},
		{`write(5<NETLINK:[1]>, "` + header(24) + `", 16) = 16`, false},
		{`write(5<NETLINK:[1]>, "` + header(26) + header(16) + `", 32) = 32`, false},
		{`truncate("/etc/hosts", 0) = 0`, false},
		{`getxattr("/etc/hosts", "user.x", NULL, 0) = 0`, false},
	} {
		c, parsed := parseCall(test.line + "\n")
		start := call{name: "execve"}
		if got := doc.problems([]call{start, c}, "/work", "/x/osquery.em"); !parsed || (len(got) == 0) != test.ok {
			t.Errorf("%s: %q", test.line, got)
		}
	}
}

// header is that of a netlink message, as strace shows it.
func header(kind uint16) string {
	b := native.NativeEndian.AppendUint16(native.NativeEndian.AppendUint32(nil, 16), kind)
	shown := ""
	for _, x := range append(b, make([]byte, 10)...) {
		shown += fmt.Sprintf(`\x%02x`, x)
	}
	return shown
}
