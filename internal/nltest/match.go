package nltest

import (
	"slices"

	"kernelroutes/rtnl/object"
)

// Matches says what Filter.Match must say of a route's message, from the route.
func Matches(f *object.Filter, r *object.Route) bool {
	uses := r.NexthopID.OK || slices.ContainsFunc(f.OIFs, func(i uint32) bool {
		return i != 0 && r.OIF == object.Some(i) ||
			slices.ContainsFunc(r.Multipath, func(n object.Nexthop) bool { return n.OIF == i })
	})
	families := []object.Family{object.IPv4, object.IPv6, object.MPLS, object.IPMR, object.IP6MR}
	return !f.None && (f.Cloned || r.Flags&0x200 == 0) && slices.Contains(families, r.Family) &&
		(len(f.Families) == 0 || slices.Contains(f.Families, r.Family)) &&
		(len(f.Tables) == 0 || slices.Contains(f.Tables, r.Table)) &&
		(len(f.Types) == 0 || slices.Contains(f.Types, r.Type)) &&
		(len(f.Protocols) == 0 || slices.Contains(f.Protocols, r.Protocol)) &&
		(!f.Single || len(r.Multipath) == 0 || r.NexthopID.OK) &&
		(len(f.OIFs) == 0 || uses) &&
		(len(f.Dsts) == 0 || r.Dst.IsValid() && slices.Contains(f.Dsts, r.Dst))
}
