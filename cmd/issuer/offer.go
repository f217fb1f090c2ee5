package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/registry"
)

// rule is how transaction codes are made: as the settings say, else of six digits.
func (c TxCodeConfig) rule() oid4vci.TxCodeRule {
	return oid4vci.TxCodeRule{Mode: oid4vci.InputMode(cmp.Or(c.InputMode, string(oid4vci.Numeric))), Length: cmp.Or(c.Length, 6)}
}

func (p *program) offerCommand() *cobra.Command {
	var r issuer.OfferRequest
	var txCode bool
	var picture string
	c := &cobra.Command{
		Use: "offer --programme P --record ID", Short: "Offer a credential to somebody's wallet", Args: cobra.NoArgs,
		Long: `Makes an offer for one record and prints the openid-credential-offer URI, and its code for a phone's camera (on a terminal, or with --qr). The
wallet fetches the credential from ` + "`issuer serve`" + `, which looks the record up then. The offer works once, for as long as the settings say.

Whoever has a bare offer can take it, so that it works for ten minutes at most. With --tx-code the wallet also asks for a code that you
tell the holder by another way (six digits, unless serve.tx_code says otherwise). With --claim-code the holder types a code from you on a
page of this issuer, with --login the holder signs in at the provider of the settings.`,
		Example: "  issuer offer --dir office --programme farmer-card --record F0700000042 --tx-code\n" +
			"  issuer offer --dir office --programme farmer-card --record F0700000042 --claim-code --qr offer.png\n" +
			"  issuer offer --dir office --programme farmer-card --record F0700000042 --tx-code --supersede   # the phone was lost",
		RunE: p.office(readOnly, func(cmd *cobra.Command, a *app, _ []string) error {
			if ext := strings.ToLower(filepath.Ext(picture)); picture != "" && ext != ".png" && ext != ".svg" {
				return p.Misused(cli.Hint(fmt.Errorf("--qr %q is neither .png nor .svg", picture), "for example --qr offer.png"))
			}
			if txCode {
				rule := a.cfg.Serve.TxCode.rule()
				r.TxCode = &rule
			}
			r.Actor = a.actor
			made, err := p.offer(cmd, a, r)
			if err != nil {
				return err
			}
			if nowhere(a.cfg) {
				sayElsewhere(cmd, a.cfg)
			}
			return p.handOut(cmd, made, picture)
		}),
	}
	f := c.Flags()
	f.StringVar(&r.Programme, "programme", "", "the programme to issue under (required)")
	f.StringVar(&r.Form, "form", "", "its wallet form (default: the only one)")
	f.StringVar(&r.Record, "record", "", "the record's id in its registry (required)")
	f.BoolVar(&txCode, "tx-code", false, "the wallet asks for a transaction code, too")
	f.BoolVar(&r.ClaimCode, "claim-code", false, "the holder signs in with a code of ours")
	f.BoolVar(&r.Login, "login", false, "the holder signs in at the provider of the settings")
	f.BoolVar(&r.ByValue, "by-value", false, "the link and its code carry the whole offer, for wallets that do not fetch one")
	f.BoolVar(&r.Supersede, "supersede", false, "replace the credential that the record has: the phone was lost")
	f.StringVar(&picture, "qr", "", "also draw the code into `FILE`, .png or .svg")
	_ = c.MarkFlagRequired("programme")
	_ = c.MarkFlagRequired("record")
	c.MarkFlagsMutuallyExclusive("tx-code", "claim-code", "login")
	return c
}

