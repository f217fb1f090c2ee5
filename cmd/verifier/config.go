package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/internal/strictyaml"
	"github.com/sanad-id/sanad/internal/webpage"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/store/once"
	"github.com/sanad-id/sanad/store/parties"
)

// Config is the settings file of `verifier serve`, in YAML. A key that is not in it is
// an error. Paths are relative to the file. A field without "Optional" must be set.
type Config struct {
	// Name is what the verifier is called in its certificate.
	Name string `yaml:"name"`

	// URL is the public address, such as "https://verifier.example". Its host must be in
	// the certificates of requests.
	URL string `yaml:"url"`

	// Prefix is how the verifier names itself to wallets: "x509_hash" by its certificate,
	// which HAIP wants, "x509_san_dns" by its host, "decentralized_identifier" by a did:web that this
	// server answers for, "redirect_uri" not at all. Optional; x509_hash.
	Prefix string `yaml:"prefix,omitempty"`

	// Listen is the address to serve on, such as ":8443".
	Listen string `yaml:"listen"`

	// TLSCert is a file with the certificates of the server (PEM). It is read again when
	// it changes. Required, unless --dev-http is given.
	TLSCert string `yaml:"tls_cert,omitempty"`

	// TLSKey is the key of tls_cert.
	TLSKey string `yaml:"tls_key,omitempty"`

	// Private is the address of the private port: figures, readiness, and without
	// api_keys all that relying parties ask. Optional with api_keys.
	Private string `yaml:"private,omitempty"`

	// APIKeys let relying parties in on the public port. Optional.
	APIKeys []APIKeyConfig `yaml:"api_keys,omitempty"`

	// Policies is the folder with a file *.yaml for each policy.
	Policies string `yaml:"policies"`

	// Trust is the folder of the imported trust bundle: verifier --dir FOLDER trust import.
	Trust string `yaml:"trust"`

	// TrustSources are https addresses where newer bundles of that authority are, such as
	// https://registry.example/trust/bundle.trust. Each is asked. Optional; none.
	TrustSources []string `yaml:"trust_sources,omitempty"`

	// TrustEvery is how often they are asked, from 1m on. Optional; 10m, so that a
	// stolen key is known within 15 (promise P19).
	TrustEvery time.Duration `yaml:"trust_every,omitempty"`

	// IssuerRoots are authorities whose certificates are believed about issuers of SD-JWT VCs
	// that the trust bundle does not name: their x5c is looked at, and their status list is
	// asked for. Optional; none, and who is not in the bundle is not known.
	IssuerRoots []IssuerRootConfig `yaml:"issuer_roots,omitempty"`

	// Alarm is an https address that gets a signed message before the bundle, lists, keys or
	// the certificate age. Optional; the log and the figures say it anyway.
	Alarm string `yaml:"alarm,omitempty"`

	// Keystore is the encrypted file of the key that signs requests.
	Keystore string `yaml:"keystore"`

	// KeyPassphraseFile is a file (mode 0600) with its passphrase.
	KeyPassphraseFile string `yaml:"key_passphrase_file"`

	// Chains is the folder with the certificates of that key.
	Chains string `yaml:"chains"`

	// Once is where requests and results live, for minutes: the path of a file, which is
	// made; the URL of a PostgreSQL database, for several servers; or memory, for one server
	// alone: what is open when it ends is lost, webhooks that wait are, too.
	Once string `yaml:"once"`

	// OnceMegabytes is how much of it requests and results take at most with once: memory,
	// 1 to 65536; what does not fit is refused. Of a file or a database it says nothing.
	// Optional; 256.
	OnceMegabytes int `yaml:"once_megabytes,omitempty"`

	// OncePasswordFile is a file with the password of the role in that URL. Optional.
	OncePasswordFile string `yaml:"once_password_file,omitempty"`

	// Parties is where keys and usage of relying parties and tallies of counters are kept: the
	// path of a file, which is made, or the URL of a PostgreSQL database, for several servers. It
	// wants a backup. Optional; then keys are those of api_keys, and nothing is counted by party.
	Parties string `yaml:"parties,omitempty"`

	// PartiesPasswordFile is a file with the password of the role in that URL. Optional.
	PartiesPasswordFile string `yaml:"parties_password_file,omitempty"`

	// TallyDays is for how many days tallies of counters are kept with their salted hashes,
	// 1 to 366; after that their counts stay among the usage. Optional; 31.
	TallyDays int `yaml:"tally_days,omitempty"`

	// TallyOrigins are websites, such as https://scanner.example, whose scanner pages may
	// upload tallies beside the one of this server. Optional; none.
	TallyOrigins []string `yaml:"tally_origins,omitempty"`

	// OldType says that credentials of drafts before November 2024 are read, too, whose typ is
	// vc+sd-jwt. Optional; they are refused. Sanad's issuer never writes them.
	OldType bool `yaml:"accept_vc_sd_jwt,omitempty"`

	// Redis is where several servers count requests together, such as
	// rediss://redis.office.lan:6379. It decides nothing but whether somebody asks too
	// often. Optional; each process counts by itself.
	Redis string `yaml:"redis,omitempty"`

	// RedisPasswordFile is a file with the password of Redis. Optional.
	RedisPasswordFile string `yaml:"redis_password_file,omitempty"`

	// Proxies are networks of reverse proxies whose X-Forwarded-For is believed.
	// Optional; none.
	Proxies []string `yaml:"proxies,omitempty"`

	// LocalHosts are hosts inside of the network that webhooks may go to and trust bundles and
	// status lists come from. Optional; none.
	LocalHosts []string `yaml:"local_hosts,omitempty"`
}

