package rtnl

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/consistency"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// Kernel reads the routing state of the running kernel. No privilege is needed. The zero
// value is ready to use.
type Kernel struct {
	// Logger is told of snapshots that are not consistent; nil: nobody is.
	Logger *slog.Logger
	// Counters count what is read; nil: nobody does.
	Counters *Counters
	// Progress is told what is being read; nil: nobody is.
	Progress *Progress

	toldUnproved uint32 // whether Logger was told that IPv6 cannot be proved whole
	toldDeaf     uint32 // whether Logger was told that changes cannot be heard

	// What tests replace: all of it, if dial is set.
	dial    conn.Dialer // nil: the kernel
	stats   string      // where rt6_stats is
	sysctls string      // where sysctls are; "": nowhere
	release string      // of the kernel, as uname prints it; "": a recent one
}

// Read returns a snapshot of what the request asks for. It sees every change
// that was complete before the call. On an error, a *ReadError, there is no snapshot.
func (k *Kernel) Read(ctx context.Context, req Request) (*Snapshot, error) {
	req.completeCount()
	s, counted, err := k.read(ctx, req, req.CountBy)
	if err == nil && req.CountBy != nil {
		s = s.counted(req.CountBy, counted)
	}
	return s, err
}

// Count returns how many objects Read would find of the kinds that the request asks for,
// not of those they refer to, and whether that is certain (see Snapshot.Consistent). It
// saves the memory that most of them take.
func (k *Kernel) Count(ctx context.Context, req Request) (n int, consistent bool, err error) {
	req.CountBy = nil // of what is not to be counted here
	s, counted, err := k.read(ctx, req, &object.Grouping{})
	if err != nil {
		return 0, false, err
	}
	if counted != nil {
		n = counted.Total()
	}
	return n + s.count(&req), s.Consistent, nil
}

// read reads what a request asks for. Where countBy is not nil, objects of the kinds that
// the request asks for may be in counted instead of in the snapshot; nil: none are.
func (k *Kernel) read(ctx context.Context, req Request, countBy *object.Grouping) (
	_ *Snapshot, counted *object.Tally, err error) {
	kinds := req.kinds()
	for _, kind := range kinds {
		if kind.Get == 0 {
			return nil, nil, &ReadError{Op: "read " + kind.Plural, Err: errors.New("the kernel is not asked for them")}
		}
	}
	if err := req.check(); err != nil {
		return nil, nil, err
	}
	if req.Nothing() {
		return &Snapshot{Consistent: true}, nil, nil
	}
	r := &reading{session: &session{ctx: ctx, dial: k.dial, stats: k.stats, sysctls: k.sysctls,
		release: parseRelease(k.release), asked: req, countBy: countBy, progress: k.Progress}}
	if k.dial == nil {
		r.dial, r.stats, r.release, r.sysctls = conn.Dial, rt6StatsPath, hostRelease(), sysctlPath
	}
	r.asked.Prepare()
	var s *Snapshot
	defer func() { k.Counters.read(r.tries, s) }()
	held, letGo, err := req.Namespace.Hold()
	if err != nil {
		return nil, nil, err
	}
	defer letGo()
	if err := req.checkNamespace(held); err != nil {
		return nil, nil, err
	}
	r.asked.Namespace = held
	if k.Progress != nil {
		stats := r.stats
		ended := k.Progress.begin(req.Namespace, func() [2]int64 { return routesThereAre(held, stats) })
		defer func() { ended(s != nil) }()
	}
	r.dial = dialIn(r.dial, held, req.Namespace)
	r.listener, err = consistency.Listen(ctx, r.dial, r.asked.Namespace, kinds)
	switch {
	case errors.Is(err, conn.ErrDeaf):
		k.warnDeaf(err) // and it is read, but never known to be consistent
	case err != nil:
		return nil, nil, err
	default:
		defer r.listener.Close()
	}
	r.begin()
	if s, counted, err = r.read(); err != nil {
		r.giveBack()
		return nil, nil, err
	}
	r.pack(s)
	k.warn(r, s)
	return s, counted, nil
}

// dialIn returns the dialer for a namespace that is held, with errors that name it as it was
// asked for.
func dialIn(dial conn.Dialer, held, asked Namespace) conn.Dialer {
	if held == asked {
		return dial
	}
	return func(ctx context.Context, ns Namespace, groups uint32) (conn.Socket, bool, error) {
		s, strict, err := dial(ctx, ns, groups)
		return s, strict, held.As(err, asked)
	}
}

// warn tells the logger what is not consistent, and why.
func (k *Kernel) warn(r *reading, s *Snapshot) {
	switch {
	case s.Consistent || k.Logger == nil:
	case r.again():
		attrs := []any{"tries", s.Tries}
		for _, t := range r.tabled {
			attrs = append(attrs, t.kind.Name+"s_incomplete", len(t.missing) > 0)
		}
		for _, kind := range object.Kinds {
			if kind.Dump == nil {
				changed := func(w *wholeReader) bool { return w.kind == kind && w.stale }
				attrs = append(attrs, kind.Name+"s_changed", slices.ContainsFunc(r.whole, changed))
			}
		}
		if r.conf.before != nil {
			attrs = append(attrs, "sysctls_changed", r.conf.changed())
		}
		var what []string
		for _, kind := range r.asked.Kinds {
			what = append(what, kind.Plural)
		}
		k.Logger.Warn(strings.Join(what, ", ")+" changed too fast for a consistent snapshot", attrs...)
	case r.unproved() && atomic.CompareAndSwapUint32(&k.toldUnproved, 0, 1):
		k.Logger.Warn("IPv6 routes may be missing: Linux before 6.9 leaves out what comes after a route that is "+
			"too large, and how many there are cannot be told", "file", r.stats, "kernel", r.release.String())
	}
}

// warnDeaf tells the logger once why no snapshot is consistent.
func (k *Kernel) warnDeaf(err error) {
	if k.Logger != nil && atomic.CompareAndSwapUint32(&k.toldDeaf, 0, 1) {
		k.Logger.Warn("routes that change while they are read may be missing, as changes cannot be heard of",
			"err", err)
	}
}

// NamespaceID returns the inode of a namespace: see Namespace.ID.
func (k *Kernel) NamespaceID(ns Namespace) (uint64, error) { return ns.ID() }

// Namespaces returns each network namespace that a process or a bind mount keeps alive: see
// conn.Namespaces.
func (k *Kernel) Namespaces() (found []FoundNamespace, unseen int, err error) {
	return conn.Namespaces()
}

// Names returns the names of this host.
func (k *Kernel) Names() *iproute2.Names { return iproute2.HostNames() }

func (k *Kernel) dialer() conn.Dialer {
	if k.dial != nil {
		return k.dial
	}
	return conn.Dial
}

// count returns how many objects the snapshot has of the kinds that a request asks for.
func (s *Snapshot) count(req *Request) (n int) {
	for _, k := range req.Kinds {
		n += s.Count(k)
	}
	return n
}
