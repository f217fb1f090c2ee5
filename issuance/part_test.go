package issuance_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/issuance"
)

// paper issues the licence on paper for record n.
func (b *bed) paper(n int) issuance.Credential {
	b.Helper()
	i, err := b.service.Issue(b.Context(), issuance.Request{Programme: "licence", Record: person(n), Actor: "tester"})
	if err != nil {
		b.Fatal(err)
	}
	return i.Credential
}

// slotsOf are what the lists say of all forms of a credential and of its parts.
func (b *bed) slotsOf(id string) []byte {
	b.Helper()
	whole, err := b.store.Credential(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	all := append([]issuance.Credential{whole}, b.all(issuance.Query{PartOf: id})...)
	var values []byte
	err = b.store.Write(b.Context(), func(tx issuance.Tx) error {
		values = nil
		for _, c := range all {
			for _, f := range c.Forms {
				value := byte(status.Valid)
				for s, err := range tx.SlotStates(f.Slot.List) {
					if err != nil {
						return err
					}
					if s.Index == f.Slot.Index {
						value = s.Value
					}
				}
				values = append(values, value)
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return values
}

// One credential with paper first and copies for a wallet later: one id and one fate.
func TestDeliverToPaper(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newWalletBed(t, store)
		paper := b.paper(1)
		b.clock.Add(24 * time.Hour)
		d := delivery(t, 1, 0, 2)
		d.Idempotency = "grant 1"
		i := b.deliver(d)
		if i.Credential.ID != paper.ID || i.Part == "" || i.Part == paper.ID {
			t.Fatalf("delivered %s, part %q, to the holder of %s", i.Credential.ID, i.Part, paper.ID)
		}
		b.checkCopies(i, d.Holders)
		part, err := store.Credential(t.Context(), i.Part)
		if err != nil {
			t.Fatal(err)
		}
		if part.PartOf != paper.ID || part.State != issuance.Active || len(part.Forms) != 2 || part.Record != paper.Record {
			t.Errorf("stored %+v", part)
		}
		if !part.Expires.Equal(paper.Expires) {
			t.Errorf("the part ends %s, its credential %s", part.Expires, paper.Expires)
		}
		again := b.deliver(delivery(t, 1, 2, 1))
		if again.Credential.ID != paper.ID || again.Part == i.Part {
			t.Errorf("the second delivery: %s, part %s", again.Credential.ID, again.Part)
		}

		// P12: the same request makes no second delivery, and names the credential.
		_, err = b.service.Deliver(t.Context(), d)
		if e, ok := errors.AsType[*issuance.RecordError](err); !ok || e.Code() != issuance.CodeRepeated || e.Credential != paper.ID {
			t.Errorf("P12: the same request again: %v", err)
		}
		// A part stands and falls with its credential.
		for _, change := range []func(id string) error{
			func(id string) error {
				_, err := b.service.Revoke(t.Context(), id, issuance.Lost, "tester")
				return err
			},
			func(id string) error {
				_, err := b.service.Suspend(t.Context(), id, issuance.Lost, "tester")
				return err
			},
		} {
			if err := change(i.Part); !errors.Is(err, issuance.ErrPart) {
				t.Errorf("a part changed alone: %v", err)
			}
		}
		if got := b.slotsOf(paper.ID); !slices.Equal(got, []byte{0, 0, 0, 0}) {
			t.Errorf("slots %v, want all valid", got)
		}
		if _, err := b.service.Suspend(t.Context(), paper.ID, issuance.Investigation, "tester"); err != nil {
			t.Fatal(err)
		}
		if got := b.slotsOf(paper.ID); !slices.Equal(got, []byte{2, 2, 2, 2}) {
			t.Errorf("suspended: slots %v", got)
		}
		_, err = b.service.Deliver(t.Context(), delivery(t, 1, 5, 1))
		if e, ok := errors.AsType[*issuance.RecordError](err); !ok || e.Code() != issuance.CodeSuspended || e.Credential != paper.ID {
			t.Errorf("to a suspended credential: %v", err)
		}
		if _, err := b.service.Resume(t.Context(), paper.ID, "tester"); err != nil {
			t.Fatal(err)
		}
		if got := b.slotsOf(paper.ID); !slices.Equal(got, []byte{0, 0, 0, 0}) {
			t.Errorf("resumed: slots %v", got)
		}
		if c, err := b.service.Revoke(t.Context(), paper.ID, issuance.Lost, "tester"); err != nil || c.ID != paper.ID {
			t.Fatalf("revoked %s, %v", c.ID, err)
		}
		if got := b.slotsOf(paper.ID); !slices.Equal(got, []byte{1, 1, 1, 1}) {
			t.Errorf("revoked: slots %v", got)
		}
		// What follows it comes to nothing, now and once the record holds another.
		follow := delivery(t, 1, 5, 1)
		follow.Follows = paper.ID
		ended := func(when string) {
			t.Helper()
			_, err := b.service.Deliver(t.Context(), follow)
			if e, ok := errors.AsType[*issuance.RecordError](err); !ok || e.Code() != issuance.CodeEnded || e.Credential != paper.ID || !errors.Is(err, issuance.ErrFinal) {
				t.Errorf("%s: %v, want that it has ended", when, err)
			}
		}
		ended("after the revocation")
		// The record is free: what comes next is a new credential.
		next := b.deliver(delivery(t, 1, 6, 1))
		if next.Credential.ID == paper.ID || next.Part != "" {
			t.Errorf("after the revocation: %s, part %q", next.Credential.ID, next.Part)
		}
		ended("after another was issued")
		follow.Follows = next.Credential.ID
		if i := b.deliver(follow); i.Credential.ID != next.Credential.ID {
			t.Errorf("follows %s with %s", next.Credential.ID, i.Credential.ID)
		}
		follow.Follows = strings.Repeat("0", 26)
		if _, err := b.service.Deliver(t.Context(), follow); !errors.Is(err, issuance.ErrNoCredential) {
			t.Errorf("following one that never was: %v", err)
		}
	})
}

// A lost phone: the new copies take the place of the credential with all its parts.
func TestSupersedeWithParts(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newWalletBed(t, store)
		paper := b.paper(1)
		b.deliver(delivery(t, 1, 0, 2))
		d := delivery(t, 1, 5, 1)
		d.Supersede = true
		i := b.deliver(d)
		if i.Part != "" || i.Credential.Supersedes != paper.ID {
			t.Errorf("%s supersedes %q, part %q", i.Credential.ID, i.Credential.Supersedes, i.Part)
		}
		if got := b.slotsOf(paper.ID); !slices.Equal(got, []byte{1, 1, 1}) {
			t.Errorf("slots of the old credential: %v", got)
		}
		for _, c := range b.all(issuance.Query{PartOf: paper.ID}) {
			if c.State != issuance.Revoked || c.Reason != issuance.Superseded {
				t.Errorf("its part is %s %s", c.State, c.Reason)
			}
		}
	})
}

// A credential that ends while copies for it are on their way: nothing is released.
func TestRevokedDuringDelivery(t *testing.T) {
	for _, at := range []issuance.Point{issuance.PointAuthorised, issuance.PointIntended, issuance.PointSigned} {
		for _, suspend := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, suspended %t", at, suspend), func(t *testing.T) {
				eachStore(t, func(t *testing.T, store issuance.Store) {
					var end func()
					b := newWalletBed(t, store, func(c *issuance.Config) {
						c.Crash = func(p issuance.Point) {
							if p == at && end != nil {
								f := end
								end = nil
								f()
							}
						}
					})
					paper := b.paper(1)
					end = func() {
						change := b.service.Revoke
						if suspend {
							change = b.service.Suspend
						}
						if _, err := change(t.Context(), paper.ID, issuance.Lost, "tester"); err != nil {
							t.Error(err)
						}
					}
					i, err := b.service.Deliver(t.Context(), delivery(t, 1, 0, 2))
					if at == issuance.PointAuthorised && !suspend {
						if err != nil || i.Credential.ID == paper.ID {
							t.Fatalf("revoked before: %v, %v", i, err)
						}
						return
					}
					if err == nil {
						t.Fatalf("released %v of what ended", i.Forms)
					}
					for _, c := range b.all(issuance.Query{PartOf: paper.ID}) {
						if c.State != issuance.Revoked {
							t.Errorf("left a part %s", c.State)
						}
					}
					if suspend {
						if _, err := b.service.Resume(t.Context(), paper.ID, "tester"); err != nil {
							t.Error(err)
						}
						b.deliver(delivery(t, 1, 3, 1))
					}
				})
			})
		}
	}
}

