// Package fakekernel has kernels for tests to talk to over RTNetlink, in place of the one
// that runs: their Dial is a conn.Dialer.
//
//	kernel.go      Kernel: answers each request as the test wants it to
//	mute.go        Mute: the kernel that runs, which is not told what is asked
//	simulation.go  Simulation: has routes that change while they are dumped
//	walk.go        how a Simulation dumps, and loses its place
package fakekernel
