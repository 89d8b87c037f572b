package survival

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A soakChurner changes routes, rules, nexthop objects and links, and keeps the model of them. It
// asks the kernel by itself, one change after the other, so that it knows when each was made.
type soakChurner struct {
	nltest.Chance
	t     *testing.T
	model *soakModel
	fd    int
	seq   uint32
	links map[string]bool // w0 and w1, on which routes come and go: which of them are up

	made    atomic.Int64 // changes
	turn    sync.Mutex   // held by who changes
	stop    chan struct{}
	stopped chan struct{}
}

// The links, with fixed indexes. Those of w come and go.
var soakIndex = map[string]uint32{"v0": 50, "v1": 52, "v2": 54, "w0": 60, "w1": 62}

const (
	soakRate   = 1000 // changes a second
	soakPlaces = 3200 // where routes come and go
	soakStatic = 2000 // routes that nobody touches
)

var soakTables = []string{"main", "7", "700", "70000"}

// newSoakChurner opens the socket, in the calling thread's namespace.
func newSoakChurner(t *testing.T, seed uint64) *soakChurner {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 30}); err != nil {
		t.Fatal(err)
	}
	c := &soakChurner{Chance: nltest.NewChance(seed), t: t, model: newSoakModel(), fd: fd,
		links: map[string]bool{}, stop: make(chan struct{}), stopped: make(chan struct{})}
	for _, name := range []string{"v0", "v1", "v2", "w0", "w1"} {
		c.makeLink(name)
	}
	for i := range byte(3) {
		index := soakIndex[fmt.Sprintf("v%d", i)]
		c.must(object.RTM_NEWADDR, nltest.Cat([]byte{byte(object.IPv4), 24, 0, 0}, nltest.NE(index),
			nltest.Attr(2, []byte{10, i, 0, 1}))) // IFA_LOCAL
		const nodad = 0x02 // IFA_F_NODAD
		address := netip.AddrFrom16([16]byte{0xfd, i, 15: 1})
		c.must(object.RTM_NEWADDR, nltest.Cat([]byte{byte(object.IPv6), 64, nodad, 0}, nltest.NE(index),
			nltest.Attr(2, address.AsSlice())))
	}
	return c
}

// ask sends a request, and returns the kernel's answer.
func (c *soakChurner) ask(typ, flags uint16, payload []byte) error {
	c.seq++
	flags |= unix.NLM_F_REQUEST | unix.NLM_F_ACK
	request := append(wire.AppendHeader(nil, wire.HeaderLen+len(payload), typ, flags, c.seq), payload...)
	if _, err := unix.Write(c.fd, request); err != nil {
		return err
	}
	b := make([]byte, 16<<10)
	for {
		n, err := unix.Read(c.fd, b)
		if err != nil {
			return err
		}
		for msg := range wire.Messages(b[:n]) {
			if wire.Type(msg) == wire.NLMSG_ERROR && binary.NativeEndian.Uint32(msg[8:]) == c.seq {
				if errno := -int32(wire.U32(msg[wire.HeaderLen:])); errno != 0 {
					return unix.Errno(errno)
				}
				return nil
			}
		}
	}
}

// must makes what the model does not have.
func (c *soakChurner) must(typ uint16, payload []byte) {
	if err := c.ask(typ, unix.NLM_F_CREATE|unix.NLM_F_EXCL, payload); err != nil {
		c.t.Errorf("request %d, %x: %v", typ, payload, err)
	}
}

// change makes a change that the model has.
func (c *soakChurner) change(what map[soakPlace]*soakThing, typ, flags uint16, payload []byte) {
	end := c.model.begin(what)
	err := c.ask(typ, flags, payload)
	end(err == nil)
	c.made.Add(1)
	if err != nil {
		for p, is := range what {
			c.t.Errorf("change %v, request %d with %#x, to %+v: %v", p, typ, flags, is, err)
			break
		}
	}
}

// linkPayload is struct ifinfomsg with attributes.
func linkPayload(index, flags, change uint32, attributes ...[]byte) []byte {
	return nltest.Cat([]byte{0, 0, 0, 0}, nltest.NE(index), nltest.NE(flags), nltest.NE(change),
		nltest.Cat(attributes...))
}

// makeLink makes a veth, and its peer, both up.
func (c *soakChurner) makeLink(name string) {
	index := soakIndex[name]
	peer := linkPayload(index+1, 0, 0, nltest.Attr(nltest.IFLA_IFNAME, nltest.Str(name+"p")))
	c.must(object.RTM_NEWLINK, linkPayload(index, 0, 0, nltest.Attr(nltest.IFLA_IFNAME, nltest.Str(name)),
		nltest.Attr(nltest.IFLA_LINKINFO, nltest.Attr(1, nltest.Str("veth")), nltest.Attr(2, nltest.Attr(1, peer)))))
	c.setLink(name+"p", index+1, true)
	c.setLink(name, index, true)
}

