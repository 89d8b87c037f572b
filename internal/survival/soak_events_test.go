package survival

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
)

// soakEvents follows the rows of kernel_route_events of one life of the extension.
type soakEvents struct {
	last   int             // the last seq that was seen
	state  map[string]bool // the identities that rows lead to; nil: it is not known where they began
	losses int             // since state was compared
}

// soakDrain is how many events are asked for at once: an answer may take so much of osquery's memory.
const soakDrain = 15_000

// drain takes in what has happened since. It returns an error where the table cannot be asked.
func (s *soak) drain() error {
	for {
		most := s.events.last + soakDrain
		rows, err := s.query(fmt.Sprintf("SELECT seq, action, object, route_id, old_route_id, rule_id, nexthop_id, "+
			"pid, port_id, boot_seq_lost FROM kernel_route_events WHERE seq > %d AND seq <= %d", s.events.last, most))
		if err != nil {
			return err
		}
		if len(rows) == 0 { // or there are only later ones
			rows, err = s.query(fmt.Sprintf("SELECT seq FROM kernel_route_events WHERE seq > %d", most))
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				return nil
			}
			s.skip(rows[0])
			continue
		}
		for i, r := range rows {
			if i == 0 {
				s.skip(r)
			}
			if r["seq"] != fmt.Sprint(s.events.last+1) {
				s.t.Errorf("after event %d comes %s", s.events.last, r["seq"])
			}
			s.events.last++
			s.followed++
			s.take(r)
		}
		if s.events.last < most {
			return nil
		}
	}
}

// skip passes over events that are not kept any more, before a row.
func (s *soak) skip(r soakRow) {
	if seq, _ := strconv.Atoi(r["seq"]); seq > s.events.last+1 {
		s.dropped += seq - s.events.last - 1
		s.events.last, s.events.state = seq-1, nil
	}
}

// identityOfEvent is what identities has of what an event is about; "" for links and addresses.
func identityOfEvent(r soakRow) string {
	switch r["object"] {
	case "route":
		return r["route_id"]
	case "rule":
		return r["rule_id"]
	case "nexthop":
		return "nexthop " + r["nexthop_id"]
	}
	return ""
}

// take takes in an event.
func (s *soak) take(r soakRow) {
	if (r["action"] == "lost") != (r["object"] == "") || r["action"] == "lost" && r["boot_seq_lost"] != "1" {
		s.t.Errorf("a loss is %v", r)
	}
	if r["action"] == "lost" {
		s.lost++
		s.events.losses++
		return
	}
	// All is done by this process. Without descriptors nobody is found.
	if port := r["port_id"]; port != "" && port != "0" && r["pid"] != fmt.Sprint(os.Getpid()) {
		if s.unknown++; r["pid"] != "" {
			s.t.Errorf("another author: %v", r)
		}
	}
	id := identityOfEvent(r)
	if s.events.state == nil || id == "" {
		return
	}
	if old := r["old_route_id"]; old != "" {
		delete(s.events.state, old)
	}
	if r["action"] == "deleted" || r["action"] == "gone" {
		delete(s.events.state, id)
	} else {
		s.events.state[id] = true
	}
}

// identities are those of all that there is.
func (s *soak) identities() (map[string]bool, error) {
	all := map[string]bool{}
	for _, sql := range []string{"SELECT route_id AS id FROM kernel_routes",
		"SELECT rule_id AS id FROM kernel_route_rules", "SELECT 'nexthop ' || nexthop_id AS id FROM kernel_nexthops"} {
		rows, err := s.query(sql)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			all[r["id"]] = true
		}
	}
	return all, nil
}

// differences says what is in one of two sets alone.
func differences(told, is map[string]bool) (all []string) {
	for _, id := range slices.Sorted(maps.Keys(told)) {
		if !is[id] {
			all = append(all, "events lead to "+id+", which is not there")
		}
	}
	for _, id := range slices.Sorted(maps.Keys(is)) {
		if !told[id] {
			all = append(all, "no event tells of "+id)
		}
	}
	return all
}
