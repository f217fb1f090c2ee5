package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/registry/sqltable"
	"github.com/sanad-id/sanad/store"
	"github.com/sanad-id/sanad/trust"
)

// Config is the settings file of the issuer, in YAML. A key that is not in it
// is an error. A field without "Optional" must be set. Paths are relative to the
// directory of the settings file.
type Config struct {
	// Issuer says who issues.
	Issuer IssuerConfig `yaml:"issuer"`

	// Store is the database with everything that was issued: the path of an SQLite
	// file on a local disk, or the URL of a PostgreSQL database,
	// postgres://ROLE@HOST/DATABASE?sslmode=verify-full, without a password. With
	// PostgreSQL any number of processes may work at once.
	Store string `yaml:"store"`

	// StorePasswordFile is a file with the password of the role in store.
	// Optional; PGPASSFILE, a client certificate or peer authentication serve, too.
	StorePasswordFile string `yaml:"store_password_file,omitempty"`

	// StoreOwner is the same PostgreSQL database as the role that owns the tables,
	// for init, migrate and restore. Optional; without it the role in store owns them,
	// and could undo what the database protects from the service.
	StoreOwner string `yaml:"store_owner,omitempty"`

	// StoreOwnerPasswordFile is a file with the password of that role. Optional;
	// keep it off the machine while it is not needed.
	StoreOwnerPasswordFile string `yaml:"store_owner_password_file,omitempty"`

	// StoreStandby is "synchronous" if PostgreSQL reports no commit before a standby
	// has it (synchronous_standby_names). Then work goes on when that takes over.
	// Optional; otherwise the database is fenced by a fail-over.
	StoreStandby string `yaml:"store_standby,omitempty"`

	// Keystore is the encrypted file of the signing keys.
	Keystore string `yaml:"keystore"`

	// KeyPassphraseFile is a file that contains the passphrase of the keystore.
	// Optional; without it the passphrase is asked for on the terminal. Never
	// keep it in the same backup as the keystore.
	KeyPassphraseFile string `yaml:"key_passphrase_file"`

	// Sources are the registries that --source can name.
	// Optional; --source also takes the path of a CSV file.
	Sources map[string]SourceConfig `yaml:"sources"`

	// Trust says how long the trust bundles that this issuer publishes serve.
	Trust TrustConfig `yaml:"trust"`

	// Keys says how long signing keys serve. Optional.
	Keys KeysConfig `yaml:"keys"`

	// Journal is a folder with a second copy of the audit log, written before
	// anything takes effect. Put it on another disk than the database: whatever the
	// database may lose, it tells. "none" does without, which is a decision to be
	// made: a restored backup then cannot know what was revoked since.
	Journal string `yaml:"journal"`

	// Audit says who watches over the audit log.
	Audit AuditConfig `yaml:"audit"`

	// Serve is how `issuer serve` serves wallets and the public. Optional.
	Serve ServeConfig `yaml:"serve,omitempty"`

	// Console is the console of the office, a part of `issuer serve`. Optional.
	Console ConsoleConfig `yaml:"console,omitempty"`

	// Paper says how certificates are printed. Optional.
	Paper PaperConfig `yaml:"paper,omitempty"`
}

