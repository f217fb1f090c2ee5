package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/csvfile"
)

// source opens what --source names: a source of the settings, or a CSV file.
func (a *app) source(name string, p *programme.Programme) (registry.Source, error) {
	return openSource(a.cfg.Sources, name, p)
}

func openSource(known map[string]SourceConfig, name string, p *programme.Programme) (registry.Source, error) {
	if name == "" {
		if len(known) != 1 {
			return nil, cli.Hint(errors.New("which source?"), "name one of the settings or the path of a CSV file with --source")
		}
		for only := range known {
			name = only
		}
	}
	s, ok := known[name]
	if !ok {
		if _, err := os.Stat(name); err != nil {
			return nil, cli.Hint(fmt.Errorf("no source %q in the settings and no file of that name", name), "`issuer source list` shows the sources of the settings")
		}
		s = SourceConfig{CSV: name}
	}
	if s.IDColumn == "" {
		s.IDColumn = p.Records.IDColumn
	}
	return openCSV(s)
}

func openCSV(s SourceConfig) (registry.Source, error) {
	delimiter, err := s.delimiter()
	if err != nil {
		return nil, err
	}
	return csvfile.Open(s.CSV, csvfile.Options{IDColumn: s.IDColumn, Delimiter: delimiter, Encoding: s.Encoding})
}

// recordCounter is what counting needs of a source.
type recordCounter interface {
	Records(ctx context.Context) iter.Seq2[registry.Record, error]
}

// countRecords reads a source once; broken rows count too.
func countRecords(ctx context.Context, src recordCounter) (int64, error) {
	var n int64
	for _, err := range src.Records(ctx) {
		if _, broken := errors.AsType[*registry.RowError](err); err != nil && !broken {
			return 0, err
		}
		n++
	}
	return n, nil
}

func (p *program) sourceCommand() *cobra.Command {
	return cli.Group("source", "Look at the registries that records come from", "Sources are named in the settings (sources:); every --source also takes the path of a CSV file.",
		p.sourceList(), p.sourceShow())
}

func (p *program) sourceList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Show the sources of the settings", Args: cobra.NoArgs,
		Example: "  issuer source list --dir office",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			cfg, err := readConfig(p.settings())
			if err != nil {
				return err
			}
			names := make([]string, 0, len(cfg.Sources))
			for name := range cfg.Sources {
				names = append(names, name)
			}
			slices.Sort(names)
			return p.Print(cmd, names, func(w io.Writer) {
				table(w, "SOURCE|FILE|ID COLUMN", func(add func(...string)) {
					for _, n := range names {
						add(n, cfg.Sources[n].CSV, cfg.Sources[n].IDColumn)
					}
				})
			})
		}),
	}
}

func (p *program) sourceShow() *cobra.Command {
	var idColumn, delimiter, encoding string
	c := &cobra.Command{
		Use: "show SOURCE", Short: "Read a source once: its columns, how many records, which lines are broken", Args: cobra.ExactArgs(1),
		Long:    "Reads everything and shows no values. SOURCE is a source of the settings or the path of a CSV file.",
		Example: "  issuer source show births.csv --id-column registration_number",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			s := SourceConfig{CSV: args[0], IDColumn: idColumn, Delimiter: delimiter, Encoding: encoding}
			if _, err := os.Stat(args[0]); err != nil {
				cfg, err := readConfig(p.settings())
				if err != nil {
					return err
				}
				var ok bool
				if s, ok = cfg.Sources[args[0]]; !ok {
					return cli.Hint(fmt.Errorf("no source %q and no file of that name", args[0]), "`issuer source list` shows the sources of the settings")
				}
			}
			if s.IDColumn == "" {
				return cli.Hint(errors.New("which column identifies a record?"), "name it with --id-column")
			}
			src, err := openCSV(s)
			if err != nil {
				return err
			}
			view := struct {
				Records int64    `json:"records"`
				Broken  []string `json:"broken_lines"`
				Columns []string `json:"columns"`
			}{Broken: []string{}}
			for r, err := range src.Records(cmd.Context()) {
				if e, broken := errors.AsType[*registry.RowError](err); broken {
					view.Broken = append(view.Broken, oneLine(e.Error()))
					continue
				}
				if err != nil {
					return err
				}
				if view.Records == 0 {
					view.Columns = r.Columns().Names()
				}
				view.Records++
			}
			return p.Print(cmd, view, func(w io.Writer) {
				fmt.Fprintf(w, "%d records, %d broken lines\n", view.Records, len(view.Broken))
				for i, c := range view.Columns {
					fmt.Fprintln(w, "  column "+strconv.Itoa(i+1)+"  "+c)
				}
				for i, line := range view.Broken {
					if i == 20 {
						fmt.Fprintf(w, "  and %d more\n", len(view.Broken)-i)
						break
					}
					fmt.Fprintln(w, "  "+line)
				}
			})
		}),
	}
	c.Flags().StringVar(&idColumn, "id-column", "", "the column that identifies a record")
	c.Flags().StringVar(&delimiter, "delimiter", "", "the separator, or \"tab\" (default: detected)")
	c.Flags().StringVar(&encoding, "encoding", "", "utf-8, utf-16le, utf-16be or windows-1252 (default: detected)")
	return c
}
