package author

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/wire"
)

// helperMode is set in the environment of this program where it is a process that tests look for.
const helperMode = "KERNEL_ROUTES_TEST_HELPER"

// executed is its value in a program that is in the place of another, and what it answers with then.
const executed = "executed"

// help does what the lines of its input say, each of which it answers with a line.
func help() {
	if os.Getenv(helperMode) == executed {
		fmt.Println(executed)
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		words := append(strings.Fields(in.Text()), "", "")
		answer, err := obey(words[0], words[1], words[2])
		if err != nil {
			answer = "error: " + err.Error()
		}
		fmt.Println(answer)
	}
}

func obey(command, first, second string) (answer string, err error) {
	number, _ := strconv.ParseUint(first, 10, 32)
	switch command {
	case "open": // a socket with a port; 0: that which the kernel gives
		fd, port, err := openPort(uint32(number))
		return fmt.Sprint(fd, " ", port), err
	case "close":
		return "closed", unix.Close(int(number))
	case "change": // a route by a socket
		return "changed", change(int(number))
	case "name":
		return "named", os.WriteFile("/proc/self/comm", []byte(first), 0)
	case "last": // the next process gets the number after
		os.FindProcess(os.Getpid()) // package os starts one at first, to find out about pidfds
		return "set", os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(first), 0)
	case "share": // a socket with a child, which obeys what is written to 3, and answers at 4
		cmd := helper("/proc/self/exe")
		cmd.Stdin, cmd.Stdout = os.NewFile(3, "in"), os.NewFile(4, "out")
		if first != "" {
			cmd.ExtraFiles = []*os.File{os.NewFile(uintptr(number), "socket")} // becomes its 3
		}
		if err := cmd.Start(); err != nil {
			return "", err
		}
		unix.Close(3)
		unix.Close(4)
		return fmt.Sprint(cmd.Process.Pid), nil
	case "exec": // another program in its place, with a socket
		if _, err := unix.FcntlInt(uintptr(number), unix.F_SETFD, 0); err != nil {
			return "", err
		}
		os.Setenv(helperMode, executed)
		return "", syscall.Exec(second, []string{second}, os.Environ())
	case "mount": // procfs of its PID namespace
		return "mounted", unix.Mount("proc", "/proc", "proc", 0, "")
	case "quit":
		fmt.Println("quits")
		os.Exit(0)
	}
	return "", fmt.Errorf("%q is no command", command)
}

// helper returns the command of a process of a program that is this one.
func helper(path string) *exec.Cmd {
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), helperMode+"=1")
	cmd.Stderr = os.Stderr
	return cmd
}

// openPort opens a socket with a port, 0 for that which the kernel gives it.
func openPort(port uint32) (fd int, got uint32, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return 0, 0, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: port}); err != nil {
		unix.Close(fd)
		return 0, 0, fmt.Errorf("bind to port %d: %w", port, err)
	}
	addr, err := unix.Getsockname(fd)
	if err != nil {
		return 0, 0, err
	}
	return fd, addr.(*unix.SockaddrNetlink).Pid, nil
}

// change adds a route by a socket, and takes it away again, which is told twice.
func change(fd int) error {
	route := []byte{unix.AF_INET, 32, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, 0, unix.RTN_BLACKHOLE, 0, 0, 0, 0,
		8, 0, unix.RTA_DST, 0, 192, 0, 2, 1}
	binary.NativeEndian.PutUint16(route[12:], 8)
	binary.NativeEndian.PutUint16(route[14:], unix.RTA_DST)
	for _, typ := range []uint16{unix.RTM_NEWROUTE, unix.RTM_DELROUTE} {
		flags := uint16(unix.NLM_F_REQUEST | unix.NLM_F_ACK | unix.NLM_F_CREATE)
		msg := append(wire.AppendHeader(nil, wire.HeaderLen+len(route), typ, flags, 1), route...)
		if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return err
		}
		b := make([]byte, 4096)
		n, err := unix.Read(fd, b)
		if err != nil {
			return err
		}
		if n < wire.HeaderLen+4 || wire.Type(b) != wire.NLMSG_ERROR {
			return fmt.Errorf("the kernel answers %x", b[:n])
		}
		if errno := -int32(wire.U32(b[wire.HeaderLen:])); errno != 0 {
			return unix.Errno(errno)
		}
	}
	return nil
}

// A worker is a process that obeys.
type worker struct {
	t   testing.TB
	cmd *exec.Cmd // nil of one that another started
	pid uint32
	in  *os.File
	out *bufio.Reader
}

