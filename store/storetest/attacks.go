package storetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sanad-id/sanad/issuance"
)

// testCancelled reads with contexts that end at any time, beside writers: who
// gets an answer gets the right one.
func testCancelled(t *testing.T, sub Subject) {
	s := office(t, sub)
	const n = 200
	var creds []issuance.Credential
	for i := range n {
		creds = append(creds, cred(i))
	}
	issue(t, s, creds...)
	var left, answers atomic.Int64
	left.Store(int64(count(1000, 200_000)))
	var wg sync.WaitGroup
	for reader := range 16 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(21, uint64(reader)))
			for left.Add(-1) > 0 {
				patience := time.Duration(rnd.IntN(1000)) * time.Microsecond
				if rnd.IntN(2) == 0 {
					patience = time.Minute // who asks beside those that break off
				}
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				i := rnd.IntN(n)
				c, err := s.Credential(ctx, id(i))
				cancel()
				switch {
				case err == nil && (c.ID != id(i) || c.Record != digest("record", i) || c.Forms[0].Slot.Index != uint64(i)):
					t.Errorf("asked for %s, got %s", id(i), c.ID)
				case err == nil:
					answers.Add(1)
				case !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) && !crowded(err):
					t.Errorf("Credential: %v", err)
				}
			}
		})
	}
	for left.Load() > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Millisecond)
		err := s.Write(ctx, func(tx issuance.Tx) error { _, err := tx.Tick(now); return err })
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && !crowded(err) {
			t.Errorf("Write: %v", err)
		}
	}
	wg.Wait()
	if answers.Load() == 0 {
		t.Error("nobody was answered; nothing is proved")
	}
	if err := change(s, id(0), issuance.Revoked, issuance.Lost, now); err != nil {
		t.Errorf("after all of that: %v", err)
	}
	t.Logf("%d answers", answers.Load())
}

// crowded reports whether a server takes no further connection at the moment: those that are
// broken off are made anew, faster than a loaded machine accepts them (EAGAIN of connect).
func crowded(err error) bool {
	refused, ok := errors.AsType[*net.OpError](err)
	return ok && refused.Op == "dial" && errors.Is(refused, syscall.EAGAIN)
}

