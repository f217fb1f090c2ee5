package faulttest_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/sanad-id/sanad/internal/faultproxy"
	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/store"
)

// migrateEnv tells a copy of the test program which database to migrate, or to
// make: "migrate|create URL".
const migrateEnv = "SANAD_FAULTTEST_MIGRATE"

// TestMigrateChild is what that copy does.
func TestMigrateChild(t *testing.T) {
	what, url, _ := strings.Cut(os.Getenv(migrateEnv), " ")
	switch what {
	case "migrate":
		must(t, store.Migrate(t.Context(), url, store.Options{Instance: instance}))
	case "create":
		db, err := store.Create(t.Context(), url, store.Options{Instance: instance})
		must(t, err)
		must(t, db.Close())
	}
}

// child starts that copy.
func child(t *testing.T, what, url string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMigrateChild$")
	cmd.Env = append(os.Environ(), migrateEnv+"="+what+" "+url)
	out := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	must(t, cmd.Start())
	return cmd, out
}

// A template is a database of which copies are migrated.
type template struct {
	*pgtest.Cluster
	owner string // URL
	next  int
}

// copy makes a database like the template and returns its URL.
func (m *template) copy(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(m.owner)
	must(t, err)
	m.next++
	name := fmt.Sprintf("copy_%d", m.next)
	m.Exec(t, "postgres:///postgres", fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s OWNER %s STRATEGY file_copy",
		name, strings.TrimPrefix(u.Path, "/"), u.Query().Get("user")))
	u.Path = "/" + name
	return u.String()
}

// drop removes a copy. A server that was killed looks at every file of every database
// when it starts, so that a night of copies makes each start slower.
func (m *template) drop(t *testing.T, copied string) {
	t.Helper()
	u, err := url.Parse(copied)
	must(t, err)
	m.Exec(t, "postgres:///postgres", "DROP DATABASE "+strings.TrimPrefix(u.Path, "/")+" WITH (FORCE)")
}

// versionOne is a database as the first migration makes it, with rows in every table:
// credentials in each state, of a batch and without, on lists that are open, full and
// sealed.
func versionOne(t *testing.T, c *pgtest.Cluster) *template {
	t.Helper()
	owner, _ := c.New(t)
	must(t, execute(t, owner, "CREATE SCHEMA sanad"))
	db, err := sql.Open("pgx", plain(owner))
	must(t, err)
	p, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("../migrations/postgres"),
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	must(t, err)
	_, err = p.UpTo(t.Context(), 1)
	must(t, err)
	must(t, db.Close())
	conn, err := pgx.Connect(t.Context(), plain(owner))
	must(t, err)
	for _, s := range []string{
		`INSERT INTO meta (one, instance_id, epoch, created_at, latest_tick) VALUES (1, '` + instance + `', 1, 1700000000000, 1700000000000)`,
		`INSERT INTO programme (programme_no, programme_id) OVERRIDING SYSTEM VALUE VALUES (1, 'farmer-card')`,
		`INSERT INTO programme_version VALUES (1, 1, '\x69643a', decode(repeat('00', 32), 'hex'), 1700000000000)`,
		`INSERT INTO publication VALUES ('trust', 1, 1700000000000, decode(repeat('00', 32), 'hex'), '\x01')`,
		`INSERT INTO batch VALUES (1, 'batch-1', 1, 1, 'farmers.csv', 'running', 1700000000000, 1700000000000, 0, 0, 0, 0, 0, 0)`,
		`INSERT INTO status_list VALUES (1, 'https://office-1.example/status/1', 1, 'qr', 1, 64, 0, 1700000000000, NULL)`,
		`INSERT INTO credential (credential_no, credential_id, programme_no, version, record_ref, issued_at, expires_at, changed_at, batch_no, batch_row,
			supersedes, idempotency_key, many, vacated)
			SELECT n, 'credential-' || n, 1, 1, sha256(n::text::bytea), 1700000000000 + n, CASE WHEN n % 2 = 0 THEN 1800000000000 END, 1700000000000 + n,
			CASE WHEN n <= 8 THEN 1 END, CASE WHEN n <= 8 THEN n ELSE 0 END, '', CASE WHEN n > 8 THEN sha256(('key ' || n)::bytea) END, 0, 0
			FROM generate_series(1, 12) n`,
		`INSERT INTO credential_form (credential_no, form_no, form, list_no, slot_index, key_id, to_be_signed)
			SELECT n, 0, 'qr', 1, 5 * n, '\x0102030405060708', sha256(('form ' || n)::bytea) FROM generate_series(1, 12) n`,
		`UPDATE status_list SET next_counter = 12`,
		`UPDATE credential_form SET signed = sha256(('signed ' || credential_no)::bytea) WHERE credential_no <= 10`,
		`UPDATE credential SET state = 'active' WHERE credential_no <= 10`,
		`UPDATE credential SET state = 'suspended', reason = 'investigation' WHERE credential_no IN (2, 9)`,
		`UPDATE credential SET state = 'revoked', reason = 'lost', vacated = credential_no WHERE credential_no IN (3, 10)`,
		`UPDATE batch SET chunks = 1, source_rows = 9, issued = 8, failed = 1, manifest_bytes = 800`,
		`UPDATE status_list SET sealed_at = 1700000001000`,
		`INSERT INTO status_list VALUES (2, 'https://office-1.example/status/2', 1, 'qr', 1, 64, 0, 1700000001000, NULL)`,
		`INSERT INTO audit_block VALUES (0, 1, 1700000000000, E'{"n":0}\n')`,
		`INSERT INTO audit_hashes VALUES (0, sha256('entry'))`,
		`INSERT INTO audit_checkpoint VALUES (1, sha256('entry'), 1700000000000, '\x01')`,
	} {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	must(t, conn.Close(t.Context()))
	return &template{Cluster: c, owner: owner}
}

// content is every row of every table of the service, as text, with those columns
// that the first version had.
func content(t *testing.T, url string, columns map[string][]string) map[string]string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), plain(url))
	must(t, err)
	defer conn.Close(t.Context())
	found := map[string]string{}
	for table, names := range columns {
		var text string
		must(t, conn.QueryRow(t.Context(), fmt.Sprintf(`SELECT coalesce(string_agg(t::text, E'\n' ORDER BY t::text), '')
			FROM (SELECT %s FROM %s) t`, strings.Join(names, ", "), table)).Scan(&text))
		found[table] = text
	}
	return found
}

