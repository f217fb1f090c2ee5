package console

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"math"
	"net/http"
	"strconv"

	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/work"
)

// A Paper knows how the certificates of programmes are printed.
type Paper interface {
	// Layouts are those in which certificates of a programme can be printed, the usual
	// one first.
	Layouts(ctx context.Context, programme string) ([]*docpdf.Layout, error)
	// Certificate is what is printed for a credential by its signed codes, in the usual
	// layout.
	Certificate(ctx context.Context, p work.Printout, codes []docpdf.Signed) (docpdf.Certificate, error)
	// Render prints a certificate as a PDF file.
	Render(w io.Writer, c docpdf.Certificate) ([]docpdf.Note, error)
	// Report prints an account as a PDF file.
	Report(w io.Writer, r docpdf.Report) ([]docpdf.Note, error)
}

// printRoutes are prints of certificates, and a look at prints.
func (c *Console) printRoutes() []route {
	look := post("print_look", "/print-check", staff.Print, c.lookAtPrint)
	look.MaxBody, look.Media = image.MaxFile+maxForm, []string{"multipart/form-data"}
	all := []route{
		get("print_check", "/print-check", staff.Print, c.printCheck).in("paper.nav.check"),
		look,
	}
	if c.cfg.Work == nil || c.cfg.Paper == nil {
		return all
	}
	return append(all,
		get("print", "/items/{id}/print", staff.Print, c.printPage),
		get("print_file", "/items/{id}/print.pdf", staff.Print, c.printFile),
		get("print_view", "/items/{id}/print/view", staff.Print, c.printView),
	)
}

// A printView is the page from which a certificate is printed.
type printView struct {
	Item    work.Item
	Layouts []option
}

// printPage offers the layouts. Nothing is opened yet.
func (c *Console) printPage(w http.ResponseWriter, r *request) error {
	if err := r.must(staff.Done); err != nil {
		return err
	}
	i, err := c.cfg.Work.Item(r.Context(), r.Operator, r.PathValue("id"))
	if err != nil {
		return workError(err)
	}
	if i.State != work.Signed || i.Made == "" {
		return work.ErrNoPrint
	}
	layouts, err := c.cfg.Paper.Layouts(r.Context(), i.Programme)
	if err != nil {
		return away("paper", err)
	}
	v := printView{Item: i}
	for _, l := range layouts {
		v.Layouts = append(v.Layouts, option{Value: l.Name, Label: layoutName(r.Lang, l)})
	}
	return c.render(w, r, http.StatusOK, "print", v)
}

// layoutName is what people call a layout.
func layoutName(lang i18n.Language, l *docpdf.Layout) string {
	if name := lang.Pick(l.Labels); name != "" {
		return name
	}
	return l.Name
}

// printFile opens the print of an item and prints it. Each time is noted, until somebody
// says that the paper is good.
func (c *Console) printFile(w http.ResponseWriter, r *request) error {
	if err := r.must(staff.Done); err != nil {
		return err
	}
	cert, err := c.opened(r)
	if err != nil {
		return err
	}
	// All of it before the first byte, so that an error can still be answered.
	var file bytes.Buffer
	_, err = c.cfg.Paper.Render(&file, cert)
	switch {
	case errors.Is(err, docpdf.ErrTooDense):
		return web.Refuse(http.StatusUnprocessableEntity, "too_dense", "the code does not fit this layout")
	case err != nil:
		return fmt.Errorf("print: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/pdf")
	h.Set("Content-Disposition", `inline; filename="`+cert.Number+`.pdf"`)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(file.Len()))
	_, err = w.Write(file.Bytes())
	return err
}

// opened opens the print of an item, which is noted, in the layout of the address.
func (c *Console) opened(r *request) (docpdf.Certificate, error) {
	none := docpdf.Certificate{}
	name, err := r.query("layout")
	if err != nil {
		return none, err
	}
	p, err := c.cfg.Work.Print(r.Context(), r.Operator, r.PathValue("id"))
	if err != nil {
		return none, workError(err)
	}
	var codes []docpdf.Signed
	for _, f := range p.Forms {
		codes = append(codes, docpdf.Signed{Form: f.Form, Text: f.Text})
	}
	cert, err := c.cfg.Paper.Certificate(r.Context(), p, codes)
	if err != nil {
		return none, fmt.Errorf("print %s: %w", p.Credential, err)
	}
	if name == "" {
		return cert, nil
	}
	layouts, err := c.cfg.Paper.Layouts(r.Context(), p.Programme)
	if err != nil {
		return none, away("paper", err)
	}
	for _, l := range layouts {
		if l.Name == name {
			cert.Layout = l
			return cert, nil
		}
	}
	return none, errNotFound
}

