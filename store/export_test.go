package store

import (
	"context"
	"io/fs"
	"testing"
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
	<-db.turn
	defer func() { db.turn <- struct{}{} }()
	_, err := db.conn.ExecContext(ctx, statement)
	return err
}

// PragmaWriter asks the writing connection for a setting.
func (db *DB) PragmaWriter(ctx context.Context, name string) (value string, err error) {
	<-db.turn
	defer func() { db.turn <- struct{}{} }()
	return value, db.conn.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value)
}

// Build makes a database without opening it, as far as the migrations that are
// set go.
func Build(ctx context.Context, path string, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	return build(ctx, path, o)
}
