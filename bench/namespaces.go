//go:build linux

package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// manyNamespaces is how many namespaces there are that are read at once, each with a few
// routes, as on a host with that many containers.
const manyNamespaces = 200

// namespaces measures what it takes to read many namespaces, beside a bare dump in each.
func (b *bench) namespaces() ([]*measurement, error) {
	var paths []string
	for range manyNamespaces {
		n, err := newNamespace(0, 0, 0)
		if err != nil {
			return nil, err
		}
		path := make(chan string)
		n.calls <- func() { path <- fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid()) }
		paths = append(paths, <-path)
	}
	bare := &measurement{what: fmt.Sprintf("floor in each of %d namespaces", manyNamespaces), ns: b.empty,
		args: append([]string{"/proc/self/exe", "-floors"}, paths...)}
	query := func(what string, paths ...string) *measurement {
		sql := "SELECT netns_id, dst, gateway, dev, metric FROM kernel_routes WHERE netns IN ('" +
			strings.Join(paths, "', '") + "')"
		return &measurement{what: what, ns: b.empty, args: []string{executable(b.dir), "query", "--csv", sql}}
	}
	all := query(fmt.Sprintf("query ... WHERE netns IN (%d paths)", manyNamespaces), paths...)
	one := query("query ... WHERE netns IN (one of them)", paths[0])
	return []*measurement{bare, all, one}, nil
}

// floors is the role of a process that does the least that reading the routes of some
// namespaces takes: enters each, and is floor there.
func floors(paths []string) error {
	runtime.LockOSThread()
	for _, path := range paths {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter %s: %w", path, err)
		}
		unix.Close(fd)
		if err := floor(nil); err != nil {
			return err
		}
	}
	return nil
}
