package rtnl

import (
	"context"
	"log/slog"
	"strings"

	"kernelroutes/internal/fakekernel"
	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/object"
)

// What these tests say so often that it needs a short name.
type (
	fake        = fakekernel.Kernel
	fakeRequest = fakekernel.Request
	event       = fakekernel.Event
)

var (
	datagram = fakekernel.Datagram
	failure  = fakekernel.Failure
	links    = fakekernel.Links
	ordinary = fakekernel.Ordinary
	broken   = fakekernel.Broken

	done            = nltest.Done
	interruptedFlag = nltest.Interrupted
	route4          = nltest.Route4
	route6          = nltest.Route6
	link            = nltest.LinkMessage
	nexthop         = nltest.NexthopMessage
)

// A fakeKernel is read by a Kernel, and keeps what that logs.
type fakeKernel struct {
	fake
	release string // of the kernel; "": a recent one
	stats   string // where its rt6_stats is

	log strings.Builder
}

// kernel returns a Kernel that reads from the fake.
func (k *fakeKernel) kernel() *Kernel {
	return &Kernel{dial: k.Dial, release: k.release, stats: k.stats, Logger: slog.New(slog.NewTextHandler(&k.log, nil))}
}

// read reads with the Kernel. It checks that no snapshot comes with an error, and
// that all sockets are closed.
func (k *fakeKernel) read(req Request) (*Snapshot, error) {
	k.T.Helper()
	s, err := k.kernel().Read(context.Background(), req)
	if (s == nil) != (err != nil) {
		k.T.Errorf("snapshot %v with error %v", s, err)
	}
	if k.Open != 0 {
		k.T.Errorf("%d sockets are still open", k.Open)
	}
	return s, err
}

// logged returns the number of lines that were logged.
func (k *fakeKernel) logged() int { return strings.Count(k.log.String(), "\n") }

// request asks for the routes that a filter lets through, and of some kinds for what
// they refer to.
func request(f Filter, referred ...*object.Kind) Request {
	return Request{Kinds: []*object.Kind{object.Routes.Kind}, Referred: referred, Filter: f}
}

// everything asks for the routes that a filter lets through, and all of the other kinds,
// as a capture does.
func everything(f Filter) Request {
	kinds := []*object.Kind{object.Links.Kind, object.NexthopObjects.Kind, object.Routes.Kind}
	return Request{Kinds: kinds, Filter: f}
}
