package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
)

// full is a credential that uses every field.
func full(n int) issuance.Credential {
	c := cred(n)
	c.Expires = now.AddDate(1, 0, 0)
	c.Batch, c.Row = "batch-1", int64(n)
	c.Supersedes = id(9000 + n)
	c.Idempotency = digest("idempotency", n)
	c.Forms = append(c.Forms,
		issuance.FormRecord{Form: "sheet", Slot: issuance.Slot{List: listURI, Index: listSize - 1 - uint64(n)}, Key: keys.ID{9}, ToBeSigned: digest("sheet", n)},
		issuance.FormRecord{Form: "strip", Key: keys.ID{8}, ToBeSigned: digest("strip", n)}) // has no status
	return c
}

func newBatch(name string) issuance.Batch {
	return issuance.Batch{ID: name, Programme: program, Version: 1, Source: "sha256:1", State: issuance.BatchRunning, Started: now, Changed: now}
}

func testIntend(t *testing.T, sub Subject) {
	s := office(t, sub)
	write(t, s, func(tx issuance.Tx) error { return tx.SaveBatch(newBatch("batch-1")) })
	var want []issuance.Credential
	for n := range 5 {
		want = append(want, full(n))
	}
	write(t, s, func(tx issuance.Tx) error { return tx.Intend(want) })
	write(t, s, func(tx issuance.Tx) error { return tx.Intend(nil) })
	for _, w := range want {
		got, err := s.Credential(t.Context(), w.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "credential", got, w)
	}
	_, err := s.Credential(t.Context(), "nobody")
	wantErr(t, "Credential", err, issuance.ErrNoCredential)
}

func testIntendRefuses(t *testing.T, sub Subject) {
	s := office(t, sub)
	write(t, s, func(tx issuance.Tx) error { return tx.SaveBatch(newBatch("batch-1")) })
	issue(t, s, full(1))
	many := func(c issuance.Credential) issuance.Credential { c.Many = true; return c }
	tests := []struct {
		name  string
		spoil func(c *issuance.Credential)
		want  error // nil: any error
	}{
		{"record held", func(c *issuance.Credential) { c.Record = cred(1).Record }, issuance.ErrActiveExists},
		{"idempotency key used", func(c *issuance.Credential) { c.Idempotency = full(1).Idempotency }, issuance.ErrIdempotencyUsed},
		{"slot used", func(c *issuance.Credential) { c.Forms[0].Slot = full(1).Forms[0].Slot }, issuance.ErrSlotTaken},
		{"slot of another form used", func(c *issuance.Credential) { c.Forms[0].Slot = full(1).Forms[1].Slot }, issuance.ErrSlotTaken},
		{"one slot for two forms", func(c *issuance.Credential) { c.Forms[1].Slot = c.Forms[0].Slot }, issuance.ErrSlotTaken},
		{"id used", func(c *issuance.Credential) { c.ID = id(1) }, nil},
		{"active from the start", func(c *issuance.Credential) { c.State = issuance.Active }, nil},
		{"without forms", func(c *issuance.Credential) { c.Forms = nil }, nil},
		{"without id", func(c *issuance.Credential) { c.ID = "" }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := full(2)
			tt.spoil(&c)
			err := s.Write(t.Context(), func(tx issuance.Tx) error {
				if err := tx.Append([]audit.Event{event(audit.CredentialIntended, cred(3))}); err != nil {
					return err
				}
				return tx.Intend([]issuance.Credential{cred(3), c})
			})
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Intend: %v, want %v", err, tt.want)
			}
			_, err = s.Credential(t.Context(), id(3))
			wantErr(t, "the credential beside it", err, issuance.ErrNoCredential)
			if n := len(all(t, sub.Entries(t.Context(), s))); n != 0 {
				t.Errorf("%d audit entries, want none", n)
			}
		})
	}
	t.Run("twins in one call", func(t *testing.T) {
		a, b := cred(10), cred(11)
		b.Record = a.Record
		err := s.Write(t.Context(), func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{a, b}) })
		wantErr(t, "Intend", err, issuance.ErrActiveExists)
	})
	t.Run("a record may hold many if the programme says so", func(t *testing.T) {
		a, b := many(cred(12)), many(cred(13))
		b.Record = a.Record
		issue(t, s, a, b)
		c := cred(14) // and one that counts
		c.Record = a.Record
		issue(t, s, c)
	})
	t.Run("two programmes do not share records", func(t *testing.T) {
		write(t, s, func(tx issuance.Tx) error { return tx.SaveProgramme(programmeRow("other", 1)) })
		c := cred(15)
		c.Programme, c.Record = "other", cred(1).Record
		issue(t, s, c)
	})
	t.Run("a revoked one no longer holds its record", func(t *testing.T) {
		for _, state := range []issuance.State{issuance.Intended, issuance.Active, issuance.Suspended} {
			a, b := cred(20), cred(21)
			a.Record, b.Record = digest("again", len(state)), digest("again", len(state))
			a.ID, b.ID = a.ID+string(state), b.ID+string(state)
			a.Forms[0].Slot, b.Forms[0].Slot = issuance.Slot{}, issuance.Slot{}
			write(t, s, func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{a}) })
			if state != issuance.Intended {
				write(t, s, func(tx issuance.Tx) error { return tx.Complete([]issuance.Mark{mark(a)}, now) })
			}
			if state == issuance.Suspended {
				if err := change(s, a.ID, issuance.Suspended, issuance.Investigation, now); err != nil {
					t.Fatal(err)
				}
			}
			err := s.Write(t.Context(), func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{b}) })
			wantErr(t, "while the first is "+string(state), err, issuance.ErrActiveExists)
			write(t, s, func(tx issuance.Tx) error {
				if _, err := tx.Change(a.ID, issuance.Revoked, issuance.Lost, now); err != nil {
					return err
				}
				return tx.Intend([]issuance.Credential{b})
			})
			wantState(t, s, b.ID, issuance.Intended)
		}
	})
}

