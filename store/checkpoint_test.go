package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// What a batch writes gets into the file while the database is open, long before the
// write-ahead log is as long as the writer lets it become.
func TestCheckpointBeside(t *testing.T) {
	db := create(t)
	fill(t, db, 0)
	size := func() int64 {
		info, err := os.Stat(db.Path())
		must(t, err)
		return info.Size()
	}
	before := size()
	const rows = 1000 // of a chunk: half as many credentials, a form each
	for first := 1; first < 9*rows/2; first += rows / 2 {
		c := newChunk(first, rows/2, 1)
		must(t, db.Write(t.Context(), c.intend))
	}
	for tries := 0; size() < before+1<<20; tries++ {
		if tries == 60_000 {
			t.Fatal("nothing was moved into the file")
		}
		time.Sleep(time.Millisecond)
	}
	must(t, db.Write(t.Context(), newChunk(5000, 10, 1).intend))
}

// A second sync that succeeds would not bring back what the first one lost.
func TestCheckpointFails(t *testing.T) {
	db, err := store.Create(t.Context(), filepath.Join(t.TempDir(), "issuer.db"), options)
	must(t, err)
	store.FailCheckpoint(db)
	write := func() error {
		return db.Write(t.Context(), func(tx issuance.Tx) error { return tx.Append(events(1)) })
	}
	if err := write(); err == nil {
		t.Error("a write after a checkpoint that failed")
	}
	if err := write(); !errors.Is(err, store.ErrBroken) {
		t.Errorf("the next write: %v", err)
	}
	if err := db.Close(); err == nil {
		t.Error("it closes as if nothing had happened")
	}
}
