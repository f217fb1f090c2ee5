package docpdf

import (
	"strings"
	"unicode"

	"github.com/go-text/typesetting/bidi"
	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/math/fixed"
	xbidi "golang.org/x/text/unicode/bidi"

	"github.com/sanad-id/sanad/internal/visible"
)

// maxText is the most characters of one text that are looked at.
const maxText = 600

// em is the size at which texts are shaped: lengths are thousandths of the font size,
// whatever size is chosen afterwards.
const em = 1000

// The height of a line is that of its letters and no more than the font asks for: fonts of
// scripts with marks on marks ask for more than most words need. In thousandths of the
// font size.
const (
	lineGap      = 100
	leastAscent  = 950
	leastDescent = 270
)

// direction marks, which say how a paragraph runs whatever its first letter.
const (
	leftToRightMark = '\u200e'
	rightToLeftMark = '\u200f'
)

// A typesetter turns texts into lines of glyphs. It is not safe for concurrent use.
type typesetter struct {
	files    []*fontFile
	faces    []*font.Face
	index    map[*font.Face]int
	shaper   shaping.HarfbuzzShaper
	segments shaping.Segmenter
	wrapper  shaping.LineWrapper
	bidi     bidi.Paragraph

	missing bool // a character was met that no font has
}

func newTypesetter(files []*fontFile) *typesetter {
	t := &typesetter{files: files, index: map[*font.Face]int{}}
	for i, f := range files {
		face := font.NewFace(f.font)
		t.faces = append(t.faces, face)
		t.index[face] = i
	}
	return t
}

// ResolveFace implements [shaping.Fontmap]: the first font that has the character.
// The first font of all draws a box for what none has.
func (t *typesetter) ResolveFace(r rune) *font.Face {
	for _, f := range t.faces {
		if _, ok := f.NominalGlyph(r); ok {
			return f
		}
	}
	if !visible.Steers(r) && !unicode.Is(unicode.Cf, r) {
		t.missing = true
	}
	return t.faces[0]
}

// A paragraph is a text that was shaped.
type paragraph struct {
	runes  []rune
	runs   []shaping.Output
	levels []int // of runs
	level  int   // of the paragraph: 1 if it runs from right to left
	// lang is its language tag where that is not the document's.
	lang string
	// missing says that no font has some character of it.
	missing bool
}

// A line is one line of a paragraph, its runs from left to right.
type line struct {
	of              *paragraph
	runs            []shaping.Output
	width           float64 // in thousandths of the font size
	ascent, descent float64
}

// outside makes a text from outside safe to print, see [visible.CleanTo]. cut says that
// there is more to it than is shown.
func outside(text string) (shown string, cut bool) {
	shown, cut = visible.CleanTo(text, maxText)
	return strings.Trim(shown, "\u2068\u2069"), cut
}

// shape shapes a text that is safe to print. It runs from right to left, from left to
// right, or as its first letter says.
func (t *typesetter) shape(text, lang string, way way) *paragraph {
	p := &paragraph{}
	if way == byText {
		way = firstStrong(text, leftToRight)
	}
	mark := leftToRightMark
	base := bidi.LeftToRight
	if way == rightToLeft {
		mark, base, p.level = rightToLeftMark, bidi.RightToLeft, 1
	}
	p.runes = append([]rune{mark}, []rune(text)...)
	t.missing = false
	runs := t.bidi.Segment(p.runes, base)
	for i := range runs.NumRuns() {
		r := runs.Run(i)
		in := shaping.Input{
			Text: p.runes, RunStart: r.Start, RunEnd: r.End, Size: fixed.I(em), Language: language.NewLanguage(lang),
		}
		if r.Level%2 == 1 {
			in.Direction = di.DirectionRTL
		}
		for _, in := range t.segments.Split(in, t) {
			in.Direction = di.DirectionLTR
			if r.Level%2 == 1 {
				in.Direction = di.DirectionRTL
			}
			switch in.Script {
			case language.Latin, language.Greek, language.Cyrillic:
				in.FontFeatures = withoutLigatures
			}
			out := t.shaper.Shape(in)
			p.runs, p.levels = append(p.runs, out), append(p.levels, int(r.Level))
		}
	}
	p.missing = t.missing
	return p
}

