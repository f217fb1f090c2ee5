package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/issuance"
)

var _ issuance.Tx = (*tx)(nil)

// A tx is one write transaction. Once a statement has failed it is lost: what
// follows fails in the same way, and nothing of it is stored.
type tx struct {
	newLog bool // see BeginLog
	db     *DB
	outer  context.Context // the caller's, asked between statements
	ctx    context.Context // the same without its end, for statements
	lost   error
	over   bool

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

// fail marks the transaction as lost and the database as broken if the disk is.
func (t *tx) fail(err error) error {
	switch resultCode(err) {
	case codeFull:
		err = fmt.Errorf("%w: %w", ErrNoSpace, err)
	case codeIOError, codeCorrupt, codeNotADB, codeReadOnly:
		if t.db.broken == nil {
			t.db.broken = err
		}
	}
	if t.lost == nil {
		t.lost = err
	}
	return err
}

// lose marks the transaction as lost for a reason of the caller's.
func (t *tx) lose(err error) error {
	if t.lost == nil {
		t.lost = err
	}
	return err
}

// exec runs a statement that begins or ends the transaction, lost or not.
func (t *tx) exec(query string) error {
	s, err := t.stmt(query)
	if err != nil {
		return err
	}
	if _, err := s.ExecContext(t.ctx); err != nil {
		return t.fail(storeError(err))
	}
	return nil
}

// stmt prepares a statement once for the life of the connection.
func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if s, ok := t.db.stmts[query]; ok {
		return s, nil
	}
	s, err := t.db.conn.PrepareContext(t.ctx, query)
	if err != nil {
		return nil, t.fail(storeError(err))
	}
	t.db.stmts[query] = s
	return s, nil
}

// run runs a statement that returns no rows.
func (t *tx) run(query string, args ...any) error {
	if err := t.ready(); err != nil {
		return err
	}
	s, err := t.stmt(query)
	if err != nil {
		return err
	}
	if _, err := s.ExecContext(t.ctx, args...); err != nil {
		return t.fail(storeError(err))
	}
	return nil
}

// row runs a statement that returns at most one row, and reports whether it did.
func (t *tx) row(query string, args []any, dest ...any) (bool, error) {
	if err := t.ready(); err != nil {
		return false, err
	}
	s, err := t.stmt(query)
	if err != nil {
		return false, err
	}
	switch err := s.QueryRowContext(t.ctx, args...).Scan(dest...); {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, t.fail(storeError(err))
	}
	return true, nil
}

// rows runs a statement and calls f for each row.
func (t *tx) rows(query string, args []any, f func(scan func(dest ...any) error) error) error {
	if err := t.ready(); err != nil {
		return err
	}
	s, err := t.stmt(query)
	if err != nil {
		return err
	}
	r, err := s.QueryContext(t.ctx, args...)
	if err != nil {
		return t.fail(storeError(err))
	}
	defer r.Close() // its error is that of r.Err
	for r.Next() {
		if err := f(r.Scan); err != nil {
			return err
		}
	}
	if err := r.Err(); err != nil {
		return t.fail(storeError(err))
	}
	return nil
}

// A values takes the parameters of one row of a bulk statement.
type values []driver.NamedValue

func (v values) set(args ...driver.Value) {
	for i, a := range args {
		v[i].Value = a
	}
}

// each runs a statement for n rows, with params parameters that bind sets for
// row i. It goes past database/sql, which would cost as much again as SQLite.
func (t *tx) each(query string, n, params int, bind func(i int, v values)) (row int, err error) {
	if err := t.ready(); err != nil || n == 0 {
		return 0, err
	}
	err = t.db.conn.Raw(func(c any) error {
		s, err := t.bulk(c, query)
		if err != nil {
			return err
		}
		args := make(values, params)
		for i := range args {
			args[i].Ordinal = i + 1
		}
		for row = range n {
			bind(row, args)
			if _, err := s.ExecContext(t.ctx, args); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return row, t.fail(storeError(err))
	}
	return n, nil
}

func (t *tx) bulk(c any, query string) (driver.StmtExecContext, error) {
	s, ok := t.db.bulk[query]
	if !ok {
		var err error
		if s, err = c.(driver.ConnPrepareContext).PrepareContext(t.ctx, query); err != nil {
			return nil, err
		}
		t.db.bulk[query] = s
	}
	return s.(driver.StmtExecContext), nil
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