// APIKeyConfig is one relying party.
type APIKeyConfig struct {
	// Name is the relying party's, for the log.
	Name string `yaml:"name"`

	// SHA256 is the digest of its key, as `verifier api-key` prints it.
	SHA256 string `yaml:"sha256"`

	// Policies are those that it may use. Optional; all.
	Policies []string `yaml:"policies,omitempty"`

	// Scopes are what it allows: requests, verify, usage, tallies. Optional; the first three.
	Scopes []parties.Scope `yaml:"scopes,omitempty"`

	// Expires is when it ends. Optional; never.
	Expires time.Time `yaml:"expires,omitempty"`
}

// IssuerRootConfig is one authority.
type IssuerRootConfig struct {
	// File has the certificate of its root, or of several (PEM). It is read once.
	File string `yaml:"file"`

	// Types are the credential types, by vct, that its issuers are taken for.
	Types []string `yaml:"types"`

	// Name is what reports call it. Optional; the name in its first certificate.
	Name string `yaml:"name,omitempty"`

	// StatusFresh is how old a status list of its issuers may be, 1m to 8760h. Optional; 24h.
	StatusFresh time.Duration `yaml:"status_fresh,omitempty"`
}

// defaultStatusFresh and maxStatusFresh are how old a status list may be of an issuer that is
// known by a certificate.
const (
	defaultStatusFresh = 24 * time.Hour
	maxStatusFresh     = 365 * 24 * time.Hour
)

// maxIssuerRoots is the most authorities.
const maxIssuerRoots = 64

// maxOnceMegabytes is the most for requests and results in memory.
const maxOnceMegabytes = 64 << 10

// maxSources is the most sources of trust.
const maxSources = 16

const settingsName = "verifier.yaml"

