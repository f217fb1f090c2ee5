package desk

import (
	"context"
	"time"

	"github.com/sanad-id/sanad/staff"
)

const selectCard = `SELECT id, operator, salt, hash, cost, made, used, epoch, tries FROM restore_card`

func scanCard(scan func(...any) error) (c staff.RestoreCard, err error) {
	var made, used int64
	err = scan(&c.ID, &c.Operator, &c.Salt, &c.Hash, &c.Cost, &made, &used, &c.Epoch, &c.Tries)
	c.Made, c.Used = moment(made), moment(used)
	return c, err
}

func (t tx) card(where, value string) (c staff.RestoreCard, err error) {
	err = ErrNone
	e := t.each(selectCard+` WHERE `+where+` = $1`, []any{value}, func(scan func(...any) error) (e error) {
		c, e = scanCard(scan)
		err = nil
		return e
	})
	return c, orElse(e, err)
}

// SaveRestoreCard stores a card in place of the one that its operator had. It is
// [staff.ErrMayNot] for who may not have one, and [ErrExists] in the rare case that
// another card has the same id.
func (db *DB) SaveRestoreCard(ctx context.Context, c staff.RestoreCard) error {
	return db.write(ctx, func(t tx) error {
		op, err := t.operator(c.Operator)
		if err != nil {
			return err
		}
		if !op.May(staff.HoldCard, staff.None) {
			return staff.ErrMayNot
		}
		if _, err := t.exec(`DELETE FROM restore_card WHERE operator = $1`, c.Operator); err != nil {
			return err
		}
		n, err := t.exec(`INSERT INTO restore_card (id, operator, salt, hash, cost, made, used, epoch, tries)
			VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0) ON CONFLICT (id) DO NOTHING`, c.ID, c.Operator, c.Salt, c.Hash, c.Cost, milli(c.Made))
		if err != nil || n != 1 {
			return orElse(err, ErrExists)
		}
		return nil
	})
}

// RestoreCard returns the card of an operator, or [ErrNone].
func (db *DB) RestoreCard(ctx context.Context, operator string) (c staff.RestoreCard, err error) {
	err = db.read(ctx, func(t tx) (err error) {
		c, err = t.card("operator", operator)
		return err
	})
	return c, err
}

// RevokeRestoreCard ends the card of an operator, or returns [ErrNone].
func (db *DB) RevokeRestoreCard(ctx context.Context, operator string) error {
	return db.write(ctx, func(t tx) error {
		n, err := t.exec(`DELETE FROM restore_card WHERE operator = $1`, operator)
		if err != nil || n != 1 {
			return orElse(err, ErrNone)
		}
		return nil
	})
}

// NoRestore is the epoch of [DB.RestoreCards] on a day without one.
const NoRestore = 0

// RestoreCards returns the cards that were not used, or for the restore of this epoch,
// and not tried too often, with their holders.
func (db *DB) RestoreCards(ctx context.Context, epoch int64) (cards []staff.RestoreCard, holders []staff.Operator, err error) {
	err = db.read(ctx, func(t tx) error {
		cards, holders = nil, nil
		err := t.each(selectCard+` WHERE (used = 0 OR epoch = $1) AND tries < $2 ORDER BY id`, []any{epoch, staff.MaxCardTries}, func(scan func(...any) error) error {
			c, err := scanCard(scan)
			cards = append(cards, c)
			return err
		})
		for _, c := range cards {
			if err != nil {
				break
			}
			var op staff.Operator
			op, err = t.operator(c.Operator)
			holders = append(holders, op)
		}
		return err
	})
	return cards, holders, err
}

// CheckRestoreCard finds the card with this code and its holder, for the restore of this
// epoch. It returns [staff.ErrCard] or [staff.ErrCardUsed]. Wrong codes are counted
// before they are compared, and [staff.MaxCardTries] of them end a card.
//
// Whoever has given the card for this epoch already is taken as active: to confirm a
// restore suspends people, and may have broken off after that.
func (db *DB) CheckRestoreCard(ctx context.Context, code staff.CardCode, epoch int64) (c staff.RestoreCard, op staff.Operator, err error) {
	err = db.write(ctx, func(t tx) (err error) {
		n, err := t.exec(`UPDATE restore_card SET tries = tries + 1 WHERE id = $1 AND tries < $2`, code.ID(), staff.MaxCardTries)
		if err != nil || n != 1 {
			return orElse(err, staff.ErrCard)
		}
		if c, err = t.card("id", code.ID()); err != nil {
			return err
		}
		op, err = t.operator(c.Operator)
		return err
	})
	switch {
	case err != nil:
		return c, op, err
	case !c.Matches(code):
		return c, op, staff.ErrCard
	}
	err = db.write(ctx, func(t tx) error {
		_, err := t.exec(`UPDATE restore_card SET tries = 0 WHERE id = $1`, c.ID)
		return err
	})
	switch {
	case err != nil:
		return c, op, err
	case !c.Used.IsZero() && c.Epoch != epoch:
		return c, op, staff.ErrCardUsed
	case !c.Used.IsZero():
		op.Standing = staff.Active
	}
	return c, op, nil
}

// UseRestoreCards marks cards as given for the restore of an epoch: all of them, or none
// and [staff.ErrCardUsed] if one was given for another or is gone.
func (db *DB) UseRestoreCards(ctx context.Context, ids []string, epoch int64, now time.Time) error {
	return db.write(ctx, func(t tx) error {
		for _, id := range ids {
			n, err := t.exec(`UPDATE restore_card SET used = $2, epoch = $3 WHERE id = $1 AND (used = 0 OR epoch = $3)`, id, milli(now), epoch)
			if err != nil || n != 1 {
				return orElse(err, staff.ErrCardUsed)
			}
		}
		return nil
	})
}

// EndRestoreCards ends the cards of these operators and those with these ids.
func (db *DB) EndRestoreCards(ctx context.Context, operators, cards []string) error {
	return db.write(ctx, func(t tx) error {
		for query, ids := range map[string][]string{
			`DELETE FROM restore_card WHERE operator = $1`: operators, `DELETE FROM restore_card WHERE id = $1`: cards,
		} {
			for _, id := range ids {
				if _, err := t.exec(query, id); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// dropCards ends the cards of those who may not have one any more. Those that were given
// stay as a note of it.
func (t tx) dropCards() error {
	var gone []string
	err := t.each(selectOperator+` WHERE id IN (SELECT operator FROM restore_card WHERE used = 0)`, nil, func(scan func(...any) error) error {
		op, err := scanOperator(scan)
		if err == nil && !op.May(staff.HoldCard, staff.None) {
			gone = append(gone, op.ID)
		}
		return err
	})
	for _, id := range gone {
		if err != nil {
			break
		}
		_, err = t.exec(`DELETE FROM restore_card WHERE operator = $1 AND used = 0`, id)
	}
	return err
}
