package capture

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// finish returns what the recording holds.
func (r *recordingReader) finish() (*fileContents, error) {
	if r.requests.asked {
		r.dumps.forgetUnasked()
	}
	if len(r.dumps.tables) == 0 {
		return nil, r.nothing()
	}
	has := &coverage{tables: slices.Collect(maps.Keys(r.dumps.tables))}
	dumps := slices.SortedFunc(maps.Values(r.dumps.tables), func(a, b *recordedDump) int { return a.number - b.number })
	messages := map[*object.Kind][]object.Run{}
	for _, d := range dumps {
		messages[d.kind] = r.appendSourced(messages[d.kind], d)
	}
	for _, k := range object.Kinds {
		switch d := r.dumps.whole[k]; {
		case byTable(k):
		case d != nil:
			messages[k] = d.log.Runs
		default:
			has.lacked = append(has.lacked, k)
		}
	}
	return &fileContents{snapshot: rtnl.NewSnapshot(false, messages), notes: r.notes(has, dumps), coverage: has}, nil
}

// appendSourced appends the runs of a dump's messages that no newer dump covers.
func (r *recordingReader) appendSourced(list []object.Run, d *recordedDump) []object.Run {
	for _, run := range d.log.Runs {
		var m object.Message
		b, from, to := run.Bytes(), 0, 0
		for run.Next(&m) {
			next := len(b) - run.Len()
			if r.dumps.source(d.kind, d.kind.Table(&m)) != d {
				if from < to {
					list = append(list, m.RunIn(b[from:to:to]))
				}
				from = next
			}
			to = next
		}
		if from < to {
			list = append(list, m.RunIn(b[from:to:to]))
		}
	}
	return list
}

// nothing says why there is no dump by table.
func (r *recordingReader) nothing() error {
	var wanted, remedies []string
	for _, k := range kindsByTable() {
		if k.Filtered { // as what most recordings are made for
			wanted, remedies = append(wanted, k.Plural), append(remedies, remedy(k))
		}
	}
	open := false
	for _, d := range r.dumps.open {
		open = open || d.kind != nil && byTable(d.kind)
	}
	none := "it is a recording of netlink messages without a whole dump of " + strings.Join(wanted, " or ")
	switch {
	case !r.netlink && r.otherLink != 0:
		return errLinkType(r.otherLink)
	case !r.netlink:
		return &Error{"it holds no netlink messages", makeFirst}
	case open:
		none += ": the last one has no end"
	case r.dumps.broken != "":
		none += ": the last one " + r.dumps.broken
	case r.dumps.filtered:
		none += ": they were asked for with conditions"
	}
	return &Error{none, strings.Join(append(remedies, makeFirst), ", or ")}
}

// notes says what the recording is, and what it lacks.
func (r *recordingReader) notes(has *coverage, dumps []*recordedDump) []string {
	first, last := dumps[0], dumps[len(dumps)-1]
	unsure := false
	var refs object.References
	for _, d := range dumps {
		unsure = unsure || !d.scope.known
		refs.Union(&d.refs)
	}
	at := time.Unix(last.time, 0).UTC().Format("2006-01-02 15:04:05 MST")
	var what []string
	for _, k := range kindsByTable() {
		if k.Filtered || has.any(k) {
			what = append(what, has.of(k))
		}
	}
	for _, k := range has.lacked {
		// A kind that has a first object always has objects.
		if k.First != nil || len(refs.Of(k)) > 0 {
			what = append(what, lacked(k))
		}
	}
	notes := []string{fmt.Sprintf("it is a recording of netlink messages, as of %s: %s", at, strings.Join(what, ", ")),
		readersNames}
	if unsure {
		notes = append(notes, "it holds no requests: whether its dumps have all that there was is not known")
	}
	if r.changes > first.changes {
		notes = append(notes, "it holds changes after that, which are not applied")
	}
	if r.in.short {
		notes = append(notes, fmt.Sprintf("it is cut short after %d bytes: what came later is not in it", r.in.off))
	}
	return notes
}
