package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
)

// chainsName is the folder of the issuer's certificates, in its directory.
const chainsName = "chains"

// Names of the files of a root for certificates, in a directory of their own.
const (
	caKeystore   = "root.sanad"
	caPassphrase = "root.passphrase"
	caFile       = "root.pem"
)

// certified are the purposes whose keys have certificates.
var certified = []keys.Purpose{keys.Credential, keys.StatusList, keys.Metadata}

// renewBefore is how long before its end a certificate is to be renewed.
const renewBefore = 60 * 24 * time.Hour

func (a *app) chains() chain.Folder { return chain.Folder(filepath.Join(a.dir, chainsName)) }

// subject is the issuer as its certificates name it.
func (a *app) subject(k keys.Key) chain.Subject {
	return chain.Subject{
		Name: chain.Name{Organization: a.cfg.Issuer.Names["en"], Country: a.cfg.Issuer.Country}, Address: a.cfg.Issuer.URL, Key: k.Public,
	}
}

// want is what a chain for one of the issuer's keys must show. The country of an
// outside authority is its own business.
func (a *app) want(k keys.Key) (chain.Want, error) {
	host, err := chain.Host(a.cfg.Issuer.URL)
	return chain.Want{Purpose: k.Purpose, DNS: host, Key: k.Public}, err
}

// certifiable refuses an issuer whose address no certificate can name.
func (a *app) certifiable() error {
	if _, err := chain.Host(a.cfg.Issuer.URL); err != nil {
		return cli.Hint(fmt.Errorf("issuer.url %s: %w", a.cfg.Issuer.URL, err), "certificates are for issuers that were made with an https address (issuer init --url https://HOST)")
	}
	return nil
}

// key returns the key with this ID.
func (a *app) key(ctx context.Context, id string) (keys.Key, error) {
	want, err := keys.ParseID(id)
	if err != nil {
		return keys.Key{}, cli.Hint(err, "`issuer keys list` shows the keys")
	}
	all, err := a.keys.Keys(ctx)
	if err != nil {
		return keys.Key{}, err
	}
	for _, k := range all {
		if k.ID() == want {
			return k, nil
		}
	}
	return keys.Key{}, cli.Hint(fmt.Errorf("%w: %s", keys.ErrNoKey, want), "`issuer keys list` shows the keys")
}

func (p *program) keysRoot() *cobra.Command {
	var name, country, algorithm, span string
	c := &cobra.Command{
		Use: "root DIR --name NAME --country CC", Short: "Make a root for certificates", Args: cobra.ExactArgs(1),
		Long: `Makes a directory with the root of a state's certificates: its key in an encrypted file (` + caKeystore + `), the passphrase of that
(` + caPassphrase + `), and the certificate that wallets and verifiers are given (` + caFile + `). One root serves all offices of a state. Keep the
directory off every machine that has a network, and the passphrase apart from the key.`,
		Example: `  issuer keys root national --name "Republic of Xanadu" --country XA
  issuer keys certify --dir office --root national`,
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			life, err := parseDuration(span)
			if err != nil {
				return err
			}
			der, err := p.makeCA(cmd.Context(), args[0], chain.Name{Organization: name, Country: country}, algorithm, life)
			if err != nil {
				return err
			}
			path := filepath.Join(args[0], caFile)
			return p.Print(cmd, map[string]any{"root": path, "hash": chain.Hash(der)}, func(w io.Writer) {
				fmt.Fprintf(w, "made %s, a root for certificates\nnext: `issuer keys certify --root %s` for each office, then take %s off this machine\n", path, args[0], args[0])
			})
		}),
	}
	c.Flags().StringVar(&name, "name", "", "whose root it is, as people will read it (required)")
	c.Flags().StringVar(&country, "country", "", "ISO 3166 code of two letters (required)")
	c.Flags().StringVar(&algorithm, "algorithm", string(keys.ES256), "ES256 or ES384")
	c.Flags().StringVar(&span, "for", "20y", "how long it serves")
	_ = c.MarkFlagRequired("name")
	_ = c.MarkFlagRequired("country")
	return c
}

