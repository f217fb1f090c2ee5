package issuance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
)

// Request asks for one credential.
type Request struct {
	// Programme is the programme to issue under, in its newest version.
	Programme string
	// Record is the registry record that it is about.
	Record registry.Record
	// Idempotency is the caller's own name for this request; optional. A second
	// request with the same one never makes a second credential.
	Idempotency string
	// Supersede revokes the credential that the record holds, if any, in the
	// same step.
	Supersede bool
	// Actor is the account of the operator, for the audit log.
	Actor string
}

// Issued is a credential that was released.
type Issued struct {
	Credential Credential
	// Part is the part of Credential that was added to it, empty if it is new.
	Part string
	// Forms are the forms that were signed: codes in the order of the programme, copies
	// of a wallet form in the order of their holder keys.
	Forms []SignedForm
	// Notes are values that the programme let be left out or simplified.
	Notes []programme.Problem
}

// A SignedForm is one signed form of a credential. It contains personal data and
// prints as its name.
type SignedForm struct {
	// Form is the name of the form in the programme.
	Form string
	// Token is the signed credential: of a code the CWT, and Text what the QR code says;
	// of a wallet form the SD-JWT with all disclosures, and Text the same.
	Token []byte
	Text  string
}

// String names the form and shows nothing of it.
func (f SignedForm) String() string { return "signed form " + f.Form }

// GoString is String.
func (f SignedForm) GoString() string { return f.String() }

// An order is what credentials are issued under.
type order struct {
	programme *programme.Programme
	key       keys.Key
	signer    keys.Signer

	actor, batch string
	supersede    bool
	joins        bool   // become a part of the credential that the record holds
	replaces     string // the one credential to supersede, or empty

	// hold is asked first in every transaction; optional. It stops who works on
	// what was given to somebody else meanwhile.
	hold func(Tx) error
}

// A candidate is one record on its way up the ladder.
type candidate struct {
	row    int64 // in its batch, from 1
	line   int   // in its source
	record Pseudonym
	// Of singles: the keyed hash of the caller's own name for the request, zero if none,
	// and the credential that the record must hold still, or empty.
	idempotency [32]byte
	follows     string

	content programme.Content
	notes   []programme.Problem
	which   []programme.Form // the forms that it gets
	codes   []*cwt.Prepared  // those of them that are codes, if they are made ready before rung 2
	holders []keys.PublicKey // of wallet forms: whom each is for
	drafts  []drafted        // one a form
	forms   []SignedForm
	cred    Credential
	held    string     // the credential to supersede, or empty
	joins   Holding    // the credential to become a part of; its ID is empty if none
	twin    *candidate // the one before it with the same record, or nil
	refused *RecordError
}

// Issue climbs the ladder for one record: it authorises and checks, stores the
// intent with slots, digests and audit entry, signs, checks its own signature,
// stores that it is signed, and only then returns the credential.
//
// It returns a [*RecordError] if the record cannot be issued for, and
// [ErrSelfCheck] if the signer failed. Of any error that comes after the intent
// was stored the credential is revoked as a [Leftover], at once or by the next
// [Service.Sweep].
func (s *Service) Issue(ctx context.Context, r Request) (Issued, error) {
	return s.issue(ctx, r, issueOptions{choose: codes})
}

// Supersede issues a new credential in place of the one with this id, which is
// revoked in the step that stores the new one's intent. It must be one of the
// same programme and record.
func (s *Service) Supersede(ctx context.Context, id string, r Request) (Issued, error) {
	old, err := s.cfg.Store.Credential(ctx, id)
	if err != nil {
		return Issued{}, fmt.Errorf("supersede %s: %w", id, err)
	}
	if old.Programme != r.Programme || old.Record != s.Pseudonym(r.Programme, r.Record.ID) {
		return Issued{}, fmt.Errorf("supersede %s: %w: it is about another record or programme", id, ErrRecord)
	}
	return s.issue(ctx, r, issueOptions{replaces: id, choose: codes})
}

// issueOptions are what the ways to issue one credential differ in.
type issueOptions struct {
	choose    choice
	programme *programme.Programme // the newest version, if it is known
	replaces  string               // the one credential to supersede, or empty
	joins     bool                 // become a part of the credential that the record holds, if any
	follows   string               // the one that the record must hold still, or empty
}

// A choice gives a candidate its forms, or refuses it.
type choice func(o *order, c *candidate)

// codes gives a candidate the codes that there are of its record.
func codes(o *order, c *candidate) {
	for _, name := range c.content.Forms() {
		f, _ := o.programme.Form(name)
		c.which = append(c.which, f)
	}
	if len(c.which) == 0 {
		c.refused = refuse(c.line, CodeLint, "no code has anything to say about the record")
	}
}

