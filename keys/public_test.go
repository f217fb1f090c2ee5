package keys_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

// public returns the public key that keystest makes from a name.
func public(t testing.TB, alg keys.Algorithm, name string) keys.PublicKey {
	t.Helper()
	return keystest.Key(t, keys.Credential, alg, name).Public
}

// unhex decodes hexadecimal that a test spells out.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestThumbprints(t *testing.T) {
	// RFC 9679 section 6, whose key also carries a kid.
	k, err := keys.ParseCOSEKey(unhex(t, "a501020258246d65726961646f632e6272616e64796275636b406275636b6c616e642e6578616d706c65"+
		"200121582065eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d"+
		"2258201e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%x", k.Thumbprint()), "496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec"; got != want {
		t.Errorf("Thumbprint: %s, want %s", got, want)
	}
	if got, want := k.ID().String(), "496bd8afadf307e5"; got != want {
		t.Errorf("ID: %s, want %s", got, want)
	}
	if sha256.Sum256(k.COSEKey()) != k.Thumbprint() {
		t.Errorf("the SHA-256 of COSEKey is not the thumbprint")
	}
	// RFC 8037 appendix A.3.
	k, err = keys.ParseJWK([]byte(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.JWKThumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"; got != want {
		t.Errorf("JWKThumbprint: %s, want %s", got, want)
	}
}

func TestRoundTrips(t *testing.T) {
	for _, alg := range keys.Algorithms() {
		k := public(t, alg, "round trip")
		forms := map[string][]byte{
			"JWK": k.JWK(), "COSE_Key": k.COSEKey(), "PEM": k.PEM(),
			"COSE_Key in hexadecimal": []byte(hex.EncodeToString(k.COSEKey()) + "\n"),
			"COSE_Key in HEXADECIMAL": []byte(strings.ToUpper(hex.EncodeToString(k.COSEKey()))),
			"COSE_Key in base64":      []byte(base64.StdEncoding.EncodeToString(k.COSEKey()) + "\r\n"),
			"COSE_Key in base64url":   []byte(base64.RawURLEncoding.EncodeToString(k.COSEKey())),
			"JWK with space around":   []byte(" \n" + string(k.JWK()) + "\n"),
			"PEM with text before":    append([]byte("Key of the office\n"), k.PEM()...),
			"PEM of a certificate":    certificate(t, keystest.Private(t, alg, "round trip"), x509.KeyUsageDigitalSignature),
			"PEM without a key usage": certificate(t, keystest.Private(t, alg, "round trip"), 0),
		}
		for form, b := range forms {
			got, err := keys.ParsePublicKey(b)
			if err != nil || !got.Equal(k) || got.Algorithm() != alg {
				t.Errorf("%s as %s: %v, %v, want %v", alg, form, got, err, k)
			}
		}
		if !cbor.IsDeterministic(k.COSEKey()) {
			t.Errorf("%s: COSEKey is not deterministic CBOR", alg)
		}
		var fields map[string]string
		if err := json.Unmarshal(k.JWK(), &fields); err != nil || fields["kid"] != k.ID().String() || fields["alg"] != string(alg) || fields["use"] != "sig" {
			t.Errorf("%s: JWK %s, %v", alg, k.JWK(), err)
		}
		again, err := keys.PublicKeyOf(k.Crypto())
		if err != nil || !again.Equal(k) {
			t.Errorf("PublicKeyOf: %v, %v, want %v", again, err, k)
		}
		var decoded keys.PublicKey
		encoded, err := json.Marshal(k)
		if err == nil {
			err = json.Unmarshal(encoded, &decoded)
		}
		if err != nil || !decoded.Equal(k) {
			t.Errorf("through JSON: %v, %v, want %v", decoded, err, k)
		}
	}
}

func TestCompressedCOSEKey(t *testing.T) {
	for _, name := range []string{"even", "odd", "a", "b", "c"} {
		k := public(t, keys.ES256, name)
		raw, err := k.Crypto().(*ecdsa.PublicKey).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		b := marshal(t, map[int64]any{1: 2, -1: 1, -2: raw[1:33], -3: raw[64]&1 == 1})
		if got, err := keys.ParseCOSEKey(b); err != nil || !got.Equal(k) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, k)
		}
	}
}

