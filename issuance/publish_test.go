package issuance_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

const day = 24 * time.Hour

// trustRequest is what the office of these tests says of itself. The first call
// makes a root and a bundle key.
func (b *bed) trustRequest() issuance.TrustRequest {
	b.Helper()
	r := issuance.TrustRequest{
		Names: map[string]string{"en": "Office of Records"}, Country: "XA", Jurisdiction: "XA",
		RefreshAfter: 7 * day, OldAfter: 30 * day, Actor: "tester",
	}
	if p, err := b.store.Publication(b.Context(), issuance.TrustName); err != nil || p.Number > 0 {
		return r
	}
	var signers []keys.Signer
	for _, p := range []keys.Purpose{keys.TrustRoot, keys.TrustBundle} {
		k, err := b.service.FirstKey(b.Context(), keys.Spec{Purpose: p, Created: b.clock.Now()}, "tester")
		if err != nil {
			b.Fatal(err)
		}
		s, err := b.ring.Signer(b.Context(), k.ID())
		if err != nil {
			b.Fatal(err)
		}
		signers = append(signers, s)
	}
	now := b.clock.Now()
	root := trust.Root{
		Version: 1, Issued: now, Expires: now.AddDate(9, 0, 0), Keys: []keys.PublicKey{signers[0].Key().Public}, Threshold: 1,
		BundleKeys: []keys.PublicKey{signers[1].Key().Public}, BundleThreshold: 1,
	}
	var err error
	if r.Roots, err = trust.SignRoot(rand.Reader, nil, root, signers[:1], now); err != nil {
		b.Fatal(err)
	}
	r.BundleKeys = root.BundleKeys
	return r
}

// publish makes the next bundle and opens it.
func (b *bed) publish() *trust.Bundle {
	b.Helper()
	p, err := b.service.PublishTrust(b.Context(), b.trustRequest())
	if err != nil {
		b.Fatal(err)
	}
	bundle, err := trust.Open(p.Content)
	if err != nil {
		b.Fatal(err)
	}
	if bundle.Version != p.Number {
		b.Errorf("publication %d is bundle %d", p.Number, bundle.Version)
	}
	return bundle
}

// slotValue is what a bundle says about the first form of a credential.
func slotValue(t testing.TB, b *trust.Bundle, c issuance.Credential) byte {
	t.Helper()
	slot := c.Forms[0].Slot
	list, _, ok := b.StatusList(slot.List)
	if !ok {
		t.Fatalf("the bundle has no list %s", slot.List)
	}
	v, err := list.Get(slot.Index)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPublishTrust(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store)
		good, lost, paused := b.issue(1).Credential, b.issue(2).Credential, b.issue(3).Credential
		first := b.publish()
		if got := first.KeysFor("xa-office", nil); len(got) != 1 || !got[0].Equal(b.ring.keys[0].Public) {
			t.Errorf("keys of the issuer: %v", got)
		}
		typ, ok := first.Type("urn:xa:farmer:1")
		if !ok || typ.Policy != "farmer-card/1" || typ.FreshFor != 7*day {
			t.Errorf("the farmer type: %+v, %t", typ, ok)
		}
		if _, k, ok := first.IssuerKey(b.ring.keys[0].Public); !ok || !k.MaySign("urn:xa:farmer:1") || !k.MaySign("urn:xa:receipt:1") {
			t.Errorf("the key in the bundle: %+v, %t", k, ok)
		}
		for _, c := range []issuance.Credential{good, lost, paused} {
			if v := slotValue(t, first, c); v != status.Valid {
				t.Errorf("before any change a slot says %d", v)
			}
		}
		if _, err := b.service.Revoke(t.Context(), lost.ID, issuance.Lost, "tester"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.service.Suspend(t.Context(), paused.ID, issuance.Investigation, "tester"); err != nil {
			t.Fatal(err)
		}
		b.clock.Add(time.Hour)
		second := b.publish()
		if second.Previous != first.Hash() || second.Version != 2 || !second.AsOf.Equal(start.Add(time.Hour)) {
			t.Errorf("the second bundle is version %d of %s", second.Version, second.AsOf)
		}
		for c, want := range map[string]byte{good.ID: status.Valid, lost.ID: status.Invalid, paused.ID: status.Suspended} {
			stored, err := store.Credential(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if v := slotValue(t, second, stored); v != want {
				t.Errorf("%s %s: the slot says %d, want %d", stored.State, stored.Reason, v, want)
			}
		}
		if p, err := store.Publication(t.Context(), issuance.TrustName); err != nil || p.Number != 2 {
			t.Errorf("stored publication: %d, %v", p.Number, err)
		}
	})
}

func TestPublishTrustRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(b *bed, r *issuance.TrustRequest)
		want  error
	}{
		{"P07 the clock has gone back", func(b *bed, _ *issuance.TrustRequest) { b.clock.Add(-time.Hour) }, issuance.ErrClock},
		{"no bundle key", func(b *bed, _ *issuance.TrustRequest) {
			for i, k := range b.ring.keys {
				if k.Purpose == keys.TrustBundle {
					b.ring.keys[i].State = keys.Retired
				}
			}
		}, keys.ErrNotActive},
		{"KEY-08 the root names a credential key", func(b *bed, r *issuance.TrustRequest) {
			r.BundleKeys = []keys.PublicKey{b.ring.keys[0].Public}
			r.Roots = [][]byte{nil}
		}, keys.ErrNoKey},
		{"no English name", func(_ *bed, r *issuance.TrustRequest) { r.Names = nil }, trust.ErrContent},
		{"an edit that fails", func(_ *bed, r *issuance.TrustRequest) {
			r.Edit = func(c trust.Content) (trust.Content, error) { return c, errDisk }
		}, errDisk},
		{"the store fails", func(b *bed, _ *issuance.TrustRequest) {
			b.store.(*memory).fault = func(int) (error, bool) { return errDisk, false }
		}, errDisk},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory()
			b := newBed(t, m)
			b.clock.Add(2 * time.Hour)
			b.publish()
			r := b.trustRequest()
			events := len(m.events)
			tt.spoil(b, &r)
			if p, err := b.service.PublishTrust(t.Context(), r); !errors.Is(err, tt.want) || p.Content != nil {
				t.Errorf("PublishTrust: %v, want %v", err, tt.want)
			}
			if p := m.published[issuance.TrustName]; p.Number != 1 || len(m.events) != events {
				t.Errorf("it left publication %d and %d events", p.Number, len(m.events)-events)
			}
		})
	}
	t.Run("nothing to begin with", func(t *testing.T) {
		b := newBed(t, newMemory())
		if _, err := b.service.PublishTrust(t.Context(), issuance.TrustRequest{Names: map[string]string{"en": "x"}}); !errors.Is(err, issuance.ErrNoRoot) {
			t.Errorf("PublishTrust: %v, want ErrNoRoot", err)
		}
	})
}

