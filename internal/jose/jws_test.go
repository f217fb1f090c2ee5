package jose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

var b64 = base64.RawURLEncoding.EncodeToString

const typ = "example+jwt"

func signer(t testing.TB, alg keys.Algorithm) keys.Signer {
	return keystest.Signer(t, keys.Credential, alg, "jose")
}

// token signs any header and payload with a good signature for alg.
func token(t testing.TB, alg keys.Algorithm, header, payload string) string {
	t.Helper()
	return signed(t, alg, b64([]byte(header))+"."+b64([]byte(payload)))
}

// signed signs what stands before the second dot.
func signed(t testing.TB, alg keys.Algorithm, message string) string {
	t.Helper()
	return message + "." + b64(rawSignature(t, alg, "jose", []byte(message)))
}

func rawSignature(t testing.TB, alg keys.Algorithm, name string, message []byte) []byte {
	t.Helper()
	digest, h := message, alg.Hash()
	if h != 0 {
		d := h.New()
		d.Write(message)
		digest = d.Sum(nil)
	}
	sig, err := keystest.Private(t, alg, name).Sign(rand.Reader, digest, h)
	if err != nil {
		t.Fatal(err)
	}
	if h == 0 {
		return sig
	}
	var n struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(sig, &n); err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, alg.SignatureSize())
	n.R.FillBytes(raw[:len(raw)/2])
	n.S.FillBytes(raw[len(raw)/2:])
	return raw
}

// open is what every reader does: parse, then verify with its own choice.
func open(token string, alg keys.Algorithm, pub keys.PublicKey) ([]byte, error) {
	m, err := jose.Parse(token, jose.Expect{Types: []string{typ}})
	if err != nil {
		return nil, err
	}
	if err := m.Verify(alg, pub); err != nil {
		return nil, err
	}
	return m.Payload, nil
}

func TestSignAndVerify(t *testing.T) {
	for _, alg := range keys.Algorithms() {
		t.Run(string(alg), func(t *testing.T) {
			s := signer(t, alg)
			pub := s.Key().Public
			d, err := jose.NewDraft(pub, jose.Header{Type: typ, KeyID: "k 1", X5C: [][]byte{{1, 2}, {3}}}, []byte(`{"a":1}`))
			if err != nil {
				t.Fatal(err)
			}
			b, err := d.Sign(rand.Reader, s)
			if err != nil {
				t.Fatal(err)
			}
			m, err := jose.Parse(string(b), jose.Expect{Types: []string{"other", typ}})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Verify(alg, pub); err != nil {
				t.Errorf("Verify: %v", err)
			}
			if !bytes.Equal(m.ToBeSigned(), d.ToBeSigned()) || string(m.Payload) != `{"a":1}` || m.KeyID != "k 1" || len(m.X5C) != 2 || m.X5C[1][0] != 3 {
				t.Errorf("Parse: %+v", m)
			}
			other := keystest.Key(t, keys.Credential, alg, "other").Public
			if err := m.Verify(alg, other); !errors.Is(err, jose.ErrSignature) {
				t.Errorf("Verify with another key: %v, want ErrSignature", err)
			}
		})
	}
}

