package rtnl

// A Link is a network interface, from RTM_NEWLINK.
type Link struct {
	Index     uint32 // ifi_index
	Name      string // IFLA_IFNAME, as AppendName has it
	Kind      string // IFLA_INFO_KIND, as AppendName has it: veth, bridge, wireguard, ...; "" for hardware
	OperState uint8  // IFLA_OPERSTATE, IF_OPER_* (RFC 2863); OperStateName has its name
}

// The attributes of linux/if_link.h that are read here.
const (
	iflaIfname    = 3
	iflaOperState = 16
	iflaLinkInfo  = 18
	iflaInfoKind  = 1
	iflaExtMask   = 29

	rtextFilterSkipStats = 1 << 3 // RTEXT_FILTER_SKIP_STATS, Linux 4.4

	ifinfomsgLen = 16
)

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
func (l *Link) UnmarshalBinary(b []byte) error {
	if len(b) < ifinfomsgLen {
		return malformed("link", len(b), "shorter than struct ifinfomsg")
	}
	*l = Link{Index: u32(b[4:])}
	a := walk(b[ifinfomsgLen:])
	for a.next() {
		switch a.typ {
		case iflaIfname:
			l.Name = cstring(a.data)
		case iflaOperState:
			if len(a.data) == 1 {
				l.OperState = a.data[0]
			}
		case iflaLinkInfo:
			n := walk(a.data)
			for n.next() {
				if n.typ == iflaInfoKind {
					l.Kind = cstring(n.data)
				}
			}
			if !n.ok() {
				return malformed("IFLA_LINKINFO", len(a.data)-len(n.rest), "attribute does not fit")
			}
		}
	}
	if !a.ok() {
		return malformed("link", len(b)-len(a.rest), "attribute does not fit")
	}
	return nil
}
