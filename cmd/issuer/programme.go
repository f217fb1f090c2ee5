package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
)

func (p *program) programmeCommand() *cobra.Command {
	return cli.Group("programme", "Work with programmes: the kinds of credentials that the office issues",
		"A programme is a YAML file: type, claims and where they come from, forms, validity, labels. docs/programmes.md explains every key.",
		p.programmeCheck(), p.programmeAdd(), p.programmeList(), p.programmeShow())
}

// maxProgramme is more than programme.Parse takes, so that it can say so itself.
const maxProgramme = 1 << 20

func readProgramme(path string) ([]byte, *programme.Programme, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxProgramme))
	if err != nil {
		return nil, nil, err
	}
	p, err := programme.Parse(text)
	if err != nil {
		return nil, nil, cli.Hint(fmt.Errorf("%s:\n%w", path, err), "docs/programmes.md explains every key")
	}
	return text, p, nil
}

// programmeLogo reads the picture beside a programme file that names one.
func programmeLogo(path string, prog *programme.Programme) (issuer.Document, error) {
	if prog.Logo.File == "" {
		return issuer.Document{}, nil
	}
	d, err := readPicture(filepath.Join(filepath.Dir(path), prog.Logo.File))
	if err == nil && d.Type != pictureTypes[filepath.Ext(prog.Logo.File)] {
		err = fmt.Errorf("it is %s, and its name says otherwise", d.Type)
	}
	if err != nil {
		return issuer.Document{}, cli.Hint(fmt.Errorf("%s: logo.file: %w", path, err), "an SVG or PNG file of up to %d KiB, beside the programme file", issuer.MaxPicture>>10)
	}
	return d, nil
}

// pictureTypes are the media types of pictures by how their names end.
var pictureTypes = map[string]string{".svg": "image/svg+xml", ".png": "image/png"}

// keepLogo puts a programme's picture where `issuer serve` reads it.
func keepLogo(dir string, prog *programme.Programme, logo issuer.Document) error {
	if logo.Content == nil {
		return nil
	}
	to := logoPath(dir, prog)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return durable.Write(to, logo.Content, 0o644)
}

func (p *program) programmeCheck() *cobra.Command {
	var source string
	var records, problems int
	c := &cobra.Command{
		Use: "check FILE", Short: "Try a programme on a source; issues nothing", Args: cobra.ExactArgs(1),
		Long: `Reads a programme file and says everything that is wrong with it. With --source it tries the programme on the records: what would be
issued, which QR version the codes would need, and every record that would fail, by line, column and claim. It issues nothing, needs no issuer, and
the first record's claims are shown for you to look at.

Exit status: 0 nothing to say, 3 some records would be refused.`,
		Example: "  issuer programme check my-card.yaml --source my-records.csv\n  issuer programme check my-card.yaml --source my-records.csv --records 1000 --json",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			_, prog, err := readProgramme(args[0])
			if err != nil {
				return err
			}
			if _, err := programmeLogo(args[0], prog); err != nil {
				return err
			}
			if source == "" {
				view := map[string]any{"programme": prog.ID, "version": prog.Version, "columns": prog.Columns(), "forms": prog.FormReports()}
				return p.Print(cmd, view, func(w io.Writer) {
					fmt.Fprintf(w, "%s version %d is well formed; it reads the columns\n  %s\n", prog.ID, prog.Version, strings.Join(prog.Columns(), ", "))
					for _, f := range prog.FormReports() {
						if f.Kind == programme.FormSDJWT {
							walletText(w, f)
						}
					}
				})
			}
			var known map[string]SourceConfig
			options := programme.CheckOptions{
				Now: p.Now(), Rand: rand.Reader, Records: records, Problems: problems,
				Issuer: "xx-issuer-name", StatusURI: "https://registry.example.org/status/1",
			}
			if cfg, err := readConfig(p.settings()); err == nil { // an issuer makes the estimate exact and names sources
				known = cfg.Sources
				options.Issuer, options.StatusURI = cfg.Issuer.ID, cfg.statusBase()+"1"
			}
			src, err := openSource(cmd.Context(), known, source, prog)
			if err != nil {
				return err
			}
			if c, ok := src.(io.Closer); ok {
				defer c.Close()
			}
			report, err := prog.Check(cmd.Context(), src.Records(cmd.Context()), options)
			if err != nil {
				return err
			}
			if err := p.Print(cmd, report, func(w io.Writer) { checkText(w, prog, report) }); err != nil {
				return err
			}
			sayHowWritten(cmd, brokenRows(report))
			if report.Failed > 0 {
				return cli.Exit(exitPartial)
			}
			return nil
		}),
	}
	c.Flags().StringVar(&source, "source", "", "a source of the settings, or the path of a CSV file")
	c.Flags().IntVar(&records, "records", 0, "look at the first `N` records only")
	c.Flags().IntVar(&problems, "problems", 20, "list the first `N` problems")
	return c
}

