package sdjwt_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

func TestIssuerMetadataURL(t *testing.T) {
	for iss, want := range map[string]string{
		"https://example.com":                   "https://example.com/.well-known/jwt-vc-issuer",
		"https://example.com/":                  "https://example.com/.well-known/jwt-vc-issuer",
		"https://example.com/tenant/1234":       "https://example.com/.well-known/jwt-vc-issuer/tenant/1234",
		"https://example.com:8443/tenant/1234/": "https://example.com:8443/.well-known/jwt-vc-issuer/tenant/1234",
	} {
		if got, err := sdjwt.IssuerMetadataURL(iss); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", iss, got, err, want)
		}
	}
	for _, iss := range []string{
		"", "example.com", "http://example.com", "https://", "https://a@example.com", "https://example.com?a", "https://example.com/?",
		"https://example.com#", "https://example.com#a", "https:example.com", "did:web:example.com", "HTTPS://example.com", "https://example.com/\n",
	} {
		if got, err := sdjwt.IssuerMetadataURL(iss); !errors.Is(err, sdjwt.ErrIssuerMetadata) {
			t.Errorf("%q: %q, %v", iss, got, err)
		}
	}
	if got, err := sdjwt.IssuerMetadataURL("http://127.0.0.1:8080", "127.0.0.1"); err != nil || got != "http://127.0.0.1:8080/.well-known/jwt-vc-issuer" {
		t.Errorf("a local host: %q, %v", got, err)
	}
}

// TestIssuerMetadataAfterRotations: 50 keys that have signed are there, and no others.
func TestIssuerMetadataAfterRotations(t *testing.T) {
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	all := []keys.Key{keystest.Key(t, keys.StatusList, keys.ES256, "status"), keystest.Key(t, keys.Metadata, keys.ES256, "metadata")}
	for i := range 52 {
		k := keystest.Key(t, keys.Credential, keys.ES256, fmt.Sprint("rotation ", i))
		switch {
		case i == 0:
			k.State, k.VerifyUntil = keys.Retired, at // over
		case i == 1:
			k.State, k.CompromisedSince = keys.Compromised, at
		case i < 51:
			k.State = keys.Retired
		}
		all = append(all, k)
	}
	const iss = "https://issuer.example/office"
	b, err := sdjwt.IssuerMetadata(iss, all, at)
	if err != nil {
		t.Fatal(err)
	}
	set, uri, err := sdjwt.ParseIssuerMetadata(b, iss)
	if err != nil || uri != "" || len(set.All()) != 50 {
		t.Fatalf("%d keys, %q, %v", len(set.All()), uri, err)
	}
	for i, k := range all {
		_, err := set.Find(k.ID().String())
		if want := k.Purpose == keys.Credential && i > 3; (err == nil) != want {
			t.Errorf("%d %s: %v, want %v", i, k, err == nil, want)
		}
	}
}

func TestParseIssuerMetadataRefuses(t *testing.T) {
	const iss = "https://issuer.example"
	jwk := string(keystest.Key(t, keys.Credential, keys.ES256, "a").Public.JWK())
	for name, text := range map[string]string{
		"no JSON":              `{`,
		"nothing in it":        `{}`,
		"another issuer":       `{"issuer":"https://other.example","jwks":{"keys":[]}}`,
		"a slash more":         `{"issuer":"https://issuer.example/","jwks":{"keys":[]}}`,
		"no keys":              `{"issuer":"https://issuer.example"}`,
		"keys in two ways":     `{"issuer":"https://issuer.example","jwks":{"keys":[]},"jwks_uri":"https://issuer.example/jwks.json"}`,
		"JWS-06 one kid twice": `{"issuer":"https://issuer.example","jwks":{"keys":[` + jwk + `,` + jwk + `]}}`,
		"JWS-06 one kid, two keys": `{"issuer":"https://issuer.example","jwks":{"keys":[` + jwk + `,` +
			string(keystest.Key(t, keys.Credential, keys.ES256, "b").Public.BareJWK()[:1]) + `"kid":"` + keystest.Key(t, keys.Credential, keys.ES256, "a").ID().String() + `",` +
			string(keystest.Key(t, keys.Credential, keys.ES256, "b").Public.BareJWK()[1:]) + `]}}`,
		"keys that are no set":  `{"issuer":"https://issuer.example","jwks":[]}`,
		"keys at http":          `{"issuer":"https://issuer.example","jwks_uri":"http://issuer.example/jwks.json"}`,
		"keys in a file":        `{"issuer":"https://issuer.example","jwks_uri":"file:///etc/passwd"}`,
		"keys with a user":      `{"issuer":"https://issuer.example","jwks_uri":"https://a@b.example"}`,
		"keys at a number":      `{"issuer":"https://issuer.example","jwks_uri":1}`,
		"issuer twice":          `{"issuer":"https://issuer.example","issuer":"https://issuer.example","jwks":{"keys":[]}}`,
		"more than is ever due": `{"issuer":"https://issuer.example","a":"` + strings.Repeat("a", 256<<10) + `"}`,
	} {
		if set, uri, err := sdjwt.ParseIssuerMetadata([]byte(text), iss); !errors.Is(err, sdjwt.ErrIssuerMetadata) {
			t.Errorf("%s: %d keys, %q, %v", name, len(set.All()), uri, err)
		}
	}
	if _, _, err := sdjwt.ParseIssuerMetadata([]byte(`{"issuer":"","jwks":{"keys":[]}}`), ""); err == nil {
		t.Error("nobody's metadata")
	}
	_, uri, err := sdjwt.ParseIssuerMetadata([]byte(`{"issuer":"https://issuer.example","jwks_uri":"https://keys.example/a?b"}`), iss)
	if err != nil || uri != "https://keys.example/a?b" {
		t.Errorf("%q, %v", uri, err)
	}
}

func FuzzParseIssuerMetadata(f *testing.F) {
	b, _ := sdjwt.IssuerMetadata("https://issuer.example", []keys.Key{keystest.Key(f, keys.Credential, keys.ES256, "a")}, time.Unix(1e9, 0))
	f.Add(b)
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		set, uri, err := sdjwt.ParseIssuerMetadata(b, "https://issuer.example")
		if err == nil && uri != "" && (len(set.All()) > 0 || !strings.HasPrefix(strings.ToLower(uri), "https://")) {
			t.Fatalf("%d keys and %q", len(set.All()), uri)
		}
	})
}
