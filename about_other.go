//go:build !linux

package main

// kernelRelease is empty: there is no kernel that the program reads.
func kernelRelease() string { return "" }
