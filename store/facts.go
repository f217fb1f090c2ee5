package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/audit"
)

// Facts name the moment of a snapshot.
type Facts struct {
	Instance     string
	Epoch, LogNo int64
	// Head is the head of the audit log by its stored hashes.
	Head audit.Head
	// Checkpoint is the newest signed checkpoint, nil if there is none.
	Checkpoint []byte
}

// Facts returns what names the moment of the snapshot.
func (s *Snapshot) Facts(ctx context.Context) (Facts, error) {
	f, err := s.facts(ctx)
	if err != nil {
		return f, fmt.Errorf("snapshot: %w", err)
	}
	return f, nil
}

func (s *Snapshot) facts(ctx context.Context) (Facts, error) {
	f := Facts{LogNo: 1}
	if _, err := s.conn.row(ctx, `SELECT instance_id, epoch FROM meta`, nil, &f.Instance, &f.Epoch); err != nil {
		return f, err
	}
	if s.Schema > 1 {
		if _, err := s.conn.row(ctx, `SELECT log_no FROM meta`, nil, &f.LogNo); err != nil {
			return f, err
		}
	}
	var size, last, signed, at int64
	if _, err := s.conn.row(ctx, selectTail, nil, &size, &last); err != nil {
		return f, err
	}
	var err error
	if f.Head, err = audit.HeadAt(snapshotLog{ctx, s.conn, size}, size); err != nil {
		return f, err
	}
	var root []byte
	_, err = s.conn.row(ctx, selectLastCheckpoint, nil, &signed, &root, &at, &f.Checkpoint)
	return f, err
}

// HeadAt returns the head that the audit log had with so many entries, by its
// stored hashes.
func (s *Snapshot) HeadAt(ctx context.Context, size int64) (audit.Head, error) {
	h, err := audit.HeadAt(snapshotLog{ctx, s.conn, size}, size)
	if err != nil {
		return h, fmt.Errorf("snapshot: %w", err)
	}
	return h, nil
}

// A snapshotLog is the audit log as a snapshot shows it.
type snapshotLog struct {
	ctx  context.Context //nolint:containedctx // it lives for one call
	conn moment
	size int64
}

var _ audit.Storage = snapshotLog{}

// Tail implements [audit.Storage].
func (l snapshotLog) Tail() (int64, time.Time, error) { return l.size, time.Time{}, nil }

// Hashes implements [audit.Storage].
func (l snapshotLog) Hashes(places []int64) ([]audit.Hash, error) {
	hashes := make([]audit.Hash, len(places))
	for i, p := range places {
		var h []byte
		if _, err := l.conn.row(l.ctx, selectHash, []any{p}, &h); err != nil {
			return nil, err
		}
		if len(h) != len(hashes[i]) {
			return nil, fmt.Errorf("store: the audit log lacks hash %d", p)
		}
		hashes[i] = audit.Hash(h)
	}
	return hashes, nil
}

// Append implements [audit.Storage]; nobody writes to a snapshot.
func (l snapshotLog) Append(audit.Block) error {
	return errors.New("store: a snapshot does not change")
}
