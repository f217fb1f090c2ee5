package fsck_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/fsck"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/internal/published"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/store"
)

// A fixture is an office with something of everything.
type fixture struct {
	*officetest.Office
	engine         string
	owner, service string // of the database on PostgreSQL
	sql            *sql.DB
	public         string // the published folder
	// Credentials: active, revoked before and after the last publication, suspended.
	active, revoked, late, suspended, receipt issuance.Credential
	config                                    func(*fsck.Config)
	guarded                                   bool // exec has to take the guards away
}

// engines are the databases that the same things are spoiled in.
var engines = []string{"sqlite", "postgres"}

// newFixture makes an office on an engine and closes it: tests spoil copies of it.
func newFixture(t *testing.T, engine string) *fixture {
	t.Helper()
	f, o := &fixture{engine: engine}, officetest.Options{Journal: true}
	if engine == "postgres" {
		f.owner, f.service = pgtest.New(t)
		o.Location, o.Create = f.owner, f.create
	}
	f.Office = officetest.New(t, o)
	for n := range 20 {
		f.Issue("farmer-card", n)
		f.Clock.Add(time.Second)
	}
	f.Issue("farmer-card", 3) // supersedes
	f.active, f.revoked, f.late = f.Issue("farmer-card", 100), f.Issue("farmer-card", 101), f.Issue("farmer-card", 102)
	for n := 100; n <= 102; n++ {
		if _, err := f.Deliver(n, 2); err != nil {
			t.Fatal(err)
		}
	}
	f.suspended, f.receipt = f.Issue("farmer-card", 103), f.Issue("receipt", 1)
	f.change(f.suspended.ID, issuance.Suspended)
	twice := f.Issue("farmer-card", 104) // suspended and resumed, then suspended and revoked
	f.change(twice.ID, issuance.Suspended)
	f.change(twice.ID, issuance.Active)
	f.change(twice.ID, issuance.Suspended)
	f.Revoke(twice.ID)
	f.Revoke(f.revoked.ID)
	for n, end := range []audit.Kind{"", audit.BatchFinished, audit.BatchGivenUp} {
		f.batch(fmt.Sprintf("B%d", n+1), end)
	}
	f.Clock.Add(time.Minute)
	f.Publish()
	f.Checkpoint()
	f.Clock.Add(time.Minute)
	f.Revoke(f.late.ID)
	f.Issue("farmer-card", 105)
	f.Checkpoint()
	f.public = t.TempDir()
	f.fill()
	f.Close()
	return f
}

// batch begins a batch of nothing, and ends it.
func (f *fixture) batch(id string, end audit.Kind) {
	b := issuance.Batch{
		ID: id, Programme: "receipt", Version: 1, Source: "s", State: issuance.BatchRunning, Started: f.Clock.Now(), Changed: f.Clock.Now(),
	}
	save := func(kind audit.Kind) {
		f.do(func(tx issuance.Tx) error {
			return errors.Join(tx.SaveBatch(b), tx.Append([]audit.Event{b.Event(kind, "tester", f.Clock.Now())}))
		})
	}
	save(audit.BatchStarted)
	switch end {
	case audit.BatchFinished:
		b.State = issuance.BatchFinished
		save(end)
	case audit.BatchGivenUp:
		b.GiveUp(0, f.Clock.Now())
		save(end)
	}
}

// create makes a database of PostgreSQL as its owner, with the words of SQLite that the
// statements below use, and opens it as the service.
func (f *fixture) create(ctx context.Context, owner string, o store.Options) (*store.DB, error) {
	var err error
	if o.ServiceRole, err = store.PostgresRole(f.service); err != nil {
		return nil, err
	}
	db, err := store.Create(ctx, owner, o)
	if err != nil {
		return nil, err
	}
	own, err := sql.Open("pgx", owner)
	if err == nil {
		_, err = own.ExecContext(ctx, `CREATE DOMAIN public.blob AS bytea;
			CREATE FUNCTION public.zeroblob(n int) RETURNS bytea LANGUAGE sql AS $$ SELECT decode(repeat('00', n), 'hex') $$;
			CREATE FUNCTION public.unhex(s text) RETURNS bytea LANGUAGE sql AS $$ SELECT decode(s, 'hex') $$`)
	}
	if err = errors.Join(err, own.Close(), db.Close()); err != nil {
		return nil, err
	}
	return store.Open(ctx, f.service, o)
}

