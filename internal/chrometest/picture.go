package chrometest

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/chromedp/cdproto/page"
)

// Picture writes what the window shows of the top of the page to a file, with the focus
// nowhere: a small PNG of at most 256 colours, the same for the same picture.
func (p *Page) Picture(path string) {
	p.t.Helper()
	Eval[bool](p, "document.fonts.ready.then(() => { document.activeElement?.blur(); scrollTo(0, 0); return true })")
	shot := call(p, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng}).Data
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		p.t.Fatal(err)
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, fewColours(img)); err != nil {
		p.t.Fatal(err)
	}
	err = os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, b.Bytes(), 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// Languages are those that Show takes pictures in.
var Languages = []string{"en", "bn", "ar"}

// Show takes a picture of what a phone shows for docs/screenshots, in each of
// [Languages]: into the folder that SANAD_SCREENSHOTS names, and none where it names none
// (make screenshots). Speak changes the language of the page, and has it in English in
// the end.
func (p *Page) Show(name string, speak func(tag string)) {
	p.t.Helper()
	dir := os.Getenv("SANAD_SCREENSHOTS")
	if dir == "" {
		return
	}
	width, height := Eval[int64](p, "innerWidth"), Eval[int64](p, "innerHeight")
	for _, tag := range Languages {
		speak(tag)
		p.Size(390, 780)
		Eval[bool](p, "new Promise((done) => setTimeout(() => done(true), 1500))") // a worker tells the page what to say
		p.Picture(filepath.Join(dir, name+"-"+tag+".png"))
	}
	speak("en")
	p.Size(int(width), int(height))
}

// Shot is what the screen shows of an element that is in view, as somebody takes a
// screenshot of it on a telephone with three dots to a pixel.
func (p *Page) Shot(selector string) image.Image {
	p.t.Helper()
	p.Wait(selector)
	box := Eval[[]float64](p, "(e => { e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect(); return [b.x + scrollX, b.y + scrollY, b.width, b.height] })(document.querySelector("+quote(selector)+"))")
	shot := call(p, page.CaptureScreenshot, page.CaptureScreenshotParams{
		Format: page.CaptureScreenshotFormatPng, Clip: &page.Viewport{X: box[0], Y: box[1], Width: box[2], Height: box[3], Scale: 3},
	}).Data
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		p.t.Fatal(err)
	}
	return img
}

// fewColours keeps the 256 most frequent colours and takes the nearest of them for the
// others, which are shades at the edges of letters.
func fewColours(img image.Image) *image.Paletted {
	bounds := img.Bounds()
	count := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(img.At(x, y)).(color.RGBA) }
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	weight := func(c color.RGBA) uint32 { return uint32(c.R)<<16 | uint32(c.G)<<8 | uint32(c.B) }
	colours := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(weight(a), weight(b)))
	})
	var palette color.Palette
	for _, c := range colours[:min(len(colours), 256)] {
		palette = append(palette, c)
	}
	index := map[color.RGBA]uint8{}
	for _, c := range colours {
		index[c] = uint8(palette.Index(c)) //nolint:gosec // of 256 colours
	}
	out := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			out.SetColorIndex(x, y, index[at(x, y)])
		}
	}
	return out
}
