package rtnl

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// The kernel adds the nexthops of an IPv6 multipath route one by one
// (ip6_route_multipath_add), and tells of the route when it has them all. A dump
// may see it with some of them: neither its old nor its new self.

// maxMultipath bounds how many bytes of multipath routes a listener keeps.
const maxMultipath = 16 << 20

// A routeKey is what the IPv6 multipath routes that replace each other share.
type routeKey struct {
	table    uint32
	position position
}

// settle puts the new self, as a listener heard of it, in the place of each IPv6
// route that has only some of its nexthops.
func settle(list, heard [][]byte, f *Filter) [][]byte {
	if len(heard) == 0 {
		return list
	}
	whole := map[routeKey][][]byte{}
	for _, msg := range heard {
		if h := headAt(msg); f.match(&h) {
			k := routeKey{h.table, positionOf(&h)}
			whole[k] = append(whole[k], msg)
		}
	}
	var out [][]byte
	for _, run := range list {
		from := 0
		for off := 0; off < len(run); {
			n := int(u32(run[off:]))
			next := off + align4(n)
			if payload := run[off+unix.NLMSG_HDRLEN : off+n]; Family(payload[0]) == IPv6 {
				h := headAt(run[off:])
				if self := completed(payload, whole[routeKey{h.table, positionOf(&h)}]); self != nil {
					out = appendRun(out, run[from:off])
					out = appendRun(out, self)
					from = next
				}
			}
			off = next
		}
		out = appendRun(out, run[from:])
	}
	return out
}

// completed returns the newest of the messages whose route has all nexthops of
// the given one and more, nil if there is none.
func completed(payload []byte, messages [][]byte) []byte {
	if len(messages) == 0 {
		return nil
	}
	var part, all Route
	if part.decode(payload, FieldNexthops) != nil || !part.Gateway.IsValid() && len(part.Multipath) == 0 {
		return nil // a route without a gateway does not join others
	}
	var snapshot Snapshot
	hops := snapshot.Nexthops(&part, nil)
	for i := len(messages) - 1; i >= 0; i-- {
		if all.decode(messages[i][unix.NLMSG_HDRLEN:], FieldNexthops) != nil || len(all.Multipath) <= len(hops) {
			continue
		}
		found := 0
		for _, n := range hops {
			for _, m := range all.Multipath {
				if n.OIF == m.OIF && n.Gateway == m.Gateway && n.Encap.Type == m.Encap.Type &&
					bytes.Equal(n.Encap.Raw, m.Encap.Raw) {
					found++
					break
				}
			}
		}
		if found == len(hops) {
			return messages[i]
		}
	}
	return nil
}
