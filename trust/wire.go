package trust

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
)

// Limits of files.
const (
	// MaxFile is how long a bundle, delta or contribution may be.
	MaxFile = 4 << 20
	// MaxInflated is how long it may be once inflated.
	MaxInflated = 8 << 20
)

// Limits of what a bundle holds.
const (
	maxIssuers     = 10_000
	maxKeys        = 20_000 // of all issuers
	maxTypes       = 10_000
	maxAsks        = 64  // types that one verifier may ask for, and
	maxAskedClaims = 256 // claims of one of them
	maxLists       = 10_000
	maxMessages    = 100
	maxVerifiers   = 50_000
	// maxVerifierKeys is the most keys of one verifier: its own, the next, and that of
	// who prints its posters.
	maxVerifierKeys = 4
	maxAlgorithms   = 16
)

// Errors about the form of a file.
var (
	// ErrMalformed: not a trust bundle, delta or contribution.
	ErrMalformed = errors.New("trust: malformed")
	// ErrTooLarge: a limit on size or count was passed.
	ErrTooLarge = errors.New("trust: too large")
	// ErrFormat: made for a newer release than this.
	ErrFormat = errors.New("trust: made for a newer release")
)

const (
	kindBundle        = "sanad-trust-bundle"
	contentTypeBundle = "application/vnd.sanad.trust-bundle+cbor"
	format            = 1
)

// Keys of the payload map that deltas know by number.
const (
	keyRoots     = 2
	keyIssuers   = 9
	keyTypes     = 10
	keyStatus    = 11
	keyMessages  = 12
	keyVerifiers = 13
)

type wireBundle struct {
	Kind           string            `cbor:"0,keyasint"`
	Format         uint64            `cbor:"1,keyasint"`
	Roots          [][]byte          `cbor:"2,keyasint"`
	Version        uint64            `cbor:"3,keyasint"`
	AsOf           int64             `cbor:"4,keyasint"`
	RefreshBy      int64             `cbor:"5,keyasint"`
	OldAfter       int64             `cbor:"6,keyasint"`
	Previous       []byte            `cbor:"7,keyasint,omitempty"`
	Jurisdiction   string            `cbor:"8,keyasint"`
	Issuers        []cbor.RawMessage `cbor:"9,keyasint"`
	Types          []cbor.RawMessage `cbor:"10,keyasint"`
	Status         []cbor.RawMessage `cbor:"11,keyasint"`
	Messages       []wireMessage     `cbor:"12,keyasint,omitempty"`
	Verifiers      []wireVerifier    `cbor:"13,keyasint,omitempty"`
	MinimumVersion string            `cbor:"14,keyasint,omitempty"`
	Algorithms     []int64           `cbor:"15,keyasint"`
}

// A wireMessage is an id with texts.
type wireMessage struct {
	ID    string            `cbor:"1,keyasint"`
	Texts map[string]string `cbor:"2,keyasint"`
}

type wireVerifier struct {
	ID    string            `cbor:"1,keyasint"`
	Names map[string]string `cbor:"2,keyasint"`
	Asks  []wireAsked       `cbor:"3,keyasint,omitempty"`
	Keys  []cbor.RawMessage `cbor:"4,keyasint,omitempty"`
}

type wireAsked struct {
	Type   string   `cbor:"1,keyasint"`
	Claims []string `cbor:"2,keyasint"`
}

type wireIssuer struct {
	ID        string            `cbor:"1,keyasint"`
	Names     map[string]string `cbor:"2,keyasint"`
	Country   string            `cbor:"3,keyasint,omitempty"`
	Logo      []byte            `cbor:"4,keyasint,omitempty"`
	Keys      []wireKey         `cbor:"5,keyasint"`
	Authority *wireAuthority    `cbor:"6,keyasint,omitempty"`
	URL       string            `cbor:"7,keyasint,omitempty"`
}

type wireKey struct {
	KeyID            []byte          `cbor:"1,keyasint"`
	Key              cbor.RawMessage `cbor:"2,keyasint"`
	State            keys.State      `cbor:"3,keyasint"`
	ValidFrom        int64           `cbor:"4,keyasint,omitempty"`
	ValidTo          int64           `cbor:"5,keyasint,omitempty"`
	SignUntil        int64           `cbor:"6,keyasint,omitempty"`
	CompromisedSince int64           `cbor:"7,keyasint,omitempty"`
	Types            []string        `cbor:"8,keyasint"`
	Regions          []string        `cbor:"9,keyasint,omitempty"`
}

type wireAuthority struct {
	Key     cbor.RawMessage `cbor:"1,keyasint"`
	Version uint64          `cbor:"2,keyasint"`
	AsOf    int64           `cbor:"3,keyasint,omitempty"`
	Types   []string        `cbor:"4,keyasint,omitempty"`
	Lists   []string        `cbor:"5,keyasint,omitempty"`
	Shared  []string        `cbor:"6,keyasint,omitempty"`
}

