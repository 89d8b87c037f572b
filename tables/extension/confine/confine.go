// Package confine takes from the process of the extension what it has no use for, before it talks to
// anybody: capabilities, system calls, and where nothing is lost by it the file system. Whoever finds
// a fault in it by what osquery, a peer on its socket or the kernel says gains no more than what the
// extension can do anyway: read routes, and who has changed them.
//
// There is nothing here that a kernel must have. What it has not is left out.
package confine

import (
	"log/slog"
	"strings"
	"sync/atomic"
)

// What a process may be confined by, as Applied names it.
const (
	noNewPrivs   = "no_new_privs" // PR_SET_NO_NEW_PRIVS: no program that it could run has more rights
	capabilities = "capabilities" // those that are not needed are gone
	landlock     = "landlock"     // nothing is written, made or removed but the extension's socket
	seccomp      = "seccomp"      // a filter of system calls
)

// Options say what has to remain possible.
type Options struct {
	// Socket is the path of osquery's socket, beside which the extension makes its own.
	Socket string
	// Namespaces: other network namespaces are entered.
	Namespaces bool
	// Authors: processes are looked at to find who has made a change.
	Authors bool
	// Logger is told in one line, at debug, what was applied, and what was not and why; nil: nobody is.
	Logger *slog.Logger
}

// Apply confines all threads of the process, those that are made later too, for good. It never fails:
// a part that the kernel does not have, or whoever started the process does not allow, is left out,
// and the log says why.
func Apply(o Options) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	var on, off []string
	for _, p := range parts(&o) {
		switch err := p.apply(); {
		case err == errNotWanted:
		case err != nil:
			off = append(off, p.name+": "+err.Error())
		default:
			on = append(on, p.name)
		}
	}
	list := strings.Join(on, " ")
	applied.Store(&list)
	o.Logger.Debug("confined", "by", list, "not", strings.Join(off, "; "), "kept", kept())
}

// A part of what confines a process.
type part struct {
	name  string
	apply func() error
}

// Applied returns what the process is confined by, separated by blanks: "no_new_privs", "capabilities",
// "landlock", "seccomp", in this order; "" for nothing, as before Apply.
func Applied() string {
	if list := applied.Load(); list != nil {
		return *list
	}
	return ""
}

var applied atomic.Pointer[string]
