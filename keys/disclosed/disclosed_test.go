package disclosed_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/disclosed"
	"github.com/sanad-id/sanad/keys/keystest"
)

type object = map[string]any

// private is a key with its private half as JWK, and that key.
func private(t testing.TB, alg keys.Algorithm, name string) (object, keys.PublicKey) {
	t.Helper()
	signer := keystest.Private(t, alg, name)
	public, err := keys.PublicKeyOf(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	var jwk object
	if err := json.Unmarshal(public.BareJWK(), &jwk); err != nil {
		t.Fatal(err)
	}
	var d []byte
	switch k := signer.(type) {
	case *ecdsa.PrivateKey:
		if d, err = k.Bytes(); err != nil {
			t.Fatal(err)
		}
	case ed25519.PrivateKey:
		d = k.Seed()
	}
	jwk["d"] = strict.Base64URL(d)
	return jwk, public
}

func encode(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return strict.Base64URL(b)
}

func token(t testing.TB, header, payload object) string {
	t.Helper()
	return encode(t, header) + "." + encode(t, payload) + ".AAAA"
}

// TestKeys: SIG-05 in each place where a key of a holder may stand, of each algorithm.
func TestKeys(t *testing.T) {
	for _, alg := range keys.Algorithms() {
		k, want := private(t, alg, "holder")
		did := "did:jwk:" + encode(t, k)
		for name, m := range map[string]string{
			"jwk of a header":     token(t, object{"typ": "openid4vci-proof+jwt", "jwk": k}, object{}),
			"kid of a header":     token(t, object{"kid": did}, object{}),
			"DID URL as kid":      token(t, object{"kid": did + "#0"}, object{}),
			"cnf":                 token(t, object{}, object{"cnf": object{"jwk": k}}),
			"cnf of an SD-JWT":    token(t, object{}, object{"cnf": object{"jwk": k}}) + "~WyJhIl0~WyJiIl0~" + token(t, object{}, object{}),
			"cnf without binding": token(t, object{}, object{"cnf": object{"jwk": k}}) + "~",
			"kid of cnf":          token(t, object{}, object{"cnf": object{"kid": did}}),
			"key binding":         token(t, object{}, object{}) + "~WyJhIl0~" + token(t, object{"jwk": k}, object{}),
			"attested keys":       token(t, object{}, object{"attested_keys": []any{1, k}}),
			"attestation":         token(t, object{"key_attestation": token(t, object{}, object{"attested_keys": []any{k}})}, object{}),
			"twice":               token(t, object{"jwk": k, "kid": did}, object{}),
		} {
			if got := disclosed.Keys(token(t, object{}, object{}), m); len(got) != 1 || !got[0].Equal(want) {
				t.Errorf("SIG-05 %s, %s: %v, want %v", alg, name, got, want)
			}
		}
		public := maps.Clone(k)
		delete(public, "d")
		if got := disclosed.Keys(token(t, object{"jwk": public}, object{})); len(got) != 0 {
			t.Errorf("%s: a public key is not disclosed: %v", alg, got)
		}
	}
	one, first := private(t, keys.ES256, "holder")
	two, second := private(t, keys.EdDSA, "holder")
	if got := disclosed.Keys(token(t, object{"jwk": one}, object{}), token(t, object{"jwk": two}, object{})); len(got) != 2 || !got[0].Equal(first) || !got[1].Equal(second) {
		t.Errorf("two messages: %v", got)
	}
}

// TestLeadingZeros: SIG-05. A number that was written without its leading zeros, or with one
// more, discloses its key all the same.
func TestLeadingZeros(t *testing.T) {
	var k object
	var want keys.PublicKey
	for i := 0; ; i++ { // one in 256
		k, want = private(t, keys.ES256, strings.Repeat("a", i))
		if strings.HasPrefix(k["d"].(string), "AA") || strings.HasPrefix(k["x"].(string), "AA") {
			break
		}
	}
	for _, name := range []string{"d", "x", "y"} {
		b, err := strict.DecodeBase64URL(k[name].(string))
		if err != nil {
			t.Fatal(err)
		}
		for _, number := range [][]byte{slices.Concat([]byte{0}, b), []byte(strings.TrimLeft(string(b), "\x00"))} {
			other := maps.Clone(k)
			other[name] = strict.Base64URL(number)
			if got := disclosed.Keys(token(t, object{"jwk": other}, object{})); len(got) != 1 || !got[0].Equal(want) {
				t.Errorf("SIG-05 %s of %d bytes: %v", name, len(number), got)
			}
		}
	}
}

// TestNotDisclosed: SIG-05. Nobody can have the key of somebody else refused.
func TestNotDisclosed(t *testing.T) {
	for _, alg := range keys.Algorithms() {
		other, _ := private(t, alg, "other")
		for name, spoil := range map[string]func(object){
			"d of another key": func(k object) { k["d"] = other["d"] },
			"x of another key": func(k object) { k["x"] = other["x"] },
			"y of another key": func(k object) { k["y"] = "AA" + k["x"].(string)[2:] },
			"no x":             func(k object) { delete(k, "x") },
			"d is 0":           func(k object) { k["d"] = strict.Base64URL(make([]byte, 32)) },
			"d is null":        func(k object) { k["d"] = nil },
			"d is empty":       func(k object) { k["d"] = "" },
			"d is a number":    func(k object) { k["d"] = 5 },
			"d is no base64":   func(k object) { k["d"] = "*" },
			"d is too large":   func(k object) { k["d"] = strings.Repeat("_", 64) },
			"d is too long":    func(k object) { k["d"] = strings.Repeat("A", 100) + "BAAA" },
			"another curve":    func(k object) { k["crv"] = "P-521" },
			"another type":     func(k object) { k["kty"] = "RSA" },
		} {
			k, _ := private(t, alg, "holder")
			spoil(k)
			if got := disclosed.Keys(token(t, object{"jwk": k}, object{"cnf": object{"jwk": k}})); len(got) != 0 {
				t.Errorf("SIG-05 %s, %s: %v", alg, name, got)
			}
		}
	}
	for _, m := range []string{"", "~", "a.b.c", "....", token(t, object{"kid": "did:jwk:"}, object{"cnf": 1, "attested_keys": object{}})} {
		if got := disclosed.Keys(m); len(got) != 0 {
			t.Errorf("%q: %v", m, got)
		}
	}
}

// TestTries: a message with very many private members costs no more than some.
func TestTries(t *testing.T) {
	var list []any
	for range 70 {
		k, _ := private(t, keys.ES256, "holder")
		k["d"] = "AQ"
		list = append(list, k)
	}
	last, want := private(t, keys.ES256, "last")
	if got := disclosed.Keys(token(t, object{}, object{"attested_keys": append(list[:63:63], last)})); len(got) != 1 || !got[0].Equal(want) {
		t.Errorf("the last of 64: %v", got)
	}
	if got := disclosed.Keys(token(t, object{}, object{"attested_keys": append(list, last)})); len(got) != 0 {
		t.Errorf("the last of 71: %v", got)
	}
}

// FuzzKeys: whatever is found stands there with a d.
func FuzzKeys(f *testing.F) {
	k, _ := private(f, keys.ES384, "holder")
	f.Add(token(f, object{"jwk": k}, object{"cnf": object{"jwk": k}, "attested_keys": []any{k}}))
	f.Add(token(f, object{"kid": "did:jwk:" + encode(f, k)}, object{}) + "~WyJhIl0~" + token(f, object{"jwk": k}, object{}))
	boundtest.Fuzz(f, func(t *testing.T, message string) {
		found := disclosed.Keys(message)
		if len(found) > 0 && len(message) < 64 {
			t.Errorf("%v in %d characters", found, len(message))
		}
	})
}
