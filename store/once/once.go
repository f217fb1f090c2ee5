package once

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sanad-id/sanad/internal/sqldb"
)

// A Kind is the sort of a value. The same secret is another value in another kind.
type Kind string

// The kinds, and what takes or puts them.
const (
	// Offer is a credential offer by the reference in its URL (OpenID4VCI 1.0
	// section 4.1.3).
	Offer Kind = "offer"
	// PreAuthorizedCode is a code of an offer (section 4.1.1).
	PreAuthorizedCode Kind = "pre_authorized_code"
	// IssuerState leads from an offer to the authorization endpoint (section 4.1.1).
	IssuerState Kind = "issuer_state"
	// ClaimCode is what a holder got at the counter instead of a login.
	ClaimCode Kind = "claim_code"
	// PushedRequest is the request_uri of RFC 9126.
	PushedRequest Kind = "pushed_request"
	// Login is a holder's visit to the authorization endpoint.
	Login Kind = "login"
	// AuthorizationCode is the code of RFC 6749 section 4.1.2.
	AuthorizationCode Kind = "authorization_code"
	// Grant is what a holder was allowed; tokens point to it and end with it.
	Grant Kind = "grant"
	// AccessToken and RefreshToken are sessions.
	AccessToken  Kind = "access_token"
	RefreshToken Kind = "refresh_token"
	// Nonce is a c_nonce (OpenID4VCI 1.0 section 7) or a nonce of DPoP.
	Nonce Kind = "nonce"
	// ProofID is the jti of a DPoP proof (RFC 9449 section 11.1) or of a client's
	// proof of possession.
	ProofID Kind = "proof_id"
	// Deferred is a transaction_id (OpenID4VCI 1.0 section 9).
	Deferred Kind = "deferred"
	// Notification is a notification_id (section 11).
	Notification Kind = "notification"
	// Request is a verifier's transaction, by what its request_uri ends in
	// (OpenID4VP 1.0 section 5.10).
	Request Kind = "request"
	// Response is where the answer to a request goes (section 8.2).
	Response Kind = "response"
	// PresentationNonce is the nonce of a request object.
	PresentationNonce Kind = "presentation_nonce"
	// ResponseCode brings the browser back to its result (section 13.3).
	ResponseCode Kind = "response_code"
	// Result is what a relying party reads its result by.
	Result Kind = "result"
	// DisclosedKey marks a holder's key whose private half was sent; see [Disclose].
	DisclosedKey Kind = "disclosed_key"
)

// kinds is the closed list.
var kinds = map[Kind]bool{
	Offer: true, PreAuthorizedCode: true, IssuerState: true, ClaimCode: true, PushedRequest: true, Login: true, AuthorizationCode: true,
	Grant: true, AccessToken: true, RefreshToken: true, Nonce: true, ProofID: true, Deferred: true, Notification: true,
	Request: true, Response: true, PresentationNonce: true, ResponseCode: true, Result: true, DisclosedKey: true,
}

const (
	// MaxData is how many bytes of data a value has at most.
	MaxData = 256 << 10
	// MaxKeys is how many values one call is about at most.
	MaxKeys = 64
	// Keep is how long a value that has expired is remembered before [DB.Sweep]
	// removes it, so that a clock that is wrong by less brings nothing back.
	Keep = time.Hour
)

// A Key finds a value.
type Key struct {
	Kind   Kind
	Digest [32]byte // SHA-256 of the secret
}

// KeyOf returns the key of what has these parts: a secret, or several things that
// identify something together. The parts are told apart, so that no two lists of
// parts share a key.
func KeyOf(kind Kind, parts ...string) Key {
	b := make([]byte, 0, 256)
	for _, p := range parts {
		b = append(append(append(strconv.AppendInt(b, int64(len(p)), 10), ':'), p...), ',')
	}
	return Key{kind, sha256.Sum256(b)}
}

// A Value is one thing that works once, or until it expires.
type Value struct {
	Kind    Kind
	Digest  [32]byte  // SHA-256 of the secret, which is not stored
	Expires time.Time // it works before this moment; kept in milliseconds
	Data    []byte    // optional, the caller's
}

// Key returns what finds v.
func (v *Value) Key() Key { return Key{v.Kind, v.Digest} }

// Errors that callers tell apart.
var (
	// ErrNone: there is no such value, or it was used or has expired.
	ErrNone = errors.New("once: no such value")
	// ErrExpired is the [ErrNone] of a value that is past its time. It stays so,
	// whatever the clock says later.
	ErrExpired = fmt.Errorf("%w: expired", ErrNone)
	// ErrUsed is the [ErrNone] of a value that was taken. It comes in a [UsedError].
	ErrUsed = fmt.Errorf("%w: used", ErrNone)
	// ErrExists: one of the values of a Put is there already, used or not; or one that should
	// be absent works.
	ErrExists = errors.New("once: the value is there already")
	// ErrGuesses: there have been as many guesses as are allowed.
	ErrGuesses = errors.New("once: no guesses left")
	// ErrChanged: the data are not what the caller of Swap thought.
	ErrChanged = errors.New("once: the value was changed by somebody else")
	// ErrFull: there is no room for more values in memory; nothing was done.
	ErrFull = errors.New("once: no room for more values")
	// ErrUnreachable: the database server does not answer.
	ErrUnreachable = sqldb.ErrUnreachable
	// ErrClosed: the DB was closed.
	ErrClosed = errors.New("once: closed")
)