// ConsoleConfig is the console of the office.
type ConsoleConfig struct {
	// Enabled serves it, under /console/. Optional.
	Enabled bool `yaml:"enabled,omitempty"`

	// Origin is where browsers find it, such as https://registry.example. Passkeys are
	// bound to its host for good. Optional; that of issuer.url if empty. Plain http on
	// localhost only, with --dev-http.
	Origin string `yaml:"origin,omitempty"`

	// Desk is where people, passkeys, sessions and work are kept: the path of a file, or
	// the URL of a PostgreSQL database. Optional; the database of store if that is
	// PostgreSQL, else desk.db beside it. Back it up: passkeys are in it.
	Desk string `yaml:"desk,omitempty"`

	// Batches is the private folder of what is uploaded for batches and of what they
	// make. With several servers it is one that all of them see. Optional; batches beside
	// this file.
	Batches string `yaml:"batches,omitempty"`

	// KeepBatches is how long those files are kept after a batch is over. Optional; 30
	// days if zero.
	KeepBatches Duration `yaml:"keep_batches,omitempty"`

	// Help stands at the foot of every page: whom to ask. Optional.
	Help string `yaml:"help,omitempty"`

	// TimeZone is that in which times are shown, such as Asia/Dhaka. Optional; UTC.
	TimeZone string `yaml:"time_zone,omitempty"`

	// Idle is how long a clerk or an auditor may do nothing before they are signed out.
	// Optional; 30 minutes if zero.
	Idle Duration `yaml:"idle,omitempty"`

	// IdleShort is that of approvers, heads of office and administrators. Optional; 15
	// minutes if zero.
	IdleShort Duration `yaml:"idle_short,omitempty"`

	// Absolute is how long a session lasts whatever is done. Optional; 12 hours if zero.
	Absolute Duration `yaml:"absolute,omitempty"`

	// DeviceBound are roles whose passkeys must not leave their device, so that no cloud
	// account signs anybody in: security keys. Optional.
	DeviceBound []string `yaml:"device_bound,omitempty"`

	// Approval is how many persons it takes to issue where the programme does not say: one
	// or two. Optional; two.
	Approval string `yaml:"approval,omitempty"`

	// KeepWork is how long work that is over is kept, with the ids of its records. The audit
	// log keeps what was done. Optional; 90 days if zero.
	KeepWork Duration `yaml:"keep_work,omitempty"`
}

// PaperConfig is how certificates are printed.
type PaperConfig struct {
	// Languages are one or two languages of labels and dates: en, fr, pt, sw, bn or ar. The
	// first decides which way the page runs. Optional; English.
	Languages []string `yaml:"languages,omitempty"`

	// Layouts says for programmes as what they are printed: sheet, card or strip, or the
	// path of a layout file. Optional; sheet.
	Layouts map[string]string `yaml:"layouts,omitempty"`

	// Help is the address of the page that explains how to check, at most 53 characters.
	// It is printed as a small code. Optional; there is none.
	Help string `yaml:"help,omitempty"`

	// Fonts are folders with TrueType fonts for scripts that the program has none for.
	// It has Latin, Cyrillic, Greek, Arabic, Bengali, Devanagari, Ethiopic, Khmer and Lao.
	// Optional.
	Fonts []string `yaml:"fonts,omitempty"`
}

// check applies the rules that YAML cannot.
func (c *PaperConfig) check(need func(ok bool, format string, args ...any)) {
	_, err := paperLanguages(c.Languages, nil)
	need(err == nil, "paper.languages: %v", err)
	need(len(c.Help) <= docpdf.HelpLength, "paper.help has %d characters; a small code has room for %d", len(c.Help), docpdf.HelpLength)
	u, err := url.Parse(c.Help)
	need(c.Help == "" || err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil, "paper.help must be an https address")
	for id, name := range c.Layouts {
		need(name != "", "paper.layouts.%s must name a layout", id)
	}
}

