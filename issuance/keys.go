package issuance

import (
	"context"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/keys"
)

// The keystore and the audit log are two places that cannot change in one step.
// So each change to a key is written to the log first as "requested" and, when
// the keystore has it, as "done"; a request that is never done shows that
// somebody tried.

// journal appends events to the audit log.
func (s *Service) journal(ctx context.Context, events ...audit.Event) error {
	return s.cfg.Store.Write(ctx, func(tx Tx) error { return tx.Append(events) })
}

func (s *Service) keyEvent(kind audit.Kind, p keys.Purpose, actor, detail string) audit.Event {
	return audit.Event{Time: s.now(), Kind: kind, Actor: actor, Detail: fmt.Sprintf("%s: %s", p, detail)}
}

// FirstKey makes the first key of a purpose and activates it, for a new issuer.
// It returns [keys.ErrTransition] if the purpose has a key.
func (s *Service) FirstKey(ctx context.Context, spec keys.Spec, actor string) (keys.Key, error) {
	if spec.Created.IsZero() {
		spec.Created = s.now()
	}
	if err := s.journal(ctx, s.keyEvent(audit.KeyGenerated, spec.Purpose, actor, "requested")); err != nil {
		return keys.Key{}, fmt.Errorf("make the first %s key: %w", spec.Purpose, err)
	}
	k, err := keys.Bootstrap(ctx, s.cfg.Keys, spec)
	if err != nil {
		return keys.Key{}, fmt.Errorf("make the first %s key: %w", spec.Purpose, err)
	}
	made := s.keyEvent(audit.KeyGenerated, k.Purpose, actor, "done")
	active := s.keyEvent(audit.KeyActivated, k.Purpose, actor, "done")
	made.Key, active.Key = k.ID().String(), k.ID().String()
	return k, s.journal(ctx, made, active)
}

// RotateKey takes the next step of replacing the key that signs for a purpose
// (see [keys.PlanRotation]) and returns it: it makes a new key, or activates the
// one that was published at least margin ago and retires the old one. At
// [keys.StepPublish] and [keys.StepWait] it does nothing. Spec says what key to
// make; its Purpose must be set.
func (s *Service) RotateKey(ctx context.Context, spec keys.Spec, margin time.Duration, actor string) (keys.Rotation, error) {
	all, err := s.cfg.Keys.Keys(ctx)
	if err != nil {
		return keys.Rotation{}, fmt.Errorf("list keys: %w", err)
	}
	now := s.now()
	rotation, err := keys.PlanRotation(all, spec.Purpose, now, margin)
	if err != nil {
		return keys.Rotation{}, err
	}
	switch rotation.Step {
	case keys.StepGenerate:
		if spec.Created.IsZero() {
			spec.Created = now
		}
		if err := s.journal(ctx, s.keyEvent(audit.KeyGenerated, spec.Purpose, actor, "requested")); err != nil {
			return keys.Rotation{}, fmt.Errorf("rotate the %s key: %w", spec.Purpose, err)
		}
		if rotation.Next, err = s.cfg.Keys.Generate(ctx, spec); err != nil {
			return keys.Rotation{}, fmt.Errorf("rotate the %s key: %w", spec.Purpose, err)
		}
		done := s.keyEvent(audit.KeyGenerated, spec.Purpose, actor, "done")
		done.Key = rotation.Next.ID().String()
		return rotation, s.journal(ctx, done)
	case keys.StepActivate:
		for _, k := range rotation.Changes {
			kind := audit.KeyActivated
			if k.State == keys.Retired {
				kind = audit.KeyRetired
			}
			if err := s.updateKey(ctx, kind, k, "", actor); err != nil {
				return keys.Rotation{}, fmt.Errorf("rotate the %s key: %w", spec.Purpose, err)
			}
		}
	}
	return rotation, nil
}

// sinceMark stands before the time since when a key was known to others, at the
// end of the detail of its audit entry.
const sinceMark = ", since "

// updateKey writes a change of a key to the log, then to the keystore, then to
// the log again.
func (s *Service) updateKey(ctx context.Context, kind audit.Kind, k keys.Key, reason Reason, actor string) error {
	since := ""
	if kind == audit.KeyCompromised {
		since = sinceMark + k.CompromisedSince.UTC().Format(time.RFC3339)
	}
	for _, detail := range []string{"requested", "done"} {
		e := s.keyEvent(kind, k.Purpose, actor, detail+since)
		e.Key, e.Reason = k.ID().String(), string(reason)
		if err := s.journal(ctx, e); err != nil {
			return err
		}
		if detail == "requested" {
			if err := s.cfg.Keys.Update(ctx, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// key returns one of the issuer's keys.
func (s *Service) key(ctx context.Context, id keys.ID) (keys.Key, error) {
	all, err := s.cfg.Keys.Keys(ctx)
	if err != nil {
		return keys.Key{}, fmt.Errorf("list keys: %w", err)
	}
	for _, k := range all {
		if k.ID() == id {
			return k, nil
		}
	}
	return keys.Key{}, fmt.Errorf("%w: %s", keys.ErrNoKey, id)
}

// RetireKey ends the signing of an active key without a successor. What it
// signed keeps verifying.
func (s *Service) RetireKey(ctx context.Context, id keys.ID, actor string) (keys.Key, error) {
	k, err := s.key(ctx, id)
	if err != nil {
		return keys.Key{}, err
	}
	if k, err = k.Retire(s.now()); err != nil {
		return keys.Key{}, err
	}
	if err := s.updateKey(ctx, audit.KeyRetired, k, "", actor); err != nil {
		return keys.Key{}, fmt.Errorf("retire key %s: %w", id, err)
	}
	return k, nil
}

// CompromiseKey marks a key as known to others since a time. It signs no more
// from this moment on; verifiers refuse what it signed later than since once they
// have the next trust bundle. If it signs credentials all status lists are
// sealed, so that the next bundle says which slots were ever given out and a
// forged credential with another one shows.
func (s *Service) CompromiseKey(ctx context.Context, id keys.ID, since time.Time, actor string) (keys.Key, error) {
	k, err := s.key(ctx, id)
	if err != nil {
		return keys.Key{}, err
	}
	if k, err = k.Compromise(since); err != nil {
		return keys.Key{}, err
	}
	if err := s.updateKey(ctx, audit.KeyCompromised, k, KeyCompromise, actor); err != nil {
		return keys.Key{}, fmt.Errorf("mark key %s as compromised: %w", id, err)
	}
	if k.Purpose != keys.Credential {
		return k, nil
	}
	err = s.cfg.Store.Write(ctx, func(tx Tx) error {
		if err := tx.SealLists(s.now()); err != nil {
			return err
		}
		e := s.keyEvent(audit.KeyCompromised, k.Purpose, actor, "status lists sealed")
		e.Key, e.Reason = id.String(), string(KeyCompromise)
		return tx.Append([]audit.Event{e})
	})
	if err != nil {
		return k, fmt.Errorf("seal the status lists: %w", err)
	}
	return k, nil
}
