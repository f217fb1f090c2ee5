package parties

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/sqldb"
)

// schemaVersion is that of both databases.
const schemaVersion = 1

// schema is written for SQLite; for PostgreSQL the names of types are replaced.
const schema = `
CREATE TABLE meta (
	one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	version INTEGER NOT NULL
) STRICT;
CREATE TABLE api_key (
	id       TEXT NOT NULL PRIMARY KEY,
	digest   BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
	party    TEXT NOT NULL,
	scopes   TEXT NOT NULL,
	policies TEXT NOT NULL,
	created  INTEGER NOT NULL,
	expires  INTEGER NOT NULL,
	revoked  INTEGER NOT NULL
) STRICT;
CREATE TABLE flushed (
	batch BLOB NOT NULL PRIMARY KEY CHECK (length(batch) = 16),
	at    INTEGER NOT NULL
) STRICT;
CREATE TABLE usage (
	day     TEXT NOT NULL,
	party   TEXT NOT NULL,
	kind    TEXT NOT NULL,
	subject TEXT NOT NULL,
	verdict TEXT NOT NULL,
	n       INTEGER NOT NULL CHECK (n > 0),
	PRIMARY KEY (day, party, kind, subject, verdict)
) STRICT;
CREATE TABLE tally (
	party    TEXT NOT NULL,
	id       TEXT NOT NULL,
	counter  TEXT NOT NULL,
	day      TEXT NOT NULL,
	received INTEGER NOT NULL,
	PRIMARY KEY (party, id)
) STRICT;
CREATE INDEX tally_day ON tally (day);
CREATE TABLE tally_scan (
	party   TEXT NOT NULL,
	id      TEXT NOT NULL,
	type    TEXT NOT NULL,
	verdict TEXT NOT NULL,
	hour    INTEGER NOT NULL,
	n       INTEGER NOT NULL CHECK (n > 0),
	PRIMARY KEY (party, id, type, verdict, hour),
	FOREIGN KEY (party, id) REFERENCES tally (party, id)
) STRICT;
CREATE TABLE tally_once (
	party TEXT NOT NULL,
	id    TEXT NOT NULL,
	hash  TEXT NOT NULL,
	at    TEXT NOT NULL,
	PRIMARY KEY (party, id, hash),
	FOREIGN KEY (party, id) REFERENCES tally (party, id)
) STRICT;
CREATE INDEX tally_once_hash ON tally_once (party, hash);
`

// patience is how long a transaction may take.
const patience = 15 * time.Second

// Errors that callers tell apart.
var (
	// ErrNone: there is no such thing.
	ErrNone = errors.New("parties: there is no such thing")
	// ErrExists: it is there already.
	ErrExists = errors.New("parties: it is there already")
)

// Options say how to get at the database. The zero value will do for a file.
type Options struct {
	// Password is that of the role in a PostgreSQL URL which has none. Optional.
	Password string
}

// A DB is the database. Its methods may be called from any number of goroutines.
type DB struct {
	pool     *sql.DB
	postgres bool
}

// Open opens the database at location: the path of a file, which it makes if there is
// none, or the URL of a PostgreSQL database, where the role must own the schema
// sanad_parties or be allowed to make it.
func Open(ctx context.Context, location string, o Options) (*DB, error) {
	db, err := open(ctx, location, o)
	if err != nil {
		return nil, fmt.Errorf("parties: %w", err)
	}
	return db, nil
}

func open(ctx context.Context, location string, o Options) (db *DB, err error) {
	if strings.HasPrefix(location, "postgres://") || strings.HasPrefix(location, "postgresql://") {
		db, err = openPostgres(location, o)
	} else {
		db, err = openSQLite(ctx, location)
	}
	if err != nil {
		return nil, err
	}
	if err := db.write(ctx, db.prepare); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// prepare makes the tables if there are none. Of several processes that come at once one
// does so.
func (db *DB) prepare(t tx) error {
	there, err := db.there(t)
	if err != nil {
		return err
	}
	if !there {
		text := schema
		if db.postgres {
			text = postgresSchema(schema)
		} else {
			text = fmt.Sprintf("PRAGMA application_id = %d;", applicationID) + schema
		}
		if _, err := t.exec(text); err != nil {
			return err
		}
		_, err := t.exec(`INSERT INTO meta (one, version) VALUES (1, $1)`, schemaVersion)
		return err
	}
	var version int
	if _, err := t.one(`SELECT version FROM meta`, nil, &version); err != nil {
		return err
	}
	if version != schemaVersion {
		return fmt.Errorf("the tables have version %d, this program knows %d", version, schemaVersion)
	}
	return nil
}

func (db *DB) there(t tx) (bool, error) {
	if db.postgres {
		return postgresThere(t)
	}
	return sqliteThere(t)
}

// Close closes the database.
func (db *DB) Close() error { return db.pool.Close() }

// Check tells whether the database can be reached.
func (db *DB) Check(ctx context.Context) error {
	var version int
	return sqldb.Plain(db.pool.QueryRowContext(ctx, `SELECT version FROM meta`).Scan(&version))
}

// A tx is a transaction, or none: its methods are for one goroutine.
type tx struct {
	ctx context.Context
	q   interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
}

// exec runs a statement and returns how many rows it changed.
func (t tx) exec(query string, args ...any) (int64, error) {
	res, err := t.q.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// insert adds rows of equal length, a hundred in a statement.
func (t tx) insert(query string, rows [][]any) error {
	for chunk := range slices.Chunk(rows, 100) {
		text, args := []byte(query), []any(nil)
		for i, row := range chunk {
			open := byte('(')
			if i > 0 {
				text = append(text, ',', ' ')
			}
			for _, v := range row {
				args = append(args, v)
				text = strconv.AppendInt(append(text, open, '$'), int64(len(args)), 10)
				open = ','
			}
			text = append(text, ')')
		}
		if _, err := t.exec(string(text), args...); err != nil {
			return err
		}
	}
	return nil
}

// one reads a row into dest. It is false if there is none.
func (t tx) one(query string, args []any, dest ...any) (found bool, err error) {
	err = t.each(query, args, func(scan func(...any) error) error {
		found = true
		return scan(dest...)
	})
	return found, err
}

// each calls f for every row.
func (t tx) each(query string, args []any, f func(scan func(...any) error) error) error {
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
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return sqldb.Plain(f(tx{ctx, db.pool}))
}

// write runs f in a transaction, in which no statement relies on what an earlier one saw
// unless that has locked it. f may run several times and has no effects of its own.
func (db *DB) write(ctx context.Context, f func(tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for again := 0; ; again++ {
		err := db.writeOnce(ctx, f)
		if !db.postgres || !sqldb.Collided(err) || again == 20 {
			return sqldb.Plain(err)
		}
		select {
		case <-time.After(time.Duration(1+again) * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (db *DB) writeOnce(ctx context.Context, f func(tx) error) error {
	// SQLite begins by BEGIN IMMEDIATE, by the address of the pool: one writes at a time.
	t, err := db.pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err = f(tx{ctx, t}); err != nil {
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
