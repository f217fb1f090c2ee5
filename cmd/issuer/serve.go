package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/did"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/store"
	"github.com/sanad-id/sanad/store/once"
	"github.com/sanad-id/sanad/web/console"
)

func (p *program) serveCommand() *cobra.Command {
	var devHTTP bool
	var listen string
	c := &cobra.Command{
		Use: "serve", Short: "Serve wallets and the public until told to stop", Args: cobra.NoArgs,
		Long: `Serves OpenID4VCI (offers, tokens, credentials) and, from the published folder, status lists and the trust bundle. What it needs
stands in the section serve of the settings. Any number of processes may serve one issuer on PostgreSQL.

Wallets and browsers reach it at issuer.url. Over a network that is an https address, with a certificate for its name in serve.tls_cert and
serve.tls_key; http is not taken. With --dev-http it serves without TLS, to this machine only: make the issuer with
` + "`issuer init DIR ... --url http://127.0.0.1:8080`" + ` for that, since issuer.url stands in what is issued.`,
		Example: "  issuer serve --dir office\n  issuer serve --dir office --dev-http --listen 127.0.0.1:8080",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			cfg, ks, err := p.openSettings(cmd)
			if err != nil {
				return err
			}
			if listen != "" {
				cfg.Serve.Listen = listen
			}
			if cfg.Serve.Listen == "" {
				cfg.Serve.Listen = "127.0.0.1:8443"
			}
			if devHTTP {
				cfg.Serve.TLSCert, cfg.Serve.TLSKey = "", ""
			}
			return p.serve(cmd, cfg, ks, devHTTP)
		}),
	}
	c.Flags().BoolVar(&devHTTP, "dev-http", false, "serve without TLS, on this machine only (for development)")
	c.Flags().BoolVar(&p.newBatches, "new-batches-folder", false, "the folder console.batches was lost: all servers work in the present one from now on")
	c.Flags().StringVar(&listen, "listen", "", "the `ADDRESS` to serve on, in place of that of the settings")
	return c
}

// serve joins the parts of the server and serves until the command's context ends.
func (p *program) serve(cmd *cobra.Command, cfg Config, ks *keys.File, devHTTP bool) error {
	ctx := cmd.Context()
	log := slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil))
	if _, err := os.Stat(cfg.Store); !store.IsPostgres(cfg.Store) && errors.Is(err, fs.ErrNotExist) {
		cli.Say(cmd, "note: there is no database at %s; what is public is served, everything else is answered 503 until it is there. Look at the disk, and at store in the settings; an old one comes back from a backup", cfg.Store)
	}
	values, err := openOnce(ctx, cfg)
	switch {
	case outOfReach(err):
		cli.Say(cmd, "note: the database of codes and tokens is out of reach; what is public is served, the rest when it is back: %v", err)
	case err != nil:
		return err
	}
	defer values.Close() //nolint:errcheck // what was promised is stored
	d := newDesk(p, cmd, cfg, ks)
	defer d.close()
	metrics := web.NewMetrics()
	p.watchWitnesses(cfg, metrics, log)
	c, err := p.endpointsConfig(cfg, ks, d, values)
	if err != nil {
		return err
	}
	if err := checkLogin(ctx, cfg, d); err != nil {
		return err
	}
	if !devHTTP && loopbackURL(address(cfg)) {
		return explainListen(web.ErrNoTLS, cfg)
	}
	c.DevHTTP, c.Log, c.Kept = devHTTP, log, filepath.Join(filepath.Dir(p.settings()), keptName)
	c.Count = metrics.Counter("issuer_events_total", "What the issuer's endpoints did and refused.", "event", issuer.Events()...).Add
	e, err := issuer.New(c)
	if err != nil {
		return err
	}
	w, err := p.webConfig(cfg, devHTTP, log, metrics, d, values)
	if err != nil {
		return err
	}
	routes := e.Routes()
	pages, err := p.openConsole(cmd, cfg, d, e, devHTTP, log)
	if err != nil {
		return err
	}
	if pages != nil {
		defer pages.close()
		routes = append(routes, pages.Routes()...)
	}
	pocketPage, err := p.openPocket(cmd, cfg, e)
	if err != nil {
		return err
	}
	web.RoomyHeap()
	server, err := web.Listen(ctx, w, append(routes, pocketPage...))
	if err != nil {
		return explainListen(err, cfg)
	}
	if devHTTP && !loopbackURL(address(cfg)) || nowhere(cfg) {
		sayElsewhere(cmd, cfg)
	}
	cli.Say(cmd, "serving %s at %s", address(cfg), server.URL())
	if pages != nil {
		cli.Say(cmd, "console at %s%s/", pages.origin, console.Base)
	}
	if len(pocketPage) > 0 {
		cli.Say(cmd, "pocket page at %s", pocketURL(cfg))
	}
	if url := server.PrivateURL(); url != "" {
		cli.Say(cmd, "figures at %s/metrics", url)
	}
	stop := p.background(cmd, cfg, d, values, log)
	defer stop()
	return server.Serve(ctx)
}