func readConfig(path string) (Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return Config{}, cli.Hint(fmt.Errorf("no settings file at %s", path), "make one with `verifier init DIR`, or name one with --config FILE")
	}
	if err != nil {
		return Config{}, err
	}
	defer f.Close()
	var c Config
	if err := strictyaml.Settings(f, &c); err != nil {
		return Config{}, cli.Hint(fmt.Errorf("read %s: %w", path, err), "cmd/verifier/verifier.example.yaml of the sources explains every key")
	}
	dir := filepath.Dir(path)
	paths := []*string{&c.TLSCert, &c.TLSKey, &c.Policies, &c.Trust, &c.Keystore, &c.KeyPassphraseFile, &c.Chains, &c.OncePasswordFile, &c.PartiesPasswordFile, &c.RedisPasswordFile}
	for i := range c.IssuerRoots {
		paths = append(paths, &c.IssuerRoots[i].File)
	}
	for _, database := range []*string{&c.Once, &c.Parties} {
		if !strings.Contains(*database, "://") && (database != &c.Once || c.Once != once.Memory) {
			paths = append(paths, database)
		}
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	if c.Prefix == "" {
		c.Prefix = string(oid4vp.X509Hash)
	}
	for i := range c.IssuerRoots {
		if c.IssuerRoots[i].StatusFresh == 0 {
			c.IssuerRoots[i].StatusFresh = defaultStatusFresh
		}
	}
	if c.TrustEvery == 0 {
		c.TrustEvery = defaultTrustEvery
	}
	if err := c.check(); err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// defaultTrustEvery, a tenth more by chance, one answer (updateTimeout) and the minute that a
// publisher takes are within the 15 minutes in which a stolen key must be known.
const defaultTrustEvery = 10 * time.Minute

// checkURL refuses an address that a verifier cannot have towards wallets.
func checkURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" ||
		u.Scheme != "https" && (u.Scheme != "http" || !webpage.Loopback(u.Hostname())) {
		return fmt.Errorf("url %q must be an https address without a path (http only on this machine, for development)", address)
	}
	return nil
}

func (c *Config) check() error {
	for name, v := range map[string]string{
		"name": c.Name, "url": c.URL, "listen": c.Listen, "policies": c.Policies, "trust": c.Trust, "keystore": c.Keystore,
		"key_passphrase_file": c.KeyPassphraseFile, "chains": c.Chains, "once": c.Once,
	} {
		if v == "" {
			return fmt.Errorf("%s is not set", name)
		}
	}
	if err := checkURL(c.URL); err != nil {
		return err
	}
	switch {
	case c.Prefix != string(oid4vp.X509Hash) && c.Prefix != string(oid4vp.X509SANDNS) && c.Prefix != string(oid4vp.DecentralizedIdentifier) &&
		c.Prefix != string(oid4vp.RedirectURI):
		return fmt.Errorf("prefix %q is not x509_hash, x509_san_dns, decentralized_identifier or redirect_uri", c.Prefix)
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("tls_cert and tls_key belong together")
	case c.Private == "" && len(c.APIKeys) == 0 && c.Parties == "":
		return errors.New("without api_keys relying parties need the private port; set private")
	}
	switch {
	case c.Once == once.Memory && c.Redis != "":
		return errors.New("once: memory is for one server alone; redis, which several servers share, does not go with it")
	case c.OnceMegabytes < 0 || c.OnceMegabytes > maxOnceMegabytes:
		return fmt.Errorf("once_megabytes must be 1 to %d", maxOnceMegabytes)
	}
	if c.TrustEvery < time.Minute {
		return errors.New("trust_every must be at least 1m")
	}
	if c.TallyDays < 0 || c.TallyDays > verifier.MaxTallyDays {
		return fmt.Errorf("tally_days must be 1 to %d", verifier.MaxTallyDays)
	}
	for _, o := range c.TallyOrigins {
		if u, err := url.Parse(o); err != nil || u.Host == "" || o != u.Scheme+"://"+strings.ToLower(u.Host) || u.Scheme != "https" && !(u.Scheme == "http" && webpage.Loopback(u.Hostname())) {
			return fmt.Errorf("tally_origins: %q is not a website such as https://scanner.example", o)
		}
	}
	if len(c.TrustSources) > maxSources {
		return fmt.Errorf("trust_sources has more than %d addresses", maxSources)
	}
	for _, a := range c.TrustSources {
		if err := c.asked(a); err != nil {
			return fmt.Errorf("trust_sources: %w", err)
		}
	}
	if err := c.checkIssuerRoots(); err != nil {
		return fmt.Errorf("issuer_roots: %w", err)
	}
	if c.Alarm != "" {
		if err := fetch.CheckURL(c.Alarm, c.LocalHosts); err != nil {
			return fmt.Errorf("alarm: %w", err)
		}
	}
	if _, err := c.networks(); err != nil {
		return err
	}
	_, err := c.keys()
	return err
}