// ServeConfig is how `issuer serve` serves.
type ServeConfig struct {
	// Listen is the address of the public port, such as ":8443". Optional;
	// 127.0.0.1:8443 if empty.
	Listen string `yaml:"listen,omitempty"`

	// TLSCert and TLSKey are files with the certificate chain and its key (PEM), read
	// again when they change. Required, unless --dev-http is given.
	TLSCert string `yaml:"tls_cert,omitempty"`

	// TLSKey is the key of tls_cert.
	TLSKey string `yaml:"tls_key,omitempty"`

	// Metrics is the address of the private port for figures and readiness, such as
	// "127.0.0.1:9464". Optional; there is none if empty.
	Metrics string `yaml:"metrics,omitempty"`

	// Redis is where replicas count requests together, such as
	// rediss://redis.office.lan:6379, without a password. It decides nothing but
	// whether somebody asks too often. Optional; each process counts by itself.
	Redis string `yaml:"redis,omitempty"`

	// RedisPasswordFile is a file with the password of Redis. Optional.
	RedisPasswordFile string `yaml:"redis_password_file,omitempty"`

	// Proxies are networks of reverse proxies whose X-Forwarded-For is believed.
	// Optional; none.
	Proxies []string `yaml:"proxies,omitempty"`

	// Once is where codes and tokens that work once are kept: the path of a file, which is
	// made, or the URL of a PostgreSQL database. Optional; the database of store if that
	// is PostgreSQL, else once.db beside it.
	Once string `yaml:"once,omitempty"`

	// Published is the folder of `issuer status publish`, from which status lists and
	// the trust bundle are served. Optional; they are served by somebody else if empty.
	Published string `yaml:"published,omitempty"`

	// PublishEvery has this process fill the folder, such as every "60s".
	// Optional; another process does it if absent.
	PublishEvery Duration `yaml:"publish_every,omitempty"`

	// Pocket says whether the pocket page, a wallet for people without an app, is served
	// at /pocket/ below the issuer's address: on or off. Optional; it is where the
	// console is.
	Pocket string `yaml:"pocket,omitempty"`

	// Sources says from which of the sources each programme takes its records.
	// Optional for a programme if there is one source only.
	Sources map[string]string `yaml:"sources,omitempty"`

	// Bearer also gives tokens to wallets that cannot do DPoP. Whoever sees such a
	// token within its five minutes can use it. Optional; for pilots.
	Bearer bool `yaml:"bearer,omitempty"`

	// HighAssurance are programmes that are never offered by a bare code: their offers
	// need a transaction code or a login. Optional.
	HighAssurance []string `yaml:"high_assurance,omitempty"`

	// EncryptionRequired refuses credential requests that are not encrypted, or do not
	// ask for an encrypted response. Optional.
	EncryptionRequired bool `yaml:"encryption_required,omitempty"`

	// Clients are the wallets that may have holders sign in, by client id, with the
	// addresses that the browser may go back to. Optional.
	Clients map[string][]string `yaml:"clients,omitempty"`

	// AnyClient lets every wallet do so, with any address. Optional; for pilots.
	AnyClient bool `yaml:"any_client,omitempty"`

	// WalletProviders is a file with root certificates (PEM) of those who may attest
	// wallets. Optional; attestations are not looked at if empty.
	WalletProviders string `yaml:"wallet_providers,omitempty"`

	// AttestationRequired refuses wallets that nobody attests. Optional.
	AttestationRequired bool `yaml:"attestation_required,omitempty"`

	// AttestationChallenge also refuses attested wallets whose proof has no challenge of
	// this server, which keeps proofs made in advance away. Optional; wallets that know
	// the standard's later drafts fetch one anyway.
	AttestationChallenge bool `yaml:"attestation_challenge,omitempty"`

	// KeyAttesters is a file with root certificates (PEM) of those who may attest where
	// wallets keep their keys. Optional.
	KeyAttesters string `yaml:"key_attesters,omitempty"`

	// Login is the provider at which holders sign in. Optional; they have claim codes
	// only.
	Login LoginConfig `yaml:"login,omitempty"`

	// OfferLifetime is how long an offer works. Optional; 24 hours if zero. Longer gives
	// whoever finds one more time.
	OfferLifetime Duration `yaml:"offer_lifetime,omitempty"`

	// AccessLifetime is how long an access token works. Optional; 10 minutes if zero.
	AccessLifetime Duration `yaml:"access_lifetime,omitempty"`

	// GrantLifetime is how long a wallet can renew its copies without the holder signing
	// in again. Optional; 90 days if zero.
	GrantLifetime Duration `yaml:"grant_lifetime,omitempty"`
}

