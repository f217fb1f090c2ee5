package issuance

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/registry"
)

var (
	// errLost: somebody else has the chunk.
	errLost = errors.New("issuance: the chunk was taken on by somebody else")
	// errAgain: somebody swept the chunk's credentials, taking us for dead. It
	// must be done anew.
	errAgain = errors.New("issuance: the chunk has to be done again")
	// errStopped: the run ended before the chunk's turn came.
	errStopped = errors.New("issuance: stopped before the chunk was begun")
)

const (
	// shareAhead is how many chunks a process asks for at once: one for each stage,
	// and two to wait.
	shareAhead = 8
	// planChunks is how many chunks are planned in one transaction.
	planChunks = 500
	// pollEvery is how often a process looks what the others have done.
	pollEvery = time.Second
)

// A share is a process's part in a batch that several share.
type share struct {
	folder string // the id of this process's folder
	source registry.Ranger
	seal   cipher.AEAD
	tasks  chan *task
}

// A task is a chunk that a [Queue] has handed out.
type task struct {
	number int64
	done   chan error
}

// end tells the queue what became of the chunk.
func (t *task) end(err error) {
	switch {
	case t == nil:
		return
	case errors.Is(err, errLost):
		err = nil // it is in other hands
	}
	t.done <- err
}

// runShared begins a shared batch, or takes part in it.
func (b *batchRun) runShared(ctx context.Context) (Result, error) {
	source, ok := b.r.Source.(registry.Ranger)
	switch {
	case !ok:
		return b.result, fmt.Errorf("%w: its source cannot be read in parts", ErrNotShared)
	case b.s.cfg.Queue == nil:
		return b.result, fmt.Errorf("%w: the store has no queue", ErrNotShared)
	}
	secret, err := b.s.cfg.Secret("ranges of batches")
	if err != nil {
		return b.result, fmt.Errorf("secret of ranges: %w", err)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return b.result, fmt.Errorf("issuance: internal error: %w", err)
	}
	b.share = &share{source: source, tasks: make(chan *task)}
	if b.share.seal, err = cipher.NewGCM(block); err != nil {
		return b.result, fmt.Errorf("issuance: internal error: %w", err)
	}
	err = b.openShared(ctx)
	b.result.Batch = b.batch
	if err != nil || b.result.Already {
		return b.result, err
	}
	b.r.Begun(b.id)
	err = b.plan(ctx)
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		err = nil // stopped
	case err == nil && ctx.Err() == nil:
		err = b.run(ctx)
	}
	b.result.Leftovers = int(b.leftovers.Load())
	// The others may have done more meanwhile.
	stored, e := b.s.cfg.Store.Batch(detached(ctx), b.id)
	if e != nil {
		return b.result, errors.Join(err, e)
	}
	b.result.Batch, b.result.Outcome = stored, outcome(stored)
	if err == nil && stored.State == BatchFinished {
		err = b.folder.clean()
	}
	return b.result, err
}

// sharedTerms is what all processes that share a batch must have in common.
func (r *BatchRequest) sharedTerms() string {
	return fmt.Sprintf("%s; supersede %t; chunks of %d", r.terms().Files, r.Supersede, r.Chunk)
}

// openShared begins the batch, joins it, or finds where this folder stands.
func (b *batchRun) openShared(ctx context.Context) error {
	source, err := b.r.Source.Fingerprint(ctx)
	if err != nil {
		return fmt.Errorf("fingerprint of the source: %w", err)
	}
	terms, known, err := b.folder.terms()
	if err != nil {
		return err
	}
	if known && b.r.Join != "" && terms.Batch != b.r.Join {
		return fmt.Errorf("%w: it holds a part of batch %s", ErrOtherBatch, terms.Batch)
	}
	if !known && b.r.Join == "" {
		return b.beginShared(ctx, source)
	}
	id := terms.Batch
	if !known {
		id = b.r.Join
	}
	b.batch, err = b.s.cfg.Store.Batch(ctx, id)
	switch {
	case errors.Is(err, ErrNoBatch) && known && b.r.Join == "" && b.folder.empty():
		return b.beginShared(ctx, source) // a crash came before the first transaction
	case errors.Is(err, ErrNoBatch):
		return fmt.Errorf("%w: this issuer has no batch %s", ErrOtherBatch, id)
	case err != nil:
		return fmt.Errorf("read batch %s: %w", id, err)
	case b.batch.GivenUp():
		return b.givenUp(ctx)
	case b.batch.finishedSince():
		if !known {
			return b.joinFinished()
		}
		return b.finishedSince(ctx, terms, source)
	case b.batch.Shared == "":
		return fmt.Errorf("%w: batch %s belongs to one process", ErrNotShared, id)
	case b.batch.Shared != b.r.sharedTerms():
		return fmt.Errorf("%w: it was begun as %q, this is %q", ErrOtherBatch, b.batch.Shared, b.r.sharedTerms())
	}
	if !known {
		if !b.folder.empty() {
			return fmt.Errorf("%w: %s holds the files of something else", ErrFolder, b.folder.path)
		}
		if terms, err = b.ownTerms(b.batch); err != nil {
			return err
		}
	}
	b.result = Result{Outcome: Stopped, Batch: b.batch, Resumed: known}
	if err := b.sameTerms(terms, source); err != nil {
		return b.refused(ctx, err)
	}
	if !known {
		if err := b.folder.writeTerms(terms); err != nil {
			return err
		}
	}
	return b.takePart(ctx, terms.Folder)
}

