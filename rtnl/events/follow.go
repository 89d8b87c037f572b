package events

import (
	"context"
	"iter"
	"log/slog"
	"runtime/debug"
	"time"

	"kernelroutes/internal/memory"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/author"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A follower follows the changes in one namespace.
type follower struct {
	Following
	ctx    context.Context
	kernel *rtnl.Kernel
	ns     rtnl.Namespace // the same, by a file that is held open
	conn   *conn.Conn
	direct *author.Finder // of the goroutine that receives
	finder *author.Finder // of the one that names

	hold   func() // for tests: keeps the socket from being read
	buffer int    // receiveBuffer, but in tests

	came, named *queue // what was received, and the same with authors
	ahead       []item // taken from the latter, and yet to be applied
	early       int    // how many of these came while all was read at first
	taken       []item // what was taken the last time: memory that is used again

	state        *state
	resumed      bool           // state is that of another follower, which ended some time ago
	message      object.Message // of take
	seq          uint64
	yield        func(*Event, error) bool
	ended        bool  // no more events are wanted
	lost         bool  // the last event told of a loss
	missed       bool  // messages were lost since all was compared
	time, uptime int64 // of the last event

	// doubt says that all must be compared with what the kernel has, but not before due.
	doubt bool
	due   time.Time
	tried time.Duration // how long that took the last time
	vain  int           // how often in a row it came to nothing

	unread bool      // the kernel could not be read the last time
	warned time.Time // when that was told the last time
}

// A Following says what is followed.
type Following struct {
	Namespace rtnl.Namespace // "": that of the calling thread
	Present   bool           // first what there is is told, as Present
	// Begun, if set, is called when the changes from then on are told: what it reads is not older
	// than these. An error ends it.
	Begun func() error
	// Logger is told if the kernel cannot be read for a while; nil: nobody is.
	Logger *slog.Logger
}

// Follow yields the changes in a namespace as they happen, from when it is ranged over, which is to
// be done once. It ends with an error, that of the context when that ends. Who takes events too
// slowly is told of a loss, by an event.
//
// No privilege is needed for the changes, but for a namespace that is not one's own. To know who
// made them takes the right to look at these processes: see package author.
func Follow(ctx context.Context, k *rtnl.Kernel, what Following) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) { newFollower(k, what).run(ctx, yield) }
}

// receiveBuffer is how many bytes of messages may wait to be received, some 16,000, if that is
// allowed.
const receiveBuffer = 16 << 20

func newFollower(k *rtnl.Kernel, what Following) *follower {
	if what.Logger == nil {
		what.Logger = slog.New(slog.DiscardHandler)
	}
	quiet := *k
	quiet.Logger = nil // what is read inconsistently is read again
	return &follower{Following: what, kernel: &quiet, ns: what.Namespace, state: newState(), came: newQueue(queueSize),
		named: newQueue(queueSize), buffer: receiveBuffer}
}

// run is Follow.
func (f *follower) run(ctx context.Context, yield func(*Event, error) bool) {
	var stop context.CancelFunc
	f.ctx, stop = context.WithCancel(ctx)
	defer stop()
	f.yield = yield
	err := f.begin()
	for err == nil && !f.ended {
		err = f.next()
	}
	if err != nil && !f.ended {
		yield(nil, err)
	}
}

// begin opens the socket and reads what there is.
func (f *follower) begin() error {
	held, release, err := f.ns.Hold()
	if err != nil {
		return err
	}
	context.AfterFunc(f.ctx, release)
	f.ns = held
	if f.direct, err = author.Open(held); err != nil {
		return err
	}
	if f.finder, err = author.Open(held); err != nil {
		f.direct.Close()
		return err
	}
	if f.conn, err = f.kernel.Listen(f.ctx, held, heard...); err != nil {
		f.direct.Close()
		f.finder.Close()
		return err
	}
	f.conn.SetReceiveBuffer(f.buffer)
	go func() {
		f.receive()
		f.direct.Close()
	}()
	go func() {
		f.name()
		f.conn.Close()
		f.finder.Close()
	}()
	// What was told before the reading began is in it.
	if err := f.fence(); err != nil {
		return err
	}
	f.ahead = f.ahead[:0]
	if f.resumed {
		return f.resume()
	}
	s, err := f.kernel.Read(f.ctx, f.everything())
	if err != nil {
		return err
	}
	if err := f.fence(); err != nil {
		return err
	}
	if err := memory.Ask(size(s)); err != nil { // as much as what was read is what is held of it
		return conn.NewReadError("follow changes", err)
	}
	f.state.load(s)
	f.early = len(f.ahead)
	f.doubt = f.early > 0 || !s.Consistent
	if f.Begun != nil {
		if err := f.Begun(); err != nil {
			return err
		}
	}
	if f.Present {
		f.present(s)
	}
	giveBack(s)
	return nil
}

