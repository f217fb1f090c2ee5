package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
)

// Append implements [issuance.Tx].
func (t *tx) Append(events []audit.Event) error {
	if len(events) == 0 {
		return t.ready()
	}
	for len(events) > 0 {
		n := min(len(events), audit.MaxBlock)
		if _, err := audit.Append(&auditLog{t: t}, events[:n]); err != nil {
			return t.lose(err)
		}
		events = events[n:]
	}
	return nil
}

// An auditLog is the audit log as one transaction sees it.
type auditLog struct {
	t    *tx
	last time.Time // of the last entry, as Tail has read it
}

var _ audit.Storage = (*auditLog)(nil)

// Tail implements [audit.Storage].
func (l *auditLog) Tail() (int64, time.Time, error) {
	var size, last int64
	if _, err := l.t.row(selectTail, nil, &size, &last); err != nil {
		return 0, time.Time{}, err
	}
	l.last = toTime(last)
	return size, l.last, nil
}

type anyClock struct{}

// AnyClock returns a context for a call of [DB.Write] by somebody who has said that the
// clock is right, however far it lies ahead ([Options.ClockLead]).
func AnyClock(ctx context.Context) context.Context { return context.WithValue(ctx, anyClock{}, true) }

// checkLead refuses entries of a clock that is probably wrong. Every change has an entry,
// and everything that never goes back is dated with one.
func (l *auditLog) checkLead(at time.Time) error {
	ahead := at.Sub(l.last)
	if l.t.db.lead == 0 || l.last.IsZero() || ahead <= l.t.db.lead || l.t.outer.Value(anyClock{}) != nil {
		return nil
	}
	return fmt.Errorf("%w: it says %s, and the last thing was done at %s; if it is wrong, set it; if it is right, `issuer clock accept %s`",
		issuance.ErrClockAhead, at.UTC().Format(time.RFC3339), l.last.UTC().Format(time.RFC3339), at.UTC().Format(time.DateOnly))
}

// Hashes implements [audit.Storage].
func (l *auditLog) Hashes(places []int64) ([]audit.Hash, error) {
	hashes := make([]audit.Hash, 0, len(places))
	d := l.t.db.engine.dialect()
	err := l.t.rows(d.selectHashes, []any{d.numbers(places)}, func(scan scan) error {
		var h []byte
		if err := scan(&h); err != nil {
			return l.t.fail(storeError(err))
		}
		if len(h) != len(audit.Hash{}) {
			return l.t.lose(fmt.Errorf("store: the audit log lacks hash %d", places[len(hashes)]))
		}
		hashes = append(hashes, audit.Hash(h))
		return nil
	})
	return hashes, err
}

// Append implements [audit.Storage].
func (l *auditLog) Append(b audit.Block) error {
	if err := l.checkLead(b.Last); err != nil {
		return err
	}
	size := len(b.Entries)
	for _, e := range b.Entries {
		size += len(e)
	}
	var text strings.Builder
	text.Grow(size)
	for _, e := range b.Entries {
		text.Write(e)
		text.WriteByte('\n')
	}
	if l.t.db.journal != nil {
		if len(l.t.entries) == 0 {
			l.t.first = b.First
		}
		l.t.entries = append(l.t.entries, b.Entries...)
	}
	if err := l.t.run(insertBlock, b.First, len(b.Entries), fromTime(b.Last), text.String()); err != nil {
		return err
	}
	hashes := make([]byte, 0, len(b.Hashes)*len(audit.Hash{}))
	for i := range b.Hashes {
		hashes = append(hashes, b.Hashes[i][:]...)
	}
	return l.t.run(insertHashes, b.FirstHash, hashes)
}

// AuditSize returns how many entries the audit log has.
func (db *DB) AuditSize(ctx context.Context) (int64, error) {
	var size, last int64
	err := db.read(ctx, selectTail, nil, func(scan func(...any) error) error { return storeError(scan(&size, &last)) })
	if err != nil {
		return 0, fmt.Errorf("size of the audit log: %w", err)
	}
	return size, nil
}

// AuditLast returns when the last entry of the audit log was made; zero if there is none.
func (db *DB) AuditLast(ctx context.Context) (time.Time, error) {
	var size, last int64
	err := db.read(ctx, selectTail, nil, func(scan func(...any) error) error { return storeError(scan(&size, &last)) })
	if err != nil {
		return time.Time{}, fmt.Errorf("end of the audit log: %w", err)
	}
	return toTime(last), nil
}

