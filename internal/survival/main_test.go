package survival

import (
	"testing"

	"kernelroutes/internal/buildtest"
	"kernelroutes/internal/nstest"
)

func TestMain(m *testing.M) { nstest.Main(m, buildtest.Remove) }
