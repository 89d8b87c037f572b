package rtnl

import (
	"errors"

	"kernelroutes/rtnl/object"
)

// A Group is how many routes there are of one class: see Request.CountBy.
type Group struct {
	object.Class
	object.Counts
}

// checkCount returns an error for a request that has something else counted than routes.
func (r *Request) checkCount() error {
	if r.CountBy == nil || len(r.Kinds) == 1 && r.Kinds[0] == object.Routes.Kind {
		return nil
	}
	return &ReadError{Op: "count by class", Err: errors.New("not only routes are asked for"),
		Remedy: "have object.Routes.Kind alone in Request.Kinds"}
}

// completeCount adds the objects to a request that must be known to count its routes.
func (r *Request) completeCount() {
	if r.CountBy != nil && r.CountBy.UsesObjects() {
		r.Referred = join(r.Referred, []*object.Kind{object.NexthopObjects.Kind})
	}
}

// counted returns the snapshot with its routes counted instead, and those that were counted
// before, if any.
func (s *Snapshot) counted(by *object.Grouping, before *object.Tally) *Snapshot {
	all := object.NewTally(*by)
	if before != nil {
		all.Union(before)
	}
	all.AddAll(s.Runs(object.Routes.Kind))
	s = s.with(object.Routes.Kind, nil)
	for class, counts := range all.Resolve(byNumber(s, object.NexthopObjects)) {
		s.Groups = append(s.Groups, Group{class, counts})
	}
	return s
}
