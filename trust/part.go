package trust

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
)

// Errors of contributions. Each means that the contribution was refused as a
// whole and the content is as it was.
var (
	// ErrPartSigner: not signed by the key that the authority is known by.
	ErrPartSigner = errors.New("trust: contribution not signed by the known key")
	// ErrPartIssuer: it speaks for an issuer that publishes no part of its own.
	ErrPartIssuer = errors.New("trust: no such contributor")
	// ErrPartForeign: it names what belongs to somebody else: a type, a status list
	// or a key.
	ErrPartForeign = errors.New("trust: contribution names what belongs to another")
	// ErrPartOld: older than what was taken over last, or it takes back what is
	// final: a compromise or a revocation.
	ErrPartOld = errors.New("trust: contribution goes back")
)

// An Authority is how an issuer that publishes its own part is known to whoever
// makes the bundle. It stands in the bundle, so that the next one can be made from
// the last.
type Authority struct {
	// Key is the key that signs its contributions (keys.TrustBundle). Only whoever
	// makes the bundle can set it.
	Key keys.PublicKey
	// Shared are types of others that its keys may sign as well. They are granted by
	// whoever makes the bundle.
	Shared []string

	// Version and AsOf are those of the contribution that was taken over last.
	Version uint64
	AsOf    time.Time
	// Types and Lists are what that contribution described: nobody else may.
	Types, Lists []string
}

// A Contribution is the part of a bundle for which one issuing authority answers.
type Contribution struct {
	// Version goes up with every contribution.
	Version uint64
	// AsOf is when the contribution was made.
	AsOf time.Time
	// Issuer is the authority with its keys; Issuer.Authority stays nil.
	Issuer Issuer
	// Types are the types that it describes.
	Types []credential.Type
	// Status are its status lists.
	Status []status.Snapshot
}

const (
	kindPart        = "sanad-trust-part"
	contentTypePart = "application/vnd.sanad.trust-part+cbor"
)

type wirePart struct {
	Kind    string            `cbor:"0,keyasint"`
	Version uint64            `cbor:"1,keyasint"`
	AsOf    int64             `cbor:"2,keyasint"`
	Issuer  cbor.RawMessage   `cbor:"3,keyasint"`
	Types   []cbor.RawMessage `cbor:"4,keyasint"`
	Status  []cbor.RawMessage `cbor:"5,keyasint"`
}

// lint checks what can be checked without the rest of the bundle.
func (c Contribution) lint(now time.Time) error {
	var f faults
	if c.Version == 0 || c.Issuer.Authority != nil {
		f.add("version 0, or an issuer that names its own authority")
	}
	types := c.Types
	for _, k := range c.Issuer.Keys {
		for _, t := range k.Types {
			// Types of others, if they are shared, are described elsewhere.
			if !slices.ContainsFunc(types, func(known credential.Type) bool { return known.ID == t }) {
				types = append(slices.Clip(types), credential.Type{ID: t, Labels: map[string]string{"en": t}})
			}
		}
	}
	// The same rules as for a bundle of this issuer alone.
	alone := Content{
		Version: 1, AsOf: c.AsOf, RefreshBy: c.AsOf, OldAfter: c.AsOf, Jurisdiction: "-",
		Issuers: []Issuer{c.Issuer}, Types: types, Status: c.Status, Algorithms: keys.Algorithms(),
	}
	return slices.Concat(f, alone.check(), alone.lint(now)).err(ErrContent)
}

// SignContribution signs an authority's part and returns the file to send to
// whoever makes the bundle: zlib( COSE_Sign1 ).
func SignContribution(rnd io.Reader, s keys.Signer, c Contribution, now time.Time) ([]byte, error) {
	file, err := signContribution(rnd, s, c, now)
	if err != nil {
		return nil, fmt.Errorf("sign contribution: %w", err)
	}
	return file, nil
}

