package storetest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/issuance"
)

func newShared(id string) issuance.Batch {
	b := newBatch(id)
	b.Shared = "text; supersede false; chunks of 10"
	return b
}

func newChunk(batch string, number int64, last bool) issuance.Chunk {
	return issuance.Chunk{
		Batch: batch, Number: number, First: 10*number + 1, Rows: 10, Start: []byte{1, 2, byte(number)}, Last: last,
	}
}

func testChunks(t *testing.T, sub Subject) {
	s := office(t, sub)
	add := func(batch string, chunks ...issuance.Chunk) error {
		return s.Write(t.Context(), func(tx issuance.Tx) error { return tx.AddChunks(batch, chunks) })
	}
	claim := func(number int64, folder string) (c issuance.Chunk, err error) {
		err = s.Write(t.Context(), func(tx issuance.Tx) error { c, err = tx.ClaimChunk("shared", number, folder); return err })
		return c, err
	}
	hold := func(c issuance.Chunk) error {
		return s.Write(t.Context(), func(tx issuance.Tx) error { return tx.HoldChunk(c) })
	}
	finish := func(c issuance.Chunk) (b issuance.Batch, err error) {
		err = s.Write(t.Context(), func(tx issuance.Tx) error { b, err = tx.FinishChunk(c); return err })
		return b, err
	}
	write(t, s, func(tx issuance.Tx) error {
		if err := tx.SaveBatch(newBatch("alone")); err != nil {
			return err
		}
		return tx.SaveBatch(newShared("shared"))
	})
	stored, err := s.Batch(t.Context(), "shared")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Batch", stored, newShared("shared"))
	other := stored
	other.Shared = "something else"
	wantErr(t, "other terms", s.Write(t.Context(), func(tx issuance.Tx) error { return tx.SaveBatch(other) }), issuance.ErrMoved)

	gap := newChunk("shared", 0, false)
	gap.First = 2
	for name, err := range map[string]error{
		"a batch of one process": add("alone", newChunk("alone", 0, false)),
		"not the first":          add("shared", newChunk("shared", 1, false)),
		"a gap before it":        add("shared", gap),
		"one after the last":     add("shared", newChunk("shared", 0, true), newChunk("shared", 1, false)),
		"the same twice":         add("shared", newChunk("shared", 0, false), newChunk("shared", 0, false)),
	} {
		wantErr(t, name, err, issuance.ErrMoved)
	}
	wantErr(t, "no such batch", add("none", newChunk("none", 0, false)), issuance.ErrNoBatch)
	_, err = claim(0, "folder-1")
	wantErr(t, "no such chunk", err, issuance.ErrMoved)
	if err := add("shared", newChunk("shared", 0, false), newChunk("shared", 1, false)); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "planned by somebody else meanwhile", add("shared", newChunk("shared", 1, false)), issuance.ErrMoved)
	if err := add("shared", newChunk("shared", 2, true)); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "after the last", add("shared", newChunk("shared", 3, false)), issuance.ErrMoved)

	first, err := claim(1, "folder-1")
	if err != nil {
		t.Fatal(err)
	}
	want := newChunk("shared", 1, false)
	want.Claim, want.Folder = 1, "folder-1"
	same(t, "ClaimChunk", first, want)
	second, err := claim(1, "folder-2")
	if err != nil || second.Claim != 2 {
		t.Fatalf("the second claim: %+v, %v", second, err)
	}
	wantErr(t, "DB-19 the first claim, after the second", hold(first), issuance.ErrMoved)
	first.Done = now
	_, err = finish(first)
	wantErr(t, "DB-19 who was taken for dead marks", err, issuance.ErrMoved)
	if err := hold(second); err != nil {
		t.Errorf("the second claim: %v", err)
	}
	second.Issued, second.Failed, second.Skipped, second.Manifest, second.Done = 7, 2, 1, 4096, now.Add(time.Minute)
	b, err := finish(second)
	if err != nil {
		t.Fatal(err)
	}
	wantBatch := newShared("shared")
	wantBatch.Chunks, wantBatch.Rows, wantBatch.Issued, wantBatch.Failed, wantBatch.Skipped = 1, 10, 7, 2, 1
	wantBatch.Changed = second.Done
	same(t, "FinishChunk", b, wantBatch)
	wantErr(t, "a chunk that is done, held", hold(second), issuance.ErrMoved)
	_, err = finish(second)
	wantErr(t, "a chunk that is done, once more", err, issuance.ErrMoved)
	_, err = claim(1, "folder-3")
	wantErr(t, "a chunk that is done, claimed", err, issuance.ErrMoved)

	for _, number := range []int64{2, 0} {
		c, err := claim(number, "folder-1")
		if err != nil {
			t.Fatal(err)
		}
		c.Issued, c.Done = 10, now
		if b, err = finish(c); err != nil {
			t.Fatal(err)
		}
	}
	if b.State != issuance.BatchFinished || b.Chunks != 3 || b.Rows != 30 || b.Issued != 27 || !b.Changed.Equal(now.Add(time.Minute)) {
		t.Errorf("the batch in the end: %+v", b)
	}
	stored, err = s.Batch(t.Context(), "shared")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Batch in the end", stored, b)
	chunks := all(t, s.Chunks(t.Context(), "shared"))
	if len(chunks) != 3 {
		t.Fatalf("%d chunks", len(chunks))
	}
	second.Start = nil
	same(t, "Chunks", chunks[1], second)
	if !chunks[2].Last || chunks[0].Last || chunks[0].Claim != 1 {
		t.Errorf("chunks: %+v", chunks)
	}
	for range s.Chunks(t.Context(), "shared") {
		break // and go on
	}
	if got := all(t, s.Chunks(t.Context(), "none")); len(got) != 0 {
		t.Errorf("chunks of no batch: %+v", got)
	}
}

