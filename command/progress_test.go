package command

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell"
	"kernelroutes/shell/diff"
	"kernelroutes/shell/show"
	"kernelroutes/tables"
)

func TestProgressText(t *testing.T) {
	now := time.Now()
	since := now.Add(-2 * time.Second)
	ipv4 := rtnl.FamilyReading{Family: object.IPv4, Read: 412_000, Expected: 1_000_000}
	ipv6 := rtnl.FamilyReading{Family: object.IPv6, Read: 1000}
	fewer := rtnl.FamilyReading{Family: object.IPv4, Read: 999, Expected: 998}
	of := func(what string, families ...rtnl.FamilyReading) rtnl.Reading {
		return rtnl.Reading{Since: since, What: what, Families: families}
	}
	again := of("dump IPv6 routes", ipv6)
	again.Again = true
	for want, r := range map[string]rtnl.Reading{
		"reading IPv4 routes: 412,000 of about 1,000,000, 206,000/s":      of("dump routes", ipv4),
		"reading IPv4 and IPv6 routes: 413,000, 206,500/s":                of("dump routes", ipv4, ipv6),
		"reading IPv6 routes: 1,000 (again, as some have changed), 500/s": again,
		// The kernel had fewer when it counted them.
		"reading IPv4 routes: 999, 499/s": of("dump routes", fewer),
		"reading routes":                  of("dump routes"),
		"reading links":                   of("look up links", ipv4),
		"reading nexthop objects":         of("dump nexthop objects"),
	} {
		if got := readingText(r, now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	var p progress
	expect := func(want string) {
		t.Helper()
		if got := p.text(since, now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	expect("at work for 2.0 s")
	p.sql.Rows.Store(1_234_567)
	expect("1,234,567 rows, 617,283/s")
	in := p.file(strings.NewReader(strings.Repeat("x", 5000)), "routes.pcap")
	if n, _ := in.Read(make([]byte, 4096)); n != 4096 {
		t.Error(n)
	}
	expect("reading routes.pcap: 4 KiB, 2 KiB/s")
	p.file(nil, "")
	expect("1,234,567 rows, 617,283/s")
	p.sql.Rows.Store(0)
	p.stage.Begin("comparing routes", "", 7)
	expect("comparing routes")
	if rate(5, 0) != 5000 {
		t.Error(rate(5, 0))
	}
}

// TestProgressOf: of how many rows is said where a statement goes through one table once, and the kernel has been
// read for it.
func TestProgressOf(t *testing.T) {
	fixedNamespace(t)
	const sql = "SELECT unknown_attrs FROM kernel_routes"
	p := new(progress)
	p.sql.Begin = p.begin
	src := &commandSource{rtnl.Cache{Kernel: rtnl.Kernel{Progress: &p.reading}}}
	after := func(src tables.Source, sql string) string {
		t.Helper()
		if err := shell.Query(t.Context(), io.Discard, src, sql, shell.Options{Progress: &p.sql}); err != nil {
			t.Fatal(err)
		}
		p.sql.Rows.Store(2) // so many have been gone through when somebody looks
		text, _, _ := strings.Cut(p.text(time.Now(), time.Now()), ",")
		return text
	}
	if got := after(src, sql); !regexp.MustCompile(`^2 rows of \d+ routes$`).MatchString(got) {
		t.Errorf("%q", got)
	}
	capture, err := openSource(t.Context(), promptCapture, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{
		after(src, "SELECT r.* FROM kernel_routes r JOIN kernel_route_nexthops USING (route_id)"),
		after(src, sql+"; SELECT 1"),
		after(src, sql+"; .help"),
		after(capture, sql), // after one of the kernel
	} {
		if got != "2 rows" {
			t.Errorf("%q", got)
		}
	}
}

// TestProgressCounts: in the end show and diff have told of all routes that they have gone through.
func TestProgressCounts(t *testing.T) {
	const file = promptCapture
	c, said, err := openCapture(t.Context(), file, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	const count = "SELECT count(*) FROM kernel_routes WHERE table_name = 'main' AND family = 'ipv4'"
	n := strings.TrimSpace(run(t, "", "query", "--from", file, "--csv", "--header=false", count))
	var p progress
	text := func() string {
		return regexp.MustCompile(`, [\d,]+/s`).ReplaceAllString(p.text(time.Now(), time.Now()), "")
	}
	silent := func(string) {}
	if err := show.Write(t.Context(), io.Discard, c, show.Options{Family: object.IPv4, Table: "main", Warn: silent,
		Progress: &p.stage}); err != nil {
		t.Fatal(err)
	}
	if got, want := text(), fmt.Sprintf("going through the routes: %s of %[1]s, in table main", n); got != want {
		t.Errorf("show: %q, want %q", got, want)
	}
	state := stateOf(c, said)
	if err := diff.Print(t.Context(), io.Discard, state, state, diff.Options{Family: object.IPv4, Table: "main",
		Warn: silent, Progress: &p.stage}); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("comparing kernel_routes: %s of %[1]s, in capture %s", n, said)
	if got := text(); got != want {
		t.Errorf("diff: %q, want %q", got, want)
	}
}
