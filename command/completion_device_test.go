package command

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
)

// TestCompleteDevice: the interfaces of the namespace that the command is about, and none that a
// terminal cannot be given.
func TestCompleteDevice(t *testing.T) {
	nstest.New(t)
	for _, name := range []string{"eth0", "eth1", "et\x1bc"} {
		nstest.IP(t, "link add "+name+" type veth peer name "+name+"p")
	}
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	for typed, want := range map[string][]string{"": {"eth0", "eth0p", "eth1", "eth1p", "lo"}, "l": {"lo"},
		"x": nil} {
		if got, how := completeDevice(nil)(cmd, nil, typed); !slices.Equal(got, want) ||
			how != cobra.ShellCompDirectiveNoFileComp {
			t.Errorf("%q: %q, %v, want %q", typed, got, how, want)
		}
	}
	cmd.Flags().String("netns", "/nonexistent", "")
	if got, _ := completeDevice(nil)(cmd, nil, ""); got != nil {
		t.Errorf("of no namespace: %q", got)
	}
}

// TestCompleteFrom: where a capture is asked, what is in it is completed.
func TestCompleteFrom(t *testing.T) {
	nstest.New(t)
	nstest.IP(t, "link add captured type veth peer name capturedp")
	file := filepath.Join(t.TempDir(), "a.pcap")
	run(t, "", "capture", file)
	nstest.IP(t, "link del captured")
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{file: "captured capturedp", "": "", "-": "", fifo: "", file + "no": ""} {
		cmd := &cobra.Command{}
		cmd.SetContext(t.Context())
		cmd.Flags().String("from", from, "")
		if got, _ := completeDevice(nil)(cmd, nil, "cap"); strings.Join(got, " ") != want {
			t.Errorf("devices of %q: %q, want %q", from, got, want)
		}
		wantTable := ""
		if from == "" || from == file {
			wantTable = "main\ttable 254"
		}
		if got, _ := completeTable(cmd, nil, "main"); strings.Join(got, " ") != wantTable {
			t.Errorf("tables of %q: %q, want %q", from, got, wantTable)
		}
	}
}
