package command

import (
	"strings"
	"testing"
	"time"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
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
	p.rows.Store(1_234_567)
	expect("1,234,567 rows, 617,283/s")
	in := p.file(strings.NewReader(strings.Repeat("x", 5000)), "routes.pcap")
	if n, _ := in.Read(make([]byte, 4096)); n != 4096 {
		t.Error(n)
	}
	expect("reading routes.pcap: 4 KiB, 2 KiB/s")
	p.file(nil, "")
	expect("1,234,567 rows, 617,283/s")
	if rate(5, 0) != 5000 {
		t.Error(rate(5, 0))
	}
}