// start starts a process in the namespace of the calling thread, which ends with the test, and
// another one that it may start, by share. flags are of clone(2).
func start(t testing.TB, path string, flags uintptr) (first, second *worker) {
	t.Helper()
	cmd := helper(path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL}
	pipes := [4][2]*os.File{}
	for i := range pipes {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		pipes[i] = [2]*os.File{r, w}
	}
	cmd.Stdin, cmd.Stdout = pipes[0][0], pipes[1][1]
	cmd.ExtraFiles = []*os.File{pipes[2][0], pipes[3][1]}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{pipes[0][0], pipes[1][1], pipes[2][0], pipes[3][1]} {
		f.Close()
	}
	t.Cleanup(func() {
		for _, f := range []*os.File{pipes[0][1], pipes[1][0], pipes[2][1], pipes[3][0]} {
			f.Close()
		}
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &worker{t, cmd, uint32(cmd.Process.Pid), pipes[0][1], bufio.NewReader(pipes[1][0])},
		&worker{t, nil, 0, pipes[2][1], bufio.NewReader(pipes[3][0])}
}

// do lets the process obey, and returns its answer.
func (w *worker) do(command string, args ...any) string {
	w.t.Helper()
	if _, err := fmt.Fprintln(w.in, append([]any{command}, args...)...); err != nil {
		w.t.Fatalf("%s: %v", command, err)
	}
	answer, err := w.out.ReadString('\n')
	if err != nil || strings.HasPrefix(answer, "error") {
		w.t.Fatalf("%s %v: %s, %v", command, args, answer, err)
	}
	return strings.TrimSpace(answer)
}

// end lets the process end, and waits for that.
func (w *worker) end() {
	w.t.Helper()
	w.do("quit")
	if err := w.cmd.Wait(); err != nil {
		w.t.Fatal(err)
	}
}

// settle waits until a process is so old that it can be found by any port.
func (f *Finder) settle(t testing.TB, w *worker) {
	t.Helper()
	p, ok := f.process(w.pid)
	if !ok {
		t.Fatalf("process %d is not there", w.pid)
	}
	defer p.close()
	until(t, "a process to be old", func() bool { return f.age(p) >= settled })
}

// open lets the process open a socket with a port.
func (w *worker) open(port uint32) (fd int, got uint32) {
	w.t.Helper()
	if _, err := fmt.Sscan(w.do("open", port), &fd, &got); err != nil {
		w.t.Fatal(err)
	}
	return fd, got
}

// share lets the process start the other one, with a socket of its own (-1: none).
func (w *worker) share(other *worker, fd int) {
	w.t.Helper()
	var args []any
	if fd >= 0 {
		args = append(args, fd)
	}
	fmt.Sscan(w.do("share", args...), &other.pid)
}

// A listener hears of changes of IPv4 routes, and finds who made them.
type listener struct {
	t  testing.TB
	fd int
	*Finder
}

// listen is in a new network namespace.
func listen(t testing.TB) *listener {
	t.Helper()
	nstest.New(t)
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	groups := uint32(1 << (unix.RTNLGRP_IPV4_ROUTE - 1))
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		t.Fatal(err)
	}
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 60})
	f, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return &listener{t, fd, f}
}

// ports waits for so many notifications, and returns their ports.
func (l *listener) ports(n int) (ports []uint32) {
	l.t.Helper()
	for range n {
		port, err := l.hear()
		if err != nil {
			l.t.Fatal(err)
		}
		ports = append(ports, port)
	}
	return ports
}

// hear waits for a notification, each of which comes by itself, and returns its port.
func (l *listener) hear() (port uint32, err error) {
	var b [4096]byte
	n, err := 0, error(unix.EINTR)
	for err == unix.EINTR { // as there is a timeout
		n, err = unix.Read(l.fd, b[:])
	}
	if err != nil || n < wire.HeaderLen {
		return 0, fmt.Errorf("wait for a notification: %d bytes, %w", n, err)
	}
	return binary.NativeEndian.Uint32(b[12:]), nil // nlmsg_pid
}

// want lets a process change a route by a socket, and checks who is found, twice, as the first
// time is another way than the second; nil: nobody.
func (l *listener) want(by *worker, fd int, who *worker, certainty Certainty) (a *Author) {
	l.t.Helper()
	if who != nil && certainty != Process {
		l.settle(l.t, who)
	}
	by.do("change", fd)
	for _, port := range l.ports(2) {
		var got Certainty
		a, got = l.Find(port)
		switch {
		case got != certainty || (a == nil) != (who == nil):
			l.t.Errorf("port %d: %+v, %s; want %s, %+v", port, a, got, certainty, who)
		case a != nil && (a.PID != who.pid || a.Path != exe(l.t, who.pid)):
			l.t.Errorf("port %d: %+v, want process %d", port, a, who.pid)
		}
	}
	return a
}

func exe(t testing.TB, pid uint32) string {
	t.Helper()
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// until waits for a condition.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for start := time.Now(); !is(); time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatal("waited a minute for " + what)
		}
	}
}
