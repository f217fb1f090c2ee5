package docpdf

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"codeberg.org/go-pdf/fpdf"
	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/shaping"

	"github.com/sanad-id/sanad/qr/image"
)

// points in a millimetre.
const mm = 72 / 25.4

// A part is a run of pages that package fpdf holds in memory and writes as a file.
// Lengths are points from the top left corner.
type part struct {
	pdf   *fpdf.Fpdf
	set   *typesetter
	added map[int]bool // fonts
	mode  int          // how text is drawn: 0 filled, 2 with a stroke around it
	pages []pageTags
}

// pageTags are the tagged pieces of a page, by their number in its content.
type pageTags []tag

// A tag says what a piece of content is (ISO 32000-1, 14.8).
type tag struct {
	role string // H1, H2, P, Figure, TH, TD
	alt  string // what a picture shows
	lang string // of the text, empty if that of the document
	// table and row are of cells (TH, TD), from 1.
	table, row int
}

func newPart(set *typesetter) *part {
	pdf := fpdf.NewCustom(&fpdf.InitType{UnitStr: "pt", Size: fpdf.SizeType{Wd: 595.28, Ht: 841.89}})
	pdf.SetCatalogSort(true)
	pdf.SetAutoPageBreak(false, 0)
	pdf.SetMargins(0, 0, 0)
	return &part{pdf: pdf, set: set, added: map[int]bool{}}
}

// page begins a page of so many points.
func (p *part) page(w, h float64) {
	p.pdf.AddPageFormat("P", fpdf.SizeType{Wd: w, Ht: h})
	p.pages = append(p.pages, nil)
}

// tagged draws a piece of content under a tag.
func (p *part) tagged(t tag, draw func()) {
	tags := &p.pages[len(p.pages)-1]
	p.raw("/%s <</MCID %d>> BDC", t.role, len(*tags))
	*tags = append(*tags, t)
	draw()
	p.raw("EMC")
}

// artifact draws what says nothing: lines and frames.
func (p *part) artifact(draw func()) {
	p.raw("/Artifact BMC")
	draw()
	p.raw("EMC")
}

func (p *part) raw(format string, args ...any) {
	p.pdf.RawWriteStr(fmt.Sprintf(format, args...) + "\n")
}

// line draws a line of text with its left end at x and its base line at y. Heavy text is
// drawn with a stroke around it.
func (p *part) line(l line, x, y, size float64, heavy bool) {
	if heavy {
		p.mode = 2
		p.raw("2 Tr %.2f w", size/32)
	}
	for _, r := range l.runs {
		p.run(l.of, r, x, y, size)
		x += fromFixed(r.Advance) * size / em
	}
	if heavy {
		p.mode = 0
		p.raw("0 Tr")
	}
}

// run draws glyphs of one font, and says which letters they stand for: a glyph that is
// the usual one of a letter is written as that letter, others are named by characters of
// private use and the word that they belong to says what it reads as (ISO 32000-1,
// 14.9.4, ActualText).
func (p *part) run(of *paragraph, r shaping.Output, x, y, size float64) {
	p.font(p.set.index[r.Face], size)
	w := words{part: p, x: x, y: y, scale: size / em}
	if plain(of, r) {
		for _, g := range r.Glyphs {
			w.glyph(r, g, of.runes[g.TextIndex()])
		}
		w.flush()
		return
	}
	if r.Direction == di.DirectionRTL {
		w.fromRight(of, r)
		return
	}
	for i := 0; i < len(r.Glyphs); {
		j := i
		space := of.spaceAt(r.Glyphs[i])
		for j < len(r.Glyphs) && of.spaceAt(r.Glyphs[j]) == space {
			j++
		}
		w.word(of, r, r.Glyphs[i:j], space)
		i = j
	}
}

// spaceAt reports whether a glyph is a space between words.
func (p *paragraph) spaceAt(g shaping.Glyph) bool {
	return g.RunesCount() == 1 && unicode.IsSpace(p.runes[g.TextIndex()])
}

