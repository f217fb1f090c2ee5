package once

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
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

// A call is what one caller wants.
type call struct {
	now   int64
	steps []step

	begun atomic.Bool // by a batch, or given up by its caller: who is first
	at    int         // how many steps were done
	err   error       // of the one after them
	done  chan struct{}
}

// A step is to take and to put, to guess, to swap, to check, or to find nothing.
type step struct {
	take   []Key
	put    []Value
	guess  *guess
	swap   *Swap
	check  *Check
	absent []Key

	taken []Value
}

type guess struct {
	key      Key
	limit, n int
}

// appendKeys appends those that the step is about.
func (s *step) appendKeys(keys []Key) []Key {
	keys = append(keys, s.take...)
	for i := range s.put {
		keys = append(keys, s.put[i].Key())
	}
	if s.guess != nil {
		keys = append(keys, s.guess.key)
	}
	if s.swap != nil {
		keys = append(keys, s.swap.Old.Key())
	}
	if s.check != nil {
		keys = append(keys, s.check.Key)
	}
	return append(keys, s.absent...)
}

// keys are those that the call is about.
func (c *call) keys() []Key {
	var keys []Key
	for i := range c.steps {
		keys = c.steps[i].appendKeys(keys)
	}
	return keys
}

func (c *call) check() error {
	keys := c.keys()
	if len(keys) == 0 || len(keys) > MaxKeys {
		return fmt.Errorf("once: a call about %d values, of 1 to %d", len(keys), MaxKeys)
	}
	for i, k := range keys {
		if !kinds[k.Kind] {
			return fmt.Errorf("once: no kind %.40q", k.Kind)
		}
		if slices.Contains(keys[:i], k) {
			return errors.New("once: the same value twice in a call")
		}
	}
	for i := range c.steps {
		s := &c.steps[i]
		if s.swap != nil {
			if err := s.swap.Next.check(); err != nil {
				return err
			}
		}
		for j := range s.put {
			if err := s.put[j].check(); err != nil {
				return err
			}
		}
	}
	return nil
}

// check refuses what cannot be stored.
func (v *Value) check() error {
	switch {
	case v.Expires.IsZero():
		return errors.New("once: Value.Expires is not set")
	case len(v.Data) > MaxData:
		return fmt.Errorf("once: %d bytes of data, of at most %d", len(v.Data), MaxData)
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
	if !db.engine.durable() { // no commit to share
		db.mu.Unlock()
		db.batch([]*call{c})
		return c.err
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

// linger is how long the next transaction waits for callers if the one before it was
// shared: while many are at work a commit for three costs each of them more than the wait.
// A caller alone waits for nobody.
const linger = 500 * time.Microsecond

// run makes batches until nobody waits.
func (db *DB) run() {
	for shared := 0; ; {
		db.mu.Lock()
		if n := len(db.waiting); n > 0 && n < shared && !db.closed {
			db.mu.Unlock()
			time.Sleep(linger)
			db.mu.Lock()
		}
		n := min(len(db.waiting), maxBatch)
		if n == 0 {
			db.running = false
			db.idle.Broadcast()
			db.mu.Unlock()
			return
		}
		if shared = n; n == 1 {
			shared = 0
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
	var now int64
	for _, c := range calls {
		now = max(now, c.now)
		for _, k := range c.keys() {
			all[k] = true
		}
	}
	err := db.engine.change(ctx, now, slices.SortedFunc(maps.Keys(all), compareKeys), func(s state) {
		for _, c := range calls {
			c.apply(s)
		}
	})
	for _, c := range calls {
		switch {
		case errors.Is(err, ErrFull), errors.Is(err, ErrClosed):
			c.at, c.err = 0, err
		case err != nil:
			c.at, c.err = 0, fmt.Errorf("once: outcome unknown: %w", err)
		}
		close(c.done)
	}
}

// apply changes s as the call wants it, step by step until one is refused. It may be
// called again, on what is there then.
func (c *call) apply(s state) {
	c.err = nil
	for c.at = 0; c.at < len(c.steps); c.at++ {
		if c.err = c.steps[c.at].apply(s, c.now); c.err != nil {
			return
		}
	}
}

// apply changes s as the step wants it, or says why not.
func (p *step) apply(s state, now int64) error {
	p.taken = nil
	switch {
	case p.guess != nil:
		return p.guess.apply(s, now)
	case p.swap != nil:
		return p.swap.apply(s, now)
	case p.check != nil:
		return p.check.apply(s, now)
	}
	var fault error
	for _, k := range p.absent {
		if s[k].check(k, now) == nil {
			fault = ErrExists
		}
	}
	for _, k := range p.take {
		if err := s.usable(k, now); err != nil && fault == nil {
			fault = err
		}
	}
	for i := range p.put {
		if s[p.put[i].Key()] != nil && fault == nil {
			fault = ErrExists
		}
	}
	if fault != nil {
		return fault
	}
	for _, k := range p.take {
		r := s[k]
		p.taken = append(p.taken, r.value(k))
		r.state, r.changed = used, true
	}
	for i := range p.put {
		v := &p.put[i]
		s[v.Key()] = &row{expires: v.Expires.UnixMilli(), data: v.Data, fresh: true}
	}
	return nil
}

// usable is check, and remembers of a value that somebody came too late.
func (s state) usable(k Key, now int64) error {
	r := s[k]
	err := r.check(k, now)
	if errors.Is(err, ErrExpired) && r.state == live {
		r.state, r.changed = expired, true
	}
	return err
}

func (g *guess) apply(s state, now int64) error {
	if err := s.usable(g.key, now); err != nil {
		return err
	}
	r := s[g.key]
	if r.guesses >= g.limit {
		return ErrGuesses
	}
	r.guesses, r.changed = r.guesses+1, true
	g.n = r.guesses
	return nil
}

func (c *Check) apply(s state, now int64) error {
	if err := s.usable(c.Key, now); err != nil {
		return err
	}
	if sha256.Sum256(s[c.Key].data) != c.Sum {
		return ErrChanged
	}
	return nil
}

func (w *Swap) apply(s state, now int64) error {
	k := w.Old.Key()
	if err := s.usable(k, now); err != nil {
		return err
	}
	r := s[k]
	if !bytes.Equal(r.data, w.Old.Data) {
		return ErrChanged
	}
	r.data, r.expires, r.changed = w.Next.Data, w.Next.Expires.UnixMilli(), true
	return nil
}
