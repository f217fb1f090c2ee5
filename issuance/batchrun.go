package issuance

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
)

// A batchRun is one run of a batch.
type batchRun struct {
	s      *Service
	r      BatchRequest
	folder *folder

	programme *programme.Programme
	id        string
	batch     Batch // the stored progress; while chunks run, settle's alone
	result    Result

	share     *share // nil unless several processes share the batch
	leftovers atomic.Int64

	begun    time.Time
	before   int64        // rows that earlier runs had done
	length   int64        // of the folder's manifest with all chunks that are marked
	laidOut  int64        // of the manifest with all chunks that are in the spool
	failedAt atomic.Int64 // turn of the earliest chunk that failed
	stop     func()       // begin no more chunks

	mu       sync.Mutex
	err      error
	reported int64
}

// A chunk is a run of the source's records on its way through the batch.
type chunk struct {
	number int64 // from 0
	turn   int64 // counts the chunks of this run; the number, unless it is shared
	task   *task // nil unless it is shared
	claim  Chunk // if it is shared
	order  *order
	now    time.Time
	first  int64 // the number of its first row, from 1
	rows   []row // nil once they are marked
	spool  spool
	codes  manifestWriter
	// counts of rows by outcome
	issued, failed, skipped int64
	records                 int64 // how many they are, once they are marked
	after                   Batch // the progress once the chunk is marked
	kept                    releasedChunk
}

// A row is one record of the source in a chunk.
type row struct {
	record    registry.Record
	broken    *registry.RowError // it could not be read
	candidate *candidate         // nil if broken
	id        string             // of the record, for the manifest
	intended  bool               // the candidate's intent is stored
	pictures  [][]byte           // a file each, in the order of forms and kinds
}

// run takes the rest of the source through the stages, one goroutine each, so
// that reading, storing and signing overlap. Chunks stay in order.
func (b *batchRun) run(ctx context.Context) error {
	b.begun, b.before = b.s.now(), b.batch.Rows
	b.failedAt.Store(math.MaxInt64)
	b.report(b.batch)
	ctx, b.stop = context.WithCancel(ctx)
	defer b.stop()
	work := detached(ctx)
	read := make(chan *chunk)
	ended := false
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(read)
		if b.share != nil {
			b.readShared(ctx, read)
		} else {
			ended = b.read(ctx, b.batch.Chunks, b.batch.Rows, read)
		}
	})
	mapped := b.stage(&wg, read, 0, func(c *chunk) error { return b.mapRecords(work, c) })
	// The stages that write take turns at the store: a chunk waits before each of the
	// others, so that these are at work while the store syncs.
	intended := b.stage(&wg, mapped, 1, func(c *chunk) error { return b.intend(work, c) })
	ahead := 1
	if b.share == nil {
		ahead = 0 // it waits in the spool
	}
	signed := b.stage(&wg, intended, ahead, b.sign)
	if b.share == nil {
		// What waits for the disk does not keep the store waiting. Of a batch that is
		// shared a chunk may be lost before its mark, so that the place of the next one in
		// the manifest is known only after it.
		b.laidOut = b.length
		signed = b.stage(&wg, signed, 0, func(c *chunk) error {
			defer func() { b.laidOut = c.end() }()
			return b.spool(c, b.laidOut)
		})
	}
	settled := b.stage(&wg, signed, 0, func(c *chunk) error { return b.settle(work, c) })
	released := b.stage(&wg, settled, 0, b.release)
	flush := make(chan releasedChunk, 2*flushChunks)
	wg.Go(func() { b.flush(flush) })
	for c := range released {
		b.report(c.after)
		b.result.Here += c.records
		if c.after.State == BatchFinished {
			b.stop()
		}
		flush <- c.kept
		c.task.end(nil)
	}
	close(flush)
	wg.Wait()
	switch {
	case b.share != nil:
		return b.err
	case b.err != nil:
		// What was intended and not marked is not going to be.
		_, err := b.s.sweep(work, Query{Batch: b.batch.ID, State: Intended})
		return errors.Join(b.err, err)
	case !ended:
		return nil // stopped
	}
	b.s.cfg.Crash(PointFinishing)
	return b.finish(work)
}