// plain reports whether each glyph of a run is the usual one of its letter, one after
// the other.
func plain(of *paragraph, r shaping.Output) bool {
	if r.Direction == di.DirectionRTL {
		return false
	}
	for _, g := range r.Glyphs {
		if g.RunesCount() != 1 || g.GlyphsCount() != 1 || !usual(r, g, of.runes[g.TextIndex()]) {
			return false
		}
	}
	return true
}

// usual reports whether a glyph can be written as this character.
func usual(r shaping.Output, g shaping.Glyph, c rune) bool {
	if c < 0x20 || c >= private && c < 0xF900 || c >= 0xFFFE {
		return false
	}
	gid, ok := r.Face.NominalGlyph(c)
	return ok && gid == g.GlyphID
}

// words writes glyphs as strings that are as long as their advances allow.
type words struct {
	*part
	x, y, scale float64 // of the next glyph; points a thousandth
	text        strings.Builder
	from, up    float64 // where text begins
}

// word writes the glyphs of one word.
func (w *words) word(of *paragraph, r shaping.Output, glyphs []shaping.Glyph, space bool) {
	if space {
		for _, g := range glyphs {
			w.glyph(r, g, ' ')
		}
		w.flush()
		return
	}
	from, to := len(of.runes), 0
	for _, g := range glyphs {
		from, to = min(from, g.TextIndex()), max(to, g.TextIndex()+g.RunesCount())
	}
	w.raw("/Span <</ActualText <%s>>> BDC", utf16Hex(readable(of.runes[from:to])))
	for _, g := range glyphs {
		c := rune(0)
		if g.RunesCount() == 1 && g.GlyphsCount() == 1 {
			c = of.runes[g.TextIndex()]
		}
		w.glyph(r, g, c)
	}
	w.flush()
	w.raw("EMC")
}

// fromRight writes a run that reads from right to left, from left to right as every
// program does and all readers expect: each letter says for itself what it is. Several
// letters in one sign, such as lam and alef, lie unseen below it and share its width.
func (w *words) fromRight(of *paragraph, r shaping.Output) {
	for i := 0; i < len(r.Glyphs); {
		j := i
		for j < len(r.Glyphs) && r.Glyphs[j].TextIndex() == r.Glyphs[i].TextIndex() {
			j++
		}
		glyphs := r.Glyphs[i:j]
		i = j
		if of.spaceAt(glyphs[0]) {
			w.glyph(r, glyphs[0], ' ')
			w.flush()
			continue
		}
		at := glyphs[0].TextIndex()
		letters := []rune(readable(of.runes[at : at+glyphs[0].RunesCount()]))
		switch len(letters) {
		case 1:
			w.spelled(string(letters), func() { w.sign(r, glyphs) })
		default:
			w.letters(r, glyphs, letters)
		}
	}
}

// letters puts the letters of one sign, unseen, side by side where it stands. Who reads
// the file takes the last of them to end where the sign does.
func (w *words) letters(r shaping.Output, glyphs []shaping.Glyph, letters []rune) {
	advance := 0.0
	for _, g := range glyphs {
		advance += fromFixed(g.Advance)
	}
	blank, ok := r.Face.NominalGlyph(' ')
	if !ok || len(letters) == 0 {
		w.sign(r, glyphs)
		return
	}
	each := advance / float64(len(letters))
	natural := float64(r.Face.HorizontalAdvance(blank)) * em / float64(r.Face.Upem())
	for k := range letters {
		w.spelled(string(letters[len(letters)-1-k]), func() {
			w.raw("3 Tr %.1f Tz", 100*each/max(natural, 1))
			w.pdf.Text(w.x+float64(k)*each*w.scale, w.y, " ")
			w.raw("%d Tr 100 Tz", w.mode)
			if k == len(letters)-1 {
				w.sign(r, glyphs)
			}
		})
	}
}

// sign writes glyphs as they are.
func (w *words) sign(r shaping.Output, glyphs []shaping.Glyph) {
	for _, g := range glyphs {
		w.glyph(r, g, 0)
	}
	w.flush()
}

