package storetest

import (
	"testing"

	"github.com/sanad-id/sanad/issuance"
)

// partOf is credential n as a part of credential whole.
func partOf(whole, n int) issuance.Credential {
	c := cred(n)
	c.Record, c.PartOf, c.Many = cred(whole).Record, id(whole), true
	return c
}

// testParts holds parts to the fate of their credential.
func testParts(t *testing.T, sub Subject) {
	s := office(t, sub)
	put(t, s, cred(1), issuance.Active)
	for _, tt := range []struct {
		name  string
		spoil func(c *issuance.Credential)
	}{
		{"of a credential that is not there", func(c *issuance.Credential) { c.PartOf = id(99) }},
		{"of another record's", func(c *issuance.Credential) { c.Record = digest("record", 99) }},
		{"that counts against the rule of one", func(c *issuance.Credential) { c.Many = false }},
	} {
		c := partOf(1, 50)
		tt.spoil(&c)
		if err := s.Write(t.Context(), func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{c}) }); err == nil {
			t.Errorf("there is a part %s", tt.name)
		}
	}
	put(t, s, partOf(1, 2), issuance.Active)
	put(t, s, partOf(1, 3), issuance.Intended)
	put(t, s, partOf(1, 4), issuance.Revoked)
	wantErr(t, "a part of a part", s.Write(t.Context(), func(tx issuance.Tx) error {
		c := partOf(1, 51)
		c.PartOf = id(2)
		return tx.Intend([]issuance.Credential{c})
	}), issuance.ErrState)
	got, err := s.Credential(t.Context(), id(2))
	if err != nil || got.PartOf != id(1) || !got.Many {
		t.Fatalf("stored as a part of %q, %v", got.PartOf, err)
	}
	parts := func() []issuance.Part {
		var found []issuance.Part
		write(t, s, func(tx issuance.Tx) error {
			var err error
			found, err = tx.Parts(id(1))
			return err
		})
		return found
	}
	same(t, "Parts", parts(), []issuance.Part{{ID: id(2), State: issuance.Active}, {ID: id(3), State: issuance.Intended}})
	same(t, "Find", ids(all(t, s.Find(t.Context(), issuance.Query{PartOf: id(1)}))), []string{id(2), id(3), id(4)})
	write(t, s, func(tx issuance.Tx) error {
		held, err := tx.Held(program, []issuance.Pseudonym{cred(1).Record})
		if h := held[cred(1).Record]; len(held) != 1 || h.ID != id(1) {
			t.Errorf("the record holds %+v", held)
		}
		return err
	})

	// Suspended and resumed: parts in force first, then the credential; back the
	// other way.
	wantErr(t, "suspended without its part", change(s, id(1), issuance.Suspended, issuance.Lost, now), issuance.ErrState)
	for _, n := range []int{2, 1} {
		if err := change(s, id(n), issuance.Suspended, issuance.Lost, now); err != nil {
			t.Fatal(err)
		}
	}
	complete := func(n int) error {
		return s.Write(t.Context(), func(tx issuance.Tx) error { return tx.Complete([]issuance.Mark{mark(partOf(1, n))}, now) })
	}
	wantErr(t, "a part completed while its credential is suspended", complete(3), issuance.ErrState)
	wantErr(t, "a part resumed before its credential", change(s, id(2), issuance.Active, issuance.NoReason, now), issuance.ErrState)
	wantErr(t, "a part of a suspended credential", s.Write(t.Context(), func(tx issuance.Tx) error {
		return tx.Intend([]issuance.Credential{partOf(1, 5)})
	}), issuance.ErrState)
	for _, n := range []int{1, 2} {
		if err := change(s, id(n), issuance.Active, issuance.NoReason, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := complete(3); err != nil {
		t.Fatal(err)
	}

	// Left behind: a part ends by itself, its credential stays.
	put(t, s, partOf(1, 6), issuance.Intended)
	if err := change(s, id(6), issuance.Revoked, issuance.Leftover, now); err != nil {
		t.Fatal(err)
	}
	wantState(t, s, id(1), issuance.Active)

	// Revoked: all of it.
	put(t, s, partOf(1, 7), issuance.Intended)
	for _, n := range []int{2, 3, 7} {
		wantErr(t, "revoked without its parts", change(s, id(1), issuance.Revoked, issuance.Lost, now), issuance.ErrState)
		if err := change(s, id(n), issuance.Revoked, issuance.Lost, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := change(s, id(1), issuance.Revoked, issuance.Lost, now); err != nil {
		t.Fatal(err)
	}
	same(t, "Parts", parts(), []issuance.Part(nil))
	wantErr(t, "a part of a revoked credential", s.Write(t.Context(), func(tx issuance.Tx) error {
		return tx.Intend([]issuance.Credential{partOf(1, 8)})
	}), issuance.ErrState)
	write(t, s, func(tx issuance.Tx) error {
		var revoked []uint64
		for slot, err := range tx.SlotStates(listURI) {
			if err != nil {
				return err
			}
			if slot.Value == 1 {
				revoked = append(revoked, slot.Index)
			}
		}
		same(t, "revoked slots", revoked, []uint64{1, 2, 3, 4, 6, 7})
		return nil
	})
}