// withoutLigatures leaves letters apart that need not be joined, so that each is found
// in the file as itself.
var withoutLigatures = []shaping.FontFeature{{Tag: opentype.MustNewTag("liga"), Value: 0}, {Tag: opentype.MustNewTag("clig"), Value: 0}}

// A way is how a paragraph runs.
type way int

const (
	byText way = iota
	leftToRight
	rightToLeft
)

// firstStrong is how the first letter of a text runs (UAX #9, P2 and P3).
func firstStrong(text string, otherwise way) way {
	for _, r := range text {
		p, _ := xbidi.LookupRune(r)
		switch p.Class() {
		case xbidi.L:
			return leftToRight
		case xbidi.R, xbidi.AL:
			return rightToLeft
		}
	}
	return otherwise
}

// wrap breaks a paragraph into lines of at most this width in thousandths of the font
// size. A word that is wider is broken between letters.
func (t *typesetter) wrap(p *paragraph, width float64) []line {
	cfg := shaping.WrapConfig{BreakPolicy: shaping.WhenNecessary, DisableTrailingWhitespaceTrim: true}
	if p.level == 1 {
		cfg.Direction = di.DirectionRTL
	}
	outs, _ := t.wrapper.WrapParagraphF(cfg, fixed.Int26_6(width*64), p.runes, shaping.NewSliceIterator(p.runs))
	lines := make([]line, 0, len(outs))
	for _, o := range outs {
		lines = append(lines, p.line(append(shaping.Line(nil), o...)))
	}
	return lines
}

// line puts the runs of a line, which are in the order of reading, into the order in
// which they stand, without the spaces at the end.
func (p *paragraph) line(runs shaping.Line) line {
	l := line{of: p}
	end := 0
	for _, r := range runs {
		end = max(end, r.Runes.Offset+r.Runes.Count)
	}
	for end > 0 && (unicode.IsSpace(p.runes[end-1])) {
		end--
	}
	levels := make([]int, len(runs))
	for i, r := range runs {
		levels[i] = p.levelAt(r.Runes.Offset)
		var kept []shaping.Glyph
		for _, g := range r.Glyphs {
			if g.TextIndex() < end && g.TextIndex() > 0 {
				kept = append(kept, g)
			}
		}
		r.Glyphs = kept
		r.RecomputeAdvance()
		runs[i] = r
		l.width += fromFixed(r.Advance)
		l.ascent = max(l.ascent, min(fromFixed(r.LineBounds.Ascent), max(fromFixed(r.GlyphBounds.Ascent)+lineGap, leastAscent)))
		l.descent = max(l.descent, min(-fromFixed(r.LineBounds.Descent), max(-fromFixed(r.GlyphBounds.Descent)+lineGap, leastDescent)))
	}
	l.runs = reorder(runs, levels)
	return l
}

func (p *paragraph) levelAt(offset int) int {
	for i, r := range p.runs {
		if offset >= r.Runes.Offset && offset < r.Runes.Offset+r.Runes.Count {
			return p.levels[i]
		}
	}
	return p.level
}

// reorder is rule L2 of UAX #9: from the highest level down, whatever stands at it or
// above is turned round.
func reorder(runs []shaping.Output, levels []int) []shaping.Output {
	highest := 0
	for _, l := range levels {
		highest = max(highest, l)
	}
	for at := highest; at > 0; at-- {
		for i := 0; i < len(runs); i++ {
			if levels[i] < at {
				continue
			}
			j := i
			for j < len(runs) && levels[j] >= at {
				j++
			}
			for a, b := i, j-1; a < b; a, b = a+1, b-1 {
				runs[a], runs[b] = runs[b], runs[a]
				levels[a], levels[b] = levels[b], levels[a]
			}
			i = j
		}
	}
	return runs
}

func fromFixed(v fixed.Int26_6) float64 { return float64(v) / 64 }
