// Package get explains what the kernel would do with packets, in words and as JSON. The files:
//
//	get.go      Packets: packets as a command line tells of them; Run
//	words.go    an explanation in words: the rules that are tried, and what becomes of the packet
//	why.go      why a rule is for a packet or not
//	json.go     an explanation as JSON
package get

import (
	"context"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/option"
	"kernelroutes/tables"
)

// Options say what packets are like, as text; "" is what is not said.
type Options struct {
	Source, IIF, OIF, VRF, Mark, TOS, UID, IPProto, SPort, DPort string
	// JSON is for one object a line instead of text.
	JSON bool
	// Width is that of the terminal that text is for, in columns; 0: there is none.
	Width int
}

// A packet is one that is asked about.
type packet struct {
	rtnl.LookupRequest
	address, zone string // as it was given; its zone
	names         struct{ in, out string }
}

// Protocols are the names of the protocols that the kernel looks up.
var Protocols = map[string]uint8{"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "ipv6-icmp": 58}

// packets returns the packets to some addresses, or an *option.Error for what means nothing.
func packets(addresses []string, o *Options) (all []packet, err error) {
	var common rtnl.LookupRequest
	if err := o.numbers(&common); err != nil {
		return nil, err
	}
	if o.Source != "" {
		if common.From, err = tables.ParseAddr("--source", o.Source); err != nil {
			return nil, option.Errorf("%v", err)
		}
	}
	switch {
	case o.VRF != "" && o.OIF != "":
		return nil, option.Errorf("--vrf and --oif exclude each other: a VRF is the interface to leave through")
	case o.IIF != "" && o.OIF+o.VRF != "":
		return nil, option.Errorf("--iif excludes --oif and --vrf: where a packet leaves that came in is for the " +
			"kernel to say; one that came in through a part of a VRF is in the VRF")
	}
	for _, address := range addresses {
		k := packet{LookupRequest: common, address: address}
		if k.Destination, err = tables.ParseAddr("ADDRESS", address); err != nil {
			return nil, option.Errorf("%v (names are not looked up)", err)
		}
		k.zone = k.Destination.Zone()
		if !k.SameFamily() {
			return nil, option.Errorf("--source %s is an address of another family than %s", o.Source, address)
		}
		if k.Family() == object.IPv4 && o.IIF != "" && !k.From.IsValid() {
			return nil, option.Errorf("--iif needs --source for an IPv4 packet: give the address that it comes from")
		}
		all = append(all, k)
	}
	return all, nil
}

// numbers sets what is said in numbers.
func (o *Options) numbers(r *rtnl.LookupRequest) error {
	for _, n := range []struct {
		flag, value string
		most        uint64
		set         func(uint32)
	}{
		{"mark", o.Mark, math.MaxUint32, func(v uint32) { r.Mark = object.Some(v) }},
		{"tos", o.TOS, math.MaxUint8, func(v uint32) { r.TOS = object.Some(uint8(v)) }},
		{"uid", o.UID, math.MaxUint32, func(v uint32) { r.UID = object.Some(v) }},
		{"sport", o.SPort, math.MaxUint16, func(v uint32) { r.SPort = object.Some(uint16(v)) }},
		{"dport", o.DPort, math.MaxUint16, func(v uint32) { r.DPort = object.Some(uint16(v)) }},
	} {
		if n.value == "" {
			continue
		}
		v, err := number(n.value)
		switch {
		case errors.Is(err, strconv.ErrSyntax):
			return notNumber(n.flag, n.value, n.most)
		case err != nil || v > n.most:
			return option.Errorf("--%s=%q is out of range: it is a whole number from 0 to %d", n.flag, n.value, n.most)
		}
		n.set(uint32(v))
	}
	if o.IPProto == "" {
		return nil
	}
	v, ok := Protocols[strings.ToLower(o.IPProto)]
	if !ok {
		n, err := number(o.IPProto)
		if err != nil || n > math.MaxUint8 {
			return option.Errorf("--ipproto=%q is no protocol that the kernel looks up: give icmp, tcp, udp or "+
				"icmpv6, or a number from 0 to 255", o.IPProto)
		}
		v = uint8(n)
	}
	r.IPProto = object.Some(v)
	return nil
}

// notNumber says what is to be given instead of what is no number.
func notNumber(flag, value string, most uint64) error {
	how := ""
	if before, _, found := strings.Cut(value, "/"); found {
		if _, err := number(before); err == nil {
			how = " without a mask," // which rules have, but no packet
		}
	}
	return option.Errorf("--%s=%q is no number: give one%s from 0 to %d", flag, value, how, most)
}

// number reads a number in decimal, or in hexadecimal after 0x. Its error is strconv.ErrSyntax or ErrRange.
func number(s string) (uint64, error) {
	if positive, found := strings.CutPrefix(s, "-"); found {
		if _, err := number(positive); err == nil {
			return 0, strconv.ErrRange
		}
	}
	digits, base := s, 10
	if hex, found := strings.CutPrefix(strings.ToLower(s), "0x"); found {
		digits, base = hex, 16
	}
	return strconv.ParseUint(digits, base, 64)
}

// Run explains what becomes of packets to some addresses, one after the other. It returns an
// *option.Error for what means nothing, and an error where the kernel gives no answer. That a packet
// goes nowhere is an answer.
func Run(ctx context.Context, out io.Writer, k *rtnl.Kernel, ns rtnl.Namespace, addresses []string, o Options) error {
	all, err := packets(addresses, &o)
	if err != nil {
		return err
	}
	l, err := k.Lookups(ctx, ns, 0)
	if err != nil {
		return err
	}
	defer l.Close()
	e := explainer{names: k.Names(), width: o.Width, lookups: l}
	if err := e.setSuffix(k, ns); err != nil {
		return err
	}
	var text []byte
	for i := range all {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := e.explain(&all[i], &o); err != nil {
			return err
		}
		switch {
		case o.JSON:
			text, err = e.appendJSON(text)
		default:
			if i > 0 {
				text = append(text, '\n')
			}
			text = e.appendText(text)
		}
		if err != nil {
			return err
		}
	}
	_, err = out.Write(text)
	return err
}

// An explainer explains one packet after the other.
type explainer struct {
	names    *iproute2.Names
	width    int // Options.Width
	lookups  *rtnl.Lookups
	idSuffix string // of what is in another namespace: see tables
	packet   *packet
	*rtnl.Explanation
}

// setSuffix sets how identities end that are of a namespace.
func (e *explainer) setSuffix(k *rtnl.Kernel, ns rtnl.Namespace) error {
	if ns == "" {
		return nil
	}
	id, err := k.NamespaceID(ns)
	if err != nil {
		return err
	}
	own, err := k.NamespaceID("")
	if err == nil && own != id {
		e.idSuffix = tables.IDSuffix(id)
	}
	return err
}

// explain finds out what becomes of a packet.
func (e *explainer) explain(k *packet, o *Options) (err error) {
	out, outFlag := o.OIF, "--oif"
	if o.VRF != "" {
		out, outFlag = o.VRF, "--vrf"
	}
	if k.InDev, err = e.index("--iif", o.IIF); err != nil {
		return err
	}
	if k.OutDev, err = e.index(outFlag, out); err != nil {
		return err
	}
	if err = e.setZone(k, o, outFlag, out); err != nil {
		return err
	}
	if o.VRF != "" {
		link, _, err := e.lookups.Link(k.OutDev)
		if err != nil {
			return err
		}
		if link.VRFTable == 0 {
			return option.Errorf("--vrf=%s is no VRF: give the name of one, or --oif for another interface", o.VRF)
		}
	}
	if k.names.in, err = e.linkName(k.InDev); err != nil {
		return err
	}
	if k.names.out, err = e.linkName(k.OutDev); err != nil {
		return err
	}
	e.packet = k
	e.Explanation, err = e.lookups.Explain(&k.LookupRequest)
	return err
}

// setZone has a packet leave through the interface that its addresses name as their zone, which has to be the one
// that a flag names. The source's is the one that the packet came in through, if it did.
func (e *explainer) setZone(k *packet, o *Options, outFlag, out string) error {
	zone, err := e.index("the zone of ADDRESS", k.zone)
	if err != nil {
		return err
	}
	from, err := e.index("the zone of --source", k.From.Zone())
	switch {
	case err != nil:
		return err
	case zone != 0 && k.OutDev != 0 && zone != k.OutDev:
		return option.Errorf("%s is to be reached through another interface than %s=%s", k.address, outFlag, out)
	case zone != 0:
		k.OutDev = zone
	}
	switch {
	case from == 0:
	case k.InDev != 0 && from != k.InDev:
		return option.Errorf("--source=%s is an address at another interface than --iif=%s", o.Source, o.IIF)
	case k.InDev != 0:
	case zone != 0 && from != zone:
		return option.Errorf("--source=%s is an address at another interface than %s", o.Source, k.address)
	case k.OutDev != 0 && from != k.OutDev:
		return option.Errorf("--source=%s is an address at another interface than %s=%s", o.Source, outFlag, out)
	default:
		k.OutDev = from
	}
	return nil
}

// index returns the index of an interface that is given for a flag, an *option.Error if there is none.
func (e *explainer) index(flag, name string) (uint32, error) {
	index, err := tables.IndexOf(e.lookups, flag, name)
	if read := (*rtnl.ReadError)(nil); err != nil && !errors.As(err, &read) {
		return 0, option.Errorf("%v", err)
	}
	return index, err
}

func (e *explainer) linkName(index uint32) (string, error) {
	link, _, err := e.lookups.Link(index)
	return link.Name, err
}

// taken returns the nexthops of the route that decides, and which of them the packet takes; -1: that
// is not told.
func (e *explainer) taken() (hops []object.Nexthop, taken int) {
	r := e.Decisive
	if r == nil {
		r = e.Match
	}
	if r == nil {
		return nil, -1
	}
	hops, taken = e.Snapshot.Nexthops(r, nil), -1
	if a := e.Answer; a != nil {
		for i, h := range hops {
			if h.OIF == a.OIF.V && h.Gateway == a.Gateway {
				if taken >= 0 {
					return hops, -1 // two are alike
				}
				taken = i
			}
		}
	}
	return hops, taken
}
