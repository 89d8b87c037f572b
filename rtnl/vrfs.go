package rtnl

import (
	"errors"
	"syscall"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// VRF returns the name of the VRF device whose routing table has a number, as Snapshot.VRF does,
// "" for none. It takes a dump of the VRF devices once, but for tables that no VRF has.
func (l *Lookups) VRF(table uint32) (string, error) {
	switch table {
	case 0, object.RT_TABLE_DEFAULT, object.RT_TABLE_MAIN, object.RT_TABLE_LOCAL:
		return "", nil
	}
	for try := 1; l.vrfs == nil; try++ {
		vrfs, whole, err := l.readVRFs(false)
		if errors.Is(err, syscall.EMSGSIZE) {
			vrfs, whole, err = l.readVRFs(true)
		}
		if err != nil {
			return "", conn.NewReadError("read VRF devices", err)
		}
		if whole || try == MaxTries {
			l.vrfs = vrfs
		}
	}
	return l.vrfs[table].Name, nil
}

// readVRFs reads all VRF devices, by their tables, and only these (link_kind_filtered, Linux 4.6):
// a host may have thousands of other interfaces.
func (l *Lookups) readVRFs(large bool) (vrfs map[uint32]object.Link, whole bool, err error) {
	c, err := l.open() // another one, as the rest of a dump would come before other answers
	if err != nil {
		return nil, false, err
	}
	defer c.Close()
	b := conn.Buffers.Get().(*conn.Buffer)
	defer conn.Buffers.Put(b)
	vrfs = map[uint32]object.Link{}
	interrupted, err := c.Dump(object.RTM_GETLINK, object.VRFRequest(large), conn.Sink{
		Want:     object.RTM_NEWLINK,
		Buffer:   func() []byte { return b[:] },
		Datagram: func() bool { return true },
		Message: func(msg []byte) (more bool, err error) {
			if c.Strict && wire.Flags(msg)&wire.NLM_F_DUMP_FILTERED == 0 {
				return false, nil // the kernel knows of no such kind: the driver is not loaded
			}
			var m object.Message
			if err := object.Links.Check(&m, msg); err != nil {
				return false, err
			}
			var link object.Link
			object.Links.Decode(&link, &m)
			if known, ok := vrfs[link.VRFTable]; link.VRFTable != 0 && (!ok || link.Index < known.Index) {
				vrfs[link.VRFTable] = link
			}
			return true, nil
		},
	})
	return vrfs, !interrupted, err
}
