// Package symbol makes the modules of QR codes (ISO/IEC 18004) where package qr/image is
// too large: in the browser, which draws them itself. It knows what is shown on a screen:
// levels L and M, alphanumeric text and bytes, all versions.
//
// Start with [Make]. Left to others: pictures and files (qr/image), reading, what the text
// means (qr).
package symbol

import (
	"errors"
	"strconv"
	"strings"
)

// A Level is how much of a code may be lost: L 7 %, M 15 %.
type Level int

// The levels.
const (
	L Level = iota
	M
)

// QuietZone is the light border that [Symbol.Path] leaves, in modules.
const QuietZone = 4

// ErrTooLong: the text does not fit the largest code of its level.
var ErrTooLong = errors.New("symbol: text does not fit a code")

// A Symbol is a square of dark and light modules.
type Symbol struct {
	version, size int
	dark          []bool
	fixed         []bool // belongs to a pattern and not to the data
}

// Version is 1 to 40. A symbol of version v has 17+4v modules a side.
func (s *Symbol) Version() int { return s.version }

// Size is the number of modules a side, without the quiet zone.
func (s *Symbol) Size() int { return s.size }

// Dark reports whether a module is dark. Outside the symbol all is light.
func (s *Symbol) Dark(x, y int) bool {
	return x >= 0 && y >= 0 && x < s.size && y < s.size && s.dark[y*s.size+x]
}

// alphabet is what the alphanumeric mode can write, in the order of its values.
const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"

// Make returns the smallest symbol of a level that holds text.
func Make(text string, level Level) (*Symbol, error) {
	if level != L && level != M {
		return nil, errors.New("symbol: unknown level")
	}
	if text == "" {
		return nil, errors.New("symbol: nothing to draw")
	}
	for version := 1; version <= 40; version++ {
		if words := encode(text, version, level); words != nil {
			return draw(version, level, interleave(words, version, level)), nil
		}
	}
	return nil, ErrTooLong
}

// Words of error correction in each block, and how many blocks there are, by version
// (ISO/IEC 18004, table 9).
var (
	correction = [2][40]int{
		{7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28, 28, 28, 30, 30, 26, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30},
		{10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26, 26, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28},
	}
	blocks = [2][40]int{
		{1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16, 17, 18, 19, 19, 20, 21, 22, 24, 25},
		{1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16, 17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49},
	}
)

// patterns is how many alignment patterns stand in a row.
func patterns(version int) int {
	if version == 1 {
		return 0
	}
	return version/7 + 2
}

// capacity is how many words a symbol has, data and correction.
func capacity(version int) int {
	modules := (16*version+128)*version + 64
	if n := patterns(version); n > 0 {
		modules -= (25*n-10)*n - 55
	}
	if version >= 7 {
		modules -= 36
	}
	return modules / 8
}

// bits are written one by one, the highest first.
type bits struct {
	words []byte
	n     int
}

func (b *bits) write(v, length int) {
	for i := length - 1; i >= 0; i-- {
		if b.n%8 == 0 {
			b.words = append(b.words, 0)
		}
		b.words[b.n/8] |= byte(v>>i&1) << (7 - b.n%8)
		b.n++
	}
}

// encode returns the data words of text, nil if it does not fit this version.
func encode(text string, version int, level Level) []byte {
	room := 8 * (capacity(version) - correction[level][version-1]*blocks[level][version-1])
	// The length of the counter depends on the version (table 3).
	class := 0
	switch {
	case version > 26:
		class = 2
	case version > 9:
		class = 1
	}
	b := &bits{}
	if strings.Trim(text, alphabet) == "" {
		if 4+9+2*class+(11*len(text)+1)/2 > room {
			return nil
		}
		b.write(2, 4)
		b.write(len(text), 9+2*class)
		value := func(i int) int { return strings.IndexByte(alphabet, text[i]) }
		for i := 0; i+1 < len(text); i += 2 {
			b.write(value(i)*45+value(i+1), 11)
		}
		if len(text)%2 == 1 {
			b.write(value(len(text)-1), 6)
		}
	} else {
		counter := []int{8, 16, 16}[class]
		if 4+counter+8*len(text) > room {
			return nil
		}
		b.write(4, 4)
		b.write(len(text), counter)
		for i := range len(text) {
			b.write(int(text[i]), 8)
		}
	}
	b.write(0, min(4, room-b.n))
	b.write(0, (8-b.n%8)%8)
	for pad := 0xec; b.n < room; pad ^= 0xec ^ 0x11 {
		b.write(pad, 8)
	}
	return b.words
}

