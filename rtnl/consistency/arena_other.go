//go:build !linux

package consistency

func adviseHuge([]byte) {}
