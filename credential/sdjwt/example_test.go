package sdjwt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/keys"
)

// trustList is what package trust does, in short.
type trustList map[string]keys.PublicKey

// KeysFor implements sdjwt.IssuerKeys.
func (l trustList) KeysFor(issuer string, _ []byte) []keys.PublicKey {
	if key, ok := l[issuer]; ok {
		return []keys.PublicKey{key}
	}
	return nil
}

func Example() {
	now := time.Date(2026, 11, 12, 8, 0, 0, 0, time.UTC)
	issuer, err := exampleSigner(keys.Credential, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	holder, err := exampleSigner(keys.Holder, now)
	if err != nil {
		fmt.Println(err)
		return
	}

	// The issuer: fix the bytes, store their hash, sign, look at the own work.
	holderKey := holder.Key().Public
	draft, err := sdjwt.NewDraft(nil, sdjwt.Token{
		Issuer: "https://agri.example", Type: "urn:xx:farmer:1", IssuedAt: now, Holder: &holderKey,
		Claims: map[string]any{
			"country":    "XX",
			"given_name": sdjwt.Hidden{Value: "Juma"},
			"address":    sdjwt.Hidden{Value: map[string]any{"county": "Nakuru", "ward": sdjwt.Hidden{Value: "Bahati"}}},
		},
	}, issuer.Key().Public)
	if err != nil {
		fmt.Println(err)
		return
	}
	hash := draft.Hash()
	issued, err := draft.Sign(rand.Reader, issuer, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := sdjwt.Check(issued, issuer.Key().Public, hash); err != nil {
		fmt.Println(err)
		return
	}

	// The holder: one claim for one verifier and one request.
	shown, err := sdjwt.Present(issued, sdjwt.Path{"address", "county"})
	if err != nil {
		fmt.Println(err)
		return
	}
	shown, err = sdjwt.Bind(rand.Reader, shown, sdjwt.Proof{Audience: "x509_hash:shop", Nonce: "n-1", IssuedAt: now}, holder)
	if err != nil {
		fmt.Println(err)
		return
	}

	// The verifier.
	v, err := sdjwt.Verify(shown, sdjwt.Expect{
		Keys: trustList{"https://agri.example": issuer.Key().Public}, Now: now.Add(2 * time.Second),
		Binding: sdjwt.BindingRequired, Audience: "x509_hash:shop", Nonce: "n-1", MaxAge: time.Minute,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(v.Type)
	for _, c := range v.Fields {
		fmt.Println(c.Name, c.Value)
	}
	// Output:
	// urn:xx:farmer:1
	// address map[county:Nakuru]
	// country XX
}

func exampleSigner(purpose keys.Purpose, now time.Time) (keys.Signer, error) {
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	public, err := keys.PublicKeyOf(secret.Public())
	if err != nil {
		return nil, err
	}
	return keys.NewSigner(keys.Key{
		Public: public, Purpose: purpose, State: keys.Active,
		Created: now, Published: now, SignFrom: now, SignUntil: now.AddDate(1, 0, 0),
	}, secret)
}
