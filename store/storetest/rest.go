package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
)

func testLists(t *testing.T, sub Subject) {
	s := sub.New(t)
	small := issuance.List{URI: "https://sanad.example/status/s1", Kind: kind, Size: 100, Opened: now}
	write(t, s, func(tx issuance.Tx) error { return tx.SaveProgramme(programmeRow(program, 1)) })
	take := func(k issuance.ListKind, n uint64) (r issuance.Range) {
		t.Helper()
		write(t, s, func(tx issuance.Tx) (err error) { r, err = tx.TakeSlots(k, n); return err })
		return r
	}
	open := func(l issuance.List) error {
		return s.Write(t.Context(), func(tx issuance.Tx) error { return tx.OpenList(l) })
	}
	same(t, "slots without a list", take(kind, 5), issuance.Range{})
	if err := open(small); err != nil {
		t.Fatal(err)
	}
	same(t, "the first slots", take(kind, 60), issuance.Range{List: small.URI, Size: 100, First: 0, N: 60})
	for _, k := range []issuance.ListKind{{Programme: "other", Form: "qr", Bits: 2}, {Programme: program, Form: "sheet", Bits: 2}, {Programme: program, Form: "qr", Bits: 1}} {
		same(t, "slots of another kind", take(k, 5), issuance.Range{})
	}
	next := small
	next.URI = "https://sanad.example/status/s2"
	wantErr(t, "a second open list", open(next), issuance.ErrListOpen)
	same(t, "no slots", take(kind, 0).N, uint64(0))
	same(t, "what is left", take(kind, 60), issuance.Range{List: small.URI, Size: 100, First: 60, N: 40})
	same(t, "slots of a full list", take(kind, 1), issuance.Range{})
	wantErr(t, "the same URI again", open(small), issuance.ErrListOpen)
	if err := open(next); err != nil {
		t.Fatal(err)
	}
	err := s.Write(t.Context(), func(tx issuance.Tx) error {
		if r, err := tx.TakeSlots(kind, 10); err != nil || r.First != 0 {
			t.Errorf("TakeSlots: %+v, %v", r, err)
		}
		return errors.New("not stored")
	})
	if err == nil {
		t.Error("Write stored it")
	}
	same(t, "after a transaction that was not stored", take(kind, 10), issuance.Range{List: next.URI, Size: 100, First: 0, N: 10})
	small.Next, next.Next = 100, 10
	got, err := s.Lists(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Lists", got, []issuance.List{small, next})
	write(t, s, func(tx issuance.Tx) error {
		inside, err := tx.Lists()
		same(t, "Lists of the transaction", inside, got)
		return err
	})
}

func testSeal(t *testing.T, sub Subject) {
	s := office(t, sub)
	seal := func(at time.Time) {
		t.Helper()
		write(t, s, func(tx issuance.Tx) error { return tx.SealLists(at) })
	}
	write(t, s, func(tx issuance.Tx) error { _, err := tx.TakeSlots(kind, 7); return err })
	seal(now)
	write(t, s, func(tx issuance.Tx) error {
		r, err := tx.TakeSlots(kind, 7)
		same(t, "slots of a sealed list", r, issuance.Range{})
		if err != nil {
			return err
		}
		return tx.OpenList(issuance.List{URI: "https://sanad.example/status/2", Kind: kind, Size: 100, Opened: now})
	})
	seal(now.Add(time.Hour))
	got, err := s.Lists(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Lists", got, []issuance.List{
		{URI: listURI, Kind: kind, Size: listSize, Next: 7, Opened: now, Sealed: now},
		{URI: "https://sanad.example/status/2", Kind: kind, Size: 100, Opened: now, Sealed: now.Add(time.Hour)},
	})
}

func testSlotStates(t *testing.T, sub Subject) {
	s := office(t, sub)
	write(t, s, func(tx issuance.Tx) error { return tx.SaveBatch(newBatch("batch-1")) })
	put(t, s, full(5), issuance.Revoked)
	put(t, s, cred(4), issuance.Suspended)
	put(t, s, cred(3), issuance.Active)
	put(t, s, cred(2), issuance.Intended)
	put(t, s, cred(1), issuance.Revoked)
	check := func(want ...issuance.SlotState) {
		t.Helper()
		write(t, s, func(tx issuance.Tx) error {
			same(t, "SlotStates", all(t, tx.SlotStates(listURI)), want)
			same(t, "IssuedSlots", all(t, tx.IssuedSlots(listURI)), []uint64{1, 2, 3, 4, 5, listSize - 6})
			for range tx.SlotStates(listURI) {
				break // and go on
			}
			_, err := tx.Lists()
			return err
		})
	}
	check(issuance.SlotState{Index: 1, Value: 1}, issuance.SlotState{Index: 4, Value: 2}, issuance.SlotState{Index: 5, Value: 1}, issuance.SlotState{Index: listSize - 6, Value: 1})
	if err := change(s, id(4), issuance.Active, issuance.NoReason, now); err != nil {
		t.Fatal(err)
	}
	if err := change(s, id(2), issuance.Revoked, issuance.Leftover, now); err != nil {
		t.Fatal(err)
	}
	check(issuance.SlotState{Index: 1, Value: 1}, issuance.SlotState{Index: 2, Value: 1}, issuance.SlotState{Index: 5, Value: 1}, issuance.SlotState{Index: listSize - 6, Value: 1})
}

