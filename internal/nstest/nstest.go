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

// inside is set in the environment of the process that runs the tests.
const inside = "KERNEL_ROUTES_TEST_NAMESPACE"

// Inside reports whether this is the process that runs the tests: see Main.
func Inside() bool { return os.Getenv(inside) != "" }

// Main runs a package's tests in a process in new user and network namespaces,
// in which it is root. Call it from TestMain. A machine on which these
// namespaces cannot be made fails the tests: nothing is skipped.
func Main(m *testing.M, cleanup ...func()) {
	if os.Getenv(inside) != "" {
		status := m.Run()
		for _, f := range cleanup {
			f()
		}
		os.Exit(status)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	runtime.LockOSThread() // Pdeathsig is about the thread
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintf(os.Stderr, "cannot run the tests in user and network namespaces of their own: %v; "+
			"allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces) or run the tests as root\n", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// New moves the calling goroutine into a new network namespace until the test
// ends, with the loopback interface up. Processes that it starts and netlink
// sockets that it opens are in that namespace; other goroutines are not.
func New(t testing.TB) {
	t.Helper()
	if os.Getenv(inside) == "" {
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
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
	return string(out)
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
	wait(t, "-6 route show table local", func(line, wanted string) bool { return strings.HasPrefix(line, wanted) }, wanted)
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
		missing := slices.IndexFunc(wanted, func(w string) bool {
			return !slices.ContainsFunc(strings.Split(strings.TrimSpace(out), "\n"), func(line string) bool { return line != "" && shows(line, w) })
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
// thread is in.
func Sysctl(t testing.TB, key, value string) {
	t.Helper()
	path := "/proc/sys/" + strings.ReplaceAll(key, ".", "/")
	if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
		t.Fatalf("set %s: %v", key, err)
	}
}
