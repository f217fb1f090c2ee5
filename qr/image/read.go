//go:build !js

package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	stdimage "image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"slices"
)

// Limits on a picture, checked before it is decoded.
const (
	// MaxFile is the largest file, in bytes.
	MaxFile = 8 << 20
	// maxPixels is the largest picture, width times height.
	maxPixels = 40_000_000
	// maxSide is the most pixels in a row or column: a picture of one long column takes
	// ten times as long to decode as a square one.
	maxSide = 30_000
	// maxMemory is the most that decoding may take, in bytes.
	maxMemory = 64 << 20
)

// Errors that callers of [Read] tell apart.
var (
	// ErrNotAPicture: not a PNG or JPEG, or a broken one.
	ErrNotAPicture = errors.New("qr/image: not a PNG or JPEG picture")
	// ErrTooLarge: a limit on file, pixels or memory was passed.
	ErrTooLarge = errors.New("qr/image: picture too large")
	// ErrNoCode: no code could be read.
	ErrNoCode = errors.New("qr/image: no readable code in the picture")
)

// IsPicture reports whether b begins like a PNG or JPEG.
func IsPicture(b []byte) bool { return isPNG(b) || isJPEG(b) }

func isPNG(b []byte) bool { return bytes.HasPrefix(b, []byte(pngMagic)) }

func isJPEG(b []byte) bool { return bytes.HasPrefix(b, []byte("\xff\xd8\xff")) }

// Read returns the texts of the codes in a PNG or JPEG, each different text
// once, in the order they were found. There is at least one, or an error. If
// there are several, ask which one is meant.
//
// Codes may be turned, mirrored, light on dark, and of any scale from about
// three pixels a module up, one if the picture is clean.
func Read(b []byte) ([]string, error) {
	img, err := decode(b)
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, f := range find(img) {
		texts = append(texts, f.text)
	}
	if len(texts) == 0 {
		return nil, ErrNoCode
	}
	return texts, nil
}

// decode checks the limits and decodes the picture.
func decode(b []byte) (stdimage.Image, error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(b), MaxFile)
	}
	var (
		c    stdimage.Config
		err  error
		cost int64
		read func([]byte) (stdimage.Image, error)
	)
	switch {
	case isPNG(b):
		c, err = png.DecodeConfig(bytes.NewReader(b))
		cost = pngCost(b, c)
		read = func(b []byte) (stdimage.Image, error) { return png.Decode(bytes.NewReader(b)) }
	case isJPEG(b):
		c, err = jpeg.DecodeConfig(bytes.NewReader(b))
		cost = jpegCost(b, c)
		read = func(b []byte) (stdimage.Image, error) { return jpeg.Decode(bytes.NewReader(b)) }
	default:
		return nil, ErrNotAPicture
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrNotAPicture, err)
	}
	if c.Width <= 0 || c.Height <= 0 {
		return nil, ErrNotAPicture
	}
	if int64(c.Width)*int64(c.Height) > maxPixels {
		return nil, fmt.Errorf("%w: %d by %d pixels, at most %d in all", ErrTooLarge, c.Width, c.Height, maxPixels)
	}
	if max(c.Width, c.Height) > maxSide {
		return nil, fmt.Errorf("%w: %d by %d pixels, at most %d a side", ErrTooLarge, c.Width, c.Height, maxSide)
	}
	if cost > maxMemory {
		return nil, fmt.Errorf("%w: decoding %d by %d pixels of this kind takes %d MiB, at most %d",
			ErrTooLarge, c.Width, c.Height, cost>>20, maxMemory>>20)
	}
	img, err := read(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrNotAPicture, err)
	}
	return img, nil
}

// pngCost is about how many bytes the standard library takes to decode.
func pngCost(b []byte, c stdimage.Config) int64 {
	per := int64(8)
	switch c.ColorModel {
	case color.GrayModel:
		per = 1
	case color.Gray16Model:
		per = 2
	case color.RGBAModel, color.NRGBAModel:
		per = 4
	}
	if _, ok := c.ColorModel.(color.Palette); ok {
		per = 1
	}
	const interlace = 28 // its place in the file: magic 8, length 4, type 4, then 12 bytes of IHDR
	if len(b) > interlace && b[interlace] != 0 {
		per *= 2
	}
	return per * int64(c.Width) * int64(c.Height)
}

