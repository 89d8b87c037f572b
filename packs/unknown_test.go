package packs

import (
	"context"
	"testing"

	"kernelroutes/rtnl"
)

// sysctlsHidden is the kernel where /proc/sys cannot be read.
type sysctlsHidden struct{ *rtnl.Kernel }

func (k sysctlsHidden) Read(ctx context.Context, req rtnl.Request) (*rtnl.Snapshot, error) {
	s, err := k.Kernel.Read(ctx, req)
	if err == nil {
		s.Sysctls = nil
	}
	return s, err
}

// TestSettingsUnknown: a host of which it is not known what holds does not pass. Where RTNetlink tells of all that
// it takes, as of forwarding, rp_filter and accept_ra, nothing is unknown.
func TestSettingsUnknown(t *testing.T) {
	unknown := map[string][]map[string]any{
		"icmp_redirects_accepted":   {{"family": "ipv4", "dev": "all", "effective_accept_redirects": "unknown"}},
		"secure_redirects_accepted": {{"family": "ipv4", "dev": "all", "effective_secure_redirects": "unknown"}},
		"redirects_sent":            {{"family": "ipv4", "dev": "all", "effective_send_redirects": "unknown"}},
		"martians_not_logged":       {{"family": "ipv4", "dev": "all", "effective_log_martians": "unknown"}},
		"source_routes_accepted": {
			{"family": "ipv4", "dev": "all", "effective_accept_source_route": "unknown"},
			{"family": "ipv6", "dev": "all", "effective_accept_source_route": "unknown"}},
	}
	buildHost(t, "laptop-networkd")
	for _, c := range policies(t) {
		if c.ofEvents() {
			continue // which are no settings
		}
		passes := make([]map[string]any, 1-min(len(unknown[c.Name]), 1))
		for sql, want := range map[string][]map[string]any{c.SQL(): unknown[c.Name], c.PolicySQL(): passes} {
			if rows, err := queryOf(sysctlsHidden{new(rtnl.Kernel)}, sql, nil); err != nil || !sameRows(rows, want) {
				t.Errorf("%s\nhas the rows %v, want %v: %v", sql, rows, want, err)
			}
		}
	}
}
