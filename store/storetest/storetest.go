// Package storetest is the contract test of [issuance.Store]: what every store
// must do, whichever database it stands on. [Test] runs it.
//
// The tests are named by the promise or the attack (P04, DB-07, ...) that they
// prove. Counts are those of every change; SANAD_SOAK=1 raises them to the nightly
// ones, -short lowers them for the race detector.
package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/store"
)

// A Subject is the store under test. Functions without "optional" must be set.
type Subject struct {
	// New returns an empty store and closes it at the end of the test.
	New func(t *testing.T) issuance.Store

	// Reopen closes a store that New or Reopen made and opens it again, as a
	// program that is started anew would. Optional: for stores that last.
	Reopen func(t *testing.T, s issuance.Store) issuance.Store

	// SQL runs a statement past the store, with the rights that the issuer has on
	// the database, and returns the database's error. Optional: for stores on SQL.
	SQL func(t *testing.T, s issuance.Store, statement string) error

	// FailCredential makes the database refuse to bring the credential with this
	// id into this state, Intended or Active, from now on. Optional.
	FailCredential func(t *testing.T, s issuance.Store, id string, state issuance.State)

	// FailAudit makes the database refuse (true) or take (false) audit entries
	// from now on. Optional.
	FailAudit func(t *testing.T, s issuance.Store, fail bool)

	// Journal closes a store and opens it again with this journal, or with none if
	// it is nil. Optional: for stores that keep a second copy of the audit log.
	Journal func(t *testing.T, s issuance.Store, j store.Journal) (issuance.Store, error)

	// Fence closes a store, opens it again and fences it or, if it is fenced,
	// confirms it. Optional: for stores that can be restored.
	Fence func(t *testing.T, s issuance.Store, on bool) issuance.Store

	// Entries yields the entries of the audit log from the first on.
	Entries func(ctx context.Context, s issuance.Store) iter.Seq2[[]byte, error]
}

// Test runs the contract test on the store.
func Test(t *testing.T, s Subject) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, Subject)
		// alone is set if nothing runs side by side in it.
		alone bool
	}{
		{"Write", testWrite, true},
		{"Tick", testTick, true},
		{"Programmes", testProgrammes, true},
		{"Intend", testIntend, true},
		{"IntendRefuses", testIntendRefuses, true},
		{"IntendMany", testIntendMany, true},
		{"Complete", testComplete, true},
		{"CompleteRun", testCompleteRun, true},
		{"Change", testChange, true},
		{"Held", testHeld, true},
		{"Redeemed", testRedeemed, true},
		{"Parts", testParts, true},
		{"Find", testFind, false},
		{"Lists", testLists, true},
		{"Seal", testSeal, true},
		{"SlotStates", testSlotStates, true},
		{"Publications", testPublications, true},
		{"Batches", testBatches, true},
		{"Chunks", testChunks, true},
		{"Queue", testQueue, false},
		{"Append", testAppend, true},
		{"Reopen", testReopen, true},
		{"Abandoned", testAbandoned, true},
		{"Journal", testJournal, false},
		{"Fence", testFence, true},
		{"P04", testP04, false},
		{"P06", testP06, true},
		{"P06 SQL", testP06SQL, true},
		{"P07", testP07, false},
		{"P08", testP08, true},
		{"P20", testP20, true},
		{"P21 and DB-10", testCancelled, false},
		{"DB-07", testDB07, false},
		{"DB-11", testDB11, true},
		{"DB-16", testDB16, true},
		{"DB-17", testDB17, false},
	} {
		// Short runs are for the race detector, which has nothing to find there.
		if tt.alone && testing.Short() {
			continue
		}
		t.Run(tt.name, func(t *testing.T) { tt.test(t, s) })
	}
}

// count returns how often to do something: on every change, and every night.
func count(change, night int) int {
	switch {
	case os.Getenv("SANAD_SOAK") == "1":
		return night
	case testing.Short():
		return max(change/50, 10)
	}
	return change
}

// Now is the time at which the tests take place.
var now = time.Date(2026, 11, 21, 8, 0, 0, 123e6, time.UTC)

// program is the programme of the tests, and kind that of its status lists.
const program = "birth-certificate"

var kind = issuance.ListKind{Programme: program, Form: "qr", Bits: 2}

const (
	listURI  = "https://sanad.example/status/1"
	listSize = 1 << 20
)