func TestEqual(t *testing.T) {
	a, b, ed := public(t, keys.ES256, "a"), public(t, keys.ES256, "b"), public(t, keys.EdDSA, "a")
	var zero keys.PublicKey
	if !a.Equal(public(t, keys.ES256, "a")) || a.Equal(b) || a.Equal(ed) || a.Equal(zero) || zero.Equal(a) || !zero.Equal(zero) {
		t.Error("Equal mixes keys up")
	}
	if !zero.IsZero() || a.IsZero() || zero.Algorithm() != "" || zero.Crypto() != nil || zero.Thumbprint() != [32]byte{} {
		t.Error("the zero key is not nothing")
	}
	if got, err := json.Marshal(zero); err != nil || string(got) != "null" {
		t.Errorf("the zero key as JSON: %s, %v", got, err)
	}
}

func TestID(t *testing.T) {
	id := public(t, keys.ES256, "a").ID()
	got, err := keys.ParseID(id.String())
	if err != nil || got != id || !bytes.Equal(id.Bytes(), id[:]) {
		t.Errorf("ParseID(%q): %v, %v", id, got, err)
	}
	var decoded keys.ID
	if err := json.Unmarshal(fmt.Appendf(nil, "%q", id), &decoded); err != nil || decoded != id {
		t.Errorf("through JSON: %v, %v", decoded, err)
	}
	for _, s := range []string{"", "00", "000000000000000", "00000000000000000", "000000000000000g", strings.Repeat("0", 1<<20)} {
		if id, err := keys.ParseID(s); err == nil || len(err.Error()) > 200 {
			t.Errorf("ParseID(%.20q): %v, %v", s, id, err)
		}
	}
}

// certificate returns a self-signed certificate in PEM.
func certificate(t testing.TB, private crypto.Signer, usage x509.KeyUsage) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, KeyUsage: usage,
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// goodJWK is the good P-256 key of Wycheproof's json_web_key_test, member by
// member, so that a row can spoil one of them.
func goodJWK() map[string]any {
	return map[string]any{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "key_ops": []string{"verify"}, "kid": "k",
		"x": "04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY",
		"y": "UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw",
	}
}

