package jose_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

func decryptionKey(t testing.TB) *jose.DecryptionKey {
	t.Helper()
	k, err := jose.NewDecryptionKey("request 1")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func wanted(k *jose.DecryptionKey) jose.ExpectJWE {
	return jose.ExpectJWE{Key: k, Encryptions: []jose.Encryption{jose.A128GCM, jose.A256GCM}}
}

func TestEncryptAndDecrypt(t *testing.T) {
	for _, enc := range []jose.Encryption{jose.A128GCM, jose.A256GCM} {
		k := decryptionKey(t)
		// The other party sees the JWK only.
		b, err := k.Public().JWK()
		if err != nil {
			t.Fatal(err)
		}
		jwk, err := strict.Limits{Bytes: 1000, Depth: 2, Items: 20}.Object(b)
		if err != nil {
			t.Fatal(err)
		}
		to, err := jose.ParseEncryptionKey(jwk)
		if err != nil || to.KeyID != "request 1" {
			t.Fatalf("ParseEncryptionKey: %q, %v", to.KeyID, err)
		}
		token, err := jose.Encrypt([]byte("content"), to, enc)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := k.Secret()
		if err != nil {
			t.Fatal(err)
		}
		again, err := jose.RestoreDecryptionKey("request 1", secret)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := jose.Decrypt(token, wanted(again)); err != nil || string(got) != "content" {
			t.Errorf("%s: Decrypt: %q, %v", enc, got, err)
		}
		if got, err := jose.Decrypt(token, jose.ExpectJWE{Key: k, Encryptions: []jose.Encryption{"A192GCM"}}); !errors.Is(err, jose.ErrAlgorithm) {
			t.Errorf("%s was not offered: %q, %v", enc, got, err)
		}
		if got, err := jose.Decrypt(token, wanted(decryptionKey(t))); !errors.Is(err, jose.ErrDecrypt) {
			t.Errorf("another key of that name: %q, %v", got, err)
		}
	}
	for _, e := range []jose.ExpectJWE{{}, {Key: decryptionKey(t)}, {Encryptions: []jose.Encryption{jose.A128GCM}}} {
		if _, err := jose.Decrypt("a.b.c.d.e", e); err == nil || errors.Is(err, jose.ErrMalformed) {
			t.Errorf("expectation forgotten: %v", err)
		}
	}
	if _, err := jose.Encrypt(nil, decryptionKey(t).Public(), "A128CBC-HS256"); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("Encrypt with CBC: %v", err)
	}
	if _, err := jose.Encrypt(nil, jose.EncryptionKey{}, jose.A128GCM); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("Encrypt for nobody: %v", err)
	}
}

// TestPlain: what a browser encrypts and opens with the standard library is what the
// library opens and encrypts, and a change anywhere is noticed.
func TestPlain(t *testing.T) {
	for _, enc := range []jose.Encryption{jose.A128GCM, jose.A256GCM} {
		k := decryptionKey(t)
		token, err := jose.PlainSeal([]byte("content"), k.Public(), enc)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := jose.Decrypt(token, wanted(k)); err != nil || string(got) != "content" {
			t.Errorf("%s from a browser: %q, %v", enc, got, err)
		}
		theirs, err := jose.Encrypt([]byte("content"), k.Public(), enc)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{token, theirs} {
			if got, err := jose.PlainUnseal(token, k); err != nil || string(got) != "content" {
				t.Errorf("%s in a browser: %q, %v", enc, got, err)
			}
			header, _, _ := strings.Cut(token, ".")
			if b, err := base64.RawURLEncoding.DecodeString(header); err != nil || !strings.Contains(string(b), `"kid":"`+k.Public().KeyID+`"`) {
				t.Errorf("%s: header %s does not name the key, %v", enc, b, err)
			}
			if got, err := jose.PlainUnseal(token, decryptionKey(t)); err == nil {
				t.Errorf("%s with another key: %q", enc, got)
			}
			parts := strings.Split(token, ".")
			for i := range parts {
				if parts[i] == "" {
					continue
				}
				spoiled := append([]string{}, parts...)
				b, err := base64.RawURLEncoding.DecodeString(parts[i])
				if err != nil {
					t.Fatal(err)
				}
				b[len(b)/2] ^= 1
				spoiled[i] = base64.RawURLEncoding.EncodeToString(b)
				if got, err := jose.PlainUnseal(strings.Join(spoiled, "."), k); err == nil {
					t.Errorf("%s with part %d changed: %q", enc, i, got)
				}
			}
		}
	}
}