// testQueue shares chunks out among several who work at once, some of whom fail.
func testQueue(t *testing.T, sub Subject) {
	s := office(t, sub)
	q, ok := s.(issuance.Queue)
	if !ok {
		t.Fatal("the store has no queue")
	}
	n := int64(count(200, 2000))
	write(t, s, func(tx issuance.Tx) error { return tx.SaveBatch(newShared("shared")) })
	plan := func(from, to int64) {
		write(t, s, func(tx issuance.Tx) error {
			var chunks []issuance.Chunk
			for i := from; i < to; i++ {
				chunks = append(chunks, newChunk("shared", i, i == n-1))
			}
			return tx.AddChunks("shared", chunks)
		})
	}
	plan(0, n/2)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var done, failed, busy, most atomic.Int64
	both := make(chan struct{}) // closed once two are at work at the same time
	var met sync.Once
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			err := q.Work(ctx, "shared", 4, func(_ context.Context, number int64) error {
				working := busy.Add(1)
				defer busy.Add(-1)
				if working > most.Load() {
					most.Store(working)
				}
				if working > 1 {
					met.Do(func() { close(both) })
				}
				// Nobody goes on alone: the first waits for another.
				select {
				case <-both:
				case <-ctx.Done():
				}
				if number%17 == 0 && failed.Add(1) < 10 {
					return context.DeadlineExceeded
				}
				return s.Write(context.WithoutCancel(ctx), func(tx issuance.Tx) error {
					c, err := tx.ClaimChunk("shared", number, "folder")
					if err != nil {
						return err
					}
					c.Issued, c.Done = 10, now
					b, err := tx.FinishChunk(c)
					if err == nil && b.State == issuance.BatchFinished {
						cancel()
					}
					return err
				})
			})
			if err != nil {
				t.Errorf("Work: %v", err)
			}
			done.Add(1)
		})
	}
	plan(n/2, n)
	wg.Wait()
	b, err := s.Batch(t.Context(), "shared")
	if err != nil || b.State != issuance.BatchFinished || b.Chunks != n || b.Issued != 10*n {
		t.Errorf("the batch: %+v, %v", b, err)
	}
	if failed.Load() < 10 || most.Load() < 2 || most.Load() > 12 {
		t.Errorf("%d failed, at most %d at once; the test tests little", failed.Load(), most.Load())
	}
}
