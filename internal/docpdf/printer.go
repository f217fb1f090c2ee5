package docpdf

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/visible"
)

// Config is what a [Printer] needs. Every field is optional.
type Config struct {
	// Fonts are folders with more fonts (TrueType, .ttf) for scripts that the program
	// has none for. They are asked after those of the program, by name.
	Fonts []string
}

// A Printer prints certificates. Its methods may be called at once from several
// goroutines.
type Printer struct{ fonts []*fontFile }

// New returns a Printer, or an error that names the folder which cannot be read.
func New(c Config) (*Printer, error) {
	p := &Printer{fonts: builtIn()}
	for _, folder := range c.Fonts {
		more, err := readFolder(folder)
		if err != nil {
			return nil, err
		}
		if len(more) == 0 {
			return nil, fmt.Errorf("%w: %s has no TrueType fonts that may be embedded", ErrFont, folder)
		}
		p.fonts = append(p.fonts[:len(p.fonts):len(p.fonts)], more...)
	}
	return p, nil
}

// Render prints one certificate as a PDF file.
func (p *Printer) Render(w io.Writer, c Certificate) ([]Note, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	d := p.Document(w, c.Info())
	notes, err := d.Add(c)
	if err != nil {
		return nil, err
	}
	return notes, d.Close()
}

// Info is what a document says of itself that begins with this certificate.
func (c *Certificate) Info() Info {
	return Info{Title: c.title(), Language: c.Languages[0], Made: c.Issued}
}

// title is what a reader shows as the name of the file: no name of a person.
func (c *Certificate) title() string {
	l := c.Languages[0]
	title := visible.Text(l.Pick(c.Type))
	if issuer := l.Pick(c.Issuer); issuer != "" {
		title += " – " + visible.Text(issuer)
	}
	return readable([]rune(title))
}

// Info is what a document says of itself.
type Info struct {
	// Title is what a reader shows as the name of the document.
	Title string
	// Language is that of the document.
	Language i18n.Language
	// Made is its date. It must be set.
	Made time.Time
}

// partPages is how many pages are held in memory.
const partPages = 60

// A Document is a file with many certificates. It is not safe for concurrent use.
type Document struct {
	set   *typesetter
	out   *joiner
	flush *bufio.Writer
	part  *part
	small helpCode
	count int
	err   error
}

// Document begins a file. Nothing is complete before Close.
func (p *Printer) Document(w io.Writer, info Info) *Document {
	b := bufio.NewWriterSize(w, 1<<16)
	return &Document{set: newTypesetter(p.fonts), out: newJoiner(b, info), flush: b}
}

// Add prints a certificate. After an error about the certificate the document is as it
// was before and others can be added; an error of writing stays.
func (d *Document) Add(c Certificate) ([]Note, error) {
	if d.err != nil {
		return nil, d.err
	}
	plan, err := d.plan(&c)
	if err != nil {
		return nil, err
	}
	if d.part == nil {
		d.part = newPart(d.set)
	}
	notes := plan.draw(d.part)
	d.count++
	if len(d.part.pages) >= partPages {
		d.err = d.write()
	}
	return notes, d.err
}

// Count is how many certificates were added.
func (d *Document) Count() int { return d.count }

// Pages is how many pages they have.
func (d *Document) Pages() int {
	n := d.out.pages()
	if d.part != nil {
		n += len(d.part.pages)
	}
	return n
}

// write hands the pages in memory on.
func (d *Document) write() error {
	if d.part == nil {
		return nil
	}
	b, err := d.part.bytes()
	if err != nil {
		return err
	}
	tags := d.part.pages
	d.part = nil
	return d.out.add(b, tags)
}

// Close completes the file. A document without certificates is an error.
func (d *Document) Close() error {
	if d.err != nil {
		return d.err
	}
	if d.count == 0 {
		return fmt.Errorf("%w: nothing to print", ErrCertificate)
	}
	if d.err = d.write(); d.err != nil {
		return d.err
	}
	if d.err = d.out.close(); d.err != nil {
		return d.err
	}
	d.err = d.flush.Flush()
	if d.err == nil {
		d.err = errClosed
		return nil
	}
	return d.err
}

var errClosed = fmt.Errorf("docpdf: the document is closed")
