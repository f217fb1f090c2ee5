package issuance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/programme"
)

// sign is rungs 3 and 4 for one candidate: it signs each form and checks what
// came back against the published key and the hash that was stored.
func (s *Service) sign(o *order, c *candidate) error {
	c.forms = make([]SignedForm, len(c.drafts))
	for j, d := range c.drafts {
		rec, f := &c.cred.Forms[j], c.which[j]
		signed, err := d.sign(s.cfg.Rand, o, c.cred.IssuedAt, rec.ToBeSigned)
		if err != nil {
			return fmt.Errorf("sign %s: %w", c.cred.ID, err)
		}
		if !f.Wallet() {
			if err := s.cfg.Fits(f, len(signed.Text)); err != nil {
				c.refused = refuse(c.line, programme.CodeTooBig, err.Error())
				return c.refused
			}
		}
		rec.Signed = sha256.Sum256(signed.Token)
		c.forms[j] = signed
	}
	c.drafts, c.codes, c.content = nil, nil, programme.Content{}
	return nil
}

// complete is rung 5 for the candidates that are still alive. If the store does
// not say whether it was done, it looks.
func (s *Service) complete(ctx context.Context, o *order, all []*candidate, also ...func(Tx, time.Time) error) error {
	live := alive(all)
	marks, events, at := s.marks(o, live)
	err := s.cfg.Store.Write(ctx, func(tx Tx) error {
		if err := o.held(tx); err != nil {
			return err
		}
		if len(marks) > 0 {
			if err := tx.Complete(marks, at); err != nil {
				return err
			}
			if err := tx.Append(events); err != nil {
				return err
			}
		}
		for _, f := range also {
			if err := f(tx, at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !s.completed(ctx, live) {
		return fmt.Errorf("store the mark: %w", err)
	}
	return nil
}

// marks makes candidates active as of a moment, with what the store and the audit log
// are to say of it.
func (s *Service) marks(o *order, live []*candidate) (marks []Mark, events []audit.Event, at time.Time) {
	at = s.now()
	marks = make([]Mark, len(live))
	events = make([]audit.Event, len(live))
	for i, c := range live {
		at = later(at, c.cred.IssuedAt)
		marks[i] = Mark{ID: c.cred.ID, Signed: make([][32]byte, len(c.cred.Forms))}
		for j, f := range c.cred.Forms {
			marks[i].Signed[j] = f.Signed
		}
	}
	for i, c := range live {
		c.cred.State, c.cred.Changed = Active, at
		events[i] = event(audit.CredentialSigned, o.actor, at, c.cred)
	}
	return marks, events, at
}

// completed looks whether a transaction whose end is unknown was stored after
// all. It is stored whole or not at all, so the first credential tells.
func (s *Service) completed(ctx context.Context, live []*candidate) bool {
	if len(live) == 0 {
		return false
	}
	c := live[0].cred
	stored, err := s.cfg.Store.Credential(ctx, c.ID)
	return err == nil && stored.State == Active && stored.Forms[0].Signed == c.Forms[0].Signed
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// earlier is the earlier of two last moments; zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// BelongsTo begins the detail of the entry for a part; the id of its credential
// follows.
const BelongsTo = "part of "

// InPlaceOf begins the detail of the entry for a credential that replaces
// another; the other's id follows.
const InPlaceOf = "in place of "

// IntentDetail is the detail of the entry for a credential that is a part of one, or
// replaces one; either is empty if it does not.
func IntentDetail(partOf, supersedes string) string {
	switch {
	case partOf != "":
		return BelongsTo + partOf
	case supersedes != "":
		return InPlaceOf + supersedes
	}
	return ""
}

// event is the audit event about a credential.
func event(k audit.Kind, actor string, at time.Time, c Credential) audit.Event {
	e := audit.Event{
		Time: at, Kind: k, Actor: actor, Programme: c.Programme, Credential: c.ID,
		Record: hex.EncodeToString(c.Record[:]), Batch: c.Batch, Reason: string(c.Reason),
		Key: c.Forms[0].Key.String(),
	}
	if k == audit.CredentialIntended {
		// With what follows the row can be written again from the log alone.
		e.Version, e.Row, e.Expires = c.Version, c.Row, c.Expires
		if c.Idempotency != ([32]byte{}) {
			e.Idempotency = hex.EncodeToString(c.Idempotency[:])
		}
		e.Detail = IntentDetail(c.PartOf, c.Supersedes)
	}
	digest := sha256.New()
	for _, f := range c.Forms {
		s := audit.SlotRef{URI: f.Slot.List, Index: f.Slot.Index}
		var own []byte
		switch k {
		case audit.CredentialIntended:
			own, s.Form = f.ToBeSigned[:], f.Form
		case audit.CredentialSigned:
			own = f.Signed[:]
		}
		if own != nil {
			e.Digest = hex.EncodeToString(own)
			digest.Write(own)
			if len(c.Forms) > 1 {
				s.Digest = e.Digest
			}
		}
		e.Slots = append(e.Slots, s)
	}
	if k == audit.CredentialSigned {
		// The entry of the intent says the rest; these two are most of the database.
		e.Programme, e.Record, e.Key = "", "", ""
		if len(c.Forms) == 1 {
			e.Slots = nil
		}
	}
	if e.Digest != "" && len(c.Forms) > 1 {
		// Several forms: the hash over their hashes.
		e.Digest = hex.EncodeToString(digest.Sum(nil))
	}
	return e
}
