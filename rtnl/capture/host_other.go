//go:build !linux

package capture

// Elsewhere there is no kernel to make a capture of.

func uname() (node, release, machine string) { return "", "", "" }

func networkNamespace(string) (inode uint64, name string) { return 0, "" }
