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
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
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
	p := program{Program: cli.Program{Name: "issuer", Now: clock}}
	return p.Run(ctx, p.commands(), args, stdin, stdout, stderr)
}

// program is one run.
type program struct {
	cli.Program
	dir    string // the issuer's directory
	config string // path of the settings file; empty for dir/issuer.yaml
	// newBatches takes the present folder of batches as that of all servers.
	newBatches bool
	watch      watch
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
	}
	root.PersistentFlags().StringVar(&p.dir, "dir", "", "the issuer's directory, made by init (default: the current directory)")
	root.PersistentFlags().StringVar(&p.config, "config", "", "read settings from `FILE` (default: issuer.yaml in the directory)")
	root.AddCommand(
		p.initCommand(), p.configCommand(), p.programmeCommand(), p.sourceCommand(), p.sampleCommand(),
		p.issueCommand(), p.batchCommand(), p.printCommand(), p.offerCommand(), p.serveCommand(), p.pocketCommand(), p.staffCommand(),
		p.revokeCommand(), p.suspendCommand(), p.resumeCommand(), p.statusCommand(),
		p.trustCommand(), p.keysCommand(), p.auditCommand(), p.clockCommand(),
		p.backupCommand(), p.restoreCommand(), p.fsckCommand(), p.migrateCommand(),
	)
	return root
}
