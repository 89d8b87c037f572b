//go:build !unix

package extension

import "syscall"

// On Windows osquery and its extensions speak through named pipes, which are not
// served here: without osquery's socket a server does not come to ask these.

func checkFiles() error { return nil }

func freeFiles() int { return minConns }

func (c *conn) hungUp() bool { return true }

func forOwnerAlone(_, _ string, _ syscall.RawConn) error { return nil }

func othersWhoWrite(string) string { return "" }
