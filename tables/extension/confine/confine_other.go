//go:build !linux

package confine

// parts are Linux's.
func parts(*Options) []part { return nil }

// errNotWanted is of a part that would take something away.
var errNotWanted error

func kept() string { return "" }