// TestRefuses spoils one thing at a time in a token that is good otherwise. Every
// signature fits what it covers, so that each row fails for its own reason. Rows
// bear the ids of corpus groups 3.1 and 3.2.
func TestRefuses(t *testing.T) {
	good := `{"alg":"ES256","typ":"` + typ + `"}`
	with := func(members string) string { return `{"alg":"ES256","typ":"` + typ + `",` + members + `}` }
	pub := keystest.Key(t, keys.Credential, keys.ES256, "jose").Public
	goodToken := token(t, keys.ES256, good, "{}")
	if _, err := open(goodToken, keys.ES256, pub); err != nil {
		t.Fatal(err)
	}
	type row struct {
		id, name, token string
		want            error
	}
	var tests []row
	add := func(id, name, token string, want error) { tests = append(tests, row{id, name, token, want}) }
	head := func(id, name, header string, want error) {
		add(id, name, token(t, keys.ES256, header, "{}"), want)
	}
	for _, none := range []string{"none", "None", "NONE", "nOnE", " none", "none "} {
		h := b64([]byte(`{"alg":"`+none+`","typ":"`+typ+`"}`)) + ".e30"
		add("JWS-01", none+" without signature", h+".", jose.ErrUnsigned)
		add("JWS-01", none+" with one", signed(t, keys.ES256, h), jose.ErrUnsigned)
	}
	head("JWS-01", "alg empty", `{"alg":"","typ":"`+typ+`"}`, jose.ErrMalformed)
	head("JWS-01", "alg missing", `{"typ":"`+typ+`"}`, jose.ErrMalformed)
	head("JWS-01", "alg null", `{"alg":null,"typ":"`+typ+`"}`, jose.ErrMalformed)
	head("JWS-01", "alg a list", `{"alg":["ES256"],"typ":"`+typ+`"}`, jose.ErrMalformed)
	add("JWS-01", "no signature", goodToken[:strings.LastIndex(goodToken, ".")+1], jose.ErrUnsigned)
	for name, secret := range macSecrets(t, pub) {
		for _, alg := range []string{"HS256", "hs256", "HS384", "dir", "PBES2-HS256+A128KW"} {
			m := b64([]byte(`{"alg":"`+alg+`","typ":"`+typ+`"}`)) + ".e30"
			h := hmac.New(sha256.New, secret)
			h.Write([]byte(m))
			add("JWS-02", alg+" with the public key as "+name, m+"."+b64(h.Sum(nil)), jose.ErrHeader)
		}
	}
	head("JWS-03", "ES384 in the header", `{"alg":"ES384","typ":"`+typ+`"}`, jose.ErrAlgorithm)
	head("JWS-03", "EdDSA in the header", `{"alg":"EdDSA","typ":"`+typ+`"}`, jose.ErrAlgorithm)
	for _, alg := range []string{"RS256", "PS256", "ES512", "ES256K", "es256", "ES256 ", "Ed448", "ML-DSA-44"} {
		head("JWS-03", alg+" in the header", `{"alg":"`+alg+`","typ":"`+typ+`"}`, jose.ErrUnsupportedAlgorithm)
	}
	head("JWS-04", "a key of its own", with(`"jwk":`+string(pub.JWK())), jose.ErrHeader)
	head("JWS-05", "jku", with(`"jku":"https://127.0.0.1/keys"`), jose.ErrHeader)
	head("JWS-05", "x5u", with(`"x5u":"https://127.0.0.1/cert"`), jose.ErrHeader)
	head("JWS-06", "kid of a megabyte", with(`"kid":"`+strings.Repeat("k", 1<<20)+`"`), jose.ErrTooLarge)
	head("JWS-06", "kid of 513 bytes", with(`"kid":"`+strings.Repeat("k", 513)+`"`), jose.ErrTooLarge)
	head("JWS-06", "kid a number", with(`"kid":1`), jose.ErrMalformed)
	head("JWS-06", "kid empty", with(`"kid":""`), jose.ErrMalformed)
	for _, crit := range []string{`["exp"]`, `[]`, `["alg"]`, `["x","x"]`, `["b64"]`, `null`, `"b64"`} {
		head("JWS-07", "crit "+crit, with(`"x":1,"crit":`+crit), jose.ErrHeader)
	}
	head("JWS-07", "b64 false", with(`"b64":false`), jose.ErrHeader)
	head("JWS-07", "b64 false and critical", with(`"b64":false,"crit":["b64"]`), jose.ErrHeader)
	for _, other := range []string{"dc+sd-jwt", "kb+jwt", "JWT", "Example+jwt", "application/example+jwt", " example+jwt", "example+jwt\\u0000"} {
		head("JWS-08", "typ "+other, `{"alg":"ES256","typ":"`+other+`"}`, jose.ErrType)
	}
	head("JWS-08", "no typ", `{"alg":"ES256"}`, jose.ErrType)
	head("JWS-08", "typ in other letters", `{"alg":"ES256","Typ":"`+typ+`"}`, jose.ErrType)
	add("JWS-09", "JSON with two signatures", `{"payload":"e30","signatures":[{"protected":"e30","signature":"AA"},{"protected":"e30","signature":"AA"}]}`, jose.ErrMalformed)
	add("JWS-10", "a million dots", strings.Repeat(".", 1000000), jose.ErrTooLarge)
	add("JWS-10", "60000 dots", strings.Repeat(".", 60000), jose.ErrMalformed)
	add("JWS-10", "one part", "e30", jose.ErrMalformed)
	add("JWS-10", "two parts", "e30.e30", jose.ErrMalformed)
	add("JWS-10", "four parts", goodToken+".e30", jose.ErrMalformed)
	add("JWS-10", "five parts", "a.b.c.d.e", jose.ErrEncrypted)
	add("JWS-10", "empty parts", "..", jose.ErrMalformed)
	add("JWS-10", "empty", "", jose.ErrMalformed)
	head("JWS-10", "header of 40 KB", with(`"x":"`+strings.Repeat("x", 40000)+`"`), jose.ErrTooLarge)
	head("JWS-10", "header of 33 members", with(manyMembers(31)), jose.ErrTooLarge)
	head("JWS-10", "header nested 9 deep", with(`"x":`+strings.Repeat("[", 9)+strings.Repeat("]", 9)), jose.ErrTooLarge)
	message := goodToken[:strings.LastIndex(goodToken, ".")]
	raw := rawSignature(t, keys.ES256, "jose", []byte(message))
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])})
	if err != nil {
		t.Fatal(err)
	}
	for name, sig := range map[string][]byte{
		"DER": der, "63 bytes": raw[:63], "65 bytes": append(bytes.Clone(raw), 0), "96 bytes": make([]byte, 96), "1 byte": {1},
		"the same numbers in 33 bytes each": slices.Concat([]byte{0}, raw[:32], []byte{0}, raw[32:]),
	} {
		add("JWS-11", name, message+"."+b64(sig), jose.ErrSignature)
		// The length alone decides, and not what the verifier makes of it: that of browsers is another.
		if err := jose.VerifyBytes(keys.ES256, pub, []byte(message), sig); !errors.Is(err, jose.ErrSignature) || err == jose.ErrSignature {
			t.Errorf("JWS-11 %s: %v, want a word about the length", name, err)
		}
	}
	add("JWS-11", "0 bytes", message+".", jose.ErrUnsigned)
	head("JWS-12", "compressed", with(`"zip":"DEF"`), jose.ErrHeader)
	head("JWS-15", "enc in a signed one", with(`"enc":"A128GCM"`), jose.ErrHeader)
	head("JWS-15", "header null", `null`, jose.ErrMalformed)
	head("JWS-15", "header a list", `[]`, jose.ErrMalformed)
	head("JWS-15", "header empty", `{}`, jose.ErrMalformed)
	head("JWS-15", "header nothing", ``, jose.ErrMalformed)
	head("JWS-18", "50 certificates", with(`"x5c":["AA=="`+strings.Repeat(`,"AA=="`, 49)+`]`), jose.ErrTooLarge)
	head("JWS-18", "9 certificates", with(`"x5c":["AA=="`+strings.Repeat(`,"AA=="`, 8)+`]`), jose.ErrTooLarge)
	head("JWS-18", "an empty certificate", with(`"x5c":["AA==",""]`), jose.ErrMalformed)
	head("JWS-18", "certificate that is no text", with(`"x5c":["AA==",1]`), jose.ErrMalformed)
	head("JWS-18", "certificate with a letter behind it", with(`"x5c":["AAAA-"]`), jose.ErrMalformed)
	head("JWS-18", "certificate with a line break", with(`"x5c":["AA\nAA"]`), jose.ErrMalformed)
	head("JWS-18", "no certificates", with(`"x5c":[]`), jose.ErrMalformed)
	head("JWS-18", "certificate in base64url", with(`"x5c":["-_8="]`), jose.ErrMalformed)
	head("JWS-18", "certificate a text", with(`"x5c":"AA=="`), jose.ErrMalformed)
	head("JSON-01", "alg twice", `{"alg":"ES256","alg":"ES256","typ":"`+typ+`"}`, jose.ErrMalformed)
	head("JSON-01", "alg twice, one escaped", `{"alg":"ES256","al\u0067":"none","typ":"`+typ+`"}`, jose.ErrMalformed)
	head("JSON-02", "Alg for alg", `{"Alg":"ES256","typ":"`+typ+`"}`, jose.ErrMalformed)
	head("JSON-04", "bytes after the header", good+" x", jose.ErrMalformed)
	head("JSON-04", "byte-order mark", "\ufeff"+good, jose.ErrMalformed)
	add("JSON-04", "padding", signed(t, keys.ES256, b64([]byte(good))+".e30="), jose.ErrMalformed)
	add("JSON-04", "stray bits", signed(t, keys.ES256, b64([]byte(good))+".e31"), jose.ErrMalformed)
	add("JSON-04", "line break", signed(t, keys.ES256, b64([]byte(good))+".e3\n0"), jose.ErrMalformed)
	add("JSON-04", "space", goodToken+" ", jose.ErrMalformed)
	for _, tt := range tests {
		t.Run(tt.id+" "+cut(tt.name), func(t *testing.T) {
			if _, err := open(tt.token, keys.ES256, pub); !errors.Is(err, tt.want) {
				t.Errorf("open: %v, want %v", err, tt.want)
			}
		})
	}
}

