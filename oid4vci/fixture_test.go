package oid4vci_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
)

const (
	issuer   = "https://issuer.example"
	tokenURL = issuer + "/oauth/token"
	client   = "https://wallet.example"
	back     = "https://wallet.example/cb"
)

// randReader is the system's source.
var randReader = rand.Reader

var now = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

// holder is the signer of a wallet's key.
func holder(t testing.TB, name string) keys.Signer {
	t.Helper()
	return keystest.Signer(t, keys.Holder, keys.ES256, name)
}

// trusts trusts this one key, whatever the token says.
func trusts(s keys.Signer) oid4vci.TrustedKeys {
	return func(oid4vci.SignerHint) ([]keys.PublicKey, error) { return []keys.PublicKey{s.Key().Public}, nil }
}

// noOne trusts nobody.
func noOne(oid4vci.SignerHint) ([]keys.PublicKey, error) { return nil, nil }

// signed is a token with any header and any claims.
func signed(t testing.TB, s keys.Signer, h jose.Header, claims map[string]any) string {
	t.Helper()
	payload, err := strict.AppendJSON(nil, claims)
	if err != nil {
		t.Fatal(err)
	}
	b, err := jose.Sign(rand.Reader, s, h, payload)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// raw is a token whose header is taken as it stands, signed with the key as ES256.
func raw(t testing.TB, s keys.Signer, header, claims string) string {
	t.Helper()
	text := strict.Base64URL([]byte(header)) + "." + strict.Base64URL([]byte(claims))
	digest := sha256.Sum256([]byte(text))
	der, err := s.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 64)
	sig.R.FillBytes(out[:32])
	sig.S.FillBytes(out[32:])
	return text + "." + strict.Base64URL(out)
}

// refused checks that err is an Error with this code and reason.
func refused(t testing.TB, err error, code oid4vci.Code, reason error) {
	t.Helper()
	var e *oid4vci.Error
	if !errors.As(err, &e) || e.Code != code || reason != nil && !errors.Is(err, reason) {
		t.Errorf("got %v (%v), want %s because of %v", err, errors.Unwrap(err), code, reason)
	}
}

// metadata is that of an issuer with everything.
func metadata(t testing.TB) (oid4vci.IssuerMetadata, *jose.DecryptionKey) {
	t.Helper()
	key, err := jose.NewDecryptionKey("enc-1")
	if err != nil {
		t.Fatal(err)
	}
	both := []jose.Encryption{jose.A128GCM, jose.A256GCM}
	return oid4vci.IssuerMetadata{
		Issuer: issuer, CredentialEndpoint: issuer + "/oid4vci/credential", NonceEndpoint: issuer + "/oid4vci/nonce",
		DeferredEndpoint: issuer + "/oid4vci/deferred", NotificationEndpoint: issuer + "/oid4vci/notification",
		RequestEncryption:  &oid4vci.RequestEncryption{Keys: []jose.EncryptionKey{key.Public()}, Encryptions: both},
		ResponseEncryption: &oid4vci.ResponseEncryption{Encryptions: both},
		BatchSize:          10,
		Display:            []oid4vci.Display{{Locale: "en", Name: "Civil registry"}, {Locale: "ar", Name: "السجل المدني"}},
		Configurations: []oid4vci.Configuration{{
			ID: "birth", Format: oid4vci.SDJWTFormat, Type: issuer + "/type/birth", Scope: "birth",
			SigningAlgorithms: []string{"ES256"}, Bindings: []string{oid4vci.JWKBinding},
			Proofs: map[oid4vci.ProofType]oid4vci.ProofSupport{
				oid4vci.JWTProof:         {Algorithms: []keys.Algorithm{keys.ES256}},
				oid4vci.AttestationProof: {Algorithms: []keys.Algorithm{keys.ES256}, Attestation: &oid4vci.AttestationNeeds{KeyStorage: []string{"iso_18045_high"}}},
			},
			Display: []oid4vci.Display{{Locale: "en", Name: "Birth certificate", Logo: &oid4vci.Image{URI: issuer + "/logo.png", AltText: "seal"}}},
			Claims: []oid4vci.Claim{
				{Path: []any{"given_name"}, Mandatory: true, Display: []oid4vci.Display{{Locale: "en", Name: "Given name"}}},
				{Path: []any{"parents", nil, "name"}}, {Path: []any{"parents2", 0}},
			},
		}},
	}, key
}

// equalJSON compares two messages.
func equalJSON(t testing.TB, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// claimsOf are the claims of a token, to be changed.
func claimsOf(t testing.TB, token string) map[string]any {
	t.Helper()
	m, err := jose.Inspect(token, jose.MaxToken)
	if err != nil {
		t.Fatal(err)
	}
	v, err := strict.Limits{Bytes: 1 << 20, Depth: 12, Items: 1 << 16}.Object(m.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return v.Any().(map[string]any)
}

func keyOf(s keys.Signer) *keys.PublicKey {
	k := s.Key().Public
	return &k
}

// tampered is a token under another header.
func tampered(token string, h jose.Header) string {
	_, rest, _ := strings.Cut(token, ".")
	header := `{"alg":"ES256","jwk":` + string(h.Key.BareJWK()) + `,"typ":"` + h.Type + `"}`
	return strict.Base64URL([]byte(header)) + "." + rest
}

func longText(n int) string { return strings.Repeat("a", n) }
func dots(n int) string     { return strings.Repeat(".", n) }

// isRefusal reports whether err blames the other side.
func isRefusal(err error) bool {
	var e *oid4vci.Error
	return errors.As(err, &e)
}
