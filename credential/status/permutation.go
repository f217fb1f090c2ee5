package status

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// A Permutation turns the running counter of a list into slots that look random,
// without a table of what was given out: the counter is durable and never goes
// back, and no two counters give the same slot. Whoever lacks the key learns
// neither order nor number of the credentials issued from the slots they see
// (section 12.5 of the draft asks for unpredictable indexes).
//
// The construction is the textbook one for ciphers on small domains. A slot is a
// pair (left, right) with left below a, right below b and a*b at least size; ten
// rounds of an alternating Feistel network change one of the two by a keyed
// function of the other, modulo its range (the shape of FF1 in NIST SP 800-38G;
// J. Black and P. Rogaway, "Ciphers with Arbitrary Finite Domains", 2002). Each
// round can be undone, so the whole is a bijection on [0, a*b). A result at or
// above size goes through again until one falls below: "cycle walking" in the
// same paper, which makes it a bijection on [0, size). The round function is
// AES-256 on a block that holds round and half, which is the one cryptographic
// assumption here: that AES is a pseudo-random permutation.
//
// Hiding order is all it is for. It is no encryption of secrets, and the
// uniqueness of slots is enforced by the store again. Safe for concurrent use.
type Permutation struct {
	block cipher.Block
	size  uint64
	a, b  uint64
}

// feistelRounds is the number of rounds, as in FF1.
const feistelRounds = 10

// NewPermutation returns the permutation of [0, size) that belongs to the key, a
// secret of at least 16 bytes that stays the same for the life of the list. Each
// list should have a key of its own, or all would give out slots in one order.
func NewPermutation(key []byte, size uint64) (*Permutation, error) {
	if len(key) < 16 {
		return nil, errors.New("status: permutation key is shorter than 16 bytes")
	}
	if size == 0 || size > 8*MaxBytes {
		return nil, fmt.Errorf("%w: a permutation of %d slots", ErrTooLarge, size)
	}
	aesKey, err := hkdf.Key(sha256.New, key, nil, fmt.Sprintf("sanad status slots 1 of %d", size), 32)
	if err != nil {
		return nil, fmt.Errorf("derive permutation key: %w", err)
	}
	block, err := aes.NewCipher(aesKey)
	if err != nil {
		return nil, fmt.Errorf("derive permutation key: %w", err)
	}
	a := uint64(math.Ceil(math.Sqrt(float64(size))))
	return &Permutation{block: block, size: size, a: a, b: (size + a - 1) / a}, nil
}

// Size is the number of slots.
func (p *Permutation) Size() uint64 { return p.size }

// Index returns the slot for the counter, which must be below the size: a list
// that is full has no slot to give, and Index panics rather than invent one.
func (p *Permutation) Index(counter uint64) uint64 {
	if counter >= p.size {
		panic(fmt.Sprintf("status: internal error: counter %d in a list of %d slots", counter, p.size))
	}
	x := p.once(counter)
	for x >= p.size {
		// Fewer than a of the a*b pairs lie beyond size, so this is rare and short.
		x = p.once(x)
	}
	return x
}

// Counter returns the counter whose slot this is: what [Permutation.Index] undoes.
// It panics for a slot beyond the list.
func (p *Permutation) Counter(index uint64) uint64 {
	if index >= p.size {
		panic(fmt.Sprintf("status: internal error: slot %d in a list of %d slots", index, p.size))
	}
	x := p.back(index)
	for x >= p.size {
		x = p.back(x)
	}
	return x
}

// back undoes once.
func (p *Permutation) back(x uint64) uint64 {
	left, right := x/p.b, x%p.b
	var block [aes.BlockSize]byte
	for round := feistelRounds; round > 0; {
		round--
		if round%2 == 0 {
			left = p.undo(&block, byte(round), left, right, p.a)
		} else {
			right = p.undo(&block, byte(round), right, left, p.b)
		}
	}
	return left*p.b + right
}

// undo undoes step.
func (p *Permutation) undo(block *[aes.BlockSize]byte, round byte, x, by, modulus uint64) uint64 {
	added := p.step(block, round, 0, by, modulus)
	if x < added {
		x += modulus
	}
	return x - added
}

// once sends x through the network.
func (p *Permutation) once(x uint64) uint64 {
	left, right := x/p.b, x%p.b
	var block [aes.BlockSize]byte
	for round := range byte(feistelRounds) {
		if round%2 == 0 {
			left = p.step(&block, round, left, right, p.a)
		} else {
			right = p.step(&block, round, right, left, p.b)
		}
	}
	return left*p.b + right
}

// step is one round: it adds a keyed function of the half by to the half x,
// modulo the range of x. The function is the high part of a 64-bit number times
// the range, which for a range below 2^14 is uniform to within 2^-50.
func (p *Permutation) step(block *[aes.BlockSize]byte, round byte, x, by, modulus uint64) uint64 {
	clear(block[:])
	block[0] = round
	binary.BigEndian.PutUint64(block[8:], by)
	p.block.Encrypt(block[:], block[:])
	add, _ := bits.Mul64(binary.BigEndian.Uint64(block[:]), modulus)
	if x += add; x >= modulus {
		x -= modulus
	}
	return x
}