// TestTakesWhatJustFits is the other side of each limit in TestRefuses.
func TestTakesWhatJustFits(t *testing.T) {
	pub := keystest.Key(t, keys.Credential, keys.ES256, "jose").Public
	for name, members := range map[string]string{
		"JWS-06 kid of 512 bytes":           `"kid":"` + strings.Repeat("k", 512) + `"`,
		"JWS-06 kid that is a path":         `"kid":"../../etc/passwd"`,
		"JWS-10 header of 32 members":       manyMembers(30),
		"JWS-10 header nested 8 deep":       `"x":` + strings.Repeat("[", 7) + strings.Repeat("]", 7),
		"JWS-18 8 certificates":             `"x5c":["AA=="` + strings.Repeat(`,"AA=="`, 7) + `]`,
		"JWS-07 a member that nobody knows": `"x":1`,
	} {
		if _, err := open(token(t, keys.ES256, `{"alg":"ES256","typ":"`+typ+`",`+members+`}`, "{}"), keys.ES256, pub); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	tok := token(t, keys.ES256, `{"alg":"ES256","typ":"`+typ+`"}`, "{}")
	for most, want := range map[int]error{len(tok): nil, len(tok) - 1: jose.ErrTooLarge} {
		if _, err := jose.Parse(tok, jose.Expect{Types: []string{typ}, MaxBytes: most}); !errors.Is(err, want) {
			t.Errorf("JWS-10 %d bytes, at most %d: %v, want %v", len(tok), most, err, want)
		}
	}
}

func cut(s string) string { return s[:min(len(s), 60)] }

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"m%d":1,`, i)
	}
	return strings.TrimSuffix(b.String(), ",")
}

// macSecrets are the ways in which a public key has been taken for a secret.
func macSecrets(t *testing.T, pub keys.PublicKey) map[string][]byte {
	t.Helper()
	raw, err := pub.Crypto().(*ecdsa.PublicKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(pub.Crypto())
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "DER": der, "JWK": pub.JWK(), "point": raw, "thumbprint": []byte(pub.ID().String()),
	}
}

// TestEveryKindInThePlaceOfEveryOther is JWS-08: with a good signature each kind of
// token passes for itself and for no other.
func TestEveryKindInThePlaceOfEveryOther(t *testing.T) {
	kinds := []string{
		"dc+sd-jwt", "kb+jwt", "openid4vci-proof+jwt", "dpop+jwt", "statuslist+jwt", "oauth-authz-req+jwt", "at+jwt", "key-attestation+jwt",
		"openidvci-issuer-metadata+jwt", "vc+jwt", "vp+jwt", "JWT", "oauth-client-attestation+jwt", "oauth-client-attestation-pop+jwt", "keyattestation+jwt",
		"sanad-receipt+jwt", "sanad-webhook+jwt", "sanad-alarm+jwt",
	}
	for _, is := range kinds {
		tok := token(t, keys.ES256, `{"alg":"ES256","typ":"`+is+`"}`, "{}")
		for _, want := range kinds {
			_, err := jose.Parse(tok, jose.Expect{Types: []string{want}})
			if good := is == want; good != (err == nil) || !good && !errors.Is(err, jose.ErrType) {
				t.Errorf("%s taken for %s: %v", is, want, err)
			}
		}
	}
}

// TestKeyDecidesTheAlgorithm is JWS-03 from the caller's side: no pair of
// expectation and key that do not belong together verifies anything.
func TestKeyDecidesTheAlgorithm(t *testing.T) {
	for _, header := range keys.Algorithms() {
		tok := token(t, header, `{"alg":"`+string(header)+`","typ":"`+typ+`"}`, "{}")
		for _, expected := range keys.Algorithms() {
			for _, key := range keys.Algorithms() {
				_, err := open(tok, expected, keystest.Key(t, keys.Credential, key, "jose").Public)
				good := header == expected && expected == key
				if good != (err == nil) || !good && !errors.Is(err, jose.ErrAlgorithm) {
					t.Errorf("header %s, expected %s, key %s: %v", header, expected, key, err)
				}
			}
		}
	}
	m, err := jose.Parse(token(t, keys.ES256, `{"alg":"ES256","typ":"`+typ+`"}`, "{}"), jose.Expect{Types: []string{typ}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Verify("", keys.PublicKey{}); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("Verify with nothing: %v, want ErrAlgorithm", err)
	}
}

// TestAdmitsOwnKey is the other half of JWS-04: where the protocol calls for a key
// in the header, it must be there, public and sound (SIG-05, SIG-06, SIG-07).
func TestAdmitsOwnKey(t *testing.T) {
	pub := keystest.Key(t, keys.Credential, keys.ES256, "jose").Public
	jwk := string(pub.JWK())
	read := func(members string) (*jose.Message, error) {
		return jose.Parse(token(t, keys.ES256, `{"alg":"ES256","typ":"`+typ+`"`+members+`}`, "{}"), jose.Expect{Types: []string{typ}, OwnKey: true})
	}
	m, err := read(`,"jwk":` + jwk)
	if err != nil || m.Key == nil || !m.Key.Equal(pub) || m.Verify(keys.ES256, *m.Key) != nil {
		t.Errorf("Parse: %v, %v", m, err)
	}
	x := jwk[strings.Index(jwk, `"x":"`)+5:]
	for _, tt := range []struct {
		id, name, members string
		want              error
	}{
		{"JWS-04", "no key", ``, jose.ErrMalformed},
		{"SIG-05", "a private key", `,"jwk":` + strings.TrimSuffix(jwk, "}") + `,"d":"AA"}`, keys.ErrPrivate},
		{"SIG-06", "a symmetric key", `,"jwk":{"kty":"oct","k":"AA"}`, keys.ErrUnsupportedKey},
		{"SIG-06", "off the curve", `,"jwk":` + strings.Replace(jwk, x[:8], "AAAAAAAA", 1), jose.ErrMalformed},
		{"SIG-06", "short coordinate", `,"jwk":` + strings.Replace(jwk, x[:4], "", 1), jose.ErrMalformed},
		{"SIG-07", "for encryption", `,"jwk":` + strings.Replace(jwk, `"use":"sig"`, `"use":"enc"`, 1), jose.ErrMalformed},
		{"SIG-04", "RSA", `,"jwk":{"kty":"RSA","n":"AQAB","e":"AQAB"}`, keys.ErrUnsupportedKey},
		{"JWS-15", "null", `,"jwk":null`, jose.ErrMalformed},
		{"JSON-01", "a member twice", `,"jwk":` + strings.Replace(jwk, `"use":"sig"`, `"use":"sig","use":"sig"`, 1), jose.ErrMalformed},
	} {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			if _, err := read(tt.members); !errors.Is(err, tt.want) {
				t.Errorf("Parse: %v, want %v", err, tt.want)
			}
		})
	}
}

