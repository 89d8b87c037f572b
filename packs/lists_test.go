package packs

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// TestAllowed edits the lists that are empty as a team does: what is listed is no row any more,
// and what is not still is one.
func TestAllowed(t *testing.T) {
	for _, tc := range []struct{ check, list, row, host, run, left string }{
		{"duplicate_default", "second_default", "[192.168.1.1, enp1s0, the router]", "laptop-networkd",
			"ip route append default via 192.168.1.66 dev enp1s0 metric 1024", "192.168.1.66"},
		{"default_gateway_unreachable", "gateway_outside", "[198.18.%, eth%, our provider]", "gcp-instance",
			"ip route del 10.128.0.1 dev ens4", "10.128.0.1"},
		{"default_gateway_unreachable", "gateway_outside", "[10.128.%, ens4, our provider]", "gcp-instance",
			"ip route del 10.128.0.1 dev ens4", ""},
		{"metadata_route", "metadata_gateway", "[10.1.0.2, eth0, OpenStack]", "azure-vm",
			"ip route append 169.254.169.254 via 10.1.0.2 dev eth0 metric 9\n" +
				"ip route append 169.254.169.254 via 10.1.0.3 dev eth0 metric 9", "10.1.0.3"},
	} {
		t.Run(tc.list, func(t *testing.T) {
			packs, err := Load(edited(t, tc.list, tc.row))
			if err != nil {
				t.Fatal(err)
			}
			buildHost(t, tc.host)
			runShell(t, tc.run)
			rows := ask(t, findCheck(t, packs, tc.check).SQL())
			if tc.left == "" && len(rows) > 0 || tc.left != "" && (len(rows) != 1 || rows[0]["gateway"] != tc.left) {
				t.Errorf("with %s in %s the rows are %v, not that of %q", tc.row, tc.list, rows, tc.left)
			}
			if rows := ask(t, findCheck(t, loadPacks(t), tc.check).SQL()); len(rows) == 0 {
				t.Errorf("there is no row without the list either")
			}
		})
	}
}

// edited returns this folder, with a row in a list that is empty.
func edited(t *testing.T, list, row string) fs.FS {
	t.Helper()
	text, err := os.ReadFile("lists/" + list + ".yml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "rows: []") {
		t.Fatalf("the list %s is not empty", list)
	}
	text = []byte(strings.Replace(string(text), "rows: []", "rows:\n  - "+row, 1))
	files, err := WithLists(os.DirFS("."), fstest.MapFS{list + ".yml": {Data: text}})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func findCheck(t *testing.T, packs []*Pack, name string) *Check {
	t.Helper()
	for _, p := range packs {
		for _, c := range p.Checks {
			if c.Name == name {
				return c
			}
		}
	}
	t.Fatalf("no check %s is there", name)
	return nil
}
