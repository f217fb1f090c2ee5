package proof

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the checker reads the tables itself

	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/store"
)

// openPostgres opens one state of a database: all queries see the same.
func openPostgres(ctx context.Context, url string) (database, func(), error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, nil, err
	}
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err == nil {
		_, err = tx.ExecContext(ctx, `SET LOCAL search_path = sanad`)
	}
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return tx, func() { _ = tx.Rollback(); _ = db.Close() }, nil
}

// postgres is how init is told to use a new database.
func (o *office) postgres() []string {
	owner, service := pgtest.New(o.t)
	o.store, o.owner = service, owner
	return []string{"--store", service, "--store-owner", owner}
}

// postgres makes a new database for workers.
func (d *desk) postgres() {
	d.t.Helper()
	owner, service := pgtest.New(d.t)
	role, err := store.PostgresRole(service)
	if err != nil {
		d.t.Fatal(err)
	}
	db, err := store.Create(d.t.Context(), owner, store.Options{Instance: workerInstance, ServiceRole: role})
	if err != nil {
		d.t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		d.t.Fatal(err)
	}
	d.store = service
}

// socket is the Unix socket of a database's server.
func socket(t *testing.T, db string) string {
	t.Helper()
	u, err := url.Parse(db)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("host") + "/.s.PGSQL." + u.Query().Get("port")
}
