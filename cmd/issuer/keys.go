package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
)

func (p *program) keysCommand() *cobra.Command {
	return cli.Group("keys", "Look after the signing keys",
		`Keys have one purpose each: credential, status_list, metadata, trust_bundle, audit or backup. A key is planned, then active, then retired; what it
signed keeps verifying, because trust bundles list it for good. A key that somebody else may have is marked as compromised.

Wallets also want X.509 certificates: under a root of the state's own (root, certify), or of an authority elsewhere (csr, import-chain).`,
		p.keysList(), p.keysRotate(), p.keysRetire(), p.keysCompromise(), p.keysExport(),
		p.keysRoot(), p.keysCertify(), p.keysCSR(), p.keysImportChain())
}

// keyView is a key as --json shows it.
type keyView struct {
	ID        string     `json:"id"`
	Purpose   string     `json:"purpose"`
	Algorithm string     `json:"algorithm"`
	State     string     `json:"state"`
	Created   time.Time  `json:"created"`
	Published *time.Time `json:"published"`
	SignFrom  time.Time  `json:"sign_from"`
	SignUntil time.Time  `json:"sign_until"`
	Since     *time.Time `json:"compromised_since,omitempty"`
	// Certificate is when the chain of the key ends.
	Certificate *time.Time `json:"certificate_until,omitempty"`
}

func viewKey(k keys.Key) keyView {
	v := keyView{
		ID: k.ID().String(), Purpose: string(k.Purpose), Algorithm: string(k.Public.Algorithm()), State: string(k.State),
		Created: k.Created, SignFrom: k.SignFrom, SignUntil: k.SignUntil,
	}
	if !k.Published.IsZero() {
		v.Published = &k.Published
	}
	if !k.CompromisedSince.IsZero() {
		v.Since = &k.CompromisedSince
	}
	return v
}

func (p *program) keysList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Show every key and where it stands", Args: cobra.NoArgs,
		Example: "  issuer keys list --dir office",
		RunE: p.office(readOnly, func(cmd *cobra.Command, a *app, _ []string) error {
			all, err := a.keys.Keys(cmd.Context())
			if err != nil {
				return err
			}
			views := make([]keyView, len(all))
			ends := make([]time.Time, len(all))
			for i, k := range all {
				views[i] = viewKey(k)
				if ends[i], err = a.certificateEnd(k); err != nil {
					return err
				}
				if !ends[i].IsZero() {
					views[i].Certificate = &ends[i]
				}
			}
			return p.PrintList(cmd, len(views), "the keystore has no key; next: `issuer keys rotate --purpose credential`", views, func(w io.Writer) {
				table(w, "KEY|PURPOSE|ALGORITHM|STATE|PUBLISHED|SIGNS FROM|SIGNS UNTIL|CERTIFICATE UNTIL", func(add func(...string)) {
					for i, k := range all {
						add(k.ID().String(), k.Purpose.String(), string(k.Public.Algorithm()), string(k.State),
							date(k.Published), date(k.SignFrom), date(k.SignUntil), date(ends[i]))
					}
				})
			})
		}),
	}
}

// officePurposes are those of the keys that an issuer replaces. Keys of other purposes live
// elsewhere: with witnesses, wallets and verifiers, and off the machine.
var officePurposes = []keys.Purpose{keys.Credential, keys.StatusList, keys.Metadata, keys.TrustBundle, keys.Audit, keys.Backup}

