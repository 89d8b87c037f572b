package nltest

// The attributes of linux/rtnetlink.h, which package object has in the tags of its fields.
const (
	RTA_DST           = 1
	RTA_SRC           = 2
	RTA_IIF           = 3
	RTA_OIF           = 4
	RTA_GATEWAY       = 5
	RTA_PRIORITY      = 6
	RTA_PREFSRC       = 7
	RTA_METRICS       = 8
	RTA_MULTIPATH     = 9
	RTA_FLOW          = 11
	RTA_CACHEINFO     = 12
	RTA_TABLE         = 15
	RTA_MARK          = 16
	RTA_MFC_STATS     = 17
	RTA_VIA           = 18
	RTA_NEWDST        = 19
	RTA_PREF          = 20
	RTA_ENCAP_TYPE    = 21
	RTA_ENCAP         = 22
	RTA_EXPIRES       = 23
	RTA_PAD           = 24
	RTA_UID           = 25
	RTA_TTL_PROPAGATE = 26
	RTA_IP_PROTO      = 27
	RTA_SPORT         = 28
	RTA_DPORT         = 29
	RTA_NH_ID         = 30
	RTA_FLOWLABEL     = 31
	RTA_DEL_REASON    = 32
)

// Those of linux/nexthop.h and linux/if_link.h.
const (
	NHA_ID         = 1
	NHA_GROUP      = 2
	NHA_GROUP_TYPE = 3
	NHA_BLACKHOLE  = 4
	NHA_OIF        = 5
	NHA_GATEWAY    = 6
	NHA_ENCAP_TYPE = 7
	NHA_ENCAP      = 8
	NHA_FDB        = 11
	NHA_RES_GROUP  = 12
	NHA_OP_FLAGS   = 14

	NHA_GROUP_STATS     = 15
	NHA_HW_STATS_ENABLE = 16
	NHA_HW_STATS_USED   = 17

	NHA_OP_FLAG_RESP_GRP_RESVD_0 = 1 << 31

	IFLA_IFNAME    = 3
	IFLA_MTU       = 4
	IFLA_MASTER    = 10
	IFLA_OPERSTATE = 16
	IFLA_LINKINFO  = 18
	IFLA_INFO_KIND = 1
	IFLA_INFO_DATA = 2
	IFLA_VRF_TABLE = 1

	IFLA_AF_SPEC         = 26
	AF_INET              = 2
	AF_INET6             = 10
	IFLA_INET_CONF       = 1
	IFLA_INET6_FLAGS     = 1
	IFLA_INET6_CONF      = 2
	IFLA_INET6_CACHEINFO = 5
	IFLA_INET6_TOKEN     = 7
	IFLA_INET6_RA_MTU    = 9
)

// Flags of nexthops, and other numbers of the kernel's.
const (
	RTNH_F_ONLINK     = 0x4
	RTNH_F_OFFLOAD    = 0x8
	RTNH_F_LINKDOWN   = 0x10
	RTNH_F_UNRESOLVED = 0x20
	RTNH_F_TRAP       = 0x40

	AF_PACKET     = 17
	NLA_F_NESTED  = 0x8000
	RTPROT_STATIC = 4
)

// Sizes of the structs that messages begin with, and of struct rtnexthop.
const (
	RtmsgLen     = 12
	NhmsgLen     = 8
	IfinfomsgLen = 16
	RtnexthopLen = 8

	MaxLinkAddr = 32 // MAX_ADDR_LEN
)
