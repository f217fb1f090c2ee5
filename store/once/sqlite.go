package once

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"modernc.org/sqlite"

	"github.com/sanad-id/sanad/internal/sqldb"
)

const (
	// applicationID marks our files in SQLite's header ("SANO").
	applicationID = 0x53414e4f
	// schemaVersion is that of both engines.
	schemaVersion = 1

	secretSize = 32
)

// Statements that both engines understand.
const (
	selectValue = `SELECT expires, data, state, guesses FROM value WHERE kind = $1 AND digest = $2`
	selectMeta  = `SELECT version, secret FROM meta`
	insertMeta  = `INSERT INTO meta (one, version, secret) VALUES (1, $1, $2)`
)

const sqliteSchema = `
CREATE TABLE meta (
	one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	version INTEGER NOT NULL,
	secret  BLOB NOT NULL CHECK (length(secret) = 32)
) STRICT;
CREATE TABLE value (
	kind    TEXT NOT NULL,
	digest  BLOB NOT NULL CHECK (length(digest) = 32),
	expires INTEGER NOT NULL,
	data    BLOB NOT NULL,
	state   INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
	guesses INTEGER NOT NULL,
	PRIMARY KEY (kind, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX value_expires ON value (expires);
CREATE TRIGGER value_final BEFORE UPDATE ON value WHEN old.state <> 0 OR new.guesses < old.guesses
	BEGIN SELECT raise(ABORT, 'sanad: a value that is used up stays so'); END;
`

// sqliteEngine is the engine of one file, which other processes may have open, too.
type sqliteEngine struct {
	path    string
	known   os.FileInfo
	readers *sql.DB
	reading *sql.Stmt // selectValue on one of the readers

	turn    sync.Mutex // of who writes; what follows belongs to that one
	writers *sql.DB
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt
	broken  error
}

// maxReaders is how many connections read at once. A read takes microseconds and waits
// for nobody.
const maxReaders = 8

func openSQLite(ctx context.Context, path string) (engine, []byte, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, err
	}
	if err := sqldb.MakeFile(path); err != nil {
		return nil, nil, err
	}
	e := &sqliteEngine{path: path, stmts: map[string]*sql.Stmt{}}
	secret, err := e.open(ctx)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open %s: %w", path, err), e.close())
	}
	return e, secret, nil
}

func (e *sqliteEngine) open(ctx context.Context) (secret []byte, err error) {
	if e.known, err = os.Stat(e.path); err != nil {
		return nil, err
	}
	if e.readers, err = sqldb.OpenFile(e.path, "rw", maxReaders, maxReaders, "query_only(1)"); err != nil {
		return nil, err
	}
	if e.writers, err = sqldb.OpenFile(e.path, "rw", 1, 1, "wal_autocheckpoint(2000)"); err != nil {
		return nil, err
	}
	if e.conn, err = e.writers.Conn(ctx); err != nil {
		return nil, sqliteError(err)
	}
	if err := e.fill(ctx); err != nil {
		return nil, err
	}
	var version int64
	if err := e.conn.QueryRowContext(ctx, selectMeta).Scan(&version, &secret); err != nil {
		return nil, sqliteError(err)
	}
	if version != schemaVersion {
		return nil, fmt.Errorf("it has schema version %d, this program knows %d", version, schemaVersion)
	}
	if e.reading, err = e.readers.PrepareContext(ctx, selectValue); err != nil {
		return nil, sqliteError(err)
	}
	return secret, nil
}

// fill makes the tables in an empty file. Several processes may come at once.
func (e *sqliteEngine) fill(ctx context.Context) error {
	if err := sqldb.WriteAhead(ctx, e.conn); err != nil {
		return sqliteError(err)
	}
	if _, err := e.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return sqliteError(err)
	}
	if err := e.fillOnce(ctx); err != nil {
		_, back := e.conn.ExecContext(ctx, "ROLLBACK")
		return errors.Join(err, back)
	}
	_, err := e.conn.ExecContext(ctx, "COMMIT")
	return sqliteError(err)
}