func TestParseJWKRefuses(t *testing.T) {
	zeros := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	x384 := base64.RawURLEncoding.EncodeToString(make([]byte, 48))
	for _, tt := range []struct {
		name  string
		spoil func(map[string]any)
		want  error
	}{
		{"SIG-05 private member d", func(m map[string]any) { m["d"] = "yy49oPcINGK2ps0LmtxpB6UTEOiITghHBif6wDqmJ3c" }, keys.ErrPrivate},
		{"SIG-05 private member d that is null", func(m map[string]any) { m["d"] = nil }, keys.ErrPrivate},
		{"SIG-05 private members of RSA", func(m map[string]any) { m["kty"], m["dp"] = "RSA", "AQ" }, keys.ErrPrivate},
		{"SIG-05 private member p", func(m map[string]any) { m["p"] = "AQ" }, keys.ErrPrivate},
		{"SIG-05 private member q", func(m map[string]any) { m["q"] = "AQ" }, keys.ErrPrivate},
		{"SIG-05 private member dq", func(m map[string]any) { m["dq"] = "AQ" }, keys.ErrPrivate},
		{"SIG-05 private member qi", func(m map[string]any) { m["qi"] = "AQ" }, keys.ErrPrivate},
		{"SIG-05 private member oth", func(m map[string]any) { m["oth"] = []any{} }, keys.ErrPrivate},
		{"SIG-05 symmetric secret k beside a point", func(m map[string]any) { m["k"] = "AQ" }, keys.ErrPrivate},
		{"SIG-06 off the curve", func(m map[string]any) { m["y"] = "UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgnw" }, keys.ErrInvalidKey},
		{"SIG-06 all zero", func(m map[string]any) { m["x"], m["y"] = zeros, zeros }, keys.ErrInvalidKey},
		{"SIG-06 x one byte short", func(m map[string]any) { m["x"] = base64.RawURLEncoding.EncodeToString(make([]byte, 31)) }, keys.ErrInvalidKey},
		{"SIG-06 x one byte long", func(m map[string]any) {
			x, _ := base64.RawURLEncoding.DecodeString(m["x"].(string))
			m["x"] = base64.RawURLEncoding.EncodeToString(append([]byte{0}, x...))
		}, keys.ErrInvalidKey},
		{"SIG-06 x short, y long by as much", func(m map[string]any) {
			x, _ := base64.RawURLEncoding.DecodeString(m["x"].(string))
			y, _ := base64.RawURLEncoding.DecodeString(m["y"].(string))
			m["x"], m["y"] = base64.RawURLEncoding.EncodeToString(x[:31]), base64.RawURLEncoding.EncodeToString(append(x[31:], y...))
		}, keys.ErrInvalidKey},
		{"SIG-06 no y", func(m map[string]any) { delete(m, "y") }, keys.ErrInvalidKey},
		{"SIG-06 oct key", func(m map[string]any) { m["kty"], m["k"] = "oct", "AAAA" }, keys.ErrUnsupportedKey},
		{"SIG-06 coordinates of another curve", func(m map[string]any) { m["crv"] = "P-384"; delete(m, "alg") }, keys.ErrInvalidKey},
		{"SIG-06 P-384 all zero", func(m map[string]any) {
			m["crv"], m["alg"], m["x"], m["y"] = "P-384", "ES384", x384, x384
		}, keys.ErrInvalidKey},
		{"SIG-07 use for encryption", func(m map[string]any) { m["use"] = "enc" }, keys.ErrKeyUse},
		{"SIG-07 use in capitals", func(m map[string]any) { m["use"] = "SIG" }, keys.ErrKeyUse},
		{"SIG-07 key_ops for deriving", func(m map[string]any) { m["key_ops"] = []string{"verify", "deriveKey"} }, keys.ErrKeyUse},
		{"SIG-07 key_ops for signing only", func(m map[string]any) { m["key_ops"] = []string{"sign"} }, keys.ErrKeyUse},
		{"SIG-07 key_ops empty", func(m map[string]any) { m["key_ops"] = []string{} }, keys.ErrKeyUse},
		{"SIG-07 key_ops with one twice", func(m map[string]any) { m["key_ops"] = []string{"verify", "verify"} }, keys.ErrKeyUse},
		{"SIG-07 alg for another curve", func(m map[string]any) { m["alg"] = "ES384" }, keys.ErrKeyUse},
		{"SIG-07 alg for key agreement", func(m map[string]any) { m["alg"] = "ECDH-ES" }, keys.ErrKeyUse},
		{"alg none", func(m map[string]any) { m["alg"] = "none" }, keys.ErrKeyUse},
		{"alg in small letters", func(m map[string]any) { m["alg"] = "es256" }, keys.ErrKeyUse},
		{"alg empty", func(m map[string]any) { m["alg"] = "" }, keys.ErrMalformedKey},
		{"alg a number", func(m map[string]any) { m["alg"] = -7 }, keys.ErrMalformedKey},
		{"use null", func(m map[string]any) { m["use"] = nil }, keys.ErrMalformedKey},
		{"key_ops a text", func(m map[string]any) { m["key_ops"] = "verify" }, keys.ErrMalformedKey},
		{"key_ops null", func(m map[string]any) { m["key_ops"] = nil }, keys.ErrMalformedKey},
		{"key_ops of numbers", func(m map[string]any) { m["key_ops"] = []int{2} }, keys.ErrMalformedKey},
		{"kid a number", func(m map[string]any) { m["kid"] = 1 }, keys.ErrMalformedKey},
		{"RSA", func(m map[string]any) { m["kty"], m["n"], m["e"] = "RSA", "AQAB", "AQAB" }, keys.ErrUnsupportedKey},
		{"curve secp256k1", func(m map[string]any) { m["crv"] = "secp256k1" }, keys.ErrUnsupportedKey},
		{"curve P-521", func(m map[string]any) { m["crv"] = "P-521" }, keys.ErrUnsupportedKey},
		{"no curve", func(m map[string]any) { delete(m, "crv") }, keys.ErrUnsupportedKey},
		{"no kty", func(m map[string]any) { delete(m, "kty") }, keys.ErrUnsupportedKey},
		{"JSON-02 Kty for kty", func(m map[string]any) { delete(m, "kty"); m["Kty"] = "EC" }, keys.ErrUnsupportedKey},
		{"JSON-02 X for x", func(m map[string]any) { m["X"] = m["x"]; delete(m, "x") }, keys.ErrInvalidKey},
		{"JSON-02 Kelvin sign for k in kty", func(m map[string]any) { delete(m, "kty"); m["\u212Aty"] = "EC" }, keys.ErrUnsupportedKey},
		{"a JWK set", func(m map[string]any) { clear(m); m["keys"] = []any{goodJWK()} }, keys.ErrMalformedKey},
		{"x in base64, not base64url", func(m map[string]any) { m["x"] = strings.ReplaceAll(m["x"].(string), "_", "/") }, keys.ErrMalformedKey},
		{"x with padding", func(m map[string]any) { m["x"] = m["x"].(string) + "=" }, keys.ErrMalformedKey},
		{"x with a line break", func(m map[string]any) { m["x"] = "04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7w\nY" }, keys.ErrMalformedKey},
		{"x with bits left over", func(m map[string]any) { m["x"] = strings.TrimSuffix(m["x"].(string), "Y") + "Z" }, keys.ErrMalformedKey},
		{"x a list", func(m map[string]any) { m["x"] = []int{1} }, keys.ErrMalformedKey},
		{"nested too deep", func(m map[string]any) { m["ext"] = deep(20) }, keys.ErrMalformedKey},
		{"too large", func(m map[string]any) { m["ext"] = strings.Repeat("x", 64<<10) }, keys.ErrMalformedKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := goodJWK()
			if _, err := keys.ParseJWK(asJSON(t, m)); err != nil {
				t.Fatalf("the good key: %v", err)
			}
			tt.spoil(m)
			if k, err := keys.ParseJWK(asJSON(t, m)); !errors.Is(err, tt.want) {
				t.Errorf("ParseJWK: %v, %v, want %v", k, err, tt.want)
			}
		})
	}
}

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func deep(n int) any {
	if n == 0 {
		return 1
	}
	return []any{deep(n - 1)}
}

