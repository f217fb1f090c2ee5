package issuance_test

import (
	"cmp"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

// licence is a programme with a code and a wallet form.
const licence = `
id: licence
version: 1
type: urn:xa:licence:1
labels: {en: Licence, fr: Permis}
languages: [en, fr]
records: {id_column: id}
validity: {for: 5y}
status: {suspend: true}
freshness: {fresh_for: 7d, old_after: 30d}
person_check: other_id
photo: {policy: none}
claims:
  - {name: name, labels: {en: Name, fr: Nom}, type: text, person: fullName, from: name, required: true}
  - {name: birth_date, labels: {en: Date of birth, fr: Date de naissance}, type: date, person: dateOfBirth, from: born}
  - {name: village, labels: {en: Village, fr: Village}, type: text, key: 1, from: village}
  - {name: plot, labels: {en: Plot size, fr: Parcelle}, type: number, key: 2, from: plot}
forms:
  qr: {level: M, max_version: 20}
  wallet:
    kind: sd-jwt
    vct: https://registry.example.org/type/licence/1
    disclosure: {village: always, plot: never}
    decoys: 3
    copies: 8
    validity: {for: 1y}
`

// issuerURL is by what wallet forms name the issuer of the tests.
const issuerURL = "https://registry.example.org"

// newWalletBed is newBed with the licence and an issuer that wallets can find.
func newWalletBed(t testing.TB, store issuance.Store, change ...func(*issuance.Config)) *bed {
	t.Helper()
	withURL := func(c *issuance.Config) { c.URL = issuerURL }
	b := newBed(t, store, append([]func(*issuance.Config){withURL}, change...)...)
	if _, err := b.service.AddProgramme(t.Context(), []byte(licence), "tester"); err != nil {
		t.Fatal(err)
	}
	return b
}

// holderKeys are n keys of a holder, from number first on.
func holderKeys(t testing.TB, first, n int) []keys.PublicKey {
	t.Helper()
	var all []keys.PublicKey
	for i := range n {
		all = append(all, keystest.Signer(t, keys.Holder, keys.ES256, fmt.Sprint("holder ", first+i)).Key().Public)
	}
	return all
}

// delivery asks for copies for record n, for holder keys from first on.
func delivery(t testing.TB, n, first, copies int) issuance.Delivery {
	return issuance.Delivery{Programme: "licence", Record: person(n), Holders: holderKeys(t, first, copies), Actor: "wallets"}
}

// deliver must succeed.
func (b *bed) deliver(d issuance.Delivery) *issuance.Issued {
	b.Helper()
	i, err := b.service.Deliver(b.Context(), d)
	if err != nil {
		b.Fatal(err)
	}
	return i
}

// checkCopies verifies released copies as a wallet does, and against what the store
// says of their credential. It returns them.
func (b *bed) checkCopies(i *issuance.Issued, holders []keys.PublicKey) []*sdjwt.Parsed {
	b.Helper()
	stored, err := b.store.Credential(b.Context(), cmp.Or(i.Part, i.Credential.ID))
	if err != nil {
		b.Fatal(err)
	}
	if len(i.Forms) != len(holders) {
		b.Fatalf("%d copies for %d keys", len(i.Forms), len(holders))
	}
	var all []*sdjwt.Parsed
	for j, f := range i.Forms {
		token := string(f.Token)
		v, err := sdjwt.Verify(token, sdjwt.Expect{Keys: issuerKeys{b.ring}, Now: b.clock.Now(), Binding: sdjwt.BindingRefused})
		if err != nil {
			b.Fatalf("copy %d: %v", j, err)
		}
		if v.Holder == nil || !v.Holder.Equal(holders[j]) {
			b.Errorf("copy %d is bound to another key than was asked for", j)
		}
		var rec *issuance.FormRecord
		for k := range stored.Forms {
			if stored.Forms[k].Signed == sha256.Sum256(f.Token) {
				rec = &stored.Forms[k]
			}
		}
		switch {
		case rec == nil:
			b.Errorf("copy %d is not what was recorded", j)
		case rec.Form != f.Form || v.Status == nil || v.Status.URI != rec.Slot.List || v.Status.Index != rec.Slot.Index:
			b.Errorf("copy %d names slot %v, the record %v of the form %q", j, v.Status, rec.Slot, rec.Form)
		case sdjwt.Check(token, b.ring.publicKey(rec.Key), rec.ToBeSigned) != nil:
			b.Errorf("copy %d is not what was stored before it was signed", j)
		}
		p, err := sdjwt.Parse(token)
		if err != nil {
			b.Fatalf("copy %d: %v", j, err)
		}
		all = append(all, p)
	}
	return all
}

// publicKey is the key with this id.
func (r *ring) publicKey(id keys.ID) keys.PublicKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys {
		if k.ID() == id {
			return k.Public
		}
	}
	return keys.PublicKey{}
}

