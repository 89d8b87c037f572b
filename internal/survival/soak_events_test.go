package survival

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"
)

// soakEvents follows the rows of kernel_route_events of one life of the extension.
type soakEvents struct {
	last   int             // the last seq that was seen
	state  map[string]bool // the identities that rows lead to; nil: it is not known where they began
	losses int             // since state was compared
}

// drain takes in what has happened since. It returns an error where the table cannot be asked.
func (s *soak) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rows, err := s.manager.Query(ctx, "SELECT seq, action, object, route_id, old_route_id, rule_id, nexthop_id, "+
		"pid, port_id, boot_seq_lost FROM kernel_route_events WHERE seq > "+fmt.Sprint(s.events.last))
	if err != nil {
		return err
	}
	s.queries.Add(1)
	for i, r := range rows {
		seq, _ := strconv.Atoi(r["seq"])
		if i == 0 && seq > s.events.last+1 { // the oldest were dropped
			s.dropped += seq - s.events.last - 1
			s.events.state = nil
		} else if seq != s.events.last+1 {
			s.t.Errorf("after event %d comes %d", s.events.last, seq)
		}
		s.events.last = seq
		s.followed++
		s.take(r)
	}
	return nil
}

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
	// All is done by this process, whose one socket for it has another process's name nowhere.
	if port := r["port_id"]; port != "" && port != "0" && r["pid"] != fmt.Sprint(os.Getpid()) {
		s.strangers++
		s.stranger = fmt.Sprint(r)
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
	for _, sql := range []string{"SELECT route_id AS id FROM kernel_routes", "SELECT rule_id AS id FROM kernel_route_rules",
		"SELECT 'nexthop ' || nexthop_id AS id FROM kernel_nexthops"} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		rows, err := s.manager.Query(ctx, sql)
		cancel()
		if err != nil {
			return nil, err
		}
		s.queries.Add(1)
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
