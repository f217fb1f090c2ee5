package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
)

// forbidden are statements that the database must refuse whoever sends them. Each is
// refused for one reason only: whatever else it changes would be allowed, so that the
// reason is not hidden behind another. The credentials 1 to 4 are intended, active (with
// the part 5), suspended and revoked, 6 is active; of the two forms of 7 one is signed, 8
// was revoked unsigned, 9 is suspended with its part 10, 11 is of another programme, and
// 12 of one that allows a record several. Of the batches the second is under way, with a
// chunk that is done and one that is not; of the lists one is sealed, one closed and one
// open.
var forbidden = []struct{ name, sql string }{
	{"ST-10 revoked to active", `UPDATE credential SET state = 'active', reason = '', vacated = 0 WHERE credential_id = '$4'`},
	{"ST-10 revoked to suspended", `UPDATE credential SET state = 'suspended', reason = 'lost', vacated = 0 WHERE credential_id = '$4'`},
	{"ST-10 revoked to intended", `UPDATE credential SET state = 'intended', reason = '', vacated = 0 WHERE credential_id = '$4'`},
	{"ST-10 all revoked to active", `UPDATE credential SET state = 'active', reason = '', vacated = 0 WHERE state = 'revoked'`},
	{"another reason for revoking", `UPDATE credential SET reason = 'requested' WHERE credential_id = '$4'`},
	{"another reason for suspending", `UPDATE credential SET reason = 'requested' WHERE credential_id = '$3'`},
	{"another time of revoking", `UPDATE credential SET changed_at = changed_at + 1 WHERE credential_id = '$4'`},
	{"another time of signing", `UPDATE credential SET changed_at = changed_at + 1 WHERE credential_id = '$6'`},
	{"the slot of a revoked one", `UPDATE credential_form SET slot_value = 0 WHERE slot_value = 1`},
	{"the slot of a suspended one", `UPDATE credential_form SET slot_value = 0 WHERE slot_value = 2`},
	{"a slot revoked without its credential", `UPDATE credential_form SET slot_value = 1 WHERE slot_value = 0`},
	{"active without a signature", `UPDATE credential SET state = 'active' WHERE credential_id = '$1'`},
	{"active with one of two signatures", `UPDATE credential SET state = 'active' WHERE credential_id = '$7'`},
	{"intended to suspended", `UPDATE credential SET state = 'suspended', reason = 'lost' WHERE credential_id = '$1'`},
	{"active to intended", `UPDATE credential SET state = 'intended' WHERE credential_id = '$6'`},
	{"suspended to intended", `UPDATE credential SET state = 'intended', reason = '' WHERE credential_id = '$3'`},
	{"a state that there is not", `UPDATE credential SET state = 'forgiven' WHERE credential_id = '$6'`},
	{"revoked and still holding", `UPDATE credential SET state = 'revoked', reason = 'lost' WHERE credential_id = '$6'`},
	{"revoked for no reason", `UPDATE credential SET state = 'revoked', vacated = credential_no WHERE credential_id = '$6'`},
	{"time back", resumed("changed_at = 1")},
	{"delete a credential", `DELETE FROM credential WHERE credential_id = '$4'`},
	{"delete all credentials", `DELETE FROM credential`},
	{"delete a form", `DELETE FROM credential_form WHERE slot_value = 1`},
	{"active from the beginning", insertCredential("'active'", "''", "900")},
	{"revoked from the beginning", insertCredential("'revoked'", "'lost'", "900")},
	{"another id", resumed("credential_id = 'x'")},
	{"another number", resumed("credential_no = 77")},
	{"another record", resumed("record_ref = (SELECT digest FROM programme_version WHERE version = 2)")},
	{"another programme", resumed("programme_no = 2")},
	{"another version", resumed("version = 2")},
	{"another date of issue", resumed("issued_at = 0")},
	{"a longer life", resumed("expires_at = 9999999999999")},
	{"another batch", resumed("batch_no = 1")},
	{"another row of a batch", resumed("batch_row = 9")},
	{"in place of another", resumed("supersedes = 'x'")},
	{"the idempotency key given back", resumed("idempotency_key = NULL")},
	{"no longer counted", resumed("many = 1, vacated = credential_no")},
	{"another writer of a credential", resumed("writer_no = NULL")},
	{"a part made of a credential", resumed("part_of = '$6'")},
	{"a part by itself", `UPDATE credential SET state = 'suspended', reason = 'lost', part_of = NULL WHERE credential_id = '$5'`},
	{"a part of another", `UPDATE credential SET state = 'suspended', reason = 'lost', part_of = '$6' WHERE credential_id = '$5'`},
	{"another slot", `UPDATE credential_form SET slot_index = 999 WHERE slot_index = 1`},
	{"another list", `UPDATE credential_form SET list_no = 2 WHERE slot_index = 1`},
	{"no list", `UPDATE credential_form SET list_no = NULL, slot_index = NULL WHERE slot_index = 1`},
	{"another form", `UPDATE credential_form SET form = 'x' WHERE slot_index = 1`},
	{"another number of a form", `UPDATE credential_form SET form_no = 5 WHERE slot_index = 1`},
	{"a form of another", `UPDATE credential_form SET credential_no = 901 WHERE slot_index = 1`},
	{"another key", `UPDATE credential_form SET key_id = substr(to_be_signed, 1, 8) WHERE slot_index = 1`},
	{"other bytes to be signed", `UPDATE credential_form SET to_be_signed = (SELECT signed FROM credential_form WHERE slot_index = 6) WHERE slot_index = 1`},
	{"signed twice", `UPDATE credential_form SET signed = to_be_signed WHERE slot_index = 2`},
	{"signed twice before its other form", `UPDATE credential_form SET signed = (SELECT signed FROM credential_form WHERE slot_index = 6) WHERE slot_index = 7`},
	{"signed when revoked", `UPDATE credential_form SET signed = to_be_signed WHERE slot_index = 8`},
	{"a form of its own", insertForm("$6", "0", "signed", "777")},
	{"a form that is revoked", insertForm("$1", "1", "signed", "777")},
	{"a form that is signed", insertForm("$1", "0", "to_be_signed", "777")},
	{"a slot twice", insertForm("$1", "0", "signed", "2")},
	{"DB-17 the counter set back", `UPDATE status_list SET next_counter = next_counter - 1 WHERE sealed_at IS NULL AND closed_at IS NULL`},
	{"DB-17 the counter past the end", `UPDATE status_list SET next_counter = size + 1 WHERE sealed_at IS NULL AND closed_at IS NULL`},
	{"a list made larger", `UPDATE status_list SET size = size * 2`},
	{"a list renamed", `UPDATE status_list SET uri = 'x' WHERE closed_at IS NOT NULL`},
	{"another number of a list", `UPDATE status_list SET list_no = 77 WHERE closed_at IS NOT NULL`},
	{"a list of another programme", `UPDATE status_list SET programme_no = 2 WHERE closed_at IS NOT NULL`},
	{"a list of another form", `UPDATE status_list SET form = 'x' WHERE closed_at IS NOT NULL`},
	{"a list of other values", `UPDATE status_list SET bits = 8 WHERE closed_at IS NOT NULL`},
	{"a list opened at another time", `UPDATE status_list SET opened_at = 0 WHERE closed_at IS NOT NULL`},
	{"a list opened again", `UPDATE status_list SET sealed_at = NULL WHERE sealed_at IS NOT NULL`},
	{"a list sealed at another time", `UPDATE status_list SET sealed_at = 1 WHERE sealed_at IS NOT NULL`},
	{"a closed list opened again", `UPDATE status_list SET closed_at = NULL WHERE closed_at IS NOT NULL`},
	{"slots of a sealed list", `UPDATE status_list SET next_counter = next_counter + 1 WHERE sealed_at IS NOT NULL`},
	{"slots of a closed list", `UPDATE status_list SET next_counter = next_counter + 1 WHERE closed_at IS NOT NULL`},
	{"a second open list", insertList("form", "0", "NULL", "NULL")},
	{"a list that gave out slots", insertList("'x'", "5", "NULL", "NULL")},
	{"a list that is sealed", insertList("'x'", "0", "1", "NULL")},
	{"a list that is closed", insertList("'x'", "0", "NULL", "1")},
	{"delete a list", `DELETE FROM status_list`},
	{"delete a batch", `DELETE FROM batch`},
	{"a batch set back", underWay("chunks = chunks - 1")},
	{"a batch that leaves a chunk out", underWay("chunks = chunks + 2")},
	{"fewer rows", underWay("source_rows = source_rows - 1")},
	{"fewer issued", underWay("issued = issued - 1")},
	{"fewer failed", underWay("failed = failed - 1")},
	{"fewer skipped", underWay("skipped = skipped - 1")},
	{"a shorter manifest", underWay("manifest_bytes = manifest_bytes - 1")},
	{"a batch back in time", underWay("changed_at = changed_at - 1")},
	{"another beginning", underWay("started_at = 0")},
	{"another source", underWay("source = 'x'")},
	{"other terms", underWay("shared = 'x'")},
	{"another id of a batch", underWay("batch_id = 'x'")},
	{"another number of a batch", underWay("batch_no = 77")},
	{"a batch of another programme", underWay("programme_no = 2")},
	{"a batch of another version", underWay("version = 2")},
	{"a finished batch begun again", `UPDATE batch SET state = 'running' WHERE state = 'finished'`},
	{"a batch with a chunk from the beginning", `INSERT INTO batch SELECT 77, 'x', programme_no, version, source, state, started_at, changed_at,
		1, 0, 0, 0, 0, 0, shared FROM batch WHERE state = 'running'`},
	{"a chunk that is done", `UPDATE batch_chunk SET folder = 'x' WHERE chunk_no = 0`},
	{"a chunk of another batch", `UPDATE batch_chunk SET batch_no = 1 WHERE chunk_no = 1`},
	{"another number of a chunk", `UPDATE batch_chunk SET chunk_no = 7 WHERE chunk_no = 1`},
	{"another first row", `UPDATE batch_chunk SET first_row = 5 WHERE chunk_no = 1`},
	{"other rows", `UPDATE batch_chunk SET rows = 9 WHERE chunk_no = 1`},
	{"another start", `UPDATE batch_chunk SET start = (SELECT digest FROM programme_version WHERE version = 2) WHERE chunk_no = 1`},
	{"no longer the last", `UPDATE batch_chunk SET last = 0 WHERE chunk_no = 1`},
	{"a claim given back", `UPDATE batch_chunk SET claim = claim - 1 WHERE chunk_no = 1`},
	{"more than the rows of a chunk", `UPDATE batch_chunk SET issued = rows + 1 WHERE chunk_no = 1`},
	{"a chunk behind the last", insertChunk("2", "2", "NULL")},
	{"a chunk done from the beginning", insertChunk("1", "0", "1")},
	{"delete a chunk", `DELETE FROM batch_chunk`},
	{"another programme text", `UPDATE programme_version SET text = digest`},
	{"a version below the newest", `INSERT INTO programme_version SELECT programme_no, 0, text, digest, added_at FROM programme_version WHERE version = 2`},
	{"delete a programme", `DELETE FROM programme_version`},
	{"delete a programme's name", `DELETE FROM programme`},
	{"another name of a programme", `UPDATE programme SET programme_id = 'x' WHERE programme_no = 2`},
	{"a publication set back", `UPDATE publication SET number = 1`},
	{"a publication back in time", `UPDATE publication SET number = number + 1, issued_at = issued_at - 1`},
	{"another name of a publication", `UPDATE publication SET number = number + 1, name = 'x'`},
	{"another content", `UPDATE publication SET content = digest`},
	{"a publication that does not begin with 1", `INSERT INTO publication SELECT 'x', 2, issued_at, digest, content FROM publication`},
	{"delete a publication", `DELETE FROM publication`},
	{"AUD-01 edit an entry", `UPDATE audit_block SET entries = 'x'`},
	{"AUD-01 delete an entry", `DELETE FROM audit_block WHERE first_entry = 0`},
	{"AUD-02 cut the log", `DELETE FROM audit_block WHERE first_entry > 0`},
	{"AUD-01 insert an entry", `INSERT INTO audit_block (first_entry, entry_count, last_at, entries) VALUES (0, 1, 9999999999999, 'x')`},
	{"AUD-01 an entry after a gap", `INSERT INTO audit_block (first_entry, entry_count, last_at, entries) VALUES (99, 1, 9999999999999, 'x')`},
	{"an entry back in time", `INSERT INTO audit_block (first_entry, entry_count, last_at, entries) SELECT max(first_entry + entry_count), 1, 1, 'x' FROM audit_block`},
	{"edit the hashes", `UPDATE audit_hashes SET hashes = (SELECT digest FROM programme_version WHERE version = 2) WHERE first_hash = 0`},
	{"hashes after a gap", `INSERT INTO audit_hashes SELECT 99, digest FROM programme_version WHERE version = 2`},
	{"delete the hashes", `DELETE FROM audit_hashes`},
	{"edit a checkpoint", `UPDATE audit_checkpoint SET signed_at = 2`},
	{"delete a checkpoint", `DELETE FROM audit_checkpoint WHERE size = 1`},
	{"a checkpoint before the last", insertCheckpoint("2")},
	{"a checkpoint ahead of the log", insertCheckpoint("5")},
	{"edit a co-signature", `UPDATE audit_cosignature SET seen_at = 2`},
	{"delete a co-signature", `DELETE FROM audit_cosignature`},
	{"another instance", `UPDATE meta SET instance_id = 'x'`},
	{"another date of creation", `UPDATE meta SET created_at = 0`},
	{"the epoch set back", `UPDATE meta SET epoch = epoch - 1`},
	{"the clock set back", `UPDATE meta SET latest_tick = latest_tick - 1`},
	{"delete meta", `DELETE FROM meta`},
	{"a fence without a new epoch", `UPDATE meta SET fence = 'restored'`},
	{"a fence that there is not", `UPDATE meta SET fence = 'x', epoch = epoch + 1`},
	{"another log without a new epoch", `UPDATE meta SET log_no = log_no + 1`},
	{"an earlier log", `UPDATE meta SET log_no = log_no - 1, epoch = epoch + 1`},
	{"a timeline back", `UPDATE meta SET timeline = -1`},
	{"ST-10 revoked without its part", `UPDATE credential SET state = 'revoked', reason = 'lost', vacated = credential_no WHERE credential_id = '$2'`},
	{"ST-10 revoked without its suspended part", `UPDATE credential SET state = 'revoked', reason = 'lost', vacated = credential_no WHERE credential_id = '$9'`},
	{"suspended without its part", `UPDATE credential SET state = 'suspended', reason = 'lost' WHERE credential_id = '$2'`},
	{"a part resumed without its credential", `UPDATE credential SET state = 'active', reason = '' WHERE credential_id = '$A'`},
	{"a part of a revoked one", insertPart("$4", "$4", "$4", "1")},
	{"a part of one that is not there", insertPart("none", "$6", "$6", "1")},
	{"a part of a part", insertPart("$5", "$5", "$5", "1")},
	{"a part of another record's", insertPart("$6", "$1", "$6", "1")},
	{"a part of another programme's", insertPart("$6", "$6", "$B", "1")},
	{"a part that counts", insertPart("$C", "$C", "$C", "0")},
	{"another writer", `UPDATE writer SET started_at = 1`},
	{"delete a writer", `DELETE FROM writer`},
	{"a writer before the last", `INSERT INTO writer VALUES (0, 1)`},
}