// joinFinished makes the folder of who joins a batch of which nothing is left to be done.
func (b *batchRun) joinFinished() error {
	if !b.folder.empty() {
		return fmt.Errorf("%w: %s holds the files of something else", ErrFolder, b.folder.path)
	}
	t, err := b.ownTerms(b.batch)
	if err != nil {
		return err
	}
	b.result = Result{Outcome: outcome(b.batch), Batch: b.batch, Already: true}
	if err := b.sameTerms(t, b.batch.Source); err != nil {
		return err
	}
	if err := b.folder.writeTerms(t); err != nil {
		return err
	}
	if err := b.folder.startManifest(); err != nil {
		return err
	}
	return b.folder.clean()
}

// ownTerms are the terms of a new folder of the batch.
func (b *batchRun) ownTerms(batch Batch) (terms, error) {
	id, err := newID(b.s.cfg.Rand, b.s.now())
	if err != nil {
		return terms{}, err
	}
	t := b.r.terms()
	t.Batch, t.Version, t.Source, t.Folder = batch.ID, batch.Version, batch.Source, id
	return t, nil
}

// beginShared stores a new batch. Its chunks are planned afterwards.
func (b *batchRun) beginShared(ctx context.Context, source string) error {
	if !b.folder.empty() {
		return fmt.Errorf("%w: %s holds the files of something else", ErrFolder, b.folder.path)
	}
	p, err := b.approved(ctx, source)
	if err != nil {
		return err
	}
	now := b.s.now()
	id, err := newID(b.s.cfg.Rand, now)
	if err != nil {
		return err
	}
	b.batch = Batch{
		ID: id, Programme: p.ID, Version: p.Version, Source: source, Shared: b.r.sharedTerms(), State: BatchRunning,
		Started: now, Changed: now,
	}
	t, err := b.ownTerms(b.batch)
	if err != nil {
		return err
	}
	if err := b.folder.writeTerms(t); err != nil {
		return err
	}
	if err := b.save(ctx, audit.BatchStarted); err != nil {
		return err
	}
	b.programme, b.id, b.share.folder, b.length = p, b.batch.ID, t.Folder, int64(len(manifestHeader))
	return b.folder.startManifest()
}

// takePart puts the folder into the state that the store knows of it.
func (b *batchRun) takePart(ctx context.Context, folder string) error {
	p, err := b.s.Programme(ctx, b.batch.Programme, b.batch.Version)
	if err != nil {
		return err
	}
	b.programme, b.id, b.share.folder, b.length = p, b.batch.ID, folder, int64(len(manifestHeader))
	// A transaction first: what a lost connection has left unfinished is over then.
	err = b.s.journal(ctx, audit.Event{
		Time: b.s.now(), Kind: audit.BatchResumed, Actor: b.r.Actor, Programme: p.ID, Batch: b.id,
		Detail: "folder " + folder,
	})
	if err != nil {
		return fmt.Errorf("take part in batch %s: %w", b.id, err)
	}
	if b.batch, err = b.s.cfg.Store.Batch(ctx, b.id); err != nil {
		return fmt.Errorf("read batch %s: %w", b.id, err)
	}
	done := map[int64]bool{}
	for c, err := range b.s.cfg.Store.Chunks(ctx, b.id) {
		if err != nil {
			return fmt.Errorf("read the chunks of batch %s: %w", b.id, err)
		}
		if c.Folder == folder && !c.Done.IsZero() {
			done[c.Number] = true
			b.length = max(b.length, c.Manifest)
		}
	}
	if err := b.folder.recover(func(n int64) bool { return done[n] }, b.length, b.s.cfg.Workers); err != nil {
		return err
	}
	if b.batch.State == BatchFinished {
		b.result.Already, b.result.Outcome = true, outcome(b.batch)
		return b.folder.clean()
	}
	return nil
}

