package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/keys"
)

// table writes rows in aligned columns under a heading.
func table(w io.Writer, heading string, rows func(add func(cells ...string))) {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ReplaceAll(heading, "|", "\t"))
	rows(func(cells ...string) { fmt.Fprintln(tw, strings.Join(cells, "\t")) })
	tw.Flush()
}

// date is a day for people and tables; "-" for none.
func date(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02")
}

// readPassphrase takes a passphrase from a file, or asks for it on the terminal.
func readPassphrase(cmd *cobra.Command, file, question string) ([]byte, error) {
	if file == "" {
		return askPassphrase(cmd, question)
	}
	pass, err := keys.ReadPassphrase(file)
	switch {
	case errors.Is(err, keys.ErrFileMode):
		return nil, cli.Hint(fmt.Errorf("passphrase file: %w", err), "chmod 600 %s", file)
	case err != nil:
		return nil, cli.Hint(fmt.Errorf("passphrase file: %w", err), "key_passphrase_file in the settings or a flag names it; without either the passphrase is asked for")
	}
	return pass, nil
}

func askPassphrase(cmd *cobra.Command, question string) ([]byte, error) {
	f, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, cli.Hint(errors.New("no passphrase and no terminal to ask for it"), "put it into a file (chmod 600) and name that, with key_passphrase_file in the settings or the flag that --help shows")
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: ", question)
	pass, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(cmd.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	if len(pass) == 0 {
		return nil, errors.New("empty passphrase")
	}
	return pass, nil
}
