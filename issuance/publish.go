package issuance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

// TrustName is the name of the trust bundle among the publications.
const TrustName = "trust"

// ErrNoRoot: there is no trust bundle yet and no root to begin one under.
var ErrNoRoot = errors.New("issuance: no root of trust yet")

// TrustRequest says what stands in the next trust bundle beside what the
// issuer's own store and keys say: its keys, the types of its programmes and its
// status lists.
type TrustRequest struct {
	// Names is the issuer's name by language tag; "en" is required.
	Names map[string]string
	// Country is its ISO 3166-1 code of two letters, Logo a small SVG picture,
	// Regions where its keys may sign. All optional.
	Country string
	Logo    []byte
	Regions []string
	// Jurisdiction says for whom the bundle speaks, such as "XX".
	Jurisdiction string
	// RefreshAfter is how long after its date a newer bundle should be there,
	// OldAfter how long until it is too old to rely on.
	RefreshAfter, OldAfter time.Duration
	// Verifiers are those who are registered, all of them. Optional.
	Verifiers []trust.Verifier

	// Roots is the chain of signed roots and BundleKeys what its last one names;
	// needed for the first bundle and when the root has changed, otherwise nil.
	Roots      [][]byte
	BundleKeys []keys.PublicKey

	// KeysOnly leaves the status lists out.
	KeysOnly bool
	// KeepFor returns the last bundle in place of a new one if that says the same and
	// is not older. Optional; 0 makes a new one in any case.
	KeepFor time.Duration
	// Edit changes the content before it is signed, to merge a contribution or to
	// add a message; optional. What it adds stays in later bundles.
	Edit func(trust.Content) (trust.Content, error)
	// Actor is the account of the operator, for the audit log.
	Actor string
}

// PublishTrust makes, signs and stores the next trust bundle and returns it. The
// bundle shows every change that was acknowledged before the call: what it says
// is read in the transaction that stores it, together with the audit entry and
// the version, which only goes up. Keys that are planned count as published from
// then on.
//
// It returns [ErrNoRoot] for a first bundle without a root, and [ErrClock] if
// the clock lies behind the last bundle.
func (s *Service) PublishTrust(ctx context.Context, r TrustRequest) (Publication, error) {
	return s.publishKeys(ctx, TrustName, r, func(d draft) (content []byte, carried []keys.Key, detail string, err error) {
		c, bundleKeys, err := s.lastContent(r, d.last, d.next)
		if err != nil {
			return nil, nil, "", err
		}
		// After a restore the number was raised above what others may hold. A bundle that
		// follows nothing is the first of its root, whatever numbers another root had.
		if len(d.last.Content) > 0 {
			c.Version = max(c.Version, d.next.Number)
		}
		if carried, err = s.fillContent(d.tx, r, &c, d.types, d.keys); err != nil {
			return nil, nil, "", err
		}
		if r.Edit != nil {
			if c, err = r.Edit(c); err != nil {
				return nil, nil, "", err
			}
		}
		if r.Roots == nil && d.keeps(r.KeepFor) {
			if b, err := trust.Open(d.last.Content); err == nil && b.Says(c) {
				return nil, nil, "", errKept
			}
		}
		signers, err := s.bundleSigners(ctx, d.keys, bundleKeys, d.next.IssuedAt)
		if err != nil {
			return nil, nil, "", err
		}
		content, err = c.Sign(s.cfg.Rand, signers, d.next.IssuedAt)
		detail = fmt.Sprintf("version %d, %d issuers, %d types, %d lists", c.Version, len(c.Issuers), len(c.Types), len(c.Status))
		return content, append(carried, announced(d.keys, bundleKeys)...), detail, err
	})
}

// A draft is what a publication that carries keys is made from.
type draft struct {
	tx         Tx
	last, next Publication
	keys       []keys.Key
	types      []credential.Type
}

// errKept: the last publication stands.
var errKept = errors.New("issuance: internal error: the last publication stands")

// keeps reports whether the last publication is young enough to stand.
func (d draft) keeps(keepFor time.Duration) bool {
	return d.last.Number > 0 && d.next.IssuedAt.Sub(d.last.IssuedAt) < keepFor
}

