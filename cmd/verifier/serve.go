package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/did"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/store/once"
	"github.com/sanad-id/sanad/store/parties"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/web/scanner"
)

func (p *program) serveCommand() *cobra.Command {
	var devHTTP bool
	var listen string
	c := &cobra.Command{
		Use: "serve", Short: "Ask wallets for relying parties until told to stop", Args: cobra.NoArgs,
		Long: `Serves OpenID4VP: relying parties ask by named policies, wallets answer, and the relying party gets the verdict with the claims that
its policy names. POST /verify judges any proof. docs/verifier-api.md shows both by curl. Any number of processes may serve on one PostgreSQL;
with once: memory there must be one process only, and a restart ends all open requests.

With --dev-http it serves without TLS, on an address of this machine only; url must then be an http address of this machine.`,
		Example: "  verifier serve --config library/verifier.yaml\n  verifier serve --config library/verifier.yaml --dev-http --listen 127.0.0.1:8080",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			cfg, err := readConfig(p.settings)
			if err != nil {
				return err
			}
			if listen != "" {
				cfg.Listen = listen
			}
			if devHTTP {
				cfg.TLSCert, cfg.TLSKey = "", ""
			}
			return p.serve(cmd, cfg, devHTTP)
		}),
	}
	c.Flags().BoolVar(&devHTTP, "dev-http", false, "serve without TLS, on this machine only (for development)")
	c.Flags().StringVar(&listen, "listen", "", "the `ADDRESS` to serve on, in place of that of the settings")
	return c
}

// serve joins the parts of the server and serves until the command's context ends.
func (p *program) serve(cmd *cobra.Command, cfg Config, devHTTP bool) error {
	ctx := cmd.Context()
	log := slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil))
	d, err := p.openDesk(ctx, cfg)
	if err != nil {
		return err
	}
	defer d.close()
	for _, problem := range append(d.notes(p.Now()), d.problems(p.Now())...) {
		cli.Say(cmd, "verifier: note: %s", cli.Visible(problem))
	}
	for _, v := range rootViews(d.config.IssuerRoots, p.Now()) {
		log.Info("issuer root", "name", v.Name, "fingerprint", v.Fingerprint, "types", v.Types, "from", v.From, "until", v.Until, "level", v.Level)
	}
	metrics := web.NewMetrics()
	c := d.config
	c.Metrics, c.Log = metrics, log
	service, err := verifier.New(c)
	if err != nil {
		return err
	}
	proxies, err := cfg.networks()
	if err != nil {
		return err
	}
	redis, err := cfg.redisURL()
	if err != nil {
		return err
	}
	page, err := scanner.Routes(d.trust.currentFile)
	if errors.Is(err, scanner.ErrNotBuilt) {
		cli.Say(cmd, "verifier: note: no scanner page at /scanner/: %v", err)
	} else if err != nil {
		return err
	}
	web.RoomyHeap()
	server, err := web.Listen(ctx, web.Config{
		Addr: cfg.Listen, TLSCert: cfg.TLSCert, TLSKey: cfg.TLSKey, DevHTTP: devHTTP, Private: cfg.Private, Log: log, Redis: redis,
		Proxies: proxies, Metrics: metrics, Ready: service.Ready(), Degraded: service.Degraded,
	}, append(service.Routes(), page...))
	if errors.Is(err, web.ErrNoTLS) || errors.Is(err, web.ErrNotLoopback) {
		return cli.Hint(err, "over a network: tls_cert and tls_key in the settings, and a url with https. To try things on this machine: `verifier init DIR ... --url http://localhost:8443`, and --dev-http")
	}
	if err != nil {
		return err
	}
	cli.Say(cmd, "serving %s at %s", cfg.URL, server.URL())
	if private := server.PrivateURL(); private != "" {
		cli.Say(cmd, "private port at %s", private)
	}
	background, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { service.Run(background) })
	if len(cfg.TrustSources) > 0 {
		wg.Go(func() { p.updater(cfg, log).Run(background) })
	}
	defer wg.Wait()
	defer cancel()
	return server.Serve(ctx)
}

