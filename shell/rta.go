package shell

import (
	"fmt"
	"slices"
	"strconv"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/iptext"
)

// An rtaList collects what the older module called unknown attributes: all that
// it had no key for, most of which are well known here.
type rtaList struct {
	attrs []rta
	json  []byte // the decoded attributes, one after the other
	text  []byte

	names *iproute2.Names
	snap  *rtnl.Snapshot
}

// An rta is an attribute, decoded in rtaList.json[from:to].
type rta struct {
	typ      uint16
	from, to int
	number   bool // shown as a number, and so decoded
}

// An rtaPrinter adds an attribute of a route to the list, if the route has it.
type rtaPrinter func(l *rtaList, a *object.Attribute, r *object.Route)

// rtaPrinters are by the name of the attribute. nil is for those that the older module
// had a key for. Any other that is a number is shown as it is.
var rtaPrinters = map[string]rtaPrinter{
	"RTA_OIF": nil, "RTA_PRIORITY": nil,
	"RTA_METRICS": func(l *rtaList, a *object.Attribute, r *object.Route) { l.metrics(a, &r.Metrics) },
	"RTA_FLOW":    (*rtaList).realms,
	"RTA_VIA":     (*rtaList).via,
	"RTA_NEWDST": func(l *rtaList, a *object.Attribute, r *object.Route) {
		if r.NewDst != nil {
			l.str(a, object.AppendLabels(l.text[:0], r.NewDst))
		}
	},
	"RTA_PREF": func(l *rtaList, a *object.Attribute, r *object.Route) {
		if p := r.Pref; p.OK {
			l.str(a, appendPref(l.text[:0], p.V))
		}
	},
	"RTA_ENCAP_TYPE": func(l *rtaList, a *object.Attribute, r *object.Route) {
		if r.Encap.Type != 0 {
			l.str(a, []byte(r.Encap.TypeName()))
		}
	},
	"RTA_ENCAP": (*rtaList).encap,
	"RTA_EXPIRES": func(l *rtaList, a *object.Attribute, r *object.Route) {
		if x := r.Expires; x.OK {
			l.value(a, strconv.AppendUint(l.text[:0], x.V/object.UserHZ, 10))
		}
	},
}

// A printedAttribute is one that the list may have.
type printedAttribute struct {
	object.Attribute
	print rtaPrinter
}

// printed are the attributes in the order of their numbers.
var printed = func() (all []printedAttribute) {
	for _, a := range object.RouteAttributes() {
		print, special := rtaPrinters[a.Name]
		switch {
		case print != nil:
			all = append(all, printedAttribute{a, print})
		case !special && a.IsNumber():
			all = append(all, printedAttribute{a, (*rtaList).number})
		}
	}
	slices.SortFunc(all, func(a, b printedAttribute) int { return int(a.Number) - int(b.Number) })
	return all
}()

// collect finds the attributes of a route among those that it has.
func (l *rtaList) collect(r *object.Route, has object.Fields, names *iproute2.Names, snap *rtnl.Snapshot) {
	l.attrs, l.json = l.attrs[:0], l.json[:0]
	l.names, l.snap = names, snap
	for i := range printed {
		if p := &printed[i]; has&p.Field() != 0 {
			p.print(l, &p.Attribute, r)
		}
	}
	for _, a := range r.Unknown {
		if !slices.ContainsFunc(l.attrs, func(known rta) bool { return known.typ == a.Type && known.number }) {
			l.object(a.Type, a.AppendJSON(l.text[:0]))
		}
	}
	slices.SortStableFunc(l.attrs, func(a, b rta) int { return int(a.typ) - int(b.typ) })
}

func (l *rtaList) number(a *object.Attribute, r *object.Route) {
	if v, ok := a.Of(r); ok {
		l.value(a, strconv.AppendUint(l.text[:0], v, 10))
		l.attrs[len(l.attrs)-1].number = true
	}
}

func (l *rtaList) realms(a *object.Attribute, r *object.Route) {
	if f := r.Realms; f.OK {
		l.text = l.text[:0]
		if from := f.V >> 16; from != 0 {
			l.text = append(l.names.AppendRealm(l.text, from), '/')
		}
		l.str(a, l.names.AppendRealm(l.text, f.V&0xffff))
	}
}