// resumed resumes the suspended credential, which is allowed, and changes something else.
func resumed(change string) string {
	return `UPDATE credential SET state = 'active', reason = '', ` + change + ` WHERE credential_id = '$3'`
}

// underWay changes the batch that is under way.
func underWay(change string) string { return `UPDATE batch SET ` + change + ` WHERE state = 'running'` }

func insertCredential(state, reason, vacated string) string {
	return `INSERT INTO credential (credential_no, credential_id, programme_no, version, record_ref, state, reason, issued_at, changed_at,
		batch_row, supersedes, many, vacated)
		SELECT 900, 'new', programme_no, version, record_ref, ` + state + `, ` + reason + `, issued_at, changed_at, 0, '', 1, ` + vacated + `
		FROM credential WHERE credential_id = '$6'`
}

// insertPart adds an intended part of a credential with the record and the programme of these.
func insertPart(of, record, programme, many string) string {
	return `INSERT INTO credential (credential_no, credential_id, programme_no, version, record_ref, state, reason, issued_at, changed_at,
		batch_row, supersedes, many, vacated, part_of)
		SELECT 900, 'part', programme_no, version, (SELECT record_ref FROM credential WHERE credential_id = '` + record + `'), 'intended', '', issued_at,
		changed_at, 0, '', ` + many + `, 900 * ` + many + `, '` + of + `' FROM credential WHERE credential_id = '` + programme + `'`
}

