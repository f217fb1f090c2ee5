package storetest

import (
	"testing"
	"time"

	"github.com/sanad-id/sanad/issuance"
)

// testChange tries every change from every state.
func testChange(t *testing.T, sub Subject) {
	s := office(t, sub)
	states := []issuance.State{issuance.Intended, issuance.Active, issuance.Suspended, issuance.Revoked}
	legal := map[[2]issuance.State]bool{
		{issuance.Intended, issuance.Revoked}: true,
		{issuance.Active, issuance.Suspended}: true, {issuance.Active, issuance.Revoked}: true,
		{issuance.Suspended, issuance.Active}: true, {issuance.Suspended, issuance.Revoked}: true,
	}
	n := 0
	for _, from := range states {
		for _, to := range append(states, "forgiven") {
			t.Run(string(from)+" to "+string(to), func(t *testing.T) {
				n++
				c := cred(n)
				put(t, s, c, from)
				at, reason := now.Add(time.Minute), issuance.Requested
				if to == issuance.Active {
					reason = issuance.NoReason
				}
				var got issuance.Credential
				err := s.Write(t.Context(), func(tx issuance.Tx) (err error) {
					got, err = tx.Change(c.ID, to, reason, at)
					return err
				})
				switch {
				case legal[[2]issuance.State{from, to}]:
					if err != nil {
						t.Fatal(err)
					}
					if got.State != to || got.Reason != reason || !got.Changed.Equal(at) {
						t.Errorf("Change returned %s, %q, %v", got.State, got.Reason, got.Changed)
					}
					stored, err := s.Credential(t.Context(), c.ID)
					if err != nil {
						t.Fatal(err)
					}
					same(t, "what is stored", stored, got)
				case from == issuance.Revoked:
					wantErr(t, "Change", err, issuance.ErrFinal)
					wantState(t, s, c.ID, from)
				default:
					wantErr(t, "Change", err, issuance.ErrState)
					wantState(t, s, c.ID, from)
				}
			})
		}
	}
	wantErr(t, "Change of nothing", change(s, "nobody", issuance.Revoked, issuance.Lost, now), issuance.ErrNoCredential)
	t.Run("the time of a change does not go back", func(t *testing.T) {
		c := cred(500)
		issue(t, s, c)
		if err := change(s, c.ID, issuance.Suspended, issuance.Investigation, now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := change(s, c.ID, issuance.Active, issuance.NoReason, now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		got, err := s.Credential(t.Context(), c.ID)
		if err != nil || got.Changed.Before(now.Add(time.Hour)) {
			t.Errorf("changed at %v, %v", got.Changed, err)
		}
	})
}

// put stores a credential and brings it into a state.
func put(t testing.TB, s issuance.Store, c issuance.Credential, state issuance.State) {
	t.Helper()
	write(t, s, func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{c}) })
	if state == issuance.Active || state == issuance.Suspended {
		write(t, s, func(tx issuance.Tx) error { return tx.Complete([]issuance.Mark{mark(c)}, now) })
	}
	var err error
	switch state {
	case issuance.Suspended:
		err = change(s, c.ID, state, issuance.Investigation, now)
	case issuance.Revoked:
		err = change(s, c.ID, state, issuance.Lost, now)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func testHeld(t *testing.T, sub Subject) {
	s := office(t, sub)
	write(t, s, func(tx issuance.Tx) error { return tx.SaveBatch(newBatch("batch-1")) })
	put(t, s, cred(1), issuance.Intended)
	put(t, s, full(2), issuance.Active)
	put(t, s, cred(3), issuance.Suspended)
	put(t, s, cred(4), issuance.Revoked)
	many := cred(5)
	many.Many = true
	put(t, s, many, issuance.Active)
	records := []issuance.Pseudonym{}
	for n := range 1500 { // more than one chunk, most of them unknown
		records = append(records, digest("record", n))
	}
	want := map[issuance.Pseudonym]issuance.Holding{
		records[1]: {ID: id(1), State: issuance.Intended},
		records[2]: {ID: id(2), State: issuance.Active, Batch: "batch-1", Row: 2, Expires: full(2).Expires},
		records[3]: {ID: id(3), State: issuance.Suspended},
	}
	for programme, want := range map[string]map[issuance.Pseudonym]issuance.Holding{program: want, "other": {}} {
		write(t, s, func(tx issuance.Tx) error {
			got, err := tx.Held(programme, records)
			same(t, "Held", got, want)
			return err
		})
	}
	write(t, s, func(tx issuance.Tx) error {
		got, err := tx.Held(program, nil)
		same(t, "Held of nothing", got, map[issuance.Pseudonym]issuance.Holding{})
		return err
	})
}

func testRedeemed(t *testing.T, sub Subject) {
	s := office(t, sub)
	write(t, s, func(tx issuance.Tx) error { return tx.SaveBatch(newBatch("batch-1")) })
	issue(t, s, full(1), cred(2))
	if err := change(s, id(1), issuance.Revoked, issuance.Lost, now); err != nil {
		t.Fatal(err)
	}
	write(t, s, func(tx issuance.Tx) error {
		c, err := tx.Redeemed(full(1).Idempotency)
		if err != nil {
			return err
		}
		if c.ID != id(1) || c.State != issuance.Revoked {
			t.Errorf("Redeemed: %s, %s", c.ID, c.State)
		}
		// Not to find anything is an answer, not the end of the transaction.
		for _, key := range [][32]byte{digest("idempotency", 7), {}} {
			_, err := tx.Redeemed(key)
			wantErr(t, "Redeemed", err, issuance.ErrNoCredential)
		}
		return tx.Intend([]issuance.Credential{cred(3)})
	})
	wantState(t, s, id(3), issuance.Intended)
}
