package command

import (
	"slices"
	"testing"

	"github.com/spf13/cobra"

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