func TestForgottenExpectations(t *testing.T) {
	tok := token(t, keys.ES256, `{"alg":"ES256","typ":"`+typ+`"}`, "{}")
	if _, err := jose.Parse(tok, jose.Expect{}); err == nil {
		t.Error("Parse without a type took the token")
	}
	if _, err := jose.Parse(token(t, keys.ES256, `{"alg":"ES256"}`, "{}"), jose.Expect{Types: []string{""}}); !errors.Is(err, jose.ErrType) {
		t.Errorf("Parse for an empty type: %v, want ErrType", err)
	}
	m, err := jose.Inspect(tok, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Verify(keys.ES256, keystest.Key(t, keys.Credential, keys.ES256, "jose").Public); err == nil {
		t.Error("a token from Inspect verified")
	}
	if _, err := jose.NewDraft(signer(t, keys.ES256).Key().Public, jose.Header{}, nil); err == nil {
		t.Error("NewDraft without a type")
	}
}

// TestNamesAreEscaped is GHSA-4cf7-xm37-g63h, which the library has: a value or a
// name cannot end its own quotation marks.
func TestNamesAreEscaped(t *testing.T) {
	s := signer(t, keys.ES256)
	b, err := jose.Sign(rand.Reader, s, jose.Header{Type: typ, KeyID: `k","jku":"https://evil.example`}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := jose.Parse(string(b), jose.Expect{Types: []string{typ}})
	if err != nil || m.KeyID != `k","jku":"https://evil.example` {
		t.Errorf("Parse: %+v, %v", m, err)
	}
	claims, err := strict.AppendJSON(nil, map[string]any{`x":0,"admin`: true})
	if err != nil {
		t.Fatal(err)
	}
	v, err := strict.Limits{Bytes: 100, Depth: 1, Items: 9}.Object(claims)
	if err != nil || v.Len() != 1 || v.Name(0) != `x":0,"admin` {
		t.Errorf("%s: %v", claims, err)
	}
}

// TestMalleability is SIG-02: a changed sign of s verifies, so nothing may key on
// the bytes of a signature.
func TestMalleability(t *testing.T) {
	tok := token(t, keys.ES256, `{"alg":"ES256","typ":"`+typ+`"}`, "{}")
	dot := strings.LastIndex(tok, ".")
	sig, err := base64.RawURLEncoding.DecodeString(tok[dot+1:])
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(sig[32:])
	if _, err := open(tok[:dot+1]+b64(sig), keys.ES256, keystest.Key(t, keys.Credential, keys.ES256, "jose").Public); err != nil {
		t.Errorf("open: %v", err)
	}
}

// A faulty signer answers what it likes.
type faulty struct {
	keys.Signer
	sig []byte
	err error
}

// Sign implements crypto.Signer.
func (f faulty) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return f.sig, f.err }

// TestFaultyDevice is P18 for signers that answer nonsense: an error, no panic and
// no token.
func TestFaultyDevice(t *testing.T) {
	der := func(r, s *big.Int) []byte {
		b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one, huge := big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 300)
	for _, alg := range keys.Algorithms() {
		for name, f := range map[string]faulty{
			"nothing": {}, "garbage": {sig: []byte{1, 2, 3}}, "an error": {err: errors.New("gone")},
			"too large r": {sig: der(new(big.Int).Lsh(huge, 200), one)}, "too large s": {sig: der(one, new(big.Int).Lsh(huge, 200))},
			"negative": {sig: der(big.NewInt(-1), one)}, "zero": {sig: der(one, new(big.Int))},
			"bytes after it": {sig: append(der(one, one), 0)},
		} {
			f.Signer = signer(t, alg)
			if b, err := jose.Sign(rand.Reader, f, jose.Header{Type: typ}, nil); err == nil {
				t.Errorf("%s, %s: signed %s", alg, name, b)
			}
		}
	}
	if _, err := jose.NewDraft(keys.PublicKey{}, jose.Header{Type: typ}, nil); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("NewDraft without a key: %v, want ErrAlgorithm", err)
	}
	if _, err := jose.NewDraft(signer(t, keys.ES256).Key().Public, jose.Header{Type: typ, Algorithm: keys.ES384}, nil); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("NewDraft with another algorithm than the key's: %v, want ErrAlgorithm", err)
	}
}