// copy is a fixture like this one, on a copy of its database, to be spoiled.
func (f *fixture) copy(t *testing.T) *fixture {
	t.Helper()
	c := *f
	if f.engine == "postgres" {
		c.owner, c.service = pgtest.Copy(t, f.owner, f.service)
	}
	c.open(t)
	return &c
}

// open opens a copy of the office's files, and its database.
func (f *fixture) open(t *testing.T) {
	t.Helper()
	f.Office, f.guarded = f.Copy(t, f.service), true
	driver, location := "sqlite", "file:"+filepath.Join(f.Dir, "issuer.db")
	if f.engine == "postgres" {
		driver, location = "pgx", f.owner+"&search_path=sanad,public"
	}
	var err error
	if f.sql, err = sql.Open(driver, location); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.sql.Close() })
	f.copyPublic(t)
}

func (f *fixture) copyPublic(t *testing.T) {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(f.public)); err != nil {
		t.Fatal(err)
	}
	f.public = to
}

// bed is an engine on which one row after the other is played, from the same state.
type bed struct {
	base *fixture
	open *fixture // on PostgreSQL, where a copy for each row takes too long
	undo string   // statements that put the rows of every table back
}

// clean is a fixture that nothing is wrong with. Own is set if the database is to be one
// that no other row has: of those that write to the log, or need its guards.
func (b *bed) clean(t *testing.T, own bool) *fixture {
	t.Helper()
	if b.base.engine == "sqlite" || own {
		return b.base.copy(t)
	}
	f := *b.open
	f.TB = t
	f.Clock.Add(b.base.Clock.Now().Sub(f.Clock.Now()))
	if _, err := f.sql.Exec(b.undo); err != nil {
		t.Fatal(err)
	}
	f.copyPublic(t)
	return &f
}

// share opens the database for the rows that get no copy.
func (b *bed) share(t *testing.T) {
	t.Helper()
	f := *b.base
	f.open(t)
	f.unguard()
	rows, err := f.sql.Query(`SELECT relname::text FROM pg_class WHERE relnamespace = 'sanad'::regnamespace AND relkind = 'r'`)
	if err != nil {
		t.Fatal(err)
	}
	keep := "CREATE SCHEMA kept"
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		keep += fmt.Sprintf("; CREATE TABLE kept.%s AS TABLE sanad.%[1]s", name)
		b.undo += fmt.Sprintf("DELETE FROM %s; INSERT INTO %[1]s SELECT * FROM kept.%[1]s; ", name)
	}
	if _, err := f.sql.Exec(keep); err != nil {
		t.Fatal(err)
	}
	b.open = &f
}

// fill fills the published folder with what the database has.
func (f *fixture) fill() {
	f.Helper()
	lists, err := f.DB.Lists(context.Background())
	if err != nil {
		f.Fatal(err)
	}
	x := published.Index{Checked: f.Clock.Now()}
	add := func(name string, v published.File) *published.File {
		p, err := f.DB.Publication(context.Background(), name)
		if err != nil {
			f.Fatal(err)
		}
		if p.Number == 0 {
			return nil
		}
		v.Number, v.SHA256 = p.Number, published.Digest(p.Content)
		f.write(v.File, string(p.Content))
		return &v
	}
	for i, l := range lists {
		if v := add(l.URI, published.File{URI: l.URI, File: fmt.Sprintf("%d.cwt", i)}); v != nil {
			x.Lists = append(x.Lists, *v)
		}
		if v := add(issuance.JWTName(l.URI), published.File{URI: l.URI, Type: status.MediaTypeJWT, File: fmt.Sprintf("%d.jwt", i)}); v != nil {
			x.Lists = append(x.Lists, *v)
		}
	}
	x.Trust = add(issuance.TrustName, published.File{File: "xa.trust"})
	if err := x.Write(f.public); err != nil || len(x.Lists) < 2 || x.Trust == nil {
		f.Fatalf("%+v, %v", x, err)
	}
}

func (f *fixture) write(name, content string) {
	f.Helper()
	if err := os.WriteFile(filepath.Join(f.public, name), []byte(content), 0o600); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) remove(name string) {
	f.Helper()
	if err := os.Remove(filepath.Join(f.public, name)); err != nil {
		f.Fatal(err)
	}
}

// index changes the index of the published folder.
func (f *fixture) index(change func(x *published.Index)) {
	f.Helper()
	x, err := published.Read(f.public)
	if err == nil {
		change(&x)
		err = x.Write(f.public)
	}
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) do(g func(issuance.Tx) error) {
	f.Helper()
	if err := f.DB.Write(context.Background(), g); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) change(id string, to issuance.State) {
	f.Helper()
	var err error
	if to == issuance.Suspended {
		_, err = f.Service.Suspend(context.Background(), id, issuance.Investigation, "tester")
	} else {
		_, err = f.Service.Resume(context.Background(), id, "tester")
	}
	if err != nil {
		f.Fatal(err)
	}
}