func publication(name string, number uint64, at time.Time) issuance.Publication {
	content := fmt.Appendf(nil, "%s %d", name, number)
	return issuance.Publication{Name: name, Number: number, IssuedAt: at, Digest: sha256.Sum256(content), Content: content}
}

func testPublications(t *testing.T, sub Subject) {
	s := sub.New(t)
	save := func(p issuance.Publication) error {
		return s.Write(t.Context(), func(tx issuance.Tx) error { return tx.SavePublication(p) })
	}
	got, err := s.Publication(t.Context(), "trust")
	if err != nil || got.Number != 0 {
		t.Errorf("nothing published: %+v, %v", got, err)
	}
	for n := range uint64(3) {
		if err := save(publication("trust", n+1, now.Add(time.Duration(n)*time.Hour))); err != nil {
			t.Fatal(err)
		}
	}
	if err := save(publication(listURI, 1, now)); err != nil {
		t.Fatal(err)
	}
	want := publication("trust", 3, now.Add(2*time.Hour))
	for _, tt := range []struct {
		name string
		p    issuance.Publication
	}{
		{"the same number", publication("trust", 3, now.Add(9*time.Hour))},
		{"a lower number", publication("trust", 2, now.Add(9*time.Hour))},
		{"a number left out", publication("trust", 5, now.Add(9*time.Hour))},
		{"back in time", publication("trust", 4, now.Add(2*time.Hour-time.Millisecond))},
		{"a new name that does not begin with 1", publication("other", 2, now)},
		{"number 0", publication("other", 0, now)},
	} {
		wantErr(t, tt.name, save(tt.p), issuance.ErrMoved)
	}
	if got, err = s.Publication(t.Context(), "trust"); err != nil {
		t.Fatal(err)
	}
	same(t, "Publication", got, want)
	write(t, s, func(tx issuance.Tx) error {
		inside, err := tx.Publication("trust")
		same(t, "Publication of the transaction", inside, want)
		return err
	})
	if err := save(publication("trust", 4, now.Add(2*time.Hour))); err != nil {
		t.Errorf("at the same time: %v", err)
	}
}