// many is from how many routes on it is worth a collection of garbage, tens of milliseconds, that
// there is no more in use than has to be, large how many bytes the kernel tells of them.
const (
	many  = 100_000
	large = 8 << 20
)

// giveBack gives the memory of a large snapshot, which is not looked at any more, back to the kernel
// at once: there may be as much of it as of all else.
func giveBack(s *rtnl.Snapshot) {
	n := size(s)
	if *s = (rtnl.Snapshot{}); n >= large {
		debug.FreeOSMemory()
	}
}

// size returns how many bytes the kernel has told of the routes.
func size(s *rtnl.Snapshot) (n int) {
	for _, run := range s.Runs(object.Routes.Kind) {
		n += run.Len()
	}
	return n
}

// resume tells what is different from what another follower held.
func (f *follower) resume() error {
	if f.Begun != nil {
		if err := f.Begun(); err != nil {
			return err
		}
	}
	f.missed = true
	wall, up := now()
	return f.compare(item{time: wall, uptime: up})
}

// everything is the request for all that is held.
func (f *follower) everything() rtnl.Request {
	return rtnl.Request{Namespace: f.ns, Kinds: followed, Along: []*object.Kind{object.Links.Kind}}
}

// fence waits until all that the kernel has told so far is in ahead.
func (f *follower) fence() error {
	seq, err := f.conn.Fence()
	if err != nil && !overflowed(err) {
		return conn.NewReadError("follow changes", err)
	}
	var items []item
	for {
		if items, err = f.named.take(items); err != nil {
			return err
		}
		if len(items) == 0 {
			<-f.named.ready
			continue
		}
		reached := false
		for _, i := range items {
			if i.msg != nil && wire.Type(i.msg) == wire.NLMSG_ERROR {
				reached = reached || wire.Seq(i.msg) == seq
				continue
			}
			reached = reached || i.msg == nil && i.again == nil // the answer may be lost, too
			f.ahead = append(f.ahead, i)
		}
		if reached {
			return nil
		}
	}
}

// next takes in what comes next.
func (f *follower) next() error {
	if len(f.ahead) == 0 {
		if err := f.wait(); err != nil {
			return err
		}
	}
	for len(f.ahead) > 0 && !f.ended {
		i := f.ahead[0]
		f.ahead = f.ahead[1:]
		f.state.beginning, f.early = f.early > 0, max(f.early-1, 0)
		if err := f.take(i); err != nil {
			return err
		}
	}
	f.ahead = nil
	return nil
}

// wait waits until something comes, or all is to be compared.
func (f *follower) wait() (err error) {
	for {
		f.ahead, err = f.named.take(f.taken)
		if f.taken = f.ahead; err != nil || len(f.ahead) > 0 {
			return err
		}
		var due <-chan time.Time
		if f.doubt {
			left := time.Until(f.due)
			if left <= 0 {
				wall, up := now()
				return f.compare(item{time: wall, uptime: up})
			}
			t := time.NewTimer(left)
			defer t.Stop()
			due = t.C
		}
		select {
		case <-f.named.ready:
		case <-due:
		}
	}
}

