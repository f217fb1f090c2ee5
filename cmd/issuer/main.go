// Command issuer turns the records of a registry into signed credentials and
// looks after them: programmes, batches, revocation, keys, trust bundles and the
// audit log.
//
// Everything it keeps is in one directory, made by `issuer init` and named by
// --dir in every other command (or its settings file by --config; see [Config]
// for every key). Results go to standard output, talk to standard error.
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

// Exit statuses beyond 0 (done), 1 (internal error) and 2 (wrong command line).
const (
	exitPartial = 3 // done, but some records were refused
	exitStopped = 4 // stopped half-way; the same command goes on
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
	fmt.Fprintf(stderr, "issuer: error: %v\n", err)
	if h := hintFor(err); h != "" {
		fmt.Fprintf(stderr, "issuer: hint: %s\n", h)
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

// program is one run: where the issuer's directory is and how to answer.
type program struct {
	dir    string // the issuer's directory
	config string // path of the settings file; empty for dir/issuer.yaml
	json   bool   // results as one JSON document
	began  bool   // the command line was understood and an action runs
	now    func() time.Time
}

// commands is the whole tree. Each action is a function in a file of its name.
func (p *program) commands() *cobra.Command {
	root := &cobra.Command{
		Use:   "issuer",
		Short: "Issue credentials from registry records and look after them",
		Long: `issuer signs credentials from the records of a registry and looks after them.

A first certificate in four commands:

  issuer init office --name "Civil Registry" --country XA
  issuer sample births --records 200 > births.csv
  issuer programme add --dir office examples/programmes/birth-certificate.yaml
  issuer batch --dir office --programme birth-certificate --source births.csv --out certificates

Then hand out what anyone needs to check them:

  issuer trust export --dir office --out office.trust`,
		SilenceErrors: true, SilenceUsage: true,
		Version: version(),
	}
	root.PersistentFlags().StringVar(&p.dir, "dir", "", "the issuer's directory, made by init (default: the current directory)")
	root.PersistentFlags().StringVar(&p.config, "config", "", "read settings from `FILE` (default: issuer.yaml in the directory)")
	root.PersistentFlags().BoolVar(&p.json, "json", false, "print the result as one JSON document")
	root.AddCommand(
		p.initCommand(), p.configCommand(), p.programmeCommand(), p.sourceCommand(), p.sampleCommand(),
		p.issueCommand(), p.batchCommand(),
		p.revokeCommand(), p.suspendCommand(), p.resumeCommand(), p.statusCommand(),
		p.trustCommand(), p.keysCommand(), p.auditCommand(),
	)
	return root
}

// group is a command that only has subcommands.
func group(use, short, long string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.NoArgs,
		// Without RunE cobra answers an unknown word with help and status 0.
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(subs...)
	return c
}

// action marks that the command line was understood before f runs.
func (p *program) action(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p.began = true
		return f(cmd, args)
	}
}
