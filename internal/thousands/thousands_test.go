package thousands_test

import (
	"testing"

	"kernelroutes/internal/thousands"
)

func TestOf(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 999_999: "999,999",
		1_000_000: "1,000,000", 1<<63 - 1: "9,223,372,036,854,775,807"} {
		if got := thousands.Of(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
