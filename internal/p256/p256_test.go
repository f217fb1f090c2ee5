package p256

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"math/big"
	mathrand "math/rand/v2"
	"testing"

	"filippo.io/nistec"
	"github.com/c2sp/wycheproof"

	"github.com/sanad-id/sanad/internal/boundtest"
)

func newKey(t testing.TB) (*ecdsa.PrivateKey, *Table) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	table, err := New(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, table
}

func sign(t testing.TB, key *ecdsa.PrivateKey, digest []byte) []byte {
	t.Helper()
	r, s, err := ecdsa.Sign(rand.Reader, key, digest)
	if err != nil {
		t.Fatal(err)
	}
	return join(r, s)
}

func join(r, s *big.Int) []byte {
	b := make([]byte, 2*Size)
	r.FillBytes(b[:Size])
	s.FillBytes(b[Size:])
	return b
}

func standard(key *ecdsa.PublicKey, digest, signature []byte) bool {
	return len(signature) == 2*Size &&
		ecdsa.Verify(key, digest, new(big.Int).SetBytes(signature[:Size]), new(big.Int).SetBytes(signature[Size:]))
}

// wycheproofFiles are the files of signatures, with their hash.
var wycheproofFiles = map[string]func([]byte) []byte{
	"ecdsa_secp256r1_sha256_p1363_test.json": func(m []byte) []byte { d := sha256.Sum256(m); return d[:] },
	"ecdsa_secp256r1_sha512_p1363_test.json": func(m []byte) []byte { d := sha512.Sum512(m); return d[:] },
}

