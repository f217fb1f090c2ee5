package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/staff"
)

// read notes whom the journal says something about since the backup: those that were kept
// out, those whose passkeys changed, and whose restore card did or was given.
func (p *changedPeople) read(cmd *cobra.Command, j *audit.Journal, from, to int64) error {
	for line, err := range (upTo{j, to}).Entries(cmd.Context(), from) {
		if err != nil {
			return err
		}
		_, e, err := audit.ParseEntry(line)
		if err != nil {
			return err
		}
		switch e.Kind {
		case audit.IssuerRestored:
			p.cards = append(p.cards, cardsGiven(e.Detail)...)
		case audit.OperatorIntended, audit.OperatorDone:
			p.note(e)
		}
	}
	return nil
}

// note takes in one deed. A change of a person names the proposal, and whom it is about
// behind it; older entries name the proposal only, which may be lost, so they may be about
// anybody.
func (p *changedPeople) note(e audit.Event) {
	part, _, _ := strings.Cut(e.Reason, ".")
	_, who, named := strings.Cut(e.Detail, "/")
	if strings.HasPrefix(e.Detail, "op-") {
		who, named = e.Detail, true
	}
	switch action := staff.Action(e.Reason); {
	case action == staff.ChangeOffice:
		p.all = true
	case action == staff.ChangePerson && !named:
		p.all, p.anybody = true, true
	case action == staff.ChangePerson, action == staff.SuspendPerson:
		p.some, p.barred = append(p.some, who), append(p.barred, who)
	case part == "account" && action != "account.passkey_added" && action != "account.passkey_removed":
		p.some, p.barred = append(p.some, e.Detail), append(p.barred, e.Detail)
	case part == "people", part == "account":
		p.some = append(p.some, e.Detail)
	case action == staff.HoldCard, action == "restore.card_ended":
		p.barred, p.holders = append(p.barred, e.Detail), append(p.holders, e.Detail)
	}
}

// changedPeople are those about whom the backup may be wrong.
type changedPeople struct {
	some []string
	all  bool // it is not known who
	// barred cannot agree to the restore; anybody says that it is not known who.
	barred  []string
	anybody bool
	// holders are those whose card of the backup was replaced or ended since, and cards
	// those that were given for another restore since.
	holders, cards []string
}

// may reports whether this person may agree to the restore with this card.
func (p *changedPeople) may(operator, card string) bool {
	return !p.anybody && !slices.Contains(p.barred, operator) && !slices.Contains(p.cards, card)
}

// confirmPeople keeps those out of the console about whom the backup may be wrong: who
// was removed since must not come back with it.
func (a *app) confirmPeople(cmd *cobra.Command, v *confirmView) error {
	there, err := hasPeople(a.cfg)
	if err != nil || !there {
		return err
	}
	db, err := openPeople(cmd.Context(), a.cfg)
	if err != nil {
		return err
	}
	v.Suspended, err = db.SuspendAll(cmd.Context(), v.people.some, v.people.all)
	if err == nil {
		err = db.EndRestoreCards(cmd.Context(), v.people.holders, v.people.cards)
	}
	return errors.Join(err, db.Close())
}
