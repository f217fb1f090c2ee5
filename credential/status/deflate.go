package status

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"encoding/binary"
	"hash/adler32"
	"math/bits"
	"slices"
)

// Status lists are long rows of zero bytes with single bits set at random. The
// matcher of compress/zlib finds nothing in them but the zeros, and spends a
// second on ten million entries at the level at which it comes near the best
// size. So larger lists are compressed by the writer below: DEFLATE (RFC 1951)
// with runs as the only matches and one dynamic Huffman block. At 1 % revoked it
// is both smaller than any level of compress/zlib and faster than all but the
// lowest. Tests read its output back through compress/zlib.

// smallList is the size in bytes below which the tables of a dynamic block cost
// more than they save, so that compress/zlib does better.
const smallList = 1024

// deflate returns data as a zlib stream (RFC 1950). The same data always give
// the same bytes.
func deflate(data []byte) []byte {
	if len(data) < smallList {
		return deflateSmall(data)
	}
	// How short a run is still worth a match depends on how full the list is.
	// Trying costs less than guessing wrongly.
	var best *plan
	for _, minRun := range []int{minMatch, 5, 8, 16, noRuns} {
		if p := newPlan(data, minRun); best == nil || p.bits < best.bits {
			best = p
		}
	}
	return best.write(data)
}

// deflateSmall compresses with compress/zlib. It cannot fail: the level is a
// constant and a bytes.Buffer takes everything.
func deflateSmall(data []byte) []byte {
	var out bytes.Buffer
	w, err := zlib.NewWriterLevel(&out, zlib.BestCompression)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic("status: internal error: " + err.Error())
	}
	return out.Bytes()
}

// Numbers of RFC 1951, section 3.2.
const (
	minMatch   = 3
	maxMatch   = 258
	noRuns     = maxMatch + 1 // as a threshold: no matches at all
	endOfBlock = 256
	numLitLen  = 286
	numCodeLen = 19
	maxCode    = 15 // bits of a literal or length code
	maxCodeLen = 7  // bits of a code length code
	repeatLast = 16 // code length alphabet: the last length again, 3 to 6 times
	zeroShort  = 17 // 3 to 10 zeros
	zeroLong   = 18 // 11 to 138 zeros
)

// codeLenOrder is the order in which the lengths of the code length codes stand.
var codeLenOrder = [numCodeLen]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// A lengthCode says how a match length is written.
type lengthCode struct {
	symbol uint16
	extra  uint8 // number of extra bits
	base   uint16
}

// lengthCodes is the table of section 3.2.5 by match length.
var lengthCodes = func() (t [maxMatch + 1]lengthCode) {
	length, symbol := minMatch, uint16(257)
	for symbol < 285 {
		// Four symbols for each number of extra bits, eight for none.
		extra := uint8(max(int(symbol)-261, 0) / 4)
		base := length
		for range 1 << extra {
			t[length] = lengthCode{symbol, extra, uint16(base)}
			length++
		}
		symbol++
	}
	t[maxMatch] = lengthCode{285, 0, maxMatch}
	return t
}()

// A plan is one way to write the data: from which length on a run becomes a
// match, the codes for that, and how many bits it comes to.
type plan struct {
	minRun  int
	litLen  codes
	header  []headerSymbol
	codeLen codes
	bits    int
}

// newPlan counts symbols and builds the codes.
func newPlan(data []byte, minRun int) *plan {
	var counts [numLitLen]int
	matches, extra := 0, 0
	tokens(data, minRun,
		func(b byte) { counts[b]++ },
		func(length int) {
			c := lengthCodes[length]
			counts[c.symbol]++
			extra += int(c.extra)
			matches++
		})
	counts[endOfBlock] = 1
	p := &plan{minRun: minRun, litLen: newCodes(counts[:], maxCode)}
	p.header = headerSymbols(p.litLen.lengths, matches > 0)
	var headerCounts [numCodeLen]int
	for _, h := range p.header {
		headerCounts[h.symbol]++
		p.bits += int(h.extraBits)
	}
	p.codeLen = newCodes(headerCounts[:], maxCodeLen)
	// The one distance code takes one bit a match.
	p.bits += p.litLen.cost(counts[:]) + p.codeLen.cost(headerCounts[:]) + 3*p.codeLenCount() + extra + matches
	return p
}

