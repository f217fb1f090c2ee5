package issuer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/published"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/store/once"
)

// Once decides what is used once. [*once.DB] is one.
type Once interface {
	// Put stores new values, all or none; [once.ErrExists] if one is there already.
	Put(ctx context.Context, values ...once.Value) error
	// Get returns a value that can still be taken, or [once.ErrNone].
	Get(ctx context.Context, now time.Time, kind once.Kind, digest [32]byte) (once.Value, error)
	// Exchange takes values and puts others, all or none.
	Exchange(ctx context.Context, now time.Time, take []once.Key, put []once.Value) ([]once.Value, error)
	// Guess counts an attempt before it is looked at; [once.ErrGuesses] after limit.
	Guess(ctx context.Context, now time.Time, kind once.Kind, digest [32]byte, limit int) (int, error)
	// Swap changes the data of a value; [once.ErrChanged] if somebody else was faster.
	Swap(ctx context.Context, now time.Time, old, next once.Value) error
	// Steps does several of these one after the other, in one transaction, until one is
	// refused, and returns how many were done.
	Steps(ctx context.Context, now time.Time, steps ...once.Step) (int, error)
}

// Office is the issuer behind the endpoints.
type Office interface {
	// MayAct returns nil if something can be done now: the database and the audit log
	// can be written. It is asked before each change and takes a second at most.
	MayAct(ctx context.Context) error
	// Epoch is that of the database, which a restore raises. Codes and tokens of another
	// epoch do not work.
	Epoch(ctx context.Context) (int64, error)
	// Deliver issues copies of a wallet form; see [issuance.Service.Deliver].
	Deliver(ctx context.Context, d issuance.Delivery) (*issuance.Issued, error)
	// Programmes are those in use, in their newest versions.
	Programmes(ctx context.Context) ([]*programme.Programme, error)
	// Record looks a record up in the registry of a programme, as it is now. It returns
	// [registry.ErrNoRecord] or [registry.ErrAmbiguous] for a decision; any other error
	// means that the registry cannot be reached.
	Record(ctx context.Context, programmeID, recordID string) (registry.Record, error)
}

// Signing is who signs metadata.
type Signing struct {
	Signer keys.Signer
	// Chain is its certificates without the root, in DER. Optional.
	Chain [][]byte
}

// A Client is a wallet that may use the authorization code flow.
type Client struct {
	ID string
	// RedirectURIs are compared character by character, but for the port of an address of the
	// wallet's own machine.
	RedirectURIs []string
}

// An AttestationStatus asks the status list in which an attestation has its place. The error
// is a [*credential.RejectedError] if the attestation does not hold any more; any other says
// that this cannot be told now.
type AttestationStatus func(ctx context.Context, at credential.StatusRef) error

// Attestation says whether wallets must be attested.
type Attestation struct {
	// Required refuses wallets without.
	Required bool
	// Attesters finds the keys of wallet providers; attestations are not looked at if it
	// is nil.
	Attesters oid4vci.TrustedKeys
	// Status asks the lists of wallet providers. Optional: attestations that name one are
	// refused.
	Status AttestationStatus
	// NeedChallenge also refuses proofs of possession without a challenge of ours, which
	// the challenge endpoint gives. Otherwise one may be left out; each proof works once
	// in any case. Optional.
	NeedChallenge bool
}

// Lifetimes are how long things work. Zero means the default.
type Lifetimes struct {
	// Offer is for offers and claim codes: 24 hours. PushedRequest and Code are for the
	// steps of the authorization code flow: 60 seconds each. Login is how long a holder
	// may take to sign in: 10 minutes.
	Offer, PushedRequest, Code, Login time.Duration
	// Access is for access tokens: 10 minutes. Refresh is for refresh tokens, which are
	// renewed with each use: 90 days; none if negative.
	Access, Refresh time.Duration
	// Nonce is for c_nonce and the nonces of DPoP: 5 minutes.
	Nonce time.Duration
	// Deferred is how long a registry that is out of reach is waited for: 7 days, and no
	// longer than the wallet has tokens to ask with. Interval is what wallets are asked to wait between two questions: 60 seconds.
	Deferred, Interval time.Duration
}

