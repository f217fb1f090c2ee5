package image_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc32"
	stdimage "image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/vectors"
	"github.com/sanad-id/sanad/qr/image"
)

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"

// text is n characters that look like a Base45 text.
func text(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 45))
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

func draw(t testing.TB, s string, l image.Level) *image.Code {
	t.Helper()
	c, err := image.Draw(s, l)
	if err != nil {
		t.Fatalf("Draw: %v", err)
	}
	return c
}

func pngOf(t testing.TB, s string, l image.Level, scale int) []byte {
	t.Helper()
	b, err := draw(t, s, l).PNG(scale)
	if err != nil {
		t.Fatalf("PNG: %v", err)
	}
	return b
}

func readOne(t testing.TB, b []byte, want string) {
	t.Helper()
	got, err := image.Read(b)
	if err != nil {
		t.Errorf("Read: %v", err)
		return
	}
	if len(got) != 1 || got[0] != want {
		t.Errorf("Read found %d codes, the first of %d characters, want the one of %d", len(got), len(got[0]), len(want))
	}
}

// TestRoundTrip draws the fullest text of every version and level and one
// character more, and reads both.
func TestRoundTrip(t *testing.T) {
	for _, l := range []image.Level{image.L, image.M, image.Q} {
		n := 1
		for v := 1; v <= 40; v++ {
			for image.VersionFor(n+1, l) == v {
				n++
			}
			s := text(uint64(n), n)
			c := draw(t, s, l)
			if c.Version() > v || c.Version() < v-1 || c.Size() != 17+4*c.Version() {
				t.Errorf("%d characters at %s: version %d with %d modules, want %d", n, l, c.Version(), c.Size(), v)
			}
			b, err := c.PNG(4)
			if err != nil {
				t.Fatal(err)
			}
			readOne(t, b, s)
			n++
		}
		if image.VersionFor(n, l) != 0 {
			t.Errorf("VersionFor(%d, %s) is not 0", n, l)
		}
	}
}

// TestVersionFor compares the table with what the drawing library chooses.
func TestVersionFor(t *testing.T) {
	for _, l := range []image.Level{image.L, image.M, image.Q} {
		last := 0
		for n := 1; ; n++ {
			v := image.VersionFor(n, l)
			if v == last {
				continue
			}
			if last != 0 {
				if c := draw(t, strings.Repeat("A", n-1), l); c.Version() != last {
					t.Errorf("%d characters at %s: version %d, want %d", n-1, l, c.Version(), last)
				}
			}
			if v == 0 {
				if _, err := image.Draw(strings.Repeat("A", n), l); !errors.Is(err, image.ErrTooLong) {
					t.Errorf("%d characters at %s: %v, want ErrTooLong", n, l, err)
				}
				break
			}
			if c := draw(t, strings.Repeat("A", n), l); c.Version() != v {
				t.Errorf("%d characters at %s: version %d, want %d", n, l, c.Version(), v)
			}
			last = v
		}
	}
	for _, n := range []int{-1, 1 << 40} {
		if v := image.VersionFor(n, image.M); v != 0 {
			t.Errorf("VersionFor(%d) = %d, want 0", n, v)
		}
	}
	if image.VersionFor(10, "H") != 0 {
		t.Error("VersionFor of level H is not 0")
	}
}

func TestDrawRefuses(t *testing.T) {
	tests := []struct {
		name, text string
		level      image.Level
		want       error
	}{
		{"level H", "A", "H", image.ErrLevel},
		{"no level", "A", "", image.ErrLevel},
		{"no text", "", image.M, nil},
		{"more bytes than fit", strings.Repeat("a", 2332), image.M, image.ErrTooLong},
		{"a million bytes", strings.Repeat("A", 1_000_000), image.L, image.ErrTooLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := image.Draw(tt.text, tt.level)
			if err == nil || c != nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Draw: %v, want %v", err, tt.want)
			}
		})
	}
	for _, scale := range []int{0, -1, image.MaxScale + 1} {
		if _, err := draw(t, "A", image.M).PNG(scale); err == nil {
			t.Errorf("PNG(%d) did not fail", scale)
		}
	}
}

