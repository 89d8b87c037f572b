package tables

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kernelroutes/internal/inorder"
	"kernelroutes/rtnl"
)

// Every table shows the network namespace that the process is in, or those that a query
// names: by name or path, as that of a process, or by inode, with which joins say that both
// tables are to show the same one. What is asked for is a condition on a column like any
// other for SQLite, which drops rows that do not show what was asked: so each row shows the
// name by which its namespace was asked for.

// The columns of namespaces.
const (
	netnsName = "netns"
	netnsPID  = "pid_with_namespace" // as osquery's own tables have it
	netnsID   = "netns_id"
)

// NamespaceInput is ColumnInfo.Input of these columns.
const NamespaceInput = netnsName

// allNamespaces stands for each namespace that there is.
const allNamespaces = "*"

// NetnsFolder is where ip netns names namespaces.
const NetnsFolder = "/run/netns/"

// A place is a network namespace as a query asks for it. The zero value is the one that the
// process is in.
type place struct {
	namespace rtnl.Namespace
	id        uint64 // its inode; 0: not known
	netns     string // as column netns has it
	pid       int64  // as column pid_with_namespace has it

	// idSuffix ends the identities of objects that are not of the process's own namespace: two
	// namespaces have routes that are alike. So a join by an identity alone finds the one that
	// is meant.
	idSuffix string
}

// newPlace returns the namespace with an inode that a path leads to.
func newPlace(ns rtnl.Namespace, id uint64) place {
	at := place{namespace: ns, id: id}
	if ns != "" {
		at.idSuffix = IDSuffix(id)
	}
	return at
}

const idMark = "@"

// cutID splits an identity from the inode of its namespace, 0 for that of the process.
func cutID(value string) (id string, inode uint64, ok bool) {
	id, number, found := strings.Cut(value, idMark)
	if !found {
		return id, 0, true
	}
	inode, ok = spellNumber(number, 1<<64-1)
	return id, inode, ok && inode != 0
}

// all reports whether it is one of all that there are.
func (at *place) all() bool { return at.netns == allNamespaces }

// checkOwn returns an error that says why, if it is another namespace than that of the process.
func (at *place) checkOwn(src Source, why string) error {
	if at.namespace == "" {
		return nil
	}
	own, err := src.NamespaceID("")
	if err == nil && at.id != own {
		err = errors.New(why) // eachPlace names the namespace
	}
	return err
}

// request returns the request for the namespace.
func (at *place) request(req *rtnl.Request) rtnl.Request {
	r := *req
	r.Namespace, r.NamespaceID = at.namespace, at.id
	return r
}

// appendKey appends what tells the rows of the namespace from others, nothing for those of
// the one that the process is in.
func (at *place) appendKey(b []byte) []byte {
	if at.namespace == "" && at.netns == "" && at.pid == 0 {
		return b
	}
	b = append(append(b, at.netns...), 0)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, at.id), uint64(at.pid))
}

// namespaceColumns are the first columns of every table.
func namespaceColumns[R any]() []column[R] {
	name := declare[R](netnsName, Text,
		"Input: network namespace to show, by its name in /run/netns or the path of its file, * for each that a "+
			"process or a mount keeps; empty: the one that osquery runs in", nothing)
	name.sharedText = func(s *scope, b []byte) []byte { return append(b, s.netns...) }
	pid := declare[R](netnsPID, Integer,
		"Input: process whose network namespace to show; 0: see netns", nothing)
	pid.sharedNumber = func(s *scope) (int64, bool) { return s.pid, true }
	id := declare[R](netnsID, BigInt,
		"Inode of the network namespace, as in /proc/PID/ns/net; joins tables that show several; as a condition "+
			"it shows the namespace that has it; absent if a capture does not say", nothing)
	id.sharedNumber = func(s *scope) (int64, bool) { return int64(s.id), s.id != 0 }
	name, pid = name.from(askedFor), pid.from(askedFor)
	// Before 3.8 the inode was another one for each process.
	id = id.from("inode of /proc/PID/ns/net").since("3.8")
	pid, id = pid.holds(anyNumber), id.holds(anyNumber)
	columns := []column[R]{name, pid, id}
	for i := range columns {
		columns[i] = columns[i].hidden().input(NamespaceInput)
	}
	return columns
}

