package object

import (
	"slices"
	"strings"
	"testing"
)

// The constants of linux/ip.h (from 1) and linux/ipv6.h (from 0) of Linux 6.18, without their
// prefixes, and since when each is there, where that is after 3.2.
const (
	ipv4Devconf = `FORWARDING MC_FORWARDING PROXY_ARP ACCEPT_REDIRECTS SECURE_REDIRECTS SEND_REDIRECTS SHARED_MEDIA
		RP_FILTER ACCEPT_SOURCE_ROUTE BOOTP_RELAY LOG_MARTIANS TAG ARPFILTER MEDIUM_ID NOXFRM NOPOLICY
		FORCE_IGMP_VERSION ARP_ANNOUNCE ARP_IGNORE PROMOTE_SECONDARIES ARP_ACCEPT ARP_NOTIFY ACCEPT_LOCAL SRC_VMARK
		PROXY_ARP_PVLAN ROUTE_LOCALNET=3.6 IGMPV2_UNSOLICITED_REPORT_INTERVAL=3.12
		IGMPV3_UNSOLICITED_REPORT_INTERVAL=3.12 IGNORE_ROUTES_WITH_LINKDOWN=4.2 DROP_UNICAST_IN_L2_MULTICAST=4.6
		DROP_GRATUITOUS_ARP=4.6 BC_FORWARDING=4.19 ARP_EVICT_NOCARRIER=5.16`
	devconf = `FORWARDING HOPLIMIT MTU6 ACCEPT_RA ACCEPT_REDIRECTS AUTOCONF DAD_TRANSMITS RTR_SOLICITS
		RTR_SOLICIT_INTERVAL RTR_SOLICIT_DELAY USE_TEMPADDR TEMP_VALID_LFT TEMP_PREFERED_LFT REGEN_MAX_RETRY
		MAX_DESYNC_FACTOR MAX_ADDRESSES FORCE_MLD_VERSION ACCEPT_RA_DEFRTR ACCEPT_RA_PINFO ACCEPT_RA_RTR_PREF
		RTR_PROBE_INTERVAL ACCEPT_RA_RT_INFO_MAX_PLEN PROXY_NDP OPTIMISTIC_DAD ACCEPT_SOURCE_ROUTE MC_FORWARDING
		DISABLE_IPV6 ACCEPT_DAD FORCE_TLLAO NDISC_NOTIFY=3.8 MLDV1_UNSOLICITED_REPORT_INTERVAL=3.12
		MLDV2_UNSOLICITED_REPORT_INTERVAL=3.12 SUPPRESS_FRAG_NDISC=3.12 ACCEPT_RA_FROM_LOCAL=3.17 USE_OPTIMISTIC=3.19
		ACCEPT_RA_MTU=4.0 STABLE_SECRET=4.1 USE_OIF_ADDRS_ONLY=4.3 ACCEPT_RA_MIN_HOP_LIMIT=4.3
		IGNORE_ROUTES_WITH_LINKDOWN=4.3 DROP_UNICAST_IN_L2_MULTICAST=4.6 DROP_UNSOLICITED_NA=4.6 KEEP_ADDR_ON_DOWN=4.6
		RTR_SOLICIT_MAX_INTERVAL=4.9 SEG6_ENABLED=4.10 SEG6_REQUIRE_HMAC=4.10 ENHANCED_DAD=4.10 ADDR_GEN_MODE=4.11
		DISABLE_POLICY=4.12 ACCEPT_RA_RT_INFO_MIN_PLEN=4.12 NDISC_TCLASS=4.15 RPL_SEG_ENABLED=5.7
		RA_DEFRTR_METRIC=5.12 IOAM6_ENABLED=5.15 IOAM6_ID=5.15 IOAM6_ID_WIDE=5.15 NDISC_EVICT_NOCARRIER=5.16
		ACCEPT_UNTRACKED_NA=5.19 ACCEPT_RA_MIN_LFT=6.6 FORCE_FORWARDING=6.17`
)

// TestSettingsAreTheKernels compares numbers, names and versions with the kernel's own. Not shown is
// stable_secret, which the kernel does not send.
func TestSettingsAreTheKernels(t *testing.T) {
	for _, test := range []struct {
		family         Family
		prefix, kernel string
		not            []string
	}{{IPv4, "IPV4_DEVCONF_", ipv4Devconf, nil}, {IPv6, "DEVCONF_", devconf, []string{"STABLE_SECRET"}}} {
		shown := map[int]*Setting{}
		for i := range Settings {
			if s := &Settings[i]; s.Has(test.family) {
				shown[s.place(test.family).number] = s
			}
		}
		for n, constant := range strings.Fields(test.kernel) {
			name, since, _ := strings.Cut(constant, "=")
			s := shown[n]
			switch {
			case slices.Contains(test.not, name):
				if s != nil {
					t.Errorf("%s is shown as %s", name, s.Name)
				}
			case s == nil:
				t.Errorf("%s%s is not shown", test.prefix, name)
			case s.Constant(test.family) != test.prefix+name || s.Since(test.family) != since:
				t.Errorf("%s is %s, since %q; it is %s%s, since %q", s.Name, s.Constant(test.family),
					s.Since(test.family), test.prefix, name, since)
			}
			delete(shown, n)
		}
		for n, s := range shown {
			t.Errorf("%s has the number %d, which %s has not", s.Name, n, test.family)
		}
	}
}

