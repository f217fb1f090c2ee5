package trust_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

// now is the time of every test: six in the morning of a Thursday.
var now = time.Date(2026, 11, 12, 6, 0, 0, 0, time.UTC)

// days is n days after now.
func days(n int) time.Time { return now.AddDate(0, 0, n) }

// newSigner makes a key that may sign for this purpose for years to come.
func newSigner(t testing.TB, p keys.Purpose) keys.Signer {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signerOf(t, p, private)
}

func newEdSigner(t testing.TB, p keys.Purpose) keys.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signerOf(t, p, private)
}

func signerOf(t testing.TB, p keys.Purpose, private crypto.Signer) keys.Signer {
	t.Helper()
	public, err := keys.PublicKeyOf(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	s, err := keys.NewSigner(keys.Key{
		Public: public, Purpose: p, State: keys.Active, Created: days(-60), Published: days(-60),
		SignFrom: days(-30), SignUntil: days(365 * 80),
	}, private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newSigners(t testing.TB, p keys.Purpose, n int) []keys.Signer {
	t.Helper()
	var out []keys.Signer
	for range n {
		out = append(out, newSigner(t, p))
	}
	return out
}

func publicKeys(signers []keys.Signer) []keys.PublicKey {
	var out []keys.PublicKey
	for _, s := range signers {
		out = append(out, s.Key().Public)
	}
	return out
}

// A country has all the keys: two of three root keys make a root, two of three
// bundle keys a bundle. The civil registry signs birth certificates, the ministry
// farmer cards.
type country struct {
	rootKeys, bundleKeys []keys.Signer
	root                 trust.Root
	chain                [][]byte
	registry, ministry   keys.Signer
}

func newCountry(t testing.TB) *country {
	t.Helper()
	c := &country{
		rootKeys: newSigners(t, keys.TrustRoot, 3), bundleKeys: newSigners(t, keys.TrustBundle, 3),
		registry: newSigner(t, keys.Credential), ministry: newEdSigner(t, keys.Credential),
	}
	c.root = trust.Root{
		Version: 1, Issued: days(-10), Expires: now.AddDate(10, 0, 0),
		Keys: publicKeys(c.rootKeys), Threshold: 2, BundleKeys: publicKeys(c.bundleKeys), BundleThreshold: 2,
	}
	chain, err := trust.SignRoot(rand.Reader, nil, c.root, c.rootKeys[:2], now)
	if err != nil {
		t.Fatal(err)
	}
	c.chain = chain
	return c
}

const (
	birthType  = "urn:xx:birth:1"
	farmerType = "urn:xx:farmer:1"
	listURI    = "https://status.example/lists/1"
)

// content is the first bundle of the country: two issuers, two types, one list in
// which entry 7 is revoked.
func (c *country) content(t testing.TB) trust.Content {
	t.Helper()
	return trust.Content{
		Roots: c.chain, Version: 1, AsOf: days(-1), RefreshBy: days(29), OldAfter: days(364), Jurisdiction: "XX",
		Issuers: []trust.Issuer{
			{
				ID: "xx-registry", Names: map[string]string{"en": "Civil Registry", "bn": "নাগরিক নিবন্ধন"}, Country: "XX",
				Logo: []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"/>`),
				Keys: []trust.IssuerKey{trust.NewIssuerKey(c.registry.Key(), []string{birthType}, nil)},
			},
			{
				ID: "xx-ministry", Names: map[string]string{"en": "Ministry of Agriculture"},
				Keys: []trust.IssuerKey{trust.NewIssuerKey(c.ministry.Key(), []string{farmerType}, []string{"north"})},
			},
		},
		Types: []credential.Type{
			{
				ID: birthType, Labels: map[string]string{"en": "Birth certificate"}, Person: true, PersonCheck: "other_id",
				FreshFor: 30 * 24 * time.Hour, OldAfter: 365 * 24 * time.Hour, StatusRequired: true,
			},
			{
				ID: farmerType, Labels: map[string]string{"en": "Farmer card"}, PersonCheck: "photo",
				FreshFor: 7 * 24 * time.Hour, OldAfter: 30 * 24 * time.Hour,
				Fields: []credential.TypeField{
					{Key: 1, Name: "farm_size", Labels: map[string]string{"en": "Size of farm"}, Kind: "number"},
					{Key: 2, Name: "crop", Labels: map[string]string{"en": "Crop"}, Kind: "code",
						Values: map[string]map[string]string{"1": {"en": "Rice"}, "2": {"en": "Jute"}}},
				},
			},
		},
		Status:   []status.Snapshot{packed(t, listURI, days(-1), 7)},
		Messages: []trust.Message{{ID: "outage-1", Text: map[string]string{"en": "The registry is re-issuing cards."}}},
		Verifiers: []trust.Verifier{{ID: "xx-bank-12", Names: map[string]string{"en": "Bank, branch 12"}, Asks: []trust.Asked{
			{Type: "urn:xx:birth:1", Claims: []string{"name", "address"}},
		}, Keys: []keys.PublicKey{newSigner(t, keys.Request).Key().Public}}},
		Algorithms: keys.Algorithms(), MinimumVersion: "0.1.0",
	}
}

// packed is a list of 4096 entries in which these are revoked.
func packed(t testing.TB, uri string, at time.Time, revoked ...uint64) status.Snapshot {
	t.Helper()
	l, err := status.NewList(1, 4096)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range revoked {
		if err := l.Set(i, status.Invalid); err != nil {
			t.Fatal(err)
		}
	}
	s, err := status.NewSnapshot(uri, l, at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sign signs with two of the three bundle keys, at the date of the bundle.
func (c *country) sign(t testing.TB, content trust.Content) []byte {
	t.Helper()
	at := now
	if content.AsOf.After(at) {
		at = content.AsOf
	}
	file, err := content.Sign(rand.Reader, c.bundleKeys[1:], at)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// forge signs with the country's own keys what Sign would refuse to sign.
func (c *country) forge(t testing.TB, content trust.Content) []byte {
	t.Helper()
	payload, err := content.Payload()
	if err != nil {
		t.Fatal(err)
	}
	file, err := trust.SignPayload(trust.ContentTypeBundle, payload, c.bundleKeys[:2]...)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func open(t testing.TB, file []byte) *trust.Bundle {
	t.Helper()
	b, err := trust.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// trusted is the state of a verifier that accepted these files.
func trusted(t testing.TB, files ...[]byte) trust.State {
	t.Helper()
	var st trust.State
	for i, file := range files {
		next, _, err := trust.Accept(st, file, func(*trust.Bundle) bool { return i == 0 })
		if err != nil {
			t.Fatal(err)
		}
		st = next
	}
	return st
}

// daily is the bundle that follows: a day later, with these entries revoked
// besides the one that was.
func (c *country) daily(t testing.TB, before []byte, revoked ...uint64) []byte {
	t.Helper()
	b := open(t, before)
	next := b.Next(b.AsOf.AddDate(0, 0, 1))
	next.Status[0] = packed(t, listURI, next.AsOf, append(revoked, 7)...)
	return c.sign(t, next)
}

// rotate gives the country new root and bundle keys, signed by the old quorum and
// the new one.
func (c *country) rotate(t testing.TB, at time.Time) {
	t.Helper()
	rootKeys, bundleKeys := newSigners(t, keys.TrustRoot, 3), newSigners(t, keys.TrustBundle, 3)
	next := trust.Root{
		Version: c.root.Version + 1, Issued: at, Expires: at.AddDate(10, 0, 0),
		Keys: publicKeys(rootKeys), Threshold: 2, BundleKeys: publicKeys(bundleKeys), BundleThreshold: 2,
	}
	chain, err := trust.SignRoot(rand.Reader, c.chain, next, slices.Concat(c.rootKeys[:2], rootKeys[1:]), at)
	if err != nil {
		t.Fatal(err)
	}
	c.rootKeys, c.bundleKeys, c.root, c.chain = rootKeys, bundleKeys, next, chain
}

// flip is b with one bit turned.
func flip(b []byte, at int) []byte {
	b = slices.Clone(b)
	b[at] ^= 1
	return b
}

func ids(n int) string { return fmt.Sprintf("xx-issuer-%03d", n) }
