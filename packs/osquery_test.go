//go:build linux

package packs

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"testing"
	"time"

	"kernelroutes/internal/buildtest"
	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

func TestMain(m *testing.M) { nstest.Main(m, buildtest.Remove) }

// An osquery is the extension in the test's namespace, and what asks it as osquery does.
type osquery struct {
	manager *osquerytest.Manager
	ctx     context.Context
	time    map[string]string // the row of its table time
}

// startOsquery starts them; they end with the test.
func startOsquery(t *testing.T) *osquery {
	t.Helper()
	m := osquerytest.Start(t)
	now := map[string]string{"unix_time": fmt.Sprint(time.Now().Unix())}
	m.AddTable("time", []osquerytest.Column{{Name: "unix_time", Type: "INTEGER"}}, now)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.Command(buildtest.Program(t), "--socket", m.Socket(), "--timeout", "3", "--interval", "1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if _, err := m.WaitRegistered(ctx); err != nil {
		t.Fatal(err)
	}
	return &osquery{m, ctx, now}
}

// compare asks what was answered without osquery, and returns what it cost.
func (o *osquery) compare(t *testing.T, sql string, want []map[string]string) osquerytest.Cost {
	t.Helper()
	result, err := o.manager.Run(o.ctx, sql)
	if err != nil {
		t.Errorf("%s\nosquery: %v", sql, err)
		return osquerytest.Cost{}
	}
	got, other := texts(result.Rows), texts(want)
	if !slices.Equal(got, other) {
		t.Errorf("%s\nhas in osquery the rows\n%q\nnot\n%q", sql, got, other)
	}
	return result.Cost()
}

// compareCheck is compare for a statement of a check. What the extension has seen happen on a host that is only
// looked at is nothing, or what the kernel does: that only a check which logs all of it may show.
func (o *osquery) compareCheck(t *testing.T, c *Check, sql string, want []map[string]string) osquerytest.Cost {
	t.Helper()
	if !c.ofEvents() || c.Pack.Policy {
		return o.compare(t, sql, want)
	}
	result, err := o.manager.Run(o.ctx, sql)
	if err != nil {
		t.Errorf("%s\nosquery: %v", sql, err)
	}
	for _, r := range result.Rows {
		if r["author_certainty"] != "kernel" {
			t.Errorf("%s\nhas in osquery %v, which nobody did", sql, r)
		}
	}
	return result.Cost()
}

func texts(rows []map[string]string) (all []string) {
	for _, r := range rows {
		all = append(all, fmt.Sprint(r))
	}
	slices.Sort(all)
	return all
}
