// Package cli is the frame that Sanad's programs have in common: how a command
// line is run and what its exit status means, errors with a hint, talk on standard
// error and results on standard output, and text from outside made safe for a
// terminal.
//
// Start with [Program.Run]. What a program does is left to its commands; the exit
// statuses of verdicts and batches are theirs, too.
package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// A Program is one run of a program.
type Program struct {
	// Name stands before its errors.
	Name string
	// JSON asks for results as one JSON document.
	JSON bool
	// Now is the clock.
	Now func() time.Time

	lang  string // --lang
	began bool   // the command line was understood and an action runs
}

// Run runs a command tree and returns the exit status: that of an error made by
// [Exit], else 0 for done, 2 for a wrong command line and 1 for everything else.
func (p *Program) Run(ctx context.Context, root *cobra.Command, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Version = Version()
	root.PersistentFlags().BoolVar(&p.JSON, "json", false, "print the result as one JSON document")
	root.AddCommand(p.versionCommand())
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.status
	}
	fmt.Fprintf(stderr, "%s: error: %s\n", p.Name, VisibleLines(err.Error()))
	if h, ok := errors.AsType[*hintError](err); ok {
		fmt.Fprintf(stderr, "%s: hint: %s\n", p.Name, Visible(h.hint))
	} else if !p.began {
		fmt.Fprintf(stderr, "%s: hint: `%s --help` shows how it is used\n", p.Name, cmd.CommandPath())
	}
	if !p.began {
		return 2
	}
	return 1
}

// Action is a command's function. That it is called means that the command line
// was understood.
func (p *Program) Action(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p.began = true
		return f(cmd, args)
	}
}

// Misused returns err as a fault of the command line that only showed when the
// action ran, such as a flag that is needed where there is no terminal.
func (p *Program) Misused(err error) error {
	p.began = false
	return err
}

// Print writes a result: as one JSON document with --json, else as text.
func (p *Program) Print(cmd *cobra.Command, result any, text func(w io.Writer)) error {
	if p.JSON {
		return PrintJSON(cmd.OutOrStdout(), result)
	}
	text(cmd.OutOrStdout())
	return nil
}

// PrintList is Print for a list of n entries. Of an empty one nothing but the empty JSON
// array stands on standard output; standard error has none, a sentence that says so and
// names the command that changes it.
func (p *Program) PrintList(cmd *cobra.Command, n int, none string, result any, text func(w io.Writer)) error {
	if n == 0 {
		Say(cmd, "%s", none)
		text = func(io.Writer) {}
	}
	return p.Print(cmd, result, text)
}

func (p *Program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this program", Args: cobra.NoArgs,
		Example: "  " + p.Name + " version --json",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			return p.Print(cmd, map[string]string{"version": Version()}, func(w io.Writer) {
				fmt.Fprintf(w, "%s %s\n", p.Name, Version())
			})
		}),
	}
}

// Group is a command that only has subcommands.
func Group(use, short, long string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.NoArgs,
		// Without RunE cobra answers an unknown word with help and status 0.
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(subs...)
	return c
}

// An exitError ends the program with a status of its own.
type exitError struct{ status int }

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// Exit is an error that ends the program with this status and without a word:
// what there is to say has been said.
func Exit(status int) error { return &exitError{status} }

// A hintError carries a sentence that says what a person can do about it.
type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// Hint adds to an error what to do next; nil stays nil.
func Hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hintError{err: err, hint: fmt.Sprintf(format, args...)}
}

// Hinted reports whether somebody has said already what to do about an error.
func Hinted(err error) bool {
	_, ok := errors.AsType[*hintError](err)
	return ok
}

// Say writes talk to standard error: what a person wants to read and a script
// does not.
func Say(cmd *cobra.Command, format string, args ...any) {
	fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
}

// PrintJSON writes one document that is safe to look at in a terminal.
func PrintJSON(w io.Writer, v any) error {
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

// IsTerminal tells whether a stream is a terminal, where questions, colours and
// progress bars make sense.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Agreed asks a question on standard error and reports whether the answer is yes: by the
// word for it in the person's language, which may be shortened to a letter, or by that of
// English. Whoever says nothing has not agreed.
func Agreed(cmd *cobra.Command, question, yes, no string) bool {
	return agrees(Answer(cmd, fmt.Sprintf("%s [%s/%s]", question, yes, strings.ToUpper(no))), yes)
}

// Answer asks a question on standard error and returns the line that is typed, without space around
// it; "" if there is none.
func Answer(cmd *cobra.Command, question string) string {
	fmt.Fprintf(cmd.ErrOrStderr(), "%s ", question)
	answer, _ := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 100)).ReadString('\n')
	return strings.TrimSpace(answer)
}

// agrees reports whether an answer is yes. An n is a no whatever the language.
func agrees(answer, yes string) bool {
	answer = strings.ToLower(strings.TrimSpace(answer))
	_, size := utf8.DecodeRuneInString(yes)
	return answer == yes || answer == "y" || answer == "yes" || answer == yes[:size] && answer != "n"
}

// Width is how many columns text may take.
func Width(stream any) int {
	if f, ok := stream.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w >= 40 {
			return min(w, 100)
		}
	}
	return 78
}

// Colours reports whether a stream wants colours (https://no-color.org).
func Colours(stream any) bool {
	return IsTerminal(stream) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// Version is the module version or the commit that the binary was built from.
func Version() string {
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
