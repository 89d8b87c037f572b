package packs

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"kernelroutes/internal/nstest"
)

func TestMain(m *testing.M) { nstest.Main(m) }

const hostFolder = "../testdata/hosts"

func hosts(t *testing.T) (names []string) {
	files, err := filepath.Glob(hostFolder + "/*.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if filepath.Base(f) != "lib.sh" {
			names = append(names, strings.TrimSuffix(filepath.Base(f), ".sh"))
		}
	}
	return names
}

func neighbour(t *testing.T) int {
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd.Process.Pid
}

func buildHost(t *testing.T, name string) {
	nstest.New(t)
	nstest.IP(t, "link set lo down")
	cmd := exec.Command("sh", "-eu", name+".sh")
	cmd.Dir = hostFolder
	t.Setenv("OUTSIDE", strconv.Itoa(neighbour(t)))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}
