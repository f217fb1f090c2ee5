package issuance_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/sanad-id/sanad/issuance"
)

func (m *memory) Chunks(_ context.Context, batch string) iter.Seq2[issuance.Chunk, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := slices.Clone(m.chunks[batch])
	return func(yield func(issuance.Chunk, error) bool) {
		for _, c := range all {
			c.Start = nil
			if !yield(c, nil) {
				return
			}
		}
	}
}

// keepChunks remembers the chunks of a batch and returns a copy to change.
func (tx *memoryTx) keepChunks(batch string) []issuance.Chunk {
	old := tx.chunks[batch]
	tx.undo = append(tx.undo, func() { tx.chunks[batch] = old })
	tx.chunks[batch] = slices.Clone(old)
	return tx.chunks[batch]
}

func (tx *memoryTx) AddChunks(batch string, chunks []issuance.Chunk) error {
	b, ok := tx.batches[batch]
	if !ok || b.Shared == "" || b.State == issuance.BatchFinished {
		return issuance.ErrMoved
	}
	all := tx.keepChunks(batch)
	for _, c := range chunks {
		first, over := int64(1), false
		if n := len(all); n > 0 {
			first, over = all[n-1].First+int64(all[n-1].Rows), all[n-1].Last
		}
		if over || c.Number != int64(len(all)) || c.First != first || c.Rows <= 0 {
			return issuance.ErrMoved
		}
		all = append(all, c)
	}
	tx.chunks[batch] = all
	return nil
}

func (tx *memoryTx) ClaimChunk(batch string, number int64, folder string) (issuance.Chunk, error) {
	all := tx.keepChunks(batch)
	if number < 0 || number >= int64(len(all)) || !all[number].Done.IsZero() {
		return issuance.Chunk{}, issuance.ErrMoved
	}
	all[number].Claim++
	all[number].Folder = folder
	return all[number], nil
}

func (tx *memoryTx) HoldChunk(c issuance.Chunk) error {
	all := tx.chunks[c.Batch]
	if c.Number >= int64(len(all)) || all[c.Number].Claim != c.Claim || !all[c.Number].Done.IsZero() {
		return issuance.ErrMoved
	}
	return nil
}

func (tx *memoryTx) FinishChunk(c issuance.Chunk) (issuance.Batch, error) {
	if err := tx.HoldChunk(c); err != nil {
		return issuance.Batch{}, err
	}
	all := tx.keepChunks(c.Batch)
	k := &all[c.Number]
	k.Manifest, k.Issued, k.Failed, k.Skipped, k.Done = c.Manifest, c.Issued, c.Failed, c.Skipped, c.Done
	b := tx.batches[c.Batch]
	b.Chunks++
	b.Rows += int64(k.Rows)
	b.Issued, b.Failed, b.Skipped = b.Issued+c.Issued, b.Failed+c.Failed, b.Skipped+c.Skipped
	if last := all[len(all)-1]; last.Last && b.Chunks == int64(len(all)) {
		b.State = issuance.BatchFinished
	}
	return b, tx.SaveBatch(b)
}

// Work hands out chunks that nobody has. Every third one it hands out twice, as
// a queue may.
func (m *memory) Work(ctx context.Context, batch string, n int, do func(context.Context, int64) error) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, n)
	for ctx.Err() == nil {
		for c := range m.Chunks(ctx, batch) {
			most := 1
			if c.Number%3 == 1 && c.Claim < 3 {
				most = 2
			}
			for range most {
				if !c.Done.IsZero() || !m.hand(batch, c.Number, most) {
					continue
				}
				select {
				case slots <- struct{}{}:
				case <-ctx.Done():
					m.back(batch, c.Number)
					return nil
				}
				wg.Go(func() {
					_ = do(context.WithoutCancel(ctx), c.Number)
					m.back(batch, c.Number)
					<-slots
				})
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return nil
}

func (m *memory) hand(batch string, number int64, most int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := fmt.Sprint(batch, number)
	if m.handed[k] >= most {
		return false
	}
	m.handed[k]++
	return true
}

func (m *memory) back(batch string, number int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handed[fmt.Sprint(batch, number)]--
}
