package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/web/console"
	"github.com/sanad-id/sanad/work"
)

// filePDF is a printed certificate with all codes of a credential. A batch makes one
// file of all of them instead.
const filePDF issuance.FileKind = "pdf"

// paperOrder is what commands are told about paper.
type paperOrder struct {
	layout    string
	languages []string
}

func (o *paperOrder) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.layout, "layout", "", "print as sheet, card or strip, or by a layout `FILE` (default: the programme's in the settings, else sheet)")
	c.Flags().StringSliceVar(&o.languages, "paper-language", nil, "one or two languages of the paper (default: those of the settings, else en)")
}

// A paper prints the certificates of one programme.
type paper struct {
	printer   *docpdf.Printer
	layout    *docpdf.Layout
	languages []i18n.Language
	issuer    map[string]string
	help      string
}

// paper is how certificates of a programme are printed.
func (a *app) paper(p *programme.Programme, o paperOrder) (*paper, error) {
	printer, err := newPrinter(a.cfg)
	if err != nil {
		return nil, err
	}
	return newPaper(a.cfg, printer, p, o)
}

// newPrinter has the fonts of the settings.
func newPrinter(cfg Config) (*docpdf.Printer, error) {
	printer, err := docpdf.New(docpdf.Config{Fonts: cfg.Paper.Fonts})
	if err != nil {
		return nil, cli.Hint(err, "paper.fonts of the settings names folders with TrueType fonts")
	}
	return printer, nil
}

func newPaper(cfg Config, printer *docpdf.Printer, p *programme.Programme, o paperOrder) (*paper, error) {
	c := cfg.Paper
	out := &paper{printer: printer, issuer: cfg.Issuer.Names, help: c.Help}
	var err error
	if out.layout, err = findLayout(first(o.layout, c.Layouts[p.ID], "sheet")); err != nil {
		return nil, err
	}
	if out.languages, err = paperLanguages(o.languages, c.Languages); err != nil {
		return nil, err
	}
	if err := hasForms(p, out.layout); err != nil {
		return nil, cli.Hint(err, "add the code to `forms` of the programme, or print with --layout sheet")
	}
	return out, nil
}

// hasForms says whether a programme makes the codes that a layout needs.
func hasForms(p *programme.Programme, l *docpdf.Layout) error {
	for _, form := range l.Forms() {
		if err := hasForm(p, form); err != nil {
			return fmt.Errorf("layout %s: %w", l.Name, err)
		}
	}
	return nil
}

// officePaper is the paper of the console.
type officePaper struct {
	*docpdf.Printer
	cfg  Config
	desk *desk
}

var _ console.Paper = (*officePaper)(nil)

