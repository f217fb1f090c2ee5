package issuance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sanad-id/sanad/audit"
)

// Credential returns what is kept of a credential, or [ErrNoCredential].
func (s *Service) Credential(ctx context.Context, id string) (Credential, error) {
	if !ValidID(id) {
		return Credential{}, fmt.Errorf("%w: %q is not a credential id", ErrNoCredential, clip(id))
	}
	return s.cfg.Store.Credential(ctx, id)
}

// clip cuts foreign text for an error.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// Revoke ends a credential for good. All its forms are shown as revoked by
// every list that is published from now on. It returns [ErrFinal] if it is
// revoked already.
func (s *Service) Revoke(ctx context.Context, id string, r Reason, actor string) (Credential, error) {
	return s.change(ctx, id, Revoked, r, actor)
}

// Suspend pauses an active credential, if its programme allows that
// ([ErrNotAllowed]).
func (s *Service) Suspend(ctx context.Context, id string, r Reason, actor string) (Credential, error) {
	c, err := s.Credential(ctx, id)
	if err != nil {
		return Credential{}, err
	}
	p, err := s.Programme(ctx, c.Programme, c.Version)
	if err != nil {
		return Credential{}, err
	}
	if !p.Status.Suspend {
		return Credential{}, fmt.Errorf("suspend %s: %w", id, ErrNotAllowed)
	}
	return s.change(ctx, id, Suspended, r, actor)
}

// Resume makes a suspended credential active again. It returns [ErrState] if
// the credential is not suspended.
func (s *Service) Resume(ctx context.Context, id, actor string) (Credential, error) {
	return s.change(ctx, id, Active, NoReason, actor)
}

func (s *Service) change(ctx context.Context, id string, to State, r Reason, actor string) (Credential, error) {
	if (to == Active) != (r == NoReason) || r != NoReason && !slices.Contains(Reasons(), r) {
		return Credential{}, fmt.Errorf("%w: %q", ErrReason, clip(string(r)))
	}
	if !ValidID(id) {
		return Credential{}, fmt.Errorf("%w: %q is not a credential id", ErrNoCredential, clip(id))
	}
	kind := map[State]audit.Kind{
		Revoked: audit.CredentialRevoked, Suspended: audit.CredentialSuspended, Active: audit.CredentialResumed,
	}[to]
	var c Credential
	err := s.cfg.Store.Write(ctx, func(tx Tx) error {
		at := s.now()
		events, err := s.changeWhole(tx, id, to, r, at, kind, actor)
		if err != nil {
			return err
		}
		if c = events.whole; c.PartOf != "" {
			return fmt.Errorf("%w: change %s, which it belongs to", ErrPart, c.PartOf)
		}
		return tx.Append(events.entries)
	})
	if err != nil {
		return Credential{}, fmt.Errorf("change %s to %s: %w", id, to, err)
	}
	return c, nil
}

// changes are what a change did, in the order in which it was done.
type changes struct {
	whole   Credential
	entries []audit.Event
}

// changeWhole changes a credential together with its parts. No part is in force
// without its credential, so they are ended first and resumed last; a part that is
// on its way up the ladder is not in force, and ends only for good.
func (s *Service) changeWhole(tx Tx, id string, to State, r Reason, at time.Time, kind audit.Kind, actor string) (changes, error) {
	var done changes
	change := func(id string) (Credential, error) {
		c, err := tx.Change(id, to, r, at)
		if err == nil {
			done.entries = append(done.entries, event(kind, actor, at, c))
		}
		return c, err
	}
	parts, err := tx.Parts(id)
	if err != nil {
		return done, err
	}
	if to == Active {
		if done.whole, err = change(id); err != nil {
			return done, err
		}
	}
	for _, p := range parts {
		if p.State == to || p.State == Intended && to != Revoked {
			continue
		}
		if _, err := change(p.ID); err != nil {
			return done, fmt.Errorf("part %s: %w", p.ID, err)
		}
	}
	if to != Active {
		done.whole, err = change(id)
	}
	return done, err
}

// sweepChunk is how many leftovers are cleared in one transaction.
const sweepChunk = 500

// Sweep revokes what crashes left behind: every credential that was intended by a
// process that is gone and never marked as signed. It may or may not have been
// signed; its slots are never used again. It returns what it revoked, for the
// operator.
//
// Call it when the program starts. Processes that are alive are left alone; should
// one of them be taken for gone, since its connection to the database broke, then
// its credential is revoked, Complete refuses it, and nothing is released.
func (s *Service) Sweep(ctx context.Context) ([]Credential, error) {
	return s.sweep(ctx, Query{State: Intended, Abandoned: true})
}

func (s *Service) sweep(ctx context.Context, q Query) ([]Credential, error) {
	var swept []Credential
	for q.Limit = sweepChunk; ; {
		var left []Credential
		for c, err := range s.cfg.Store.Find(ctx, q) {
			if err != nil {
				return swept, fmt.Errorf("find leftovers: %w", err)
			}
			left = append(left, c)
		}
		if len(left) == 0 {
			return swept, nil
		}
		err := s.abandon(ctx, left)
		if errors.Is(err, ErrState) || errors.Is(err, ErrFinal) {
			continue // one of them was moved on meanwhile: look again
		}
		if err != nil {
			return swept, err
		}
		s.cfg.Crash(PointSwept)
		swept = append(swept, left...)
	}
}

// abandon revokes intended credentials that will never be released, all or, if
// one of them is no longer intended, none.
func (s *Service) abandon(ctx context.Context, left []Credential) error {
	err := s.cfg.Store.Write(ctx, func(tx Tx) error {
		events := make([]audit.Event, len(left))
		at := s.now()
		for i := range left {
			c, err := tx.Change(left[i].ID, Revoked, Leftover, later(at, left[i].IssuedAt))
			if err != nil {
				return fmt.Errorf("revoke leftover %s: %w", left[i].ID, err)
			}
			left[i] = c
			events[i] = event(audit.CredentialLeftover, "sweeper", at, c)
		}
		return tx.Append(events)
	})
	if err != nil {
		return fmt.Errorf("clear leftovers: %w", err)
	}
	return nil
}

// clear revokes a credential whose issuance failed after its intent may have
// been stored. What it cannot clear the next Sweep does.
func (s *Service) clear(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	ctx = detached(ctx)
	c, err := s.cfg.Store.Credential(ctx, id)
	switch {
	case errors.Is(err, ErrNoCredential):
		return nil
	case err != nil:
		return fmt.Errorf("credential %s is left behind: %w", id, err)
	case c.State != Intended:
		return nil
	}
	return s.abandon(ctx, []Credential{c})
}
