package store_test

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/store"
	"github.com/sanad-id/sanad/store/storetest"
)

var now = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

var options = store.Options{Instance: "office-1"}

func TestContract(t *testing.T) {
	storetest.Test(t, storetest.Subject{
		New:    func(t *testing.T) issuance.Store { return create(t) },
		Reopen: func(t *testing.T, s issuance.Store) issuance.Store { return reopen(t, s.(*store.DB)) },
		SQL: func(t *testing.T, s issuance.Store, statement string) error {
			return execute(t, s.(*store.DB).Path(), statement)
		},
		FailCredential: func(t *testing.T, s issuance.Store, id string, state issuance.State) {
			event := "UPDATE"
			if state == issuance.Intended {
				event = "INSERT"
			}
			must(t, execute(t, s.(*store.DB).Path(), fmt.Sprintf(`CREATE TRIGGER test_fail BEFORE %s ON credential
				WHEN NEW.credential_id = '%s' AND NEW.state = '%s' BEGIN SELECT RAISE(ABORT, 'on purpose'); END`, event, id, state)))
		},
		FailAudit: func(t *testing.T, s issuance.Store, fail bool) {
			statement := `DROP TRIGGER test_audit`
			if fail {
				statement = `CREATE TRIGGER test_audit BEFORE INSERT ON audit_block BEGIN SELECT RAISE(ABORT, 'on purpose'); END`
			}
			must(t, execute(t, s.(*store.DB).Path(), statement))
		},
		Journal: func(t *testing.T, s issuance.Store, j store.Journal) (issuance.Store, error) {
			o := options
			o.Journal = j
			return openAgain(t, s.(*store.DB), o)
		},
		Fence: func(t *testing.T, s issuance.Store, on bool) issuance.Store {
			o := options
			o.WhileFenced = !on
			db, err := openAgain(t, s.(*store.DB), o)
			must(t, err)
			if on {
				must(t, db.Fence(t.Context(), store.FenceRestored))
			} else {
				must(t, db.Confirm(t.Context(), now, nil))
			}
			return reopen(t, db)
		},
		Entries: func(ctx context.Context, s issuance.Store) iter.Seq2[[]byte, error] {
			size, err := s.(*store.DB).AuditSize(ctx)
			if err != nil {
				return func(yield func([]byte, error) bool) { yield(nil, err) }
			}
			return s.(*store.DB).AuditEntries(ctx, size)
		},
	})
}

// create makes a database that lives as long as the test.
func create(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Create(context.Background(), filepath.Join(t.TempDir(), "issuer.db"), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func reopen(t testing.TB, db *store.DB) *store.DB {
	t.Helper()
	again, err := openAgain(t, db, options)
	must(t, err)
	return again
}

// openAgain closes a database and opens it for the rest of the test.
func openAgain(t testing.TB, db *store.DB, o store.Options) (*store.DB, error) {
	t.Helper()
	must(t, db.Close())
	again, err := store.Open(context.Background(), db.Path(), o)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	})
	return again, nil
}

// plain opens a database the way any other program would, with SQLite's own
// defaults: no foreign keys, no recursive triggers.
func plain(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=rw&_pragma=busy_timeout(10000)")
	must(t, err)
	return db
}

