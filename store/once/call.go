package once

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// maxBatch is how many calls share a transaction.
	maxBatch = 256
	// patience is how long a transaction may take.
	patience = 10 * time.Second
)

// What became of a value.
const (
	live    = 0
	used    = 1
	expired = 2 // somebody asked for it too late
)

// A row is a value as it is stored.
type row struct {
	expires int64 // milliseconds
	data    []byte
	state   int
	guesses int

	fresh, changed bool
}

// state is what is stored under the keys of a batch; nil is nothing.
type state map[Key]*row

// writes returns the keys of the rows to be inserted and to be changed, in the
// order in which all processes do so.
func (s state) writes() (inserts, updates []Key) {
	for _, k := range slices.SortedFunc(maps.Keys(s), compareKeys) {
		switch r := s[k]; {
		case r == nil:
		case r.fresh:
			inserts = append(inserts, k)
		case r.changed:
			updates = append(updates, k)
		}
	}
	return inserts, updates
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), bytes.Compare(a.Digest[:], b.Digest[:]))
}

// check says why a value does not work any more, or never did.
func (r *row) check(k Key, now int64) error {
	switch {
	case r == nil:
		return ErrNone
	case r.state == used:
		return &UsedError{r.value(k)}
	case r.state == expired, now >= r.expires:
		return ErrExpired
	}
	return nil
}

func (r *row) value(k Key) Value {
	return Value{Kind: k.Kind, Digest: k.Digest, Expires: time.UnixMilli(r.expires).UTC(), Data: r.data}
}

// A call is what one caller wants: to take and to put, to guess, or to swap.
type call struct {
	now   int64
	take  []Key
	put   []Value
	guess *guess
	swap  *swap

	begun atomic.Bool // by a batch, or given up by its caller: who is first
	taken []Value
	err   error
	done  chan struct{}
}

type guess struct {
	key      Key
	limit, n int
}

type swap struct{ old, next Value }

// keys are those that the call is about.
func (c *call) keys() []Key {
	keys := slices.Clone(c.take)
	for i := range c.put {
		keys = append(keys, c.put[i].Key())
	}
	if c.guess != nil {
		keys = append(keys, c.guess.key)
	}
	if c.swap != nil {
		keys = append(keys, c.swap.old.Key())
	}
	return keys
}

func (c *call) check() error {
	keys := c.keys()
	if len(keys) == 0 || len(keys) > MaxKeys {
		return fmt.Errorf("once: a call about %d values, of 1 to %d", len(keys), MaxKeys)
	}
	seen := map[Key]bool{}
	for _, k := range keys {
		if !kinds[k.Kind] {
			return fmt.Errorf("once: no kind %.40q", k.Kind)
		}
		if seen[k] {
			return errors.New("once: the same value twice in a call")
		}
		seen[k] = true
	}
	values := c.put
	if c.swap != nil {
		values = []Value{c.swap.next}
	}
	for i := range values {
		switch v := &values[i]; {
		case v.Expires.IsZero():
			return errors.New("once: Value.Expires is not set")
		case len(v.Data) > MaxData:
			return fmt.Errorf("once: %d bytes of data, of at most %d", len(v.Data), MaxData)
		}
	}
	return nil
}

// do runs a call in the next transaction, together with the others that wait.
// Once the transaction has begun the end of ctx changes nothing: the outcome counts.
func (db *DB) do(ctx context.Context, c *call) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	c.done = make(chan struct{})
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return ErrClosed
	}
	db.waiting = append(db.waiting, c)
	if !db.running {
		db.running = true
		go db.run()
	}
	db.mu.Unlock()
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.begun.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-c.done
	}
	return c.err
}

// run makes batches until nobody waits.
func (db *DB) run() {
	for {
		db.mu.Lock()
		n := min(len(db.waiting), maxBatch)
		if n == 0 {
			db.running = false
			db.idle.Broadcast()
			db.mu.Unlock()
			return
		}
		batch := slices.Clone(db.waiting[:n])
		db.waiting = slices.Delete(db.waiting, 0, n)
		db.mu.Unlock()
		db.batch(slices.DeleteFunc(batch, func(c *call) bool { return !c.begun.CompareAndSwap(false, true) }))
	}
}

// batch runs calls in one transaction, each as if it came alone after the one
// before it.
func (db *DB) batch(calls []*call) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	all := map[Key]bool{}
	for _, c := range calls {
		for _, k := range c.keys() {
			all[k] = true
		}
	}
	err := db.engine.change(ctx, slices.SortedFunc(maps.Keys(all), compareKeys), func(s state) {
		for _, c := range calls {
			c.taken, c.err = nil, nil
			c.err = c.apply(s)
		}
	})
	for _, c := range calls {
		if err != nil {
			c.taken, c.err = nil, fmt.Errorf("once: outcome unknown: %w", err)
		}
		close(c.done)
	}
}

// apply changes s as the call wants it, or says why not.
func (c *call) apply(s state) error {
	switch {
	case c.guess != nil:
		return c.applyGuess(s)
	case c.swap != nil:
		return c.applySwap(s)
	}
	var fault error
	for _, k := range c.take {
		if err := c.usable(s, k); err != nil && fault == nil {
			fault = err
		}
	}
	for i := range c.put {
		if s[c.put[i].Key()] != nil && fault == nil {
			fault = ErrExists
		}
	}
	if fault != nil {
		return fault
	}
	for _, k := range c.take {
		r := s[k]
		c.taken = append(c.taken, r.value(k))
		r.state, r.changed = used, true
	}
	for i := range c.put {
		v := &c.put[i]
		s[v.Key()] = &row{expires: v.Expires.UnixMilli(), data: v.Data, fresh: true}
	}
	return nil
}

// usable is check, and remembers of a value that somebody came too late.
func (c *call) usable(s state, k Key) error {
	r := s[k]
	err := r.check(k, c.now)
	if errors.Is(err, ErrExpired) && r.state == live {
		r.state, r.changed = expired, true
	}
	return err
}

func (c *call) applyGuess(s state) error {
	if err := c.usable(s, c.guess.key); err != nil {
		return err
	}
	r := s[c.guess.key]
	if r.guesses >= c.guess.limit {
		return ErrGuesses
	}
	r.guesses, r.changed = r.guesses+1, true
	c.guess.n = r.guesses
	return nil
}

func (c *call) applySwap(s state) error {
	k := c.swap.old.Key()
	if err := c.usable(s, k); err != nil {
		return err
	}
	r := s[k]
	if !bytes.Equal(r.data, c.swap.old.Data) {
		return ErrChanged
	}
	r.data, r.expires, r.changed = c.swap.next.Data, c.swap.next.Expires.UnixMilli(), true
	return nil
}