func testComplete(t *testing.T, sub Subject) {
	s := office(t, sub)
	write(t, s, func(tx issuance.Tx) error { return tx.SaveBatch(newBatch("batch-1")) })
	a, b := full(1), full(2)
	write(t, s, func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{a, b, cred(3), cred(4)}) })
	at := now.Add(time.Second)
	write(t, s, func(tx issuance.Tx) error { return tx.Complete([]issuance.Mark{mark(b), mark(a)}, at) })
	write(t, s, func(tx issuance.Tx) error { return tx.Complete(nil, at) })
	for _, want := range []issuance.Credential{a, b} {
		want.State, want.Changed = issuance.Active, at
		for i, h := range mark(want).Signed {
			want.Forms[i].Signed = h
		}
		got, err := s.Credential(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "credential", got, want)
	}
	if err := change(s, id(4), issuance.Revoked, issuance.Leftover, now); err != nil {
		t.Fatal(err)
	}
	short := mark(cred(3))
	short.Signed = nil
	for _, tt := range []struct {
		name string
		mark issuance.Mark
		want error
	}{
		{"unknown", mark(cred(99)), issuance.ErrNoCredential},
		{"active already", mark(a), issuance.ErrState},
		{"revoked", mark(cred(4)), issuance.ErrFinal},
		{"hashes missing", short, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			marks := []issuance.Mark{mark(cred(3)), tt.mark}
			err := s.Write(t.Context(), func(tx issuance.Tx) error { return tx.Complete(marks, at) })
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Complete: %v, want %v", err, tt.want)
			}
			wantState(t, s, id(3), issuance.Intended)
		})
	}
}

// testIntendMany stores what a chunk of a batch has: many credentials that differ in little. A store may
// have a way of its own for them, which must store and refuse the same.
func testIntendMany(t *testing.T, sub Subject) {
	s := office(t, sub)
	write(t, s, func(tx issuance.Tx) error { return tx.SaveBatch(newBatch("batch-1")) })
	const n = 130
	chunk := func(first int) []issuance.Credential {
		creds := make([]issuance.Credential, n)
		for i := range creds {
			c := cred(first + i)
			c.Batch, c.Row = "batch-1", int64(10*(first+i))
			creds[i] = c
		}
		return creds
	}
	intend := func(creds []issuance.Credential) error {
		return s.Write(t.Context(), func(tx issuance.Tx) error { return tx.Intend(creds) })
	}
	stored := func(creds []issuance.Credential) {
		t.Helper()
		for _, want := range creds {
			got, err := s.Credential(t.Context(), want.ID)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "credential "+want.ID, got, want)
		}
	}
	first := 300
	for what, change := range map[string]func(creds []issuance.Credential){
		"alike": func([]issuance.Credential) {},
		"with an end": func(creds []issuance.Credential) {
			each(creds, func(c *issuance.Credential) { c.Expires = now.Add(time.Hour) })
		},
		"one with an end":        func(creds []issuance.Credential) { creds[7].Expires = now.Add(time.Hour) },
		"one of another time":    func(creds []issuance.Credential) { creds[n-1].Changed = now.Add(time.Second) },
		"one with a longer id":   func(creds []issuance.Credential) { creds[3].ID += "X" },
		"one in place of one":    func(creds []issuance.Credential) { creds[3].Supersedes = "another" },
		"one without a batch":    func(creds []issuance.Credential) { creds[n-1].Batch, creds[n-1].Row = "", 0 },
		"one with a key":         func(creds []issuance.Credential) { creds[0].Idempotency = digest("key", 1) },
		"one without a slot":     func(creds []issuance.Credential) { creds[0].Forms[0].Slot = issuance.Slot{} },
		"one signed with others": func(creds []issuance.Credential) { creds[5].Forms[0].Key[0]++ },
	} {
		t.Run(what, func(t *testing.T) {
			first += n
			creds := chunk(first)
			change(creds)
			if err := intend(creds); err != nil {
				t.Fatal(err)
			}
			stored(creds)
		})
	}
	before := chunk(1)
	if err := intend(before); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		spoil func(creds []issuance.Credential)
		want  error
	}{
		{"held record", func(creds []issuance.Credential) { creds[9].Record = before[4].Record }, issuance.ErrActiveExists},
		{"one record twice", func(creds []issuance.Credential) { creds[9].Record = creds[8].Record }, issuance.ErrActiveExists},
		{"taken slot", func(creds []issuance.Credential) { creds[n-1].Forms[0].Slot = before[0].Forms[0].Slot }, issuance.ErrSlotTaken},
		{"one slot twice", func(creds []issuance.Credential) { creds[0].Forms[0].Slot = creds[1].Forms[0].Slot }, issuance.ErrSlotTaken},
		{"known id", func(creds []issuance.Credential) { creds[2].ID = before[2].ID }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			creds := chunk(150)
			tt.spoil(creds)
			err := intend(creds)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Intend: %v, want %v", err, tt.want)
			}
			if _, err := s.Credential(t.Context(), id(150)); !errors.Is(err, issuance.ErrNoCredential) {
				t.Errorf("a part of it is stored: %v", err)
			}
		})
	}
	good := chunk(150)
	if err := intend(good); err != nil {
		t.Fatal(err)
	}
	stored(good)
}

