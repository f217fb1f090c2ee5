package issuance

import (
	"context"
	"fmt"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
)

// Delivery asks for copies of a wallet form, one for each of the holder's keys.
type Delivery struct {
	// Programme is the programme to issue under, in its newest version.
	Programme string
	// Record is the registry record that it is about.
	Record registry.Record
	// Form is the wallet form. Optional if the programme has only one.
	Form string
	// Holders are the keys that the copies are bound to, one each: at least one, all
	// different, at most as many as the form allows copies. Whoever asks has proved
	// that the holder has them.
	Holders []keys.PublicKey
	// Idempotency is the caller's own name for this request; optional. A second
	// request with the same one never makes a second delivery.
	Idempotency string
	// Supersede revokes the credential that the record holds, if any, with all its
	// forms, in the same step: the phone was lost.
	Supersede bool
	// Follows is the credential that an earlier delivery to the same wallet brought, or
	// became a part of. Optional; if set, nothing is issued once that one is revoked or
	// another has taken its place: who was once allowed to fetch is not for good.
	Follows string
	// Actor is the account that asks, for the audit log.
	Actor string
}

// Deliver climbs the ladder for a wallet form: all copies, or none. Each has a key
// and a status slot of its own, so that two copies cannot be linked, and all share
// the fate of their credential.
//
// If the record holds an active credential of the programme, its paper say, the copies
// become a part of that one: they are valid no longer than it is. A crash on the way
// leaves a part that was never released, which the sweeper revokes by itself; the
// credential stays as it was.
//
// Errors are those of [Service.Issue], [ErrNoForm] and [ErrHolders]. The forms that
// it returns are the copies, in the order of Holders; they are kept nowhere. If they
// were lost on their way, another delivery makes others.
func (s *Service) Deliver(ctx context.Context, d Delivery) (*Issued, error) {
	p, err := s.recentProgramme(ctx, d.Programme)
	if err != nil {
		return nil, err
	}
	f, err := s.walletForm(p, d.Form)
	if err != nil {
		return nil, err
	}
	if err := checkHolders(f, d.Holders); err != nil {
		return nil, err
	}
	r := Request{Programme: d.Programme, Record: d.Record, Idempotency: d.Idempotency, Supersede: d.Supersede, Actor: d.Actor}
	if d.Follows != "" {
		// The programme may allow a record several; otherwise this is looked at again when
		// the intent is stored.
		old, err := s.cfg.Store.Credential(ctx, d.Follows)
		if err != nil {
			return nil, fmt.Errorf("follow %s: %w", clip(d.Follows), err)
		}
		if old.State == Revoked {
			return nil, refuseEnded(0, d.Follows)
		}
	}
	issued, err := s.issue(ctx, r, issueOptions{programme: p, choose: copies(f.Name, d.Holders), joins: true, follows: d.Follows})
	if err != nil {
		return nil, err
	}
	return &issued, nil
}

// refuseEnded is the refusal of what follows a credential that has ended.
func refuseEnded(line int, id string) *RecordError {
	return refuseHeld(line, CodeEnded, id, "what the wallet got before has ended:", ErrFinal)
}

// walletForm is the wallet form of this name; without one, the only one.
func (s *Service) walletForm(p *programme.Programme, name string) (programme.Form, error) {
	if s.cfg.URL == "" {
		return programme.Form{}, fmt.Errorf("%w: Config.URL is not set", ErrNoForm)
	}
	var found []programme.Form
	for _, f := range p.Forms {
		if f.Wallet() && (name == "" || f.Name == name) {
			found = append(found, f)
		}
	}
	switch len(found) {
	case 0:
		return programme.Form{}, fmt.Errorf("%w: programme %q, form %q", ErrNoForm, p.ID, clip(name))
	case 1:
		return found[0], nil
	}
	return programme.Form{}, fmt.Errorf("%w: programme %q has several, and none was named", ErrNoForm, p.ID)
}

func checkHolders(f programme.Form, holders []keys.PublicKey) error {
	if len(holders) == 0 || len(holders) > f.Copies {
		return fmt.Errorf("%w: %d, the form %q allows 1 to %d", ErrHolders, len(holders), f.Name, f.Copies)
	}
	seen := map[[32]byte]bool{}
	for _, k := range holders {
		switch {
		case k.IsZero():
			return fmt.Errorf("%w: one is no key", ErrHolders)
		case sampleKey(k):
			return ErrSampleKey
		case seen[k.Thumbprint()]:
			return fmt.Errorf("%w: one stands there twice", ErrHolders)
		}
		seen[k.Thumbprint()] = true
	}
	return nil
}

// copies gives a candidate a copy of a wallet form for each holder key.
func copies(name string, holders []keys.PublicKey) choice {
	return func(o *order, c *candidate) {
		f, ok := o.programme.Form(name)
		if !ok || !c.content.Makes(f) {
			c.refused = refuse(c.line, CodeLint, "the form "+name+" has nothing to say about the record")
			return
		}
		c.holders = holders
		for range holders {
			c.which = append(c.which, f)
		}
	}
}
