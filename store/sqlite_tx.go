package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/sanad-id/sanad/issuance"
)

// sqliteEngine is the engine of one database file.
type sqliteEngine struct {
	path     string
	readOnly bool
	now      func() time.Time
	checked  time.Time // when the pages were last read through
	lock     *lock     // nil if readOnly

	readers *sql.DB
	reads   sync.Map // *sql.Stmt on readers by statement
	writers *sql.DB
	conn    *sql.Conn // the one connection that writes; nil if readOnly

	// What follows belongs to the one who writes.
	known os.FileInfo // the file as last seen
	stmts map[string]*sql.Stmt
	bulk  map[string]driver.Stmt
}

var _ engine = (*sqliteEngine)(nil)

func (e *sqliteEngine) dialect() *dialect { return &sqliteDialect }

// Lists of values come as one JSON text.
var sqliteDialect = dialect{
	// CROSS JOIN keeps SQLite from turning the join around.
	selectMarked: `SELECT j.key, c.credential_no, c.state,
		(SELECT count(*) FROM credential_form f WHERE f.credential_no = c.credential_no)
		FROM json_each($1) j CROSS JOIN credential c WHERE c.credential_id = j.value`,
	selectHeld: `SELECT c.record_ref, c.credential_id, c.state, b.batch_id, c.batch_row, c.expires_at
		FROM json_each($2) j CROSS JOIN credential c LEFT JOIN batch b USING (batch_no)
		WHERE c.programme_no = $1 AND c.record_ref = unhex(j.value) AND c.vacated = 0`,
	strings: func(all []string) any {
		b, err := json.Marshal(all)
		if err != nil {
			panic(fmt.Sprintf("store: internal error: %v", err)) // strings always have a form
		}
		return string(b)
	},
	records:   func(all []issuance.Pseudonym) any { return hexArray(all) },
	aside:     func(column string) string { return "+" + column },
	abandoned: func(param string) string { return "writer_no IS NOT " + param },
}

// hexArray is a JSON array of pseudonyms in hexadecimal.
func hexArray(records []issuance.Pseudonym) string {
	b := make([]byte, 0, 2+len(records)*(2*len(issuance.Pseudonym{})+3))
	b = append(b, '[')
	for i := range records {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = hex.AppendEncode(b, records[i][:])
		b = append(b, '"')
	}
	return string(append(b, ']'))
}

func (e *sqliteEngine) close(orderly bool) error {
	var errs []error
	for _, s := range e.bulk {
		errs = append(errs, s.Close())
	}
	for _, s := range e.stmts {
		errs = append(errs, s.Close())
	}
	if e.readers != nil {
		errs = append(errs, e.readers.Close()) // and its statements
	}
	if e.conn != nil {
		errs = append(errs, e.conn.Close())
	}
	// The last connection to close moves the write-ahead log into the file.
	if e.writers != nil {
		errs = append(errs, e.writers.Close())
	}
	if e.lock != nil {
		errs = append(errs, e.lock.release(e.condition(orderly)))
	}
	return errors.Join(errs...)
}

// condition is how the file is left, or the zero value if it should be checked.
func (e *sqliteEngine) condition(orderly bool) condition {
	info, err := os.Stat(e.path)
	if err != nil || !orderly {
		return condition{}
	}
	if _, err := os.Stat(e.path + "-wal"); err == nil { // not moved into the file
		return condition{}
	}
	return condition{size: info.Size(), modified: info.ModTime(), checked: e.checked}
}

// checkFile notices what was done to the file while we have it open. Writing to
// a file that was removed or replaced would be lost.
func (e *sqliteEngine) checkFile() error {
	info, err := os.Stat(e.path)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %v", ErrFileChanged, err)
	case !os.SameFile(info, e.known):
		return fmt.Errorf("%w: %s is another file now", ErrFileChanged, e.path)
	case info.Size() < e.known.Size():
		return fmt.Errorf("%w: %s was cut off", ErrFileChanged, e.path)
	case info.Mode().Perm()&0o200 == 0:
		return fmt.Errorf("%w: %s is read-only now", ErrFileChanged, e.path)
	}
	e.known = info
	return nil
}

// read implements engine. A statement that is kept stays prepared.
func (e *sqliteEngine) read(ctx context.Context, query string, keep bool, args []any, f func(scan) error) error {
	rows, err := e.query(ctx, query, keep, args)
	if err != nil {
		return readError(ctx, err)
	}
	defer rows.Close() // its error is that of rows.Err
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return readError(ctx, err)
	}
	return nil
}

func (e *sqliteEngine) query(ctx context.Context, query string, keep bool, args []any) (*sql.Rows, error) {
	if !keep {
		return e.readers.QueryContext(ctx, query, args...)
	}
	s, ok := e.reads.Load(query)
	if !ok {
		fresh, err := e.readers.PrepareContext(ctx, query)
		if err != nil {
			return nil, err
		}
		if s, ok = e.reads.LoadOrStore(query, fresh); ok {
			_ = fresh.Close() // somebody else was faster
		}
	}
	return s.(*sql.Stmt).QueryContext(ctx, args...)
}

// readError is what went wrong with a read: the end of ctx, or the database.
func readError(ctx context.Context, err error) error {
	if e := ctx.Err(); e != nil {
		return e
	}
	if strings.Contains(err.Error(), "database is closed") {
		return ErrClosed
	}
	return storeError(err)
}

