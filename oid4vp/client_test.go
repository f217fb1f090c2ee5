package oid4vp_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/oid4vp"
)

func TestParseClientID(t *testing.T) {
	const hash = "Uvo3HtuIxuhC92rShpgqcT3YXwrqRxWEviRiA0OZszk"
	for s, want := range map[string]oid4vp.ClientID{
		"library":                           {Prefix: oid4vp.PreRegistered, Name: "library"},
		"redirect_uri:https://a.example/cb": {Prefix: oid4vp.RedirectURI, Name: "https://a.example/cb"},
		"x509_san_dns:client.example.org":   {Prefix: oid4vp.X509SANDNS, Name: "client.example.org"},
		"x509_hash:" + hash:                 {Prefix: oid4vp.X509Hash, Name: hash},
		// As long as a label and a name may be.
		"x509_san_dns:" + strings.Repeat("a", 63) + ".example":  {Prefix: oid4vp.X509SANDNS, Name: strings.Repeat("a", 63) + ".example"},
		"x509_san_dns:" + strings.Repeat("a.", 123) + "example": {Prefix: oid4vp.X509SANDNS, Name: strings.Repeat("a.", 123) + "example"},
		"decentralized_identifier:did:example:123":              {Prefix: oid4vp.DecentralizedIdentifier, Name: "did:example:123"},
	} {
		got, err := oid4vp.ParseClientID(s)
		if err != nil || got != want || got.String() != s {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
	for _, tt := range []struct{ id, name, in string }{
		{"VP-05", "nothing", ""},
		{"VP-05", "origin", "origin:https://verifier.example"},
		{"VP-05", "a prefix twice", "x509_hash:x509_hash:" + hash},
		{"VP-05", "a redirect URI twice", "redirect_uri:redirect_uri:https://a.example/cb"},
		{"VP-05", "a DNS name with a prefix", "x509_san_dns:x509_san_dns:client.example.org"},
		{"VP-05", "an unknown prefix", "something:library"},
		{"VP-05", "the prefix of an address", "https://verifier.example"},
		{"VP-05", "a prefix that is not supported", "openid_federation:https://verifier.example"},
		{"VP-05", "an attested client", "verifier_attestation:verifier.example"},
		{"VP-05", "another case", "X509_HASH:" + hash},
		{"VP-05", "a space before the prefix", " x509_hash:" + hash},
		{"VP-05", "a line break", "library\n"},
		{"VP-05", "a letter beyond ASCII", "b\u00fccherei"},
		{"VP-05", "a short hash", "x509_hash:" + hash[:42]},
		{"VP-05", "a hash with padding", "x509_hash:" + hash + "="},
		{"VP-05", "a hash in base64", "x509_hash:" + strings.Replace(hash, "U", "/", 1)},
		{"VP-05", "a name with a port", "x509_san_dns:client.example.org:443"},
		{"VP-05", "a wildcard", "x509_san_dns:*.example.org"},
		{"VP-05", "an empty label", "x509_san_dns:client..example"},
		{"VP-05", "a label of 64", "x509_san_dns:" + strings.Repeat("a", 64) + ".example"},
		{"VP-05", "a name of 254", "x509_san_dns:" + strings.Repeat("a.", 123) + "examples"},
		{"VP-05", "a hyphen before a label", "x509_san_dns:a.-b.example"},
		{"VP-05", "a hyphen after a label", "x509_san_dns:a.b-.example"},
		{"VP-05", "a longer hash", "x509_hash:" + strings.Repeat("A", 64)},
		{"VP-05", "a registered name without end", strings.Repeat("a", 2049)},
		{"VP-05", "no host", "redirect_uri:https:///cb"},
		{"VP-05", "no slashes", "redirect_uri:https:a.example"},
		{"VP-05", "an empty fragment", "redirect_uri:https://a.example/#"},
		{"VP-05", "ftp", "redirect_uri:ftp://127.0.0.1/"},
		{"VP-05", "a host that is no name", "redirect_uri:https://a_b.example/"},
		{"VP-05", "no name", "x509_san_dns:"},
		{"VP-05", "a DID without method", "decentralized_identifier:did::1"},
		{"VP-05", "a DID URL", "decentralized_identifier:did:web:a.example#1"},
		{"VP-05", "no DID", "decentralized_identifier:https://a.example"},
		{"VP-05", "plain http", "redirect_uri:http://a.example/cb"},
		{"VP-05", "another scheme", "redirect_uri:javascript:alert(1)"},
		{"VP-05", "a user", "redirect_uri:https://verifier.example@evil.example/"},
		{"VP-05", "a fragment", "redirect_uri:https://a.example/#x"},
		{"VP-05", "a backslash", `redirect_uri:https://evil.example\@a.example/`},
		{"VP-05", "long", "x509_san_dns:" + strings.Repeat("a.", 1200) + "example"},
	} {
		if got, err := oid4vp.ParseClientID(tt.in); !errors.Is(err, oid4vp.ErrClient) || got != (oid4vp.ClientID{}) {
			t.Errorf("%s %s: %+v, %v", tt.id, tt.name, got, err)
		}
	}
}