// publishKeys stores the next publication of this name: what build makes of the
// issuer's state, in one transaction with the audit entry. The keys that it
// carries count as published from then on.
func (s *Service) publishKeys(ctx context.Context, name string, r TrustRequest,
	build func(draft) (content []byte, carried []keys.Key, detail string, err error),
) (Publication, error) {
	types, err := s.types(ctx)
	if err != nil {
		return Publication{}, err
	}
	var p, last Publication
	var carried []keys.Key
	err = s.cfg.Store.Write(ctx, func(tx Tx) error {
		if last, err = tx.Publication(name); err != nil {
			return err
		}
		p = Publication{Name: name, Number: last.Number + 1}
		if p.IssuedAt, err = s.publishAt(last); err != nil {
			return err
		}
		all, err := s.cfg.Keys.Keys(ctx)
		if err != nil {
			return fmt.Errorf("list keys: %w", err)
		}
		var detail string
		if p.Content, carried, detail, err = build(draft{tx, last, p, all, types}); err != nil {
			return err
		}
		return s.savePublication(tx, &p, audit.TrustPublished, r.Actor, detail)
	})
	if errors.Is(err, errKept) {
		return last, nil
	}
	if err != nil {
		return Publication{}, fmt.Errorf("publish %s: %w", name, err)
	}
	s.cfg.Crash(PointPublished)
	return p, s.markPublished(ctx, carried, p.IssuedAt)
}

// PartName is the name of the issuer's own part among the publications.
const PartName = "part"

// PublishPart makes, signs and stores the issuer's own part of a trust bundle
// that another office publishes (see [trust.Contribution]), with what
// [Service.PublishTrust] promises. Its bundle key signs it; Roots, BundleKeys and
// Edit of the request do not apply. Without a root of its own a planned bundle key
// counts as published, too: no root will ever name it, and whoever takes the parts
// is handed it.
func (s *Service) PublishPart(ctx context.Context, r TrustRequest) (Publication, error) {
	return s.publishKeys(ctx, PartName, r, func(d draft) (content []byte, carried []keys.Key, detail string, err error) {
		c := trust.Content{AsOf: d.next.IssuedAt}
		if carried, err = s.fillContent(d.tx, r, &c, d.types, d.keys); err != nil {
			return nil, nil, "", err
		}
		key, signer, err := s.signer(ctx, keys.TrustBundle, d.next.IssuedAt)
		if err != nil {
			return nil, nil, "", err
		}
		signing := []keys.PublicKey{key.Public}
		if own, err := d.tx.Publication(TrustName); err != nil {
			return nil, nil, "", err
		} else if own.Number == 0 {
			signing = allBundleKeys(d.keys)
		}
		part := trust.Contribution{
			Version: d.next.Number, AsOf: d.next.IssuedAt, Issuer: c.Issuers[0], Types: c.Types, Status: c.Status,
		}
		content, err = trust.SignContribution(s.cfg.Rand, signer, part, d.next.IssuedAt)
		detail = fmt.Sprintf("part %d, %d types, %d lists", part.Version, len(part.Types), len(part.Status))
		return content, append(carried, announced(d.keys, signing)...), detail, err
	})
}

// allBundleKeys are all keys for bundles and parts.
func allBundleKeys(all []keys.Key) []keys.PublicKey {
	var list []keys.PublicKey
	for _, k := range all {
		if k.Purpose == keys.TrustBundle {
			list = append(list, k.Public)
		}
	}
	return list
}

// publishAt is the date of the next publication after the last one: now, or the
// last one's if the clock has gone back a little.
func (s *Service) publishAt(last Publication) (time.Time, error) {
	now := s.now().Truncate(time.Second)
	if behind := last.IssuedAt.Sub(now); behind > s.cfg.ClockTolerance {
		return time.Time{}, fmt.Errorf("%w: it stands %s behind the last publication", ErrClock, behind.Round(time.Second))
	}
	return later(now, last.IssuedAt), nil
}

