package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/verification"
)

// checkOptions are the flags of check.
type checkOptions struct {
	trust, key, at string
	moment         time.Time // of at; zero for now
	words          i18n.Language
	request        request
	counter        counterOptions
	all            bool
	oldType        bool
}

func (p *program) checkCommand() *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:   "check [--trust FILE] FILE|-...",
		Short: "Check a certificate and say what it is worth",
		Long: `check reads the picture of a code (PNG or JPEG), the text of a code, the bytes of a credential, or what a wallet shows
(SD-JWT), tells which it is, and judges it. The exit status is the verdict:

   0  valid          genuine, and checked against lists that are fresh enough
  10  check_needed   genuine, but something needs a person's look
  20  invalid        do not accept it
  30  undetermined   no decision could be reached

Of several files it is the worst. 2 is a wrong command line, 1 an internal error.

What a wallet shows proves its holder only to the one who asked: name yourself and your request as they were sent to the
wallet, with --audience and --nonce. Without them it counts as a copy that anyone may have.

A live code is checked by the clock of this computer. With --poster nothing is taken but a code made for the counter of that poster, with
--challenge nothing but the answer to the question that ` + "`verifier challenge`" + ` asked. A copy that is made out to somebody is checked for the
names that you give with --as. What was accepted is remembered for two minutes, so that it is not accepted twice.`,
		Example: `  verifier check --trust office.trust certificate.png
  verifier check certificate.jpg strip.jpg
  verifier check --json - < code.txt
  verifier check --trust office.trust --at 2026-11-12T09:00:00Z code.txt
  verifier check --key issuer.jwk code.txt
  verifier check --challenge question.json answer.png
  verifier check --poster counter.png live.png
  verifier check --as "Janata Bank Jessore" copy.png
  verifier check --audience x509_hash:Uvo3... --nonce n-0S6_WzA2Mj presentation.txt`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.MinimumNArgs(1)(cmd, args); err != nil {
				return cli.Hint(errors.New("no file to check"), "name a picture or text of a code, or - for standard input")
			}
			return o.parse(p)
		},
		RunE: p.Action(func(cmd *cobra.Command, args []string) error { return p.check(cmd, o, args) }),
	}
	c.Flags().StringVar(&o.trust, "trust", "", "judge by the trust bundle in `FILE` (default: the imported one)")
	c.Flags().StringVar(&o.key, "key", "", "check with one public key in `FILE` (JWK, PEM or COSE_Key) in place of a bundle")
	c.Flags().StringVar(&o.request.audience, "audience", "", "require a proof by the holder that was made for this `NAME`")
	c.Flags().StringVar(&o.request.nonce, "nonce", "", "require that proof to answer the request with this `VALUE`")
	c.Flags().BoolVar(&o.oldType, "accept-vc-sd-jwt", false, "also read credentials of drafts before November 2024 (typ vc+sd-jwt)")
	c.Flags().StringVar(&o.at, "at", "", "judge at this `TIME` (RFC 3339), for tests and disputes")
	o.counter.flags(c)
	c.Flags().BoolVar(&o.all, "all", false, "also show what is marked as sensitive")
	return c
}

// parse checks what cobra cannot.
func (o *checkOptions) parse(p *program) (err error) {
	if o.words, err = p.Language(); err != nil {
		return err
	}
	if o.trust != "" && o.key != "" {
		return errors.New("--trust and --key exclude each other")
	}
	if (o.request.audience == "") != (o.request.nonce == "") {
		return cli.Hint(errors.New("--audience and --nonce belong together"), "give both as they were sent to the wallet, or none")
	}
	if o.at == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339, o.at)
	if err != nil {
		return cli.Hint(fmt.Errorf("--at %q is not a time", o.at), "write it as 2026-11-12T09:00:00Z")
	}
	o.moment = t.UTC()
	return nil
}

// check judges each file and ends with the worst verdict. A file that cannot be
// read does not keep the others from being judged.
func (p *program) check(cmd *cobra.Command, o checkOptions, names []string) error {
	k, err := p.know(cmd, o)
	if err != nil {
		return err
	}
	if k.config.Counter, err = p.counter(cmd, o.counter); err != nil {
		return err
	}
	if o.moment.IsZero() {
		defer p.remember(cmd, &k.config.Counter)()
	}
	if k.config.TrustProblem != "" && !p.JSON {
		cli.Say(cmd, "verifier: note: %s", cli.Visible(k.config.TrustProblem))
	}
	var failed error
	var reports []named
	for _, name := range names {
		in, err := present(cmd, name)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		r, err := k.judge(in)
		if err != nil {
			return err
		}
		if err := k.learn(r); err != nil {
			cli.Say(cmd, "verifier: note: %v", err)
		}
		reports = append(reports, named{name, r})
	}
	if err := p.printReports(cmd, o, reports, len(names) > 1); err != nil {
		return err
	}
	if failed != nil {
		if errors.Is(failed, os.ErrNotExist) {
			return cli.Hint(failed, "check the name; - reads from standard input")
		}
		return failed
	}
	worst := verification.Valid
	for _, r := range reports {
		worst = verification.Worse(worst, r.report.Verdict)
	}
	if status := worst.ExitStatus(); status != 0 {
		return cli.Exit(status)
	}
	return nil
}

// judge makes the report on what a file holds.
func (k *knowledge) judge(in presented) (verification.Report, error) {
	c, err := verification.New(k.config)
	if err != nil {
		return verification.Report{}, err
	}
	return in.Judge(c), nil
}

// A named report is one with the name of its file.
type named struct {
	name   string
	report verification.Report
}

// MarshalJSON puts the name into the report.
func (n named) MarshalJSON() ([]byte, error) {
	report, err := json.Marshal(n.report)
	if err != nil {
		return nil, err
	}
	name, err := json.Marshal(n.name)
	if err != nil {
		return nil, err
	}
	return append(append(append([]byte(`{"file":`), name...), ','), report[1:]...), nil
}

// printReports prints one report as it is, several as a list with the names of
// their files.
func (p *program) printReports(cmd *cobra.Command, o checkOptions, reports []named, several bool) error {
	out := cmd.OutOrStdout()
	switch {
	case p.JSON && several:
		return cli.PrintJSON(out, append([]named{}, reports...))
	case p.JSON && len(reports) == 1:
		return cli.PrintJSON(out, reports[0].report)
	case p.JSON:
		return nil
	}
	for i, r := range reports {
		if i > 0 {
			fmt.Fprintln(out)
		}
		s := screen{out: out, words: o.words, width: cli.Width(out), colour: cli.Colours(out), all: o.all}
		if several {
			s.line(cli.Visible(r.name))
		}
		s.report(r.report)
	}
	return nil
}
