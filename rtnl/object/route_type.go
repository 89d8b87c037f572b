package object

import "strconv"

// A RouteType is rtm_type (RTN_*).
type RouteType uint8

// The types of linux/rtnetlink.h.
const (
	Unspec RouteType = iota
	Unicast
	Local
	Broadcast
	Anycast
	Multicast
	Blackhole
	Unreachable
	Prohibit
	Throw
	NAT
	XResolve
)

var typeNames = [...]string{"unspec", "unicast", "local", "broadcast", "anycast", "multicast",
	"blackhole", "unreachable", "prohibit", "throw", "nat", "xresolve"}

// String returns iproute2's word for the type, the number where it has none.
func (t RouteType) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return strconv.Itoa(int(t))
}