func TestParseJWKRefusesText(t *testing.T) {
	const x, y = `"x":"04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY"`, `"y":"UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw"`
	const good = `{"kty":"EC","crv":"P-256",` + x + `,` + y + `}`
	if _, err := keys.ParseJWK([]byte(good)); err != nil {
		t.Fatalf("the good key: %v", err)
	}
	for name, text := range map[string]string{
		"JSON-01 member twice":                  `{"kty":"EC","kty":"EC","crv":"P-256",` + x + `,` + y + `}`,
		"JSON-01 member twice, once escaped":    `{"kty":"EC","\u006bty":"EC","crv":"P-256",` + x + `,` + y + `}`,
		"JSON-01 member twice in another":       `{"kty":"EC","crv":"P-256",` + x + `,` + y + `,"ext":{"a":1,"a":2}}`,
		"JSON-01 member twice deep in an array": `{"kty":"EC","crv":"P-256",` + x + `,` + y + `,"ext":[[{"a":1,"a":1}]]}`,
		"JSON-03 nested a hundred thousand deep": `{"kty":"EC","crv":"P-256",` + x + `,` + y + `,"ext":` +
			strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + `}`,
		"JSON-04 something after it":   good + `{}`,
		"JSON-04 byte order mark":      "\ufeff" + good,
		"JSON-04 a comment":            good + ` // mine`,
		"JSON-04 not a number":         `{"kty":"EC","crv":"P-256",` + x + `,` + y + `,"ext":NaN}`,
		"cut short":                    good[:len(good)-1],
		"not UTF-8":                    strings.Replace(good, "P-256", "P-256\",\"ext\":\"\xff", 1),
		"an array":                     `[` + good + `]`,
		"a text":                       `"EC"`,
		"null":                         `null`,
		"nothing":                      ``,
		"a comma too many":             strings.Replace(good, "}", ",}", 1),
		"y on an Ed25519 key":          `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",` + y + `}`,
		"a lone surrogate in its type": strings.Replace(good, `"EC"`, `"\ud800"`, 1),
	} {
		if k, err := keys.ParseJWK([]byte(text)); err == nil {
			t.Errorf("%s: ParseJWK took it as %v", name, k)
		}
	}
}

