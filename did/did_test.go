package did_test

import (
	"context"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/multiformats/go-multibase"

	"github.com/sanad-id/sanad/did"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/vectors"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

func key(t testing.TB, alg keys.Algorithm) keys.PublicKey {
	return keystest.Key(t, keys.Credential, alg, "did").Public
}

// noFetch fails the test if anything is asked for.
func noFetch(t testing.TB) did.Fetcher {
	return func(_ context.Context, address string) ([]byte, error) {
		t.Errorf("asked for %s", address)
		return nil, errors.New("no network here")
	}
}

func multi(t testing.TB, raw []byte) string {
	t.Helper()
	s, err := multibase.Encode(multibase.Base58BTC, raw)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeyRoundTrip(t *testing.T) {
	another, err := did.Key(keystest.Key(t, keys.Credential, keys.ES256, "another").Public)
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range keys.Algorithms() {
		k := key(t, alg)
		id, err := did.Key(k)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{id, did.JWK(k)} {
			doc, err := did.New(did.Config{Fetch: noFetch(t)}).Resolve(t.Context(), id)
			if err != nil {
				t.Fatalf("%s: %v", alg, err)
			}
			kid := doc.Methods[0].ID
			if !strings.HasPrefix(kid, id+"#") {
				t.Errorf("method %q of %q", kid, id)
			}
			for _, name := range []string{kid, kid[len(id):]} {
				if got, err := doc.Key(name, did.Assertion); err != nil || !got.Equal(k) {
					t.Errorf("Key %q: %v, %v", name, got, err)
				}
			}
			// DID-01 body and fragment are of two keys; DID-02 and DID-05 a name that is not there.
			for _, name := range []string{"#" + strings.TrimPrefix(another, "did:key:"), id + "#" + strings.TrimPrefix(another, "did:key:"), id + "#1", "#00"} {
				if got, err := doc.Key(name, did.Assertion); !errors.Is(err, did.ErrNoKey) {
					t.Errorf("DID-01 Key %q of %s: %v, %v, want ErrNoKey", name, id, got, err)
				}
			}
			if list := doc.Keys(did.Authentication); len(list) != 1 || !list[0].Equal(k) {
				t.Errorf("Keys: %v", list)
			}
		}
	}
}

// TestKeyVectors: the examples of the did:key specification.
func TestKeyVectors(t *testing.T) {
	var file struct {
		Examples []struct {
			DID    string `json:"did"`
			Kind   string `json:"key_type"`
			Raw    string `json:"raw_public_key_hex"`
			Method string `json:"verification_method_id"`
		} `json:"examples"`
	}
	if err := json.Unmarshal(vectors.Read(t, "did-key", "examples.json"), &file); err != nil {
		t.Fatal(err)
	}
	taken := 0
	for _, e := range file.Examples {
		doc, err := did.New(did.Config{}).Resolve(t.Context(), e.DID)
		switch e.Kind {
		case "Ed25519", "P-256", "P-384":
			if err != nil || doc.Methods[0].ID != e.Method {
				t.Errorf("%s: %+v, %v", e.DID, doc, err)
				continue
			}
			if again, err := did.Key(doc.Methods[0].Key); err != nil || again != e.DID {
				t.Errorf("%s came out as %s, %v", e.DID, again, err)
			}
			taken++
		default:
			if !errors.Is(err, did.ErrUnsupportedKey) {
				t.Errorf("%s (%s): %v, want ErrUnsupportedKey", e.DID, e.Kind, err)
			}
		}
	}
	if taken == 0 || taken == len(file.Examples) {
		t.Errorf("%d of %d examples taken", taken, len(file.Examples))
	}
}

// TestKeyDocument: the published document of a did:key says the same as ours.
func TestKeyDocument(t *testing.T) {
	text := vectors.Read(t, "did-key", "ed25519-did-document.json")
	const id = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
	theirs, err := did.Parse(text, id)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := did.New(did.Config{}).Resolve(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	kid := ours.Methods[0].ID
	for _, r := range []did.Relationship{did.Assertion, did.Authentication} {
		a, err1 := theirs.Key(kid, r)
		b, err2 := ours.Key(kid, r)
		if err1 != nil || err2 != nil || !a.Equal(b) {
			t.Errorf("%s: %v, %v and %v, %v", r, a, err1, b, err2)
		}
	}
	// Its X25519 key is there and is no key of ours.
	if k, err := theirs.Key("#z6LSj72tK8brWgZja8NLRwPigth2T9QRiG1uH9oKZuKjdh9p", "keyAgreement"); !errors.Is(err, did.ErrUnsupportedKey) {
		t.Errorf("%v, %v, want ErrUnsupportedKey", k, err)
	}
}

func TestResolveRefuses(t *testing.T) {
	good, err := did.Key(key(t, keys.ES256))
	if err != nil {
		t.Fatal(err)
	}
	ed := key(t, keys.EdDSA)
	edID, _ := did.Key(ed)
	_, raw, _ := multibase.Decode(strings.TrimPrefix(good, "did:key:"))
	_, edRaw, _ := multibase.Decode(strings.TrimPrefix(edID, "did:key:"))
	with := func(prefix string, rest []byte) string {
		return "did:key:" + multi(t, append(unhex(t, prefix), rest...))
	}
	// A compressed point with an x that no point has.
	off := append([]byte{0x80, 0x24, 2}, make([]byte, 32)...)
	for x := byte(1); ; x++ {
		off[34] = x
		if p, _ := elliptic.UnmarshalCompressed(elliptic.P256(), off[2:]); p == nil {
			break
		}
	}
	jwk := func(s string) string { return "did:jwk:" + base64.RawURLEncoding.EncodeToString([]byte(s)) }
	bare := string(key(t, keys.ES256).BareJWK())
	padded := base64.URLEncoding.EncodeToString([]byte(bare + " "))
	if !strings.HasSuffix(padded, "=") {
		padded = base64.URLEncoding.EncodeToString([]byte(bare + "  "))
	}
	tests := []struct {
		name, did string
		want      error
	}{
		{"nothing", "", did.ErrDID},
		{"no method", "did:", did.ErrDID},
		{"no id", "did:key:", did.ErrDID},
		{"a DID URL for the DID", good + "#" + good[8:], did.ErrDID},
		{"capitals in the method", "did:KEY" + good[7:], did.ErrDID},
		{"another scheme", "DID" + good[3:], did.ErrDID},
		{"space", good + " ", did.ErrDID},
		{"line break", "did:web:a.example\n", did.ErrDID},
		{"half an escape", "did:web:a.example%3", did.ErrDID},

		{"DID-01 unknown codec", with("1234", make([]byte, 32)), did.ErrUnsupportedKey},
		{"DID-01 secp256k1", with("e701", raw[2:]), did.ErrUnsupportedKey},
		{"DID-01 a byte too few", with("8024", raw[2:34]), did.ErrDID},
		{"DID-01 trailing byte", with("8024", append(raw[2:], 0)), did.ErrDID},
		{"DID-01 trailing byte, Ed25519", with("ed01", append(edRaw[2:], 0)), did.ErrDID},
		{"DID-01 uncompressed point", with("8024", append([]byte{4}, make([]byte, 64)...)), did.ErrDID},
		{"DID-01 non-minimal varint", with("ed8100", edRaw[2:]), did.ErrUnsupportedKey},
		{"DID-01 off the curve", "did:key:" + multi(t, off), did.ErrDID},
		{"DID-01 point of small order", with("ed01", append([]byte{1}, make([]byte, 31)...)), did.ErrDID},
		{"DID-01 private key, Ed25519", with("8026", make([]byte, 32)), keys.ErrPrivate},
		{"DID-01 private key, P-256", with("8626", make([]byte, 32)), keys.ErrPrivate},
		{"DID-01 P-384 codec over a P-256 key", with("8124", raw[2:]), did.ErrDID},
		{"DID-01 base64url in place of base58btc", "did:key:u" + base64.RawURLEncoding.EncodeToString(raw), did.ErrDID},
		{"DID-01 hexadecimal in place of base58btc", "did:key:f" + hex.EncodeToString(raw), did.ErrDID},
		{"DID-01 a letter that base58 has not", "did:key:z0" + good[10:], did.ErrDID},
		{"DID-01 zeros before it", "did:key:z1" + good[9:], did.ErrUnsupportedKey},
		{"DID-01 endless", "did:key:z" + strings.Repeat("2", 7000), did.ErrTooLarge},
		{"DID-01 only the prefix", "did:key:z", did.ErrDID},

		{"DID-02 private key", jwk(strings.TrimSuffix(bare, "}") + `,"d":"AA"}`), keys.ErrPrivate},
		{"DID-02 undecodable text", "did:jwk:a", did.ErrDID},
		{"DID-02 no JSON", jwk("hello"), did.ErrDID},
		{"DID-02 member twice", jwk(strings.TrimSuffix(bare, "}") + `,"kty":"EC"}`), did.ErrDID},
		{"DID-02 padding", "did:jwk:" + padded, did.ErrDID},
		{"DID-02 standard base64", "did:jwk:" + base64.RawURLEncoding.EncodeToString([]byte(bare)) + "+", did.ErrDID},
		{"DID-02 off the curve", jwk(`{"crv":"P-256","kty":"EC","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"}`), did.ErrDID},
		{"DID-02 RSA", jwk(`{"kty":"RSA","n":"AQAB","e":"AQAB"}`), did.ErrUnsupportedKey},
		{"DID-02 for encryption", jwk(strings.TrimSuffix(bare, "}") + `,"use":"enc"}`), did.ErrUnsupportedKey},
		{"DID-02 6 KiB", jwk(`{"a":"` + strings.Repeat("a", 5<<10) + `"}`), did.ErrTooLarge},
		{"DID-02 1 MiB", jwk(`{"a":"` + strings.Repeat("a", 1<<20) + `"}`), did.ErrTooLarge},

		{"DID-03 dots", "did:web:a.example:..:b", did.ErrDID},
		{"DID-03 one dot", "did:web:a.example:.:b", did.ErrDID},
		{"DID-03 dots in percents", "did:web:a.example:%2e%2e:b", did.ErrDID},
		{"DID-03 slash in percents", "did:web:a.example:a%2fb", did.ErrDID},
		{"DID-03 slash in percents in the host", "did:web:a.example%2Fb", did.ErrDID},
		{"DID-03 slash", "did:web:a.example/b", did.ErrDID},
		{"DID-03 empty part", "did:web:a.example::b", did.ErrDID},
		{"DID-03 empty end", "did:web:a.example:", did.ErrDID},
		{"DID-03 port 0", "did:web:a.example%3A0", did.ErrDID},
		{"DID-03 port 99999", "did:web:a.example%3A99999", did.ErrDID},
		{"DID-03 port with zeros", "did:web:a.example%3A0443", did.ErrDID},
		{"DID-03 no port", "did:web:a.example%3A", did.ErrDID},
		{"DID-03 two ports", "did:web:a.example%3A1%3A2", did.ErrDID},
		{"DID-03 port in small letters", "did:web:a.example%3a443", did.ErrDID},
		{"DID-03 user", "did:web:user@a.example", did.ErrDID},
		{"DID-03 user in percents", "did:web:user%40a.example", did.ErrDID},
		{"DID-03 IPv4", "did:web:192.0.2.1", did.ErrDID},
		{"DID-03 IPv4, short", "did:web:127.1", did.ErrDID},
		{"DID-03 IPv4, hexadecimal", "did:web:a.0x7f", did.ErrDID},
		{"DID-03 IPv6", "did:web:%5B%3A%3A1%5D", did.ErrDID},
		{"DID-03 localhost", "did:web:localhost", did.ErrDID},
		{"DID-03 below localhost", "did:web:a.localhost", did.ErrDID},
		{"DID-03 no dot", "did:web:intranet", did.ErrDID},
		{"DID-03 trailing dot", "did:web:a.example.", did.ErrDID},
		{"DID-03 capitals", "did:web:A.example", did.ErrDID},
		{"DID-03 underline", "did:web:a_b.example", did.ErrDID},
		{"DID-03 hyphen before a label", "did:web:-a.example", did.ErrDID},
		{"DID-03 hyphen after a label", "did:web:a-.example", did.ErrDID},
		{"DID-03 a label of 64", "did:web:" + strings.Repeat("a", 64) + ".example", did.ErrDID},
		{"DID-03 a host of 254", "did:web:" + strings.Repeat("a.", 123) + "examples", did.ErrDID},
		{"DID-03 a last label that begins with a 9", "did:web:a.9e", did.ErrDID},

		{"DID-12 unsupported method", "did:example:123", did.ErrMethod},
		{"DID-12 webvh", "did:webvh:Qm:a.example", did.ErrMethod},
		{"DID-12 parameters", "did:web:a.example;service=x", did.ErrDID},
		{"DID-12 query", "did:web:a.example?versionId=1", did.ErrDID},
		{"DID-12 endless", "did:web:a.example:" + strings.Repeat("a", 8<<10), did.ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := did.New(did.Config{Fetch: noFetch(t)}).Resolve(t.Context(), tt.did)
			if !errors.Is(err, tt.want) {
				t.Errorf("Resolve: %+v, %v, want %v", doc, err, tt.want)
			}
			if err != nil && len(err.Error()) > 300 {
				t.Errorf("an error of %d characters", len(err.Error()))
			}
		})
	}
}

func TestWebURL(t *testing.T) {
	for id, want := range map[string]string{
		"did:web:a.example":              "https://a.example/.well-known/did.json",
		"did:web:a.example:user:alice":   "https://a.example/user/alice/did.json",
		"did:web:a.example%3A8443":       "https://a.example:8443/.well-known/did.json",
		"did:web:a.example%3A8443:x:y-z": "https://a.example:8443/x/y-z/did.json",
		"did:web:xn--bcher-kva.example":  "https://xn--bcher-kva.example/.well-known/did.json",
		// As long as a label and a host may be.
		"did:web:" + strings.Repeat("a", 63) + ".example":  "https://" + strings.Repeat("a", 63) + ".example/.well-known/did.json",
		"did:web:" + strings.Repeat("a.", 123) + "example": "https://" + strings.Repeat("a.", 123) + "example/.well-known/did.json",
	} {
		got, err := did.WebURL(id)
		if err != nil || got != want {
			t.Errorf("WebURL %s: %q, %v, want %q", id, got, err, want)
		}
		address := strings.TrimSuffix(strings.TrimSuffix(want, "/did.json"), "/.well-known")
		if back, err := did.Web(address); err != nil || back != id {
			t.Errorf("Web %s: %q, %v, want %q", address, back, err, id)
		}
	}
	if got, err := did.WebURL("did:web:127.0.0.1%3A8080", "127.0.0.1"); err != nil || got != "http://127.0.0.1:8080/.well-known/did.json" {
		t.Errorf("a local host: %q, %v", got, err)
	}
	if got, err := did.Web("http://127.0.0.1:8080", "127.0.0.1"); err != nil || got != "did:web:127.0.0.1%3A8080" {
		t.Errorf("a local address: %q, %v", got, err)
	}
	for _, address := range []string{"http://a.example", "https://127.0.0.1", "https://a.example/%2e%2e", "https://u@a.example", "https://a.example/?a", "https://a.example/#a", "a.example", ""} {
		if id, err := did.Web(address); err == nil {
			t.Errorf("Web %q: %q", address, id)
		}
	}
}

const webDID = "did:web:issuer.example"

// web resolves webDID with a server that answers b.
func web(t testing.TB, b []byte, failure error) (*did.Document, error) {
	return did.New(did.Config{Fetch: func(_ context.Context, address string) ([]byte, error) {
		if address != "https://issuer.example/.well-known/did.json" {
			t.Errorf("asked for %s", address)
		}
		return b, failure
	}}).Resolve(t.Context(), webDID)
}

// document is a good one with the member at the end replaced by edit.
func document(t testing.TB, edit func(map[string]any)) []byte {
	t.Helper()
	jwk := func(alg keys.Algorithm) any {
		var v any
		if err := json.Unmarshal(key(t, alg).JWK(), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	ed, err := did.Key(key(t, keys.EdDSA))
	if err != nil {
		t.Fatal(err)
	}
	doc := map[string]any{
		"@context": "https://www.w3.org/ns/did/v1", "id": webDID, "service": []any{map[string]any{"id": "#x", "type": "y"}},
		"verificationMethod": []any{
			map[string]any{"id": webDID + "#a", "type": "JsonWebKey2020", "controller": webDID, "publicKeyJwk": jwk(keys.ES256)},
			map[string]any{"id": "#b", "type": "Multikey", "controller": webDID, "publicKeyMultibase": strings.TrimPrefix(ed, "did:key:")},
			map[string]any{"id": "#rsa", "type": "JsonWebKey", "controller": webDID, "publicKeyJwk": map[string]any{"kty": "RSA", "n": "AQAB", "e": "AQAB"}},
			map[string]any{"id": "#old", "type": "Ed25519VerificationKey2018", "controller": webDID, "publicKeyBase58": "abc"},
			map[string]any{"id": "did:web:other.example#a", "type": "JsonWebKey", "controller": webDID, "publicKeyJwk": jwk(keys.ES256)},
		},
		"assertionMethod": []any{"#a", webDID + "#b", "#rsa", "#old", "did:web:other.example#a", "#nowhere"},
		"authentication": []any{
			map[string]any{"id": "#c", "type": "JsonWebKey", "controller": webDID, "publicKeyJwk": jwk(keys.ES384)},
		},
	}
	edit(doc)
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDocumentKeys: DID-05 and DID-12 of the corpus. A key answers to its own name and for
// what it is listed for.
func TestDocumentKeys(t *testing.T) {
	doc, err := web(t, document(t, func(map[string]any) {}), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		kid  string
		r    did.Relationship
		want error
		alg  keys.Algorithm
	}{
		{"#a", did.Assertion, nil, keys.ES256},
		{webDID + "#a", did.Assertion, nil, keys.ES256},
		{webDID + "#b", did.Assertion, nil, keys.EdDSA},
		{"#c", did.Authentication, nil, keys.ES384},
		{"#a", did.Authentication, did.ErrRelationship, ""},                              // DID-05
		{"#c", did.Assertion, did.ErrRelationship, ""},                                   // DID-05
		{"#a", "", did.ErrRelationship, ""},                                              // DID-05
		{"#d", did.Assertion, did.ErrNoKey, ""},                                          // DID-05
		{"#nowhere", did.Assertion, did.ErrNoKey, ""},                                    // DID-05: listed and not there
		{"did:web:other.example#a", did.Assertion, did.ErrNoKey, ""},                     // DID-05: of another DID
		{webDID, did.Assertion, did.ErrURL, ""},                                          // the DID for the DID URL
		{"", did.Assertion, did.ErrURL, ""},                                              // no kid
		{"#", did.Assertion, did.ErrURL, ""},                                             // empty fragment
		{"a", did.Assertion, did.ErrURL, ""},                                             // a name without its DID
		{webDID + "?versionId=1#a", did.Assertion, did.ErrURL, ""},                       // DID-12
		{webDID + "/a#a", did.Assertion, did.ErrURL, ""},                                 // DID-12
		{webDID + ";service=x#a", did.Assertion, did.ErrURL, ""},                         // DID-12
		{webDID + "#a#a", did.Assertion, did.ErrURL, ""},                                 // DID-12
		{webDID + "#a\n", did.Assertion, did.ErrURL, ""},                                 // DID-12
		{webDID + "#" + strings.Repeat("a", 1<<20), did.Assertion, did.ErrTooLarge, ""},  // DID-12
		{"#rsa", did.Assertion, did.ErrUnsupportedKey, ""},                               // a kind we do not carry
		{"#old", did.Assertion, did.ErrUnsupportedKey, ""},                               // a form we do not read
		{strings.ToUpper(webDID) + "#a", did.Assertion, did.ErrNoKey, ""},                // compared byte for byte
		{"did:web:issuer.example:x#a", did.Assertion, did.ErrNoKey, ""},                  // a DID below
		{"https://issuer.example/.well-known/did.json#a", did.Assertion, did.ErrURL, ""}, // the address for the DID
		{"did:web:issuer%2Eexample#a", did.Assertion, did.ErrNoKey, ""},                  // another spelling
		{webDID + "#b" + strings.Repeat("b", 100), did.Assertion, did.ErrNoKey, ""},      // cut in the error
		{webDID + `#"><script>alert(1)</script>`, did.Assertion, did.ErrURL, ""},         // OUT-02
	} {
		got, err := doc.Key(tt.kid, tt.r)
		if !errors.Is(err, tt.want) || err == nil && got.Algorithm() != tt.alg || err != nil && len(err.Error()) > 200 {
			t.Errorf("Key %.60q for %s: %v, %v, want %v", tt.kid, tt.r, got, err, tt.want)
		}
	}
	if n := len(doc.Keys(did.Assertion)); n != 2 {
		t.Errorf("%d keys to assert with, want 2", n)
	}
}

func TestDocumentRefuses(t *testing.T) {
	methods := func(d map[string]any) []any { return d["verificationMethod"].([]any) }
	method := func(d map[string]any, i int) map[string]any { return methods(d)[i].(map[string]any) }
	for _, tt := range []struct {
		name string
		edit func(map[string]any)
		want error
	}{
		{"DID-04 another id", func(d map[string]any) { d["id"] = "did:web:other.example" }, did.ErrSubject},
		{"DID-04 another spelling of the id", func(d map[string]any) { d["id"] = "did:web:Issuer.example" }, did.ErrSubject},
		{"DID-04 a DID URL as id", func(d map[string]any) { d["id"] = webDID + "#a" }, did.ErrSubject},
		{"DID-04 no id", func(d map[string]any) { delete(d, "id") }, did.ErrSubject},
		{"DID-04 over 256 KiB", func(d map[string]any) { d["x"] = strings.Repeat("a", 256<<10) }, did.ErrTooLarge},
		{"nested without end", func(d map[string]any) {
			var v any = 1
			for range 20 {
				v = []any{v}
			}
			d["x"] = v
		}, did.ErrTooLarge},
		{"deactivated", func(d map[string]any) { d["deactivated"] = true }, did.ErrDeactivated},
		{"deactivated, in words", func(d map[string]any) { d["deactivated"] = "true" }, did.ErrDocument},
		{"two methods with one id", func(d map[string]any) { method(d, 1)["id"] = "#a" }, did.ErrDocument},
		{"one key under two spellings of an id", func(d map[string]any) { method(d, 0)["id"] = "#b" }, did.ErrDocument},
		{"an embedded method with the id of another", func(d map[string]any) {
			d["authentication"].([]any)[0].(map[string]any)["id"] = "#a"
		}, did.ErrDocument},
		{"a method without id", func(d map[string]any) { delete(method(d, 0), "id") }, did.ErrDocument},
		{"an id without fragment", func(d map[string]any) { method(d, 0)["id"] = webDID }, did.ErrDocument},
		{"an id with a query", func(d map[string]any) { method(d, 0)["id"] = webDID + "?a#a" }, did.ErrDocument},
		{"a method without type", func(d map[string]any) { delete(method(d, 0), "type") }, did.ErrDocument},
		{"a method without controller", func(d map[string]any) { delete(method(d, 0), "controller") }, did.ErrDocument},
		{"a method that is a text", func(d map[string]any) { methods(d)[0] = "#a" }, did.ErrDocument},
		{"methods that are no list", func(d map[string]any) { d["verificationMethod"] = map[string]any{} }, did.ErrDocument},
		{"a relationship that is no list", func(d map[string]any) { d["assertionMethod"] = "#a" }, did.ErrDocument},
		{"a key that is listed twice", func(d map[string]any) { d["assertionMethod"] = []any{"#a", webDID + "#a"} }, did.ErrDocument},
		{"a number as reference", func(d map[string]any) { d["assertionMethod"] = []any{1} }, did.ErrDocument},
		{"129 methods", func(d map[string]any) {
			d["verificationMethod"] = make([]any, 129)
		}, did.ErrTooLarge},
		{"129 embedded methods", func(d map[string]any) {
			var list []any
			for i := range 124 {
				list = append(list, map[string]any{"id": fmt.Sprintf("#k%d", i), "type": "x", "controller": webDID})
			}
			d["capabilityInvocation"] = list
		}, did.ErrTooLarge},
		{"a method with two keys", func(d map[string]any) { method(d, 0)["publicKeyMultibase"] = "z" }, did.ErrDocument},
		{"a JWK that is a text", func(d map[string]any) { method(d, 0)["publicKeyJwk"] = "x" }, did.ErrDocument},
		{"a multibase that is null", func(d map[string]any) { method(d, 1)["publicKeyMultibase"] = nil }, did.ErrDocument},
		{"a key that is none", func(d map[string]any) { method(d, 1)["publicKeyMultibase"] = "zzz" }, did.ErrUnsupportedKey},
		{"SIG-05 private JWK", func(d map[string]any) { method(d, 0)["publicKeyJwk"].(map[string]any)["d"] = "AA" }, keys.ErrPrivate},
		{"SIG-05 private multibase", func(d map[string]any) { method(d, 1)["secretKeyMultibase"] = "z" }, keys.ErrPrivate},
		{"SIG-05 private key in a public place", func(d map[string]any) {
			method(d, 1)["publicKeyMultibase"] = multi(t, append([]byte{0x80, 0x26}, make([]byte, 32)...))
		}, keys.ErrPrivate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := web(t, document(t, tt.edit), nil)
			if errors.Is(tt.want, did.ErrUnsupportedKey) && err == nil {
				_, err = doc.Key("#b", did.Assertion)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, %v, want %v", doc, err, tt.want)
			}
		})
	}
	for _, name := range []string{"secretKeyJwk", "privateKeyMultibase", "privateKeyJwk", "privateKeyBase58", "privateKeyHex", "privateKeyPem"} {
		if doc, err := web(t, document(t, func(d map[string]any) { method(d, 1)[name] = "z" }), nil); !errors.Is(err, keys.ErrPrivate) {
			t.Errorf("SIG-05 %s: %v, %v, want ErrPrivate", name, doc, err)
		}
	}
	for name, text := range map[string]string{
		"DID-04 HTML":  "<html><body>not here</body></html>",
		"nothing":      "",
		"a list":       "[]",
		"member twice": `{"id":"` + webDID + `","id":"` + webDID + `"}`,
		"two texts":    `{"id":"` + webDID + `"}{}`,
	} {
		if doc, err := web(t, []byte(text), nil); !errors.Is(err, did.ErrDocument) {
			t.Errorf("%s: %v, %v, want ErrDocument", name, doc, err)
		}
	}
	if _, err := web(t, nil, errors.New("certificate of another host")); !errors.Is(err, did.ErrUnresolved) {
		t.Errorf("out of reach: %v", err)
	}
	if _, err := did.New(did.Config{}).Resolve(t.Context(), webDID); !errors.Is(err, did.ErrUnresolved) {
		t.Errorf("without a fetcher: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	late := func(ctx context.Context, _ string) ([]byte, error) { return nil, ctx.Err() }
	if _, err := did.New(did.Config{Fetch: late}).Resolve(ctx, webDID); !errors.Is(err, context.Canceled) || errors.Is(err, did.ErrUnresolved) {
		t.Errorf("a context that has ended: %v", err)
	}
}

func TestOf(t *testing.T) {
	if got, err := did.Of(webDID + "#a"); err != nil || got != webDID {
		t.Errorf("Of: %q, %v", got, err)
	}
	for kid, want := range map[string]error{
		webDID: did.ErrURL, "#a": did.ErrDID, "": did.ErrURL, webDID + "?x#a": did.ErrURL, "https:#a": did.ErrDID, "did:web#a": did.ErrDID,
	} {
		if got, err := did.Of(kid); !errors.Is(err, want) {
			t.Errorf("Of %q: %q, %v, want %v", kid, got, err, want)
		}
	}
}

// TestWebDocument: the document of an issuer, after 50 rotations, has every key that
// somebody may still have to check with, and each for its own purpose.
func TestWebDocument(t *testing.T) {
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	var all []keys.Key
	for i := range 50 {
		k := keystest.Key(t, keys.Credential, keys.ES256, fmt.Sprint("rotation ", i))
		if i < 49 {
			k.State, k.VerifyUntil = keys.Retired, at.AddDate(0, 0, i) // the first is over
		}
		all = append(all, k)
	}
	all[20].State, all[20].CompromisedSince = keys.Compromised, at
	for _, p := range keys.Purposes() {
		if p != keys.Credential {
			alg := keys.ES256
			if p == keys.Audit || p == keys.Witness {
				alg = keys.EdDSA
			}
			all = append(all, keystest.Key(t, p, alg, string(p)))
		}
	}
	b, err := did.WebDocument(webDID, all, at)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := web(t, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range all {
		_, asserts := doc.Key(webDID+"#"+k.ID().String(), did.Assertion)
		_, authenticates := doc.Key(webDID+"#"+k.ID().String(), did.Authentication)
		if want := k.Purpose == keys.Credential && i != 0 && i != 20; (asserts == nil) != want {
			t.Errorf("%d %s: to assert with: %v, want %v", i, k, asserts == nil, want)
		}
		if want := k.Purpose == keys.Metadata || k.Purpose == keys.Request; (authenticates == nil) != want {
			t.Errorf("%d %s: to authenticate with: %v, want %v", i, k, authenticates == nil, want)
		}
	}
	if _, err := did.WebDocument("did:key:z", all, at); err == nil {
		t.Error("made for another method")
	}
	for i := range 130 {
		all = append(all, keystest.Key(t, keys.Credential, keys.ES256, fmt.Sprint("more ", i)))
	}
	if _, err := did.WebDocument(webDID, all, at); !errors.Is(err, did.ErrTooLarge) {
		t.Errorf("a document that nobody would read: %v", err)
	}
}

func FuzzResolve(f *testing.F) {
	for _, alg := range keys.Algorithms() {
		id, _ := did.Key(key(f, alg))
		f.Add(id, []byte("{}"))
		f.Add(did.JWK(key(f, alg)), []byte("{}"))
	}
	f.Add(webDID, document(f, func(map[string]any) {}))
	f.Add("did:web:a.example%3A8443:x", []byte(`{"id":"did:web:a.example%3A8443:x"}`))
	boundtest.Fuzz(f, func(t *testing.T, id string, answer []byte) {
		asked := ""
		doc, err := did.New(did.Config{Fetch: func(_ context.Context, address string) ([]byte, error) {
			asked = address
			return answer, nil
		}}).Resolve(t.Context(), id)
		// Nothing in the address leads elsewhere than it seems to.
		if asked != "" && (!strings.HasPrefix(asked, "https://") || !strings.HasSuffix(asked, "/did.json") || strings.ContainsAny(asked, "@?#\\%") ||
			path.Clean(strings.TrimPrefix(asked, "https:/")) != strings.TrimPrefix(asked, "https:/")) {
			t.Fatalf("%q led to %q", id, asked)
		}
		if err != nil {
			return
		}
		if doc.ID != id {
			t.Fatalf("document of %q for %q", doc.ID, id)
		}
		for _, m := range doc.Methods {
			if !strings.HasPrefix(m.ID, id+"#") {
				t.Fatalf("method %q of %q", m.ID, id)
			}
		}
		// A key that is its own name has no other name.
		if strings.HasPrefix(id, "did:key:") {
			if again, err := did.Key(doc.Methods[0].Key); err != nil || again != id {
				t.Fatalf("%q and %q, %v", id, again, err)
			}
		}
	})
}
