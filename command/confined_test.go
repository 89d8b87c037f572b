package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	landlock "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
	"kernelroutes/tables"
)

// capabilitiesOf are what a process has of capabilities, in all threads: see /proc/PID/status.
type capabilitiesOf struct{ permitted, effective uint64 }

const looking = 1<<unix.CAP_SYS_PTRACE | 1<<unix.CAP_DAC_READ_SEARCH

// all are those that the tests have, as root.
const all = 1<<(unix.CAP_LAST_CAP+1) - 1

// TestConfined: all threads of the extension have given up what SECURITY.md says, whatever the environment
// turns off, and it has nothing open but its sockets.
func TestConfined(t *testing.T) {
	for _, test := range []struct {
		name, before string
		applied      string
		has          capabilitiesOf
	}{
		{"root", "", "no_new_privs capabilities seccomp",
			capabilitiesOf{looking | 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN, looking}},
		{"own namespace", "export KERNEL_ROUTES_NETNS=0", "no_new_privs capabilities seccomp",
			capabilitiesOf{looking | 1<<unix.CAP_NET_ADMIN, looking}},
		{"no events", "export KERNEL_ROUTES_EVENTS_MB=0", "no_new_privs capabilities seccomp",
			capabilitiesOf{looking | 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN, looking}},
		{"neither", "export KERNEL_ROUTES_NETNS=0 KERNEL_ROUTES_EVENTS_MB=0",
			withLandlock(), capabilitiesOf{1 << unix.CAP_NET_ADMIN, 0}},
		{"no rights", "exec setpriv --bounding-set=-all --inh-caps=-all \"$@\"", "no_new_privs capabilities seccomp",
			capabilitiesOf{}},
		// As containers have it: processes with other capabilities would be out of sight.
		{"without ptrace", "exec setpriv --bounding-set=-sys_ptrace --inh-caps=-all \"$@\"", "no_new_privs seccomp",
			capabilitiesOf{all &^ (1 << unix.CAP_SYS_PTRACE), all &^ (1 << unix.CAP_SYS_PTRACE)}},
		{"not confined", "export KERNEL_ROUTES_CONFINE=0", "", capabilitiesOf{all, all}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			nstest.New(t)
			nstest.Veth(t, "v0", "192.0.2.1/24")
			x := startAt(t, osquerytest.Start(t), test.before)
			for _, table := range tables.All() {
				if table.Name != tables.Lookups.Name && table.Name != tables.Events.Name {
					x.query(t, "SELECT * FROM "+table.Name)
				}
			}
			if !strings.Contains(test.before, "EVENTS_MB=0") {
				x.query(t, "SELECT * FROM kernel_route_events")
			}
			x.query(t, "SELECT * FROM kernel_route_lookups WHERE destination = '192.0.2.7'")
			x.checkThreads(t, test.applied, test.has)
			x.checkDescriptors(t)
			x.Cmd.Process.Signal(syscall.SIGTERM)
			if status := x.Wait(t); status != 0 {
				t.Errorf("exit status %d", status)
			}
			socket := fmt.Sprintf("%s.%d", x.Socket(), x.UUID)
			if _, err := os.Lstat(socket); !os.IsNotExist(err) {
				t.Errorf("%s: %v", socket, err)
			}
			log := x.Stderr.String()
			told := regexp.MustCompile(`msg=confined by="?([a-z_ ]*[a-z])"? `).FindStringSubmatch(log)
			if (told == nil || told[1] != test.applied) && test.applied != "" ||
				strings.Contains(log, "level=WARN") != (test.applied == "") {
				t.Errorf("the log does not say %q:\n%s", test.applied, log)
			}
		})
	}
}

// withLandlock is what there is where nothing is lost by Landlock, and the kernel has it.
func withLandlock() string {
	if abi, err := landlock.LandlockGetABIVersion(); err != nil || abi < 1 {
		return "no_new_privs capabilities seccomp"
	}
	return "no_new_privs capabilities landlock seccomp"
}

// checkThreads compares what /proc says of each thread.
func (x *extensionProcess) checkThreads(t *testing.T, applied string, has capabilitiesOf) {
	t.Helper()
	folder := fmt.Sprintf("/proc/%d/task", x.Cmd.Process.Pid)
	threads, err := os.ReadDir(folder)
	if err != nil || len(threads) < 3 {
		t.Fatalf("%d threads, %v", len(threads), err)
	}
	confined := map[bool]string{true: "1", false: "0"}[applied != ""]
	filter := map[bool]string{true: "2", false: "0"}[applied != ""]
	for _, thread := range threads {
		text, err := os.ReadFile(filepath.Join(folder, thread.Name(), "status"))
		if err != nil {
			continue // it has ended
		}
		status := map[string]string{}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, ":")
			status[name] = strings.TrimSpace(value)
		}
		if status["NoNewPrivs"] != confined && applied != "" || status["Seccomp"] != filter {
			t.Errorf("thread %s: NoNewPrivs %s, Seccomp %s", thread.Name(), status["NoNewPrivs"], status["Seccomp"])
		}
		wants := map[string]uint64{"CapPrm": has.permitted, "CapEff": has.effective, "CapBnd": has.permitted,
			"CapInh": 0, "CapAmb": 0}
		for name, want := range wants {
			got, err := strconv.ParseUint(status[name], 16, 64)
			// A thread may be about to make the call that takes what it raises.
			if name == "CapEff" && got&^has.permitted == 0 && got&has.effective == has.effective {
				continue
			}
			if err != nil || got&all != want {
				t.Errorf("thread %s: %s %s, want %016x", thread.Name(), name, status[name], want)
			}
		}
	}
}

