package desk_test

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store/desk"
)

// card gives somebody a restore card.
func card(t *testing.T, db *desk.DB, op staff.Operator) staff.CardCode {
	t.Helper()
	text, c := staff.NewRestoreCard(op.ID, now)
	code, err := staff.ParseCardCode(text)
	must(t, err)
	c.Cost = 1 // slow once is enough; see TestRestoreCard in package staff
	c.Hash, err = pbkdf2.Key(sha256.New, strings.ReplaceAll(text, "-", ""), c.Salt, c.Cost, sha256.Size)
	must(t, err)
	must(t, db.SaveRestoreCard(t.Context(), c))
	return code
}

// guess is another code of the card with this id.
func guess(t *testing.T, id string) staff.CardCode {
	t.Helper()
	for _, last := range "0123456789ABCDEFGHJKMNPQRSTVWXYZ" {
		if code, err := staff.ParseCardCode(id + strings.Repeat("7", 20) + string(last)); err == nil {
			return code
		}
	}
	t.Fatal("no letter fits")
	return staff.CardCode{}
}

// TestRestoreCards: a card is found by its code, given once, and gone with its holder.
func TestRestoreCards(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		ctx, db := t.Context(), open(t, location)
		offices(t, db)
		const epoch = 3
		admin, head, clerk := person(t, db, "north", staff.Administrator), person(t, db, "north", staff.Head), person(t, db, "north", staff.Clerk)
		person(t, db, "north", staff.Administrator) // so that the other one is not the last
		_, c := staff.NewRestoreCard(clerk.ID, now)
		if err := db.SaveRestoreCard(ctx, c); !errors.Is(err, staff.ErrMayNot) {
			t.Errorf("a clerk has a card: %v", err)
		}
		old := card(t, db, admin)
		code, second := card(t, db, admin), card(t, db, head)
		if _, _, err := db.CheckRestoreCard(ctx, old, epoch); !errors.Is(err, staff.ErrCard) {
			t.Errorf("a card that was replaced: %v", err)
		}
		got, op, err := db.CheckRestoreCard(ctx, code, epoch)
		if err != nil || got.ID != code.ID() || op.ID != admin.ID || got.Cost != 1 || !got.Made.Equal(now) || !got.Used.IsZero() {
			t.Errorf("CheckRestoreCard: %+v, %v, %v", got, op, err)
		}
		all, holders, err := db.RestoreCards(ctx, epoch)
		if err != nil || len(all) != 2 || len(holders) != 2 || holders[0].ID != all[0].Operator {
			t.Errorf("RestoreCards: %d, %v, %v", len(all), holders, err)
		}

		// Given for one restore: for that one again, for no other.
		ids := []string{code.ID(), second.ID()}
		if err := db.UseRestoreCards(ctx, []string{code.ID(), "????"}, epoch, now); !errors.Is(err, staff.ErrCardUsed) {
			t.Errorf("with one that is not there: %v", err)
		}
		must(t, db.UseRestoreCards(ctx, ids, epoch, now))
		if err := db.UseRestoreCards(ctx, ids, epoch+1, now); !errors.Is(err, staff.ErrCardUsed) {
			t.Errorf("used for two: %v", err)
		}
		if _, _, err := db.CheckRestoreCard(ctx, code, epoch+1); !errors.Is(err, staff.ErrCardUsed) {
			t.Errorf("given twice: %v", err)
		}
		if all, _, err := db.RestoreCards(ctx, epoch+1); err != nil || len(all) != 0 {
			t.Errorf("cards after both were given: %v, %v", all, err)
		}
		if _, err := db.SuspendAll(ctx, nil, true); err != nil {
			t.Fatal(err)
		}
		if _, op, err := db.CheckRestoreCard(ctx, code, epoch); err != nil || op.Standing != staff.Active {
			t.Errorf("the same restore goes on after it suspended people: %v %v, %v", op, op.Standing, err)
		}
	})
}

// TestRestoreCardEnds: each row is something after which a card is good no more.
func TestRestoreCardEnds(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(db *desk.DB, t *testing.T, op staff.Operator) error
	}{
		{"suspended", func(db *desk.DB, t *testing.T, op staff.Operator) error {
			return db.SetStanding(t.Context(), op.ID, staff.Suspended)
		}},
		{"left", func(db *desk.DB, t *testing.T, op staff.Operator) error {
			return db.SetStanding(t.Context(), op.ID, staff.Left)
		}},
		{"another role", func(db *desk.DB, t *testing.T, op staff.Operator) error {
			return db.SetRoles(t.Context(), op.ID, "north", []staff.Role{staff.Approver})
		}},
		{"suspended by a restore", func(db *desk.DB, t *testing.T, op staff.Operator) error {
			_, err := db.SuspendAll(t.Context(), []string{op.ID}, false)
			return err
		}},
		{"all suspended by a restore", func(db *desk.DB, t *testing.T, _ staff.Operator) error {
			_, err := db.SuspendAll(t.Context(), nil, true)
			return err
		}},
		{"revoked", func(db *desk.DB, t *testing.T, op staff.Operator) error {
			return db.RevokeRestoreCard(t.Context(), op.ID)
		}},
		{"WA-19 guessed at", func(db *desk.DB, t *testing.T, op staff.Operator) error {
			c, err := db.RestoreCard(t.Context(), op.ID)
			if err != nil {
				return err
			}
			for range staff.MaxCardTries {
				if _, _, err := db.CheckRestoreCard(t.Context(), guess(t, c.ID), 1); !errors.Is(err, staff.ErrCard) {
					t.Errorf("a guess: %v", err)
				}
			}
			return nil
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			db := open(t, t.TempDir()+"/desk.db")
			offices(t, db)
			op := person(t, db, "north", staff.Head)
			person(t, db, "north", staff.Administrator)
			code := card(t, db, op)
			for range staff.MaxCardTries - 1 { // right ones are no guesses
				if _, _, err := db.CheckRestoreCard(t.Context(), code, 1); err != nil {
					t.Fatal(err)
				}
			}
			must(t, row.end(db, t, op))
			if _, _, err := db.CheckRestoreCard(t.Context(), code, 1); !errors.Is(err, staff.ErrCard) {
				t.Errorf("the card is good: %v", err)
			}
			if all, _, err := db.RestoreCards(t.Context(), 1); err != nil || len(all) != 0 {
				t.Errorf("the card is listed: %v, %v", all, err)
			}
			if err := db.UseRestoreCards(t.Context(), []string{code.ID()}, 1, now.Add(time.Hour)); row.name != "WA-19 guessed at" && !errors.Is(err, staff.ErrCardUsed) {
				t.Errorf("the card is used: %v", err)
			}
		})
	}
}