func (b *batchRun) finish(ctx context.Context) error {
	b.batch.State, b.batch.Changed = BatchFinished, later(b.s.now(), b.batch.Changed)
	if err := b.save(ctx, audit.BatchFinished); err != nil {
		b.batch.State = BatchRunning
		return err
	}
	b.result.Outcome = outcome(b.batch)
	return b.folder.clean()
}

// stage runs f on each chunk and hands it on; so many may wait to be taken over. From the first chunk on that fails
// in any stage, chunks are dropped; those before it go their way. A chunk that
// somebody else has taken on meanwhile is dropped alone.
func (b *batchRun) stage(wg *sync.WaitGroup, in <-chan *chunk, ahead int, f func(*chunk) error) <-chan *chunk {
	out := make(chan *chunk, ahead)
	wg.Go(func() {
		defer close(out)
		for c := range in {
			if c.turn >= b.failedAt.Load() {
				c.task.end(errStopped)
				continue
			}
			err := f(c)
			switch {
			case err == nil:
				out <- c
				continue
			case !errors.Is(err, errLost) && !errors.Is(err, errAgain):
				b.fail(c.turn, err)
			}
			c.task.end(err)
		}
	})
	return out
}

// fail stops the batch before the chunk of this turn. The failure of the earliest
// chunk is the one to report.
func (b *batchRun) fail(turn int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if turn < b.failedAt.Load() {
		b.failedAt.Store(turn)
		b.err = err
	}
	b.stop()
}

// read cuts the source into chunks, from this number on, after the rows that
// are done. It reports whether it reached the end.
func (b *batchRun) read(ctx context.Context, number, done int64, out chan<- *chunk) bool {
	c := &chunk{number: number, turn: number, first: done + 1}
	send := func() bool {
		if number >= b.failedAt.Load() {
			return false
		}
		first := c.first + int64(len(c.rows)) // not to be asked of one that others have
		out <- c
		number++
		c = &chunk{number: number, turn: number, first: first}
		return true
	}
	var seen int64
	next, stop := iter.Pull2(b.r.Source.Records(ctx))
	defer stop()
	for ctx.Err() == nil {
		record, err, ok := next()
		if !ok {
			return len(c.rows) == 0 || send()
		}
		broken, isRow := errors.AsType[*registry.RowError](err)
		if err != nil && !isRow {
			if ctx.Err() == nil {
				b.fail(number, fmt.Errorf("read the source after record %d: %w", seen, err))
			}
			return false
		}
		if seen++; seen <= done {
			continue
		}
		if c.rows == nil {
			c.rows = make([]row, 0, b.r.Chunk)
		}
		c.rows = append(c.rows, row{record: record, broken: broken})
		if len(c.rows) == b.r.Chunk && !send() {
			return false
		}
	}
	return false
}

// mapRecords is rung 1: authorise, and map each record to its claims.
func (b *batchRun) mapRecords(ctx context.Context, c *chunk) error {
	c.now = b.s.now()
	if err := b.s.cfg.MayIssue(ctx, c.now); err != nil {
		return err
	}
	key, signer, err := b.s.signer(ctx, keys.Credential, c.now)
	if err != nil {
		return err
	}
	c.order = &order{
		programme: b.programme, key: key, signer: signer,
		actor: b.r.Actor, batch: b.id, supersede: b.r.Supersede,
	}
	if b.share != nil {
		c.order.hold = c.hold
	}
	err = b.s.parallel(len(c.rows), func(i int) error {
		r := &c.rows[i]
		if r.broken == nil {
			r.id = r.record.ID
			r.candidate = b.s.candidate(c.order, r.record, c.now, codes)
			r.candidate.row = c.first + int64(i)
			if r.candidate.refused == nil {
				b.s.prepareCodes(c.order, r.candidate, c.now)
			}
		}
		r.record = registry.Record{} // its values are not needed any more
		return nil
	})
	if err != nil {
		return err
	}
	for _, k := range c.candidates() {
		if len(k.notes) > 0 && b.r.Notes != nil {
			b.r.Notes(k.notes)
		}
	}
	b.s.cfg.Crash(PointAuthorised)
	return nil
}

