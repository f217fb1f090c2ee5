package issuance

import (
	"context"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"

	"github.com/sanad-id/sanad/audit"
)

// A Note is a deed of an operator that the issuer's own entries do not tell: it is
// written before the deed ([audit.OperatorIntended]) and after it.
type Note struct {
	// Kind is one of the three of operators.
	Kind audit.Kind
	// Actor is the operator's id, which says nothing about the person.
	Actor string
	// Action is a stable code, such as issue.approve.
	Action string
	// Subject is the id of what the deed is about, such as a proposal, a credential or an
	// operator; never a name or a number of the registry. Optional.
	Subject string
	// Digest is that of what was shown. Optional.
	Digest [32]byte
}

// noteID are ids that say nothing: letters, digits and a few signs, as the console,
// this package and accounts of a machine have them.
var noteID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:@/-]{0,127}$`)

// noteAction is a code.
var noteAction = regexp.MustCompile(`^[a-z][a-z0-9_.]{0,63}$`)

// Note writes an operator's deed to the audit log. If it returns an error nothing was
// written, and the deed must not be done.
func (s *Service) Note(ctx context.Context, n Note) error {
	operator := []audit.Kind{audit.OperatorIntended, audit.OperatorDone, audit.OperatorFailed}
	switch {
	case !slices.Contains(operator, n.Kind):
		return fmt.Errorf("issuance: %.40q is not a kind of note", n.Kind)
	case !noteID.MatchString(n.Actor) || !noteAction.MatchString(n.Action):
		return fmt.Errorf("issuance: a note without actor or action")
	case n.Subject != "" && !noteID.MatchString(n.Subject):
		return fmt.Errorf("issuance: the subject of a note is an id and nothing else")
	}
	e := audit.Event{Time: s.now(), Kind: n.Kind, Actor: n.Actor, Reason: n.Action, Detail: n.Subject}
	if n.Digest != [32]byte{} {
		e.Digest = hex.EncodeToString(n.Digest[:])
	}
	if err := s.journal(ctx, e); err != nil {
		return fmt.Errorf("note %s: %w", n.Action, err)
	}
	return nil
}
