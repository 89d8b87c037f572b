package object

import (
	"fmt"
	"testing"
)

func TestNewest(t *testing.T) {
	got := ""
	for _, a := range Newest() {
		got += fmt.Sprintln(a.Number, a.Name)
	}
	// As the kernel's headers have them: whoever declares a newer one adds it here.
	const want = "32 RTA_DEL_REASON\n17 NHA_HW_STATS_USED\n30 FRA_DSCP_MASK\n9 NETCONFA_FORCE_FORWARDING\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