func each(creds []issuance.Credential, f func(*issuance.Credential)) {
	for i := range creds {
		f(&creds[i])
	}
}

// testCompleteRun completes what one transaction intended, as a batch does: a store may
// know where to find it, and must not take something else for it.
func testCompleteRun(t *testing.T, sub Subject) {
	s := office(t, sub)
	write(t, s, func(tx issuance.Tx) error { return tx.SaveBatch(newBatch("batch-1")) })
	intend := func(creds ...issuance.Credential) func(issuance.Tx) error {
		return func(tx issuance.Tx) error { return tx.Intend(creds) }
	}
	marks := func(creds ...issuance.Credential) (all []issuance.Mark) {
		for _, c := range creds {
			all = append(all, mark(c))
		}
		return all
	}
	complete := func(m ...issuance.Mark) error {
		return s.Write(t.Context(), func(tx issuance.Tx) error { return tx.Complete(m, now) })
	}
	// What was never stored has no number, also if others have got it since.
	gone := errors.New("gone")
	err := s.Write(t.Context(), func(tx issuance.Tx) error {
		return errors.Join(tx.Intend([]issuance.Credential{cred(1), cred(2), cred(3)}), gone)
	})
	wantErr(t, "a write that fails", err, gone)
	write(t, s, intend(cred(4), cred(5), cred(6)))
	wantErr(t, "complete what is gone", complete(marks(cred(1), cred(2), cred(3))...), issuance.ErrNoCredential)
	for n := 4; n <= 6; n++ {
		wantState(t, s, id(n), issuance.Intended)
	}
	// A part of a run; with two forms; with several numbers of forms.
	a, b := full(11), full(12)
	write(t, s, intend(cred(7), cred(8), cred(9), cred(10)))
	write(t, s, intend(a, b))
	write(t, s, intend(cred(13), full(14), cred(15)))
	for _, run := range [][]issuance.Credential{{cred(8), cred(9)}, {a, b}, {cred(13), full(14), cred(15)}, {cred(6), cred(4)}, {cred(5), cred(7)}} {
		if err := complete(marks(run...)...); err != nil {
			t.Fatalf("complete %v: %v", ids(run), err)
		}
		for _, c := range run {
			got, err := s.Credential(t.Context(), c.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got.State != issuance.Active || len(got.Forms) != len(c.Forms) {
				t.Errorf("%s is %s with %d forms", c.ID, got.State, len(got.Forms))
			}
			for i, h := range mark(c).Signed {
				if got.Forms[i].Signed != h {
					t.Errorf("%s: form %d has the hash of another", c.ID, i)
				}
			}
		}
	}
	wantState(t, s, id(10), issuance.Intended)
	// What is spoiled spoils all of it, and says why.
	write(t, s, intend(cred(21), cred(22), cred(23)))
	three := marks(cred(21), cred(22), cred(23))
	zero, short := marks(cred(21), cred(22), cred(23)), marks(cred(21), cred(22), cred(23))
	zero[1].Signed[0], short[1].Signed = [32]byte{}, nil
	for what, spoiled := range map[string][]issuance.Mark{"without a hash": zero, "without its forms": short} {
		if err := complete(spoiled...); err == nil {
			t.Errorf("complete %s: no error", what)
		}
	}
	if err := complete(three[0], three[0], three[1]); err == nil {
		t.Error("complete one of them twice: no error")
	}
	if err := change(s, id(22), issuance.Revoked, issuance.Leftover, now); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "complete one that is revoked", complete(three...), issuance.ErrFinal)
	wantState(t, s, id(21), issuance.Intended)
	wantState(t, s, id(23), issuance.Intended)
	if err := complete(three[0]); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "complete one that is active", complete(three[0], three[2]), issuance.ErrState)
	wantState(t, s, id(23), issuance.Intended)
}
