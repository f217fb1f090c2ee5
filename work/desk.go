package work

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/staff"
)

// An Issuer is the issuer as a desk needs it; *issuance.Service has most of it. Its
// methods may be called from any number of goroutines.
type Issuer interface {
	Programme(ctx context.Context, id string, version int) (*programme.Programme, error)
	Programmes(ctx context.Context) ([]*programme.Programme, error)
	Pseudonym(ctx context.Context, programmeID, recordID string) (issuance.Pseudonym, error)
	Preview(ctx context.Context, programmeID string, r registry.Record) (issuance.Preview, error)
	Credential(ctx context.Context, id string) (issuance.Credential, error)
	// Credentials returns every credential of a record, parts included, the oldest
	// first.
	Credentials(ctx context.Context, programmeID, recordID string) ([]issuance.Credential, error)
	Issue(ctx context.Context, r issuance.Request) (issuance.Issued, error)
	Supersede(ctx context.Context, id string, r issuance.Request) (issuance.Issued, error)
	Revoke(ctx context.Context, id string, r issuance.Reason, actor string) (issuance.Credential, error)
	Suspend(ctx context.Context, id string, r issuance.Reason, actor string) (issuance.Credential, error)
	Resume(ctx context.Context, id, actor string) (issuance.Credential, error)
	// Note writes a deed into the audit log and returns once it stands there. Without
	// the first one nothing is done.
	Note(ctx context.Context, n Note) error
}

// A Phase says when a deed is noted.
type Phase string

// The phases: before it is done, and how it ended.
const (
	Intended Phase = "intended"
	Ended    Phase = "done"
	Broken   Phase = "failed"
)

// A Note is a deed for the audit log. It names no record and no person.
type Note struct {
	Phase      Phase
	Deed       Deed
	Item       string
	Actor      string
	Programme  string
	Credential string
	Record     issuance.Pseudonym
	Reason     string
	// Digest is the SHA-256 of what was shown, zero if nothing was.
	Digest [32]byte
}

// Offers makes offers for wallets.
type Offers interface {
	Offer(ctx context.Context, r OfferRequest) (Offer, error)
}

// An OfferRequest says what is offered.
type OfferRequest struct {
	Programme, Form, Record string
	// Code asks for a code that the holder is told by another way.
	Code  bool
	Actor string
}

// An Offer is what the holder gets. It is shown once and kept nowhere.
type Offer struct {
	Link, Code string
	Expires    time.Time
}

// A Point is a place at which a crash must do no harm.
type Point string

// The points, in the order of the work.
const (
	PointNoted   Point = "noted"   // the deed stands in the audit log
	PointTaken   Point = "taken"   // a worker has taken the item on
	PointActed   Point = "acted"   // issuance has done it, the item does not say so
	PointRefused Point = "refused" // issuance has refused it, the item does not say so
)

// Defaults of [Config].
const (
	DefaultUndo     = 10 * time.Minute
	DefaultAgreed   = 24 * time.Hour
	DefaultPrint    = 24 * time.Hour
	DefaultLease    = 2 * time.Minute
	DefaultKeep     = 90 * 24 * time.Hour
	DefaultFallback = "two"
)

// Config is what a [Desk] needs. Fields without "optional" must be set.
type Config struct {
	Store  Store
	Index  Index
	Issuer Issuer
	// Source opens the registry of a programme, or returns [ErrNoSource]; close it with
	// the function.
	Source func(ctx context.Context, programmeID string) (registry.Source, func(), error)
	// Offices are all offices, for the index.
	Offices func(ctx context.Context) ([]staff.Office, error)
	// Office returns one, or [staff.ErrNoOffice].
	Office func(ctx context.Context, id string) (staff.Office, error)
	// Secret returns the issuer's own 32-byte secret with this label, the same in every
	// process.
	Secret func(label string) ([]byte, error)
	// Offers makes offers; optional, there are none if nil.
	Offers Offers
	// Approval is "one" or "two" persons to issue, where the programme does not say;
	// optional, two if empty.
	Approval string
	// Undo is how long a change waits, Agreed how long an approval works, Prints how long
	// a print is kept, Keep how long items are kept when they are over. Optional.
	Undo, Agreed, Prints, Keep time.Duration
	// Lease is how long a worker may take over one item before another does it;
	// optional.
	Lease time.Duration
	// Worker names this process; optional, random if empty.
	Worker string
	// Now is the clock; optional.
	Now func() time.Time
	// Rand is the source of randomness; optional.
	Rand io.Reader
	// Crash is called at every [Point]; for tests, nil otherwise.
	Crash func(Point)
}

// A Desk does the daily work. Its methods may be called from any number of goroutines.
type Desk struct {
	cfg            Config
	refs           cipher.AEAD
	refKey, words  []byte
	prints         cipher.AEAD
	undo, agreed   time.Duration
	printing, keep time.Duration
	lease          time.Duration
}

