package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
)

// forbidden are statements that the database must refuse whoever sends them.
// The credentials 1 to 4 are intended, active, suspended and revoked.
var forbidden = []struct{ name, sql string }{
	{"ST-10 revoked to active", `UPDATE credential SET state = 'active', reason = '', vacated = 0 WHERE credential_id = '$4'`},
	{"ST-10 revoked to suspended", `UPDATE credential SET state = 'suspended', reason = 'lost', vacated = 0 WHERE credential_id = '$4'`},
	{"ST-10 revoked to intended", `UPDATE credential SET state = 'intended', reason = '', vacated = 0 WHERE credential_id = '$4'`},
	{"ST-10 all revoked to active", `UPDATE credential SET state = 'active', reason = '', vacated = 0 WHERE state = 'revoked'`},
	{"another reason for revoking", `UPDATE credential SET reason = 'requested' WHERE credential_id = '$4'`},
	{"another time of revoking", `UPDATE credential SET changed_at = changed_at + 1 WHERE credential_id = '$4'`},
	{"the slot of a revoked one", `UPDATE credential_form SET slot_value = 0 WHERE slot_value = 1`},
	{"the slot of a suspended one", `UPDATE credential_form SET slot_value = 0 WHERE slot_value = 2`},
	{"a slot revoked without its credential", `UPDATE credential_form SET slot_value = 1 WHERE slot_value = 0`},
	{"active without a signature", `UPDATE credential SET state = 'active' WHERE credential_id = '$1'`},
	{"intended to suspended", `UPDATE credential SET state = 'suspended', reason = 'lost' WHERE credential_id = '$1'`},
	{"active to intended", `UPDATE credential SET state = 'intended' WHERE credential_id = '$2'`},
	{"suspended to intended", `UPDATE credential SET state = 'intended', reason = '' WHERE credential_id = '$3'`},
	{"a state that there is not", `UPDATE credential SET state = 'forgiven' WHERE credential_id = '$2'`},
	{"revoked and still holding", `UPDATE credential SET state = 'revoked', reason = 'lost' WHERE credential_id = '$2'`},
	{"time back", `UPDATE credential SET state = 'revoked', reason = 'lost', vacated = credential_no, changed_at = 1 WHERE credential_id = '$2'`},
	{"delete a credential", `DELETE FROM credential WHERE credential_id = '$4'`},
	{"delete all credentials", `DELETE FROM credential`},
	{"delete a form", `DELETE FROM credential_form WHERE slot_value = 1`},
	{"another id", `UPDATE credential SET credential_id = 'x' WHERE credential_id = '$2'`},
	{"another number", `UPDATE credential SET credential_no = 77 WHERE credential_id = '$1'`},
	{"another record", `UPDATE credential SET record_ref = (SELECT record_ref FROM credential WHERE credential_id = '$1') WHERE credential_id = '$4'`},
	{"another programme", `UPDATE credential SET programme_no = 2 WHERE credential_id = '$2'`},
	{"another version", `UPDATE credential SET version = 2 WHERE credential_id = '$2'`},
	{"another date of issue", `UPDATE credential SET issued_at = 0 WHERE credential_id = '$2'`},
	{"a longer life", `UPDATE credential SET expires_at = 9999999999999 WHERE credential_id = '$2'`},
	{"another batch", `UPDATE credential SET batch_no = 1 WHERE credential_id = '$2'`},
	{"the idempotency key given back", `UPDATE credential SET idempotency_key = NULL`},
	{"no longer counted", `UPDATE credential SET many = 1, vacated = credential_no WHERE credential_id = '$2'`},
	{"another slot", `UPDATE credential_form SET slot_index = 999`},
	{"another list", `UPDATE credential_form SET list_no = NULL, slot_index = NULL`},
	{"another key", `UPDATE credential_form SET key_id = signed`},
	{"other bytes to be signed", `UPDATE credential_form SET to_be_signed = signed`},
	{"signed twice", `UPDATE credential_form SET signed = to_be_signed WHERE slot_index = 2`},
	{"signed when revoked", `UPDATE credential_form SET signed = to_be_signed WHERE slot_index = 4`},
	{"a form of its own", `INSERT INTO credential_form SELECT credential_no, 9, form, list_no, 777, 0, key_id, to_be_signed, signed FROM credential_form WHERE slot_index = 2`},
	{"a slot twice", `INSERT INTO credential_form SELECT (SELECT credential_no FROM credential WHERE credential_id = '$1'), 9, form, list_no, slot_index, 0, key_id, to_be_signed, (SELECT signed FROM credential_form WHERE slot_index = 1) FROM credential_form WHERE slot_index = 2`},
	{"DB-17 the counter set back", `UPDATE status_list SET next_counter = 0`},
	{"DB-17 the counter past the end", `UPDATE status_list SET next_counter = size + 1`},
	{"a list made larger", `UPDATE status_list SET size = size * 2`},
	{"a list renamed", `UPDATE status_list SET uri = 'x'`},
	{"a list opened again", `UPDATE status_list SET sealed_at = NULL WHERE sealed_at IS NOT NULL`},
	{"slots of a sealed list", `UPDATE status_list SET next_counter = next_counter + 1 WHERE sealed_at IS NOT NULL`},
	{"delete a list", `DELETE FROM status_list`},
	{"delete a batch", `DELETE FROM batch`},
	{"a batch set back", `UPDATE batch SET chunks = 0`},
	{"a finished batch begun again", `UPDATE batch SET state = 'running' WHERE state = 'finished'`},
	{"another programme text", `UPDATE programme_version SET text = digest`},
	{"delete a programme", `DELETE FROM programme_version`},
	{"delete a programme's name", `DELETE FROM programme`},
	{"a publication set back", `UPDATE publication SET number = 1`},
	{"a publication back in time", `UPDATE publication SET number = number + 1, issued_at = issued_at - 1`},
	{"another content", `UPDATE publication SET content = digest`},
	{"delete a publication", `DELETE FROM publication`},
	{"AUD-01 edit an entry", `UPDATE audit_block SET entries = 'x'`},
	{"AUD-01 delete an entry", `DELETE FROM audit_block WHERE first_entry = 0`},
	{"AUD-02 cut the log", `DELETE FROM audit_block WHERE first_entry > 0`},
	{"AUD-01 insert an entry", `INSERT INTO audit_block (first_entry, entry_count, last_at, entries) VALUES (0, 1, 9999999999999, 'x')`},
	{"AUD-01 an entry after a gap", `INSERT INTO audit_block (first_entry, entry_count, last_at, entries) VALUES (99, 1, 9999999999999, 'x')`},
	{"an entry back in time", `INSERT INTO audit_block (first_entry, entry_count, last_at, entries) SELECT max(first_entry + entry_count), 1, 1, 'x' FROM audit_block`},
	{"edit the hashes", `UPDATE audit_hashes SET first_hash = 5`},
	{"delete the hashes", `DELETE FROM audit_hashes`},
	{"another instance", `UPDATE meta SET instance_id = 'x'`},
	{"the epoch set back", `UPDATE meta SET epoch = 0`},
	{"the clock set back", `UPDATE meta SET latest_tick = 0`},
	{"delete meta", `DELETE FROM meta`},
	{"a fence without a new epoch", `UPDATE meta SET fence = 'restored'`},
	{"another log without a new epoch", `UPDATE meta SET log_no = log_no + 1`},
	{"a timeline back", `UPDATE meta SET timeline = -1`},
	{"another writer of a credential", `UPDATE credential SET writer_no = NULL WHERE credential_id = '$2'`},
	{"a part of another", `UPDATE credential SET part_of = '$1' WHERE credential_id = '$5'`},
	{"a part by itself", `UPDATE credential SET part_of = NULL WHERE credential_id = '$5'`},
	{"a part made of a credential", `UPDATE credential SET part_of = '$2' WHERE credential_id = '$1'`},
	{"ST-10 revoked without its part", `UPDATE credential SET state = 'revoked', reason = 'lost', vacated = credential_no WHERE credential_id = '$2'`},
	{"suspended without its part", `UPDATE credential SET state = 'suspended', reason = 'lost' WHERE credential_id = '$2'`},
	{"a part of a revoked one", insertPart("'$4'", "record_ref", "1")},
	{"a part of one that is not there", insertPart("'none'", "record_ref", "1")},
	{"a part of a part", insertPart("'$5'", "record_ref", "1")},
	{"a part of another record's", insertPart("'$2'", "(SELECT record_ref FROM credential WHERE credential_id = '$1')", "1")},
	{"a part that counts", insertPart("'$2'", "record_ref", "0")},
	{"another writer", `UPDATE writer SET started_at = 1`},
	{"delete a writer", `DELETE FROM writer`},
}

