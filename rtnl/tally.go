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

// checkCount returns an error for a request that has no routes counted, or has them read too.
func (r *Request) checkCount() error {
	routes := object.Routes.Kind
	if r.CountBy == nil || len(r.Kinds) == 1 && r.Kinds[0] == routes || !r.whole(routes) && r.All(routes) {
		return nil
	}
	return &ReadError{Op: "count by class", Err: errors.New("it is not routes alone that are asked for"),
		Remedy: "have object.Routes.Kind alone in Request.Kinds, or in Request.Along"}
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
	var objects map[uint32]*object.NexthopObject
	if by.UsesObjects() {
		objects = byNumber(s, object.NexthopObjects)
	}
	for class, counts := range all.Resolve(objects) {
		s.Groups = append(s.Groups, Group{class, counts})
	}
	return s
}
