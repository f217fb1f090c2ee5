package jose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
)

func readVectors(t *testing.T, file string, v any) {
	t.Helper()
	b, err := fs.ReadFile(wycheproof.TestVectors, file)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// hexBytes are bytes that JSON has in hex.
type hexBytes []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// refusedOnPurpose are the groups of json_web_signature_test whose valid cases we
// refuse, by the numbers of these cases: algorithms that are not carried here.
var refusedOnPurpose = map[int]string{}

func init() {
	for _, w := range []struct {
		ids []int
		why string
	}{
		{[]int{1, 348, 352, 357, 358, 359, 372, 373, 376, 377}, "MACs are no signatures"},
		{[]int{347, 351}, "P-521 is not carried"},
		{[]int{33, 259, 260, 261, 262, 263, 264, 265, 266, 267, 268, 269, 270, 271, 272, 273, 274, 275, 287, 288, 320, 321, 322, 323, 325, 326, 327, 328, 345, 346, 349, 350}, "RSA is not carried"},
	} {
		for _, id := range w.ids {
			refusedOnPurpose[id] = w.why
		}
	}
}

// TestWycheproofJWS runs the tokens of Project Wycheproof.
func TestWycheproofJWS(t *testing.T) {
	var doc struct {
		NumberOfTests int
		TestGroups    []struct {
			Comment         string
			Public, Private json.RawMessage
			Tests           []struct {
				TcID                 int
				Comment, JWS, Result string
			}
		}
	}
	readVectors(t, "json_web_signature_test.json", &doc)
	accepted, refused, waived := 0, 0, 0
	for _, g := range doc.TestGroups {
		jwk := g.Public
		if jwk == nil {
			jwk = g.Private
		}
		pub, keyErr := keys.ParseJWK(jwk)
		for _, tt := range g.Tests {
			err := keyErr
			if err == nil {
				var m *jose.Message
				if m, err = jose.ParseAnyType(tt.JWS); err == nil {
					err = m.Verify(pub.Algorithm(), pub)
				}
			}
			want := tt.Result == "valid"
			if _, ok := refusedOnPurpose[tt.TcID]; ok {
				waived++
				want = false
			}
			if (err == nil) != want {
				t.Errorf("json_web_signature_test.json %d %s %s: %v, want %s", tt.TcID, g.Comment, tt.Comment, err, tt.Result)
			}
			if err == nil {
				accepted++
			} else {
				refused++
			}
		}
	}
	t.Logf("%d accepted, %d refused, of these %d on purpose", accepted, refused, waived)
	if accepted+refused != doc.NumberOfTests || waived != len(refusedOnPurpose) || accepted == 0 {
		t.Errorf("%d cases of %d, %d waivers of %d", accepted+refused, doc.NumberOfTests, waived, len(refusedOnPurpose))
	}
}

// TestWycheproofSignatures runs the raw signatures through the function that every
// verification of this package uses: SIG-01 (range of r and s), SIG-02 and SIG-03.
func TestWycheproofSignatures(t *testing.T) {
	for alg, file := range map[keys.Algorithm]string{
		keys.ES256: "ecdsa_secp256r1_sha256_p1363_test.json",
		keys.ES384: "ecdsa_secp384r1_sha384_p1363_test.json",
		keys.EdDSA: "ed25519_test.json",
	} {
		var doc struct {
			NumberOfTests int
			TestGroups    []struct {
				PublicKey struct{ Uncompressed, PK hexBytes }
				Tests     []struct {
					TcID     int
					Comment  string
					Msg, Sig hexBytes
					Result   string
				}
			}
		}
		readVectors(t, file, &doc)
		accepted, refused := 0, 0
		for _, g := range doc.TestGroups {
			pub := publicKey(t, alg, g.PublicKey.Uncompressed, g.PublicKey.PK)
			for range 1000 { // ES256 verifies by a table, whose key's other tests are in package cose
				if alg != keys.ES256 || pub.Table() != nil {
					break
				}
			}
			if (alg == keys.ES256) != (pub.Table() != nil) {
				t.Fatalf("%s: a key of %s has a table: %v", file, alg, pub.Table() != nil)
			}
			for _, tt := range g.Tests {
				err := jose.VerifyBytes(alg, pub, tt.Msg, tt.Sig)
				if (err == nil) != (tt.Result == "valid") {
					t.Errorf("%s %d %s: %v, want %s", file, tt.TcID, tt.Comment, err, tt.Result)
				}
				if len(tt.Sig) == alg.SignatureSize() && jose.PlainVerified(alg, pub, tt.Msg, tt.Sig) != (err == nil) {
					t.Errorf("%s %d %s: a browser decides otherwise than %v", file, tt.TcID, tt.Comment, err)
				}
				if err == nil {
					accepted++
				} else {
					refused++
				}
			}
		}
		t.Logf("%s: %d accepted, %d refused", file, accepted, refused)
		if accepted+refused != doc.NumberOfTests || accepted == 0 {
			t.Errorf("%s: %d cases of %d", file, accepted+refused, doc.NumberOfTests)
		}
	}
}

func publicKey(t *testing.T, alg keys.Algorithm, point, ed []byte) keys.PublicKey {
	t.Helper()
	var pub keys.PublicKey
	var err error
	switch alg {
	case keys.EdDSA:
		pub, err = keys.NewPublicKey(alg, ed25519.PublicKey(ed))
	default:
		curve := elliptic.P256()
		if alg == keys.ES384 {
			curve = elliptic.P384()
		}
		var key *ecdsa.PublicKey
		if key, err = ecdsa.ParseUncompressedPublicKey(curve, point); err == nil {
			pub, err = keys.NewPublicKey(alg, key)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return pub
}