func TestParseEd25519Refuses(t *testing.T) {
	good := public(t, keys.EdDSA, "good").Crypto().(ed25519.PublicKey)
	le := func(decimal string) []byte {
		n, ok := new(big.Int).SetString(decimal, 0)
		if !ok {
			t.Fatal(decimal)
		}
		b := n.FillBytes(make([]byte, 32))
		for i := range 16 {
			b[i], b[31-i] = b[31-i], b[i]
		}
		return b
	}
	const p = "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed"
	for name, key := range map[string][]byte{
		"SIG-03 all zero, of order 4":               make([]byte, 32),
		"SIG-03 the neutral element":                le("1"),
		"SIG-03 of order 2":                         le("0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec"),
		"SIG-03 of order 8":                         unhex(t, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
		"SIG-03 of order 8, other sign":             unhex(t, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
		"SIG-03 of order 8, the other":              unhex(t, "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
		"SIG-03 not canonical: p":                   le(p),
		"SIG-03 not canonical: p+1":                 le("0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffee"),
		"SIG-03 not canonical: all ones":            bytes.Repeat([]byte{0xff}, 32),
		"not a point":                               le("2"),
		"31 bytes":                                  good[:31],
		"33 bytes":                                  append(bytes.Clone(good), 0),
		"SIG-06 a point of P-256 without its type ": public(t, keys.ES256, "a").COSEKey()[8:72],
	} {
		if k, err := keys.NewPublicKey(keys.EdDSA, ed25519.PublicKey(key)); !errors.Is(err, keys.ErrInvalidKey) {
			t.Errorf("%s: NewPublicKey: %v, %v, want ErrInvalidKey", name, k, err)
		}
	}
	// Every fresh key passes.
	for range 200 {
		key, _, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keys.NewPublicKey(keys.EdDSA, key); err != nil {
			t.Fatalf("%x: %v", key, err)
		}
	}
}

func TestNewPublicKeyRefuses(t *testing.T) {
	p256 := keystest.Private(t, keys.ES256, "a").Public().(*ecdsa.PublicKey)
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 a point that is none can be made in no other way
	off := &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}
	//lint:ignore SA1019 neither can the point at nothing
	nothing := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int), Y: new(big.Int)}
	for name, tt := range map[string]struct {
		alg  keys.Algorithm
		key  crypto.PublicKey
		want error
	}{
		"JWS-03 P-256 for ES384":      {keys.ES384, p256, keys.ErrUnsupportedKey},
		"JWS-03 P-256 for EdDSA":      {keys.EdDSA, p256, keys.ErrUnsupportedKey},
		"JWS-03 Ed25519 for ES256":    {keys.ES256, public(t, keys.EdDSA, "a").Crypto(), keys.ErrUnsupportedKey},
		"JWS-03 P-521 for ES256":      {keys.ES256, &p521.PublicKey, keys.ErrUnsupportedKey},
		"SIG-04 an algorithm of RSA":  {"RS256", &rsa.PublicKey{}, keys.ErrUnsupportedKey},
		"SIG-04 an RSA key":           {keys.ES256, &rsa.PublicKey{N: big.NewInt(15), E: 3}, keys.ErrUnsupportedKey},
		"SIG-06 off the curve":        {keys.ES256, off, keys.ErrInvalidKey},
		"SIG-06 the point at nothing": {keys.ES256, nothing, keys.ErrInvalidKey},
		"SIG-06 without numbers":      {keys.ES256, &ecdsa.PublicKey{Curve: elliptic.P256()}, keys.ErrInvalidKey},
		"SIG-06 without a curve":      {keys.ES256, &ecdsa.PublicKey{}, keys.ErrInvalidKey},
		"nil":                         {keys.ES256, nil, keys.ErrUnsupportedKey},
		"a nil pointer":               {keys.ES256, (*ecdsa.PublicKey)(nil), keys.ErrInvalidKey},
		"an empty Ed25519 key":        {keys.EdDSA, ed25519.PublicKey(nil), keys.ErrInvalidKey},
	} {
		if k, err := keys.NewPublicKey(tt.alg, tt.key); !errors.Is(err, tt.want) {
			t.Errorf("%s: NewPublicKey: %v, %v, want %v", name, k, err, tt.want)
		}
	}
	for name, key := range map[string]crypto.PublicKey{
		"P-521": &p521.PublicKey, "RSA": &rsa.PublicKey{}, "nil": nil,
		"nil pointer": (*ecdsa.PublicKey)(nil), "off the curve": off, "short": ed25519.PublicKey{1},
	} {
		if k, err := keys.PublicKeyOf(key); err == nil {
			t.Errorf("%s: PublicKeyOf took it as %v", name, k)
		}
	}
}

