package main

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/sanad-id/sanad/keys"
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

	// TxCode is what transaction codes look like, which the holder is told by another way
	// than the offer. Optional; six digits.
	TxCode TxCodeConfig `yaml:"tx_code,omitempty"`

	// EncryptionRequired refuses credential requests that are not encrypted, or do not
	// ask for an encrypted response. Optional.
	EncryptionRequired bool `yaml:"encryption_required,omitempty"`

	// Clients are the wallets that may have holders sign in, by client id, with the
	// addresses that the browser may go back to, character by character but for the port of
	// http on this machine, which such a wallet gets anew each time. Optional.
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

	// KeyAttestation are programmes whose credentials are bound to keys that one of
	// key_attesters attests and to no others, with the levels that suffice. Optional; keys
	// need not be attested.
	KeyAttestation map[string]KeyLevelsConfig `yaml:"key_attestation,omitempty"`

	// AttestationHosts are names or addresses inside of the office's own network at which
	// status lists of attestations may be asked; all others must be public. An attestation
	// that names a list is taken only while the list says that it holds. Optional.
	AttestationHosts []string `yaml:"attestation_hosts,omitempty"`

	// Login is the provider at which holders sign in. Optional; they have claim codes
	// only.
	Login LoginConfig `yaml:"login,omitempty"`

	// OfferLifetime is how long an offer works that needs a transaction code or a login.
	// Optional; 24 hours if zero. Any other works for ten minutes at most.
	OfferLifetime Duration `yaml:"offer_lifetime,omitempty"`

	// AccessLifetime is how long an access token works. Optional; 10 minutes if zero.
	AccessLifetime Duration `yaml:"access_lifetime,omitempty"`

	// GrantLifetime is how long a wallet can renew its copies without the holder signing
	// in again. Optional; 90 days if zero.
	GrantLifetime Duration `yaml:"grant_lifetime,omitempty"`
}

// KeyLevelsConfig is what must be attested of a key: how strongly it is kept, and how the
// holder lets it sign. The levels are those of OpenID4VCI 1.0 appendix D.2, such as
// "iso_18045_high", or of the office's attesters. Without any the attestation alone suffices.
type KeyLevelsConfig struct {
	// KeyStorage are levels of which one must be attested of the key store. Optional.
	KeyStorage []string `yaml:"key_storage,omitempty"`

	// UserAuthentication are those of the way in which the holder unlocks it. Optional.
	UserAuthentication []string `yaml:"user_authentication,omitempty"`
}

// TxCodeConfig is what transaction codes look like. There are five guesses at each, so
// that 1 000 000 codes are the fewest: six digits, or five characters of a text.
type TxCodeConfig struct {
	// Length is the number of characters, 10 at most. Optional; 6 if zero.
	Length int `yaml:"length,omitempty"`

	// InputMode is "numeric" for digits, or "text" for capital letters and digits without
	// those that are taken for one another. Optional; numeric.
	InputMode string `yaml:"input_mode,omitempty"`
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

	// Programmes are those in whose registries record_claim is the id of a record. Nobody
	// gets a credential of another one by signing in: there the same id may be somebody
	// else's. Optional while one programme has wallet forms.
	Programmes []string `yaml:"programmes,omitempty"`

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
	// 4 hours if zero, and not more unless WithoutWitness is set.
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
	// 64 KiB. Optional. The logos of credentials stand in programmes.
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
