package tables_test

import (
	"strings"
	"testing"

	"kernelroutes/internal/needtest"
)

// older reports whether this kernel comes before a release, as "5.13".
func older(t testing.TB, than string) bool {
	t.Helper()
	release, err := needtest.Release()
	if err != nil {
		t.Fatal(err)
	}
	return needtest.Older(release, than)
}

// asKnown returns lines for ip as this kernel can understand them: a resilient group, which there is since Linux 5.13,
// is an ordinary one before.
func asKnown(t testing.TB, lines ...string) (all []string) {
	t.Helper()
	old := older(t, "5.13")
	for _, line := range lines {
		if old {
			line, _, _ = strings.Cut(line, " type resilient ")
		}
		all = append(all, line)
	}
	return all
}