// makeCA fills the directory of a root and returns its certificate.
func (p *program) makeCA(ctx context.Context, dir string, name chain.Name, algorithm string, life time.Duration) ([]byte, error) {
	alg, err := keys.ParseAlgorithm(algorithm)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, cli.Hint(err, "name a directory that does not exist yet")
	}
	passphrase, err := makePassphrase(filepath.Join(dir, caPassphrase))
	if err != nil {
		return nil, err
	}
	ks, err := keys.CreateFile(filepath.Join(dir, caKeystore), passphrase, rand.Reader)
	if err != nil {
		return nil, err
	}
	now := p.Now()
	k, err := keys.Bootstrap(ctx, ks, keys.Spec{Purpose: keys.CertificateRoot, Algorithm: alg, Created: now, SignUntil: now.Add(life)})
	if err != nil {
		return nil, err
	}
	signer, err := ks.Signer(ctx, k.ID())
	if err != nil {
		return nil, err
	}
	der, err := chain.NewRoot(rand.Reader, signer, name, now, now.Add(life))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir)) // it was ours, and is of no use
	}
	return der, durable.Create(filepath.Join(dir, caFile), chain.EncodePEM(der), 0o644)
}

// openCA opens the directory of a root.
func (p *program) openCA(cmd *cobra.Command, dir, passphraseFile string) (*x509.Certificate, keys.Signer, error) {
	root, err := readRoot(filepath.Join(dir, caFile))
	if err != nil {
		return nil, nil, cli.Hint(err, "`issuer keys root DIR` makes a root; for an authority of somebody else see `issuer keys csr`")
	}
	passphrase, err := readPassphrase(cmd, cmp.Or(passphraseFile, filepath.Join(dir, caPassphrase)), "Passphrase of the root")
	if err != nil {
		return nil, nil, err
	}
	ks, err := keys.OpenFile(filepath.Join(dir, caKeystore), passphrase)
	if err != nil {
		return nil, nil, explainKeystore(err)
	}
	all, err := ks.Keys(cmd.Context())
	if err != nil {
		return nil, nil, err
	}
	k, err := keys.SigningKey(all, keys.CertificateRoot, p.Now())
	if err != nil {
		return nil, nil, err
	}
	signer, err := ks.Signer(cmd.Context(), k.ID())
	return root, signer, err
}

// readRoot reads the certificate of one root.
func readRoot(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots, err := chain.ParseRoots(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(roots) != 1 {
		return nil, fmt.Errorf("%s: %d certificates; give the one of the root", path, len(roots))
	}
	return roots[0], nil
}

// certifyOptions are the flags of certify.
type certifyOptions struct{ root, passphraseFile, span, request, out string }

// until is when a certificate made at now ends.
func (o certifyOptions) until(now time.Time) (time.Time, error) {
	d, err := parseDuration(o.span)
	return now.Add(d), err
}

// certificateView is a certificate as --json shows it.
type certificateView struct {
	Key     string    `json:"key,omitempty"`
	Purpose string    `json:"purpose,omitempty"`
	Until   time.Time `json:"until"`
}

func (p *program) keysCertify() *cobra.Command {
	var o certifyOptions
	c := &cobra.Command{
		Use: "certify [KEY] --root DIR", Short: "Make certificates for the issuer's keys", Args: cobra.MaximumNArgs(1),
		Long: `Makes an X.509 certificate under the root in DIR (` + "`issuer keys root`" + `) for one key, or without KEY for every planned and active key for
credentials, status lists and metadata. It stands in the header of what these keys sign for wallets. Do it again after each rotation: a planned key
can be certified before it signs.

With --csr it answers a request of another office instead, so that the root's key need not travel. Find out that the request is theirs first.`,
		Example: `  issuer keys certify --dir office --root national
  issuer keys certify --csr ministry.csr --root national --out ministry.pem`,
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			if o.request != "" {
				if len(args) > 0 || o.out == "" {
					return errors.New("--csr goes with --out FILE and without KEY")
				}
				return p.certifyRequest(cmd, o)
			}
			a, err := p.open(cmd, readOnly)
			if err != nil {
				return err
			}
			defer a.close()
			if err := a.certifiable(); err != nil {
				return err
			}
			root, signer, err := p.openCA(cmd, o.root, o.passphraseFile)
			if err != nil {
				return err
			}
			list, err := a.toCertify(cmd.Context(), args)
			if err != nil {
				return err
			}
			views, err := a.certify(list, root, signer, o)
			if err != nil {
				return err
			}
			return p.Print(cmd, views, func(w io.Writer) {
				for _, v := range views {
					fmt.Fprintf(w, "key %s (%s) has a certificate until %s\n", v.Key, v.Purpose, date(v.Until))
				}
			})
		}),
	}
	f := c.Flags()
	f.StringVar(&o.root, "root", "", "the `DIR` of the root (required)")
	f.StringVar(&o.passphraseFile, "root-passphrase-file", "", "take the passphrase of the root's key from `FILE` (default: "+caPassphrase+" in its directory)")
	f.StringVar(&o.span, "for", "3y", "how long certificates serve; never longer than the root")
	f.StringVar(&o.request, "csr", "", "answer the request in `FILE`")
	f.StringVar(&o.out, "out", "", "write the certificate for --csr to `FILE`")
	_ = c.MarkFlagRequired("root")
	return c
}

