package capture

import (
	"slices"

	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A dumpKey tells one dump from others that run at the same time.
type dumpKey struct{ port, seq uint32 }

// recordedRequests are the requests of a recording: only so the answers are told apart.
//
// A request is known by port and sequence number, but most programs leave the port
// to the kernel.
type recordedRequests struct {
	open  []recordedRequest // that were not answered yet
	asked bool              // there was one for a dump
}

// maxOpenRequests is how many are kept.
const maxOpenRequests = 1024

// A recordedRequest is a request for a dump, or for one object.
type recordedRequest struct {
	dumpKey        // port is 0 if the program left it to the kernel
	typ     uint16 // of the answers: RTM_NEWROUTE, ...
	dump    bool
	scope   dumpScope
}

// A dumpScope is what a dump was asked for.
type dumpScope struct {
	known bool
	object.DumpRequest
	other bool // conditions beyond family, table and protocol
}

// answersOf returns the kind whose objects come when messages of a type ask for them;
// nil: none that is known.
func answersOf(typ uint16) *object.Kind {
	for _, k := range object.Kinds {
		if k.Get == typ {
			return k
		}
	}
	return nil
}

// rtmGet is what RTM_GETROUTE and its like are more than RTM_NEWROUTE and its like.
const rtmGet = 2

// add notes a request for objects.
func (r *recordedRequests) add(typ, flags uint16, key dumpKey, payload []byte) {
	if typ < object.RTM_BASE || typ%4 != rtmGet {
		return
	}
	req := recordedRequest{dumpKey: key, typ: typ - rtmGet, dump: flags&wire.NLM_F_DUMP == wire.NLM_F_DUMP}
	r.asked = r.asked || req.dump
	if k := answersOf(typ); k != nil {
		req.scope.known = true
		req.scope.DumpRequest, req.scope.other = k.Asked(payload)
	}
	if len(r.open) == maxOpenRequests {
		r.open = slices.Delete(r.open, 0, 1)
	}
	r.open = append(r.open, req)
}

// scope returns what a dump was asked for. Several programs may have used the same
// sequence number without a port; unless they asked for the same, nothing is known to be
// whole, as if there were conditions.
func (r *recordedRequests) scope(key dumpKey, typ uint16) (s dumpScope) {
	for _, req := range r.open {
		if !req.dump || req.typ != typ || !req.answers(key) {
			continue
		}
		if s.known && s != req.scope {
			return dumpScope{known: true, other: true}
		}
		s = req.scope
	}
	return s
}

// answers reports whether what has a key may be an answer to the request.
func (q *recordedRequest) answers(key dumpKey) bool {
	return q.seq == key.seq && (q.port == key.port || q.port == 0)
}

// answered forgets the request that was answered, and reports whether there is one.
func (r *recordedRequests) answered(key dumpKey, typ uint16, dump bool) bool {
	i := slices.IndexFunc(r.open, func(q recordedRequest) bool {
		return q.typ == typ && q.dump == dump && q.answers(key)
	})
	if i >= 0 {
		r.open = slices.Delete(r.open, i, i+1)
	}
	return i >= 0
}

// dumpOf returns the request for a dump that has ended without a message. Where it may
// have been one of several there is none.
func (r *recordedRequests) dumpOf(key dumpKey) (req recordedRequest, ok bool) {
	for _, q := range r.open {
		if q.dump && q.answers(key) {
			if ok {
				return recordedRequest{}, false
			}
			req, ok = q, true
		}
	}
	return req, ok
}