// TestAnyText draws and reads texts of every kind that people put into codes.
func TestAnyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(
			rapid.StringOfN(rapid.RuneFrom([]rune(alphabet)), 1, 700, -1),
			rapid.StringOfN(rapid.RuneFrom([]rune("0123456789")), 1, 900, -1),
			rapid.Custom(func(t *rapid.T) string {
				var b strings.Builder
				for range rapid.IntRange(1, 12).Draw(t, "runs") {
					b.WriteString(strings.Repeat(rapid.SampledFrom([]string{"7", "A", "a", "0", ":"}).Draw(t, "of"), rapid.IntRange(1, 60).Draw(t, "n")))
				}
				return b.String()
			}),
			rapid.StringMatching(`https://[a-z]{3,20}\.example/[a-zA-Z0-9?=&/]{0,200}`),
		).Draw(t, "text")
		c, err := image.Draw(s, rapid.SampledFrom([]image.Level{image.L, image.M, image.Q}).Draw(t, "level"))
		if err != nil {
			t.Fatalf("Draw: %v", err)
		}
		b, err := c.PNG(rapid.IntRange(3, 7).Draw(t, "scale"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := image.Read(b)
		if err != nil || len(got) != 1 || got[0] != s {
			t.Fatalf("Read of a version %d code: %q, %v, want %q", c.Version(), got, err, s)
		}
	})
}

// grey is the code as a picture in greys with so many pixels a module, which
// need not be whole.
func grey(c *image.Code, module float64) *stdimage.Gray {
	side := int(float64(c.Size()+2*image.QuietZone)*module + 0.5)
	m := c.Modules()
	at := func(x, y float64) float64 {
		i, j := int(math.Floor(x/module))-image.QuietZone, int(math.Floor(y/module))-image.QuietZone
		if i >= 0 && j >= 0 && i < len(m) && j < len(m) && m[j][i] {
			return 0
		}
		return 255
	}
	img := stdimage.NewGray(stdimage.Rect(0, 0, side, side))
	const sub = 3
	for y := range side {
		for x := range side {
			s := 0.0
			for dy := range sub {
				for dx := range sub {
					s += at(float64(x)+(float64(dx)+0.5)/sub, float64(y)+(float64(dy)+0.5)/sub)
				}
			}
			img.Pix[y*img.Stride+x] = byte(s / (sub * sub))
		}
	}
	return img
}

// turned turns a picture about its middle, on white ground.
func turned(src *stdimage.Gray, degrees float64) *stdimage.Gray {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	w := float64(src.Rect.Dx())
	side := int(w*(math.Abs(sin)+math.Abs(cos))+0.5) + 2
	dst := stdimage.NewGray(stdimage.Rect(0, 0, side, side))
	c := float64(side) / 2
	for y := range side {
		for x := range side {
			dx, dy := float64(x)+0.5-c, float64(y)+0.5-c
			sx, sy := cos*dx+sin*dy+w/2-0.5, -sin*dx+cos*dy+w/2-0.5
			x0, y0 := math.Floor(sx), math.Floor(sy)
			v := 0.0
			for j := range 2 {
				for i := range 2 {
					p := 255.0
					px, py := int(x0)+i, int(y0)+j
					if px >= 0 && py >= 0 && px < src.Rect.Dx() && py < src.Rect.Dy() {
						p = float64(src.Pix[py*src.Stride+px])
					}
					v += p * (1 - math.Abs(sx-float64(px))) * (1 - math.Abs(sy-float64(py)))
				}
			}
			dst.Pix[y*dst.Stride+x] = byte(v)
		}
	}
	return dst
}

