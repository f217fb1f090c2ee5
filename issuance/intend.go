package issuance

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/qr"
)

// intend is rung 2 for candidates of one programme. It refuses those that may
// not be issued for and stores the intent of the others, all or none.
func (s *Service) intend(ctx context.Context, o *order, now time.Time, all []*candidate) error {
	sound := alive(all)
	if len(sound) > 1 {
		ctx = Bulk(ctx)
	}
	err := s.cfg.Store.Write(ctx, func(tx Tx) error {
		events, err := s.intendIn(tx, o, now, sound, all)
		if err != nil || len(events) == 0 {
			return err
		}
		return tx.Append(events)
	})
	if err != nil {
		return fmt.Errorf("store the intent: %w", err)
	}
	return nil
}

// intendIn is intend in a transaction, without the entries of the audit log, which it
// returns. Sound are those of all that were not refused before.
func (s *Service) intendIn(tx Tx, o *order, now time.Time, sound, all []*candidate) ([]audit.Event, error) {
	if err := o.held(tx); err != nil {
		return nil, err
	}
	for _, c := range sound { // a store may call us again
		c.refused, c.twin, c.held, c.joins = nil, nil, "", Holding{}
	}
	at, err := s.tick(tx, o, now)
	if err != nil {
		return nil, err
	}
	if err := s.screen(tx, o, all); err != nil {
		return nil, err
	}
	live := alive(all)
	if err := s.assign(tx, o, at, live); err != nil {
		return nil, err
	}
	// The draft is the last check of rung 1. It needs the slot, so it is
	// made here, before anything of the credential is stored.
	if err := s.parallel(len(live), func(i int) error { s.draft(o, live[i]); return nil }); err != nil {
		return nil, err
	}
	live = alive(live)
	nameTwins(all)
	events := make([]audit.Event, 0, len(live))
	creds := make([]Credential, len(live))
	for i, c := range live {
		if c.held != "" {
			old, err := s.changeWhole(tx, c.held, Revoked, Superseded, at, audit.CredentialSuperseded, o.actor)
			if err != nil {
				return nil, fmt.Errorf("supersede %s: %w", c.held, err)
			}
			for _, e := range old.entries {
				e.Detail = "gives way to " + c.cred.ID
				events = append(events, e)
			}
		}
		creds[i] = c.cred
		e := event(audit.CredentialIntended, o.actor, at, c.cred)
		s.sizeSlots(e.Slots)
		events = append(events, e)
	}
	if len(creds) == 0 {
		return nil, nil
	}
	return events, tx.Intend(creds)
}

// held asks the order's hold.
func (o *order) held(tx Tx) error {
	if o.hold == nil {
		return nil
	}
	return o.hold(tx)
}

// tick returns the moment of issue: now, or the latest one given so far if the
// clock has gone back a little. If it has gone back further nothing is issued,
// since a date of issue far ahead would extend validity.
func (s *Service) tick(tx Tx, o *order, now time.Time) (time.Time, error) {
	at, err := tx.Tick(now)
	if err != nil {
		return time.Time{}, err
	}
	if behind := at.Sub(now); behind > s.cfg.ClockTolerance {
		return time.Time{}, fmt.Errorf("%w: it stands %s behind the last date of issue", ErrClock, behind.Round(time.Second))
	}
	// The key must be good at the date that will stand in the credential.
	return at, keys.CheckSigner(o.signer, keys.Credential, at)
}