// candidates of a chunk, in order.
func (c *chunk) candidates() []*candidate {
	all := make([]*candidate, 0, len(c.rows))
	for i := range c.rows {
		if k := c.rows[i].candidate; k != nil {
			all = append(all, k)
		}
	}
	return all
}

// intend is rung 2 for a chunk.
func (b *batchRun) intend(ctx context.Context, c *chunk) error {
	if all := alive(c.candidates()); len(all) > 0 {
		if err := b.s.intend(ctx, c.order, c.now, all); err != nil {
			return err
		}
	}
	for i := range c.rows {
		k := c.rows[i].candidate
		c.rows[i].intended = k != nil && k.refused == nil
		if k != nil {
			k.content = programme.Content{} // what it says is in its drafts
		}
	}
	b.s.cfg.Crash(PointIntended)
	return nil
}

// sign is rungs 3 and 4 for a chunk, and makes its files.
func (b *batchRun) sign(c *chunk) error {
	err := b.s.parallel(len(c.rows), func(i int) error {
		r := &c.rows[i]
		if !r.intended {
			return nil
		}
		if err := b.s.sign(c.order, r.candidate); err != nil {
			if r.candidate.refused != nil {
				return nil
			}
			return err
		}
		b.draw(r)
		return nil
	})
	if err != nil {
		return err
	}
	b.s.cfg.Crash(PointSigned)
	return nil
}

// draw makes the pictures of a credential, or refuses it.
func (b *batchRun) draw(r *row) {
	for j, form := range r.candidate.forms {
		for _, kind := range b.r.Kinds {
			if !kind.drawn() {
				continue
			}
			data, err := b.r.Draw(kind, r.candidate.which[j], form.Text)
			if err != nil {
				r.candidate.refused = refuse(r.candidate.line, CodeDraw, err.Error())
				return
			}
			r.pictures = append(r.pictures, data)
		}
	}
}

// fileName is CREDENTIAL_ID.png, and CREDENTIAL_ID-FORM.png from the second form
// of a programme on.
func fileName(id string, j int, form string, kind FileKind) string {
	if j > 0 {
		id += "-" + form
	}
	return id + kind.extension()
}

// layOutFiles adds the files of a credential, a row of the manifest each.
func (b *batchRun) layOutFiles(c *chunk, r *row, m *manifestWriter) {
	k := r.candidate
	for j, form := range k.forms {
		slot := k.cred.Forms[j].Slot
		for _, kind := range b.r.Kinds {
			var f spoolFile
			switch f.name = fileName(k.cred.ID, j, form.Form, kind); {
			case kind == FileCSV:
				f.name = codesName(c.number)
				c.codes.code(k.cred.ID, form.Form, form.Text)
			case kind.drawn():
				f.data, r.pictures = r.pictures[0], r.pictures[1:]
			default:
				f.data = []byte(form.Text)
			}
			m.row(r.id, k.cred.ID, slot.List, slot.Index, f.name, "")
			if kind != FileCSV {
				c.spool.files = append(c.spool.files, f)
			}
		}
	}
	k.forms, r.pictures = nil, nil
}

// spool makes what is to be released durable, so that nothing is lost between mark and
// release. Offset is where its rows of the manifest begin.
func (b *batchRun) spool(c *chunk, offset int64) error {
	b.layOut(c, offset)
	if err := b.folder.writeSpool(&c.spool); err != nil {
		return err
	}
	b.s.cfg.Crash(PointSpooled)
	return nil
}

// end is the length of the manifest with the chunk.
func (c *chunk) end() int64 { return c.spool.offset + int64(len(c.spool.rows)) }

