package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/trust"
)

func (p *program) trustCommand() *cobra.Command {
	var fingerprint string
	imports := &cobra.Command{
		Use: "import FILE|-", Short: "Take a trust bundle into use: the issuers that it names are known", Args: cobra.ExactArgs(1),
		Example: `  wallet-cli trust import office.trust
  wallet-cli trust import --fingerprint "01234 56789 01234 56789 01234 56789" office.trust`,
		RunE: p.Action(func(cmd *cobra.Command, args []string) error { return p.trustImport(cmd, args[0], fingerprint) }),
	}
	imports.Flags().StringVar(&fingerprint, "fingerprint", "", "the published fingerprint, `DIGITS` in six groups of five, in place of a question")
	roots := &cobra.Command{
		Use: "root FILE|-", Short: "Trust an authority (certificates in PEM) to say who issuers and verifiers are", Args: cobra.ExactArgs(1),
		Example: "  wallet-cli trust root national-root.pem",
		RunE:    p.Action(func(cmd *cobra.Command, args []string) error { return p.trustRoot(cmd, args[0]) }),
	}
	roots.Flags().BoolVar(&p.yes, "yes", false, "do not ask (for scripts)")
	return cli.Group("trust", "Say whom this wallet trusts", "", imports, roots)
}

func (p *program) trustImport(cmd *cobra.Command, file, fingerprint string) error {
	dir, err := p.trustDir()
	if err != nil {
		return err
	}
	b, err := readAll(cmd, file, trust.MaxFile)
	if err != nil {
		return err
	}
	memory := trust.NewDirMemory(dir)
	before, err := memory.Load()
	if err != nil {
		return err
	}
	words, err := p.Language()
	if err != nil {
		return err
	}
	var unasked error
	after, bundle, err := trust.Accept(before, b, func(bundle *trust.Bundle) bool {
		if fingerprint != "" {
			return trust.Pinned(fingerprint)(bundle)
		}
		cli.Say(cmd, "%s\n\n    %s", words.Text("wallet.trust.compare", nil), bundle.Fingerprint())
		if !cli.IsTerminal(cmd.InOrStdin()) {
			unasked = p.Misused(cli.Hint(errors.New("there is no terminal to confirm the fingerprint on"), "compare it and give it: --fingerprint %q", bundle.Fingerprint()))
			return false
		}
		yes, err := p.agreed(cmd, words.Text("wallet.trust.same", nil))
		unasked = err
		return yes
	})
	if unasked != nil {
		return unasked
	}
	if err != nil {
		return cli.Hint(err, "do not use this file unless the authority confirms the fingerprint by another way")
	}
	if err := memory.Save(after); err != nil {
		return err
	}
	return p.Print(cmd, map[string]any{"bundle_version": bundle.Version, "fingerprint": bundle.Fingerprint(), "as_of": bundle.AsOf.Format(time.RFC3339)}, func(out io.Writer) {
		fmt.Fprintf(out, "Trust bundle %d of %s in use: %s.\n", bundle.Version, bundle.AsOf.Format(time.DateOnly), cli.Count(len(bundle.Issuers), "issuer"))
	})
}

func (p *program) trustRoot(cmd *cobra.Command, file string) error {
	dir, err := p.trustDir()
	if err != nil {
		return err
	}
	b, err := readAll(cmd, file, 256<<10)
	if err != nil {
		return err
	}
	roots, err := chain.ParseRoots(b)
	if err != nil {
		return cli.Hint(err, "give the certificate of the root in PEM")
	}
	names := []string{}
	for _, r := range roots {
		names = append(names, r.Subject.CommonName)
		cli.Say(cmd, "%s, until %s\n    SHA-256 %s", cli.Visible(r.Subject.String()), r.NotAfter.Format(time.DateOnly), chain.Hash(r.Raw))
	}
	words, err := p.Language()
	if err != nil {
		return err
	}
	yes, err := p.agreed(cmd, words.Text("wallet.trust.root", nil))
	if err != nil {
		return err
	}
	if !yes {
		return cli.Exit(statusDeclined)
	}
	for _, r := range roots {
		if err := chain.Folder(dir).AddRoot(r.Raw); err != nil {
			return err
		}
	}
	return p.Print(cmd, map[string]any{"roots": names}, func(out io.Writer) { fmt.Fprintf(out, "%s trusted.\n", cli.Count(len(roots), "root")) })
}
