package proof

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/credential/status"
)

// A fixture is a scene with a little of everything, made by the program, of which
// one thing can be spoiled.
type fixture struct {
	t *testing.T
	scene
}

// newFixture plays a day at the office.
func newFixture(t *testing.T) *fixture {
	o := newOffice(t, "sqlite")
	source := o.people("people.csv", 1, 10)
	var ids []string
	for i := range 4 {
		id, _ := o.issue(run{}, source, record(i+1))
		ids = append(ids, id)
	}
	o.batch(run{}, o.newJob(100, 25))
	many := o.newJob(200, 25)
	many.form = "csv"
	o.batch(run{}, many)
	o.publish(run{}, "trust", false)
	o.publish(run{}, "status", false)
	o.export(run{})
	o.change(run{}, "revoke", ids[0])
	o.change(run{}, "suspend", ids[1])
	o.publish(run{}, "trust", false)
	o.publish(run{}, "status", false)
	o.change(run{}, "resume", ids[1])
	// Somebody fetches what was served before, and may: nothing newer was put there.
	o.publish(run{}, "trust", true)
	o.publish(run{}, "status", true)
	o.change(run{}, "suspend", ids[2])
	o.publish(run{}, "trust", false)
	o.publish(run{}, "status", false)
	o.fetch()
	o.change(run{}, "resume", ids[2])
	o.publish(run{}, "trust", true)
	o.publish(run{}, "status", true)
	o.fetch()
	o.export(run{})
	return &fixture{t, scene{store: o.store, ledger: o.copy(), settled: true, finished: true}}
}

// copy is a fixture of its own, whose files can be spoiled.
func (f *fixture) copy(t *testing.T) *fixture {
	dir := t.TempDir()
	c := &fixture{t, f.scene}
	file := func(path string) string {
		to := filepath.Join(dir, strings.ReplaceAll(path, "/", "_"), filepath.Base(path))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := copyFile(path, to); err != nil {
			t.Fatal(err)
		}
		return to
	}
	folder := func(path string) string {
		to := filepath.Join(dir, strings.ReplaceAll(path, "/", "_"))
		if err := os.CopyFS(to, os.DirFS(path)); err != nil {
			t.Fatal(err)
		}
		return to
	}
	c.store = file(f.store)
	c.codes, c.folders = slices.Clone(f.codes), slices.Clone(f.folders)
	c.copies, c.acks, c.exports, c.placed = slices.Clone(f.copies), slices.Clone(f.acks), slices.Clone(f.exports), slices.Clone(f.placed)
	for i := range c.codes {
		c.codes[i].path = file(c.codes[i].path)
	}
	for i := range c.copies {
		c.copies[i].path = file(c.copies[i].path)
	}
	for i := range c.folders {
		c.folders[i] = folder(c.folders[i])
	}
	for i := range c.exports {
		c.exports[i] = folder(c.exports[i])
	}
	return c
}

