package fakekernel

import (
	"github.com/mdlayher/netlink"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

// A Mute socket does not send requests for routes, so that no answer comes. Before is
// called in the place of that.
type Mute struct {
	conn.Socket
	Before func()
}

// Send sends all else.
func (m Mute) Send(msg netlink.Message) (netlink.Message, error) {
	if msg.Header.Type != object.RTM_GETROUTE {
		return m.Socket.Send(msg)
	}
	m.Before()
	return msg, nil
}
