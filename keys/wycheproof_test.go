package keys_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/c2sp/wycheproof"

	"github.com/sanad-id/sanad/keys"
)

func wycheproofFile(t *testing.T, name string, v any) {
	t.Helper()
	b, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// soundForUs are the cases that Wycheproof calls invalid because the key does not
// fit the other party's: as a key alone each is sound, and on a curve of ours.
var soundForUs = map[string]string{
	"ecdh_secp256r1_webcrypto_test.json/351": "a good P-384 key, wrong only for key agreement on P-256",
	"ecdh_secp384r1_webcrypto_test.json/790": "a good P-256 key, wrong only for key agreement on P-384",
	"ecdh_secp384r1_webcrypto_test.json/792": "a good P-256 key, wrong only for key agreement on P-384",
	"ecdh_secp256k1_webcrypto_test.json/493": "a good P-256 key, wrong only for key agreement on secp256k1",
	"ecdh_secp256k1_webcrypto_test.json/494": "a good P-256 key, wrong only for key agreement on secp256k1",
	"ecdh_secp256k1_webcrypto_test.json/495": "a good P-384 key, wrong only for key agreement on secp256k1",
	"ecdh_secp521r1_webcrypto_test.json/651": "a good P-256 key, wrong only for key agreement on P-521",
	"ecdh_secp521r1_webcrypto_test.json/653": "a good P-256 key, wrong only for key agreement on P-521",
	"ecdh_secp521r1_webcrypto_test.json/654": "a good P-384 key, wrong only for key agreement on P-521",
}

// TestWycheproofPoints reads the public keys of the key agreement tests, which
// hold the points off the curve that the signature tests lack.
func TestWycheproofPoints(t *testing.T) {
	used := 0
	for file, ours := range map[string]bool{
		"ecdh_secp256r1_webcrypto_test.json": true,
		"ecdh_secp384r1_webcrypto_test.json": true,
		"ecdh_secp256k1_webcrypto_test.json": false,
		"ecdh_secp521r1_webcrypto_test.json": false,
	} {
		var doc struct {
			TestGroups []struct {
				Tests []struct {
					TcID    int `json:"tcId"`
					Comment string
					Public  json.RawMessage
					Private json.RawMessage
					Result  string
				}
			}
		}
		wycheproofFile(t, file, &doc)
		for _, g := range doc.TestGroups {
			for _, tt := range g.Tests {
				id := fmt.Sprintf("%s/%d", file, tt.TcID)
				want := ours && tt.Result == "valid"
				if _, waived := soundForUs[id]; waived {
					want = true
					used++
				}
				if k, err := keys.ParseJWK(tt.Public); (err == nil) != want {
					t.Errorf("%s %s: ParseJWK: %v, %v", id, tt.Comment, k, err)
				}
				if _, err := keys.ParseJWK(tt.Private); !errors.Is(err, keys.ErrPrivate) {
					t.Errorf("%s: ParseJWK of the private key: %v, want ErrPrivate", id, err)
				}
			}
		}
	}
	if used != len(soundForUs) {
		t.Errorf("%d waivers used of %d", used, len(soundForUs))
	}
}

// TestWycheproofKeys reads the key of every signature test as JWK and as PEM.
func TestWycheproofKeys(t *testing.T) {
	for file, alg := range map[string]keys.Algorithm{
		"ecdsa_secp256r1_sha256_p1363_test.json": keys.ES256,
		"ecdsa_secp384r1_sha384_p1363_test.json": keys.ES384,
		"ed25519_test.json":                      keys.EdDSA,
		"ecdsa_secp256k1_sha256_p1363_test.json": "",
		"ecdsa_secp521r1_sha512_p1363_test.json": "",
		"ed448_test.json":                        "",
	} {
		var doc struct {
			TestGroups []struct {
				PublicKeyPEM string          `json:"publicKeyPem"`
				PublicKeyJWK json.RawMessage `json:"publicKeyJwk"`
			}
		}
		wycheproofFile(t, file, &doc)
		n := 0
		for i, g := range doc.TestGroups {
			fromPEM, err := keys.ParsePublicKey([]byte(g.PublicKeyPEM))
			if alg == "" {
				if err == nil {
					t.Errorf("%s group %d: ParsePublicKey took PEM as %v", file, i, fromPEM)
				}
			} else if err != nil || fromPEM.Algorithm() != alg {
				t.Errorf("%s group %d: ParsePublicKey of PEM: %v, %v", file, i, fromPEM, err)
			}
			if g.PublicKeyJWK == nil {
				continue
			}
			n++
			fromJWK, err := keys.ParsePublicKey(g.PublicKeyJWK)
			if alg == "" && err == nil {
				t.Errorf("%s group %d: ParsePublicKey took JWK as %v", file, i, fromJWK)
			} else if alg != "" && (err != nil || !fromJWK.Equal(fromPEM)) {
				t.Errorf("%s group %d: ParsePublicKey of JWK: %v, %v, want %v", file, i, fromJWK, err, fromPEM)
			}
		}
		if n == 0 {
			t.Errorf("%s: no JWK in it", file)
		}
	}
}

// TestWycheproofJWK reads the keys of json_web_key_test. What that file says of
// signatures by MAC and RSA is not our business: such keys are all refused.
func TestWycheproofJWK(t *testing.T) {
	var doc struct {
		TestGroups []struct {
			Comment         string
			Private, Public struct{ Keys []json.RawMessage }
			Tests           []struct{ TcID int }
		}
	}
	wycheproofFile(t, "json_web_key_test.json", &doc)
	var publicOnes []int
	for _, g := range doc.TestGroups {
		id := g.Tests[0].TcID
		for _, b := range g.Private.Keys {
			var m struct{ Kty, D string }
			if err := json.Unmarshal(b, &m); err != nil {
				t.Fatal(err)
			}
			want := keys.ErrPrivate
			if m.Kty == "oct" {
				want = keys.ErrUnsupportedKey
			}
			// Group 1 lists one public key among the private ones.
			if k, err := keys.ParseJWK(b); m.Kty == "EC" && m.D == "" {
				if err != nil {
					t.Errorf("%d %s: ParseJWK: %v", id, g.Comment, err)
				}
			} else if !errors.Is(err, want) {
				t.Errorf("%d %s: ParseJWK: %v, %v, want %v", id, g.Comment, k, err, want)
			}
		}
		for _, b := range g.Public.Keys {
			publicOnes = append(publicOnes, id)
			if k, err := keys.ParseJWK(b); err == nil {
				t.Errorf("%d %s: ParseJWK took it as %v", id, g.Comment, k)
			}
		}
	}
	for id := 19; id <= 24; id++ { // wrong alg, use, point, curve and type
		if !slices.Contains(publicOnes, id) {
			t.Errorf("case %d was not read", id)
		}
	}
}
