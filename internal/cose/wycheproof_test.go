package cose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"

	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
)

// hexBytes are bytes that JSON has in hex.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// waivers are the cases whose result differs from that of Wycheproof on purpose,
// by file and number, with the reason. There are none.
var waivers = map[string]map[int]string{}

// TestWycheproof runs the signatures of Project Wycheproof through the function
// that every verification of this package uses. It covers SIG-01 (range of r and
// s), SIG-02 (a changed sign of s verifies) and SIG-03 (Ed25519 encodings). ES256
// has two ways to verify, by the library and by a table of the key, and takes both.
func TestWycheproof(t *testing.T) {
	files := map[keys.Algorithm]string{
		keys.ES256: "ecdsa_secp256r1_sha256_p1363_test.json",
		keys.ES384: "ecdsa_secp384r1_sha384_p1363_test.json",
		keys.EdDSA: "ed25519_test.json",
	}
	if len(files) != len(keys.Algorithms()) {
		t.Errorf("%d files for %d algorithms", len(files), len(keys.Algorithms()))
	}
	for alg, file := range files {
		t.Run(string(alg), func(t *testing.T) { runWycheproof(t, alg, file, false) })
		if alg == keys.ES256 {
			t.Run("ES256 by tables", func(t *testing.T) { runWycheproof(t, alg, file, true) })
		}
	}
}

func runWycheproof(t *testing.T, alg keys.Algorithm, file string, table bool) {
	b, err := fs.ReadFile(wycheproof.TestVectors, file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		NumberOfTests int `json:"numberOfTests"`
		TestGroups    []struct {
			PublicKey struct {
				Uncompressed hexBytes `json:"uncompressed"`
				PK           hexBytes `json:"pk"`
			} `json:"publicKey"`
			Tests []struct {
				ID      int      `json:"tcId"`
				Comment string   `json:"comment"`
				Message hexBytes `json:"msg"`
				Sig     hexBytes `json:"sig"`
				Result  string   `json:"result"`
			} `json:"tests"`
		} `json:"testGroups"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	var accepted, refused, waived int
	for _, group := range doc.TestGroups {
		pub := publicKey(t, alg, group.PublicKey.Uncompressed, group.PublicKey.PK)
		for range 1000 {
			if !table || pub.Table() != nil {
				break
			}
		}
		if table && pub.Table() == nil {
			t.Fatal("the key got no table")
		}
		for _, test := range group.Tests {
			err := cose.VerifyBytes(alg, pub, test.Message, test.Sig)
			if err == nil {
				accepted++
			} else {
				refused++
			}
			if why := waivers[file][test.ID]; why != "" {
				waived++
				t.Logf("waived %d (%s): %s", test.ID, test.Comment, why)
				continue
			}
			if (err == nil) != (test.Result == "valid") {
				t.Errorf("%d (%s): %v, want %s", test.ID, test.Comment, err, test.Result)
			}
			if err != nil && !errors.Is(err, cose.ErrSignature) && !errors.Is(err, cose.ErrUnsigned) {
				t.Errorf("%d (%s): %v, want ErrSignature", test.ID, test.Comment, err)
			}
		}
	}
	t.Logf("%d accepted, %d refused, %d waived", accepted, refused, waived)
	if accepted+refused != doc.NumberOfTests {
		t.Errorf("%d cases, the file says %d", accepted+refused, doc.NumberOfTests)
	}
}

func publicKey(t *testing.T, alg keys.Algorithm, point, ed []byte) keys.PublicKey {
	t.Helper()
	var pub keys.PublicKey
	var err error
	if alg == keys.EdDSA {
		pub, err = keys.NewPublicKey(alg, ed25519.PublicKey(ed))
	} else {
		curve := elliptic.P256()
		if alg == keys.ES384 {
			curve = elliptic.P384()
		}
		key, parseErr := ecdsa.ParseUncompressedPublicKey(curve, point)
		if parseErr != nil {
			t.Fatal(parseErr)
		}
		pub, err = keys.NewPublicKey(alg, key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return pub
}
