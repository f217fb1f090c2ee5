// Command verifier checks signed certificates: the codes on paper and the
// credentials behind them. It needs no network and no settings, only a trust
// bundle: `verifier check --trust FILE CODE`, or once `verifier trust import
// FILE` and then `verifier check CODE`.
//
// Results go to standard output, talk to standard error. The exit status of check
// is the verdict: 0 valid, 10 check needed, 20 invalid, 30 undetermined. 2 is a
// wrong command line and 1 an internal error, for all commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process, so that a test can call it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := program{now: time.Now}
	return p.run(ctx, args, stdin, stdout, stderr)
}

func (p *program) run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := p.commands()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	fmt.Fprintf(stderr, "verifier: error: %s\n", visible(err.Error()))
	if h := hintFor(err); h != "" {
		fmt.Fprintf(stderr, "verifier: hint: %s\n", h)
	}
	if !p.began {
		return 2 // the command line was wrong
	}
	return 1
}

// An exitError ends the program with a status of its own; what there is to say
// has been said.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// program is one run.
type program struct {
	dir   string // where imported trust is kept
	json  bool   // results as one JSON document
	lang  string // language of results
	began bool   // the command line was understood and an action runs
	now   func() time.Time
}

// commands is the whole tree. Each action is a function in a file of its name.
func (p *program) commands() *cobra.Command {
	root := &cobra.Command{
		Use:   "verifier",
		Short: "Check signed certificates without a network",
		Long: `verifier checks signed certificates: the code on a sheet of paper, or the credential behind it.

Give it the trust bundle that the issuing authority publishes, and the picture or text of a code:

  verifier check --trust office.trust certificate.png

or import the bundle once, comparing its fingerprint with the published one:

  verifier trust import office.trust
  verifier check certificate.png`,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true, SilenceUsage: true,
		Version: version(),
	}
	flags := root.PersistentFlags()
	flags.StringVar(&p.dir, "dir", "", "keep imported trust in `DIR` (default: sanad-verifier in your configuration folder)")
	flags.BoolVar(&p.json, "json", false, "print the result as one JSON document")
	flags.StringVar(&p.lang, "lang", "", "`LANGUAGE` of the result: ar, bn, en, fr, pt or sw (default: that of your system)")
	root.AddCommand(p.checkCommand(), p.inspectCommand(), p.trustCommand(), p.versionCommand())
	return root
}

// action marks that the command line was understood before f runs.
func (p *program) action(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p.began = true
		return f(cmd, args)
	}
}
