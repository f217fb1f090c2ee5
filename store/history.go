package store

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

const selectBlockTime = `SELECT first_entry, entry_count, last_at FROM audit_block WHERE first_entry <= $1 ORDER BY first_entry DESC LIMIT 1`

// AuditEntry returns one entry of the audit log, by its number from 0.
func (db *DB) AuditEntry(ctx context.Context, n int64) ([]byte, error) { return db.auditEntry(ctx, n) }

// AuditMentions returns the entries that hold this id among so many blocks of the audit
// log: the first of them is the first one that ended at this moment or later. It takes
// some thirty small reads to find that, however long the log is.
func (db *DB) AuditMentions(ctx context.Context, id string, since time.Time, blocks int) ([][]byte, error) {
	first, err := db.blockSince(ctx, since)
	if err != nil {
		return nil, fmt.Errorf("audit entries: %w", err)
	}
	var found [][]byte
	mark := []byte(`"` + id + `"`)
	for range blocks {
		var count int64
		err := db.read(ctx, selectBlock, []any{first}, func(scan scan) error {
			var text string
			if err := storeError(scan(&count, &text)); err != nil {
				return err
			}
			for line := range bytes.Lines([]byte(text)) {
				if bytes.Contains(line, mark) {
					found = append(found, bytes.TrimSuffix(line, []byte("\n")))
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("audit entries: %w", err)
		}
		if count == 0 {
			break // the end of the log
		}
		first += count
	}
	return found, nil
}

// blockSince returns the first entry of the first block that ended at this moment or
// later; the size of the log if there is none. Blocks follow each other in time.
func (db *DB) blockSince(ctx context.Context, since time.Time) (int64, error) {
	size, err := db.AuditSize(ctx)
	if err != nil {
		return 0, err
	}
	least := fromTime(since)
	// What ends before low is too early; what begins at high is late enough.
	low, high := int64(0), size
	for low < high {
		var first, count, last int64
		err := db.read(ctx, selectBlockTime, []any{low + (high-low)/2}, func(scan scan) error { return storeError(scan(&first, &count, &last)) })
		switch {
		case err != nil:
			return 0, err
		case count == 0:
			return 0, fmt.Errorf("store: the audit log lacks entry %d", low)
		case last < least:
			low = first + count
		default:
			high = first
		}
	}
	return low, nil
}

// AuditSizeFrom returns the least size from n on that the log once had, where n is at
// most its size.
func (db *DB) AuditSizeFrom(ctx context.Context, n int64) (int64, error) {
	if n <= 0 {
		return 0, nil
	}
	var first, count, last int64
	err := db.read(ctx, selectBlockTime, []any{n - 1}, func(scan scan) error { return storeError(scan(&first, &count, &last)) })
	if err == nil && first+count < n {
		err = fmt.Errorf("store: the audit log breaks off at entry %d", first+count)
	}
	if err != nil {
		return 0, fmt.Errorf("size of the audit log: %w", err)
	}
	return first + count, nil
}