func (f *fixture) open() (*sql.DB, func()) {
	f.t.Helper()
	db, err := sql.Open("sqlite", f.store)
	if err != nil {
		f.t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db, func() { _ = db.Close() }
}

// exec changes the database, past everything that forbids it.
func (f *fixture) exec(statement string) {
	f.t.Helper()
	db, done := f.open()
	defer done()
	rows, err := db.Query(`SELECT type, name FROM sqlite_master WHERE type = 'trigger' OR type = 'index' AND sql IS NOT NULL`)
	if err != nil {
		f.t.Fatal(err)
	}
	drop := "PRAGMA foreign_keys = 0; PRAGMA ignore_check_constraints = 1;"
	for rows.Next() {
		var kind, name string
		if err := rows.Scan(&kind, &name); err != nil {
			f.t.Fatal(err)
		}
		drop += "DROP " + kind + " " + name + ";"
	}
	if err := rows.Err(); err != nil {
		f.t.Fatal(err)
	}
	if _, err := db.Exec(drop); err != nil {
		f.t.Fatal(err)
	}
	changed, err := db.Exec(statement)
	if err != nil {
		f.t.Fatal(err)
	}
	if n, err := changed.RowsAffected(); err != nil || n == 0 {
		f.t.Fatalf("the spoiling statement changes nothing: %v", err)
	}
}

// cut leaves the first half of a file.
func (f *fixture) cut(path string) {
	f.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(path, b[:len(b)/2])
}

func (f *fixture) write(path string, b []byte) {
	f.t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// replaceIn replaces in a file, which must have it.
func (f *fixture) replaceIn(path, old, now string) {
	f.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		f.t.Fatal(err)
	}
	if !strings.Contains(string(b), old) {
		f.t.Fatalf("%s has no %q", path, old)
	}
	f.write(path, []byte(strings.Replace(string(b), old, now, 1)))
}

// inLog replaces a text in the audit log of the database.
func (f *fixture) inLog(old, now string) {
	f.exec(`UPDATE audit_block SET entries = replace(entries, '` + old + `', '` + now + `') WHERE instr(entries, '` + old + `') > 0`)
}

// one is the number of a credential that was received in a file of its own.
const one = `(SELECT min(credential_no) FROM credential WHERE state = 'active')`

// TestCheckerFinds spoils one thing at a time in a scene that is good otherwise:
// a rule that nothing breaks is no rule.
func TestCheckerFinds(t *testing.T) {
	good := newFixture(t)
	if found, err := check(t.Context(), good.copy(t).scene); err != nil || len(found) > 0 {
		t.Fatalf("the good scene: %v%s", err, texts(found))
	}
	tests := []struct {
		name  string
		spoil func(f *fixture)
		want  rule
	}{
		{"the hash of a form that was handed over", func(f *fixture) {
			f.exec(`UPDATE credential_form SET signed = randomblob(32) WHERE credential_no = ` + one)
		}, notRecorded},
		{"a file under another id", func(f *fixture) {
			f.codes[0].path = filepath.Join(f.t.TempDir(), filepath.Base(f.codes[2].path))
			f.write(f.codes[0].path, read(f.t, good.codes[0].path))
		}, notRecorded},
		{"a token of nowhere", func(f *fixture) {
			f.tokens = append(f.tokens, token{"01KAF3ZJ9Q4V8M2T6R0XWYB5CD", []byte("token")})
		}, notRecorded},
		{"no entry of the signature", func(f *fixture) { f.inLog(`credential.signed`, `credential.signing`) }, notSigned},
		{"the slot of a record", func(f *fixture) {
			f.exec(`UPDATE credential_form SET slot_index = slot_index + 1 - 2 * (slot_index % 2) WHERE credential_no = ` + one)
		}, otherSlot},
		{"half a code", func(f *fixture) { f.cut(f.codes[0].path) }, badReceived},
		{"half a code of a batch", func(f *fixture) { f.cut(f.inFolder("*.txt")) }, badReceived},
		{"half a row of a file of codes", func(f *fixture) {
			rows := strings.SplitAfter(string(read(f.t, f.manyCodes())), "\n")
			rows[3] = rows[3][:len(rows[3])-12] + "\"\n"
			f.write(f.manyCodes(), []byte(strings.Join(rows, "")))
		}, badReceived},
		{"a row of a file of codes twice", func(f *fixture) {
			rows := strings.SplitAfter(string(read(f.t, f.manyCodes())), "\n")
			f.write(f.manyCodes(), []byte(strings.Join(append(rows, rows[3]), "")))
		}, badManifest},
		{"a row of a file of codes that went", func(f *fixture) {
			rows := strings.SplitAfter(string(read(f.t, f.manyCodes())), "\n")
			f.write(f.manyCodes(), []byte(strings.Join(slices.Delete(rows, 3, 4), "")))
		}, badManifest},
		{"a row of a file of codes under another id", func(f *fixture) {
			rows := strings.SplitAfter(string(read(f.t, f.manyCodes())), "\n")
			rows[3] = rows[5][:26] + rows[3][26:]
			f.write(f.manyCodes(), []byte(strings.Join(rows, "")))
		}, notRecorded},
		{"a code of a batch that went", func(f *fixture) { f.remove(f.inFolder("*.txt")) }, badManifest},
		{"a code that the manifest does not name", func(f *fixture) {
			f.write(filepath.Join(f.folders[0], filepath.Base(f.codes[0].path)), read(f.t, f.codes[0].path))
		}, badManifest},
		{"the slot in a manifest", func(f *fixture) {
			lines := strings.SplitAfter(string(read(f.t, f.inFolder("manifest.csv"))), "\n")
			cells := strings.Split(lines[1], ",")
			f.replaceIn(f.inFolder("manifest.csv"), ","+cells[3]+","+cells[4], ",77,"+cells[4])
		}, badManifest},
		{"a record issued for twice", func(f *fixture) {
			f.replaceIn(f.inFolder("manifest.csv"), "\n"+record(100)+",", "\n"+record(101)+",")
		}, badManifest},
		{"a slot used again", func(f *fixture) {
			f.exec(`UPDATE credential_form SET slot_index = (SELECT slot_index FROM credential_form WHERE credential_no = 1 AND form_no = (SELECT min(form_no) FROM credential_form))
				WHERE credential_no = 2 AND form_no = (SELECT min(form_no) FROM credential_form)`)
		}, slotTwice},
		{"a slot given out again by the log", func(f *fixture) {
			f.exec(`INSERT INTO audit_block SELECT (SELECT max(first_entry + entry_count) FROM audit_block), entry_count, last_at, entries FROM audit_block
				WHERE instr(entries, 'credential.intended') > 0 LIMIT 1`)
		}, slotTwice},
		{"a counter set back", func(f *fixture) { f.exec(`UPDATE status_list SET next_counter = 1`) }, slotBeyond},
		{"a slot that does not follow", func(f *fixture) { f.exec(`UPDATE credential_form SET slot_value = 0 WHERE slot_value = 1`) }, slotValue},
		{"a record held twice", func(f *fixture) {
			f.exec(`UPDATE credential SET record_ref = (SELECT record_ref FROM credential WHERE credential_no = ` + one + `) WHERE credential_no = ` + one + ` + 1`)
		}, heldTwice},
		{"a form without signature", func(f *fixture) {
			f.exec(`UPDATE credential_form SET signed = zeroblob(32) WHERE credential_no = ` + one)
		}, halfSigned},
		{"an intent that stays", func(f *fixture) { f.exec(`UPDATE credential SET state = 'intended' WHERE credential_no = ` + one) }, leftIntended},
		{"a batch that counts one more", func(f *fixture) { f.exec(`UPDATE batch SET issued = issued + 1`) }, batchCount},
		{"a stored hash", func(f *fixture) {
			f.exec(`UPDATE audit_hashes SET hashes = randomblob(length(hashes)) WHERE first_hash = 0`)
		}, badLog},
		{"a block that went from the middle", func(f *fixture) {
			f.exec(`DELETE FROM audit_block WHERE first_entry = (SELECT min(first_entry) FROM audit_block WHERE first_entry > 0)`)
		}, badLog},
		{"an actor changed", func(f *fixture) { f.inLog(`"actor":"`, `"actor":"x`) }, forkedLog},
		{"a log cut back behind a checkpoint", func(f *fixture) {
			f.exec(`DELETE FROM audit_checkpoint`)
			f.exec(`DELETE FROM audit_block WHERE first_entry > 20`)
		}, forkedLog},
		{"an exported entry changed", func(f *fixture) {
			f.replaceIn(filepath.Join(f.exports[0], "entries.jsonl"), `"kind":"credential.signed"`, `"kind":"credential.revoked"`)
		}, forkedLog},
		{"a checkpoint of somebody else", func(f *fixture) {
			f.replaceIn(filepath.Join(f.exports[0], "checkpoint.txt"), "registry.example.org", "registry.example.com")
		}, badLog},
		{"back from the dead", func(f *fixture) { f.exec(`UPDATE credential SET state = 'active' WHERE state = 'revoked'`) }, otherState},
		{"slots of another", func(f *fixture) {
			f.exec(`UPDATE credential_form SET slot_index = slot_index + 1 - 2 * (slot_index % 2) WHERE credential_no = ` + one)
		}, otherSlots},
		{"a credential past the log", func(f *fixture) {
			f.exec(`UPDATE credential SET credential_id = '01KAF3ZJ9Q4V8M2T6R0XWYB5CD' WHERE credential_no = ` + one)
		}, notLogged},
		{"resumed, never suspended", func(f *fixture) { f.inLog(`credential.suspended`, `credential.resumed`) }, badSequence},
		{"half a bundle", func(f *fixture) { f.cut(f.copies[0].path) }, badPublished},
		{"another digest in the log", func(f *fixture) {
			f.inLog(`"kind":"trust.published","actor":"`+actor(f.t, good)+`","digest":"`, `"kind":"trust.published","digest":"0`)
		}, unlogged},
		{"an old bundle again", func(f *fixture) { f.swap(".trust") }, wentBack},
		{"an old list again", func(f *fixture) { f.swap(".cwt") }, wentBack},
		{"an old list served again", func(f *fixture) { f.swapServed() }, wentBack},
		{"a list that was put there and is not served", func(f *fixture) { f.placed[0].number = 99 }, notServed},
		{"a number twice", func(f *fixture) { f.inLog(`"detail":"number 2 of`, `"detail":"number 1 of`) }, wentBack},
		{"a revocation acknowledged earlier", func(f *fixture) { f.acks[0].at = 0 }, lostRevoke},
		{"a revocation that was none", func(f *fixture) { f.inLog(`credential.revoked`, `credential.suspended`) }, otherList},
		{"a publication set back", func(f *fixture) { f.exec(`UPDATE publication SET number = number - 1 WHERE name = 'trust'`) }, otherCurrent},
	}
	tested := map[rule]bool{}
	for _, tt := range tests {
		tested[tt.want] = true
		good.finds(t, tt.name, tt.want, tt.spoil)
	}
	delivered := newDelivered(t)
	for _, tt := range []struct {
		name, statement string
		want            rule
	}{
		{"copies of nobody", `UPDATE credential SET part_of = '01KAF3ZJ9Q4V8M2T6R0XWYB5CD' WHERE credential_no = ` + aCopy, looseCopies},
		{"copies of somebody else", `UPDATE credential SET part_of = (SELECT credential_id FROM credential WHERE part_of IS NULL ORDER BY credential_no DESC LIMIT 1)
			WHERE credential_no = ` + aCopy, looseCopies},
		{"copies of copies", `UPDATE credential SET part_of = (SELECT credential_id FROM credential WHERE part_of IS NOT NULL ORDER BY credential_no DESC LIMIT 1)
			WHERE credential_no = ` + aCopy, looseCopies},
		{"copies that outlive their credential", `UPDATE credential SET state = 'revoked' WHERE credential_id = (SELECT part_of FROM credential WHERE credential_no = ` + aCopy + `)`, otherFate},
		{"copies that stay suspended", `UPDATE credential SET state = 'suspended' WHERE credential_no = ` + aCopy, otherFate},
		{"copies that were not revoked when a list was published", `UPDATE audit_block SET entries = replace(entries, (SELECT credential_id FROM credential WHERE part_of IS NOT NULL AND state = 'revoked'),
			(SELECT credential_id FROM credential WHERE credential_no = ` + aCopy + `)) WHERE instr(entries, '"kind":"credential.revoked"') > 0`, otherFate},
		{"copies that are none", `UPDATE credential SET part_of = NULL WHERE credential_no = ` + aCopy, otherWhole},
		{"copies of another by the log", `UPDATE audit_block SET entries = replace(entries, '"detail":"part of 0', '"detail":"part of 1') WHERE instr(entries, '"detail":"part of 0') > 0`, otherWhole},
		{"a copy of other bytes", `UPDATE credential_form SET signed = randomblob(32) WHERE credential_no = ` + aCopy, notRecorded},
		{"the slot of a copy", `UPDATE credential_form SET slot_index = slot_index + 1 - 2 * (slot_index % 2) WHERE credential_no = ` + aCopy, otherSlot},
	} {
		tested[tt.want] = true
		delivered.finds(t, tt.name, tt.want, func(f *fixture) { f.exec(tt.statement) })
	}
	for _, r := range rules {
		if !tested[r] {
			t.Errorf("nothing breaks the rule %q", r)
		}
	}
}

// finds spoils a copy of the scene and wants the rule that this breaks.
func (f *fixture) finds(t *testing.T, name string, want rule, spoil func(*fixture)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		spoiled := f.copy(t)
		spoil(spoiled)
		found, err := check(t.Context(), spoiled.scene)
		if err != nil || !slices.Contains(broken(found), want) {
			t.Errorf("check: %v, want %q; found:%s", err, want, texts(found))
		}
	})
}