func (p *program) keysRotate() *cobra.Command {
	var purpose, algorithm string
	var emergency bool
	c := &cobra.Command{
		Use: "rotate", Short: "Take the next step of replacing a signing key", Args: cobra.NoArgs,
		Long: `Rotation takes two visits. The first makes a new key, which the next trust bundle carries. The second, after the bundle has had time to reach
verifiers (keys.publish_before in the settings), lets the new key sign and retires the old one. Run the command again whenever you like: it does
the next step if its time has come, and otherwise says when that is. A key for trust bundles (--purpose trust_bundle) becomes known by
` + "`issuer trust root`" + `; in an office whose parts another one publishes, by ` + "`issuer trust part`" + ` and by hand.`,
		Example: "  issuer keys rotate --dir office\n  issuer trust export --dir office --out office.trust\n  issuer keys rotate --dir office      # a week later",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			pp := keys.Purpose(purpose)
			if !slices.Contains(officePurposes, pp) {
				return p.Misused(cli.Hint(fmt.Errorf("--purpose %q is not what an office signs", purpose),
					"credential, status_list, metadata, trust_bundle, audit or backup"))
			}
			app, err := p.open(cmd, readWrite)
			if err != nil {
				return err
			}
			defer app.close()
			spec := app.keySpec(pp)
			if algorithm != "" {
				if spec.Algorithm, err = keys.ParseAlgorithm(algorithm); err != nil {
					return err
				}
			}
			margin := time.Duration(app.cfg.Keys.PublishBefore)
			if emergency {
				margin = 0
			}
			if made, k, err := firstBackupKey(cmd, app, spec); made || err != nil {
				if err != nil {
					return err
				}
				return p.Print(cmd, map[string]any{"step": string(keys.StepActivate), "key": viewKey(k)}, func(w io.Writer) {
					fmt.Fprintf(w, "made %s key %s, which signs from now on\n", k.Purpose, k.ID())
				})
			}
			r, err := app.service.RotateKey(cmd.Context(), spec, margin, app.actor)
			if err != nil {
				return err
			}
			bundle, err := app.store.Publication(cmd.Context(), issuance.TrustName)
			if err != nil {
				return err
			}
			result := map[string]any{"step": string(r.Step), "key": viewKey(r.Next)}
			if !r.Ready.IsZero() {
				result["ready"] = r.Ready
			}
			return p.Print(cmd, result, func(w io.Writer) { fmt.Fprintln(w, rotationText(r, emergency, bundle.Number > 0)) })
		}),
	}
	c.Flags().StringVar(&purpose, "purpose", string(keys.Credential), "which key: credential, status_list, metadata, trust_bundle, audit or backup")
	c.Flags().StringVar(&algorithm, "algorithm", "", "ES256, ES384 or EdDSA (default: ES256; EdDSA for audit)")
	c.Flags().BoolVar(&emergency, "emergency", false, "do not wait for the bundle to reach verifiers: those without it will answer \"cannot tell\"")
	return c
}

// firstBackupKey makes the key for backups of an office that is older than they
// are. Verifiers never meet it, so there is nobody to wait for.
func firstBackupKey(cmd *cobra.Command, a *app, spec keys.Spec) (made bool, k keys.Key, err error) {
	all, err := a.keys.Keys(cmd.Context())
	if err != nil || spec.Purpose != keys.Backup ||
		slices.ContainsFunc(all, func(k keys.Key) bool { return k.Purpose == keys.Backup }) {
		return false, keys.Key{}, err
	}
	k, err = a.service.FirstKey(cmd.Context(), spec, a.actor)
	return err == nil, k, err
}

// rotationText says what a step did and what comes next. An office with a root of its own
// is rooted: what makes its next key for bundles known is the root.
func rotationText(r keys.Rotation, emergency, rooted bool) string {
	carrier, publish := "a trust bundle", "`issuer trust export`"
	switch {
	case r.Next.Purpose == keys.TrustBundle && rooted:
		carrier, publish = "the root", "`issuer trust root --root-key FILE`"
	case r.Next.Purpose == keys.TrustBundle:
		carrier, publish = "a part", "`issuer trust part`"
	}
	switch r.Step {
	case keys.StepGenerate:
		return fmt.Sprintf("made %s key %s\nnext: publish it with %s, then run this command again", r.Next.Purpose, r.Next.ID(), publish)
	case keys.StepPublish:
		return fmt.Sprintf("key %s is not in %s yet\nnext: %s, then run this command again", r.Next.ID(), carrier, publish)
	case keys.StepWait:
		return fmt.Sprintf("key %s is published; it may sign from %s on\nnext: run this command again then", r.Next.ID(), r.Ready.Format(time.RFC3339))
	}
	text := fmt.Sprintf("key %s signs from now on", r.Next.ID())
	for _, k := range r.Changes {
		if k.State == keys.Retired {
			text += fmt.Sprintf("\nkey %s is retired; what it signed keeps verifying", k.ID())
		}
	}
	if r.Next.Purpose == keys.TrustBundle && !rooted {
		text += fmt.Sprintf("\nnext: hand it over (`issuer keys export %s`); the office that takes your parts names it once: `issuer trust add --key FILE`", r.Next.ID())
	}
	if emergency {
		text += "\nverifiers that have not fetched the last bundle will answer \"cannot tell\" until they do"
	}
	return text
}