// New returns a Desk, or an error that names the field which is missing.
func New(c Config) (*Desk, error) {
	switch {
	case c.Store == nil:
		return nil, errors.New("work: Config.Store is not set")
	case c.Index == nil:
		return nil, errors.New("work: Config.Index is not set")
	case c.Issuer == nil:
		return nil, errors.New("work: Config.Issuer is not set")
	case c.Source == nil:
		return nil, errors.New("work: Config.Source is not set")
	case c.Offices == nil || c.Office == nil:
		return nil, errors.New("work: Config.Offices or Config.Office is not set")
	case c.Secret == nil:
		return nil, errors.New("work: Config.Secret is not set")
	case c.Approval != "" && c.Approval != "one" && c.Approval != "two":
		return nil, errors.New("work: Config.Approval is neither one nor two")
	}
	if c.Approval == "" {
		c.Approval = DefaultFallback
	}
	if c.Worker == "" {
		c.Worker = staff.NewID("at")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Crash == nil {
		c.Crash = func(Point) {}
	}
	d := &Desk{cfg: c}
	for _, t := range []struct {
		to              *time.Duration
		value, standard time.Duration
	}{{&d.undo, c.Undo, DefaultUndo}, {&d.agreed, c.Agreed, DefaultAgreed}, {&d.printing, c.Prints, DefaultPrint}, {&d.keep, c.Keep, DefaultKeep}, {&d.lease, c.Lease, DefaultLease}} {
		if *t.to = t.value; t.value == 0 {
			*t.to = t.standard
		}
	}
	var err error
	if d.refKey, err = c.Secret("desk references"); err != nil {
		return nil, fmt.Errorf("secret of references: %w", err)
	}
	if d.words, err = c.Secret("desk search"); err != nil {
		return nil, fmt.Errorf("secret of the search: %w", err)
	}
	if d.refs, err = sealer(d.refKey); err != nil {
		return nil, err
	}
	key, err := c.Secret("desk prints")
	if err != nil {
		return nil, fmt.Errorf("secret of prints: %w", err)
	}
	d.prints, err = sealer(key)
	return d, err
}

// sealer is AES-256 in GCM.
func sealer(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("work: %w", err)
	}
	return cipher.NewGCM(block)
}

// now is the clock in whole milliseconds UTC.
func (d *Desk) now() time.Time { return d.cfg.Now().UTC().Truncate(time.Millisecond) }

// keyed is HMAC-SHA256 over parts with their lengths.
func keyed(secret []byte, parts ...string) []byte {
	mac := hmac.New(sha256.New, secret)
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		mac.Write(n[:])
		_, _ = io.WriteString(mac, p) // a hash takes everything
	}
	return mac.Sum(nil)
}

// Ref names a record in addresses, where its id must not stand: sealed, the same each
// time, and of use to nobody but this issuer.
func (d *Desk) Ref(programmeID, recordID string) string {
	text := make([]byte, 0, 4+len(programmeID)+len(recordID))
	text = binary.BigEndian.AppendUint16(text, uint16(len(programmeID)))
	text = append(append(text, programmeID...), recordID...)
	nonce := keyed(d.refKey, "nonce", programmeID, recordID)[:d.refs.NonceSize()]
	return base64.RawURLEncoding.EncodeToString(d.refs.Seal(nonce, nonce, text, nil))
}

// maxRef is longer than any reference.
const maxRef = 600

// OpenRef reads a reference. Whatever is none of ours is [ErrNoRecord].
func (d *Desk) OpenRef(ref string) (programmeID, recordID string, err error) {
	if len(ref) > maxRef {
		return "", "", ErrNoRecord
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(ref)
	if err != nil || len(b) < d.refs.NonceSize() {
		return "", "", ErrNoRecord
	}
	text, err := d.refs.Open(nil, b[:d.refs.NonceSize()], b[d.refs.NonceSize():], nil)
	if err != nil || len(text) < 2 {
		return "", "", ErrNoRecord
	}
	n := int(binary.BigEndian.Uint16(text))
	if n > len(text)-2 {
		return "", "", ErrNoRecord
	}
	return string(text[2 : 2+n]), string(text[2+n:]), nil
}

// lookup reads a record for an operator: [ErrNoRecord] for one of another office.
func (d *Desk) lookup(ctx context.Context, office, programmeID, recordID string) (registry.Record, *programme.Programme, error) {
	o, err := d.cfg.Office(ctx, office)
	if err != nil {
		return registry.Record{}, nil, fmt.Errorf("office: %w", err)
	}
	if !o.Works(programmeID) {
		return registry.Record{}, nil, ErrNoRecord
	}
	p, err := d.cfg.Issuer.Programme(ctx, programmeID, 0)
	if errors.Is(err, issuance.ErrNoProgramme) {
		return registry.Record{}, nil, ErrNoRecord
	}
	if err != nil {
		return registry.Record{}, nil, err
	}
	src, done, err := d.cfg.Source(ctx, programmeID)
	if err != nil {
		return registry.Record{}, nil, fmt.Errorf("open the registry: %w", err)
	}
	defer done()
	r, err := src.Lookup(ctx, recordID)
	if errors.Is(err, registry.ErrNoRecord) || errors.Is(err, registry.ErrAmbiguous) {
		return registry.Record{}, nil, ErrNoRecord
	}
	if err != nil {
		return registry.Record{}, nil, fmt.Errorf("look a record up: %w", err)
	}
	if !o.Sees(programmeID, r.Value) {
		return registry.Record{}, nil, ErrNoRecord
	}
	return r, p, nil
}

// persons is how many it takes to issue under a programme here.
func (d *Desk) persons(p *programme.Programme) string {
	if p.Approval != "" {
		return p.Approval
	}
	return d.cfg.Approval
}

// Programme returns a programme in its newest version.
func (d *Desk) Programme(ctx context.Context, id string) (*programme.Programme, error) {
	return d.cfg.Issuer.Programme(ctx, id, 0)
}

// NeedsTwo reports whether two persons issue under a programme here.
func (d *Desk) NeedsTwo(p *programme.Programme) bool { return d.persons(p) != "one" }