// TestPublishersRace is P05 and P07: two publishers and a revoker at once.
// Versions and dates only go up, and what was acknowledged before a publication
// began is in it.
func TestPublishersRace(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store, func(c *issuance.Config) { c.ListSize = 1024 })
		var creds []issuance.Credential
		for n := 1; n <= 60; n++ {
			creds = append(creds, b.issue(n).Credential)
		}
		b.publish()
		var mu sync.Mutex
		revoked := map[string]bool{}
		acknowledged := func() []string {
			mu.Lock()
			defer mu.Unlock()
			var ids []string
			for id := range revoked {
				ids = append(ids, id)
			}
			return ids
		}
		type publication struct {
			issuance.Publication
			must []string
		}
		var published []publication
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, c := range creds {
				if _, err := b.service.Revoke(t.Context(), c.ID, issuance.Withdrawn, "tester"); err != nil {
					t.Errorf("Revoke: %v", err)
				}
				mu.Lock()
				revoked[c.ID] = true
				mu.Unlock()
			}
		})
		request := b.trustRequest()
		for range 2 {
			wg.Go(func() {
				for range 12 {
					must := acknowledged()
					p, err := b.service.PublishTrust(t.Context(), request)
					if err != nil {
						t.Errorf("PublishTrust: %v", err)
						return
					}
					mu.Lock()
					published = append(published, publication{p, must})
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		slices.SortFunc(published, func(a, b publication) int { return int(a.Number) - int(b.Number) })
		byID := map[string]issuance.Credential{}
		for _, c := range creds {
			byID[c.ID] = c
		}
		for i, p := range published {
			if p.Number != uint64(i+2) || i > 0 && p.IssuedAt.Before(published[i-1].IssuedAt) {
				t.Errorf("P07: publication %d of %s comes after %d", p.Number, p.IssuedAt, i+1)
			}
			bundle, err := trust.Open(p.Content)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range p.must {
				if slotValue(t, bundle, byID[id]) != status.Invalid {
					t.Errorf("P05: bundle %d does not show that %s is revoked", p.Number, id)
				}
			}
		}
	})
}

func TestPublishStatus(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store)
		lost := b.issue(1).Credential
		r := issuance.StatusRequest{Lifetime: 7 * day, TTL: 12 * time.Hour, Actor: "tester"}
		if _, err := b.service.PublishStatus(t.Context(), r); !errors.Is(err, keys.ErrNoKey) {
			t.Errorf("KEY-08: without a key for status lists: %v", err)
		}
		k, err := b.service.FirstKey(t.Context(), keys.Spec{Purpose: keys.StatusList}, "tester")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.service.Revoke(t.Context(), lost.ID, issuance.Lost, "tester"); err != nil {
			t.Fatal(err)
		}
		published, err := b.service.PublishStatus(t.Context(), r)
		if err != nil || len(published) != 2 {
			t.Fatalf("PublishStatus: %d lists, %v", len(published), err)
		}
		for i, p := range published {
			info, err := status.VerifyToken(p.Content, status.Expect{URI: p.Name, Now: start, Keys: []keys.PublicKey{k.Public}})
			if err != nil {
				t.Fatal(err)
			}
			slot := lost.Forms[i].Slot
			if v, err := info.List.Get(slot.Index); v != status.Invalid || err != nil || p.Name != slot.List {
				t.Errorf("list %s: slot %d says %d, %v", p.Name, slot.Index, v, err)
			}
		}
		b.clock.Add(time.Minute)
		again, err := b.service.PublishStatus(t.Context(), r)
		if err != nil || again[0].Number != 2 || !again[0].IssuedAt.After(published[0].IssuedAt) {
			t.Errorf("the next one: %+v, %v", again[0].Number, err)
		}
		b.clock.Add(-time.Hour)
		if _, err := b.service.PublishStatus(t.Context(), r); !errors.Is(err, issuance.ErrClock) {
			t.Errorf("P07: with the clock put back: %v", err)
		}
	})
}

