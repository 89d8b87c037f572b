package show

import (
	"testing"

	"kernelroutes/internal/nstest"
)

func TestMain(m *testing.M) { nstest.Main(m) }
