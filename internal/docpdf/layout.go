package docpdf

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/sanad-id/sanad/internal/strictyaml"
)

//go:embed layouts/*.yaml
var layoutFiles embed.FS

// Limits on layout files.
const (
	// MaxLayout is the largest layout file, in bytes.
	MaxLayout = 64 << 10
	maxBlocks = 100
	maxPages  = 4
	maxPaper  = 1200 // mm
)

// Dots of the printers that certificates are made for: 300 in an inch.
const dot = 25.4 / 300

// Modules of a code are between these sizes, in dots of 300 to an inch: 5 dots are 0.42
// mm, the least that is read well from paper (qr-and-offline 3.7). Four dots, 0.34 mm, are
// the least that a layout can ask for: that is for printers of a press, and clean cameras.
const (
	moduleDots = 5
	leastDots  = 4
	mostDots   = 10
)

// ErrLayout: a layout file that cannot be used. The text says where and why.
var ErrLayout = errors.New("docpdf: layout")

// A Layout says what stands where on paper. It is made by [ParseLayout].
type Layout struct {
	// Name is "sheet", "card", "strip" or another word.
	Name string `yaml:"layout"`
	// Labels are its name for people by language tag.
	Labels map[string]string `yaml:"labels"`
	// Paper is "A4", "A5", "A7", "ID-1", "letter", or "WIDTHxHEIGHT" in millimetres.
	Paper string `yaml:"paper"`
	// Landscape turns the paper.
	Landscape bool `yaml:"landscape"`
	// Pages are the sides, each a list of blocks.
	Pages [][]Block `yaml:"pages"`

	width, height float64 // mm
}

// A Block is one thing on a page. Where the first language runs from right to left the
// page is mirrored.
type Block struct {
	// Put says what: issuer, type, claims, number, dates, code, help, scan, photo, text,
	// line or frame.
	Put string `yaml:"put"`
	// At is the top left corner, Box width and height, in millimetres.
	At  []float64 `yaml:"at"`
	Box []float64 `yaml:"box"`
	// Size is that of letters in points, Least the size down to which they may shrink.
	Size  float64 `yaml:"size"`
	Least float64 `yaml:"least"`
	// Bold is heavier letters.
	Bold bool `yaml:"bold"`
	// Align is start, middle or end.
	Align string `yaml:"align"`
	// Form is the code that a block is about: main, narrow, or the name of a form. A block
	// about a code that the certificate does not have is an error, unless Optional.
	Form     string `yaml:"form"`
	Optional bool   `yaml:"optional"`
	// Dots is the least size of a module in dots of 300 to an inch: 5 if not given.
	Dots int `yaml:"dots"`
	// Columns is in how many columns claims stand; 1 if not given.
	Columns int `yaml:"columns"`
	// Key is the sentence of a text: one of the catalogue's, without "paper.".
	Key string `yaml:"key"`
	// Dashed lines are for scissors.
	Dashed bool `yaml:"dashed"`
}

// What can be put.
const (
	putIssuer = "issuer"
	putType   = "type"
	putClaims = "claims"
	putNumber = "number"
	putDates  = "dates"
	putCode   = "code"
	putHelp   = "help"
	putScan   = "scan"
	putPhoto  = "photo"
	putText   = "text"
	putLine   = "line"
	putFrame  = "frame"
)

var puts = []string{
	putIssuer, putType, putClaims, putNumber, putDates, putCode, putHelp, putScan, putPhoto, putText, putLine, putFrame,
}

// texts are the sentences that a layout can put.
var texts = []string{"check", "cut", "strip", "keep"}

// papers are sizes in millimetres (ISO 216, ISO/IEC 7810).
var papers = map[string][2]float64{
	"A4": {210, 297}, "A5": {148, 210}, "A6": {105, 148}, "A7": {74, 105}, "ID-1": {85.6, 53.98}, "letter": {215.9, 279.4},
}

var (
	namePattern  = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	formPattern  = regexp.MustCompile(`^[a-z][a-z0-9]*([_-][a-z0-9]+)*$`)
	paperPattern = regexp.MustCompile(`^([0-9]{2,4}(\.[0-9]{1,2})?)x([0-9]{2,4}(\.[0-9]{1,2})?)$`)
)

// Layouts returns the layouts of the program: sheet, card and strip.
func Layouts() []*Layout { return slices.Clone(ownLayouts()) }

var ownLayouts = sync.OnceValue(func() []*Layout {
	var all []*Layout
	for _, name := range []string{"sheet", "card", "strip"} {
		b, err := layoutFiles.ReadFile("layouts/" + name + ".yaml")
		if err != nil {
			panic("docpdf: internal error: " + err.Error())
		}
		l, err := ParseLayout(b)
		if err != nil || l.Name != name {
			panic(fmt.Sprintf("docpdf: internal error: layout %s: %v", name, err))
		}
		all = append(all, l)
	}
	return all
})

// LayoutNamed returns the layout of the program with this name.
func LayoutNamed(name string) (*Layout, bool) {
	i := slices.IndexFunc(ownLayouts(), func(l *Layout) bool { return l.Name == name })
	if i < 0 {
		return nil, false
	}
	return ownLayouts()[i], true
}