// of is the paper of a programme, version 0 being the newest.
func (o *officePaper) of(ctx context.Context, id string, version int) (prog *programme.Programme, p *paper, err error) {
	err = o.desk.with(readOnly, func(a *app) (err error) {
		prog, err = a.service.Programme(ctx, id, version)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	p, err = newPaper(o.cfg, o.Printer, prog, paperOrder{})
	return prog, p, err
}

// Layouts implements [console.Paper]: the usual one, and those of the program for
// which the programme has the codes.
func (o *officePaper) Layouts(ctx context.Context, id string) ([]*docpdf.Layout, error) {
	prog, p, err := o.of(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	all := []*docpdf.Layout{p.layout}
	for _, l := range docpdf.Layouts() {
		if l.Name != p.layout.Name && hasForms(prog, l) == nil {
			all = append(all, l)
		}
	}
	return all, nil
}

// Certificate implements [console.Paper].
func (o *officePaper) Certificate(ctx context.Context, out work.Printout, codes []docpdf.Signed) (docpdf.Certificate, error) {
	prog, p, err := o.of(ctx, out.Programme, out.Version)
	if err != nil {
		return docpdf.Certificate{}, err
	}
	c, err := docpdf.Fill(prog, codes)
	if err == nil {
		p.complete(out.Credential, &c)
	}
	return c, err
}

// batch is the print of a batch of the console, in a layout of [officePaper.Layouts].
func (o *officePaper) batch(ctx context.Context, order batchwork.PrintOrder, to io.Writer) (done batchwork.Printed, err error) {
	p, err := newPaper(o.cfg, o.Printer, order.Programme, paperOrder{})
	if err != nil {
		return done, fmt.Errorf("%w: %w", batchwork.ErrUnprintable, err)
	}
	if name := order.Job.Print.Layout; name != "" && name != p.layout.Name {
		l, ok := docpdf.LayoutNamed(name)
		if !ok {
			return done, fmt.Errorf("%w: there is no layout %q", batchwork.ErrUnprintable, name)
		}
		if err := hasForms(order.Programme, l); err != nil {
			return done, fmt.Errorf("%w: %w", batchwork.ErrUnprintable, err)
		}
		p.layout = l
	}
	printed, err := o.Batch(ctx, to, docpdf.Batch{
		Folder: order.Folders[0], More: order.Folders[1:], Programme: order.Programme, Complete: p.complete,
		Progress: func(n int) { order.Progress(int64(n)) }, Noted: func(id string, n docpdf.Note) { order.Noted(id, n.What, n.Where) },
	})
	switch {
	case errors.Is(err, docpdf.ErrNoCodes):
		err = fmt.Errorf("%w: %w", batchwork.ErrErased, err)
	case errors.Is(err, docpdf.ErrCertificate):
		err = fmt.Errorf("%w: %w", batchwork.ErrUnprintable, err)
	}
	return batchwork.Printed{
		Certificates: int64(printed.Certificates), Pages: int64(printed.Pages), Refused: int64(printed.Refused), Notes: int64(printed.Notes),
	}, err
}

// first returns the first of these that is not empty.
func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// hasForm says whether a programme makes the code that a layout needs.
func hasForm(p *programme.Programme, form string) error {
	codes := slices.DeleteFunc(slices.Clone(p.Forms), programme.Form.Wallet)
	switch {
	case form == docpdf.MainForm && len(codes) > 0, form == docpdf.NarrowForm && len(codes) > 1:
		return nil
	case slices.ContainsFunc(codes, func(f programme.Form) bool { return f.Name == form }):
		return nil
	case form == docpdf.NarrowForm:
		return fmt.Errorf("the programme %s has no second, narrower code", p.ID)
	}
	return fmt.Errorf("the programme %s has no code %q", p.ID, form)
}

// findLayout is a layout of the program, or one in a file.
func findLayout(name string) (*docpdf.Layout, error) {
	if l, ok := docpdf.LayoutNamed(name); ok {
		return l, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, cli.Hint(fmt.Errorf("layout %q: %w", name, err), "sheet, card and strip are built in; any other name is that of a file")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, docpdf.MaxLayout+1))
	if err != nil {
		return nil, fmt.Errorf("layout %q: %w", name, err)
	}
	l, err := docpdf.ParseLayout(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l, nil
}

// paperLanguages are the languages of the command line, else of the settings, else
// English.
func paperLanguages(asked, settings []string) ([]i18n.Language, error) {
	tags := asked
	if len(tags) == 0 {
		tags = settings
	}
	if len(tags) == 0 {
		tags = []string{"en"}
	}
	if len(tags) > 2 {
		return nil, errors.New("paper has room for labels in one or two languages")
	}
	var all []i18n.Language
	for _, tag := range tags {
		l := i18n.For(tag)
		if l.Tag() != tag {
			return nil, fmt.Errorf("paper: there is no language %q; there are %s", tag, strings.Join(languageTags(), ", "))
		}
		all = append(all, l)
	}
	return all, nil
}

func languageTags() []string {
	var tags []string
	for _, l := range i18n.Languages() {
		tags = append(tags, l.Tag())
	}
	return tags
}

// complete sets what the codes do not say.
func (p *paper) complete(id string, c *docpdf.Certificate) {
	c.Layout, c.Languages, c.Issuer, c.Help = p.layout, p.languages, p.issuer, p.help
	if issuance.ValidID(id) {
		c.Number = issuance.DocumentNumber(id)
	}
}

// write writes the certificate of a credential that was just released. If it cannot
// be printed its codes are written as text, since nobody has them otherwise.
func (p *paper) write(cmd *cobra.Command, out string, prog *programme.Programme, issued issuance.Issued) (string, error) {
	path := filepath.Join(out, issued.Credential.ID+".pdf")
	var signed []docpdf.Signed
	for _, f := range issued.Forms {
		signed = append(signed, docpdf.Signed{Form: f.Form, Text: f.Text})
	}
	c, err := docpdf.Fill(prog, signed)
	if err == nil {
		p.complete(issued.Credential.ID, &c)
		var notes []docpdf.Note
		err = durable.ReplaceFunc(path, 0o600, func(w io.Writer) error {
			notes, err = p.printer.Render(w, c)
			return err
		})
		for _, n := range notes {
			cli.Say(cmd, "note: on paper %s: %s", noteWords[n.What], n.Where)
		}
	}
	if err != nil {
		_, lost := writeForms(out, []issuance.FileKind{issuance.FileText}, prog.Form, issued)
		return "", cli.Hint(errors.Join(fmt.Errorf("print %s: %w", issued.Credential.ID, err), lost),
			"the credential is issued; its codes are in %s as text. Print them with another --layout: `issuer print %s`", out, out)
	}
	return path, nil
}

// noteWords are notes in words.
var noteWords = map[string]string{
	docpdf.Clipped: "a text was cut", docpdf.Missing: "characters that no font has are boxes", docpdf.NoPhoto: "the portrait is of a kind that cannot be printed",
	docpdf.LeftOut: "there was no room for a claim", docpdf.NotPrinted: "a certificate was left out",
}

// batch prints the codes of a batch into one file, with what was amiss beside it.
func (p *paper) batch(ctx context.Context, prog *programme.Programme, folder, path string, progress func(int)) (docpdf.Printed, error) {
	var printed docpdf.Printed
	var rows [][]string
	err := durable.ReplaceFunc(path, 0o600, func(w io.Writer) error {
		var err error
		printed, err = p.printer.Batch(ctx, w, docpdf.Batch{
			Folder: folder, Programme: prog, Complete: p.complete, Progress: progress,
			Noted: func(id string, n docpdf.Note) {
				if len(rows) < maxNoteRows {
					rows = append(rows, []string{id, n.What, n.Where})
				}
			},
		})
		return err
	})
	if err != nil {
		return printed, fmt.Errorf("print %s: %w", path, err)
	}
	if len(rows) == 0 {
		if err := os.Remove(notesPath(path)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return printed, err
		}
		return printed, nil
	}
	return printed, durable.ReplaceFunc(notesPath(path), 0o600, func(w io.Writer) error {
		c := csv.NewWriter(w)
		_ = c.Write([]string{"credential_id", "note", "where"})
		_ = c.WriteAll(rows)
		return c.Error()
	})
}

// maxNoteRows bounds the list of notes; the counts go on.
const maxNoteRows = 20_000

// notesPath is the list of what could not be printed as it is.
func notesPath(pdf string) string { return strings.TrimSuffix(pdf, ".pdf") + ".notes.csv" }

// says tells what was printed; the exit status is 3 if certificates were left out.
func (p *program) says(cmd *cobra.Command, printed docpdf.Printed, path string) error {
	cli.Say(cmd, "%s: %d certificates on %d pages", path, printed.Certificates, printed.Pages)
	if printed.Notes > 0 || printed.Refused > 0 {
		cli.Say(cmd, "%d certificates could not be printed, and %d places are not as they should be: see %s", printed.Refused, printed.Notes, notesPath(path))
	}
	if printed.Refused > 0 {
		return cli.Exit(exitPartial)
	}
	return nil
}
