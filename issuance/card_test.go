package issuance_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
)

const cardProgramme = `
id: card
version: 1
type: urn:xa:card:1
labels: {en: Card}
languages: [en]
records: {id_column: id}
validity: {for: 5y}
status: {suspend: true}
freshness: {fresh_for: 7d, old_after: 30d}
person_check: other_id
photo: {policy: none}
claims:
  - {name: name, labels: {en: Name}, type: text, person: fullName, from: name, required: true}
  - {name: village, labels: {en: Village}, type: text, key: 1, from: village}
forms:
  qr: {level: M, max_version: 20}
  card: {kind: cwt, disclosure: {village: hidden}, decoys: 1, copies: 3, validity: {for: 1y}}
`

// TestDeliverCards climbs the ladder with cards for a phone: fixed before they are
// signed, checked before they are released, one fate with the credential.
func TestDeliverCards(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store, func(c *issuance.Config) { c.URL = issuerURL })
		if _, err := b.service.AddProgramme(t.Context(), []byte(cardProgramme), "tester"); err != nil {
			t.Fatal(err)
		}
		holders := holderKeys(t, 1, 3)
		issued := b.deliver(issuance.Delivery{Programme: "card", Record: person(1), Holders: holders, Actor: "wallets"})
		stored, err := store.Credential(t.Context(), issued.Credential.ID)
		if err != nil || len(issued.Forms) != 3 || len(stored.Forms) != 3 || stored.State != issuance.Active {
			t.Fatalf("%d copies, stored %+v, %v", len(issued.Forms), stored, err)
		}
		var slots []uint64
		for i, f := range issued.Forms {
			token, err := base64.RawURLEncoding.DecodeString(f.Text)
			if err != nil || string(token) != string(f.Token) {
				t.Fatalf("copy %d: the text is not that of the token: %v", i, err)
			}
			v, err := cwt.Verify(token, cwt.Expect{Keys: issuerKeys{b.ring}})
			if err != nil {
				t.Fatal(err)
			}
			if v.Holder == nil || !v.Holder.Equal(holders[i]) || v.Issuer != "xa-office" || v.Type != "urn:xa:card:1" || v.Withheld != 0 {
				t.Errorf("copy %d: %+v", i, v)
			}
			p, err := cwt.Parse(token)
			if err != nil || len(p.Disclosures) != 2 {
				t.Errorf("copy %d: %v, want the village and a decoy: %v", i, p.Disclosures, err)
			}
			// Recorded before it was signed, and the token as it is, disclosures included.
			if stored.Forms[i].Signed != sha256.Sum256(token) || v.Status.Index != stored.Forms[i].Slot.Index {
				t.Errorf("copy %d is not what was recorded", i)
			}
			slots = append(slots, v.Status.Index)
		}
		slices.Sort(slots)
		if len(slices.Compact(slots)) != 3 {
			t.Errorf("slots %v, want three", slots)
		}
		if _, err := b.service.Deliver(t.Context(), issuance.Delivery{Programme: "card", Record: person(2), Holders: []keys.PublicKey{{}}, Actor: "wallets"}); !errors.Is(err, issuance.ErrHolders) {
			t.Errorf("a card for no key: %v", err)
		}
	})
}

// Another version of a programme may describe its card in other words: what was issued
// states no hash of the description.
func TestCardTypesMayChange(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store, func(c *issuance.Config) { c.URL = issuerURL })
		for _, text := range []string{cardProgramme, strings.NewReplacer("version: 1", "version: 2", "{en: Village}", "{en: Home village}").Replace(cardProgramme)} {
			if _, err := b.service.AddProgramme(t.Context(), []byte(text), "tester"); err != nil {
				t.Error(err)
			}
		}
	})
}