// plan cuts the source into chunks, as far as nobody has done so before. Several
// processes may plan at once: each adds what is next.
func (b *batchRun) plan(ctx context.Context) error {
	for {
		last, planned, err := b.planned(ctx)
		if err != nil || last || planned < 0 {
			return err
		}
		err = b.planFrom(ctx, planned)
		if !errors.Is(err, ErrMoved) {
			return err
		}
	}
}

// planned returns how many chunks there are, and whether that is all.
func (b *batchRun) planned(ctx context.Context) (all bool, n int64, err error) {
	if b.batch.State == BatchFinished {
		return true, 0, nil
	}
	for c, err := range b.s.cfg.Store.Chunks(ctx, b.id) {
		if err != nil {
			return false, 0, fmt.Errorf("read the chunks of batch %s: %w", b.id, err)
		}
		all, n = c.Last, c.Number+1
	}
	return all, n, nil
}

func (b *batchRun) planFrom(ctx context.Context, planned int64) error {
	var waiting []Chunk
	number := int64(-1)
	add := func() error {
		if len(waiting) == 0 {
			return nil
		}
		err := b.s.cfg.Store.Write(ctx, func(tx Tx) error { return tx.AddChunks(b.id, waiting) })
		waiting = waiting[:0]
		if err != nil {
			return fmt.Errorf("plan batch %s: %w", b.id, err)
		}
		return nil
	}
	var held *Chunk // the newest, which may be the last
	for r, err := range b.share.source.Ranges(ctx, b.r.Chunk) {
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("cut the source into ranges: %w", err)
		}
		if held != nil {
			if waiting = append(waiting, *held); len(waiting) == planChunks {
				if err := add(); err != nil {
					return err
				}
			}
			held = nil
		}
		if number++; number < planned {
			continue
		}
		c := Chunk{Batch: b.id, Number: number, First: r.First, Rows: r.N}
		if c.Start, err = b.sealed(c, r.Start); err != nil {
			return err
		}
		held = &c
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case number < 0:
		// Nothing to do, which is done.
		return b.finishEmpty(ctx)
	case held == nil:
		return fmt.Errorf("%w: it has fewer records", ErrSourceChanged)
	}
	held.Last = true
	waiting = append(waiting, *held)
	return add()
}

// finishEmpty ends a batch of a source without records.
func (b *batchRun) finishEmpty(ctx context.Context) error {
	b.batch.State, b.batch.Changed = BatchFinished, later(b.s.now(), b.batch.Changed)
	return b.save(ctx, audit.BatchFinished)
}

// sealed is where a chunk begins in its source, for the store, which must not
// know record ids.
func (b *batchRun) sealed(c Chunk, m registry.Mark) ([]byte, error) {
	nonce := make([]byte, b.share.seal.NonceSize(), b.share.seal.NonceSize()+len(m)+b.share.seal.Overhead())
	if _, err := io.ReadFull(b.s.cfg.Rand, nonce); err != nil {
		return nil, fmt.Errorf("draw a nonce: %w", err)
	}
	return b.share.seal.Seal(nonce, nonce, m, c.sealedFor()), nil
}

func (b *batchRun) opened(c Chunk) (registry.Range, error) {
	n := b.share.seal.NonceSize()
	if len(c.Start) < n {
		return registry.Range{}, errors.New("issuance: the beginning of a chunk is damaged")
	}
	m, err := b.share.seal.Open(nil, c.Start[:n], c.Start[n:], c.sealedFor())
	if err != nil {
		return registry.Range{}, errors.New("issuance: the beginning of a chunk is damaged, or of another issuer")
	}
	return registry.Range{First: c.First, N: c.Rows, Start: m}, nil
}

// sealedFor binds what is sealed to its chunk.
func (c Chunk) sealedFor() []byte {
	b := []byte(c.Batch)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Number))
	b = binary.BigEndian.AppendUint64(b, uint64(c.First))
	return binary.BigEndian.AppendUint64(b, uint64(c.Rows))
}

// readShared reads the chunks that the queue hands to this process, until ctx
// ends or the batch is finished.
func (b *batchRun) readShared(ctx context.Context, out chan<- *chunk) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(quit)
		err := b.s.cfg.Queue.Work(ctx, b.id, shareAhead, func(ctx context.Context, number int64) error {
			t := &task{number: number, done: make(chan error, 1)}
			select {
			case b.share.tasks <- t:
				return <-t.done
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if err != nil && ctx.Err() == nil {
			b.fail(0, fmt.Errorf("queue of batch %s: %w", b.id, err))
		}
	})
	wg.Go(func() { b.watch(ctx) })
	defer wg.Wait()
	for turn := int64(0); ; turn++ {
		var t *task
		select {
		case t = <-b.share.tasks:
		case <-quit:
			return
		}
		if ctx.Err() != nil {
			t.end(errStopped)
			continue
		}
		c, err := b.take(ctx, t, turn)
		if err != nil {
			if !errors.Is(err, errLost) {
				b.fail(turn, err)
			}
			t.end(err)
			continue
		}
		out <- c
	}
}