// tokens cuts data into literals and runs: a run is a repetition of the byte
// before it, of minRun to 258 bytes.
func tokens(data []byte, minRun int, literal func(byte), run func(length int)) {
	for i := 0; i < len(data); {
		n := 0
		if i > 0 && minRun <= maxMatch {
			n = runLength(data, i)
		}
		if n >= minRun {
			run(n)
			i += n
			continue
		}
		// The first byte of a new run, or one that is not worth a match. What is
		// left of a short run is just as short.
		for range max(n, 1) {
			literal(data[i])
			i++
		}
	}
}

// runLength is how many bytes from i on, at most 258, equal the byte before.
func runLength(data []byte, i int) int {
	end := min(i+maxMatch, len(data))
	last := data[i-1]
	pattern := uint64(last) * 0x0101010101010101
	j := i
	for ; j+8 <= end; j += 8 {
		if diff := binary.LittleEndian.Uint64(data[j:]) ^ pattern; diff != 0 {
			return j - i + bits.TrailingZeros64(diff)/8
		}
	}
	for j < end && data[j] == last {
		j++
	}
	return j - i
}

// write writes the stream that was planned.
func (p *plan) write(data []byte) []byte {
	// 0x78 0xda: DEFLATE with a window of 32 KiB, slowest algorithm, no dictionary.
	w := bitWriter{out: append(make([]byte, 0, p.bits/8+16), 0x78, 0xda)}
	w.write(1, 1) // BFINAL
	w.write(2, 2) // BTYPE: dynamic Huffman codes
	w.write(uint64(len(p.litLen.lengths)-257), 5)
	w.write(0, 5) // one distance code
	n := p.codeLenCount()
	w.write(uint64(n-4), 4)
	for _, symbol := range codeLenOrder[:n] {
		w.write(uint64(p.codeLen.length(symbol)), 3)
	}
	for _, h := range p.header {
		p.codeLen.put(&w, int(h.symbol))
		w.write(uint64(h.extra), uint(h.extraBits))
	}
	tokens(data, p.minRun,
		func(b byte) { p.litLen.put(&w, int(b)) },
		func(length int) {
			c := lengthCodes[length]
			p.litLen.put(&w, int(c.symbol))
			w.write(uint64(length)-uint64(c.base), uint(c.extra))
			w.write(0, 1) // distance code 0: the byte before
		})
	p.litLen.put(&w, endOfBlock)
	return binary.BigEndian.AppendUint32(w.bytes(), adler32.Checksum(data))
}

// codeLenCount is how many code length codes are written: up to the last one
// that is used, in their odd order.
func (p *plan) codeLenCount() int {
	n := numCodeLen
	for n > 4 && p.codeLen.length(codeLenOrder[n-1]) == 0 {
		n--
	}
	return n
}

// A headerSymbol is one symbol of the code lengths' own code.
type headerSymbol struct{ symbol, extra, extraBits uint8 }

