//go:build linux

// Package nstest runs tests in network namespaces of their own, without root,
// so that they neither depend on nor change the host's routes.
package nstest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inside is set in the environment of the process that runs the tests, to the
// mount namespace that it came from.
const inside = "KERNEL_ROUTES_TEST_NAMESPACE"

// FreeThread is set in the environment where tests may run on the first thread of the process, which
// does not end with its goroutine, so that New leaves it in a namespace.
const FreeThread = "KERNEL_ROUTES_TEST_FREE_THREAD"

func init() {
	if os.Getenv(FreeThread) == "" {
		runtime.LockOSThread() // the first thread is that of the main goroutine, which runs no test
	}
}

// Inside reports whether this is the process that runs the tests: see Main.
func Inside() bool { return os.Getenv(inside) != "" }

// Main runs a package's tests in a process in new user, network and mount
// namespaces, in which it is root and iproute2's name files are out of sight.
// Call it from TestMain. A machine on which these namespaces cannot be made, or
// give no rights, fails the tests: nothing is skipped.
func Main(m *testing.M, cleanup ...func()) {
	if !Inside() {
		os.Exit(again())
	}
	if err := prepare(); err != nil {
		fail(err)
	}
	status := m.Run()
	for _, f := range cleanup {
		f()
	}
	os.Exit(status)
}

// Other is a user of the namespaces beside root, with a group of that number, for packages that set
// NeedsOther. Only root can make it: without, HasOther is false.
const Other = 1

// NeedsOther is set before Main is called where tests need another user than root.
var NeedsOther bool

// HasOther reports whether there is the user Other.
func HasOther() bool {
	users, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Count(string(users), "\n") > 1
}

// As calls f as the user Other, without privileges. Only what f does on its own thread is done so: system
// calls, and not what Go hands to other threads.
func As(t testing.TB, f func()) {
	t.Helper()
	var errno syscall.Errno
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // the thread ends with the goroutine
		for _, call := range [][4]uintptr{{syscall.SYS_SETGROUPS, 0, 0, 0},
			{syscall.SYS_SETRESGID, Other, Other, Other}, {syscall.SYS_SETRESUID, Other, Other, Other}} {
			if _, _, errno = syscall.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
				return
			}
		}
		f()
	}()
	<-done
	if errno != 0 {
		t.Fatalf("become user %d: %v", Other, errno)
	}
}

// again runs this program again, in the namespaces, and returns its exit status.
func again() int {
	if NeedsOther && os.Getuid() == 0 {
		if status, err := runAgain(syscall.SysProcIDMap{ContainerID: Other, HostID: 1000, Size: 1}); err == nil {
			return status
		}
	}
	status, err := runAgain()
	if err != nil {
		fail(err)
	}
	return status
}

// runAgain runs this program again with users and groups beside root, and returns its exit status, or an error
// if it cannot be started.
func runAgain(others ...syscall.SysProcIDMap) (int, error) {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"="+mountNamespace())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
		UidMappings: append([]syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, others...),
		GidMappings: append([]syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}, others...),
		Pdeathsig:   syscall.SIGKILL,

		GidMappingsEnableSetgroups: len(others) > 0,
	}
	runtime.LockOSThread() // Pdeathsig is about the thread
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode(), nil
	case err != nil:
		fail(err)
	}
	return 0, nil
}

func mountNamespace() string {
	name, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		fail(err)
	}
	return name
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "cannot run the tests in user and network namespaces of their own: %v; "+
		"allow unprivileged user namespaces (sysctl user.max_user_namespaces=10000; "+
		"on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0, on older Debian "+
		"kernel.unprivileged_userns_clone=1; in a container those of its host) or run the tests as root\n", err)
	os.Exit(1)
}

// nameFolders are where iproute2 has files with names of tables, protocols,
// scopes and realms, one or two of them on any one host.
var nameFolders = []string{"/etc/iproute2", "/usr/share/iproute2", "/usr/lib/iproute2"}

// prepare hides the names that this host gives to numbers, from ip and from us,
// so that tests see the same everywhere.
func prepare() error {
	if !strings.HasPrefix(os.Getenv(inside), "mnt:") || os.Getenv(inside) == mountNamespace() {
		return errors.New(inside + " is set in the environment; unset it")
	}
	done := make(chan error)
	go func() { done <- checkRights() }()
	if err := <-done; err != nil {
		return err
	}
	for _, folder := range nameFolders {
		err := syscall.Mount("tmpfs", folder, "tmpfs", syscall.MS_RDONLY, "")
		if err != nil && !errors.Is(err, syscall.ENOENT) {
			return fmt.Errorf("hide %s with a tmpfs: %w", folder, err)
		}
	}
	return nil
}