func signContribution(rnd io.Reader, s keys.Signer, c Contribution, now time.Time) ([]byte, error) {
	if err := keys.CheckSigner(s, keys.TrustBundle, now); err != nil {
		return nil, err
	}
	if err := c.lint(now); err != nil {
		return nil, err
	}
	w := wirePart{Kind: kindPart, Version: c.Version, AsOf: seconds(c.AsOf), Types: []cbor.RawMessage{}, Status: []cbor.RawMessage{}}
	var err error
	if w.Issuer, err = c.Issuer.marshal(); err != nil {
		return nil, err
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
	payload, err := cbor.Marshal(w)
	if err != nil {
		return nil, err
	}
	signed, err := cose.Sign1(rnd, s, cose.Header{KeyID: s.Key().ID().Bytes(), ContentType: contentTypePart}, payload)
	if err != nil {
		return nil, err
	}
	file, err := deflate(signed)
	if err != nil {
		return nil, err
	}
	// What is handed out is first read as the office that gets it will.
	if _, err := OpenContribution(file, s.Key().Public); err != nil {
		return nil, fmt.Errorf("self check: %w", err)
	}
	return file, nil
}

// OpenContribution reads a contribution and verifies that known signed it.
func OpenContribution(file []byte, known keys.PublicKey) (*Contribution, error) {
	c, m, err := parseContribution(file)
	if err == nil {
		err = checkPartSigner(m, known)
	}
	if err != nil {
		return nil, fmt.Errorf("open contribution: %w", err)
	}
	return c, nil
}

func checkPartSigner(m *cose.Sign1Message, known keys.PublicKey) error {
	if known.IsZero() || m.Verify(known.Algorithm(), known) != nil {
		return ErrPartSigner
	}
	return nil
}

func parseContribution(file []byte) (*Contribution, *cose.Sign1Message, error) {
	raw, err := inflate(file)
	if err != nil {
		return nil, nil, err
	}
	m, err := cose.ParseSign1Within(raw, cbor.Bundle)
	if err != nil {
		return nil, nil, explain("contribution", err)
	}
	var w wirePart
	if err := unmarshal(m.Payload, &w); err != nil {
		return nil, nil, err
	}
	if m.Protected.ContentType != contentTypePart || w.Kind != kindPart {
		return nil, nil, fmt.Errorf("%w: not a contribution", ErrMalformed)
	}
	c := &Contribution{Version: w.Version, AsOf: date(w.AsOf)}
	if c.Issuer, err = parseIssuer(w.Issuer); err != nil {
		return nil, nil, err
	}
	if c.Types, err = parseAll("types", w.Types, maxTypes, parseType); err != nil {
		return nil, nil, err
	}
	if c.Status, err = parseAll("status lists", w.Status, maxLists, parseSnapshot); err != nil {
		return nil, nil, err
	}
	return c, m, nil
}

// Merge returns the content with a contribution taken over: the issuer with its
// keys, the types and the status lists, all of them in place of those of its last
// contribution. The issuer must stand in c already, with the Authority that says
// which key signs for it; c itself is not changed.
//
// It returns [ErrPartIssuer] for an issuer that is not there or has no authority,
// [ErrPartSigner] if another key signed, [ErrPartOld] unless version and date go
// up, and [ErrPartForeign] if a type, list or key belongs to somebody else. What
// the merged content is worth as a bundle is checked when that is signed.
func (c Content) Merge(file []byte, now time.Time) (Content, error) {
	merged, err := c.merge(file, now)
	if err != nil {
		return c, fmt.Errorf("merge contribution: %w", err)
	}
	return merged, nil
}

func (c Content) merge(file []byte, now time.Time) (Content, error) {
	part, m, err := parseContribution(file)
	if err != nil {
		return c, err
	}
	at := slices.IndexFunc(c.Issuers, func(i Issuer) bool { return i.ID == part.Issuer.ID && i.Authority != nil })
	if at < 0 {
		return c, fmt.Errorf("%w: %.80q", ErrPartIssuer, part.Issuer.ID)
	}
	was := c.Issuers[at]
	if err := checkPartSigner(m, was.Authority.Key); err != nil {
		return c, err
	}
	if err := part.lint(now); err != nil {
		return c, err
	}
	if part.Version <= was.Authority.Version || part.AsOf.Before(was.Authority.AsOf) {
		return c, fmt.Errorf("%w: version %d of %s, version %d of %s was taken over", ErrPartOld,
			part.Version, day(part.AsOf), was.Authority.Version, day(was.Authority.AsOf))
	}
	if err := c.checkForeign(part, at); err != nil {
		return c, err
	}
	if err := c.checkFinal(part, was); err != nil {
		return c, err
	}
	c.Issuers = slices.Clone(c.Issuers)
	c.Issuers[at] = part.Issuer
	c.Issuers[at].Authority = &Authority{
		Key: was.Authority.Key, Shared: was.Authority.Shared, Version: part.Version, AsOf: part.AsOf,
		Types: ids(part.Types, typeID), Lists: ids(part.Status, listURI),
	}
	c.Types = replaceOwn(c.Types, was.Authority.Types, part.Types, typeID)
	c.Status = replaceOwn(c.Status, was.Authority.Lists, part.Status, listURI)
	return c, nil
}

func typeID(t credential.Type) string  { return t.ID }
func listURI(s status.Snapshot) string { return s.URI }

func ids[T any](all []T, id func(T) string) []string {
	var out []string
	for _, v := range all {
		out = append(out, id(v))
	}
	return out
}

// replaceOwn returns all without those whose ids are own, and with the new ones
// at the end.
func replaceOwn[T any](all []T, own []string, with []T, id func(T) string) []T {
	kept := slices.DeleteFunc(slices.Clone(all), func(v T) bool { return slices.Contains(own, id(v)) })
	return append(kept, with...)
}

// checkForeign refuses what belongs to another than the issuer at this place:
// everything in the content that is not the issuer's own.
func (c Content) checkForeign(part *Contribution, at int) error {
	own := c.Issuers[at].Authority
	for _, t := range c.Types {
		if !slices.Contains(own.Types, t.ID) && slices.ContainsFunc(part.Types, func(p credential.Type) bool { return p.ID == t.ID }) {
			return fmt.Errorf("%w: type %.80q", ErrPartForeign, t.ID)
		}
	}
	for _, s := range c.Status {
		if !slices.Contains(own.Lists, s.URI) && slices.ContainsFunc(part.Status, func(p status.Snapshot) bool { return p.URI == s.URI }) {
			return fmt.Errorf("%w: status list %.80q", ErrPartForeign, s.URI)
		}
	}
	described := ids(part.Types, typeID)
	theirs := map[[32]byte]bool{}
	for i, issuer := range c.Issuers {
		for _, k := range issuer.Keys {
			if i != at {
				theirs[k.Key.Thumbprint()] = true
			}
		}
	}
	for _, k := range part.Issuer.Keys {
		if theirs[k.Key.Thumbprint()] {
			return fmt.Errorf("%w: key %s", ErrPartForeign, k.KeyID)
		}
		for _, t := range k.Types {
			if !slices.Contains(described, t) && !slices.Contains(own.Shared, t) {
				return fmt.Errorf("%w: key %s would sign type %.80q", ErrPartForeign, k.KeyID, t)
			}
		}
	}
	return nil
}

// checkFinal refuses a contribution that takes back what is final.
func (c Content) checkFinal(part *Contribution, was Issuer) error {
	for _, old := range was.Keys {
		if old.State != keys.Compromised {
			continue
		}
		i := slices.IndexFunc(part.Issuer.Keys, func(k IssuerKey) bool { return k.KeyID == old.KeyID })
		if i < 0 || part.Issuer.Keys[i].State != keys.Compromised || part.Issuer.Keys[i].CompromisedSince.After(old.CompromisedSince) {
			return fmt.Errorf("%w: key %s is compromised since %s", ErrPartOld, old.KeyID, day(old.CompromisedSince))
		}
	}
	lists := map[string]status.Snapshot{}
	for _, s := range c.Status {
		lists[s.URI] = s
	}
	for _, newer := range part.Status {
		older, ok := lists[newer.URI]
		if !ok {
			continue
		}
		if _, err := status.Diff(older, newer); err != nil {
			return fmt.Errorf("%w: status list %.80q: %v", ErrPartOld, newer.URI, err)
		}
	}
	return nil
}