// ParseLayout reads a layout file (YAML). Keys that are not known are errors.
func ParseLayout(b []byte) (*Layout, error) {
	switch {
	case len(b) > MaxLayout:
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrLayout, len(b), MaxLayout)
	case !utf8.Valid(b):
		return nil, fmt.Errorf("%w: not UTF-8", ErrLayout)
	case bytes.ContainsAny(b, "&*"):
		// An anchor repeats what stands elsewhere, and can do so a million times.
		return nil, fmt.Errorf("%w: anchors and aliases (& and *) are not used in layouts", ErrLayout)
	}
	var l Layout
	if err := strictyaml.Decode(b, strictyaml.MaxMembers, &l); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLayout, err)
	}
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLayout, err)
	}
	return &l, nil
}

// Forms are the codes that a certificate must have to be printed: [MainForm],
// [NarrowForm] or names of forms, each once.
func (l *Layout) Forms() []string {
	var forms []string
	for _, page := range l.Pages {
		for _, b := range page {
			if !b.Optional && !slices.Contains(forms, b.Form) {
				forms = append(forms, b.Form)
			}
		}
	}
	return forms
}

func (l *Layout) check() error {
	if !namePattern.MatchString(l.Name) || len(l.Name) > 40 {
		return fmt.Errorf("layout: %q is not lower-case letters and digits with - between words", clip(l.Name))
	}
	if err := l.size(); err != nil {
		return err
	}
	if len(l.Pages) == 0 || len(l.Pages) > maxPages {
		return fmt.Errorf("pages: %d of them, want 1 to %d", len(l.Pages), maxPages)
	}
	n, codes := 0, 0
	for i, page := range l.Pages {
		for j := range page {
			if n++; n > maxBlocks {
				return fmt.Errorf("more than %d blocks", maxBlocks)
			}
			if page[j].Put == putCode {
				codes++
			}
			if err := page[j].check(l.width, l.height); err != nil {
				return fmt.Errorf("page %d, block %d: %w", i+1, j+1, err)
			}
		}
	}
	if codes == 0 {
		return errors.New("no code is put anywhere")
	}
	return nil
}

// size finds the size of the paper.
func (l *Layout) size() error {
	wh, ok := papers[l.Paper]
	if !ok {
		m := paperPattern.FindStringSubmatch(l.Paper)
		if m == nil {
			return fmt.Errorf("paper: %q is none of A4, A5, A6, A7, ID-1, letter and no size such as 85x54", clip(l.Paper))
		}
		if _, err := fmt.Sscan(m[1]+" "+m[3], &wh[0], &wh[1]); err != nil {
			return fmt.Errorf("paper: %q is no size", clip(l.Paper))
		}
	}
	l.width, l.height = wh[0], wh[1]
	if l.Landscape {
		l.width, l.height = l.height, l.width
	}
	if min(l.width, l.height) < 20 || max(l.width, l.height) > maxPaper {
		return fmt.Errorf("paper: %g by %g mm, want 20 to %d", l.width, l.height, maxPaper)
	}
	return nil
}

func (b *Block) check(width, height float64) error {
	if !slices.Contains(puts, b.Put) {
		return fmt.Errorf("put: %q is none of %s", clip(b.Put), strings.Join(puts, ", "))
	}
	if len(b.At) != 2 || len(b.Box) != 2 {
		return fmt.Errorf("%s: at and box are two numbers each, in millimetres", b.Put)
	}
	for _, v := range append(append([]float64(nil), b.At...), b.Box...) {
		if !(v >= 0 && v <= maxPaper) {
			return fmt.Errorf("%s: %g is not between 0 and %d", b.Put, v, maxPaper)
		}
	}
	if b.At[0]+b.Box[0] > width+0.01 || b.At[1]+b.Box[1] > height+0.01 {
		return fmt.Errorf("%s: reaches beyond the paper of %g by %g mm", b.Put, width, height)
	}
	if b.Size == 0 {
		b.Size = 10
	}
	if b.Least == 0 {
		b.Least = min(b.Size, 6)
	}
	if !(b.Size >= 4 && b.Size <= 96 && b.Least >= 4 && b.Least <= b.Size) {
		return fmt.Errorf("%s: size %g down to %g; letters have 4 to 96 points", b.Put, b.Size, b.Least)
	}
	if b.Align == "" {
		b.Align = "start"
	}
	if !slices.Contains([]string{"start", "middle", "end"}, b.Align) {
		return fmt.Errorf("%s: align: %q is none of start, middle, end", b.Put, clip(b.Align))
	}
	if b.Form == "" {
		b.Form = MainForm
	}
	if !formPattern.MatchString(b.Form) || len(b.Form) > 40 {
		return fmt.Errorf("%s: form: %q is no name of a code", b.Put, clip(b.Form))
	}
	if b.Dots == 0 {
		b.Dots = moduleDots
	}
	if b.Dots < leastDots || b.Dots > mostDots {
		return fmt.Errorf("%s: dots: %d is not between %d and %d", b.Put, b.Dots, leastDots, mostDots)
	}
	if b.Columns == 0 {
		b.Columns = 1
	}
	if b.Columns < 1 || b.Columns > 3 {
		return fmt.Errorf("%s: columns: %d is not 1, 2 or 3", b.Put, b.Columns)
	}
	if b.Put == putText && !slices.Contains(texts, b.Key) {
		return fmt.Errorf("text: key: %q is none of %s", clip(b.Key), strings.Join(texts, ", "))
	}
	return nil
}

// clip keeps what a file says short enough for an error.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