// screen refuses records that hold a credential and requests that were made
// before, or notes what is to be superseded.
func (s *Service) screen(tx Tx, o *order, all []*candidate) error {
	for _, c := range all {
		if c.idempotency == ([32]byte{}) || c.refused != nil {
			continue
		}
		if err := s.screenRepeated(tx, o, c); err != nil {
			return err
		}
	}
	if o.replaces != "" {
		all[0].held = o.replaces
	}
	if o.programme.AllowMany {
		return nil
	}
	records := make([]Pseudonym, len(all))
	for i, c := range all {
		records[i] = c.record
	}
	held, err := tx.Held(o.programme.ID, records)
	if err != nil {
		return err
	}
	first := make(map[Pseudonym]*candidate, len(all))
	for _, c := range all {
		switch h, ok := held[c.record]; {
		case c.refused != nil:
		case first[c.record] != nil:
			c.twin = first[c.record]
			c.refused = refuse(c.line, CodeDuplicate, "the record is in this batch before")
		case ok && o.batch != "" && h.Batch == o.batch:
			c.refused = refuseHeld(c.line, CodeDuplicate, h.ID, "the record is in this batch before, as", ErrActiveExists)
		case c.follows != "" && h.ID != c.follows:
			c.refused = refuseEnded(c.line, c.follows)
		case ok && h.ID == o.replaces:
		case ok && o.supersede:
			c.held = h.ID
		case ok && o.joins && h.State == Active:
			c.joins = h
		case ok && o.joins && h.State == Suspended:
			c.refused = refuseHeld(c.line, CodeSuspended, h.ID, "nothing is added to a suspended credential, and the record holds", ErrActiveExists)
		case ok && h.State == Intended:
			// No credential yet, and perhaps never: not to be counted as one.
			c.refused = refuseHeld(c.line, CodeInProgress, h.ID, "somebody is issuing, or a crash left behind,", ErrActiveExists)
		case ok:
			c.refused = refuseHeld(c.line, CodeAlreadyIssued, h.ID, "the record holds", ErrActiveExists)
		}
		if c.refused == nil {
			first[c.record] = c
		}
	}
	return nil
}

// screenRepeated refuses a request that was made before, for the same record or
// another.
func (s *Service) screenRepeated(tx Tx, o *order, c *candidate) error {
	old, err := tx.Redeemed(c.idempotency)
	switch {
	case errors.Is(err, ErrNoCredential):
		return nil
	case err != nil:
		return err
	case old.Programme != o.programme.ID || old.Record != c.record:
		c.refused = refuse(c.line, CodeConflict, "the idempotency key was used for another record")
		c.refused.reason = ErrIdempotencyUsed
		return nil
	}
	what, released := "this request has issued", true
	if old.Reason == Leftover || old.State == Intended {
		what, released = "this request was interrupted and released nothing, ask anew under another key; it left", false
	}
	c.refused = refuseHeld(c.line, CodeRepeated, cmp.Or(old.PartOf, old.ID), what, ErrIdempotencyUsed)
	c.refused.Released = released
	return nil
}

// nameTwins tells a record that occurs twice in a chunk the credential that the
// first one got.
func nameTwins(all []*candidate) {
	for _, c := range all {
		if c.twin != nil && c.twin.refused == nil {
			c.refused = refuseHeld(c.line, CodeDuplicate, c.twin.cred.ID, "the record is in this batch before, as", ErrActiveExists)
		}
	}
}

// alive returns the candidates that are not refused.
func alive(all []*candidate) []*candidate {
	live := make([]*candidate, 0, len(all))
	for _, c := range all {
		if c.refused == nil {
			live = append(live, c)
		}
	}
	return live
}

// draft builds the exact bytes to be signed of each form and stores their
// hashes in the candidate's record, or refuses it.
func (s *Service) draft(o *order, c *candidate) {
	c.drafts = make([]drafted, len(c.which))
	for j, f := range c.which {
		slot := c.cred.Forms[j].Slot
		ref := &credential.StatusRef{URI: slot.List, Index: slot.Index}
		draft := s.draftCode
		switch f.Kind {
		case programme.FormSDJWT:
			draft = s.draftWallet
		case programme.FormCWT:
			draft = s.draftCard
		}
		d, refused := draft(o, c, j, ref)
		if refused != nil {
			c.refused = refused
			return
		}
		c.drafts[j] = d
		c.cred.Forms[j].ToBeSigned = d.Hash()
	}
	c.codes = nil // if the store calls again they are made again
}

// fitsLikely says whether the code of a form will fit, before it is signed. It
// is sure when it says no; [Service.sign] asks again with the code itself.
func (s *Service) fitsLikely(f programme.Form, toBeSigned []byte, signature int) error {
	// The signed message is shorter than what is signed and the signature
	// together; zlib adds 11 bytes at most, Base45 makes three of two.
	most := len(toBeSigned) + signature + 11
	if s.cfg.Fits(f, (most*3+1)/2) == nil {
		return nil
	}
	// Compression might still save it. The hash stands for the signature.
	sample := slices.Clone(toBeSigned)
	for sum := sha256.Sum256(toBeSigned); signature > 0; signature -= len(sum) {
		sample = append(sample, sum[:min(len(sum), signature)]...)
		sum = sha256.Sum256(sum[:])
	}
	text, err := qr.Encode(sample)
	if err != nil {
		return err
	}
	const slack = 48 // characters by which the sample may be longer
	return s.cfg.Fits(f, len(text)-slack)
}
