package keys_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"testing"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

// checkAccepted holds what is true of every key that a reader lets through: it
// fits its algorithm, and all forms of it are read as the same key.
func checkAccepted(t *testing.T, k keys.PublicKey) {
	t.Helper()
	again, err := keys.NewPublicKey(k.Algorithm(), k.Crypto())
	if err != nil || !again.Equal(k) {
		t.Fatalf("NewPublicKey: %v, %v, want %v", again, err, k)
	}
	for _, b := range [][]byte{k.JWK(), k.COSEKey(), k.PEM(), []byte(hex.EncodeToString(k.COSEKey()))} {
		if got, err := keys.ParsePublicKey(b); err != nil || !got.Equal(k) || got.Thumbprint() != k.Thumbprint() {
			t.Fatalf("ParsePublicKey(%q): %v, %v, want %v", b, got, err, k)
		}
	}
	if !cbor.IsDeterministic(k.COSEKey()) {
		t.Fatalf("COSEKey of %v is not deterministic", k)
	}
}

func FuzzParseJWK(f *testing.F) {
	for _, alg := range keys.Algorithms() {
		f.Add(public(f, alg, "seed").JWK())
	}
	f.Add([]byte(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA","key_ops":["verify"],"use":"sig"}`))
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		if k, err := keys.ParseJWK(b); err == nil {
			checkAccepted(t, k)
			// A simple object without escapes shows all of its members.
			if bytes.Contains(b, []byte(`"d":`)) && !bytes.Contains(b, []byte(`\`)) && bytes.Count(b, []byte("{")) == 1 {
				t.Fatal("accepted with a private member")
			}
		}
	})
}

func FuzzParseCOSEKey(f *testing.F) {
	for _, alg := range keys.Algorithms() {
		f.Add(public(f, alg, "seed").COSEKey())
	}
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		k, err := keys.ParseCOSEKey(b)
		if err != nil {
			return
		}
		checkAccepted(t, k)
		var m map[any]any
		if err := cbor.Bundle.Unmarshal(b, &m); err != nil || m[int64(-4)] != nil {
			t.Fatalf("accepted with a private member or as what is no map: %v", err)
		}
	})
}

func FuzzParsePEM(f *testing.F) {
	for _, alg := range keys.Algorithms() {
		f.Add(public(f, alg, "seed").PEM())
		f.Add(certificate(f, keystest.Private(f, alg, "seed"), 0))
	}
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		if k, err := keys.ParsePEM(b); err == nil {
			checkAccepted(t, k)
			if bytes.Count(b, []byte("-----BEGIN ")) != 1 {
				t.Fatal("accepted with more than one block in it")
			}
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	for _, alg := range keys.Algorithms() {
		k := public(f, alg, "seed")
		f.Add(k.JWK())
		f.Add(k.COSEKey())
		f.Add(k.PEM())
		f.Add([]byte(hex.EncodeToString(k.COSEKey())))
	}
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		if k, err := keys.ParsePublicKey(b); err == nil {
			checkAccepted(t, k)
		}
	})
}

// FuzzFile holds that a keystore file means one thing: what can be taken apart
// is put together again as the same bytes, and nothing but the genuine file opens
// with its passphrase. Half of the runs have their checksum put right first, so
// that they get further.
func FuzzFile(f *testing.F) {
	passphrase := []byte(keystest.Passphrase)
	genuine, err := os.ReadFile(goldenFile) // the same in every worker
	if err != nil {
		f.Fatal(err)
	}
	f.Add(genuine, false)
	f.Add(genuine[:len(genuine)-sha256.Size], true)
	f.Add(genuine[:50], false)
	boundtest.Fuzz(f, func(t *testing.T, b []byte, repair bool) {
		if repair {
			sum := sha256.Sum256(b)
			b = append(bytes.Clone(b), sum[:]...)
		}
		again, cost, err := keys.Recode(b)
		if err != nil {
			return
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%x was taken apart and became %x", b, again)
		}
		if cost.Memory > 1<<10 || cost.Time > 2 {
			return // allowed, but too slow for here
		}
		if _, err := keys.OpenBytes(b, passphrase); err == nil && !bytes.Equal(b, genuine) {
			t.Fatal("a changed file opened")
		}
	})
}
