package survival

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

// checkpoint stops all changes: then answers are exactly what the model has, and what ip shows, and
// the events since the last one lead to it.
func (s *soak) checkpoint() {
	s.t.Helper()
	s.churner.turn.Lock()
	defer s.churner.turn.Unlock()
	s.mark()
	deadline := time.Now().Add(time.Minute)
	for {
		wrong, err := s.settled()
		switch {
		case err != nil:
			s.t.Errorf("a checkpoint: %v", err)
			return
		case len(wrong) == 0:
			s.checkpoints++
			return
		case time.Now().After(deadline):
			s.t.Errorf("a checkpoint at %v, %d losses since the last:\n%s", time.Since(s.began), s.events.losses,
				strings.Join(wrong[:min(len(wrong), 30)], "\n"))
			s.events.state = nil
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// mark makes a change, and waits until it is told of: what came before is, then, too.
func (s *soak) mark() {
	s.marks++
	p := soakPlace{kind: "route", family: "ipv4", table: "7", metric: 1,
		dst: fmt.Sprintf("22.%d.%d.0/24", s.marks>>8, s.marks&255)}
	r := emptyRoute(p)
	r.Type, r.Protocol = object.Blackhole, 4
	is := thingOfRoute(p, r)
	s.churner.change(map[soakPlace]*soakThing{p: is}, object.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, is.route)
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		rows, err := s.query("SELECT seq FROM kernel_route_events WHERE dst = '" + p.dst + "'")
		if err != nil || len(rows) > 0 {
			if err != nil {
				s.t.Error(err)
			}
			return
		}
		if time.Now().After(deadline) {
			s.t.Errorf("no event tells of %s within three minutes", p.dst)
			return
		}
	}
}

// settled compares everything. What the kernel does later by itself, for links, may still come.
func (s *soak) settled() (wrong []string, err error) {
	if err := s.drain(); err != nil {
		return nil, err
	}
	before := s.ipRoutes()
	from := time.Now()
	rows, err := s.query("SELECT " + soakRouteColumns + " FROM kernel_routes")
	if err != nil {
		return nil, err
	}
	wrong = routesWhere("", nil).check(s, rows, from, time.Now())
	if isPart(rows) {
		wrong = append(wrong, "not consistent")
	}
	var texts []string
	for _, r := range rows {
		texts = append(texts, wholeText(r))
	}
	slices.Sort(texts)
	for _, line := range before {
		if _, there := slices.BinarySearch(texts, line); !there {
			wrong = append(wrong, "ip alone has "+line)
		}
	}
	if len(texts) != len(before) {
		wrong = append(wrong, fmt.Sprintf("%d routes, ip has %d", len(texts), len(before)))
	}
	more, err := s.settledObjects()
	if err != nil {
		return nil, err
	}
	wrong = append(wrong, more...)
	ids, err := s.identities()
	if err != nil {
		return nil, err
	}
	last := s.events.last
	if err := s.drain(); err != nil {
		return nil, err
	}
	if last != s.events.last {
		wrong = append(wrong, "more has happened meanwhile")
	}
	if s.events.state != nil {
		wrong = append(wrong, differences(s.events.state, ids)...)
	}
	if len(wrong) == 0 {
		if s.events.state != nil {
			s.replays++
		}
		s.events.state, s.events.losses = ids, 0
	}
	return wrong, nil
}

// settledObjects compares rules and nexthop objects with the model and with ip.
func (s *soak) settledObjects() (wrong []string, err error) {
	for _, q := range []soakQuery{s.rulesQuery(), s.nexthopsQuery(), s.countsQuery()} {
		from := time.Now()
		rows, err := s.query(q.sql)
		if err != nil {
			return nil, err
		}
		wrong = append(wrong, q.check(s, rows, from, time.Now())...)
	}
	var rules []soakRow
	for _, family := range []string{"4", "6"} {
		for _, o := range s.ipObjects("-" + family + " -j rule show") {
			if r := (soakRow{"family": "ipv" + family, "priority": o.text("priority"),
				"src": o.text("src") + "/" + o.text("srclen"), "table_name": o.text("table")}); o.text("srclen") != "" {
				rules = append(rules, r)
			}
		}
	}
	now := time.Now()
	of := func(kind string) func(*soakThing) bool { return func(is *soakThing) bool { return is.kind == kind } }
	wrong = append(wrong, s.model.compare(&soakAnswer{from: now, to: now, wanted: of("rule"),
		rows: textsOf(rules, placeOfRule, textOfRule)})...)
	var objects []soakRow
	for _, o := range s.ipObjects("-j nexthop show") {
		if o["group"] == nil {
			objects = append(objects, soakRow{"nexthop_id": o.text("id"), "gateway": o.text("gateway"),
				"dev": o.text("dev")})
		}
		for _, m := range o.list("group") {
			objects = append(objects, soakRow{"nexthop_id": o.text("id"), "group_member_id": m.text("id"),
				"weight": m.textOr("weight", "1")})
		}
	}
	return append(wrong, s.model.compare(&soakAnswer{from: now, to: now, wanted: of("nexthop"),
		rows: textsOfNexthops(objects)})...), nil
}

// An ipObject is what ip -j prints of one thing.
type ipObject map[string]any

func (o ipObject) text(key string) string { return o.textOr(key, "") }

func (o ipObject) textOr(key, none string) string {
	if o[key] == nil {
		return none
	}
	return fmt.Sprint(o[key])
}

func (o ipObject) list(key string) (all []ipObject) {
	values, _ := o[key].([]any)
	for _, v := range values {
		all = append(all, v.(map[string]any))
	}
	return all
}

func (s *soak) ipObjects(args string) (all []ipObject) {
	d := json.NewDecoder(strings.NewReader(nstest.IP(s.t, args)))
	d.UseNumber()
	if err := d.Decode(&all); err != nil {
		s.t.Fatalf("ip %s: %v", args, err)
	}
	return all
}

// ipRoutes are all routes that ip shows, as wholeText has them.
func (s *soak) ipRoutes() (all []string) {
	for _, family := range []string{"4", "6"} {
		for _, o := range s.ipObjects("-" + family + " -d -j route show table all") {
			r := soakRow{"family": "ipv" + family, "table_name": o.text("table"), "dst": o.text("dst"),
				"metric": o.textOr("metric", "0"), "type": o.text("type"), "protocol": o.text("protocol"),
				"gateway": o.text("gateway"), "dev": o.text("dev"), "nexthop_count": "1", "nexthop_id": o.text("nhid")}
			if !strings.Contains(r["dst"], "/") {
				r["dst"] += map[string]string{"4": "/32", "6": "/128"}[family]
			}
			if hops := o.list("nexthops"); len(hops) > 0 {
				if r["nexthop_count"] = fmt.Sprint(len(hops)); len(hops) == 1 { // a group with one member
					r["gateway"], r["dev"] = hops[0].text("gateway"), hops[0].text("dev")
				}
			}
			for _, m := range o.list("metrics") {
				r["mtu"] = m.text("mtu")
			}
			all = append(all, wholeText(r))
		}
	}
	slices.Sort(all)
	return all
}

// wholeText is a route's row with all that ip shows, too.
func wholeText(r soakRow) string {
	p := placeOfRoute(r)
	if r["type"] != "unicast" {
		return fmt.Sprintf("%v %s %s %s", p, r["type"], r["protocol"], r["mtu"])
	}
	return fmt.Sprintf("%v unicast %s %s %s %s %s object %s", p, r["protocol"], r["gateway"], r["dev"],
		r["nexthop_count"], r["mtu"], r["nexthop_id"])
}