func (s *Service) issue(ctx context.Context, r Request, with issueOptions) (Issued, error) {
	// Rung 1: authorise and check.
	now := s.now()
	if err := s.cfg.MayIssue(ctx, now); err != nil {
		return Issued{}, err
	}
	o, err := s.authorise(ctx, with.programme, r.Programme, now)
	if err != nil {
		return Issued{}, err
	}
	o.actor, o.supersede, o.replaces, o.joins = r.Actor, r.Supersede, with.replaces, with.joins
	c := s.candidate(o, r.Record, now, with.choose)
	if c.refused != nil {
		return Issued{}, c.refused
	}
	c.follows = with.follows
	if r.Idempotency != "" {
		c.idempotency = keyedHash(s.idempotencySecret, r.Idempotency)
	}
	s.cfg.Crash(PointAuthorised)

	// Rung 2: the intent, durably.
	if err := s.together(ctx, &errand{o: o, c: c, now: now}); err != nil {
		return Issued{}, errors.Join(err, s.clear(ctx, c.cred.ID))
	}
	if c.refused != nil {
		return Issued{}, c.refused
	}
	s.cfg.Crash(PointIntended)
	ctx = detached(ctx)
	released := Issued{Notes: c.notes}
	if id := c.cred.PartOf; id != "" {
		if released.Credential, err = s.cfg.Store.Credential(ctx, id); err != nil {
			return Issued{}, errors.Join(fmt.Errorf("read %s: %w", id, err), s.clear(ctx, c.cred.ID))
		}
		released.Part = c.cred.ID
	}

	// Rungs 3 and 4: sign and check.
	if err := s.sign(o, c); err != nil {
		return Issued{}, errors.Join(err, s.clear(ctx, c.cred.ID))
	}
	s.cfg.Crash(PointSigned)

	// Rung 5: the mark, durably.
	if err := s.together(ctx, &errand{o: o, c: c, mark: true}); err != nil {
		return Issued{}, errors.Join(err, s.clear(ctx, c.cred.ID))
	}
	s.cfg.Crash(PointMarked)

	// Rung 6: release.
	if released.Forms = c.forms; released.Part == "" {
		released.Credential = c.cred
	}
	return released, nil
}

// authorise finds the newest version of a programme, unless p is it, and the key that may
// sign for it now.
func (s *Service) authorise(ctx context.Context, p *programme.Programme, id string, now time.Time) (*order, error) {
	if p == nil {
		var err error
		if p, err = s.Programme(ctx, id, 0); err != nil {
			return nil, err
		}
	}
	key, signer, err := s.signer(ctx, keys.Credential, now)
	if err != nil {
		return nil, err
	}
	return &order{programme: p, key: key, signer: signer}, nil
}

// signer returns the key for this purpose with its signer.
func (s *Service) signer(ctx context.Context, p keys.Purpose, now time.Time) (keys.Key, keys.Signer, error) {
	all, err := s.cfg.Keys.Keys(ctx)
	if err != nil {
		return keys.Key{}, nil, fmt.Errorf("list keys: %w", err)
	}
	key, err := keys.SigningKey(all, p, now)
	if err != nil {
		return keys.Key{}, nil, err
	}
	signer, err := s.cfg.Keys.Signer(ctx, key.ID())
	if err != nil {
		return keys.Key{}, nil, fmt.Errorf("signer of key %s: %w", key.ID(), err)
	}
	if !signer.Key().Public.Equal(key.Public) {
		return keys.Key{}, nil, fmt.Errorf("signer of key %s: %w: it holds another key", key.ID(), ErrSelfCheck)
	}
	return key, signer, keys.CheckSigner(signer, p, now)
}

// candidate maps a record to what may be issued of it.
func (s *Service) candidate(o *order, r registry.Record, now time.Time, choose choice) *candidate {
	c := &candidate{line: r.Line, record: s.Pseudonym(o.programme.ID, r.ID)}
	content, problems := o.programme.Map(r, now)
	if programme.Fatal(problems) {
		c.refused = &RecordError{Line: r.Line, Problems: worst(problems), reason: ErrRecord}
		return c
	}
	c.content, c.notes = content, problems
	choose(o, c)
	return c
}

// worst are the problems that keep a record from being issued. If the programme
// is not about the record, nothing else matters.
func worst(problems []programme.Problem) []programme.Problem {
	var fatal []programme.Problem
	for _, p := range problems {
		if p.Code == programme.CodeNotEligible {
			return []programme.Problem{p}
		}
		if p.Fatal {
			fatal = append(fatal, p)
		}
	}
	return fatal
}
