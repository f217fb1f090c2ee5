package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
)

const (
	existsCosignature   = `SELECT size FROM audit_cosignature WHERE size = $1 AND witness = $2`
	insertCosignature   = `INSERT INTO audit_cosignature (size, witness, note, seen_at) VALUES ($1, $2, $3, $4)`
	selectCosignatures  = `SELECT witness, note, seen_at FROM audit_cosignature WHERE size = $1 ORDER BY witness`
	selectWitnessedSize = `SELECT witness, max(size) FROM audit_cosignature GROUP BY witness`
)

// SaveCosignature keeps what a witness has signed about the checkpoint of this
// size, which must be stored ([DB.Checkpoint]). One that is kept already stays.
// Whoever calls it has checked the signature.
func (db *DB) SaveCosignature(ctx context.Context, size int64, c audit.Cosignature) error {
	err := db.Write(ctx, func(w issuance.Tx) error {
		t, ok := w.(*tx)
		if !ok {
			return errors.New("store: internal error: a transaction of another kind")
		}
		var had int64
		if ok, err := t.row(existsCosignature, []any{size, c.Witness}, &had); err != nil || ok {
			return err
		}
		return t.run(insertCosignature, size, c.Witness, c.Line, fromTime(c.Time))
	})
	if err != nil {
		return fmt.Errorf("save cosignature: %w", err)
	}
	return nil
}

// Cosignatures returns those of the checkpoint of this size.
func (db *DB) Cosignatures(ctx context.Context, size int64) ([]audit.Cosignature, error) {
	var all []audit.Cosignature
	err := db.read(ctx, selectCosignatures, []any{size}, func(scan func(...any) error) error {
		var c audit.Cosignature
		var at int64
		if err := scan(&c.Witness, &c.Line, &at); err != nil {
			return storeError(err)
		}
		c.Time = toTime(at)
		all = append(all, c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cosignatures: %w", err)
	}
	return all, nil
}

// Witnessed returns up to which entry the audit log was co-signed by at least
// quorum of these witnesses, named as in [audit.Cosignature]. It is 0 if that never
// was.
func (db *DB) Witnessed(ctx context.Context, quorum int, witnesses []string) (int64, error) {
	var sizes []int64
	err := db.read(ctx, selectWitnessedSize, nil, func(scan func(...any) error) error {
		var witness string
		var size int64
		if err := scan(&witness, &size); err != nil {
			return storeError(err)
		}
		if slices.Contains(witnesses, witness) {
			sizes = append(sizes, size)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("cosignatures: %w", err)
	}
	if quorum < 1 || len(sizes) < quorum {
		return 0, nil
	}
	slices.Sort(sizes)
	return sizes[len(sizes)-quorum], nil
}

// OldestUnwitnessed returns the time of the oldest entry of the audit log that is in
// no checkpoint which at least quorum of these witnesses have co-signed; zero if
// there is none.
func (db *DB) OldestUnwitnessed(ctx context.Context, quorum int, witnesses []string) (time.Time, error) {
	witnessed, err := db.Witnessed(ctx, quorum, witnesses)
	if err != nil {
		return time.Time{}, err
	}
	size, err := db.AuditSize(ctx)
	if err != nil || size <= witnessed {
		return time.Time{}, err
	}
	entry, err := db.auditEntry(ctx, witnessed)
	if err != nil {
		return time.Time{}, err
	}
	_, e, err := audit.ParseEntry(entry)
	if err != nil {
		return time.Time{}, fmt.Errorf("entry %d: %w", witnessed, err)
	}
	return e.Time, nil
}

// auditEntry reads entry n of the audit log.
func (db *DB) auditEntry(ctx context.Context, n int64) ([]byte, error) {
	var entry []byte
	err := db.read(ctx, selectBlockWith, []any{n}, func(scan func(...any) error) error {
		var first, count int64
		var text string
		if err := scan(&first, &count, &text); err != nil {
			return storeError(err)
		}
		at := first
		for line := range strings.Lines(text) {
			if at == n {
				entry = []byte(strings.TrimSuffix(line, "\n"))
			}
			at++
		}
		return nil
	})
	if err == nil && entry == nil {
		err = fmt.Errorf("store: the audit log breaks off at entry %d", n)
	}
	if err != nil {
		return nil, fmt.Errorf("audit entry: %w", err)
	}
	return entry, nil
}

// Growth proves that the audit log with size entries continues the one with old
// entries (see [audit.ProveGrowth]).
func (db *DB) Growth(ctx context.Context, old, size int64) ([]audit.Hash, error) {
	return audit.ProveGrowth(old, size, hashReader{ctx, db})
}

// A hashReader reads hashes of the audit log outside of a transaction. They never
// change once they are stored.
type hashReader struct {
	ctx context.Context
	db  *DB
}

// Hashes is that of [audit.Storage].
func (r hashReader) Hashes(places []int64) ([]audit.Hash, error) {
	hashes := make([]audit.Hash, len(places))
	for i, p := range places {
		found := false
		err := r.db.read(r.ctx, selectHash, []any{p}, func(scan func(...any) error) error {
			var h []byte
			if err := scan(&h); err != nil {
				return storeError(err)
			}
			found = len(h) == len(hashes[i]) && copy(hashes[i][:], h) > 0
			return nil
		})
		if err == nil && !found {
			err = fmt.Errorf("store: the audit log lacks hash %d", p)
		}
		if err != nil {
			return nil, err
		}
	}
	return hashes, nil
}
