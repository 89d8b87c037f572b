//go:build !linux

package command

// stdoutClosed is asked on Linux, where it can be told.
func stdoutClosed() bool { return false }

// waitForReader waits for ever: only a write can tell.
func waitForReader() { select {} }
