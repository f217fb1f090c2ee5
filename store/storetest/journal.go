package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// A journal is a [store.Journal] in memory that can be told to fail.
type journal struct {
	mu        sync.Mutex
	confirmed [][]byte
	staged    [][]byte
	open      bool  // between Stage and what ends it
	fail      error // what Stage returns
	discards  int
	wrong     []string // calls out of order
}

var _ store.Journal = (*journal)(nil)

func (j *journal) Head() audit.Head {
	j.mu.Lock()
	defer j.mu.Unlock()
	return audit.Head{Size: int64(len(j.confirmed)), Root: root(j.confirmed)}
}

// root is the Merkle tree hash of RFC 6962 section 2.1.
func root(entries [][]byte) audit.Hash {
	switch n := len(entries); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, entries[0]...))
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		left, right := root(entries[:k]), root(entries[k:])
		return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
	}
}

func (j *journal) Stage(first int64, entries [][]byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open = true
	if j.fail != nil {
		return j.fail
	}
	if want := int64(len(j.confirmed) + len(j.staged)); first != want {
		j.wrong = append(j.wrong, fmt.Sprintf("Stage from %d, want %d", first, want))
	}
	for _, e := range entries {
		j.staged = append(j.staged, slices.Clone(e))
	}
	return nil
}

func (j *journal) Commit(size int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if want := int64(len(j.confirmed) + len(j.staged)); size != want || !j.open {
		j.wrong = append(j.wrong, fmt.Sprintf("Commit of %d, want %d", size, want))
	}
	j.confirmed, j.staged, j.open = append(j.confirmed, j.staged...), nil, false
}

func (j *journal) Discard() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.open {
		j.wrong = append(j.wrong, "Discard of nothing")
	}
	j.staged, j.open = nil, false
	j.discards++
	return nil
}

func (j *journal) Leave() { j.wrong = append(j.wrong, "Leave") }

// testJournal holds the second copy of the audit log to the first.
func testJournal(t *testing.T, sub Subject) {
	if sub.Journal == nil {
		t.Skip("the store takes no journal")
	}
	j := &journal{}
	open := func(s issuance.Store, j store.Journal) issuance.Store {
		t.Helper()
		again, err := sub.Journal(t, s, j)
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
	s := office(t, sub)
	write(t, s, func(tx issuance.Tx) error {
		return tx.Append([]audit.Event{event(audit.CredentialIntended, cred(1000))})
	})
	s = open(s, j)
	check := func(want int) {
		t.Helper()
		entries := all(t, sub.Entries(t.Context(), s))
		same(t, "journal and log", j.confirmed, entries)
		if len(entries) != want || len(j.wrong) > 0 || len(j.staged) > 0 {
			t.Errorf("%d entries, want %d; %d are staged; %v", len(entries), want, len(j.staged), j.wrong)
		}
	}
	one := func(n int) func(issuance.Tx) error {
		return func(tx issuance.Tx) error {
			if err := tx.Append([]audit.Event{event(audit.CredentialIntended, cred(n))}); err != nil {
				return err
			}
			if err := tx.Intend([]issuance.Credential{cred(n)}); err != nil {
				return err
			}
			return tx.Append([]audit.Event{event(audit.CredentialSigned, cred(n))})
		}
	}
	write(t, s, one(1)) // after the entry from before the journal
	check(3)
	var wg sync.WaitGroup
	for n := 2; n < 10; n++ {
		wg.Go(func() {
			if err := s.Write(context.Background(), one(n)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	check(19)

	write(t, s, func(tx issuance.Tx) error { _, err := tx.Tick(now); return err })
	err := s.Write(t.Context(), func(tx issuance.Tx) error { return errors.Join(one(10)(tx), errNotStored) })
	wantErr(t, "a transaction that fails", err, errNotStored)
	if j.discards != 0 {
		t.Errorf("%d calls of Discard without a Stage", j.discards)
	}
	check(19)

	full := errors.New("no space left on the journal's disk")
	for n := range 3 {
		j.fail = full
		err := s.Write(t.Context(), one(10))
		wantErr(t, "P08 a journal that takes nothing", err, store.ErrJournal)
		wantErr(t, "P08 a journal that takes nothing", err, full)
		if _, err := s.Credential(t.Context(), id(10)); !errors.Is(err, issuance.ErrNoCredential) {
			t.Errorf("P08: stored without its entry in the journal: %v", err)
		}
		if j.discards != n+1 {
			t.Errorf("Discard was called %d times, want %d", j.discards, n+1)
		}
		j.fail = nil
	}
	check(19)
	write(t, s, one(10)) // as soon as it takes entries again
	check(21)

	s = open(s, nil)
	for n := 11; n < 15; n++ {
		write(t, s, one(n))
	}
	s = open(s, j)
	write(t, s, one(15)) // with what the journal missed
	check(31)

	ahead := &journal{confirmed: append(slices.Clone(j.confirmed), []byte("{}"))}
	_, err = sub.Journal(t, s, ahead)
	wantErr(t, "a journal that is ahead", err, store.ErrBehindJournal)
	other := &journal{confirmed: slices.Clone(j.confirmed)}
	other.confirmed[7] = []byte("{}")
	_, err = sub.Journal(t, s, other)
	wantErr(t, "the journal of another log", err, store.ErrBehindJournal)
}
