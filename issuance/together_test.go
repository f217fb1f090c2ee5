package issuance_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/issuance"
)

// A sluice is a store that lets nobody write until it is open, and says how many intents
// and marks each transaction was about.
type sluice struct {
	issuance.Store
	open chan struct{}
	// spoil is asked in a transaction about several credentials; lose after one. Optional.
	spoil, lose func() error

	came  atomic.Int32 // calls of Write
	mu    sync.Mutex
	sizes []int
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 60_000 {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("after a minute: %s", what)
}

func (g *sluice) Write(ctx context.Context, f func(issuance.Tx) error) error {
	g.came.Add(1)
	<-g.open
	t := &sluiceTx{sluice: g}
	err := g.Store.Write(ctx, func(tx issuance.Tx) error {
		t.Tx, t.n = tx, 0
		return f(t)
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.n > 0 && err == nil {
		g.sizes = append(g.sizes, t.n)
	}
	if err == nil && t.n > 1 && g.lose != nil {
		return g.lose()
	}
	return err
}

type sluiceTx struct {
	issuance.Tx
	*sluice
	n int
}

func (t *sluiceTx) Intend(creds []issuance.Credential) error {
	if err := t.spoiled(len(creds)); err != nil {
		return err
	}
	return t.Tx.Intend(creds)
}

func (t *sluiceTx) Complete(marks []issuance.Mark, at time.Time) error {
	if err := t.spoiled(len(marks)); err != nil {
		return err
	}
	return t.Tx.Complete(marks, at)
}

func (t *sluiceTx) spoiled(n int) error {
	if t.n += n; t.n > 1 && t.spoil != nil {
		return t.spoil()
	}
	return nil
}

// A delivered is what a delivery brought.
type delivered struct {
	d      issuance.Delivery
	issued *issuance.Issued
	err    error
}

// deliverAtOnce has all deliveries wait for the store, and returns what they bring once
// it can be written. One that panics has no outcome.
func (b *bed) deliverAtOnce(g *sluice, all []issuance.Delivery) []delivered {
	b.Helper()
	g.open = make(chan struct{})
	before := g.came.Load()
	out := make([]delivered, len(all))
	var wg sync.WaitGroup
	for i, d := range all {
		wg.Go(func() {
			defer func() { _ = recover() }()
			issued, err := b.service.Deliver(b.Context(), d)
			out[i] = delivered{d, issued, err}
		})
		until(b, "one leads and the others wait", func() bool { return g.came.Load() > before && b.service.Waiting() == i })
	}
	close(g.open)
	wg.Wait()
	return out
}

// released checks that what was handed out is active and the whole of what is, and
// returns how many that are.
func (b *bed) released(out []delivered) int {
	b.Helper()
	var ids []string
	for _, o := range out {
		if o.issued == nil {
			continue
		}
		b.checkCopies(o.issued, o.d.Holders)
		ids = append(ids, o.issued.Credential.ID)
		if at := o.issued.Credential.Changed; !b.stored(o.issued.Credential.ID).Changed.Equal(at) {
			b.Errorf("%s was changed at %v, says what was released", o.issued.Credential.ID, at)
		}
	}
	slices.Sort(ids)
	var active []string
	for _, c := range b.all(issuance.Query{Programme: "licence"}) {
		switch {
		case c.State == issuance.Active:
			active = append(active, c.ID)
		case c.State != issuance.Revoked:
			b.Errorf("%s is left %s %s", c.ID, c.State, c.Reason)
		}
	}
	if !slices.Equal(ids, active) {
		b.Errorf("released are %v, active %v", ids, active)
	}
	return len(ids)
}

func (b *bed) stored(id string) issuance.Credential {
	b.Helper()
	c, err := b.store.Credential(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// TestSinglesShareATransaction: those who wait for the store are stored together, each
// decided on as if it had come alone.
func TestSinglesShareATransaction(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		g := &sluice{Store: store, open: make(chan struct{})}
		close(g.open)
		b := newWalletBed(t, g)
		first := delivery(t, 1, 0, 1)
		first.Idempotency = "the first"
		revoked := b.deliver(first).Credential.ID
		if _, err := b.service.Revoke(t.Context(), revoked, issuance.Lost, "tester"); err != nil {
			t.Fatal(err)
		}
		g.sizes = nil
		all := []issuance.Delivery{delivery(t, 2, 2, 1), delivery(t, 3, 3, 2), delivery(t, 4, 4, 1), delivery(t, 5, 5, 1), delivery(t, 2, 20, 1), delivery(t, 6, 6, 1)}
		all[1].Actor = "another"
		all[2].Idempotency = "the first"                         // of another record
		all[3].Idempotency = "the fifth"                         //
		all = append(all, first, delivery(t, 1, 7, 1), all[3])   // was issued; holds none any more; comes twice
		all[6].Record, all[7].Idempotency = person(1), "revoked" //
		out := b.deliverAtOnce(g, all)
		want := []string{2: issuance.CodeConflict, 4: issuance.CodeInProgress, 6: issuance.CodeRepeated, 8: issuance.CodeRepeated}
		for i, o := range out {
			code := ""
			if refused, ok := errors.AsType[*issuance.RecordError](o.err); ok {
				code = refused.Code()
			} else if o.err != nil {
				t.Errorf("delivery %d: %v", i, o.err)
			}
			if i < len(want) && code != want[i] || i >= len(want) && code != "" {
				t.Errorf("delivery %d: %q, want %q", i, code, want[i])
			}
		}
		if n := b.released(out); n != 5 {
			t.Errorf("%d were released, want 5", n)
		}
		// One by itself, since nobody waited before it; then those that need not see one
		// another.
		if len(g.sizes) < 2 || g.sizes[0] != 1 || slices.Max(g.sizes) < 3 {
			t.Errorf("transactions about %v intents and marks, want the first of 1 and one of 3 or more", g.sizes)
		}
	})
}

// TestSinglesOneSpoils: if what is stored together cannot be, because of one or because
// of a fault, each gets what it would have got alone.
func TestSinglesOneSpoils(t *testing.T) {
	errSpoilt := errors.New("spoilt")
	var panics atomic.Int32
	tests := []struct {
		name        string
		spoil, lose func() error
		least       int // how many are released
	}{
		{"refused", func() error { return errSpoilt }, nil, 8},
		{"a panic", func() error { panics.Add(1); panic("spoilt") }, nil, 0},
		{"stored, and the answer lost", nil, func() error { return errSpoilt }, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := &sluice{Store: newMemory(), open: make(chan struct{})}
			close(g.open)
			b := newWalletBed(t, g)
			g.spoil, g.lose = tt.spoil, tt.lose
			var all []issuance.Delivery
			for i := range 8 {
				all = append(all, delivery(t, i, i, 1))
				all[i].Idempotency = fmt.Sprint("delivery ", i)
			}
			out := b.deliverAtOnce(g, all)
			g.spoil, g.lose = nil, nil
			if b.service.Waiting() != 0 {
				t.Errorf("%d still wait", b.service.Waiting())
			}
			if _, err := b.service.Sweep(t.Context()); err != nil { // of one that panicked: the caller is no crash
				t.Fatal(err)
			}
			for _, c := range b.all(issuance.Query{Programme: "licence", State: issuance.Intended}) {
				if _, err := b.service.Revoke(t.Context(), c.ID, issuance.Lost, "tester"); err != nil {
					t.Fatal(err)
				}
			}
			n := 0
			for i, o := range out {
				if o.issued != nil {
					n++
				} else if tt.spoil != nil && o.err != nil {
					t.Errorf("delivery %d: %v", i, o.err)
				}
			}
			if n < tt.least {
				t.Errorf("%d were released, want %d at least", n, tt.least)
			}
			// Of those that go together whoever leads is lost, and nobody else.
			if lost := int(panics.Swap(0)); tt.least == 0 && (lost == 0 || n != len(all)-lost) {
				t.Errorf("%d were released after %d panics, want all of %d but one for each", n, lost, len(all))
			}
			for _, o := range out {
				if o.issued != nil && b.state(o.issued.Credential.ID) != "active " {
					t.Errorf("%s was released and is %s", o.issued.Credential.ID, b.state(o.issued.Credential.ID))
				}
			}
			if active := len(b.all(issuance.Query{Programme: "licence", State: issuance.Active})); active != n {
				t.Errorf("%d are active, %d were released", active, n)
			}
			// The next one works.
			b.deliver(delivery(t, 100, 100, 1))
		})
	}
}

// TestSinglesOneLeaves: one whose caller has gone before its turn stores nothing.
func TestSinglesOneLeaves(t *testing.T) {
	g := &sluice{Store: newMemory(), open: make(chan struct{})}
	close(g.open)
	b := newWalletBed(t, g)
	g.open = make(chan struct{})
	before := g.came.Load()
	ctx, leave := context.WithCancel(t.Context())
	errs := make([]error, 3)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			c := t.Context()
			if i == 1 {
				c = ctx
			}
			_, errs[i] = b.service.Deliver(c, delivery(t, i, i, 1))
		})
		until(t, "one leads and the others wait", func() bool { return g.came.Load() > before && b.service.Waiting() == i })
	}
	leave()
	until(t, "one has left", func() bool { return b.service.Waiting() == 1 })
	close(g.open)
	wg.Wait()
	if errs[0] != nil || !errors.Is(errs[1], context.Canceled) || errs[2] != nil {
		t.Errorf("outcomes %v, want the second one cancelled", errs)
	}
	if n := len(b.all(issuance.Query{Programme: "licence"})); n != 2 {
		t.Errorf("%d credentials, want 2", n)
	}
}

