package trust

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/keys"
)

// A Content is what a bundle says. Times are whole seconds in UTC.
type Content struct {
	// Roots is the chain of signed roots from the first on, as [SignRoot] returns
	// it. The last one names the keys that sign this bundle.
	Roots [][]byte

	// Version only goes up: 1 for the first bundle.
	Version uint64
	// AsOf is when the content was true. It also is the least that a verifier's
	// clock may say.
	AsOf time.Time
	// RefreshBy is from when on a newer bundle should be there.
	RefreshBy time.Time
	// OldAfter is from when on the bundle is too old to rely on.
	OldAfter time.Time
	// Previous is [Bundle.Hash] of the bundle before, zero for the first.
	Previous [32]byte
	// Jurisdiction says for whom the bundle speaks, such as "XX" or "XX-north".
	Jurisdiction string

	// Issuers are those whose credentials verify.
	Issuers []Issuer
	// Types describe the credential types that the keys name.
	Types []credential.Type
	// Status are the packed status lists; without any the bundle is one of keys
	// alone.
	Status []status.Snapshot
	// Messages are shown to whoever uses the bundle. Optional.
	Messages []Message
	// Verifiers are registered verifiers, for posters and challenges. Optional.
	Verifiers []Verifier

	// MinimumVersion is the oldest release that should work with the bundle, such
	// as "0.3.0"; empty for any.
	MinimumVersion string
	// Algorithms are the algorithms that issuer keys may have. A bundle with a key
	// for another is not signed, and not opened.
	Algorithms []keys.Algorithm
}

// An Issuer signs credentials.
type Issuer struct {
	// ID is the issuer's identifier, as credentials name it in iss.
	ID string
	// URL is its https address, as SD-JWT VCs name it in iss; http on this machine, for
	// development. Optional; it belongs to one issuer.
	URL string
	// Names is its name by language tag; "en" is required.
	Names map[string]string
	// Country is its ISO 3166-1 code of two letters. Optional.
	Country string
	// Logo is an SVG picture of at most 2 kB, to be shown as an image and never as
	// part of a page. Optional.
	Logo []byte
	// Keys are all its keys that ever signed something that may still be shown,
	// and those that will sign next.
	Keys []IssuerKey
	// Authority is set if the issuer publishes its own part; see [Content.Merge].
	Authority *Authority
}

// An IssuerKey is a key of an issuer and what it may sign. Who checks a
// credential asks for all of it: type, time of issue, and state.
type IssuerKey struct {
	// KeyID is the ID of Key: the kid of what it signs.
	KeyID keys.ID
	// Key is the public key. It is zero in an opened bundle if this program cannot
	// use the key; such a key is never returned by a lookup.
	Key keys.PublicKey
	// State is where the key stands.
	State keys.State
	// ValidFrom is the first moment of issue, SignUntil the first moment at which
	// the key may sign no more. Zero is no bound.
	ValidFrom, SignUntil time.Time
	// ValidTo is from when on nothing that the key signed is valid; zero for never.
	ValidTo time.Time
	// CompromisedSince is from when on somebody else may have signed; set exactly
	// if State is compromised.
	CompromisedSince time.Time
	// Types are the ids of the credential types that the key may sign.
	Types []string
	// Regions are where it may sign them; empty for everywhere.
	Regions []string
}

// NewIssuerKey is a key of a keystore as a bundle shows it.
func NewIssuerKey(k keys.Key, types, regions []string) IssuerKey {
	return IssuerKey{
		KeyID: k.ID(), Key: k.Public, State: k.State, ValidFrom: k.SignFrom, SignUntil: k.SignUntil,
		ValidTo: k.VerifyUntil, CompromisedSince: k.CompromisedSince, Types: types, Regions: regions,
	}
}

// Is reports whether a credential that names its issuer so means this one: by its ID,
// or by its URL.
func (i Issuer) Is(name string) bool { return name != "" && (name == i.ID || name == i.URL) }

// MaySign reports whether the key may sign credentials of this type.
func (k IssuerKey) MaySign(typeID string) bool { return slices.Contains(k.Types, typeID) }

// A Message is a text for users of the bundle, such as news of an outage.
type Message struct {
	ID string
	// Text is the message by language tag; "en" is required.
	Text map[string]string
}

// A Verifier is a registered verifier.
type Verifier struct {
	// ID is its identifier, as a holder's proof names it in aud.
	ID string
	// Names is its name by language tag; "en" is required.
	Names map[string]string
	// Asks is what it may ask for: wallets refuse when it asks for more. Optional; it
	// is not limited if nil.
	Asks []Asked
	// Keys are those that sign its questions for live codes (package credential/cwt): its
	// own for challenges, and that of the authority which prints its posters. Optional.
	Keys []keys.PublicKey
}

