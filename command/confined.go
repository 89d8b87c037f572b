package command

import (
	"errors"
	"log/slog"
	"os"

	"kernelroutes/rtnl"
	"kernelroutes/tables/extension/confine"
)

// Environment variables that say how much the extension may do: osquery passes no flags but its own.
const (
	netnsVariable   = "KERNEL_ROUTES_NETNS"   // 0: other network namespaces are not shown
	confineVariable = "KERNEL_ROUTES_CONFINE" // 0: it keeps all the rights that it was started with
)

// confined takes from the extension what it has no use for, unless it is not to.
func confined(log *slog.Logger, o confine.Options) {
	if turnedOff(log, confineVariable) {
		log.Warn("the extension keeps the rights that it was started with, and no system call is refused: take the "+
			"variable away, and start osquery again, to have it confined", "variable", confineVariable)
		return
	}
	o.Logger = log
	confine.Apply(o)
}

// turnedOff reads an environment variable that turns something off by 0. What is neither 0 nor 1 is
// ignored.
func turnedOff(log *slog.Logger, variable string) bool {
	switch value := os.Getenv(variable); value {
	case "0":
		return true
	case "", "1":
	default:
		log.Warn("ignoring an environment variable that is neither 0 nor 1", "variable", variable, "value", value,
			"used", "1")
	}
	return false
}

// errOwnNamespace is of a query for a network namespace that is not the extension's own.
var errOwnNamespace = errors.New("other network namespaces are not shown, as " + netnsVariable + " is 0 where " +
	"osquery runs; leave netns, pid_with_namespace and netns_id out of the query, or take the variable away and " +
	"start osquery again")

// NamespaceID returns the inode of a namespace: see rtnl.Namespace.
func (s *extensionSource) NamespaceID(ns rtnl.Namespace) (uint64, error) {
	if !s.ownOnly || ns == "" {
		return s.Cache.NamespaceID(ns)
	}
	// A path would be looked at, which may be that of another process.
	if own, err := s.Cache.NamespaceID(""); err != nil || ns != rtnl.NamespaceOf(own) {
		return 0, errOwnNamespace
	}
	return s.Cache.NamespaceID(ns)
}

// Namespaces returns all that there are.
func (s *extensionSource) Namespaces() (found []rtnl.FoundNamespace, unseen int, err error) {
	if s.ownOnly {
		return nil, 0, errOwnNamespace
	}
	return s.Cache.Namespaces()
}
