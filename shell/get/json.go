package get

import (
	"net/netip"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/iptext"
)

// An answer is an explanation as JSON. What is a column of a table has its name and, if it is text,
// its spelling; what is not there is null, of texts "".
type answer struct {
	Destination string  `json:"destination"`
	FromAddr    string  `json:"from_addr"`
	InDev       string  `json:"in_dev"`
	OutDev      string  `json:"out_dev"`
	Mark        *uint32 `json:"mark"`
	TOS         *uint8  `json:"tos"`
	UID         *uint32 `json:"uid"`
	IPProto     *uint8  `json:"ip_proto"`
	SPort       *uint16 `json:"sport"`
	DPort       *uint16 `json:"dport"`

	Family        string  `json:"family"`
	Type          string  `json:"type"`
	TableID       *uint32 `json:"table_id"`
	TableName     string  `json:"table_name"`
	Gateway       string  `json:"gateway"`
	GatewayFamily string  `json:"gateway_family"`
	Dev           string  `json:"dev"`
	DevIndex      *uint32 `json:"dev_index"`
	DevKind       string  `json:"dev_kind"`
	DevVRF        string  `json:"dev_vrf"` // that the interface is a part of
	PrefSrc       string  `json:"prefsrc"`
	MTU           *uint32 `json:"mtu"`
	CacheExpires  *int32  `json:"cache_expires"` // seconds
	Metric        *uint32 `json:"metric"`
	Protocol      string  `json:"protocol"`
	MatchedDst    string  `json:"matched_dst"`
	RouteID       string  `json:"route_id"`
	VRF           string  `json:"vrf"`
	Error         string  `json:"error"`
	Consistent    int     `json:"snapshot_consistent"`

	Explained bool      `json:"explained"`
	Verdict   string    `json:"verdict"`
	Shortcut  string    `json:"shortcut"` // why no rule is tried
	Rules     []rule    `json:"rules"`
	Route     *route    `json:"route"`
	Nexthops  []nexthop `json:"nexthops"`
}

// A rule is one that is tried.
type rule struct {
	Priority  uint32  `json:"priority"`
	Action    string  `json:"action"`
	Rule      string  `json:"rule"`      // as ip writes it
	Matched   *bool   `json:"matched"`   // null: it is not known
	Condition string  `json:"condition"` // that is not met, or of which that is not known
	Outcome   string  `json:"outcome"`
	Why       string  `json:"why"`
	TableID   *uint32 `json:"table_id"`
	TableName string  `json:"table_name"`
	Route     *route  `json:"route"`
}

type route struct {
	TableID   uint32  `json:"table_id"`
	TableName string  `json:"table_name"`
	Type      string  `json:"type"`
	Dst       string  `json:"dst"`
	Src       string  `json:"src"`
	Metric    uint32  `json:"metric"`
	Protocol  string  `json:"protocol"`
	Scope     string  `json:"scope"`
	PrefSrc   string  `json:"prefsrc"`
	NexthopID *uint32 `json:"nexthop_id"`
}

type nexthop struct {
	Gateway   string  `json:"gateway"`
	Dev       string  `json:"dev"`
	DevIndex  *uint32 `json:"dev_index"`
	Weight    uint32  `json:"weight"`
	NexthopID *uint32 `json:"nexthop_id"`
	EncapType string  `json:"encap_type"`
	Encap     string  `json:"encap"`
	Taken     *bool   `json:"taken"` // null: it is not known
}

func pointer[T any](o object.Opt[T]) *T {
	if !o.OK {
		return nil
	}
	return &o.V
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return iptext.Addr(a)
}