// P01 and P12: a crash at any point of a delivery leaves a part that was never
// released. The sweeper revokes it alone, its slots are never used again, and the
// credential stays as it was.
func TestDeliveryIsInterrupted(t *testing.T) {
	for _, at := range []issuance.Point{issuance.PointAuthorised, issuance.PointIntended, issuance.PointSigned, issuance.PointMarked} {
		t.Run(string(at), func(t *testing.T) {
			m := newMemory()
			var crash bool
			b := newWalletBed(t, m, func(c *issuance.Config) {
				c.Crash = func(p issuance.Point) {
					if crash && p == at {
						panic("crash")
					}
				}
			})
			paper := b.paper(1)
			crash = true
			func() {
				defer func() {
					if recover() == nil {
						t.Error("no crash")
					}
				}()
				_, _ = b.service.Deliver(t.Context(), delivery(t, 1, 0, 2))
			}()
			crash = false
			m.crash()
			swept, err := b.service.Sweep(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			left := at == issuance.PointIntended || at == issuance.PointSigned
			if (len(swept) == 1) != left {
				t.Errorf("swept %d", len(swept))
			}
			for _, c := range swept {
				if c.PartOf != paper.ID || c.State != issuance.Revoked || c.Reason != issuance.Leftover {
					t.Errorf("swept %+v", c)
				}
			}
			if got := b.state(paper.ID); got != "active " {
				t.Errorf("the credential is %s", got)
			}
			taken := map[issuance.Slot]bool{}
			d := delivery(t, 1, 3, 2)
			b.checkCopies(b.deliver(d), d.Holders)
			for _, c := range b.all(issuance.Query{}) {
				for _, f := range c.Forms {
					if taken[f.Slot] {
						t.Errorf("P04: slot %v twice", f.Slot)
					}
					taken[f.Slot] = true
				}
			}
			if _, err := b.service.Revoke(t.Context(), paper.ID, issuance.Lost, "tester"); err != nil {
				t.Fatal(err)
			}
			if got := b.slotsOf(paper.ID); slices.Contains(got, 0) {
				t.Errorf("slots after the revocation: %v", got)
			}
		})
	}
}

// Every write of a delivery fails in both ways: nothing is released that is not
// recorded, and what is left is revoked without the credential.
func TestEveryWriteOfADeliveryFails(t *testing.T) {
	boom := errors.New("boom")
	for n := 1; n <= 2; n++ {
		for _, stored := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d, stored %t", n, stored), func(t *testing.T) {
				m := newMemory()
				b := newWalletBed(t, m)
				paper := b.paper(1)
				first := m.writes
				m.fault = func(w int) (error, bool) {
					if w == first+n {
						return boom, stored
					}
					return nil, false
				}
				i, err := b.service.Deliver(t.Context(), delivery(t, 1, 0, 2))
				m.fault = nil
				if released := err == nil; released != (n == 2 && stored) {
					t.Fatalf("Deliver: %v", err)
				}
				if err == nil {
					b.checkCopies(i, holderKeys(t, 0, 2))
				}
				m.crash()
				if _, err := b.service.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, c := range b.all(issuance.Query{PartOf: paper.ID}) {
					if (c.State == issuance.Active) != (i != nil) {
						t.Errorf("a part is %s", c.State)
					}
				}
				if got := b.state(paper.ID); got != "active " {
					t.Errorf("the credential is %s", got)
				}
			})
		}
	}
}

// P08: the log says of each part what it belongs to, and each change of all of them.
func TestPartsAreAudited(t *testing.T) {
	m := newMemory()
	b := newWalletBed(t, m)
	paper := b.paper(1)
	i := b.deliver(delivery(t, 1, 0, 2))
	if _, err := b.service.Revoke(t.Context(), paper.ID, issuance.Lost, "tester"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range m.events {
		name := map[string]string{paper.ID: "paper", i.Part: "part"}[e.Credential]
		if name == "" {
			continue
		}
		got = append(got, fmt.Sprintf("%s %s %d %s", name, e.Kind, len(e.Slots), e.Detail))
	}
	want := []string{
		"paper " + string(audit.CredentialIntended) + " 1 ", "paper " + string(audit.CredentialSigned) + " 0 ",
		"part " + string(audit.CredentialIntended) + " 2 " + issuance.BelongsTo + paper.ID, "part " + string(audit.CredentialSigned) + " 2 ",
		"part " + string(audit.CredentialRevoked) + " 2 ", "paper " + string(audit.CredentialRevoked) + " 1 ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log says\n%q\nwant\n%q", got, want)
	}
}