// savePublication stores a publication with its audit entry.
func (s *Service) savePublication(tx Tx, p *Publication, kind audit.Kind, actor, detail string) error {
	p.Digest = sha256.Sum256(p.Content)
	if err := tx.SavePublication(*p); err != nil {
		return err
	}
	e := audit.Event{
		Time: p.IssuedAt, Kind: kind, Actor: actor, Digest: hex.EncodeToString(p.Digest[:]), Version: int(p.Number), Detail: detail,
	}
	return tx.Append([]audit.Event{e})
}

// types describes the types of all programmes, each as its newest version says.
func (s *Service) types(ctx context.Context) ([]credential.Type, error) {
	rows, err := s.cfg.Store.Programmes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read programmes: %w", err)
	}
	var types []credential.Type
	for _, row := range rows {
		p, err := s.parse(row)
		if err != nil {
			return nil, err
		}
		for _, t := range p.CredentialTypes() {
			if i := slices.IndexFunc(types, func(o credential.Type) bool { return o.ID == t.ID }); i >= 0 {
				types[i] = t
			} else {
				types = append(types, t)
			}
		}
	}
	return types, nil
}

// lastContent is the content to start from: that of the last bundle, dated anew,
// or an empty one under the root of the request. It also returns the keys that
// sign bundles.
func (s *Service) lastContent(r TrustRequest, last, next Publication) (trust.Content, []keys.PublicKey, error) {
	c := trust.Content{Version: 1, AsOf: next.IssuedAt, Algorithms: keys.Algorithms()}
	bundleKeys := r.BundleKeys
	// After a restore from before the first bundle only its number is known.
	if len(last.Content) > 0 {
		b, err := trust.Open(last.Content)
		if err != nil {
			return c, nil, fmt.Errorf("the last bundle: %w", err)
		}
		c = b.Next(next.IssuedAt)
		if r.Roots == nil {
			bundleKeys = b.Root.BundleKeys
		}
	}
	if r.Roots != nil {
		c.Roots = r.Roots
	}
	if len(c.Roots) == 0 {
		return c, nil, ErrNoRoot
	}
	c.RefreshBy, c.OldAfter = c.AsOf.Add(r.RefreshAfter), c.AsOf.Add(r.OldAfter)
	c.Jurisdiction, c.Verifiers = r.Jurisdiction, r.Verifiers
	return c, bundleKeys, nil
}

// fillContent puts the issuer's own part into the content and returns the keys
// that it carries. What belongs to other issuers stays.
func (s *Service) fillContent(tx Tx, r TrustRequest, c *trust.Content, types []credential.Type, all []keys.Key) ([]keys.Key, error) {
	own := trust.Issuer{ID: s.cfg.Issuer, URL: s.cfg.URL, Names: r.Names, Country: r.Country, Logo: r.Logo}
	foreignTypes, foreignLists := map[string]bool{}, map[string]bool{}
	place := len(c.Issuers)
	for i, other := range c.Issuers {
		if other.ID == own.ID {
			place, own.Authority = i, other.Authority
			continue
		}
		for _, k := range other.Keys {
			note(foreignTypes, k.Types)
		}
		if other.Authority != nil {
			note(foreignTypes, other.Authority.Types)
			note(foreignLists, other.Authority.Lists)
		}
	}
	ids := make([]string, len(types))
	for i, t := range types {
		ids[i] = t.ID
	}
	var carried []keys.Key
	for _, k := range all {
		// A key without a type to sign for says nothing, and one whose last
		// signature has expired needs no listing.
		listed := k.VerifyUntil.IsZero() || c.AsOf.Before(k.VerifyUntil)
		if k.Purpose == keys.Credential && len(ids) > 0 && listed {
			own.Keys = append(own.Keys, trust.NewIssuerKey(k, ids, r.Regions))
			carried = append(carried, k)
		}
	}
	c.Issuers = slices.Replace(c.Issuers, place, min(place+1, len(c.Issuers)), own)
	c.Types = slices.DeleteFunc(c.Types, func(t credential.Type) bool { return !foreignTypes[t.ID] || slices.Contains(ids, t.ID) })
	c.Types = append(c.Types, types...)
	c.Status = slices.DeleteFunc(c.Status, func(l status.Snapshot) bool { return !foreignLists[l.URI] })
	if r.KeysOnly {
		return carried, nil
	}
	lists, err := tx.Lists()
	if err != nil {
		return nil, err
	}
	for _, l := range lists {
		snapshot, err := snapshot(tx, l, c.AsOf)
		if err != nil {
			return nil, fmt.Errorf("status list %s: %w", l.URI, err)
		}
		c.Status = append(c.Status, snapshot)
	}
	return carried, nil
}