func (e *sqliteEngine) fillOnce(ctx context.Context) error {
	var application, objects int64
	if err := e.conn.QueryRowContext(ctx, "PRAGMA application_id").Scan(&application); err != nil {
		return sqliteError(err)
	}
	if err := e.conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&objects); err != nil {
		return sqliteError(err)
	}
	switch {
	case application == applicationID && objects > 0:
		return nil
	case application != 0 || objects > 0:
		return errors.New("the file belongs to another program")
	}
	secret := make([]byte, secretSize)
	rand.Read(secret)
	for _, s := range []string{fmt.Sprintf("PRAGMA application_id = %d", applicationID), sqliteSchema} {
		if _, err := e.conn.ExecContext(ctx, s); err != nil {
			return sqliteError(err)
		}
	}
	_, err := e.conn.ExecContext(ctx, insertMeta, schemaVersion, secret)
	return sqliteError(err)
}

func (e *sqliteEngine) get(ctx context.Context, k Key) (*row, error) {
	if err := e.checkFile(); err != nil {
		return nil, err
	}
	r := &row{}
	// A read takes microseconds; watching ctx meanwhile would cost as much again.
	err := e.reading.QueryRowContext(context.WithoutCancel(ctx), string(k.Kind), k.Digest[:]).Scan(&r.expires, &r.data, &r.state, &r.guesses)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, sqliteError(err)
	}
	return r, nil
}

// checkFile notices that the file was removed or replaced: what is written to it
// would be unknown to other processes.
func (e *sqliteEngine) checkFile() error {
	info, err := os.Stat(e.path)
	if err != nil {
		return fmt.Errorf("the file was removed: %w", err)
	}
	if !os.SameFile(info, e.known) {
		return fmt.Errorf("%s is another file now", e.path)
	}
	return nil
}

func (e *sqliteEngine) change(ctx context.Context, _ int64, keys []Key, decide func(state)) error {
	return e.transact(ctx, func(ctx context.Context) error {
		s := make(state, len(keys))
		for part := range slices.Chunk(keys, lookupKeys) {
			if err := e.lookup(ctx, part, s); err != nil {
				return err
			}
		}
		decide(s)
		return e.write(ctx, s)
	})
}

// lookupKeys is how many keys a statement looks up: one alone would cost twice as
// much.
const lookupKeys = 16

// selectValues looks up to lookupKeys keys up, those that are NULL never.
var selectValues = `SELECT v.kind, v.digest, v.expires, v.data, v.state, v.guesses FROM (VALUES (?, ?)` + strings.Repeat(", (?, ?)", lookupKeys-1) + `) k
	CROSS JOIN value v ON v.kind = k.column1 AND v.digest = k.column2`

// lookup adds what is stored under keys to s.
func (e *sqliteEngine) lookup(ctx context.Context, keys []Key, s state) error {
	args := make([]any, 2*lookupKeys)
	for i, k := range keys {
		s[k] = nil
		args[2*i], args[2*i+1] = string(k.Kind), k.Digest[:]
	}
	p, err := e.stmt(ctx, selectValues)
	if err != nil {
		return err
	}
	rows, err := p.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close() // its error is that of rows.Err
	for rows.Next() {
		var k Key
		var digest []byte
		r := &row{}
		if err := rows.Scan(&k.Kind, &digest, &r.expires, &r.data, &r.state, &r.guesses); err != nil {
			return err
		}
		copy(k.Digest[:], digest)
		s[k] = r
	}
	return rows.Err()
}

