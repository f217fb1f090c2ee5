package issuance

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/keys"
)

// maxTogether is how many intents and marks of single credentials share a call of
// [Store.Write].
const maxTogether = 64

// An errand is what a single credential has stored on its way up the ladder: its intent
// or its mark.
type errand struct {
	o    *order
	c    *candidate
	now  time.Time // of an intent
	mark bool

	turn chan turn
	err  error // at the end

	stage stage // guarded by errands.mu
}

// A stage is how far an errand has come that is not run by itself.
type stage int

const (
	waits   stage = iota // for its turn
	picked               // to be run by another one, who waits for the store
	running              // it is being stored: whoever waits for it has to wait for that
	left                 // nobody waits for it any more; it is not run
)

// A turn is what becomes of an errand that waited.
type turn int

const (
	done  turn = iota // somebody has run it
	alone             // it has to be run by itself
	lead              // it is the first of the next ones
)

// linger is how long one that leads waits for others if those before it shared a
// transaction: while many are at work a commit for three costs each of them more than
// the wait. One that is alone waits for nobody.
const linger = 500 * time.Microsecond

// errands are those of singles at the moment. While one call of Write is under way the
// others wait, and the first of them runs all of them in the next one: one transaction
// with a few statements in place of many behind savepoints. Nobody waits longer than the
// own context lasts for a transaction to begin, neither who leads nor who was picked
// (promise P30).
type errands struct {
	mu      sync.Mutex
	busy    bool
	shared  int // how many ran together the last time, 0 if one did
	waiting []*errand
}

// together runs an errand, with those that wait meanwhile if there are any. Each is
// decided on as if it had come alone.
func (s *Service) together(ctx context.Context, e *errand) error {
	if e.o.supersede || e.o.replaces != "" {
		return s.runAlone(ctx, e) // it may fail for what it supersedes, and with it all others
	}
	switch t, err := s.singles.wait(ctx, e); {
	case err != nil:
		return err
	case t == done:
		return e.err
	case t == alone:
		return s.runAlone(ctx, e)
	}
	all := s.singles.pick(e)
	if len(all) == 1 {
		defer s.singles.pass()
		return s.runAlone(ctx, e)
	}
	if s.lead(ctx, all) == done {
		return e.err
	}
	return s.runAlone(ctx, e)
}

// wait waits for the turn of an errand.
func (q *errands) wait(ctx context.Context, e *errand) (turn, error) {
	q.mu.Lock()
	if !q.busy {
		q.busy = true
		q.mu.Unlock()
		return lead, nil
	}
	e.turn = make(chan turn, 1)
	q.waiting = append(q.waiting, e)
	q.mu.Unlock()
	select {
	case t := <-e.turn:
		return t, nil
	case <-ctx.Done():
	}
	if q.leave(e) {
		return 0, ctx.Err()
	}
	return <-e.turn, nil // it came at the same moment, or comes when it is stored
}

// leave takes back an errand whose turn has not come, and reports whether it could.
func (q *errands) leave(e *errand) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.waiting, e); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		return true
	}
	if e.stage != picked {
		return false
	}
	e.stage = left
	return true
}

// begin returns those of the picked errands that are run: nobody has left them, and from
// now on nobody can. A transaction that is done again begins again.
func (q *errands) begin(all []*errand) []*errand {
	q.mu.Lock()
	defer q.mu.Unlock()
	var live []*errand
	for _, e := range all {
		if e.stage != left {
			e.stage = running
			live = append(live, e)
		}
	}
	return live
}

// putBack has picked errands wait again, before all others.
func (q *errands) putBack(all []*errand) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var back []*errand
	for _, e := range all {
		if e.stage == picked {
			e.stage = waits
			back = append(back, e)
		}
	}
	q.waiting = append(back, q.waiting...)
}

