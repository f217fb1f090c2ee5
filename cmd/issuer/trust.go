package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

// rootLife is how long a root serves. Renewing it takes the people who hold the
// root keys; verifiers that miss it can tell nothing any more.
const rootLife = 10

func (p *program) trustCommand() *cobra.Command {
	return cli.Group("trust", "Publish what verifiers need: the trust bundle",
		`A trust bundle (.trust) is one signed file with the issuer's keys, the credential types each may sign, how old status may be, and the status of
everything issued. Verifiers import it and need nothing else.`,
		p.trustInit(), p.trustExport(), p.trustShow(), p.trustRoot(), p.trustPart(), p.trustAdd(), p.trustDelta())
}

func (p *program) trustInit() *cobra.Command {
	var n, threshold int
	c := &cobra.Command{
		Use: "init", Short: "Make the root keys and the first trust bundle", Args: cobra.NoArgs,
		Long: `Does for an issuer that was made with --without-root what ` + "`issuer init`" + ` does otherwise: makes root keys, signs the first root and
publishes the first bundle.`,
		Example: "  issuer trust init --dir office --root-keys 3 --root-threshold 2",
		RunE: p.office(readWrite, func(cmd *cobra.Command, a *app, _ []string) error {
			fingerprint, err := a.firstTrust(cmd, n, threshold, p.Now())
			if err != nil {
				return err
			}
			return p.Print(cmd, map[string]any{"root_fingerprint": fingerprint}, func(w io.Writer) {
				fmt.Fprintf(w, "root fingerprint  %s\n", fingerprint)
			})
		}),
	}
	c.Flags().IntVar(&n, "root-keys", 1, "how many root keys to make")
	c.Flags().IntVar(&threshold, "root-threshold", 1, "how many of them must sign a new root")
	return c
}

// firstTrust makes the root keys, signs the root and publishes the first bundle.
// It returns the fingerprint of the root.
func (a *app) firstTrust(cmd *cobra.Command, n, threshold int, now time.Time) (string, error) {
	if n < 1 || n > trust.MaxQuorum || threshold < 1 || threshold > n {
		return "", fmt.Errorf("--root-keys must be 1 to %d and --root-threshold not more", trust.MaxQuorum)
	}
	last, err := a.store.Publication(cmd.Context(), issuance.TrustName)
	if err != nil {
		return "", err
	}
	if len(last.Content) > 0 {
		return "", cli.Hint(errors.New("this issuer publishes trust bundles already"), "`issuer trust root` renews the root")
	}
	bundleKey, err := a.bundleKeys(cmd, now)
	if err != nil {
		return "", err
	}
	var signers []keys.Signer
	root := trust.Root{
		Version: 1, Issued: now.UTC().Truncate(time.Second), Threshold: threshold, BundleKeys: bundleKey, BundleThreshold: 1,
	}
	root.Expires = root.Issued.AddDate(rootLife, 0, 0)
	for i := range n {
		s, err := a.makeRootKey(cmd, i+1, now)
		if err != nil {
			return "", err
		}
		signers, root.Keys = append(signers, s), append(root.Keys, s.Key().Public)
	}
	chain, err := trust.SignRoot(rand.Reader, nil, root, signers, now)
	if err != nil {
		return "", err
	}
	b, _, err := a.publish(cmd, func(r *issuance.TrustRequest) { r.Roots, r.BundleKeys = chain, root.BundleKeys })
	if err != nil {
		return "", err
	}
	return b.Fingerprint(), nil
}

// makeRootKey makes a root key in a file of its own, with its passphrase beside
// it.
func (a *app) makeRootKey(cmd *cobra.Command, i int, now time.Time) (keys.Signer, error) {
	base := filepath.Join(a.dir, rootsName, fmt.Sprintf("root-%d", i))
	passphrase, err := makePassphrase(base + ".passphrase")
	if err != nil {
		return nil, err
	}
	ks, err := keyCost.CreateFile(base+".sanad", passphrase, rand.Reader)
	if err != nil {
		return nil, err
	}
	k, err := keys.Bootstrap(cmd.Context(), ks, keys.Spec{Purpose: keys.TrustRoot, Created: now})
	if err != nil {
		return nil, err
	}
	return ks.Signer(cmd.Context(), k.ID())
}

