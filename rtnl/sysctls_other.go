//go:build !linux

package rtnl

// readFiles: elsewhere there are no sysctls of Linux.
func readFiles(string, []string, func(string, []byte)) error { return nil }