// columnsOf is the columns of every table but goose's.
func columnsOf(t *testing.T, url string) map[string][]string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), plain(url))
	must(t, err)
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), `SELECT table_name, column_name FROM information_schema.columns
		WHERE table_schema = 'sanad' AND table_name !~ '^goose' ORDER BY table_name, ordinal_position`)
	must(t, err)
	all := map[string][]string{}
	var table, column string
	_, err = pgx.ForEachRow(rows, []any{&table, &column}, func() error {
		all[table] = append(all[table], column)
		return nil
	})
	must(t, err)
	return all
}

// everyMessage calls f for some of the messages that a migration sends, or for all
// of them every night.
func everyMessage(messages int, f func(n int)) (kills int) {
	var some []int
	if os.Getenv("SANAD_SOAK") == "1" {
		for range 5 {
			for n := range messages {
				some = append(some, n+1)
			}
		}
	} else {
		for i := range 8 {
			some = append(some, 1+i*(messages-1)/7)
		}
	}
	for _, n := range some {
		f(n)
	}
	return len(some)
}

// interrupt runs a migration (or the making of a database) in another process and
// calls kill at its nth message over all connections, before the server has it. It
// returns how many messages there were.
func interrupt(t *testing.T, proxy *faultproxy.Proxy, what, url string, n int, kill func(*os.Process)) (messages int) {
	t.Helper()
	var mu sync.Mutex
	var process *os.Process
	mu.Lock()
	proxy.Decide(func(m faultproxy.Message) faultproxy.Action {
		if messages++; messages != n {
			return faultproxy.Action{}
		}
		mu.Lock()
		defer mu.Unlock()
		kill(process)
		return faultproxy.Action{Do: faultproxy.CutBefore}
	})
	cmd, out := child(t, what, proxy.URL(t, url))
	process = cmd.Process
	mu.Unlock()
	err := cmd.Wait()
	proxy.Decide(func(faultproxy.Message) faultproxy.Action { return faultproxy.Action{} })
	proxy.CutAll()
	if n == 0 && err != nil {
		t.Fatalf("%s: %v\n%s", what, err, out)
	}
	return messages
}

// TestP28 kills a migration, or the server under it, at its messages. The database
// is then as before or as after, and the next migration brings it to the end with
// all its rows.
func TestP28(t *testing.T) {
	c := pgtest.Start(t, pgtest.Options{})
	m := versionOne(t, c)
	columns := columnsOf(t, m.owner)
	before := content(t, m.owner, columns)
	for table, rows := range before {
		if rows == "" {
			t.Errorf("P28: %s has no row; a migration that loses them would not be seen", table)
		}
	}
	proxy := faultproxy.Start(t, c.Socket())
	messages := interrupt(t, proxy, "migrate", m.copy(t), 0, nil)
	for _, tt := range []struct {
		name string
		kill func(*os.Process)
	}{
		{"kill -9 of the program", func(p *os.Process) { _ = p.Kill() }},
		{"kill -9 of the server", func(*os.Process) { c.Kill(t) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old := 0
			kills := everyMessage(messages, func(n int) {
				url := m.copy(t)
				interrupt(t, proxy, "migrate", url, n, tt.kill)
				if !c.Running() {
					c.Restart(t)
				}
				db, err := store.Open(t.Context(), url, store.Options{Instance: instance, ReadOnly: true})
				switch {
				case err == nil:
					must(t, db.Close())
				case errors.Is(err, store.ErrOlder):
					old++
				default:
					t.Errorf("P28: after a kill at message %d: %v, want ErrOlder", n, err)
				}
				if got := content(t, url, columns); !maps.Equal(got, before) {
					t.Errorf("P28: after a kill at message %d it has %v, before it had %v", n, got, before)
				}
				must(t, store.Migrate(t.Context(), url, store.Options{Instance: instance}))
				if got := content(t, url, columns); !maps.Equal(got, before) {
					t.Errorf("P28: in the end it has %v, want %v", got, before)
				}
				if db, err = store.Open(t.Context(), url, store.Options{Instance: instance}); err != nil {
					t.Fatalf("P28: after a kill at message %d and another migration: %v", n, err)
				}
				s, err := db.Snapshot(t.Context())
				must(t, err)
				if damage, err := s.CheckDerived(t.Context()); err != nil || len(damage) > 0 {
					t.Errorf("P28: after a kill at message %d and another migration: %q, %v", n, damage, err)
				}
				must(t, s.Close())
				must(t, db.Close())
				m.drop(t, url)
			})
			if old == 0 {
				t.Error("no kill left the old version; the test tests little")
			}
			t.Logf("%d kills at %d messages, %d of them left the old version", kills, messages, old)
		})
	}
}

