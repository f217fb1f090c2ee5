package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
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
	total := count(100_000, 1_000_000)
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
					slots, err := issueSome(s, rnd, size, &names, &lists)
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
func issueSome(s issuance.Store, rnd *rand.Rand, size uint64, names, lists *atomic.Int64) ([]issuance.Slot, error) {
	var slots []issuance.Slot
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	err := s.Write(ctx, func(tx issuance.Tx) error {
		slots = nil
		r, err := tx.TakeSlots(kind, 1+rnd.Uint64N(300))
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
	sequences, steps, refused := count(20_000, 1_000_000), 4, 0
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
}

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
	names := strings.NewReplacer("$1", id(1), "$2", id(2), "$3", id(3), "$4", id(4))
	for _, tt := range forbidden {
		t.Run(tt.name, func(t *testing.T) {
			if err := sub.SQL(t, s, names.Replace(tt.sql)); err == nil {
				t.Errorf("the database took %s", tt.sql)
			}
			if after := draw(); after != before {
				t.Fatalf("something has changed:\n%s\nwas\n%s", after, before)
			}
		})
	}
	t.Logf("%d statements refused", len(forbidden))
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
	left.Store(int64(count(5000, 1_000_000)))
	var wg sync.WaitGroup
	for reader := range 16 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(21, uint64(reader)))
			for left.Add(-1) > 0 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rnd.IntN(1000))*time.Microsecond)
				i := rnd.IntN(n)
				c, err := s.Credential(ctx, id(i))
				cancel()
				switch {
				case err == nil && (c.ID != id(i) || c.Record != digest("record", i) || c.Forms[0].Slot.Index != uint64(i)):
					t.Errorf("asked for %s, got %s", id(i), c.ID)
				case err == nil:
					answers.Add(1)
				case !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled):
					t.Errorf("Credential: %v", err)
				}
			}
		})
	}
	for left.Load() > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Millisecond)
		err := s.Write(ctx, func(tx issuance.Tx) error { _, err := tx.Tick(now); return err })
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Write: %v", err)
		}
	}
	wg.Wait()
	if err := change(s, id(0), issuance.Revoked, issuance.Lost, now); err != nil {
		t.Errorf("after all of that: %v", err)
	}
	t.Logf("%d answers", answers.Load())
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