// insertForm adds a form that is like the unsigned one.
func insertForm(of, value, signed, slot string) string {
	return `INSERT INTO credential_form SELECT (SELECT credential_no FROM credential WHERE credential_id = '` + of + `'), 9, form, list_no, ` + slot + `, ` +
		value + `, key_id, to_be_signed, ` + signed + ` FROM credential_form WHERE slot_index = 1`
}

func insertList(form, next, sealed, closed string) string {
	return `INSERT INTO status_list (list_no, uri, programme_no, form, bits, size, next_counter, opened_at, sealed_at, closed_at)
		SELECT 77, 'x', programme_no, ` + form + `, bits, size, ` + next + `, opened_at, ` + sealed + `, ` + closed + `
		FROM status_list WHERE sealed_at IS NULL AND closed_at IS NULL`
}

func insertChunk(batch, number, done string) string {
	return `INSERT INTO batch_chunk (batch_no, chunk_no, first_row, rows, start, last, done_at)
		SELECT ` + batch + `, ` + number + `, 21, 10, start, 0, ` + done + ` FROM batch_chunk WHERE chunk_no = 1`
}

func insertCheckpoint(size string) string {
	return `INSERT INTO audit_checkpoint (size, root, signed_at, note) SELECT ` + size + `, digest, 1, digest FROM programme_version WHERE version = 2`
}