// asked tells whether the server may ask an address, or send to it.
func (c *Config) asked(address string) error {
	err := fetch.CheckURL(address, c.LocalHosts)
	if err != nil && strings.HasPrefix(address, "http://") {
		return fmt.Errorf("%w; a host of the own network is named in local_hosts", err)
	}
	return err
}

func (c *Config) checkIssuerRoots() error {
	if len(c.IssuerRoots) > maxIssuerRoots {
		return fmt.Errorf("more than %d", maxIssuerRoots)
	}
	for _, r := range c.IssuerRoots {
		switch {
		case r.File == "":
			return errors.New("file is not set")
		case len(r.Types) == 0 || slices.Contains(r.Types, ""):
			return fmt.Errorf("%s: types must name the credential types that its issuers are taken for", r.File)
		case r.StatusFresh < time.Minute || r.StatusFresh > maxStatusFresh:
			return fmt.Errorf("%s: status_fresh must be 1m to %s", r.File, maxStatusFresh)
		}
	}
	return nil
}

func (c *Config) networks() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, n := range c.Proxies {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, fmt.Errorf("proxies: %q is not a network such as 10.0.0.0/8", n)
		}
		all = append(all, p)
	}
	return all, nil
}

func (c *Config) keys() ([]verifier.APIKey, error) {
	var all []verifier.APIKey
	for _, k := range c.APIKeys {
		d, err := verifier.ParseDigest(k.SHA256)
		if err != nil || k.Name == "" || d == ([sha256.Size]byte{}) || d == sha256.Sum256(nil) {
			return nil, fmt.Errorf("api_keys: %q needs name and sha256, as `verifier api-key` prints them", k.Name)
		}
		for _, scope := range k.Scopes {
			if !slices.Contains(parties.Scopes(), scope) {
				return nil, fmt.Errorf("api_keys: %q has the scope %q, which there is not", k.Name, scope)
			}
		}
		all = append(all, verifier.APIKey{Name: k.Name, Digest: d, Policies: k.Policies, Scopes: k.Scopes, Expires: k.Expires})
	}
	return all, nil
}

// redisURL is the address of Redis with its password.
func (c *Config) redisURL() (string, error) {
	if c.Redis == "" || c.RedisPasswordFile == "" {
		return c.Redis, nil
	}
	u, err := url.Parse(c.Redis)
	if err != nil {
		return "", errors.New("redis is not an address")
	}
	password, err := readSecret(c.RedisPasswordFile)
	if err != nil {
		return "", err
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String(), nil
}

// readSecret reads a file of one line; "" if none is named.
func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	return strings.TrimRight(string(b), "\r\n"), err
}

func (p *program) configCommand() *cobra.Command {
	check := &cobra.Command{
		Use: "check", Short: "Read and validate the settings and policies, then stop", Args: cobra.NoArgs,
		Example: "  verifier config check --config library/verifier.yaml",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			cfg, err := readConfig(p.settings)
			if err != nil {
				return err
			}
			d, err := p.openDesk(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer d.close()
			problems := d.problems(p.Now())
			if err := d.serveFault(); err != nil {
				problems = append(problems, err.Error())
			}
			view := struct {
				Policies []string   `json:"policies"`
				Roots    []rootView `json:"issuer_roots,omitempty"`
				Notes    []string   `json:"notes,omitempty"`
				Problems []string   `json:"problems"`
			}{d.policyNames(), rootViews(d.config.IssuerRoots, p.Now()), d.notes(p.Now()), problems}
			if err := p.Print(cmd, view, func(w io.Writer) {
				fmt.Fprintf(w, "%s is right; policies: %s\n", p.settings, strings.Join(view.Policies, ", "))
				for _, root := range view.Roots {
					fmt.Fprintf(w, "%s\n", cli.Visible(root.String()))
				}
				for _, note := range view.Notes {
					fmt.Fprintf(w, "note: %s\n", cli.Visible(note))
				}
				for _, problem := range view.Problems {
					fmt.Fprintf(w, "not ready to serve: %s\n", cli.Visible(problem))
				}
			}); err != nil {
				return err
			}
			if len(view.Problems) > 0 {
				return cli.Exit(1)
			}
			return nil
		}),
	}
	return cli.Group("config", "Work with the settings file of verifier serve", "", check)
}
