package status

import (
	"encoding/binary"
	"math/bits"
)

// A bitWriter packs bits from the least significant end of each byte, which is
// the order of DEFLATE and of our sets.
type bitWriter struct {
	out []byte
	acc uint64
	n   uint // bits in acc, below 8 between calls of write
}

// write appends the low n bits of v, n at most 56; the rest of v must be zero.
func (w *bitWriter) write(v uint64, n uint) {
	w.acc |= v << w.n
	w.n += n
	for w.n >= 8 {
		w.out = append(w.out, byte(w.acc))
		w.acc >>= 8
		w.n -= 8
	}
}

// zeros appends n zero bits.
func (w *bitWriter) zeros(n uint64) {
	for ; n > 56; n -= 56 {
		w.write(0, 56)
	}
	w.write(0, uint(n))
}

// bytes fills the last byte with zeros and returns everything.
func (w *bitWriter) bytes() []byte {
	if w.n > 0 {
		w.out = append(w.out, byte(w.acc))
		w.acc, w.n = 0, 0
	}
	return w.out
}

// A bitReader reads what a bitWriter wrote.
type bitReader struct {
	in  []byte
	acc uint64
	n   uint // bits in acc
}

func (r *bitReader) fill() {
	if r.n == 0 && len(r.in) >= 8 {
		r.acc, r.in, r.n = binary.LittleEndian.Uint64(r.in), r.in[8:], 64
		return
	}
	for r.n <= 56 && len(r.in) > 0 {
		r.acc |= uint64(r.in[0]) << r.n
		r.in = r.in[1:]
		r.n += 8
	}
}

// read returns the next n bits, n at most 56, and false if they are not there.
func (r *bitReader) read(n uint) (uint64, bool) {
	if r.n < n {
		r.fill()
		if r.n < n {
			return 0, false
		}
	}
	v := r.acc & (1<<n - 1)
	r.skip(n)
	return v, true
}

// unary returns how many zero bits stand before the next one bit, and false if
// there is none or if there are more than most.
func (r *bitReader) unary(most uint64) (uint64, bool) {
	var zeros uint64
	for {
		if r.n == 0 {
			if r.fill(); r.n == 0 {
				return 0, false
			}
		}
		// Above its n bits acc is zero, so the count is cut there.
		z := min(uint(bits.TrailingZeros64(r.acc)), r.n)
		zeros += uint64(z)
		if zeros > most {
			return 0, false
		}
		if z < r.n {
			r.skip(z + 1)
			return zeros, true
		}
		r.acc, r.n = 0, 0
	}
}

func (r *bitReader) skip(n uint) {
	r.acc >>= n // a shift by 64 gives zero in Go
	r.n -= n
}

// clean reports whether nothing but zero bits of the last byte is left.
func (r *bitReader) clean() bool { return len(r.in) == 0 && r.n < 8 && r.acc == 0 }
