package events

import (
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// TestApplyAnything takes in routes, rules and nexthop objects with anything in them, some of them
// again and again.
func TestApplyAnything(t *testing.T) {
	c := nltest.NewChance(1)
	f := &follower{state: newState()}
	var known [][]byte
	for range nstest.Amount(30_000, 3000) {
		var k *object.Kind
		var b []byte
		switch c.IntN(4) {
		case 0:
			k, b = object.Rules.Kind, nltest.AppendRule(nil, c.Rule())
		case 1:
			k, b = object.NexthopObjects.Kind, nltest.AppendNexthop(nil, c.Nexthop())
		default:
			r := c.Route()
			k, b = object.Routes.Kind, nltest.AppendRoute(nil, r)
		}
		msg := nltest.Padded(k.New, 0, 0, b)
		if len(known) > 20 && c.IntN(3) > 0 {
			msg = known[c.IntN(len(known))]
		} else if known = append(known, msg); len(known) > 200 {
			known = known[100:]
		}
		flags := []uint16{0, wire.NLM_F_REPLACE, wire.NLM_F_APPEND}[c.IntN(3)]
		msg = nltest.With(msg, 6, byte(flags), 7, byte(flags>>8))
		if !nltest.LittleEndian {
			msg = nltest.With(msg, 6, byte(flags>>8), 7, byte(flags))
		}
		var m object.Message
		kind, ok := checked(&m, msg)
		if !ok {
			continue
		}
		gone := c.IntN(3) == 0
		change := f.state.apply(&m, gone)
		f.state.routes.compact()
		e := &Event{Action: change.action, Kind: kind, Object: change.object, Old: change.old, Twin: change.twin,
			OldTwin: change.oldTwin, Referred: f.state.referred(change.object, change.old)}
		if e.Snapshot() == nil || e.OldSnapshot() == nil || e.Object.Len() == 0 || e.Twin < 0 && !change.doubt {
			t.Fatalf("%x comes to %s", msg, textOf(e))
		}
	}
	f.check(t)
}
