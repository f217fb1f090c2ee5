package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sanad-id/sanad/issuance"
)

// A postgresTx is a write transaction. It begins with a lock on the row of meta,
// so that writers of all processes take turns.
type postgresTx struct {
	e        *postgresEngine
	ctx      context.Context
	cancel   context.CancelFunc
	timeline int64
	block    block // what it adds to the audit log
	before   block // that, at the savepoint
}

var _ session = (*postgresTx)(nil)

const beginTx = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE`

// The lock comes first: what a transaction that was waited for has stored is seen
// by every statement that follows.
const selectHead = `SELECT epoch, fence, timeline, ` + currentTimeline + ` FROM meta FOR UPDATE`

// begin implements engine. Until it has returned nothing has happened, so that it
// tries again for a while.
func (e *postgresEngine) begin(ctx context.Context) (session, head, error) {
	for end, wait := time.Now().Add(retryFor), 20*time.Millisecond; ; wait = min(2*wait, time.Second) {
		s, h, err := e.tryBegin(ctx)
		if err == nil {
			return s, h, nil
		}
		if e := ctx.Err(); e != nil {
			return nil, head{}, e
		}
		if !busy(err) || time.Now().Add(wait).After(end) {
			return nil, head{}, fmt.Errorf("begin: %w", postgresError(err))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, head{}, ctx.Err()
		}
	}
}

func (e *postgresEngine) tryBegin(ctx context.Context) (*postgresTx, head, error) {
	if e.conn == nil || e.conn.IsClosed() {
		conn, err := e.connect(ctx)
		if err != nil {
			return nil, head{}, err
		}
		e.conn = conn
	}
	s := &postgresTx{e: e}
	// Others may go on in it, and the end of one's context must not be theirs.
	s.ctx, s.cancel = context.WithTimeout(context.WithoutCancel(ctx), txPatience)
	h, err := s.begin(ctx)
	if err != nil {
		s.cancel()
		return nil, head{}, errors.Join(err, e.drop())
	}
	return s, h, nil
}

func (s *postgresTx) begin(ctx context.Context) (head, error) {
	var h head
	var confirmed int64
	var b pgx.Batch
	b.Queue(beginTx)
	found := false
	b.Queue(selectHead).QueryRow(func(row pgx.Row) error {
		found = true
		return row.Scan(&h.epoch, &h.fence, &confirmed, &s.timeline)
	})
	// A statement of its own: the one that waits for the lock sees the moment before.
	var version, count int64
	b.Queue(selectVersion).QueryRow(func(row pgx.Row) error { return row.Scan(&version, &count) })
	ctx, cancel := context.WithTimeout(ctx, txPatience)
	defer cancel()
	if err := s.e.conn.SendBatch(ctx, &b).Close(); err != nil {
		return head{}, err
	}
	if !found {
		return head{}, errors.New("store: it does not say whose it is")
	}
	if err := s.e.checkApplied(version, count); err != nil {
		return head{}, &stopError{err} // somebody has migrated it beside us
	}
	if confirmed == s.timeline {
		return h, nil
	}
	goesOn, err := confirmed == 0, error(nil)
	if !goesOn && s.e.synchronous {
		goesOn, err = s.goesOn()
	}
	switch {
	case err != nil:
		return head{}, err
	case goesOn:
		return h, s.run(postgresDialect.confirmTimeline)
	case h.fence == "":
		h.fence = FenceFailedOver
	}
	return h, nil
}

// goesOn reports whether a server that took over has what we know to be stored.
// It has a part of what the old one had, from the beginning on without a gap, so
// that it is enough to look for our last.
func (s *postgresTx) goesOn() (bool, error) {
	if !s.e.last.known {
		return true, nil
	}
	var hashes []byte
	ok, err := s.row(`SELECT hashes FROM audit_hashes WHERE first_hash = $1`, []any{s.e.last.first}, &hashes)
	return ok && sha256.Sum256(hashes) == s.e.last.hash, err
}

// drop gives up the connection that writes; the next transaction makes another.
func (e *postgresEngine) drop() error {
	conn := e.conn
	e.conn = nil
	return hangUp(conn)
}

func (s *postgresTx) run(query string, args ...any) error {
	if query == insertHashes {
		s.block = block{first: args[0].(int64), hash: sha256.Sum256(args[1].([]byte)), known: true}
	}
	_, err := s.e.conn.Exec(s.ctx, query, args...)
	return postgresError(err)
}

func (s *postgresTx) row(query string, args []any, dest ...any) (bool, error) {
	err := s.e.conn.QueryRow(s.ctx, query, args...).Scan(dest...)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, postgresError(err)
}

func (s *postgresTx) rows(query string, args []any, f func(scan) error) error {
	rows, err := s.e.conn.Query(s.ctx, query, args...)
	if err != nil {
		return postgresError(err)
	}
	defer rows.Close() // its error is that of rows.Err
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return postgresError(rows.Err())
}

// insert copies the rows, which PostgreSQL takes several times as fast as inserts.
func (s *postgresTx) insert(into insertion, n int, bind func(i int, v values)) (int, error) {
	v, row := make(values, len(into.columns)), make([]any, len(into.columns))
	_, err := s.e.conn.CopyFrom(s.ctx, pgx.Identifier{into.table}, into.columns, pgx.CopyFromSlice(n, func(i int) ([]any, error) {
		bind(i, v)
		for k := range v {
			row[k] = v[k].Value
		}
		return row, nil
	}))
	return n, postgresError(err)
}

// intend leaves it to insert, which copies.
func (s *postgresTx) intend(alike) (bool, error) { return false, nil }

const (
	updateAllSigned = `UPDATE credential_form f SET signed = u.signed
		FROM unnest($1::bigint[], $2::smallint[], $3::bytea[]) AS u (no, form, signed) WHERE f.credential_no = u.no AND f.form_no = u.form`
	updateAllActive = `UPDATE credential c SET state = 'active', changed_at = greatest(c.changed_at, $2)
		FROM unnest($1::bigint[]) AS u (no) WHERE c.credential_no = u.no`
)

func (s *postgresTx) complete(numbers []int64, marks []issuance.Mark, at int64) error {
	var of []int64
	var forms []int16
	var signed [][]byte
	for i := range marks {
		for j := range marks[i].Signed {
			of, forms, signed = append(of, numbers[i]), append(forms, int16(j)), append(signed, marks[i].Signed[j][:])
		}
	}
	var b pgx.Batch
	changed := int64(0)
	count := func(tag pgconn.CommandTag) error { changed += tag.RowsAffected(); return nil }
	b.Queue(updateAllSigned, of, forms, signed).Exec(count)
	b.Queue(updateAllActive, numbers, at).Exec(count)
	if err := s.e.conn.SendBatch(s.ctx, &b).Close(); err != nil {
		return postgresError(err)
	}
	if want := int64(len(of) + len(numbers)); changed != want {
		return fmt.Errorf("store: %d rows of %d were changed", changed, want)
	}
	return nil
}

func (s *postgresTx) completeRun(first int64, marks []issuance.Mark, at int64) error {
	numbers := make([]int64, len(marks))
	for i := range numbers {
		numbers[i] = first + int64(i)
	}
	return s.complete(numbers, marks, at)
}

// hold takes the lock that says that a writer is alive.
func (s *postgresTx) hold(writer int64) error {
	if err := s.run(`SELECT pg_advisory_lock_shared($1::int, $2::int)`, lockClass, writer); err != nil {
		return err
	}
	s.e.writer = writer
	return nil
}

func (s *postgresTx) savepoint() error {
	s.before = s.block
	return s.run("SAVEPOINT member")
}

func (s *postgresTx) release() error { return s.run("RELEASE member") }

func (s *postgresTx) undo() error {
	s.block = s.before
	if err := s.run("ROLLBACK TO member"); err != nil {
		return err
	}
	return s.release()
}

func (s *postgresTx) rollback() error {
	defer s.cancel()
	if s.e.conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectPatience)
	defer cancel()
	if s.e.conn.IsClosed() {
		return s.e.drop()
	}
	if _, err := s.e.conn.Exec(ctx, "ROLLBACK"); err != nil {
		return s.e.drop() // and with it the transaction
	}
	return nil
}

func (s *postgresTx) commit() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), commitPatience)
	defer cancel()
	defer s.cancel()
	if s.e.conn.IsClosed() {
		return errors.New("store: commit: the connection had broken")
	}
	tag, err := s.e.conn.Exec(ctx, "COMMIT")
	switch fault, ok := errors.AsType[*pgconn.PgError](err); {
	case err == nil && tag.String() == "COMMIT":
	case err == nil:
		return errors.New("store: commit: the transaction had failed")
	case ok && fault.Severity == "ERROR":
		return fmt.Errorf("commit: %w", postgresError(err))
	default:
		// Not even what pgconn.SafeToRetry calls safe is: a connection that breaks
		// after the message was sent only says that it is closed.
		if err := errors.Join(s.e.drop(), s.outcome(postgresError(err))); err != nil {
			return err
		}
	}
	if s.block.known {
		s.e.last = s.block
	}
	return nil
}

// outcome finds out how a transaction ended whose commit was not answered: it
// returns nil if it is stored.
func (s *postgresTx) outcome(cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), retryFor)
	defer cancel()
	for {
		switch there, same, err := s.look(ctx); {
		case err == nil && there:
			return nil
		case err == nil && same && s.block.known:
			return fmt.Errorf("commit: not stored: %w", cause)
		case err == nil, !busy(err):
			return fmt.Errorf("%w: commit: %w", ErrOutcomeUnknown, cause)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%w: commit: %w", ErrOutcomeUnknown, cause)
		}
	}
}

// look reports whether what the transaction added to the audit log is there, and
// whether the server still writes on the timeline of the transaction. The number of
// a transaction would tell nothing: a server that was killed gives out anew those
// that were not on its disk.
func (s *postgresTx) look(ctx context.Context) (there, same bool, err error) {
	if s.e.conn == nil {
		if s.e.conn, err = s.e.connect(ctx); err != nil {
			return false, false, err
		}
	}
	// The lock waits for the end of the transaction, if the server is not done with
	// it. It also makes this a commit that a synchronous standby confirms, and so the
	// one before it.
	if _, err = s.e.conn.Exec(ctx, `SELECT FROM meta FOR UPDATE`); err != nil {
		return false, false, errors.Join(err, s.e.drop())
	}
	var timeline int64
	var hashes []byte
	err = s.e.conn.QueryRow(ctx, `SELECT `+currentTimeline+`, (SELECT hashes FROM audit_hashes WHERE first_hash = $1)`, s.block.first).
		Scan(&timeline, &hashes)
	if err != nil {
		return false, false, errors.Join(err, s.e.drop())
	}
	return s.block.known && sha256.Sum256(hashes) == s.block.hash, timeline == s.timeline, nil
}
