package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestScratch: nothing is left in /tmp, neither at the end nor where somebody ends the program.
func TestScratch(t *testing.T) {
	if os.Getenv("KERNEL_ROUTES_TEST_SCRATCH") != "" {
		dir, _, err := scratch("x")
		if err != nil {
			t.Fatal(err)
		}
		put(t, dir, "folder/file", "x")
		os.Stdout.WriteString("ready\n")
		select {}
	}
	t.Setenv("TMPDIR", t.TempDir())
	left := func() []string {
		names, err := filepath.Glob(filepath.Join(os.TempDir(), "x*"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	_, remove, err := scratch("x")
	if err != nil || len(left()) != 1 {
		t.Fatalf("%v, %v", left(), err)
	}
	if remove(); len(left()) != 0 {
		t.Errorf("at the end %v is left", left())
	}

	cmd := exec.Command(os.Args[0], "-test.run=^TestScratch$")
	cmd.Env = append(os.Environ(), "KERNEL_ROUTES_TEST_SCRATCH=1")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 10)); err != nil || len(left()) != 1 {
		t.Errorf("%v, %v", left(), err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(errs.String(), "interrupt") {
		t.Errorf("%v: %s", err, &errs)
	}
	if len(left()) != 0 {
		t.Errorf("after Ctrl-C %v is left", left())
	}
}
