package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/web/scanner"
)

func (p *program) scannerCommand() *cobra.Command {
	return cli.Group("scanner", "The page that checks certificates in a browser",
		"The scanner page reads codes with the camera of a phone or an office computer, and judges them on that device, also without a network.\n"+
			"`verifier serve` serves it at /scanner/; export makes a folder of it for any other web server.",
		p.scannerExportCommand())
}

func (p *program) scannerExportCommand() *cobra.Command {
	var file, tallies string
	var bare bool
	c := &cobra.Command{
		Use: "export DIR", Short: "Write the scanner page into a folder for any web server", Args: cobra.ExactArgs(1),
		Long: `export writes files that any web server can serve over https, and with them the trust bundle that the page begins with: that of --trust, or the imported
one. Whoever opens the page then trusts what you trust. To hand out newer lists replace bundle.trust in the folder, or export again into it.

With --tallies the page uploads what counters have counted to that verifier, and may ask it besides its own server. That verifier must name the website of
the page in its setting tally_origins.

With --bare the page trusts nobody at first: each user imports a bundle and compares its fingerprint.`,
		Example: "  verifier scanner export /srv/www/scanner\n  verifier scanner export --trust office.trust --tallies https://verifier.example /srv/www/scanner",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			bundle, err := p.pageBundle(cmd, file, bare)
			if err != nil {
				return err
			}
			if err := scanner.Export(args[0], scanner.ExportOptions{Trust: bundle, Tallies: tallies}); err != nil {
				if errors.Is(err, scanner.ErrNotBuilt) {
					return cli.Hint(err, "build it with `make build` on a machine that has npm")
				}
				return err
			}
			if p.JSON {
				return cli.PrintJSON(cmd.OutOrStdout(), map[string]any{"dir": args[0], "trust": len(bundle) > 0})
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "The scanner page is in %s.\n", cli.Visible(filepath.Clean(args[0])))
			cli.Say(cmd, "Next: serve that folder over https; browsers give a page the camera only there and on this machine.")
			return err
		}),
	}
	c.Flags().StringVar(&file, "trust", "", "begin with the trust bundle in `FILE` (default: the imported one)")
	c.Flags().StringVar(&tallies, "tallies", "", "upload tallies to the verifier at `URL` (default: to nobody)")
	c.Flags().BoolVar(&bare, "bare", false, "trust nobody at first")
	c.MarkFlagsMutuallyExclusive("trust", "bare")
	return c
}

// pageBundle is the file of the bundle that the page begins with, nil for none.
func (p *program) pageBundle(cmd *cobra.Command, file string, bare bool) ([]byte, error) {
	if bare {
		return nil, nil
	}
	if file != "" {
		b, err := readAll(cmd, file, trust.MaxFile)
		if err != nil {
			return nil, err
		}
		if _, err := trust.Open(b); err != nil {
			return nil, refusal(err)
		}
		return b, nil
	}
	dir, err := p.home()
	if err != nil {
		return nil, err
	}
	st, err := trust.NewDirMemory(dir).Load()
	if err != nil {
		return nil, err
	}
	if _, err := st.Open(); err != nil {
		return nil, cli.Hint(fmt.Errorf("no trust bundle to begin with: %w", err), "--trust FILE, or `verifier trust import FILE` before; --bare for a page that trusts nobody at first")
	}
	return st.Bundle, nil
}
