package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/sanad-id/sanad/issuance"
)

// maxGroup is how many calls of Write may share a commit: the first of them waits
// for the last.
const maxGroup = 64

// A group is a transaction of the engine that calls of [DB.Write] share. While one
// of them works others wait for their turn; they go on in the transaction that it
// leaves open, each behind a savepoint, and whoever finds nobody waiting commits for
// all. So the price of a commit, which is mostly the disk's, is paid once.
//
// Each member sees what those before it did, as if they were stored. That they are
// is known to nobody before the commit: then all are, or none.
type group struct {
	s    session
	head head

	members int   // those who had their turn
	kept    int   // those whose work is to be stored
	closed  bool  // nobody may join any more
	lost    error // why nothing of it can be stored

	// What it adds to the audit log, for the journal.
	first   int64
	entries [][]byte
	stored  []func() // called once it is stored

	done chan struct{} // closed at its end
	err  error         // how it ended
}

// Write implements [issuance.Store]. If the commit fails it returns
// [ErrOutcomeUnknown]; after a disk error every later call returns [ErrBroken].
// Calls that wait for their turn share a commit.
func (db *DB) Write(ctx context.Context, f func(issuance.Tx) error) error {
	if db.readOnly {
		return fmt.Errorf("store: write: opened for reading only: %s", db.location)
	}
	g, err := db.turns.take(ctx, db.engine.dialect().bulkFirst && issuance.IsBulk(ctx))
	if err != nil {
		return err
	}
	if g == nil {
		if g, err = db.begin(ctx); err != nil {
			db.turns.pass()
			return err
		}
	}
	err = db.write(ctx, g, f)
	<-g.done
	if g.err != nil && (err == nil || g.members > 1) { // f may have decided by what is not stored
		return g.err
	}
	return err
}

// begin starts a transaction for whoever has the turn.
func (db *DB) begin(ctx context.Context) (*group, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if db.broken != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, db.broken)
	}
	s, h, err := db.engine.begin(ctx)
	if err != nil {
		db.stop(err)
		return nil, err
	}
	return &group{s: s, head: h, done: make(chan struct{})}, nil
}

// write runs f as a member of a group. Statements do not get ctx: it is asked
// between them, so that none is broken off half way.
func (db *DB) write(ctx context.Context, g *group, f func(issuance.Tx) error) error {
	t := &tx{db: db, outer: ctx, s: g.s, head: g.head}
	kept := false
	defer func() { // also if f panics
		t.over = true
		if kept {
			g.keep(t)
		} else {
			db.undo(g, t)
		}
		g.members++
		db.leave(g)
	}()
	if g.kept > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if t.lost = g.s.savepoint(); t.lost != nil {
			return t.fail(t.lost)
		}
		t.behind = true
	}
	err := t.do(f)
	if err == nil && t.behind {
		if err = g.s.release(); err != nil {
			err = t.fail(err)
		}
	}
	kept = err == nil
	return err
}

// keep makes the work of a member part of the group's.
func (g *group) keep(t *tx) {
	if len(g.entries) == 0 {
		g.first = t.first
	}
	g.entries = append(g.entries, t.entries...)
	if t.stored != nil {
		g.stored = append(g.stored, t.stored)
		g.closed = true // those who came later would see what was before
	}
	g.kept++
}

// undo takes back what a member did, and everything if that is not possible.
func (db *DB) undo(g *group, t *tx) {
	db.names = names{} // what was looked up may never have been stored
	switch {
	case g.kept == 0:
		g.closed = true // end takes back the whole
	case db.broken != nil:
		g.lost = fmt.Errorf("%w: %w", ErrBroken, db.broken)
	case t.behind:
		if err := g.s.undo(); err != nil {
			db.stop(err)
			g.lost = fmt.Errorf("store: not stored: another transaction took it along: %w", err)
		}
	case t.lost != nil: // not even a savepoint
		g.lost = fmt.Errorf("store: not stored: %w", t.lost)
	}
}

// leave hands a group on to who is waiting, or ends it.
func (db *DB) leave(g *group) {
	if g.lost == nil && !g.closed && g.members < maxGroup && db.turns.hand(g) {
		return
	}
	g.err = db.end(g)
	close(g.done)
	db.turns.pass()
}

// end stores what a group has done.
func (db *DB) end(g *group) error {
	if g.lost != nil || g.kept == 0 {
		return db.rollback(g, g.lost)
	}
	t := &tx{db: db, outer: context.Background(), s: g.s, head: g.head, first: g.first, entries: g.entries}
	if err := t.stage(); err != nil {
		err = db.rollback(g, err)
		t.settle(outcomeNotStored)
		return err
	}
	if err := g.s.commit(); err != nil {
		db.stop(err)
		if errors.Is(err, ErrOutcomeUnknown) {
			t.settle(outcomeUnknown)
		}
		_ = db.rollback(g, nil)
		t.settle(outcomeNotStored) // unless that is unknown
		return err
	}
	for _, f := range g.stored {
		f()
	}
	t.settle(outcomeStored)
	return nil
}

// rollback takes back a whole group and returns why.
func (db *DB) rollback(g *group, why error) error {
	if err := g.s.rollback(); err != nil {
		db.stop(err)
	}
	db.names = names{} // what was looked up may never have been stored
	return why
}

// turns decides who writes: in the order in which they came, one at a time.
type turns struct {
	mu           sync.Mutex
	busy, closed bool
	waiting      []*waiter
}

// A waiter waits for its turn.
type waiter struct {
	alone bool        // does not join a group
	turn  chan *group // nil if nothing is open; closed if the database is
}

// take waits for the turn. The group is nil if it is to begin one.
func (q *turns) take(ctx context.Context, alone bool) (*group, error) {
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		return nil, ErrClosed
	case !q.busy:
		q.busy = true
		q.mu.Unlock()
		return nil, nil
	}
	w := &waiter{alone: alone, turn: make(chan *group, 1)}
	q.waiting = append(q.waiting, w)
	q.mu.Unlock()
	select {
	case g, open := <-w.turn:
		return g, w.closed(open)
	case <-ctx.Done():
	}
	q.mu.Lock()
	i := slices.Index(q.waiting, w)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	q.mu.Unlock()
	if i >= 0 {
		return nil, ctx.Err()
	}
	g, open := <-w.turn // it came at the same moment, and has to be passed on
	return g, w.closed(open)
}

func (w *waiter) closed(open bool) error {
	if !open {
		return ErrClosed
	}
	return nil
}

// hand gives an open group to the next one, and reports whether somebody takes it.
func (q *turns) hand(g *group) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 || q.waiting[0].alone {
		return false
	}
	q.next() <- g
	return true
}

// pass gives the turn to the next one, if there is one.
func (q *turns) pass() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.busy = false
		return
	}
	q.next() <- nil
}

func (q *turns) next() chan<- *group {
	w := q.waiting[0]
	q.waiting = slices.Delete(q.waiting, 0, 1)
	return w.turn
}

// close waits for the turn and never gives it back: everybody else finds the
// database closed.
func (q *turns) close() {
	_, _ = q.take(context.Background(), true)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, w := range q.waiting {
		close(w.turn)
	}
	q.waiting = nil
}
