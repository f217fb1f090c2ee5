package store_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// with is a URL with another value of a parameter.
func with(t testing.TB, location, name, value string) string {
	t.Helper()
	u, err := url.Parse(location)
	must(t, err)
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// TestP26Postgres prepares the states in which a PostgreSQL database must not be
// opened. Each is undone before the next.
func TestP26Postgres(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector finds nothing here: all of it happens one after the other")
	}
	s, empty := newServer(t), newServer(t)
	refuses := func(t *testing.T, location string, want error) {
		t.Helper()
		for range 2 { // the second time as well
			db, err := store.Open(t.Context(), location, options)
			if err == nil {
				_ = db.Close()
			}
			wantRefusal(t, err, want)
		}
	}
	t.Run("P26 empty", func(t *testing.T) { refuses(t, empty.service, store.ErrEmpty) })
	t.Run("P26 of another program", func(t *testing.T) {
		must(t, executeOn(t, empty.owner, "CREATE TABLE public.credential (a int)"))
		refuses(t, empty.service, store.ErrForeign)
		must(t, executeOn(t, empty.owner, "DROP TABLE public.credential"))
	})
	t.Run("P26 no rights", func(t *testing.T) {
		db, err := store.Create(t.Context(), empty.owner, options)
		must(t, err)
		must(t, db.Close())
		refuses(t, empty.service, store.ErrDenied)
		_, err = store.Create(t.Context(), empty.owner, options)
		wantRefusal(t, err, store.ErrExists)
	})
	t.Run("P26 a Create that broke off", func(t *testing.T) {
		must(t, executeOn(t, empty.owner, `DROP SCHEMA sanad CASCADE`))
		must(t, executeOn(t, empty.owner, `CREATE SCHEMA sanad; COMMENT ON SCHEMA sanad IS 'Sanad, not complete'; CREATE TABLE sanad.meta (a int)`))
		refuses(t, empty.owner, store.ErrAltered)
		createOn(t, empty)
		db, err := store.Open(t.Context(), empty.service, options)
		must(t, err)
		must(t, db.Close())
	})
	t.Run("P26 somebody else's schema of this name", func(t *testing.T) {
		must(t, executeOn(t, empty.owner, `DROP SCHEMA sanad CASCADE`))
		must(t, executeOn(t, empty.owner, `CREATE SCHEMA sanad; CREATE TABLE sanad.meta (a int)`))
		_, err := store.Create(t.Context(), empty.owner, options)
		wantRefusal(t, err, store.ErrExists)
		must(t, executeOn(t, empty.owner, `SELECT a FROM meta`))
	})

	createOn(t, s)
	for _, tt := range []struct {
		name, prepare, undo string
		want                error
	}{
		{"P26 newer", `INSERT INTO goose_db_version (version_id, is_applied) VALUES (5, TRUE)`, `DELETE FROM goose_db_version WHERE version_id = 5`, store.ErrNewer},
		{"P26 a version left out", `DELETE FROM goose_db_version WHERE version_id = 1`, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (1, TRUE)`, store.ErrAltered},
		{"P26 half migrated: tables without version", `DELETE FROM goose_db_version WHERE version_id = 3`, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (3, TRUE)`, store.ErrAltered},
		{"P26 half migrated: version without a table", `ALTER TABLE batch_chunk RENAME TO other`, `ALTER TABLE other RENAME TO batch_chunk`, store.ErrAltered},
		{"P26 no version at all", `ALTER TABLE goose_db_version RENAME TO other`, `ALTER TABLE other RENAME TO goose_db_version`, store.ErrAltered},
		{"P26 a trigger taken away", `ALTER TRIGGER credential_delete ON credential RENAME TO other`, `ALTER TRIGGER other ON credential RENAME TO credential_delete`, store.ErrAltered},
		{"P26 a trigger switched off", `ALTER TABLE credential DISABLE TRIGGER credential_update`, `ALTER TABLE credential ENABLE TRIGGER credential_update`, store.ErrAltered},
		{"P26 a trigger for replicas only", `ALTER TABLE credential ENABLE REPLICA TRIGGER credential_update`, `ALTER TABLE credential ENABLE TRIGGER credential_update`, store.ErrAltered},
		{"P26 a trigger put in", `CREATE TRIGGER extra AFTER INSERT ON credential EXECUTE FUNCTION refuse()`, `DROP TRIGGER extra ON credential`, store.ErrAltered},
		{"P26 a function changed", `ALTER FUNCTION refuse() RENAME TO was; CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
			`DROP FUNCTION refuse(); ALTER FUNCTION was() RENAME TO refuse`, store.ErrAltered},
		{"P26 a function with other settings", `ALTER FUNCTION credential_fate() SET search_path = public`,
			`ALTER FUNCTION credential_fate() SET search_path = sanad, pg_temp`, store.ErrAltered},
		{"P26 an index taken away", `ALTER INDEX credential_form_slot RENAME TO other`, `ALTER INDEX other RENAME TO credential_form_slot`, store.ErrAltered},
		{"P26 a constraint taken away", `ALTER TABLE credential DROP CONSTRAINT credential_state_check`,
			`ALTER TABLE credential ADD CONSTRAINT credential_state_check CHECK (state = 'intended' OR state = 'active' OR state = 'suspended' OR state = 'revoked')`, store.ErrAltered},
		{"P26 a rule put in", `CREATE RULE silent AS ON UPDATE TO credential DO INSTEAD NOTHING`, `DROP RULE silent ON credential`, store.ErrAltered},
		{"P26 row security", `ALTER TABLE credential ENABLE ROW LEVEL SECURITY`, `ALTER TABLE credential DISABLE ROW LEVEL SECURITY`, store.ErrAltered},
		{"P26 nobody's", `CREATE SCHEMA kept; CREATE TABLE kept.meta AS TABLE meta; ALTER TABLE meta DISABLE TRIGGER USER; DELETE FROM meta; ALTER TABLE meta ENABLE TRIGGER USER`,
			`INSERT INTO meta SELECT * FROM kept.meta; DROP SCHEMA kept CASCADE`, store.ErrAltered},
		{"P26 a right taken away", `REVOKE SELECT ON meta FROM PUBLIC, ` + role(t, s.service), `GRANT SELECT ON meta TO ` + role(t, s.service), store.ErrDenied},
		{"P26 only for reading", `ALTER ROLE ` + role(t, s.owner) + ` SET default_transaction_read_only = on`, `SET TRANSACTION READ WRITE; ALTER ROLE ` + role(t, s.owner) + ` RESET default_transaction_read_only`, store.ErrStandby},
	} {
		t.Run(tt.name, func(t *testing.T) {
			location := s.service
			if strings.Contains(tt.prepare, "ALTER ROLE") {
				location = s.owner
			}
			must(t, executeOn(t, s.owner, tt.prepare))
			refuses(t, location, tt.want)
			must(t, executeOn(t, s.owner, tt.undo))
		})
	}
	secret := "postgres://me:s3cret@db.example/registry?sslmode=" // never to be seen
	for _, tt := range []struct {
		name, location string
		want           error
	}{
		{"P26 no such role", with(t, s.service, "user", "nobody_of_this_name"), store.ErrDenied},
		{"P26 unreachable", with(t, s.service, "host", t.TempDir()), store.ErrUnreachable},
		{"P26 nobody listens", "postgres://me@127.0.0.1:1/registry?sslmode=disable", store.ErrUnreachable},
		{"P26 not a URL", "postgres://[", store.ErrBadURL},
		{"P26 another parameter's value", "postgres://me@127.0.0.1:1/registry?sslmode=perhaps", store.ErrBadURL},
		{"P26 plain text", secret + "disable", store.ErrInsecure},
		{"P26 perhaps plain text", secret + "prefer", store.ErrInsecure},
		{"P26 encrypted to anybody", secret + "require", store.ErrInsecure},
		{"P26 encrypted to any name", secret + "verify-ca", store.ErrInsecure},
		{"P26 one of several hosts", "postgres://me@localhost,db.example/registry?sslmode=disable", store.ErrInsecure},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refuses(t, tt.location, tt.want)
			if _, err := store.Create(t.Context(), tt.location, options); err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("Create: %v", err)
			}
			if err := store.Migrate(t.Context(), tt.location, options); err == nil {
				t.Error("migrated")
			}
		})
	}
	t.Run("P26 missing", func(t *testing.T) {
		u, err := url.Parse(s.service)
		must(t, err)
		u.Path = "/no_such_database"
		refuses(t, u.String(), store.ErrMissing)
	})
	t.Run("P26 another instance", func(t *testing.T) {
		_, err := store.Open(t.Context(), s.service, store.Options{Instance: "office-2"})
		wantRefusal(t, err, store.ErrOtherInstance)
		wantRefusal(t, store.Migrate(t.Context(), s.owner, store.Options{Instance: "office-2"}), store.ErrOtherInstance)
	})
	t.Run("P26 older, and migrated", func(t *testing.T) {
		files := fstest.MapFS{
			"00005_next.sql": {Data: []byte("-- +goose Up\nCREATE TABLE next (a bigint);\n")},
			"schema_5.txt":   {Data: nil},
		}
		must(t, fs.WalkDir(store.PostgresMigrations(), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := fs.ReadFile(store.PostgresMigrations(), path)
			files[path] = &fstest.MapFile{Data: b}
			return err
		}))
		now, err := fs.ReadFile(files, "schema_4.txt")
		must(t, err)
		at := strings.Index(string(now), "table programme\n")
		files["schema_5.txt"].Data = []byte(string(now)[:at] + "table next\nr p\na bigint\n----\n" + string(now)[at:])
		store.SetPostgresMigrations(t, files)
		refuses(t, s.service, store.ErrOlder)
		if err := store.Migrate(t.Context(), s.service, options); err == nil {
			t.Error("the service migrates")
		}
		must(t, store.Migrate(t.Context(), s.owner, options))
		must(t, store.Migrate(t.Context(), s.owner, options)) // DB-12: twice
		db, err := store.Open(t.Context(), s.service, options)
		must(t, err)
		must(t, db.Close())
	})
}

// TestEncodingPostgres: nothing is made in a database, or worked on, that does not keep
// text in UTF-8, and who tries is told what to do.
func TestEncodingPostgres(t *testing.T) {
	for _, encoding := range []string{"SQL_ASCII", "LATIN1"} {
		t.Run(encoding, func(t *testing.T) {
			owner, service := pgtest.NewEncoded(t, encoding)
			_, err := store.Create(t.Context(), owner, options)
			wantRefusal(t, err, store.ErrEncoding)
			if e, ok := errors.AsType[*store.StateError](err); !ok || !strings.Contains(e.Detail, encoding) || !strings.Contains(e.Hint, "ENCODING 'UTF8'") {
				t.Errorf("Create does not say %s and what to do: %#v", encoding, err)
			}
			_, err = store.Open(t.Context(), service, options)
			wantRefusal(t, err, store.ErrEncoding)
			wantRefusal(t, store.Migrate(t.Context(), owner, options), store.ErrEncoding)
			if err := executeOn(t, owner, `CREATE SCHEMA sanad`); err != nil {
				t.Errorf("something was made: %v", err)
			}
		})
	}
}

// TestNoCollation: no index and no order of ours depends on the collation of the database,
// which an update of the operating system may change: what is in an index has one of its own.
func TestNoCollation(t *testing.T) {
	s := newServer(t)
	createOn(t, s)
	must(t, executeOn(t, s.owner, `DO $$ DECLARE found text; BEGIN
		SELECT string_agg(x.indexrelid::regclass::text, ', ') INTO found FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid, unnest(x.indcollation) AS k (collation_id)
			WHERE c.relnamespace = 'sanad'::regnamespace AND k.collation_id = 'pg_catalog."default"'::regcollation;
		IF found <> '' THEN RAISE EXCEPTION 'indexes with the collation of the database: %', found; END IF;
		ASSERT (SELECT count(*) > 5 FROM pg_index x, unnest(x.indcollation) AS k (collation_id) WHERE k.collation_id = 'pg_catalog."C"'::regcollation
			AND x.indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'sanad'::regnamespace)), 'no index of text';
	END $$`))
}

// TestPostgresIndexes: to compare an index with its table is to read that index and no
// other, also while there is nothing in it.
func TestPostgresIndexes(t *testing.T) {
	db := createPostgres(t)
	fill(t, db, 20)
	s, err := db.Snapshot(t.Context())
	must(t, err)
	defer s.Close() // only read
	if found, err := s.CheckIndexes(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("CheckIndexes: %q, %v", found, err)
	}
	plans, err := store.IndexPlans(t.Context(), s)
	must(t, err)
	want, err := fs.ReadFile(store.PostgresMigrations(), "schema_1.txt")
	must(t, err)
	if n := strings.Count(string(want), "\nindex "); len(plans) < n {
		t.Errorf("%d indexes, and version 1 had %d", len(plans), n)
	}
	for name, plan := range plans {
		if !strings.Contains(plan, " using "+name+" on ") || strings.Contains(plan, "Sort") {
			t.Errorf("%s is not read:\n%s", name, plan)
		}
	}
}

// TestPostgresVersionOne brings the schema of version 1 with what it held to this
// version.
func TestPostgresVersionOne(t *testing.T) {
	s := newServer(t)
	must(t, store.PostgresVersionOne(t, s.owner, options, `
		INSERT INTO programme VALUES (1, 'farmer-card');
		INSERT INTO programme_version VALUES (1, 1, '\x01', '\x`+strings.Repeat("00", 32)+`', 0);
		INSERT INTO status_list VALUES (1, 'https://office-1.example/status/1', 1, 'qr', 1, 1048576, 0, 1700000000000, NULL);
		INSERT INTO credential VALUES (1, '`+credID(1)+`', 1, 1, '\x`+strings.Repeat("01", 32)+`', 'intended', '', 1700000000000, NULL, 1700000000000, NULL, 0, '', NULL, 0, 0);
		INSERT INTO credential_form VALUES (1, 0, 'qr', 1, 7, 0, '\x0102030405060708', '\x`+strings.Repeat("02", 32)+`')`))
	_, err := store.Open(t.Context(), s.owner, options)
	wantRefusal(t, err, store.ErrOlder)
	o := options
	o.ServiceRole = role(t, s.service)
	must(t, store.Migrate(t.Context(), s.owner, o))
	db, err := store.Open(t.Context(), s.service, options)
	must(t, err)
	defer db.Close() // only looked at
	var left []string
	for c, err := range db.Find(t.Context(), issuance.Query{State: issuance.Intended, Abandoned: true}) {
		must(t, err)
		left = append(left, fmt.Sprint(c.ID, c.Forms[0].Slot.Index))
	}
	if len(left) != 1 || left[0] != credID(1)+"7" {
		t.Errorf("what version 1 left behind: %v", left)
	}
}

// TestSeveralProcesses lets three programs issue on one database at once: no slot
// is given out twice, no record gets two credentials, and of each program only what
// it left behind is found when it is gone.
func TestSeveralProcesses(t *testing.T) {
	first := createPostgres(t)
	s := serverOf(t, first)
	fill(t, first, 0)
	dbs := []*store.DB{first}
	for range 2 {
		db, err := store.Open(t.Context(), s.service, options)
		must(t, err)
		dbs = append(dbs, db)
	}
	total := int64(6000)
	if testing.Short() {
		total = 600
	}
	const clients = 8
	records := int(total) / 2 // so that every second call meets a record that has one
	var mu sync.Mutex
	slots, holders := map[uint64]string{}, map[int]string{}
	var names, held atomic.Int64
	var left atomic.Int64
	left.Store(total)
	var wg sync.WaitGroup
	for p, db := range dbs {
		for client := range clients {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(p), uint64(client)))
				for left.Add(-1) >= 0 {
					record := rnd.IntN(records)
					c := credential(int(names.Add(1)))
					c.Record = credential(1_000_000 + record).Record
					err := db.Write(context.Background(), func(tx issuance.Tx) error {
						r, err := tx.TakeSlots(kind, 1)
						if err != nil {
							return err
						}
						c.Forms[0].Slot = issuance.Slot{List: r.List, Index: r.First * 0x9E3779B1 % r.Size}
						return tx.Intend([]issuance.Credential{c})
					})
					if errors.Is(err, issuance.ErrActiveExists) {
						held.Add(1)
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if other := slots[c.Forms[0].Slot.Index]; other != "" {
						t.Errorf("P04: slot %d belongs to %s and %s", c.Forms[0].Slot.Index, other, c.ID)
					}
					if other := holders[record]; other != "" {
						t.Errorf("record %d holds %s and %s", record, other, c.ID)
					}
					slots[c.Forms[0].Slot.Index], holders[record] = c.ID, c.ID
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	abandoned := issuance.Query{State: issuance.Intended, Abandoned: true}
	for _, db := range dbs {
		if n := count(t, db, abandoned); n != 0 {
			t.Errorf("%d credentials count as abandoned while their programs are there", n)
		}
	}
	if n := count(t, first, issuance.Query{}); n != len(slots) || len(holders) != n {
		t.Errorf("%d credentials, %d slots, %d holders", n, len(slots), len(holders))
	}
	must(t, dbs[1].Close())
	must(t, dbs[2].Close())
	gone := 0
	for range 100 { // until the server has noticed
		if gone = count(t, first, abandoned); gone > 0 {
			break
		}
	}
	own := count(t, first, issuance.Query{State: issuance.Intended}) - gone
	if gone == 0 || own == 0 {
		t.Errorf("%d of programs that are gone, %d of the one that is there", gone, own)
	}
	t.Logf("%d issued by 3 programs, %d refused since the record had one, %d left behind by the two that are gone", len(slots), held.Load(), gone)
}

// TestLostConnections ends the connections of a program between its transactions
// and within them: what was not stored is not, and it goes on by itself.
func TestLostConnections(t *testing.T) {
	db := createPostgres(t)
	s := serverOf(t, db)
	fill(t, db, 0)
	cut := func() {
		must(t, executeOn(t, s.service, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE usename = current_user AND pid <> pg_backend_pid() AND application_name = 'sanad'`))
	}
	n := 1
	for range 5 {
		must(t, chunk(db, n, 7))
		n += 7
		cut()
		if got := count(t, db, issuance.Query{}); got != n-1 {
			t.Errorf("%d credentials, want %d", got, n-1)
		}
		must(t, chunk(db, n, 7))
		n += 7
		err := db.Write(t.Context(), func(tx issuance.Tx) error {
			if err := tx.Intend([]issuance.Credential{credential(n)}); err != nil {
				return err
			}
			cut()
			return tx.Intend([]issuance.Credential{credential(n + 1)})
		})
		if err == nil || errors.Is(err, store.ErrOutcomeUnknown) {
			t.Errorf("a transaction whose connection was cut: %v", err)
		}
		err = db.Write(t.Context(), func(tx issuance.Tx) error {
			if err := errors.Join(tx.Intend([]issuance.Credential{credential(n)}), tx.Append(events(1))); err != nil {
				return err
			}
			cut() // before the commit
			return nil
		})
		if err == nil || errors.Is(err, store.ErrOutcomeUnknown) {
			t.Errorf("a commit whose connection was cut: %v, which the server knows was not stored", err)
		}
		if _, err := db.Credential(t.Context(), credID(n)); !errors.Is(err, issuance.ErrNoCredential) {
			t.Errorf("a transaction whose connection was cut is stored: %v", err)
		}
	}
	if n := count(t, db, issuance.Query{State: issuance.Intended, Abandoned: true}); n != 0 {
		t.Errorf("%d credentials count as abandoned", n)
	}
}

