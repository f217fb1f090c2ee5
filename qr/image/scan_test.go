package image_test

import (
	"bytes"
	"errors"
	stdimage "image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/qr/image"
)

// printed is a code as a good scanner of 300 dpi sees it, and what a row does to it.
func printed(t *testing.T, text string, scale int, spoil func(*stdimage.Gray)) []byte {
	t.Helper()
	c, err := image.Draw(text, image.M)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.PNG(scale)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	grey := stdimage.NewGray(img.Bounds())
	for y := range grey.Rect.Dy() {
		for x := range grey.Rect.Dx() {
			grey.Set(x, y, img.At(x, y))
		}
	}
	spoil(grey)
	var out bytes.Buffer
	if err := png.Encode(&out, grey); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestInspectAdvises spoils one thing at a time in a print that is good otherwise.
func TestInspectAdvises(t *testing.T) {
	text := strings.Repeat("SANAD 0123456789:", 20)
	each := func(f func(v uint8) uint8) func(*stdimage.Gray) {
		return func(g *stdimage.Gray) {
			for i, v := range g.Pix {
				g.Pix[i] = f(v)
			}
		}
	}
	for _, tt := range []struct {
		name  string
		scale int
		dpi   float64
		spoil func(*stdimage.Gray)
		want  []image.Remedy
	}{
		{"good", 6, 300, func(*stdimage.Gray) {}, nil},
		{"good, of unknown resolution", 6, 0, func(*stdimage.Gray) {}, nil},
		{"few pixels", 3, 0, func(*stdimage.Gray) {}, []image.Remedy{image.Closer}},
		{"small on paper", 6, 600, func(*stdimage.Gray) {}, []image.Remedy{image.Larger}},
		{"pale", 6, 300, each(func(v uint8) uint8 { return 150 + v/5*2 }), []image.Remedy{image.Darker}},
		{"grey paper", 6, 300, each(func(v uint8) uint8 { return v / 2 }), []image.Remedy{image.Darker}},
		{"a stain", 6, 300, func(g *stdimage.Gray) {
			r := rand.New(rand.NewPCG(1, 2))
			side := g.Rect.Dx()
			for y := side / 2; y < side*8/10; y++ {
				for x := side / 2; x < side*8/10; x++ {
					if x/6%2 == r.IntN(2) {
						g.SetGray(x, y, color.Gray{Y: 0})
					}
				}
			}
		}, []image.Remedy{image.Cleaner}},
		{"a frame in the quiet zone", 6, 300, func(g *stdimage.Gray) {
			side := g.Rect.Dx()
			for i := range side {
				for w := 6; w < 14; w++ {
					g.SetGray(i, w, color.Gray{})
					g.SetGray(w, i, color.Gray{})
				}
			}
		}, []image.Remedy{image.Margin}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			scans, err := image.Inspect(printed(t, text, tt.scale, tt.spoil))
			if err != nil {
				t.Fatal(err)
			}
			if len(scans) != 1 || scans[0].Text != text {
				t.Fatalf("Inspect found %d codes, want the one", len(scans))
			}
			s := scans[0]
			if math.Abs(s.Module-float64(tt.scale)) > 0.1 {
				t.Errorf("a module of %.2f pixels, want %d", s.Module, tt.scale)
			}
			if got := s.Advice(tt.dpi); !slices.Equal(got, tt.want) {
				t.Errorf("advice %v, want %v (%.2f mm, contrast %.2f, damage %.3f, crowded %t)", got, tt.want, s.Millimetres(300), s.Contrast, s.Damage, s.Crowded)
			}
		})
	}
}

func TestInspectRefuses(t *testing.T) {
	blank := printed(t, "SANAD", 6, func(g *stdimage.Gray) {
		for i := range g.Pix {
			g.Pix[i] = 255
		}
	})
	if _, err := image.Inspect(blank); !errors.Is(err, image.ErrNoCode) {
		t.Errorf("an empty page: %v, want ErrNoCode", err)
	}
	if _, err := image.Inspect([]byte("%PDF-1.7")); !errors.Is(err, image.ErrNotAPicture) {
		t.Errorf("a PDF: %v, want ErrNotAPicture", err)
	}
}