// aCopy is the number of the first copies for a wallet.
const aCopy = `(SELECT min(credential_no) FROM credential WHERE part_of IS NOT NULL AND state = 'active')`

// newDelivered is a scene in which persons got copies into their wallets.
func newDelivered(t *testing.T) *fixture {
	d := newDesk(t, "sqlite")
	d.run(never, task{First: 1, Issue: 6, Clients: 2, Copies: 2})
	d.run(never, task{Revoke: d.wholes()[:1]})
	d.run(never, task{Publishers: 1, Rounds: 1})
	f := &fixture{t, scene{store: d.store, ledger: d.copy(), settled: true}}
	if found, err := check(t.Context(), f.copy(t).scene); err != nil || len(found) > 0 || len(d.wholes()) != 5 {
		t.Fatalf("the good scene: %v%s", err, texts(found))
	}
	return f
}

// swap exchanges the contents of two publications of a kind.
func (f *fixture) swap(suffix string) {
	f.t.Helper()
	byName := map[string]string{}
	for _, p := range f.copies {
		name := filepath.Base(p.path)
		if before := byName[name]; before != "" && strings.HasSuffix(name, suffix) {
			if first, second := read(f.t, before), read(f.t, p.path); !bytes.Equal(first, second) {
				f.write(before, second)
				f.write(p.path, first)
				return
			}
		}
		byName[name] = p.path
	}
	f.t.Fatalf("nothing %s was published and then changed", suffix)
}