// take takes in an item.
func (f *follower) take(i item) error {
	if i.again != nil {
		return f.sweep(i.again)
	}
	if i.msg == nil {
		return f.takeLoss(i)
	}
	if kindOf(i.msg) == nil {
		return nil // the answer to a fence
	}
	m := &f.message
	k, ok := checked(m, i.msg)
	if !ok {
		return f.takeLoss(i)
	}
	if k.Foreign != nil && k.Foreign(m) {
		return nil
	}
	gone := wire.Type(i.msg) == k.Del
	switch k {
	case object.Links.Kind:
		return f.takeLink(i, m, gone)
	case object.Addresses:
		if c := addressCause(i, m, gone); c != nil {
			return f.sweep(c)
		}
		return nil
	}
	c := f.state.apply(m, gone)
	f.state.routes.compact()
	f.doubts(c.doubt)
	for _, w := range c.went {
		f.emit(&item{time: i.time, uptime: i.uptime}, &Event{Action: Gone, Kind: k, Object: w.object, Twin: w.twin,
			Referred: f.state.referred(w.object, object.Run{})})
	}
	f.emit(&i, &Event{Action: c.action, Kind: k, Object: c.object, Old: c.old, Twin: c.twin, OldTwin: c.oldTwin,
		Referred: f.state.referred(c.object, c.old)})
	if k == object.NexthopObjects.Kind && gone && !f.ended {
		return f.sweep(nexthopCause(i, m, gone))
	}
	return nil
}

// checked makes m a message of a kind that is followed, and about an object of that kind.
func checked(m *object.Message, msg []byte) (k *object.Kind, ok bool) {
	if msg == nil {
		return nil, false
	}
	k = kindOf(msg)
	return k, k != nil && k.Check(m, msg) == nil
}

// takeLoss takes in that messages were lost.
func (f *follower) takeLoss(i item) error {
	if !f.lost {
		f.send(&Event{Time: i.time, Uptime: i.uptime, Action: Lost, Lost: true})
		f.lost = true
	}
	f.doubt, f.missed = true, true
	if f.ended || time.Now().Before(f.due) {
		return nil // later: there is no end to it
	}
	return f.compare(i)
}

// doubts notes that what is held may be wrong.
func (f *follower) doubts(doubt bool) {
	if doubt && !f.doubt {
		f.doubt = true
		f.due = time.Now().Add(f.pause())
	}
}

// pause is how long to wait, at least, before the next comparison.
func (f *follower) pause() time.Duration { return max(settleTime, restShare*f.tried) }

const (
	// settleTime is how long to wait, if nothing was lost, for what comes after something odd.
	settleTime = 100 * time.Millisecond
	// restShare is how many times as long as the last comparison took there is none.
	restShare = 20
	// maxRest is how long to wait, at most, where comparisons are in vain.
	maxRest = 10 * time.Minute
	// warnInterval is between two lines about a kernel that cannot be read.
	warnInterval = time.Minute
)

// emit yields an event that comes of a message.
func (f *follower) emit(i *item, e *Event) {
	e.Time, e.Uptime = i.time, i.uptime
	if i.msg != nil {
		e.Told, e.Port, e.Author, e.Certainty = true, wire.Port(i.msg), i.author, i.certainty
		if e.Certainty == author.Kernel && byIoctl(i.msg) {
			e.Certainty = author.Unknown
		}
	}
	f.send(e)
}

// byIoctl reports whether a message is about a new route that a program has asked for with SIOCADDRT,
// which alone makes routes of protocol boot and names nobody (rtentry_to_fib_config,
// rtmsg_to_fib6_config). What is left of a route of which the kernel took a nexthop is no new one.
func byIoctl(msg []byte) bool {
	var m object.Message
	k, ok := checked(&m, msg)
	const boot = 3 // RTPROT_BOOT
	return ok && k == object.Routes.Kind && wire.Type(msg) != k.Del && object.RouteProtocol(&m) == boot
}

// send yields an event. What is found out later than what came after it is of the same time.
func (f *follower) send(e *Event) {
	if f.ended {
		return
	}
	if e.Uptime < f.uptime {
		e.Time, e.Uptime = f.time, f.uptime
	}
	f.time, f.uptime = e.Time, e.Uptime
	f.seq++
	e.Seq = f.seq
	f.lost = false
	f.ended = !f.yield(e, nil)
}

// present yields what there is.
func (f *follower) present(s *rtnl.Snapshot) {
	wall, up := now()
	for _, k := range []*object.Kind{object.Rules.Kind, object.NexthopObjects.Kind, object.Routes.Kind} {
		twins := newTwins(k)
		object.Each(s.Runs(k), func(m *object.Message) bool {
			run := copied(m)
			e := &Event{Time: wall, Uptime: up, Action: Present, Kind: k, Object: run, Twin: twins.before(m),
				Referred: f.state.referred(run, object.Run{})}
			f.ended = f.ended || !f.yield(e, nil)
			return !f.ended
		})
	}
}
