package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/web/pocket"
)

// servesPocket reports whether the settings want the pocket page: where they say so, and
// where the console is unless they say no. A program without the page has none.
func servesPocket(cfg Config) bool {
	return pocket.Built() && (cfg.Serve.Pocket == "on" || cfg.Serve.Pocket == "" && cfg.Console.Enabled)
}

// pocketURL is where browsers find the page, "" if it is not served.
func pocketURL(cfg Config) string {
	if !servesPocket(cfg) {
		return ""
	}
	return address(cfg) + pocket.Path
}

// openPocket are the routes of the page, none if it is not wanted.
func (p *program) openPocket(cmd *cobra.Command, cfg Config, e *issuer.Endpoints) ([]web.Route, error) {
	if !servesPocket(cfg) {
		if cfg.Serve.Pocket == "on" {
			cli.Say(cmd, "issuer: note: no pocket page: %v", pocket.ErrNotBuilt)
		}
		return nil, nil
	}
	return pocket.Routes(e.Path(), e.TrustBundle)
}

func (p *program) pocketCommand() *cobra.Command {
	return cli.Group("pocket", "The page that is a wallet for people without an app",
		"The pocket page accepts offers, keeps cards in the browser and shows them as codes, also without a network.\n"+
			"`issuer serve` serves it at /pocket/ (serve.pocket in the settings); export makes a folder of it for any other web server.",
		p.pocketExportCommand())
}

func (p *program) pocketExportCommand() *cobra.Command {
	var file string
	var issuers []string
	c := &cobra.Command{
		Use: "export DIR", Short: "Write the pocket page into a folder for any web server", Args: cobra.ExactArgs(1),
		Long: `export writes files that any web server can serve over https. The page asks only the issuers that --issuer names; without it, any issuer with
https. Issuers of this project let scripts of every website ask the endpoints that wallets need; another issuer must do the same (CORS).

With --trust the page knows by that bundle who vouches for whom, and its users trust it because you do. To hand out newer lists replace
bundle.trust in the folder, or export again into it.`,
		Example: "  issuer pocket export --trust office.trust --issuer https://registry.example /srv/www/pocket",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			o := pocket.ExportOptions{Issuers: issuers}
			if file != "" {
				b, err := readBundle(file)
				if err != nil {
					return err
				}
				if _, err := trust.Open(b); err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				o.Trust = b
			}
			if err := pocket.Export(args[0], o); err != nil {
				if errors.Is(err, pocket.ErrNotBuilt) {
					return cli.Hint(err, "build it with `make build` on a machine that has npm")
				}
				return err
			}
			if p.JSON {
				return cli.PrintJSON(cmd.OutOrStdout(), map[string]any{"dir": args[0], "trust": file != ""})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "The pocket page is in %s.\n", cli.Visible(filepath.Clean(args[0])))
			cli.Say(cmd, "Next: serve that folder over https; browsers give a page keys and the camera only there and on this machine.")
			return err
		}),
	}
	c.Flags().StringVar(&file, "trust", "", "begin with the trust bundle in `FILE`")
	c.Flags().StringArrayVar(&issuers, "issuer", nil, "an `ADDRESS` that the page may ask; may be repeated")
	return c
}

// readBundle reads the file of a trust bundle.
func readBundle(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	b, err := io.ReadAll(io.LimitReader(f, trust.MaxFile+1))
	if err == nil && len(b) > trust.MaxFile {
		err = fmt.Errorf("%s is larger than any trust bundle", file)
	}
	return b, err
}
