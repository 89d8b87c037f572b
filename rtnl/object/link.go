package object

import (
	"encoding/binary"

	"kernelroutes/rtnl/wire"
)

// A Link is a network interface, from RTM_NEWLINK.
type Link struct {
	Index     uint32 // ifi_index
	Name      string `ifla:"3 IFNAME"`     // as wire.AppendName has it
	OperState uint8  `ifla:"16 OPERSTATE"` // IF_OPER_* (RFC 2863); OperStateName has its name
	// Kind is IFLA_INFO_KIND, as wire.AppendName has it: veth, bridge, wireguard, ...; "" for
	// hardware.
	Kind string `ifla:"18 LINKINFO"`
	// VRFTable is IFLA_VRF_TABLE, the routing table of a VRF (Linux 4.3); 0 for other kinds.
	VRFTable uint32
}

// The attributes (IFLA_*) that are more than a field.
const (
	iflaLinkInfo = 18
	iflaInfoKind = 1
	iflaInfoData = 2
	iflaVRFTable = 1
	iflaExtMask  = 29

	iflaPropList  = 52 // Linux 5.5, as what it holds
	iflaAltIfName = 53

	rtextFilterSkipStats = 1 << 3 // RTEXT_FILTER_SKIP_STATS, Linux 4.4
	ifinfomsgLen         = 16
)

// linkFields decode a link.
var linkFields = attributesOf("ifla", map[uint16]setter[Link]{iflaLinkInfo: (*Link).decodeInfo})

// Links is the kind of Link.
var Links = Values[Link]{&Kind{
	Name: "link", Plural: "links",
	Get: RTM_GETLINK, New: RTM_NEWLINK, Del: RTM_DELLINK, Groups: []uint{RTNLGRP_LINK},
	Lacked: "no interfaces, so that dev is empty",
	Remedy: "ask for dev_index instead, or record while `ip link` runs",
	Struct: "ifinfomsg", Header: ifinfomsgLen,
	Nested: func(m *Message) error {
		if err := m.each(iflaLinkInfo, checkLinkInfo); err != nil {
			return err
		}
		if !hasSpec(m) {
			return nil
		}
		return m.each(iflaAFSpec, checkSpec)
	},
	Number: func(m *Message) uint32 { return wire.U32(m.payload[4:]) },
	Governs: func(m *Message) bool {
		var l Link
		l.decode(m)
		return l.VRFTable != 0
	},
	// Without statistics, which nobody shows and which take most of the message.
	Request: func(index uint32) []byte {
		b := make([]byte, ifinfomsgLen, ifinfomsgLen+wire.AttrHeaderLen+4)
		binary.NativeEndian.PutUint32(b[4:], index) // ifi_index
		return wire.AppendU32(b, iflaExtMask, rtextFilterSkipStats)
	},
	Lookup: true,
	Known:  linkFields.known,
	Asked:  askedWhole(ifinfomsgLen, iflaExtMask),
	// Messages of another family are about something else, as the ports of bridges.
	Foreign: func(m *Message) bool { return m.payload[0] != 0 },
	First:   func(m *Message) bool { return wire.U32(m.payload[4:]) == 1 }, // lo
}, (*Link).decode}

var operStates = [...]string{"UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"}

// OperStateName returns the operational state as `ip link` prints it: UP, DOWN,
// UNKNOWN, ...; "" for a state without a name.
func (l *Link) OperStateName() string {
	if int(l.OperState) < len(operStates) {
		return operStates[l.OperState]
	}
	return ""
}

// UnmarshalBinary decodes the payload of an RTM_NEWLINK message: struct
// ifinfomsg and its attributes.
func (l *Link) UnmarshalBinary(b []byte) error { return Links.unmarshal(l, b) }

func (l *Link) decode(m *Message) {
	*l = Link{Index: wire.U32(m.payload[4:])}
	linkFields.decode(l, m, linkFields.known, nil)
}

// checkLinkInfo checks IFLA_LINKINFO, and in it what is decoded of a kind's own.
func checkLinkInfo(_ int, d []byte) error {
	if err := checkNested("IFLA_LINKINFO", d); err != nil {
		return err
	}
	if kind, data := linkInfo(d); kind == kindVRF {
		return checkNested("IFLA_INFO_DATA", data)
	}
	return nil
}

const kindVRF = "vrf" // DRV_NAME of drivers/net/vrf.c

// linkInfo returns what IFLA_LINKINFO has of the kind. What is in its data depends on it.
func linkInfo(d []byte) (kind string, data []byte) {
	for a := wire.Walk(d); a.Next(); {
		switch a.Type {
		case iflaInfoKind:
			kind = wire.String(a.Data)
		case iflaInfoData:
			data = a.Data
		}
	}
	return kind, data
}

// decodeInfo decodes IFLA_LINKINFO.
func (l *Link) decodeInfo(d []byte) bool {
	var data []byte
	l.Kind, data = linkInfo(d)
	l.VRFTable = 0 // if there is another one
	if l.Kind != kindVRF {
		return true
	}
	for a := wire.Walk(data); a.Next(); {
		if a.Type == iflaVRFTable && len(a.Data) == 4 {
			l.VRFTable = wire.U32(a.Data)
		}
	}
	return true
}

func (r *References) addLink(index uint32) {
	if index != 0 {
		r.Add(Links.Kind, index)
	}
}

// The attributes of tunnels that are the index of an interface.
const (
	seg6LocalIIF = 6 // SEG6_LOCAL_IIF
	seg6LocalOIF = 7 // SEG6_LOCAL_OIF
	lwtXfrmLink  = 2 // LWT_XFRM_LINK
)

// refer notes the interfaces that the tunnel refers to.
func (e *Encap) refer(refs *References) {
	a := wire.Walk(e.Raw)
	for a.Next() {
		link := e.Type == LWTUNNEL_ENCAP_SEG6_LOCAL && (a.Type == seg6LocalIIF || a.Type == seg6LocalOIF) ||
			e.Type == LWTUNNEL_ENCAP_XFRM && a.Type == lwtXfrmLink
		if link && len(a.Data) == 4 {
			refs.addLink(wire.U32(a.Data))
		}
	}
}

// What of an interface decides about what leads through it.
const (
	IFF_UP       = 0x1
	IFF_RUNNING  = 0x40
	IFF_LOWER_UP = 0x10000

	iflaMaster = 10
	iflaGroup  = 27
)

// LinkFlags returns ifi_flags of a message about an interface (IFF_*).
func LinkFlags(m *Message) uint32 { return wire.U32(m.payload[8:]) }

// LinkMaster returns the interface that another one is a part of (IFLA_MASTER), 0 for none.
func LinkMaster(m *Message) uint32 { return m.U32(iflaMaster) }

// LinkGroup returns the group that an interface is in (IFLA_GROUP), 0 for the default one.
func LinkGroup(m *Message) uint32 { return m.U32(iflaGroup) }

// LinkHasAltName reports whether the link of a message has a name besides IFLA_IFNAME
// (IFLA_ALT_IFNAME in IFLA_PROP_LIST, rtnl_fill_prop_list, Linux 5.5). Of links that were asked for
// along others, a snapshot may have left these names out.
func LinkHasAltName(m *Message, name string) bool {
	for a := wire.Walk(m.Attributes()); a.Next(); {
		if a.Type != iflaPropList {
			continue
		}
		for p := wire.Walk(a.Data); p.Next(); {
			if p.Type == iflaAltIfName && wire.String(p.Data) == name {
				return true
			}
		}
	}
	return false
}
