package docpdf

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	stdimage "image/jpeg"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/visible"
	"github.com/sanad-id/sanad/qr/image"
)

// A plan is a certificate of which everything is decided and nothing drawn.
type plan struct {
	c       *Certificate
	set     *typesetter
	small   *helpCode
	words   i18n.Language
	mirror  bool
	number  int // of the certificate in its document
	notes   []Note
	pages   [][]func(*part)
	current int
}

// plan decides everything about a certificate.
func (d *Document) plan(c *Certificate) (*plan, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	p := &plan{c: c, set: d.set, small: &d.small, words: c.Languages[0], number: d.count}
	p.mirror = p.words.Direction() == "rtl"
	for i, blocks := range c.Layout.Pages {
		p.current = i
		p.pages = append(p.pages, nil)
		for j := range blocks {
			if err := p.block(&blocks[j]); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// draw draws the pages that were planned.
func (p *plan) draw(to *part) []Note {
	for _, draws := range p.pages {
		to.page(p.c.Layout.width*mm, p.c.Layout.height*mm)
		to.grey(0)
		for _, draw := range draws {
			draw(to)
		}
	}
	return p.notes
}

func (p *plan) add(draw func(*part)) { p.pages[p.current] = append(p.pages[p.current], draw) }

func (p *plan) note(what, where string) {
	n := Note{What: what, Where: where}
	if !slices.Contains(p.notes, n) {
		p.notes = append(p.notes, n)
	}
}

// An area is a rectangle in points from the top left.
type area struct{ x, y, w, h float64 }

// area is where a block stands.
func (p *plan) area(b *Block) area {
	x := b.At[0]
	if p.mirror {
		x = p.c.Layout.width - b.At[0] - b.Box[0]
	}
	return area{x * mm, b.At[1] * mm, b.Box[0] * mm, b.Box[1] * mm}
}

func (p *plan) block(b *Block) error {
	a := p.area(b)
	code := p.c.code(b.Form)
	if code == nil {
		if b.Optional {
			return nil
		}
		return fmt.Errorf("%w: the layout %q puts the code %q", ErrNoCode, p.c.Layout.Name, b.Form)
	}
	switch b.Put {
	case putLine:
		dashes := ""
		if b.Dashed {
			dashes = "4 3"
		}
		p.add(func(to *part) {
			to.artifact(func() { to.stroke(a.x, a.y, a.x+a.w, a.y+a.h, 0.5, dashes) })
		})
	case putFrame:
		p.add(func(to *part) { to.artifact(func() { to.rect(a.x, a.y, a.w, a.h, 0.75) }) })
	case putIssuer:
		p.lines(b, a, tag{role: "P"}, p.shapeAll(b, p.words.Pick(p.c.Issuer)))
	case putType:
		p.lines(b, a, tag{role: "H1"}, p.shapeAll(b, p.both(p.c.Type, b)...))
	case putNumber:
		if p.c.Number != "" {
			p.lines(b, a, tag{role: "P"}, p.shapeAll(b, p.words.Text("paper.number", nil), Spaced(p.c.Number)))
		}
	case putDates:
		var lines []*paragraph
		for _, s := range p.dates() {
			lines = append(lines, p.own(s, b.Put))
		}
		p.lines(b, a, tag{role: "P"}, lines)
	case putText:
		p.lines(b, a, tag{role: "P"}, p.shapeAll(b, p.words.Text("paper."+b.Key, nil)))
	case putClaims:
		p.claims(b, a, code)
	case putCode:
		return p.code(b, a, code.Text, image.Level(code.Level), p.words.Text("paper.alt.code", nil))
	case putHelp:
		if p.c.Help == "" {
			return nil
		}
		return p.help(b, a)
	case putScan:
		p.add(func(to *part) {
			to.tagged(tag{role: "Figure", alt: p.words.Text("paper.alt.scan", nil)}, func() { to.pictogram(a) })
		})
	case putPhoto:
		p.photo(b, a)
	}
	return nil
}

// shapeAll shapes texts of a block, a paragraph each.
func (p *plan) shapeAll(b *Block, texts ...string) []*paragraph {
	var all []*paragraph
	for _, s := range texts {
		if s != "" {
			all = append(all, p.shape(s, b.Put))
		}
	}
	return all
}

// both is a name in the languages of the certificate.
func (p *plan) both(labels map[string]string, b *Block) []string {
	names := []string{p.words.Pick(labels)}
	if len(p.c.Languages) > 1 && b.Box[1] >= 2*b.Least/mm*1.6 {
		if second := p.c.Languages[1].Pick(labels); second != names[0] {
			names = append(names, second)
		}
	}
	return names
}

// label is the name of a claim in the languages of the certificate.
func (p *plan) label(labels map[string]string) string {
	first := p.words.Pick(labels)
	if len(p.c.Languages) > 1 {
		if second := p.c.Languages[1].Pick(labels); second != first {
			return first + " · " + second
		}
	}
	return first
}

// Spaced is a document number in groups of four, for people who type it.
func Spaced(number string) string {
	var groups []string
	for ; len(number) > 4; number = number[4:] {
		groups = append(groups, number[:4])
	}
	return strings.Join(append(groups, number), "-")
}

// dates are the lines about from when to when.
func (p *plan) dates() []string {
	line := func(key string, t time.Time) string {
		return p.words.Text("paper.date", map[string]string{"label": p.words.Text(key, nil), "date": p.words.Date(t)})
	}
	lines := []string{line("label.issued", p.c.Issued)}
	if p.c.NotBefore.After(p.c.Issued) {
		lines = append(lines, line("label.not_before", p.c.NotBefore))
	}
	if !p.c.Expires.IsZero() {
		lines = append(lines, line("label.expires", p.c.Expires))
	}
	return lines
}

// lines puts paragraphs one below the other, as large as there is room for.
func (p *plan) lines(b *Block, a area, t tag, paragraphs []*paragraph) {
	if len(paragraphs) == 0 {
		return
	}
	size := b.Size
	var set []line
	for ; ; size = max(size-0.5, b.Least) {
		set = nil
		for _, para := range paragraphs {
			set = append(set, p.set.wrap(para, a.w/size*em)...)
		}
		if height(set)*size/em <= a.h+0.01 || size <= b.Least {
			break
		}
	}
	if kept := fitting(set, a.h/size*em); kept < len(set) {
		p.note(Clipped, b.Put)
		set = p.ellipsis(set[:max(kept, 1)], a.w/size*em)
	}
	p.add(func(to *part) {
		to.tagged(t, func() { to.lines(set, a, size, p.side(b.Align), b.Bold) })
	})
}

// A side is where lines stand in their area.
type side int

const (
	left side = iota
	middle
	right
)

// side is what start and end mean on this page.
func (p *plan) side(align string) side {
	switch {
	case align == "middle":
		return middle
	case (align == "end") != p.mirror:
		return right
	}
	return left
}

// lines draws lines from the top of an area.
func (p *part) lines(set []line, a area, size float64, s side, bold bool) {
	y := a.y
	for _, l := range set {
		x := a.x
		free := a.w - l.width*size/em
		switch s {
		case middle:
			x += free / 2
		case right:
			x += free
		}
		if l.of.lang != "" {
			p.raw("/Span <</Lang (%s)>> BDC", l.of.lang)
		}
		p.line(l, x, y+l.ascent*size/em, size, bold)
		if l.of.lang != "" {
			p.raw("EMC")
		}
		y += (l.ascent + l.descent) * size / em
	}
}

// height of lines in thousandths of the font size.
func height(set []line) (h float64) {
	for _, l := range set {
		h += l.ascent + l.descent
	}
	return h
}

// fitting is how many of the lines fit a height.
func fitting(set []line, room float64) int {
	h := 0.0
	for i, l := range set {
		if h += l.ascent + l.descent; h > room+1 {
			return i
		}
	}
	return len(set)
}

// ellipsis ends the last of the lines in an ellipsis, with fewer letters if need be.
func (p *plan) ellipsis(set []line, width float64) []line {
	last := set[len(set)-1]
	from, to := len(last.of.runes), 1
	for _, r := range last.runs {
		from, to = min(from, r.Runes.Offset), max(to, r.Runes.Offset+r.Runes.Count)
	}
	from = max(min(from, to), 1)
	way := leftToRight
	if last.of.level == 1 {
		way = rightToLeft
	}
	for cut := to; ; cut = max(from, cut-max(1, (cut-from)/8)) {
		para := p.set.shape(string(last.of.runes[from:cut])+"…", p.words.Tag(), way)
		if one := p.set.wrap(para, width); len(one) <= 1 || cut == from {
			if len(one) == 0 {
				return set
			}
			return append(set[:len(set)-1:len(set)-1], one[0])
		}
	}
}

// shape shapes a text from outside, and notes what is amiss.
func (p *plan) shape(text, where string) *paragraph { return p.shapeIn(text, "", where) }

// shapeIn is shape for a text whose language is known.
func (p *plan) shapeIn(text, lang, where string) *paragraph {
	text, cut := outside(text)
	if cut {
		p.note(Clipped, where)
	}
	para := p.own(text, where, lang)
	if lang != p.words.Tag() {
		para.lang = lang
	}
	return para
}

// own shapes a text that is ours, or safe already, in the first of these languages that
// is known.
func (p *plan) own(text, where string, lang ...string) *paragraph {
	para := p.set.shape(text, cmp.Or(append(lang, p.words.Tag())...), byText)
	if para.missing {
		p.note(Missing, where)
	}
	return para
}

// code puts a QR code at the start of its area, with modules of whole dots.
func (p *plan) code(b *Block, a area, text string, level image.Level, alt string) error {
	c, err := image.Draw(text, level)
	if err != nil {
		return fmt.Errorf("docpdf: code %q: %w", b.Form, err)
	}
	return p.place(b, a, c, alt)
}

// place puts a code at the start of its area.
func (p *plan) place(b *Block, a area, c *image.Code, alt string) error {
	side := c.Size() + 2*image.QuietZone
	room := min(a.w, a.h) / mm
	dots := int(math.Floor(room/(float64(side)*dot) + 1e-9))
	if dots < b.Dots {
		return fmt.Errorf("%w: the code %q of version %d needs %.1f mm a side with modules of %.2f mm, and the layout %q has %.1f mm",
			ErrTooDense, b.Form, c.Version(), float64(side*b.Dots)*dot, float64(b.Dots)*dot, p.c.Layout.Name, room)
	}
	module := float64(min(dots, mostDots)) * dot * mm
	total := module * float64(side)
	// On the grid of the printer's dots, so that no module is blurred.
	snap := func(v float64) float64 { return math.Round(v/(dot*mm)) * dot * mm }
	x := a.x
	if p.mirror {
		x = a.x + a.w - total
	}
	x, y := snap(x), snap(a.y+(a.h-total)/2)
	quiet := module * image.QuietZone
	p.add(func(to *part) {
		to.tagged(tag{role: "Figure", alt: alt}, func() { to.code(c, x+quiet, y+quiet, module) })
	})
	return nil
}

// help puts the code with the address of the checker page, which is the same on
// thousands of sheets.
func (p *plan) help(b *Block, a area) error {
	h := p.small
	if h.code == nil || h.text != p.c.Help {
		c, err := drawSmall(p.c.Help)
		if err != nil {
			return err
		}
		h.text, h.code = p.c.Help, c
	}
	return p.place(b, a, h.code, p.words.Text("paper.alt.help", map[string]string{"address": visible.Text(p.c.Help)}))
}

// A helpCode is the last help code that was drawn.
type helpCode struct {
	text string
	code *image.Code
}

// drawSmall draws a code of version 3 at most, as robust as that allows.
func drawSmall(text string) (*image.Code, error) {
	for _, level := range []image.Level{image.M, image.L} {
		c, err := image.Draw(text, level)
		if err != nil && !errors.Is(err, image.ErrTooLong) {
			return nil, fmt.Errorf("docpdf: help code: %w", err)
		}
		if err == nil && c.Version() <= maxHelp {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%w: the address of the checker page has %d characters; a small code has room for %d", ErrTooDense, len(text), HelpLength)
}

// maxHelp is the version of the largest help code.
const maxHelp = 3

// HelpLength is the most characters that the address of the checker page can have
// (version 3-L, ISO/IEC 18004 table 7).
const HelpLength = 53

// photo puts the portrait.
func (p *plan) photo(b *Block, a area) {
	face := p.c.Photo
	if face == nil {
		return
	}
	info, err := stdimage.DecodeConfig(bytes.NewReader(face.Data))
	if face.MediaType != "image/jpeg" || err != nil || info.Width < 1 || info.Height < 1 || info.Width > 4096 || info.Height > 4096 {
		p.note(NoPhoto, b.Put)
		return
	}
	scale := min(a.w/float64(info.Width), a.h/float64(info.Height))
	w, h := float64(info.Width)*scale, float64(info.Height)*scale
	name := "photo" + strconv.Itoa(p.number)
	data := face.Data
	p.add(func(to *part) {
		options := fpdf.ImageOptions{ImageType: "jpeg"}
		to.pdf.RegisterImageOptionsReader(name, options, bytes.NewReader(data))
		to.tagged(tag{role: "Figure", alt: p.words.Text("paper.alt.photo", nil)}, func() {
			to.pdf.ImageOptions(name, a.x+(a.w-w)/2, a.y, w, h, false, options, 0, "")
		})
	})
}

// pictogram draws a phone with a code in its finder, which needs no language. It has
// nothing that a reader could take for the corner of a code.
func (p *part) pictogram(a area) {
	u := min(a.w/8, a.h/12)
	x, y := a.x+(a.w-8*u)/2, a.y
	p.rect(x, y, 8*u, 12*u, u/2)
	p.stroke(x+3.2*u, y+10.8*u, x+4.8*u, y+10.8*u, u*0.6, "")
	for _, c := range [][2]float64{{1.2, 2.2}, {6.8, 2.2}, {1.2, 8.2}, {6.8, 8.2}} {
		in, down := 1.3, 1.3
		if c[0] > 4 {
			in = -in
		}
		if c[1] > 5 {
			down = -down
		}
		p.stroke(x+c[0]*u, y+c[1]*u, x+(c[0]+in)*u, y+c[1]*u, u*0.35, "")
		p.stroke(x+c[0]*u, y+c[1]*u, x+c[0]*u, y+(c[1]+down)*u, u*0.35, "")
	}
	for row, cells := range []string{"x.xx", ".x.x", "xx.x", "x.x."} {
		for col, cell := range cells {
			if cell == 'x' {
				from := x + (2.2+0.9*float64(col))*u
				at := y + (3.9+0.9*float64(row))*u
				p.stroke(from, at, from+0.9*u, at, u*0.9, "")
			}
		}
	}
}
