package survival

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"kernelroutes/internal/osquerytest"
)

// A soakQuery is a statement that is asked, and what tells whether the answer is right.
type soakQuery struct {
	sql   string
	check func(s *soak, rows []soakRow, from, to time.Time) (wrong []string)
}

// ask runs a query and compares its answer with the model. An answer is not wrong where it is an
// error, which is returned.
func (s *soak) ask(q soakQuery, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	from := time.Now()
	answer, err := s.manager.Run(ctx, q.sql)
	rows, to := answer.Rows, time.Now()
	if err != nil {
		return fmt.Errorf("%s: %w", q.sql, err)
	}
	s.queries.Add(1)
	s.rows.Add(int64(len(rows)))
	if took := to.Sub(from); took > time.Duration(s.slowest.Load()) {
		s.slowest.Store(int64(took))
	}
	part := isPart(rows)
	if part {
		s.parts.Add(1)
	}
	if wrong := q.check(s, rows, from, to); len(wrong) > 0 {
		s.t.Errorf("%s\nat %v, in %v, %d rows, consistent %v:\n%s", q.sql, from.Sub(s.began), to.Sub(from),
			len(rows), !part, strings.Join(wrong[:min(len(wrong), 20)], "\n"))
		s.showRequests(answer.Requests)
	}
	return nil
}

// showRequests shows what an answer that is wrong was made of.
func (s *soak) showRequests(all []osquerytest.Request) {
	var text strings.Builder
	for _, r := range all {
		fmt.Fprintf(&text, "%s %s\n", r.Table, r.Context)
		for _, row := range r.Rows {
			fmt.Fprintf(&text, "\t%v\n", row)
		}
	}
	file := filepath.Join(os.TempDir(), fmt.Sprintf("soak-%d.txt", time.Now().UnixNano()))
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		s.t.Error(err)
	}
	s.t.Logf("the requests and their answers are in %s", file)
}

func isPart(rows []soakRow) bool {
	return slices.ContainsFunc(rows, func(r soakRow) bool { return r["snapshot_consistent"] == "0" })
}

// notKernels are the rows that are not of routes that the kernel makes with addresses and links.
func notKernels(rows []soakRow) []soakRow {
	return slices.DeleteFunc(slices.Clone(rows), func(r soakRow) bool { return r["protocol"] == "kernel" })
}

// routesWhere asks for routes with conditions that the model can tell.
func routesWhere(where string, wanted func(*soakThing) bool) soakQuery {
	sql := "SELECT " + soakRouteColumns + " FROM kernel_routes " + where
	return soakQuery{sql, func(s *soak, rows []soakRow, from, to time.Time) []string {
		return s.model.compare(&soakAnswer{from: from, to: to, part: isPart(rows),
			rows:   textsOf(notKernels(rows), placeOfRoute, textOfRoute),
			wanted: func(is *soakThing) bool { return is.kind == "route" && (wanted == nil || wanted(is)) }})
	}}
}

// hopsWhere asks for the nexthops of routes that use no nexthop object.
func hopsWhere(from, where string, wanted func(*soakThing) bool) soakQuery {
	sql := "SELECT n.family, n.table_name, n.dst, n.metric, n.protocol, n.nexthop_index, n.gateway, n.dev, n.weight, " +
		"n.snapshot_consistent FROM " + from + " WHERE n.nexthop_id IS NULL AND n.type = 'unicast' AND " + where
	return soakQuery{sql, func(s *soak, rows []soakRow, from, to time.Time) []string {
		texts := map[soakPlace][]string{}
		for _, r := range notKernels(rows) {
			p := placeOfRoute(r)
			text := hopText(r["nexthop_index"], r["gateway"], r["dev"], r["weight"])
			if r["nexthop_index"] == "0" || texts[p] == nil {
				texts[p] = append(texts[p], text)
			} else {
				texts[p][len(texts[p])-1] += ", " + text
			}
		}
		return s.model.compare(&soakAnswer{from: from, to: to, part: isPart(rows), rows: texts, hops: true,
			wanted: func(is *soakThing) bool {
				return is.kind == "route" && is.typ == "unicast" && is.nexthop == 0 && wanted(is)
			}})
	}}
}