func testBatches(t *testing.T, sub Subject) {
	s := sub.New(t)
	save := func(b issuance.Batch) error {
		return s.Write(t.Context(), func(tx issuance.Tx) error { return tx.SaveBatch(b) })
	}
	write(t, s, func(tx issuance.Tx) error {
		if err := tx.SaveProgramme(programmeRow(program, 1)); err != nil {
			return err
		}
		return tx.SaveProgramme(programmeRow(program, 2))
	})
	_, err := s.Batch(t.Context(), "b")
	wantErr(t, "Batch", err, issuance.ErrNoBatch)
	b := newBatch("b")
	begun := b
	begun.Chunks = 1
	wantErr(t, "a new batch with a chunk", save(begun), issuance.ErrMoved)
	if err := save(b); err != nil {
		t.Fatal(err)
	}
	b.Chunks, b.Rows, b.Issued, b.Failed, b.Skipped, b.Manifest, b.Changed = 1, 1000, 990, 7, 3, 4096, now.Add(time.Minute)
	if err := save(b); err != nil {
		t.Fatal(err)
	}
	got, err := s.Batch(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Batch", got, b)
	for _, tt := range []struct {
		name  string
		spoil func(*issuance.Batch)
	}{
		{"two chunks on", func(b *issuance.Batch) { b.Chunks += 2 }},
		{"a chunk back", func(b *issuance.Batch) { b.Chunks-- }},
		{"fewer rows", func(b *issuance.Batch) { b.Rows-- }},
		{"fewer issued", func(b *issuance.Batch) { b.Issued-- }},
		{"fewer failed", func(b *issuance.Batch) { b.Failed-- }},
		{"fewer skipped", func(b *issuance.Batch) { b.Skipped-- }},
		{"shorter manifest", func(b *issuance.Batch) { b.Manifest-- }},
		{"another source", func(b *issuance.Batch) { b.Source = "sha256:2" }},
		{"another version", func(b *issuance.Batch) { b.Version = 2 }},
		{"another programme", func(b *issuance.Batch) { b.Programme = "other" }},
		{"another beginning", func(b *issuance.Batch) { b.Started = b.Started.Add(time.Second) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := b
			tt.spoil(&c)
			wantErr(t, "SaveBatch", save(c), issuance.ErrMoved)
		})
	}
	b.State = issuance.BatchFinished
	if err := save(b); err != nil {
		t.Fatal(err)
	}
	b.Chunks++
	wantErr(t, "a finished batch", save(b), issuance.ErrMoved)
	b.Chunks, b.State = b.Chunks-1, issuance.BatchRunning
	wantErr(t, "a finished batch begun again", save(b), issuance.ErrMoved)
}

// testAppend checks that the log holds what was stored, in order, and that it
// verifies from its entries alone.
func testAppend(t *testing.T, sub Subject) {
	s := office(t, sub)
	var wg sync.WaitGroup
	const writers, each = 8, 20
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				c := cred(w*each + i)
				c.Forms[0].Slot = issuance.Slot{}
				events := []audit.Event{event(audit.CredentialIntended, c), event(audit.CredentialIntended, c)}
				err := s.Write(context.Background(), func(tx issuance.Tx) error {
					if err := tx.Intend([]issuance.Credential{c}); err != nil {
						return err
					}
					if err := tx.Append(events[:1]); err != nil {
						return err
					}
					if i%4 == 3 {
						return errNotStored
					}
					return tx.Append(events[1:])
				})
				if err != nil && !errors.Is(err, errNotStored) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	n := int64(0)
	for line, err := range sub.Entries(t.Context(), s) {
		if err != nil {
			t.Fatal(err)
		}
		if bytes.ContainsRune(line, '\n') {
			t.Fatalf("entry %d has a line break", n)
		}
		no, e, err := audit.ParseEntry(line)
		if err != nil || no != n {
			t.Fatalf("entry %d has number %d: %v", n, no, err)
		}
		seen[e.Credential]++
		n++
	}
	if n != writers*each*2*3/4 {
		t.Errorf("%d entries, want %d", n, writers*each*2*3/4)
	}
	for c := range s.Find(t.Context(), issuance.Query{}) {
		if seen[c.ID] != 2 {
			t.Errorf("credential %s has %d entries, want 2", c.ID, seen[c.ID])
		}
		delete(seen, c.ID)
	}
	if len(seen) != 0 {
		t.Errorf("entries about %d credentials that are not stored", len(seen))
	}
	t.Run("a bad event stops the transaction", func(t *testing.T) {
		bad := event(audit.CredentialIntended, cred(999))
		bad.Record = "Rahima Begum"
		err := s.Write(t.Context(), func(tx issuance.Tx) error {
			if err := tx.Intend([]issuance.Credential{cred(999)}); err != nil {
				return err
			}
			_ = tx.Append([]audit.Event{bad})
			return nil
		})
		if err == nil {
			t.Error("Write stored it")
		}
		_, err = s.Credential(t.Context(), id(999))
		wantErr(t, "Credential", err, issuance.ErrNoCredential)
	})
	t.Run("many events", func(t *testing.T) {
		before := len(all(t, sub.Entries(t.Context(), s)))
		events := make([]audit.Event, audit.MaxBlock+10)
		for i := range events {
			events[i] = event(audit.CredentialSigned, cred(i))
		}
		write(t, s, func(tx issuance.Tx) error { return tx.Append(events) })
		if got := len(all(t, sub.Entries(t.Context(), s))); got != before+len(events) {
			t.Errorf("%d entries, want %d", got, before+len(events))
		}
	})
}

var errNotStored = errors.New("not to be stored")

// testReopen compares everything before and after the program is started anew.
func testReopen(t *testing.T, sub Subject) {
	if sub.Reopen == nil {
		t.Skip("the store does not outlive its program")
	}
	s := office(t, sub)
	write(t, s, func(tx issuance.Tx) error {
		if err := tx.SaveBatch(newBatch("batch-1")); err != nil {
			return err
		}
		if _, err := tx.TakeSlots(kind, 100); err != nil {
			return err
		}
		if err := tx.Append([]audit.Event{event(audit.CredentialIntended, cred(1))}); err != nil {
			return err
		}
		if _, err := tx.Tick(now.Add(time.Hour)); err != nil {
			return err
		}
		return tx.SavePublication(publication("trust", 1, now))
	})
	put(t, s, full(1), issuance.Active)
	put(t, s, full(2), issuance.Revoked)
	type picture struct {
		Creds      []issuance.Credential
		Lists      []issuance.List
		Programmes []issuance.ProgrammeRow
		Batch      issuance.Batch
		Trust      issuance.Publication
		Entries    [][]byte
		Tick       time.Time
	}
	draw := func(s issuance.Store) (p picture) {
		t.Helper()
		var errs [4]error
		p.Creds, p.Entries = all(t, s.Find(t.Context(), issuance.Query{})), all(t, sub.Entries(t.Context(), s))
		p.Lists, errs[0] = s.Lists(t.Context())
		p.Programmes, errs[1] = s.Programmes(t.Context())
		p.Batch, errs[2] = s.Batch(t.Context(), "batch-1")
		p.Trust, errs[3] = s.Publication(t.Context(), "trust")
		if err := errors.Join(errs[:]...); err != nil {
			t.Fatal(err)
		}
		write(t, s, func(tx issuance.Tx) (err error) { p.Tick, err = tx.Tick(now); return err })
		return p
	}
	want := draw(s)
	for range 3 {
		s = sub.Reopen(t, s)
		same(t, "the store", draw(s), want)
	}
	if len(want.Creds) != 2 || len(want.Entries) != 1 || !want.Tick.Equal(now.Add(time.Hour)) {
		t.Errorf("%d credentials, %d entries, tick %v", len(want.Creds), len(want.Entries), want.Tick)
	}
}