// TestAttributeSince compares versions with those of the kernel's headers as iproute2 had them with
// each release. All other attributes are older.
func TestAttributeSince(t *testing.T) {
	newer := map[string]string{
		"RTA_MFC_STATS": "3.8", "RTA_VIA": "4.1", "RTA_NEWDST": "4.1", "RTA_PREF": "4.1", "RTA_ENCAP_TYPE": "4.3",
		"RTA_ENCAP": "4.3", "RTA_EXPIRES": "4.5", "RTA_UID": "4.10", "RTA_TTL_PROPAGATE": "4.12",
		"RTA_IP_PROTO": "4.18", "RTA_SPORT": "4.18", "RTA_DPORT": "4.18", "RTA_NH_ID": "5.3", "RTA_FLOWLABEL": "6.14",
		"RTA_DEL_REASON":       "7.3",
		"FRA_SUPPRESS_IFGROUP": "3.12", "FRA_SUPPRESS_PREFIXLEN": "3.12", "FRA_TUN_ID": "4.3", "FRA_L3MDEV": "4.8",
		"FRA_UID_RANGE": "4.10", "FRA_PROTOCOL": "4.17", "FRA_IP_PROTO": "4.17", "FRA_SPORT_RANGE": "4.17",
		"FRA_DPORT_RANGE": "4.17", "FRA_DSCP": "6.12", "FRA_FLOWLABEL": "6.14", "FRA_FLOWLABEL_MASK": "6.14",
		"FRA_SPORT_MASK": "6.15", "FRA_DPORT_MASK": "6.15", "FRA_DSCP_MASK": "6.15",
		"NHA_FDB": "5.8", "NHA_RES_GROUP": "5.13", "NHA_OP_FLAGS": "6.9", "NHA_GROUP_STATS": "6.9",
		"NHA_HW_STATS_ENABLE": "6.9", "NHA_HW_STATS_USED": "6.9",
		"IFLA_VRF_TABLE": "4.3", "IFLA_INET6_TOKEN": "3.10", "IFLA_INET6_RA_MTU": "5.15", "SEG6_LOCAL_COUNTERS": "5.13",
	}
	if len(attributeSince) < 60 {
		t.Errorf("%d attributes are known", len(attributeSince))
	}
	for name, since := range attributeSince {
		want := newer[name]
		switch {
		case want != "":
		case strings.HasPrefix(name, "NHA_RES_GROUP_"):
			want = "5.13"
		case strings.HasPrefix(name, "NHA_"):
			want = "5.3"
		}
		if since != want && !strings.HasSuffix(name, "_PAD") { // padding is no value
			t.Errorf("%s: since %q, want %q", name, since, want)
		}
	}
	for name := range newer {
		if _, known := AttributeSince(name); !known {
			t.Errorf("%s is not known", name)
		}
	}
	if _, known := AttributeSince("RTA_NONE"); known {
		t.Error("RTA_NONE is known")
	}
	for _, m := range RouteMetrics {
		want := map[string]string{"RTAX_QUICKACK": "3.11", "RTAX_CC_ALGO": "4.0", "RTAX_FASTOPEN_NO_COOKIE": "4.15"}
		if m.Since != want[m.Constant()] {
			t.Errorf("%s: since %q", m.Constant(), m.Since)
		}
	}
}

// TestNewAttributesSaySince sees that nothing which came after Linux 3.2 is taken for older: numbers only
// grow, and these were the last of that time. (Those of rules had gaps, 12 to 14, that were filled later.)
func TestNewAttributesSaySince(t *testing.T) {
	check := func(name string, number, last uint16, since string) {
		if number > last && since == "" {
			t.Errorf("%s (%d) came after number %d, the last of Linux 3.2, "+
				"but does not say since which Linux it is there", name, number, last)
		}
	}
	for last, list := range map[uint16][]Attribute{
		16: routeFields.list, // RTA_MARK
		17: ruleFields.list,  // FRA_OIFNAME
		0:  append(slices.Clone(nexthopObjectFields.list), resilientFields.list...),
	} {
		for _, a := range list {
			if !strings.HasSuffix(a.Name, "_PAD") {
				check(a.Name, a.Number, last, a.Since)
			}
		}
	}
	for _, m := range RouteMetrics {
		check(m.Constant(), uint16(m.Number), 14, m.Since) // RTAX_INITRWND
	}
}
