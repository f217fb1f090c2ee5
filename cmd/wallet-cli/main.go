// Command wallet-cli keeps a holder's credentials in an encrypted folder: it accepts
// offers (OpenID4VCI), answers requests (OpenID4VP), and shows what it holds.
//
// Results go to standard output, talk to standard error. Exit status: 0 done, 1 an
// error, 2 a wrong command line, 10 the person said no, 20 the wallet or the other side
// refused. No secret is ever an argument.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/wallet"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process, so that a test can call it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return runAt(ctx, time.Now, args, stdin, stdout, stderr)
}

// runAt is run by another clock.
func runAt(ctx context.Context, now func() time.Time, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{Program: cli.Program{Name: "wallet-cli", Now: now}}
	return p.Run(ctx, p.commands(), args, stdin, stdout, stderr)
}

// program is one run.
type program struct {
	cli.Program
	dir        string // the wallet
	passphrase string // file with the passphrase
	devHTTP    bool
	yes        bool
	unknown    bool // go on with parties that nobody vouches for
}

// Exit statuses beside those of package cli.
const (
	statusFailed   = 1
	statusDeclined = 10
	statusRefused  = 20
)

// commands is the whole tree.
func (p *program) commands() *cobra.Command {
	root := &cobra.Command{
		Use: "wallet-cli", Short: "Keep and show your credentials",
		Long: `wallet-cli keeps your credentials, encrypted, in a folder of yours, and shows of them what you choose:

  wallet-cli init
  wallet-cli trust import office.trust
  wallet-cli accept "openid-credential-offer://..."
  wallet-cli list
  wallet-cli present "openid4vp://..."

Exit status: 0 done, 1 an error, 2 a wrong command line, 10 you said no, 20 the wallet or the other side refused.`,
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := root.PersistentFlags()
	f.StringVar(&p.dir, "dir", "", "the wallet's `DIR` (default: sanad-wallet in your configuration folder)")
	p.LanguageFlag(root, "names and labels")
	f.StringVar(&p.passphrase, "passphrase-file", "", "read the wallet's passphrase from `FILE`, which only you may read (default: ask)")
	f.BoolVar(&p.devHTTP, "dev-http", false, "also talk to servers on this machine without TLS (for development)")
	root.AddCommand(p.initCommand(), p.acceptCommand(), p.fetchCommand(), p.listCommand(), p.showCommand(), p.presentCommand(), p.qrCommand(), p.logCommand(),
		p.exportCommand(), p.importCommand(), p.deleteCommand(), p.trustCommand())
	return root
}

// consent adds the flags of commands that ask the person.
func (p *program) consent(c *cobra.Command, whom string) {
	c.Flags().BoolVar(&p.yes, "yes", false, "agree to what is shown, without a question (for scripts)")
	c.Flags().BoolVar(&p.unknown, "allow-unknown", false, "also deal with "+whom+" that nobody vouches for")
}

// advice names what to do about a refusal: the sentence wallet.advice.NAME. Why it was
// refused is wallet.refused.REFUSAL.
var advice = map[wallet.Refusal]string{
	wallet.BadLink:               "copy_link",
	wallet.UnsafeAddress:         "unsafe",
	wallet.BadMessage:            "later",
	wallet.PeerRefused:           "new_link",
	wallet.OtherIssuer:           "new_offer",
	wallet.MetadataSigner:        "trust_root",
	wallet.UnknownIssuer:         "trust_import",
	wallet.NotUsable:             "other_form",
	wallet.WeakServer:            "weak_server",
	wallet.NeedsTxCode:           "tx_code",
	wallet.NeedsSignIn:           "sign_in",
	wallet.OtherAnswer:           "start_again",
	wallet.NotAsIssued:           "tell_office",
	wallet.OtherKey:              "tell_office",
	wallet.OtherType:             "tell_office",
	wallet.OtherCredentialIssuer: "tell_office",
	wallet.BadSignature:          "update_trust",
	wallet.BadDates:              "clock",
	wallet.BadType:               "tell_office",
	wallet.UnsignedRequest:       "do_not_answer",
	wallet.ForgedRequest:         "warn",
	wallet.UnknownVerifier:       "certificate",
	wallet.OldRequest:            "new_request",
	wallet.OtherWallet:           "fresh_link",
	wallet.OtherAddress:          "elsewhere",
	wallet.PlainAnswer:           "encrypt",
	wallet.OverAsking:            "over_asking",
	wallet.NothingToShow:         "list",
	wallet.NotACard:              "card",
	wallet.Expired:               "renew",
	wallet.Revoked:               "ask_why",
	wallet.Suspended:             "ask_when",
	wallet.BadChoice:             "look_again",
}

// refused ends a command with the status of a refusal, if err is one.
func (p *program) refused(cmd *cobra.Command, err error) error {
	r, ok := errors.AsType[*wallet.RefusedError](err)
	if !ok && !errors.Is(err, wallet.ErrNoAnswer) {
		return err
	}
	words, wrong := p.Language()
	switch {
	case wrong != nil:
		return wrong
	case !ok && errors.Is(err, fetch.ErrForbidden): // nobody was asked, nor will be later
		return cli.Hint(err, "%s", words.Text("wallet.advice.unsafe", nil))
	case !ok:
		return cli.Hint(err, "%s", words.Text("wallet.advice.later", nil))
	}
	sayRefused(cmd, words, r)
	if p.JSON {
		if err := cli.PrintJSON(cmd.OutOrStdout(), map[string]any{"refused": r.Reason, "detail": r.Detail}); err != nil {
			return err
		}
	}
	return cli.Exit(statusRefused)
}

// sayRefused says what was refused, and what to do about it.
func sayRefused(cmd *cobra.Command, words i18n.Language, r *wallet.RefusedError) {
	// The code stays as it is, for whoever asks for help.
	cli.Say(cmd, "wallet-cli: error: %s", words.Text("wallet.said.refused", map[string]string{"reason": cli.Visible(r.Error())}))
	cli.Say(cmd, "%s", words.Text("wallet.refused."+string(r.Reason), nil))
	cli.Say(cmd, "wallet-cli: hint: %s", words.Text("wallet.advice."+advice[r.Reason], nil))
}

// failed says what went wrong beside what went well, and returns the status for it.
func failed(cmd *cobra.Command, words i18n.Language, err error) int {
	if r, ok := errors.AsType[*wallet.RefusedError](err); ok {
		sayRefused(cmd, words, r)
		return statusRefused
	}
	cli.Say(cmd, "wallet-cli: error: %s", cli.VisibleLines(err.Error()))
	if errors.Is(err, wallet.ErrNoAnswer) {
		cli.Say(cmd, "wallet-cli: hint: %s", words.Text("wallet.advice.come_again", nil))
	}
	return statusFailed
}