// What the triggers say when they refuse something that callers tell apart.
var sayings = map[string]error{
	"sanad: record held": issuance.ErrActiveExists, "sanad: idempotency key used": issuance.ErrIdempotencyUsed,
	"sanad: slot used": issuance.ErrSlotTaken, "sanad: list open": issuance.ErrListOpen,
	"sanad: a part belongs to": issuance.ErrState, "sanad: a part is not in force": issuance.ErrState,
	"sanad: the parts of a credential": issuance.ErrState,
}

// saying is the error that callers know for what a trigger says, or nil.
func saying(text string) error {
	for say, meaning := range sayings {
		if strings.Contains(text, say) {
			return meaning
		}
	}
	return nil
}

func (e *sqliteEngine) meaning(err error) error { return saying(err.Error()) }

// A sqliteTx is a write transaction.
type sqliteTx struct {
	e   *sqliteEngine
	ctx context.Context // the caller's without its end: no statement is broken off half way
}

var _ session = sqliteTx{}

func (e *sqliteEngine) begin(ctx context.Context) (session, head, error) {
	if err := e.checkFile(); err != nil {
		return nil, head{}, &stopError{err}
	}
	s := sqliteTx{e, context.WithoutCancel(ctx)}
	if err := s.run("BEGIN IMMEDIATE"); err != nil {
		return nil, head{}, fmt.Errorf("begin: %w", err)
	}
	var h head
	if _, err := s.row(selectFence, nil, &h.epoch, &h.fence); err != nil {
		return nil, head{}, errors.Join(err, s.rollback())
	}
	return s, h, nil
}

// judge says what an error means for the database.
func (s sqliteTx) judge(err error) error {
	err = storeError(err)
	switch resultCode(err) {
	case codeFull:
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case codeIOError, codeCorrupt, codeNotADB, codeReadOnly:
		return &stopError{err}
	}
	return err
}

// stmt prepares a statement once for the life of the connection.
func (s sqliteTx) stmt(query string) (*sql.Stmt, error) {
	if p, ok := s.e.stmts[query]; ok {
		return p, nil
	}
	p, err := s.e.conn.PrepareContext(s.ctx, query)
	if err != nil {
		return nil, s.judge(err)
	}
	s.e.stmts[query] = p
	return p, nil
}

func (s sqliteTx) run(query string, args ...any) error {
	p, err := s.stmt(query)
	if err != nil {
		return err
	}
	if _, err := p.ExecContext(s.ctx, args...); err != nil {
		return s.judge(err)
	}
	return nil
}

func (s sqliteTx) row(query string, args []any, dest ...any) (bool, error) {
	p, err := s.stmt(query)
	if err != nil {
		return false, err
	}
	switch err := p.QueryRowContext(s.ctx, args...).Scan(dest...); {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, s.judge(err)
	}
	return true, nil
}

func (s sqliteTx) rows(query string, args []any, f func(scan) error) error {
	p, err := s.stmt(query)
	if err != nil {
		return err
	}
	r, err := p.QueryContext(s.ctx, args...)
	if err != nil {
		return s.judge(err)
	}
	defer r.Close() // its error is that of r.Err
	for r.Next() {
		if err := f(r.Scan); err != nil {
			return err
		}
	}
	if err := r.Err(); err != nil {
		return s.judge(err)
	}
	return nil
}

func (s sqliteTx) insert(into insertion, n int, bind func(i int, v values)) (int, error) {
	return s.each(into.statement, n, len(into.columns), bind)
}

// each runs a statement for n rows, with params parameters that bind sets for
// row i. It goes past database/sql, which would cost as much again as SQLite.
func (s sqliteTx) each(query string, n, params int, bind func(i int, v values)) (row int, err error) {
	if n == 0 {
		return 0, nil
	}
	err = s.e.conn.Raw(func(c any) error {
		p, err := s.prepare(c, query)
		if err != nil {
			return err
		}
		args := make(values, params)
		for i := range args {
			args[i].Ordinal = i + 1
		}
		for row = range n {
			bind(row, args)
			if _, err := p.ExecContext(s.ctx, args); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return row, s.judge(err)
	}
	return n, nil
}

func (s sqliteTx) prepare(c any, query string) (driver.StmtExecContext, error) {
	p, ok := s.e.bulk[query]
	if !ok {
		var err error
		if p, err = c.(driver.ConnPrepareContext).PrepareContext(s.ctx, query); err != nil {
			return nil, err
		}
		s.e.bulk[query] = p
	}
	return p.(driver.StmtExecContext), nil
}

func (s sqliteTx) complete(numbers []int64, marks []issuance.Mark, at int64) error {
	type form struct{ mark, form int }
	flat := make([]form, 0, len(marks))
	for i := range marks {
		for j := range marks[i].Signed {
			flat = append(flat, form{i, j})
		}
	}
	i, err := s.each(updateSigned, len(flat), 3, func(i int, v values) {
		f := flat[i]
		v.set(numbers[f.mark], int64(f.form), marks[f.mark].Signed[f.form][:])
	})
	if err != nil {
		return fmt.Errorf("%.40q: %w", marks[flat[i].mark].ID, err)
	}
	i, err = s.each(updateActive, len(marks), 2, func(i int, v values) { v.set(numbers[i], at) })
	if err != nil {
		return fmt.Errorf("%.40q: %w", marks[i].ID, err)
	}
	return nil
}

// hold has nothing to do: who has the lock of the file is the one that is alive.
func (s sqliteTx) hold(int64) error { return nil }

func (s sqliteTx) commit() error {
	if err := s.run("COMMIT"); err != nil {
		return fmt.Errorf("%w: commit: %w", ErrOutcomeUnknown, err)
	}
	return nil
}

func (s sqliteTx) rollback() error {
	if err := s.run("ROLLBACK"); err != nil && !rolledBack(err) {
		return &stopError{err}
	}
	return nil
}
