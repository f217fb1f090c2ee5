package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/qr/image"
)

func (p *program) issueCommand() *cobra.Command {
	var o order
	var on paperOrder
	var record, idempotency string
	var show bool
	c := &cobra.Command{
		Use: "issue --programme P --record ID --out OUT", Short: "Issue for one record", Args: cobra.NoArgs,
		Example: `  issuer issue --dir office --programme birth-certificate --source births.csv --record B-07-2019-00000123 --out certificates
  issuer issue --dir office --programme farmer-card --record F0700000042 --out cards --show
  issuer issue --dir office --programme farmer-card --record F0700000042 --out cards --form pdf --layout card --paper-language bn,en
  issuer issue --dir office --programme farmer-card --record F0700000042 --out cards --supersede   # the card was lost`,
		RunE: p.office(readWrite, func(cmd *cobra.Command, app *app, _ []string) error {
			supply, err := o.open(cmd, app)
			if err != nil {
				return err
			}
			print := slices.Contains(supply.kinds, filePDF)
			var paper *paper
			if print {
				supply.kinds = slices.DeleteFunc(supply.kinds, func(k issuance.FileKind) bool { return k == filePDF })
				if paper, err = app.paper(supply.programme, on); err != nil {
					return err // before anything is issued
				}
			}
			rec, err := supply.source.Lookup(cmd.Context(), record)
			if err != nil {
				return explainLookup(err, supply.programme)
			}
			if err := os.MkdirAll(o.out, 0o700); err != nil {
				return err
			}
			issued, err := app.service.Issue(cmd.Context(), issuance.Request{
				Programme: supply.programme.ID, Record: rec, Idempotency: idempotency, Supersede: o.supersede, Actor: app.actor,
			})
			if err != nil {
				return explainIssue(err)
			}
			files, err := writeForms(o.out, supply.kinds, supply.programme.Form, issued)
			if err != nil {
				return err
			}
			if print {
				file, err := paper.write(cmd, o.out, supply.programme, issued)
				if err != nil {
					return err
				}
				files = append(files, file)
			}
			view := struct {
				credentialView
				Files []string `json:"files"`
			}{viewCredential(issued.Credential), files}
			if err := p.Print(cmd, view, func(w io.Writer) {
				view.text(w)
				for _, f := range files {
					fmt.Fprintf(w, "  file     %s\n", f)
				}
			}); err != nil {
				return err
			}
			for _, n := range issued.Notes {
				cli.Say(cmd, "note: %s", n)
			}
			if show {
				return showCode(cmd, issued.Forms[0].Text)
			}
			return nil
		}),
	}
	o.flags(c, issuance.FileText, issuance.FilePNG, issuance.FileSVG, filePDF)
	on.flags(c)
	c.Flags().StringVar(&record, "record", "", "the record's id in its registry (required)")
	c.Flags().BoolVar(&show, "show", false, "draw the code in the terminal too (on standard error)")
	c.Flags().StringVar(&idempotency, "idempotency-key", "", "your own name for this request: repeating it never makes a second credential")
	_ = c.MarkFlagRequired("record")
	return c
}

// explainIssue adds to a refusal what a person can do.
func explainIssue(err error) error {
	if e, ok := errors.AsType[*issuance.RecordError](err); ok {
		switch e.Code() {
		case issuance.CodeAlreadyIssued:
			return cli.Hint(err, "`issuer status %s` shows it; --supersede replaces it, `issuer revoke` ends it", e.Credential)
		case issuance.CodeRepeated:
			return cli.Hint(err, "`issuer status %s` shows what that request issued; its code was handed out then and is not kept: if it was lost, issue again with --supersede", e.Credential)
		}
		return cli.Hint(err, "correct the record in its registry, or the programme; `issuer programme check` tries without issuing")
	}
	return explain(err)
}

// writeForms writes the files of a credential that was just released.
func writeForms(out string, kinds []issuance.FileKind, form formByName, issued issuance.Issued) ([]string, error) {
	var files []string
	for i, f := range issued.Forms {
		name := issued.Credential.ID
		if i > 0 {
			name += "-" + f.Form
		}
		for _, k := range kinds {
			content, ext := []byte(f.Text), ".txt"
			if k != issuance.FileText {
				spec, ok := form(f.Form)
				if !ok {
					return files, fmt.Errorf("the programme has no form %q", f.Form)
				}
				var err error
				if content, err = draw(k, spec, f.Text); err != nil {
					return files, fmt.Errorf("draw %s: %w", name, err)
				}
				ext = "." + string(k)
			}
			path := filepath.Join(out, name+ext)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				return files, err
			}
			files = append(files, path)
		}
	}
	return files, nil
}

// showCode draws a code in the terminal.
func showCode(cmd *cobra.Command, text string) error {
	code, err := image.Draw(text, image.L)
	if err != nil {
		return err
	}
	_, err = io.WriteString(cmd.ErrOrStderr(), code.Terminal())
	return err
}