// watch looks at what all processes have done together, and ends the run when
// the batch is finished.
func (b *batchRun) watch(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		stored, err := b.s.cfg.Store.Batch(ctx, b.id)
		if err == nil { // otherwise those who work will say so
			b.report(stored)
			if stored.State == BatchFinished {
				b.stop()
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// take claims a chunk, clears away what its last owner left, and reads it.
func (b *batchRun) take(ctx context.Context, t *task, turn int64) (*chunk, error) {
	ctx = detached(ctx)
	var claim Chunk
	err := b.s.cfg.Store.Write(ctx, func(tx Tx) error {
		var err error
		claim, err = tx.ClaimChunk(b.id, t.number, b.share.folder)
		return err
	})
	if errors.Is(err, ErrMoved) {
		return nil, errLost
	}
	if err != nil {
		return nil, fmt.Errorf("claim chunk %d: %w", t.number, err)
	}
	claim.Batch = b.id
	left, err := b.s.sweep(ctx, Query{Batch: b.id, State: Intended, FirstRow: claim.First, LastRow: claim.First + int64(claim.Rows) - 1})
	b.leftovers.Add(int64(len(left)))
	if err != nil {
		return nil, err
	}
	c := &chunk{number: claim.Number, turn: turn, task: t, claim: claim, first: claim.First, rows: make([]row, 0, claim.Rows)}
	r, err := b.opened(claim)
	if err != nil {
		return nil, fmt.Errorf("chunk %d: %w", t.number, err)
	}
	for record, err := range b.share.source.Range(ctx, r) {
		broken, isRow := errors.AsType[*registry.RowError](err)
		switch {
		case errors.Is(err, registry.ErrMark):
			return nil, fmt.Errorf("%w: chunk %d is not where it was", ErrSourceChanged, t.number)
		case err != nil && !isRow:
			return nil, fmt.Errorf("read chunk %d of the source: %w", t.number, err)
		}
		c.rows = append(c.rows, row{record: record, broken: broken})
	}
	if len(c.rows) != claim.Rows {
		return nil, fmt.Errorf("%w: chunk %d has %d records, it had %d", ErrSourceChanged, t.number, len(c.rows), claim.Rows)
	}
	return c, nil
}

// hold stops the chunk if somebody else has claimed it.
func (c *chunk) hold(tx Tx) error {
	err := tx.HoldChunk(c.claim)
	if errors.Is(err, ErrMoved) {
		return errLost
	}
	return err
}

// saveShared marks the chunk as done, and the batch as finished with it if it
// is the last one to be done.
func (b *batchRun) saveShared(c *chunk, manifest int64) func(Tx, time.Time) error {
	return func(tx Tx, at time.Time) error {
		k := c.claim
		k.Manifest, k.Issued, k.Failed, k.Skipped, k.Done = manifest, c.issued, c.failed, c.skipped, at
		var err error
		if c.after, err = tx.FinishChunk(k); err != nil || c.after.State != BatchFinished {
			return err
		}
		return tx.Append([]audit.Event{{
			Time: at, Kind: audit.BatchFinished, Actor: b.r.Actor, Programme: c.after.Programme, Batch: b.id, Count: int(c.after.Issued),
			Detail: fmt.Sprintf("%d chunks, %d records done, %d failed, %d skipped",
				c.after.Chunks, c.after.Rows, c.after.Failed, c.after.Skipped),
		}})
	}
}

// settleFailed decides what an error of the mark means. If the chunk is in other
// hands nothing of it is released. If nobody knows whether it was stored, the
// chunk itself tells.
func (b *batchRun) settleFailed(ctx context.Context, c *chunk, err error) error {
	switch {
	case errors.Is(err, errLost):
		return errors.Join(errLost, b.folder.dropSpool(c.number))
	case errors.Is(err, ErrFinal):
		return errors.Join(errAgain, err, b.folder.dropSpool(c.number))
	}
	var after Batch
	e := b.s.cfg.Store.Write(ctx, func(tx Tx) error {
		// A transaction of its own: it waits for one that is still under way.
		return tx.HoldChunk(c.claim)
	})
	if !errors.Is(e, ErrMoved) {
		return err // not stored, and still ours; or no decision
	}
	for k, e := range b.s.cfg.Store.Chunks(ctx, b.id) {
		if e != nil {
			return errors.Join(err, e)
		}
		if k.Number == c.number && k.Claim == c.claim.Claim && !k.Done.IsZero() {
			if after, e = b.s.cfg.Store.Batch(ctx, b.id); e != nil {
				return errors.Join(err, e)
			}
			c.after = after
			return nil
		}
	}
	return err
}