// TestForbidden sends statements past the store that must be refused whoever
// sends them, as [Subject].SQL does.
func TestForbidden(t *testing.T, sub Subject) { testP06SQL(t, sub) }

// testP06SQL sends each forbidden statement past the store and looks whether
// anything has changed.
func testP06SQL(t *testing.T, sub Subject) {
	if sub.SQL == nil {
		t.Skip("the store is not on SQL")
	}
	s := stocked(t, sub)
	draw := func() string {
		var b strings.Builder
		lists, err1 := s.Lists(t.Context())
		programmes, err2 := s.Programmes(t.Context())
		batch, err3 := s.Batch(t.Context(), "batch-1")
		trust, err4 := s.Publication(t.Context(), "trust")
		fmt.Fprint(&b, lists, programmes, batch, trust, errors.Join(err1, err2, err3, err4))
		fmt.Fprint(&b, all(t, s.Find(t.Context(), issuance.Query{})), all(t, sub.Entries(t.Context(), s)))
		write(t, s, func(tx issuance.Tx) error {
			fmt.Fprint(&b, all(t, tx.SlotStates(listURI)), all(t, tx.IssuedSlots(listURI)))
			return nil
		})
		return b.String()
	}
	before := draw()
	names := strings.NewReplacer("$1", id(1), "$2", id(2), "$3", id(3), "$4", id(4), "$5", id(5), "$6", id(6), "$7", id(7), "$8", id(8), "$9", id(9),
		"$A", id(10), "$B", id(11), "$C", id(12))
	for _, tt := range forbidden {
		t.Run(tt.name, func(t *testing.T) {
			if err := sub.SQL(t, s, names.Replace(tt.sql)); err == nil {
				t.Errorf("ST-10, P06: the database took %s", tt.sql)
			} else if !refused(err) {
				t.Errorf("%v: the statement itself is wrong", err)
			}
			if after := draw(); after != before {
				t.Fatalf("something has changed:\n%s\nwas\n%s", after, before)
			}
		})
	}
	t.Logf("%d statements refused", len(forbidden))
}