// setLink has an interface up or down.
func (c *soakChurner) setLink(name string, index uint32, up bool) {
	flags := uint32(0)
	if up {
		flags = unix.IFF_UP
	}
	if err := c.ask(object.RTM_NEWLINK, 0, linkPayload(index, flags, unix.IFF_UP)); err != nil {
		c.t.Errorf("set %s %v: %v", name, up, err)
	}
	c.links[name] = up
}

// link takes w0 or w1 down, or away, with all its routes, or makes it come back.
func (c *soakChurner) link() {
	name := []string{"w0", "w1"}[c.IntN(2)]
	index := soakIndex[name]
	c.made.Add(1)
	if !c.links[name] {
		c.setLink(name, index, true)
		return
	}
	gone := map[soakPlace]*soakThing{}
	for p, is := range c.model.those("route") {
		if is.dev == name {
			gone[p] = nil
		}
	}
	end := c.model.begin(gone)
	if c.Yes() {
		c.setLink(name, index, false)
		end(true)
		return
	}
	err := c.ask(object.RTM_DELLINK, 0, linkPayload(index, 0, 0))
	end(err == nil)
	if err != nil {
		c.t.Errorf("delete %s: %v", name, err)
		return
	}
	c.makeLink(name)
}

// step makes a random change.
func (c *soakChurner) step() {
	switch n := c.IntN(1000); {
	case n < 2:
		c.link()
	case n < 60:
		c.nexthop()
	case n < 120:
		c.rule()
	default:
		c.route(c.IntN(soakPlaces))
	}
}

// route adds, replaces or deletes the route at a place.
func (c *soakChurner) route(n int) {
	p := placeNumber(n)
	is := c.model.now(p)
	switch {
	case is == nil:
		c.addRoute(p, unix.NLM_F_EXCL)
	case c.Yes():
		c.addRoute(p, unix.NLM_F_REPLACE)
	default:
		c.change(map[soakPlace]*soakThing{p: nil}, object.RTM_DELROUTE, 0, is.remove)
	}
}

// addRoute adds a route that it makes up, or puts it in the place of another one.
func (c *soakChurner) addRoute(p soakPlace, flag uint16) {
	is := c.newRoute(p)
	c.change(map[soakPlace]*soakThing{p: is}, object.RTM_NEWROUTE, unix.NLM_F_CREATE|flag, is.route)
}

// rule adds or deletes a rule.
func (c *soakChurner) rule() {
	p := soakPlace{kind: "rule", family: "ipv4", metric: 1000 + c.IntN(40)}
	src := netip.PrefixFrom(netip.AddrFrom4([4]byte{40, byte(p.metric)}), 16)
	r := &object.Rule{Family: object.IPv4, Action: 1, Priority: uint32(p.metric)}
	if c.Yes() {
		p.family, r.Family = "ipv6", object.IPv6
		src = netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 0x40, 0, byte(p.metric)}), 32)
	}
	r.Src = src
	if is := c.model.now(p); is != nil {
		c.change(map[soakPlace]*soakThing{p: nil}, object.RTM_DELRULE, 0, is.remove)
		return
	}
	table := soakTables[1+c.IntN(3)]
	r.Table = tableNumber(table)
	payload := nltest.AppendRule(nil, r)
	is := &soakThing{soakPlace: p, text: src.String() + " " + table, remove: payload}
	c.change(map[soakPlace]*soakThing{p: is}, object.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, payload)
}

// run makes changes until it is stopped, soakRate of them a second.
func (c *soakChurner) run() {
	defer close(c.stopped)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	last, due := time.Now(), 0.0
	for {
		select {
		case <-c.stop:
			return
		case <-tick.C:
		}
		c.turn.Lock()
		now := time.Now()
		// Who has waited for its turn, or a processor, does not make up for all of it.
		due += min(now.Sub(last).Seconds(), 0.5) * soakRate
		for last = now; due >= 1; due-- {
			c.step()
		}
		c.turn.Unlock()
	}
}

// burst makes changes as fast as it can.
func (c *soakChurner) burst(n int) {
	c.turn.Lock()
	defer c.turn.Unlock()
	for range n {
		c.step()
	}
}

// placeNumber is one of the soakPlaces where routes come and go.
func placeNumber(n int) soakPlace {
	p := soakPlace{kind: "route", family: "ipv4", table: soakTables[n/2%4], metric: 100 * (1 + n/8%2)}
	p.dst = fmt.Sprintf("20.%d.%d.0/24", n/2%4, n/16)
	if n%2 == 1 {
		p.family = "ipv6"
		p.dst = fmt.Sprintf("fd20:%x:%x::/48", 1+n/2%4, 1+n/16)
	}
	return p
}

func tableNumber(name string) uint32 {
	if name == "main" {
		return object.RT_TABLE_MAIN
	}
	n, _ := strconv.ParseUint(name, 10, 32)
	return uint32(n)
}