// headerSymbols writes down the lengths of all codes, runs packed as in section
// 3.2.7. The last is the length of the one distance code: 1, or 0 if there are
// no matches.
func headerSymbols(lengths []uint8, matches bool) []headerSymbol {
	all := append(slices.Clone(lengths), 0)
	if matches {
		all[len(all)-1] = 1
	}
	var out []headerSymbol
	for i := 0; i < len(all); {
		n := 1
		for i+n < len(all) && all[i+n] == all[i] {
			n++
		}
		switch {
		case all[i] == 0 && n >= 11:
			n = min(n, 138)
			out = append(out, headerSymbol{zeroLong, uint8(n - 11), 7})
		case all[i] == 0 && n >= 3:
			out = append(out, headerSymbol{zeroShort, uint8(n - 3), 3})
		case n >= 4:
			n = min(n, 7)
			out = append(out, headerSymbol{symbol: all[i]}, headerSymbol{repeatLast, uint8(n - 4), 2})
		default:
			n = 1
			out = append(out, headerSymbol{symbol: all[i]})
		}
		i += n
	}
	return out
}

// codes are the Huffman codes of an alphabet, canonical as in section 3.2.2.
type codes struct {
	lengths []uint8  // by symbol, up to the last one used
	codes   []uint16 // bit-reversed, as they are written
}

// newCodes makes codes of at most limit bits for symbols with these counts.
func newCodes(counts []int, limit int) codes {
	last := len(counts)
	for last > 0 && counts[last-1] == 0 {
		last--
	}
	counts = slices.Clone(counts[:last])
	lengths := codeLengths(counts)
	for int(slices.Max(lengths)) > limit {
		// Flatter counts give a flatter tree. This costs a few bits in cases that
		// lists hardly ever come to.
		for i, n := range counts {
			counts[i] = (n + 1) / 2
		}
		lengths = codeLengths(counts)
	}
	// next[n] is the first free code of n bits; to begin with, how many codes are
	// one bit shorter.
	var next [maxCode + 2]uint16
	for _, n := range lengths {
		if n > 0 {
			next[n+1]++
		}
	}
	for n := 1; n < len(next); n++ {
		next[n] = (next[n-1] + next[n]) << 1
	}
	c := codes{lengths: lengths, codes: make([]uint16, len(lengths))}
	for symbol, n := range lengths {
		if n > 0 {
			c.codes[symbol] = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
	return c
}

// codeLengths returns the code lengths of Huffman's algorithm.
func codeLengths(counts []int) []uint8 {
	type node struct{ count, left, right int } // children; a leaf has left -1 and its symbol in right
	var nodes []node
	for symbol, n := range counts {
		if n > 0 {
			nodes = append(nodes, node{n, -1, symbol})
		}
	}
	slices.SortStableFunc(nodes, func(a, b node) int { return cmp.Compare(a.count, b.count) })
	lengths := make([]uint8, len(counts))
	if len(nodes) == 1 {
		lengths[nodes[0].right] = 1
		return lengths
	}
	// Two queues: leaves in order of their counts, then inner nodes, which come
	// into being in that order.
	leaves := len(nodes)
	leaf, inner := 0, leaves
	take := func() int {
		if leaf < leaves && (inner >= len(nodes) || nodes[leaf].count <= nodes[inner].count) {
			leaf++
			return leaf - 1
		}
		inner++
		return inner - 1
	}
	for range leaves - 1 {
		a, b := take(), take()
		nodes = append(nodes, node{nodes[a].count + nodes[b].count, a, b})
	}
	depth := make([]uint8, len(nodes))
	for i := len(nodes) - 1; i >= 0; i-- { // parents stand after their children
		if n := nodes[i]; n.left >= 0 {
			depth[n.left], depth[n.right] = depth[i]+1, depth[i]+1
		} else {
			lengths[n.right] = depth[i]
		}
	}
	return lengths
}

func (c codes) length(symbol int) uint8 {
	if symbol >= len(c.lengths) {
		return 0
	}
	return c.lengths[symbol]
}

func (c codes) put(w *bitWriter, symbol int) {
	w.write(uint64(c.codes[symbol]), uint(c.lengths[symbol]))
}

// cost is how many bits symbols with these counts take.
func (c codes) cost(counts []int) int {
	sum := 0
	for symbol, n := range c.lengths {
		sum += int(n) * counts[symbol]
	}
	return sum
}