// offer makes the offer. The record must be there: the holder would be sent away by
// the wallet otherwise.
func (p *program) offer(cmd *cobra.Command, a *app, r issuer.OfferRequest) (*issuer.OfferMade, error) {
	prog, err := a.programme(cmd, r.Programme)
	if err != nil {
		return nil, err
	}
	src, err := a.source(cmd.Context(), a.cfg.Serve.Sources[r.Programme], prog)
	if errors.Is(err, errWhichSource) {
		return nil, cli.Hint(err, "`issuer serve` looks records up in sources of the settings: list one under sources, and with several say under serve.sources which one %s has", r.Programme)
	}
	if err != nil {
		return nil, err
	}
	if _, err := src.Lookup(cmd.Context(), r.Record); err != nil {
		return nil, explainLookup(err, prog)
	}
	if r.Login && a.cfg.Serve.Login.Issuer == "" {
		return nil, cli.Hint(errors.New("there is no provider to sign in at"), "serve.login in the settings, or --claim-code")
	}
	values, err := openOnce(cmd.Context(), a.cfg)
	if err != nil {
		return nil, err
	}
	defer values.Close() //nolint:errcheck // what was promised is stored
	c, err := p.endpointsConfig(a.cfg, a.keys, counterOffice{a}, values)
	if err != nil {
		return nil, err
	}
	e, err := issuer.New(c)
	if err != nil {
		return nil, err
	}
	made, err := e.Offer(cmd.Context(), r)
	return made, explainOffer(err)
}

// handOut prints what the holder gets.
func (p *program) handOut(cmd *cobra.Command, made *issuer.OfferMade, picture string) error {
	code, err := drawOffer(made.Link)
	if err != nil && picture != "" {
		return err
	}
	if picture != "" {
		if err := writePicture(code, picture); err != nil {
			return err
		}
	}
	view := struct {
		Offer     string    `json:"offer"`
		TxCode    string    `json:"tx_code,omitempty"`
		ClaimCode string    `json:"claim_code,omitempty"`
		Expires   time.Time `json:"expires"`
		QR        string    `json:"qr,omitempty"`
	}{made.Link, made.TxCode, made.ClaimCode, made.Expires, picture}
	return p.Print(cmd, view, func(w io.Writer) {
		fmt.Fprintln(w, made.Link)
		if made.TxCode != "" {
			fmt.Fprintln(w, "transaction code: "+made.TxCode)
		}
		if made.ClaimCode != "" {
			fmt.Fprintln(w, "claim code: "+made.ClaimCode)
		}
		if cli.IsTerminal(w) && code != nil {
			fmt.Fprint(w, code.Terminal())
		}
		cli.Say(cmd, "it works once, until %s", made.Expires.Local().Format("2006-01-02 15:04"))
	})
}

// maxOfferVersion is the largest code that phones read well from a screen.
const maxOfferVersion = 25

// drawOffer draws the code of an offer.
func drawOffer(link string) (*image.Code, error) {
	code, err := image.Draw(link, image.M)
	if errors.Is(err, image.ErrTooLong) || err == nil && code.Version() > maxOfferVersion {
		return nil, cli.Hint(fmt.Errorf("an offer of %d characters makes a code that is too large for cameras", len(link)),
			"without --by-value the code is small; without --qr there is only the link")
	}
	return code, err
}

func writePicture(code *image.Code, path string) error {
	content, err := code.SVG(), error(nil)
	if !strings.EqualFold(filepath.Ext(path), ".svg") {
		content, err = code.PNG(pngScale)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

// counterOffice is the issuer as far as an offer needs it, beside a server that writes.
type counterOffice struct{ a *app }

var errCounter = errors.New("nothing is issued at the counter")

// MayAct implements [issuer.Office].
func (c counterOffice) MayAct(context.Context) error {
	if c.a.cfg.Journal == "" {
		return nil
	}
	return writeProbe(c.a.cfg.Journal)
}

// Epoch implements [issuer.Office].
func (c counterOffice) Epoch(context.Context) (int64, error) { return c.a.store.Epoch(), nil }

// Programmes implements [issuer.Office].
func (c counterOffice) Programmes(ctx context.Context) ([]*programme.Programme, error) {
	return c.a.service.Programmes(ctx)
}

// Deliver implements [issuer.Office].
func (c counterOffice) Deliver(context.Context, issuance.Delivery) (*issuance.Issued, error) {
	return nil, errCounter
}

// Record implements [issuer.Office].
func (c counterOffice) Record(context.Context, string, string) (registry.Record, error) {
	return registry.Record{}, errCounter
}
