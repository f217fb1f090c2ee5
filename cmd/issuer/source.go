package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/csvfile"
	"github.com/sanad-id/sanad/registry/sqltable"
)

// source opens what --source names: a source of the settings, or a CSV file.
func (a *app) source(ctx context.Context, name string, p *programme.Programme) (registry.Source, error) {
	src, err := openSource(ctx, a.cfg.Sources, name, p)
	if c, ok := src.(io.Closer); ok {
		a.sources = append(a.sources, c)
	}
	return src, err
}

var errWhichSource = errors.New("which source?")

// openSource opens a source. It is an [io.Closer] if it has connections.
func openSource(ctx context.Context, known map[string]SourceConfig, name string, p *programme.Programme) (registry.Source, error) {
	if name == "" {
		if len(known) != 1 {
			return nil, cli.Hint(errWhichSource, "name one of the settings or the path of a CSV file with --source")
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
	return openRegistry(ctx, s)
}

// A registrySource is what all our connectors can do.
type registrySource interface {
	registry.Ranger
	Columns() *registry.Columns
}

// openRegistry opens what one entry of the settings says.
func openRegistry(ctx context.Context, s SourceConfig) (registrySource, error) {
	if s.SQL.Database != "" {
		src, err := sqltable.Open(ctx, sqltable.Options{
			Database: s.SQL.Database, PasswordFile: s.SQL.PasswordFile, Schema: s.SQL.Schema, Table: s.SQL.Table,
			IDColumn: s.IDColumn, ChangedColumn: s.SQL.ChangedColumn,
		})
		if err != nil {
			return nil, explainSource(err)
		}
		return src, nil
	}
	delimiter, err := s.delimiter()
	if err != nil {
		return nil, err
	}
	src, err := csvfile.Open(s.CSV, csvfile.Options{IDColumn: s.IDColumn, Delimiter: delimiter, Encoding: s.Encoding})
	if err != nil {
		return nil, explainFile(err)
	}
	return src, nil
}

// howWritten says where a file's delimiter and encoding are named when they are not found
// out rightly.
const howWritten = "`sources: {NAME: {csv: FILE, delimiter: \";\", encoding: windows-1252}}` in the settings says how a file is written, and --source NAME reads it so; " +
	"`issuer source show FILE --id-column COLUMN --delimiter ';' --encoding windows-1252` tries it"

// explainFile says what to do about a file that cannot be opened as a source.
func explainFile(err error) error {
	switch {
	case errors.Is(err, csvfile.ErrIDColumn):
		return cli.Hint(err, "name one of these as id_column under records in the programme, or as id_column of the source in the settings. If the columns are cut in the wrong places: %s", howWritten)
	case errors.Is(err, csvfile.ErrHeader):
		return cli.Hint(err, "%s", howWritten)
	}
	return err
}

// sourcePatience is how long config check waits for the database of a source.
const sourcePatience = 10 * time.Second

// sourceWarnings are the sources of the settings that cannot be read now: the file is not
// there or is no table, the database does not answer. They keep nothing else from working.
func (a *app) sourceWarnings(ctx context.Context) ([]string, error) {
	programmes, err := a.service.Programmes(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(a.cfg.Sources)) {
		s := a.cfg.Sources[name]
		for _, p := range programmes {
			if s.IDColumn == "" && a.cfg.Serve.Sources[p.ID] == name {
				s.IDColumn = p.Records.IDColumn
			}
		}
		if err := tryRegistry(ctx, s); err != nil {
			all = append(all, fmt.Sprintf("sources.%s: %v", name, err))
		}
	}
	return all, nil
}

// tryRegistry opens a source and closes it again. Without an id column it is enough that
// there are columns.
func tryRegistry(ctx context.Context, s SourceConfig) error {
	ctx, cancel := context.WithTimeout(ctx, sourcePatience)
	defer cancel()
	src, err := openRegistry(ctx, s)
	none := s.IDColumn == "" && (errors.Is(err, csvfile.ErrIDColumn) || errors.Is(err, sqltable.ErrColumn))
	if err != nil && !none {
		return err
	}
	if c, ok := src.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// sayHowWritten tells what may be behind records that could not be read, for these reasons.
func sayHowWritten(cmd *cobra.Command, codes []string) {
	for _, c := range []string{registry.RowEncoding, registry.RowColumns, registry.RowQuote} {
		if slices.Contains(codes, c) {
			cli.Say(cmd, "hint: if the file has another delimiter or encoding: %s", howWritten)
			return
		}
	}
}

// explainSource says what to do about a database that does not serve.
func explainSource(err error) error {
	for _, e := range []struct {
		is   error
		hint string
	}{
		{sqltable.ErrTable, "name one of these as table (as schema what stands before the dot), or have the registry's keeper make a view and grant SELECT on it: docs/operating.md"},
		{sqltable.ErrRight, "have the registry's keeper grant it; the user needs no other right"},
		{sqltable.ErrColumn, "choose one of the table's columns, or have the registry's keeper make a view with the columns that the programme names: docs/operating.md"},
		{sqltable.ErrConnect, "see that the database is there and that database and password_file of the source are right"},
		{sqltable.ErrChanged, "run it again; if the table has other columns now, see what the programme needs with `issuer programme check`"},
	} {
		if errors.Is(err, e.is) {
			return cli.Hint(err, "%s", e.hint)
		}
	}
	return err
}

// explainLookup says what to do about a record that a source does not give.
func explainLookup(err error, p *programme.Programme) error {
	switch {
	case errors.Is(err, registry.ErrAmbiguous):
		return cli.Hint(err, "which of them is meant only the registry can say: give each its own id in the column %q, or take out what is there twice", p.Records.IDColumn)
	case errors.Is(err, registry.ErrNoRecord):
		return cli.Hint(err, "the record's id is what stands in the column %q of the source", p.Records.IDColumn)
	}
	return explainSource(err)
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
			none := "the settings name no source yet: `sources: {NAME: {csv: FILE}}` in " + p.settings() + "; --source also takes the path of a CSV file"
			return p.PrintList(cmd, len(names), none, names, func(w io.Writer) {
				table(w, "SOURCE|WHERE|TABLE|ID COLUMN", func(add func(...string)) {
					for _, n := range names {
						s := cfg.Sources[n]
						add(n, cmp.Or(s.CSV, s.SQL.Database), strings.TrimPrefix(s.SQL.Schema+"."+s.SQL.Table, "."), s.IDColumn)
					}
				})
			})
		}),
	}
}

