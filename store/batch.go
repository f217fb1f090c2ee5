package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanad-id/sanad/issuance"
)

// SaveBatch implements [issuance.Tx].
func (t *tx) SaveBatch(b issuance.Batch) error {
	if b.ID == "" || len(b.ID) > 128 || len(b.Source) > 1024 {
		return t.lose(errors.New("store: a batch needs an id of at most 128 bytes and a source of at most 1 KiB"))
	}
	if b.State != issuance.BatchRunning && b.State != issuance.BatchFinished {
		return t.lose(fmt.Errorf("store: batch %.40q in the state %.20q", b.ID, b.State))
	}
	old, no, err := t.batch(b.ID)
	switch {
	case errors.Is(err, issuance.ErrNoBatch) && b.Chunks == 0:
		return t.newBatch(b)
	case errors.Is(err, issuance.ErrNoBatch):
		return t.lose(fmt.Errorf("batch %.40q is not stored: %w", b.ID, issuance.ErrMoved))
	case err != nil:
		return err
	case !follows(old, b):
		return t.lose(fmt.Errorf("batch %.40q: %w", b.ID, issuance.ErrMoved))
	}
	err = t.run(updateBatch, no, string(b.State), fromTime(b.Changed), b.Chunks, b.Rows, b.Issued, b.Failed, b.Skipped, b.Manifest)
	if err != nil {
		return fmt.Errorf("save batch: %w", err)
	}
	return nil
}

func (t *tx) newBatch(b issuance.Batch) error {
	programme, err := t.versionNo(b.Programme, b.Version)
	if err != nil {
		return t.lose(err)
	}
	err = t.run(insertBatch, b.ID, programme, b.Version, b.Source, string(b.State), fromTime(b.Started), fromTime(b.Changed),
		b.Chunks, b.Rows, b.Issued, b.Failed, b.Skipped, b.Manifest, b.Shared)
	if err != nil {
		return fmt.Errorf("save batch: %w", err)
	}
	return nil
}

// follows reports whether b may take the place of old.
func follows(old, b issuance.Batch) bool {
	return old.State == issuance.BatchRunning && b.Programme == old.Programme && b.Version == old.Version && b.Source == old.Source && b.Shared == old.Shared &&
		fromTime(b.Started) == fromTime(old.Started) && (b.Chunks == old.Chunks || b.Chunks == old.Chunks+1) &&
		b.Rows >= old.Rows && b.Issued >= old.Issued && b.Failed >= old.Failed && b.Skipped >= old.Skipped && b.Manifest >= old.Manifest
}

// batch reads one batch and its number within the transaction.
func (t *tx) batch(id string) (issuance.Batch, int64, error) {
	var b issuance.Batch
	var no, started, changed int64
	ok, err := t.row(selectBatch, []any{id}, batchColumns(&b, &no, &started, &changed)...)
	if err != nil {
		return b, 0, fmt.Errorf("batch: %w", err)
	}
	if !ok {
		return b, 0, fmt.Errorf("batch %.40q: %w", id, issuance.ErrNoBatch)
	}
	b.Started, b.Changed = toTime(started), toTime(changed)
	return b, no, nil
}

// Batch implements [issuance.Store].
func (db *DB) Batch(ctx context.Context, id string) (issuance.Batch, error) {
	var b issuance.Batch
	var no, started, changed int64
	err := db.read(ctx, selectBatch, []any{id}, func(scan func(...any) error) error {
		return storeError(scan(batchColumns(&b, &no, &started, &changed)...))
	})
	if err != nil {
		return issuance.Batch{}, fmt.Errorf("batch: %w", err)
	}
	if no == 0 {
		return issuance.Batch{}, fmt.Errorf("batch %.40q: %w", id, issuance.ErrNoBatch)
	}
	b.Started, b.Changed = toTime(started), toTime(changed)
	return b, nil
}

func batchColumns(b *issuance.Batch, no, started, changed *int64) []any {
	return []any{
		no, &b.ID, &b.Programme, &b.Version, &b.Source, &b.Shared, &b.State, started, changed,
		&b.Chunks, &b.Rows, &b.Issued, &b.Failed, &b.Skipped, &b.Manifest,
	}
}

// batchNo returns the number of a stored batch.
func (t *tx) batchNo(id string) (int64, error) {
	if no, ok := t.db.names.batches[id]; ok {
		return no, nil
	}
	var no int64
	ok, err := t.row(selectBatchNo, []any{id}, &no)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, fmt.Errorf("batch %.40q: %w", id, issuance.ErrNoBatch)
	}
	// A process works on few batches, so that this does not grow.
	t.db.names.batches = map[string]int64{id: no}
	return no, nil
}