func (p *program) keysRetire() *cobra.Command {
	return &cobra.Command{
		Use: "retire KEY", Short: "Stop a key from signing, without a successor", Args: cobra.ExactArgs(1),
		Example: "  issuer keys retire --dir office 0123456789abcdef",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			id, err := keys.ParseID(args[0])
			if err != nil {
				return cli.Hint(err, "`issuer keys list` shows the keys")
			}
			app, err := p.open(cmd, readWrite)
			if err != nil {
				return err
			}
			defer app.close()
			k, err := app.service.RetireKey(cmd.Context(), id, app.actor)
			if err != nil {
				return err
			}
			return p.Print(cmd, viewKey(k), func(w io.Writer) {
				fmt.Fprintf(w, "%s is retired; what it signed keeps verifying\nnext: `issuer trust export`\n", k)
			})
		}),
	}
}

func (p *program) keysCompromise() *cobra.Command {
	var since string
	c := &cobra.Command{
		Use: "compromise KEY --since TIME", Short: "Mark a key as known to somebody else", Args: cobra.ExactArgs(1),
		Long: `The key signs no more from this moment on. With the next trust bundle, verifiers refuse what it signed after the time given. If it signs
credentials, its status lists are sealed, and the bundle says which slots were really given out, so that forged older credentials show.`,
		Example: "  issuer keys compromise --dir office 0123456789abcdef --since 2026-11-01T00:00:00Z\n  issuer keys rotate --dir office --emergency\n  issuer trust export --dir office --out office.trust",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			id, err := keys.ParseID(args[0])
			if err != nil {
				return cli.Hint(err, "`issuer keys list` shows the keys")
			}
			at, err := parseTime(since)
			if err != nil {
				return err
			}
			if at.After(p.Now()) { // until then verifiers would take what the thief signs
				return p.Misused(fmt.Errorf("--since %s is still to come; a day begins at midnight UTC", at.Format(time.RFC3339)))
			}
			app, err := p.open(cmd, readWrite)
			if err != nil {
				return err
			}
			defer app.close()
			k, err := app.service.CompromiseKey(cmd.Context(), id, at, app.actor)
			if err != nil {
				return err
			}
			return p.Print(cmd, viewKey(k), func(w io.Writer) {
				fmt.Fprintf(w, "%s: refused if issued after %s\nnext: `issuer keys rotate --emergency`, then `issuer trust export`, and tell verifiers to update\n",
					k, k.CompromisedSince.Format(time.RFC3339))
			})
		}),
	}
	c.Flags().StringVar(&since, "since", "", "from when somebody else may have used it, as `RFC3339` time or day (required)")
	_ = c.MarkFlagRequired("since")
	return c
}

// parseTime reads an RFC 3339 time or a day.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-11-01T00:00:00Z or 2026-11-01", s)
}

func (p *program) keysExport() *cobra.Command {
	var format, out string
	c := &cobra.Command{
		Use: "export KEY", Short: "Write the public half of a key", Args: cobra.ExactArgs(1),
		Long:    "Writes the public half only; private keys never leave the keystore. `verifier check --key FILE` takes all three formats.",
		Example: "  issuer keys export --dir office 0123456789abcdef --format jwk > key.jwk",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			id, err := keys.ParseID(args[0])
			if err != nil {
				return cli.Hint(err, "`issuer keys list` shows the keys")
			}
			app, err := p.open(cmd, readOnly)
			if err != nil {
				return err
			}
			defer app.close()
			all, err := app.keys.Keys(cmd.Context())
			if err != nil {
				return err
			}
			for _, k := range all {
				if k.ID() != id {
					continue
				}
				b, err := encodeKey(k.Public, format)
				if err != nil {
					return err
				}
				if out != "" {
					return os.WriteFile(out, b, 0o644)
				}
				_, err = cmd.OutOrStdout().Write(b)
				return err
			}
			return cli.Hint(fmt.Errorf("%w: %s", keys.ErrNoKey, id), "`issuer keys list` shows the keys")
		}),
	}
	c.Flags().StringVar(&format, "format", "pem", "pem, jwk or cose")
	c.Flags().StringVar(&out, "out", "", "write to `FILE` instead of standard output")
	return c
}

func encodeKey(k keys.PublicKey, format string) ([]byte, error) {
	switch format {
	case "pem":
		return k.PEM(), nil
	case "jwk":
		return append(k.JWK(), '\n'), nil
	case "cose":
		return k.COSEKey(), nil
	}
	return nil, fmt.Errorf("--format %q: pem, jwk or cose", format)
}