// LoginConfig is an OpenID provider.
type LoginConfig struct {
	// Issuer is its identifier, such as https://login.example.
	Issuer string `yaml:"issuer,omitempty"`

	// ClientID is what it knows this issuer by.
	ClientID string `yaml:"client_id,omitempty"`

	// ClientSecretFile is a file with the secret that goes with it. Optional for
	// providers that need none.
	ClientSecretFile string `yaml:"client_secret_file,omitempty"`

	// Scopes are asked for beside openid. Optional.
	Scopes []string `yaml:"scopes,omitempty"`

	// RecordClaim is the claim of the ID token that is the id of the person's record.
	RecordClaim string `yaml:"record_claim,omitempty"`

	// LocalHosts are names or addresses inside of the office's own network at which
	// it may be reached, also without TLS. Optional.
	LocalHosts []string `yaml:"local_hosts,omitempty"`
}

// AuditConfig says who watches over the audit log.
type AuditConfig struct {
	// Witnesses co-sign its checkpoints, so that nobody can show different people
	// different logs. Optional.
	Witnesses []WitnessConfig `yaml:"witnesses"`

	// Quorum is how many of the witnesses must have co-signed. Optional; 1 if zero.
	Quorum int `yaml:"quorum"`

	// DebtLimit is how long something may stand in the log that no quorum of
	// witnesses has co-signed; after that nothing is issued until one has. Optional;
	// 4 hours if zero.
	DebtLimit Duration `yaml:"debt_limit"`

	// WithoutWitness lets the issuer work while no witness answers, or without any.
	// Optional; false if absent, so that going without is always a decision.
	WithoutWitness bool `yaml:"without_witness"`

	// LocalHosts are names or addresses inside of the office's own network at which
	// a witness may be reached, also without TLS. Optional; without them only public
	// addresses, with TLS.
	LocalHosts []string `yaml:"local_hosts"`
}

// WitnessConfig is one witness.
type WitnessConfig struct {
	// Key is its public key: NAME+HASH+KEY, as the witness prints it.
	Key string `yaml:"key"`

	// URL is where it answers, without "/add-checkpoint". Optional for a witness
	// that co-signs exported folders.
	URL string `yaml:"url"`
}

// IssuerConfig says who issues.
type IssuerConfig struct {
	// ID is the short name that stands in every credential and in the trust
	// bundle, such as "xa-civil". It never changes.
	ID string `yaml:"id"`

	// Names is the issuer's name by language; "en" is required.
	Names map[string]string `yaml:"names"`

	// Country is the ISO 3166 code of two letters.
	Country string `yaml:"country"`

	// Logo is a picture for wallets to show beside the name: an SVG or PNG file of up to
	// 64 KiB. Optional.
	Logo string `yaml:"logo,omitempty"`

	// URL is where the public finds status lists. It stands in every credential
	// and can never change for those issued. It need not be online for offline
	// checks.
	URL string `yaml:"url"`
}

// SourceConfig is one registry: a csv file or a table of a database.
type SourceConfig struct {
	// CSV is the path of a delimited text file. Required without sql.
	CSV string `yaml:"csv"`

	// SQL is a table or view of a database. Required without csv.
	SQL SQLConfig `yaml:"sql"`

	// IDColumn is the column that identifies a record.
	// Optional; the programme's id_column if empty.
	IDColumn string `yaml:"id_column"`

	// Delimiter is one character, or "tab". Of a csv file. Optional; detected if
	// empty.
	Delimiter string `yaml:"delimiter"`

	// Encoding is "utf-8", "utf-16le", "utf-16be" or "windows-1252". Of a csv
	// file. Optional; detected if empty.
	Encoding string `yaml:"encoding"`
}