// execute runs a statement as another program would.
func execute(t testing.TB, path, statement string) error {
	t.Helper()
	db := plain(t, path)
	_, err := db.Exec(statement)
	return errors.Join(err, db.Close())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// auditKey is a key that signs checkpoints.
func auditKey(t testing.TB, seed byte) keys.Signer {
	t.Helper()
	private := ed25519.NewKeyFromSeed(append(make([]byte, 31), seed))
	pub, err := keys.PublicKeyOf(private.Public())
	must(t, err)
	s, err := keys.NewSigner(keys.Key{
		Public: pub, Purpose: keys.Audit, State: keys.Active, Created: now, Published: now, SignFrom: now, SignUntil: now.AddDate(1, 0, 0),
	}, private)
	must(t, err)
	return s
}

const origin = "office-1.example/audit"

func sign(s keys.Signer) func(audit.Head) ([]byte, error) {
	return func(h audit.Head) ([]byte, error) { return audit.SignCheckpoint(origin, h, now, s) }
}

func events(n int) []audit.Event {
	var all []audit.Event
	for i := range n {
		all = append(all, audit.Event{Time: now.Add(time.Duration(i) * time.Second), Kind: audit.KeyGenerated, Actor: "rahima", Key: fmt.Sprint("k", i)})
	}
	return all
}

func appendEvents(t testing.TB, db *store.DB, n int) {
	t.Helper()
	must(t, db.Write(context.Background(), func(tx issuance.Tx) error { return tx.Append(events(n)) }))
}

// TestCheckpoint goes the whole way: log, checkpoints, export, verification.
func TestCheckpoint(t *testing.T) {
	db, key := create(t), auditKey(t, 1)
	vkey, err := audit.VerifierKey(origin, key.Key().Public)
	must(t, err)
	var older [][]byte
	for n := range 40 {
		appendEvents(t, db, n%7+1)
		c, err := db.Checkpoint(t.Context(), now.Add(time.Duration(n)*time.Hour), sign(key))
		must(t, err)
		older = append(older, c.Note)
		if n%10 == 9 {
			db = reopen(t, db)
		}
	}
	signed := 0
	last, err := db.Checkpoint(t.Context(), now, func(audit.Head) ([]byte, error) { signed++; return nil, nil })
	must(t, err)
	if signed != 0 || string(last.Note) != string(older[39]) {
		t.Errorf("a head that was signed is signed again")
	}
	all, err := db.Checkpoints(t.Context())
	must(t, err)
	if len(all) != 40 || all[39].Size != last.Size || !all[39].SignedAt.Equal(now.Add(39*time.Hour)) {
		t.Errorf("%d checkpoints, the last %+v", len(all), all[len(all)-1])
	}
	dir := t.TempDir()
	must(t, audit.Export(t.Context(), dir, audit.Exported{Entries: db.AuditEntries(t.Context(), last.Size), Checkpoint: last.Note, Keys: vkey}))
	r, err := audit.VerifyDir(dir, "", older...)
	if err != nil || r.Size != last.Size || len(r.Older) != 40 {
		t.Errorf("VerifyDir: %+v, %v", r, err)
	}
	t.Run("a signer that fails", func(t *testing.T) {
		appendEvents(t, db, 1)
		broken := errors.New("no HSM")
		if _, err := db.Checkpoint(t.Context(), now, func(audit.Head) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
			t.Errorf("Checkpoint: %v", err)
		}
	})
}

// TestForked edits the log behind the back of the program: a checkpoint of what
// it has become is never signed.
func TestForked(t *testing.T) {
	for _, tt := range []struct{ name, sql string }{
		{"AUD-01 a hash edited", `DROP TRIGGER audit_hashes_update; UPDATE audit_hashes SET hashes = CAST(substr(hashes, 1, 32) || zeroblob(32) AS BLOB) WHERE first_hash = 1`},
		{"AUD-02 the log cut", `DROP TRIGGER audit_block_delete; DELETE FROM audit_block WHERE first_entry > 0;
			DROP TRIGGER audit_hashes_delete; DELETE FROM audit_hashes WHERE first_hash > 0`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := create(t)
			appendEvents(t, db, 1)
			appendEvents(t, db, 1)
			_, err := db.Checkpoint(t.Context(), now, sign(auditKey(t, 1)))
			must(t, err)
			for _, statement := range strings.Split(tt.sql, ";") {
				must(t, execute(t, db.Path(), statement))
			}
			if c, err := db.Checkpoint(t.Context(), now, sign(auditKey(t, 1))); !errors.Is(err, store.ErrForked) {
				t.Errorf("Checkpoint: %+v, %v, want ErrForked", c, err)
			}
		})
	}
}

