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
	"regexp"
	"strconv"
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
	rows  int // inserted since a checkpoint was begun
	aside *checkpoint
}

// A checkpoint moves the write-ahead log into the file beside the writer.
type checkpoint struct {
	done chan struct{}
	err  error // set when done is closed; nil if it only found no room or no time
}

var _ engine = (*sqliteEngine)(nil)

func (e *sqliteEngine) dialect() *dialect { return &sqliteDialect }

// Lists of values come as one JSON text.
var sqliteDialect = dialect{
	selectFence: selectFence,
	// CROSS JOIN keeps SQLite from turning the join around.
	selectMarked: `SELECT j.key, c.credential_no, c.state,
		(SELECT count(*) FROM credential_form f WHERE f.credential_no = c.credential_no)
		FROM json_each($1) j CROSS JOIN credential c WHERE c.credential_id = j.value`,
	selectHeld: `SELECT c.record_ref, c.credential_id, c.state, b.batch_id, c.batch_row, c.expires_at
		FROM json_each($2) j CROSS JOIN credential c LEFT JOIN batch b USING (batch_no)
		WHERE c.programme_no = $1 AND c.record_ref = unhex(j.value) AND c.vacated = 0`,
	selectHashes: `SELECT ` + hashAt("j.value") + ` FROM json_each($1) j ORDER BY j.key`,
	numbers:      func(all []int64) any { return string(intArray(all)) },
	strings: func(all []string) any {
		b, err := json.Marshal(all)
		if err != nil {
			panic(fmt.Sprintf("store: internal error: %v", err)) // strings always have a form
		}
		return string(b)
	},
	records: func(all []issuance.Pseudonym) any { return hexArray(all) },
	aside:   func(column string) string { return "+" + column },
	// The condition is that of a small index.
	inState: func(_ issuance.State, param, _ string) (source, order string) {
		return "(SELECT * FROM credential WHERE state = " + param + " AND state <> 'active') c", "credential_id"
	},
	abandoned: func(param string) string { return "writer_no IS NOT " + param },
	bulkFirst: true,
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

// intArray is a JSON array of numbers.
func intArray(all []int64) []byte {
	b := append(make([]byte, 0, 2+12*len(all)), '[')
	for i, n := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	return append(b, ']')
}

func (e *sqliteEngine) close(orderly bool) error {
	var errs []error
	if e.aside != nil {
		<-e.aside.done
		errs = append(errs, e.aside.err)
		orderly = orderly && e.aside.err == nil
	}
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

// checkpoint begins to move the write-ahead log into the file, if much was written and
// nobody is at it.
func (e *sqliteEngine) checkpoint() {
	if e.rows < checkpointRows || e.aside != nil {
		return
	}
	e.rows = 0
	c := &checkpoint{done: make(chan struct{})}
	e.aside = c
	go func() {
		defer close(c.done)
		_, err := e.readers.ExecContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)")
		switch resultCode(err) {
		case codeIOError, codeCorrupt, codeNotADB, codeReadOnly:
			c.err = storeError(err)
		}
	}()
}

// checkpointed reports whether the last checkpoint failed. What could not be synced once
// must not be taken for durable because it can be synced a second time.
func (e *sqliteEngine) checkpointed() error {
	if e.aside == nil {
		return nil
	}
	select {
	case <-e.aside.done:
	default:
		return nil
	}
	if e.aside.err != nil {
		return &stopError{e.aside.err}
	}
	e.aside = nil
	return nil
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
	if err := e.checkpointed(); err != nil {
		return nil, head{}, err
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

// manyRows is how many rows one statement inserts. A statement by itself costs as
// much as a row: it keeps a copy of every page that it changes, in case it fails.
const manyRows = 20

func (s sqliteTx) insert(into insertion, n int, bind func(i int, v values)) (row int, err error) {
	s.e.rows += n
	if n < manyRows {
		return s.each(into.statement, n, 1, len(into.columns), bind)
	}
	rest := n % manyRows
	row, err = s.each(into.many(manyRows), n-rest, manyRows, len(into.columns), bind)
	if err != nil {
		return n, err // one of many
	}
	i, err := s.each(into.statement, rest, 1, len(into.columns), func(i int, v values) { bind(row+i, v) })
	return row + i, err
}

// many is the statement for so many rows. Its parameters are in the order of the
// columns and have no names, since the driver looks for names one by one.
func (into insertion) many(rows int) string {
	head, row, ok := strings.Cut(into.statement, "VALUES ")
	if !ok {
		panic("store: internal error: not an insertion: " + into.statement)
	}
	row = parameter.ReplaceAllString(row, "?")
	return head + "VALUES " + row + strings.Repeat(", "+row, rows-1)
}

var parameter = regexp.MustCompile(`\$[0-9]+`)

// each runs a statement for n rows, so many at a time, each with params parameters
// that bind sets for row i. It goes past database/sql, which would cost as much again
// as SQLite.
func (s sqliteTx) each(query string, n, atOnce, params int, bind func(i int, v values)) (row int, err error) {
	if n == 0 {
		return 0, nil
	}
	err = s.e.conn.Raw(func(c any) error {
		p, err := s.prepare(c, query)
		if err != nil {
			return err
		}
		args := make(values, atOnce*params)
		for i := range args {
			args[i].Ordinal = i + 1
		}
		for row = 0; row < n; row += atOnce {
			for i := range atOnce {
				bind(row+i, args[i*params:(i+1)*params])
			}
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

// alikeRows is how many rows that are alike one statement inserts: until it ends it keeps
// a copy of every page that it changes, which is one for each row at random places.
const alikeRows = 100

// intend takes one statement for many credentials and one for each of their forms. What
// differs comes as one value for all: setting parameters row by row costs a fifth of what
// the rows cost.
func (s sqliteTx) intend(like alike) (bool, error) {
	all := len(like.rows)
	s.e.rows += all * (1 + len(like.forms))
	length := len(like.ids) / all
	for from := 0; from < all; from += alikeRows {
		to := min(from+alikeRows, all)
		first := like.first + int64(from)
		err := s.change(to-from, insertAlike, first, like.ids[length*from:length*to], length, like.records[32*from:32*to], like.programme, like.version,
			like.issued, like.expires, like.changed, like.batch, like.writer, string(intArray(like.rows[from:to])))
		for form := 0; err == nil && form < len(like.forms); form++ {
			f := &like.forms[form]
			err = s.change(to-from, insertAlikeForms, first, form, f.form, f.list, f.key, f.toBeSigned[32*from:32*to], string(intArray(f.slots[from:to])))
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// complete takes one statement for a form of all credentials, and one for their
// states: the numbers come as one JSON text, in whose order the hashes follow one
// another.
func (s sqliteTx) complete(numbers []int64, marks []issuance.Mark, at int64) error {
	for form := 0; ; form++ {
		of := make([]int64, 0, len(marks))
		hashes := make([]byte, 0, 32*len(marks))
		for i := range marks {
			if form < len(marks[i].Signed) {
				of, hashes = append(of, numbers[i]), append(hashes, marks[i].Signed[form][:]...)
			}
		}
		if len(of) == 0 {
			break
		}
		if err := s.change(len(of), updateSigned, string(intArray(of)), hashes, form); err != nil {
			return err
		}
	}
	return s.change(len(numbers), updateActive, string(intArray(numbers)), at)
}

// completeRun is complete by ranges: rows that lie side by side are found without a
// search for each.
func (s sqliteTx) completeRun(first int64, marks []issuance.Mark, at int64) error {
	last := first + int64(len(marks)) - 1
	hashes := make([]byte, 32*len(marks))
	for form := range marks[0].Signed {
		for i := range marks {
			copy(hashes[32*i:], marks[i].Signed[form][:])
		}
		if err := s.change(len(marks), updateRunSigned, first, hashes, last, form); err != nil {
			return err
		}
	}
	return s.change(len(marks), updateRunActive, first, at, last)
}

// change runs a statement that must change so many rows.
func (s sqliteTx) change(rows int, query string, args ...any) error {
	p, err := s.stmt(query)
	if err != nil {
		return err
	}
	r, err := p.ExecContext(s.ctx, args...)
	if err != nil {
		return s.judge(err)
	}
	if n, err := r.RowsAffected(); err != nil || n != int64(rows) {
		return fmt.Errorf("store: %d rows of %d were changed: %v", n, rows, err)
	}
	return nil
}

// hold has nothing to do: who has the lock of the file is the one that is alive.
func (s sqliteTx) hold(int64) error { return nil }

func (s sqliteTx) savepoint() error { return s.run("SAVEPOINT member") }
func (s sqliteTx) release() error   { return s.run("RELEASE member") }

func (s sqliteTx) undo() error {
	if err := s.run("ROLLBACK TO member"); err != nil {
		return err
	}
	return s.release()
}

func (s sqliteTx) commit() error {
	if err := s.run("COMMIT"); err != nil {
		return fmt.Errorf("%w: commit: %w", ErrOutcomeUnknown, err)
	}
	s.e.checkpoint()
	return nil
}

func (s sqliteTx) rollback() error {
	if err := s.run("ROLLBACK"); err != nil && !rolledBack(err) {
		return &stopError{err}
	}
	return nil
}