// A UsedError says that a value had been taken before.
type UsedError struct{ Value Value }

// Error names the kind.
func (e *UsedError) Error() string { return fmt.Sprintf("%v: %s", ErrUsed, e.Value.Kind) }

// Unwrap returns ErrUsed.
func (e *UsedError) Unwrap() error { return ErrUsed }

// Options say how to get at the values. The zero value will do for a file.
type Options struct {
	// Password is that of the role in a PostgreSQL URL which has none. Optional.
	Password string
	// ServiceRole gets the rights that a service needs from [Prepare]. Optional.
	ServiceRole string
	// Room is how many bytes values at [Memory] take at most, data and what is around them;
	// [DefaultRoom] if zero. It is for them alone.
	Room int64
}

// Memory is the location of values that only this process has; see [Open].
const Memory = "memory"

// DefaultRoom is how many bytes values in memory take at most, if nobody says.
const DefaultRoom = 256 << 20

// A DB holds values. Its methods may be called from any number of goroutines.
type DB struct {
	engine engine
	secret []byte

	mu      sync.Mutex
	waiting []*call
	running bool
	closed  bool
	idle    sync.Cond // with mu; told when running ends
}

// An engine is one of the three things under a [DB]: two databases and this process's memory.
type engine interface {
	// change looks keys up, none twice, lets decide change what is there, and stores that,
	// all in one transaction. It may do so several times until it is stored. At most one
	// goroutine calls it if the engine is durable. Now is the latest moment that somebody whose
	// keys these are has named, in milliseconds; 0 if nobody did.
	change(ctx context.Context, now int64, keys []Key, decide func(state)) error
	// get returns nil if there is none.
	get(ctx context.Context, k Key) (*row, error)
	// sweep removes what expired before a moment, in several transactions.
	sweep(ctx context.Context, before int64) (int, error)
	// durable tells whether values are somewhere else than in this process.
	durable() bool
	close() error
}

// Open opens the values at location: the path of a file, which it makes if there
// is none, or the URL of a PostgreSQL database. There it makes the schema if there
// is none and the role may; otherwise the owner has to ([Prepare]).
//
// [Memory] is the third location: an empty DB that nobody else has and that ends with the
// process. Whoever opens it twice has two. It is for what one process hands out by chance and
// takes back within minutes, such as a verifier's requests; not for what several processes
// share, nor for values that others make (identifiers of proofs): whether one of those was
// used before a restart nobody knows. What does not fit is refused with [ErrFull]. What has
// expired is remembered for [Keep] as long as there is room, but without its data.
//
// Losing all values is safe: what was handed out stops working. So nothing is
// asked of a file but that it is one of ours.
func Open(ctx context.Context, location string, o Options) (*DB, error) {
	db := &DB{}
	db.idle.L = &db.mu
	var err error
	switch {
	case location == Memory:
		db.engine, db.secret, err = openMemory(o)
	case isPostgres(location):
		db.engine, db.secret, err = openPostgres(ctx, location, o)
	default:
		db.engine, db.secret, err = openSQLite(ctx, location)
	}
	if err != nil {
		return nil, fmt.Errorf("once: %w", err)
	}
	return db, nil
}

// Prepare makes or migrates the schema on PostgreSQL as its owner and grants the
// service role what it needs. It can be called again. For a file there is nothing
// to be done.
func Prepare(ctx context.Context, location string, o Options) error {
	if !isPostgres(location) {
		return nil
	}
	if err := preparePostgres(ctx, location, o); err != nil {
		return fmt.Errorf("once: %w", err)
	}
	return nil
}

func isPostgres(location string) bool {
	return strings.HasPrefix(location, "postgres://") || strings.HasPrefix(location, "postgresql://")
}

// Secret returns 32 random bytes that all processes on these values share, for
// authenticating nonces that need no place until they are used.
func (db *DB) Secret() []byte { return bytes.Clone(db.secret) }

// Durable tells whether values are anywhere but in this process: in a file or a database
// that outlives it, that other processes share, and of which there may be copies.
func (db *DB) Durable() bool { return db.engine.durable() }

// Close waits for the calls that have begun and closes the database.
func (db *DB) Close() error {
	db.mu.Lock()
	first := !db.closed
	db.closed = true
	for db.running {
		db.idle.Wait()
	}
	db.mu.Unlock()
	if !first {
		return nil
	}
	return db.engine.close()
}

