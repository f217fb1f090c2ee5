package store_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// versionOne makes a database as version 1 of the program left it, with a
// credential in each state, a programme, a batch, a list, publications and a log.
func versionOne(t *testing.T) string {
	t.Helper()
	ours := store.Migrations()
	first, err := fs.ReadFile(ours, "00001_first.sql")
	must(t, err)
	store.SetMigrations(t, fstest.MapFS{"00001_first.sql": {Data: first}})
	path := filepath.Join(t.TempDir(), "issuer.db")
	must(t, store.Build(t.Context(), path, options))
	store.SetMigrations(t, ours)
	var b strings.Builder
	b.WriteString(`
		UPDATE meta SET latest_tick = 1800000000000;
		INSERT INTO programme VALUES (1, 'farmer-card');
		INSERT INTO programme_version VALUES (1, 1, x'69643a', zeroblob(32), 1700000000000);
		INSERT INTO batch VALUES (1, 'batch-1', 1, 1, 'farmers.csv', 'running', 1700000000000, 1700000000000, 0, 0, 0, 0, 0, 0);
		INSERT INTO status_list VALUES (1, 'https://office-1.example/status/1', 1, 'qr', 1, 1048576, 0, 1700000000000, NULL);
		UPDATE status_list SET next_counter = 100;
		INSERT INTO publication VALUES ('trust', 1, 1700000000000, zeroblob(32), x'01');`)
	for n := 1; n <= 5; n++ {
		fmt.Fprintf(&b, `
		INSERT INTO credential VALUES (%[1]d, '%[2]s', 1, 1, unhex('%064[1]x'), 'intended', '', 1700000000000, NULL, 1700000000000, 1, %[1]d, '', NULL, 0, 0);
		INSERT INTO credential_form VALUES (%[1]d, 0, 'qr', 1, %[1]d, 0, unhex('%016[1]x'), unhex('%064[1]x'), zeroblob(32));`, n, credID(n))
	}
	b.WriteString(`
		UPDATE credential_form SET signed = to_be_signed WHERE credential_no > 1;
		UPDATE credential SET state = 'active' WHERE credential_no > 1;
		UPDATE credential SET state = 'suspended', reason = 'lost' WHERE credential_no = 3;
		UPDATE credential SET state = 'revoked', reason = 'lost', vacated = credential_no WHERE credential_no = 4;`)
	must(t, execute(t, path, b.String()))
	return path
}

// TestMigrateFromVersionOne brings what version 1 wrote to this version: every
// row is as it was, and what version 2 adds has its default.
func TestMigrateFromVersionOne(t *testing.T) {
	path := versionOne(t)
	tables := []string{"meta", "programme", "programme_version", "batch", "status_list", "credential", "credential_form", "publication"}
	before := content(t, path, tables)
	_, err := store.Open(t.Context(), path, options)
	wantRefusal(t, err, store.ErrOlder)
	if err := store.Migrate(t.Context(), path, store.Options{Instance: "office-2"}); err == nil {
		t.Error("somebody else's was migrated")
	}
	must(t, store.Migrate(t.Context(), path, options))
	must(t, store.Migrate(t.Context(), path, options))
	after := content(t, path, tables)
	for i := range before {
		if !strings.HasPrefix(after[i], strings.TrimSuffix(before[i], "]")) {
			t.Errorf("the row\n%s\nbecame\n%s", before[i], after[i])
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d rows, want %d", len(after), len(before))
	}
	db, err := store.Open(t.Context(), path, options)
	must(t, err)
	defer db.Close() // nothing is lost by it
	if db.Fenced() != "" || db.LogNo() != 1 || db.Epoch() != 1 {
		t.Errorf("fence %q, log %d, epoch %d", db.Fenced(), db.LogNo(), db.Epoch())
	}
	var left []string
	for c, err := range db.Find(t.Context(), issuance.Query{State: issuance.Intended, Abandoned: true}) {
		must(t, err)
		left = append(left, c.ID)
	}
	if len(left) != 1 || left[0] != credID(1) {
		t.Errorf("what version 1 left behind: %v", left)
	}
	must(t, db.Write(t.Context(), func(tx issuance.Tx) error {
		if _, err := tx.Change(credID(1), issuance.Revoked, issuance.Leftover, now); err != nil {
			return err
		}
		r, err := tx.TakeSlots(kind, 1)
		if r.First != 100 {
			t.Errorf("the next slot is %d, want 100", r.First)
		}
		c := credential(6)
		c.Forms[0].Slot.Index = 100
		return errors.Join(err, tx.Intend([]issuance.Credential{c}))
	}))
}

// content is the rows of some tables, each as text.
func content(t *testing.T, path string, tables []string) []string {
	t.Helper()
	var rows []string
	for line := range strings.Lines(dump(t, path)) {
		for _, table := range tables {
			if strings.HasPrefix(line, table+" ") {
				rows = append(rows, strings.TrimSuffix(line, "\n"))
			}
		}
	}
	return rows
}