// Asked is what a registered verifier may ask for of one type.
type Asked struct {
	// Type is a credential type.
	Type string
	// Claims are paths as oid4vp.PathText writes them, such as "address.locality";
	// "address" stands for all that is in it.
	Claims []string
}

// Allows reports whether it may ask for a claim of a type, by its path.
func (v Verifier) Allows(typeID, path string) bool {
	if v.Asks == nil {
		return true
	}
	return slices.ContainsFunc(v.Asks, func(a Asked) bool {
		return a.Type == typeID && (path == "" || slices.ContainsFunc(a.Claims, func(claim string) bool {
			rest, ok := strings.CutPrefix(path, claim)
			return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
		}))
	})
}

// A Bundle is a trust bundle whose signatures were verified, or what a [Voucher] says. It
// must not be changed. All its methods are safe for concurrent use.
type Bundle struct {
	Content
	// Root is the newest root.
	Root Root

	fingerprint string
	vouchedBy   string
	hash        [32]byte
	rootHashes  [][32]byte // by version, from 1 on
	issuers     map[string]*Issuer
	owners      map[[32]byte]owner // by thumbprint
	types       map[string]*credential.Type
	lists       map[string]*lazyList
}

type owner struct {
	issuer *Issuer
	key    *IssuerKey
}

// A lazyList opens a snapshot when it is first asked for.
type lazyList struct {
	snapshot status.Snapshot
	once     sync.Once
	list     *status.List
	issued   *status.List
	err      error
}

func (l *lazyList) open() {
	l.once.Do(func() {
		if l.list, l.err = l.snapshot.Open(0); l.err == nil {
			l.issued, l.err = l.snapshot.OpenIssued(0)
		}
	})
}

// newBundle indexes checked content.
func newBundle(c Content, roots []signedRoot, hash [32]byte) *Bundle {
	b := &Bundle{
		Content: c, Root: roots[len(roots)-1].Root, fingerprint: roots[0].fingerprint(), hash: hash,
		issuers: map[string]*Issuer{}, owners: map[[32]byte]owner{}, types: map[string]*credential.Type{}, lists: map[string]*lazyList{},
	}
	for _, r := range roots {
		b.rootHashes = append(b.rootHashes, r.hash)
	}
	for i := range b.Issuers {
		issuer := &b.Issuers[i]
		b.issuers[issuer.ID] = issuer
		if issuer.URL != "" {
			b.issuers[issuer.URL] = issuer
		}
		for j := range issuer.Keys {
			if key := &issuer.Keys[j]; !key.Key.IsZero() {
				b.owners[key.Key.Thumbprint()] = owner{issuer, key}
			}
		}
	}
	for i := range b.Types {
		b.types[b.Types[i].ID] = &b.Types[i]
	}
	for _, s := range b.Status {
		b.lists[s.URI] = &lazyList{snapshot: s}
	}
	return b
}

// Fingerprint names the first root in six groups of five digits, for people to
// compare with a poster or the official gazette. It stays the same when root and
// bundle keys change.
func (b *Bundle) Fingerprint() string { return b.fingerprint }

// Hash is the SHA-256 of the signed content. Two files of one version that differ
// in it were mixed up or forged; two with one hash say the same, even if they are
// signed or compressed differently.
func (b *Bundle) Hash() [32]byte { return b.hash }

// KeysFor returns the keys of the issuer that may have made a signature: those
// whose ID is kid, a hint, or all of them if kid is nil. Whether they may is asked
// of [Bundle.IssuerKey] afterwards. It implements the IssuerKeys of the formats.
func (b *Bundle) KeysFor(issuer string, kid []byte) []keys.PublicKey {
	known, ok := b.issuers[issuer]
	if !ok {
		return nil
	}
	return known.matching(nil, kid)
}

// KeysWithID returns the keys of any issuer whose ID is kid. It is for telling
// "signed by somebody else" from "signed by nobody we know": a signature by one of
// them proves nothing about the issuer that a credential names.
func (b *Bundle) KeysWithID(kid []byte) []keys.PublicKey {
	if kid == nil {
		return nil
	}
	var found []keys.PublicKey
	for i := range b.Issuers {
		found = b.Issuers[i].matching(found, kid)
	}
	return found
}

// matching appends the usable keys with this ID, any if kid is nil.
func (i *Issuer) matching(found []keys.PublicKey, kid []byte) []keys.PublicKey {
	for _, k := range i.Keys {
		if !k.Key.IsZero() && (kid == nil || string(kid) == string(k.KeyID[:])) {
			found = append(found, k.Key)
		}
	}
	return found
}

// IssuerKey returns whose key this is and what it may sign; false if it is no
// key of the bundle. A key belongs to one issuer.
func (b *Bundle) IssuerKey(key keys.PublicKey) (Issuer, IssuerKey, bool) {
	o, ok := b.owners[key.Thumbprint()]
	if !ok {
		return Issuer{}, IssuerKey{}, false
	}
	return *o.issuer, *o.key, true
}