// guards are the statements that take away what keeps a database from being spoiled:
// triggers, and on PostgreSQL constraints.
var guards = map[string]string{
	"sqlite": `SELECT 'DROP ' || type || ' ' || name FROM sqlite_schema WHERE sql IS NOT NULL AND type IN ('trigger', 'index') AND tbl_name <> 'goose_db_version'`,
	"postgres": `SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
			WHERE connamespace = 'sanad'::regnamespace AND contype IN ('c', 'f', 'u')
		UNION ALL SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
			WHERE c.relnamespace = 'sanad'::regnamespace AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = x.indexrelid)`,
}

// unguard takes them away for good.
func (f *fixture) unguard() {
	f.Helper()
	rows, err := f.sql.Query(guards[f.engine])
	if err != nil {
		f.Fatal(err)
	}
	var drop []string
	for rows.Next() {
		var statement string
		if err := rows.Scan(&statement); err != nil {
			f.Fatal(err)
		}
		drop = append(drop, statement)
	}
	rows.Close()
	if _, err := f.sql.Exec(strings.Join(drop, ";\n")); err != nil {
		f.Fatal(err)
	}
	f.guarded = false
}

// exec spoils the database past its triggers and unique indexes, which stay away. As its
// owner may do, on either engine.
func (f *fixture) exec(statements ...string) {
	f.Helper()
	if f.guarded {
		f.unguard()
	}
	for _, s := range statements {
		r, err := f.sql.Exec(s)
		if err != nil {
			f.Fatalf("%s: %v", s, err)
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			f.Fatalf("%s changed nothing", s)
		}
	}
}

func no(c issuance.Credential) string {
	return fmt.Sprintf("(SELECT credential_no FROM credential WHERE credential_id = '%s')", c.ID)
}

