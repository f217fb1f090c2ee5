package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// testAbandoned tells what a program that is gone left behind from what the one
// that is there is working on.
func testAbandoned(t *testing.T, sub Subject) {
	if sub.Reopen == nil {
		t.Skip("the store does not outlive its program")
	}
	s := office(t, sub)
	left := func(what string, want ...string) {
		t.Helper()
		for _, q := range []issuance.Query{{State: issuance.Intended, Abandoned: true}, {State: issuance.Intended, Abandoned: true, Programme: program}} {
			same(t, what, ids(all(t, s.Find(t.Context(), q))), want)
		}
	}
	put(t, s, cred(1), issuance.Intended)
	put(t, s, cred(2), issuance.Active)
	left("of a program that is there")
	s = sub.Reopen(t, s)
	put(t, s, cred(3), issuance.Intended)
	put(t, s, cred(4), issuance.Intended)
	left("of the first program", id(1))
	s = sub.Reopen(t, s)
	put(t, s, cred(5), issuance.Intended)
	left("of the first two programs", id(1), id(3), id(4))
	same(t, "all that is abandoned", ids(all(t, s.Find(t.Context(), issuance.Query{Abandoned: true}))), []string{id(1), id(2), id(3), id(4)})
	write(t, s, func(tx issuance.Tx) error { return tx.Complete([]issuance.Mark{mark(cred(3))}, now) })
	if err := change(s, id(1), issuance.Revoked, issuance.Leftover, now); err != nil {
		t.Fatal(err)
	}
	left("what is left of them", id(4))
}

// testFence closes a store for work and opens it again.
func testFence(t *testing.T, sub Subject) {
	if sub.Fence == nil {
		t.Skip("the store cannot be fenced")
	}
	s := office(t, sub)
	issue(t, s, cred(1))
	write(t, s, func(tx issuance.Tx) error { _, err := tx.TakeSlots(kind, 7); return err })
	s = sub.Fence(t, s, true)
	for name, f := range map[string]func(issuance.Tx) error{
		"nothing": func(issuance.Tx) error { return nil },
		"intend":  func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{cred(2)}) },
		"revoke": func(tx issuance.Tx) error {
			_, err := tx.Change(id(1), issuance.Revoked, issuance.Lost, now)
			return err
		},
		"append": func(tx issuance.Tx) error { return tx.Append([]audit.Event{event(audit.CredentialIntended, cred(2))}) },
	} {
		wantErr(t, "Write ("+name+")", s.Write(t.Context(), f), store.ErrFenced)
	}
	wantState(t, s, id(1), issuance.Active)
	s = sub.Fence(t, s, false)
	lists, err := s.Lists(t.Context())
	if err != nil || len(lists) != 1 || lists[0].Closed.IsZero() {
		t.Errorf("the lists are %+v, %v; want one that is closed", lists, err)
	}
	write(t, s, func(tx issuance.Tx) error {
		r, err := tx.TakeSlots(kind, 7)
		same(t, "slots of a closed list", r, issuance.Range{})
		return errors.Join(err, tx.OpenList(issuance.List{URI: "https://sanad.example/status/2", Kind: kind, Size: 100, Opened: now}))
	})
	if err := change(s, id(1), issuance.Suspended, issuance.Investigation, now); err != nil {
		t.Error(err)
	}
	write(t, s, func(tx issuance.Tx) error {
		same(t, "slots of a closed list", all(t, tx.SlotStates(listURI)), []issuance.SlotState{{Index: 1, Value: 2}})
		return tx.SealLists(now.Add(time.Hour)) // a closed list can be sealed
	})
	if lists, err = s.Lists(t.Context()); err != nil || lists[0].Sealed.IsZero() || lists[0].Next != 7 {
		t.Errorf("the lists are %+v, %v", lists, err)
	}
}