// bundleKeys are the issuer's own keys for bundles that are not over: the active
// one and a planned one.
func (a *app) bundleKeys(cmd *cobra.Command, now time.Time) ([]keys.PublicKey, error) {
	all, err := a.keys.Keys(cmd.Context())
	if err != nil {
		return nil, err
	}
	var found []keys.PublicKey
	for _, k := range all {
		if k.Purpose == keys.TrustBundle && (k.State == keys.Active || k.State == keys.Planned) && now.Before(k.SignUntil) {
			found = append(found, k.Public)
		}
	}
	if len(found) == 0 {
		return nil, cli.Hint(errors.New("no key for trust bundles may sign"), "`issuer keys rotate --purpose trust_bundle`")
	}
	return found, nil
}

// publish makes the next bundle, keeps it under trust/ and returns it, also as a
// verifier reads it.
func (a *app) publish(cmd *cobra.Command, edit func(*issuance.TrustRequest)) (*trust.Bundle, []byte, error) {
	verifiers, err := a.cfg.Trust.registered()
	if err != nil {
		return nil, nil, cli.Hint(err, "give the public key that the verifier sent, as JWK, PEM or COSE_Key")
	}
	r := issuance.TrustRequest{
		Names: a.cfg.Issuer.Names, Country: a.cfg.Issuer.Country, Jurisdiction: a.cfg.Issuer.Country,
		RefreshAfter: time.Duration(a.cfg.Trust.RefreshBy), OldAfter: time.Duration(a.cfg.Trust.OldAfter), Actor: a.actor,
		Verifiers: verifiers,
	}
	edit(&r)
	p, err := a.service.PublishTrust(cmd.Context(), r)
	switch {
	case errors.Is(err, issuance.ErrNoRoot):
		return nil, nil, cli.Hint(err, "`issuer trust init` makes one; an office under another root sends `issuer trust part` there instead")
	case errors.Is(err, issuance.ErrClock):
		return nil, nil, cli.Hint(err, "set the clock of this machine; if it is right now it was ahead then, see \"Time\" in docs/operating.md")
	case err != nil:
		return nil, nil, err
	}
	b, err := trust.Open(p.Content)
	if err != nil {
		return nil, nil, fmt.Errorf("the bundle just made does not open: %w", err)
	}
	return b, p.Content, keepBundle(cmd.Context(), filepath.Join(a.dir, trustName), b.Version, p.Content)
}

// keepBundle keeps a bundle in the folder of all that were published. Publishers
// into different places may come with the same one at the same time.
func keepBundle(ctx context.Context, folder string, version uint64, content []byte) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	// Not the folder itself, which trust export may hold to write into.
	f, err := os.OpenFile(folder+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() // with which it is free
	if err := durable.Lock(ctx, f); err != nil && !errors.Is(err, durable.ErrNoLocks) {
		return err
	}
	return handOut(filepath.Join(folder, fmt.Sprintf("bundle-%06d.trust", version)), content)
}

func (p *program) trustExport() *cobra.Command {
	var out string
	var keysOnly bool
	c := &cobra.Command{
		Use: "export --out FILE.trust", Short: "Publish the next trust bundle and write it to a file", Args: cobra.NoArgs,
		Long: `Makes the next version of the trust bundle with everything as it stands now: keys, types and the status of all credentials. Do this after
revoking, after taking a programme into use, and before verifiers begin to ask for a newer one.`,
		Example: "  issuer trust export --dir office --out office.trust\n  verifier check --trust office.trust certificate.png",
		RunE: p.office(readWrite, func(cmd *cobra.Command, a *app, _ []string) error {
			release, err := holdFolder(cmd.Context(), filepath.Dir(out))
			if err != nil {
				return err
			}
			defer release()
			b, content, err := a.publish(cmd, func(r *issuance.TrustRequest) { r.KeysOnly = keysOnly })
			if err != nil {
				return err
			}
			return p.exported(cmd, b, content, out)
		}),
	}
	c.Flags().StringVar(&out, "out", "", "the file to write (required)")
	c.Flags().BoolVar(&keysOnly, "keys-only", false, "leave the status lists out: a small bundle, with which nothing is more than \"check needed\"")
	_ = c.MarkFlagRequired("out")
	return c
}