// insertPart adds an intended part.
func insertPart(of, record, many string) string {
	return `INSERT INTO credential (credential_no, credential_id, programme_no, version, record_ref, state, reason, issued_at, changed_at,
		batch_row, supersedes, many, vacated, part_of)
		SELECT 900, 'part', programme_no, version, ` + record + `, 'intended', '', issued_at, changed_at, 0, '', ` + many + `, 900 * ` + many + `, ` + of + `
		FROM credential WHERE credential_id = '$2'`
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
	s := office(t, sub)
	write(t, s, func(tx issuance.Tx) error {
		if err := tx.SaveProgramme(programmeRow("other", 1)); err != nil {
			return err
		}
		if err := tx.SaveProgramme(programmeRow(program, 2)); err != nil {
			return err
		}
		b := newBatch("batch-1")
		if err := tx.SaveBatch(b); err != nil {
			return err
		}
		b.Chunks, b.State = 1, issuance.BatchFinished
		if err := tx.SaveBatch(b); err != nil {
			return err
		}
		if _, err := tx.Tick(now); err != nil {
			return err
		}
		_, err := tx.TakeSlots(kind, 100)
		return err
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
	write(t, s, func(tx issuance.Tx) error { return tx.SealLists(now) })
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
	names := strings.NewReplacer("$1", id(1), "$2", id(2), "$3", id(3), "$4", id(4), "$5", id(5))
	for _, tt := range forbidden {
		t.Run(tt.name, func(t *testing.T) {
			if err := sub.SQL(t, s, names.Replace(tt.sql)); err == nil {
				t.Errorf("ST-10, P06: the database took %s", tt.sql)
			}
			if after := draw(); after != before {
				t.Fatalf("something has changed:\n%s\nwas\n%s", after, before)
			}
		})
	}
	t.Logf("%d statements refused", len(forbidden))
}
