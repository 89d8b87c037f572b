package shell

import (
	"fmt"
	"slices"
	"strconv"

	"kernelroutes/rtnl"
)

// An rtaList collects what the older module called unknown attributes: all that
// it had no key for, most of which are well known here.
type rtaList struct {
	attrs []rta
	json  []byte // the decoded attributes, one after the other
	text  []byte
}

// An rta is an attribute, decoded in rtaList.json[from:to].
type rta struct {
	typ      uint16
	from, to int
}

// collect finds the attributes of a route.
func (l *rtaList) collect(r *rtnl.Route, names *rtnl.Names, snap *rtnl.Snapshot) {
	l.attrs, l.json = l.attrs[:0], l.json[:0]
	num(l, 3, "RTA_IIF", r.IIF)
	l.metrics(&r.Metrics)
	if f := r.Realms; f.OK {
		l.text = l.text[:0]
		if from := f.V >> 16; from != 0 {
			l.text = append(names.AppendRealm(l.text, from), '/')
		}
		l.str(11, "RTA_FLOW", names.AppendRealm(l.text, f.V&0xffff))
	}
	num(l, 16, "RTA_MARK", r.Mark)
	if g := r.Gateway; g.IsValid() && g.Is4() != (r.Family == rtnl.IPv4) {
		l.str(18, "RTA_VIA", rtnl.AppendAddr(l.text[:0], g))
	}
	if link := r.LinkGateway; link != nil {
		l.str(18, "RTA_VIA", rtnl.AppendLinkAddr(l.text[:0], link))
	}
	if r.NewDst != nil {
		l.str(19, "RTA_NEWDST", rtnl.AppendLabels(l.text[:0], r.NewDst))
	}
	if p := r.Pref; p.OK {
		l.str(20, "RTA_PREF", appendPref(l.text[:0], p.V))
	}
	if e := r.Encap; e.Type != 0 {
		l.str(21, "RTA_ENCAP_TYPE", []byte(e.TypeName()))
		text := e.AppendText(l.text[:0], names, snap)
		if c, ok := e.Counters(); ok {
			text = fmt.Appendf(text, " packets %d bytes %d errors %d", c.Packets, c.Bytes, c.Errors)
		}
		l.str(22, "RTA_ENCAP", text)
	}
	if x := r.Expires; x.OK {
		l.value(23, "RTA_EXPIRES", strconv.AppendUint(l.text[:0], x.V/rtnl.UserHZ, 10))
	}
	num(l, 25, "RTA_UID", r.UID)
	num(l, 26, "RTA_TTL_PROPAGATE", r.TTLPropagate)
	num(l, 27, "RTA_IP_PROTO", r.IPProto)
	num(l, 28, "RTA_SPORT", r.SPort)
	num(l, 29, "RTA_DPORT", r.DPort)
	num(l, 30, "RTA_NH_ID", r.NexthopID)
	num(l, 31, "RTA_FLOWLABEL", r.FlowLabel)
	num(l, 32, "RTA_DEL_REASON", r.DelReason)
	for _, a := range r.Unknown {
		if a.Type == 31 && r.FlowLabel.OK || a.Type == 32 && r.DelReason.OK {
			continue // decoded above
		}
		l.object(a.Type, a.AppendJSON(l.text[:0]))
	}
	slices.SortStableFunc(l.attrs, func(a, b rta) int { return int(a.typ) - int(b.typ) })
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
			b = appendNumber(b, sep, uint32(a.typ))
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
	l.attrs = append(l.attrs, rta{typ, from, len(l.json)})
	l.text = json
}

// value adds an attribute by the JSON of its value.
func (l *rtaList) value(typ uint16, name string, json []byte) {
	from := len(l.json)
	b := appendNumber(l.json, `{"type":`, uint32(typ))
	b = append(append(b, `,"name":"`...), name...)
	b = append(append(b, `","value":`...), json...)
	l.json = append(b, '}')
	l.attrs = append(l.attrs, rta{typ, from, len(l.json)})
	l.text = json
}

func (l *rtaList) str(typ uint16, name string, value []byte) {
	n := len(value)
	b := append(appendJSON(append(value, '"'), value), '"')
	l.value(typ, name, b[n:])
}

func num[T uint8 | uint16 | uint32](l *rtaList, typ uint16, name string, o rtnl.Opt[T]) {
	if o.OK {
		l.value(typ, name, strconv.AppendUint(l.text[:0], uint64(o.V), 10))
	}
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

// metricNames are the metrics that have a number, and how many of the kernel's
// units make one of ip's.
var metricNames = []struct {
	metric rtnl.Metric
	name   string
	ticks  uint32
}{
	{rtnl.MetricMTU, "mtu", 1}, {rtnl.MetricWindow, "window", 1}, {rtnl.MetricRTT, "rtt", 8},
	{rtnl.MetricRTTVar, "rttvar", 4}, {rtnl.MetricSSThresh, "ssthresh", 1}, {rtnl.MetricCwnd, "cwnd", 1},
	{rtnl.MetricAdvMSS, "advmss", 1}, {rtnl.MetricReordering, "reordering", 1}, {rtnl.MetricHopLimit, "hoplimit", 1},
	{rtnl.MetricInitCwnd, "initcwnd", 1}, {rtnl.MetricRTOMin, "rto_min", 1}, {rtnl.MetricInitRwnd, "initrwnd", 1},
	{rtnl.MetricQuickAck, "quickack", 1}, {rtnl.MetricFastOpenNoCookie, "fastopen_no_cookie", 1},
}

// metrics adds RTA_METRICS as an object: {"mtu":1400,"lock":"mtu"}.
func (l *rtaList) metrics(m *rtnl.Metrics) {
	b := append(l.text[:0], '{')
	for _, n := range metricNames {
		if v, ok := m.Get(n.metric); ok {
			b = appendNumber(append(append(comma(b), '"'), n.name...), `":`, v/n.ticks)
		}
	}
	if _, ok := m.Get(rtnl.MetricFeatures); ok {
		b = append(m.AppendFeatures(append(comma(b), `"features":"`...)), '"')
	}
	if _, ok := m.Get(rtnl.MetricCCAlgo); ok {
		b = append(appendJSON(append(comma(b), `"congctl":"`...), []byte(m.CC)), '"')
	}
	if _, ok := m.Get(rtnl.MetricLock); ok {
		b = append(m.AppendLocked(append(comma(b), `"lock":"`...)), '"')
	}
	if len(b) > 1 {
		l.value(8, "RTA_METRICS", append(b, '}'))
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
