package object_test

import (
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
)

func TestAppendLabelStack(t *testing.T) {
	if got, ok := AppendLabelStack([]byte("x "), Labels(100<<12, 3<<12|0x1ff)); !ok || string(got) != "x 100/3" {
		t.Errorf("got %q, %v", got, ok)
	}
	for _, stack := range [][]byte{nil, {0, 0, 1}, Labels(1 << 12), Labels(1<<12|0x100, 2<<12|0x100),
		append(Labels(1<<12|0x100), 0)} {
		if got, ok := AppendLabelStack([]byte("x "), stack); ok || string(got) != "x " {
			t.Errorf("%x: got %q, %v", stack, got, ok)
		}
	}
}