// A paperView is a certificate as a page, to be printed by the browser.
type paperView struct {
	ID, Number, Type, Issuer string
	// Lang is the language of the paper, Dir the direction in which that runs.
	Lang, Dir string
	// Issued and Expires are lines in the language of the paper.
	Issued, Expires string
	Codes           []paperCode
}

// A paperCode is a code with what it says. Side is its width in CSS pixels, of which
// there are 96 to an inch on paper.
type paperCode struct {
	Picture template.URL
	Side    int
	Claims  []claimView
}

// pixelsPerModule are those of the least module that is read well from paper, 0.42 mm
// (qr-and-offline 3.7), at 96 to an inch.
const pixelsPerModule = 1.6

// printView shows a certificate as a page: what the PDF file says, for browsers that
// print it themselves. Opening it is noted as printing is.
func (c *Console) printView(w http.ResponseWriter, r *request) error {
	if err := r.must(staff.Done); err != nil {
		return err
	}
	cert, err := c.opened(r)
	if err != nil {
		return err
	}
	l := cert.Languages[0]
	v := paperView{
		ID: r.PathValue("id"), Number: docpdf.Spaced(cert.Number), Type: l.Pick(cert.Type), Issuer: l.Pick(cert.Issuer), Lang: l.Tag(), Dir: l.Direction(),
		Issued: l.Text("label.issued", nil) + ": " + l.Date(cert.Issued),
	}
	if !cert.Expires.IsZero() {
		v.Expires = l.Text("label.expires", nil) + ": " + l.Date(cert.Expires)
	}
	for i := range cert.Codes {
		code := &cert.Codes[i]
		drawn, err := image.Draw(code.Text, image.Level(code.Level))
		if err != nil {
			return away("drawing", err)
		}
		own := paperCode{Picture: picture(drawn), Side: int(math.Ceil(float64(drawn.Size()+2*image.QuietZone) * pixelsPerModule))}
		for _, claim := range cert.Says(code) {
			text := claim.In(l)
			own.Claims = append(own.Claims, claimView{Label: l.Pick(claim.Labels), Value: text, Lang: cmp.Or(claim.Language, scriptLanguage(text))})
		}
		v.Codes = append(v.Codes, own)
	}
	return c.render(w, r, http.StatusOK, "print_view", v)
}

// A lookView is what a picture of a print shows.
type lookView struct {
	Asked bool
	Codes []lookCode
}

// A lookCode is one code of it, in words.
type lookCode struct {
	Version                            int
	Good                               bool
	Pixels, Millimetres, Contrast, Bad string
	Advice                             []string
}

func (c *Console) printCheck(w http.ResponseWriter, r *request) error {
	return c.renderForm(w, r, http.StatusOK, "print_check", blank(), lookView{})
}

// lookAtPrint looks at an upload. What the codes say is neither judged nor kept.
func (c *Console) lookAtPrint(w http.ResponseWriter, r *request) error {
	f, file, err := readUpload(r)
	if err != nil {
		return err
	}
	dpi := 0.0
	if s := f.Get("dpi"); s != "" {
		if dpi, err = strconv.ParseFloat(s, 64); err != nil || !(dpi >= 50 && dpi <= 4800) {
			f.fail("dpi", "paper.check.dpi.wrong")
		}
	}
	var picture []byte
	if file == nil {
		f.fail("file", "paper.check.no_file")
	} else if picture, err = io.ReadAll(io.LimitReader(file, image.MaxFile+1)); err != nil {
		return web.Refuse(http.StatusBadRequest, "bad_form", "the file is cut short")
	}
	if !f.OK() {
		return c.renderForm(w, r, http.StatusOK, "print_check", f, lookView{})
	}
	scans, err := image.Inspect(picture)
	v := lookView{Asked: true}
	switch {
	case errors.Is(err, image.ErrNoCode):
	case errors.Is(err, image.ErrTooLarge):
		f.fail("file", "paper.check.large")
	case err != nil:
		f.fail("file", "paper.check.no_picture")
	default:
		for _, s := range scans {
			v.Codes = append(v.Codes, lookAt(r.Lang, s, dpi))
		}
	}
	return c.renderForm(w, r, http.StatusOK, "print_check", f, v)
}

// lookAt puts a scan into words.
func lookAt(l i18n.Language, s image.Scan, dpi float64) lookCode {
	code := lookCode{Version: s.Version, Pixels: l.Decimal(s.Module, 1), Contrast: l.Percent(s.Contrast)}
	if dpi > 0 {
		code.Millimetres = l.Decimal(s.Millimetres(dpi), 2)
	}
	if s.Damage >= 0 {
		code.Bad = l.Percent(s.Damage)
	}
	for _, a := range s.Advice(dpi) {
		code.Advice = append(code.Advice, "paper.scan."+string(a))
	}
	code.Good = len(code.Advice) == 0
	return code
}
