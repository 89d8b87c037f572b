package object

// Settings are the settings of interfaces, in the order in which they are shown. A line has
// the name, where IPv4 and IPv6 have the setting and since which Linux, how the kernel works out
// what holds, and what the values mean; above it is what works that out, where it takes more than the
// interface's own. The numbers are IPV4_DEVCONF_* of linux/ip.h and DEVCONF_* of
// linux/ipv6.h; include/linux/inetdevice.h has the macros.
var Settings = []Setting{
	// Forwarding. IN_DEV_FORWARD asks the interface alone; to set all, or net.ipv4.ip_forward,
	// sets every interface's. ip6_forward.
	{Name: "forwarding", v4: v4(1).by(itself), v6: v6(0).by(forwards6),
		Doc: "1: packets that come in are forwarded; for ipv6, where all alone decides, the interface acts as a " +
			"router"},
	// ip6_forward
	{Name: "force_forwarding", v6: v6(59).since("6.17"),
		Doc: "1: packets that come in are forwarded even if all does not forward"},
	// IN_DEV_MFORWARD. ip6_mc_input asks all, ip6_mr_input for the interface.
	{Name: "mc_forwarding", v4: v4(2).by(anded), v6: v6(25).by(anded),
		Doc: "Whether multicast is routed, which a daemon sets"},
	// IN_DEV_BFORWARD
	{Name: "bc_forwarding", v4: v4(32).since("4.19").by(anded),
		Doc: "1: packets to a subnet's broadcast address are forwarded"},

	// What is accepted. IN_DEV_RPFILTER
	{Name: "rp_filter", v4: v4(8).by(highest),
		Doc: "Whether a source must be reachable: 0 need not, 1 through this interface, 2 through any (RFC 3704)"},
	// IN_DEV_RX_REDIRECTS, rt6_do_redirect
	{Name: "accept_redirects", v4: v4(4).by(redirects4), v6: v6(4).by(redirects6),
		Doc: "1: ICMP redirects are accepted"},
	// IN_DEV_SEC_REDIRECTS
	{Name: "secure_redirects", v4: v4(5).by(ored),
		Doc: "1: ICMP redirects are accepted only to gateways of the default routes; means nothing with shared_media"},
	// IN_DEV_SHARED_MEDIA
	{Name: "shared_media", v4: v4(7).by(ored), Doc: "1: ICMP redirects may be to gateways of other subnets"},
	// IN_DEV_TX_REDIRECTS
	{Name: "send_redirects", v4: v4(6).by(ored), Doc: "1: ICMP redirects are sent where packets are forwarded"},
	// IN_DEV_SOURCE_ROUTE; ipv6_rthdr_rcv
	{Name: "accept_source_route", v4: v4(9).by(anded), v6: v6(24).by(lowest),
		Doc: "Source-routed packets: 0 dropped, 1 accepted; ipv6: routing header type 2 is accepted from 0 on, by " +
			"kernels built for Mobile IPv6"},
	// IN_DEV_ACCEPT_LOCAL
	{Name: "accept_local", v4: v4(23).by(ored), Doc: "1: packets with a local source address are accepted"},
	// IN_DEV_ROUTE_LOCALNET
	{Name: "route_localnet", v4: v4(26).since("3.6").by(ored),
		Doc: "1: 127.0.0.0/8 is no martian address, and is routed"},
	// IN_DEV_SRC_VMARK
	{Name: "src_valid_mark", v4: v4(24).constant("SRC_VMARK").by(ored),
		Doc: "1: the check of the source minds the packet's mark"},
	// IN_DEV_LOG_MARTIANS
	{Name: "log_martians", v4: v4(11).by(ored), Doc: "1: packets with impossible addresses are logged"},
	// IN_DEV_BOOTP_RELAY, which nothing uses up to Linux 6.18
	{Name: "bootp_relay", v4: v4(10).by(anded),
		Doc: "1: packets from 0.0.0.0/8 to others are accepted, for a relay; no kernel does so yet"},
	// ip_rcv_finish_core; ip6_rcv_core
	{Name: "drop_unicast_in_l2_multicast", v4: v4(30).since("4.6").by(ored), v6: v6(40).since("4.6").by(itself),
		Doc: "1: unicast packets in link-layer multicast frames are dropped"},
	// ip_rcv_finish_core, __mkroute_input; ip6_forward, addrconf_f6i_alloc
	// (disable_policy, disable_xfrm, proxy_arp_pvlan and IPv4's ignore_routes_with_linkdown: before
	// Linux 5.11 and the stable kernels of its time the interface's own alone)
	{Name: "disable_policy", v4: v4(16).constant("NOPOLICY").by(ored), v6: v6(48).since("4.12").by(ored),
		Doc: "1: no IPsec policy is applied"},
	// __mkroute_output
	{Name: "disable_xfrm", v4: v4(15).constant("NOXFRM").by(ored), Doc: "1: nothing that leaves is encrypted by IPsec"},

	// ARP. IN_DEV_PROXY_ARP, IN_DEV_PROXY_ARP_PVLAN
	{Name: "proxy_arp", v4: v4(3).by(ored),
		Doc: "1: where the interface forwards, ARP requests are answered for addresses that are routed elsewhere"},
	{Name: "proxy_arp_pvlan", v4: v4(25).by(ored), Doc: "1: so are those for addresses behind the same interface"},
	{Name: "medium_id", v4: v4(14), Doc: "Medium of the interface for proxy_arp: 0 its own, -1 no proxy"},
	// IN_DEV_ARPFILTER
	{Name: "arp_filter", v4: v4(13).constant("ARPFILTER").by(ored),
		Doc: "1: ARP requests are answered only through the interface that the answer is routed to"},
	// IN_DEV_ARP_ANNOUNCE
	{Name: "arp_announce", v4: v4(18).by(highest),
		Doc: "Source address of ARP requests: 0 any local one, 1 better of the target's subnet, 2 the best one"},
	// IN_DEV_ARP_IGNORE
	{Name: "arp_ignore", v4: v4(19).by(highest),
		Doc: "ARP requests that are answered: 0 for any local address, 1 for those of the interface, 2 and from its " +
			"subnet, 3 of no scope host, 8 none"},
	// IN_DEV_ARP_ACCEPT (Linux 5.19, before it was on if either was)
	{Name: "arp_accept", v4: v4(21).by(highest),
		Doc: "Gratuitous ARP makes neighbours: 0 never, 1 always, 2 within the interface's subnets"},
	// IN_DEV_ARP_NOTIFY
	{Name: "arp_notify", v4: v4(22).by(highest),
		Doc: "1: gratuitous ARP is sent when the interface comes up or changes"},
	// IN_DEV_ARP_EVICT_NOCARRIER
	{Name: "arp_evict_nocarrier", v4: v4(33).since("5.16").by(anded),
		Doc: "1: neighbours are forgotten with the carrier"},
	// arp_process
	{Name: "drop_gratuitous_arp", v4: v4(31).since("4.6").by(ored), Doc: "1: gratuitous ARP is dropped"},

	// Addresses and routes. IN_DEV_PROMOTE_SECONDARIES
	{Name: "promote_secondaries", v4: v4(20).by(ored),
		Doc: "1: a secondary address takes a deleted primary one's place"},
	// IN_DEV_IGNORE_ROUTES_WITH_LINKDOWN; ip6_ignore_linkdown, where to set all sets every interface's
	{Name: "ignore_routes_with_linkdown", v4: v4(29).since("4.2").by(ored), v6: v6(39).since("4.3").by(itself),
		Doc: "1: nexthops through an interface without carrier are not used"},
	{Name: "tag", v4: v4(12), Doc: "A number for programs' own use"},
	// IGMP_V1_SEEN, IGMP_V2_SEEN; mld_force_mld_version
	{Name: "force_igmp_version", v4: v4(17).by(igmp),
		Doc: "Version of IGMP that is used, 0 and 3 for what routers use"},
	{Name: "igmpv2_unsolicited_report_interval", v4: v4(27).since("3.12"),
		Doc: "Time between IGMPv1 and v2 reports of joining", Unit: "milliseconds"},
	{Name: "igmpv3_unsolicited_report_interval", v4: v4(28).since("3.12"),
		Doc: "Time between IGMPv3 reports of joining", Unit: "milliseconds"},
	{Name: "force_mld_version", v6: v6(16).by(mld), Doc: "Version of MLD that is used, 0 for what routers use"},
	{Name: "mldv1_unsolicited_report_interval", v6: v6(30).since("3.12").as(milliseconds),
		Doc: "Time between MLDv1 reports of joining", Unit: "milliseconds"},
	{Name: "mldv2_unsolicited_report_interval", v6: v6(31).since("3.12").as(milliseconds),
		Doc: "Time between MLDv2 reports of joining", Unit: "milliseconds"},

	// IPv6. To set all's disable_ipv6 sets every interface's.
	{Name: "disable_ipv6", v6: v6(26), Doc: "1: the interface has no IPv6 addresses and drops IPv6 packets"},
	{Name: "hop_limit", v6: v6(1).constant("HOPLIMIT"), Doc: "Hop limit of packets that leave"},
	{Name: "mtu6", v6: v6(2).called("mtu"), Doc: "MTU for IPv6 (file mtu)", Unit: "bytes"},
	{Name: "addr_gen_mode", v6: v6(47).since("4.11"),
		Doc: "How addresses are generated: 0 EUI-64, 1 none, 2 by a stable secret, 3 by a random secret"},
	{Name: "max_addresses", v6: v6(15), Doc: "How many addresses the interface configures itself, 0 for any number"},
	{Name: "use_oif_addrs_only", v6: v6(37).since("4.3"), Doc: "1: source addresses are only those of the interface"},
	// addrconf_ifdown
	{Name: "keep_addr_on_down", v6: v6(42).since("4.6").by(kept),
		Doc: "Static addresses stay when the interface goes down: above 0 yes, 0 no, -1 for all never"},

	// Router advertisements. ipv6_accept_ra
	{Name: "accept_ra", v6: v6(3).by(advertised),
		Doc: "Router advertisements are accepted: 0 no, 1 unless the interface has forwarding, 2 always"},
	{Name: "accept_ra_defrtr", v6: v6(17), Doc: "1: default routers are learnt from router advertisements"},
	{Name: "ra_defrtr_metric", v6: v6(52).since("5.12").as(unsigned), Doc: "Metric of default routes that are learnt"},
	{Name: "accept_ra_from_local", v6: v6(33).since("3.17"),
		Doc: "1: router advertisements from an own address are accepted"},
	{Name: "accept_ra_min_hop_limit", v6: v6(38).since("4.3"),
		Doc: "Hop limits of router advertisements below it are ignored"},
	{Name: "accept_ra_min_lft", v6: v6(58).since("6.6"),
		Doc: "Shorter lifetimes in router advertisements are ignored", Unit: "seconds"},
	{Name: "accept_ra_mtu", v6: v6(35).since("4.0"), Doc: "1: the MTU of router advertisements is taken over"},
	{Name: "accept_ra_pinfo", v6: v6(18), Doc: "1: prefixes are learnt from router advertisements"},
	{Name: "accept_ra_rt_info_min_plen", v6: v6(49).since("4.12"),
		Doc: "Length of the shortest prefix of a learnt route", Unit: "bits"},
	{Name: "accept_ra_rt_info_max_plen", v6: v6(21),
		Doc: "Length of the longest prefix of a learnt route", Unit: "bits"},
	{Name: "accept_ra_rtr_pref", v6: v6(19), Doc: "1: the preference of routers is minded"},
	{Name: "autoconf", v6: v6(5), Doc: "1: addresses are configured from learnt prefixes"},
	{Name: "router_probe_interval", v6: v6(20).constant("RTR_PROBE_INTERVAL").as(seconds),
		Doc: "Least time between probes of a router", Unit: "seconds"},
	{Name: "router_solicitations", v6: v6(7).constant("RTR_SOLICITS"),
		Doc: "Router solicitations that are sent at most, -1 for any number"},
	{Name: "router_solicitation_delay", v6: v6(9).constant("RTR_SOLICIT_DELAY").as(seconds),
		Doc: "Time until the first one is sent", Unit: "seconds"},
	{Name: "router_solicitation_interval", v6: v6(8).constant("RTR_SOLICIT_INTERVAL").as(seconds),
		Doc: "Time between the first ones", Unit: "seconds"},
	{Name: "router_solicitation_max_interval", v6: v6(43).constant("RTR_SOLICIT_MAX_INTERVAL").since("4.9").as(seconds),
		Doc: "Time between them at most", Unit: "seconds"},

	// Privacy.
	{Name: "use_tempaddr", v6: v6(10), Doc: "Temporary addresses: 0 and below none, 1 made, 2 and above preferred"},
	{Name: "temp_valid_lft", v6: v6(11), Doc: "Time for which a temporary address is valid", Unit: "seconds"},
	{Name: "temp_prefered_lft", v6: v6(12), Doc: "Time for which a temporary address is preferred", Unit: "seconds"},
	{Name: "max_desync_factor", v6: v6(14), Doc: "Random part of that at most", Unit: "seconds"},
	{Name: "regen_max_retry", v6: v6(13), Doc: "Attempts at making a temporary address"},

	// Neighbours. addrconf_dad_begin, addrconf_dad_work
	{Name: "accept_dad", v6: v6(27).by(highest),
		Doc: "Duplicate address detection: 0 none, 1 done, 2 and IPv6 is disabled on a duplicate link-local address"},
	{Name: "dad_transmits", v6: v6(6), Doc: "Probes for a duplicate address"},
	// addrconf_dad_kick
	{Name: "enhanced_dad", v6: v6(46).since("4.10").by(ored),
		Doc: "1: probes have a nonce, so that loops are no duplicates"},
	// ipv6_allow_optimistic_dad; ipv6_use_optimistic_addr
	{Name: "optimistic_dad", v6: v6(23).by(ored), Doc: "1: addresses may be used while they are probed"},
	{Name: "use_optimistic", v6: v6(34).since("3.19").by(optimistic),
		Doc: "1: such are source addresses too, with optimistic_dad"},
	// ndisc_recv_ns (ip6_forward asks all alone)
	{Name: "proxy_ndp", v6: v6(22).by(ored),
		Doc: "1: where the interface has forwarding, solicitations are answered for addresses of ip neigh add proxy"},
	{Name: "force_tllao", v6: v6(28), Doc: "1: answers to unicast solicitations have the link-layer address too"},
	// ndisc_netdev_event
	{Name: "ndisc_notify", v6: v6(29).since("3.8").by(ored),
		Doc: "1: neighbours are told when the interface comes up or changes"},
	{Name: "ndisc_evict_nocarrier", v6: v6(56).since("5.16").by(anded),
		Doc: "1: neighbours are forgotten with the carrier"},
	{Name: "ndisc_tclass", v6: v6(50).since("4.15"), Doc: "Traffic class of neighbour discovery"},
	{Name: "drop_unsolicited_na", v6: v6(41).since("4.6"), Doc: "1: unsolicited neighbour advertisements are dropped"},
	{Name: "accept_untracked_na", v6: v6(57).since("5.19"),
		Doc: "Advertisements of unknown neighbours: 0 ignored, 1 accepted, 2 within the interface's subnets"},
	{Name: "suppress_frag_ndisc", v6: v6(32).since("3.12"),
		Doc: "1: neighbour discovery in fragments is dropped (RFC 6980)"},

	// Routing headers and options. ipv6_srh_rcv, ipv6_rpl_srh_rcv
	{Name: "seg6_enabled", v6: v6(44).since("4.10").by(lowest), Doc: "1: segment routing headers are accepted"},
	{Name: "seg6_require_hmac", v6: v6(45).since("4.10"),
		Doc: "HMAC of segment routing: -1 ignored, 0 checked where there is one, 1 required"},
	{Name: "rpl_seg_enabled", v6: v6(51).since("5.7").by(lowest), Doc: "1: RPL source routing headers are accepted"},
	{Name: "ioam6_enabled", v6: v6(53).since("5.15"), Doc: "1: IOAM options are accepted"},
	{Name: "ioam6_id", v6: v6(54).since("5.15").as(unsigned), Doc: "IOAM id of the interface, 65535 for none"},
	{Name: "ioam6_id_wide", v6: v6(55).since("5.15").as(unsigned),
		Doc: "Wide IOAM id of the interface, 4294967295 for none"},
}

// settingsByName is an index of Settings, which init makes: those that work something out
// refer to it.
var settingsByName map[string]*Setting

func init() {
	settingsByName = map[string]*Setting{}
	for i := range Settings {
		Settings[i].ordinal = i
		settingsByName[Settings[i].Name] = &Settings[i]
	}
}

// settingOf returns a setting by its name.
func settingOf(name string) *Setting { return settingsByName[name] }