// nowhere reports whether an issuer was made without an address.
func nowhere(cfg Config) bool {
	u, err := url.Parse(cfg.Issuer.URL)
	return err == nil && strings.HasSuffix(u.Hostname(), ".invalid")
}

// sayElsewhere warns of an issuer.url at which no wallet finds this issuer.
func sayElsewhere(cmd *cobra.Command, cfg Config) {
	cli.Say(cmd, "note: wallets are told %s (issuer.url), where this issuer is not. Set issuer.url to the address at which they reach it before anything is issued; "+
		"to try things on this machine, make an issuer with `issuer init DIR ... --url http://127.0.0.1:8080`", address(cfg))
}

// explainListen says what to do about a server that has no TLS, or whose address is none
// for TLS.
func explainListen(err error, cfg Config) error {
	switch {
	case errors.Is(err, web.ErrNoTLS) && loopbackURL(address(cfg)):
		u, _ := url.Parse(address(cfg)) // the settings were checked
		return cli.Hint(err, "issuer.url is %s, for trials on this machine: add --dev-http --listen %s", address(cfg), u.Host)
	case errors.Is(err, web.ErrNoTLS):
		return cli.Hint(err, "set serve.tls_cert and serve.tls_key to a certificate for %s and its key. To try things on this machine without one, make an issuer with `issuer init DIR ... --url http://127.0.0.1:8080` and serve it with --dev-http", address(cfg))
	case errors.Is(err, web.ErrNotLoopback):
		return cli.Hint(err, "phones and other machines need https: an issuer.url with https, and serve.tls_cert and serve.tls_key; `issuer serve --help`")
	}
	return err
}

// keptName is the file in which a server keeps the programmes for a start without the
// database.
const keptName = "programmes.json"

// prepareOnce makes the tables of the values that work once, where the owner of the
// database has to.
func prepareOnce(ctx context.Context, cfg Config) error {
	return cfg.asOwnerOf(cfg.Serve.Once, func(owner, password, role string) error {
		return once.Prepare(ctx, owner, once.Options{Password: password, ServiceRole: role})
	})
}

// background runs what a server does beside answering. The function that it returns
// ends it.
func (p *program) background(cmd *cobra.Command, cfg Config, d *desk, values *values, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(cmd.Context())
	ended := make(chan struct{}, 2)
	running := 1
	go func() {
		defer func() { ended <- struct{}{} }()
		for ctx.Err() == nil {
			if _, err := values.Sweep(ctx, p.Now()); err != nil && ctx.Err() == nil {
				log.WarnContext(ctx, "what has expired is not swept", "err", err)
			}
			sleep(ctx, time.Minute)
		}
	}()
	say := func(format string, args ...any) {
		log.WarnContext(ctx, "publishing", "say", fmt.Sprintf(format, args...))
	}
	unwatch := func() {}
	if folder := cfg.Serve.Published; folder != "" {
		unwatch = watchFolder(ctx, folderWatch{folder: folder, now: p.Now, sleep: sleep, say: say})
	}
	if every := time.Duration(cfg.Serve.PublishEvery); every > 0 {
		running++
		if slow := tooSlow("serve.publish_every", every); slow != "" {
			say("WARNING: %s", slow)
		}
		f := &publisher{program: p, cmd: cmd, out: cfg.Serve.Published, with: d.with, say: say}
		s := schedule{every: every, now: p.Now, sleep: sleep, last: lastSuccess(cfg.Serve.Published), say: say}
		go func() {
			defer func() { ended <- struct{}{} }()
			s.run(ctx, func(ctx context.Context) error {
				_, err := f.round(ctx)
				return err
			})
		}()
	}
	return func() {
		cancel()
		unwatch()
		for range running {
			<-ended
		}
	}
}

// webConfig is the base of the server.
func (p *program) webConfig(cfg Config, devHTTP bool, log *slog.Logger, metrics *web.Metrics, d *desk, values *values) (web.Config, error) {
	s := cfg.Serve
	redis, err := redisURL(s)
	if err != nil {
		return web.Config{}, err
	}
	c := web.Config{
		Addr: s.Listen, TLSCert: s.TLSCert, TLSKey: s.TLSKey, DevHTTP: devHTTP, Private: s.Metrics, Log: log, Redis: redis, Metrics: metrics,
		Ready: []web.Readiness{
			{Name: "office", Check: d.MayAct},
			{Name: "once", Check: func(ctx context.Context) error {
				if _, err := values.Get(ctx, p.Now(), once.Offer, [32]byte{}); err != nil && !errors.Is(err, once.ErrNone) {
					return err
				}
				return nil
			}},
		},
	}
	for _, network := range s.Proxies {
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			return web.Config{}, err
		}
		c.Proxies = append(c.Proxies, prefix)
	}
	return c, nil
}

