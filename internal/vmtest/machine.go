//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// boots starts a machine with the kernel, and returns what it reported until it ended.
func (j *job) boots(r release, k kernel, t *tests) ([]report, error) {
	initrd := filepath.Join(j.work, "initrd")
	if err := concatenate(initrd, r.archive, t.archive); err != nil {
		return nil, err
	}
	defer os.Remove(initrd)
	console := filepath.Join(j.work, "console-"+k.suite)
	ctx, cancel := context.WithTimeout(context.Background(), j.boot)
	defer cancel()
	args := append(j.arch.machine, "-accel", j.accel,
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none",
		"-smp", fmt.Sprint(min(runtime.NumCPU(), 4)), "-m", "4096",
		"-kernel", r.kernel, "-initrd", initrd,
		"-append", "console="+j.arch.console+" panic=-1 oops=panic random.trust_cpu=on",
		"-device", "virtio-rng-"+j.arch.bus,
		"-device", "virtio-serial-"+j.arch.bus,
		"-chardev", "file,id=reports,path=/dev/stdout", "-device", "virtserialport,chardev=reports,name="+portName)
	args = append(args, j.arch.serial(console)...)
	cmd := exec.CommandContext(ctx, j.arch.qemu, args...)
	runtime.LockOSThread() // Pdeathsig is about the thread
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(filepath.Join(j.work, "output-"+k.suite))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a machine: %w; install the package qemu-system-x86 (for s390x "+
			"qemu-system-misc)", err)
	}
	reports, err := read(out, log)
	waited := cmd.Wait()
	if last := len(reports) - 1; err == nil && last >= 0 && reports[last].Done {
		return reports, nil
	}
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("the machine did not end within %v (-limit)", j.boot)
	case err == nil && waited != nil:
		err = fmt.Errorf("%s: %w\n%s", j.arch.qemu, waited, stderr.Bytes())
	case err == nil:
		err = errors.New("the machine ended before the tests had")
	}
	return reports, fmt.Errorf("%w; its console ends so:\n%s", err, tail(console, 40))
}

// read returns the reports that come until the machine ends, and logs the output of tests.
func read(from io.Reader, log io.Writer) ([]report, error) {
	var all []report
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return all, nil // the machine has ended
		}
		var r report
		if err := json.Unmarshal(line, &r); err != nil {
			io.Copy(io.Discard, from)
			return all, fmt.Errorf("read what the guest reports: %w: %q", err, line)
		}
		if r.Ended {
			fmt.Printf("  %-30s %6.1f s  %s\n", r.Package, r.Seconds, r.Status)
		}
		if r.Kernel != "" {
			fmt.Printf("  %s is up, without the modules %q\n", r.Kernel, r.Lacks)
		}
		if _, err := log.Write(r.Output); err != nil {
			return all, err
		}
		all = append(all, r)
	}
}

// concatenate makes a file of others.
func concatenate(file string, others ...string) error {
	to, err := os.Create(file)
	if err != nil {
		return err
	}
	defer to.Close()
	for _, o := range others {
		from, err := os.Open(o)
		if err != nil {
			return err
		}
		_, err = io.Copy(to, from)
		from.Close()
		if err != nil {
			return err
		}
	}
	return to.Close()
}

// tail returns the last lines of a file.
func tail(file string, lines int) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), "\r", "")), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// accelerator returns how QEMU runs a machine: by KVM where the processor has it for machines of its own kind. A host
// may have /dev/kvm without (PVM), where KVM runs no kernel that was not made for it: that is told by the processor's
// flags alone.
func (a arch) accelerator() string {
	flags, _ := os.ReadFile("/proc/cpuinfo")
	has := bytes.Contains(flags, []byte(" vmx ")) || bytes.Contains(flags, []byte(" svm "))
	kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil || !has || a.goarch != runtime.GOARCH {
		return "tcg"
	}
	kvm.Close()
	return "kvm"
}