// What may be open: sockets of both kinds, Go's epoll and events, its limits of a processor, folders of
// procfs, namespaces, and what it was started with.
var descriptors = regexp.MustCompile(`^(socket:.*|pipe:.*|anon_inode:\[(eventpoll|eventfd)\]|/dev/null|` +
	`/sys/fs/cgroup/.*/cpu\.[a-z_]+|/proc(/.*)?|net:\[\d+\])$`)

// checkDescriptors: nothing else is open, and all sockets are Unix's or netlink's.
func (x *extensionProcess) checkDescriptors(t *testing.T) {
	t.Helper()
	folder := fmt.Sprintf("/proc/%d/", x.Cmd.Process.Pid)
	known := func(inode string) bool {
		unix, err := os.ReadFile(folder + "net/unix")
		netlink, err2 := os.ReadFile(folder + "net/netlink")
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(unix)+string(netlink), " "+inode)
	}
	for _, name := range []string{"tcp", "udp", "raw", "packet"} {
		if text, err := os.ReadFile(folder + "net/" + name); err != nil || strings.Count(string(text), "\n") > 1 {
			t.Errorf("there are sockets of %s: %s %v", name, text, err)
		}
	}
	files, err := os.ReadDir(folder + "fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		to, err := os.Readlink(folder + "fd/" + f.Name())
		if err != nil {
			continue // it was closed
		}
		inode, isSocket := strings.CutPrefix(to, "socket:[")
		// Of lists that change while they are read, part may be missing. What was closed meanwhile is in none.
		for tries := 0; !descriptors.MatchString(to) || isSocket && !known(strings.TrimSuffix(inode, "]")); tries++ {
			if now, err := os.Readlink(folder + "fd/" + f.Name()); err != nil || now != to {
				break
			}
			if tries == 20 {
				t.Errorf("descriptor %s is %s", f.Name(), to)
				break
			}
		}
	}
}

// TestConfinedNamespaces: other namespaces are shown as before, in each way in which they can be asked for; where
// they are turned off the error says so, and one's own is shown.
func TestConfinedNamespaces(t *testing.T) {
	// In a PID namespace in which all processes may be seen, one of them in another network namespace.
	const processes = `exec unshare --pid --fork --kill-child --mount-proc ` +
		`sh -c 'unshare --net sleep 600 & exec "$@"' sh "$@"`
	for _, off := range []bool{false, true} {
		t.Run(fmt.Sprint("off ", off), func(t *testing.T) {
			t.Parallel()
			nstest.New(t)
			before := processes
			if off {
				before = "export KERNEL_ROUTES_NETNS=0\n" + before
			}
			x := startAt(t, osquerytest.Start(t), before)
			own := x.query(t, "SELECT netns_id FROM kernel_interface_config WHERE dev = 'lo'").Rows[0]["netns_id"]
			if n := len(x.query(t, "SELECT * FROM kernel_interface_config WHERE netns_id = "+own).Rows); n == 0 {
				t.Error("nothing of its own namespace by its inode")
			}
			if off {
				for _, where := range []string{"netns = '*'", "netns = 'blue'", "netns = '/proc/1/ns/net'",
					"pid_with_namespace = 1", "netns_id = 1"} {
					if said := x.refusal(t, "SELECT * FROM kernel_routes WHERE "+where); !strings.Contains(said,
						netnsVariable+" is 0") {
						t.Errorf("%s: %s", where, said)
					}
				}
				return
			}
			var ids []string
			for end := time.Now().Add(time.Minute); len(ids) < 2 && time.Now().Before(end); {
				ids = nil
				r := x.query(t, "SELECT DISTINCT netns_id FROM kernel_interface_config WHERE netns = '*'")
				for _, r := range r.Rows {
					ids = append(ids, r["netns_id"])
				}
			}
			other := slices.IndexFunc(ids, func(id string) bool { return id != own })
			if len(ids) != 2 || other < 0 {
				t.Fatalf("netns = '*' shows %q, and its own is %s", ids, own)
			}
			for _, where := range []string{"netns_id = " + ids[other], "pid_with_namespace = 2",
				"netns = '/proc/2/ns/net'"} {
				r := x.query(t, "SELECT DISTINCT netns_id FROM kernel_interface_config WHERE "+where)
				if got := cells(r.Rows, "netns_id"); got != ids[other] {
					t.Errorf("%s shows %q, want %s", where, got, ids[other])
				}
			}
		})
	}
}

// TestConfinedAuthors: who makes a change is found as before.
func TestConfinedAuthors(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "192.0.2.1/24")
	x := startExtension(t)
	x.query(t, "SELECT * FROM kernel_route_events")
	known, searched := nstest.Last(t, 0), nstest.Last(t, syscall.CLONE_NEWPID)
	for i, ip := range []*nstest.Lasting{known, searched} {
		want := []string{"process", "other namespace"}[i]
		for end, n := time.Now().Add(time.Minute), 0; ; n++ {
			dst := fmt.Sprintf("198.51.%d.%d", i, n%256)
			ip.Change(t, "route replace "+dst+"/32 dev v0")
			seq := x.changed(t, "added", dst+"/32")
			r := x.query(t, fmt.Sprintf("SELECT * FROM kernel_route_events WHERE seq = %d", seq)).Rows[0]
			if r["author_certainty"] == want && r["pid"] == strconv.Itoa(ip.Process.Pid) && r["process_path"] != "" {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the author is not found: %v", r)
			}
		}
	}
}
