package rtnl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

// A LookupRequest is a packet of which the kernel is asked what it would do with it.
type LookupRequest = object.LookupRequest

// A Want says what is to be found out of a packet. Each costs an exchange with the kernel.
type Want uint8

// What can be found out.
const (
	// WantAnswer is what becomes of the packet: Lookup.Answer.
	WantAnswer Want = 1 << iota
	// WantMatch is the route that decides it: Lookup.Match.
	WantMatch
	// WantID is that route's identity: Lookup.ID.
	WantID
)

// A Lookup is what the kernel would do with a packet. It is valid until the next one.
type Lookup struct {
	// Answer is what becomes of the packet: type, table, gateway, output interface,
	// preferred source and metrics, what was learnt of the path among these (a path MTU).
	// Its destination is the packet's; its protocol is none for IPv4. Table 0 is none: no
	// route was looked at, or none was found and OutDev made the kernel take the
	// destination for a neighbour. The table is certain only with WantMatch, for the kernel
	// takes IPv6 routes that use one nexthop object for each other, and IPv4's table local for
	// main; then 0 is also one that cannot be told. nil: it was not wanted, or there is an
	// Error.
	Answer *object.Route
	// Match is the route that decides it, with all its nexthops, as a dump shows it; but
	// its nexthops begin with the one that is taken, if it is of IPv6. nil: it was not
	// wanted, there is none, or it cannot be told which it is.
	Match *object.Route
	// ID is the route's identity (object.Route.AppendID). Of IPv6 routes that are alike in
	// all that identities are made of it is that of the first one. "": it was not wanted,
	// there is no such route, or it cannot be told for certain which route it is.
	ID string
	// Error is why the packet goes nowhere; "": it does.
	Error LookupError
	// Consistent is false if Answer and Match may be of two times: something changed
	// between them on every try.
	Consistent bool
}

// A LookupError is why a packet goes nowhere: an errno of the kernel's.
type LookupError string

// What becomes of packets that go nowhere.
const (
	// NoRoute is ENETUNREACH: there is no route (or one of type throw and none after it),
	// an unreachable rule, a source that is no IPv4 address of this host, or an interface
	// to leave through that is down. It is also EOPNOTSUPP of a kernel without IPv6.
	NoRoute LookupError = "no route"
	// Unreachable is EHOSTUNREACH: a route of that type, or a packet that came in for
	// another host while IPv4 forwarding is off.
	Unreachable LookupError = "unreachable"
	// Prohibit is EACCES: a route or a rule of that type.
	Prohibit LookupError = "prohibit"
	// Blackhole is EINVAL: a route or a rule of that type.
	Blackhole LookupError = "blackhole"
	// Invalid is EINVAL of IPv4 where it is not certain that it is a blackhole's: the
	// addresses are such as no packet may have (a source that is a multicast or loopback
	// address, an address of this host in a packet that came in, or none), or the packet
	// came in where it should not have (rp_filter; EXDEV before Linux 6.14). It is also
	// EMSGSIZE of an IPv6 multicast packet that came in and has no multicast route.
	Invalid LookupError = "invalid"
)

// lookupErrors are the errors that are answers. No other one is known to come from looking a
// route up (fib_props, fib4_rule_action, ip_route_input_slow, ip6_route_output_flags).
var lookupErrors = map[syscall.Errno]LookupError{
	syscall.ENETUNREACH:  NoRoute,
	syscall.EHOSTUNREACH: Unreachable,
	syscall.EACCES:       Prohibit,
	syscall.EINVAL:       Blackhole,
	syscall.EXDEV:        Invalid,
}

// Lookups asks one look-up after the other, over one socket. It is not for concurrent use.
type Lookups struct {
	ctx     context.Context
	ns      Namespace
	release func()
	conn    *conn.Conn
	// read reads routes, where it takes a dump to know an identity.
	read func(context.Context, Request) (*Snapshot, error)

	open  func() (*conn.Conn, error)
	links map[uint32]object.Link // by index; the zero Link: there is none
	vrfs  map[uint32]object.Link // by VRFTable; nil: they have not been needed

	request []byte
	first   answer
	second  answer
	match   answer
	found   Lookup
}

// An answer of the kernel's.
type answer struct {
	bytes   []byte
	message object.Message
	route   object.Route
	err     LookupError // if it is not "", there is no route
}

// Lookups prepares for look-ups in a namespace, which has the inode id if that is not 0. No
// privilege is needed, but for a namespace other than one's own.
func (k *Kernel) Lookups(ctx context.Context, ns Namespace, id uint64) (*Lookups, error) {
	held, release, err := ns.Hold()
	if err != nil {
		return nil, err
	}
	if err := (&Request{Namespace: ns, NamespaceID: id}).checkNamespace(held); err != nil {
		release()
		return nil, err
	}
	open := func() (*conn.Conn, error) { return dialIn(k.dialer(), held, ns).Open(ctx, held, 0) }
	c, err := open()
	if err != nil {
		release()
		return nil, err
	}
	return &Lookups{ctx: ctx, ns: held, release: release, conn: c, open: open, read: k.Read,
		links: map[uint32]object.Link{}}, nil
}

