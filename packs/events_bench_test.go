package packs

import (
	"fmt"
	"testing"

	"kernelroutes/rtnl/events"
	"kernelroutes/rtnl/object"
)

// BenchmarkEventChecks runs the checks of what has happened where as many events are held as there is room for, all of
// known programs: some of them new, or all.
func BenchmarkEventChecks(b *testing.B) {
	for _, p := range loadPacks(b) {
		for _, c := range p.Checks {
			if !c.ofEvents() {
				continue
			}
			for _, of := range [][2]int{{20, 20}, {20, events.MaxRows}, {5000, events.MaxRows},
				{events.MaxRows, events.MaxRows}} {
				recent, held := of[0], of[1]
				b.Run(fmt.Sprintf("%s/%d of %d", c.Name, recent, held), func(b *testing.B) {
					src := eventsOf(b, usualEvents)
					usual := src.All
					src.All = nil
					for i := range held {
						e := *usual[i%len(usual)]
						e.Seq = uint64(i + 1)
						if i < held-recent { // an hour ago there were no default routes among them
							e.Object, e.Old = usual[1].Object, object.Run{}
							e.Time -= 3600e9
						}
						src.All = append(src.All, &e)
					}
					for b.Loop() {
						if _, err := queryOf(src, c.SQL(), nil); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