// testDB07 makes 64 calls with one idempotency key.
func testDB07(t *testing.T, sub Subject) {
	const calls = 64
	t.Run("DB-07 one effect, the same answer", func(t *testing.T) {
		s := office(t, sub)
		key := digest("key", 1)
		answers := make([]string, calls)
		var wg sync.WaitGroup
		for i := range calls {
			wg.Go(func() {
				err := s.Write(context.Background(), func(tx issuance.Tx) error {
					switch old, err := tx.Redeemed(key); {
					case err == nil:
						answers[i] = old.ID
						return nil
					case !errors.Is(err, issuance.ErrNoCredential):
						return err
					}
					c := cred(i)
					c.Idempotency, answers[i] = key, c.ID
					return tx.Intend([]issuance.Credential{c})
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		stored := ids(all(t, s.Find(t.Context(), issuance.Query{})))
		if len(stored) != 1 {
			t.Fatalf("%d credentials are stored, want 1", len(stored))
		}
		for _, a := range answers {
			if a != stored[0] {
				t.Errorf("somebody was told %s, stored is %s", a, stored[0])
			}
		}
	})
	t.Run("DB-07 callers that do not ask first", func(t *testing.T) {
		s := office(t, sub)
		var won, lost atomic.Int64
		var wg sync.WaitGroup
		for i := range calls {
			wg.Go(func() {
				c := cred(i)
				c.Idempotency = digest("key", 1)
				switch err := s.Write(context.Background(), func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{c}) }); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, issuance.ErrIdempotencyUsed):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || lost.Load() != calls-1 {
			t.Errorf("%d won and %d were refused, want 1 and %d", won.Load(), lost.Load(), calls-1)
		}
	})
	t.Run("one record, many callers", func(t *testing.T) {
		s := office(t, sub)
		var won, lost atomic.Int64
		var wg sync.WaitGroup
		for i := range calls {
			wg.Go(func() {
				c := cred(i)
				c.Record = digest("record", 7)
				switch err := s.Write(context.Background(), func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{c}) }); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, issuance.ErrActiveExists):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || lost.Load() != calls-1 {
			t.Errorf("%d won and %d were refused, want 1 and %d", won.Load(), lost.Load(), calls-1)
		}
	})
}

// testDB11 puts SQL into every field that takes text: it is stored as text and
// does nothing, or it is refused.
func testDB11(t *testing.T, sub Subject) {
	s := office(t, sub)
	issue(t, s, cred(1))
	for i, text := range []string{
		`'; DROP TABLE credential; --`, `"; DELETE FROM meta; --`, `$1`, `?1`, `$$; $tag$`, `' OR '1'='1`, `\'; --`, `%s %d`, `--`, `/*`,
		"\u202e", `{"$ne": null}`, `') ON CONFLICT DO UPDATE SET state = 'active' --`,
	} {
		t.Run("DB-11", func(t *testing.T) {
			n := 100 + i
			c := full(n)
			c.ID, c.Programme, c.Batch, c.Supersedes = text, text, text, text
			c.Forms = c.Forms[:1]
			c.Forms[0].Form = text
			c.Forms[0].Slot = issuance.Slot{List: text, Index: 5}
			b := newBatch(text)
			b.Programme, b.Source = text, text
			err := s.Write(t.Context(), func(tx issuance.Tx) error {
				return errors.Join(
					tx.SaveProgramme(programmeRow(text, 1)), tx.SaveBatch(b),
					tx.OpenList(issuance.List{URI: text, Kind: issuance.ListKind{Programme: text, Form: text, Bits: 1}, Size: 100, Opened: now}),
					tx.Intend([]issuance.Credential{c}), tx.SavePublication(publication(text, 1, now)))
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Credential(t.Context(), text)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "credential", got, c)
			for _, q := range []issuance.Query{{Programme: text}, {Batch: text}, {List: text}, {Programme: text, Record: c.Record}} {
				same(t, "Find", ids(all(t, s.Find(t.Context(), q))), []string{text})
			}
			if found := all(t, s.Find(t.Context(), issuance.Query{State: issuance.State(text)})); len(found) != 0 {
				t.Errorf("found %d credentials in the state %q", len(found), text)
			}
			wantErr(t, "Change", change(s, text, issuance.State(text), issuance.Reason(text), now), issuance.ErrState)
			if p, err := s.Publication(t.Context(), text); err != nil || p.Number != 1 {
				t.Errorf("publication %+v, %v", p, err)
			}
			wantState(t, s, id(1), issuance.Active)
		})
	}
	t.Run("DB-11 endless text", func(t *testing.T) {
		endless := strings.Repeat("a", 1<<20)
		for name, f := range map[string]func(issuance.Tx) error{
			"programme": func(tx issuance.Tx) error { return tx.SaveProgramme(programmeRow(endless, 1)) },
			"batch":     func(tx issuance.Tx) error { return tx.SaveBatch(newBatch(endless)) },
			"source":    func(tx issuance.Tx) error { b := newBatch("b"); b.Source = endless; return tx.SaveBatch(b) },
			"list": func(tx issuance.Tx) error {
				return tx.OpenList(issuance.List{URI: endless, Kind: kind, Size: 8, Opened: now})
			},
			"credential": func(tx issuance.Tx) error { c := cred(2); c.ID = endless; return tx.Intend([]issuance.Credential{c}) },
			"supersedes": func(tx issuance.Tx) error {
				c := cred(2)
				c.Supersedes = endless
				return tx.Intend([]issuance.Credential{c})
			},
			"form": func(tx issuance.Tx) error {
				c := cred(2)
				c.Forms[0].Form = endless
				return tx.Intend([]issuance.Credential{c})
			},
			"publication": func(tx issuance.Tx) error { return tx.SavePublication(publication(endless, 1, now)) },
		} {
			if err := s.Write(t.Context(), f); err == nil {
				t.Errorf("%s: a megabyte was taken", name)
			} else if len(err.Error()) > 1000 {
				t.Errorf("%s: the error has %d bytes", name, len(err.Error()))
			}
		}
	})
}

// testDB16 makes the database refuse one credential: first its record, then its
// completion. It stays visible and can be revoked, and others are not concerned.
func testDB16(t *testing.T, sub Subject) {
	if sub.FailCredential == nil {
		t.Skip("this store cannot be made to refuse a credential")
	}
	t.Run("DB-16 its intent", func(t *testing.T) {
		s := office(t, sub)
		sub.FailCredential(t, s, id(2), issuance.Intended)
		err := s.Write(t.Context(), func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{cred(1), cred(2), cred(3)}) })
		if err == nil {
			t.Fatal("Intend stored it")
		}
		for _, known := range []error{issuance.ErrActiveExists, issuance.ErrIdempotencyUsed, issuance.ErrSlotTaken} {
			if errors.Is(err, known) {
				t.Errorf("Intend: %v, which is not what happened", err)
			}
		}
		if found := all(t, s.Find(t.Context(), issuance.Query{})); len(found) != 0 {
			t.Errorf("%d credentials of the chunk are stored", len(found))
		}
		issue(t, s, cred(1), cred(3))
		wantState(t, s, id(1), issuance.Active)
	})
	t.Run("DB-16 its completion", func(t *testing.T) {
		s := office(t, sub)
		creds := []issuance.Credential{cred(1), cred(2), cred(3)}
		write(t, s, func(tx issuance.Tx) error { return tx.Intend(creds) })
		sub.FailCredential(t, s, id(2), issuance.Active)
		err := s.Write(t.Context(), func(tx issuance.Tx) error {
			return tx.Complete([]issuance.Mark{mark(creds[0]), mark(creds[1]), mark(creds[2])}, now)
		})
		if err == nil {
			t.Fatal("Complete stored it")
		}
		same(t, "leftovers", ids(all(t, s.Find(t.Context(), issuance.Query{State: issuance.Intended}))), []string{id(1), id(2), id(3)})
		write(t, s, func(tx issuance.Tx) error {
			return tx.Complete([]issuance.Mark{mark(creds[0]), mark(creds[2])}, now)
		})
		same(t, "leftovers", ids(all(t, s.Find(t.Context(), issuance.Query{State: issuance.Intended}))), []string{id(2)})
		if err := change(s, id(2), issuance.Revoked, issuance.Leftover, now); err != nil {
			t.Fatal(err)
		}
		creds[0].State, creds[1].State, creds[2].State = issuance.Active, issuance.Revoked, issuance.Active
		checkSlots(t, s, creds)
	})
}

// testDB17 gives two allocators the same slots, as if the counter had been
// edited: the database refuses the second.
func testDB17(t *testing.T, sub Subject) {
	t.Run("DB-17 two allocators at once", func(t *testing.T) {
		s := office(t, sub)
		var won, lost atomic.Int64
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				c := cred(i)
				c.Forms[0].Slot.Index = uint64(i % 8)
				switch err := s.Write(context.Background(), func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{c}) }); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, issuance.ErrSlotTaken):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 8 || lost.Load() != 56 {
			t.Errorf("%d won and %d were refused, want 8 and 56", won.Load(), lost.Load())
		}
	})
	t.Run("DB-17 a slot beyond the list", func(t *testing.T) {
		s := office(t, sub)
		c := cred(1)
		c.Forms[0].Slot.Index = listSize
		if err := s.Write(t.Context(), func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{c}) }); err == nil {
			t.Error("Intend stored it")
		}
	})
	t.Run("DB-17 a slot of no list", func(t *testing.T) {
		s := office(t, sub)
		c := cred(1)
		c.Forms[0].Slot.List = "https://sanad.example/status/none"
		if err := s.Write(t.Context(), func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{c}) }); err == nil {
			t.Error("Intend stored it")
		}
	})
}