// swapServed exchanges two sights of a list that had changed in between.
func (f *fixture) swapServed() {
	f.t.Helper()
	before := map[string]published{}
	for _, p := range f.copies {
		token, err := status.ParseToken(read(f.t, p.path), 0)
		if !p.served || err != nil {
			continue
		}
		if was, seen := before[token.URI]; seen {
			first, second := read(f.t, was.path), read(f.t, p.path)
			f.write(was.path, second)
			f.write(p.path, first)
			return
		}
		before[token.URI] = p
	}
	f.t.Fatal("no list was seen twice")
}

// manyCodes is the first file of many codes.
func (f *fixture) manyCodes() string { return filepath.Join(f.folders[1], "codes-00000000.csv") }

func (f *fixture) inFolder(pattern string) string {
	f.t.Helper()
	names, err := filepath.Glob(filepath.Join(f.folders[0], pattern))
	if err != nil || len(names) == 0 {
		f.t.Fatalf("no %s: %v", pattern, err)
	}
	return names[0]
}

func (f *fixture) remove(path string) {
	f.t.Helper()
	if err := os.Remove(path); err != nil {
		f.t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// actor is who acts in the fixture.
func actor(t *testing.T, f *fixture) string {
	t.Helper()
	_, rest, _ := strings.Cut(string(read(t, filepath.Join(f.exports[0], "entries.jsonl"))), `"actor":"`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}
