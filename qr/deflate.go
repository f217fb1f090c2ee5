package qr

import (
	"encoding/binary"
	"math/bits"
)

// A DEFLATE (RFC 1951) writer for messages of a few hundred bytes, in one block
// with the fixed codes. The writer of the standard library prepares tables for
// files, which takes longer than signing the message does, and its own codes cost
// more than they save on a message that short. Any inflater reads the result; the
// tests read it with that of the standard library.

const (
	minMatch = 3
	maxMatch = 258

	endOfBlock = 256

	hashBits = 11
	// maxChain is how many earlier places are compared at each place; more find
	// nothing in messages this short.
	maxChain = 4
)

// A deflater holds the tables for one message.
type deflater struct {
	head [1 << hashBits]uint16 // one more than the latest place with this hash; 0 is none
	prev [MaxInflated]uint16   // the same for the place before it

	out   []byte
	acc   uint64 // bits that do not fill a byte yet, the first the lowest
	count uint
}

// deflate appends message to out as one block, the last of its stream.
func (d *deflater) deflate(message []byte) {
	clear(d.head[:])
	d.write(1|1<<1, 3) // last block, fixed codes
	for i := 0; i < len(message); {
		length, distance := d.longest(message, i)
		d.insert(message, i)
		if length >= minMatch && i+1 < len(message) {
			// A longer match one byte later is worth a literal.
			if next, _ := d.longest(message, i+1); next > length {
				length = 0
			}
		}
		if length < minMatch {
			d.code(int(message[i]))
			i++
			continue
		}
		d.match(length, distance)
		for j := i + 1; j < i+length; j++ {
			d.insert(message, j)
		}
		i += length
	}
	d.code(endOfBlock)
	for ; d.count > 0; d.count -= min(d.count, 8) {
		d.out = append(d.out, byte(d.acc))
		d.acc >>= 8
	}
	d.acc = 0
}

func hash(b []byte) uint32 {
	return (uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16) * 0x9e3779b1 >> (32 - hashBits)
}

// insert remembers that place i was passed.
func (d *deflater) insert(message []byte, i int) {
	if i+minMatch <= len(message) {
		h := hash(message[i:])
		d.prev[i] = d.head[h]
		d.head[h] = uint16(i + 1)
	}
}

// longest finds the longest earlier occurrence of what stands at place i, of
// equally long ones the nearest.
func (d *deflater) longest(message []byte, i int) (length, distance int) {
	if i+minMatch > len(message) {
		return 0, 0
	}
	here := message[i:min(i+maxMatch, len(message))]
	at := int(d.head[hash(here)])
	for n := 0; at > 0 && n < maxChain; n++ {
		there := message[at-1:]
		if there[length] != here[length] { // it cannot be longer than the longest
			at = int(d.prev[at-1])
			continue
		}
		k := 0
		for k < len(here) && there[k] == here[k] {
			k++
		}
		if k > length {
			length, distance = k, i+1-at
			if k == len(here) {
				break
			}
		}
		at = int(d.prev[at-1])
	}
	return length, distance
}

// A fixedCode is the code of a literal or a length, the first bit the lowest.
type fixedCode struct {
	code uint16
	size byte
}

// fixedCodes are those of RFC 1951 section 3.2.6.
var fixedCodes = func() (codes [288]fixedCode) {
	for i := range codes {
		code, size := 0xc0+i-280, 8
		switch {
		case i < 144:
			code = 0x30 + i
		case i < 256:
			code, size = 0x190+i-144, 9
		case i < 280:
			code, size = i-256, 7
		}
		codes[i] = fixedCode{bits.Reverse16(uint16(code)) >> (16 - size), byte(size)}
	}
	return codes
}()

func (d *deflater) code(symbol int) {
	c := fixedCodes[symbol]
	d.write(uint64(c.code), uint(c.size))
}

// match writes a length and a distance (RFC 1951 section 3.2.5): each is a symbol
// for a range and the place within it.
func (d *deflater) match(length, distance int) {
	n := uint64(length - minMatch)
	switch {
	case length == maxMatch:
		d.code(285)
	case n < 8:
		d.code(257 + int(n))
	default:
		extra := uint(bits.Len64(n)) - 3
		d.code(257 + int(uint64(extra)<<2+n>>extra))
		d.write(n&(1<<extra-1), extra)
	}
	n = uint64(distance - 1)
	extra := uint(0)
	if n >= 4 {
		extra = uint(bits.Len64(n)) - 2
	}
	symbol := uint64(extra)<<1 + n>>extra
	d.write(uint64(bits.Reverse8(byte(symbol))>>3), 5)
	d.write(n&(1<<extra-1), extra)
}

func (d *deflater) write(value uint64, size uint) {
	d.acc |= value << d.count
	d.count += size
	if d.count >= 32 {
		d.out = binary.LittleEndian.AppendUint32(d.out, uint32(d.acc))
		d.acc >>= 32
		d.count -= 32
	}
}
