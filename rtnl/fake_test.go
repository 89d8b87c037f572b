package rtnl

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A fakeKernel answers as a test wants it to. Its sockets tell their requests to
// answer, which returns what can be received then.
type fakeKernel struct {
	t      *testing.T
	answer func(fakeRequest) []event
	// hear returns what the listener receives when it is asked for the n-th time,
	// from 1; nil: nothing.
	hear    func(n int) []event
	dialErr func(groups uint32) error
	lax     bool   // the kernel does not know NETLINK_GET_STRICT_CHK
	release string // of the kernel; "": a recent one
	stats   string // where its rt6_stats is

	mu        sync.Mutex
	listeners int
	conns     int // for dumps
	open      int
	drains    int
	requests  []fakeRequest // without NLMSG_NOOP
	log       strings.Builder
}

// A fakeRequest is a request on the conn-th connection for dumps, from 1.
type fakeRequest struct {
	conn  int
	typ   uint16
	seq   uint32
	route dumpRequest // of RTM_GETROUTE
	index uint32      // of RTM_GETLINK for one interface; 0: all
}

// An event is a datagram that can be received, or an error.
type event struct {
	b   []byte
	err error
}

// errSend, alone, says that the request cannot be sent.
var errSend = errors.New("cannot send")

func datagram(messages ...[]byte) event { return event{b: slices.Concat(messages...)} }

func failure(err error) event { return event{err: err} }

// done is NLMSG_DONE, with an errno (positive, 0: success) and the kernel's own
// words.
func done(seq uint32, errno uint32, words ...string) []byte {
	payload := encNE(-errno)
	for _, w := range words {
		payload = append(payload, encAttr(nlmsgerrAttrMsg, encStr(w))...)
	}
	return message(unix.NLMSG_DONE, unix.NLM_F_MULTI, seq, payload)
}

// interruptedFlag sets NLM_F_DUMP_INTR in a message.
func interruptedFlag(msg []byte) []byte {
	msg = slices.Clone(msg)
	copy(msg[6:], encNE(u16(msg[6:])|unix.NLM_F_DUMP_INTR))
	return msg
}

// kernel returns a Kernel that reads from the fake.
func (k *fakeKernel) kernel() *Kernel {
	return &Kernel{dial: k.dial, release: k.release, stats: k.stats, Logger: slog.New(slog.NewTextHandler(&k.log, nil))}
}

// read reads with the Kernel. It checks that no snapshot comes with an error, and
// that all sockets are closed.
func (k *fakeKernel) read(req Request) (*Snapshot, error) {
	k.t.Helper()
	s, err := k.kernel().Read(context.Background(), req)
	if (s == nil) != (err != nil) {
		k.t.Errorf("snapshot %v with error %v", s, err)
	}
	if k.open != 0 {
		k.t.Errorf("%d sockets are still open", k.open)
	}
	return s, err
}

// logged returns the number of lines that were logged.
func (k *fakeKernel) logged() int { return strings.Count(k.log.String(), "\n") }

// routes returns the requests for routes.
func (k *fakeKernel) routes() (all []dumpRequest) {
	for _, r := range k.requests {
		if r.typ == unix.RTM_GETROUTE {
			all = append(all, r.route)
		}
	}
	return all
}

func (k *fakeKernel) dial(ctx context.Context, groups uint32) (socket, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dialErr != nil {
		if err := k.dialErr(groups); err != nil {
			return nil, false, err
		}
	}
	k.open++
	s := &fakeSocket{k: k, ctx: ctx, listens: groups != 0}
	if s.listens {
		k.listeners++
	} else {
		k.conns++
		s.conn = k.conns
	}
	return s, !k.lax, nil
}

type fakeSocket struct {
	k       *fakeKernel
	ctx     context.Context
	listens bool
	conn    int
	seq     uint32
	queue   []event
}