// spelled draws something that reads as text.
func (w *words) spelled(text string, draw func()) {
	w.raw("/Span <</ActualText <%s>>> BDC", utf16Hex(text))
	draw()
	w.raw("EMC")
}

// readable is text without the marks that only steer its direction.
func readable(text []rune) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case leftToRightMark, rightToLeftMark, '\u061c', '\u2066', '\u2067', '\u2068', '\u2069':
			return -1
		}
		return r
	}, string(text))
}

// glyph adds a glyph, as character c if that stands for it.
func (w *words) glyph(r shaping.Output, g shaping.Glyph, c rune) {
	dx, dy := fromFixed(g.XOffset)*w.scale, fromFixed(g.YOffset)*w.scale
	if dx != 0 || dy != w.up {
		w.flush()
	}
	if w.text.Len() == 0 {
		w.from, w.up = w.x+dx, dy
	}
	if c == 0 || !usual(r, g, c) {
		c = private + rune(g.GlyphID)
	}
	w.text.WriteRune(c)
	w.x += fromFixed(g.Advance) * w.scale
	natural := float64(r.Face.HorizontalAdvance(g.GlyphID)) * em / float64(r.Face.Upem())
	if diff := natural - fromFixed(g.Advance); dx != 0 || dy != 0 || diff > 0.6 || diff < -0.6 {
		w.flush()
	}
}

func (w *words) flush() {
	if w.text.Len() > 0 {
		w.pdf.Text(w.from, w.y-w.up, w.text.String())
		w.text.Reset()
	}
	w.up = 0
}

func utf16Hex(s string) string {
	var b strings.Builder
	b.WriteString("FEFF")
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", u)
	}
	return b.String()
}

// font chooses a font, and puts it into the part if it is the first time.
func (p *part) font(i int, size float64) {
	name := "f" + strconv.Itoa(i)
	if !p.added[i] {
		p.added[i] = true
		p.pdf.AddUTF8FontFromBytes(name, "", p.set.files[i].ttf)
	}
	p.pdf.SetFont(name, "", size)
}

// grey sets the colour of what follows, 0 black to 1 white.
func (p *part) grey(g float64) { p.raw("%.2f g %.2f G", g, g) }

// code draws a code with its top left dark module at x, y: every run of dark modules in
// a row is a rectangle, all of them one path, so that no renderer leaves seams.
func (p *part) code(c *image.Code, x, y, module float64) {
	var b strings.Builder
	_, height := p.pdf.GetPageSize()
	fmt.Fprintf(&b, "q %.5f 0 0 -%.5f %.4f %.4f cm\n", module, module, x, height-y)
	for row, modules := range c.Modules() {
		for i := 0; i < len(modules); i++ {
			if !modules[i] {
				continue
			}
			from := i
			for i < len(modules) && modules[i] {
				i++
			}
			fmt.Fprintf(&b, "%d %d %d 1 re\n", from, row, i-from)
		}
	}
	b.WriteString("f Q\n")
	p.pdf.RawWriteStr(b.String())
}

// stroke draws a line.
func (p *part) stroke(x1, y1, x2, y2, width float64, dashes string) {
	_, h := p.pdf.GetPageSize()
	p.raw("q %.2f w [%s] 0 d %.2f %.2f m %.2f %.2f l S Q", width, dashes, x1, h-y1, x2, h-y2)
}

// rect draws the frame of a rectangle.
func (p *part) rect(x, y, w, h, width float64) {
	_, page := p.pdf.GetPageSize()
	p.raw("q %.2f w %.2f %.2f %.2f %.2f re S Q", width, x, page-y-h, w, h)
}

// bytes ends the part and returns it as a PDF file.
func (p *part) bytes() (b []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			b, err = nil, errors.New("docpdf: the PDF library gave up")
		}
	}()
	var out bytes.Buffer
	if err := p.pdf.Output(&out); err != nil {
		return nil, fmt.Errorf("docpdf: write pages: %v", err)
	}
	return out.Bytes(), nil
}
