// Package object is the kernel's routing state as Go values: routes, nexthop objects,
// links; and how each kind of them is asked for, told of, kept and decoded. It reads
// nothing itself: package rtnl does. From the ground up:
//
//	address.go, encap.go, opt.go, order.go, route_type.go, rtnetlink.go   what values are made of
//	kind.go     Kind: all that there is to say of a kind of object; Message: bytes that were checked
//	release.go  Release: which kernel can do what
//	fields.go   Attribute: how an attribute is decoded, from the tag of its field
//	run.go      Run, Messages: messages one after the other
//	link.go, nexthop_object.go, nexthop.go, metrics.go, route.go, rule.go   the values
//	link_config.go, netconf.go   the settings of interfaces, as the kernel sends them
//	setting.go, settings.go      what a setting is and how the kernel works out what holds; all of them
//	route_*.go  what a route's message tells undecoded, its nexthops, its kind
//	lookup.go   a packet that the kernel is asked about, and what its answers have to do with routes
//	filter.go   which routes, and rules, are wanted, and what is asked of the kernel for them
//	tally.go    Tally: routes counted by what they have in common, on the bytes
//	kinds.go    Kinds: the list of those that are read
//	id.go, rule_id.go, cursor.go   the identities of routes and rules; the routes in a run, one after the other
package object
