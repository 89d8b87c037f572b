package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCaptureCommand asks a capture what it asks the kernel.
func TestCaptureCommand(t *testing.T) {
	fixedNamespace(t)
	file := filepath.Join(t.TempDir(), "routes.pcap")
	if out := run(t, "", "capture", file); out != "" {
		t.Errorf("capture printed %q", out)
	}
	for _, args := range [][]string{
		{"routes"},
		{"routes", "--table", "1000", "--ipv4"},
		{"routes", "--summary"},
		{"query", "SELECT route_id, dst, gateway, dev, encap, snapshot_consistent FROM kernel_routes"},
		{"query", "--csv", "SELECT * FROM kernel_route_nexthops WHERE dev = 'eth0' AND weight > 1"},
	} {
		live := run(t, "", args...)
		if got := run(t, "", append(args, "--from", file)...); got != live || live == "" {
			t.Errorf("%s:\n%s", args, firstDifference(live, got))
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if out := run(t, "", "capture", "/dev/stdout"); len(out) != len(b) {
		t.Errorf("/dev/stdout: %d bytes, %s: %d bytes", len(out), file, len(b))
	}
}

func TestCaptureErrors(t *testing.T) {
	dir := t.TempDir()
	empty, whole := filepath.Join(dir, "empty"), "testdata/captures/ecmp.pcap"
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.pcap")
	if err := os.WriteFile(cut, b[:len(b)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args   []string
		failed bool // else it is the command line's fault
		want   string
	}{
		{[]string{"query", "--from", "nosuch.pcap", "SELECT 1"}, true, "capture nosuch.pcap: no such file or directory"},
		{[]string{"query", "--from", dir, "SELECT 1"}, true, "capture " + dir + ": is a directory"},
		{[]string{"query", "--from", empty, "SELECT 1"}, true, "capture " + empty + ": the file is empty; make a capture with the capture command"},
		{[]string{"query", "--from", cut, "SELECT * FROM kernel_routes"}, true, "capture " + cut + ": it is cut short after "},
		{[]string{"routes", "--from", cut}, true, "make it again with the capture command"},
		{[]string{"routes", "--from", "main.go"}, true, "capture main.go: it is no pcap file; "},
		{[]string{"routes", "--from", ""}, false, "--from is empty"},
		{[]string{"capture"}, false, "the name of one file"},
		{[]string{"capture", ""}, false, "the name of one file"},
		{[]string{"capture", "a", "b"}, false, "the name of one file"},
		{[]string{"capture", filepath.Join(dir, "no", "x")}, true, "x: no such file or directory"},
		{[]string{"capture", "/dev/full"}, true, "capture /dev/full: no space left on device"},
	} {
		err := execute(tc.args)
		var f *failure
		if err == nil || !strings.Contains(err.Error(), tc.want) || errors.As(err, &f) != tc.failed {
			t.Errorf("%q: got %v, want %q", tc.args, err, tc.want)
		}
	}
}

// A file that nothing is written to keeps what is in it.
func TestLateFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "late")
	for _, text := range []string{"a", "b", ""} {
		f := lateFile{name: name}
		if text != "" {
			if _, err := f.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(name); string(b) != "b" {
		t.Errorf("got %q, %v", b, err)
	}
}
