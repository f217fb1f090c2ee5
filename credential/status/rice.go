package status

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
)

// The coding of index sets. A set of sorted indexes below a size is written as
//
//	byte 0    parameter k in the low six bits; the top bit says that the
//	          indexes which are NOT in the set follow
//	uvarint   how many indexes follow
//	bits      for each the gap to the one before (index - previous - 1, the first
//	          from -1): gap>>k zero bits, a one bit, the low k bits of the gap;
//	          zero bits up to a full byte
//
// For indexes spread at random the gaps are geometrically distributed, for which
// Golomb-Rice codes are within a few percent of the least possible size
// (S. Golomb, "Run-length encodings", 1966; R. Rice, JPL 79-22, 1979).
//
// There is one encoding for a set: the smaller of set and complement is written
// (the set itself if both are as large), k is the smallest that gives the fewest
// bits, and the reader insists on all of it. So a set can be compared by its
// bytes, and decoding and encoding again gives them back.

// complementBit marks a set that is given by what is not in it.
const complementBit = 0x80

// EncodeSet encodes the indexes, which must be ascending, different and below
// size.
func EncodeSet(sorted []uint64, size uint64) ([]byte, error) {
	for i, x := range sorted {
		if x >= size || i > 0 && x <= sorted[i-1] {
			return nil, fmt.Errorf("encode set: %w: %d at place %d of a set below %d", ErrIndex, x, i, size)
		}
	}
	return encodeSet(func(yield func(uint64) bool) {
		for _, x := range sorted {
			if !yield(x) {
				return
			}
		}
	}, uint64(len(sorted)), size), nil
}

// encodeSet encodes count ascending indexes below size. It goes through them
// twice.
func encodeSet(set iter.Seq[uint64], count, size uint64) []byte {
	var head byte
	if count > size/2 {
		head, set, count = complementBit, complement(set, size), size-count
	}
	var cost costs
	for gap := range gaps(set) {
		cost.add(gap)
	}
	k := cost.best(count)
	w := bitWriter{out: make([]byte, 0, 1+binary.MaxVarintLen64+cost.bits(k, count)/8+1)}
	w.out = append(w.out, head|byte(k))
	w.out = binary.AppendUvarint(w.out, count)
	for gap := range gaps(set) {
		w.zeros(gap >> k)
		w.write(1, 1)
		w.write(gap&(1<<k-1), k)
	}
	return w.bytes()
}

// gaps yields how many indexes are left out before each of set.
func gaps(set iter.Seq[uint64]) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		next := uint64(0)
		for x := range set {
			if !yield(x - next) {
				return
			}
			next = x + 1
		}
	}
}

// complement yields the indexes below size that are not in set.
func complement(set iter.Seq[uint64], size uint64) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		next := uint64(0)
		for x := range set {
			for ; next < x; next++ {
				if !yield(next) {
					return
				}
			}
			next = x + 1
		}
		for ; next < size; next++ {
			if !yield(next) {
				return
			}
		}
	}
}

// costs holds, for each k, the sum of gap>>k over the gaps: the unary part of
// what they would cost.
type costs [maxRice + 1]uint64

// maxRice is the largest parameter. Gaps are below 2^27 for any list we open.
const maxRice = 40

func (c *costs) add(gap uint64) {
	for k := 0; gap > 0 && k <= maxRice; k++ {
		c[k] += gap
		gap >>= 1
	}
}

// bits is how many bits count gaps take with parameter k.
func (c *costs) bits(k uint, count uint64) uint64 { return c[k] + count*uint64(k+1) }

// best is the smallest parameter with the fewest bits.
func (c *costs) best(count uint64) uint {
	best := uint(0)
	for k := uint(1); k <= maxRice; k++ {
		if c.bits(k, count) < c.bits(best, count) {
			best = k
		}
	}
	return best
}

// DecodeSet decodes a set of indexes below size and returns them in ascending
// order. More than maxCount of them is [ErrTooLarge]; the memory taken is eight
// bytes for each. Any encoding but that of [EncodeSet] is [ErrMalformed].
func DecodeSet(b []byte, size, maxCount uint64) ([]uint64, error) {
	h, err := readSetHead(b, size)
	if err != nil {
		return nil, err
	}
	if h.members() > maxCount {
		return nil, fmt.Errorf("%w: a set of %d indexes", ErrTooLarge, h.members())
	}
	out := make([]uint64, 0, h.members())
	err = h.each(func(x uint64) error {
		out = append(out, x)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// A setHead is an encoded set whose head was read.
type setHead struct {
	k          uint
	complement bool
	size       uint64
	count      uint64 // indexes that are written
	body       []byte
}

func readSetHead(b []byte, size uint64) (setHead, error) {
	if len(b) < 2 {
		return setHead{}, fmt.Errorf("%w: a set of %d bytes", ErrMalformed, len(b))
	}
	h := setHead{k: uint(b[0] &^ complementBit), complement: b[0]&complementBit != 0, size: size}
	var n int
	h.count, n = binary.Uvarint(b[1:])
	if n <= 0 || n != (max(bits.Len64(h.count), 1)+6)/7 {
		return setHead{}, fmt.Errorf("%w: the count of a set", ErrMalformed)
	}
	h.body = b[1+n:]
	// The smaller half is written: at most size/2 members, or fewer than the other
	// half that are not.
	most := size / 2
	if h.complement {
		most = (max(size, 1) - 1) / 2
	}
	switch {
	case h.k > maxRice:
		return setHead{}, fmt.Errorf("%w: set parameter %d", ErrMalformed, h.k)
	case h.count > most || h.complement && size == 0:
		return setHead{}, fmt.Errorf("%w: %d indexes written for a set below %d", ErrMalformed, h.count, size)
	case h.count > 8*uint64(len(h.body)):
		// Each index takes a bit at least.
		return setHead{}, fmt.Errorf("%w: a set of %d indexes in %d bytes", ErrMalformed, h.count, len(h.body))
	}
	return h, nil
}

// members is how many indexes the set has.
func (h setHead) members() uint64 {
	if h.complement {
		return h.size - h.count
	}
	return h.count
}

// each calls f for each member in ascending order. It returns f's first error,
// or ErrMalformed where the bits are not those of encodeSet; members that came
// before the fault were reported by then.
func (h setHead) each(f func(x uint64) error) error {
	next := uint64(0) // first index that is not decided yet
	err := h.eachWritten(func(x uint64) error {
		if !h.complement {
			return f(x)
		}
		for ; next < x; next++ {
			if err := f(next); err != nil {
				return err
			}
		}
		next = x + 1
		return nil
	})
	if err != nil || !h.complement {
		return err
	}
	for ; next < h.size; next++ {
		if err := f(next); err != nil {
			return err
		}
	}
	return nil
}

// eachWritten calls f for the indexes that are written, whether they are the
// members or the others.
func (h setHead) eachWritten(f func(x uint64) error) error {
	r := bitReader{in: h.body}
	var cost costs
	next := uint64(0)
	for range h.count {
		high, ok := r.unary((h.size - next) >> h.k)
		low, ok2 := r.read(h.k)
		gap := high<<h.k | low
		if !ok || !ok2 || gap >= h.size-next {
			return fmt.Errorf("%w: the bits of a set", ErrMalformed)
		}
		cost.add(gap)
		if err := f(next + gap); err != nil {
			return err
		}
		next += gap + 1
	}
	if !r.clean() || cost.best(h.count) != h.k {
		return fmt.Errorf("%w: a set in a longer form than need be", ErrMalformed)
	}
	return nil
}