// Put stores new values, all or none. It returns [ErrExists] if one of them is
// there already, even if it was used or has expired.
func (db *DB) Put(ctx context.Context, values ...Value) error {
	return db.do(ctx, &call{steps: []step{{put: values}}})
}

// Get returns a value that can still be taken: [ErrNone] otherwise, as
// [ErrExpired] or a [UsedError] where the value is known.
func (db *DB) Get(ctx context.Context, now time.Time, kind Kind, digest [32]byte) (Value, error) {
	k := Key{kind, digest}
	db.mu.Lock()
	closed := db.closed
	db.mu.Unlock()
	if closed {
		return Value{}, ErrClosed
	}
	r, err := db.engine.get(ctx, k)
	if err != nil {
		return Value{}, fmt.Errorf("once: get: %w", err)
	}
	if err := r.check(k, now.UnixMilli()); err != nil {
		return Value{}, err
	}
	return r.value(k), nil
}

// Take uses values up and returns them in the order of keys: all or none. A value
// is returned to one caller at most, whatever crashes. The error is as that of Get.
func (db *DB) Take(ctx context.Context, now time.Time, keys ...Key) ([]Value, error) {
	return db.Exchange(ctx, now, keys, nil)
}

// Exchange is Take and Put in one step.
func (db *DB) Exchange(ctx context.Context, now time.Time, take []Key, put []Value) ([]Value, error) {
	c := &call{now: now.UnixMilli(), steps: []step{{take: take, put: put}}}
	if err := db.do(ctx, c); err != nil {
		return nil, err
	}
	return c.steps[0].taken, nil
}

// Guess counts an attempt on a value, durably before the caller looks at whether
// it was right, and returns the number of it. It returns [ErrGuesses] if there have
// been limit attempts, and ErrNone as Get does.
func (db *DB) Guess(ctx context.Context, now time.Time, kind Kind, digest [32]byte, limit int) (int, error) {
	g := &guess{Key{kind, digest}, limit, 0}
	if err := db.do(ctx, &call{now: now.UnixMilli(), steps: []step{{guess: g}}}); err != nil {
		return 0, err
	}
	return g.n, nil
}

// Swap puts next in the place of old, which has the same key: of several callers
// with the same old data one wins, the others get [ErrChanged]. It returns ErrNone
// as Get does. Guesses stay counted.
func (db *DB) Swap(ctx context.Context, now time.Time, old, next Value) error {
	_, err := db.Steps(ctx, now, Step{Swap: &Swap{old, next}})
	return err
}

// A Step is one part of [DB.Steps]: values to be taken and put, as by Exchange, a swap, a
// check, or values that must be absent.
type Step struct {
	Take  []Key
	Put   []Value
	Swap  *Swap
	Check *Check
	// Absent are values of which none may work: [ErrExists] if one does. One that another
	// process puts at the same moment may be missed.
	Absent []Key
}

// parts is how many of the four things s is.
func (s *Step) parts() (n int) {
	for _, is := range []bool{len(s.Take)+len(s.Put) > 0, s.Swap != nil, s.Check != nil, len(s.Absent) > 0} {
		if is {
			n++
		}
	}
	return n
}

// A Check asks whether a value still works and has the data that the caller knows. It
// uses nothing up; what comes after it in the same call holds of the value as it was
// checked. It is refused with [ErrChanged] if the data are others, and with ErrNone as Get
// does.
type Check struct {
	Key Key
	Sum [32]byte // SHA-256 of the data
}

// A Swap is what [DB.Swap] takes.
type Swap struct{ Old, Next Value }

// Steps does what Exchange, Swap and a [Check] do, one step after the other in one transaction, until
// one is refused. It returns how many were done, which count whatever becomes of the
// next one, and the error of that. So a request that uses up several things waits for
// the disk once, and each thing is used up as if it had been alone.
func (db *DB) Steps(ctx context.Context, now time.Time, steps ...Step) (done int, err error) {
	c := &call{now: now.UnixMilli(), steps: make([]step, len(steps))}
	for i, s := range steps {
		if s.Swap != nil && s.Swap.Old.Key() != s.Swap.Next.Key() {
			return 0, errors.New("once: swap: not the same value")
		}
		if s.parts() > 1 {
			return 0, errors.New("once: two steps in one")
		}
		c.steps[i] = step{take: s.Take, put: s.Put, swap: s.Swap, check: s.Check, absent: s.Absent}
	}
	err = db.do(ctx, c)
	return c.at, err
}

// Sweep removes what expired more than [Keep] ago and returns how many that were.
func (db *DB) Sweep(ctx context.Context, now time.Time) (int, error) {
	n, err := db.engine.sweep(ctx, now.Add(-Keep).UnixMilli())
	if err != nil {
		return n, fmt.Errorf("once: sweep: %w", err)
	}
	return n, nil
}