func (l *Lifetimes) defaults() {
	for _, d := range []struct {
		to *time.Duration
		is time.Duration
	}{
		{&l.Offer, 24 * time.Hour}, {&l.PushedRequest, time.Minute}, {&l.Code, time.Minute}, {&l.Login, 10 * time.Minute},
		{&l.Access, 10 * time.Minute}, {&l.Refresh, 90 * 24 * time.Hour}, {&l.Nonce, 5 * time.Minute},
		{&l.Deferred, 7 * 24 * time.Hour}, {&l.Interval, time.Minute},
	} {
		if *d.to == 0 {
			*d.to = d.is
		}
	}
}

// proofAge is how old a DPoP proof, a proof of possession or a key proof may be.
const proofAge = 5 * time.Minute

// maxBearer is the longest life of a token that anybody could use.
const maxBearer = 5 * time.Minute

// Config is what [Endpoints] need. Fields without "optional" must be set.
type Config struct {
	// Issuer is the credential issuer identifier: https, without query and without slash
	// at its end. It is also that of the authorization server.
	Issuer string
	// Names is the issuer's name by language tag.
	Names map[string]string
	// Logo is the issuer's picture for wallets to show; see [Picture]. Optional.
	Logo Document
	// Picture reads the picture of a programme whose logo is a file. While it cannot be
	// read its credentials are offered without one. Optional: none has one.
	Picture func(p *programme.Programme) (Document, error)
	// DevHTTP allows an Issuer with http on this machine, and cookies without TLS.
	// Optional.
	DevHTTP bool
	// Office issues.
	Office Office
	// Once keeps what works once.
	Once Once
	// Secret authenticates nonces: 32 bytes that all replicas share. It is asked for when it
	// is needed; an error means that it is out of reach.
	Secret func() ([]byte, error)
	// EncryptionKeys open encrypted requests, the newest first; all replicas share them.
	// Optional: nothing is encrypted if there are none.
	EncryptionKeys []*jose.DecryptionKey
	// EncryptionRequired refuses requests and responses in the clear. Optional.
	EncryptionRequired bool
	// Metadata signs metadata; optional, there are no signed ones if nil. It returns
	// the zero Signing while there is no key for it.
	Metadata func(ctx context.Context) (Signing, error)
	// SigningAlgorithm is that of the key that signs credentials now, for the metadata.
	// Optional: they do not say it; nor while it is "" or cannot be told.
	SigningAlgorithm func(ctx context.Context) (keys.Algorithm, error)
	// Keys are the documents about the issuer's keys by path, such as /jwks.json. They must
	// not need the office. If some cannot be made the others come with the error; nil means
	// that the keys cannot be read.
	Keys func(ctx context.Context) (map[string]Document, error)
	// Kept is the file in which programmes are kept, so that metadata and types are served
	// after a start while the office is out of reach. It is ours and made if need be.
	// Optional: then they are not there until the office was in reach once.
	Kept string
	// Published is the folder of status lists and of the trust bundle, "" if this
	// server does not serve them. Optional.
	Published string

	// Clients are the wallets that may use the authorization code flow. Optional.
	Clients []Client
	// AnyClient lets every wallet use it, with whatever redirect URI. Optional.
	AnyClient bool
	// Attestation says whether wallets must be attested. Optional: it is not looked at.
	Attestation Attestation
	// KeyAttesters finds the keys of those who may attest wallet keys. Optional: proofs of
	// type attestation are refused.
	KeyAttesters oid4vci.TrustedKeys
	// KeyStatus asks the lists of those. Optional: attestations that name one are refused.
	KeyStatus AttestationStatus
	// KeyAttestation says of programmes that holders' keys must be attested, and at what level.
	// Optional: of no programme.
	KeyAttestation map[string]oid4vci.AttestationNeeds
	// Bearer lets wallets without DPoP redeem pre-authorized codes, for tokens that live
	// at most five minutes. Optional; for pilots.
	Bearer bool
	// Login is an upstream provider at which holders sign in. Optional: then there are
	// claim codes only.
	Login Login
	// LoginProgrammes are those in whose registries the id that Login brings is a record's.
	// Nobody gets a credential of another programme by signing in there: the same id may be
	// somebody else's. Optional while one programme has wallet forms; with more of them and
	// none named there is no signing in.
	LoginProgrammes []string
	// HighAssurance are programmes whose credentials a bare code must not bring (corpus
	// VCI-22): their offers need a transaction code or a login. Optional.
	HighAssurance []string

	// Lifetimes are how long things work. Optional.
	Lifetimes Lifetimes
	// Count notes an event of a closed set, for figures; optional.
	Count func(event string)
	// Log gets what no client is told; optional.
	Log *slog.Logger
	// Now is the clock; optional, time.Now if nil.
	Now func() time.Time
	// Rand is the source of randomness; optional, crypto/rand if nil.
	Rand io.Reader
}

