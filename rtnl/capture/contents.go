package capture

import (
	"fmt"
	"slices"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/events"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// fileContents are what a capture file holds, or a recording.
type fileContents struct {
	snapshot *rtnl.Snapshot
	host     *Host           // nil: not known
	names    *iproute2.Names // nil: not known
	notes    []string
	coverage *coverage // of a recording; nil: it is none
	events   []*events.Event
	followed bool // there may be events
	// without are the kinds that a capture was not made of.
	without []*object.Kind
}

// lacks returns an error if the file has nothing of what is asked for.
func (f *fileContents) lacks(req *rtnl.Request) error {
	for _, k := range req.Kinds {
		if slices.Contains(f.without, k) && !req.Nothing() {
			return &Error{fmt.Sprintf("the capture has no %s: the version of this program that made it did not know "+
				"them",
				k.Plural), makeAgain}
		}
	}
	return f.coverage.lacks(req)
}

// kindsText begins the line of text that names the kinds that a capture is made of.
const kindsText = "kinds "

// firstKinds are those of captures without that line.
var firstKinds = []string{object.Links.Name, object.NexthopObjects.Name, object.Routes.Name}

// appendKinds appends the line.
func appendKinds(b []byte) []byte {
	var names []string
	for _, k := range object.Kinds {
		names = append(names, k.Name)
	}
	return append(append(append(b, kindsText...), strings.Join(names, ",")...), '\n')
}

// parseKinds is the inverse, of a text that may have other lines.
func parseKinds(text string) []string {
	for line := range strings.Lines(text) {
		if names, ok := strings.CutPrefix(line, kindsText); ok {
			return strings.Split(strings.TrimSuffix(names, "\n"), ",")
		}
	}
	return firstKinds
}

// readersNames is what there is to know of a file without names.
const readersNames = "it does not hold the names of its host: " +
	"tables, protocols, scopes and realms have those of this host"
