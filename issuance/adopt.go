package issuance

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/credential/status"
)

// A Published is something that was published after a backup was made: what the
// store has forgotten and others have seen.
type Published struct {
	// Name is that of the [Publication], Number its number (0 if it does not say)
	// and IssuedAt its date.
	Name     string
	Number   uint64
	IssuedAt time.Time
	// Digest is the SHA-256 of its content.
	Digest [32]byte
	// Lists are the status lists that it shows, by URI.
	Lists map[string]*status.List
}

// An Adoption says what came of publications in a store that had forgotten them.
type Adoption struct {
	// Revoked and Suspended are credentials that only they showed as such.
	Revoked, Suspended int64
	// Unknown are slots that they show as revoked or suspended and that belong to
	// no credential of the store. They stay revoked: each is kept as a credential
	// that was never released. Lists are lists that the store does not know.
	Unknown int64
	Lists   int64
}

// Adopt brings a store that was restored without its journal up to what was
// published since: whatever a later list shows as revoked is revoked here, slots
// that nobody here knows stay revoked for good, and numbers and dates of the next
// publications follow those that are out there. It can be called again after an
// interruption. The store must take work although it is fenced.
func (s *Service) Adopt(ctx context.Context, all []Published, actor string) (Adoption, error) {
	a := adoption{s: s, actor: actor, lists: map[string]*status.List{}, known: map[string]*status.List{}}
	for _, p := range all {
		for uri, l := range p.Lists {
			if err := a.merge(uri, l); err != nil {
				return a.result, err
			}
		}
	}
	for _, parts := range []bool{true, false} { // a part may have ended alone
		if err := a.credentials(ctx, parts); err != nil {
			return a.result, fmt.Errorf("adopt what was published: %w", err)
		}
	}
	if err := a.unknown(ctx); err != nil {
		return a.result, fmt.Errorf("adopt what was published: %w", err)
	}
	err := s.cfg.Store.Write(ctx, func(tx Tx) error {
		for _, p := range all {
			old, err := tx.Publication(p.Name)
			if err != nil {
				return err
			}
			if old.Digest == p.Digest {
				continue // the store has it
			}
			// One number is left out; see [replay.published].
			to := Publication{Name: p.Name, Number: p.Number + 1, IssuedAt: p.IssuedAt}
			if p.Number == 0 {
				to.Number = old.Number + 1
			}
			if err := raisePublication(tx, to); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return a.result, fmt.Errorf("adopt the numbers of publications: %w", err)
	}
	return a.result, nil
}

// AdoptBundle takes a published trust bundle as the one from which the next begins, if
// the store has none: a backup from before the first bundle has no root. Who it is from
// was checked by the caller.
func (s *Service) AdoptBundle(ctx context.Context, p Published, content []byte) error {
	err := s.cfg.Store.Write(ctx, func(tx Tx) error {
		old, err := tx.Publication(p.Name)
		if err != nil || len(old.Content) > 0 {
			return err
		}
		for n := old.Number + 1; ; n++ {
			next := Publication{Name: p.Name, Number: n, IssuedAt: later(old.IssuedAt, p.IssuedAt)}
			if n >= p.Number {
				next.Content = content
			}
			next.Digest = sha256.Sum256(next.Content)
			if err := tx.SavePublication(next); err != nil || n >= p.Number {
				return err
			}
		}
	})
	if err != nil {
		return fmt.Errorf("adopt a bundle: %w", err)
	}
	return nil
}

type adoption struct {
	s      *Service
	actor  string
	lists  map[string]*status.List // what the publications show, by URI
	known  map[string]*status.List // 1 for slots of credentials here
	result Adoption
}

// merge takes a list in: revoked wins over everything, suspended over valid.
func (a *adoption) merge(uri string, l *status.List) error {
	have := a.lists[uri]
	if have == nil {
		a.lists[uri] = l.Clone()
		return nil
	}
	if have.Size() != l.Size() || have.Bits() != l.Bits() {
		return fmt.Errorf("issuance: list %s has two shapes", clip(uri))
	}
	for i := range l.Size() {
		v, err := l.Get(i)
		if err != nil {
			return err
		}
		old, err := have.Get(i)
		if err != nil {
			return err
		}
		if v == status.Invalid || v == status.Suspended && old == status.Valid {
			if err := have.Set(i, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// shown is what the publications show of a credential.
func (a *adoption) shown(c Credential) (byte, error) {
	worst := byte(status.Valid)
	for _, f := range c.Forms {
		l := a.lists[f.Slot.List]
		if l == nil {
			continue
		}
		known := a.known[f.Slot.List]
		if known == nil {
			var err error
			if known, err = status.NewList(1, (l.Size()+7)/8*8); err != nil {
				return 0, err
			}
			a.known[f.Slot.List] = known
		}
		v, err := l.Get(f.Slot.Index)
		if err == nil {
			err = known.Set(f.Slot.Index, status.Invalid)
		}
		if err != nil {
			return 0, fmt.Errorf("slot of %s: %w", c.ID, err)
		}
		if v == status.Invalid || worst == status.Valid {
			worst = v
		}
	}
	return worst, nil
}

// credentials revokes and suspends what the publications show so: parts of others,
// or those that stand by themselves, with their parts.
func (a *adoption) credentials(ctx context.Context, parts bool) error {
	var revoke, suspend []Credential
	flush := func() error {
		defer func() { revoke, suspend = nil, nil }()
		return errors.Join(a.change(ctx, revoke, Revoked, audit.CredentialRevoked), a.change(ctx, suspend, Suspended, audit.CredentialSuspended))
	}
	for c, err := range a.s.cfg.Store.Find(ctx, Query{}) {
		if err != nil {
			return err
		}
		v, err := a.shown(c)
		if err != nil {
			return err
		}
		switch {
		case (c.PartOf != "") != parts:
		case v == status.Invalid && c.State != Revoked:
			revoke = append(revoke, c)
		case v == status.Suspended && c.State == Active:
			suspend = append(suspend, c)
		}
		if len(revoke)+len(suspend) == sweepChunk {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func (a *adoption) change(ctx context.Context, all []Credential, to State, kind audit.Kind) error {
	if len(all) == 0 {
		return nil
	}
	err := a.s.cfg.Store.Write(ctx, func(tx Tx) error {
		at := a.s.now()
		var events []audit.Event
		for _, c := range all {
			done, err := a.s.changeWhole(tx, c.ID, to, Other, later(at, c.Changed), kind, a.actor)
			if err != nil {
				return err
			}
			for _, e := range done.entries {
				e.Time, e.Detail = at, "shown so by what was published after the backup"
				events = append(events, e)
			}
		}
		return tx.Append(events)
	})
	if err == nil && to == Revoked {
		a.result.Revoked += int64(len(all))
	} else if err == nil {
		a.result.Suspended += int64(len(all))
	}
	return err
}

// unknown keeps every slot that is shown as revoked or suspended and belongs to
// nobody here.
func (a *adoption) unknown(ctx context.Context) error {
	stored, err := a.s.cfg.Store.Lists(ctx)
	if err != nil {
		return err
	}
	rows, err := a.s.cfg.Store.Programmes(ctx)
	if err != nil {
		return err
	}
	r := &replay{s: a.s, programmes: rows}
	for i := range stored {
		r.lists = append(r.lists, &stored[i])
	}
	for _, uri := range slices.Sorted(maps.Keys(a.lists)) {
		if err := a.unknownOf(ctx, r, uri); err != nil {
			return err
		}
	}
	return nil
}

func (a *adoption) unknownOf(ctx context.Context, r *replay, uri string) error {
	l := a.lists[uri]
	var slots []uint64
	for i := range l.Size() {
		v, err := l.Get(i)
		if err != nil {
			return err
		}
		if v == status.Valid {
			continue
		}
		if known := a.known[uri]; known != nil {
			if k, err := known.Get(i); err != nil || k != status.Valid {
				continue
			}
		}
		slots = append(slots, i)
	}
	i := slices.IndexFunc(r.lists, func(l *List) bool { return l.URI == uri })
	kind := ListKind{Bits: l.Bits(), Form: "lost"}
	if i >= 0 {
		kind = r.lists[i].Kind
		if r.lists[i].Size != l.Size() || kind.Bits != l.Bits() {
			return fmt.Errorf("issuance: list %s has another shape in the store", clip(uri))
		}
	} else {
		if len(r.programmes) == 0 {
			return fmt.Errorf("%w: a list %s is published and no programme stored", ErrNoProgramme, clip(uri))
		}
		kind.Programme = r.programmes[len(r.programmes)-1].ID
		a.result.Lists++
	}
	for first := 0; first < max(len(slots), 1); first += sweepChunk {
		chunk := slots[first:min(first+sweepChunk, len(slots))]
		if err := a.s.cfg.Store.Write(ctx, func(tx Tx) error {
			r.tx = tx
			return a.keep(r, uri, l.Size(), kind, chunk)
		}); err != nil {
			return err
		}
		a.result.Unknown += int64(len(chunk))
	}
	return nil
}

// keep stores slots as those of credentials that were never released. Of a list
// that was opened after the backup nothing more is given out.
func (a *adoption) keep(r *replay, uri string, size uint64, kind ListKind, slots []uint64) error {
	at := a.s.now()
	known := slices.ContainsFunc(r.lists, func(l *List) bool { return l.URI == uri })
	l, err := r.list(audit.SlotRef{URI: uri, Size: size}, kind, at)
	if err != nil {
		return err
	}
	if !known {
		if err := r.pass(l, size); err != nil {
			return err
		}
	}
	if len(slots) == 0 {
		return nil
	}
	row, err := r.version(&audit.Event{Programme: kind.Programme})
	if err != nil {
		return err
	}
	ids := make([]string, len(slots))
	if err := newIDs(a.s.cfg.Rand, at, ids); err != nil {
		return err
	}
	creds := make([]Credential, len(slots))
	var intended, ended []audit.Event
	for i, slot := range slots {
		if err := r.take(audit.SlotRef{URI: uri, Index: slot, Size: size}, kind, at); err != nil {
			return err
		}
		creds[i] = Credential{
			ID: ids[i], Programme: row.ID, Version: row.Version, State: Intended, IssuedAt: at.Truncate(time.Second), Changed: at, Many: true,
			Forms: []FormRecord{{Form: kind.Form, Slot: Slot{List: uri, Index: slot}, ToBeSigned: sha256.Sum256([]byte("lost " + ids[i]))}},
		}
		if _, err := io.ReadFull(a.s.cfg.Rand, creds[i].Record[:]); err != nil {
			return fmt.Errorf("draw a pseudonym: %w", err)
		}
		e := event(audit.CredentialIntended, a.actor, at, creds[i])
		e.Detail = "stands for a slot of a credential that was lost"
		a.s.sizeSlots(e.Slots)
		intended = append(intended, e)
	}
	if err := r.tx.Intend(creds); err != nil {
		return err
	}
	for i := range creds {
		c, err := r.tx.Change(creds[i].ID, Revoked, Leftover, at)
		if err != nil {
			return err
		}
		ended = append(ended, event(audit.CredentialLeftover, a.actor, at, c))
	}
	return r.tx.Append(append(intended, ended...))
}