// TestRotation publishes the next key, lets it sign when its time has come, and
// keeps the old one listed.
func TestRotation(t *testing.T) {
	m := newMemory()
	b := newBed(t, m)
	old := b.issue(1)
	b.publish()
	rotate := func() keys.Rotation {
		t.Helper()
		r, err := b.service.RotateKey(t.Context(), keys.Spec{Purpose: keys.Credential}, 7*day, "tester")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	b.clock.Add(time.Hour)
	if r := rotate(); r.Step != keys.StepGenerate || r.Next.State != keys.Planned {
		t.Fatalf("the first visit: %+v", r)
	}
	if r := rotate(); r.Step != keys.StepPublish {
		t.Errorf("before it is published: %+v", r)
	}
	b.clock.Add(time.Hour)
	bundle := b.publish()
	if got := bundle.KeysFor("xa-office", nil); len(got) != 2 {
		t.Errorf("the bundle has %d keys, want the planned one too", len(got))
	}
	if r := rotate(); r.Step != keys.StepWait || !r.Ready.Equal(start.Add(2*time.Hour+7*day)) {
		t.Errorf("before its time: %+v", r)
	}
	if i := b.issue(2); i.Credential.Forms[0].Key != old.Credential.Forms[0].Key {
		t.Error("the new key signs already")
	}
	b.clock.Add(8 * day)
	if r := rotate(); r.Step != keys.StepActivate {
		t.Errorf("when its time has come: %+v", r)
	}
	i := b.issue(3)
	if i.Credential.Forms[0].Key == old.Credential.Forms[0].Key {
		t.Error("the old key signs still")
	}
	bundle = b.publish()
	for _, c := range []issuance.Issued{old, i} {
		k := c.Credential.Forms[0].Key
		if len(bundle.KeysFor("xa-office", k.Bytes())) != 1 {
			t.Errorf("P19: key %s is not in the bundle", k)
		}
	}
	var kinds []string
	for _, e := range m.events {
		if strings.HasPrefix(string(e.Kind), "key.") && e.Time.After(start) {
			kinds = append(kinds, strings.TrimPrefix(string(e.Kind), "key.")+" "+e.Detail)
		}
	}
	want := []string{
		"generated credential: requested", "generated credential: done",
		"activated credential: requested", "activated credential: done",
		"retired credential: requested", "retired credential: done",
	}
	if !slices.Equal(kinds, want) {
		t.Errorf("the log has %q, want %q", kinds, want)
	}
}

// TestCompromise: after a theft the key signs no more, the lists are sealed, the
// next bundle says which slots were given out, and issuing goes on with another
// key and other lists.
func TestCompromise(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store)
		old := b.issue(1).Credential
		b.publish()
		b.clock.Add(day)
		id := old.Forms[0].Key
		k, err := b.service.CompromiseKey(t.Context(), id, start.Add(time.Hour), "tester")
		if err != nil || k.State != keys.Compromised {
			t.Fatalf("CompromiseKey: %s, %v", k.State, err)
		}
		if _, err := b.service.CompromiseKey(t.Context(), id, start.Add(time.Hour), "tester"); err != nil {
			t.Errorf("again: %v", err)
		}
		if _, err := b.service.Issue(t.Context(), issuance.Request{Programme: "farmer-card", Record: person(2), Actor: "tester"}); !errors.Is(err, keys.ErrNoKey) {
			t.Errorf("it signs still: %v", err)
		}
		for range 2 { // make one, publish it, activate it at once
			if _, err := b.service.RotateKey(t.Context(), keys.Spec{Purpose: keys.Credential}, 0, "tester"); err != nil {
				t.Fatal(err)
			}
			b.publish()
		}
		next := b.issue(2).Credential
		if next.Forms[0].Key == id || next.Forms[0].Slot.List == old.Forms[0].Slot.List {
			t.Error("the new credential has the old key or list")
		}
		bundle := b.publish()
		if _, k, ok := bundle.IssuerKey(b.ring.keys[0].Public); !ok || !k.CompromisedSince.Equal(start.Add(time.Hour)) {
			t.Errorf("the bundle says of the key: %+v", k)
		}
		issued, ok := bundle.IssuedSlots(old.Forms[0].Slot.List)
		if !ok {
			t.Fatal("the bundle does not say which slots were given out")
		}
		given := 0
		for i := range issued.Size() {
			if v, _ := issued.Get(i); v == 1 {
				given++
			}
		}
		if v, _ := issued.Get(old.Forms[0].Slot.Index); v != 1 || given != 1 {
			t.Errorf("%d slots were given out, ours: %d", given, v)
		}
		if _, ok := bundle.IssuedSlots(next.Forms[0].Slot.List); ok {
			t.Error("the open list is sealed too")
		}
		if _, err := b.service.CompromiseKey(t.Context(), keys.ID{1}, start, "tester"); !errors.Is(err, keys.ErrNoKey) {
			t.Errorf("an unknown key: %v", err)
		}
	})
}