// SQLConfig is a table or view that is only ever read.
type SQLConfig struct {
	// Database is the path of an SQLite file, or a URL without password such as
	// postgres://sanad@registry.example/civil. Over a network the server's
	// certificate is checked (sslmode=verify-full; add ?sslrootcert=FILE for an
	// authority of your own); on this machine ?host=/run/postgresql is a socket.
	Database string `yaml:"database"`

	// PasswordFile is a file with the password of the URL's user, for PostgreSQL.
	// Optional; needed if the server asks for one.
	PasswordFile string `yaml:"password_file"`

	// Schema is where the table is, in PostgreSQL.
	// Optional; the user's search path if empty.
	Schema string `yaml:"schema"`

	// Table is the name of a table or view. Its columns are what programmes name.
	Table string `yaml:"table"`

	// ChangedColumn is a column whose value is another one whenever a record has
	// changed: a version, or the time of the change. Optional; without it all
	// columns are compared to follow the registry.
	ChangedColumn string `yaml:"changed_column"`
}

// TrustConfig says how long trust bundles serve.
type TrustConfig struct {
	// RefreshBy is after how long verifiers should have fetched a newer bundle,
	// such as "30d". Optional; 30 days if zero.
	RefreshBy Duration `yaml:"refresh_by"`

	// OldAfter is the age from which nothing checked with a bundle is called
	// genuine without a warning. Optional; 365 days if zero.
	OldAfter Duration `yaml:"old_after"`

	// StatusListLifetime is how long a published status list may be used by
	// verifiers that fetch it. Optional; 7 days if zero.
	StatusListLifetime Duration `yaml:"status_list_lifetime"`

	// Verifiers are registered in the trust bundle, with what they may ask for: wallets
	// name them, and refuse when one asks for more. By client identifier, such as
	// "x509_san_dns:library.example" for whoever has a certificate of that name under
	// the root that wallets trust. Optional.
	Verifiers map[string]VerifierConfig `yaml:"verifiers,omitempty"`
}

// VerifierConfig is a registered verifier.
type VerifierConfig struct {
	// Names is its name by language; "en" is required.
	Names map[string]string `yaml:"names"`

	// Asks is what it may ask for: claims by type, such as "address.locality", or
	// "address" for all of it. Optional; it may ask for anything if absent.
	Asks map[string][]string `yaml:"asks,omitempty"`

	// Keys are files with the public keys (JWK, PEM or COSE_Key) that sign its posters
	// and its questions for live codes. Optional.
	Keys []string `yaml:"keys,omitempty"`
}

// registered is the verifiers as a bundle shows them.
func (t TrustConfig) registered() ([]trust.Verifier, error) {
	var all []trust.Verifier
	for _, id := range slices.Sorted(maps.Keys(t.Verifiers)) {
		v := trust.Verifier{ID: id, Names: t.Verifiers[id].Names}
		for _, typeID := range slices.Sorted(maps.Keys(t.Verifiers[id].Asks)) {
			v.Asks = append(v.Asks, trust.Asked{Type: typeID, Claims: t.Verifiers[id].Asks[typeID]})
		}
		for _, name := range t.Verifiers[id].Keys {
			b, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("verifier %q: %w", id, err)
			}
			key, err := keys.ParsePublicKey(b)
			if err != nil {
				return nil, fmt.Errorf("verifier %q: key %s: %w", id, name, err)
			}
			v.Keys = append(v.Keys, key)
		}
		all = append(all, v)
	}
	return all, nil
}

// KeysConfig says how long signing keys serve.
type KeysConfig struct {
	// SignFor is how long a key signs before it must be rotated.
	// Optional; 365 days if zero.
	SignFor Duration `yaml:"sign_for"`

	// VerifyFor is how long credentials of a key stay verifiable, from its
	// creation. Optional; 100 years if zero, since birth certificates last a life.
	VerifyFor Duration `yaml:"verify_for"`

	// PublishBefore is how long a new key must have been in a published trust
	// bundle before it may sign, so that no verifier meets a key it does not
	// know. Optional; 7 days if zero.
	PublishBefore Duration `yaml:"publish_before"`
}

