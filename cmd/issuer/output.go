package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sanad-id/sanad/keys"
)

// A hintError carries a sentence that says what a person can do about it.
type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// hint adds what to do next to an error.
func hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hintError{err: err, hint: fmt.Sprintf(format, args...)}
}

// hintFor is the hint an error carries, if any.
func hintFor(err error) string {
	if h, ok := errors.AsType[*hintError](err); ok {
		return h.hint
	}
	return ""
}

// print writes a result: as one JSON document with --json, else as text.
func (p *program) print(cmd *cobra.Command, result any, text func(w io.Writer)) error {
	if !p.json {
		text(cmd.OutOrStdout())
		return nil
	}
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(result)
}

// say writes talk: what a person wants to read and a script does not.
func say(cmd *cobra.Command, format string, args ...any) {
	fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
}

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

// isTerminal tells whether a stream is a terminal, where progress bars and
// questions make sense.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// readPassphrase takes a passphrase from a file, or asks for it on the terminal.
func readPassphrase(cmd *cobra.Command, file, question string) ([]byte, error) {
	if file == "" {
		return askPassphrase(cmd, question)
	}
	pass, err := keys.ReadPassphrase(file)
	switch {
	case errors.Is(err, keys.ErrFileMode):
		return nil, hint(fmt.Errorf("passphrase file: %w", err), "chmod 600 %s", file)
	case err != nil:
		return nil, hint(fmt.Errorf("passphrase file: %w", err), "key_passphrase_file in the settings names it; without that key the passphrase is asked for")
	}
	return pass, nil
}

func askPassphrase(cmd *cobra.Command, question string) ([]byte, error) {
	f, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, hint(errors.New("no passphrase and no terminal to ask for it"), "put it into a file (chmod 600) and name that with key_passphrase_file in the settings")
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

// version is the module version or the commit that the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = s.Value
		}
	}
	return v
}
