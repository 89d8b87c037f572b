//go:build linux

package packs

import (
	"testing"

	"kernelroutes/internal/nstest"
)

func TestMain(m *testing.M) { nstest.Main(m) }