// refused reports whether a statement was understood and not allowed.
func refused(err error) bool {
	return slices.ContainsFunc([]string{"sanad: ", "constraint failed", "violates", "permission denied"}, func(say string) bool {
		return strings.Contains(err.Error(), say)
	})
}

// stocked is a store with what the forbidden statements would change.
func stocked(t *testing.T, sub Subject) issuance.Store {
	t.Helper()
	s := office(t, sub)
	write(t, s, func(tx issuance.Tx) error {
		_, err := tx.TakeSlots(kind, 100)
		return errors.Join(err, tx.SealLists(now),
			tx.OpenList(issuance.List{URI: "https://sanad.example/status/closed", Kind: kind, Size: listSize, Opened: now}))
	})
	s = sub.Fence(t, sub.Fence(t, s, true), false)
	write(t, s, func(tx issuance.Tx) error {
		b := newBatch("batch-1")
		if err := errors.Join(tx.SaveProgramme(programmeRow("other", 1)), tx.SaveProgramme(programmeRow(program, 2)), tx.SaveBatch(b)); err != nil {
			return err
		}
		b.Chunks, b.State = 1, issuance.BatchFinished
		shared := newShared("batch-2")
		err := errors.Join(tx.SaveBatch(b), tx.SaveBatch(shared), tx.AddChunks(shared.ID, []issuance.Chunk{newChunk(shared.ID, 0, false), newChunk(shared.ID, 1, true)}),
			tx.OpenList(issuance.List{URI: "https://sanad.example/status/open", Kind: kind, Size: listSize, Opened: now}))
		if err != nil {
			return err
		}
		for n := range int64(2) {
			c, err := tx.ClaimChunk(shared.ID, n, "folder")
			if err != nil {
				return err
			}
			if c.Issued, c.Failed, c.Skipped, c.Done = 5, 3, 2, now; c.Last {
				continue
			}
			if shared, err = tx.FinishChunk(c); err != nil {
				return err
			}
		}
		shared.Manifest = 100
		_, err1 := tx.Tick(now)
		_, err2 := tx.TakeSlots(kind, 100)
		return errors.Join(tx.SaveBatch(shared), err1, err2)
	})
	for n := range uint64(2) {
		write(t, s, func(tx issuance.Tx) error {
			if err := tx.SavePublication(publication("trust", n+1, now)); err != nil {
				return err
			}
			return tx.Append([]audit.Event{event(audit.CredentialIntended, cred(1)), event(audit.CredentialSigned, cred(1))})
		})
	}
	for n, state := range []issuance.State{issuance.Intended, issuance.Active, issuance.Suspended, issuance.Revoked} {
		c := cred(n + 1)
		c.Idempotency = digest("idempotency", n)
		put(t, s, c, state)
	}
	put(t, s, partOf(2, 5), issuance.Active)
	put(t, s, cred(6), issuance.Active)
	two := cred(7)
	two.Forms = append(two.Forms, issuance.FormRecord{Form: "strip", Key: two.Forms[0].Key, ToBeSigned: digest("strip", 7)})
	put(t, s, two, issuance.Intended)
	put(t, s, cred(8), issuance.Intended)
	put(t, s, cred(9), issuance.Active)
	put(t, s, partOf(9, 10), issuance.Suspended)
	other := cred(11)
	other.Programme = "other"
	put(t, s, other, issuance.Intended)
	many := cred(12)
	many.Many = true
	put(t, s, many, issuance.Active)
	if err := errors.Join(change(s, id(8), issuance.Revoked, issuance.Leftover, now), change(s, id(9), issuance.Suspended, issuance.Lost, now)); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`UPDATE credential_form SET signed = to_be_signed WHERE slot_index = 7`, insertCheckpoint("1"), insertCheckpoint("3"),
		`INSERT INTO audit_cosignature SELECT size, 'w', note, 1 FROM audit_checkpoint WHERE size = 3`,
	} {
		if err := sub.SQL(t, s, statement); err != nil {
			t.Fatal(err)
		}
	}
	return s
}
