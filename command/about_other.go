//go:build !linux

package command

// kernelRelease is empty: there is no kernel that the program reads.
func kernelRelease() string { return "" }