// brokenRows are the codes of listed records that could not be read, as against values that
// could not be carried.
func brokenRows(r *programme.Report) (codes []string) {
	for _, pr := range r.Problems {
		if pr.Column == "" && pr.Claim == "" {
			codes = append(codes, pr.Code)
		}
	}
	return codes
}

// checkText shows a report to whoever writes the programme.
func checkText(w io.Writer, prog *programme.Programme, r *programme.Report) {
	fmt.Fprintf(w, "%s version %d: of %d records %d can be issued", prog.ID, prog.Version, r.Records, r.Issuable)
	if r.Noted > 0 {
		fmt.Fprintf(w, " (%d with notes)", r.Noted)
	}
	if r.Failed > 0 {
		fmt.Fprintf(w, ", %d would be refused", r.Failed)
	}
	fmt.Fprintln(w)
	for _, f := range r.Forms {
		if f.Kind == programme.FormSDJWT {
			walletText(w, f)
			continue
		}
		fmt.Fprintf(w, "\nform %s (error correction %s): up to %d characters", f.Name, f.Level, f.Longest)
		for _, v := range slices.Sorted(maps.Keys(f.Versions)) {
			name := fmt.Sprintf("V%d", v)
			if v == 0 {
				name = "too large to print"
			}
			fmt.Fprintf(w, "\n  %6d codes of %s", f.Versions[v], name)
		}
		fmt.Fprintln(w)
	}
	for _, s := range r.Sample {
		size := fmt.Sprintf("V%d", s.Version)
		if s.Version == 0 {
			size = fmt.Sprintf("%d characters", s.Characters)
		}
		fmt.Fprintf(w, "\nthe first certificate (line %d), form %s, %s:\n", r.SampleLine, s.Form, size)
		table(w, "  CLAIM|VALUE", func(add func(...string)) {
			for _, c := range s.Claims {
				add("  "+c.Name, cli.Visible(fmt.Sprint(c.Value)))
			}
		})
	}
	counts := func(title string, m map[string]int) {
		if len(m) == 0 {
			return
		}
		fmt.Fprintf(w, "\n%s\n", title)
		codes := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Or(m[b]-m[a], strings.Compare(a, b)) })
		for _, code := range codes {
			fmt.Fprintf(w, "  %6d  %s\n", m[code], code)
		}
	}
	counts("why records would be refused:", r.Fatal)
	counts("what was left out or kept as it stands:", r.Notes)
	if len(r.Problems) > 0 {
		fmt.Fprintln(w, "\nthe first problems:")
		for _, pr := range r.Problems {
			fmt.Fprintln(w, "  "+cli.Visible(oneLine(pr.String())))
		}
		if r.More > 0 {
			fmt.Fprintf(w, "  and %d more (--problems N lists more, --json all of these)\n", r.More)
		}
	}
}