// Lookups prepares for look-ups as Kernel.Lookups does: they are of the time when they are
// made. What the Cache holds serves where it takes other routes to know an identity.
func (c *Cache) Lookups(ctx context.Context, ns Namespace, id uint64) (*Lookups, error) {
	l, err := c.Kernel.Lookups(ctx, ns, id)
	if err == nil {
		l.read = c.Read
	}
	return l, err
}

// ErrNotRunning: a look-up takes the kernel that runs.
var ErrNotRunning = errors.New("look-ups are made by the kernel that runs, and what is read here is a snapshot of " +
	"one: ask on the host itself, or read the routes")

// Lookups returns ErrNotRunning.
func (i *Instant) Lookups(context.Context, Namespace, uint64) (*Lookups, error) {
	return nil, ErrNotRunning
}

// Close ends the look-ups.
func (l *Lookups) Close() {
	l.conn.Close()
	l.release()
}

// Lookup finds out what is wanted of a packet. An answer that the packet goes nowhere is no
// error, but Lookup.Error. If more than one thing is wanted, the kernel is asked until the
// same answer comes before the route and after it, and comes from it, at most MaxTries times.
func (l *Lookups) Lookup(req *LookupRequest, want Want) (*Lookup, error) {
	if err := check(req); err != nil {
		return nil, &ReadError{Op: fmt.Sprintf("look up the route to %v", req.Destination), Err: err}
	}
	if want&WantID != 0 {
		want |= WantMatch
	}
	for try := 1; ; try++ {
		l.found = Lookup{Consistent: true}
		same, err := l.try(req, want)
		switch {
		case err != nil:
			return nil, err
		case same:
			return &l.found, nil
		case try == MaxTries:
			l.found.Consistent = false
			return &l.found, nil
		}
	}
}

// check refuses what the kernel would take for something else.
func check(req *LookupRequest) error {
	switch {
	case !req.Destination.IsValid():
		return errors.New("there is no destination")
	case !req.SameFamily():
		return fmt.Errorf("the source %v is an address of another family", req.From)
	}
	return nil
}

// try asks for all once. It returns false if that may be of two times.
func (l *Lookups) try(req *LookupRequest, want Want) (same bool, err error) {
	both := want&(WantAnswer|WantMatch) == WantAnswer|WantMatch
	if both || want&WantMatch == 0 {
		if err := l.ask(req, false, &l.first); err != nil {
			return false, err
		}
		if !l.first.found(&l.found, &l.found.Answer) || !both {
			return true, l.explain(req)
		}
	}
	if err := l.ask(req, true, &l.match); err != nil {
		return false, err
	}
	if l.match.err == "" && !object.IsMatch(&l.match.route) {
		l.setTable(0) // rt_fill_info says main before Linux 4.4
		return true, nil
	}
	if !both && l.match.err == "" {
		l.found.Match = &l.match.route
		return l.identify(req, want)
	}
	if err := l.ask(req, false, &l.second); err != nil {
		return false, err
	}
	if !both {
		// There may be no route that decides, while the packet goes somewhere.
		l.found.Error = l.second.err
		same = l.second.err != "" || l.second.route.Table == 0
		return same, l.explain(req)
	}
	if l.second.err != "" || !object.SameAnswer(&l.first.message, &l.second.message) {
		return false, nil
	}
	if l.match.err != "" {
		// With no route that decides, IPv4 says EHOSTUNREACH (inet_rtm_getroute).
		return l.first.route.Table == 0, nil
	}
	if l.match.route.Table != l.first.route.Table {
		return false, nil // it came and went between the two answers
	}
	if !req.Explains(&l.match.route, &l.first.route) {
		if same, err := l.insist(req); err != nil || !same {
			return false, err
		}
	}
	l.found.Match = &l.match.route
	return l.identify(req, want)
}

// insist asks for more of the same where it cannot be seen that the answer comes from the
// route: another route may have been there between two answers that are the same.
func (l *Lookups) insist(req *LookupRequest) (same bool, err error) {
	for range 2 {
		for _, a := range []*answer{&l.match, &l.first} {
			if err := l.ask(req, a == &l.match, &l.second); err != nil {
				return false, err
			}
			if l.second.err != "" || !object.SameAnswer(&a.message, &l.second.message) {
				return false, nil
			}
		}
	}
	return true, nil
}

// found notes an answer's route or error. It returns whether it is a route.
func (a *answer) found(l *Lookup, route **object.Route) bool {
	if a.err != "" {
		l.Error = a.err
		return false
	}
	*route = &a.route
	return true
}