// serveFault is why a server could not begin on this machine with what the settings name,
// such as a file that is not there.
func (d *desk) serveFault() error {
	c := d.config
	c.Metrics, c.Log = web.NewMetrics(), slog.New(slog.DiscardHandler)
	if _, err := verifier.New(c); err != nil {
		return err
	}
	if _, err := d.cfg.redisURL(); err != nil {
		return fmt.Errorf("redis_password_file: %w", err)
	}
	if d.cfg.TLSCert == "" {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(d.cfg.TLSCert, d.cfg.TLSKey); err != nil {
		return fmt.Errorf("tls_cert: %w", err)
	}
	return nil
}

// A desk is everything that the server is wired from: the one place that knows which
// store, keystore and formats this program has.
type desk struct {
	cfg    Config
	config verifier.Config
	once   *once.DB
	trust  *trustFolder
	// parties is nil if the settings name none.
	parties *parties.DB
}

func (d *desk) close() { // what was promised is stored
	_ = d.once.Close()
	if d.parties != nil {
		_ = d.parties.Close()
	}
}

func (p *program) openDesk(ctx context.Context, cfg Config) (*desk, error) {
	policies, err := verifier.ReadPolicies(cfg.Policies)
	if err != nil {
		return nil, err
	}
	passphrase, err := keys.ReadPassphrase(cfg.KeyPassphraseFile)
	if err != nil {
		return nil, cli.Hint(fmt.Errorf("passphrase file: %w", err), "key_passphrase_file in the settings names it; chmod 600")
	}
	ks, err := keys.OpenFile(cfg.Keystore, passphrase)
	if err != nil {
		return nil, err
	}
	apiKeys, err := cfg.keys()
	if err != nil {
		return nil, err
	}
	roots, err := issuerRoots(cfg)
	if err != nil {
		return nil, err
	}
	db, err := openOnce(ctx, cfg)
	if err != nil {
		return nil, err
	}
	d := &desk{cfg: cfg, once: db, trust: &trustFolder{dir: cfg.Trust}}
	name, document := didOf(cfg, ks)
	d.config = verifier.Config{
		DID: name, DIDDocument: document,
		URL: cfg.URL, Prefix: oid4vp.Prefix(cfg.Prefix), Policies: policies, Once: db, COSE: codes{}, OldType: cfg.OldType, Keys: apiKeys, Trust: d.trust.current,
		Signature: signature(ks, chain.Folder(cfg.Chains), cfg), Poster: poster{fetch.New(fetch.Config{LocalHosts: cfg.LocalHosts})}, Now: p.Now,
		Updates: func() []verifier.Source { return verifier.ReadUpdates(cfg.Trust, cfg.TrustSources) }, Release: cli.Version(), Alarm: cfg.Alarm,
		IssuerRoots: roots, Lists: newListSource(cfg, p.Now),
	}
	if d.parties, err = openParties(ctx, cfg); err != nil || d.parties == nil {
		if err != nil {
			d.close()
			d = nil
		}
		return d, err
	}
	d.config.Usage, d.config.Tallies, d.config.TallyDays, d.config.TallyOrigins = d.parties, d.parties, cfg.TallyDays, cfg.TallyOrigins
	// Without any key relying parties are on the private port; who has made one wants keys.
	made, err := d.parties.Keys(ctx)
	if err != nil {
		d.close()
		return nil, err
	}
	if len(made) > 0 || len(apiKeys) > 0 {
		d.config.KeyStore = d.parties
	} else if cfg.Private == "" {
		d.close()
		return nil, cli.Hint(errors.New("nobody has a key, and there is no private port"), "make one with `verifier api-key add NAME`, or set private")
	}
	return d, nil
}

// openParties opens where keys and usage are kept; nil if the settings name no place.
func openParties(ctx context.Context, cfg Config) (*parties.DB, error) {
	if cfg.Parties == "" {
		return nil, nil
	}
	password, err := readSecret(cfg.PartiesPasswordFile)
	if err != nil {
		return nil, err
	}
	return parties.Open(ctx, cfg.Parties, parties.Options{Password: password})
}

// openOnce opens where requests and results live.
func openOnce(ctx context.Context, cfg Config) (*once.DB, error) {
	password, err := readSecret(cfg.OncePasswordFile)
	if err != nil {
		return nil, err
	}
	return once.Open(ctx, cfg.Once, once.Options{Password: password, Room: int64(cfg.OnceMegabytes) << 20})
}

// openOnce opens that of the settings, beside the server.
func (p *program) openOnce(cmd *cobra.Command) (*once.DB, error) {
	cfg, err := readConfig(p.settings)
	if err != nil {
		return nil, err
	}
	if cfg.Once == once.Memory {
		return nil, cli.Hint(errors.New("webhooks wait in the memory of the server (once: memory), where no other process sees them"),
			"its figures count them (verifier_webhooks_total on the private port); keep once in a file to see and send them again")
	}
	return openOnce(cmd.Context(), cfg)
}

func (d *desk) policyNames() []string { return slices.Sorted(maps.Keys(d.config.Policies)) }

// notes are what an operator should know of settings that are right.
func (d *desk) notes(now time.Time) []string {
	ended := rootNotes(d.config.IssuerRoots, now)
	if d.cfg.Once != once.Memory {
		return ended
	}
	what := "requests and results"
	for _, p := range d.config.Policies {
		if p.Webhook != "" {
			what = "requests, results and webhooks"
		}
	}
	return append(ended, "once is memory: "+what+" are lost when this server ends, and no second server may work beside it")
}

// problems are what keeps the server from working although its settings are right.
func (d *desk) problems(now time.Time) []string {
	var all []string
	if _, err := d.config.Signature(now); err != nil {
		all = append(all, err.Error())
	}
	if bundle, problem := d.trust.current(); bundle == nil {
		all = append(all, problem)
	}
	for _, name := range d.policyNames() {
		webhook, _, _ := strings.Cut(d.config.Policies[name].Webhook, "?")
		if webhook == "" {
			continue
		}
		if err := d.cfg.asked(webhook); err != nil {
			all = append(all, fmt.Sprintf("policy %s: its webhook is never sent: %v", name, err))
		}
	}
	return all
}

// webDID is the did:web of the server's address.
func webDID(cfg Config) (string, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return "", err
	}
	return did.Web(cfg.URL, u.Hostname())
}

