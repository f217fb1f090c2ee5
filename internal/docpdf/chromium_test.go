package docpdf_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/color"
	"image/png"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/internal/docpdf"
)

// faces are the fonts of the program in the order in which they are asked.
var faces = []string{"sans", "bengali", "arabic", "devanagari", "khmer", "lao", "ethiopic"}

// shapes are texts to be compared beside scripts: what shapers get wrong.
var shapes = []string{
	"কর্ম র\u200d্যাব ক্ষ্ম হ্ণ দ্ব্য ন্ত্র্য রু গু শু হৃ", "কো কৌ কৈ ৎ ড় ঢ় য়", "لا لآ الأإ سلمى ﷲ", "مُحَمَّدٌ رَسُول", "پاکستان کابل ۱۴۰۵",
	"र्क क्र ट्र ङ्क द्ध्य ज्ञ हृ रू", "किं कीं क्षि र्कि", "ក្រុម ស្រី ខ្មែរ ញ៉ាំ ង៉ៃ", "ເກົ້າ ຫຼາຍ ໝູ່ ນ້ຳ", "ሀገር ቋንቋ ጨዋታ", "T̂o Ẹ̀kọ́ Ø̨", "AV To Yo Wa 1/2 11",
}

// TestShapesAsABrowser compares the shaping of every script with that of Chromium, which
// has HarfBuzz itself: with the same fonts each text is as wide, and its ink stands at the
// same places.
func TestShapesAsABrowser(t *testing.T) {
	page := chrometest.New(t)
	var css strings.Builder
	for _, f := range faces {
		fmt.Fprintf(&css, "@font-face{font-family:%q;src:url(data:font/ttf;base64,%s)}", f, base64.StdEncoding.EncodeToString(docpdf.FontFile(f)))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!doctype html><html lang=en><meta charset=utf-8><title>fonts</title><style>%s</style><p>fonts", css.String())
	}))
	t.Cleanup(server.Close)
	page.Open(server.URL)
	var texts []string
	for _, s := range scripts {
		texts = append(texts, s.text)
	}
	texts = append(texts, shapes...)
	list, err := json.Marshal(map[string]any{"texts": texts, "faces": faces})
	if err != nil {
		t.Fatal(err)
	}
	// Each text on a canvas of its own: its width in sizes of the font, and its ink.
	type drawn struct {
		Width float64
		Ink   [][]float64
	}
	theirs := chrometest.Eval[[]drawn](page, `(async () => { const want = `+string(list)+`, size = 64, cells = `+fmt.Sprint(inkCells)+`
		for (const f of want.faces) await document.fonts.load(size + 'px "' + f + '"')
		const family = want.faces.map(f => '"' + f + '"').join(",")
		return want.texts.map(text => {
			const c = document.createElement("canvas"); c.width = 2000; c.height = 200; c.lang = "en"
			const x = c.getContext("2d"); x.font = size + "px " + family
			x.fontVariantLigatures = "no-common-ligatures"; x.textBaseline = "alphabetic"
			c.style.fontVariantLigatures = "none"
			x.direction = "ltr"
			x.fillText(text, 40, 120)
			const width = x.measureText(text).width / size
			const d = x.getImageData(0, 0, c.width, c.height).data
			let x0 = 1e9, x1 = -1, y0 = 1e9, y1 = -1
			for (let j = 0; j < c.height; j++) for (let i = 0; i < c.width; i++) if (d[4*(j*c.width+i)+3] > 100) {
				x0 = Math.min(x0, i); x1 = Math.max(x1, i); y0 = Math.min(y0, j); y1 = Math.max(y1, j) }
			const ink = []
			for (let r = 0; r < cells; r++) { ink.push([])
				for (let k = 0; k < 4*cells; k++) { let sum = 0, n = 0
					for (let j = Math.floor(y0+(y1-y0+1)*r/cells); j < Math.floor(y0+(y1-y0+1)*(r+1)/cells); j++)
						for (let i = Math.floor(x0+(x1-x0+1)*k/cells/4); i < Math.floor(x0+(x1-x0+1)*(k+1)/cells/4); i++) { sum += d[4*(j*c.width+i)+3]/255; n++ }
					ink[r].push(n ? sum/n : 0) } }
			return {Width: width, Ink: ink} }) })()`)
	for i, text := range texts {
		width, _ := docpdf.LineWidth(text, "en")
		// Latin letters stand apart here and may be joined there.
		if diff := math.Abs(width-theirs[i].Width) / theirs[i].Width; diff > 0.004 {
			t.Errorf("%q is %.3f wide, in Chromium %.3f", text, width, theirs[i].Width)
		}
		ours := inkOf(t, text)
		sum, n := 0.0, 0
		for r := range ours {
			for k := range ours[r] {
				sum += math.Abs(ours[r][k] - theirs[i].Ink[r][k])
				n++
			}
		}
		if diff := sum / float64(n); diff > 0.05 {
			t.Errorf("%q: the ink differs by %.3f of the area from Chromium's", text, diff)
		}
	}
}

// inkCells is in how many rows the ink of a text is compared, and four times as many
// columns.
const inkCells = 12

// inkOf prints a text and returns where its ink is, as the page above does it.
func inkOf(t *testing.T, text string) [][]float64 {
	t.Helper()
	layout, err := docpdf.ParseLayout([]byte("layout: line\npaper: 700x120\npages:\n  - - {put: issuer, at: [20, 10], box: [670, 50], size: 64, least: 64}\n    - {put: code, at: [20, 70], box: [40, 40]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := certificate(t, "sheet", "en")
	c.Layout, c.Issuer = layout, map[string]string{"en": text}
	c.Codes[0].Text = alphanumeric(40, 1)
	file, _ := render(t, c)
	img, err := png.Decode(bytes.NewReader(tool(t, "pdftoppm", file, "-png", "-gray", "-r", "72", "-H", "190", "-y", "0", "-x", "0", "-W", "1984", "IN")))
	if err != nil {
		t.Fatal(err)
	}
	dark := func(x, y int) float64 { return 1 - float64(color.GrayModel.Convert(img.At(x, y)).(color.Gray).Y)/255 }
	b := img.Bounds()
	x0, x1, y0, y1 := b.Max.X, -1, b.Max.Y, -1
	for y := range b.Max.Y {
		for x := range b.Max.X {
			if dark(x, y) > 100.0/255 {
				x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
			}
		}
	}
	ink := make([][]float64, inkCells)
	for r := range ink {
		ink[r] = make([]float64, 4*inkCells)
		for k := range ink[r] {
			sum, n := 0.0, 0
			for y := y0 + (y1-y0+1)*r/inkCells; y < y0+(y1-y0+1)*(r+1)/inkCells; y++ {
				for x := x0 + (x1-x0+1)*k/inkCells/4; x < x0+(x1-x0+1)*(k+1)/inkCells/4; x++ {
					sum, n = sum+dark(x, y), n+1
				}
			}
			if n > 0 {
				ink[r][k] = sum / float64(n)
			}
		}
	}
	return ink
}
