package fakekernel

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/mdlayher/netlink"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A Kernel answers as a test wants it to. Its sockets tell their requests to
// Answer, which returns what can be received then.
type Kernel struct {
	T      *testing.T
	Answer func(Request) []Event
	// Hear returns what the listener receives when it is asked for the n-th time,
	// from 1; nil: nothing.
	Hear    func(n int) []Event
	DialErr func(ns conn.Namespace, groups uint32) error
	Lax     bool // the kernel does not know NETLINK_GET_STRICT_CHK

	// What happened.
	Listeners int
	Conns     int // for dumps
	Open      int // sockets
	Drains    int // how often the listener was asked
	Requests  []Request

	mu sync.Mutex
}

// A Request is a request on the Conn-th connection for dumps, from 1. NLMSG_NOOP is none.
type Request struct {
	Conn  int
	Type  uint16
	Seq   uint32
	Route object.DumpRequest // of RTM_GETROUTE
	Index uint32             // of RTM_GETLINK for one interface; 0: all
	// Object is NHA_ID of RTM_GETNEXTHOP for one object; 0: all. Details says that it is asked
	// for more than the kernel tells unasked.
	Object  uint32
	Details bool

	// Lookup says that RTM_GETROUTE is for what becomes of a packet, Match that it is for
	// the route that decides (RTM_F_FIB_MATCH).
	Lookup, Match bool
}

// An Event is a datagram that can be received, or an error.
type Event struct {
	Datagram []byte
	Err      error
}

// ErrSend, alone, says that the request cannot be sent.
var ErrSend = errors.New("cannot send")

// Datagram is a datagram of messages.
func Datagram(messages ...[]byte) Event { return Event{Datagram: slices.Concat(messages...)} }

// Failure is an error of the socket's.
func Failure(err error) Event { return Event{Err: err} }

// Routes returns the requests for routes.
func (k *Kernel) Routes() (all []object.DumpRequest) {
	for _, r := range k.Requests {
		if r.Type == object.RTM_GETROUTE {
			all = append(all, r.Route)
		}
	}
	return all
}

// Links answers a request for an interface, or for all of them.
func Links(r Request, all ...object.Link) []Event {
	var dump [][]byte
	for _, l := range all {
		if r.Index == l.Index {
			return []Event{Datagram(nltest.LinkMessage(r.Seq, l.Index, l.Name))}
		}
		dump = append(dump, nltest.LinkMessage(r.Seq, l.Index, l.Name))
	}
	if r.Index != 0 {
		return []Event{Datagram(nltest.Failed(r.Seq, uint32(syscall.ENODEV)))}
	}
	return []Event{Datagram(dump...), Datagram(nltest.Done(r.Seq, 0))}
}

// Ordinary answers every request well: two routes of each family, two
// interfaces, one nexthop object.
func Ordinary(r Request) []Event {
	switch r.Type {
	case object.RTM_GETLINK:
		return Links(r, object.Link{Index: 1, Name: "lo"}, object.Link{Index: 3, Name: "v0"})
	case object.RTM_GETNEXTHOP:
		return []Event{Datagram(nltest.NexthopMessage(r.Seq, 5)), Datagram(nltest.Done(r.Seq, 0))}
	}
	var all [][]byte
	if r.Route.Family != object.IPv6 {
		all = append(all, nltest.Route4(r.Seq, 1, 254), nltest.Route4(r.Seq, 2, 254))
	}
	if r.Route.Family != object.IPv4 {
		all = append(all, nltest.Route6(r.Seq, 1, 254), nltest.Route6(r.Seq, 2, 254), nltest.Route6(r.Seq, 3, 255))
	}
	return []Event{Datagram(all...), Datagram(nltest.Done(r.Seq, 0))}
}

// Broken answers as Ordinary does, but for one type of request on the first n
// connections.
func Broken(typ uint16, n int, answer func(Request) []Event) func(Request) []Event {
	return func(r Request) []Event {
		if r.Type == typ && r.Conn <= n {
			return answer(r)
		}
		return Ordinary(r)
	}
}