// ask asks the kernel once.
func (l *Lookups) ask(req *LookupRequest, match bool, a *answer) error {
	l.request = req.AppendTo(l.request[:0], match)
	a.err, a.bytes = "", a.bytes[:0]
	err := l.conn.Get(object.RTM_GETROUTE, l.request, object.RTM_NEWROUTE, func(msg []byte) error {
		a.bytes = append(a.bytes, msg...)
		return object.Routes.Check(&a.message, a.bytes)
	})
	if err == nil && len(a.bytes) == 0 {
		err = errors.New("the kernel acknowledged the request and gave no answer")
	}
	if err == nil {
		a.route.Decode(&a.message, object.AllFields)
		return nil
	}
	if refused := (*conn.KernelError)(nil); errors.As(err, &refused) {
		// A request that is refused has words with its error (inet_rtm_valid_getroute_req,
		// rtm_getroute_parse_ip_proto); what becomes of a packet has none.
		switch errno, bare := refused.Err.(syscall.Errno); {
		case !bare:
		case errno == syscall.EMSGSIZE && req.InDev != 0 && req.Destination.IsMulticast():
			// No multicast route of IPv6 is known for it (rt6_fill_node, ip6mr_get_route).
			a.err = Invalid
		case errno == syscall.EOPNOTSUPP && knownProtocol(req):
			// The kernel has none of the family: ipv6.disable=1.
			a.err = NoRoute
		default:
			a.err = lookupErrors[errno]
		}
	}
	if a.err != "" {
		return nil
	}
	return l.failed(req, err)
}

// knownProtocol reports whether the kernel looks up the packet's protocol, or none is given
// (rtm_getroute_parse_ip_proto).
func knownProtocol(req *LookupRequest) bool {
	icmp := uint8(syscall.IPPROTO_ICMP)
	if req.Destination.Is6() {
		icmp = syscall.IPPROTO_ICMPV6
	}
	return !req.IPProto.OK || slices.Contains([]uint8{icmp, syscall.IPPROTO_TCP, syscall.IPPROTO_UDP}, req.IPProto.V)
}

func (l *Lookups) failed(req *LookupRequest, err error) error {
	op := fmt.Sprintf("look up the route to %v", req.Destination)
	var refused *conn.KernelError
	switch {
	case !errors.As(err, &refused):
		return conn.NewReadError(op, err)
	case errors.Is(err, syscall.ENODEV):
		return &ReadError{Op: op, Err: err, Remedy: "the interface that was given has gone away"}
	case errors.Is(err, syscall.EOPNOTSUPP) && !knownProtocol(req):
		return &ReadError{Op: op, Err: fmt.Errorf("%w: %d", err, req.IPProto.V),
			Remedy: "the kernel looks up 1 (icmp), 6 (tcp) and 17 (udp), for IPv6 58 (icmpv6)"}
	}
	return &ReadError{Op: op, Err: err}
}

// Link returns an interface by its index. There is none if it has gone away.
func (l *Lookups) Link(index uint32) (object.Link, bool, error) {
	link, known := l.links[index]
	if !known && index != 0 {
		var err error
		if link, err = l.link(fmt.Sprintf("look up link %d", index), object.Links.Request(index)); err != nil {
			return link, false, err
		}
		l.links[index] = link
	}
	return link, link.Index != 0, nil
}

// LinkByName returns an interface by its name, or by another name that it has.
func (l *Lookups) LinkByName(name string) (object.Link, bool, error) {
	const maxName = 127 // ALTIFNAMSIZ - 1
	if name == "" || len(name) > maxName {
		return object.Link{}, false, nil
	}
	link, err := l.link(fmt.Sprintf("look up link %q", name), object.LinkRequest(name))
	return link, link.Index != 0, err
}

// Interfaces returns the names of all interfaces.
func (l *Lookups) Interfaces() (names []string, err error) {
	s, err := l.read(l.ctx, Request{Namespace: l.ns, Kinds: []*object.Kind{object.Links.Kind}})
	if err != nil {
		return nil, err
	}
	for link := range All(s, object.Links) {
		names = append(names, link.Name)
	}
	return names, nil
}

// link asks for one interface, and returns the zero Link if there is none.
func (l *Lookups) link(op string, request []byte) (object.Link, error) {
	return l.linkWith(op, request, func(*object.Message) {})
}

// linkWith does so and passes on the message about it.
func (l *Lookups) linkWith(op string, request []byte, f func(*object.Message)) (link object.Link, err error) {
	err = l.conn.Get(object.RTM_GETLINK, request, object.RTM_NEWLINK, func(msg []byte) error {
		var m object.Message
		if err := object.Links.Check(&m, msg); err != nil {
			return err
		}
		object.Links.Decode(&link, &m)
		f(&m)
		return nil
	})
	// EINVAL: a kernel before 5.5 knows of no other names.
	if refused := (*conn.KernelError)(nil); errors.As(err, &refused) &&
		(errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.EINVAL)) {
		return object.Link{}, nil
	}
	if err != nil {
		err = conn.NewReadError(op, err)
	}
	return link, err
}
