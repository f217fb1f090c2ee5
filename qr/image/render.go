package image

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"sync"
)

// MaxScale is the largest scale of a PNG.
const MaxScale = 64

// PNG returns the code as a black and white PNG with scale pixels a module,
// quiet zone included. Five pixels a module print well at 300 dpi.
func (c *Code) PNG(scale int) ([]byte, error) {
	if scale < 1 || scale > MaxScale {
		return nil, fmt.Errorf("qr/image: %d pixels a module, want 1 to %d", scale, MaxScale)
	}
	side := (c.size + 2*QuietZone) * scale
	var out bytes.Buffer
	out.WriteString(pngMagic)
	header := binary.BigEndian.AppendUint32(nil, uint32(side))
	header = binary.BigEndian.AppendUint32(header, uint32(side))
	// One bit a pixel, greyscale, deflate, no interlace.
	pngChunk(&out, "IHDR", append(header, 1, 0, 0, 0, 0))
	pngChunk(&out, "IDAT", c.pixels(scale, side))
	pngChunk(&out, "IEND", nil)
	return out.Bytes(), nil
}

const pngMagic = "\x89PNG\r\n\x1a\n"

// pixels is the compressed content of a PNG. The first line of a module is
// written as it is, the others as "no difference from the line above", which
// compresses to next to nothing at any scale.
func (c *Code) pixels(scale, side int) []byte {
	var out bytes.Buffer
	z := deflaters.Get().(*zlib.Writer)
	defer deflaters.Put(z)
	z.Reset(&out)
	line, same := make([]byte, 1+(side+7)/8), make([]byte, 1+(side+7)/8)
	same[0] = 2 // filter "up"
	for y := -QuietZone; y < c.size+QuietZone; y++ {
		for i := range line[1:] {
			line[1+i] = 0xff
		}
		for x := range c.size {
			if !c.at(x, y) {
				continue
			}
			for i := range scale {
				p := (x+QuietZone)*scale + i
				line[1+p/8] &^= 0x80 >> (p % 8)
			}
		}
		z.Write(line) // a bytes.Buffer never fails
		for range scale - 1 {
			z.Write(same)
		}
	}
	z.Close()
	return out.Bytes()
}

// deflaters keeps compressors, which are much larger than what they compress.
var deflaters = sync.Pool{New: func() any {
	z, err := zlib.NewWriterLevel(nil, zlib.BestSpeed)
	if err != nil {
		panic("qr/image: internal error: " + err.Error())
	}
	return z
}}

func pngChunk(out *bytes.Buffer, kind string, data []byte) {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(data)))
	out.Write(n[:])
	start := out.Len()
	out.WriteString(kind)
	out.Write(data)
	binary.BigEndian.PutUint32(n[:], crc32.ChecksumIEEE(out.Bytes()[start:]))
	out.Write(n[:])
}

// SVG returns the code as an SVG document: one unit a module, quiet zone
// included, every run of dark modules in a row a rectangle of one path. It has
// no size of its own; give it one where it is placed.
func (c *Code) SVG() []byte {
	side := strconv.Itoa(c.size + 2*QuietZone)
	b := make([]byte, 0, 256+c.size*c.size*4)
	b = append(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 `+side+` `+side+
		`" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h`+side+`v`+side+`H0z"/><path d="`...)
	// After z the pen stands at the start of the last rectangle: moves are
	// relative to that, which keeps them short.
	px, py := 0, 0
	op := byte('M')
	for y := range c.size {
		for x := 0; x < c.size; x++ {
			if !c.at(x, y) {
				continue
			}
			run := 1
			for c.at(x+run, y) {
				run++
			}
			nx, ny := x+QuietZone, y+QuietZone
			b = append(b, op)
			b = strconv.AppendInt(b, int64(nx-px), 10)
			b = append(b, ' ')
			b = strconv.AppendInt(b, int64(ny-py), 10)
			b = append(b, 'h')
			b = strconv.AppendInt(b, int64(run), 10)
			b = append(b, "v1h-"...)
			b = strconv.AppendInt(b, int64(run), 10)
			b = append(b, 'z')
			px, py, op = nx, ny, 'm'
			x += run
		}
	}
	return append(b, `"/></svg>`+"\n"...)
}

// Terminal returns the code as text of half blocks, two modules a character
// high, in black on white whatever the colours of the terminal.
func (c *Code) Terminal() string {
	const on, off = "\x1b[38;5;16;48;5;231m", "\x1b[0m"
	return c.blocks(on, off, [4]string{" ", "▄", "▀", "█"})
}

// TerminalPlain is [Code.Terminal] without escape sequences, for a terminal of
// light text on a dark ground and for files: light modules are the blocks.
func (c *Code) TerminalPlain() string {
	return c.blocks("", "", [4]string{"█", "▀", "▄", " "})
}

// blocks draws pairs of rows. The glyphs are for neither dark, the lower, the
// upper, both.
func (c *Code) blocks(on, off string, glyph [4]string) string {
	var b strings.Builder
	for y := -QuietZone; y < c.size+QuietZone; y += 2 {
		b.WriteString(on)
		for x := -QuietZone; x < c.size+QuietZone; x++ {
			i := 0
			if c.at(x, y) {
				i |= 2
			}
			if c.at(x, y+1) {
				i |= 1
			}
			b.WriteString(glyph[i])
		}
		b.WriteString(off)
		b.WriteByte('\n')
	}
	return b.String()
}