// TestDecryptionKeyDoesNotPrint tries every way of printing.
func TestDecryptionKeyDoesNotPrint(t *testing.T) {
	k := decryptionKey(t)
	secret, err := k.Secret()
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, k); got != `decryption key "request 1"` {
			t.Errorf("%s: %s (secret %d bytes)", verb, got, len(secret))
		}
	}
	if b, err := json.Marshal(k); err == nil {
		t.Errorf("Marshal: %s", b)
	}
}

// TestDecryptRefuses are the rows of group 3.1 about encryption. Headers are
// refused before anything is decrypted, so each has a reason of its own.
func TestDecryptRefuses(t *testing.T) {
	k := decryptionKey(t)
	good, err := jose.Encrypt([]byte("content"), k.Public(), jose.A128GCM)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]any
	if err := json.Unmarshal(raw, &header); err != nil {
		t.Fatal(err)
	}
	epk := header["epk"].(map[string]any)
	with := func(change func(m, epk map[string]any)) string {
		m, e := map[string]any{}, map[string]any{}
		for name, v := range header {
			m[name] = v
		}
		for name, v := range epk {
			e[name] = v
		}
		m["epk"] = e
		change(m, e)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b64(b) + "." + strings.Join(parts[1:], ".")
	}
	set := func(name string, v any) string { return with(func(m, _ map[string]any) { m[name] = v }) }
	part := func(i int, s string) string {
		p := append([]string{}, parts...)
		p[i] = s
		return strings.Join(p, ".")
	}
	// A token that is good but for the name of its key.
	to := k.Public()
	to.KeyID = "request 2"
	renamed, err := jose.Encrypt([]byte("content"), to, jose.A128GCM)
	if err != nil {
		t.Fatal(err)
	}
	p384 := map[string]any{}
	if err := json.Unmarshal(signer(t, keys.ES384).Key().Public.BareJWK(), &p384); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		id, name, token string
		want            error
	}{
		{"JWS-12", "compressed", set("zip", "DEF"), jose.ErrHeader},
		{"JWS-13", "password", set("alg", "PBES2-HS256+A128KW"), jose.ErrAlgorithm},
		{"JWS-13", "password and its count", with(func(m, _ map[string]any) { m["alg"], m["p2c"] = "PBES2-HS256+A128KW", 1<<31 }), jose.ErrAlgorithm},
		{"JWS-13", "dir", set("alg", "dir"), jose.ErrAlgorithm},
		{"JWS-13", "key wrap", set("alg", "ECDH-ES+A128KW"), jose.ErrAlgorithm},
		{"JWS-13", "RSA", set("alg", "RSA-OAEP"), jose.ErrAlgorithm},
		{"JWS-13", "no alg", with(func(m, _ map[string]any) { delete(m, "alg") }), jose.ErrAlgorithm},
		{"JWS-13", "CBC", set("enc", "A128CBC-HS256"), jose.ErrAlgorithm},
		{"JWS-13", "no enc", with(func(m, _ map[string]any) { delete(m, "enc") }), jose.ErrAlgorithm},
		{"JWS-13", "the other enc that was offered", set("enc", "A256GCM"), jose.ErrDecrypt},
		{"JWS-14", "epk off the curve", with(func(_, e map[string]any) { e["x"] = b64(make([]byte, 32)) }), jose.ErrMalformed},
		{"JWS-14", "epk at infinity", with(func(_, e map[string]any) { e["x"], e["y"] = b64(make([]byte, 32)), b64(make([]byte, 32)) }), jose.ErrMalformed},
		{"JWS-14", "epk short", with(func(_, e map[string]any) { e["x"] = "AA" }), jose.ErrMalformed},
		{"JWS-14", "epk on another curve", with(func(_, e map[string]any) { e["crv"] = "P-384" }), jose.ErrMalformed},
		{"JWS-14", "epk on P-384, and a point of it", set("epk", p384), jose.ErrAlgorithm},
		{"JWS-14", "epk on Ed25519", with(func(_, e map[string]any) {
			e["kty"], e["crv"] = "OKP", "X25519"
			delete(e, "y")
		}), jose.ErrMalformed},
		{"JWS-14", "epk private", with(func(_, e map[string]any) { e["d"] = "AA" }), jose.ErrMalformed},
		{"JWS-14", "epk symmetric", with(func(_, e map[string]any) { e["kty"], e["k"] = "oct", "AA" }), jose.ErrMalformed},
		{"JWS-14", "no epk", with(func(m, _ map[string]any) { delete(m, "epk") }), jose.ErrMalformed},
		{"JWS-15", "epk null", set("epk", nil), jose.ErrMalformed},
		{"JWS-15", "epk a list", set("epk", []any{}), jose.ErrMalformed},
		{"JWS-15", "an encrypted key", part(1, "AA"), jose.ErrMalformed},
		{"JWS-15", "no nonce", part(2, ""), jose.ErrMalformed},
		{"JWS-15", "a long nonce", part(2, b64(make([]byte, 16))), jose.ErrMalformed},
		{"JWS-15", "no tag", part(4, ""), jose.ErrMalformed},
		{"JWS-15", "a short tag", part(4, b64(make([]byte, 12))), jose.ErrMalformed},
		{"JWS-15", "another tag", part(4, b64(make([]byte, 16))), jose.ErrDecrypt},
		{"JWS-15", "no content", part(3, ""), jose.ErrDecrypt},
		{"JWS-15", "content that is no base64url", part(3, "+"), jose.ErrMalformed},
		{"JWS-15", "another header", set("x", 1), jose.ErrDecrypt},
		{"JWS-15", "apu a number", set("apu", 1), jose.ErrMalformed},
		{"JWS-15", "apv no base64url", set("apv", "+"), jose.ErrMalformed},
		{"JWS-15", "apv long", set("apv", strings.Repeat("A", 2000)), jose.ErrTooLarge},
		{"JWS-07", "crit", set("crit", []any{"exp"}), jose.ErrHeader},
		{"JWS-05", "jku", set("jku", "https://127.0.0.1"), jose.ErrHeader},
		{"JWS-06", "kid of another key", renamed, jose.ErrDecrypt},
		{"JWS-06", "kid a number", set("kid", 1), jose.ErrDecrypt},
		{"JWS-10", "three parts", "a.b.c", jose.ErrMalformed},
		{"JWS-10", "dots", strings.Repeat(".", 60000), jose.ErrMalformed},
		{"JWS-10", "large", strings.Repeat("a", 1<<20), jose.ErrTooLarge},
		{"JSON-01", "alg twice", b64([]byte(`{"alg":"ECDH-ES","alg":"ECDH-ES","enc":"A128GCM"}`)) + "." + strings.Join(parts[1:], "."), jose.ErrMalformed},
		{"JWS-09", "JSON serialisation", `{"recipients":[]}`, jose.ErrMalformed},
	} {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			if got, err := jose.Decrypt(tt.token, wanted(k)); !errors.Is(err, tt.want) {
				t.Errorf("Decrypt: %q, %v, want %v", got, err, tt.want)
			}
		})
	}
}