// asked returns the values that a query asks for in a column.
func (p *plan[R]) asked(column string) []string {
	for i := range p.checks {
		if p.columns[p.checks[i].column].Name == column {
			return p.checks[i].values
		}
	}
	return nil
}

// places returns the namespaces that the query is about.
func (p *plan[R]) places(src Source) ([]place, error) {
	names, pids, ids := p.asked(netnsName), p.asked(netnsPID), p.asked(netnsID)
	foreign := slices.ContainsFunc(p.inodes, func(id uint64) bool { return id != 0 })
	if len(names) == 0 && len(pids) == 0 && len(ids) == 0 && !foreign && !p.namesID {
		return []place{{}}, nil
	}
	own, err := src.NamespaceID("")
	if err != nil {
		return nil, err
	}
	var all []place
	switch {
	case len(names) > 0:
		if all, err = placesByName(src, own, names); err != nil || len(pids) == 0 {
			return all, err
		}
		// A row shows both, so that both must mean the same namespace.
		other, err := placesByPID(src, own, pids)
		if err != nil {
			return nil, err
		}
		var both []place
		for _, at := range all {
			for _, o := range other {
				if at.id == o.id {
					at.pid = o.pid
					both = append(both, at)
				}
			}
		}
		return both, nil
	case len(pids) > 0:
		return placesByPID(src, own, pids)
	case len(ids) > 0:
		inodes := []uint64{}
		for _, id := range wholeNumbers(ids) {
			if id >= 0 { // or none has it
				inodes = append(inodes, uint64(id))
			}
		}
		return placesByInode(src, own, inodes)
	case len(p.inodes) > 0:
		return placesByInode(src, own, p.inodes)
	}
	return []place{{id: own}}, nil
}

// placesByInode returns the namespaces with some inodes, each once; 0 stands for that of the process.
func placesByInode(src Source, own uint64, inodes []uint64) (all []place, err error) {
	for _, id := range inodes {
		if (id == 0 || id == own) && slices.ContainsFunc(all, func(at place) bool { return at.namespace == "" }) {
			continue
		}
		at := newPlace("", own)
		if id != 0 && id != own {
			at = newPlace(rtnl.NamespaceOf(id), id)
			if _, err := src.NamespaceID(at.namespace); err != nil {
				return nil, err // as a capture is of one
			}
		}
		all = append(all, at)
	}
	return all, nil
}

// placeOf returns a namespace in which a row shows what was asked for.
func placeOf(src Source, own uint64, ns rtnl.Namespace) (place, error) {
	id, err := src.NamespaceID(ns)
	if err != nil || id == own {
		return newPlace("", own), err
	}
	return newPlace(ns, id), nil
}

func placesByName(src Source, own uint64, names []string) (all []place, err error) {
	for _, name := range distinct(names) {
		if name == allNamespaces {
			found, unseen, err := src.Namespaces()
			if err != nil {
				return nil, err
			}
			if unseen > 0 {
				return nil, fmt.Errorf("%s='*': the network namespaces of at least %d processes cannot be "+
					"seen, so that some may be missing; %s", netnsName, unseen, asRoot)
			}
			for _, f := range found {
				at := newPlace(f.Namespace, f.ID)
				at.netns = name
				all = append(all, at)
			}
			continue
		}
		ns, err := ParseNetns(name)
		if err != nil {
			return nil, err
		}
		at, err := placeOf(src, own, ns)
		if err != nil {
			return nil, err
		}
		at.netns = name
		all = append(all, at)
	}
	return all, nil
}

const asRoot = "it takes root (CAP_SYS_ADMIN, and CAP_SYS_PTRACE for processes of other users), or name one namespace"

