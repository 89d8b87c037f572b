package events

import (
	"sync"

	"kernelroutes/rtnl/author"
)

// An item is what came over the socket.
type item struct {
	time, uptime int64
	msg          []byte // one message, with room for its padding; nil: messages were lost before this
	again        *cause // in the place of a message: of what it took along something may be left
	named        bool   // who asked for it is known, as far as it can be
	author       *author.Author
	certainty    author.Certainty
}

// itemSize is what an item takes beside its message, by and large.
const itemSize = 96

// keptRoom is how many items a slice has room for that is used again.
const keptRoom = 1 << 12

// A queue hands items on from one goroutine to another. Where it has no room it loses what comes
// until all that it has is taken; then it says so by an item.
type queue struct {
	ready chan struct{} // there may be something to take

	mu     sync.Mutex
	items  []item
	size   int   // bytes
	most   int   // bytes
	lost   *item // says when the first was lost; nil: none was
	closed error // why nothing more comes
}

func newQueue(most int) *queue { return &queue{ready: make(chan struct{}, 1), most: most} }

// put appends an item.
func (q *queue) put(i item) {
	q.mu.Lock()
	size := itemSize + len(i.msg)
	switch {
	case q.lost != nil:
	case q.size+size > q.most && len(q.items) > 0:
		q.lost = &item{time: i.time, uptime: i.uptime}
	default:
		q.items, q.size = append(q.items, i), q.size+size
	}
	q.mu.Unlock()
	q.wake()
}

// take returns all that there is, and an error if that is nothing and no more comes. room is a
// slice that is used again.
func (q *queue) take(room []item) ([]item, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	if q.lost != nil {
		items, q.lost = append(items, *q.lost), nil
	}
	if cap(room) > keptRoom {
		room = nil
	}
	clear(room)
	q.items, q.size = room[:0], 0
	if len(items) == 0 {
		return nil, q.closed
	}
	return items, nil
}

// close says why nothing more comes.
func (q *queue) close(why error) {
	q.mu.Lock()
	if q.closed == nil {
		q.closed = why
	}
	q.mu.Unlock()
	q.wake()
}

func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}
