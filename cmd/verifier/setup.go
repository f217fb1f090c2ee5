package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/store/once"
)

// samplePolicy is what a new verifier may ask.
const samplePolicy = `# What one relying party may ask for one purpose. docs/verifier-api.md explains every key; the server reads this folder when it starts.
policy: example
version: 1
verifier:
  name: {en: %q}
purpose: {en: To try out this verifier.}
retention_days: 0
ask:
  - id: card
    types: ["urn:example:card:1"]   # the vct of the credential
    claims: [full_name]
`

// initOptions are the flags of init.
type initOptions struct{ name, country, url, once string }

func (p *program) initCommand() *cobra.Command {
	var o initOptions
	c := &cobra.Command{
		Use: "init DIR --name NAME --url URL", Short: "Make a verifier that serves, in a directory", Args: cobra.ExactArgs(1),
		Long: `Makes a directory with settings, a key for requests in an encrypted keystore, a sample policy, and a request for the key's certificate
(request.csr). The authority for verifiers answers it, and the answer is taken in:

  issuer keys certify --csr library/request.csr --root national --out library.pem
  verifier keys import-chain --config library/verifier.yaml --chain library.pem --root national/root.pem
  verifier --dir library/trust trust import office.trust`,
		Example: `  verifier init library --name "City library" --country XA --url https://verifier.library.example`,
		RunE:    p.Action(func(cmd *cobra.Command, args []string) error { return p.initDir(cmd, args[0], o) }),
	}
	f := c.Flags()
	f.StringVar(&o.name, "name", "", "what the verifier is called (required)")
	f.StringVar(&o.country, "country", "", "ISO 3166 code of two letters")
	f.StringVar(&o.url, "url", "", "its public https address (required)")
	f.StringVar(&o.once, "once", "once.db", "where requests and results live: a file, a PostgreSQL `URL` for several servers, or memory for one that may lose them")
	_ = c.MarkFlagRequired("name")
	_ = c.MarkFlagRequired("url")
	return c
}

// initDir makes the directory under another name and moves it into place when it is
// complete.
func (p *program) initDir(cmd *cobra.Command, dir string, o initOptions) (err error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
		return cli.Hint(fmt.Errorf("%s is not an empty directory", dir), "name a directory that does not exist yet")
	}
	cfg := Config{
		Name: o.name, URL: strings.TrimSuffix(o.url, "/"), Prefix: string(oid4vp.X509Hash), Listen: "127.0.0.1:8443", Private: "127.0.0.1:9465",
		Policies: "policies", Trust: "trust", Keystore: "keystore.sanad", KeyPassphraseFile: "secrets/passphrase", Chains: "chains", Once: o.once, Parties: "parties.db",
	}
	if err := checkURL(cfg.URL); err != nil {
		return cli.Hint(err, "give the address with --url as https://HOST; to try things on this machine, http://localhost:8443 and `verifier serve --dev-http`")
	}
	if _, err := subjectOf(cfg, o.country, keys.Key{}); err != nil {
		return cli.Hint(err, "give the address with --url as https://HOST")
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(parent, ".sanad-init-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(temp)
		}
	}()
	if err := p.fillDir(cmd.Context(), temp, cfg, o); err != nil {
		return err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(temp, dir); err != nil {
		return err
	}
	if s, err := subjectOf(cfg, o.country, keys.Key{}); err == nil && s.Address != cfg.URL {
		cli.Say(cmd, "the certificate will name %s: certificates name https addresses only, also of a server that is tried out without", s.Address)
	}
	return p.Print(cmd, map[string]string{"settings": filepath.Join(dir, settingsName), "csr": filepath.Join(dir, csrName)}, func(w io.Writer) {
		fmt.Fprintf(w, "made %s\nnext: have %s certified, import the chain and the trust bundle (verifier init --help shows how), and write policies\n",
			filepath.Join(dir, settingsName), filepath.Join(dir, csrName))
	})
}

const csrName = "request.csr"

