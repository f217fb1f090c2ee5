package store_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
	"github.com/sanad-id/sanad/store/storetest"
)

var update = flag.Bool("update", false, "write migrations/postgres/schema_*.txt anew")

// A server is a PostgreSQL database of a test, and who may do what on it.
type server struct{ owner, service string }

// servers are those of the databases that tests have open, by Path.
var servers sync.Map

func newServer(t testing.TB) server {
	t.Helper()
	owner, service := pgtest.New(t)
	return server{owner, service}
}

// role is the name of the role in a URL.
func role(t testing.TB, location string) string {
	t.Helper()
	name, err := store.PostgresRole(location)
	must(t, err)
	return name
}

// createOn makes a database as its owner.
func createOn(t testing.TB, s server) {
	t.Helper()
	o := options
	o.ServiceRole = role(t, s.service)
	db, err := store.Create(context.Background(), s.owner, o)
	must(t, err)
	must(t, db.Close())
}

// createPostgres makes a database and opens it as a service does.
func createPostgres(t testing.TB) *store.DB {
	t.Helper()
	s := newServer(t)
	createOn(t, s)
	db, err := store.Open(context.Background(), s.service, options)
	must(t, err)
	servers.Store(db.Path(), s)
	t.Cleanup(func() {
		servers.Delete(db.Path())
		must(t, db.Close())
	})
	return db
}

func serverOf(t testing.TB, s issuance.Store) server {
	t.Helper()
	at, ok := servers.Load(s.(*store.DB).Path())
	if !ok {
		t.Fatal("a store of no server")
	}
	return at.(server)
}

// executeOn runs a statement as a role.
func executeOn(t testing.TB, location, statement string) error {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), location)
	must(t, err)
	_, err = conn.Exec(context.Background(), "SET search_path = sanad; "+statement)
	return errors.Join(err, conn.Close(context.Background()))
}

// postgres is the store under test, on which SQL runs as the service or as the
// owner of the tables.
func postgres(as func(server) string) storetest.Subject {
	return storetest.Subject{
		New:    func(t *testing.T) issuance.Store { return createPostgres(t) },
		Reopen: func(t *testing.T, s issuance.Store) issuance.Store { return reopenPostgres(t, s, options) },
		SQL: func(t *testing.T, s issuance.Store, statement string) error {
			return executeOn(t, as(serverOf(t, s)), statement)
		},
		FailCredential: func(t *testing.T, s issuance.Store, id string, state issuance.State) {
			event := "UPDATE"
			if state == issuance.Intended {
				event = "INSERT"
			}
			must(t, executeOn(t, serverOf(t, s).owner, fmt.Sprintf(`CREATE TRIGGER test_fail BEFORE %s ON credential FOR EACH ROW
				WHEN (NEW.credential_id = '%s' AND NEW.state = '%s') EXECUTE FUNCTION refuse('on purpose')`, event, id, state)))
		},
		FailAudit: func(t *testing.T, s issuance.Store, fail bool) {
			statement := `DROP TRIGGER test_audit ON audit_block`
			if fail {
				statement = `CREATE TRIGGER test_audit BEFORE INSERT ON audit_block EXECUTE FUNCTION refuse('on purpose')`
			}
			must(t, executeOn(t, serverOf(t, s).owner, statement))
		},
		Journal: func(t *testing.T, s issuance.Store, j store.Journal) (issuance.Store, error) {
			o := options
			o.Journal = j
			return openOn(t, s, o)
		},
		Fence: func(t *testing.T, s issuance.Store, on bool) issuance.Store {
			at := serverOf(t, s)
			o := options
			o.WhileFenced = !on
			db, err := store.Open(context.Background(), at.owner, o)
			must(t, err)
			if on {
				must(t, db.Fence(t.Context(), store.FenceRestored))
			} else {
				must(t, db.Confirm(t.Context(), now, nil))
			}
			must(t, db.Close())
			return reopenPostgres(t, s, options)
		},
		Entries: func(ctx context.Context, s issuance.Store) iter.Seq2[[]byte, error] {
			size, err := s.(*store.DB).AuditSize(ctx)
			if err != nil {
				return func(yield func([]byte, error) bool) { yield(nil, err) }
			}
			return s.(*store.DB).AuditEntries(ctx, size)
		},
	}
}

func openOn(t testing.TB, s issuance.Store, o store.Options) (*store.DB, error) {
	t.Helper()
	at := serverOf(t, s)
	must(t, s.(*store.DB).Close())
	db, err := store.Open(context.Background(), at.service, o)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { must(t, db.Close()) })
	return db, nil
}

func reopenPostgres(t testing.TB, s issuance.Store, o store.Options) *store.DB {
	t.Helper()
	db, err := openOn(t, s, o)
	must(t, err)
	return db
}

func TestContractPostgres(t *testing.T) {
	storetest.Test(t, postgres(func(s server) string { return s.service }))
}

// TestPostgresOwner sends what nobody may do as the owner of the tables.
func TestPostgresOwner(t *testing.T) {
	storetest.TestForbidden(t, postgres(func(s server) string { return s.owner }))
}

// TestPostgresSchema holds the schemas that Open expects to those that the
// migrations make.
func TestPostgresSchema(t *testing.T) {
	s := newServer(t)
	for version, got := range store.PostgresSchemas(t, s.owner) {
		name := fmt.Sprintf("migrations/postgres/schema_%d.txt", version+1)
		if *update {
			must(t, os.WriteFile(name, []byte(got), 0o600))
			continue
		}
		want, err := os.ReadFile(name)
		must(t, err)
		if got != string(want) {
			t.Errorf("%s is not what the migrations make; go test -update writes it", name)
		}
		if n := strings.Count(got, "\ntrigger "); n < 30 {
			t.Errorf("%d triggers in version %d", n, version+1)
		}
	}
}