// TestNoValuesInErrors provokes errors of the server about rows: their values are
// not told.
func TestNoValuesInErrors(t *testing.T) {
	db := createPostgres(t)
	fill(t, db, 1)
	c := credential(2)
	c.Record = credential(1).Record
	c.ID = "CANARY"
	again := credential(1)
	again.Record = c.Record
	again.ID = credID(1)
	nul := credential(3)
	nul.ID = "CANARY\x00"
	for _, bad := range []issuance.Credential{c, again, nul} {
		err := db.Write(t.Context(), func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{bad}) })
		if err == nil || strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), credID(1)) || strings.Contains(err.Error(), "Key (") {
			t.Errorf("Intend: %v", err)
		}
	}
}

// TestP28OldProcess: a program that was opened before somebody migrated the database
// stops at its next write, as it would when it is opened; it has stored nothing. (On
// SQLite a database that is open cannot be migrated: TestMigrate.)
func TestP28OldProcess(t *testing.T) {
	s := newServer(t)
	all, old := store.PostgresMigrations(), fstest.MapFS{}
	for _, name := range []string{"00001_first.sql", "schema_1.txt", "00002_several_processes.sql", "schema_2.txt"} {
		b, err := fs.ReadFile(all, name)
		must(t, err)
		old[name] = &fstest.MapFile{Data: b}
	}
	store.SetPostgresMigrations(t, old)
	createOn(t, s)
	db, err := store.Open(t.Context(), s.service, options)
	must(t, err)
	defer db.Close() // it is broken by then
	fill(t, db, 0)
	size, err := db.AuditSize(t.Context())
	must(t, err)

	store.SetPostgresMigrations(t, all)
	o := options
	o.ServiceRole = role(t, s.service)
	must(t, store.Migrate(t.Context(), s.owner, o))
	write := func() error {
		return db.Write(t.Context(), func(tx issuance.Tx) error { return tx.Append(events(1)) })
	}
	err = write()
	wantRefusal(t, err, store.ErrNewer)
	if err = write(); !errors.Is(err, store.ErrBroken) || !errors.Is(err, store.ErrNewer) {
		t.Errorf("the write after it: %v, want ErrBroken and ErrNewer", err)
	}
	now, err := store.Open(t.Context(), s.service, options)
	must(t, err)
	defer now.Close() // only looked at
	if got, err := now.AuditSize(t.Context()); err != nil || got != size {
		t.Errorf("the audit log has %d entries, %v; want the %d of before", got, err, size)
	}
	must(t, now.Write(t.Context(), func(tx issuance.Tx) error { return tx.Append(events(1)) }))
}