// fillDir makes everything that a verifier consists of.
func (p *program) fillDir(ctx context.Context, dir string, cfg Config, o initOptions) error {
	for _, sub := range []string{"policies", "trust", "secrets", "chains"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	passphrase := rand.Text()
	settings, err := yaml.Marshal(cfg)
	if err != nil {
		return err
	}
	head := "# Settings of this verifier. Every key is explained in verifier.example.yaml of the sources;\n# `verifier config check` tells whether they are right.\n"
	for name, text := range map[string]string{
		"secrets/passphrase": passphrase + "\n", settingsName: head + string(settings), "policies/example.yaml": fmt.Sprintf(samplePolicy, o.name),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	ks, err := keys.CreateFile(filepath.Join(dir, cfg.Keystore), []byte(passphrase), rand.Reader)
	if err != nil {
		return err
	}
	k, err := keys.Bootstrap(ctx, ks, keys.Spec{Purpose: keys.Request, Created: p.Now()})
	if err != nil {
		return err
	}
	if strings.Contains(cfg.Once, "://") {
		db, err := once.Open(ctx, cfg.Once, once.Options{})
		if err != nil {
			return err
		}
		if err := db.Close(); err != nil {
			return err
		}
	}
	text, err := p.csr(ctx, ks, cfg, o.country, k)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, csrName), text, 0o644)
}

// subjectOf is who a certificate is for. Certificates name https addresses, also of a
// server that is developed on the loopback.
func subjectOf(cfg Config, country string, k keys.Key) (chain.Subject, error) {
	address := cfg.URL
	if rest, ok := strings.CutPrefix(address, "http://"); ok {
		address = "https://" + rest
	}
	_, err := chain.Host(address)
	return chain.Subject{Name: chain.Name{Organization: cfg.Name, Country: country}, Address: address, Key: k.Public}, err
}

func (p *program) csr(ctx context.Context, ks *keys.File, cfg Config, country string, k keys.Key) ([]byte, error) {
	signer, err := ks.Signer(ctx, k.ID())
	if err != nil {
		return nil, err
	}
	s, err := subjectOf(cfg, country, k)
	if err != nil {
		return nil, err
	}
	return chain.Request(rand.Reader, signer, s, p.Now())
}

func (p *program) keysCommand() *cobra.Command {
	return cli.Group("keys", "Look after the key that signs requests", "", p.keysList(), p.keysPublic(), p.keysRotate(), p.keysCSR(), p.keysImportChain())
}

// nextKey is the key that a rotation made and that does not sign yet; the zero Key if
// there is none.
func nextKey(ctx context.Context, ks *keys.File, now time.Time) (keys.Key, error) {
	all, err := ks.Keys(ctx)
	if err != nil {
		return keys.Key{}, err
	}
	for _, k := range all {
		if k.Purpose == keys.Request && k.State == keys.Planned && now.Before(k.SignUntil) {
			return k, nil
		}
	}
	return keys.Key{}, nil
}

// toCertify is the key that a certificate is wanted for: the next one, if there is one.
func (p *program) toCertify(ctx context.Context) (Config, *keys.File, keys.Key, error) {
	cfg, ks, k, err := p.openKeys(ctx)
	if err != nil && !errors.Is(err, keys.ErrNoKey) {
		return cfg, ks, k, err
	}
	next, nextErr := nextKey(ctx, ks, p.Now())
	if nextErr != nil || !next.Public.IsZero() {
		return cfg, ks, next, nextErr
	}
	return cfg, ks, k, err
}

