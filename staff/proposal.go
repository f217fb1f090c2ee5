package staff

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// A Proposal is a deed that waits for a second person. What is shown to that person, and
// nothing else, is what is done.
type Proposal struct {
	// ID is random.
	ID string
	// Action is the deed that will be done: one whose [Rule] names a second action.
	Action Action
	// Subject says of what, as an id that means nothing to others: a work item, a key, an
	// operator.
	Subject string
	// Office is whose it is.
	Office string
	// Payload is exactly what is to be done, in the form that the deed takes it, and
	// Digest its SHA-256. Kept sealed or readable as its maker decides; at most
	// [MaxPayload] bytes.
	Payload []byte
	Digest  [sha256.Size]byte
	// Requester and Approver are operators' ids.
	Requester, Approver string
	// Made, Decided and Expires are moments in milliseconds.
	Made, Decided, Expires time.Time
	// State is Proposed, Approved, Done or Closed.
	State State
}

const (
	// MaxPayload is how long a payload can be.
	MaxPayload = 1 << 20
	// ProposalLifetime is how long a second person has, and how long an approval then
	// works.
	ProposalLifetime = 24 * time.Hour
)

// Why a proposal is not approved or carried out.
var (
	// ErrNoProposal: there is none with this id for this office.
	ErrNoProposal = errors.New("staff: no such proposal")
	// ErrOwnProposal: who asked cannot be who agrees, nor can whom it is about.
	ErrOwnProposal = errors.New("staff: somebody else has to agree")
	// ErrChangedPayload: what was shown is not what is to be done.
	ErrChangedPayload = errors.New("staff: what was shown is not what is proposed")
	// ErrProposalOver: it was used, refused, withdrawn or is too late.
	ErrProposalOver = errors.New("staff: the proposal is over")
	// ErrNotApproved: nobody agreed yet.
	ErrNotApproved = errors.New("staff: nobody has agreed yet")
	// ErrMayNot: the operator has no right to it.
	ErrMayNot = errors.New("staff: no right to do this")
)

// Propose makes a proposal. The caller stores it.
func Propose(a Action, subject string, payload []byte, by Operator, now time.Time) (Proposal, error) {
	r, ok := RuleFor(a)
	switch {
	case !ok || r.Second == "":
		return Proposal{}, fmt.Errorf("staff: %q is nothing that two persons do", a)
	case subject == "" || len(payload) > MaxPayload:
		return Proposal{}, errors.New("staff: a proposal without subject, or with too long a payload")
	case by.Standing != Active:
		return Proposal{}, ErrMayNot
	}
	now = now.UTC().Truncate(time.Millisecond)
	return Proposal{
		ID: NewID("pr"), Action: a, Subject: subject, Office: by.Office, Payload: payload, Digest: sha256.Sum256(payload), Requester: by.ID,
		Made: now, Expires: now.Add(ProposalLifetime), State: Proposed,
	}, nil
}

// CheckApprove says whether the operator may agree to p now, having been shown what has
// this digest. Of the checks the one of the office comes first, and it says what is said
// of a proposal that does not exist.
func (p *Proposal) CheckApprove(by Operator, shown [sha256.Size]byte, now time.Time) error {
	if by.Office != p.Office && !by.Is(Administrator) {
		return ErrNoProposal
	}
	r, ok := RuleFor(p.Action)
	switch {
	case !ok || !by.May(r.Second, Proposed):
		return ErrMayNot
	case p.State != Proposed || !now.Before(p.Expires):
		return ErrProposalOver
	case by.ID == p.Requester || by.ID == p.Subject:
		return ErrOwnProposal
	case sha256.Sum256(p.Payload) != p.Digest || shown != p.Digest:
		return ErrChangedPayload
	}
	return nil
}

// CheckUse says whether p can be carried out now by this operator, for what has this
// digest.
func (p *Proposal) CheckUse(by Operator, a Action, digest [sha256.Size]byte, now time.Time) error {
	if by.Office != p.Office && !by.Is(Administrator) {
		return ErrNoProposal
	}
	switch {
	case p.Action != a || !by.May(a, Approved):
		return ErrMayNot
	case p.State == Proposed && now.Before(p.Expires):
		return ErrNotApproved
	case p.State != Approved || !now.Before(p.Expires):
		return ErrProposalOver
	case p.Approver == "" || p.Approver == p.Requester:
		return ErrOwnProposal
	case digest != p.Digest:
		return ErrChangedPayload
	}
	return nil
}

// CheckClose says whether the operator may end p: who made it, or who could agree to it.
func (p *Proposal) CheckClose(by Operator) error {
	if by.Office != p.Office && !by.Is(Administrator) {
		return ErrNoProposal
	}
	r, ok := RuleFor(p.Action)
	switch {
	case !ok || by.Standing != Active || by.ID != p.Requester && !by.May(r.Second, Proposed):
		return ErrMayNot
	case p.State != Proposed && p.State != Approved:
		return ErrProposalOver
	}
	return nil
}