// A Duration is a time span in the settings: a number and one of s, m, h, d, y
// (a day has 24 hours, a year 365 days).
type Duration time.Duration

// UnmarshalYAML reads the number and its unit.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := parseDuration(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*d = Duration(v)
	return nil
}

// MarshalYAML writes the number and the largest unit that leaves no rest, but years.
func (d Duration) MarshalYAML() (any, error) {
	for _, unit := range []string{"d", "h", "m"} {
		if t := time.Duration(d); t%units[unit] == 0 {
			return fmt.Sprintf("%d%s", t/units[unit], unit), nil
		}
	}
	return fmt.Sprintf("%ds", time.Duration(d)/time.Second), nil
}

var units = map[string]time.Duration{
	"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "y": 365 * 24 * time.Hour,
}

func parseDuration(s string) (time.Duration, error) {
	if s != "" {
		if unit, ok := units[s[len(s)-1:]]; ok {
			n, err := strconv.ParseInt(s[:len(s)-1], 10, 32)
			if err == nil && n > 0 && n <= int64(time.Duration(1<<63-1)/unit) {
				return time.Duration(n) * unit, nil
			}
		}
	}
	return 0, fmt.Errorf("%q is not a time span such as 90d, 12h or 1y", s)
}

// standbySynchronous is the one value of store_standby.
const standbySynchronous = "synchronous"

var (
	issuerID = regexp.MustCompile(`^[a-z][a-z0-9-]{1,31}$`)
	country  = regexp.MustCompile(`^[A-Z]{2}$`)
)

// readConfig reads and checks the settings file.
func readConfig(path string) (Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return Config{}, cli.Hint(fmt.Errorf("no settings file at %s", path),
			"make an issuer with `issuer init DIR --name NAME --country CC`, or name an existing one with --dir DIR")
	}
	if err != nil {
		return Config{}, err
	}
	defer f.Close()
	dec := yaml.NewDecoder(io.LimitReader(f, 1<<20))
	dec.KnownFields(true)
	var c Config
	if err := dec.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("read %s: %w", path, err)
	}
	// Decode reads one document and would silently ignore the rest.
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("read %s: more than one document", path)
	}
	c.defaults()
	dir := filepath.Dir(path)
	if !store.IsPostgres(c.Store) {
		c.Store = beside(dir, c.Store)
	}
	if c.Serve.Once == "" {
		c.Serve.Once = onceName
		if store.IsPostgres(c.Store) {
			c.Serve.Once = c.Store
		}
	}
	if !store.IsPostgres(c.Serve.Once) {
		c.Serve.Once = beside(dir, c.Serve.Once)
	}
	if c.Console.Desk == "" {
		c.Console.Desk = deskName
		if store.IsPostgres(c.Store) {
			c.Console.Desk = c.Store
		}
	}
	if !store.IsPostgres(c.Console.Desk) {
		c.Console.Desk = beside(dir, c.Console.Desk)
	}
	if c.Console.Batches == "" {
		c.Console.Batches = "batches"
	}
	for _, p := range []*string{
		&c.Console.Batches, &c.Keystore, &c.KeyPassphraseFile, &c.StorePasswordFile, &c.StoreOwnerPasswordFile,
		&c.Serve.TLSCert, &c.Serve.TLSKey, &c.Serve.RedisPasswordFile, &c.Serve.Published, &c.Serve.WalletProviders, &c.Serve.KeyAttesters,
		&c.Serve.Login.ClientSecretFile, &c.Issuer.Logo,
	} {
		*p = beside(dir, *p)
	}
	for i, folder := range c.Paper.Fonts {
		c.Paper.Fonts[i] = beside(dir, folder)
	}
	for id, name := range c.Paper.Layouts {
		if _, ok := docpdf.LayoutNamed(name); !ok {
			c.Paper.Layouts[id] = beside(dir, name)
		}
	}
	for _, v := range c.Trust.Verifiers {
		for i := range v.Keys {
			v.Keys[i] = beside(dir, v.Keys[i])
		}
	}
	if c.Journal != noJournal {
		c.Journal = beside(dir, c.Journal)
	}
	for name, s := range c.Sources {
		s.CSV, s.SQL.PasswordFile = beside(dir, s.CSV), beside(dir, s.SQL.PasswordFile)
		if !sqltable.IsURL(s.SQL.Database) {
			s.SQL.Database = beside(dir, s.SQL.Database)
		}
		c.Sources[name] = s
	}
	if err := c.check(); err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	if c.Journal == noJournal {
		c.Journal = ""
	}
	return c, nil
}

