package p256

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"
	"math/big"
	"sync"

	"filippo.io/nistec"
)

const (
	// Size is the length in bytes of a number modulo the order of the curve, and of
	// a coordinate.
	Size = 32

	// A number is taken apart into digits of so many bits, from -half to half.
	digitBits = 8
	half      = 1 << (digitBits - 1)
	digits    = Size * 8 / digitBits // and a carry
)

// order is that of the group: n of SEC 2 section 2.4.2.
var order = elliptic.P256().Params().N

// A Table verifies the signatures of one key. It never changes and can be used from
// several goroutines.
type Table struct {
	// multiple[i*half+j-1] is the key times j*2^(i*digitBits), for j from 1 to half;
	// for the carry, j is 1.
	multiple []nistec.P256Point
}

// New makes the table of key, which must be on P-256.
func New(key *ecdsa.PublicKey) (*Table, error) {
	if key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("p256: a key on %s", key.Curve.Params().Name)
	}
	uncompressed, err := key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("p256: %v", err)
	}
	base, err := nistec.NewP256Point().SetBytes(uncompressed)
	if err != nil {
		return nil, fmt.Errorf("p256: %v", err)
	}
	t := &Table{multiple: make([]nistec.P256Point, digits*half+1)}
	for i := range t.multiple {
		m := &t.multiple[i]
		if i%half == 0 {
			m.Set(base)
		} else {
			m.Add(&t.multiple[i-1], base)
		}
		if i%half == half-1 {
			base.Double(m) // half*base twice
		}
	}
	return t, nil
}

// scratch is what one verification works with. It is used again, since numbers of
// math/big take memory of their own.
type scratch struct {
	r, s, e, product, quotient big.Int
	sum, negative              nistec.P256Point
	number                     [Size]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// Verify reports whether signature is one of digest by the key of the table. The
// signature is r and s, each in [Size] bytes, big-endian (RFC 7518 section 3.4); of a
// digest that is longer the first [Size] bytes count, as everywhere in ECDSA.
func (t *Table) Verify(digest, signature []byte) bool {
	if len(signature) != 2*Size {
		return false
	}
	c := scratches.Get().(*scratch)
	defer scratches.Put(c)
	c.r.SetBytes(signature[:Size])
	c.s.SetBytes(signature[Size:])
	if c.r.Sign() == 0 || c.s.Sign() == 0 || c.r.Cmp(order) >= 0 || c.s.Cmp(order) >= 0 {
		return false
	}
	c.e.SetBytes(digest[:min(len(digest), Size)])
	w := c.s.ModInverse(&c.s, order)

	// sum = (e/s)*G + (r/s)*key
	if _, err := c.sum.ScalarBaseMult(c.timesMod(&c.e, w)); err != nil {
		return false // not reached: the number has its size
	}
	t.addMultiple(c, c.timesMod(&c.r, w))
	x, err := c.sum.BytesX() // fails for the point at infinity
	if err != nil {
		return false
	}
	c.e.SetBytes(x)
	if c.e.Cmp(order) >= 0 {
		c.e.Sub(&c.e, order)
	}
	return c.e.Cmp(&c.r) == 0
}

// timesMod returns a*b modulo the order in [Size] bytes, until its next call.
func (c *scratch) timesMod(a, b *big.Int) []byte {
	c.product.Mul(a, b)
	c.quotient.QuoRem(&c.product, order, &c.product)
	return c.product.FillBytes(c.number[:])
}

// addMultiple adds the key times number, which is below the order, to c.sum.
func (t *Table) addMultiple(c *scratch, number []byte) {
	carry := 0
	for i := range digits {
		d := int(number[digits-1-i]) + carry
		carry = 0
		if d > half {
			d -= 2 * half
			carry = 1
		}
		row := t.multiple[i*half:]
		switch {
		case d > 0:
			c.sum.Add(&c.sum, &row[d-1])
		case d < 0:
			c.sum.Add(&c.sum, c.negative.Negate(&row[-d-1]))
		}
	}
	if carry != 0 {
		c.sum.Add(&c.sum, &t.multiple[digits*half])
	}
}