// toCertify are the keys that the arguments mean.
func (a *app) toCertify(ctx context.Context, args []string) ([]keys.Key, error) {
	if len(args) == 1 {
		k, err := a.key(ctx, args[0])
		if err == nil && !slices.Contains(certified, k.Purpose) {
			err = fmt.Errorf("%w: only %v keys have certificates", keys.ErrPurpose, certified)
		}
		return []keys.Key{k}, err
	}
	all, err := a.keys.Keys(ctx)
	if err != nil {
		return nil, err
	}
	var list []keys.Key
	for _, k := range keys.Verifying(all, a.now(), certified...) {
		if k.State != keys.Retired {
			list = append(list, k)
		}
	}
	return list, nil
}

// certify makes and keeps certificates for keys.
func (a *app) certify(list []keys.Key, root *x509.Certificate, signer keys.Signer, o certifyOptions) ([]certificateView, error) {
	now := a.now()
	until, err := o.until(now)
	if err != nil {
		return nil, err
	}
	var made [][]byte
	for _, k := range list {
		der, err := chain.Issue(rand.Reader, root, signer, a.subject(k), now, until)
		if err != nil {
			return nil, fmt.Errorf("certify key %s: %w", k.ID(), err)
		}
		made = append(made, der)
	}
	if err := a.chains().AddRoot(root.Raw); err != nil {
		return nil, err
	}
	var views []certificateView
	for i, k := range list {
		end, err := a.keep(k, [][]byte{made[i]})
		if err != nil {
			return nil, fmt.Errorf("certify key %s: %w", k.ID(), err)
		}
		views = append(views, certificateView{k.ID().String(), string(k.Purpose), end})
	}
	return views, nil
}

// keep stores the chain for a key and returns when it ends.
func (a *app) keep(k keys.Key, x5c [][]byte) (time.Time, error) {
	want, err := a.want(k)
	if err == nil {
		err = a.chains().Put(x5c, a.now(), want)
	}
	if err != nil {
		return time.Time{}, err
	}
	_, end, err := a.chains().Leaf(k.Public)
	return end, err
}

// certifyRequest answers the request of another office.
func (p *program) certifyRequest(cmd *cobra.Command, o certifyOptions) error {
	text, err := os.ReadFile(o.request)
	if err != nil {
		return err
	}
	s, err := chain.ParseRequest(text)
	if err != nil {
		return fmt.Errorf("%s: %w", o.request, err)
	}
	until, err := o.until(p.Now())
	if err != nil {
		return err
	}
	root, signer, err := p.openCA(cmd, o.root, o.passphraseFile)
	if err != nil {
		return err
	}
	der, err := chain.Issue(rand.Reader, root, signer, s, p.Now(), until)
	if err != nil {
		return err
	}
	if err := durable.Create(o.out, chain.EncodePEM(der), 0o644); err != nil {
		return cli.Hint(err, "--out names a file that does not exist yet")
	}
	view := map[string]any{"key": s.Key.ID().String(), "organization": s.Name.Organization, "url": s.Address, "out": o.out}
	return p.Print(cmd, view, func(w io.Writer) {
		fmt.Fprintf(w, "made %s for key %s of %q; it names %s\nnext: they run `issuer keys import-chain` (a verifier: `verifier keys import-chain`) with it and with %s\n",
			o.out, s.Key.ID(), s.Name.Organization, s.Address, filepath.Join(o.root, caFile))
	})
}