// TestSinglesLeave: while the store lets nobody write, whoever's time is over leaves, whether
// somebody leads, was picked by the one who leads, or waits. What is left is issued, and
// nothing is left behind of who went (promise P30).
func TestSinglesLeave(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		g := &queue{Store: store, turns: make(chan struct{})}
		b := newWalletBed(t, g)
		type client struct {
			leave context.CancelFunc
			ended chan error
		}
		come := func(n int) client {
			ctx, cancel := context.WithCancel(t.Context())
			c := client{cancel, make(chan error, 1)}
			go func() {
				_, err := b.service.Deliver(ctx, delivery(t, n, n, 1))
				c.ended <- err
			}()
			return c
		}
		goes := func(who string, c client) {
			t.Helper()
			c.leave()
			select {
			case err := <-c.ended:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%s left: %v, want that time ran out", who, err)
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("%s left half a minute ago and still waits", who)
			}
		}
		g.shut.Store(true)
		first := come(1)
		until(t, "the first is in the queue", func() bool { return g.queued.Load() == 1 })
		leads := come(2)
		until(t, "one waits", func() bool { return b.service.Waiting() == 1 })
		var others []client
		for i := range 4 {
			others = append(others, come(3+i))
			until(t, "they wait", func() bool { return b.service.Waiting() == 2+i })
		}
		goes("the first, who is alone,", first)
		until(t, "the others were picked", func() bool { return g.queued.Load() == 1 && b.service.Waiting() == 0 })
		goes("one who was picked", others[0])
		goes("the one who leads", leads)
		until(t, "the next one leads", func() bool { return g.queued.Load() == 1 && b.service.Waiting() == 0 })
		late := come(8)
		until(t, "one more waits", func() bool { return b.service.Waiting() == 1 })
		goes("one who was not picked yet", late)
		goes("one who was picked twice", others[1])
		g.shut.Store(false)
		close(g.turns)
		for _, c := range others[2:] {
			if err := <-c.ended; err != nil {
				t.Errorf("who stayed: %v", err)
			}
		}
		if n := len(b.all(issuance.Query{Programme: "licence"})); n != 2 {
			t.Errorf("%d credentials are recorded, want the 2 of those who stayed", n)
		}
		b.deliver(delivery(t, 100, 100, 1)) // the next one works
	})
}

// A queue is a store in which one waits for his turn to write as long as his context lasts.
type queue struct {
	issuance.Store
	shut   atomic.Bool
	turns  chan struct{}
	queued atomic.Int32 // how many wait at the moment
}

func (q *queue) Write(ctx context.Context, f func(issuance.Tx) error) error {
	if q.shut.Load() {
		q.queued.Add(1)
		select {
		case <-q.turns:
		case <-ctx.Done():
		}
		q.queued.Add(-1)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return q.Store.Write(ctx, f)
}
