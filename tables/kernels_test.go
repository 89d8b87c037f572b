package tables_test

import (
	"bytes"
	"os"
	"testing"

	"kernelroutes/internal/needtest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/capture"
	"kernelroutes/tables"
)

// This file and the live tests of MPLS, VRF devices, WireGuard and tunnels make what many kernels
// cannot: internal/vmtest runs them where it can be made. What fails to be made is skipped there,
// unless the kernel is as new as needtest.Kernel is told.

// A kernelCase is a liveCase, a line for ip with its family and a verb, that not every kernel has.
type kernelCase struct {
	since string // Linux, as needtest.Kernel has it
	liveCase
	err error // why it could not be made
}

// addCases makes what can be made.
func addCases(cases []kernelCase) {
	for i := range cases {
		_, cases[i].err = nstest.Try(cases[i].line)
	}
}

// checkCases compares the rows of each with what they should be, apart from each other.
func checkCases(t *testing.T, cases []kernelCase, all []route) {
	made := 0
	for _, c := range cases {
		t.Run(c.line, func(t *testing.T) {
			needtest.Kernel(t, c.line, c.since, c.err)
			made++
			c.check(t, all)
		})
	}
	t.Logf("%d of %d could be made; all %d routes were compared with ip", made, len(cases), len(all))
}

// needLink ends a test where there are no devices of a kind. Linux has them since a release.
func needLink(t testing.TB, kind, since, args string) {
	t.Helper()
	_, err := nstest.Try("link add try0 type " + kind + " " + args)
	needtest.Kernel(t, "devices of type "+kind, since, err)
	nstest.IP(t, "link del try0")
}

// labels is the file that says how many MPLS labels can have routes.
const labels = "/proc/sys/net/mpls/platform_labels"

// hasMPLS reports whether there are routes of labels in the namespaces of this kernel.
func hasMPLS() bool {
	_, err := os.Stat(labels)
	return err == nil
}

// needMPLS ends a test where there are none.
func needMPLS(t testing.TB) {
	t.Helper()
	_, err := os.Stat(labels)
	needtest.Kernel(t, "MPLS (module mpls_router)", "4.1", err)
	nstest.Sysctl(t, "net.mpls.platform_labels", "1000")
}

// checkCaptured sees that a capture has the rows that the kernel has.
func checkCaptured(t *testing.T) {
	t.Helper()
	var file bytes.Buffer
	if err := capture.Write(t.Context(), new(rtnl.Kernel), &file); err != nil {
		t.Fatal(err)
	}
	c, err := capture.Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables.Whole() {
		got, want := scan(t, table, c), scan(t, table, &rtnl.Kernel{})
		for _, rows := range [][]row{got, want} {
			for _, r := range rows {
				for _, col := range table.Columns {
					if col.Volatile {
						delete(r, col.Name)
					}
				}
			}
		}
		report(t, table.Name+" of a capture and of the kernel", differences(got, want, "the capture", "the kernel"))
		if len(want) == 0 && table != tables.NexthopObjects {
			t.Errorf("%s has no rows", table.Name)
		}
	}
}
