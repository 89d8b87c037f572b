//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// guestEnv is set in the environment of the guest's process that runs the tests.
	guestEnv = "KERNEL_ROUTES_VMTEST_GUEST"
	// planFile is where the guest finds its plan.
	planFile = "vmtest.json"
	// portName is the name of the virtio port over which the guest reports.
	portName = "vmtest"
)

// first is the machine's first process. It starts the guest, and reaps whoever has no parent any more, until the
// guest has ended; then it ends the machine.
func first() {
	pid, err := syscall.ForkExec("/init", []string{"/init"}, &syscall.ProcAttr{
		Env:   []string{guestEnv + "=1", "PATH=/usr/sbin:/usr/bin", "HOME=/root", "TERM=dumb"},
		Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		fmt.Println("vmtest: start /init:", err)
	}
	for err == nil {
		var ended int
		ended, err = syscall.Wait4(-1, nil, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			err = nil
		}
		if ended == pid {
			break
		}
	}
	unix.Sync()
	err = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	fmt.Println("vmtest: power off:", err)
	select {}
}

// guest runs the tests of its plan.
func guest() {
	err := func() error {
		if err := mounts(); err != nil {
			return err
		}
		text, err := os.ReadFile("/" + planFile)
		if err != nil {
			return err
		}
		var p plan
		if err := json.Unmarshal(text, &p); err != nil {
			return fmt.Errorf("read /%s: %w", planFile, err)
		}
		return p.do()
	}()
	if err != nil {
		fmt.Println("vmtest:", err)
	}
	os.Exit(0)
}

// mounts makes the file systems that any host has.
func mounts() error {
	for _, m := range []struct{ fstype, at, data string }{
		{"proc", "/proc", ""},
		{"sysfs", "/sys", ""},
		{"devtmpfs", "/dev", ""},
		{"devpts", "/dev/pts", "ptmxmode=0666"},
		{"tmpfs", "/dev/shm", ""},
		{"tmpfs", "/tmp", "mode=1777"},
		{"tmpfs", "/run", "mode=755"},
		{"cgroup2", "/sys/fs/cgroup", ""},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.fstype, m.at, m.fstype, 0, m.data); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s at %s: %w", m.fstype, m.at, err)
		}
	}
	for name, target := range map[string]string{
		"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1",
		"/dev/stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, name); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return unix.Sethostname([]byte("vmtest"))
}

// do does what the plan says, and reports it.
func (p plan) do() error {
	if out, err := exec.Command("depmod").CombinedOutput(); err != nil {
		return fmt.Errorf("depmod: %w\n%s", err, out)
	}
	for _, m := range []string{"virtio_pci", "virtio_ccw", "virtio_console", "virtio_rng"} {
		exec.Command("modprobe", "--quiet", m).Run() // or it is built in: the port tells
	}
	port, err := openPort()
	if err != nil {
		return err
	}
	to := json.NewEncoder(port)
	begin := report{}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	begin.Kernel, begin.Version = unix.ByteSliceToString(name.Release[:]), unix.ByteSliceToString(name.Version[:])
	for _, m := range p.Load {
		if exec.Command("modprobe", "--quiet", m).Run() != nil {
			begin.Lacks = append(begin.Lacks, m)
		}
	}
	// Tunnels have a device in every namespace otherwise, once their module is there.
	const fallback = "/proc/sys/net/core/fb_tunnels_only_for_init_net"
	if err := os.WriteFile(fallback, []byte("1"), 0); err != nil {
		begin.Error = err.Error()
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		begin.Error = fmt.Sprintf("ip link set lo up: %v\n%s", err, out)
	}
	if err := to.Encode(begin); err != nil {
		return err
	}
	for _, t := range p.Tests {
		end := p.test(t, to)
		if err := to.Encode(end); err != nil {
			return fmt.Errorf("report of %s: %w", t.Package, err)
		}
	}
	return to.Encode(report{Done: true})
}

// openPort opens the port for reports, which is there a little after its driver.
func openPort() (*os.File, error) {
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(10 * time.Millisecond) {
		names, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, n := range names {
			text, err := os.ReadFile(n)
			if err == nil && strings.TrimSpace(string(text)) == portName {
				return os.OpenFile("/dev/"+filepath.Base(filepath.Dir(n)), os.O_WRONLY, 0)
			}
		}
	}
	return nil, fmt.Errorf("there is no virtio port %q", portName)
}

// test runs a test binary and reports what it prints, and at last how it ended.
func (p plan) test(t planned, to encoder) report {
	end := report{Package: t.Package, Ended: true}
	begin := time.Now()
	cmd := exec.Command(t.Args[0], t.Args[1:]...)
	cmd.Dir = t.Folder
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = 5 * time.Second // whoever it has left behind holds its output
	out := &output{pkg: t.Package, to: to}
	cmd.Stdout, cmd.Stderr = io.Writer(out), io.Writer(out)
	err := cmd.Start()
	if err == nil {
		limit := time.AfterFunc(time.Duration(p.Limit*float64(time.Second)), func() {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		})
		err = cmd.Wait()
		limit.Stop()
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	end.Seconds = time.Since(begin).Seconds()
	if err != nil {
		end.Status = err.Error()
	}
	return end
}

// An encoder takes reports.
type encoder interface{ Encode(report any) error }

// output reports what a test binary prints.
type output struct {
	pkg string
	to  encoder
}

func (o *output) Write(b []byte) (int, error) {
	return len(b), o.to.Encode(report{Package: o.pkg, Output: b})
}
