package rtnl

import "kernelroutes/rtnl/object"

// A release is the version of a kernel.
type release = object.Release

// recent stands for a kernel of which nothing has to be known.
var recent = release{Major: 1 << 30}

// parseRelease reads what uname prints. What cannot be read is taken for old, which costs
// time and loses nothing.
func parseRelease(s string) release {
	if s == "" {
		return recent
	}
	return object.ParseRelease(s)
}
