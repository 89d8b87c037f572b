package shell

import (
	"context"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"kernelroutes/internal/inorder"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/iptext"
)

// A routeEncoder writes routes as the JSON objects of the older module.
type routeEncoder struct {
	snap    *rtnl.Snapshot
	names   *iproute2.Names
	unknown bool // with unknown_rta_attrs

	// Names as JSON, each worked out once.
	types, protocols, scopes [256][]byte
	tables, devs             textCache

	hops []object.Nexthop
	rta  rtaList
}

// partRoom is more than most parts of a snapshot need.
const partRoom = 1 << 20

// printJSON prints an array with one route a line.
func printJSON(ctx context.Context, o *output, snap *rtnl.Snapshot, names *iproute2.Names, unknown bool) error {
	buffers := make(chan []byte, inorder.Ahead()+1) // free ones
	sep := "[\n"
	parts := snap.Split(object.Routes.Kind, math.MaxInt)
	err := inorder.Do(len(parts), func(i int) []byte {
		var b []byte
		select {
		case b = <-buffers:
		default:
			b = make([]byte, 0, partRoom)
		}
		e := &routeEncoder{snap: parts[i], names: names, unknown: unknown}
		return e.appendAll(ctx, b[:0])
	}, func(b []byte) error {
		if ctx.Err() != nil {
			return ErrInterrupted
		}
		if len(b) > 0 {
			o.buf = append(append(o.buf, sep...), b...)
			sep = ",\n"
		}
		select {
		case buffers <- b:
		default:
		}
		return o.rowDone()
	})
	if err != nil {
		return err
	}
	if sep == "[\n" {
		o.buf = append(o.buf, '[')
	} else {
		o.buf = append(o.buf, '\n')
	}
	o.buf = append(o.buf, "]\n"...)
	return o.flush()
}

// appendAll appends the routes of the snapshot, as long as the context lasts.
// append appends a route that has some attributes.
func (e *routeEncoder) appendAll(ctx context.Context, b []byte) []byte {
	want := object.AllFields
	if !e.unknown {
		want = object.FieldDst | object.FieldTable | object.FieldNexthops | object.FieldPriority |
			object.FieldSrc | object.FieldPrefSrc | object.FieldCache
	}
	for c := e.snap.Cursor(want); c.Next() && ctx.Err() == nil; {
		if len(b) > 0 {
			b = append(b, ",\n"...)
		}
		b = e.append(b, c.Route(), c.Attributes())
	}
	return b
}

// append appends a route that has some attributes.
func (e *routeEncoder) append(b []byte, r *object.Route, has object.Fields) []byte {
	b = append(b, `{"family":"`...)
	b = append(b, r.Family.String()...)
	b = append(b, `","type":`...)
	b = append(b, cached(&e.types, uint8(r.Type), func(uint8) string { return r.Type.String() })...)
	b = append(b, `,"protocol":`...)
	b = append(b, cached(&e.protocols, r.Protocol, e.names.Protocol)...)
	b = append(b, `,"scope":`...)
	b = append(b, cached(&e.scopes, r.Scope, e.scope)...)
	b = append(b, `,"table":`...)
	b = append(b, e.table(r.Table)...)
	b = append(b, `,"dst":"`...)
	b = object.AppendPrefix(b, r.Dst)
	b = append(b, `","dst_len":`...)
	b = strconv.AppendInt(b, int64(r.Dst.Bits()), 10)

	e.hops = iptext.Nexthops(e.snap, r, e.hops)
	multipath := iptext.Several(r, e.hops)
	switch {
	case len(e.hops) == 0:
		b = appendAddr(b, `,"gateway":"`, r.Gateway)
		if r.OIF.OK {
			b = e.appendDev(b, r.OIF.V)
		}
	case !multipath:
		b = appendAddr(b, `,"gateway":"`, e.hops[0].Gateway)
		if e.hops[0].OIF != 0 {
			b = e.appendDev(b, e.hops[0].OIF)
		}
	}
	if r.Priority.OK {
		b = iptext.AppendNumber(b, `,"metric":`, r.Priority.V)
	}
	if r.Src.IsValid() {
		b = append(b, `,"src":"`...)
		b = append(object.AppendPrefix(b, r.Src), '"')
	}
	b = appendAddr(b, `,"prefsrc":"`, r.PrefSrc)
	b = iptext.AppendNumber(b, `,"flags":`, r.Flags)
	if r.TOS != 0 {
		b = iptext.AppendNumber(b, `,"tos":`, uint32(r.TOS))
	}
	if r.Table > 255 {
		b = iptext.AppendNumber(b, `,"table_id":`, r.Table)
	}
	if multipath {
		b = e.appendMultipath(b)
	}
	if c := &r.Cache; c.OK {
		b = iptext.AppendNumber(b, `,"cacheinfo":{"clntref":`, c.V.ClntRef)
		b = iptext.AppendNumber(b, `,"last_use":`, c.V.LastUse/object.UserHZ)
		b = append(b, `,"expires":`...)
		b = strconv.AppendInt(b, int64(c.V.Expires/object.UserHZ), 10)
		b = iptext.AppendNumber(b, `,"error":`, c.V.Error)
		b = append(iptext.AppendNumber(b, `,"used":`, c.V.Used), '}')
	}
	if e.unknown {
		e.rta.collect(r, has, e.names, e.snap)
		b = e.rta.appendTo(b)
	}
	return append(b, '}')
}

