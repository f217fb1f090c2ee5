package cwt_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/keys"
)

var issuedAt = time.Date(2026, 11, 12, 8, 30, 0, 0, time.UTC)

// newSigner returns an active credential key with its signer.
func newSigner(t testing.TB, alg keys.Algorithm) keys.Signer {
	t.Helper()
	return newSignerFor(t, alg, keys.Credential)
}

func newSignerFor(t testing.TB, alg keys.Algorithm, purpose keys.Purpose) keys.Signer {
	t.Helper()
	var secret crypto.Signer
	var err error
	switch alg {
	case keys.EdDSA:
		_, secret, err = ed25519.GenerateKey(rand.Reader)
	case keys.ES384:
		secret, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		secret, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signerOf(t, alg, purpose, secret, issuedAt)
}

// signerOf makes a signer that may sign around the time at.
func signerOf(t testing.TB, alg keys.Algorithm, purpose keys.Purpose, secret crypto.Signer, at time.Time) keys.Signer {
	t.Helper()
	key := keys.Key{
		Purpose: purpose, State: keys.Active,
		Created: at.AddDate(0, -2, 0), Published: at.AddDate(0, -2, 0),
		SignFrom: at.AddDate(0, -1, 0), SignUntil: at.AddDate(1, 0, 0), VerifyUntil: at.AddDate(30, 0, 0),
	}
	var err error
	if key.Public, err = keys.NewPublicKey(alg, secret.Public()); err != nil {
		t.Fatal(err)
	}
	s, err := keys.NewSigner(key, secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// issuers is a trust list of one issuer.
type issuers struct {
	name string
	keys []keys.PublicKey
}

// KeysFor implements cwt.IssuerKeys.
func (i issuers) KeysFor(issuer string, kid []byte) []keys.PublicKey {
	var found []keys.PublicKey
	for _, k := range i.keys {
		id := k.ID()
		if issuer == i.name && (kid == nil || string(kid) == string(id.Bytes())) {
			found = append(found, k)
		}
	}
	return found
}

// anyKey answers every question with the same keys.
type anyKey []keys.PublicKey

// KeysFor implements cwt.IssuerKeys.
func (a anyKey) KeysFor(string, []byte) []keys.PublicKey { return a }

func rejected(t testing.TB, err error, want credential.Reason) {
	t.Helper()
	if got, ok := errors.AsType[*credential.RejectedError](err); !ok || got.Reason != want {
		t.Errorf("got %v, want a rejection for %s", err, want)
	}
}

func mustSign(t testing.TB, token cwt.Token, s keys.Signer) []byte {
	t.Helper()
	d, err := cwt.NewDraft(token, s.Key().Public)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Sign(rand.Reader, s, issuedAt)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