func (p *program) keysRotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate", Short: "Take the next step of replacing the key that signs requests", Args: cobra.NoArgs,
		Long: `Rotation takes two visits. The first makes a new key; then "keys csr" asks for its certificate, and "keys import-chain" takes it in. The
second lets the new key sign and retires the old one, whose receipts keep verifying by its certificate and, where there is one, the DID document.
Wallets that were shown a code just before have to be shown another one. Run the command again whenever you like.`,
		Example: "  verifier keys rotate --config library/verifier.yaml\n  verifier keys csr --config library/verifier.yaml > library.csr\n" +
			"  verifier keys import-chain --config library/verifier.yaml --chain library.pem --root national/root.pem\n  verifier keys rotate --config library/verifier.yaml",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			cfg, ks, _, err := p.openKeys(ctx)
			if err != nil && !errors.Is(err, keys.ErrNoKey) {
				return err
			}
			r, err := p.rotate(ctx, cfg, ks)
			if err != nil {
				return err
			}
			text := map[keys.Step]string{
				keys.StepGenerate: "made key %s\nnext: verifier keys csr, keys import-chain, then this command again\n",
				keys.StepPublish:  "key %s has no certificate yet\nnext: verifier keys csr, keys import-chain, then this command again\n",
				keys.StepActivate: "key %s signs requests from now on\n",
			}[r.Step]
			return p.Print(cmd, map[string]string{"step": string(r.Step), "key": r.Next.ID().String()}, func(w io.Writer) { fmt.Fprintf(w, text, r.Next.ID()) })
		}),
	}
}

// rotate takes the next step. A key counts as published once it has a certificate; one
// that is known by the DID needs none.
func (p *program) rotate(ctx context.Context, cfg Config, ks *keys.File) (keys.Rotation, error) {
	all, err := ks.Keys(ctx)
	if err != nil {
		return keys.Rotation{}, err
	}
	r, err := keys.PlanRotation(all, keys.Request, p.Now(), 0)
	if err != nil {
		return r, err
	}
	switch r.Step {
	case keys.StepGenerate:
		if r.Next, err = ks.Generate(ctx, keys.Spec{Purpose: keys.Request, Created: p.Now()}); err != nil {
			return r, err
		}
		if cfg.Prefix == string(oid4vp.DecentralizedIdentifier) {
			return r, publish(ctx, ks, r.Next, p.Now())
		}
	case keys.StepActivate:
		for _, k := range r.Changes {
			if err := ks.Update(ctx, k); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// publish notes that a key can be known from now on.
func publish(ctx context.Context, ks *keys.File, k keys.Key, now time.Time) error {
	if k.State != keys.Planned || !k.Published.IsZero() {
		return nil
	}
	k, err := k.Publish(now)
	if err != nil {
		return err
	}
	return ks.Update(ctx, k)
}

// openKeys reads the settings and opens the keystore; key is the one that signs.
func (p *program) openKeys(ctx context.Context) (Config, *keys.File, keys.Key, error) {
	cfg, err := readConfig(p.settings)
	if err != nil {
		return Config{}, nil, keys.Key{}, err
	}
	passphrase, err := keys.ReadPassphrase(cfg.KeyPassphraseFile)
	if err != nil {
		return Config{}, nil, keys.Key{}, err
	}
	ks, err := keys.OpenFile(cfg.Keystore, passphrase)
	if err != nil {
		return Config{}, nil, keys.Key{}, err
	}
	all, err := ks.Keys(ctx)
	if err != nil {
		return Config{}, nil, keys.Key{}, err
	}
	k, err := keys.SigningKey(all, keys.Request, p.Now())
	return cfg, ks, k, err
}

func (p *program) keysList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Show the key and its certificate", Args: cobra.NoArgs, Example: "  verifier keys list --config library/verifier.yaml",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			cfg, ks, k, err := p.openKeys(cmd.Context())
			if err != nil {
				return err
			}
			view := struct {
				Key      string     `json:"key"`
				Until    time.Time  `json:"signs_until"`
				Client   string     `json:"client_id,omitempty"`
				ChainEnd *time.Time `json:"certificate_until,omitempty"`
				Next     string     `json:"next,omitempty"`
			}{Key: k.ID().String(), Until: k.SignUntil}
			leaf, end, err := chain.Folder(cfg.Chains).Leaf(k.Public)
			if err == nil {
				view.Client, view.ChainEnd = oid4vp.NewX509Hash(leaf.Raw).String(), &end
			} else if !errors.Is(err, chain.ErrNoChain) {
				return err
			}
			next, err := nextKey(cmd.Context(), ks, p.Now())
			if err != nil {
				return err
			}
			if !next.Public.IsZero() {
				view.Next = next.ID().String()
			}
			return p.Print(cmd, view, func(w io.Writer) {
				if view.Next != "" {
					defer fmt.Fprintf(w, "key %s is to follow: verifier keys rotate\n", view.Next)
				}
				fmt.Fprintf(w, "key %s signs requests until %s\n", view.Key, view.Until.UTC().Format(time.DateOnly))
				if view.ChainEnd == nil {
					fmt.Fprintln(w, "no certificate yet")
					return
				}
				fmt.Fprintf(w, "certificate until %s, client %s\n", view.ChainEnd.UTC().Format(time.DateOnly), view.Client)
			})
		}),
	}
}

