//go:build !js

package image

import (
	"errors"
	"math"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/common"
	multi "github.com/makiuchi-d/gozxing/multi/qrcode/detector"
	"github.com/makiuchi-d/gozxing/qrcode/decoder"
	"github.com/makiuchi-d/gozxing/qrcode/detector"
)

// Bounds on the work that a picture can cause. A page of print has a few dozen
// false corners; a picture with more is no picture of a code.
const (
	// maxCorners bounds a search that tries every three corners as one code.
	maxCorners = 200
	// maxCornersMulti bounds a search that decodes every three that fit.
	maxCornersMulti = 24
	// maxCrossings is how many crossings of a corner pattern a line of the
	// picture may show on average, false ones included.
	maxCrossings = 16
)

// A found is one code that was read.
type found struct {
	text string
	// corner is the middle of the three corner patterns: bottom left, top left,
	// top right.
	corner [3]point
	module float64 // pixels a module
	size   int     // modules a side
	read   []bool  // modules as they were read, true for dark, row by row
}

type point struct{ x, y float64 }

// round reads what it can at once: one code by the usual search, or else all
// that a search for several codes finds.
func (p plane) round() []found {
	for _, binarize := range []func(gozxing.LuminanceSource) gozxing.Binarizer{
		gozxing.NewHybridBinarizer, gozxing.NewGlobalHistgramBinarizer,
	} {
		bits, err := p.binarize(binarize)
		if err != nil || busy(bits) {
			continue
		}
		if f, ok := readOne(bits); ok {
			return []found{f}
		}
		if fs := readSeveral(bits); len(fs) > 0 {
			return fs
		}
	}
	return nil
}

func (p plane) binarize(by func(gozxing.LuminanceSource) gozxing.Binarizer) (*gozxing.BitMatrix, error) {
	src, err := gozxing.NewPlanarYUVLuminanceSource(p.pix, p.w, p.h, 0, 0, p.w, p.h, false)
	if err != nil {
		return nil, err
	}
	var bits *gozxing.BitMatrix
	err = guard(func() error {
		bits, err = by(src).GetBlackMatrix()
		return err
	})
	return bits, err
}

// busy reports whether the picture has more crossings of the corner pattern
// than pictures of codes have. The library walks away from each crossing as far
// as the colour stays, so that stripes would keep it at work for minutes.
func busy(bits *gozxing.BitMatrix) bool {
	left := maxCrossings*bits.GetHeight()/detector.FinderPatternFinder_MIN_SKIP + 1000
	for y := 0; y < bits.GetHeight(); y += detector.FinderPatternFinder_MIN_SKIP {
		var runs [5]int // the last five runs of one colour
		dark := false
		for x := range bits.GetWidth() {
			if d := bits.Get(x, y); d != dark {
				if dark && detector.FinderPatternFinder_foundPatternCross(runs[:]) {
					left--
				}
				copy(runs[:], runs[1:])
				runs[4], dark = 0, d
			}
			runs[4]++
		}
		if left < 0 {
			return true
		}
	}
	return false
}

func readOne(bits *gozxing.BitMatrix) (f found, ok bool) {
	err := guard(func() error {
		d, err := detector.NewDetector(bits).Detect(hints(maxCorners))
		if err != nil {
			return err
		}
		f, err = decodeAt(d)
		return err
	})
	return f, err == nil
}

func readSeveral(bits *gozxing.BitMatrix) (fs []found) {
	_ = guard(func() error {
		ds, err := multi.NewMultiDetector(bits).DetectMulti(hints(maxCornersMulti))
		for _, d := range ds {
			if f, err := decodeAt(d); err == nil {
				fs = append(fs, f)
			}
		}
		return err
	})
	return fs
}

func decodeAt(d *common.DetectorResult) (found, error) {
	size := d.GetBits().GetWidth() // the decoder changes the bits
	read := make([]bool, 0, size*size)
	for y := range size {
		for x := range size {
			read = append(read, d.GetBits().Get(x, y))
		}
	}
	res, err := decoder.NewDecoder().Decode(d.GetBits(), nil)
	if err != nil {
		return found{}, err
	}
	if res.GetText() == "" {
		return found{}, errors.New("empty code")
	}
	f := found{text: res.GetText(), size: size, read: read}
	for i, c := range d.GetPoints()[:3] {
		f.corner[i] = point{c.GetX(), c.GetY()}
		if fp, ok := c.(*detector.FinderPattern); ok {
			f.module = max(f.module, fp.GetEstimatedModuleSize())
		}
	}
	return f, nil
}

// hints ask for a thorough search that gives up when it has seen more than most
// corners.
func hints(most int) map[gozxing.DecodeHintType]any {
	seen := 0
	return map[gozxing.DecodeHintType]any{
		gozxing.DecodeHintType_TRY_HARDER: true,
		gozxing.DecodeHintType_NEED_RESULT_POINT_CALLBACK: gozxing.ResultPointCallback(func(p gozxing.ResultPoint) {
			if _, ok := p.(*detector.FinderPattern); !ok {
				return
			}
			if seen++; seen > most {
				panic(errTooBusy) // the only way out of the library's search; guard catches it
			}
		}),
	}
}

var errTooBusy = errors.New("more corners than a picture of codes has")

// guard runs f, which calls the library, and turns a panic into an error: a
// picture that the library stumbles over shows no code that we can read.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("the reading library gave up")
		}
	}()
	return f()
}

// blank paints a code that was read white, with a module around it.
func (p plane) blank(f found) {
	bl, tl, tr := f.corner[0], f.corner[1], f.corner[2]
	across, down := point{tr.x - tl.x, tr.y - tl.y}, point{bl.x - tl.x, bl.y - tl.y}
	det := across.x*down.y - across.y*down.x
	if det == 0 {
		return
	}
	// A corner's middle is 3.5 modules inside the code.
	margin := 4.5 * max(f.module, 1)
	ma, md := margin/math.Hypot(across.x, across.y), margin/math.Hypot(down.x, down.y)
	lo, hi := point{math.Inf(1), math.Inf(1)}, point{math.Inf(-1), math.Inf(-1)}
	for _, a := range []float64{-ma, 1 + ma} {
		for _, d := range []float64{-md, 1 + md} {
			x, y := tl.x+a*across.x+d*down.x, tl.y+a*across.y+d*down.y
			lo = point{min(lo.x, x), min(lo.y, y)}
			hi = point{max(hi.x, x), max(hi.y, y)}
		}
	}
	for y := max(0, int(lo.y)); y < min(p.h, int(hi.y)+1); y++ {
		for x := max(0, int(lo.x)); x < min(p.w, int(hi.x)+1); x++ {
			dx, dy := float64(x)-tl.x, float64(y)-tl.y
			a, d := (dx*down.y-dy*down.x)/det, (across.x*dy-across.y*dx)/det
			if a >= -ma && a <= 1+ma && d >= -md && d <= 1+md {
				p.pix[y*p.w+x] = 255
			}
		}
	}
}