func note(set map[string]bool, names []string) {
	for _, n := range names {
		set[n] = true
	}
}

// statusList builds a list as it stands in this transaction.
func statusList(tx Tx, l List) (*status.List, error) {
	list, err := status.NewList(l.Kind.Bits, l.Size)
	if err != nil {
		return nil, err
	}
	for state, err := range tx.SlotStates(l.URI) {
		if err != nil {
			return nil, err
		}
		if err := list.Set(state.Index, state.Value); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// snapshot packs a list for a bundle; of a sealed one it says which slots were
// given out.
func snapshot(tx Tx, l List, at time.Time) (status.Snapshot, error) {
	list, err := statusList(tx, l)
	if err != nil {
		return status.Snapshot{}, err
	}
	packed, err := status.NewSnapshot(l.URI, list, at)
	if err != nil || l.Sealed.IsZero() {
		return packed, err
	}
	var issued []uint64
	for slot, err := range tx.IssuedSlots(l.URI) {
		if err != nil {
			return status.Snapshot{}, err
		}
		issued = append(issued, slot)
	}
	return packed.WithIssued(issued)
}

// bundleSigners are the signers of those bundle keys that the root names and
// that may sign at the time at.
func (s *Service) bundleSigners(ctx context.Context, all []keys.Key, named []keys.PublicKey, at time.Time) ([]keys.Signer, error) {
	var signers []keys.Signer
	why := fmt.Errorf("%w: none of the keys that the root names for bundles is here", keys.ErrNoKey)
	for _, k := range all {
		if k.Purpose != keys.TrustBundle || !names(named, k) {
			continue
		}
		signer, err := s.cfg.Keys.Signer(ctx, k.ID())
		if err == nil {
			err = keys.CheckSigner(signer, keys.TrustBundle, at)
		}
		if err != nil {
			why = err
			continue
		}
		signers = append(signers, signer)
	}
	if len(signers) == 0 {
		return nil, why
	}
	return signers, nil
}

func names(list []keys.PublicKey, k keys.Key) bool {
	return slices.ContainsFunc(list, k.Public.Equal)
}

// announced are the keys that a bundle makes known without listing them for
// credentials: bundle keys that its root names, and the keys of status lists, of
// metadata, of the audit log and of backups, which verifiers of those look up
// elsewhere and whose owners date from the bundle.
func announced(all []keys.Key, bundleKeys []keys.PublicKey) []keys.Key {
	var list []keys.Key
	for _, k := range all {
		switch k.Purpose {
		case keys.StatusList, keys.Metadata, keys.Audit, keys.Backup:
			list = append(list, k)
		case keys.TrustBundle:
			if names(bundleKeys, k) {
				list = append(list, k)
			}
		}
	}
	return list
}

// markPublished notes in the keystore that planned keys are now known. If that
// fails the next bundle does it.
func (s *Service) markPublished(ctx context.Context, carried []keys.Key, at time.Time) error {
	for _, k := range carried {
		if k.State != keys.Planned || !k.Published.IsZero() {
			continue
		}
		k, err := k.Publish(at)
		if err == nil {
			err = s.cfg.Keys.Update(ctx, k)
		}
		if err != nil {
			return fmt.Errorf("note that key %s is published: %w", k.ID(), err)
		}
	}
	return nil
}

// StatusRequest says how status list tokens are made.
type StatusRequest struct {
	// Lifetime is how long a token may be used, TTL how long a copy should be kept
	// before a newer one is asked for. Both must be set.
	Lifetime, TTL time.Duration
	// Aggregation is where the URIs of all lists are listed; optional.
	Aggregation string
	// KeepFor leaves the last token of a list in its place if that says the same, is
	// signed with the present key, and is not older. Optional; 0 makes a new one in
	// any case.
	KeepFor time.Duration
	// Actor is the account of the operator, for the audit log.
	Actor string
}
