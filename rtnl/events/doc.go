// Package events tells each change of the kernel's routing state, in its order, and who asked
// for it: what was there before, what went without a message, and whether anything was missed.
//
// The kernel tells a listener of changes (rtnl.Kernel.Listen), but not of all: IPv4 routes go away
// with their link or address, and routes with their nexthop object, silently; of what is replaced
// only the new is told; and who is too slow loses messages. So all routes, rules and nexthop
// objects are held as they should be by what was told, in the kernel's own bytes, and compared
// with what the kernel has where something may have gone silently or was lost. After any storm
// the events, one after the other, lead from what there was to what there is.
package events
