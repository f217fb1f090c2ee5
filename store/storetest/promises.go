package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
)

// testP04 lets 64 clients take slots and issue, with transactions that are not
// stored and, where the store lasts, programs that are started anew in between. No
// slot may be given to two credentials, and the database must never have to say so.
func testP04(t *testing.T, sub Subject) {
	const size, clients = 1 << 12, 64
	s := sub.New(t)
	write(t, s, func(tx issuance.Tx) error { return tx.SaveProgramme(programmeRow(program, 1)) })
	var mu sync.Mutex
	issued := map[issuance.Slot]int{}
	var names, failed, lists atomic.Int64
	total := count(25_000, 1_000_000)
	most := uint64(max(1, min(300, total/(4*clients*2)))) // slots of one transaction
	for phase := range 4 {
		if phase > 0 && sub.Reopen != nil {
			s = sub.Reopen(t, s)
		}
		var left atomic.Int64
		left.Store(int64(total / 4))
		var wg sync.WaitGroup
		for client := range clients {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(phase), uint64(client)))
				for left.Load() > 0 {
					slots, err := issueSome(s, rnd, size, most, &names, &lists)
					if errors.Is(err, errNotStored) {
						failed.Add(1)
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					left.Add(-int64(len(slots)))
					mu.Lock()
					for _, slot := range slots {
						issued[slot]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
	duplicates := 0
	for slot, n := range issued {
		if n > 1 {
			duplicates++
			t.Errorf("slot %v was given out %d times", slot, n)
		}
	}
	stored := 0
	all, err := s.Lists(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, func(tx issuance.Tx) error {
		for _, l := range all {
			for index, err := range tx.IssuedSlots(l.URI) {
				if err != nil {
					return err
				}
				stored++
				if issued[issuance.Slot{List: l.URI, Index: index}] == 0 {
					t.Errorf("slot %d of %s is stored and was given to nobody", index, l.URI)
				}
			}
		}
		return nil
	})
	if stored != len(issued) {
		t.Errorf("%d slots are stored, %d were given out", stored, len(issued))
	}
	t.Logf("%d issuances in %d lists, %d transactions not stored, %d duplicates", stored, len(all), failed.Load(), duplicates)
}

// issueSome issues a few credentials in one transaction, or takes their slots
// and then stores nothing.
func issueSome(s issuance.Store, rnd *rand.Rand, size, most uint64, names, lists *atomic.Int64) ([]issuance.Slot, error) {
	var slots []issuance.Slot
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	err := s.Write(ctx, func(tx issuance.Tx) error {
		slots = nil
		r, err := tx.TakeSlots(kind, 1+rnd.Uint64N(most))
		if err != nil {
			return err
		}
		if r.N == 0 {
			l := issuance.List{URI: fmt.Sprintf("https://sanad.example/status/%d", lists.Add(1)), Kind: kind, Size: size, Opened: now}
			return tx.OpenList(l)
		}
		var creds []issuance.Credential
		for i := range r.N {
			c := cred(int(names.Add(1)))
			c.Forms[0].Slot = issuance.Slot{List: r.List, Index: permute(r.First+i, size)}
			creds, slots = append(creds, c), append(slots, c.Forms[0].Slot)
		}
		if rnd.IntN(6) == 0 {
			return errNotStored
		}
		if err := tx.Intend(creds); err != nil {
			return err
		}
		switch rnd.IntN(12) {
		case 0:
			return errNotStored
		case 1:
			cancel()
		}
		return nil
	})
	if errors.Is(err, context.Canceled) {
		err = errNotStored
	}
	return slots, err
}

// testP06 makes random changes to credentials and compares with what the rules
// say. Each credential is a sequence of operations of its own.
func testP06(t *testing.T, sub Subject) {
	sequences, steps, refused := count(10_000, 1_000_000), 4, 0
	rnd := rand.New(rand.NewPCG(6, 6))
	for done := 0; done < sequences; {
		s := office(t, sub)
		n := min(sequences-done, 50_000)
		refused += sequence(t, s, rnd, n, steps)
		done += n
	}
	t.Logf("%d sequences of %d operations, %d of them refused", sequences, steps, refused)
}

func sequence(t *testing.T, s issuance.Store, rnd *rand.Rand, n, steps int) (refused int) {
	t.Helper()
	creds := make([]issuance.Credential, n)
	for i := range creds {
		creds[i] = cred(i)
	}
	for chunk := range slices.Chunk(creds, 1000) {
		write(t, s, func(tx issuance.Tx) error { return tx.Intend(chunk) })
	}
	targets := []issuance.State{issuance.Active, issuance.Suspended, issuance.Revoked, issuance.Intended}
	for range steps {
		var legal []func(issuance.Tx) error
		for i := range creds {
			c := &creds[i]
			to, complete := targets[rnd.IntN(len(targets))], rnd.IntN(2) == 0
			op := func(tx issuance.Tx) error {
				if complete {
					return tx.Complete([]issuance.Mark{mark(*c)}, now)
				}
				_, err := tx.Change(c.ID, to, reasonFor(to), now)
				return err
			}
			next, want := rule(c.State, to, complete)
			if want == nil {
				c.State = next
				legal = append(legal, op)
				continue
			}
			refused++
			if err := s.Write(context.Background(), op); !errors.Is(err, want) {
				// Legal changes of this step are not stored yet, so the store judges
				// by the state before it; that is the state that rule saw.
				t.Fatalf("%s from %s to %s (complete: %v): %v, want %v", c.ID, c.State, to, complete, err, want)
			}
		}
		for chunk := range slices.Chunk(legal, 1000) {
			write(t, s, func(tx issuance.Tx) error {
				for _, op := range chunk {
					if err := op(tx); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	i := 0
	for c, err := range s.Find(context.Background(), issuance.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if c.ID != creds[i].ID || c.State != creds[i].State {
			t.Errorf("%s is %s, want %s %s", c.ID, c.State, creds[i].ID, creds[i].State)
		}
		i++
	}
	if i != n {
		t.Errorf("%d credentials are stored, want %d", i, n)
	}
	checkSlots(t, s, creds)
	return refused
}

func reasonFor(to issuance.State) issuance.Reason {
	if to == issuance.Active {
		return issuance.NoReason
	}
	return issuance.Withdrawn
}

// rule is the state machine as package issuance describes it.
func rule(from, to issuance.State, complete bool) (issuance.State, error) {
	switch {
	case from == issuance.Revoked:
		return from, issuance.ErrFinal
	case complete && from == issuance.Intended:
		return issuance.Active, nil
	case complete:
		return from, issuance.ErrState
	case to == issuance.Revoked,
		from == issuance.Active && to == issuance.Suspended,
		from == issuance.Suspended && to == issuance.Active:
		return to, nil
	}
	return from, issuance.ErrState
}

// checkSlots compares the published values with the states.
func checkSlots(t *testing.T, s issuance.Store, creds []issuance.Credential) {
	t.Helper()
	want := map[uint64]byte{}
	for _, c := range creds {
		switch c.State {
		case issuance.Revoked:
			want[c.Forms[0].Slot.Index] = 1
		case issuance.Suspended:
			want[c.Forms[0].Slot.Index] = 2
		}
	}
	got := map[uint64]byte{}
	write(t, s, func(tx issuance.Tx) error {
		for v, err := range tx.SlotStates(listURI) {
			if err != nil {
				return err
			}
			got[v.Index] = v.Value
		}
		return nil
	})
	if !maps.Equal(got, want) {
		t.Errorf("%d slots say revoked or suspended, want %d, or others", len(got), len(want))
	}
}

// testP07 lets publishers with wrong clocks race: what is published never goes
// back in number or time.
func testP07(t *testing.T, sub Subject) {
	s := sub.New(t)
	total := int64(count(300, 10_000))
	var done, moved atomic.Int64
	var wg sync.WaitGroup
	for publisher := range 2 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(7, uint64(publisher)))
			for done.Load() < total {
				last, err := s.Publication(context.Background(), "trust")
				if err != nil {
					t.Error(err)
					return
				}
				at := now.Add(time.Duration(rnd.IntN(600)-300) * time.Second)
				if rnd.IntN(4) != 0 && at.Before(last.IssuedAt) {
					at = last.IssuedAt
				}
				p := publication("trust", last.Number+1, at)
				err = s.Write(context.Background(), func(tx issuance.Tx) error { return tx.SavePublication(p) })
				switch {
				case errors.Is(err, issuance.ErrMoved):
					moved.Add(1)
				case err != nil:
					t.Error(err)
					return
				default:
					done.Add(1)
				}
			}
		})
	}
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		var last issuance.Publication
		for {
			p, err := s.Publication(context.Background(), "trust")
			if err != nil {
				t.Error(err)
				return
			}
			if p.Number < last.Number || p.IssuedAt.Before(last.IssuedAt) {
				t.Errorf("number %d of %v after number %d of %v", p.Number, p.IssuedAt, last.Number, last.IssuedAt)
			}
			last = p
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	wg.Wait()
	close(stop)
	watch.Wait()
	last, err := s.Publication(t.Context(), "trust")
	if err != nil || last.Number != uint64(done.Load()) {
		t.Errorf("number %d after %d publications, %v", last.Number, done.Load(), err)
	}
	t.Logf("%d publications, %d refused", done.Load(), moved.Load())
}

// testP08 makes the audit log refuse entries: then nothing happens at all,
// reading goes on, and so does writing as soon as the log takes entries again.
func testP08(t *testing.T, sub Subject) {
	if sub.FailAudit == nil {
		t.Skip("the audit log of this store cannot be made to fail")
	}
	s := office(t, sub)
	write(t, s, func(tx issuance.Tx) error { return tx.SaveBatch(newBatch("batch-1")) })
	put(t, s, cred(1), issuance.Intended)
	put(t, s, cred(2), issuance.Active)
	put(t, s, cred(3), issuance.Suspended)
	steps := map[string]func(issuance.Tx) error{
		"intend":   func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{cred(10)}) },
		"complete": func(tx issuance.Tx) error { return tx.Complete([]issuance.Mark{mark(cred(1))}, now) },
		"revoke": func(tx issuance.Tx) error {
			_, err := tx.Change(id(2), issuance.Revoked, issuance.Lost, now)
			return err
		},
		"suspend": func(tx issuance.Tx) error {
			_, err := tx.Change(id(2), issuance.Suspended, issuance.Investigation, now)
			return err
		},
		"resume": func(tx issuance.Tx) error {
			_, err := tx.Change(id(3), issuance.Active, issuance.NoReason, now)
			return err
		},
		"programme": func(tx issuance.Tx) error { return tx.SaveProgramme(programmeRow(program, 2)) },
		"batch":     func(tx issuance.Tx) error { b := newBatch("batch-1"); b.Chunks = 1; return tx.SaveBatch(b) },
		"publish":   func(tx issuance.Tx) error { return tx.SavePublication(publication("trust", 1, now)) },
		"seal":      func(tx issuance.Tx) error { return tx.SealLists(now) },
		"slots":     func(tx issuance.Tx) error { _, err := tx.TakeSlots(kind, 10); return err },
	}
	draw := func() string {
		lists, err1 := s.Lists(t.Context())
		programmes, err2 := s.Programmes(t.Context())
		batch, err3 := s.Batch(t.Context(), "batch-1")
		trust, err4 := s.Publication(t.Context(), "trust")
		return fmt.Sprint(lists, programmes, batch, trust, errors.Join(err1, err2, err3, err4),
			all(t, s.Find(t.Context(), issuance.Query{})), all(t, sub.Entries(t.Context(), s)))
	}
	before := draw()
	sub.FailAudit(t, s, true)
	for _, name := range slices.Sorted(maps.Keys(steps)) {
		err := s.Write(t.Context(), func(tx issuance.Tx) error {
			if err := steps[name](tx); err != nil {
				t.Errorf("%s itself: %v", name, err)
			}
			return tx.Append([]audit.Event{event(audit.CredentialIntended, cred(10))})
		})
		if err == nil {
			t.Errorf("%s was stored without its audit entry", name)
		}
		if after := draw(); after != before {
			t.Errorf("%s left something behind:\n%s\nwas\n%s", name, after, before)
		}
	}
	sub.FailAudit(t, s, false)
	for _, name := range slices.Sorted(maps.Keys(steps)) {
		if name == "revoke" || name == "slots" { // after suspend, after seal
			continue
		}
		err := s.Write(t.Context(), func(tx issuance.Tx) error {
			if err := tx.Append([]audit.Event{event(audit.CredentialIntended, cred(10))}); err != nil {
				return err
			}
			return steps[name](tx)
		})
		if err != nil {
			t.Errorf("%s after recovery: %v", name, err)
		}
	}
}

// testP20 steps the clock to and fro: no date of issue is earlier than one that
// was stored before.
func testP20(t *testing.T, sub Subject) {
	s := sub.New(t)
	rnd := rand.New(rand.NewPCG(20, 20))
	clock, latest := now, time.Time{}
	cases := 0
	for total := count(5000, 100_000); cases < total; {
		stored := rnd.IntN(5) > 0
		got := latest
		err := s.Write(t.Context(), func(tx issuance.Tx) error {
			for range 20 {
				cases++
				step := time.Duration(rnd.Int64N(int64(time.Second) << rnd.IntN(28)))
				if rnd.IntN(2) == 0 {
					step = -step
				}
				clock = clock.Add(step)
				if clock.Year() < 1980 || clock.Year() > 2200 {
					clock = now
				}
				at, err := tx.Tick(clock)
				if err != nil {
					return err
				}
				if at.Before(got) || at.Before(clock.Truncate(time.Millisecond)) {
					t.Fatalf("Tick(%v) = %v after %v", clock, at, got)
				}
				got = at
			}
			if !stored {
				return errNotStored
			}
			return nil
		})
		if err != nil && stored {
			t.Fatal(err)
		}
		if stored {
			latest = got
		}
	}
	t.Logf("%d cases", cases)
}
