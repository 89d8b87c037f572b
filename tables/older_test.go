package tables_test

import (
	"slices"
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
// is an ordinary one before, and a reduced header of segments, since 6.0, a whole one. What there is nothing like,
// as flavors of segments, is left out.
func asKnown(t testing.TB, lines ...string) (all []string) {
	t.Helper()
	noResilient, noReduced := older(t, "5.13"), older(t, "6.0")
	noOIF := older(t, "6.17")
	for _, line := range lines {
		if noOIF { // and no error
			line = strings.ReplaceAll(line, "End.X nh6 fd00::9 oif v1", "End.X nh6 fd00::9")
		}
		if noResilient {
			line, _, _ = strings.Cut(line, " type resilient ")
			// Of packets, by an action of seg6local.
			line = strings.TrimSpace(strings.ReplaceAll(line+" ", " count ", " "))
		}
		if noReduced {
			line = strings.ReplaceAll(line, "encap.red ", "encap ")
			line, _, _ = strings.Cut(line, " flavors ")
		}
		all = append(all, line)
	}
	return all
}

// knownCases returns the cases that this kernel knows.
func knownCases(t testing.TB, cases []liveCase) []liveCase {
	t.Helper()
	return slices.DeleteFunc(slices.Clone(cases), func(c liveCase) bool {
		return asKnown(t, c.line)[0] != c.line
	})
}
