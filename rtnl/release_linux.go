package rtnl

import (
	"sync"

	"golang.org/x/sys/unix"
)

// hostRelease returns the version of the running kernel.
var hostRelease = sync.OnceValue(func() release {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return release{}
	}
	return parseRelease(unix.ByteSliceToString(name.Release[:]) + " ")
})