// blurred averages over a square of 2r+1 pixels.
func blurred(src *stdimage.Gray, r int) *stdimage.Gray {
	dst := stdimage.NewGray(src.Rect)
	w, h := src.Rect.Dx(), src.Rect.Dy()
	for y := range h {
		for x := range w {
			s, n := 0, 0
			for j := max(0, y-r); j <= min(h-1, y+r); j++ {
				for i := max(0, x-r); i <= min(w-1, x+r); i++ {
					s += int(src.Pix[j*src.Stride+i])
					n++
				}
			}
			dst.Pix[y*dst.Stride+x] = byte(s / n)
		}
	}
	return dst
}

// noisy adds noise of this standard deviation and lowers the contrast.
func noisy(src *stdimage.Gray, sigma, contrast float64) *stdimage.Gray {
	r := rand.New(rand.NewPCG(1, uint64(sigma)))
	dst := stdimage.NewGray(src.Rect)
	for i, v := range src.Pix {
		g := 128 + (float64(v)-128)*contrast + r.NormFloat64()*sigma
		dst.Pix[i] = byte(max(0, min(255, g)))
	}
	return dst
}

func encodePNG(t testing.TB, img stdimage.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encodeJPEG(t testing.TB, img stdimage.Image, quality int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestReadDegraded reads codes of the densities that we print from pictures as
// phones and scanners make them. Turned, pale and small pictures are always
// read; blur and noise together may defeat the reader now and then.
func TestReadDegraded(t *testing.T) {
	var tried, read int
	for _, n := range []int{300, 520, 1000} { // V10, V13, V21 at M
		s := text(uint64(n), n)
		c := draw(t, s, image.M)
		for _, module := range []float64{2.8, 3.3, 4, 6} {
			clean := grey(c, module)
			for _, d := range []struct {
				name string
				b    []byte
				may  bool
			}{
				{"clean", encodePNG(t, clean), false},
				{"turned 90", encodePNG(t, turned(clean, 90)), false},
				{"turned 180", encodePNG(t, turned(clean, 180)), false},
				{"turned 5", encodePNG(t, turned(clean, 5)), false},
				{"turned 30", encodePNG(t, turned(clean, 30)), false},
				{"low contrast", encodePNG(t, noisy(clean, 0, 0.3)), false},
				{"jpeg", encodeJPEG(t, clean, 75), false},
				{"noise", encodePNG(t, noisy(clean, 20, 0.8)), true},
				{"noise, jpeg", encodeJPEG(t, noisy(clean, 20, 0.8), 75), true},
				{"slight blur", encodePNG(t, blurred(clean, 1)), true},
				{"slight blur, jpeg", encodeJPEG(t, blurred(clean, 1), 75), true},
				{"blur, noise, turned 5", encodePNG(t, noisy(blurred(turned(clean, 5), 1), 12, 0.7)), true},
				{"blur, noise, turned 5, jpeg", encodeJPEG(t, noisy(blurred(turned(clean, 5), 1), 12, 0.7), 75), true},
			} {
				got, err := image.Read(d.b)
				tried++
				switch {
				case err == nil && len(got) == 1 && got[0] == s:
					read++
				case err == nil:
					t.Errorf("version %d at %.1f pixels a module, %s: read something else", c.Version(), module, d.name)
				case d.may:
					t.Logf("version %d at %.1f pixels a module, %s: not read", c.Version(), module, d.name)
				default:
					t.Errorf("version %d at %.1f pixels a module, %s: %v", c.Version(), module, d.name, err)
				}
			}
		}
	}
	t.Logf("%d of %d degraded pictures read", read, tried)
	if read*100 < tried*96 {
		t.Errorf("%d of %d degraded pictures read, want 96 of 100", read, tried)
	}
}

// TestReadKinds reads one code from every kind of picture file that the
// standard library tells apart.
func TestReadKinds(t *testing.T) {
	s := text(7, 480)
	g := grey(draw(t, s, image.M), 4)
	r := g.Rect
	fill := func(dst interface {
		stdimage.Image
		Set(x, y int, c color.Color)
	}, of func(v byte) color.Color) stdimage.Image {
		for y := range r.Dy() {
			for x := range r.Dx() {
				dst.Set(x, y, of(g.GrayAt(x, y).Y))
			}
		}
		return dst
	}
	asGrey := func(v byte) color.Color { return color.Gray{Y: v} }
	blue := func(v byte) color.Color { return color.NRGBA{R: v, G: v, B: 128 + v/2, A: 255} }
	inverted := func(v byte) color.Color { return color.Gray{Y: 255 - v} }
	seeThrough := func(v byte) color.Color { return color.NRGBA{A: 255 - v} }
	pictures := map[string][]byte{
		"grey":                  encodePNG(t, g),
		"grey 16 bit":           encodePNG(t, fill(stdimage.NewGray16(r), asGrey)),
		"colour":                encodePNG(t, fill(stdimage.NewRGBA(r), blue)),
		"colour with alpha":     encodePNG(t, fill(stdimage.NewNRGBA(r), seeThrough)),
		"colour 16 bit":         encodePNG(t, fill(stdimage.NewNRGBA64(r), blue)),
		"colour 16 bit, no see": encodePNG(t, fill(stdimage.NewRGBA64(r), blue)),
		"palette":               encodePNG(t, fill(stdimage.NewPaletted(r, color.Palette{color.White, color.Black}), asGrey)),
		"light on dark":         encodePNG(t, fill(stdimage.NewGray(r), inverted)),
		"jpeg grey":             encodeJPEG(t, g, 60),
		"jpeg colour":           encodeJPEG(t, fill(stdimage.NewRGBA(r), blue), 60),
		"one pixel a module":    pngOf(t, s, image.M, 1),
		"two pixels a module":   pngOf(t, s, image.M, 2),
		"twenty":                pngOf(t, s, image.M, 20),
	}
	for name, b := range pictures {
		t.Run(name, func(t *testing.T) { readOne(t, b, s) })
	}
}

// page puts pictures on a white page.
func page(w, h int, at map[stdimage.Point]stdimage.Image) *stdimage.Gray {
	p := stdimage.NewGray(stdimage.Rect(0, 0, w, h))
	for i := range p.Pix {
		p.Pix[i] = 255
	}
	for o, img := range at {
		b := img.Bounds()
		for y := range b.Dy() {
			for x := range b.Dx() {
				p.Set(o.X+x, o.Y+y, img.At(b.Min.X+x, b.Min.Y+y))
			}
		}
	}
	return p
}

func TestReadSeveral(t *testing.T) {
	a, b, c := text(1, 500), text(2, 500), "HTTPS://CHECK.EXAMPLE"
	one := grey(draw(t, a, image.M), 4)
	two := grey(draw(t, b, image.M), 4)
	help := grey(draw(t, c, image.M), 4)
	w := one.Rect.Dx()
	tests := []struct {
		name string
		img  stdimage.Image
		want []string
	}{
		{"QR-04 two codes side by side", page(2*w, w, map[stdimage.Point]stdimage.Image{{}: one, {X: w}: two}), []string{a, b}},
		{"QR-04 two codes, one below the other", page(w, 2*w+40, map[stdimage.Point]stdimage.Image{{}: one, {Y: w + 40}: two}), []string{a, b}},
		{"QR-04 two codes turned", turned(page(2*w+20, 2*w, map[stdimage.Point]stdimage.Image{{X: 20, Y: 50}: one, {X: w + 20, Y: w}: two}), 12), []string{a, b}},
		{"QR-04 four codes", page(2*w, 2*w, map[stdimage.Point]stdimage.Image{
			{}: one, {X: w}: two, {X: 30, Y: w + 30}: help, {X: w + 30, Y: w + 90}: grey(draw(t, "FOUR", image.Q), 6),
		}), []string{a, b, c, "FOUR"}},
		{"a certificate with its help code", page(w+200, w, map[stdimage.Point]stdimage.Image{{}: one, {X: w + 20, Y: 20}: help}), []string{a, c}},
		{"the same code twice", page(2*w, w, map[stdimage.Point]stdimage.Image{{}: one, {X: w}: one}), []string{a}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := image.Read(encodePNG(t, tt.img))
			if err != nil {
				t.Fatalf("Read: %v", err)
			}
			seen := map[string]bool{}
			for _, g := range got {
				seen[g] = true
			}
			for _, w := range tt.want {
				if !seen[w] {
					t.Errorf("a code of %d characters is missing", len(w))
				}
			}
			if len(got) != len(tt.want) {
				t.Errorf("%d codes, want %d", len(got), len(tt.want))
			}
		})
	}
}

// header is a PNG that claims a size and ends after the header.
func header(w, h uint32, depth, kind, interlace byte) []byte {
	d := binary.BigEndian.AppendUint32([]byte("IHDR"), w)
	d = append(binary.BigEndian.AppendUint32(d, h), depth, kind, 0, 0, interlace)
	b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), d...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(d))
}