// redisURL is the address of Redis with its password.
func redisURL(s ServeConfig) (string, error) {
	password, err := readSecret(s.RedisPasswordFile)
	if err != nil || password == "" {
		return s.Redis, err
	}
	u, err := url.Parse(s.Redis)
	if err != nil {
		return "", errors.New("serve.redis is not an address")
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String(), nil
}

// endpointsConfig says what the endpoints are made of.
func (p *program) endpointsConfig(cfg Config, ks *keys.File, office issuer.Office, values *values) (issuer.Config, error) {
	s := cfg.Serve
	key, err := encryptionKey(ks)
	if err != nil {
		return issuer.Config{}, err
	}
	c := issuer.Config{
		Issuer: address(cfg), Names: cfg.Issuer.Names, DevHTTP: loopbackURL(address(cfg)), Office: office, Once: values, Secret: values.secret,
		EncryptionKeys: []*jose.DecryptionKey{key}, EncryptionRequired: s.EncryptionRequired, Published: cfg.Serve.Published,
		AnyClient: s.AnyClient, Bearer: s.Bearer, HighAssurance: s.HighAssurance, Now: p.Now,
		Lifetimes: issuer.Lifetimes{
			Offer: time.Duration(s.OfferLifetime), Access: time.Duration(s.AccessLifetime), Refresh: time.Duration(s.GrantLifetime),
		},
		Metadata: func(ctx context.Context) (issuer.Signing, error) {
			return metadataSigner(ctx, ks, chain.Folder(filepath.Join(filepath.Dir(p.settings()), chainsName)), p.Now())
		},
		SigningAlgorithm: func(ctx context.Context) (keys.Algorithm, error) { return signingAlgorithm(ctx, ks, p.Now()) },
		Picture: func(prog *programme.Programme) (issuer.Document, error) {
			return readPicture(logoPath(filepath.Dir(p.settings()), prog))
		},
		Keys: func(ctx context.Context) (map[string]issuer.Document, error) {
			return keyDocuments(ctx, cfg, ks, p.Now())
		},
	}
	c.LoginProgrammes = s.Login.Programmes
	for id, addresses := range s.Clients {
		c.Clients = append(c.Clients, issuer.Client{ID: id, RedirectURIs: addresses})
	}
	lists := statusFetch(s.AttestationHosts, p.Now)
	providers, err := readAttesters(s.WalletProviders, lists, p.Now)
	if err != nil {
		return c, fmt.Errorf("serve.wallet_providers: %w", err)
	}
	if providers != nil {
		c.Attestation.Attesters, c.Attestation.Status = providers.trusted, providers.status
	}
	c.Attestation.Required, c.Attestation.NeedChallenge = s.AttestationRequired, s.AttestationChallenge
	if c.Logo, err = readPicture(cfg.Issuer.Logo); err != nil {
		return c, fmt.Errorf("issuer.logo: %w", err)
	}
	if c.Login, err = upstream(cfg); err != nil {
		return c, err
	}
	makers, err := readAttesters(s.KeyAttesters, lists, p.Now)
	if err != nil {
		return c, fmt.Errorf("serve.key_attesters: %w", err)
	}
	if makers != nil {
		c.KeyAttesters, c.KeyStatus = makers.trusted, makers.status
	}
	c.KeyAttestation = map[string]oid4vci.AttestationNeeds{}
	for id, levels := range s.KeyAttestation {
		c.KeyAttestation[id] = oid4vci.AttestationNeeds{KeyStorage: levels.KeyStorage, UserAuthentication: levels.UserAuthentication}
	}
	return c, nil
}

// serveFault is why a server could not begin on this machine with what the settings name,
// such as a file that is not there.
func (p *program) serveFault(cfg Config, ks *keys.File) error {
	if _, err := p.endpointsConfig(cfg, ks, nil, nil); err != nil {
		return err
	}
	if _, err := redisURL(cfg.Serve); err != nil {
		return fmt.Errorf("serve.redis_password_file: %w", err)
	}
	if err := console.CheckOrigin(consoleOrigin(cfg)); cfg.Console.Enabled && err != nil {
		return fmt.Errorf("console.origin: %w", err)
	}
	if cfg.Serve.TLSCert == "" {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(cfg.Serve.TLSCert, cfg.Serve.TLSKey); err != nil {
		return fmt.Errorf("serve.tls_cert: %w", err)
	}
	return nil
}

// upstream is the provider at which holders sign in, nil without one.
func upstream(cfg Config) (issuer.Login, error) {
	l := cfg.Serve.Login
	if l.Issuer == "" {
		return nil, nil
	}
	secret, err := readSecret(l.ClientSecretFile)
	if err != nil {
		return nil, err
	}
	return issuer.NewUpstream(issuer.UpstreamConfig{
		Issuer: l.Issuer, ClientID: l.ClientID, ClientSecret: secret, Redirect: issuer.CallbackURL(address(cfg)), Scopes: l.Scopes, RecordClaim: l.RecordClaim,
		Fetch: fetch.New(fetch.Config{LocalHosts: l.LocalHosts}),
	})
}

// address is the issuer's URL as wallets know it.
func address(cfg Config) string { return strings.TrimSuffix(cfg.Issuer.URL, "/") }

func loopbackURL(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && loopback(u.Hostname())
}

// encryptionKey is the key that requests are encrypted for, the same in all processes.
func encryptionKey(ks *keys.File) (*jose.DecryptionKey, error) {
	secret, err := ks.Secret("credential requests")
	if err != nil {
		return nil, err
	}
	return jose.RestoreDecryptionKey("requests-1", secret)
}

// metadataSigner is who signs metadata; nobody while there is no key for it, or no
// certificate, without which a signature does not tell wallets whose it is.
func metadataSigner(ctx context.Context, ks *keys.File, folder chain.Folder, now time.Time) (issuer.Signing, error) {
	all, err := ks.Keys(ctx)
	if err != nil {
		return issuer.Signing{}, err
	}
	k, err := keys.SigningKey(all, keys.Metadata, now)
	if errors.Is(err, keys.ErrNoKey) {
		return issuer.Signing{}, nil
	}
	if err != nil {
		return issuer.Signing{}, err
	}
	x5c := chainOf(ks, folder, k.ID(), now)
	if len(x5c) == 0 {
		return issuer.Signing{}, nil
	}
	signer, err := ks.Signer(ctx, k.ID())
	return issuer.Signing{Signer: signer, Chain: x5c}, err
}

// signingAlgorithm is that of the key that signs credentials now, "" while there is none.
func signingAlgorithm(ctx context.Context, ks *keys.File, now time.Time) (keys.Algorithm, error) {
	all, err := ks.Keys(ctx)
	if err != nil {
		return "", err
	}
	k, err := keys.SigningKey(all, keys.Credential, now)
	if errors.Is(err, keys.ErrNoKey) {
		return "", nil
	}
	return k.Public.Algorithm(), err
}

// keyDocuments are the documents about the issuer's keys, from their whole history. With an
// error those that can be made are there.
func keyDocuments(ctx context.Context, cfg Config, ks *keys.File, now time.Time) (map[string]issuer.Document, error) {
	all, err := ks.Keys(ctx)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(address(cfg))
	if err != nil {
		return nil, err
	}
	documents := map[string]issuer.Document{
		issuer.PathJWKS: {Type: "application/jwk-set+json", Content: keys.JWKS(keys.Verifying(all, now, keys.Credential, keys.StatusList, keys.Metadata))},
	}
	var faults []error
	add := func(path, media string, content []byte, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", path, err))
			return
		}
		documents[path] = issuer.Document{Type: media, Content: content}
	}
	metadata, err := sdjwt.IssuerMetadata(address(cfg), all, now)
	add(issuer.PathIssuerKeys, web.MediaJSON, metadata, err)
	// An address with odd characters has no did:web, and no document.
	if name, err := did.Web(address(cfg), u.Hostname()); err == nil {
		document, err := did.WebDocument(name, all, now)
		add(issuer.PathDID, did.MediaType, document, err)
	}
	return documents, errors.Join(faults...)
}

// logosName is the folder beside the settings into which `programme add` puts the pictures
// of programmes.
const logosName = "logos"

// logoPath is where the picture of a programme is kept, below the folder of the settings.
func logoPath(dir string, p *programme.Programme) string {
	return filepath.Join(dir, logosName, p.ID+filepath.Ext(p.Logo.File))
}

// readPicture reads a picture that is to be served; "" is none.
func readPicture(path string) (issuer.Document, error) {
	if path == "" {
		return issuer.Document{}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return issuer.Document{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, issuer.MaxPicture+1))
	if err != nil {
		return issuer.Document{}, err
	}
	return issuer.Picture(b)
}

// readAttesters reads the roots of attesters from a file; nil if there is none.
func readAttesters(path string, f *fetch.Client, now func() time.Time) (*attesters, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots, err := chain.ParseRoots(b)
	if err != nil {
		return nil, err
	}
	return &attesters{roots, f, now}, nil
}
