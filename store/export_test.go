package store

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// SetMigrations gives the package other migrations for the length of a test.
func SetMigrations(t testing.TB, files fs.FS) {
	old := steps
	set := func(f fs.FS) {
		schemas.Lock()
		defer schemas.Unlock()
		steps, schemas.known = f, map[int64][]string{}
	}
	set(files)
	t.Cleanup(func() { set(old) })
}

// Migrations are the package's own.
func Migrations() fs.FS { return steps }

// ExecWriter runs a statement on the writing connection, between transactions.
func (db *DB) ExecWriter(ctx context.Context, statement string) error {
	if _, err := db.turns.take(ctx, true); err != nil {
		return err
	}
	defer db.turns.pass()
	_, err := db.engine.(*sqliteEngine).conn.ExecContext(ctx, statement)
	return err
}

// PragmaWriter asks the writing connection for a setting.
func (db *DB) PragmaWriter(ctx context.Context, name string) (value string, err error) {
	if _, err := db.turns.take(ctx, true); err != nil {
		return "", err
	}
	defer db.turns.pass()
	return value, db.engine.(*sqliteEngine).conn.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value)
}

// Build makes a database without opening it, as far as the migrations that are
// set go.
func Build(ctx context.Context, path string, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	return build(ctx, path, o)
}

// PostgresSchemas returns the schema that each migration leads to, made as this
// owner, in the form of the files that Open compares with.
func PostgresSchemas(t testing.TB, owner string) []string {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	e, err := parsePostgres(owner, Options{})
	must(err)
	conn, err := pgx.ConnectConfig(ctx, e.config)
	must(err)
	defer hangUp(conn) //nolint:errcheck // nothing is lost by it
	_, err = conn.Exec(ctx, "CREATE SCHEMA sanad")
	must(err)
	ours, err := newest(postgresSteps)
	must(err)
	var all []string
	for v := range ours {
		must(e.migrate(ctx, v+1))
		objects, err := readPostgresSchema(ctx, conn)
		must(err)
		all = append(all, strings.Join(objects, schemaBreak)+"\n")
	}
	return all
}

// SetPostgresMigrations gives the package other migrations for the length of a
// test.
func SetPostgresMigrations(t testing.TB, files fs.FS) {
	old := postgresSteps
	postgresSteps = files
	t.Cleanup(func() { postgresSteps = old })
}

// PostgresMigrations are the package's own.
func PostgresMigrations() fs.FS { return postgresSteps }

// PostgresVersionOne makes a database of version 1 and runs statements on it.
func PostgresVersionOne(t testing.TB, owner string, o Options, statements string) error {
	t.Helper()
	ctx := t.Context()
	e, err := parsePostgres(owner, o)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, e.config)
	if err != nil {
		return err
	}
	defer hangUp(conn) //nolint:errcheck // nothing is lost by it
	if _, err := conn.Exec(ctx, "CREATE SCHEMA sanad"); err != nil {
		return err
	}
	if err := e.migrate(ctx, 1); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, insertMeta, o.Instance, 1700000000000); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statements)
	return err
}

// Waiting is how many calls wait for their turn to write.
func (db *DB) Waiting() int {
	db.turns.mu.Lock()
	defer db.turns.mu.Unlock()
	return len(db.turns.waiting)
}

// Turns are the turns of a database, by themselves.
type Turns struct{ turns turns }

// NewTurns returns turns that nobody has.
func NewTurns() *Turns { return new(Turns) }

// Take waits for the turn.
func (t *Turns) Take(ctx context.Context) error {
	_, err := t.turns.take(ctx, true)
	return err
}

// Pass gives it to the next one.
func (t *Turns) Pass() { t.turns.pass() }

// FailCheckpoint plays that what was moved into the file beside the writer could not be
// synced.
func FailCheckpoint(db *DB) {
	c := &checkpoint{done: make(chan struct{}), err: errors.New("played")}
	close(c.done)
	db.engine.(*sqliteEngine).aside = c
}

// IndexPlans returns, by index, how the server would read what CheckIndexes asks it for.
func IndexPlans(ctx context.Context, s *Snapshot) (map[string]string, error) {
	m := s.conn.(postgresMoment)
	all, err := m.everyIndex(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := m.conn.Exec(ctx, onlyIndexes); err != nil {
		return nil, err
	}
	plans := map[string]string{}
	for _, x := range all {
		rows, err := m.conn.Query(ctx, "EXPLAIN "+x.inOrder())
		if err != nil {
			return nil, err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, err
		}
		plans[x.Name] = strings.Join(lines, "\n")
	}
	return plans, nil
}

// Instance returns the name of the issuer that the database belongs to.
func (db *DB) Instance() string { return db.instance }

// Created returns when the database was made.
func (db *DB) Created() time.Time { return db.created }
