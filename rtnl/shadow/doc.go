// Package shadow tells which routes decide about no packet, because others always come first: a route of
// the same destination with a lower metric, more specific routes that cover it whole (0.0.0.0/1 and
// 128.0.0.0/1 a default route), or routes of another table that a rule for all packets consults before. Or no packet
// comes to their table: a rule refuses all before, or has them go past it.
//
// What it says is certain for packets that name no interface to leave through, and whose sender does not
// ask for a neighbour alone (SO_BINDTODEVICE, SO_DONTROUTE, IPv6 link-local and multicast destinations:
// for those the kernel passes over routes that lead elsewhere), as long as interfaces, and the gateways of
// IPv6, stay as they are. Where it is not certain, nothing is said. The files, from the top:
//
//	analysis.go  Analysis: the routes of a snapshot by table, in the order of their destinations
//	shadow.go    Shadow: what comes before a route
//	preferred.go which of the routes to one destination comes before the others
//	earlier.go   which rules are asked before a table is consulted
//	except.go    the few packets that come to a route all the same
//	meets.go     whether the packets of a rule are those of another one
//	rules.go     the rules, and which of them are certain to be asked
//	cover.go     which destinations of a table are decided in it for certain
//	prefix.go    prefixes of both families as numbers
package shadow