// AuditEntries yields the first size entries of the audit log, in order and
// without their line breaks. An error ends the sequence, such as that there are
// fewer. It reads block by block and holds up no writer.
func (db *DB) AuditEntries(ctx context.Context, size int64) iter.Seq2[[]byte, error] {
	return db.AuditEntriesFrom(ctx, 0, size)
}

// AuditEntriesFrom is [DB.AuditEntries] without the first of them. The number must be a
// size that the log once had ([DB.AuditSize]).
func (db *DB) AuditEntriesFrom(ctx context.Context, first, size int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for first := first; first < size; {
			var count int64
			var entries string
			err := db.read(ctx, selectBlock, []any{first}, func(scan func(...any) error) error {
				return storeError(scan(&count, &entries))
			})
			if err != nil {
				yield(nil, fmt.Errorf("audit entries: %w", err))
				return
			}
			lines := int64(0)
			for line := range strings.Lines(entries) {
				if first+lines == size {
					return
				}
				if !yield([]byte(strings.TrimSuffix(line, "\n")), nil) {
					return
				}
				lines++
			}
			if count == 0 || lines != count {
				yield(nil, fmt.Errorf("store: the audit log breaks off at entry %d", first+lines))
				return
			}
			first += count
		}
	}
}

// A Checkpoint is a signed head of the audit log.
type Checkpoint struct {
	audit.Head
	SignedAt time.Time
	// Note is the checkpoint as it was signed (see [audit.OpenCheckpoint]).
	Note []byte
}

// Checkpoint signs the present head of the audit log and keeps the result. It
// calls sign with the head, inside a transaction: a log has one signed head of
// each size, and none is handed out that is not kept. If the newest checkpoint is
// of the present head it returns that one. It returns [ErrForked], and signs
// nothing, if by its stored hashes the log no longer continues its newest
// checkpoint; whether the entries are those of the hashes is for [audit.Verify].
func (db *DB) Checkpoint(ctx context.Context, at time.Time, sign func(audit.Head) ([]byte, error)) (Checkpoint, error) {
	var c Checkpoint
	err := db.Write(ctx, func(w issuance.Tx) error {
		t, ok := w.(*tx)
		if !ok {
			return errors.New("store: internal error: a transaction of another kind")
		}
		var err error
		c, err = t.checkpoint(at, sign)
		return err
	})
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	return c, nil
}

func (t *tx) checkpoint(at time.Time, sign func(audit.Head) ([]byte, error)) (Checkpoint, error) {
	var last Checkpoint
	var root []byte
	var signed int64
	had, err := t.row(selectLastCheckpoint, nil, &last.Size, &root, &signed, &last.Note)
	if err != nil {
		return Checkpoint{}, err
	}
	size, _, err := (&auditLog{t: t}).Tail()
	if err != nil {
		return Checkpoint{}, err
	}
	if had {
		copy(last.Root[:], root)
		last.SignedAt = toTime(signed)
		if size < last.Size {
			return Checkpoint{}, fmt.Errorf("%w: it had %d entries and has %d", ErrForked, last.Size, size)
		}
		then, err := audit.HeadAt(&auditLog{t: t}, last.Size)
		if err != nil {
			return Checkpoint{}, err
		}
		if then != last.Head {
			return Checkpoint{}, fmt.Errorf("%w: the first %d entries have another root", ErrForked, last.Size)
		}
		if size == last.Size {
			return last, nil
		}
	}
	head, err := audit.HeadAt(&auditLog{t: t}, size)
	if err != nil {
		return Checkpoint{}, err
	}
	note, err := sign(head)
	if err != nil {
		return Checkpoint{}, err
	}
	c := Checkpoint{Head: head, SignedAt: toTime(fromTime(at)), Note: note}
	return c, t.run(insertCheckpoint, head.Size, head.Root[:], fromTime(at), note)
}

// Checkpoints returns every checkpoint that was signed, the oldest first.
func (db *DB) Checkpoints(ctx context.Context) ([]Checkpoint, error) {
	var all []Checkpoint
	err := db.read(ctx, selectCheckpoints, nil, func(scan func(...any) error) error {
		var c Checkpoint
		var root []byte
		var signed int64
		if err := scan(&c.Size, &root, &signed, &c.Note); err != nil {
			return storeError(err)
		}
		copy(c.Root[:], root)
		c.SignedAt = toTime(signed)
		all = append(all, c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	return all, nil
}