func (s *fakeSocket) send(m netlink.Message) (netlink.Message, error) {
	k := s.k
	k.mu.Lock()
	defer k.mu.Unlock()
	s.seq += 100
	m.Header.Sequence = s.seq
	r := fakeRequest{conn: s.conn, typ: uint16(m.Header.Type), seq: s.seq}
	if r.typ == unix.NLMSG_NOOP {
		s.queue = append(s.queue, datagram(message(unix.NLMSG_ERROR, 0, s.seq, make([]byte, 20))))
		return m, nil
	}
	want := netlink.Request | netlink.Dump
	if r.typ == unix.RTM_GETLINK {
		if r.index = u32(m.Data[4:]); r.index != 0 {
			want = netlink.Request
		}
	}
	if m.Header.Flags != want {
		k.t.Errorf("request %d has flags %v, not %v", r.typ, m.Header.Flags, want)
	}
	if r.typ == unix.RTM_GETROUTE {
		r.route = dumpRequest{family: Family(m.Data[0]), protocol: m.Data[5], typ: RouteType(m.Data[7])}
		for a := walk(m.Data[rtmsgLen:]); a.next(); {
			switch a.typ {
			case rtaTable:
				r.route.table = u32(a.data)
			case rtaOIF:
				r.route.oif = u32(a.data)
			}
		}
	}
	k.requests = append(k.requests, r)
	answer := k.answer(r)
	if len(answer) == 1 && answer[0].b == nil && answer[0].err == errSend {
		return m, errSend
	}
	s.queue = append(s.queue, answer...)
	return m, nil
}

func (s *fakeSocket) receive(buf []byte, nowait bool) (int, error) {
	k := s.k
	k.mu.Lock()
	if s.listens && len(s.queue) == 0 {
		k.drains++
		if k.hear != nil {
			s.queue = append(s.queue, k.hear(k.drains)...)
		}
		s.queue = append(s.queue, failure(unix.EAGAIN))
	}
	if len(s.queue) == 0 {
		k.mu.Unlock()
		if nowait {
			return 0, unix.EAGAIN
		}
		<-s.ctx.Done()
		return 0, os.ErrDeadlineExceeded
	}
	defer k.mu.Unlock()
	e := s.queue[0]
	s.queue = s.queue[1:]
	if e.err != nil {
		return 0, e.err
	}
	return copy(buf, e.b), nil
}

func (s *fakeSocket) close() {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	s.k.open--
}

// route4 is a message about a route to 10.N.0.0/16 in a table.
func route4(seq uint32, n byte, table uint32) []byte {
	r := v4()
	r.Table, r.Dst = table, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, n}), 16)
	return message(unix.RTM_NEWROUTE, unix.NLM_F_MULTI, seq, appendRoute(nil, r))
}

// route6 is a message about a route to fdNN::/64 in a table.
func route6(seq uint32, n byte, table uint32) []byte {
	r := v6()
	r.Table, r.Src, r.Dst = table, netip.Prefix{}, netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, n}), 64)
	return message(unix.RTM_NEWROUTE, unix.NLM_F_MULTI, seq, appendRoute(nil, r))
}

// failed is NLMSG_ERROR.
func failed(seq uint32, errno unix.Errno) event {
	request := make([]byte, unix.NLMSG_HDRLEN)
	return datagram(message(unix.NLMSG_ERROR, 0, seq, append(encNE(-uint32(errno)), request...)))
}

// links answers a request for an interface, or for all of them.
func links(r fakeRequest, all ...Link) []event {
	var dump [][]byte
	for _, l := range all {
		if r.index == l.Index {
			return []event{datagram(link(r.seq, l.Index, l.Name))}
		}
		dump = append(dump, link(r.seq, l.Index, l.Name))
	}
	if r.index != 0 {
		return []event{failed(r.seq, unix.ENODEV)}
	}
	return []event{datagram(dump...), datagram(done(r.seq, 0))}
}

// link is a message about an interface.
func link(seq uint32, index uint32, name string) []byte {
	return message(unix.RTM_NEWLINK, unix.NLM_F_MULTI, seq, appendLink(nil, &Link{Index: index, Name: name}))
}

// object is a message about a nexthop object.
func object(seq uint32, id uint32) []byte {
	return message(unix.RTM_NEWNEXTHOP, unix.NLM_F_MULTI, seq, appendNexthop(nil, &NexthopObject{ID: id, OIF: 3}))
}