// Issuer returns the issuer with this id or URL.
func (b *Bundle) Issuer(id string) (Issuer, bool) {
	known, ok := b.issuers[id]
	if !ok {
		return Issuer{}, false
	}
	return *known, true
}

// Type returns the description of a credential type.
func (b *Bundle) Type(id string) (credential.Type, bool) {
	t, ok := b.types[id]
	if !ok {
		return credential.Type{}, false
	}
	return *t, true
}

// StatusList returns the status list with this URI, rebuilt from its snapshot and
// compared with its hash, and the snapshot itself. It is false if the bundle has
// no such list or if that cannot be opened. The first call opens it; the list is
// shared and must not be changed.
func (b *Bundle) StatusList(uri string) (*status.List, status.Snapshot, bool) {
	l, ok := b.lists[uri]
	if !ok {
		return nil, status.Snapshot{}, false
	}
	if l.open(); l.err != nil {
		return nil, status.Snapshot{}, false
	}
	return l.list, l.snapshot, true
}

// IssuedSlots returns which slots of a list were ever given out, as a list in
// which 1 means given out. It is false unless the bundle says so, which it does
// for lists that were closed after the theft of a key: there a credential that
// names another slot is forged.
func (b *Bundle) IssuedSlots(uri string) (*status.List, bool) {
	l, ok := b.lists[uri]
	if !ok {
		return nil, false
	}
	l.open()
	return l.issued, l.err == nil && l.issued != nil
}

// Next is the content to start the next bundle from: a copy of this one's with
// the version after it and its hash, dated asOf. RefreshBy and OldAfter move as
// far as AsOf does. Lists can be changed in place; maps are shared with the bundle
// and have to be replaced.
func (b *Bundle) Next(asOf time.Time) Content {
	c := b.Content
	moved := whole(asOf).Sub(c.AsOf)
	c.Version++
	c.Previous = b.hash
	c.AsOf, c.RefreshBy, c.OldAfter = c.AsOf.Add(moved), c.RefreshBy.Add(moved), c.OldAfter.Add(moved)
	c.Roots, c.Types, c.Status = slices.Clone(c.Roots), slices.Clone(c.Types), slices.Clone(c.Status)
	c.Issuers, c.Messages, c.Verifiers = slices.Clone(c.Issuers), slices.Clone(c.Messages), slices.Clone(c.Verifiers)
	for i := range c.Issuers {
		c.Issuers[i].Keys = slices.Clone(c.Issuers[i].Keys)
	}
	return c
}

// Age says how old a bundle is for what it is meant to do.
type Age string

// The ages of a bundle. None of them stops a verifier; package verification
// softens its verdicts.
const (
	// Fresh: nothing to do.
	Fresh Age = "fresh"
	// UpdateSoon: four fifths of the time until RefreshBy have passed.
	UpdateSoon Age = "update_soon"
	// Old: RefreshBy has passed.
	Old Age = "old"
	// Expired: OldAfter or the end of the root has passed.
	Expired Age = "expired"
)

// Age is the age of the bundle at the time now. Before AsOf it is Fresh: that the
// clock must be wrong then is for the caller to say.
func (b *Bundle) Age(now time.Time) Age {
	switch {
	case !now.Before(b.OldAfter) || !now.Before(b.Root.Expires):
		return Expired
	case !now.Before(b.RefreshBy):
		return Old
	case now.Sub(b.AsOf) >= b.RefreshBy.Sub(b.AsOf)/5*4:
		return UpdateSoon
	default:
		return Fresh
	}
}

// whole is t as bundles hold it: seconds, in UTC.
func whole(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

// Says reports whether two contents say the same, whatever their versions, dates and
// roots: a bundle of one is as good as a newer one of the other until it ages.
func (c Content) Says(other Content) bool {
	a, err := c.undated().marshal()
	if err != nil {
		return false
	}
	b, err := other.undated().marshal()
	return err == nil && bytes.Equal(a, b)
}

// undated is the content without what changes with every version.
func (c Content) undated() Content {
	c.Version, c.AsOf, c.RefreshBy, c.OldAfter, c.Previous, c.Roots = 0, time.Time{}, time.Time{}, time.Time{}, [32]byte{}, nil
	c.Status, c.Types, c.Issuers = slices.Clone(c.Status), slices.Clone(c.Types), slices.Clone(c.Issuers)
	for i := range c.Status {
		c.Status[i].IssuedAt = time.Unix(1, 0)
	}
	slices.SortFunc(c.Status, func(a, b status.Snapshot) int { return cmp.Compare(a.URI, b.URI) })
	slices.SortFunc(c.Types, func(a, b credential.Type) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(c.Issuers, func(a, b Issuer) int { return cmp.Compare(a.ID, b.ID) })
	return c
}