func (f *fixture) check(t *testing.T) fsck.Report {
	t.Helper()
	snap, err := f.DB.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	c := f.FsckConfig(snap)
	if c.Folder, err = fsck.ReadFolder(f.public, f.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	if f.config != nil {
		f.config(&c)
	}
	r, err := fsck.Check(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A journal for tests: the office's own, seen through a filter.
type journal struct {
	fsck.Journal
	size   int64
	change func(n int64, entry []byte) ([]byte, bool)
}

func (j journal) Size() int64 { return j.size }

func (j journal) Entries(ctx context.Context, first int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		n := first
		for e, err := range j.Journal.Entries(ctx, first) {
			e, ok := j.change(n, e)
			if !ok || !yield(e, err) {
				return
			}
			n++
		}
	}
}

func through(change func(n int64, e []byte) ([]byte, bool), more int64) func(*fsck.Config) {
	return func(c *fsck.Config) { c.Journal = journal{c.Journal, c.Journal.Size() + more, change} }
}

func asIs(_ int64, e []byte) ([]byte, bool) { return e, true }

// A place says in which database a row is played.
type place int

const (
	shared       place = iota // one that is put right afterwards
	alone                     // one of its own, since the row publishes
	postgresOnly              // one of its own on PostgreSQL; SQLite says it as pages
)

// TestFinds spoils one thing at a time. Each must be found, under its code, and
// nothing else.
func TestFinds(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*fixture)
		want  []fsck.Code
		on    place
	}{
		{"a page is damaged", func(f *fixture) {
			f.config = func(c *fsck.Config) {
				c.Pages = func(context.Context) ([]string, error) { return []string{"row 3 missing from index"}, nil }
			}
		}, []fsck.Code{fsck.Pages}, shared},
		{"an index lacks a row", func(f *fixture) {
			pgtest.Exec(f, f.owner, `SET session_replication_role = replica; SET search_path = sanad;
				UPDATE pg_index SET indisready = FALSE WHERE indexrelid = 'credential_credential_id_key'::regclass;
				WITH gone AS (DELETE FROM credential WHERE credential_id = '`+f.active.ID+`' RETURNING *) INSERT INTO credential SELECT * FROM gone;
				UPDATE pg_index SET indisready = TRUE WHERE indexrelid = 'credential_credential_id_key'::regclass`)
		}, []fsck.Code{fsck.Index}, postgresOnly},
		{"a run of numbers in which nothing is intended", func(f *fixture) {
			f.exec("INSERT INTO credential_intended VALUES (1, 1)")
		}, []fsck.Code{fsck.Derived}, postgresOnly},
		{"AUD-08 a credential slipped in", func(f *fixture) {
			f.exec(`INSERT INTO credential SELECT credential_no + 1000, '01JD5000000000000000000000', programme_no, version, zeroblob(32), state,
				reason, issued_at, expires_at, changed_at, batch_no, batch_row, supersedes, NULL, many, credential_no + 1000, writer_no, part_of
				FROM credential WHERE credential_no = `+no(f.receipt),
				`INSERT INTO credential_form SELECT credential_no + 1000, form_no, form, NULL, NULL, slot_value, key_id, to_be_signed, signed
				FROM credential_form WHERE credential_no = `+no(f.receipt))
		}, []fsck.Code{fsck.NotInLog}, shared},
		{"a credential was taken out", func(f *fixture) {
			f.exec("DELETE FROM credential_form WHERE credential_no = "+no(f.active), "DELETE FROM credential WHERE credential_no = "+no(f.active))
		}, []fsck.Code{fsck.NotInStore}, shared},
		{"AUD-08 a credential is about another record", func(f *fixture) {
			f.exec("UPDATE credential SET record_ref = zeroblob(32) WHERE credential_no = " + no(f.active))
		}, []fsck.Code{fsck.Facts}, shared},
		{"AUD-08 the date of issue is another", func(f *fixture) {
			f.exec("UPDATE credential SET issued_at = issued_at - 1000 WHERE credential_no = " + no(f.active))
		}, []fsck.Code{fsck.Facts}, shared},
		{"AUD-08 the end is another", func(f *fixture) {
			f.exec("UPDATE credential SET expires_at = expires_at + 1000 WHERE credential_no = " + no(f.active))
		}, []fsck.Code{fsck.Facts}, shared},
		{"a credential has no end any more", func(f *fixture) {
			f.exec("UPDATE credential SET expires_at = NULL WHERE credential_no = " + no(f.active))
		}, []fsck.Code{fsck.Facts}, shared},
		{"a credential is of another programme", func(f *fixture) {
			f.exec("UPDATE credential SET programme_no = 3 - programme_no WHERE credential_no = " + no(f.active))
		}, []fsck.Code{fsck.Facts}, shared},
		{"a credential is of another version", func(f *fixture) {
			f.exec("UPDATE credential SET version = version + 1 WHERE credential_no = " + no(f.active))
		}, []fsck.Code{fsck.Facts}, shared},
		{"a credential is of another batch", func(f *fixture) {
			f.exec("UPDATE credential SET batch_no = (SELECT batch_no FROM batch WHERE batch_id = 'B1') WHERE credential_no = " + no(f.active))
		}, []fsck.Code{fsck.Facts}, shared},
		{"a credential is signed with another key", func(f *fixture) {
			f.exec("UPDATE credential_form SET key_id = unhex('0102030405060708') WHERE form_no = 0 AND credential_no = " + no(f.active))
		}, []fsck.Code{fsck.Facts, fsck.KeyMissing}, shared},
		{"a credential is of another row", func(f *fixture) {
			f.exec("UPDATE credential SET batch_row = batch_row + 1 WHERE credential_no = " + no(f.active))
		}, []fsck.Code{fsck.Facts}, shared},
		{"a credential was asked for by another key", func(f *fixture) {
			f.exec("UPDATE credential SET idempotency_key = zeroblob(32) WHERE credential_no = " + no(f.active))
		}, []fsck.Code{fsck.Facts}, shared},
		{"a credential replaces another", func(f *fixture) {
			f.exec("UPDATE credential SET supersedes = '" + f.suspended.ID + "' WHERE credential_no = " + no(f.active))
		}, []fsck.Code{fsck.Facts}, shared},
		{"a part belongs to another credential", func(f *fixture) {
			f.exec("UPDATE credential SET part_of = '" + f.suspended.ID + "' WHERE part_of = '" + f.active.ID + "'")
		}, []fsck.Code{fsck.Facts}, shared},
		{"AUD-08 a part became a credential", func(f *fixture) {
			f.exec("UPDATE credential SET part_of = NULL WHERE part_of = '" + f.active.ID + "'")
		}, []fsck.Code{fsck.Facts}, shared},
		{"a part was taken out", func(f *fixture) {
			f.exec("DELETE FROM credential_form WHERE credential_no = (SELECT credential_no FROM credential WHERE part_of = '"+f.active.ID+"')",
				"DELETE FROM credential WHERE part_of = '"+f.active.ID+"'")
		}, []fsck.Code{fsck.NotInStore}, shared},
		{"AUD-08 the revocation of a part was undone", func(f *fixture) {
			f.exec("UPDATE credential_form SET slot_value = 0 WHERE credential_no = (SELECT credential_no FROM credential WHERE part_of = '"+f.late.ID+"')",
				"UPDATE credential SET state = 'active', reason = '' WHERE part_of = '"+f.late.ID+"'")
		}, []fsck.Code{fsck.State}, shared},
		{"a form was to be signed otherwise", func(f *fixture) {
			f.exec("UPDATE credential_form SET to_be_signed = zeroblob(32) WHERE form_no = 1 AND credential_no = " + no(f.active))
		}, []fsck.Code{fsck.Facts}, shared},
		{"something else was signed", func(f *fixture) {
			f.exec("UPDATE credential_form SET signed = to_be_signed WHERE credential_no = " + no(f.receipt))
		}, []fsck.Code{fsck.Signed}, shared},
		{"AUD-08 a signed credential looks intended", func(f *fixture) {
			f.exec("UPDATE credential_form SET signed = zeroblob(32) WHERE credential_no = "+no(f.receipt),
				"UPDATE credential SET state = 'intended' WHERE credential_no = "+no(f.receipt))
		}, []fsck.Code{fsck.Signed}, shared},
		{"AUD-08 a revocation was undone", func(f *fixture) {
			f.exec("UPDATE credential SET state = 'active', reason = '', vacated = 0 WHERE credential_no = "+no(f.late),
				"UPDATE credential_form SET slot_value = 0 WHERE credential_no = "+no(f.late))
		}, []fsck.Code{fsck.State}, shared},
		{"AUD-08 a published revocation was undone", func(f *fixture) {
			f.exec("UPDATE credential SET state = 'active', reason = '', vacated = 0 WHERE credential_no = "+no(f.revoked),
				"UPDATE credential_form SET slot_value = 0 WHERE credential_no = "+no(f.revoked))
		}, []fsck.Code{fsck.Overrevoked, fsck.State}, shared},
		{"AUD-08 a suspension was undone", func(f *fixture) {
			f.exec("UPDATE credential SET state = 'active', reason = '' WHERE credential_no = "+no(f.suspended),
				"UPDATE credential_form SET slot_value = 0 WHERE credential_no = "+no(f.suspended))
		}, []fsck.Code{fsck.State}, shared},
		{"AUD-08 another reason", func(f *fixture) {
			f.exec("UPDATE credential SET reason = 'death' WHERE credential_no = " + no(f.late))
		}, []fsck.Code{fsck.State}, shared},
		{"a slot beyond its list", func(f *fixture) {
			f.exec("UPDATE credential_form SET slot_index = 256 WHERE form_no = 0 AND credential_no = " + no(f.active))
		}, []fsck.Code{fsck.SlotRange, fsck.Facts}, shared},
		{"a slot used twice", func(f *fixture) {
			f.exec(fmt.Sprintf("UPDATE credential_form SET slot_index = %d WHERE form_no = 0 AND credential_no = %s",
				f.suspended.Forms[0].Slot.Index, no(f.active)))
		}, []fsck.Code{fsck.SlotTwice, fsck.Facts}, shared},
		{"a counter went back", func(f *fixture) {
			f.exec("UPDATE status_list SET next_counter = 0 WHERE form = 'qr' AND bits = 1")
		}, []fsck.Code{fsck.SlotCounter}, shared},
		{"AUD-08 a slot says revoked of an active credential", func(f *fixture) {
			f.exec("UPDATE credential_form SET slot_value = 1 WHERE form_no = 0 AND credential_no = " + no(f.active))
		}, []fsck.Code{fsck.SlotValue}, shared},
		{"AUD-08 a slot says nothing of a suspended credential", func(f *fixture) {
			f.exec("UPDATE credential_form SET slot_value = 0 WHERE form_no = 0 AND credential_no = " + no(f.suspended))
		}, []fsck.Code{fsck.SlotValue}, shared},
		{"the key of credentials is lost", func(f *fixture) {
			f.config = func(c *fsck.Config) {
				c.Keys = slices.DeleteFunc(slices.Clone(c.Keys), func(k keys.Key) bool { return k.Purpose == keys.Credential })
			}
		}, []fsck.Code{fsck.KeyMissing}, shared},
		{"the text of a programme", func(f *fixture) {
			f.exec("UPDATE programme_version SET text = CAST(text || ' ' AS BLOB) WHERE programme_no = 1")
		}, []fsck.Code{fsck.Programme}, shared},
		{"a programme under another version", func(f *fixture) {
			f.exec("UPDATE programme_version SET version = 7 WHERE programme_no = (SELECT programme_no FROM programme WHERE programme_id = 'farmer-card')")
		}, []fsck.Code{fsck.Programme}, shared},
		{"AUD-08 a programme that nobody added", func(f *fixture) {
			f.exec(fmt.Sprintf("INSERT INTO programme_version VALUES (1, 2, unhex('%x'), unhex('%x'), 0)", officetest.CardTwo(), digest(officetest.CardTwo())))
		}, []fsck.Code{fsck.Programme}, shared},
		{"the count of a batch", func(f *fixture) { f.exec("UPDATE batch SET issued = 1 WHERE batch_id = 'B1'") }, []fsck.Code{fsck.Batch}, shared},
		{"AUD-08 a batch that never ended has finished", func(f *fixture) { f.exec("UPDATE batch SET state = 'finished' WHERE batch_id = 'B1'") }, []fsck.Code{fsck.Batch}, shared},
		{"AUD-08 a batch that has finished goes on", func(f *fixture) { f.exec("UPDATE batch SET state = 'running' WHERE batch_id = 'B2'") }, []fsck.Code{fsck.Batch}, shared},
		{"AUD-08 a batch that was given up has finished", func(f *fixture) { f.exec("UPDATE batch SET manifest_bytes = 9 WHERE batch_id = 'B3'") }, []fsck.Code{fsck.Batch}, shared},
		{"AUD-08 a batch that nobody began", func(f *fixture) { f.exec("UPDATE batch SET batch_id = 'B9' WHERE batch_id = 'B1'") }, []fsck.Code{fsck.Batch}, shared},
		{"published content was changed", func(f *fixture) {
			f.exec("UPDATE publication SET content = CAST(content || ' ' AS BLOB) WHERE name <> 'trust'")
		}, []fsck.Code{fsck.Publication}, shared},
		{"published content and digest were changed", func(f *fixture) {
			f.exec(fmt.Sprintf("UPDATE publication SET content = unhex('78'), digest = unhex('%x') WHERE name = 'trust'", digest("x")))
		}, []fsck.Code{fsck.Publication, fsck.PublicationLog}, shared},
		{"the number of a publication", func(f *fixture) {
			f.exec("UPDATE publication SET number = number + 1 WHERE name = 'trust'")
		}, []fsck.Code{fsck.PublicationLog}, shared},
		{"AUD-08 the number of a bundle was set back", func(f *fixture) {
			f.Publish()
			f.exec("UPDATE publication SET number = 1 WHERE name = 'trust'")
		}, []fsck.Code{fsck.Publication, fsck.PublicationLog}, alone},
		{"the bundle of before in the place of the newest", func(f *fixture) {
			var old []byte
			if err := f.sql.QueryRow("SELECT content FROM publication WHERE name = 'trust'").Scan(&old); err != nil {
				f.Fatal(err)
			}
			f.Publish()
			f.exec(fmt.Sprintf("UPDATE publication SET content = unhex('%x') WHERE name = 'trust'", old))
		}, []fsck.Code{fsck.Publication}, alone},
		{"the bundle of another office", func(f *fixture) {
			other := officetest.New(f.TB, officetest.Options{}).PublishFile()
			f.exec(fmt.Sprintf("UPDATE publication SET content = unhex('%x'), digest = unhex('%x') WHERE name = 'trust'", other, digest(string(other))))
		}, []fsck.Code{fsck.Publication, fsck.PublicationLog}, shared},
		{"a list from after its publication", func(f *fixture) {
			f.exec("UPDATE publication SET issued_at = issued_at - 1000 WHERE name <> 'trust'")
		}, []fsck.Code{fsck.Publication}, shared},
		{"AUD-08 a publication that nobody made", func(f *fixture) {
			f.exec(fmt.Sprintf("INSERT INTO publication VALUES ('https://example.org/status/x', 1, 0, unhex('%x'), unhex(''))", digest("")))
		}, []fsck.Code{fsck.PublicationLog}, shared},
		{"a list published without a revocation", func(f *fixture) {
			f.exec("UPDATE credential_form SET slot_value = 0 WHERE credential_no = " + no(f.revoked))
			f.Publish()
			f.exec("UPDATE credential_form SET slot_value = 1 WHERE credential_no = " + no(f.revoked))
		}, []fsck.Code{fsck.Unrevoked}, alone},
		{"a list published with a revocation that was none", func(f *fixture) {
			f.exec("UPDATE credential_form SET slot_value = 1 WHERE credential_no = " + no(f.active))
			f.Publish()
			f.exec("UPDATE credential_form SET slot_value = 0 WHERE credential_no = " + no(f.active))
		}, []fsck.Code{fsck.Overrevoked}, alone},
		{"a published file was removed", func(f *fixture) { f.remove("0.cwt") }, []fsck.Code{fsck.FolderMissing}, shared},
		{"the index was removed", func(f *fixture) {
			f.Clock.Add(time.Hour)
			f.remove(published.IndexName)
		}, []fsck.Code{fsck.FolderMissing}, shared},
		{"the index lacks a list", func(f *fixture) {
			f.Clock.Add(time.Hour)
			f.index(func(x *published.Index) { x.Lists = x.Lists[1:] })
		}, []fsck.Code{fsck.FolderMissing}, shared},
		{"the index lacks the bundle", func(f *fixture) {
			f.Clock.Add(time.Hour)
			f.index(func(x *published.Index) { x.Trust = nil })
		}, []fsck.Code{fsck.FolderMissing}, shared},
		{"the index is none", func(f *fixture) { f.write(published.IndexName, "garbage") }, []fsck.Code{fsck.FolderDamaged}, shared},
		{"a published file was changed", func(f *fixture) { f.write("0.cwt", "garbage") }, []fsck.Code{fsck.FolderDamaged}, shared},
		{"a published file was cut off", func(f *fixture) { f.write("xa.trust", "") }, []fsck.Code{fsck.FolderDamaged}, shared},
		{"two lists changed places", func(f *fixture) {
			f.index(func(x *published.Index) {
				a, b := &x.Lists[0], &x.Lists[1]
				a.File, b.File, a.SHA256, b.SHA256 = b.File, a.File, b.SHA256, a.SHA256
			})
		}, []fsck.Code{fsck.FolderDamaged}, shared},
		{"AUD-08 a published file and its digest were changed", func(f *fixture) {
			f.write("0.cwt", "forged")
			f.index(func(x *published.Index) { x.Lists[0].SHA256 = published.Digest([]byte("forged")) })
		}, []fsck.Code{fsck.FolderUnknown}, shared},
		{"a file that nobody published", func(f *fixture) { f.write("stray.cwt", "stray") }, []fsck.Code{fsck.FolderUnknown}, shared},
		{"a folder that stayed behind", func(f *fixture) {
			f.Publish()
			f.Clock.Add(time.Hour)
		}, []fsck.Code{fsck.FolderLate}, alone},
		{"a folder behind for a moment, which is no fault", func(f *fixture) {
			f.Publish()
			f.Clock.Add(time.Minute)
		}, nil, alone},
		{"a block of the log was taken out", func(f *fixture) {
			f.exec("DELETE FROM audit_block WHERE first_entry = (SELECT first_entry FROM audit_block ORDER BY first_entry LIMIT 1 OFFSET 9)")
		}, []fsck.Code{fsck.AuditEntry}, shared},
		{"two entries have one number", func(f *fixture) {
			f.exec("UPDATE audit_block SET entries = replace(entries, '{\"n\":21,', '{\"n\":20,') WHERE first_entry <= 21 AND first_entry + entry_count > 21")
		}, []fsck.Code{fsck.AuditEntry}, shared},
		{"no entry", func(f *fixture) {
			f.exec("UPDATE audit_block SET entries = replace(entries, '\"kind\"', '\"sort\"') WHERE first_entry > 20 AND first_entry < 24")
		}, []fsck.Code{fsck.AuditEntry}, shared},
		{"an entry was changed", func(f *fixture) {
			f.exec("UPDATE audit_block SET entries = replace(entries, 'tester', 'texter') WHERE first_entry > 20 AND first_entry < 24")
		}, []fsck.Code{fsck.AuditHash, fsck.Checkpoint, fsck.JournalDiffers}, shared},
		{"an entry was taken out of the log's end, with its block", func(f *fixture) {
			f.exec("DELETE FROM audit_block WHERE first_entry = (SELECT max(first_entry) FROM audit_block)")
		}, []fsck.Code{fsck.AuditHash, fsck.Checkpoint, fsck.JournalAhead, fsck.Signed}, shared},
		{"a hash of the log", func(f *fixture) {
			f.exec("UPDATE audit_hashes SET hashes = zeroblob(length(hashes)) WHERE first_hash > 20 AND first_hash < 30")
		}, []fsck.Code{fsck.AuditHash}, shared},
		{"a checkpoint that nobody signed", func(f *fixture) {
			f.exec("UPDATE audit_checkpoint SET note = CAST('x' || substr(note, 2) AS BLOB)")
		}, []fsck.Code{fsck.Checkpoint}, shared},
		{"a checkpoint with another root beside it", func(f *fixture) {
			f.exec("UPDATE audit_checkpoint SET root = zeroblob(32)")
		}, []fsck.Code{fsck.Checkpoint}, shared},
		{"the journal has another entry", func(f *fixture) {
			f.config = through(func(n int64, e []byte) ([]byte, bool) {
				if n == 17 {
					return append(slices.Clone(e), ' '), true
				}
				return e, true
			}, 0)
		}, []fsck.Code{fsck.JournalDiffers}, shared},
		{"the journal lacks the last entries", func(f *fixture) {
			f.config = through(func(n int64, e []byte) ([]byte, bool) { return e, n < 30 }, 0)
		}, []fsck.Code{fsck.JournalBehind}, shared},
		{"the journal has confirmed more", func(f *fixture) { f.config = through(asIs, 2) }, []fsck.Code{fsck.JournalAhead}, shared},
	}
	// They change a state, which PostgreSQL derives something from, too.
	moves := map[string]bool{
		"AUD-08 the revocation of a part was undone": true, "AUD-08 a signed credential looks intended": true, "AUD-08 a revocation was undone": true,
		"AUD-08 a published revocation was undone": true, "AUD-08 a suspension was undone": true,
	}
	missing := map[fsck.Code]bool{}
	for _, c := range fsck.Codes() {
		missing[c] = true
	}
	for _, c := range []fsck.Code{fsck.Desk, fsck.DeskCredential, fsck.Chain} {
		delete(missing, c) // found by the command, which has those files
	}
	for _, tt := range tests {
		for _, c := range tt.want {
			delete(missing, c)
		}
	}
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			base := newFixture(t, engine)
			if r := base.copy(t).check(t); !r.Clean() {
				t.Fatalf("AUD-08 before anything was spoiled: %+v", r.Findings)
			}
			b := &bed{base: base}
			for _, own := range []bool{true, false} {
				if !own && engine == "postgres" {
					b.share(t)
				}
				for _, tt := range tests {
					if own != (tt.on != shared) || tt.on == postgresOnly && engine != "postgres" {
						continue
					}
					t.Run(tt.name, func(t *testing.T) {
						f := b.clean(t, own)
						tt.spoil(f)
						want := tt.want
						if engine == "postgres" && moves[tt.name] {
							want = append(slices.Clone(want), fsck.Derived)
						}
						found(t, f.check(t), want)
					})
				}
			}
			if engine == "postgres" {
				if r := b.clean(t, false).check(t); !r.Clean() {
					t.Errorf("the last row was not undone: %+v", r.Findings)
				}
			}
		})
	}
	for c := range missing {
		t.Errorf("no row finds %s", c)
	}
}