// append appends a route that has some attributes.
func (e *routeEncoder) appendMultipath(b []byte) []byte {
	b = append(b, `,"multipath":[`...)
	for i := range e.hops {
		h := &e.hops[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = iptext.AppendNumber(b, `{"dev_index":`, h.OIF)
		b = e.appendDevName(b, h.OIF)
		b = appendAddr(b, `,"gateway":"`, h.Gateway)
		b = iptext.AppendNumber(b, `,"weight":`, h.Weight)
		b = append(iptext.AppendNumber(b, `,"flags":`, h.Flags), '}')
	}
	return append(b, ']')
}

// append appends a route that has some attributes.
func (e *routeEncoder) appendDev(b []byte, index uint32) []byte {
	return iptext.AppendNumber(e.appendDevName(b, index), `,"dev_index":`, index)
}

// appendDevName appends nothing where the interface has gone away.
// append appends a route that has some attributes.
func (e *routeEncoder) appendDevName(b []byte, index uint32) []byte {
	return append(b, e.devs.get(index, func() []byte {
		if l, ok := e.snap.Link(index); ok {
			return append(appendJSON([]byte(`,"dev":"`), []byte(l.Name)), '"')
		}
		return nil
	})...)
}

func (e *routeEncoder) table(id uint32) []byte {
	return e.tables.get(id, func() []byte { return jsonName(e.names.Table(id)) })
}

// A textCache has the texts that were made for numbers. Mostly it is asked for the same
// one again.
type textCache struct {
	all  map[uint32][]byte
	last uint32
	text []byte // of last
}

func (c *textCache) get(n uint32, work func() []byte) []byte {
	if n == c.last && c.all != nil {
		return c.text
	}
	text, ok := c.all[n]
	if !ok {
		if c.all == nil {
			c.all = map[uint32][]byte{}
		}
		text = work()
		c.all[n] = text
	}
	c.last, c.text = n, text
	return text
}

// scope is the kernel's word for what iproute2 calls global, else iproute2's.
func (e *routeEncoder) scope(n uint8) string {
	if n == 0 {
		return "universe"
	}
	return e.names.Scope(n)
}

// cached returns the JSON of a number's name, which it makes once.
func cached(cache *[256][]byte, n uint8, name func(uint8) string) []byte {
	if cache[n] == nil {
		cache[n] = jsonName(name(n))
	}
	return cache[n]
}

// jsonName makes a name a JSON string in capitals, and what is no name but a number
// a JSON number.
func jsonName(name string) []byte {
	if _, err := strconv.ParseUint(name, 10, 32); err == nil {
		return []byte(name)
	}
	return append(appendJSON([]byte{'"'}, []byte(strings.ToUpper(name))), '"')
}

func appendAddr(b []byte, key string, a netip.Addr) []byte {
	if !a.IsValid() {
		return b
	}
	return append(object.AppendAddr(append(b, key...), a), '"')
}
