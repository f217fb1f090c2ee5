// Package image draws QR codes (ISO/IEC 18004) and reads them from pictures.
//
// Start with [Draw], whose result has a PNG, an SVG and a terminal form, and
// with [Read], which takes a PNG or JPEG file and returns the texts of all
// codes that it shows. What the texts mean is the business of package qr; which
// version is too dense for a medium is the caller's.
//
// Drawing stands on github.com/skip2/go-qrcode, of which only the module matrix
// is used, reading on github.com/makiuchi-d/gozxing. No other package imports
// either. Both may panic on input they did not foresee; here that becomes an
// error.
//
// Limits on reading, applied before a picture is decoded: 8 MiB of file, 40
// million pixels, 64 MiB of memory for the decoded picture. Work on pictures
// made to look like thousands of codes is bounded, too.
package image

import (
	"errors"
	"fmt"
	"sort"

	qrcode "github.com/skip2/go-qrcode"
)

// QuietZone is the light border that every drawing has, in modules.
const QuietZone = 4

// A Level is how much of a code may be lost: L 7 %, M 15 %, Q 25 %.
type Level string

// The levels that we print. The highest of the standard, H, makes codes too
// dense for what we put into them.
const (
	L Level = "L"
	M Level = "M"
	Q Level = "Q"
)

// Errors that callers of [Draw] tell apart.
var (
	// ErrTooLong: the text does not fit the largest code of its level.
	ErrTooLong = errors.New("qr/image: text does not fit a code")
	// ErrLevel: not one of L, M, Q.
	ErrLevel = errors.New("qr/image: unknown level")
)

// A Code is a drawn QR code: a square of dark and light modules. It is safe for
// concurrent use.
type Code struct {
	version int
	size    int
	dark    []bool // row by row, without the quiet zone
}

// Draw makes the smallest code of a level that holds text. Text of digits,
// capitals and " $%*+-./:" alone takes 5.5 bits a character, any other text 8.
func Draw(text string, level Level) (c *Code, err error) {
	l, ok := map[Level]qrcode.RecoveryLevel{L: qrcode.Low, M: qrcode.Medium, Q: qrcode.High}[level]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrLevel, string(level))
	}
	if text == "" {
		return nil, errors.New("qr/image: nothing to draw")
	}
	if len(text) > maxDigits {
		return nil, ErrTooLong
	}
	// The library calls log.Panic where it finds itself at fault.
	defer func() {
		if r := recover(); r != nil {
			c, err = nil, errors.New("qr/image: the drawing library gave up on this text")
		}
	}()
	q, err := qrcode.New(text, l)
	if err != nil {
		return nil, ErrTooLong
	}
	q.DisableBorder = true
	rows := q.Bitmap()
	c = &Code{version: q.VersionNumber, size: len(rows), dark: make([]bool, 0, len(rows)*len(rows))}
	for _, row := range rows {
		c.dark = append(c.dark, row...)
	}
	if c.size != 17+4*c.version || len(c.dark) != c.size*c.size {
		return nil, fmt.Errorf("qr/image: the drawing library made %d modules a side for version %d", c.size, c.version)
	}
	return c, nil
}

// Version is the version of the code, 1 to 40. A code of version v has 17+4v
// modules a side.
func (c *Code) Version() int { return c.version }

// Size is the number of modules a side, without the quiet zone.
func (c *Code) Size() int { return c.size }

// Modules returns a copy of the code row by row, true for dark, without the
// quiet zone.
func (c *Code) Modules() [][]bool {
	all := append([]bool(nil), c.dark...)
	rows := make([][]bool, c.size)
	for y := range rows {
		rows[y] = all[y*c.size : (y+1)*c.size : (y+1)*c.size]
	}
	return rows
}

// at reports whether a module is dark. Outside the code all is light.
func (c *Code) at(x, y int) bool {
	return x >= 0 && y >= 0 && x < c.size && y < c.size && c.dark[y*c.size+x]
}

// VersionFor is the smallest version that holds n alphanumeric characters at a
// level, or 0 if none does. A text with long runs of digits may need less.
func VersionFor(n int, level Level) int {
	caps, ok := capacity[level]
	if !ok || n < 0 {
		return 0
	}
	v := sort.SearchInts(caps[:], n)
	if v == len(caps) {
		return 0
	}
	return v + 1
}

// maxDigits is the capacity of version 40-L in digits: no text is longer.
const maxDigits = 7089

// capacity is the number of alphanumeric characters by version (ISO/IEC 18004,
// table 7).
var capacity = map[Level]*[40]int{
	L: {
		25, 47, 77, 114, 154, 195, 224, 279, 335, 395, 468, 535, 619, 667, 758, 854, 938, 1046, 1153, 1249,
		1352, 1460, 1588, 1704, 1853, 1990, 2132, 2223, 2369, 2520, 2677, 2840, 3009, 3183, 3351, 3537, 3729, 3927, 4087, 4296,
	},
	M: {
		20, 38, 61, 90, 122, 154, 178, 221, 262, 311, 366, 419, 483, 528, 600, 656, 734, 816, 909, 970,
		1035, 1134, 1248, 1326, 1451, 1542, 1637, 1732, 1839, 1994, 2113, 2238, 2369, 2506, 2632, 2780, 2894, 3054, 3220, 3391,
	},
	Q: {
		16, 29, 47, 67, 87, 108, 125, 157, 189, 221, 259, 296, 352, 376, 426, 470, 531, 574, 644, 702,
		742, 823, 890, 963, 1041, 1094, 1172, 1263, 1322, 1429, 1499, 1618, 1700, 1787, 1867, 1966, 2071, 2181, 2298, 2420,
	},
}
