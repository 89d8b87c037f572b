package main

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// TestElsewhere: the second build is another user's, on a host of another name.
func TestElsewhere(t *testing.T) {
	cmd := exec.Command("sh", "-c", `echo $(id -u) $(uname -n) "$1"`, "sh", "an argument")
	elsewhere(cmd)
	out, err := cmd.Output()
	user := 0
	if os.Getuid() == 0 {
		user = 4711
	}
	if want := fmt.Sprintf("%d elsewhere an argument\n", user); err != nil || string(out) != want {
		t.Errorf("%q, expected %q (%v)", out, want, err)
	}
	if name, err := os.Hostname(); err != nil || name == "elsewhere" {
		t.Errorf("this host is now %q, %v", name, err)
	}
}