func (s *soak) rulesQuery() soakQuery {
	const sql = "SELECT " + soakRuleColumns + " FROM kernel_route_rules WHERE priority BETWEEN 1000 AND 1999"
	return soakQuery{sql, func(s *soak, rows []soakRow, from, to time.Time) []string {
		return s.model.compare(&soakAnswer{from: from, to: to, part: isPart(rows),
			rows:   textsOf(rows, placeOfRule, textOfRule),
			wanted: func(is *soakThing) bool { return is.kind == "rule" }})
	}}
}

func (s *soak) nexthopsQuery() soakQuery {
	const sql = "SELECT " + soakNexthopColumns + " FROM kernel_nexthops"
	return soakQuery{sql, func(s *soak, rows []soakRow, from, to time.Time) []string {
		return s.model.compare(&soakAnswer{from: from, to: to, part: isPart(rows),
			rows: textsOfNexthops(rows), wanted: func(is *soakThing) bool { return is.kind == "nexthop" }})
	}}
}

// countsQuery counts routes, of which there are between so many and so many.
func (s *soak) countsQuery() soakQuery {
	const sql = "SELECT family, table_name, protocol, routes, snapshot_consistent FROM kernel_route_counts " +
		"WHERE protocol <> 'kernel'"
	return soakQuery{sql, func(s *soak, rows []soakRow, from, to time.Time) (wrong []string) {
		counts := map[[3]string]int{}
		for _, r := range rows {
			counts[[3]string{r["family"], r["table_name"], r["protocol"]}], _ = strconv.Atoi(r["routes"])
		}
		for _, family := range []string{"ipv4", "ipv6"} {
			for _, table := range soakTables {
				for _, protocol := range soakProtocols {
					least, most := s.model.bounds(from, to, func(is *soakThing) bool {
						return is.kind == "route" && is.family == family && is.table == table && is.protocol == protocol
					})
					key := [3]string{family, table, protocol}
					if n := counts[key]; n > most || n < least && !isPart(rows) {
						wrong = append(wrong, fmt.Sprintf("%v: %d, not %d to %d", key, n, least, most))
					}
					delete(counts, key)
				}
			}
		}
		if len(counts) > 0 {
			wrong = append(wrong, fmt.Sprintf("other counts %v", counts))
		}
		return wrong
	}}
}

// lookupsQuery asks where a packet goes that a route of table main is for, or none.
func (s *soak) lookupsQuery(n int) soakQuery {
	p := placeNumber(n &^ 6) // main
	address := netip.MustParsePrefix(p.dst).Addr().Next().String()
	sql := "SELECT destination, matched_dst, gateway, metric, type, error, table_name FROM kernel_route_lookups " +
		"WHERE destination = '" + address + "'"
	return soakQuery{sql, func(s *soak, rows []soakRow, from, to time.Time) []string {
		if len(rows) != 1 {
			return []string{fmt.Sprintf("%d rows: %v", len(rows), rows)}
		}
		r := rows[0]
		s.model.mu.Lock()
		defer s.model.mu.Unlock()
		absent := true
		var may []string
		for _, metric := range []int{100, 200} {
			p.metric = metric
			all := s.model.possible(p, from, to)
			absent = absent && slices.Contains(all, nil)
			for _, is := range all {
				switch {
				case is == nil:
				case is.typ == "blackhole" && r["error"] == "blackhole", is.nexthop != 0 && r["error"] == "",
					is.typ == "unicast" && r["error"] == "" && (slices.Contains(is.gateways, r["gateway"])):
					return nil
				default:
					may = append(may, is.text)
				}
			}
		}
		if absent && r["error"] != "" && r["error"] != "blackhole" {
			return nil
		}
		return []string{fmt.Sprintf("%v, may be %q, none %v", r, may, absent)}
	}}
}

