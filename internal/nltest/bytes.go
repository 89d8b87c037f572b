package nltest

import (
	"slices"
	"testing"
	"unsafe"
)

// ExactCopy copies bytes into memory of just their size: reading on after them panics.
func ExactCopy(b []byte) []byte { return slices.Clip(append(make([]byte, 0, len(b)), b...)) }

// Inside checks that slices are parts of b.
func Inside(t testing.TB, b []byte, parts ...[]byte) {
	t.Helper()
	from := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	for _, p := range parts {
		if p == nil {
			continue
		}
		at := uintptr(unsafe.Pointer(unsafe.SliceData(p)))
		if at < from || at+uintptr(len(p)) > from+uintptr(len(b)) {
			t.Fatalf("%x is not inside %x", p, b)
		}
	}
}
