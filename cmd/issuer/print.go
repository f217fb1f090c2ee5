package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/qr/image"
)

func (p *program) printCommand() *cobra.Command {
	var id, pdf string
	var on paperOrder
	c := &cobra.Command{
		Use: "print --programme P --pdf FILE FOLDER|CODE.txt...", Short: "Print codes that were issued before", Args: cobra.MinimumNArgs(1),
		Long: `Prints certificates from the codes that an earlier command wrote: a folder with the files of codes of a batch (--form csv, or
--pdf), or files with the text of a code (--form text). Files of one credential, ID.txt and ID-strip.txt, become one certificate.

Nothing is issued: the paper says what the codes say. Who can print twice can hand out twice; keep such folders like certificates.`,
		Example: `  issuer print --dir office --programme birth-certificate --pdf births.pdf certificates
  issuer print --dir office --programme trade-licence --layout strip --pdf strip.pdf out/01KA….txt out/01KA…-strip.txt
  issuer print check scan.png --dpi 300`,
		RunE: p.office(readOnly, func(cmd *cobra.Command, app *app, args []string) error {
			prog, err := app.programme(cmd, id)
			if err != nil {
				return err
			}
			paper, err := app.paper(prog, on)
			if err != nil {
				return err
			}
			if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
				if len(args) > 1 {
					return errors.New("one folder at a time")
				}
				printed, err := paper.batch(cmd.Context(), prog, args[0], pdf, nil)
				if errors.Is(err, docpdf.ErrNoCodes) {
					return cli.Hint(err, "batches write them with --form csv")
				}
				if err != nil {
					return err
				}
				return p.says(cmd, printed, pdf)
			}
			return p.printFiles(cmd, paper, prog, args, pdf)
		}),
	}
	on.flags(c)
	c.Flags().StringVar(&id, "programme", "", "the programme that the codes were issued under (required)")
	c.Flags().StringVar(&pdf, "pdf", "", "the `FILE` to write (required)")
	_ = c.MarkFlagRequired("programme")
	_ = c.MarkFlagRequired("pdf")
	c.AddCommand(p.printCheckCommand())
	return c
}

// printFiles prints texts of codes, those of one credential together.
func (p *program) printFiles(cmd *cobra.Command, paper *paper, prog *programme.Programme, names []string, pdf string) error {
	signed := map[string][]docpdf.Signed{}
	var ids []string
	for _, name := range names {
		b, err := readText(name)
		if err != nil {
			return err
		}
		id, form, err := credentialOf(name, prog)
		if err != nil {
			return err
		}
		if signed[id] == nil {
			ids = append(ids, id)
		}
		signed[id] = append(signed[id], docpdf.Signed{Form: form, Text: b})
	}
	var printed docpdf.Printed
	err := durable.ReplaceFunc(pdf, 0o600, func(w io.Writer) error {
		var document *docpdf.Document
		for _, id := range ids {
			c, err := docpdf.Fill(prog, signed[id])
			if err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
			paper.complete(id, &c)
			if document == nil {
				document = paper.printer.Document(w, c.Info())
			}
			notes, err := document.Add(c)
			if err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
			for _, n := range notes {
				cli.Say(cmd, "note: on paper %s: %s", noteWords[n.What], n.Where)
			}
		}
		printed = docpdf.Printed{Certificates: document.Count(), Pages: document.Pages()}
		return document.Close()
	})
	if err != nil {
		return fmt.Errorf("print %w", err)
	}
	return p.says(cmd, printed, pdf)
}

