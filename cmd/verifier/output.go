package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
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
	return &hintError{err: err, hint: fmt.Sprintf(format, args...)}
}

// hintFor is the hint an error carries, if any.
func hintFor(err error) string {
	if h, ok := errors.AsType[*hintError](err); ok {
		return h.hint
	}
	return ""
}

// printJSON writes one document that is safe to look at in a terminal.
func printJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(asciiJSON(b.Bytes()))
	return err
}

// say writes talk: what a person wants to read and a script does not.
func say(cmd *cobra.Command, format string, args ...any) {
	fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
}

// isTerminal tells whether a stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// width is how many columns text may take.
func width(stream any) int {
	if f, ok := stream.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w >= 40 {
			return min(w, 100)
		}
	}
	return 78
}

// colours reports whether a stream wants colours (https://no-color.org).
func colours(stream any) bool {
	return isTerminal(stream) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// rows writes lines of two columns, the first as wide as its widest cell.
func rows(w io.Writer, indent string, total int, lines [][2]string) {
	first := 0
	for _, l := range lines {
		first = max(first, min(columns(l[0]), 28))
	}
	hang := indent + strings.Repeat(" ", first+2)
	for _, l := range lines {
		fmt.Fprintf(w, "%s%s  %s\n", indent, pad(l[0], first), wrap(l[1], max(20, total-len(hang)), hang))
	}
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

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this program", Args: cobra.NoArgs,
		Example: "  verifier version --json",
		RunE: p.action(func(cmd *cobra.Command, _ []string) error {
			if p.json {
				return printJSON(cmd.OutOrStdout(), map[string]string{"version": version()})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "verifier %s\n", version())
			return err
		}),
	}
}
