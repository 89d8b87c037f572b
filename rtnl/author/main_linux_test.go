package author

import (
	"os"
	"testing"

	"kernelroutes/internal/nstest"
)

func TestMain(m *testing.M) {
	if os.Getenv(helperMode) != "" {
		help()
		os.Exit(0)
	}
	nstest.Main(m)
}