// readText reads the text of a code.
func readText(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	const most = 5000 // a code has 4296 characters
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(b) > most {
		err = errors.New("too large for the text of a code")
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// credentialOf takes id and form from the name of a file, ID.txt or ID-FORM.txt.
func credentialOf(name string, prog *programme.Programme) (id, form string, err error) {
	base := strings.TrimSuffix(filepath.Base(name), ".txt")
	id, form, _ = strings.Cut(base, "-")
	if !issuance.ValidID(id) {
		return "", "", cli.Hint(fmt.Errorf("%s is not named after a credential", name), "`issuer issue --form text` names its files CREDENTIAL_ID.txt and CREDENTIAL_ID-FORM.txt")
	}
	if form == "" {
		for _, f := range prog.Forms {
			if !f.Wallet() {
				return id, f.Name, nil
			}
		}
	}
	return id, form, nil
}

func (p *program) printCheckCommand() *cobra.Command {
	var dpi float64
	var language string
	c := &cobra.Command{
		Use: "check PICTURE...", Short: "Say whether a print can be read, from a scan or photograph of it", Args: cobra.MinimumNArgs(1),
		Long: `Try a printer before the first certificate leaves the office: print three, scan or photograph them, and see what this says of each
code. The codes are read, not judged: ` + "`verifier check`" + ` does that.

Exit status: 0 every code reads well, 3 something should be changed, 4 a picture shows no code that can be read.`,
		Example: `  issuer print check photo.jpg
  issuer print check --dpi 300 scan-1.png scan-2.png scan-3.png`,
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			return p.checkPrints(cmd, args, dpi, i18n.For(language))
		}),
	}
	c.Flags().Float64Var(&dpi, "dpi", 0, "the resolution of a scan, to tell how large the code is on paper")
	c.Flags().StringVar(&language, "language", "en", "the language of the advice")
	return c
}

// printView is what is said of one code of a picture.
type printView struct {
	File     string         `json:"file"`
	Readable bool           `json:"readable"`
	Version  int            `json:"version,omitempty"`
	Pixels   float64        `json:"module_pixels,omitempty"`
	MM       float64        `json:"module_mm,omitempty"`
	Contrast float64        `json:"contrast,omitempty"`
	Damage   *float64       `json:"damage,omitempty"`
	Advice   []image.Remedy `json:"advice"`
}

func (p *program) checkPrints(cmd *cobra.Command, names []string, dpi float64, words i18n.Language) error {
	if dpi != 0 && (dpi < 50 || dpi > 4800) {
		return fmt.Errorf("--dpi %g: scanners have 50 to 4800", dpi)
	}
	worst := 0
	views := []printView{}
	for _, name := range names {
		all, err := inspectFile(name)
		if errors.Is(err, image.ErrNoCode) {
			worst = exitStopped
			views = append(views, printView{File: name, Advice: []image.Remedy{}})
			continue
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		for _, s := range all {
			v := printView{File: name, Readable: true, Version: s.Version, Pixels: round(s.Module), Contrast: round(s.Contrast), Advice: append([]image.Remedy{}, s.Advice(dpi)...)}
			if dpi > 0 {
				v.MM = round(s.Millimetres(dpi))
			}
			if s.Damage >= 0 {
				d := round(s.Damage)
				v.Damage = &d
			}
			if len(v.Advice) > 0 {
				worst = max(worst, exitPartial)
			}
			views = append(views, v)
		}
	}
	if err := p.Print(cmd, views, func(w io.Writer) {
		for _, v := range views {
			v.text(w, words)
		}
	}); err != nil {
		return err
	}
	if worst != 0 {
		return cli.Exit(worst)
	}
	return nil
}

func round(v float64) float64 { return float64(int(v*100+0.5)) / 100 }

// text is the view in words.
func (v printView) text(w io.Writer, words i18n.Language) {
	verdict := "paper.scan.good"
	switch {
	case !v.Readable:
		verdict = "paper.scan.none"
	case len(v.Advice) > 0:
		verdict = "paper.scan.fair"
	}
	fmt.Fprintf(w, "%s: %s\n", cli.Visible(v.File), words.Text(verdict, nil))
	if v.Readable {
		fmt.Fprintf(w, "  version %d, %.1f pixels a module", v.Version, v.Pixels)
		if v.MM > 0 {
			fmt.Fprintf(w, " (%.2f mm)", v.MM)
		}
		fmt.Fprintf(w, ", contrast %.0f %%", v.Contrast*100)
		if v.Damage != nil {
			fmt.Fprintf(w, ", %.1f %% of the modules wrong", *v.Damage*100)
		}
		fmt.Fprintln(w)
	}
	for _, a := range v.Advice {
		fmt.Fprintf(w, "  → %s\n", words.Text("paper.scan."+string(a), nil))
	}
}

// inspectFile looks at the codes of a picture.
func inspectFile(name string) ([]image.Scan, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, image.MaxFile+1))
	if err != nil {
		return nil, err
	}
	return image.Inspect(b)
}
