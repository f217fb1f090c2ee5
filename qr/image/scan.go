//go:build !js

package image

import (
	"math"
	"slices"
)

// A Scan is how well a picture of a print shows one code, for whoever tries a printer.
type Scan struct {
	// Text is what the code says, Version its version.
	Text    string
	Version int
	// Module is the size of a module in pixels of the picture.
	Module float64
	// Contrast is the brightness between dark and light modules, from 0 to 1.
	Contrast float64
	// Damage is the share of modules that were read wrong, which error correction made
	// good: at most 0.07 to 0.25, by level. It is negative if that cannot be told.
	Damage float64
	// Crowded says that something dark stands in the quiet zone.
	Crowded bool
}

// A Remedy is what to change so that prints read better.
type Remedy string

// The remedies. Each has a sentence in every catalogue.
const (
	// Closer: too few pixels a module: hold the camera closer, or scan at 300 dpi.
	Closer Remedy = "closer"
	// Larger: the module is smaller on paper than 0.42 mm.
	Larger Remedy = "larger"
	// Darker: not enough between dark and light: more toner, whiter paper, better light.
	Darker Remedy = "darker"
	// Cleaner: many modules are wrong: dirty drum or glass, creases, a blurred picture.
	Cleaner Remedy = "cleaner"
	// Margin: something is printed too close to the code, or it is cut.
	Margin Remedy = "margin"
)

// Thresholds of Advice.
const (
	goodModule   = 4.0  // pixels; reading begins to fail below 2.8
	goodContrast = 0.55 // office printers on white paper reach 0.7 and more
	goodDamage   = 0.02
	leastPrint   = 0.40 // mm: 0.42 and what measuring costs
)

// Advice returns what to change, nothing if the print is good. dpi is the resolution of
// the picture if it is a scan, 0 if that is not known, as of a photograph.
func (s Scan) Advice(dpi float64) []Remedy {
	var all []Remedy
	if s.Module < goodModule {
		all = append(all, Closer)
	}
	if dpi > 0 && s.Millimetres(dpi) < leastPrint {
		all = append(all, Larger)
	}
	if s.Contrast < goodContrast {
		all = append(all, Darker)
	}
	if s.Damage > goodDamage {
		all = append(all, Cleaner)
	}
	if s.Crowded {
		all = append(all, Margin)
	}
	return all
}

// Millimetres is the size of a module on paper that was scanned at so many dots an
// inch.
func (s Scan) Millimetres(dpi float64) float64 { return s.Module * 25.4 / dpi }

// maxInspected is how many codes of a picture are looked for twice.
const maxInspected = 6

// Inspect looks at the codes in a picture of a print, PNG or JPEG, in the order in
// which they were found. A print that cannot be read at all is [ErrNoCode].
func Inspect(b []byte) ([]Scan, error) {
	img, err := decode(b)
	if err != nil {
		return nil, err
	}
	all := find(img)
	if len(all) == 0 {
		return nil, ErrNoCode
	}
	grey := reduce(img, 1)
	// Of several codes the small ones can be lost at the scale at which a large one was
	// found: look at the rest of the picture as it is.
	if b := img.Bounds(); len(all) < maxInspected && b.Dx()*b.Dy() > 2_500_000 {
		rest := plane{w: grey.w, h: grey.h, pix: slices.Clone(grey.pix)}
		for _, f := range all {
			rest.blank(f)
		}
		all = append(all, rest.darkCodes()...)
	}
	scans := make([]Scan, len(all))
	for i, f := range all {
		scans[i] = grey.inspect(f)
	}
	return scans, nil
}

// inspect measures one code.
func (p plane) inspect(f found) Scan {
	size := f.size
	bl, tl, tr := f.corner[0], f.corner[1], f.corner[2]
	// The middles of two corners are size-7 modules apart.
	across := point{(tr.x - tl.x) / float64(size-7), (tr.y - tl.y) / float64(size-7)}
	down := point{(bl.x - tl.x) / float64(size-7), (bl.y - tl.y) / float64(size-7)}
	s := Scan{Text: f.text, Version: (size - 17) / 4}
	s.Module = (math.Hypot(across.x, across.y) + math.Hypot(down.x, down.y)) / 2
	// at is the brightness at the middle of a module, also outside of the code.
	at := func(col, row int) (byte, bool) {
		dx, dy := float64(col)-3, float64(row)-3
		x, y := int(tl.x+dx*across.x+dy*down.x), int(tl.y+dx*across.y+dy*down.y)
		if x < 0 || y < 0 || x >= p.w || y >= p.h {
			return 0, false
		}
		return p.pix[y*p.w+x], true
	}
	var dark, light []byte
	for row := range size {
		for col := range size {
			v, ok := at(col, row)
			switch {
			case !ok:
			case f.read[row*size+col]:
				dark = append(dark, v)
			default:
				light = append(light, v)
			}
		}
	}
	d, l := median(dark), median(light)
	s.Contrast = math.Abs(float64(l)-float64(d)) / 255
	s.Crowded = crowded(size, at, d, l)
	s.Damage = f.damage()
	return s
}

func median(v []byte) byte {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// crowded reports whether a noticeable part of the quiet zone is nearer to dark than to
// light, or lies outside of the picture.
func crowded(size int, at func(col, row int) (byte, bool), dark, light byte) bool {
	const ring = QuietZone - 1 // the outermost modules are left to rounding
	bad, all := 0, 0
	for row := -ring; row < size+ring; row++ {
		for col := -ring; col < size+ring; col++ {
			if row >= -1 && row <= size && col >= -1 && col <= size {
				continue
			}
			all++
			v, ok := at(col, row)
			if !ok || math.Abs(float64(v)-float64(dark)) < math.Abs(float64(v)-float64(light)) {
				bad++
			}
		}
	}
	return bad*20 > all
}

// damage compares what was read with the code as it would be drawn.
func (f found) damage() float64 {
	size := f.size
	for _, level := range []Level{M, Q, L} {
		c, err := Draw(f.text, level)
		if err != nil || c.size != size {
			continue
		}
		wrong := 0
		for y := range size {
			for x := range size {
				if f.read[y*size+x] != c.at(x, y) {
					wrong++
				}
			}
		}
		// Another library may have drawn it with another mask: half would differ.
		if share := float64(wrong) / float64(size*size); share < 0.3 {
			return share
		}
	}
	return -1
}
