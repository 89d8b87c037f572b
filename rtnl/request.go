package rtnl

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

// A Namespace is a network namespace by the path of a file that stands for it:
// "/run/netns/NAME", "/proc/PID/ns/net"; or by its inode: "net:[4026531840]". "" is the one
// that the calling thread is in.
type Namespace = conn.Namespace

// A FoundNamespace is one that there is.
type FoundNamespace = conn.Found

// NamespaceOf returns the namespace with an inode, whose file is looked for.
func NamespaceOf(inode uint64) Namespace { return conn.NamespaceOf(inode) }

// A Filter says which routes are wanted.
type Filter = object.Filter

// A Request says what a Snapshot is to hold.
type Request struct {
	Namespace Namespace
	// NamespaceID, if not 0, is the inode that the namespace must have: see Namespace.ID. A
	// Cache tells namespaces apart by it.
	NamespaceID uint64
	// Kinds are those whose objects are wanted.
	Kinds []*object.Kind
	// Along are kinds of which all objects are wanted too, but in messages that may lack what
	// is never decoded (object.Kind.Known), and not to be counted.
	Along []*object.Kind
	// Referred are kinds of which those objects are wanted that the others refer to. Their
	// messages may lack what is never decoded (object.Kind.Known).
	Referred []*object.Kind
	// Filter says which routes are wanted, if routes are.
	Filter

	// Numbers are the numbers (object.Kind.Number) of those objects of a kind in Kinds that are
	// wanted, if they are known. Where they are few and the kernel can be asked so, it is
	// asked for these alone. Otherwise others come too.
	Numbers map[*object.Kind][]uint32
	// CountBy, if set, has routes counted by what it tells apart, instead of read: they are in
	// Snapshot.Groups. That takes little more time than the kernel does to send them, and
	// hardly any memory: they are counted on the bytes as they come, and kept only where they
	// changed meanwhile, so that one dump is not enough to count them. Routes must be the only
	// kind in Kinds, or in Along, and IDs mean nothing.
	CountBy *object.Grouping

	// GivesIDs says that the identities of the routes will be given out, to be looked
	// up soon, and IDs are identities that are looked up. A Cache answers the one as
	// of the answer to the other; for a Kernel neither means anything, for it is the
	// Filter that makes a look-up small.
	GivesIDs bool
	IDs      []string
	// Gives, if set, yields the identities that will be given out of those in the
	// snapshot: for conditions that the Filter does not know. It may be called when
	// the answer is long given, on another goroutine, or never.
	Gives func(*Snapshot) iter.Seq[[]byte]
}

// RouteRequest returns a request for the routes that a filter lets through, and what they
// refer to: their interfaces and nexthop objects.
func RouteRequest(f Filter) Request {
	return Request{Kinds: []*object.Kind{object.Routes.Kind},
		Referred: []*object.Kind{object.Links.Kind, object.NexthopObjects.Kind}, Filter: f}
}

// All reports whether all objects of a kind are wanted, but for what the filter says.
func (r *Request) All(k *object.Kind) bool {
	return slices.Contains(r.Kinds, k) || slices.Contains(r.Along, k)
}

// whole reports whether the objects of a kind are wanted in their whole messages.
func (r *Request) whole(k *object.Kind) bool { return slices.Contains(r.Kinds, k) }

// brings reports whether objects of a kind are wanted.
func (r *Request) brings(k *object.Kind) bool { return r.All(k) || slices.Contains(r.Referred, k) }

// kinds returns the kinds of which objects are wanted.
func (r *Request) kinds() []*object.Kind { return join(join(r.Kinds, r.Along), r.Referred) }

// checkNamespace returns an error if a namespace is not the one that is asked for.
func (r *Request) checkNamespace(held Namespace) error {
	if r.NamespaceID == 0 {
		return nil
	}
	id, err := held.ID()
	if err != nil || id == r.NamespaceID {
		return err
	}
	return &ReadError{Op: "enter network namespace " + string(r.Namespace), Kind: ErrNoNamespace,
		Err:    fmt.Errorf("the file stands for net:[%d] by now, not for net:[%d]", id, r.NamespaceID),
		Remedy: "ask again"}
}

// check returns an error for a request that names no kind, which is a mistake and no
// request for nothing.
func (r *Request) check() error {
	if len(r.Kinds) == 0 {
		return &ReadError{Op: "read", Err: errors.New("no kind of object is asked for"),
			Remedy: "name some in Request.Kinds"}
	}
	return r.checkCount()
}

// Nothing reports whether no object can be wanted.
func (r *Request) Nothing() bool {
	return !slices.ContainsFunc(r.Kinds, func(k *object.Kind) bool { return !r.Of(k).None })
}

// few reports whether few objects of a kind are wanted, by their numbers, and nothing that
// could refer to others.
func (r *Request) few(k *object.Kind) bool {
	n := len(r.Numbers[k])
	return 0 < n && n <= maxLookups && len(r.Kinds) == 1 && len(r.Along) == 0 && r.whole(k)
}

// numbers returns Numbers of a request that brings all that either of two brings.
func (r *Request) numbers(o *Request) map[*object.Kind][]uint32 {
	var u map[*object.Kind][]uint32
	for _, k := range join(r.Kinds, o.Kinds) {
		mine, others := r.Numbers[k], o.Numbers[k]
		switch {
		case r.All(k) && o.All(k) && (mine == nil || others == nil):
		case len(mine)+len(others) > 0:
			if u == nil {
				u = map[*object.Kind][]uint32{}
			}
			u[k] = join(mine, others)
		}
	}
	return u
}

// Union returns a request that brings all that either of two brings, which are of one
// namespace. Routes that either counts are read.
func (r Request) Union(o Request) Request {
	r.completeCount()
	o.completeCount()
	u := Request{Namespace: r.Namespace, NamespaceID: r.NamespaceID, Kinds: join(r.Kinds, o.Kinds),
		Along: join(r.Along, o.Along), Referred: join(r.Referred, o.Referred), Numbers: r.numbers(&o),
		Filter: unionOfFilters(&r, &o)}
	for _, f := range []*Filter{&r.Filter, &o.Filter} {
		if k := f.Chooses(); k != nil {
			u.Referred = join(u.Referred, []*object.Kind{k})
		}
	}
	return u
}

// unionOfFilters returns a filter for all that either of two requests wants. A filter says
// nothing where there is nothing to be filtered.
func unionOfFilters(requests ...*Request) Filter {
	routes, families := Filter{None: true}, Filter{None: true}
	filtered, byFamily := false, false
	for _, r := range requests {
		kinds := join(r.Kinds, r.Along)
		if slices.ContainsFunc(kinds, func(k *object.Kind) bool { return k.Filtered }) {
			routes, filtered = routes.Union(&r.Filter), true
		}
		if i := slices.IndexFunc(kinds, func(k *object.Kind) bool { return k.ByFamily }); i >= 0 {
			families, byFamily = families.Union(r.Of(kinds[i])), true
		}
	}
	switch {
	case !filtered && !byFamily:
		return Filter{}
	case !filtered:
		return families
	case byFamily:
		// There are few objects of which the families alone choose: rather all of these than
		// routes of more families.
		routes.EveryFamily = (routes.None || len(routes.Families) > 0) &&
			(routes.None != families.None || !slices.Equal(routes.Families, families.Families))
	}
	return routes
}

// join returns what is in one list or the other.
func join[T comparable](a, b []T) []T {
	all := slices.Clone(a)
	for _, k := range b {
		if !slices.Contains(all, k) {
			all = append(all, k)
		}
	}
	return all
}