// objectsQuery joins routes with the nexthop objects that they use. Of a row that is there, both were
// at some time.
func (s *soak) objectsQuery(family, table string) soakQuery {
	sql := "SELECT r.family, r.table_name, r.dst, r.metric, r.protocol, r.nexthop_id, o.gateway, o.dev, " +
		"o.group_member_id, o.weight FROM kernel_routes r JOIN kernel_nexthops o USING (nexthop_id) " +
		"WHERE r.family = '" + family + "' AND r.table_name = '" + table + "' AND r.metric = 100"
	return soakQuery{sql, func(s *soak, rows []soakRow, from, to time.Time) (wrong []string) {
		s.model.mu.Lock()
		defer s.model.mu.Unlock()
		for _, r := range rows {
			route := s.model.possible(placeOfRoute(r), from, to)
			object := s.model.possible(placeOfNexthop(r), from, to)
			if !slices.ContainsFunc(route, func(is *soakThing) bool {
				return is != nil && fmt.Sprint(is.nexthop) == r["nexthop_id"]
			}) || !slices.ContainsFunc(object, func(is *soakThing) bool {
				return is != nil && (is.text == "via "+r["gateway"]+" dev "+r["dev"] || strings.Contains(is.text+" ",
					" "+r["group_member_id"]+"/"+r["weight"]+" "))
			}) {
				wrong = append(wrong, fmt.Sprint(r))
			}
		}
		return wrong
	}}
}

// someQuery makes up a query.
func (s *soak) someQuery() soakQuery {
	c := s.chance
	table, family := soakTables[c.IntN(4)], []string{"ipv4", "ipv6"}[c.IntN(2)]
	inTable := func(is *soakThing) bool { return is.table == table }
	n := c.IntN(soakPlaces)
	p := placeNumber(n)
	switch c.IntN(14) {
	case 0:
		return routesWhere("", nil)
	case 1:
		return routesWhere("WHERE table_name = '"+table+"'", inTable)
	case 2:
		other := soakTables[c.IntN(4)]
		return routesWhere("WHERE table_name IN ('"+table+"', '"+other+"') AND family = '"+family+"'",
			func(is *soakThing) bool { return (inTable(is) || is.table == other) && is.family == family })
	case 3:
		return routesWhere("WHERE dst = '"+p.dst+"'", func(is *soakThing) bool { return is.dst == p.dst })
	case 4:
		dev := []string{"v0", "v1", "w0"}[c.IntN(3)]
		return routesWhere("WHERE dev = '"+dev+"' AND nexthop_id IS NULL AND type = 'unicast'",
			func(is *soakThing) bool { return is.dev == dev && is.nexthop == 0 && is.typ == "unicast" })
	case 5:
		return routesWhere("WHERE protocol = 'bgp' AND metric = 100",
			func(is *soakThing) bool { return is.protocol == "bgp" && is.metric == 100 })
	case 6:
		address := netip.MustParsePrefix(p.dst).Addr().Next().String()
		return routesWhere("WHERE covers = '"+address+"'", func(is *soakThing) bool { return is.dst == p.dst })
	case 7:
		return hopsWhere("kernel_route_nexthops n", "n.table_name = '"+table+"'", inTable)
	case 8:
		return hopsWhere("kernel_routes r JOIN kernel_route_nexthops n USING (route_id)", "r.table_name = '"+table+
			"' AND r.family = '"+family+"' AND r.metric = 200 AND r.nexthop_count = 4 AND r.nexthop_id IS NULL",
			func(is *soakThing) bool {
				return is.family == family && is.metric == 200 && inTable(is) && len(is.gateways) == 4
			})
	case 9:
		return s.rulesQuery()
	case 10:
		return s.nexthopsQuery()
	case 11:
		return s.countsQuery()
	case 12:
		return s.objectsQuery(family, table)
	}
	return s.lookupsQuery(n)
}