// jpegCost is the same for a JPEG, where a progressive one costs four bytes
// more for each sample. It walks the segments to the start of the frame.
func jpegCost(b []byte, c stdimage.Config) int64 {
	pixels := int64(c.Width) * int64(c.Height)
	const worst = 16
	adobe := int64(0)
	for i := 2; i+4 <= len(b); {
		if b[i] != 0xff {
			return worst * pixels
		}
		marker := b[i+1]
		if marker == 0xff { // fill
			i++
			continue
		}
		n := int(binary.BigEndian.Uint16(b[i+2:]))
		if marker == 0xee {
			adobe = 16 // may hold red, green and blue, which are joined into one picture
		}
		if marker < 0xc0 || marker > 0xc2 {
			i += 2 + n
			continue
		}
		if n < 8 || i+2+n > len(b) {
			return worst * pixels
		}
		return (adobe + frameCost(b[i+4:i+2+n], marker == 0xc2)) * pixels / 4
	}
	return worst * pixels
}

// frameCost is what a JPEG frame costs for each four pixels.
func frameCost(frame []byte, progressive bool) int64 {
	components := int(frame[5])
	if components == 0 || len(frame) < 6+3*components {
		return 64
	}
	var most, samples int64
	for k := range components {
		hv := frame[7+3*k]
		s := int64(hv>>4) * int64(hv&15)
		samples += s
		if k == 0 {
			most = max(s, 1)
		}
	}
	// The first component has one sample a pixel, the others their share.
	cost := (4*samples + most - 1) / most
	if components == 4 {
		cost += 16 // joined into one CMYK picture
	}
	if progressive {
		cost *= 5
	}
	return cost
}

// A plane is a picture in greys, 0 black, row by row.
type plane struct {
	w, h int
	pix  []byte
}

// reduce returns the picture in greys, k by k pixels averaged into one.
// Transparent pixels are white.
func reduce(img stdimage.Image, k int) plane {
	r := img.Bounds()
	p := plane{w: r.Dx() / k, h: r.Dy() / k}
	p.pix = make([]byte, p.w*p.h)
	row := greys(img)
	line, sums := make([]byte, r.Dx()), make([]uint32, p.w)
	for y := range p.h {
		if k == 1 {
			row(y, p.pix[y*p.w:(y+1)*p.w])
			continue
		}
		clear(sums)
		for dy := range k {
			row(y*k+dy, line)
			for x := range sums {
				for _, v := range line[x*k : x*k+k] {
					sums[x] += uint32(v)
				}
			}
		}
		for x, s := range sums {
			p.pix[y*p.w+x] = byte(s / uint32(k*k))
		}
	}
	return p
}

// greys returns a function that writes one line of the picture in greys.
func greys(img stdimage.Image) func(y int, dst []byte) {
	r := img.Bounds()
	switch m := img.(type) {
	case *stdimage.Gray:
		return func(y int, dst []byte) { copy(dst, m.Pix[y*m.Stride:]) }
	case *stdimage.YCbCr:
		return func(y int, dst []byte) { copy(dst, m.Y[y*m.YStride:]) }
	case *stdimage.Paletted:
		var table [256]byte
		for i, c := range m.Palette {
			table[i] = grey(c)
		}
		return func(y int, dst []byte) {
			for x, i := range m.Pix[y*m.Stride:][:len(dst)] {
				dst[x] = table[i]
			}
		}
	case *stdimage.RGBA:
		return func(y int, dst []byte) {
			p := m.Pix[y*m.Stride:]
			for x := range dst {
				s := p[x*4 : x*4+4 : x*4+4] // already multiplied by alpha
				dst[x] = byte((299*uint32(s[0])+587*uint32(s[1])+114*uint32(s[2]))/1000 + 255 - uint32(s[3]))
			}
		}
	case *stdimage.NRGBA:
		return func(y int, dst []byte) {
			p := m.Pix[y*m.Stride:]
			for x := range dst {
				s := p[x*4 : x*4+4 : x*4+4]
				v, a := (299*uint32(s[0])+587*uint32(s[1])+114*uint32(s[2]))/1000, uint32(s[3])
				dst[x] = byte(v*a/255 + 255 - a)
			}
		}
	}
	return func(y int, dst []byte) {
		for x := range dst {
			dst[x] = grey(img.At(r.Min.X+x, r.Min.Y+y))
		}
	}
}

// grey is the brightness of a colour on white ground.
func grey(c color.Color) byte {
	r, g, b, a := c.RGBA() // already multiplied by a
	v := (299*uint64(r)+587*uint64(g)+114*uint64(b))/1000 + uint64(0xffff-a)
	return byte(min(v, 0xffff) >> 8)
}

// enlarge draws every pixel k by k times, for codes of one or two pixels a
// module.
func (p plane) enlarge(k int) plane {
	big := plane{w: p.w * k, h: p.h * k}
	big.pix = make([]byte, 0, big.w*big.h)
	for y := range p.h {
		start := len(big.pix)
		for _, v := range p.pix[y*p.w : (y+1)*p.w] {
			for range k {
				big.pix = append(big.pix, v)
			}
		}
		for range k - 1 {
			big.pix = append(big.pix, big.pix[start:start+big.w]...)
		}
	}
	return big
}