func TestSignerOfAnotherKey(t *testing.T) {
	d, err := jose.NewDraft(keystest.Key(t, keys.Credential, keys.ES256, "other").Public, jose.Header{Type: typ}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := d.Sign(rand.Reader, signer(t, keys.ES256)); err == nil {
		t.Errorf("signed %s", b)
	}
}

// FuzzParse: what is parsed and verifies is, byte for byte, a token that was
// signed with the key; everything else fails without a panic.
func FuzzParse(f *testing.F) {
	good := token(f, keys.ES256, `{"alg":"ES256","typ":"`+typ+`","kid":"1"}`, `{"iss":"x"}`)
	f.Add(good)
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add("e30.e30.AA")
	f.Add(b64([]byte(`{"alg":"none"}`)) + "..")
	pub := keystest.Key(f, keys.Credential, keys.ES256, "jose").Public
	message := good[:strings.LastIndex(good, ".")] // signatures differ from one process of the fuzzer to the next
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		m, err := jose.Inspect(s, 0)
		if err == nil {
			if want := strings.LastIndex(s, "."); string(m.ToBeSigned()) != s[:want] {
				t.Fatalf("%q covers %q", s, m.ToBeSigned())
			}
		}
		if _, err := open(s, keys.ES256, pub); err == nil && s[:strings.LastIndex(s, ".")] != message {
			t.Fatalf("%q verifies", s)
		}
	})
}