// TestReplace tries what deletes without asking delete triggers.
func TestReplace(t *testing.T) {
	db := create(t)
	fill(t, db, 4)
	must(t, db.Write(t.Context(), func(tx issuance.Tx) error {
		_, err := tx.Change(credID(1), issuance.Revoked, issuance.Lost, now)
		return err
	}))
	must(t, execute(t, db.Path(), `INSERT INTO audit_cosignature VALUES (3, 'w', x'01', 1)`))
	must(t, execute(t, db.Path(), `INSERT INTO batch_chunk (batch_no, chunk_no, first_row, rows, start, last) VALUES (1, 0, 1, 9, x'', 0)`))
	const intended = `credential_id, programme_no, version, record_ref, 'intended', '', issued_at, expires_at, changed_at, batch_no, batch_row,
		supersedes, idempotency_key, many, 0, 1, NULL`
	for _, tt := range []struct{ name, sql string }{
		{"the same credential", `INSERT OR REPLACE INTO credential SELECT credential_no, ` + intended + ` FROM credential WHERE state = 'revoked'`},
		{"its id under another number", `INSERT OR REPLACE INTO credential SELECT 77, ` + intended + ` FROM credential WHERE state = 'revoked'`},
		{"its number under another id", `INSERT OR REPLACE INTO credential SELECT credential_no, 'x', programme_no, version, CAST(zeroblob(32) AS BLOB), 'intended', '',
			issued_at, expires_at, changed_at, batch_no, batch_row, supersedes, NULL, many, 0, 1, NULL FROM credential WHERE state = 'revoked'`},
		{"the holder of a record", `INSERT OR REPLACE INTO credential SELECT 77, 'x', programme_no, version, record_ref, 'intended', '', issued_at, expires_at,
			changed_at, batch_no, batch_row, supersedes, NULL, many, 0, 1, NULL FROM credential WHERE credential_id = '` + credID(2) + `'`},
		{"a form", `INSERT OR REPLACE INTO credential_form SELECT credential_no, form_no, form, list_no, 99, 0, key_id, to_be_signed, zeroblob(32)
			FROM credential_form WHERE credential_no = 4`},
		{"the holder of a slot", `INSERT OR REPLACE INTO credential_form SELECT 4, 9, form, list_no, slot_index, 0, key_id, to_be_signed, zeroblob(32)
			FROM credential_form WHERE credential_no = 1`},
		{"meta", `INSERT OR REPLACE INTO meta VALUES (1, 'x', 9, 0, 0, '', 1, 0)`},
		{"a programme", `INSERT OR REPLACE INTO programme VALUES (1, 'x')`},
		{"a programme's id", `INSERT OR REPLACE INTO programme VALUES (9, 'farmer-card')`},
		{"a programme version", `INSERT OR REPLACE INTO programme_version VALUES (1, 1, x'00', zeroblob(32), 0)`},
		{"a programme version by rowid", `INSERT OR REPLACE INTO programme_version (rowid, programme_no, version, text, digest, added_at) VALUES (1, 1, 99, x'00', zeroblob(32), 0)`},
		{"a list", `INSERT OR REPLACE INTO status_list SELECT list_no, 'x', programme_no, form, bits, size, 0, opened_at, NULL, NULL FROM status_list`},
		{"a list by its URI", `INSERT OR REPLACE INTO status_list SELECT 77, uri, programme_no, 'x', bits, size, 0, opened_at, NULL, NULL FROM status_list`},
		{"a list that is open", `INSERT OR REPLACE INTO status_list SELECT 77, 'x', programme_no, form, bits, size, 0, opened_at, NULL, NULL FROM status_list`},
		{"a batch", `INSERT OR REPLACE INTO batch SELECT batch_no, 'x', programme_no, version, source, state, started_at, changed_at, 0, 0, 0, 0, 0, 0, '' FROM batch`},
		{"a batch by its id", `INSERT OR REPLACE INTO batch SELECT 77, batch_id, programme_no, version, source, state, started_at, changed_at, 0, 0, 0, 0, 0, 0, '' FROM batch`},
		{"a publication", `INSERT OR REPLACE INTO publication VALUES ('trust', 1, 0, zeroblob(32), x'')`},
		{"a publication by rowid", `INSERT OR REPLACE INTO publication (rowid, name, number, issued_at, digest, content) VALUES (1, 'x', 1, 0, zeroblob(32), x'')`},
		{"an audit block", `INSERT OR REPLACE INTO audit_block VALUES (0, 1, 9999999999999, 'x')`},
		{"audit hashes", `INSERT OR REPLACE INTO audit_hashes VALUES (0, zeroblob(32))`},
		{"a writer", `INSERT OR REPLACE INTO writer VALUES (1, 5)`},
		{"a co-signature", `INSERT OR REPLACE INTO audit_cosignature SELECT size, witness, x'00', seen_at FROM audit_cosignature`},
		{"a chunk", `INSERT OR REPLACE INTO batch_chunk (batch_no, chunk_no, first_row, rows, start, last) VALUES (1, 0, 5, 9, x'', 0)`},
		{"a checkpoint", `INSERT OR REPLACE INTO audit_checkpoint SELECT size, zeroblob(32), signed_at, note FROM audit_checkpoint`},
		{"update a number into another's place", `UPDATE OR REPLACE credential SET credential_no = 2 WHERE credential_no = 3`},
		{"update a rowid into another's place", `UPDATE OR REPLACE credential SET rowid = 2 WHERE rowid = 3`},
		{"update an id into another's place", `UPDATE OR REPLACE credential SET credential_id = '` + credID(2) + `' WHERE credential_no = 3`},
		{"update a slot into another's place", `UPDATE OR REPLACE credential_form SET slot_index = (SELECT slot_index FROM credential_form WHERE credential_no = 2)
			WHERE credential_no = 3`},
		{"update a list's rowid", `UPDATE OR REPLACE status_list SET rowid = 9`},
		{"update a publication's rowid", `UPDATE OR REPLACE publication SET rowid = 9, number = number + 1`},
		{"upsert", `INSERT INTO publication VALUES ('trust', 1, 0, zeroblob(32), x'') ON CONFLICT DO UPDATE SET content = x'00'`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := dump(t, db.Path())
			if err := execute(t, db.Path(), tt.sql); err == nil {
				t.Errorf("the database took it")
			} else if !strings.Contains(err.Error(), "sanad: ") {
				t.Errorf("%v: that is not a trigger's refusal", err)
			}
			if dump(t, db.Path()) != before {
				t.Error("something has changed")
			}
		})
	}
}

