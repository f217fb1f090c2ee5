package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

func (p *program) trustPart() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "part --out FILE", Short: "Write this issuer's part of a bundle that another office publishes", Args: cobra.NoArgs,
		Long: `Signs what this issuer answers for: its keys, types and status lists. The office that publishes the bundle takes it in with
` + "`issuer trust add`" + `. The first time it also needs the key that signs parts (` + "`issuer keys export`" + ` writes it; the key with purpose
trust_bundle): hand that over in person.`,
		Example: "  issuer trust part --dir ministry --out ministry.part",
		RunE: p.office(readWrite, func(cmd *cobra.Command, a *app, _ []string) error {
			release, err := holdFolder(cmd.Context(), filepath.Dir(out))
			if err != nil {
				return err
			}
			defer release()
			part, err := a.service.PublishPart(cmd.Context(), issuance.TrustRequest{
				Names: a.cfg.Issuer.Names, Country: a.cfg.Issuer.Country, Actor: a.actor,
			})
			if err != nil {
				return err
			}
			if err := handOut(out, part.Content); err != nil {
				return err
			}
			return p.Print(cmd, map[string]any{"file": out, "number": part.Number, "bytes": len(part.Content)}, func(w io.Writer) {
				fmt.Fprintf(w, "%s: part %d of %s, %d bytes\nnext: the office that publishes the bundle runs `issuer trust add %s --out FILE.trust`\n",
					out, part.Number, a.cfg.Issuer.ID, len(part.Content), filepath.Base(out))
			})
		}),
	}
	c.Flags().StringVar(&out, "out", "", "the file to write (required)")
	_ = c.MarkFlagRequired("out")
	return c
}

func (p *program) trustAdd() *cobra.Command {
	var keyFile, out string
	c := &cobra.Command{
		Use: "add FILE --out FILE.trust", Short: "Take another authority's part into the next trust bundle", Args: cobra.ExactArgs(1),
		Long: `Publishes the next bundle with the part of another issuing authority in it. The first time --key names the public key that signs its parts;
from then on that key is known. When the authority has replaced it, --key names the new one, which is handed over like the first. A part that names somebody else's type, list or key, or that goes back in time, is refused.`,
		Example: "  issuer trust add --dir office ministry.part --key ministry.pem --out office.trust",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			part, err := p.lastBundle(cmd, args)
			if err != nil {
				return err
			}
			a, err := p.open(cmd, readWrite)
			if err != nil {
				return err
			}
			defer a.close()
			newcomer, err := readNewcomer(part, keyFile)
			if err != nil {
				return err
			}
			release, err := holdFolder(cmd.Context(), filepath.Dir(out))
			if err != nil {
				return err
			}
			defer release()
			b, content, err := a.publish(cmd, func(r *issuance.TrustRequest) {
				r.Edit = func(c trust.Content) (trust.Content, error) {
					if newcomer != nil {
						if c, err = introduce(c, *newcomer); err != nil {
							return c, err
						}
					}
					return c.Merge(part, p.Now())
				}
			})
			switch {
			case errors.Is(err, trust.ErrPartIssuer):
				return cli.Hint(err, "the first time, name the key that signs its parts with --key")
			case errors.Is(err, trust.ErrPartSigner):
				return cli.Hint(err, "ask that authority, by telephone, whether its key has changed; if so, --key names the one that it hands over")
			case err != nil:
				return err
			}
			return p.exported(cmd, b, content, out)
		}),
	}
	c.Flags().StringVar(&keyFile, "key", "", "the first time, and when it has another one: the public key (PEM, JWK or COSE_Key) that signs the authority's parts")
	c.Flags().StringVar(&out, "out", "", "the trust bundle to write (required)")
	_ = c.MarkFlagRequired("out")
	return c
}

// introduce puts an issuer whose parts are taken into the content, or another key for the
// parts of one that is there.
func introduce(c trust.Content, newcomer trust.Issuer) (trust.Content, error) {
	c.Issuers = slices.Clone(c.Issuers)
	i := slices.IndexFunc(c.Issuers, func(i trust.Issuer) bool { return i.ID == newcomer.ID })
	switch {
	case i < 0:
		c.Issuers = append(c.Issuers, newcomer)
	case c.Issuers[i].Authority == nil:
		return c, fmt.Errorf("%q is the issuer that publishes this bundle", newcomer.ID)
	default:
		authority := *c.Issuers[i].Authority
		authority.Key = newcomer.Authority.Key
		c.Issuers[i].Authority = &authority
	}
	return c, nil
}

// readNewcomer is the issuer of a part whose key was just handed over; nil if
// no key was.
func readNewcomer(part []byte, keyFile string) (*trust.Issuer, error) {
	if keyFile == "" {
		return nil, nil
	}
	b, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	key, err := keys.ParsePublicKey(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	c, err := trust.OpenContribution(part, key)
	if err != nil {
		return nil, err
	}
	return &trust.Issuer{ID: c.Issuer.ID, Names: c.Issuer.Names, Country: c.Issuer.Country, Authority: &trust.Authority{Key: key}}, nil
}
