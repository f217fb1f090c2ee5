package keys_test

import (
	"bytes"
	"encoding/asn1"
	"math/big"
	mathrand "math/rand/v2"
	"testing"

	"github.com/sanad-id/sanad/keys"
)

// TestFixedLength: what a signer returns is read as encoding/asn1 reads it, and nothing else is.
func TestFixedLength(t *testing.T) {
	random := mathrand.New(mathrand.NewPCG(9053, 21))
	number := func(size int) *big.Int {
		b := make([]byte, 1+random.IntN(size))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return new(big.Int).SetBytes(b)
	}
	byLibrary := func(der []byte, size int) []byte {
		var n struct{ R, S *big.Int }
		if rest, err := asn1.Unmarshal(der, &n); err != nil || len(rest) > 0 || n.R.Sign() <= 0 || n.S.Sign() <= 0 || n.R.BitLen() > 8*size || n.S.BitLen() > 8*size {
			return nil
		}
		if b, err := asn1.Marshal(n); err != nil || !bytes.Equal(b, der) {
			return nil // it takes more than two numbers, too
		}
		return append(n.R.FillBytes(make([]byte, size)), n.S.FillBytes(make([]byte, size))...)
	}
	read := 0
	for i := range 20_000 {
		size := []int{32, 48, 66}[i%3]
		der, err := asn1.Marshal(struct{ R, S *big.Int }{number(size + i%2), number(size)})
		if err != nil {
			t.Fatal(err)
		}
		if i > 5_000 { // one thing is changed
			switch at := random.IntN(len(der)); i % 4 {
			case 0:
				der = der[:at]
			case 1:
				der = append(der, byte(random.Uint32()))
			case 2:
				der[at] = byte(random.Uint32())
			default:
				der[random.IntN(8)] += byte(random.IntN(3)) - 1
			}
		}
		want := byLibrary(der, size)
		got, err := keys.FixedLength(der, size)
		if (err == nil) != (want != nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%x: %x, %v, want %x", der, got, err, want)
		}
		if err == nil {
			read++
		}
	}
	if read < 5_000 || read > 19_000 {
		t.Errorf("%d of 20000 are signatures: the test tests little", read)
	}
}