// interleave adds the words of correction and mixes the blocks.
func interleave(data []byte, version int, level Level) []byte {
	total, n, ecc := capacity(version), blocks[level][version-1], correction[level][version-1]
	short := n - total%n // the first ones, which are a word shorter
	generator := polynomial(ecc)
	var parts, checks [][]byte
	for i := range n {
		length := total/n - ecc
		if i >= short {
			length++
		}
		parts = append(parts, data[:length])
		checks = append(checks, remainder(data[:length], generator))
		data = data[length:]
	}
	var out []byte
	mix := func(of [][]byte, longest int) {
		for i := range longest {
			for _, part := range of {
				if i < len(part) {
					out = append(out, part[i])
				}
			}
		}
	}
	mix(parts, total/n-ecc+1)
	mix(checks, ecc)
	return out
}

// times multiplies in GF(256) modulo x^8+x^4+x^3+x^2+1.
func times(a, b byte) byte {
	product := 0
	for i := 7; i >= 0; i-- {
		product = product<<1 ^ product>>7*0x11d
		product ^= int(b) >> i & 1 * int(a)
	}
	return byte(product)
}

// polynomial is the product of (x - 2^i) for i below degree, without its first term.
func polynomial(degree int) []byte {
	p := make([]byte, degree)
	p[degree-1] = 1
	root := byte(1)
	for range degree {
		for j := range p {
			p[j] = times(p[j], root)
			if j+1 < degree {
				p[j] ^= p[j+1]
			}
		}
		root = times(root, 2)
	}
	return p
}

// remainder are the words of correction of a block.
func remainder(data, generator []byte) []byte {
	rest := make([]byte, len(generator))
	for _, word := range data {
		factor := word ^ rest[0]
		copy(rest, rest[1:])
		rest[len(rest)-1] = 0
		for i, g := range generator {
			rest[i] ^= times(g, factor)
		}
	}
	return rest
}

// draw places patterns and words, and takes the mask that is easiest to read.
func draw(version int, level Level, words []byte) *Symbol {
	size := 17 + 4*version
	s := &Symbol{version: version, size: size, dark: make([]bool, size*size), fixed: make([]bool, size*size)}
	s.patterns()
	s.format(level, 0) // so that its place is taken
	s.place(words)
	best, least := 0, -1
	for mask := range 8 {
		s.mask(mask)
		s.format(level, mask)
		if p := s.penalty(); least < 0 || p < least {
			best, least = mask, p
		}
		s.mask(mask) // the second time undoes it
	}
	s.mask(best)
	s.format(level, best)
	return s
}

func (s *Symbol) fix(x, y int, dark bool) {
	if x >= 0 && y >= 0 && x < s.size && y < s.size {
		s.dark[y*s.size+x], s.fixed[y*s.size+x] = dark, true
	}
}

// patterns draws what is the same in all symbols of a version.
func (s *Symbol) patterns() {
	for i := range s.size {
		s.fix(6, i, i%2 == 0)
		s.fix(i, 6, i%2 == 0)
	}
	ring := func(x, y int) int { return max(x, -x, y, -y) }
	for _, corner := range [][2]int{{3, 3}, {s.size - 4, 3}, {3, s.size - 4}} {
		for dy := -4; dy <= 4; dy++ {
			for dx := -4; dx <= 4; dx++ {
				d := ring(dx, dy)
				s.fix(corner[0]+dx, corner[1]+dy, d != 2 && d != 4)
			}
		}
	}
	places := s.alignment()
	for i, x := range places {
		for j, y := range places {
			last := len(places) - 1
			if i == 0 && j == 0 || i == 0 && j == last || i == last && j == 0 {
				continue // a finder pattern stands there
			}
			for dy := -2; dy <= 2; dy++ {
				for dx := -2; dx <= 2; dx++ {
					s.fix(x+dx, y+dy, ring(dx, dy) != 1)
				}
			}
		}
	}
	if s.version < 7 {
		return
	}
	rest := s.version
	for range 12 {
		rest = rest<<1 ^ rest>>11*0x1f25
	}
	word := s.version<<12 | rest
	for i := range 18 {
		dark := word>>i&1 == 1
		s.fix(s.size-11+i%3, i/3, dark)
		s.fix(i/3, s.size-11+i%3, dark)
	}
}

// alignment are the places of the centres of alignment patterns (annex E).
func (s *Symbol) alignment() []int {
	n := patterns(s.version)
	if n == 0 {
		return nil
	}
	step := (s.version*4 + n*2 + 1) / (n*2 - 2) * 2
	if s.version == 32 { // where the standard departs from its own rule
		step = 26
	}
	places := make([]int, n)
	places[0] = 6
	for i := 1; i < n; i++ {
		places[i] = s.size - 7 - step*(n-1-i)
	}
	return places
}