// TestWycheproof runs every P-256 signature of Project Wycheproof whose form is that
// of JOSE and COSE, with digests shorter and longer than the order of the curve.
func TestWycheproof(t *testing.T) {
	for file, sum := range wycheproofFiles {
		b, err := fs.ReadFile(wycheproof.TestVectors, file)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			NumberOfTests int `json:"numberOfTests"`
			TestGroups    []struct {
				PublicKey struct {
					Uncompressed string `json:"uncompressed"`
				} `json:"publicKey"`
				Tests []struct {
					ID      int    `json:"tcId"`
					Comment string `json:"comment"`
					Message string `json:"msg"`
					Sig     string `json:"sig"`
					Result  string `json:"result"`
				} `json:"tests"`
			} `json:"testGroups"`
		}
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatal(err)
		}
		ran, accepted := 0, 0
		for _, group := range doc.TestGroups {
			key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), unhex(t, group.PublicKey.Uncompressed))
			if err != nil {
				t.Fatal(err)
			}
			table, err := New(key)
			if err != nil {
				t.Fatal(err)
			}
			for _, test := range group.Tests {
				ran++
				digest, signature := sum(unhex(t, test.Message)), unhex(t, test.Sig)
				got := table.Verify(digest, signature)
				if want := test.Result == "valid"; got != want {
					t.Errorf("%s %d %s: %v, want %v", file, test.ID, test.Comment, got, want)
				}
				if got {
					accepted++
				}
			}
		}
		if ran != doc.NumberOfTests || accepted == 0 || accepted == ran {
			t.Errorf("%s: %d of %d cases, %d of them good", file, ran, doc.NumberOfTests, accepted)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRefuses spoils one thing of a good signature in each row.
func TestRefuses(t *testing.T) {
	key, table := newKey(t)
	digest := sha256.Sum256([]byte("a certificate"))
	good := sign(t, key, digest[:])
	if !table.Verify(digest[:], good) {
		t.Fatal("a good signature was refused")
	}
	r, s := new(big.Int).SetBytes(good[:Size]), new(big.Int).SetBytes(good[Size:])
	zero := new(big.Int)
	other := sha256.Sum256([]byte("another certificate"))
	_, strange := newKey(t)
	for _, row := range []struct {
		name      string
		table     *Table
		digest    []byte
		signature []byte
	}{
		{"another digest", table, other[:], good},
		{"another key", strange, digest[:], good},
		{"r and s changed over", table, digest[:], join(s, r)},
		{"r is 0", table, digest[:], join(zero, s)},
		{"s is 0", table, digest[:], join(r, zero)},
		{"both are 0", table, digest[:], make([]byte, 2*Size)},
		{"r is the order", table, digest[:], join(order, s)},
		{"s is the order", table, digest[:], join(r, order)},
		{"r is the largest", table, digest[:], append(bytes.Repeat([]byte{0xff}, Size), good[Size:]...)},
		{"s is the largest", table, digest[:], append(bytes.Clone(good[:Size]), bytes.Repeat([]byte{0xff}, Size)...)},
		{"a byte too few", table, digest[:], good[:2*Size-1]},
		{"a byte too many", table, digest[:], append(bytes.Clone(good), 0)},
		{"empty", table, digest[:], nil},
		{"no digest", table, nil, good},
	} {
		if row.table.Verify(row.digest, row.signature) {
			t.Errorf("%s: accepted", row.name)
		}
	}
	for i := range 2 * Size * 8 {
		spoiled := bytes.Clone(good)
		spoiled[i/8] ^= 1 << (i % 8)
		if table.Verify(digest[:], spoiled) {
			t.Errorf("bit %d changed: accepted", i)
		}
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(&p384.PublicKey); err == nil {
		t.Error("a table of a key on P-384")
	}
}

// TestMultiples compares the additions of a table with multiplication, at the numbers
// whose digits are carried, absent, and largest.
func TestMultiples(t *testing.T) {
	key, table := newKey(t)
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	one := big.NewInt(1)
	numbers := []*big.Int{new(big.Int), one, big.NewInt(2), new(big.Int).Sub(order, one), new(big.Int).Rsh(order, 1)}
	for bit := range 256 {
		n := new(big.Int).Lsh(one, uint(bit))
		numbers = append(numbers, n, new(big.Int).Sub(n, one), new(big.Int).Sub(order, n))
	}
	for _, b := range []byte{1, 0x7f, 0x80, 0x81, 0xfe} {
		numbers = append(numbers, new(big.Int).SetBytes(bytes.Repeat([]byte{b}, Size)))
	}
	rnd := mathrand.New(mathrand.NewPCG(1, 2))
	for range 500 {
		b := make([]byte, Size)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		numbers = append(numbers, new(big.Int).SetBytes(b))
	}
	for _, n := range numbers {
		n.Mod(n, order)
		number := n.FillBytes(make([]byte, Size))
		q, err := nistec.NewP256Point().SetBytes(point)
		if err != nil {
			t.Fatal(err)
		}
		if q, err = q.ScalarMult(q, number); err != nil {
			t.Fatal(err)
		}
		var c scratch
		c.sum.Set(nistec.NewP256Point())
		table.addMultiple(&c, number)
		if c.sum.Equal(q) != 1 {
			t.Errorf("times %x: %x, want %x", number, c.sum.Bytes(), q.Bytes())
		}
	}
}

// TestMeet takes numbers for which both halves of the sum are the same point, or one
// the other's negative, which additions that do not expect it get wrong.
func TestMeet(t *testing.T) {
	// With the private key d and r/s = u2, e/s = u1: u1 = d*u2 makes the halves equal
	// and u1 = -d*u2 makes the sum the point at infinity.
	key, table := newKey(t)
	//lint:ignore SA1019 the number is what the test is about
	d := key.D
	rnd := mathrand.New(mathrand.NewPCG(3, 4))
	for range 50 {
		s := new(big.Int).Add(new(big.Int).SetUint64(rnd.Uint64()), big.NewInt(1))
		r := new(big.Int).Add(new(big.Int).SetUint64(rnd.Uint64()), big.NewInt(1))
		e := new(big.Int).Mul(d, r)
		e.Mod(e, order)
		for _, e := range []*big.Int{e, new(big.Int).Sub(order, e)} {
			digest, signature := e.FillBytes(make([]byte, Size)), join(r, s)
			if got, want := table.Verify(digest, signature), standard(&key.PublicKey, digest, signature); got != want {
				t.Errorf("%x %x: %v, crypto/ecdsa says %v", digest, signature, got, want)
			}
		}
	}
	// One that is good although its halves are equal: R = 2*k*G, r = x(R), u1 = k = d*u2.
	for range 50 {
		k := new(big.Int).Add(new(big.Int).SetUint64(rnd.Uint64()), big.NewInt(1))
		twice := new(big.Int).Lsh(k, 1)
		point, err := nistec.NewP256Point().ScalarBaseMult(twice.FillBytes(make([]byte, Size)))
		if err != nil {
			t.Fatal(err)
		}
		x, err := point.BytesX()
		if err != nil {
			t.Fatal(err)
		}
		r := new(big.Int).SetBytes(x)
		r.Mod(r, order)
		// s = r*d/k and e = k*s = r*d.
		s := new(big.Int).ModInverse(k, order)
		s.Mul(s, r).Mul(s, d).Mod(s, order)
		e := new(big.Int).Mul(r, d)
		e.Mod(e, order)
		digest, signature := e.FillBytes(make([]byte, Size)), join(r, s)
		if !standard(&key.PublicKey, digest, signature) || !table.Verify(digest, signature) {
			t.Errorf("%x %x: refused", digest, signature)
		}
	}
}

// TestConcurrent has one table used by many at once.
func TestConcurrent(t *testing.T) {
	key, table := newKey(t)
	done := make(chan string, 8)
	for range cap(done) {
		go func() {
			bad := ""
			for i := range 200 {
				digest := sha256.Sum256([]byte{byte(i)})
				signature := sign(t, key, digest[:])
				if !table.Verify(digest[:], signature) {
					bad = "a good signature was refused"
				}
				signature[i%len(signature)] ^= 1
				if table.Verify(digest[:], signature) {
					bad = "a spoiled signature was accepted"
				}
			}
			done <- bad
		}()
	}
	for range cap(done) {
		if bad := <-done; bad != "" {
			t.Error(bad)
		}
	}
}

// FuzzVerify holds that a table and crypto/ecdsa say the same of any digest and any
// signature, good ones among them.
func FuzzVerify(f *testing.F) {
	key, table := newKey(f)
	digest := sha256.Sum256([]byte("seed"))
	f.Add(digest[:], sign(f, key, digest[:]), false)
	f.Add([]byte{}, make([]byte, 2*Size), true)
	boundtest.Fuzz(f, func(t *testing.T, digest, signature []byte, good bool) {
		if good {
			signature = sign(t, key, digest)
		}
		got := table.Verify(digest, signature)
		if want := standard(&key.PublicKey, digest, signature); got != want || good && !got {
			t.Errorf("digest %x, signature %x: %v, crypto/ecdsa says %v", digest, signature, got, want)
		}
	})
}

// BenchmarkVerify is a table beside crypto/ecdsa.
func BenchmarkVerify(b *testing.B) {
	key, table := newKey(b)
	digest := sha256.Sum256([]byte("a certificate"))
	signature := sign(b, key, digest[:])
	asn1, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	for name, verify := range map[string]func() bool{
		"table":        func() bool { return table.Verify(digest[:], signature) },
		"crypto/ecdsa": func() bool { return ecdsa.VerifyASN1(&key.PublicKey, digest[:], asn1) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !verify() {
					b.Fatal("a good signature was refused")
				}
			}
		})
	}
}

// BenchmarkNew is how long a table takes to make.
func BenchmarkNew(b *testing.B) {
	key, _ := newKey(b)
	for b.Loop() {
		if _, err := New(&key.PublicKey); err != nil {
			b.Fatal(err)
		}
	}
}
