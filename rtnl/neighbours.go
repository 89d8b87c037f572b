package rtnl

import (
	"encoding/binary"
	"errors"
	"syscall"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// What IPv6's choice among the routes of a table may depend on: on a host that does not forward, a
// route is passed over whose gateway has failed to answer (rt6_check_neigh).

const (
	rtmNewNeigh = 28 // RTM_NEWNEIGH
	rtmGetNeigh = 30 // RTM_GETNEIGH; of a single one Linux 5.0
	ndaDst      = 1  // NDA_DST
	nudFailed   = 0x20
	ndmsgLen    = 12
)

// A gateway is one on an interface.
type gateway struct {
	addr [16]byte
	oif  uint32
}

// askNeighbours notes of IPv6 routes which of their nexthops are firm.
func (l *Lookups) askNeighbours(tables map[uint32][]candidate) error {
	known := map[gateway]bool{}
	for _, routes := range tables {
		for i := range routes {
			c := &routes[i]
			c.firm = make([]bool, len(c.hops))
			for n, h := range c.hops {
				if !h.Gateway.Is6() {
					c.firm[n] = !h.Gateway.IsValid()
					continue
				}
				g := gateway{h.Gateway.As16(), h.OIF}
				if _, asked := known[g]; !asked {
					var err error
					if known[g], err = l.answers(g); err != nil {
						return err
					}
				}
				c.firm[n] = known[g]
			}
		}
	}
	return nil
}

// answers reports whether it is certain that a gateway has not failed to answer.
func (l *Lookups) answers(g gateway) (bool, error) {
	request := make([]byte, ndmsgLen)
	request[0] = byte(object.IPv6)
	binary.NativeEndian.PutUint32(request[4:], g.oif)
	request = wire.AppendAttr(request, ndaDst, g.addr[:]...)
	firm := false
	err := l.conn.Get(rtmGetNeigh, request, rtmNewNeigh, func(msg []byte) error {
		if payload := wire.Payload(msg); len(payload) >= ndmsgLen {
			firm = wire.U16(payload[8:])&nudFailed == 0
		}
		return nil
	})
	if refused := (*conn.KernelError)(nil); errors.As(err, &refused) {
		// ENOENT: nothing is known of it, which is not a failure. Older kernels cannot be asked.
		return errors.Is(err, syscall.ENOENT), nil
	}
	if err != nil {
		return false, conn.NewReadError("look up a neighbour", err)
	}
	return firm, nil
}