// settle is rung 5 for a chunk: it marks it, together with the progress of the batch.
func (b *batchRun) settle(ctx context.Context, c *chunk) error {
	if b.share != nil {
		if err := b.spool(c, b.length); err != nil {
			return err
		}
	}
	length := c.end()
	save := b.saveAlone(c, length)
	if b.share != nil {
		save = b.saveShared(c, length)
	}
	var spoiled []Credential // intended, and then refused
	for i := range c.rows {
		if r := &c.rows[i]; r.intended && r.candidate.refused != nil {
			spoiled = append(spoiled, r.candidate.cred)
		}
	}
	silent := len(spoiled) == 0 && len(alive(c.candidates())) == 0
	err := b.s.complete(ctx, c.order, c.candidates(), func(tx Tx, at time.Time) error {
		for _, k := range spoiled {
			k, err := tx.Change(k.ID, Revoked, Leftover, at)
			if err != nil {
				return fmt.Errorf("revoke %s: %w", k.ID, err)
			}
			if err := tx.Append([]audit.Event{event(audit.CredentialLeftover, c.order.actor, at, k)}); err != nil {
				return err
			}
		}
		if silent { // no credential has an entry that would say so
			if err := tx.Append([]audit.Event{b.advanced(c, at)}); err != nil {
				return err
			}
		}
		return save(tx, at)
	})
	if b.share != nil && err != nil {
		err = b.settleFailed(ctx, c, err)
	} else if err != nil {
		// If no credential could tell, the batch itself does.
		if stored, e := b.s.cfg.Store.Batch(ctx, c.after.ID); e == nil && stored.Chunks == c.after.Chunks {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	b.batch, b.length = c.after, length
	c.records, c.rows, c.order = int64(len(c.rows)), nil, nil // what is to be released is in the spool
	b.s.cfg.Crash(PointMarked)
	return nil
}

// advanced says that the batch went past a chunk for which nothing was signed.
func (b *batchRun) advanced(c *chunk, at time.Time) audit.Event {
	return audit.Event{
		Time: at, Kind: audit.BatchAdvanced, Actor: b.r.Actor, Programme: b.programme.ID, Batch: b.id, Count: len(c.rows),
		Detail: fmt.Sprintf("chunk %d from record %d on, %d failed, %d skipped", c.number, c.first, c.failed, c.skipped),
	}
}

// saveAlone moves the batch on by a chunk.
func (b *batchRun) saveAlone(c *chunk, manifest int64) func(Tx, time.Time) error {
	next := b.batch
	next.Chunks++
	next.Rows += int64(len(c.rows))
	next.Issued += c.issued
	next.Failed += c.failed
	next.Skipped += c.skipped
	next.Manifest = manifest
	return func(tx Tx, at time.Time) error {
		next.Changed = later(at, next.Changed)
		c.after = next
		return tx.SaveBatch(next)
	}
}

// release is rung 6 for a chunk.
func (b *batchRun) release(c *chunk) error {
	var err error
	c.kept, err = b.folder.release(&c.spool, b.s.cfg.Workers, func() { b.s.cfg.Crash(PointReleasing) })
	if err == nil {
		b.s.cfg.Crash(PointReleased)
	}
	return err
}

// flush makes what was released durable, now and then, while other chunks are
// on their way: it takes longest of all where a disk is slow.
func (b *batchRun) flush(released <-chan releasedChunk) {
	var waiting []releasedChunk
	since := b.s.now()
	flush := func() {
		if len(waiting) == 0 {
			return
		}
		if err := b.folder.flush(waiting); err != nil {
			b.fail(0, err) // nothing more is to be released
			return
		}
		waiting = waiting[:0]
		b.s.cfg.Crash(PointSynced)
	}
	for r := range released {
		waiting = append(waiting, r)
		if now := b.s.now(); len(waiting) >= flushChunks || now.Sub(since) >= flushEvery {
			since = now
			flush()
		}
	}
	flush()
}

// report tells how far the batch is.
func (b *batchRun) report(at Batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at.Rows < b.reported {
		return // somebody knew better
	}
	b.reported = at.Rows
	p := Progress{Done: at.Rows, Total: b.r.Total, Issued: at.Issued, Failed: at.Failed, Skipped: at.Skipped}
	if spent := b.s.now().Sub(b.begun).Seconds(); spent > 0 {
		p.Rate = float64(p.Done-b.before) / spent
		if p.Rate > 0 && p.Total > p.Done {
			p.Remaining = time.Duration(float64(p.Total-p.Done) / p.Rate * float64(time.Second))
		}
	}
	b.r.Progress(p)
}