// didOf is the server's did:web with its document, which has every key that requests were
// ever signed with; "" for an address that has none.
func didOf(cfg Config, ks *keys.File) (string, func(time.Time) ([]byte, error)) {
	name, err := webDID(cfg)
	if err != nil {
		return "", nil
	}
	return name, func(now time.Time) ([]byte, error) {
		all, err := ks.Keys(context.Background())
		if err != nil {
			return nil, err
		}
		return did.WebDocument(name, all, now)
	}
}

// signature finds the key that signs requests now, and its certificates.
func signature(ks *keys.File, chains chain.Folder, cfg Config) func(time.Time) (oid4vp.Signature, error) {
	return func(now time.Time) (oid4vp.Signature, error) {
		ctx := context.Background()
		all, err := ks.Keys(ctx)
		if err != nil {
			return oid4vp.Signature{}, err
		}
		k, err := keys.SigningKey(all, keys.Request, now)
		if err != nil {
			return oid4vp.Signature{}, fmt.Errorf("the key that signs requests: %w", err)
		}
		s, err := ks.Signer(ctx, k.ID())
		if err != nil {
			return oid4vp.Signature{}, err
		}
		keyID := ""
		if name, err := webDID(cfg); err == nil {
			keyID = name + "#" + k.ID().String()
		}
		x5c, err := chains.Chain(k.Public, now)
		if errors.Is(err, chain.ErrNoChain) && (cfg.Prefix == string(oid4vp.RedirectURI) || cfg.Prefix == string(oid4vp.DecentralizedIdentifier) && keyID != "") {
			return oid4vp.Signature{Signer: s, KeyID: keyID}, nil // without a certificate: receipts only, or known by the DID
		}
		if err != nil {
			return oid4vp.Signature{}, fmt.Errorf("the certificate of key %s: %w; `verifier keys csr` asks for one", k.ID(), err)
		}
		return oid4vp.Signature{Signer: s, X5C: x5c, KeyID: keyID}, nil
	}
}

// poster sends webhooks through the one way out.
type poster struct{ client *fetch.Client }

// Post implements [verifier.Poster].
func (p poster) Post(ctx context.Context, address, contentType string, content []byte) (int, error) {
	a, err := p.client.Post(ctx, address, contentType, content)
	return a.Status, err
}

// A trustFolder is the imported bundle, read again when the folder changes. What
// cannot be read is no bundle: an old one is not kept in its place.
type trustFolder struct {
	dir string

	mu      sync.Mutex
	looked  time.Time
	seen    string
	bundle  *trust.Bundle
	file    []byte // of it
	problem string
}

// currentFile is the file of the bundle in use, nil if there is none.
func (f *trustFolder) currentFile() []byte {
	f.current()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file
}

func (f *trustFolder) current() (*trust.Bundle, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if !f.looked.IsZero() && now.Sub(f.looked) < time.Second {
		return f.bundle, f.problem
	}
	f.looked = now
	if seen := folderState(f.dir); seen != f.seen || f.bundle == nil {
		f.seen = seen
		f.bundle, f.file, f.problem = openTrust(f.dir)
	}
	return f.bundle, f.problem
}

// folderState tells one content of a folder from the next.
func folderState(dir string) string {
	text := ""
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			text += err.Error()
			return nil
		}
		if e.Name() == verifier.UpdatesFile {
			return nil // says how updates went, and nothing about the bundle
		}
		if info, err := e.Info(); err == nil && !e.IsDir() {
			text += fmt.Sprintln(path, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	return text
}

func openTrust(dir string) (*trust.Bundle, []byte, string) {
	if _, err := os.Stat(dir); err != nil {
		return nil, nil, fmt.Sprintf("no trust bundle was imported; `verifier --dir %s trust import FILE` does it", dir)
	}
	state, err := trust.NewDirMemory(dir).Load()
	switch {
	case err != nil:
		return nil, nil, err.Error()
	case !state.Trusted():
		return nil, nil, fmt.Sprintf("no trust bundle was imported; `verifier --dir %s trust import FILE` does it", dir)
	case state.Damaged:
		return nil, nil, "the imported trust bundle was changed or removed; import it again"
	}
	b, err := state.Open()
	if err != nil {
		return nil, nil, err.Error()
	}
	return b, state.Bundle, ""
}