// noJournal in place of a folder says that there is to be no journal. Saying
// nothing is not enough: settings that were cut off say nothing, too.
const noJournal = "none"

func beside(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

const day = Duration(24 * time.Hour)

func (c *Config) defaults() {
	if c.Audit.Quorum == 0 {
		c.Audit.Quorum = 1
	}
	for _, d := range []struct {
		field    *Duration
		fallback Duration
	}{
		{&c.Trust.RefreshBy, 30 * day}, {&c.Trust.OldAfter, 365 * day}, {&c.Trust.StatusListLifetime, 7 * day},
		{&c.Keys.SignFor, 365 * day}, {&c.Keys.VerifyFor, 100 * 365 * day}, {&c.Keys.PublishBefore, 7 * day}, {&c.Audit.DebtLimit, Duration(4 * time.Hour)},
	} {
		if *d.field == 0 {
			*d.field = d.fallback
		}
	}
}

// check reports every fault of the settings at once.
func (c *Config) check() error {
	var faults []string
	need := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	need(issuerID.MatchString(c.Issuer.ID), "issuer.id must be 2 to 32 lower-case letters, digits and hyphens, and start with a letter")
	need(c.Issuer.Names["en"] != "", "issuer.names must have an English name (en)")
	need(country.MatchString(c.Issuer.Country), "issuer.country must be a code of two capital letters")
	u, err := url.Parse(c.Issuer.URL)
	need(err == nil && (u.Scheme == "https" && u.Host != "" || u.Scheme == "http" && loopback(u.Hostname())) && u.RawQuery == "" && u.Fragment == "" && u.User == nil,
		"issuer.url must be an https address without user, query and fragment (http only on this machine, for development)")
	need(c.Store != "", "store must name the database file, or be a postgres:// URL")
	for name, location := range map[string]string{"store": c.Store, "store_owner": c.StoreOwner} {
		if store.IsPostgres(location) {
			err := checkStoreURL(location)
			need(err == nil, "%s: %v", name, err)
		}
	}
	need(c.StoreOwner == "" || store.IsPostgres(c.StoreOwner) && store.IsPostgres(c.Store), "store_owner goes with store on PostgreSQL, and is a postgres:// URL, too")
	need(c.StoreStandby == "" || c.StoreStandby == standbySynchronous, "store_standby is %q or absent", standbySynchronous)
	need(c.Keystore != "", "keystore must name the key file")
	need(c.Journal != "", "journal must name a folder on another disk, or be \"none\" to do without")
	need(c.Trust.OldAfter >= c.Trust.RefreshBy, "trust.old_after must not be shorter than trust.refresh_by")
	for id, v := range c.Trust.Verifiers {
		need(v.Names["en"] != "", "trust.verifiers.%s.names must have an English name (en)", id)
	}
	need(c.Keys.VerifyFor >= c.Keys.SignFor, "keys.verify_for must not be shorter than keys.sign_for")
	c.Audit.check(need)
	c.Serve.check(need, c.Sources)
	c.Console.check(need)
	c.Paper.check(need)
	for name, s := range c.Sources {
		need((s.CSV != "") != (s.SQL.Database != ""), "sources.%s must name either a csv file or the database of a sql table", name)
		need(s.SQL.Database != "" || s.SQL == SQLConfig{}, "sources.%s.sql must name a database", name)
		need(s.SQL.Database == "" || s.SQL.Table != "", "sources.%s.sql must name a table", name)
		need(s.SQL.Database == "" || s.Delimiter == "" && s.Encoding == "", "sources.%s: delimiter and encoding are of csv files", name)
		if sqltable.IsURL(s.SQL.Database) {
			err := sqltable.CheckURL(s.SQL.Database)
			need(err == nil, "sources.%s.sql.database: %v", name, err)
		}
		_, err := s.delimiter()
		need(err == nil, "sources.%s: %v", name, err)
	}
	if len(faults) == 0 {
		return nil
	}
	return errors.New(strings.Join(faults, "\n  "))
}

// check reports the faults of the section.
func (c *AuditConfig) check(need func(ok bool, format string, args ...any)) {
	seen := map[string]bool{}
	for i, w := range c.Witnesses {
		id, err := audit.CheckWitnessKey(w.Key)
		need(err == nil, "audit.witnesses: number %d: %v", i+1, err)
		need(err != nil || !seen[id], "audit.witnesses: number %d is there twice", i+1)
		seen[id] = true
		if w.URL != "" {
			err := fetch.CheckURL(w.URL, c.LocalHosts)
			need(err == nil, "audit.witnesses: number %d: url: %v", i+1, err)
		}
	}
	need(c.Quorum >= 0 && c.Quorum <= max(1, len(c.Witnesses)), "audit.quorum must not be more than there are witnesses")
}

// check reports the faults of the section.
func (c *ServeConfig) check(need func(ok bool, format string, args ...any), sources map[string]SourceConfig) {
	need((c.TLSCert == "") == (c.TLSKey == ""), "serve: tls_cert and tls_key belong together")
	need(c.Pocket == "" || c.Pocket == "on" || c.Pocket == "off", "serve.pocket is on or off")
	need(c.PublishEvery == 0 || c.Published != "", "serve.publish_every needs serve.published, the folder to fill")
	for _, p := range c.Proxies {
		_, err := netip.ParsePrefix(p)
		need(err == nil, "serve.proxies: %q is not a network such as 10.0.0.0/8", p)
	}
	if store.IsPostgres(c.Once) {
		err := checkStoreURL(c.Once)
		need(err == nil, "serve.once: %v", err)
	}
	if c.Redis != "" {
		err := checkStoreURL(c.Redis)
		need(err == nil, "serve.redis: %v", err)
	}
	for programme, source := range c.Sources {
		_, ok := sources[source]
		need(ok, "serve.sources.%s: there is no source %q", programme, source)
	}
	for id, addresses := range c.Clients {
		need(len(addresses) > 0, "serve.clients.%s has no addresses", id)
		for _, a := range addresses {
			err := oid4vci.CheckRedirectURI(a, nil)
			need(err == nil, "serve.clients.%s: %v", id, err)
		}
	}
	need(!c.AttestationRequired || c.WalletProviders != "", "serve.attestation_required needs serve.wallet_providers")
	need(!c.AttestationChallenge || c.WalletProviders != "", "serve.attestation_challenge needs serve.wallet_providers")
	l := c.Login
	need(l.Issuer == "" || l.ClientID != "" && l.RecordClaim != "", "serve.login needs client_id and record_claim")
	need(l.Issuer != "" || l.ClientID == "" && l.RecordClaim == "", "serve.login needs issuer")
	if l.Issuer != "" {
		err := fetch.CheckURL(l.Issuer, l.LocalHosts)
		need(err == nil, "serve.login.issuer: %v", err)
	}
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// delimiter is the separator as a rune; 0 asks for detection.
func (s SourceConfig) delimiter() (rune, error) {
	switch r := []rune(s.Delimiter); {
	case len(r) == 0:
		return 0, nil
	case s.Delimiter == "tab":
		return '\t', nil
	case len(r) == 1:
		return r[0], nil
	}
	return 0, fmt.Errorf("delimiter %q is not one character", s.Delimiter)
}
