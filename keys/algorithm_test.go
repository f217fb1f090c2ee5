package keys_test

import (
	"crypto"
	"errors"
	"testing"

	"github.com/sanad-id/sanad/keys"
)

func TestAlgorithms(t *testing.T) {
	want := []struct {
		alg  keys.Algorithm
		cose int64
		hash crypto.Hash
		size int
	}{
		{keys.ES256, -7, crypto.SHA256, 64},
		{keys.ES384, -35, crypto.SHA384, 96},
		{keys.EdDSA, -8, 0, 64},
	}
	all := keys.Algorithms()
	if len(all) != len(want) {
		t.Fatalf("Algorithms: %v, want %d", all, len(want))
	}
	for i, w := range want {
		a := all[i]
		if a != w.alg || a.COSE() != w.cose || a.Hash() != w.hash || a.SignatureSize() != w.size {
			t.Errorf("%s: %d %v %d, want %+v", a, a.COSE(), a.Hash(), a.SignatureSize(), w)
		}
		if a.Hash() != 0 && !a.Hash().Available() {
			t.Errorf("%s: its hash is not linked", a)
		}
		if got, ok := keys.AlgorithmFromCOSE(w.cose); !ok || got != a {
			t.Errorf("AlgorithmFromCOSE(%d): %q %v, want %q", w.cose, got, ok, a)
		}
		if got, err := keys.ParseAlgorithm(string(a)); err != nil || got != a {
			t.Errorf("ParseAlgorithm(%q): %q, %v", a, got, err)
		}
	}
}

func TestAlgorithmsLeftOut(t *testing.T) {
	for _, name := range []string{"", "none", "HS256", "RS256", "PS256", "ES512", "ES256K", "Ed448", "es256", "ES256 ", "ML-DSA-44"} {
		a, err := keys.ParseAlgorithm(name)
		if !errors.Is(err, keys.ErrUnsupportedKey) {
			t.Errorf("ParseAlgorithm(%q): %q, %v, want ErrUnsupportedKey", name, a, err)
		}
		if a := keys.Algorithm(name); a.COSE() != 0 || a.Hash() != 0 || a.SignatureSize() != 0 {
			t.Errorf("%q has a COSE number, hash or size", name)
		}
	}
	// 0 is reserved; PS256, ES512, ES256K, RS256, HMAC 256/256, ESP256, Ed448.
	for _, number := range []int64{0, -37, -36, -47, -257, 5, -9, -53, 1 << 62, -1 << 63} {
		if a, ok := keys.AlgorithmFromCOSE(number); ok {
			t.Errorf("AlgorithmFromCOSE(%d): %q, want none", number, a)
		}
	}
}