func (e *sqliteEngine) write(ctx context.Context, s state) error {
	inserts, updates := s.writes()
	for _, k := range inserts {
		r := s[k]
		err := e.exec(ctx, `INSERT INTO value (kind, digest, expires, data, state, guesses) VALUES ($1, $2, $3, $4, $5, $6)`,
			string(k.Kind), k.Digest[:], r.expires, bytesOf(r.data), r.state, r.guesses)
		if err != nil {
			return err
		}
	}
	for _, k := range updates {
		r := s[k]
		err := e.exec(ctx, `UPDATE value SET expires = $3, data = $4, state = $5, guesses = $6 WHERE kind = $1 AND digest = $2`,
			string(k.Kind), k.Digest[:], r.expires, bytesOf(r.data), r.state, r.guesses)
		if err != nil {
			return err
		}
	}
	return nil
}

// bytesOf is b, and empty instead of NULL.
func bytesOf(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// transact runs f in a transaction, with a context for its statements, which are not
// broken off by the end of ctx: only the wait before them is.
func (e *sqliteEngine) transact(ctx context.Context, f func(context.Context) error) error {
	e.turn.Lock()
	defer e.turn.Unlock()
	if e.broken != nil {
		return fmt.Errorf("stopped after a disk error: %w", e.broken)
	}
	if err := e.checkFile(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if err := e.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return e.judge(err)
	}
	err := f(ctx)
	if err == nil {
		if err = e.exec(ctx, "COMMIT"); err == nil {
			return nil
		}
	}
	if back := e.exec(ctx, "ROLLBACK"); back != nil && !strings.Contains(back.Error(), "no transaction is active") {
		err = errors.Join(err, back)
		e.broken = err
	}
	return e.judge(err)
}

// judge notes an error after which nothing is known about the file.
func (e *sqliteEngine) judge(err error) error {
	switch resultCode(err) {
	case codeIOError, codeCorrupt, codeNotADB, codeReadOnly:
		e.broken = sqliteError(err)
	}
	return sqliteError(err)
}

// Primary result codes of SQLite (https://www.sqlite.org/rescode.html).
const (
	codeReadOnly = 8
	codeIOError  = 10
	codeCorrupt  = 11
	codeNotADB   = 26
)

func resultCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// sqliteError keeps the text of an error, which holds no values, and not its type.
func sqliteError(err error) error {
	if _, ok := errors.AsType[*sqlite.Error](err); ok {
		return fmt.Errorf("%v", err)
	}
	return err
}

func (e *sqliteEngine) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if p, ok := e.stmts[query]; ok {
		return p, nil
	}
	p, err := e.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	e.stmts[query] = p
	return p, nil
}

func (e *sqliteEngine) exec(ctx context.Context, query string, args ...any) error {
	p, err := e.stmt(ctx, query)
	if err != nil {
		return err
	}
	_, err = p.ExecContext(ctx, args...)
	return err
}

// sweepRows is how many rows a transaction of Sweep removes.
const sweepRows = 1000

func (e *sqliteEngine) sweep(ctx context.Context, before int64) (int, error) {
	total := 0
	for {
		var n int64
		err := e.transact(ctx, func(ctx context.Context) error {
			p, err := e.stmt(ctx, `DELETE FROM value WHERE (kind, digest) IN (SELECT kind, digest FROM value WHERE expires < $1 LIMIT 1000)`)
			if err != nil {
				return err
			}
			result, err := p.ExecContext(ctx, before)
			if err != nil {
				return err
			}
			n, err = result.RowsAffected()
			return err
		})
		if err != nil {
			return total, err
		}
		total += int(n)
		if n < sweepRows {
			return total, nil
		}
	}
}

func (e *sqliteEngine) durable() bool { return true }

func (e *sqliteEngine) close() error {
	e.turn.Lock()
	defer e.turn.Unlock()
	var errs []error
	for _, s := range e.stmts {
		errs = append(errs, s.Close())
	}
	if e.reading != nil {
		errs = append(errs, e.reading.Close())
	}
	if e.readers != nil {
		errs = append(errs, e.readers.Close())
	}
	if e.conn != nil {
		errs = append(errs, e.conn.Close())
	}
	if e.writers != nil {
		errs = append(errs, e.writers.Close())
	}
	return errors.Join(errs...)
}