// A Login is an upstream OpenID provider.
type Login interface {
	// Begin returns where the browser goes. State and nonce come back.
	Begin(ctx context.Context, state, nonce, verifier string) (address string, err error)
	// End redeems the code and returns the id of the record of the person who signed in.
	// The error wraps [ErrLogin] if there is none, or the answer is not one to be believed.
	End(ctx context.Context, code, nonce, verifier string) (recordID string, err error)
}

// ErrLogin: the upstream provider's answer leads to nobody.
var ErrLogin = errors.New("issuer: the login did not succeed")

// Endpoints are the endpoints of one issuer. Their methods may be called at once from
// several goroutines.
type Endpoints struct {
	cfg       Config
	path      string            // of Issuer, such as "" or /office
	published *published.Reader // of Config.Published

	known kept[catalogue]
	keys  kept[keyDocuments]

	keeping sync.Mutex
	written keptFile // what was last written to Config.Kept; with keeping
}

// New returns the endpoints, or an error that names the field which is missing.
func New(c Config) (*Endpoints, error) {
	switch {
	case c.Issuer == "":
		return nil, errors.New("issuer: Config.Issuer is not set")
	case c.Office == nil:
		return nil, errors.New("issuer: Config.Office is not set")
	case c.Once == nil:
		return nil, errors.New("issuer: Config.Once is not set")
	case c.Secret == nil:
		return nil, errors.New("issuer: Config.Secret is not set")
	case c.Keys == nil:
		return nil, errors.New("issuer: Config.Keys is not set")
	case c.EncryptionRequired && len(c.EncryptionKeys) == 0:
		return nil, errors.New("issuer: Config.EncryptionRequired without EncryptionKeys")
	case (c.Attestation.Required || c.Attestation.NeedChallenge) && c.Attestation.Attesters == nil:
		return nil, errors.New("issuer: Config.Attestation is required of nobody who could attest")
	case len(c.KeyAttestation) > 0 && c.KeyAttesters == nil:
		return nil, errors.New("issuer: Config.KeyAttestation without KeyAttesters")
	}
	if err := (oid4vci.Reader{LoopbackHTTP: c.DevHTTP}).CheckIdentifier(c.Issuer); err != nil {
		return nil, fmt.Errorf("issuer: Config.Issuer: %w", err)
	}
	u, err := url.Parse(c.Issuer)
	if err != nil || strings.HasSuffix(c.Issuer, "/") {
		return nil, errors.New("issuer: Config.Issuer ends in a slash")
	}
	c.Lifetimes.defaults()
	if c.Count == nil {
		c.Count = func(string) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	return &Endpoints{cfg: c, path: u.Path, published: published.NewReader(c.Published)}, nil
}

// now is the clock in whole milliseconds UTC.
func (e *Endpoints) now() time.Time { return e.cfg.Now().UTC().Truncate(time.Millisecond) }

// url is the public address of a path of ours.
func (e *Endpoints) url(path string) string { return e.cfg.Issuer + path }

// algorithms are those of proofs by wallets.
var algorithms = keys.Algorithms()
