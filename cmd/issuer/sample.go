package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/registry/samplecountry"
)

func (p *program) sampleCommand() *cobra.Command {
	var records int
	var seed uint64
	var out, date, format string
	var list bool
	var names []string
	for _, r := range samplecountry.Registries() {
		names = append(names, r.Name)
	}
	c := &cobra.Command{
		Use: "sample [REGISTRY]", Short: "Write the registries of a made-up country, for training and tests", Args: cobra.MaximumNArgs(1),
		Long: `Writes one registry of a synthetic country as CSV, or as an SQL script that SQLite and PostgreSQL both run: the table, and a view of it for
the example programme that it serves (births: birth_certificate). The same seed gives the same country: a person has the same name, birth date and number in
every registry. The export is as of --date, today if not given, so that licences and reliefs of the country are running. Everything a real registry contains is in it: names in seven scripts, unknown birth dates, twins, duplicates, values that
must be refused. No real person is. (Millions of records get into PostgreSQL soonest as CSV: the table from the script of a small country, emptied,
then \copy births FROM births.csv CSV HEADER.)

Registries: ` + strings.Join(names, ", ") + `.`,
		Example: "  issuer sample --list\n  issuer sample births --records 200 > births.csv\n  issuer sample farmers --records 100000 --out farmers.csv\n" +
			"  issuer sample births --records 1000 --format sql | sqlite3 registry.db\n  issuer sample births --records 1000 --format sql | psql -q -v ON_ERROR_STOP=1 registry",
		ValidArgs: names,
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			if list || len(args) == 0 {
				return p.Print(cmd, samplecountry.Registries(), func(w io.Writer) {
					table(w, "REGISTRY|WHAT IT IS", func(add func(...string)) {
						for _, r := range samplecountry.Registries() {
							add(r.Name, r.Description)
						}
					})
				})
			}
			write, ok := map[string]func(context.Context, samplecountry.Config, string, io.Writer) error{
				"csv": samplecountry.Write, "sql": samplecountry.WriteSQL,
			}[format]
			if !ok {
				return fmt.Errorf("--format %q: one of csv, sql", format)
			}
			at := p.Now()
			if date != "" {
				var err error
				if at, err = parseTime(date); err != nil {
					return err
				}
			}
			w := cmd.OutOrStdout()
			if out != "" {
				f, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
				if err != nil {
					return cli.Hint(err, "name a file that does not exist yet")
				}
				defer f.Close()
				w = f
			}
			buf := bufio.NewWriterSize(w, 1<<20)
			if err := write(cmd.Context(), samplecountry.Config{Seed: seed, Persons: records, Date: at}, args[0], buf); err != nil {
				return cli.Hint(fmt.Errorf("sample %s: %w", args[0], err), "`issuer sample --list` shows the registries")
			}
			return buf.Flush()
		}),
	}
	c.Flags().IntVar(&records, "records", 200, "the number of persons in the country")
	c.Flags().Uint64Var(&seed, "seed", 1, "which country")
	c.Flags().StringVar(&date, "date", "", "the `DAY` of the export, not before 2026-01-01 (default: today)")
	c.Flags().StringVar(&format, "format", "csv", "csv, or sql: a script for SQLite and PostgreSQL")
	c.Flags().StringVar(&out, "out", "", "write to `FILE` instead of standard output")
	c.Flags().BoolVar(&list, "list", false, "list the registries")
	return c
}