func TestDeliver(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newWalletBed(t, store, func(c *issuance.Config) {
			c.Chain = func(keys.ID) [][]byte { return [][]byte{[]byte("leaf"), []byte("middle")} }
		})
		d := delivery(t, 1, 0, 3)
		i := b.deliver(d)
		copies := b.checkCopies(i, d.Holders)
		stored, err := store.Credential(t.Context(), i.Credential.ID)
		if err != nil {
			t.Fatal(err)
		}
		if stored.State != issuance.Active || len(stored.Forms) != 3 {
			t.Fatalf("stored %s with %d forms", stored.State, len(stored.Forms))
		}
		p, err := b.service.Programme(t.Context(), "licence", 0)
		if err != nil {
			t.Fatal(err)
		}
		metadata, err := p.TypeMetadata("wallet")
		if err != nil {
			t.Fatal(err)
		}
		for j, c := range copies {
			v := c.Credential
			if v.Type != "https://registry.example.org/type/licence/1" || v.Issuer != issuerURL {
				t.Errorf("copy %d: type %q of %q", j, v.Type, v.Issuer)
			}
			if !v.IssuedAt.Equal(start) || !v.Expires.Equal(start.AddDate(1, 0, 0)) || !stored.Expires.Equal(start.AddDate(5, 0, 0)) {
				t.Errorf("copy %d: valid from %s to %s, its credential to %s", j, v.IssuedAt, v.Expires, stored.Expires)
			}
			if !sdjwt.HasIntegrity(metadata, c.Claims["vct#integrity"].(string)) {
				t.Errorf("copy %d: vct#integrity %v is not of the type's metadata", j, c.Claims["vct#integrity"])
			}
			if len(c.X5C) != 2 {
				t.Errorf("copy %d: %d certificates", j, len(c.X5C))
			}
			if len(c.Disclosures) != 2 || c.Claims["village"] != "Jessore Sadar" || c.Claims["birth_date"] != "1984-04-18" || c.Claims["plot"] != nil {
				t.Errorf("copy %d: disclosures %v, claims %v", j, c.Disclosures, c.Claims)
			}
			if m, err := sdjwt.ParseTypeMetadata(metadata); err != nil {
				t.Error(err)
			} else if err := m.Check(c); err != nil {
				t.Errorf("copy %d: %v", j, err)
			}
		}
		if v := fmt.Sprintf("%v %+v %#v", i.Forms[0], *i, i.Forms); strings.Contains(v, canary) {
			t.Errorf("copies print as %s", v)
		}
	})
}

// OUT-11 and openid/OpenID4VC-HAIP#374: nothing that is different for each
// credential is the same in two copies of a batch, and slots do not follow one another.
func TestCopiesCannotBeLinked(t *testing.T) {
	b := newWalletBed(t, newMemory())
	seen := map[string]int{}
	var slots []uint64
	for n := range 20 {
		d := delivery(t, n+1, 8*n, 8)
		for _, f := range b.deliver(d).Forms {
			parts := strings.Split(strings.TrimSuffix(f.Text, "~"), "~")
			jwt := strings.Split(parts[0], ".")
			for _, part := range append(parts[1:], jwt[1], jwt[2]) {
				seen[part]++
			}
			c, err := sdjwt.Parse(f.Text)
			if err != nil {
				t.Fatal(err)
			}
			for _, digest := range digestsOf(f.Text) {
				seen[digest]++
			}
			slots = append(slots, c.Credential.Status.Index)
			seen[fmt.Sprint(c.Credential.Status)]++
		}
	}
	for part, n := range seen {
		if n > 1 {
			t.Errorf("%.40s stands in %d copies", part, n)
		}
	}
	neighbours := 0
	for i := 1; i < len(slots); i++ {
		if slots[i] == slots[i-1]+1 || slots[i]+1 == slots[i-1] {
			neighbours++
		}
	}
	if neighbours > 3 {
		t.Errorf("%d of %d slots stand beside the one before", neighbours, len(slots))
	}
}

func TestDeliverRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(b *bed, d *issuance.Delivery)
		want  error
	}{
		{"no such programme", func(_ *bed, d *issuance.Delivery) { d.Programme = "none" }, issuance.ErrNoProgramme},
		{"a programme without a wallet form", func(_ *bed, d *issuance.Delivery) { d.Programme = "farmer-card" }, issuance.ErrNoForm},
		{"a form that there is not", func(_ *bed, d *issuance.Delivery) { d.Form = "walet" }, issuance.ErrNoForm},
		{"a code", func(_ *bed, d *issuance.Delivery) { d.Form = "qr" }, issuance.ErrNoForm},
		{"an issuer without a URL", func(b *bed, _ *issuance.Delivery) { b.service = b.open() }, issuance.ErrNoForm},
		{"no key", func(_ *bed, d *issuance.Delivery) { d.Holders = nil }, issuance.ErrHolders},
		{"an empty key", func(_ *bed, d *issuance.Delivery) { d.Holders[1] = keys.PublicKey{} }, issuance.ErrHolders},
		{"OUT-11 one key for two copies", func(_ *bed, d *issuance.Delivery) { d.Holders[1] = d.Holders[0] }, issuance.ErrHolders},
		{"SIG-08 the key of an example", func(b *bed, d *issuance.Delivery) { d.Holders[1] = sampleKey(b, sampleKeys[0]) }, issuance.ErrSampleKey},
		{"more keys than copies", func(b *bed, d *issuance.Delivery) { d.Holders = holderKeys(b, 0, 9) }, issuance.ErrHolders},
		{"a record that lacks a claim", func(_ *bed, d *issuance.Delivery) { d.Record = changed(d.Record, "name", "") }, issuance.ErrRecord},
		{"no key to sign with", func(b *bed, _ *issuance.Delivery) { b.mustRetire(b.ring.keys[0].ID()) }, keys.ErrNoKey},
		{"a signer that flips a bit", func(b *bed, _ *issuance.Delivery) {
			b.ring.wrap = func(s crypto.Signer) crypto.Signer { return failingSigner{s, func() bool { return true }} }
		}, issuance.ErrSelfCheck},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newWalletBed(t, newMemory())
			d := delivery(t, 1, 0, 2)
			tt.spoil(b, &d)
			if i, err := b.service.Deliver(t.Context(), d); !errors.Is(err, tt.want) || i != nil {
				t.Errorf("Deliver: %v, %v, want %v", i, err, tt.want)
			}
			for _, c := range b.all(issuance.Query{}) {
				if c.State != issuance.Revoked {
					t.Errorf("left %s %s behind", c.ID, c.State)
				}
			}
		})
	}
}

