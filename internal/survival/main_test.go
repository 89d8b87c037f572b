package survival

import (
	"fmt"
	"os"
	"testing"

	"kernelroutes/internal/buildtest"
	"kernelroutes/internal/nstest"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(hardships); text != "" {
		fmt.Fprintln(os.Stderr, "the test's hardship:", endure(text))
		os.Exit(99)
	}
	if dir := os.Getenv(managerFolder); dir != "" {
		manage(dir)
		return
	}
	nstest.NeedsOther = true
	nstest.Main(m, buildtest.Remove)
}