func (l *rtaList) via(a *object.Attribute, r *object.Route) {
	if g := r.Gateway; g.IsValid() && g.Is4() != (r.Family == object.IPv4) {
		l.str(a, object.AppendAddr(l.text[:0], g))
	}
	if link := r.LinkGateway; link != nil {
		l.str(a, object.AppendLinkAddr(l.text[:0], link))
	}
}

func (l *rtaList) encap(a *object.Attribute, r *object.Route) {
	e := r.Encap
	if e.Type == 0 {
		return
	}
	text := iproute2.AppendEncap(l.text[:0], e, l.names, l.snap)
	if c, ok := e.Counters(); ok {
		text = fmt.Appendf(text, " packets %d bytes %d errors %d", c.Packets, c.Bytes, c.Errors)
	}
	l.str(a, text)
}

// appendTo appends unknown_rta_attrs and unknown_rta_attrs_decoded; nothing if
// there are none.
func (l *rtaList) appendTo(b []byte) []byte {
	if len(l.attrs) == 0 {
		return b
	}
	b = append(b, `,"unknown_rta_attrs":`...)
	sep, last := "[", -1
	for _, a := range l.attrs {
		if int(a.typ) != last { // one may be there decoded and, for a part that is not understood, raw
			b = iptext.AppendNumber(b, sep, uint32(a.typ))
		}
		sep, last = ",", int(a.typ)
	}
	b = append(b, `],"unknown_rta_attrs_decoded":`...)
	sep = "["
	for _, a := range l.attrs {
		b = append(append(b, sep...), l.json[a.from:a.to]...)
		sep = ","
	}
	return append(b, ']')
}

// object adds an attribute by its JSON object.
func (l *rtaList) object(typ uint16, json []byte) {
	from := len(l.json)
	l.json = append(l.json, json...)
	l.attrs = append(l.attrs, rta{typ: typ, from: from, to: len(l.json)})
	l.text = json
}

// value adds an attribute by the JSON of its value.
func (l *rtaList) value(a *object.Attribute, json []byte) {
	from := len(l.json)
	b := iptext.AppendNumber(l.json, `{"type":`, uint32(a.Number))
	b = append(append(b, `,"name":"`...), a.Name...)
	b = append(append(b, `","value":`...), json...)
	l.json = append(b, '}')
	l.attrs = append(l.attrs, rta{typ: a.Number, from: from, to: len(l.json)})
	l.text = json
}

func (l *rtaList) str(a *object.Attribute, value []byte) {
	n := len(value)
	b := append(appendJSON(append(value, '"'), value), '"')
	l.value(a, b[n:])
}

// appendPref appends the preference of RFC 4191.
func appendPref(b []byte, pref uint8) []byte {
	switch pref {
	case 0:
		return append(b, "medium"...)
	case 1:
		return append(b, "high"...)
	case 3:
		return append(b, "low"...)
	}
	return strconv.AppendUint(b, uint64(pref), 10)
}

// metricsByNumber are the metrics that have a number, in the order of theirs.
var metricsByNumber = func() []object.Metric {
	all := slices.DeleteFunc(slices.Clone(object.RouteMetrics), func(m object.Metric) bool { return m.Ticks == 0 })
	slices.SortFunc(all, func(a, b object.Metric) int { return int(a.Number) - int(b.Number) })
	return all
}()

// metrics adds RTA_METRICS as an object: {"mtu":1400,"lock":"mtu"}.
func (l *rtaList) metrics(a *object.Attribute, m *object.Metrics) {
	b := append(l.text[:0], '{')
	for _, n := range metricsByNumber {
		if v, ok := m.Get(n.Number); ok {
			b = iptext.AppendNumber(append(append(comma(b), '"'), n.Name...), `":`, v/n.Ticks)
		}
	}
	if v, ok := m.Get(object.RTAX_FEATURES); ok {
		b = append(iproute2.AppendFeatures(append(comma(b), `"features":"`...), v), '"')
	}
	if _, ok := m.Get(object.RTAX_CC_ALGO); ok {
		b = append(appendJSON(append(comma(b), `"congctl":"`...), []byte(m.CC)), '"')
	}
	if v, ok := m.Get(object.RTAX_LOCK); ok {
		b = append(iproute2.AppendMetrics(append(comma(b), `"lock":"`...), v), '"')
	}
	if len(b) > 1 {
		l.value(a, append(b, '}'))
	}
	l.text = b
}

// comma separates what follows from what precedes it in an object.
func comma(b []byte) []byte {
	if len(b) > 1 {
		b = append(b, ',')
	}
	return b
}
