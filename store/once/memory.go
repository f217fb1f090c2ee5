package once

import (
	"bytes"
	"container/heap"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
)

const (
	// rowRoom is what a value takes beside its data: its row, its place in the map, which
	// may be half empty, and in one of the heaps.
	rowRoom = 320
	// minRoom is the least that makes sense.
	minRoom = 1 << 20
)

// memoryEngine is the engine of values that only this process has. Each change is one
// critical section, so that no two see the same value unused.
type memoryEngine struct {
	room int64

	mu   sync.Mutex
	rows map[Key]*memoryRow // nil once closed
	size int64
	now  int64 // the last moment that somebody named
	// Each row is in one of these. Those that are over have no data and never change again.
	lasting, over byExpiry
}

// A memoryRow is a row in its place.
type memoryRow struct {
	row
	key   Key
	place int // in its heap
}

func (r *memoryRow) room() int64 { return rowRoom + int64(len(r.data)) }

func openMemory(o Options) (engine, []byte, error) {
	if o.Room == 0 {
		o.Room = DefaultRoom
	}
	if o.Room < minRoom {
		return nil, nil, fmt.Errorf("%d bytes of memory for values, of at least %d", o.Room, minRoom)
	}
	secret := make([]byte, secretSize)
	rand.Read(secret)
	return &memoryEngine{room: o.Room, rows: map[Key]*memoryRow{}}, secret, nil
}

func (e *memoryEngine) change(_ context.Context, now int64, keys []Key, decide func(state)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.rows == nil {
		return ErrClosed
	}
	if now > 0 {
		e.now = now
	}
	s := make(state, len(keys))
	for _, k := range keys {
		s[k] = e.rows[k].copy()
	}
	decide(s)
	grows, uses, stays := int64(0), false, false
	for k, r := range s {
		switch {
		case r == nil:
		case r.fresh:
			grows += rowRoom + int64(len(r.data))
			stays = stays || k.Kind == DisclosedKey
		case r.changed:
			grows, uses = grows+int64(len(r.data)-len(e.rows[k].data)), true
		}
	}
	// The last eighth is for answers to what is there: whoever has asked is not turned away
	// because others ask.
	limit := e.room
	if !uses {
		limit -= limit / 8
	}
	// What stays for years never takes the room of what comes and goes.
	if stays && e.size+grows > e.room/2 {
		return ErrFull
	}
	if grows > 0 && !e.fit(limit-grows) {
		return ErrFull
	}
	for k, r := range s {
		switch {
		case r == nil:
		case r.fresh:
			e.rows[k] = &memoryRow{row: row{expires: r.expires, data: bytes.Clone(r.data)}, key: k}
			heap.Push(&e.lasting, e.rows[k])
		case r.changed:
			e.rows[k].set(r)
			heap.Fix(&e.lasting, e.rows[k].place)
		}
	}
	e.size += grows
	return nil
}

// copy is the row for somebody who may do with it what he likes; nil of nil.
func (r *memoryRow) copy() *row {
	if r == nil {
		return nil
	}
	c := r.row
	c.data = bytes.Clone(r.data)
	return &c
}

// set takes on what a copy was made into.
func (r *memoryRow) set(c *row) {
	if !bytes.Equal(r.data, c.data) {
		clear(r.data)
		r.data = bytes.Clone(c.data)
	}
	r.expires, r.state, r.guesses = c.expires, c.state, c.guesses
}

// fit makes room until no more than most is taken: data of what has expired go first, then
// what is remembered of it, the oldest first. What has not expired stays, used or not.
func (e *memoryEngine) fit(most int64) bool {
	for e.size > most && e.endOne(e.now) {
	}
	for e.size > most && len(e.over) > 0 {
		e.drop()
	}
	return e.size <= most
}

// endOne ends what expired first, if it has expired. Its data are overwritten, and nothing
// brings it back, whatever the clock says later.
func (e *memoryEngine) endOne(now int64) bool {
	if len(e.lasting) == 0 || e.lasting[0].expires > now {
		return false
	}
	r := heap.Pop(&e.lasting).(*memoryRow)
	e.size -= int64(len(r.data))
	clear(r.data)
	r.data = nil
	if r.state == live {
		r.state = expired
	}
	heap.Push(&e.over, r)
	return true
}

// drop forgets what has been over for longest.
func (e *memoryEngine) drop() {
	r := heap.Pop(&e.over).(*memoryRow)
	e.size -= r.room()
	delete(e.rows, r.key)
}

func (e *memoryEngine) get(_ context.Context, k Key) (*row, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.rows == nil {
		return nil, ErrClosed
	}
	return e.rows[k].copy(), nil
}

func (e *memoryEngine) sweep(ctx context.Context, before int64) (int, error) {
	for total := 0; ; {
		n, more := e.sweepSome(before)
		total += n
		if err := ctx.Err(); !more || err != nil {
			return total, err
		}
	}
}

// sweepSome does a part of it, so that nobody waits for long.
func (e *memoryEngine) sweepSome(before int64) (n int, more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now = before + Keep.Milliseconds()
	for range sweepRows {
		switch {
		case e.endOne(e.now):
		case len(e.over) > 0 && e.over[0].expires < before:
			e.drop()
			n++
		default:
			return n, false
		}
	}
	return n, true
}

func (e *memoryEngine) durable() bool { return false }

func (e *memoryEngine) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.rows {
		clear(r.data)
	}
	e.rows, e.lasting, e.over = nil, nil, nil
	return nil
}

// byExpiry is a heap, what expires first on top.
type byExpiry []*memoryRow

// Len implements [heap.Interface], as do the other methods.
func (h byExpiry) Len() int           { return len(h) }
func (h byExpiry) Less(i, j int) bool { return h[i].expires < h[j].expires }
func (h byExpiry) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push adds a row.
func (h *byExpiry) Push(r any) {
	row := r.(*memoryRow)
	row.place = len(*h)
	*h = append(*h, row)
}

// Pop removes the last row.
func (h *byExpiry) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return r
}
