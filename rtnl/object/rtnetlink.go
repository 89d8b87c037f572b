package object

// The types of messages and the multicast groups of linux/rtnetlink.h.
const (
	RTM_BASE       = 16
	RTM_NEWLINK    = 16
	RTM_DELLINK    = 17
	RTM_GETLINK    = 18
	RTM_NEWADDR    = 20
	RTM_DELADDR    = 21
	RTM_NEWROUTE   = 24
	RTM_DELROUTE   = 25
	RTM_GETROUTE   = 26
	RTM_NEWRULE    = 32
	RTM_DELRULE    = 33
	RTM_GETRULE    = 34
	RTM_NEWNETCONF = 80
	RTM_DELNETCONF = 81
	RTM_GETNETCONF = 82
	RTM_NEWNEXTHOP = 104
	RTM_DELNEXTHOP = 105
	RTM_GETNEXTHOP = 106

	RTNLGRP_LINK         = 1
	RTNLGRP_IPV4_IFADDR  = 5
	RTNLGRP_IPV4_MROUTE  = 6
	RTNLGRP_IPV4_ROUTE   = 7
	RTNLGRP_IPV4_RULE    = 8
	RTNLGRP_IPV6_IFADDR  = 9
	RTNLGRP_IPV6_MROUTE  = 10
	RTNLGRP_IPV6_ROUTE   = 11
	RTNLGRP_IPV6_RULE    = 19
	RTNLGRP_IPV4_NETCONF = 24
	RTNLGRP_IPV6_NETCONF = 25
	RTNLGRP_MPLS_ROUTE   = 27
	RTNLGRP_MPLS_NETCONF = 29
	RTNLGRP_NEXTHOP      = 32
)

// The tables of linux/rtnetlink.h.
const (
	RT_TABLE_COMPAT  = 252
	RT_TABLE_DEFAULT = 253
	RT_TABLE_MAIN    = 254
	RT_TABLE_LOCAL   = 255
)

// The attributes (RTA_*) that are more than a field.
const (
	rtaDst       = 1
	rtaSrc       = 2
	rtaIIF       = 3
	rtaOIF       = 4
	rtaGateway   = 5
	rtaPriority  = 6
	rtaPrefSrc   = 7
	rtaMetrics   = 8
	rtaMultipath = 9
	rtaFlow      = 11
	rtaCacheInfo = 12
	rtaTable     = 15
	rtaMFCStats  = 17
	rtaVia       = 18
	rtaNewDst    = 19
	rtaPref      = 20
	rtaEncapType = 21
	rtaEncap     = 22
	rtaExpires   = 23
	rtaTTL       = 26 // TTL_PROPAGATE
	rtaNHID      = 30
)