// TestUnprovenServer: a database server that answers and does not prove its name is no matter
// of host and port.
func TestUnprovenServer(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // a test
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			request := make([]byte, 8) // SSLRequest
			if _, err := io.ReadFull(c, request); err == nil {
				_, _ = c.Write([]byte("S"))
				_ = tls.Server(c, &tls.Config{Certificates: web.TLS.Certificates}).Handshake()
			}
			_ = c.Close()
		}
	}()
	_, err = store.Open(t.Context(), "postgres://sanad@"+l.Addr().String()+"/registry?sslmode=verify-full", store.Options{Instance: "xa-office"})
	e, ok := errors.AsType[*store.StateError](err)
	if !ok || !errors.Is(err, store.ErrUnreachable) || !strings.Contains(e.Hint, "sslrootcert=FILE") || !strings.Contains(e.Error(), "x509") {
		t.Errorf("Open: %v (%+v), want ErrUnreachable with a hint at sslrootcert", err, e)
	}
}

// TestDeniedInTheMiddle: a right that is taken away from a database which is open is named as
// one, as it is at the opening.
func TestDeniedInTheMiddle(t *testing.T) {
	s := newServer(t)
	createOn(t, s)
	db, err := store.Open(t.Context(), s.service, options)
	must(t, err)
	defer db.Close()
	must(t, executeOn(t, s.owner, `REVOKE SELECT ON credential FROM `+role(t, s.service)))
	if _, err := db.Credential(t.Context(), "01J00000000000000000000001"); !errors.Is(err, store.ErrDenied) {
		t.Errorf("reading: %v, want ErrDenied", err)
	}
}