// checkRights spoils the calling goroutine's thread, which ends with it. Where
// AppArmor restricts user namespaces (Ubuntu from 23.10 on), they can be made but
// confer no capabilities: the first thing that needs one tells.
func checkRights() error {
	runtime.LockOSThread()
	if syscall.Gettid() == os.Getpid() { // which would stay: another goroutine has another thread
		done := make(chan error)
		go func() { done <- checkRights() }()
		defer runtime.UnlockOSThread()
		return <-done
	}
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		return fmt.Errorf("root of the user namespace may not make a network namespace: %w", err)
	}
	return nil
}

// Amount is how much work a test does: all of it, or less with -short.
func Amount(all, short int) int {
	if testing.Short() {
		return short
	}
	return all
}

// New moves the calling goroutine into a new network namespace until the test
// ends, with the loopback interface up. Processes that it starts and netlink
// sockets that it opens are in that namespace; other goroutines are not.
func New(t testing.TB) {
	t.Helper()
	if !Inside() {
		t.Fatal("nstest.New outside of nstest.Main")
	}
	// The thread is never unlocked: it ends with the goroutine.
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	IP(t, "link set lo up")
}

// IP runs ip with arguments that are separated by blanks and returns what it
// printed.
func IP(t testing.TB, args string) string {
	t.Helper()
	out, err := Try(args)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Try runs ip as IP does, and returns why it failed where this kernel or this ip may not know how.
func Try(args string) (string, error) {
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ip %s: %w\n%s", args, err, out)
	}
	return string(out), nil
}

// Batch runs ip -batch with the lines.
func Batch(t testing.TB, family string, lines ...string) {
	t.Helper()
	cmd := exec.Command("ip", family, "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ip %s -batch: %v\n%s", family, err, out)
	}
}

// Veth makes a pair of interfaces NAME and NAMEp, both up, the first with the
// addresses. IPv6 addresses are usable at once (nodad), and there are none that
// the kernel makes up. It returns when the kernel has added the IPv6 routes that
// go with all this, which it does a little later.
func Veth(t testing.TB, name string, addrs ...string) {
	t.Helper()
	IP(t, "link add "+name+" type veth peer name "+name+"p")
	var wanted []string
	for _, dev := range []string{name, name + "p"} {
		IP(t, "link set "+dev+" addrgenmode none")
		IP(t, "link set "+dev+" up")
		wanted = append(wanted, "multicast ff00::/8 dev "+dev+" ")
	}
	for _, a := range addrs {
		if p := netip.MustParsePrefix(a); p.Addr().Is6() {
			a += " nodad"
			wanted = append(wanted, "local "+p.Addr().String()+" dev "+name+" ")
		}
		IP(t, "addr add "+a+" dev "+name)
	}
	WaitUp(t, name, name+"p")
	WaitRoutes(t, wanted...)
}

// WaitRoutes waits until IPv6's table local shows routes that begin like these.
func WaitRoutes(t testing.TB, wanted ...string) {
	t.Helper()
	wait(t, "-6 route show table local", strings.HasPrefix, wanted)
}

// WaitUp waits until the kernel has noticed the carrier of interfaces.
func WaitUp(t testing.TB, names ...string) {
	t.Helper()
	wait(t, "-br link show up", func(line, name string) bool {
		f := strings.Fields(line)
		dev, _, _ := strings.Cut(f[0], "@")
		return dev == name && f[1] == "UP"
	}, names)
}

// wait runs ip until each of what is wanted is shown in a line.
func wait(t testing.TB, args string, shows func(line, wanted string) bool, wanted []string) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		out := IP(t, args)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		missing := slices.IndexFunc(wanted, func(w string) bool {
			return !slices.ContainsFunc(lines, func(line string) bool { return line != "" && shows(line, w) })
		})
		if missing < 0 {
			return
		}
		if time.Since(start) > time.Minute {
			t.Fatalf("ip %s does not show %q:\n%s", args, wanted[missing], out)
		}
	}
}

// Sysctl writes a value below /proc/sys, of the namespace that the calling
// thread is in. (A container may have mounted /proc/sys read-only.)
func Sysctl(t testing.TB, key, value string) {
	t.Helper()
	path := "/proc/sys/" + strings.ReplaceAll(key, ".", "/")
	if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
		t.Fatalf("set %s: %v", key, err)
	}
}

// OpenFiles returns how many files the process has open.
func OpenFiles(t testing.TB) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