// Dial is a conn.Dialer.
func (k *Kernel) Dial(ctx context.Context, ns conn.Namespace, groups uint32) (conn.Socket, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.DialErr != nil {
		if err := k.DialErr(ns, groups); err != nil {
			return nil, false, err
		}
	}
	k.Open++
	s := &socket{k: k, ctx: ctx, listens: groups != 0}
	if s.listens {
		k.Listeners++
	} else {
		k.Conns++
		s.conn = k.Conns
	}
	return s, !k.Lax, nil
}

type socket struct {
	k       *Kernel
	ctx     context.Context
	listens bool
	conn    int
	seq     uint32
	queue   []Event
}

func (s *socket) Send(m netlink.Message) (netlink.Message, error) {
	k := s.k
	k.mu.Lock()
	defer k.mu.Unlock()
	s.seq += 100
	m.Header.Sequence = s.seq
	r := Request{Conn: s.conn, Type: uint16(m.Header.Type), Seq: s.seq}
	if r.Type == wire.NLMSG_NOOP {
		s.queue = append(s.queue, Datagram(nltest.Failed(s.seq, 0)))
		return m, nil
	}
	want := netlink.Request | netlink.Dump
	if r.Type == object.RTM_GETLINK {
		if r.Index = wire.U32(m.Data[4:]); r.Index != 0 {
			want = netlink.Request
		}
	}
	if r.Type == object.RTM_GETNEXTHOP {
		for a := wire.Walk(m.Data[nltest.NhmsgLen:]); a.Next(); {
			switch a.Type {
			case nltest.NHA_ID:
				r.Object, want = wire.U32(a.Data), netlink.Request
			case nltest.NHA_OP_FLAGS:
				r.Details = true
			}
		}
	}
	if r.Type == object.RTM_GETROUTE && m.Data[1] != 0 { // rtm_dst_len
		const fibMatch = 0x2000
		want, r.Lookup, r.Match = netlink.Request, true, wire.U32(m.Data[8:])&fibMatch != 0
	}
	if m.Header.Flags != want {
		k.T.Errorf("request %d has flags %v, not %v", r.Type, m.Header.Flags, want)
	}
	if r.Type == object.RTM_GETROUTE {
		r.Route = dumpRequest(m.Data)
	}
	k.Requests = append(k.Requests, r)
	answer := k.Answer(r)
	if len(answer) == 1 && answer[0].Err == ErrSend {
		return m, ErrSend
	}
	s.queue = append(s.queue, answer...)
	return m, nil
}

// dumpRequest reads the payload of RTM_GETROUTE.
func dumpRequest(b []byte) object.DumpRequest {
	r := object.DumpRequest{Family: object.Family(b[0]), Protocol: b[5], Type: object.RouteType(b[7])}
	for a := wire.Walk(b[nltest.RtmsgLen:]); a.Next(); {
		switch a.Type {
		case nltest.RTA_TABLE:
			r.Table = wire.U32(a.Data)
		case nltest.RTA_OIF:
			r.OIF = wire.U32(a.Data)
		}
	}
	return r
}

func (s *socket) Receive(buf []byte, nowait bool) (int, error) {
	k := s.k
	k.mu.Lock()
	if s.listens && len(s.queue) == 0 {
		k.Drains++
		if k.Hear != nil {
			s.queue = append(s.queue, k.Hear(k.Drains)...)
		}
		if nowait {
			s.queue = append(s.queue, Failure(syscall.EAGAIN))
		}
	}
	if len(s.queue) == 0 {
		k.mu.Unlock()
		if nowait {
			return 0, syscall.EAGAIN
		}
		<-s.ctx.Done()
		return 0, os.ErrDeadlineExceeded
	}
	defer k.mu.Unlock()
	e := s.queue[0]
	s.queue = s.queue[1:]
	if e.Err != nil {
		return 0, e.Err
	}
	return copy(buf, e.Datagram), nil
}

func (s *socket) Close() {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	s.k.Open--
}
