package store_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"os"
	"slices"
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

// TestPostgresStates holds the tables that stand for an index on the state to the
// credentials: they follow them through every state, nobody else writes them, and it is
// found if somebody did.
func TestPostgresStates(t *testing.T) {
	db := createPostgres(t)
	s := serverOf(t, db)
	stock(t, db)
	must(t, chunk(db, 21, 1))
	must(t, db.Write(t.Context(), func(tx issuance.Tx) error {
		_, suspended := tx.Change(credID(1), issuance.Suspended, issuance.Investigation, now)
		_, revoked := tx.Change(credID(2), issuance.Revoked, issuance.Lost, now)
		return errors.Join(suspended, revoked)
	}))
	for _, state := range []issuance.State{issuance.Intended, issuance.Suspended, issuance.Revoked} {
		if count(t, db, issuance.Query{State: state}) == 0 {
			t.Errorf("no credential is %s; the test tests little", state)
		}
	}
	agrees(t, db)
	for _, statement := range []string{
		`DELETE FROM credential_intended`, `TRUNCATE credential_intended`, `UPDATE credential_intended SET first_no = 1`,
		`INSERT INTO credential_intended VALUES (99, 98)`,
		`DELETE FROM credential_not_valid`, `TRUNCATE credential_not_valid`, `UPDATE credential_not_valid SET state = 'revoked'`,
		`INSERT INTO credential_not_valid VALUES ('revoked', 'x')`,
	} {
		for who, location := range map[string]string{"service": s.service, "owner": s.owner} {
			if err := executeOn(t, location, statement); err == nil {
				t.Errorf("%s, as the %s: done", statement, who)
			}
		}
	}
	agrees(t, db)
	for _, tt := range []struct {
		table, spoil, mend string
		missing, more      int
	}{
		{"credential_intended", `INSERT INTO credential_intended VALUES (99, 98)`, `DELETE FROM credential_intended WHERE last_no = 99`, 0, 1},
		{"credential_intended", `DELETE FROM credential_intended WHERE last_no = 21`, `INSERT INTO credential_intended VALUES (21, 21)`, 1, 0},
		{"credential_not_valid", `UPDATE credential_not_valid SET credential_id = 'x' WHERE state = 'revoked'`, ``, 1, 1},
	} {
		triggers := `ALTER TABLE ` + tt.table + ` %s TRIGGER USER;`
		must(t, executeOn(t, s.owner, fmt.Sprintf(triggers, "DISABLE")+tt.spoil))
		want := fmt.Sprintf("credential_intended and credential_not_valid leave out %d credentials and have %d rows too many", tt.missing, tt.more)
		if got := damage(t, db); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", tt.spoil, got, want)
		}
		must(t, executeOn(t, s.owner, tt.mend+";"+fmt.Sprintf(triggers, "ENABLE")))
	}
}

// TestPostgresMarksInPlace: no index has an entry for what a mark changes, so that a
// row of either table is marked as signed in its place.
func TestPostgresMarksInPlace(t *testing.T) {
	db := createPostgres(t)
	fill(t, db, 0)
	must(t, chunk(db, 1, 20))
	must(t, executeOn(t, serverOf(t, db).owner, `BEGIN;
		UPDATE credential_form SET signed = to_be_signed;
		UPDATE credential SET state = 'active', changed_at = changed_at + 1;
		DO $$ BEGIN
			IF pg_stat_get_xact_tuples_hot_updated('credential'::regclass) <> 20 OR pg_stat_get_xact_tuples_hot_updated('credential_form'::regclass) <> 20 THEN
				RAISE 'in place: % credentials, % forms, want 20', pg_stat_get_xact_tuples_hot_updated('credential'::regclass),
					pg_stat_get_xact_tuples_hot_updated('credential_form'::regclass);
			END IF;
		END $$; COMMIT`))
	agrees(t, db)
}
