package desk

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sanad-id/sanad/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// secretSize is the length of [DB.Secret].
const secretSize = 32

// patience is how long a transaction may take.
const patience = 15 * time.Second

// Errors that callers tell apart.
var (
	// ErrNone: there is no such row, it was used, or it is too late. Which of them is
	// not told to strangers.
	ErrNone = errors.New("desk: there is no such thing")
	// ErrExists: it is there already.
	ErrExists = errors.New("desk: it is there already")
	// ErrOlder: the schema is older than this program, and this role may not change it.
	ErrOlder = errors.New("desk: the tables are older than this program; issuer migrate brings them up to date")
	// ErrNewer: the schema is newer than this program.
	ErrNewer = errors.New("desk: the tables are newer than this program")
)

// Options say how to get at the database. The zero value will do for a file.
type Options struct {
	// Password is that of the role in a PostgreSQL URL which has none. Optional.
	Password string
	// ServiceRole gets the rights that a service needs from [Prepare]. Optional.
	ServiceRole string
	// Late lets [Open] return a DB beside the error that a PostgreSQL server is out of
	// reach. Optional.
	Late bool
	// Check is asked once the tables are as they should be, before anybody else gets at
	// them; its error is that of Open. Optional.
	Check func(ctx context.Context, db *DB) error
}

// A DB is the database. Its methods may be called from any number of goroutines, and
// from several processes on one database.
type DB struct {
	readers, writers *sql.DB
	postgres         bool
	secret           []byte
	// late is nil, or opens the database: nobody gets at it before.
	late *late
	// watch is told each statement that reads, in tests.
	watch func(query string, args []any)
}

// A late is the way to a database that was out of reach when it was opened.
type late struct {
	attempts sqldb.Attempts
	done     atomic.Bool
	open     func(ctx context.Context) error
}

