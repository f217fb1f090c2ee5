package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"github.com/sanad-id/sanad/issuance"
)

// AddChunks implements [issuance.ChunkTx].
func (t *tx) AddChunks(batch string, chunks []issuance.Chunk) error {
	b, no, err := t.batch(batch)
	switch {
	case err != nil:
		return err
	case b.Shared == "" || b.State == issuance.BatchFinished:
		return t.lose(fmt.Errorf("add chunks to batch %.40q: %w", batch, issuance.ErrMoved))
	}
	number, first, err := t.nextChunk(no)
	if err != nil {
		return fmt.Errorf("add chunks to batch %.40q: %w", batch, err)
	}
	for _, c := range chunks {
		switch {
		case number < 0 || c.Number != number || c.First != first:
			return t.lose(fmt.Errorf("add chunk %d to batch %.40q: %w", c.Number, batch, issuance.ErrMoved))
		case c.Rows <= 0 || len(c.Start) > 1<<16:
			return t.lose(fmt.Errorf("store: chunk %d has %d rows and a start of %d bytes", c.Number, c.Rows, len(c.Start)))
		}
		if number, first = number+1, first+int64(c.Rows); c.Last {
			number = -1
		}
	}
	_, err = t.insert(intoChunk, len(chunks), func(i int, v values) {
		c := &chunks[i]
		last := int64(0)
		if c.Last {
			last = 1
		}
		v.set(no, c.Number, c.First, int64(c.Rows), c.Start, last)
	})
	if err != nil {
		return fmt.Errorf("add chunks to batch %.40q: %w", batch, err)
	}
	numbers := make([]int64, len(chunks))
	for i := range chunks {
		numbers[i] = chunks[i].Number
	}
	return t.lineUp(batch, numbers)
}

// nextChunk returns the number and the first row that the next chunk of a batch
// must have; the number is negative after the last.
func (t *tx) nextChunk(no int64) (number, first int64, err error) {
	var rows, last int64
	ok, err := t.row(selectLastChunk, []any{no}, &number, &first, &rows, &last)
	switch {
	case err != nil:
		return 0, 0, err
	case !ok:
		return 0, 1, nil
	case last == 1:
		return -1, 0, nil
	}
	return number + 1, first + rows, nil
}

// ClaimChunk implements [issuance.ChunkTx].
func (t *tx) ClaimChunk(batch string, number int64, folder string) (issuance.Chunk, error) {
	c := issuance.Chunk{Batch: batch, Number: number, Folder: folder}
	if folder == "" || len(folder) > 128 {
		return c, t.lose(errors.New("store: a chunk is claimed for a folder with an id of at most 128 bytes"))
	}
	no, err := t.batchNo(batch)
	if err != nil {
		return c, t.lose(err)
	}
	var last int64
	ok, err := t.row(updateClaim, []any{no, number, folder}, &c.First, &c.Rows, &c.Start, &last, &c.Claim)
	if err != nil {
		return c, fmt.Errorf("claim chunk %d of batch %.40q: %w", number, batch, err)
	}
	if !ok {
		return c, t.lose(fmt.Errorf("claim chunk %d of batch %.40q: %w", number, batch, issuance.ErrMoved))
	}
	c.Last = last == 1
	return c, nil
}

// HoldChunk implements [issuance.ChunkTx].
func (t *tx) HoldChunk(c issuance.Chunk) error {
	no, err := t.batchNo(c.Batch)
	if err != nil {
		return t.lose(err)
	}
	var n int64
	if _, err := t.row(existsClaim, []any{no, c.Number, c.Claim}, &n); err != nil {
		return fmt.Errorf("hold chunk %d of batch %.40q: %w", c.Number, c.Batch, err)
	}
	if n != 1 {
		return t.lose(fmt.Errorf("chunk %d of batch %.40q: %w", c.Number, c.Batch, issuance.ErrMoved))
	}
	return nil
}

// FinishChunk implements [issuance.ChunkTx].
func (t *tx) FinishChunk(c issuance.Chunk) (issuance.Batch, error) {
	b, no, err := t.batch(c.Batch)
	if err != nil {
		return b, t.lose(err)
	}
	var rows int64
	ok, err := t.row(updateDone, []any{no, c.Number, c.Claim, c.Manifest, c.Issued, c.Failed, c.Skipped, fromTime(c.Done)}, &rows)
	switch {
	case err != nil:
		return b, fmt.Errorf("finish chunk %d of batch %.40q: %w", c.Number, c.Batch, err)
	case !ok:
		return b, t.lose(fmt.Errorf("finish chunk %d of batch %.40q: %w", c.Number, c.Batch, issuance.ErrMoved))
	}
	b.Chunks++
	b.Rows += rows
	b.Issued += c.Issued
	b.Failed += c.Failed
	b.Skipped += c.Skipped
	if c.Done.After(b.Changed) {
		b.Changed = c.Done
	}
	var all int64
	if _, err := t.row(existsLastDone, []any{no, b.Chunks}, &all); err != nil {
		return b, fmt.Errorf("finish chunk %d of batch %.40q: %w", c.Number, c.Batch, err)
	}
	if all == 1 { // the last one's number is below the number of those done
		b.State = issuance.BatchFinished
	}
	return b, t.SaveBatch(b)
}

// Chunks implements [issuance.Store]. It reads page by page.
func (db *DB) Chunks(ctx context.Context, batch string) iter.Seq2[issuance.Chunk, error] {
	return func(yield func(issuance.Chunk, error) bool) {
		for after := int64(-1); ; {
			var page []issuance.Chunk
			err := db.read(ctx, selectChunks, []any{batch, after}, func(scan func(...any) error) error {
				c := issuance.Chunk{Batch: batch}
				var last int64
				var done sql.NullInt64
				err := scan(&c.Number, &c.First, &c.Rows, &last, &c.Claim, &c.Folder, &c.Manifest, &c.Issued, &c.Failed, &c.Skipped, &done)
				c.Last, c.Done = last == 1, toTime(done.Int64)
				page = append(page, c)
				return storeError(err)
			})
			if err != nil {
				yield(issuance.Chunk{}, fmt.Errorf("chunks: %w", err))
				return
			}
			for _, c := range page {
				if !yield(c, nil) {
					return
				}
			}
			if len(page) == 0 {
				return
			}
			after = page[len(page)-1].Number
		}
	}
}

// openChunks returns the numbers of the first chunks after one that are not done,
// at most a thousand.
func (db *DB) openChunks(ctx context.Context, batch string, after int64) ([]int64, error) {
	var open []int64
	err := db.read(ctx, selectOpenChunks, []any{batch, after}, func(scan func(...any) error) error {
		var n int64
		err := scan(&n)
		open = append(open, n)
		return storeError(err)
	})
	if err != nil {
		return nil, fmt.Errorf("open chunks: %w", err)
	}
	return open, nil
}