// TestWycheproofJWE: of what the vectors call valid, only direct agreement on P-256
// with AES-GCM is; the rest are algorithms that are not carried here.
func TestWycheproofJWE(t *testing.T) {
	var doc struct {
		NumberOfTests int
		TestGroups    []struct {
			Comment string
			Private struct{ Kty, Crv, Kid, D string }
			Tests   []struct {
				TcID                     int
				Comment, JWE, PT, Result string
			}
		}
	}
	readVectors(t, "json_web_encryption_test.json", &doc)
	accepted, refused, notCarried := 0, 0, 0
	for _, g := range doc.TestGroups {
		k := decryptionKey(t)
		if g.Private.Crv == "P-256" {
			secret, err := base64.RawURLEncoding.DecodeString(g.Private.D)
			if err == nil {
				k, err = jose.RestoreDecryptionKey(g.Private.Kid, secret)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range g.Tests {
			got, err := jose.Decrypt(tt.JWE, wanted(k))
			if plain, wrong := jose.PlainUnseal(tt.JWE, k); err == nil && (wrong != nil || string(plain) != string(got)) {
				t.Errorf("%d in a browser: %x, %v", tt.TcID, plain, wrong)
			}
			carried := strings.HasSuffix(tt.Comment, "EcdhEsA128Gcm") || strings.HasSuffix(tt.Comment, "EcdhEsA256Gcm")
			if want := tt.Result == "valid" && carried; (err == nil) != want {
				t.Errorf("json_web_encryption_test.json %d %s %s: %v, %s", tt.TcID, g.Comment, tt.Comment, err, tt.Result)
			}
			switch {
			case err == nil:
				accepted++
				if fmt.Sprintf("%x", got) != tt.PT && string(got) != tt.PT {
					t.Errorf("%d: %x, want %s", tt.TcID, got, tt.PT)
				}
			case tt.Result == "valid":
				notCarried++
				if !errors.Is(err, jose.ErrAlgorithm) && !errors.Is(err, jose.ErrMalformed) {
					t.Errorf("%d %s: %v", tt.TcID, tt.Comment, err)
				}
				refused++
			default:
				refused++
			}
		}
	}
	t.Logf("%d accepted, %d refused, %d of these for an algorithm that is not carried", accepted, refused, notCarried)
	if accepted != 2 || accepted+refused != doc.NumberOfTests {
		t.Errorf("%d accepted, %d of %d cases", accepted, accepted+refused, doc.NumberOfTests)
	}
}

// TestEncryptionKeyRefuses: keys that are not for this.
func TestEncryptionKeyRefuses(t *testing.T) {
	b, err := decryptionKey(t).Public().JWK()
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	for name, text := range map[string]string{
		"for signatures":        strings.Replace(good, `"enc"`, `"sig"`, 1),
		"for key wrapping":      strings.Replace(good, `"ECDH-ES"`, `"ECDH-ES+A128KW"`, 1),
		"on another curve":      strings.Replace(good, `"P-256"`, `"P-384"`, 1),
		"on P-384, and a point": string(signer(t, keys.ES384).Key().Public.BareJWK()),
		"of Ed25519":            string(signer(t, keys.EdDSA).Key().Public.JWK()),
		"private":               strings.Replace(good, `"kty"`, `"d":"AA","kty"`, 1),
		"without a coordinate":  `{"kty":"EC","crv":"P-256","x":"AA"}`,
		"a text":                `"x"`,
	} {
		v, err := strict.Limits{Bytes: 1000, Depth: 2, Items: 20}.JSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if k, err := jose.ParseEncryptionKey(v); err == nil {
			t.Errorf("%s: %+v", name, k)
		}
	}
	// A key that says nothing of its use is taken (RFC 7517 sections 4.2 and 4.4).
	bare := strings.Replace(strings.Replace(good, `"use":"enc",`, "", 1), `"alg":"ECDH-ES",`, "", 1)
	v, err := strict.Limits{Bytes: 1000, Depth: 2, Items: 20}.JSON([]byte(bare))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jose.ParseEncryptionKey(v); err != nil || strings.Contains(bare, "enc") || strings.Contains(bare, "alg") {
		t.Errorf("%s: %v", bare, err)
	}
}

// FuzzDecrypt: nothing but what was encrypted for the key is opened.
func FuzzDecrypt(f *testing.F) {
	k := decryptionKey(f)
	good, err := jose.Encrypt([]byte("content"), k.Public(), jose.A256GCM)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(strings.Replace(good, "..", ".AA.", 1))
	f.Add("e30....")
	other := decryptionKey(f)
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		if got, err := jose.Decrypt(s, wanted(other)); err == nil {
			t.Fatalf("opened %q", got)
		}
	})
}
