//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// enter runs this program again in new user and network namespaces, in which it
// is root, and returns its exit status.
func enter(env string) (int, error) {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), env)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	runtime.LockOSThread() // Pdeathsig is about the thread
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 1, fmt.Errorf("user and network namespaces of its own: %w; "+
			"allow unprivileged user namespaces (sysctl user.max_user_namespaces) or be root", err)
	}
	return 0, nil
}

// A namespace is a network namespace: a thread that is in it and starts
// processes there. It is gone with the process.
type namespace struct{ calls chan func() }

// newNamespace makes a namespace with interface v0, which has 10.0.0.1/16 and
// fd00::1/64, three routes in table 77, and routes besides: like those of the
// Internet (ipv4, ipv6), and IPv4 routes with two nexthops (ecmp).
func newNamespace(ipv4, ipv6, ecmp int) (*namespace, error) {
	n := &namespace{make(chan func())}
	made := make(chan error)
	go func() {
		runtime.LockOSThread()
		made <- unix.Unshare(unix.CLONE_NEWNET)
		for f := range n.calls {
			f()
		}
	}()
	if err := <-made; err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	ip := exec.Command("ip", "-batch", "-")
	ip.Stdin = strings.NewReader(`link set lo up
link add v0 type veth peer name v1
link set v0 up
link set v1 up
addr add 10.0.0.1/16 dev v0
addr add fd00::1/64 dev v0 nodad
`)
	if err := n.run(ip); err != nil {
		return nil, err
	}
	// A process of its own, so that this one stays small: see sample.rss.
	return n, n.run(exec.Command("/proc/self/exe", "-fill", fmt.Sprint(ipv4), fmt.Sprint(ipv6), fmt.Sprint(ecmp)))
}

// start starts a command in the namespace.
func (n *namespace) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	err := make(chan error)
	n.calls <- func() { err <- cmd.Start() }
	return <-err
}

// run runs a command in the namespace.
func (n *namespace) run(cmd *exec.Cmd) error {
	err := n.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return nil
}
