package survival

import (
	"os"
	"testing"

	"kernelroutes/internal/buildtest"
	"kernelroutes/internal/nstest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(managerFolder); dir != "" {
		manage(dir)
		return
	}
	nstest.NeedsOther = true
	nstest.Main(m, buildtest.Remove)
}