// TestP28Create kills the making of a database, or the server under it. What is
// left is refused, and making it again brings it to the end.
func TestP28Create(t *testing.T) {
	c := pgtest.Start(t, pgtest.Options{})
	owner, _ := c.New(t)
	m := &template{Cluster: c, owner: owner}
	proxy := faultproxy.Start(t, c.Socket())
	messages := interrupt(t, proxy, "create", m.copy(t), 0, nil)
	for _, tt := range []struct {
		name string
		kill func(*os.Process)
	}{
		{"kill -9 of the program", func(p *os.Process) { _ = p.Kill() }},
		{"kill -9 of the server", func(*os.Process) { c.Kill(t) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ready := 0
			kills := everyMessage(messages, func(n int) {
				url := m.copy(t)
				interrupt(t, proxy, "create", url, n, tt.kill)
				if !c.Running() {
					c.Restart(t)
				}
				db, err := store.Open(t.Context(), url, store.Options{Instance: instance})
				if err != nil {
					if _, ok := errors.AsType[*store.StateError](err); !ok {
						t.Errorf("P28: after a kill at message %d: %v, want a StateError", n, err)
					}
					if db, err = store.Create(t.Context(), url, store.Options{Instance: instance}); err != nil {
						t.Fatalf("P28: Create after a kill at message %d: %v", n, err)
					}
				} else {
					ready++
				}
				must(t, db.Close())
				m.drop(t, url)
			})
			t.Logf("%d kills at %d messages, %d of them when it was made already", kills, messages, ready)
		})
	}
}

// TestDB12 lets several processes migrate at once: all of them find it done.
func TestDB12(t *testing.T) {
	c := pgtest.Start(t, pgtest.Options{})
	m := versionOne(t, c)
	columns := columnsOf(t, m.owner)
	before := content(t, m.owner, columns)
	for range count(2, 50) {
		url := m.copy(t)
		var children []*exec.Cmd
		var outs []*bytes.Buffer
		for range 3 {
			cmd, out := child(t, "migrate", url)
			children, outs = append(children, cmd), append(outs, out)
		}
		for i, cmd := range children {
			if err := cmd.Wait(); err != nil {
				t.Errorf("DB-12: one of three that migrate: %v\n%s", err, outs[i])
			}
		}
		must(t, store.Migrate(t.Context(), url, store.Options{Instance: instance}))
		if got := content(t, url, columns); !maps.Equal(got, before) {
			t.Errorf("DB-12: in the end it has %v, want %v", got, before)
		}
	}
}

// TestP28Versions: a program refuses the database of a newer one and of an older
// one, and says which.
func TestP28Versions(t *testing.T) {
	c := pgtest.Start(t, pgtest.Options{})
	m := versionOne(t, c)
	if _, err := store.Open(t.Context(), m.copy(t), store.Options{Instance: instance}); !errors.Is(err, store.ErrOlder) {
		t.Errorf("P28: a database of version 1: %v, want ErrOlder", err)
	}
	url := m.copy(t)
	must(t, store.Migrate(t.Context(), url, store.Options{Instance: instance}))
	must(t, execute(t, url, "INSERT INTO goose_db_version (version_id, is_applied) SELECT max(version_id) + 1, true FROM goose_db_version"))
	for _, open := range []func() error{
		func() error {
			_, err := store.Open(t.Context(), url, store.Options{Instance: instance})
			return err
		},
		func() error { return store.Migrate(t.Context(), url, store.Options{Instance: instance}) },
	} {
		if err := open(); !errors.Is(err, store.ErrNewer) {
			t.Errorf("P28: a database of the next version: %v, want ErrNewer", err)
		}
	}
}

func execute(t *testing.T, url, statement string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, plain(url))
	must(t, err)
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}
