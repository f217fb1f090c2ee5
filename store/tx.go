package store

import (
	"context"
	"errors"
	"time"

	"github.com/sanad-id/sanad/issuance"
)

var _ issuance.Tx = (*tx)(nil)

// A tx is one write transaction. Once a statement has failed it is lost: what
// follows fails in the same way, and nothing of it is stored.
type tx struct {
	db     *DB
	outer  context.Context // the caller's, asked between statements
	s      session
	head   head
	lost   error
	over   bool
	behind bool // it has a savepoint before it
	newLog bool // see BeginLog

	// What it adds to the audit log, for the journal.
	first   int64
	entries [][]byte
	staged  bool
	stored  func() // optional: called once it is stored
}

// ready reports whether another statement may follow.
func (t *tx) ready() error {
	switch {
	case t.over:
		return errors.New("store: the transaction is over")
	case t.lost != nil:
		return t.lost
	}
	if err := t.outer.Err(); err != nil {
		t.lost = err
	}
	return t.lost
}

// fail marks the transaction as lost, and the database as broken if it must not be
// written to any more.
func (t *tx) fail(err error) error {
	t.db.stop(err)
	return t.lose(err)
}

// lose marks the transaction as lost for a reason of the caller's.
func (t *tx) lose(err error) error {
	if t.lost == nil {
		t.lost = err
	}
	return err
}

// run runs a statement that returns no rows.
func (t *tx) run(query string, args ...any) error {
	if err := t.ready(); err != nil {
		return err
	}
	if err := t.s.run(query, args...); err != nil {
		return t.fail(err)
	}
	return nil
}

// row runs a statement that returns at most one row, and reports whether it did.
func (t *tx) row(query string, args []any, dest ...any) (bool, error) {
	if err := t.ready(); err != nil {
		return false, err
	}
	ok, err := t.s.row(query, args, dest...)
	if err != nil {
		return false, t.fail(err)
	}
	return ok, nil
}

// rows runs a statement and calls f for each row.
func (t *tx) rows(query string, args []any, f func(scan) error) error {
	if err := t.ready(); err != nil {
		return err
	}
	var mine error // of f: whether it is a failure f decides
	err := t.s.rows(query, args, func(s scan) error {
		mine = f(s)
		return mine
	})
	if err != nil && mine == nil {
		return t.fail(err)
	}
	return err
}

// insert adds n rows to a table, whose values bind sets.
func (t *tx) insert(into insertion, n int, bind func(i int, v values)) (row int, err error) {
	if err := t.ready(); err != nil || n == 0 {
		return 0, err
	}
	if row, err = t.s.insert(into, n, bind); err != nil {
		return row, t.fail(err)
	}
	return row, nil
}

// toTime is the time of a column; 0 is no time.
func toTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// fromTime is the column for a time.
func fromTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// orNull is v, or NULL if absent.
func orNull(v any, absent bool) any {
	if absent {
		return nil
	}
	return v
}
