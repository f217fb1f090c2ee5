package verification_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
)

const (
	hour = time.Hour
	day  = 24 * hour
)

// The moments that the fixtures are about.
var (
	asOf   = time.Date(2026, 11, 12, 6, 0, 0, 0, time.UTC)
	issued = asOf.AddDate(0, -1, 0)
	now    = asOf.Add(3 * day)
	theft  = asOf.AddDate(0, -2, 0)
)

// Names in the fixtures.
const (
	ministry = "agri.xa"
	school   = "school.xa"

	farmer  = "urn:xa:farmer:1"  // fresh for 7 days, status required
	licence = "urn:xa:licence:1" // fresh for 3 days, no status required
	pension = "urn:xa:pension:1" // asks for the holder's key
	diploma = "urn:xa:diploma:1" // the school's

	list1   = "https://status.xa/1"      // two bits
	list2   = "https://status.xa/closed" // says which slots were given out
	revoked = 17
	paused  = 18
	given   = 40
)

// cose is credential/cwt as programs wire it.
type cose struct{}

func (cose) Verify(message []byte, keys verification.IssuerKeys) (*credential.Verified, error) {
	return cwt.Verify(message, cwt.Expect{Keys: keys})
}

func newSigner(t testing.TB, purpose keys.Purpose, from time.Time) keys.Signer {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := keys.NewPublicKey(keys.ES256, secret.Public())
	if err != nil {
		t.Fatal(err)
	}
	s, err := keys.NewSigner(keys.Key{
		Public: pub, Purpose: purpose, State: keys.Active, Created: from.AddDate(0, -2, 0), Published: from.AddDate(0, -2, 0),
		SignFrom: from, SignUntil: from.AddDate(10, 0, 0),
	}, secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A country is everything that signs in the fixtures, and the bundle before it is
// signed.
type country struct {
	root, bundle                     keys.Signer
	active, retired, stolen, teacher keys.Signer
	content                          trust.Content
}

// start is when all keys of the country came into being.
var start = asOf.AddDate(-2, 0, 0)

func newCountry(t testing.TB) *country {
	t.Helper()
	c := &country{
		root: newSigner(t, keys.TrustRoot, start), bundle: newSigner(t, keys.TrustBundle, start),
		active: newSigner(t, keys.Credential, start), retired: newSigner(t, keys.Credential, start),
		stolen: newSigner(t, keys.Credential, start), teacher: newSigner(t, keys.Credential, start),
	}
	chain, err := trust.SignRoot(rand.Reader, nil, trust.Root{
		Version: 1, Issued: start, Expires: asOf.AddDate(8, 0, 0),
		Keys: []keys.PublicKey{c.root.Key().Public}, Threshold: 1,
		BundleKeys: []keys.PublicKey{c.bundle.Key().Public}, BundleThreshold: 1,
	}, []keys.Signer{c.root}, start)
	if err != nil {
		t.Fatal(err)
	}
	english := func(s string) map[string]string { return map[string]string{"en": s} }
	key := func(s keys.Signer, state keys.State, types ...string) trust.IssuerKey {
		k := trust.NewIssuerKey(s.Key(), types, nil)
		k.State, k.SignUntil = state, asOf.AddDate(1, 0, 0)
		return k
	}
	office := []string{farmer, licence, pension}
	retired := key(c.retired, keys.Retired, office...)
	retired.SignUntil = asOf.AddDate(0, 0, -10)
	stolen := key(c.stolen, keys.Compromised, office...)
	stolen.CompromisedSince = theft
	c.content = trust.Content{
		Roots: chain, Version: 1, AsOf: asOf, RefreshBy: asOf.Add(10 * day), OldAfter: asOf.Add(60 * day), Jurisdiction: "XA",
		Issuers: []trust.Issuer{
			{ID: ministry, Names: english("Ministry of Agriculture"), Country: "XA", Keys: []trust.IssuerKey{
				key(c.active, keys.Active, office...), retired, stolen,
			}},
			{ID: school, Names: english("High School"), Country: "XA", Keys: []trust.IssuerKey{key(c.teacher, keys.Active, diploma)}},
		},
		Types: []credential.Type{
			{
				ID: farmer, Labels: map[string]string{"en": "Farmer card", "fr": "Carte d'agriculteur"}, Person: true, PersonCheck: "photo",
				FreshFor: 7 * day, OldAfter: 30 * day, StatusRequired: true, Policy: "farmer-card/2",
				Fields: []credential.TypeField{
					{Key: 2, Name: "district", Labels: english("District"), Kind: "text"},
					{Key: 4, Name: "full_name", Labels: english("Name"), Person: true, Kind: "text"},
					{Key: 1, Name: "crop", Labels: english("Crop"), Kind: "code", Values: map[string]map[string]string{"3": english("Rice")}},
				},
			},
			{ID: licence, Labels: english("Trade licence"), FreshFor: 3 * day, OldAfter: 14 * day, Policy: "trade-licence/2"},
			{ID: pension, Labels: english("Pension"), FreshFor: 7 * day, OldAfter: 30 * day, HolderRequired: true, Policy: "pension/1"},
			{ID: diploma, Labels: english("Diploma"), FreshFor: 30 * day, OldAfter: 180 * day, Policy: "diploma/1"},
		},
		Algorithms: []keys.Algorithm{keys.ES256},
	}
	c.content.Status = []status.Snapshot{
		snapshot(t, list1, asOf, map[uint64]byte{revoked: status.Invalid, paused: status.Suspended}, nil),
		snapshot(t, list2, asOf, nil, []uint64{given}),
	}
	return c
}

func snapshot(t testing.TB, uri string, at time.Time, values map[uint64]byte, slots []uint64) status.Snapshot {
	t.Helper()
	l, err := status.NewList(2, 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		if err := l.Set(i, v); err != nil {
			t.Fatal(err)
		}
	}
	s, err := status.NewSnapshot(uri, l, at)
	if err == nil && slots != nil {
		s, err = s.WithIssued(slots)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// file is the signed bundle.
func (c *country) file(t testing.TB) []byte {
	t.Helper()
	b, err := c.content.Sign(rand.Reader, []keys.Signer{c.bundle}, c.content.AsOf)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// open is the bundle as a verifier has it.
func (c *country) open(t testing.TB) *trust.Bundle {
	t.Helper()
	b, err := trust.Open(c.file(t))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// card is a good farmer card.
func card() cwt.Token {
	return cwt.Token{
		Issuer: ministry, Type: farmer, IssuedAt: issued, Expires: asOf.AddDate(3, 0, 0),
		Status: &credential.StatusRef{URI: list1, Index: 3},
		Person: map[int64]any{4: "Rahima Begum"},
		Fields: map[int64]any{1: 3, 2: "Jessore", 9: "unlisted"},
	}
}

// sign signs whatever it is given, also what the lints of an issuer would stop:
// times are those of the token.
func sign(t testing.TB, s keys.Signer, token cwt.Token) []byte {
	t.Helper()
	d, err := cwt.NewDraft(token, s.Key().Public)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Sign(rand.Reader, s, asOf)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func text(t testing.TB, message []byte) string {
	t.Helper()
	s, err := qr.Encode(message)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// at is a clock that stands still.
func at(t time.Time) func() time.Time { return func() time.Time { return t } }

func newChecker(t testing.TB, c verification.Config) *verification.Checker {
	t.Helper()
	if c.COSE == nil {
		c.COSE = cose{}
	}
	if c.Now == nil {
		c.Now = at(now)
	}
	v, err := verification.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// stated is a format that believes what it is told, for credentials that no
// issuer of ours would sign.
type stated struct{ v credential.Verified }

func (s stated) Verify(_ []byte, keys verification.IssuerKeys) (*credential.Verified, error) {
	found := keys.KeysFor(s.v.Issuer, s.v.KeyID)
	if len(found) == 0 {
		return nil, credential.Reject(credential.UnknownIssuer, "")
	}
	for _, k := range found {
		if k.Equal(s.v.Key) {
			v := s.v
			return &v, nil
		}
	}
	return nil, credential.Reject(credential.BadSignature, "")
}

// anything is an input that passes for a message.
var anything = []byte{0xd2, 0x84, 0x43, 0xa1}
