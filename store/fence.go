package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/issuance"
)

// Why a database is fenced.
const (
	// FenceRestored: it was restored from a backup.
	FenceRestored = "restored"
	// FenceFailedOver: a standby took over that may lack what was confirmed.
	FenceFailedOver = "failed_over"
)

// checkFence stops a process that was left over from before a restore, and any
// process while nobody has confirmed the database.
func (t *tx) checkFence(h head) error {
	if was := t.db.epoch.Load(); h.epoch != was {
		return t.fail(&stopError{fmt.Errorf("%w: it is in epoch %d, and was in %d when it was opened; start the program again",
			ErrFenced, h.epoch, was)})
	}
	if h.fence != "" && !t.db.confirms {
		return fencedFor(h.fence)
	}
	return nil
}

func fencedFor(fence string) error {
	return fmt.Errorf("%w: %s; issuer restore confirm opens it for work again", ErrFenced, fenceReason(fence))
}

// CheckFence looks whether the database takes work now: it returns [ErrFenced] if it is
// closed or in a later epoch than when it was opened, and an error if it cannot be read.
func (db *DB) CheckFence(ctx context.Context) error {
	switch epoch, fence, err := db.lookAtFence(ctx); {
	case err != nil:
		return err
	case epoch != db.epoch.Load():
		return fmt.Errorf("%w: it is in epoch %d, and was in %d when it was opened", ErrFenced, epoch, db.epoch.Load())
	case fence != "":
		return fencedFor(fence)
	}
	return nil
}

// FenceStored reports whether the database itself says that it is closed for work, so that
// every process is kept out, whatever it is told of a standby.
func (db *DB) FenceStored(ctx context.Context) (stored bool, err error) {
	err = db.read(ctx, selectFence, nil, func(scan scan) error {
		var fence string
		err := scan(new(int64), &fence)
		stored = fence != ""
		return err
	})
	return stored, err
}

// lookAtFence reads the epoch and why the database is closed for work.
func (db *DB) lookAtFence(ctx context.Context) (epoch int64, fence string, err error) {
	err = db.read(ctx, db.engine.dialect().selectFence, nil, func(scan scan) error { return scan(&epoch, &fence) })
	return epoch, fence, err
}

// fenceReason is what fence means, for people.
func fenceReason(fence string) string {
	switch fence {
	case FenceRestored:
		return "it was restored from a backup"
	case FenceFailedOver:
		return "a standby took over, which may lack what was confirmed"
	}
	return fmt.Sprintf("%.40q", fence)
}

// Fence closes the database for work: from now on Write of every process returns
// [ErrFenced], until [DB.Confirm]. Reading goes on.
func (db *DB) Fence(ctx context.Context, why string) error {
	if why != FenceRestored && why != FenceFailedOver {
		return fmt.Errorf("store: fence: no such reason: %.40q", why)
	}
	err := db.raise(ctx, func(t *tx) error { return t.run(updateFence, why) })
	if err != nil {
		return fmt.Errorf("fence: %w", err)
	}
	db.fence = why
	return nil
}

// Confirm opens a fenced database for work in a new epoch, in which programs that
// had it open before cannot write. In the same transaction f brings it up to date
// (optional), and every list that could still give out slots is closed. The database
// must have been opened with [Options.WhileFenced].
func (db *DB) Confirm(ctx context.Context, at time.Time, f func(issuance.Tx) error) error {
	newLog := false
	err := db.raise(ctx, func(t *tx) error {
		if f != nil {
			if err := f(t); err != nil {
				return err
			}
		}
		if err := t.run(updateClosed, fromTime(at)); err != nil {
			return err
		}
		if s := db.engine.dialect().confirmTimeline; s != "" {
			if err := t.run(s); err != nil {
				return err
			}
		}
		if newLog = t.newLog; newLog {
			return t.run(updateFenceNewLog)
		}
		return t.run(updateFence, "")
	})
	if err != nil {
		return fmt.Errorf("confirm: %w", err)
	}
	db.fence = ""
	if newLog {
		db.logNo++
	}
	return nil
}

// BeginLog makes the audit log another one, with another origin, when [DB.Confirm]
// stores the transaction: entries that were lost might have been seen by others.
func BeginLog(w issuance.Tx) error {
	t, ok := w.(*tx)
	if !ok || !t.db.confirms {
		return errors.New("store: a new log begins with Confirm only")
	}
	t.newLog = true
	return nil
}

// raise runs a transaction that moves the database to the next epoch.
func (db *DB) raise(ctx context.Context, f func(*tx) error) error {
	return db.Write(ctx, func(w issuance.Tx) error {
		t, ok := w.(*tx)
		if !ok {
			return errors.New("store: internal error: a transaction of another kind")
		}
		if err := f(t); err != nil {
			return err
		}
		t.stored = func() { db.epoch.Add(1) }
		return nil
	})
}