// pick takes those that go with the first one: no two about one record, since the second
// would have to see what became of the first.
func (q *errands) pick(first *errand) []*errand {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting)+1 < q.shared {
		q.mu.Unlock()
		time.Sleep(linger)
		q.mu.Lock()
	}
	type about struct {
		programme string
		record    Pseudonym
	}
	of := func(e *errand) about { return about{e.o.programme.ID, e.c.record} }
	all, seen := []*errand{first}, map[about]bool{of(first): true}
	q.waiting = slices.DeleteFunc(q.waiting, func(e *errand) bool {
		if len(all) == maxTogether || seen[of(e)] {
			return false
		}
		seen[of(e)] = true
		e.stage = picked
		all = append(all, e)
		return true
	})
	if q.shared = len(all); q.shared == 1 {
		q.shared = 0
	}
	return all
}

// pass lets the next one lead.
func (q *errands) pass() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.busy = false
		return
	}
	e := q.waiting[0]
	q.waiting = slices.Delete(q.waiting, 0, 1)
	e.turn <- lead
}

// runAlone runs an errand by itself.
func (s *Service) runAlone(ctx context.Context, e *errand) error {
	if e.mark {
		return s.complete(ctx, e.o, []*candidate{e.c})
	}
	return s.intend(ctx, e.o, e.now, []*candidate{e.c})
}

// lead runs errands in one transaction, tells those who wait and lets the next one lead.
// If nothing was stored because one of them could not be, or if one panics, each runs by
// itself. If the first one's ctx ends before the transaction begins, the others wait again.
func (s *Service) lead(ctx context.Context, all []*errand) (t turn) {
	t = alone
	others := all[1:]
	defer func() { // also if something panics
		for _, e := range others {
			e.turn <- t
		}
		s.singles.pass()
	}()
	// The store is asked for with a context that ends with ctx until the transaction has
	// begun, and not at all after that.
	patience, cancel := context.WithCancel(detached(ctx))
	defer cancel()
	stays := context.AfterFunc(ctx, cancel)
	defer stays()
	var live []*errand
	var refused error // of the function: then nothing is stored
	err := s.cfg.Store.Write(Bulk(patience), func(tx Tx) error {
		if live == nil && !stays() {
			return ctx.Err()
		}
		live = s.singles.begin(all)
		refused = s.runAll(tx, live)
		return refused
	})
	if live == nil && ctx.Err() != nil {
		s.singles.putBack(others)
		others, all[0].err = nil, ctx.Err()
		return done
	}
	if refused != nil {
		return alone
	}
	for _, e := range all {
		switch {
		case err == nil, e.mark && s.completed(detached(ctx), []*candidate{e.c}):
			e.err = nil
		case e.mark:
			e.err = fmt.Errorf("store the mark: %w", err)
		default:
			e.err = fmt.Errorf("store the intent: %w", err)
		}
	}
	return done
}

// runAll runs errands in a transaction.
func (s *Service) runAll(tx Tx, all []*errand) error {
	events, err := s.markIn(tx, all)
	if err != nil {
		return err
	}
	for _, alike := range intents(all) {
		o, now := *alike[0].o, alike[0].now
		candidates := make([]*candidate, len(alike))
		for i, e := range alike {
			candidates[i], now = e.c, later(now, e.now)
		}
		more, err := s.intendIn(tx, &o, now, candidates, candidates)
		if err != nil {
			return err
		}
		events = append(events, more...)
	}
	if len(events) == 0 {
		return nil
	}
	return tx.Append(events)
}

// markIn stores the marks among errands.
func (s *Service) markIn(tx Tx, all []*errand) ([]audit.Event, error) {
	var live []*candidate
	var actors []string
	for _, e := range all {
		if e.mark {
			live, actors = append(live, e.c), append(actors, e.o.actor)
		}
	}
	if len(live) == 0 {
		return nil, nil
	}
	marks, events, at := s.marks(all[0].o, live)
	for i := range events {
		events[i].Actor = actors[i]
	}
	return events, tx.Complete(marks, at)
}

// intents are those among errands, put together by what they are issued under.
func intents(all []*errand) [][]*errand {
	type under struct {
		programme string
		version   int
		key       keys.ID
		actor     string
		joins     bool
	}
	places := map[under]int{}
	var groups [][]*errand
	for _, e := range all {
		if e.mark {
			continue
		}
		u := under{e.o.programme.ID, e.o.programme.Version, e.o.key.ID(), e.o.actor, e.o.joins}
		i, ok := places[u]
		if !ok {
			i, places[u] = len(groups), len(groups)
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], e)
	}
	return groups
}