// exported writes a published bundle to where the user wants it.
func (p *program) exported(cmd *cobra.Command, b *trust.Bundle, content []byte, out string) error {
	if err := handOut(out, content); err != nil {
		return err
	}
	view := bundleView(b)
	view.File, view.Bytes = out, len(content)
	return p.Print(cmd, view, func(w io.Writer) {
		fmt.Fprintf(w, "%s: version %d, %d bytes, %s, %s\nroot fingerprint  %s\n",
			out, b.Version, len(content), cli.Count(len(b.Types), "type"), cli.Count(len(b.Status), "status list"), b.Fingerprint())
	})
}

func (p *program) trustDelta() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "delta OLD.trust NEW.trust --out FILE", Short: "Write the small file that leads from one bundle to a later one", Args: cobra.ExactArgs(2),
		Long: `A verifier that has OLD imports the delta as it would NEW and has exactly NEW afterwards, signatures included. On any other bundle it is
refused. For slow lines: a day's revocations are a few kilobytes.`,
		Example: "  issuer trust delta monday.trust tuesday.trust --out tuesday.delta",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			from, err := p.lastBundle(cmd, args[:1])
			if err != nil {
				return err
			}
			to, err := p.lastBundle(cmd, args[1:])
			if err != nil {
				return err
			}
			delta, err := trust.MakeDelta(from, to)
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, delta, 0o644); err != nil {
				return err
			}
			return p.Print(cmd, map[string]any{"file": out, "bytes": len(delta), "bundle_bytes": len(to)}, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %d bytes in place of %d\n", out, len(delta), len(to))
			})
		}),
	}
	c.Flags().StringVar(&out, "out", "", "the file to write (required)")
	_ = c.MarkFlagRequired("out")
	return c
}

// trustView is a bundle as --json shows it.
type trustView struct {
	File        string    `json:"file,omitempty"`
	Bytes       int       `json:"bytes,omitempty"`
	Version     uint64    `json:"version"`
	Fingerprint string    `json:"root_fingerprint"`
	RootVersion uint64    `json:"root_version"`
	AsOf        time.Time `json:"as_of"`
	RefreshBy   time.Time `json:"refresh_by"`
	OldAfter    time.Time `json:"old_after"`
	RootExpires time.Time `json:"root_expires"`
	Issuers     []string  `json:"issuers"`
	Types       []string  `json:"types"`
	StatusLists int       `json:"status_lists"`
}

func bundleView(b *trust.Bundle) trustView {
	v := trustView{
		Version: b.Version, Fingerprint: b.Fingerprint(), RootVersion: b.Root.Version, AsOf: b.AsOf, RefreshBy: b.RefreshBy,
		OldAfter: b.OldAfter, RootExpires: b.Root.Expires, StatusLists: len(b.Status), Issuers: []string{}, Types: []string{},
	}
	for _, i := range b.Issuers {
		v.Issuers = append(v.Issuers, i.ID)
	}
	for _, t := range b.Types {
		v.Types = append(v.Types, t.ID)
	}
	return v
}

func (p *program) trustShow() *cobra.Command {
	return &cobra.Command{
		Use: "show [FILE.trust]", Short: "Show a trust bundle: the last one published, or a file", Args: cobra.MaximumNArgs(1),
		Example: "  issuer trust show --dir office\n  issuer trust show office.trust",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			content, err := p.lastBundle(cmd, args)
			if err != nil {
				return err
			}
			b, err := trust.Open(content)
			if err != nil {
				return err
			}
			v := bundleView(b)
			return p.Print(cmd, v, func(w io.Writer) {
				fmt.Fprintf(w, "version %d as of %s\n", v.Version, v.AsOf.Format(time.RFC3339))
				fmt.Fprintf(w, "root fingerprint  %s   (root version %d, until %s)\n", v.Fingerprint, v.RootVersion, date(v.RootExpires))
				fmt.Fprintf(w, "refresh by %s, old after %s, %d status lists\n", date(v.RefreshBy), date(v.OldAfter), v.StatusLists)
				table(w, "\nISSUER|KEY|STATE|ISSUES FROM|UNTIL|TYPES", func(add func(...string)) {
					for _, i := range b.Issuers {
						if len(i.Keys) == 0 {
							add(i.ID, "-", "-", "-", "-", "-")
						}
						for _, k := range i.Keys {
							add(i.ID, k.KeyID.String(), string(k.State), date(k.ValidFrom), date(k.SignUntil), strings.Join(k.Types, ", "))
						}
					}
				})
			})
		}),
	}
}