func TestParseCOSEKeyRefuses(t *testing.T) {
	raw, err := public(t, keys.ES256, "good").Crypto().(*ecdsa.PublicKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	x, y := raw[1:33], raw[33:]
	good := func() map[any]any {
		return map[any]any{1: 2, 2: []byte("kid"), 3: -7, 4: []any{2}, -1: 1, -2: x, -3: y}
	}
	flipped := bytes.Clone(y)
	flipped[31] ^= 1
	for name, tt := range map[string]struct {
		spoil func(map[any]any)
		want  error
	}{
		"SIG-05 private member d":              {func(m map[any]any) { m[-4] = x }, keys.ErrPrivate},
		"SIG-06 off the curve":                 {func(m map[any]any) { m[-3] = flipped }, keys.ErrInvalidKey},
		"SIG-06 all zero":                      {func(m map[any]any) { m[-2], m[-3] = make([]byte, 32), make([]byte, 32) }, keys.ErrInvalidKey},
		"SIG-06 x short":                       {func(m map[any]any) { m[-2] = x[1:] }, keys.ErrInvalidKey},
		"SIG-06 x short, y long by as much":    {func(m map[any]any) { m[-2], m[-3] = x[:31], append([]byte{x[31]}, y...) }, keys.ErrInvalidKey},
		"SIG-06 x long, y short by as much":    {func(m map[any]any) { m[-2], m[-3] = append(bytes.Clone(x), y[0]), y[1:] }, keys.ErrInvalidKey},
		"SIG-06 y long":                        {func(m map[any]any) { m[-3] = append([]byte{0}, y...) }, keys.ErrInvalidKey},
		"SIG-06 symmetric":                     {func(m map[any]any) { m[1], m[-1] = 4, x }, keys.ErrUnsupportedKey},
		"SIG-06 compressed, x on no point":     {func(m map[any]any) { m[-2], m[-3] = bytes.Repeat([]byte{0xff}, 32), true }, keys.ErrInvalidKey},
		"SIG-06 coordinates of another curve":  {func(m map[any]any) { m[-1] = 2; delete(m, 3) }, keys.ErrInvalidKey},
		"SIG-07 key_ops for deriving":          {func(m map[any]any) { m[4] = []any{2, 7} }, keys.ErrKeyUse},
		"SIG-07 key_ops for signing only":      {func(m map[any]any) { m[4] = []any{1} }, keys.ErrKeyUse},
		"SIG-07 key_ops empty":                 {func(m map[any]any) { m[4] = []any{} }, keys.ErrKeyUse},
		"SIG-07 key_ops by name":               {func(m map[any]any) { m[4] = []any{"verify"} }, keys.ErrKeyUse},
		"SIG-07 key_ops no array":              {func(m map[any]any) { m[4] = 2 }, keys.ErrMalformedKey},
		"SIG-07 alg for another curve":         {func(m map[any]any) { m[3] = -35 }, keys.ErrKeyUse},
		"SIG-07 alg for key agreement":         {func(m map[any]any) { m[3] = -25 }, keys.ErrKeyUse},
		"alg by name":                          {func(m map[any]any) { m[3] = "ES256" }, keys.ErrKeyUse},
		"alg null":                             {func(m map[any]any) { m[3] = nil }, keys.ErrKeyUse},
		"RSA":                                  {func(m map[any]any) { m[1] = 3 }, keys.ErrUnsupportedKey},
		"curve P-521":                          {func(m map[any]any) { m[-1] = 3 }, keys.ErrUnsupportedKey},
		"curve X25519":                         {func(m map[any]any) { m[1], m[-1] = 1, 4 }, keys.ErrUnsupportedKey},
		"type by name":                         {func(m map[any]any) { m[1] = "EC2" }, keys.ErrUnsupportedKey},
		"no type":                              {func(m map[any]any) { delete(m, 1) }, keys.ErrUnsupportedKey},
		"no x":                                 {func(m map[any]any) { delete(m, -2) }, keys.ErrMalformedKey},
		"no y":                                 {func(m map[any]any) { delete(m, -3) }, keys.ErrMalformedKey},
		"y a text":                             {func(m map[any]any) { m[-3] = string(make([]byte, 32)) }, keys.ErrMalformedKey},
		"y on an Ed25519 key":                  {func(m map[any]any) { m[1], m[-1], m[3] = 1, 6, -8 }, keys.ErrMalformedKey},
		"CBOR-01 nested too deep":              {func(m map[any]any) { m[99] = deep(9) }, keys.ErrMalformedKey},
		"too many members":                     {func(m map[any]any) { fill(m, 100) }, keys.ErrMalformedKey},
		"too large":                            {func(m map[any]any) { m[99] = make([]byte, 64<<10) }, keys.ErrMalformedKey},
		"a private key labelled as its public": {func(m map[any]any) { m[-4], m[4] = x, []any{1, 2} }, keys.ErrPrivate},
	} {
		t.Run(name, func(t *testing.T) {
			m := good()
			if _, err := keys.ParseCOSEKey(marshal(t, m)); err != nil {
				t.Fatalf("the good key: %v", err)
			}
			tt.spoil(m)
			if k, err := keys.ParseCOSEKey(marshal(t, m)); !errors.Is(err, tt.want) {
				t.Errorf("ParseCOSEKey: %v, %v, want %v", k, err, tt.want)
			}
		})
	}
	b := marshal(t, good())
	for name, b := range map[string][]byte{
		"CBOR-03 label twice":      append([]byte{b[0] + 1, 0x01, 0x02}, b[1:]...),
		"CBOR-04 indefinite":       append(append([]byte{0xbf}, b[1:]...), 0xff),
		"something after it":       append(bytes.Clone(b), 0),
		"cut short":                b[:len(b)-1],
		"an array":                 {0x80},
		"nothing":                  {},
		"an empty map":             {0xa0},
		"CBOR-02 a length of 2^63": {0xa1, 0x01, 0x5b, 0x80, 0, 0, 0, 0, 0, 0, 0},
	} {
		if k, err := keys.ParseCOSEKey(b); err == nil {
			t.Errorf("%s: ParseCOSEKey took it as %v", name, k)
		}
	}
}

func fill(m map[any]any, n int) {
	for i := range n {
		m[100+i] = i
	}
}

func TestFullySpecifiedNames(t *testing.T) {
	// RFC 9864: the same keys under the names that include the curve.
	for alg, full := range map[keys.Algorithm]struct {
		jose string
		cose int64
	}{keys.ES256: {"ESP256", -9}, keys.ES384: {"ESP384", -51}, keys.EdDSA: {"Ed25519", -19}} {
		k := public(t, alg, "full")
		jwk := bytes.Replace(k.JWK(), fmt.Appendf(nil, "%q", alg), fmt.Appendf(nil, "%q", full.jose), 1)
		if got, err := keys.ParseJWK(jwk); err != nil || !got.Equal(k) {
			t.Errorf("ParseJWK(%s): %v, %v", jwk, got, err)
		}
		var m map[any]any
		if err := cbor.Token.Unmarshal(k.COSEKey(), &m); err != nil {
			t.Fatal(err)
		}
		m[int64(3)] = full.cose
		if got, err := keys.ParseCOSEKey(marshal(t, m)); err != nil || !got.Equal(k) {
			t.Errorf("ParseCOSEKey with alg %d: %v, %v", full.cose, got, err)
		}
	}
}

func TestParsePEMRefuses(t *testing.T) {
	private := keystest.Private(t, keys.ES256, "a")
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(private.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaDER, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	k := public(t, keys.ES256, "a")
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	spki, _ := pem.Decode(k.PEM())
	for name, tt := range map[string]struct {
		text []byte
		want error
	}{
		"SIG-05 PRIVATE KEY":            {block("PRIVATE KEY", pkcs8), keys.ErrPrivate},
		"SIG-05 EC PRIVATE KEY":         {block("EC PRIVATE KEY", sec1), keys.ErrPrivate},
		"SIG-05 ENCRYPTED PRIVATE KEY":  {block("ENCRYPTED PRIVATE KEY", []byte("?")), keys.ErrPrivate},
		"SIG-05 OPENSSH PRIVATE KEY":    {block("OPENSSH PRIVATE KEY", []byte("?")), keys.ErrPrivate},
		"SIG-05 private after public":   {append(k.PEM(), block("PRIVATE KEY", pkcs8)...), keys.ErrPrivate},
		"SIG-07 certificate of an encr": {certificate(t, private, x509.KeyUsageKeyAgreement), keys.ErrKeyUse},
		"SIG-07 certificate of a CA":    {certificate(t, private, x509.KeyUsageCertSign), keys.ErrKeyUse},
		"SIG-04 RSA":                    {block("PUBLIC KEY", rsaDER), keys.ErrUnsupportedKey},
		"two keys":                      {append(k.PEM(), k.PEM()...), keys.ErrMalformedKey},
		"a key and half a block":        {append(k.PEM(), []byte("-----BEGIN CERTIFICATE-----\nAAAA")...), keys.ErrMalformedKey},
		"cut short":                     {k.PEM()[:60], keys.ErrMalformedKey},
		"another kind of block":         {block("CERTIFICATE REQUEST", spki.Bytes), keys.ErrUnsupportedKey},
		"RSA PUBLIC KEY":                {block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)), keys.ErrUnsupportedKey},
		"bytes after the key":           {block("PUBLIC KEY", append(bytes.Clone(spki.Bytes), 0)), keys.ErrMalformedKey},
		"SIG-06 off the curve":          {block("PUBLIC KEY", spoilLast(spki.Bytes)), keys.ErrMalformedKey},
		"a broken certificate":          {block("CERTIFICATE", spki.Bytes), keys.ErrMalformedKey},
		"no block":                      {[]byte("PUBLIC KEY"), keys.ErrMalformedKey},
		"nothing":                       {nil, keys.ErrMalformedKey},
		"too large":                     {append(bytes.Repeat([]byte("\n"), 64<<10), k.PEM()...), keys.ErrMalformedKey},
	} {
		got, err := keys.ParsePEM(tt.text)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: ParsePEM: %v, %v, want %v", name, got, err, tt.want)
		}
	}
}

func spoilLast(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

func TestParsePublicKeyRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		b    string
		want error
	}{
		"nothing":             {"", keys.ErrMalformedKey},
		"space":               {" \n\t", keys.ErrMalformedKey},
		"words":               {"the key of the office", keys.ErrMalformedKey},
		"hexadecimal of text": {hex.EncodeToString([]byte("the key of the office")), keys.ErrMalformedKey},
		"base64 of text":      {base64.StdEncoding.EncodeToString([]byte("the key of the office")), keys.ErrMalformedKey},
		"too large":           {strings.Repeat("a", 64<<10+1), keys.ErrMalformedKey},
		"private JWK":         {`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"AA"}`, keys.ErrPrivate},
		"private COSE_Key":    {"a4010120062158200000000000000000000000000000000000000000000000000000000000000000234100", keys.ErrPrivate},
		"private PEM":         {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", keys.ErrPrivate},
	} {
		if k, err := keys.ParsePublicKey([]byte(tt.b)); !errors.Is(err, tt.want) {
			t.Errorf("%s: ParsePublicKey: %v, %v, want %v", name, k, err, tt.want)
		}
	}
}
