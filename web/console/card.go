package console

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store/desk"
)

// deedCardEnded ends a card without another in its place; to make one is
// [staff.HoldCard].
const deedCardEnded staff.Action = "restore.card_ended"

func (c *Console) cardRoutes() []route {
	return []route{
		get("restore_card", "/account/restore-card", staff.HoldCard, c.cardPage),
		post("restore_card_make", "/account/restore-card", staff.HoldCard, c.makeCard),
		post("restore_card_end", "/account/restore-card/end", staff.HoldCard, c.endCard),
	}
}

// cardView is what the page of a restore card shows. Code is there once.
type cardView struct {
	Has  bool
	Card staff.RestoreCard
	Code string
}

// cardPage says what a restore card is for and whether one has one.
func (c *Console) cardPage(w http.ResponseWriter, r *request) error {
	card, err := c.cfg.Desk.RestoreCard(r.Context(), r.Operator.ID)
	if err != nil && !errors.Is(err, desk.ErrNone) {
		return away("people", err)
	}
	return c.render(w, r, http.StatusOK, "card", cardView{Has: err == nil, Card: card})
}

// cardsView is what restore cards lack.
type cardsView struct {
	// Administrator says that two people have cards, and no administrator is among them.
	Administrator bool
	// Mine says that the operator has a good card.
	Mine bool
}

// lackingCards says what the restore cards lack, to whoever may have one; nil if nothing.
// It is about all offices, since a restore is.
func (c *Console) lackingCards(r *request) (*cardsView, error) {
	if !r.Operator.May(staff.HoldCard, staff.None) {
		return nil, nil
	}
	_, holders, err := c.cfg.Desk.RestoreCards(r.Context(), desk.NoRestore)
	if err != nil {
		return nil, away("people", err)
	}
	err = staff.CheckRestorers(holders)
	if err == nil {
		return nil, nil
	}
	mine := slices.ContainsFunc(holders, func(op staff.Operator) bool { return op.ID == r.Operator.ID })
	return &cardsView{errors.Is(err, staff.ErrNoRestorer), mine}, nil
}

// makeCard makes a card, in place of the one before, and shows its code this once.
func (c *Console) makeCard(w http.ResponseWriter, r *request) error {
	if err := r.must(staff.None); err != nil {
		return err
	}
	var v cardView
	err := c.act(r, deed{Action: staff.HoldCard, Subject: r.Operator.ID}, func(ctx context.Context) error {
		err := desk.ErrExists
		for try := 0; try < 3 && errors.Is(err, desk.ErrExists); try++ { // the id of another, once in a million
			v.Code, v.Card = staff.NewRestoreCard(r.Operator.ID, c.now())
			err = c.cfg.Desk.SaveRestoreCard(ctx, v.Card)
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.render(w, r, http.StatusOK, "card", v)
}

// endCard ends one's own card.
func (c *Console) endCard(w http.ResponseWriter, r *request) error {
	if err := r.must(staff.None); err != nil {
		return err
	}
	err := c.act(r, deed{Action: deedCardEnded, Subject: r.Operator.ID}, func(ctx context.Context) error {
		return c.cfg.Desk.RevokeRestoreCard(ctx, r.Operator.ID)
	})
	if errors.Is(err, desk.ErrNone) {
		return errNotFound
	}
	if err != nil {
		return err
	}
	return c.seeOther(w, r, "/account/restore-card", "staff.card.ended")
}