// TestKeyChangesAreAudited is P08 for keys: without the log nothing happens.
func TestKeyChangesAreAudited(t *testing.T) {
	m := newMemory()
	b := newBed(t, m)
	m.fault = func(int) (error, bool) { return errDisk, false }
	id := b.ring.keys[0].ID()
	spec := keys.Spec{Purpose: keys.StatusList, Created: start}
	acts := map[string]func() error{
		"first key":  func() error { _, err := b.service.FirstKey(t.Context(), spec, "tester"); return err },
		"rotate":     func() error { _, err := b.service.RotateKey(t.Context(), spec, 0, "tester"); return err },
		"retire":     func() error { _, err := b.service.RetireKey(t.Context(), id, "tester"); return err },
		"compromise": func() error { _, err := b.service.CompromiseKey(t.Context(), id, start, "tester"); return err },
	}
	for name, act := range acts {
		if err := act(); !errors.Is(err, errDisk) {
			t.Errorf("P08 %s: %v, want %v", name, err, errDisk)
		}
	}
	if len(b.ring.keys) != 1 || b.ring.keys[0].State != keys.Active {
		t.Errorf("P08: there are %d keys, the first is %s", len(b.ring.keys), b.ring.keys[0].State)
	}
}

// TestContributionStays: what an edit merges is in the next bundles as well.
func TestContributionStays(t *testing.T) {
	b := newBed(t, newMemory())
	r := b.trustRequest()
	r.Edit = func(c trust.Content) (trust.Content, error) {
		c.Messages = append(c.Messages, trust.Message{ID: "m1", Text: map[string]string{"en": "Cards are being replaced."}})
		c.Issuers = append(c.Issuers, trust.Issuer{ID: "xa-other", Names: map[string]string{"en": "Another office"}})
		return c, nil
	}
	if _, err := b.service.PublishTrust(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	bundle := b.publish()
	if _, ok := bundle.Issuer("xa-other"); !ok || len(bundle.Messages) != 1 || len(bundle.Issuers) != 2 {
		t.Errorf("the next bundle has %d issuers and %d messages", len(bundle.Issuers), len(bundle.Messages))
	}
	var kinds []audit.Kind
	for _, e := range b.store.(*memory).events {
		if e.Kind == audit.TrustPublished {
			kinds = append(kinds, e.Kind)
		}
	}
	if len(kinds) != 2 {
		t.Errorf("%d entries about bundles", len(kinds))
	}
}

// TestPublishPart makes the part that another office merges into its bundle.
func TestPublishPart(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store)
		lost := b.issue(1).Credential
		r := issuance.TrustRequest{Names: map[string]string{"en": "Office of Records"}, Country: "XA", Actor: "tester"}
		if _, err := b.service.PublishPart(t.Context(), r); !errors.Is(err, keys.ErrNoKey) {
			t.Errorf("without a bundle key: %v", err)
		}
		k, err := b.service.FirstKey(t.Context(), keys.Spec{Purpose: keys.TrustBundle}, "tester")
		if err != nil {
			t.Fatal(err)
		}
		for n := uint64(1); n <= 2; n++ {
			b.clock.Add(time.Minute)
			p, err := b.service.PublishPart(t.Context(), r)
			if err != nil || p.Number != n {
				t.Fatalf("PublishPart: number %d, %v", p.Number, err)
			}
			part, err := trust.OpenContribution(p.Content, k.Public)
			if err != nil {
				t.Fatal(err)
			}
			if part.Version != n || part.Issuer.ID != "xa-office" || len(part.Issuer.Keys) != 1 || len(part.Types) != 2 || len(part.Status) != 2 {
				t.Errorf("the part: version %d of %q with %d keys, %d types, %d lists",
					part.Version, part.Issuer.ID, len(part.Issuer.Keys), len(part.Types), len(part.Status))
			}
			list, err := part.Status[0].Open(0)
			if err != nil {
				t.Fatal(err)
			}
			if v, _ := list.Get(lost.Forms[0].Slot.Index); v != byte(n-1) {
				t.Errorf("part %d says %d of the credential", n, v)
			}
			if _, err := b.service.Revoke(t.Context(), lost.ID, issuance.Lost, "tester"); err != nil && n == 1 {
				t.Fatal(err)
			}
		}
	})
}