func (p *program) keysCSR() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "csr KEY", Short: "Ask another authority for a certificate", Args: cobra.ExactArgs(1),
		Long: `Writes a certificate signing request (PKCS #10, PEM) for a key, with the issuer's name and address. What the authority returns goes to
` + "`issuer keys import-chain`" + `.`,
		Example: "  issuer keys csr --dir office 0123456789abcdef --out office.csr",
		RunE: p.office(readOnly, func(cmd *cobra.Command, a *app, args []string) error {
			if err := a.certifiable(); err != nil {
				return err
			}
			k, err := a.key(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			signer, err := a.keys.Signer(cmd.Context(), k.ID())
			if err != nil {
				return err
			}
			text, err := chain.Request(rand.Reader, signer, a.subject(k), p.Now())
			if err != nil {
				return err
			}
			if out != "" {
				return os.WriteFile(out, text, 0o644)
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		}),
	}
	c.Flags().StringVar(&out, "out", "", "write to `FILE` instead of standard output")
	return c
}

func (p *program) keysImportChain() *cobra.Command {
	var file, rootFile string
	c := &cobra.Command{
		Use: "import-chain KEY --chain FILE --root FILE", Short: "Take in the certificates of another authority", Args: cobra.ExactArgs(1),
		Long: `Takes the certificate for a key and those of the authorities above it, in PEM, and keeps them for what the key signs. They must be for this
key and for the host of issuer.url, be valid now, and lead to the root in --root, which is kept, too. Get the root on a way that you trust: it does
not come out of the chain.`,
		Example: "  issuer keys import-chain --dir office 0123456789abcdef --chain answer.pem --root authority.pem",
		RunE: p.office(readOnly, func(cmd *cobra.Command, a *app, args []string) error {
			list, err := a.toCertify(cmd.Context(), args)
			if err != nil {
				return err
			}
			k := list[0]
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			root, err := readRoot(rootFile)
			if err != nil {
				return err
			}
			want, err := a.want(k)
			if err != nil {
				return err
			}
			x5c, err := chain.Import(text, []*x509.Certificate{root}, p.Now(), want)
			if err != nil {
				return explainChain(fmt.Errorf("%s: %w", file, err))
			}
			if err := a.chains().AddRoot(root.Raw); err != nil {
				return err
			}
			end, err := a.keep(k, x5c)
			if err != nil {
				return err
			}
			return p.Print(cmd, certificateView{k.ID().String(), string(k.Purpose), end}, func(w io.Writer) {
				fmt.Fprintf(w, "key %s has a chain of %d until %s\n", k.ID(), len(x5c), date(end))
			})
		}),
	}
	c.Flags().StringVar(&file, "chain", "", "the certificates in PEM, the key's own first (required)")
	c.Flags().StringVar(&rootFile, "root", "", "the root's certificate in PEM (required)")
	_ = c.MarkFlagRequired("chain")
	_ = c.MarkFlagRequired("root")
	return c
}

// explainChain says what to do about a chain that was refused.
func explainChain(err error) error {
	for _, row := range []struct {
		err  error
		hint string
	}{
		{chain.ErrKey, "is it the answer to the request for this key?"},
		{chain.ErrName, "the certificate must have the host of issuer.url as DNS name"},
		{chain.ErrUntrusted, "the file needs the certificates between the key's own and the root, in that order"},
		{chain.ErrSelfSigned, "the first certificate in the file must be the one for the key"},
		{chain.ErrUnsupported, "ask for certificates with ECDSA on P-256 or P-384; RSA is not accepted"},
	} {
		if errors.Is(err, row.err) {
			return cli.Hint(err, "%s", row.hint)
		}
	}
	return err
}

// certificateEnd is when the chain of a key ends; zero without one.
func (a *app) certificateEnd(k keys.Key) (time.Time, error) {
	_, end, err := a.chains().Leaf(k.Public)
	if errors.Is(err, chain.ErrNoChain) {
		return time.Time{}, nil
	}
	return end, err
}

// chainWarnings says which certificates are to be renewed, and which keys have none
// although others do. An issuer without any does not serve wallets.
func (a *app) chainWarnings(all []keys.Key) ([]string, error) {
	var warnings []string
	some, now := false, a.now()
	var without []keys.Key
	for _, k := range keys.Verifying(all, now, certified...) {
		end, err := a.certificateEnd(k)
		if err != nil {
			return nil, err
		}
		some = some || !end.IsZero()
		switch {
		case k.State == keys.Retired:
		case end.IsZero():
			without = append(without, k)
		case end.Sub(now) < renewBefore:
			warnings = append(warnings, fmt.Sprintf("the certificate of %s ends on %s: `issuer keys certify %s`", k, date(end), k.ID()))
		}
	}
	for _, k := range without {
		if some {
			warnings = append(warnings, fmt.Sprintf("%s has no certificate, and others have: `issuer keys certify %s`", k, k.ID()))
		}
	}
	return warnings, nil
}
