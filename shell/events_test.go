package shell

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/eventtest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/events"
	"kernelroutes/tables"
)

// askEvents runs SQL where there are events.
func askEvents(t *testing.T, src tables.Source, sql string) (out string, warned []string) {
	t.Helper()
	var b bytes.Buffer
	err := Query(t.Context(), &b, src, sql, Options{Format: List, Warn: func(s string) { warned = append(warned, s) }})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return b.String(), warned
}

// TestEventExamples runs the examples of kernel_route_events, which need a source that has listened: each
// has a row.
func TestEventExamples(t *testing.T) {
	src := &eventtest.Source{Source: &rtnl.Kernel{}, All: eventtest.Sample(time.Now())}
	for _, e := range tables.Events.Examples {
		out, warned := askEvents(t, src, e.SQL)
		if strings.Count(out, "\n") < 2 || warned != nil {
			t.Errorf("%s: %q\n%s", e.SQL, warned, out)
		}
	}
	out, _ := askEvents(t, src, tables.Events.Examples[1].SQL)
	const want = "dst|gateway|dev|milliseconds|author|action|process_name\n" +
		"198.51.100.0/24||eth1|10|calico-node|deleted|\n"
	if out != want {
		t.Errorf("lived shorter than a minute:\n%s", out)
	}
}

// A growing source has one event more each time it is asked.
type growing struct{ eventtest.Source }

func (g *growing) Events(ctx context.Context, after uint64) ([]*events.Event, error) {
	all, err := g.Source.Events(ctx, after)
	e := *g.All[0]
	e.Seq = uint64(len(g.All) + 1)
	g.All = append(g.All, &e)
	return all, err
}

// TestEventsAreOfOneInstant: a statement sees the same events, however often it asks.
func TestEventsAreOfOneInstant(t *testing.T) {
	later := &growing{eventtest.Source{Source: &rtnl.Kernel{}, All: eventtest.Sample(time.Now())}}
	for range 3 {
		out, _ := askEvents(t, later, "SELECT a.n = b.n, c.n FROM (SELECT count(*) AS n FROM kernel_route_events) a, "+
			"(SELECT count(*) AS n FROM kernel_route_events) b, "+
			"(SELECT count(*) AS n FROM kernel_route_events WHERE seq > 10) c")
		if _, row, _ := strings.Cut(out, "\n"); !strings.HasPrefix(row, "1|") || row == "1|0\n" {
			t.Errorf("%s", out)
		}
	}
	out, _ := askEvents(t, later, "SELECT count(*), min(seq) FROM kernel_route_events WHERE seq > 10 AND seq <= 12")
	if !strings.HasSuffix(out, "\n2|11\n") {
		t.Errorf("%s", out)
	}
}