// write runs one transaction that must succeed.
func write(t testing.TB, s issuance.Store, f func(issuance.Tx) error) {
	t.Helper()
	if err := s.Write(context.Background(), f); err != nil {
		t.Fatal(err)
	}
}

// office is a store with a programme and an open list.
func office(t *testing.T, s Subject) issuance.Store {
	t.Helper()
	st := s.New(t)
	write(t, st, func(tx issuance.Tx) error {
		if err := tx.SaveProgramme(programmeRow(program, 1)); err != nil {
			return err
		}
		return tx.OpenList(issuance.List{URI: listURI, Kind: kind, Size: listSize, Opened: now})
	})
	return st
}

func programmeRow(id string, version int) issuance.ProgrammeRow {
	text := fmt.Appendf(nil, "id: %s\nversion: %d\n", id, version)
	return issuance.ProgrammeRow{ID: id, Version: version, Text: text, Digest: sha256.Sum256(text), Added: now}
}

// digest is a digest that nothing else has.
func digest(what string, n int) [32]byte { return sha256.Sum256(fmt.Appendf(nil, "%s %d", what, n)) }

func id(n int) string { return fmt.Sprintf("01JD5%021d", n) }

// cred is the n'th credential of the tests: a single form in slot n.
func cred(n int) issuance.Credential {
	return issuance.Credential{
		ID: id(n), Programme: program, Version: 1, Record: digest("record", n), State: issuance.Intended,
		IssuedAt: now.Truncate(time.Second), Changed: now,
		Forms: []issuance.FormRecord{{
			Form: "qr", Slot: issuance.Slot{List: listURI, Index: uint64(n)}, Key: keys.ID{1, 2, 3, 4, 5, 6, 7, 8}, ToBeSigned: digest("tbs", n),
		}},
	}
}

// mark is the mark of a credential.
func mark(c issuance.Credential) issuance.Mark {
	m := issuance.Mark{ID: c.ID}
	for i := range c.Forms {
		m.Signed = append(m.Signed, sha256.Sum256([]byte(c.ID+c.Forms[i].Form)))
	}
	return m
}

// issue stores credentials and makes them active.
func issue(t testing.TB, s issuance.Store, creds ...issuance.Credential) {
	t.Helper()
	write(t, s, func(tx issuance.Tx) error { return tx.Intend(creds) })
	marks := make([]issuance.Mark, len(creds))
	for i, c := range creds {
		marks[i] = mark(c)
	}
	write(t, s, func(tx issuance.Tx) error { return tx.Complete(marks, now) })
}

// change moves a credential to another state.
func change(s issuance.Store, id string, to issuance.State, r issuance.Reason, at time.Time) error {
	return s.Write(context.Background(), func(tx issuance.Tx) error {
		_, err := tx.Change(id, to, r, at)
		return err
	})
}

// wantState fails the test unless the credential is in this state.
func wantState(t testing.TB, s issuance.Store, id string, want issuance.State) {
	t.Helper()
	c, err := s.Credential(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	if c.State != want {
		t.Errorf("credential %s is %s, want %s", id, c.State, want)
	}
}

// wantErr fails the test unless err wraps want.
func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// all collects a sequence.
func all[T any](t testing.TB, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var got []T
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, v)
	}
	return got
}

// same compares two values field by field. A slice without elements is as good
// as nil.
func same(t testing.TB, what string, got, want any) {
	t.Helper()
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	if w.Kind() == reflect.Slice && g.Len() == 0 && w.Len() == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got\n%+v\nwant\n%+v", what, got, want)
	}
}

func ids(creds []issuance.Credential) []string {
	names := make([]string, len(creds))
	for i, c := range creds {
		names[i] = c.ID
	}
	return names
}

// permute is a stand-in for the keyed permutation of a list whose size is a
// power of two.
func permute(counter, size uint64) uint64 { return counter * 0x9E3779B1 % size }

// event is an audit event about a credential.
func event(k audit.Kind, c issuance.Credential) audit.Event {
	e := audit.Event{
		Time: now, Kind: k, Actor: "tester", Programme: c.Programme, Credential: c.ID, Record: fmt.Sprintf("%x", c.Record[:]), Batch: c.Batch,
	}
	for _, f := range c.Forms {
		if f.Slot.List != "" {
			e.Slots = append(e.Slots, audit.SlotRef{URI: f.Slot.List, Index: f.Slot.Index})
		}
	}
	return e
}
