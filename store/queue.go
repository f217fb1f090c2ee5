package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sanad-id/sanad/issuance"
)

var _ issuance.Queue = (*DB)(nil)

// lookEvery is how often the queue looks for chunks that nobody works on.
const lookEvery = 2 * time.Second

// Work implements [issuance.Queue].
func (db *DB) Work(ctx context.Context, batch string, n int, do func(ctx context.Context, chunk int64) error) error {
	if db.readOnly {
		return errors.New("store: no work for who only reads")
	}
	if e, ok := db.engine.(*postgresEngine); ok {
		return e.workTogether(ctx, db, batch, n, do)
	}
	return db.workAlone(ctx, batch, n, do)
}

// inHand are the chunks that this process works on.
type inHand struct {
	mu     sync.Mutex
	chunks map[chunkID]bool
}

type chunkID struct {
	batch  string
	number int64
}

// take reports whether nobody in this process works on a chunk, and notes that
// somebody does from now on.
func (h *inHand) take(c chunkID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.chunks == nil {
		h.chunks = map[chunkID]bool{}
	}
	was := h.chunks[c]
	h.chunks[c] = true
	return !was
}

func (h *inHand) put(c chunkID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.chunks, c)
}

// workAlone hands out the chunks to the one process that there is.
func (db *DB) workAlone(ctx context.Context, batch string, n int, do func(ctx context.Context, chunk int64) error) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, n)
	for after := int64(-1); ctx.Err() == nil; {
		open, err := db.openChunks(ctx, batch, after)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if len(open) == 0 { // from the beginning: some may have failed, more may have been planned
			if after = -1; !pause(ctx, lookEvery) {
				return nil
			}
			continue
		}
		for _, number := range open {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			after = number
			c := chunkID{batch, number}
			if !db.inHand.take(c) {
				<-slots
				continue
			}
			wg.Go(func() {
				_ = do(context.WithoutCancel(ctx), number) // whoever calls knows; it is handed out again
				db.inHand.put(c)
				<-slots
			})
		}
	}
	return nil
}

// pause waits, and reports whether ctx still goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
