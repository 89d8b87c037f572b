//go:build !linux

package rtnl

func hostRelease() release { return release{} }