// walletText shows a wallet form.
func walletText(w io.Writer, f programme.FormReport) {
	fmt.Fprintf(w, "\nform %s for wallets (SD-JWT VC, vct %s), up to %d copies at once", f.Name, f.VCT, f.Copies)
	if f.Longest > 0 {
		fmt.Fprintf(w, ": up to %d characters", f.Longest)
	}
	fmt.Fprintln(w)
	for _, l := range []struct {
		what  string
		names []string
	}{{"always shown", f.Shown}, {"shown if the holder agrees", f.Hidden}, {"not in it", f.Absent}} {
		if len(l.names) > 0 {
			fmt.Fprintf(w, "  %-27s %s\n", l.what, strings.Join(l.names, ", "))
		}
	}
}

func (p *program) programmeAdd() *cobra.Command {
	return &cobra.Command{
		Use: "add FILE", Short: "Take a programme into use, or a new version of it", Args: cobra.ExactArgs(1),
		Long:    "From now on the programme issues, and the next trust bundle describes its type to verifiers. A changed file needs a higher version.",
		Example: "  issuer programme add --dir office my-card.yaml",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			text, read, err := readProgramme(args[0])
			if err != nil {
				return err
			}
			logo, err := programmeLogo(args[0], read)
			if err != nil {
				return err
			}
			app, err := p.open(cmd, readWrite)
			if err != nil {
				return err
			}
			defer app.close()
			prog, err := app.service.AddProgramme(cmd.Context(), text, app.actor)
			if errors.Is(err, issuance.ErrMoved) {
				return cli.Hint(err, "raise `version:` in the file by one")
			}
			if errors.Is(err, issuance.ErrTypeChanged) {
				return cli.Hint(err, "give the wallet form another `vct:`, such as the same with a higher number at its end")
			}
			if err != nil {
				return err
			}
			if err := keepLogo(app.dir, prog, logo); err != nil {
				return cli.Hint(fmt.Errorf("%s is in use, without its logo: %w", prog.ID, err), "the same command once more puts it there")
			}
			return p.Print(cmd, map[string]any{"programme": prog.ID, "version": prog.Version, "type": prog.Type}, func(w io.Writer) {
				fmt.Fprintf(w, "%s version %d issues %s\n", prog.ID, prog.Version, prog.Type)
			})
		}),
	}
}

func (p *program) programmeList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Show the programmes in use", Args: cobra.NoArgs,
		Example: "  issuer programme list --dir office",
		RunE: p.office(readOnly, func(cmd *cobra.Command, app *app, _ []string) error {
			all, err := app.service.Programmes(cmd.Context())
			if err != nil {
				return err
			}
			type view struct {
				ID      string `json:"programme"`
				Version int    `json:"version"`
				Type    string `json:"type"`
				Label   string `json:"label"`
			}
			views := make([]view, len(all))
			for i, prog := range all {
				views[i] = view{prog.ID, prog.Version, prog.Type, prog.Labels["en"]}
			}
			return p.PrintList(cmd, len(views), "no programme is in use yet; next: `issuer programme add FILE.yaml`", views, func(w io.Writer) {
				table(w, "PROGRAMME|VERSION|TYPE|NAME", func(add func(...string)) {
					for _, v := range views {
						add(v.ID, fmt.Sprint(v.Version), v.Type, v.Label)
					}
				})
			})
		}),
	}
}

func (p *program) programmeShow() *cobra.Command {
	return &cobra.Command{
		Use: "show PROGRAMME", Short: "Print the file of a programme in use", Args: cobra.ExactArgs(1),
		Example: "  issuer programme show --dir office birth-certificate",
		RunE: p.office(readOnly, func(cmd *cobra.Command, app *app, args []string) error {
			rows, err := app.store.Programmes(cmd.Context())
			if err != nil {
				return err
			}
			for _, r := range slices.Backward(rows) {
				if r.ID == args[0] {
					_, err := cmd.OutOrStdout().Write(r.Text)
					return err
				}
			}
			return cli.Hint(fmt.Errorf("%w: %q", issuance.ErrNoProgramme, args[0]), "`issuer programme list` shows those in use")
		}),
	}
}