// lastBundle is the file that was named, or the last bundle published here.
func (p *program) lastBundle(cmd *cobra.Command, args []string) ([]byte, error) {
	if len(args) == 1 {
		f, err := os.Open(args[0])
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, trust.MaxFile+1))
	}
	a, err := p.open(cmd, readOnly)
	if err != nil {
		return nil, err
	}
	defer a.close()
	last, err := a.store.Publication(cmd.Context(), issuance.TrustName)
	if err == nil && last.Number == 0 {
		err = cli.Hint(errors.New("no trust bundle was published yet"), "`issuer trust export`")
	}
	return last.Content, err
}

func (p *program) trustRoot() *cobra.Command {
	var files []string
	c := &cobra.Command{
		Use: "root --root-key FILE...", Short: "Renew the root: sign which keys may sign bundles from now on", Args: cobra.NoArgs,
		Long: `Signs the next root with the root keys and publishes a bundle under it. Needed when a new key for trust bundles was made
(` + "`issuer keys rotate --purpose trust_bundle`" + `) and before the root ends. As many root key files are needed as the root's threshold says; the
passphrase of FILE.sanad is read from FILE.passphrase beside it, or asked for.`,
		Example: "  issuer keys rotate --dir office --purpose trust_bundle\n  issuer trust root --dir office --root-key /media/usb/root-1.sanad",
		RunE: p.office(readWrite, func(cmd *cobra.Command, a *app, _ []string) error {
			last, err := a.store.Publication(cmd.Context(), issuance.TrustName)
			if err != nil {
				return err
			}
			if last.Number == 0 {
				return cli.Hint(issuance.ErrNoRoot, "`issuer trust init` makes one")
			}
			old, err := trust.Open(last.Content)
			if err != nil {
				return err
			}
			var signers []keys.Signer
			for _, f := range files {
				s, err := openRootKey(cmd, f)
				if err != nil {
					return err
				}
				signers = append(signers, s)
			}
			now := p.Now().UTC().Truncate(time.Second)
			root := old.Root
			root.Version, root.Issued, root.Expires = root.Version+1, now, now.AddDate(rootLife, 0, 0)
			if root.BundleKeys, err = a.bundleKeys(cmd, now); err != nil {
				return err
			}
			chain, err := trust.SignRoot(rand.Reader, old.Roots, root, signers, now)
			if err != nil {
				return cli.Hint(err, "the root wants %d of its %d keys", root.Threshold, len(root.Keys))
			}
			b, _, err := a.publish(cmd, func(r *issuance.TrustRequest) { r.Roots, r.BundleKeys = chain, root.BundleKeys })
			if err != nil {
				return err
			}
			return p.Print(cmd, bundleView(b), func(w io.Writer) {
				fmt.Fprintf(w, "root version %d until %s, bundle version %d\n", b.Root.Version, date(b.Root.Expires), b.Version)
			})
		}),
	}
	c.Flags().StringArrayVar(&files, "root-key", nil, "a root key `FILE` (repeat for several; required)")
	_ = c.MarkFlagRequired("root-key")
	return c
}

// openRootKey opens a root key file and returns its signer.
func openRootKey(cmd *cobra.Command, path string) (keys.Signer, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, cli.Hint(fmt.Errorf("root key: %w", err), "init put the root keys into roots/; --root-key names one where it is kept now")
	}
	passFile := strings.TrimSuffix(path, ".sanad") + ".passphrase"
	if _, err := os.Stat(passFile); err != nil {
		passFile = ""
	}
	passphrase, err := readPassphrase(cmd, passFile, "Passphrase of "+path)
	if err != nil {
		return nil, err
	}
	ks, err := keys.OpenFile(path, passphrase)
	if err != nil {
		return nil, explainKeystore(err)
	}
	all, err := ks.Keys(cmd.Context())
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(k keys.Key) bool { return k.Purpose == keys.TrustRoot })
	if i < 0 {
		return nil, fmt.Errorf("%s holds no root key", path)
	}
	return ks.Signer(cmd.Context(), all[i].ID())
}