// format writes level and mask, twice (section 7.9).
func (s *Symbol) format(level Level, mask int) {
	data := []int{L: 1, M: 0}[level]<<3 | mask
	rest := data
	for range 10 {
		rest = rest<<1 ^ rest>>9*0x537
	}
	word := (data<<10 | rest) ^ 0x5412
	for i := range 15 {
		dark := word>>i&1 == 1
		switch {
		case i < 6:
			s.fix(8, i, dark)
		case i < 8:
			s.fix(8, i+1, dark)
		case i == 8:
			s.fix(7, 8, dark)
		default:
			s.fix(14-i, 8, dark)
		}
		if i < 8 {
			s.fix(s.size-1-i, 8, dark)
		} else {
			s.fix(8, s.size-15+i, dark)
		}
	}
	s.fix(8, s.size-8, true)
}

// place writes the words in columns of two, up and down from the right (section 7.7.3).
func (s *Symbol) place(words []byte) {
	i := 0
	up := true
	for right := s.size - 1; right > 0; right -= 2 {
		if right == 6 {
			right = 5
		}
		for row := range s.size {
			y := row
			if up {
				y = s.size - 1 - row
			}
			for _, x := range []int{right, right - 1} {
				if at := y*s.size + x; !s.fixed[at] && i < 8*len(words) {
					s.dark[at] = words[i/8]>>(7-i%8)&1 == 1
					i++
				}
			}
		}
		up = !up
	}
}

// mask turns the modules of the data that a mask names (section 7.8.2).
func (s *Symbol) mask(mask int) {
	for y := range s.size {
		for x := range s.size {
			turn := false
			switch mask {
			case 0:
				turn = (x+y)%2 == 0
			case 1:
				turn = y%2 == 0
			case 2:
				turn = x%3 == 0
			case 3:
				turn = (x+y)%3 == 0
			case 4:
				turn = (x/3+y/2)%2 == 0
			case 5:
				turn = x*y%2+x*y%3 == 0
			case 6:
				turn = (x*y%2+x*y%3)%2 == 0
			case 7:
				turn = ((x+y)%2+x*y%3)%2 == 0
			}
			if at := y*s.size + x; turn && !s.fixed[at] {
				s.dark[at] = !s.dark[at]
			}
		}
	}
}

// penalty is how hard to read a symbol is (section 7.8.3).
func (s *Symbol) penalty() int {
	sum, dark := 0, 0
	for y := range s.size {
		for x := range s.size {
			d := s.Dark(x, y)
			if d {
				dark++
			}
			if x+1 < s.size && y+1 < s.size && d == s.Dark(x+1, y) && d == s.Dark(x, y+1) && d == s.Dark(x+1, y+1) {
				sum += 3
			}
		}
		sum += s.line(func(i int) bool { return s.Dark(i, y) }) + s.line(func(i int) bool { return s.Dark(y, i) })
	}
	off := dark*20 - s.size*s.size*10
	return sum + max(off, -off)/(s.size*s.size)*10
}

// line is the penalty of a row or column: runs, and what looks like a finder pattern.
func (s *Symbol) line(dark func(int) bool) int {
	sum, run := 0, 0
	history := 0 // the last eleven modules
	for i := range s.size {
		if i > 0 && dark(i) == dark(i-1) {
			run++
		} else {
			run = 1
		}
		switch {
		case run == 5:
			sum += 3
		case run > 5:
			sum++
		}
		history = history << 1 & 0x7ff
		if dark(i) {
			history |= 1
		}
		if i >= 10 && (history == 0b10111010000 || history == 0b00001011101) {
			sum += 40
		}
	}
	return sum
}

// Path is the data of an SVG path in a square of [Symbol.Side] units: a rectangle for each
// run of dark modules.
func (s *Symbol) Path() string {
	var b strings.Builder
	for y := range s.size {
		for x := 0; x < s.size; x++ {
			run := 0
			for s.Dark(x+run, y) {
				run++
			}
			if run > 0 {
				n := strconv.Itoa(run)
				b.WriteString("M" + strconv.Itoa(x+QuietZone) + " " + strconv.Itoa(y+QuietZone) + "h" + n + "v1h-" + n + "z")
				x += run
			}
		}
	}
	return b.String()
}

// Side is the size with the quiet zone.
func (s *Symbol) Side() int { return s.size + 2*QuietZone }
