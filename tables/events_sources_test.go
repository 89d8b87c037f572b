package tables_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/events"
	"kernelroutes/tables"
)

// TestNoEvents: other sources say where events are.
func TestNoEvents(t *testing.T) {
	for _, src := range []tables.Source{&rtnl.Kernel{}, &rtnl.Cache{}} {
		_, err := scanErr(tables.Events, src)
		if !errors.Is(err, tables.ErrNoEvents) || !strings.HasPrefix(fmt.Sprint(err), "kernel_route_events: ") ||
			!strings.Contains(err.Error(), "monitor") {
			t.Errorf("%T: %v", src, err)
		}
	}
	_, err := scanErr(tables.Events, openCapture(t, "ecmp"))
	if !strings.HasPrefix(fmt.Sprint(err), "kernel_route_events: ") ||
		!strings.Contains(err.Error(), "--follow SECONDS") {
		t.Errorf("a capture without events: %v", err)
	}
	failing := failingEvents{&rtnl.Kernel{}}
	if _, err := scanErr(tables.Events, failing); !errors.Is(err, errEventsOff) {
		t.Errorf("%v", err)
	}
}

var errEventsOff = errors.New("events are off")

type failingEvents struct{ tables.Source }

func (failingEvents) Events(context.Context, uint64) ([]*events.Event, error) {
	return nil, errEventsOff
}