// jpegHeader is a JPEG that claims a size and ends after the frame header.
func jpegHeader(w, h uint16, marker byte, sampling ...byte) []byte {
	f := []byte{8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), byte(len(sampling))}
	for i, s := range sampling {
		f = append(f, byte(i+1), s, 0)
	}
	b := []byte{0xff, 0xd8, 0xff, 0xe0, 0, 4, 'J', 'F', 0xff, 0xff, marker}
	b = binary.BigEndian.AppendUint16(b, uint16(len(f)+2))
	return append(append(b, f...), 0xff, 0xda, 0, 2)
}

func TestReadRefuses(t *testing.T) {
	good := pngOf(t, text(3, 300), image.M, 4)
	white := page(400, 400, nil)
	tests := []struct {
		name string
		b    []byte
		want error
	}{
		{"QR-04 a picture of 30000 by 30000", header(30000, 30000, 1, 0, 0), image.ErrTooLarge},
		{"QR-04 a jpeg of 60000 by 60000", jpegHeader(60000, 60000, 0xc0, 0x11), image.ErrTooLarge},
		{"40 million pixels of 8 bytes", header(8000, 5000, 16, 6, 0), image.ErrTooLarge},
		{"25 million pixels interlaced", header(5000, 5000, 8, 2, 1), image.ErrTooLarge},
		{"25 million pixels, progressive", jpegHeader(5000, 5000, 0xc2, 0x22, 0x11, 0x11), image.ErrTooLarge},
		{"25 million pixels, four colours", jpegHeader(5000, 5000, 0xc0, 0x11, 0x11, 0x11, 0x11), image.ErrTooLarge},
		{"a file of 9 MB", append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 9<<20)...), image.ErrTooLarge},
		{"no size", header(0, 0, 1, 0, 0), image.ErrNotAPicture},
		{"width beyond 31 bits", header(1<<31, 1, 1, 0, 0), image.ErrNotAPicture},
		{"header only", header(300, 300, 1, 0, 0), image.ErrNotAPicture},
		{"jpeg header only", jpegHeader(300, 300, 0xc0, 0x11), image.ErrNotAPicture},
		{"half a picture", good[:len(good)/2], image.ErrNotAPicture},
		{"magic only", good[:8], image.ErrNotAPicture},
		{"a gif", []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"), image.ErrNotAPicture},
		{"text", []byte("NCFOXN"), image.ErrNotAPicture},
		{"nothing", nil, image.ErrNotAPicture},
		{"a white page", encodePNG(t, white), image.ErrNoCode},
		{"one pixel", encodePNG(t, page(1, 1, nil)), image.ErrNoCode},
		{"a line", encodePNG(t, page(3000, 1, nil)), image.ErrNoCode},
		{"noise", encodePNG(t, noisy(white, 200, 0.1)), image.ErrNoCode},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := image.Read(tt.b)
			if got != nil || !errors.Is(err, tt.want) {
				t.Errorf("Read: %v, want %v", err, tt.want)
			}
		})
	}
}

