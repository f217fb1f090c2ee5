package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// TestFence closes a database for work and opens it again.
func TestFence(t *testing.T) {
	db := create(t)
	fill(t, db, 3)
	if err := db.Fence(t.Context(), "no reason"); err == nil {
		t.Error("fenced for no reason")
	}
	if err := db.CheckFence(t.Context()); err != nil {
		t.Errorf("CheckFence: %v", err)
	}
	if err := db.Write(t.Context(), func(tx issuance.Tx) error { return store.BeginLog(tx) }); err == nil {
		t.Error("a new log was begun by an everyday write")
	}
	must(t, db.Fence(t.Context(), store.FenceRestored))
	if err := db.CheckFence(t.Context()); !errors.Is(err, store.ErrFenced) {
		t.Errorf("CheckFence: %v, want ErrFenced", err)
	}
	if stored, err := db.FenceStored(t.Context()); !stored || err != nil {
		t.Errorf("FenceStored: %t, %v", stored, err)
	}
	for range 2 {
		err := chunk(db, 501, 7)
		if !errors.Is(err, store.ErrFenced) || !strings.Contains(err.Error(), "restore confirm") {
			t.Errorf("Write: %v, want ErrFenced and what to do", err)
		}
		if n := count(t, db, issuance.Query{}); n != 3 {
			t.Errorf("%d credentials, want 3", n)
		}
		db = reopen(t, db) // the second time as another process
		if db.Fenced() != store.FenceRestored || db.Epoch() != 2 {
			t.Errorf("fence %q, epoch %d", db.Fenced(), db.Epoch())
		}
	}
	must(t, db.Close())
	o := options
	o.WhileFenced = true
	confirming, err := store.Open(t.Context(), db.Path(), o)
	must(t, err)
	must(t, chunk(confirming, 501, 7))
	failed := errors.New("on purpose")
	if err := confirming.Confirm(t.Context(), now, func(issuance.Tx) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("Confirm: %v", err)
	}
	if confirming.Fenced() == "" || confirming.Epoch() != 2 {
		t.Error("open after a Confirm that failed")
	}
	at := now.Add(time.Hour)
	must(t, confirming.Confirm(t.Context(), at, func(tx issuance.Tx) error {
		_, err := tx.Change(credID(501), issuance.Revoked, issuance.Leftover, now)
		return err
	}))
	must(t, confirming.Close())
	db, err = store.Open(t.Context(), db.Path(), options)
	must(t, err)
	defer db.Close() // only looked at
	if db.Fenced() != "" || db.Epoch() != 3 {
		t.Errorf("fence %q, epoch %d, want none and 3", db.Fenced(), db.Epoch())
	}
	must(t, db.Write(t.Context(), func(tx issuance.Tx) error {
		r, err := tx.TakeSlots(kind, 1)
		if r.N != 0 {
			t.Errorf("a closed list gives out %+v", r)
		}
		return errors.Join(err, tx.OpenList(issuance.List{URI: "https://office-1.example/status/2", Kind: kind, Size: 8, Opened: now}))
	}))
	lists, err := db.Lists(t.Context())
	must(t, err)
	if len(lists) != 2 || !lists[0].Closed.Equal(at) || !lists[1].Closed.IsZero() || !lists[0].Sealed.IsZero() {
		t.Errorf("the lists are %+v", lists)
	}
	for _, statement := range []string{
		`UPDATE meta SET fence = 'restored'`, `UPDATE meta SET fence = 'other', epoch = epoch + 1`, `UPDATE meta SET log_no = log_no + 1`,
		`UPDATE meta SET log_no = 0, epoch = epoch + 1`, `UPDATE meta SET timeline = -1`,
		`UPDATE status_list SET closed_at = NULL WHERE closed_at IS NOT NULL`, `UPDATE status_list SET closed_at = 5 WHERE closed_at IS NOT NULL`,
		`UPDATE status_list SET next_counter = next_counter + 1 WHERE closed_at IS NOT NULL`,
		`UPDATE writer SET started_at = 1`, `DELETE FROM writer`, `UPDATE credential SET writer_no = NULL`,
	} {
		if err := execute(t, db.Path(), statement); err == nil {
			t.Errorf("the database took %s", statement)
		}
	}
}
