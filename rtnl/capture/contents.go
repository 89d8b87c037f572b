package capture

import (
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
)

// fileContents are what a capture file holds, or a recording.
type fileContents struct {
	snapshot *rtnl.Snapshot
	host     *Host           // nil: not known
	names    *iproute2.Names // nil: not known
	notes    []string
	coverage *coverage // of a recording; nil: it is none, and lacks nothing
}

// readersNames is what there is to know of a file without names.
const readersNames = "it does not hold the names of its host: " +
	"tables, protocols, scopes and realms have those of this host"
