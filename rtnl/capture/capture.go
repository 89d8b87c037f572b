package capture

import (
	"context"
	"fmt"
	"io"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
)

// A Capture is a snapshot that was read from a capture file, or from a recording of
// netlink messages. It does not change and may be read by several goroutines.
type Capture struct {
	fileContents
	instant *rtnl.Instant
}

// Read reads a capture file to its end. An error is one of r, or an *Error for a file
// that is cut short, damaged or of another kind: a part of a capture is never taken for
// the whole.
//
// The file may be pcap or pcapng, and compressed with gzip. One that is no work of Write
// is read too if it is a recording of netlink messages, as tcpdump makes from an nlmon
// interface, with at least one whole dump of routes: Notes then say what it is and what
// it lacks, and no snapshot of it is consistent. A packet that the recorder lost in the
// middle of a dump cannot be noticed, as none has a number.
func Read(r io.Reader) (*Capture, error) {
	held, err := readContents(r)
	if err != nil {
		return nil, err
	}
	c := &Capture{fileContents: *held}
	c.instant = c.snapshot.Instant(c.Names())
	return c, nil
}

// Names returns the names of the host that made the capture. A file that does not
// hold them is read with the names of this host.
func (c *Capture) Names() *iproute2.Names {
	if c.names == nil {
		return iproute2.HostNames()
	}
	return c.names
}

// Host returns where and when the capture was made; nil: the file does not say.
func (c *Capture) Host() *Host { return c.host }

// Notes returns what somebody who reads the capture should know, each a line of
// text: what the file lacks, and what cannot be relied on.
func (c *Capture) Notes() []string { return c.notes }

// NamespaceID returns the inode that the captured namespace had, 0 if the file does not say,
// for "", for the name that it had in /run/netns, and for its inode; an *Error for any other.
func (c *Capture) NamespaceID(ns rtnl.Namespace) (uint64, error) {
	host := c.host
	if host == nil {
		host = &Host{}
	}
	switch {
	case ns == "", ns == rtnl.NamespaceOf(host.NetNS) && host.NetNS != 0,
		ns == rtnl.Namespace("/run/netns/"+host.NetNSName) && host.NetNSName != "":
		return host.NetNS, nil
	}
	return 0, &Error{fmt.Sprintf("it is of one network namespace, and not of %s", ns), "make one of that"}
}

// Namespaces returns the one that was captured.
func (c *Capture) Namespaces() (found []rtnl.FoundNamespace, unseen int, err error) {
	id, err := c.NamespaceID("")
	return []rtnl.FoundNamespace{{ID: id}}, 0, err
}

// Read returns what rtnl.Kernel.Read had returned for the request in the namespace that
// was captured, at that time, but for the order of the routes and for cloned ones, which
// no capture holds. Snapshot.Tries is 0. An *Error says that a recording, or the capture of an
// older version of this program, has nothing of what is asked for.
func (c *Capture) Read(ctx context.Context, req rtnl.Request) (*rtnl.Snapshot, error) {
	if err := c.lacks(&req); err != nil {
		return nil, err
	}
	return c.instant.Read(ctx, req)
}

// Count returns how many objects Read would find of the kinds that the request asks for.
func (c *Capture) Count(ctx context.Context, req rtnl.Request) (n int, consistent bool, err error) {
	if err := c.lacks(&req); err != nil {
		return 0, false, err
	}
	return c.instant.Count(ctx, req)
}

// Lookups returns rtnl.ErrNotRunning.
func (c *Capture) Lookups(ctx context.Context, ns rtnl.Namespace, id uint64) (*rtnl.Lookups, error) {
	return c.instant.Lookups(ctx, ns, id)
}
