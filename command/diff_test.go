package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
)

// TestDiff: a capture and now, two captures, and one from standard input.
func TestDiff(t *testing.T) {
	nstest.New(t)
	nstest.IP(t, "link add et\x1bh type veth peer name v1")
	nstest.IP(t, "addr add 192.0.2.1/24 dev lo")
	dir := t.TempDir()
	before, after := filepath.Join(dir, "before"), filepath.Join(dir, "after")
	run(t, "", "capture", before)
	for args, want := range map[string]string{"": "no differences\n", "--json": "[]\n"} {
		if got := run(t, "", append(strings.Fields("diff "+args), before)...); got != want {
			t.Errorf("diff %s: %q", args, got)
		}
	}
	nstest.IP(t, "link set et\x1bh up")
	nstest.IP(t, "route add 10.0.0.0/8 dev et\x1bh")
	nstest.IP(t, "rule add pref 100 blackhole")
	run(t, "", "capture", after)
	const want = "appeared rule ipv4 100 blackhole proto unspec\n" +
		"appeared route ipv4 main 10.0.0.0/8 dev et\\x1bh proto boot scope link\n"
	captured, err := os.ReadFile(after)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{before}, {before, after}, {before, "-"}} {
		stdout, stderr, status := command(t, bytes.NewReader(captured), append([]string{"diff", "--ipv4"}, args...)...)
		if !strings.HasPrefix(stdout, want) || stderr != "" || status != exitOK {
			t.Errorf("diff %s: exit status %d, %s%s", args, status, stdout, stderr)
		}
	}
}