// ParseNetns reads a value of column netns: a name in /run/netns or a path, "" for the namespace that
// the process is in.
func ParseNetns(name string) (rtnl.Namespace, error) {
	switch ns := rtnl.Namespace(name); {
	case name == "", strings.HasPrefix(name, "/"), ns.IsInode():
		return ns, nil
	case strings.Contains(name, "/"):
		return "", fmt.Errorf("%s=%s: a path begins with /; a name is that of a file in %s", netnsName, quote(name),
			NetnsFolder)
	}
	return rtnl.Namespace(NetnsFolder + name), nil
}

func placesByPID(src Source, own uint64, pids []string) (all []place, err error) {
	for _, pid := range wholeNumbers(pids) {
		if pid < 0 {
			continue // which no process has
		}
		ns := rtnl.Namespace("")
		if pid > 0 {
			ns = rtnl.Namespace("/proc/" + strconv.FormatInt(pid, 10) + "/ns/net")
		}
		at, err := placeOf(src, own, ns)
		if err != nil {
			return nil, err
		}
		at.pid = pid
		all = append(all, at)
	}
	return all, nil
}

// wholeNumbers returns the values that are such, each once. No row can have any other.
func wholeNumbers(values []string) (all []int64) {
	for _, v := range values {
		if n, ok := wholeNumber(v); ok && !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

// distinct returns each of the values once.
func distinct(values []string) (all []string) {
	known := make(map[string]bool, len(values)) // an IN list may be long
	for _, v := range values {
		if !known[v] {
			known[v] = true
			all = append(all, v)
		}
	}
	return all
}

// A placed is what was read in a namespace.
type placed[T any] struct {
	place
	value T
	err   error
}

// eachPlace reads in each namespace that the query is about. Of all that there are, those
// that go away meanwhile are left out, and it is an error if some may not be entered.
func eachPlace[T, R any](ctx context.Context, p *plan[R], src Source, read func(place) (T, error)) (
	all []placed[T], err error) {
	places, err := p.places(src)
	if err != nil {
		return nil, err
	}
	if len(places) == 1 && !places[0].all() {
		value, err := read(places[0])
		if err != nil {
			return nil, places[0].failed(err)
		}
		return []placed[T]{{places[0], value, nil}}, nil
	}
	own := map[int]placed[T]{}
	for i, at := range places {
		if at.namespace == "" { // that of this thread, and of no other
			value, err := read(at)
			own[i] = placed[T]{at, value, err}
		}
	}
	refused, reason := 0, error(nil)
	err = inorder.Do(len(places), func(i int) placed[T] {
		if done, ok := own[i]; ok {
			return done
		}
		at := places[i]
		value, err := read(at)
		if at.all() && errors.Is(err, rtnl.ErrNoNamespace) {
			// The process whose it was has ended, or what was mounted is no more; another path
			// may lead there.
			at.namespace = rtnl.NamespaceOf(at.id)
			value, err = read(at)
		}
		return placed[T]{places[i], value, err}
	}, func(one placed[T]) error {
		switch {
		case one.err == nil:
			all = append(all, one)
		case one.all() && errors.Is(one.err, rtnl.ErrNoNamespace):
		case one.all() && errors.Is(one.err, rtnl.ErrPermission):
			refused, reason = refused+1, one.err
		default:
			return one.failed(one.err)
		}
		return ctx.Err()
	})
	if err == nil && refused > 0 {
		err = fmt.Errorf("%s='*': %d of %d network namespaces may not be entered (%w); %s", netnsName, refused,
			len(places), reason, asRoot)
	}
	if err != nil {
		return nil, err
	}
	return all, nil
}

// failed names the namespace in an error of reading it.
func (at *place) failed(err error) error {
	if at.namespace == "" || errors.Is(err, rtnl.ErrNoNamespace) || errors.Is(err, rtnl.ErrPermission) {
		return err // it is named, or need not be
	}
	return fmt.Errorf("network namespace %s: %w", at.namespace, err)
}

// IDSuffix returns how identities end of what is in another namespace than the process's own, which has
// this inode.
func IDSuffix(id uint64) string { return idMark + strconv.FormatUint(id, 10) }