// seconds is t as a date of the file, 0 for none.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// date is the opposite of seconds.
func date(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

func (c Content) marshal() ([]byte, error) {
	w := wireBundle{
		Kind: kindBundle, Format: format, Roots: c.Roots, Version: c.Version,
		AsOf: seconds(c.AsOf), RefreshBy: seconds(c.RefreshBy), OldAfter: seconds(c.OldAfter),
		Jurisdiction: c.Jurisdiction, MinimumVersion: c.MinimumVersion,
		Issuers: []cbor.RawMessage{}, Types: []cbor.RawMessage{}, Status: []cbor.RawMessage{},
	}
	if c.Previous != [32]byte{} {
		w.Previous = c.Previous[:]
	}
	for _, i := range c.Issuers {
		raw, err := i.marshal()
		if err != nil {
			return nil, err
		}
		w.Issuers = append(w.Issuers, raw)
	}
	for _, t := range c.Types {
		raw, err := cbor.Marshal(t)
		if err != nil {
			return nil, err
		}
		w.Types = append(w.Types, raw)
	}
	for _, s := range c.Status {
		raw, err := s.MarshalCBOR()
		if err != nil {
			return nil, err
		}
		w.Status = append(w.Status, raw)
	}
	for _, m := range c.Messages {
		w.Messages = append(w.Messages, wireMessage{m.ID, m.Text})
	}
	for _, v := range c.Verifiers {
		one := wireVerifier{ID: v.ID, Names: v.Names}
		for _, a := range v.Asks {
			one.Asks = append(one.Asks, wireAsked(a))
		}
		for _, k := range v.Keys {
			if k.IsZero() {
				return nil, fmt.Errorf("verifier %.80q: no key", v.ID)
			}
			one.Keys = append(one.Keys, k.COSEKey())
		}
		w.Verifiers = append(w.Verifiers, one)
	}
	for _, a := range c.Algorithms {
		w.Algorithms = append(w.Algorithms, a.COSE())
	}
	return cbor.Marshal(w)
}

func (i Issuer) marshal() ([]byte, error) {
	w := wireIssuer{ID: i.ID, Names: i.Names, Country: i.Country, Logo: i.Logo, URL: i.URL}
	for _, k := range i.Keys {
		if k.Key.IsZero() {
			return nil, fmt.Errorf("issuer %.80q: a key without its public key", i.ID)
		}
		w.Keys = append(w.Keys, wireKey{
			KeyID: k.KeyID.Bytes(), Key: k.Key.COSEKey(), State: k.State,
			ValidFrom: seconds(k.ValidFrom), ValidTo: seconds(k.ValidTo), SignUntil: seconds(k.SignUntil),
			CompromisedSince: seconds(k.CompromisedSince), Types: k.Types, Regions: k.Regions,
		})
	}
	if a := i.Authority; a != nil {
		if a.Key.IsZero() {
			return nil, fmt.Errorf("issuer %.80q: an authority without its key", i.ID)
		}
		w.Authority = &wireAuthority{a.Key.COSEKey(), a.Version, seconds(a.AsOf), a.Types, a.Lists, a.Shared}
	}
	return cbor.Marshal(w)
}

func parseIssuer(raw []byte) (Issuer, error) {
	var w wireIssuer
	if err := unmarshal(raw, &w); err != nil {
		return Issuer{}, fmt.Errorf("issuer: %w", err)
	}
	i := Issuer{ID: w.ID, Names: w.Names, Country: w.Country, Logo: w.Logo, URL: w.URL}
	for _, k := range w.Keys {
		parsed := IssuerKey{
			State: k.State, ValidFrom: date(k.ValidFrom), ValidTo: date(k.ValidTo), SignUntil: date(k.SignUntil),
			CompromisedSince: date(k.CompromisedSince), Types: k.Types, Regions: k.Regions,
		}
		if len(k.KeyID) != len(parsed.KeyID) {
			return Issuer{}, fmt.Errorf("%w: issuer %.80q: a key id of %d bytes", ErrMalformed, w.ID, len(k.KeyID))
		}
		copy(parsed.KeyID[:], k.KeyID)
		// A key of a kind that only a newer release knows leaves the issuer's other
		// keys as they are. It is never used, so nothing verifies by it.
		if key, err := keys.ParseCOSEKey(k.Key); err == nil {
			parsed.Key = key
		}
		i.Keys = append(i.Keys, parsed)
	}
	if a := w.Authority; a != nil {
		i.Authority = &Authority{Version: a.Version, AsOf: date(a.AsOf), Types: a.Types, Lists: a.Lists, Shared: a.Shared}
		if key, err := keys.ParseCOSEKey(a.Key); err == nil {
			i.Authority.Key = key
		}
	}
	return i, nil
}

func parseType(raw []byte) (credential.Type, error) {
	var t credential.Type
	if err := unmarshal(raw, &t); err != nil {
		return credential.Type{}, fmt.Errorf("type: %w", err)
	}
	return t, nil
}

func parseSnapshot(raw []byte) (status.Snapshot, error) {
	s, err := status.ParseSnapshot(raw)
	if err != nil {
		return status.Snapshot{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	return s, nil
}

// parseAll parses the elements of an array of at most most.
func parseAll[T any](what string, raw []cbor.RawMessage, most int, parse func([]byte) (T, error)) ([]T, error) {
	if len(raw) > most {
		return nil, fmt.Errorf("%w: %d %s", ErrTooLarge, len(raw), what)
	}
	var out []T
	for _, b := range raw {
		v, err := parse(b)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// content turns what was read into a Content. Roots were parsed before.
func (w *wireBundle) content() (Content, error) {
	c := Content{
		Roots: w.Roots, Version: w.Version, AsOf: date(w.AsOf), RefreshBy: date(w.RefreshBy), OldAfter: date(w.OldAfter),
		Jurisdiction: w.Jurisdiction, MinimumVersion: w.MinimumVersion,
	}
	if n := len(w.Previous); n != 0 && n != len(c.Previous) {
		return Content{}, fmt.Errorf("%w: hash of the previous bundle of %d bytes", ErrMalformed, n)
	}
	copy(c.Previous[:], w.Previous)
	if len(w.Messages) > maxMessages || len(w.Verifiers) > maxVerifiers || len(w.Algorithms) > maxAlgorithms {
		return Content{}, fmt.Errorf("%w: messages, verifiers or algorithms", ErrTooLarge)
	}
	var err error
	if c.Issuers, err = parseAll("issuers", w.Issuers, maxIssuers, parseIssuer); err != nil {
		return Content{}, err
	}
	if c.Types, err = parseAll("types", w.Types, maxTypes, parseType); err != nil {
		return Content{}, err
	}
	if c.Status, err = parseAll("status lists", w.Status, maxLists, parseSnapshot); err != nil {
		return Content{}, err
	}
	for _, m := range w.Messages {
		c.Messages = append(c.Messages, Message{m.ID, m.Texts})
	}
	for _, v := range w.Verifiers {
		one := Verifier{ID: v.ID, Names: v.Names}
		for _, a := range v.Asks {
			one.Asks = append(one.Asks, Asked(a))
		}
		for _, raw := range v.Keys {
			// One of a kind that only a newer release knows signs nothing for us.
			if k, err := keys.ParseCOSEKey(raw); err == nil {
				one.Keys = append(one.Keys, k)
			}
		}
		c.Verifiers = append(c.Verifiers, one)
	}
	for _, n := range w.Algorithms {
		// One that we do not carry allows no key that we could use.
		if a, ok := keys.AlgorithmFromCOSE(n); ok {
			c.Algorithms = append(c.Algorithms, a)
		}
	}
	return c, nil
}

// unmarshal decodes strictly within the limits of a bundle, in this package's
// words.
func unmarshal(b []byte, v any) error { return explain("", cbor.Bundle.Unmarshal(b, v)) }

// explain puts an error of the decoders below into this package's words.
func explain(what string, err error) error {
	if what != "" {
		what += ": "
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cbor.ErrTooLarge), errors.Is(err, cose.ErrTooLarge):
		return fmt.Errorf("%w: %s%v", ErrTooLarge, what, err)
	default:
		return fmt.Errorf("%w: %s%v", ErrMalformed, what, err)
	}
}

// inflate reads a zlib stream within the limits of files. It stops at the first
// byte too many, and refuses bytes after the stream.
func inflate(file []byte) ([]byte, error) {
	if len(file) > MaxFile {
		return nil, fmt.Errorf("%w: a file of %d bytes, at most %d", ErrTooLarge, len(file), MaxFile)
	}
	src := bytes.NewReader(file)
	r, err := zlib.NewReader(src)
	if err != nil {
		return nil, fmt.Errorf("%w: not zlib data", ErrMalformed)
	}
	var out bytes.Buffer
	n, err := out.ReadFrom(io.LimitReader(r, MaxInflated+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: zlib data are damaged", ErrMalformed)
	case n > MaxInflated:
		return nil, fmt.Errorf("%w: inflates to more than %d bytes", ErrTooLarge, MaxInflated)
	case src.Len() != 0:
		return nil, fmt.Errorf("%w: %d bytes after the zlib data", ErrMalformed, src.Len())
	}
	return out.Bytes(), nil
}

// deflate is the opposite of inflate, and refuses what that would refuse.
func deflate(b []byte) ([]byte, error) {
	if len(b) > MaxInflated {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(b), MaxInflated)
	}
	var out bytes.Buffer
	w, err := zlib.NewWriterLevel(&out, zlib.BestCompression)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("trust: compress: %w", err)
	}
	if out.Len() > MaxFile {
		return nil, fmt.Errorf("%w: a file of %d bytes, at most %d", ErrTooLarge, out.Len(), MaxFile)
	}
	return out.Bytes(), nil
}
