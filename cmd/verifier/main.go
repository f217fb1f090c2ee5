// Command verifier checks signed certificates: the codes on paper and the
// credentials behind them. It needs no network and no settings, only a trust
// bundle: `verifier check --trust FILE CODE`, or once `verifier trust import
// FILE` and then `verifier check CODE`.
//
// `verifier serve` asks wallets over HTTP for relying parties, and has settings, a
// key and policies; see docs/verifier-api.md.
//
// Results go to standard output, talk to standard error. The exit status of check
// is the verdict: 0 valid, 10 check needed, 20 invalid, 30 undetermined. 2 is a
// wrong command line and 1 an internal error, for all commands.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process, so that a test can call it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return newProgram(time.Now).run(ctx, args, stdin, stdout, stderr)
}

// program is one run.
type program struct {
	cli.Program
	dir string // where imported trust is kept
	// settings is the path of the settings file of serve and its relatives.
	settings string
}

func newProgram(now func() time.Time) *program {
	return &program{Program: cli.Program{Name: "verifier", Now: now}}
}

func (p *program) run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return p.Run(ctx, p.commands(), args, stdin, stdout, stderr)
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
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&p.dir, "dir", "", "keep imported trust in `DIR` (default: sanad-verifier in your configuration folder)")
	p.LanguageFlag(root, "the result")
	flags.StringVar(&p.settings, "config", settingsName, "the settings `FILE` of serve and what belongs to it")
	root.AddCommand(p.checkCommand(), p.inspectCommand(), p.trustCommand(), p.initCommand(), p.configCommand(), p.keysCommand(), p.apiKeyCommand(), p.usageCommand(), p.backupCommand(),
		p.serveCommand(), p.statusCommand(), p.webhooksCommand(), p.requestCommand(), p.scannerCommand(), p.challengeCommand(), p.posterCommand())
	return root
}