// smooth enlarges k times and draws the steps between pixels as slopes, which
// puts the edges of small blurred modules where they were.
func (p plane) smooth(k int) plane {
	big := plane{w: p.w * k, h: p.h * k}
	big.pix = make([]byte, big.w*big.h)
	// Of a big pixel, the small one before it and 2k-ths of the way to the next.
	at := func(i, last int) (from, to, part int) {
		t := 2*i + 1 - k
		from = t / (2 * k)
		part = t - from*2*k
		if t < 0 {
			return 0, 0, 0
		}
		return from, min(from+1, last), part
	}
	for y := range big.h {
		y0, y1, ty := at(y, p.h-1)
		up, down := p.pix[y0*p.w:(y0+1)*p.w], p.pix[y1*p.w:(y1+1)*p.w]
		line := big.pix[y*big.w : (y+1)*big.w]
		for x := range line {
			x0, x1, tx := at(x, p.w-1)
			a := int(up[x0])*(2*k-tx) + int(up[x1])*tx
			b := int(down[x0])*(2*k-tx) + int(down[x1])*tx
			line[x] = byte((a*(2*k-ty) + b*ty) / (4 * k * k))
		}
	}
	return big
}

// soften averages each pixel with its neighbours, against noise.
func (p plane) soften() plane {
	soft := plane{w: p.w, h: p.h, pix: bytes.Clone(p.pix)}
	for y := 1; y < p.h-1; y++ {
		up, mid, down := p.pix[(y-1)*p.w:y*p.w], p.pix[y*p.w:(y+1)*p.w], p.pix[(y+1)*p.w:(y+2)*p.w]
		for x := 1; x < p.w-1; x++ {
			s := 4*int(mid[x]) + 2*(int(up[x])+int(down[x])+int(mid[x-1])+int(mid[x+1])) +
				int(up[x-1]) + int(up[x+1]) + int(down[x-1]) + int(down[x+1])
			soft.pix[y*p.w+x] = byte(s / 16)
		}
	}
	return soft
}

// inverted is the negative.
func (p plane) inverted() plane {
	neg := plane{w: p.w, h: p.h, pix: make([]byte, len(p.pix))}
	for i, v := range p.pix {
		neg.pix[i] = 255 - v
	}
	return neg
}

// find looks for codes at the scales that suit the size of the picture, best
// first, and stops at the first that shows any. Small pictures are enlarged in
// four ways, each of which reads some blurred or noisy codes that the others do
// not (found by trial on 720 degraded pictures of versions 10 to 25).
func find(img stdimage.Image) []found {
	r := img.Bounds()
	pixels := float64(r.Dx() * r.Dy())
	seen := map[int]bool{}
	for _, limit := range []float64{2.5e6, 16e6, 0.6e6} {
		k := max(1, int(math.Ceil(math.Sqrt(pixels/limit))))
		if seen[k] {
			continue
		}
		seen[k] = true
		if all := reduce(img, k).codes(); len(all) > 0 {
			return scaled(all, float64(k))
		}
	}
	const most = 5e6 // pixels of an enlarged picture
	k := min(4, int(math.Sqrt(most/pixels)))
	if k < 2 {
		return nil
	}
	p := reduce(img, 1)
	for _, clearer := range []func() plane{
		func() plane { return p.smooth(k) },
		func() plane { return p.enlarge(min(k, 3)) },
		func() plane { return p.soften().smooth(max(2, k-1)) },
		func() plane { return p.enlarge(2).soften() },
	} {
		larger := clearer()
		if all := larger.codes(); len(all) > 0 {
			return scaled(all, float64(p.w)/float64(larger.w))
		}
	}
	return nil
}

// scaled are codes of a picture that was reduced so many times, where they stand in the
// picture itself.
func scaled(all []found, k float64) []found {
	for i := range all {
		for j, c := range all[i].corner {
			all[i].corner[j] = point{c.x * k, c.y * k}
		}
		all[i].module *= k
	}
	return all
}

// codes returns the codes of different texts found in the plane or its negative.
func (p plane) codes() []found {
	if all := p.darkCodes(); len(all) > 0 {
		return all
	}
	return p.inverted().darkCodes()
}

// darkCodes reads one code after the other, each time painting over what it has
// read, so that codes close to each other are not mixed up.
func (p plane) darkCodes() []found {
	const most = 8
	p.pix = bytes.Clone(p.pix)
	var all []found
	for range most {
		round := p.round()
		if len(round) == 0 {
			break
		}
		for _, f := range round {
			p.blank(f)
			if !slices.ContainsFunc(all, func(o found) bool { return o.text == f.text }) {
				all = append(all, f)
			}
		}
	}
	return all
}