// sourceView is what `issuer source show` says about a source.
type sourceView struct {
	Records  int64    `json:"records"`
	Bad      int64    `json:"broken"`
	Broken   []string `json:"broken_lines"` // the first of them
	Columns  []string `json:"columns"`
	Warnings []string `json:"warnings"`

	codes []string // why lines are broken, each once
}

// maxBroken is how many broken lines are listed.
const maxBroken = 1000

func viewSource(ctx context.Context, src registrySource) (v sourceView, err error) {
	v = sourceView{Broken: []string{}, Warnings: []string{}, Columns: src.Columns().Names()}
	if w, ok := src.(interface{ Warnings() []string }); ok {
		v.Warnings = append(v.Warnings, w.Warnings()...)
	}
	for _, err := range src.Records(ctx) {
		if e, broken := errors.AsType[*registry.RowError](err); broken {
			if !slices.Contains(v.codes, e.Code) {
				v.codes = append(v.codes, e.Code)
			}
			if v.Bad++; v.Bad <= maxBroken {
				v.Broken = append(v.Broken, oneLine(e.Error()))
			}
			continue
		}
		if err != nil {
			return v, explainSource(err)
		}
		v.Records++
	}
	return v, nil
}

func (v sourceView) text(w io.Writer) {
	fmt.Fprintf(w, "%d records, %d broken lines\n", v.Records, v.Bad)
	for _, warning := range v.Warnings {
		fmt.Fprintln(w, "  warning: "+warning)
	}
	for i, c := range v.Columns {
		fmt.Fprintln(w, "  column "+strconv.Itoa(i+1)+"  "+c)
	}
	for i, line := range v.Broken {
		if i == 20 {
			fmt.Fprintf(w, "  and %d more\n", v.Bad-int64(i))
			break
		}
		fmt.Fprintln(w, "  "+line)
	}
}

func (p *program) sourceShow() *cobra.Command {
	var s SourceConfig
	c := &cobra.Command{
		Use: "show SOURCE", Short: "Read a source once: its columns, how many records, which lines are broken", Args: cobra.ExactArgs(1),
		Long: `Reads everything and shows no values. SOURCE is a source of the settings or the path of a CSV file; with --table it is an SQLite file, or the
URL of a PostgreSQL database that asks for no password. The lines of a table are its records in order of the id column. A user who could change
the registry is warned of.`,
		Example: "  issuer source show births.csv --id-column registration_number\n  issuer source show births --dir office\n" +
			"  issuer source show registry.db --table birth_certificate --id-column registration_number",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			_, err := os.Stat(args[0])
			switch {
			case s.SQL.Table != "":
				s.SQL.Database = args[0]
			case err == nil:
				s.CSV = args[0]
			default:
				cfg, err := readConfig(p.settings())
				if err != nil {
					return err
				}
				known, ok := cfg.Sources[args[0]]
				if !ok {
					return cli.Hint(fmt.Errorf("no source %q and no file of that name", args[0]), "`issuer source list` shows the sources of the settings")
				}
				known.IDColumn = cmp.Or(s.IDColumn, known.IDColumn)
				s = known
			}
			if s.IDColumn == "" {
				return cli.Hint(errors.New("which column identifies a record?"), "name it with --id-column")
			}
			src, err := openRegistry(cmd.Context(), s)
			if err != nil {
				return err
			}
			if c, ok := src.(io.Closer); ok {
				defer c.Close()
			}
			view, err := viewSource(cmd.Context(), src)
			if err != nil {
				return err
			}
			if err := p.Print(cmd, view, view.text); err != nil {
				return err
			}
			sayHowWritten(cmd, view.codes)
			return nil
		}),
	}
	c.Flags().StringVar(&s.IDColumn, "id-column", "", "the column that identifies a record")
	c.Flags().StringVar(&s.SQL.Table, "table", "", "SOURCE is a database: read this table or view of it")
	c.Flags().StringVar(&s.Delimiter, "delimiter", "", "the separator, or \"tab\" (default: detected)")
	c.Flags().StringVar(&s.Encoding, "encoding", "", "utf-8, utf-16le, utf-16be or windows-1252 (default: detected)")
	return c
}
