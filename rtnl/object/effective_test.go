package object_test

import (
	"testing"

	. "kernelroutes/rtnl/object"
)

// A pair is what the kernel's macros work with: the interface's settings (in_dev, idev->cnf) and
// those of all (devconf_all).
type pair struct{ dev, all map[string]int64 }

func (p pair) or(name string) bool  { return p.dev[name] != 0 || p.all[name] != 0 }
func (p pair) and(name string) bool { return p.dev[name] != 0 && p.all[name] != 0 }

func number(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

// rules are the kernel's, as its source has them: include/linux/inetdevice.h of Linux 6.18 for
// IPv4, for IPv6 the functions that are named.
func rules(f Family) map[string]func(p pair) int64 {
	rules := map[string]func(p pair) int64{}
	each := func(rule func(p pair, name string) int64, names ...string) {
		for _, name := range names {
			rules[name] = func(p pair) int64 { return rule(p, name) }
		}
	}
	or := func(p pair, name string) int64 { return number(p.or(name)) }
	and := func(p pair, name string) int64 { return number(p.and(name)) }
	higher := func(p pair, name string) int64 { return max(p.dev[name], p.all[name]) }
	lower := func(p pair, name string) int64 { return min(p.dev[name], p.all[name]) }
	own := func(p pair, name string) int64 { return number(p.dev[name] != 0) }
	if f == IPv4 {
		each(own, "forwarding")                                                           // IN_DEV_CONF_GET
		each(and, "mc_forwarding", "bc_forwarding", "accept_source_route", "bootp_relay", // IN_DEV_ANDCONF
			"arp_evict_nocarrier")
		each(higher, "rp_filter", "arp_announce", "arp_ignore", "arp_notify", "arp_accept") // IN_DEV_MAXCONF
		each(or, "src_valid_mark", "accept_local", "log_martians", "proxy_arp", "proxy_arp_pvlan", "shared_media",
			"send_redirects", "secure_redirects", "promote_secondaries", "route_localnet", // IN_DEV_ORCONF
			"ignore_routes_with_linkdown", "arp_filter", "disable_xfrm", "disable_policy", "drop_gratuitous_arp",
			"drop_unicast_in_l2_multicast")
		rules["accept_redirects"] = func(p pair) int64 { // IN_DEV_RX_REDIRECTS
			forward := p.dev["forwarding"] != 0
			return number(forward && p.and("accept_redirects") || !forward && p.or("accept_redirects"))
		}
		rules["force_igmp_version"] = func(p pair) int64 { // IGMP_V1_SEEN is asked first
			for v := range int64(2) {
				if p.dev["force_igmp_version"] == v+1 || p.all["force_igmp_version"] == v+1 {
					return v + 1
				}
			}
			return 0
		}
		return rules
	}
	each(own, "drop_unicast_in_l2_multicast", "ignore_routes_with_linkdown") // ip6_rcv_core, ip6_ignore_linkdown
	each(and, "mc_forwarding", "ndisc_evict_nocarrier")                      // ip6_mc_input, ndisc_netdev_event
	each(lower, "accept_source_route", "seg6_enabled", "rpl_seg_enabled")    // exthdrs.c
	each(higher, "accept_dad")                                               // addrconf_dad_begin
	each(or, "disable_policy", "enhanced_dad", "optimistic_dad", "proxy_ndp", "ndisc_notify")
	rules["use_optimistic"] = func(p pair) int64 { // ipv6_use_optimistic_addr
		return number(p.or("optimistic_dad") && p.or("use_optimistic"))
	}
	rules["forwarding"] = func(p pair) int64 { // ip6_forward
		return number(!(p.all["forwarding"] == 0 && p.dev["force_forwarding"] == 0))
	}
	rules["accept_redirects"] = func(p pair) int64 { // rt6_do_redirect
		return number(!(p.dev["forwarding"] != 0 || p.dev["accept_redirects"] == 0))
	}
	rules["accept_ra"] = func(p pair) int64 { // ipv6_accept_ra
		if p.dev["forwarding"] != 0 {
			return number(p.dev["accept_ra"] == 2)
		}
		return number(p.dev["accept_ra"] != 0)
	}
	rules["force_mld_version"] = func(p pair) int64 { // mld_force_mld_version
		if p.all["force_mld_version"] != 0 {
			return p.all["force_mld_version"]
		}
		return p.dev["force_mld_version"]
	}
	rules["keep_addr_on_down"] = func(p pair) int64 { // addrconf_ifdown
		keep := p.all["keep_addr_on_down"]
		if keep == 0 {
			keep = p.dev["keep_addr_on_down"]
		}
		return number(keep > 0)
	}
	return rules
}

// TestEffective works out what holds in every way that two values may meet, as the kernel's
// source does it, and beside each interface that forwards and not.
func TestEffective(t *testing.T) {
	conf := func(f Family, values map[string]int64) *Conf {
		return ConfOf(f, func(s *Setting) (int64, bool) { v, ok := values[s.Name]; return v, ok })
	}
	for _, f := range []Family{IPv4, IPv6} {
		rules := rules(f)
		for i := range Settings {
			s := &Settings[i]
			rule := rules[s.Name]
			if rule == nil && s.Has(f) {
				rule = func(p pair) int64 { return p.dev[s.Name] }
			}
			for n := range 5 * 5 * 2 * 2 {
				one, other := int64(n/25%2), int64(n/50)
				p := pair{map[string]int64{"forwarding": one, "force_forwarding": other, "optimistic_dad": one},
					map[string]int64{"forwarding": other, "optimistic_dad": other}}
				p.dev[s.Name], p.all[s.Name] = int64(n%5-1), int64(n/5%5-1)
				got, ok := conf(f, p.dev).Effective(s, conf(f, p.all))
				switch {
				case rule == nil:
					if ok {
						t.Errorf("%s has %s, %d", f, s.Name, got)
					}
				case !ok || got != rule(p):
					t.Errorf("%s of %s with %v is %d, %v, want %d", s.Name, f, p, got, ok, rule(p))
				}
			}
			delete(rules, s.Name)
		}
		for name := range rules {
			t.Errorf("there is no setting %s of %s", name, f)
		}
	}
}

// TestEffectiveUnknown: what takes the settings of all is not known without them, and what does
// not is.
func TestEffectiveUnknown(t *testing.T) {
	dev := func(f Family) *Conf { return ConfOf(f, func(*Setting) (int64, bool) { return 1, true }) }
	for _, tc := range []struct {
		f     Family
		name  string
		known bool
	}{
		{IPv4, "rp_filter", false}, {IPv4, "log_martians", false}, {IPv4, "accept_redirects", false},
		{IPv4, "forwarding", true}, {IPv4, "tag", true}, {IPv6, "forwarding", false}, {IPv6, "accept_ra", true},
		{IPv6, "accept_redirects", true}, {IPv6, "accept_source_route", false}, {IPv6, "rp_filter", false},
	} {
		none := ConfOf(tc.f, func(*Setting) (int64, bool) { return 0, false })
		for _, all := range []*Conf{none, {}} {
			if _, ok := dev(tc.f).Effective(setting(t, tc.name), all); ok != tc.known {
				t.Errorf("%s of %s: %v", tc.name, tc.f, ok)
			}
		}
	}
}
