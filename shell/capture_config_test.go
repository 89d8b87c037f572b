package shell

import (
	"os"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
)

// interfaceConfig sets all settings of IPv4 that are not 0 in a namespace that just began,
// which differ from host to host, and some others.
func interfaceConfig(t testing.TB) {
	for _, conf := range []string{"lo", "v0", "v0p", "v1", "v1p", "default", "all"} {
		for name, value := range map[string]string{"rp_filter": "0", "accept_redirects": "1",
			"accept_source_route": "0",
			"secure_redirects":    "1", "send_redirects": "1", "shared_media": "1", "promote_secondaries": "0"} {
			nstest.Sysctl(t, "net.ipv4.conf."+conf+"."+name, value)
		}
	}
	for name, value := range map[string]string{
		"net.ipv4.conf.all.rp_filter": "2", "net.ipv4.conf.v0.rp_filter": "1", "net.ipv4.conf.v0.forwarding": "1",
		"net.ipv4.conf.all.accept_redirects": "0", "net.ipv4.conf.all.accept_source_route": "1",
		"net.ipv4.conf.v0.accept_source_route": "1", "net.ipv4.conf.v1.log_martians": "1",
		"net.ipv4.conf.v1.medium_id": "-1", "net.ipv4.conf.v1p.arp_ignore": "2", "net.ipv4.conf.all.arp_announce": "1",
		"net.ipv6.conf.v0.forwarding": "1", "net.ipv6.conf.v0.accept_ra": "2",
		"net.ipv6.conf.lo.keep_addr_on_down":    "1",
		"net.ipv6.conf.all.accept_source_route": "-1", "net.ipv6.conf.v0.router_solicitation_interval": "30",
		"net.ipv6.conf.v0.ra_defrtr_metric": "4294967295", "net.ipv6.conf.default.hop_limit": "55",
		"net.ipv6.conf.v0p.disable_ipv6": "1",
	} {
		if _, err := os.Stat("/proc/sys/" + strings.ReplaceAll(name, ".", "/")); err == nil {
			nstest.Sysctl(t, name, value)
		}
	}
}
