//go:build !js

package symbol_test

import (
	"bytes"
	"errors"
	"fmt"
	picture "image"
	pictures "image/png"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/qr/symbol"
)

const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"

// most is how many alphanumeric characters a version holds, by the tables of qr/image.
func most(version int, level image.Level) int {
	for n := 1; ; n++ {
		if v := image.VersionFor(n, level); v == 0 || v > version {
			return n - 1
		}
	}
}

func text(n int, of string, r *rand.Rand) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = of[r.IntN(len(of))]
	}
	return string(b)
}

// versions are all at night, and those around which something changes at each change.
func versions() []int {
	if os.Getenv("SANAD_SOAK") != "1" {
		return []int{1, 2, 6, 7, 9, 10, 14, 26, 27, 32, 40}
	}
	all := make([]int, 40)
	for i := range all {
		all[i] = i + 1
	}
	return all
}

// TestLikeTheLibrary: symbols of every version and both levels are those of the library
// that draws printed codes, module by module. Where the two chose different masks the
// symbol is read.
func TestLikeTheLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	same := 0
	for _, version := range versions() {
		for level, name := range []image.Level{symbol.L: image.L, symbol.M: image.M} {
			// Without runs of digits, which the library writes in a mode of their own.
			wanted := text(most(version, name), letters[10:], r)
			s, err := symbol.Make(wanted, symbol.Level(level))
			if err != nil {
				t.Fatal(err)
			}
			if s.Version() != version || s.Size() != 17+4*version {
				t.Fatalf("%d characters at %s: version %d of %d modules, want %d", len(wanted), name, s.Version(), s.Size(), version)
			}
			c, err := image.Draw(wanted, name)
			if err != nil {
				t.Fatal(err)
			}
			if equal(s, c) {
				same++
				continue
			}
			if got := read(t, s); got != wanted {
				t.Errorf("version %d-%s: read %q", version, name, got)
			}
		}
	}
	if t.Logf("%d of %d are the same, the others were read", same, 2*len(versions())); same < len(versions())/2 {
		t.Errorf("only %d symbols are those of the library", same)
	}
}

func equal(s *symbol.Symbol, c *image.Code) bool {
	for y, row := range c.Modules() {
		for x, dark := range row {
			if s.Dark(x, y) != dark {
				return false
			}
		}
	}
	return c.Size() == s.Size()
}

// read draws a symbol as the page does and reads the picture.
func read(t *testing.T, s *symbol.Symbol) string {
	t.Helper()
	const scale = 4
	side := s.Side() * scale
	pixels := make([]byte, side*side)
	for i := range pixels {
		pixels[i] = 255
	}
	for _, rect := range strings.Split(strings.TrimPrefix(s.Path(), "M"), "M") {
		var x, y, run, back int
		if _, err := fmt.Sscanf(rect, "%d %dh%dv1h-%dz", &x, &y, &run, &back); err != nil || run != back {
			t.Fatalf("path %q: %v", rect, err)
		}
		for py := y * scale; py < (y+1)*scale; py++ {
			for px := x * scale; px < (x+run)*scale; px++ {
				pixels[py*side+px] = 0
			}
		}
	}

	found, err := image.Read(png(t, pixels, side))
	if err != nil || len(found) != 1 {
		t.Fatalf("version %d: %d codes, %v", s.Version(), len(found), err)
	}
	return found[0]
}

// TestMake: the smallest version that fits is taken, for text that is not alphanumeric,
// too, and what fits none is refused.
func TestMake(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, tt := range []struct {
		name    string
		text    string
		level   symbol.Level
		version int // 0 if it is refused
	}{
		{"one letter", "A", symbol.L, 1},
		{"all of version 1", strings.Repeat("A", 25), symbol.L, 1},
		{"one more", strings.Repeat("A", 26), symbol.L, 2},
		{"small letters", strings.Repeat("a", 17), symbol.L, 1},
		{"one more small letter", strings.Repeat("a", 18), symbol.L, 2},
		{"another script", "শংসাপত্র", symbol.M, 2},
		{"the most of version 40", text(4296, letters, r), symbol.L, 40},
		{"too long", text(4297, letters, r), symbol.L, 0},
		{"too long at M", text(3392, letters, r), symbol.M, 0},
		{"too many bytes", strings.Repeat("a", 2954), symbol.L, 0},
		{"the most bytes", strings.Repeat("a", 2953), symbol.L, 40},
	} {
		s, err := symbol.Make(tt.text, tt.level)
		switch {
		case tt.version == 0:
			if !errors.Is(err, symbol.ErrTooLong) {
				t.Errorf("%s: %v", tt.name, err)
			}
		case err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case s.Version() != tt.version && tt.name != "another script":
			t.Errorf("%s: version %d, want %d", tt.name, s.Version(), tt.version)
		case s.Version() < 10:
			if got := read(t, s); got != tt.text {
				t.Errorf("%s: read %q", tt.name, got)
			}
		}
	}
	for _, level := range []symbol.Level{-1, 2} {
		if _, err := symbol.Make("A", level); err == nil {
			t.Errorf("level %d was taken", level)
		}
	}
	if _, err := symbol.Make("", symbol.L); err == nil {
		t.Error("nothing was drawn")
	}
}

func FuzzMake(f *testing.F) {
	f.Add("HELLO WORLD", 0)
	f.Add("hello", 1)
	f.Fuzz(func(t *testing.T, text string, level int) {
		if len(text) > 300 {
			return
		}
		s, err := symbol.Make(text, symbol.Level(level))
		if err != nil {
			return
		}
		// The three finder patterns stand in every symbol.
		for _, corner := range [][2]int{{0, 0}, {s.Size() - 7, 0}, {0, s.Size() - 7}} {
			for i := range 7 {
				if !s.Dark(corner[0]+i, corner[1]) || !s.Dark(corner[0], corner[1]+i) || !s.Dark(corner[0]+i, corner[1]+6) {
					t.Fatalf("%q: no finder pattern at %v", text, corner)
				}
			}
		}
	})
}

func png(t *testing.T, pixels []byte, side int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := pictures.Encode(&b, &picture.Gray{Pix: pixels, Stride: side, Rect: picture.Rect(0, 0, side, side)}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
