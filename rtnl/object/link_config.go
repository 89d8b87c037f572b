package object

import (
	"net/netip"

	"kernelroutes/rtnl/wire"
)

// A LinkConfig is a network interface with its settings, from RTM_NEWLINK.
type LinkConfig struct {
	Link   Link
	MTU    Opt[uint32] `ifla:"4 MTU"`
	Master uint32      `ifla:"10 MASTER"` // index of the bridge, bond, VRF, ... that it is in; 0: none

	// IPv4 and IPv6 are the settings for each family. An interface has none of IPv6 if its
	// MTU is below 1280, or if the kernel has no IPv6; disable_ipv6 does not take them away.
	IPv4   Conf `ifla:"26 AF_SPEC"`
	IPv6   Conf
	Flags6 Opt[uint32]    // IFLA_INET6_FLAGS: IF_READY, IF_RS_SENT, IF_RA_RCVD, ...
	Token  netip.Addr     // IFLA_INET6_TOKEN, :: for none
	RAMTU  Opt[uint32]    // IFLA_INET6_RA_MTU (Linux 5.15), if a router has told of one
	Times6 Opt[LinkTimes] // IFLA_INET6_CACHEINFO
}

// A LinkTimes is struct ifla_cacheinfo.
type LinkTimes struct {
	MaxReasmLen   uint32
	Tstamp        uint32 // of the last change, in hundredths of a second since the kernel began
	ReachableTime uint32 // of a neighbour, in milliseconds
	RetransTime   uint32 // between solicitations, in milliseconds
}

// The attributes in IFLA_AF_SPEC, whose types are families.
const (
	iflaAFSpec = 26

	iflaInetConf = 1

	iflaInet6Flags     = 1
	iflaInet6Conf      = 2
	iflaInet6CacheInfo = 5
	iflaInet6Token     = 7
	iflaInet6RAMTU     = 9
)

// linkConfigFields decode what a LinkConfig has beyond its Link.
var linkConfigFields = attributesOf("ifla", map[uint16]setter[LinkConfig]{iflaAFSpec: (*LinkConfig).decodeSpec})

// LinkConfigs are Links with their settings, for those who have read whole messages: of a link
// that others refer to, what a LinkConfig has beyond a Link is not kept. rtnl.Get is for Links.
var LinkConfigs = Values[LinkConfig]{Links.Kind, (*LinkConfig).decode}

// UnmarshalBinary decodes the payload of an RTM_NEWLINK message: struct
// ifinfomsg and its attributes.
func (c *LinkConfig) UnmarshalBinary(b []byte) error { return LinkConfigs.unmarshal(c, b) }

func (c *LinkConfig) decode(m *Message) {
	*c = LinkConfig{}
	c.Link.decode(m)
	want := linkConfigFields.known
	if !hasSpec(m) {
		want &^= fieldOf(iflaAFSpec)
	}
	linkConfigFields.decode(c, m, want, nil)
}

// Conf returns the settings for a family, IPv4 or IPv6.
func (c *LinkConfig) Conf(f Family) *Conf {
	if f == IPv4 {
		return &c.IPv4
	}
	return &c.IPv6
}

// hasSpec reports whether IFLA_AF_SPEC is what a LinkConfig decodes: in messages of one
// family, as about the ports of bridges, there is something else in it.
func hasSpec(m *Message) bool { return m.payload[0] == 0 }

// checkSpec checks IFLA_AF_SPEC, and in it what is decoded.
func checkSpec(_ int, d []byte) error {
	if err := checkNested("IFLA_AF_SPEC", d); err != nil {
		return err
	}
	for a := wire.Walk(d); a.Next(); {
		switch Family(a.Type) {
		case IPv4, IPv6:
			if err := checkNested("IFLA_AF_SPEC of "+Family(a.Type).String(), a.Data); err != nil {
				return err
			}
		}
	}
	return nil
}

// decodeSpec decodes IFLA_AF_SPEC.
func (c *LinkConfig) decodeSpec(d []byte) bool {
	for a := wire.Walk(d); a.Next(); {
		switch Family(a.Type) {
		case IPv4:
			for in := wire.Walk(a.Data); in.Next(); {
				if in.Type == iflaInetConf {
					c.IPv4 = confOf(IPv4, in.Data)
				}
			}
		case IPv6:
			for in := wire.Walk(a.Data); in.Next(); {
				c.decodeInet6(in.Type, in.Data)
			}
		}
	}
	return true
}

func (c *LinkConfig) decodeInet6(typ uint16, d []byte) {
	u32 := func(o *Opt[uint32]) {
		if len(d) == 4 {
			*o = Some(wire.U32(d))
		}
	}
	switch typ {
	case iflaInet6Flags:
		u32(&c.Flags6)
	case iflaInet6Conf:
		c.IPv6 = confOf(IPv6, d)
	case iflaInet6CacheInfo:
		if len(d) == 16 {
			c.Times6 = Some(LinkTimes{wire.U32(d), wire.U32(d[4:]), wire.U32(d[8:]), wire.U32(d[12:])})
		}
	case iflaInet6Token:
		if len(d) == 16 {
			c.Token = netip.AddrFrom16([16]byte(d))
		}
	case iflaInet6RAMTU:
		u32(&c.RAMTU)
	}
}

// confOf returns the settings in an array of numbers. A number that is cut short is none.
func confOf(f Family, array []byte) Conf { return Conf{family: f, array: array[:len(array)&^3]} }
