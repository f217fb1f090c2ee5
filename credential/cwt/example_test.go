package cwt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
)

// trustList is what package trust does, in short.
type trustList map[string]keys.PublicKey

// KeysFor implements cwt.IssuerKeys.
func (l trustList) KeysFor(issuer string, _ []byte) []keys.PublicKey {
	if key, ok := l[issuer]; ok {
		return []keys.PublicKey{key}
	}
	return nil
}

func Example() {
	now := time.Date(2026, 11, 12, 8, 0, 0, 0, time.UTC)
	signer, err := exampleSigner(now)
	if err != nil {
		fmt.Println(err)
		return
	}

	// The issuer: fix the bytes, store their hash, sign, look at the own work.
	draft, err := cwt.NewDraft(cwt.Token{
		Issuer: "agri.xx", Type: "urn:xx:farmer:1", IssuedAt: now, Expires: now.AddDate(3, 0, 0),
		Person: map[int64]any{1: "F-1234567", 4: "Juma Mwangi Kamau"},
		Fields: map[int64]any{1: "Maize"},
	}, signer.Key().Public)
	if err != nil {
		fmt.Println(err)
		return
	}
	hash := draft.Hash()
	token, err := draft.Sign(rand.Reader, signer, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := cwt.Check(token, signer.Key().Public, hash); err != nil {
		fmt.Println(err)
		return
	}
	text, err := qr.Encode(token)
	if err != nil {
		fmt.Println(err)
		return
	}

	// The verifier, who has seen the text of the code and trusts the issuer.
	message, err := qr.Decode(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := cwt.Verify(message, cwt.Expect{Keys: trustList{"agri.xx": signer.Key().Public}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(v.Type, v.Issuer, v.Expires.Format(time.DateOnly))
	for _, c := range v.Person {
		fmt.Println(c.Name, c.Value)
	}
	// Output:
	// urn:xx:farmer:1 agri.xx 2029-11-12
	// id F-1234567
	// fullName Juma Mwangi Kamau
}

// exampleSigner stands in for a keystore.
func exampleSigner(now time.Time) (keys.Signer, error) {
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	public, err := keys.NewPublicKey(keys.ES256, &secret.PublicKey)
	if err != nil {
		return nil, err
	}
	return keys.NewSigner(keys.Key{
		Public: public, Purpose: keys.Credential, State: keys.Active,
		Created: now.AddDate(0, -2, 0), Published: now.AddDate(0, -2, 0),
		SignFrom: now.AddDate(0, -1, 0), SignUntil: now.AddDate(1, 0, 0), VerifyUntil: now.AddDate(30, 0, 0),
	}, secret)
}