// TestReadBound feeds pictures that are made to keep a reader busy: stripes in
// the ratio of a corner, and corners without number. It ends, is all it says;
// go test stops a run that does not.
func TestReadBound(t *testing.T) {
	const side = 2800
	stripes := stdimage.NewPaletted(stdimage.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	corners := stdimage.NewPaletted(stripes.Rect, stripes.Palette)
	const corner = "" +
		"#######." + "#.....#." + "#.###.#." + "#.###.#." + "#.###.#." + "#.....#." + "#######." + "........"
	for y := range side {
		for x := range side {
			if "#.###.#."[x/2%8] == '#' {
				stripes.SetColorIndex(x, y, 1)
			}
			if corner[y/3%8*8+x/3%8] == '#' {
				corners.SetColorIndex(x, y, 1)
			}
		}
	}
	few := stdimage.NewGray(stdimage.Rect(0, 0, 600, 600))
	for y := range 600 {
		for x := range 600 {
			v := byte(255)
			if y%120 < 56 && x%120 < 56 && corner[y%120/7*8+x%120/7] == '#' {
				v = 0
			}
			few.Pix[y*few.Stride+x] = v
		}
	}
	for name, img := range map[string]stdimage.Image{"stripes": stripes, "corners": corners, "a few corners": few} {
		t.Run(name, func(t *testing.T) {
			if got, err := image.Read(encodePNG(t, img)); !errors.Is(err, image.ErrNoCode) {
				t.Errorf("Read: %q, %v, want ErrNoCode", got, err)
			}
		})
	}
}

// TestSVG paints the rectangles of the path and compares them with the modules.
func TestSVG(t *testing.T) {
	for _, n := range []int{1, 480, 4000} {
		c := draw(t, text(5, n), image.L)
		var doc struct {
			ViewBox string `xml:"viewBox,attr"`
			Path    []struct {
				Fill string `xml:"fill,attr"`
				D    string `xml:"d,attr"`
			} `xml:"path"`
		}
		svg := c.SVG()
		if err := xml.Unmarshal(svg, &doc); err != nil {
			t.Fatal(err)
		}
		side := c.Size() + 2*image.QuietZone
		if want := fmt.Sprintf("0 0 %d %d", side, side); doc.ViewBox != want || len(doc.Path) != 2 || doc.Path[0].Fill != "#fff" {
			t.Fatalf("view box %q with %d paths", doc.ViewBox, len(doc.Path))
		}
		got := make([][]bool, c.Size())
		for i := range got {
			got[i] = make([]bool, c.Size())
		}
		x, y := 0, 0
		for i, r := range strings.Split(strings.TrimSuffix(doc.Path[1].D, "z"), "z") {
			var dx, dy, run, back int
			op := "m"
			if i == 0 {
				op = "M"
			}
			if _, err := fmt.Sscanf(r, op+"%d %dh%dv1h%d", &dx, &dy, &run, &back); err != nil || back != -run {
				t.Fatalf("rectangle %q: %v", r, err)
			}
			x, y = x+dx, y+dy
			for k := range run {
				got[y-image.QuietZone][x-image.QuietZone+k] = true
			}
		}
		for y, row := range c.Modules() {
			for x, dark := range row {
				if got[y][x] != dark {
					t.Fatalf("module %d,%d is %v in the SVG", x, y, got[y][x])
				}
			}
		}
		t.Logf("version %d: SVG of %d bytes", c.Version(), len(svg))
	}
}

func TestTerminal(t *testing.T) {
	c := draw(t, text(6, 100), image.M)
	modules := c.Modules()
	dark := func(x, y int) bool {
		x, y = x-image.QuietZone, y-image.QuietZone
		return x >= 0 && y >= 0 && x < len(modules) && y < len(modules) && modules[y][x]
	}
	for _, tt := range []struct {
		name, text string
		glyphs     map[rune][2]bool
	}{
		{"coloured", c.Terminal(), map[rune][2]bool{' ': {false, false}, '▄': {false, true}, '▀': {true, false}, '█': {true, true}}},
		{"plain", c.TerminalPlain(), map[rune][2]bool{'█': {false, false}, '▀': {false, true}, '▄': {true, false}, ' ': {true, true}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.NewReplacer("\x1b[38;5;16;48;5;231m", "", "\x1b[0m", "").Replace(tt.text)
			if (text != tt.text) != (tt.name == "coloured") {
				t.Error("escape sequences in the wrong one")
			}
			lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			side := c.Size() + 2*image.QuietZone
			if len(lines) != (side+1)/2 {
				t.Fatalf("%d lines, want %d", len(lines), (side+1)/2)
			}
			for j, line := range lines {
				x := 0
				for _, r := range line {
					want := [2]bool{dark(x, 2*j), dark(x, 2*j+1)}
					if got, ok := tt.glyphs[r]; !ok || got != want {
						t.Fatalf("%d,%d: %q shows %v, want %v", x, j, r, got, want)
					}
					x++
				}
				if x != side {
					t.Fatalf("line %d has %d columns, want %d", j, x, side)
				}
			}
		})
	}
}

// TestHealthCertificatePictures reads the pictures of vectors/dgc, made by the
// programs of many states, and compares them with the texts beside them.
func TestHealthCertificatePictures(t *testing.T) {
	root := vectors.Path(t, "dgc")
	// These carry no readable picture, by their own account or by their bytes.
	exceptions := map[string]string{}
	var seen, read, none int
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".json" {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var v struct {
			Prefix  string `json:"PREFIX"`
			Picture string `json:"2DCODE"`
			Expect  struct {
				Picture *bool `json:"EXPECTEDPICTUREDECODE"`
			} `json:"EXPECTEDRESULTS"`
		}
		if err := json.Unmarshal(bytes.TrimPrefix(raw, []byte("\ufeff")), &v); err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		name = filepath.ToSlash(name)
		if v.Picture == "" {
			none++
			return nil
		}
		seen++
		b, err := base64.StdEncoding.DecodeString(v.Picture)
		if err != nil {
			return fmt.Errorf("%s: %v", name, err)
		}
		got, err := image.Read(b)
		ok := err == nil && len(got) == 1 && got[0] == v.Prefix
		if ok {
			read++
		}
		why, exception := exceptions[name]
		expected := v.Expect.Picture == nil || *v.Expect.Picture
		if want := expected && !exception; ok != want {
			t.Errorf("%s: read %v, want %v (exception: %q): %v, %d codes", name, ok, want, why, err, len(got))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d pictures read, %d files without one", read, seen, none)
}

func FuzzRead(f *testing.F) {
	f.Add(pngOf(f, "A", image.M, 1))
	f.Add(pngOf(f, text(1, 60), image.L, 3))
	f.Add(encodeJPEG(f, grey(draw(f, text(1, 30), image.L), 3), 50))
	f.Add(header(30000, 30000, 1, 0, 0))
	f.Add(jpegHeader(300, 300, 0xc2, 0x22, 0x11, 0x11))
	// A picture of a kilobyte may have forty million points, each of which is looked at.
	boundtest.FuzzParses(f, 5, func(t *testing.T, b []byte) {
		texts, err := image.Read(b)
		if (err == nil) != (len(texts) > 0) {
			t.Fatalf("%d texts and %v", len(texts), err)
		}
		if err == nil && !image.IsPicture(b) {
			t.Fatal("read from what is no picture")
		}
		for i, s := range texts {
			for _, other := range texts[:i] {
				if s == "" || s == other {
					t.Fatalf("text %d is empty or a repetition", i)
				}
			}
		}
	})
}

func BenchmarkDraw(b *testing.B) {
	for _, n := range []int{300, 480, 600} {
		s := text(1, n)
		b.Run("V"+strconv.Itoa(image.VersionFor(n, image.M)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				draw(b, s, image.M)
			}
		})
	}
}

func BenchmarkRender(b *testing.B) {
	c := draw(b, text(1, 480), image.M)
	b.Run("SVG", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.SVG()
		}
	})
	b.Run("PNG8", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.PNG(8); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	p := pngOf(b, text(1, 480), image.M, 8)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := image.Read(p); err != nil {
			b.Fatal(err)
		}
	}
}