// appendJSON appends an explanation as a JSON object on a line.
func (e *explainer) appendJSON(b []byte) ([]byte, error) {
	k := e.packet
	a := answer{Destination: k.address, FromAddr: address(k.From), InDev: k.names.in, OutDev: k.names.out,
		Mark: pointer(k.Mark), TOS: pointer(k.TOS), UID: pointer(k.UID), IPProto: pointer(k.IPProto),
		SPort: pointer(k.SPort), DPort: pointer(k.DPort), Family: k.Family().String(), Error: string(e.Error),
		Explained: e.Told, Verdict: e.verdict(), Shortcut: string(e.Shortcut), Rules: []rule{}, Nexthops: []nexthop{}}
	if e.Consistent {
		a.Consistent = 1
	}
	if e.ID != "" {
		a.RouteID = e.ID + e.idSuffix
	}
	e.answered(&a)
	for i := range e.Steps {
		a.Rules = append(a.Rules, e.ruleJSON(&e.Steps[i]))
	}
	if a.Route = e.routeJSON(e.Decisive); a.Route == nil {
		a.Route = e.routeJSON(e.Match)
	}
	hops, taken := e.taken()
	for i := range hops {
		a.Nexthops = append(a.Nexthops, e.nexthopJSON(&hops[i], object.Opt[bool]{V: i == taken, OK: taken >= 0}))
	}
	b, err := iptext.AppendJSON(b, &a)
	return append(b, '\n'), err
}

// answered fills in what the kernel answered.
func (e *explainer) answered(a *answer) {
	if r := e.Answer; r != nil {
		a.Type, a.Gateway, a.PrefSrc = r.Type.String(), address(r.Gateway), address(r.PrefSrc)
		switch {
		case r.Gateway.Is4():
			a.GatewayFamily = object.IPv4.String()
		case r.Gateway.IsValid():
			a.GatewayFamily = object.IPv6.String()
		}
		if r.Table != 0 {
			a.TableID, a.TableName = &r.Table, e.names.Table(r.Table)
			a.VRF = e.ofVRF(r.Table)
		}
		a.Dev, a.DevIndex, a.DevKind, a.DevVRF = e.Out.Name, pointer(r.OIF), e.Out.Kind, e.OutVRF.Name
		if mtu, ok := r.Metrics.MTU(); ok {
			a.MTU = &mtu
		}
		if seconds := r.Cache.V.Expires / object.UserHZ; r.Cache.V.Expires > 0 {
			a.CacheExpires = &seconds
		}
	}
	if m := e.Match; m != nil {
		metric, _ := m.Metric()
		a.Metric, a.Protocol, a.MatchedDst = &metric, e.names.Protocol(m.Protocol), iptext.Prefix(m.Dst)
	}
}

func (e *explainer) ruleJSON(s *rtnl.Step) rule {
	r := rule{Priority: s.Rule.Priority, Action: s.Rule.Action.String(), Rule: e.rule(&s.Rule), Matched: pointer(s.Met),
		Condition: string(s.Why), Outcome: string(s.Outcome), Why: e.step(s), Route: e.routeJSON(s.Route)}
	if s.Table != 0 {
		r.TableID, r.TableName = &s.Table, e.names.Table(s.Table)
	}
	return r
}

func (e *explainer) routeJSON(r *object.Route) *route {
	if r == nil {
		return nil
	}
	metric, _ := r.Metric()
	src := ""
	if r.Src.IsValid() {
		src = iptext.Prefix(r.Src)
	}
	return &route{TableID: r.Table, TableName: e.names.Table(r.Table), Type: r.Type.String(), Dst: iptext.Prefix(r.Dst),
		Src: src, Metric: metric, Protocol: e.names.Protocol(r.Protocol), Scope: e.names.Scope(r.Scope),
		PrefSrc: address(r.PrefSrc), NexthopID: pointer(r.NexthopID)}
}

func (e *explainer) nexthopJSON(h *object.Nexthop, taken object.Opt[bool]) nexthop {
	n := nexthop{Gateway: address(h.Gateway), Weight: h.Weight, NexthopID: pointer(h.ID), Taken: pointer(taken)}
	if h.OIF != 0 {
		n.Dev, n.DevIndex = iptext.LinkName(e.Snapshot, h.OIF), &h.OIF
	}
	if h.Encap.Type != 0 {
		n.EncapType, n.Encap = h.Encap.TypeName(), string(iproute2.AppendEncap(nil, h.Encap, e.names, e.Snapshot))
	}
	return n
}