// found fails the test unless a report has findings of these codes and no others, each
// with what to do.
func found(t *testing.T, r fsck.Report, codes []fsck.Code) {
	t.Helper()
	var got []fsck.Code
	for _, finding := range r.Findings {
		if finding.Detail == "" || finding.Remedy != finding.Code.Remedy() {
			t.Errorf("%+v does not say what, or what to do", finding)
		}
		if !slices.Contains(got, finding.Code) {
			got = append(got, finding.Code)
		}
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(codes)); !slices.Equal(got, want) {
		t.Errorf("found %v, want %v: %+v", got, want, r.Findings)
	}
}

// TestManyFindings counts what is not named any more.
func TestManyFindings(t *testing.T) {
	f := newFixture(t, "sqlite").copy(t)
	f.config = func(c *fsck.Config) { c.Most = 3 }
	f.exec("UPDATE credential SET record_ref = zeroblob(32)")
	r := f.check(t)
	named := 0
	for _, finding := range r.Findings {
		if finding.Code == fsck.Facts {
			named++
		}
	}
	if named != 3 || int64(named)+r.More[fsck.Facts] != r.Credentials {
		t.Errorf("%d named and %d more of %d credentials", named, r.More[fsck.Facts], r.Credentials)
	}
}

func digest(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}