// Open opens the database at location: the path of a file, which it makes if there is
// none, or the URL of a PostgreSQL database. It brings the tables up to date if it may.
//
// If [Options].Late is set and the server is out of reach, the DB that it returns beside the
// error is opened by the first call that finds the server again; calls before fail with
// [sqldb.ErrUnreachable], or with what is then found to be wrong.
func Open(ctx context.Context, location string, o Options) (db *DB, err error) {
	if isPostgres(location) {
		db, err = openPostgres(location, o)
	} else {
		db, err = openSQLite(ctx, location)
	}
	if err != nil {
		return nil, fmt.Errorf("desk: %w", err)
	}
	err = db.ready(ctx, o)
	if o.Late && errors.Is(err, sqldb.ErrUnreachable) {
		db.late = &late{open: func(ctx context.Context) error { return db.ready(ctx, o) }}
		return db, err
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// ready brings the tables up to date, reads the secret and has all of it checked.
func (db *DB) ready(ctx context.Context, o Options) error {
	within := &DB{readers: db.readers, writers: db.writers, postgres: db.postgres} // it is not late
	if err := within.migrate(ctx, o, false); err != nil {
		return fmt.Errorf("desk: %w", err)
	}
	if err := within.readers.QueryRowContext(ctx, `SELECT secret FROM meta`).Scan(&db.secret); err != nil {
		return fmt.Errorf("desk: %w", sqldb.Plain(err))
	}
	if o.Check == nil {
		return nil
	}
	return o.Check(ctx, within)
}

// reach opens a database that was out of reach, if it is not open yet.
func (db *DB) reach(ctx context.Context) error {
	if db.late == nil || db.late.done.Load() {
		return nil
	}
	return db.late.attempts.Try(func() error {
		if db.late.done.Load() {
			return nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience) // whoever waits for it
		defer cancel()
		if err := db.late.open(ctx); err != nil {
			return err
		}
		db.late.done.Store(true)
		return nil
	})
}

// Prepare makes or migrates the schema on PostgreSQL as its owner and grants the
// service role what it needs. It can be called again. For a file there is nothing to
// be done.
func Prepare(ctx context.Context, location string, o Options) error {
	if !isPostgres(location) {
		return nil
	}
	db, err := openPostgres(location, o)
	if err == nil {
		err = errors.Join(db.migrate(ctx, o, true), db.Close())
	}
	if err != nil {
		return fmt.Errorf("desk: %w", err)
	}
	return nil
}

func isPostgres(location string) bool {
	return strings.HasPrefix(location, "postgres://") || strings.HasPrefix(location, "postgresql://")
}

// Secret returns 32 random bytes that all processes on this database share. What must
// not be read from a copy of the database alone is not sealed with it.
func (db *DB) Secret() []byte { return slices.Clone(db.secret) }

// Close closes the database.
func (db *DB) Close() error { return errors.Join(db.readers.Close(), db.writers.Close()) }

// steps are the migrations in their order; the version of the tables is their number.
func (db *DB) steps() ([]string, error) {
	dir := "migrations/sqlite"
	if db.postgres {
		dir = "migrations/postgres"
	}
	files, err := fs.ReadDir(migrations, dir)
	if err != nil {
		return nil, err
	}
	var all []string
	for i, f := range files { // in the order of their names
		if number, _, _ := strings.Cut(f.Name(), "_"); number != fmt.Sprintf("%05d", i+1) {
			return nil, fmt.Errorf("migration %s is not number %d", f.Name(), i+1)
		}
		b, err := migrations.ReadFile(path.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, string(b))
	}
	return all, nil
}

// migrate brings the tables up to date, in one transaction. Of several processes that
// come at once one does so. As owner it also grants rights.
func (db *DB) migrate(ctx context.Context, o Options, owner bool) error {
	steps, err := db.steps()
	if err != nil {
		return err
	}
	// Who waits for another that makes the tables must see them afterwards, so no
	// statement relies on what an earlier one saw.
	return db.transact(ctx, sql.LevelReadCommitted, func(t tx) error {
		version, may, err := db.version(t)
		switch {
		case err != nil:
			return err
		case version > len(steps):
			return fmt.Errorf("%w: version %d, not %d", ErrNewer, version, len(steps))
		case version < len(steps) && !may:
			return fmt.Errorf("%w: version %d, not %d", ErrOlder, version, len(steps))
		}
		if version == 0 {
			if err := db.first(t); err != nil {
				return err
			}
		}
		for _, step := range steps[version:] {
			if _, err := t.exec(step); err != nil {
				return err
			}
		}
		if version < len(steps) {
			if _, err := t.exec(`UPDATE meta SET version = $1`, len(steps)); err != nil {
				return err
			}
		}
		if owner && o.ServiceRole != "" {
			return grant(t, o.ServiceRole)
		}
		return nil
	})
}

// first makes what is there before any migration.
func (db *DB) first(t tx) error {
	schema := sqliteFirst
	if db.postgres {
		schema = postgresFirst
	}
	if _, err := t.exec(schema); err != nil {
		return err
	}
	secret := make([]byte, secretSize)
	rand.Read(secret)
	_, err := t.exec(`INSERT INTO meta (one, version, secret) VALUES (1, 0, $1)`, secret)
	return err
}

// version is that of the tables, 0 if there are none, and whether we may change them.
func (db *DB) version(t tx) (version int, may bool, err error) {
	if db.postgres {
		return postgresVersion(t)
	}
	return sqliteVersion(t)
}

// A tx is a transaction. Its methods are for one goroutine.
type tx struct {
	ctx   context.Context
	q     queries
	watch func(query string, args []any)
}

// queries are what *sql.DB, *sql.Conn and *sql.Tx have in common.
type queries interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// exec runs a statement and returns how many rows it changed.
func (t tx) exec(query string, args ...any) (int64, error) {
	res, err := t.q.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// one reads a row into dest. It is false if there is none.
func (t tx) one(query string, args []any, dest ...any) (bool, error) {
	found := false
	err := t.each(query, args, func(scan func(...any) error) error {
		found = true
		return scan(dest...)
	})
	return found, err
}

// each calls f for every row.
func (t tx) each(query string, args []any, f func(scan func(...any) error) error) error {
	if t.watch != nil {
		t.watch(query, args)
	}
	rows, err := t.q.QueryContext(t.ctx, query, args...)
	if err != nil {
		return err
	}
	for err == nil && rows.Next() {
		err = f(rows.Scan)
	}
	return errors.Join(err, rows.Err(), rows.Close())
}

// read runs f on what is committed. Each statement sees the newest.
func (db *DB) read(ctx context.Context, f func(tx) error) error {
	if err := db.reach(ctx); err != nil {
		return err
	}
	return sqldb.Plain(f(tx{ctx, db.readers, db.watch}))
}

// write runs f in a transaction: what it reads is as it was when its writes are
// committed. f may run several times and has no effects of its own.
func (db *DB) write(ctx context.Context, f func(tx) error) error {
	return db.transact(ctx, sql.LevelSerializable, f)
}

func (db *DB) transact(ctx context.Context, level sql.IsolationLevel, f func(tx) error) error {
	if err := db.reach(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for again := 0; ; again++ {
		err := db.transactOnce(ctx, level, f)
		if !db.postgres || !sqldb.Collided(err) || again == 50 {
			return sqldb.Plain(err)
		}
		select {
		case <-time.After(time.Duration(1+again) * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (db *DB) transactOnce(ctx context.Context, level sql.IsolationLevel, f func(tx) error) error {
	if !db.postgres {
		level = sql.LevelDefault // BEGIN IMMEDIATE, by the address of the pool: one writes at a time
	}
	t, err := db.writers.BeginTx(ctx, &sql.TxOptions{Isolation: level})
	if err != nil {
		return err
	}
	if err = f(tx{ctx, t, db.watch}); err != nil {
		_ = t.Rollback() // it is of no use any more
		return err
	}
	return t.Commit()
}

// milli and moment are how times are kept; the zero time is 0.
func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// marks are the parameters of n values: $3, $4 for marks(3, 2).
func marks(from, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = "$" + strconv.Itoa(from+i)
	}
	return strings.Join(all, ", ")
}