// fill stores a programme, a list, a batch, a publication, a checkpoint and n
// active credentials.
func fill(t testing.TB, db *store.DB, n int) {
	t.Helper()
	must(t, db.Write(context.Background(), func(tx issuance.Tx) error {
		return errors.Join(tx.SaveProgramme(programmeRow()), tx.SaveBatch(batchRow()), tx.SavePublication(publicationRow(1)),
			tx.OpenList(issuance.List{URI: "https://office-1.example/status/1", Kind: kind, Size: 1 << 20, Opened: now}), tx.Append(events(3)))
	}))
	_, err := db.Checkpoint(context.Background(), now, sign(auditKey(t, 1)))
	must(t, err)
	var creds []issuance.Credential
	var marks []issuance.Mark
	for i := range n {
		c := credential(i + 1)
		creds, marks = append(creds, c), append(marks, issuance.Mark{ID: c.ID, Signed: [][32]byte{{1}}})
	}
	must(t, db.Write(context.Background(), func(tx issuance.Tx) error {
		return errors.Join(tx.Intend(creds), tx.Complete(marks[:max(n-1, 0)], now))
	}))
}

// dump is the whole content of a database.
func dump(t testing.TB, path string) string {
	t.Helper()
	db := plain(t, path)
	defer db.Close() // only read
	var b strings.Builder
	for _, table := range []string{
		"meta", "programme", "programme_version", "batch", "status_list", "credential", "credential_form", "publication",
		"audit_block", "audit_hashes", "audit_checkpoint", "audit_cosignature", "writer", "batch_chunk",
	} {
		var there bool
		must(t, db.QueryRow("SELECT count(*) > 0 FROM sqlite_schema WHERE name = ?", table).Scan(&there))
		if !there { // in an older version
			continue
		}
		rows, err := db.Query("SELECT * FROM " + table + " ORDER BY 1, 2")
		must(t, err)
		names, err := rows.Columns()
		must(t, err)
		row, to := make([]any, len(names)), make([]any, len(names))
		for i := range row {
			to[i] = &row[i]
		}
		for rows.Next() {
			must(t, rows.Scan(to...))
			fmt.Fprintf(&b, "%s %v\n", table, row)
		}
		must(t, rows.Err())
	}
	return b.String()
}

// TestNoPersonalData holds the columns of the database: who adds one answers
// here for what may stand in it (P22).
func TestNoPersonalData(t *testing.T) {
	db := create(t)
	raw := plain(t, db.Path())
	defer raw.Close() // only read
	rows, err := raw.Query(`SELECT t.name || '.' || c.name || ' ' || c.type FROM sqlite_schema t JOIN pragma_table_info(t.name) c
		WHERE t.type = 'table' AND t.name LIKE 'credential%' ORDER BY t.name, c.cid`)
	must(t, err)
	var got []string
	for rows.Next() {
		var s string
		must(t, rows.Scan(&s))
		got = append(got, s)
	}
	must(t, rows.Err())
	want := []string{
		"credential.credential_no INTEGER", "credential.credential_id TEXT", "credential.programme_no INTEGER", "credential.version INTEGER",
		"credential.record_ref BLOB", "credential.state TEXT", "credential.reason TEXT", "credential.issued_at INTEGER", "credential.expires_at INTEGER",
		"credential.changed_at INTEGER", "credential.batch_no INTEGER", "credential.batch_row INTEGER", "credential.supersedes TEXT",
		"credential.idempotency_key BLOB", "credential.many INTEGER", "credential.vacated INTEGER", "credential.writer_no INTEGER",
		"credential.part_of TEXT", // an id of ours
		"credential_form.credential_no INTEGER", "credential_form.form_no INTEGER", "credential_form.form TEXT", "credential_form.list_no INTEGER",
		"credential_form.slot_index INTEGER", "credential_form.slot_value INTEGER", "credential_form.key_id BLOB",
		"credential_form.to_be_signed BLOB", "credential_form.signed BLOB",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the columns are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