func (p *program) keysCSR() *cobra.Command {
	var country string
	c := &cobra.Command{
		Use: "csr", Short: "Ask an authority for the certificate of the key", Args: cobra.NoArgs,
		Long:    "Prints a certificate signing request (PKCS #10, PEM) for the key, with name and address of the settings.",
		Example: "  verifier keys csr --config library/verifier.yaml > library.csr",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			cfg, ks, k, err := p.toCertify(cmd.Context())
			if err != nil {
				return err
			}
			text, err := p.csr(cmd.Context(), ks, cfg, country, k)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		}),
	}
	c.Flags().StringVar(&country, "country", "", "ISO 3166 code of two letters")
	return c
}

func (p *program) keysImportChain() *cobra.Command {
	var file, rootFile string
	c := &cobra.Command{
		Use: "import-chain --chain FILE --root FILE", Short: "Take in the certificates of the key", Args: cobra.NoArgs,
		Long: `Takes the certificate for the key and those of the authorities above it, in PEM. They must be for this key and for the host of url, be
valid now, and lead to the root in --root, which wallets trust for verifiers.`,
		Example: "  verifier keys import-chain --config library/verifier.yaml --chain library.pem --root national/root.pem",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			cfg, ks, k, err := p.toCertify(cmd.Context())
			if err != nil {
				return err
			}
			end, err := importChain(cfg, k, file, rootFile, p.Now())
			if err != nil {
				return cli.Hint(err, "is it the answer to the request for this key, and does it lead to that root?")
			}
			if err := publish(cmd.Context(), ks, k, p.Now()); err != nil {
				return err
			}
			return p.Print(cmd, map[string]any{"key": k.ID().String(), "certificate_until": end}, func(w io.Writer) {
				fmt.Fprintf(w, "key %s has a certificate until %s\n", k.ID(), end.UTC().Format(time.DateOnly))
			})
		}),
	}
	c.Flags().StringVar(&file, "chain", "", "the certificates in PEM, the key's own first (required)")
	c.Flags().StringVar(&rootFile, "root", "", "the root's certificate in PEM (required)")
	_ = c.MarkFlagRequired("chain")
	_ = c.MarkFlagRequired("root")
	return c
}

func importChain(cfg Config, k keys.Key, file, rootFile string, now time.Time) (time.Time, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return time.Time{}, err
	}
	rootText, err := os.ReadFile(rootFile)
	if err != nil {
		return time.Time{}, err
	}
	roots, err := chain.ParseRoots(rootText)
	if err != nil || len(roots) != 1 {
		return time.Time{}, errors.Join(fmt.Errorf("%s is not the certificate of one root", rootFile), err)
	}
	s, err := subjectOf(cfg, "", k)
	if err != nil {
		return time.Time{}, err
	}
	host, err := chain.Host(s.Address)
	if err != nil {
		return time.Time{}, err
	}
	want := chain.Want{Purpose: keys.Request, DNS: host, Key: k.Public}
	x5c, err := chain.Import(text, []*x509.Certificate{roots[0]}, now, want)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %w", file, err)
	}
	folder := chain.Folder(cfg.Chains)
	if err := folder.AddRoot(roots[0].Raw); err != nil {
		return time.Time{}, err
	}
	if err := folder.Put(x5c, now, want); err != nil {
		return time.Time{}, err
	}
	_, end, err := folder.Leaf(k.Public)
	return end, err
}
