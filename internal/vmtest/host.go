//go:build linux

package main

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/buildtest"
)

// collected are reports that need no way out of a machine.
type collected struct{ all []report }

func (c *collected) Encode(r any) error {
	one := r.(report)
	one.Output = append([]byte(nil), one.Output...)
	c.all = append(c.all, one)
	return nil
}

// onHost runs the tests on this host's kernel.
func (j *job) onHost(t *tests) ([]report, error) {
	if j.arch.goarch != runtime.GOARCH {
		return nil, fmt.Errorf("this host's kernel is not one of %s", j.arch.debian)
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil, err
	}
	dir, err := module()
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(j.work, "bin")
	c := &collected{all: []report{{
		Kernel: unix.ByteSliceToString(name.Release[:]), Version: unix.ByteSliceToString(name.Version[:]),
	}}}
	p := plan{Env: []string{buildtest.Built + "=" + filepath.Join(bin, "kernel_routes.ext")}, Limit: t.plan.Limit}
	for _, test := range t.plan.Tests {
		test.Folder = filepath.Join(dir, strings.TrimPrefix(test.Folder, "/"+repository))
		test.Args = append([]string{filepath.Join(bin, filepath.Base(test.Args[0]))}, test.Args[1:]...)
		end := p.test(test, c)
		c.all = append(c.all, end)
		fmt.Printf("  %-30s %6.1f s  %s\n", end.Package, end.Seconds, end.Status)
	}
	return c.all, nil
}