// sampleKeys are keys whose private half everybody has.
var sampleKeys = []string{
	`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`,
	`{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`,
	`{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}`,
	`{"kty":"EC","crv":"P-256","x":"TCAER19Zvu3OHF4j4W4vfSVoHIP1ILilDls7vCeGemc","y":"ZxjiWWbZMQGHVWKVQ4hbSIirsVfuecCE6t4jT9F2HZQ"}`,
	`{"kty":"EC","crv":"P-256","x":"b28d4MwZMjw8-00CG4xfnn9SLMVMM19SlqZpVb_uNtQ","y":"Xv5zWwuoaTgdS6hV43yI6gBwTnjukmFQQnJ_kCxzqk8"}`,
	`{"kty":"EC","crv":"P-256","x":"nUWAoAv3XZith8E7i19OdaxOLYFOwM-Z2EuM02TirT4","y":"HskHU8BjUi1U9Xqi7Swmj8gwAK_0xkcDjEW_71SosEY"}`,
	`{"kty":"EC","crv":"P-256","x":"Ze2loSV3wrroKUN_4zhwGhCqo3Xhu1td4QjeQ5wIVR0","y":"HlLtdXARY_f55A3fnzQbPcm6hgr34Mp8p-nuzQCE0Zw"}`,
	`{"kty":"EC","crv":"P-256","x":"YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y","y":"eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk"}`,
	`{"kty":"EC","crv":"P-256","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}`,
	`{"kty":"EC","crv":"P-256","x":"hVTrJ13Nb70cesZBqiyQ2SAi_Q0wJLWvGMfMYa1Sei0","y":"TceuLGd-ltDMgll2Vc6S1VA_VCk9h4ddHnnOR3AZQ0M"}`,
	`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
	`{"kty":"OKP","crv":"Ed25519","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}`,
	`{"kty":"OKP","crv":"Ed25519","x":"_FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU"}`,
}

func sampleKey(t testing.TB, jwk string) keys.PublicKey {
	t.Helper()
	k, err := keys.ParseJWK([]byte(jwk))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestSampleKeys: SIG-08, each key of the list, whatever else is asked for with it.
func TestSampleKeys(t *testing.T) {
	b := newWalletBed(t, newMemory())
	for _, jwk := range sampleKeys {
		d := delivery(t, 1, 0, 1)
		d.Holders[0] = sampleKey(t, jwk)
		if i, err := b.service.Deliver(t.Context(), d); !errors.Is(err, issuance.ErrSampleKey) || !errors.Is(err, issuance.ErrHolders) {
			t.Errorf("SIG-08 %s: %v, %v", jwk, i, err)
		}
	}
	if n := len(b.all(issuance.Query{})); n != 0 {
		t.Errorf("SIG-08 %d credentials were begun", n)
	}
}

// A wallet form is for a holder's key: neither a single paper nor a batch has it.
func TestPaperHasNoWalletForm(t *testing.T) {
	b := newWalletBed(t, newMemory())
	i, err := b.service.Issue(t.Context(), issuance.Request{Programme: "licence", Record: person(1), Actor: "tester"})
	if err != nil {
		t.Fatal(err)
	}
	if len(i.Forms) != 1 || i.Forms[0].Form != "qr" {
		t.Errorf("issued %v", i.Forms)
	}
	p, err := b.service.Programme(t.Context(), "licence", 0)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(licence, "  qr: {level: M, max_version: 20}\n", "", 1)
	text = strings.Replace(text, "version: 1", fmt.Sprint("version: ", p.Version+1), 1)
	if _, err := b.service.AddProgramme(t.Context(), []byte(text), "tester"); err != nil {
		t.Fatal(err)
	}
	_, err = b.service.Issue(t.Context(), issuance.Request{Programme: "licence", Record: person(2), Actor: "tester"})
	if e, ok := errors.AsType[*issuance.RecordError](err); !ok || e.Code() != issuance.CodeLint {
		t.Errorf("Issue under a programme for wallets only: %v", err)
	}
}

// A lost phone: the new copies take the place of the old credential, all of it.
func TestDeliverSupersedes(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newWalletBed(t, store)
		old := b.deliver(delivery(t, 1, 0, 3))
		b.clock.Add(time.Hour)
		d := delivery(t, 1, 10, 2)
		d.Supersede = true
		i := b.deliver(d)
		b.checkCopies(i, d.Holders)
		if i.Credential.ID == old.Credential.ID || i.Credential.Supersedes != old.Credential.ID {
			t.Errorf("%s supersedes %q, want %s", i.Credential.ID, i.Credential.Supersedes, old.Credential.ID)
		}
		if got := b.state(old.Credential.ID); got != "revoked superseded" {
			t.Errorf("the old credential is %s", got)
		}
	})
}

// digestsOf are the digests in the payload of an SD-JWT.
func digestsOf(sdJWT string) []string {
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(sdJWT, ".")[1])
	if err != nil {
		panic(err)
	}
	var v struct {
		SD []string `json:"_sd"`
	}
	if err := json.Unmarshal(payload, &v); err != nil {
		panic(err)
	}
	return v.SD
}
