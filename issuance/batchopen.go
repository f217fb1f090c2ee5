package issuance

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/programme"
)

// open begins the batch of the folder, or finds where it stands and puts the
// folder into that state.
func (b *batchRun) open(ctx context.Context) error {
	source, err := b.r.Source.Fingerprint(ctx)
	if err != nil {
		return fmt.Errorf("fingerprint of the source: %w", err)
	}
	terms, known, err := b.folder.terms()
	if err != nil {
		return err
	}
	if !known {
		return b.begin(ctx, source)
	}
	b.batch, err = b.s.cfg.Store.Batch(ctx, terms.Batch)
	switch {
	case err == nil && b.batch.GivenUp():
		return b.givenUp(ctx)
	case err == nil && b.batch.finishedSince():
		return b.finishedSince(ctx, terms, source)
	case err == nil && b.batch.Shared != "":
		return fmt.Errorf("%w: several processes share it", ErrOtherBatch)
	case errors.Is(err, ErrNoBatch) && b.folder.empty():
		return b.begin(ctx, source) // a crash came before the first transaction
	case errors.Is(err, ErrNoBatch):
		return fmt.Errorf("%w: this issuer has no batch %s", ErrOtherBatch, terms.Batch)
	case err != nil:
		return fmt.Errorf("read batch %s: %w", terms.Batch, err)
	}
	b.result = Result{Outcome: Stopped, Batch: b.batch, Resumed: true}
	if err := b.sameTerms(terms, source); err != nil {
		return b.refused(ctx, err)
	}
	if b.batch.State == BatchFinished {
		b.result.Already = true
		b.result.Outcome = outcome(b.batch)
		return b.folder.clean()
	}
	return b.resume(ctx)
}

// givenUp hands out what an earlier run had signed and marked and left in the spool of the
// folder, and refuses to go on.
func (b *batchRun) givenUp(ctx context.Context) error {
	b.result.Batch = b.batch
	return errors.Join(fmt.Errorf("%w: %s, with %d credentials", ErrGivenUp, b.batch.ID, b.batch.Issued), b.salvage(ctx))
}

// finishedSince hands out what an earlier run had left in the spool of the folder, of a batch
// that finished after the backup which was restored.
func (b *batchRun) finishedSince(ctx context.Context, t terms, source string) error {
	b.result = Result{Outcome: outcome(b.batch), Batch: b.batch, Resumed: true, Already: true}
	if err := b.sameTerms(t, source); err != nil {
		return err
	}
	if err := b.salvage(ctx); err != nil {
		return err
	}
	return b.folder.clean()
}

// refused hands out what an earlier run had left in the spool of the folder, if the batch does
// not go on because its source is another one by now: who cannot put that back begins a new
// batch elsewhere, which skips the records of these credentials.
func (b *batchRun) refused(ctx context.Context, err error) error {
	if errors.Is(err, ErrSourceChanged) {
		return errors.Join(err, b.salvage(ctx))
	}
	return err
}

// salvage hands out the chunks in the spool that were marked, by their credentials.
func (b *batchRun) salvage(ctx context.Context) error {
	return b.folder.salvage(b.s.cfg.Workers, func(id string) (bool, error) {
		c, err := b.s.cfg.Store.Credential(ctx, id)
		if errors.Is(err, ErrNoCredential) {
			return false, nil
		}
		return c.State != Intended && c.Reason != Leftover, err
	})
}

// sameTerms refuses to go on with a batch on other terms.
func (b *batchRun) sameTerms(t terms, source string) error {
	now := b.r.terms()
	switch {
	case b.batch.Programme != b.r.Programme || t.Programme != b.r.Programme:
		return fmt.Errorf("%w: it is of programme %q", ErrOtherBatch, b.batch.Programme)
	case t.Files != now.Files:
		return fmt.Errorf("%w: it was begun with the files %q", ErrOtherBatch, t.Files)
	case t.Supersede != now.Supersede:
		return fmt.Errorf("%w: it was begun with supersede %t", ErrOtherBatch, t.Supersede)
	case b.batch.Source != source && b.batch.State != BatchFinished:
		return fmt.Errorf("%w: resume with the file as it was, or begin in another folder", ErrSourceChanged)
	}
	return nil
}

// begin writes the terms into the folder, then stores the batch.
func (b *batchRun) begin(ctx context.Context, source string) error {
	if !b.folder.empty() {
		return fmt.Errorf("%w: %s holds the files of something else", ErrFolder, b.folder.path)
	}
	p, err := b.approved(ctx, source)
	if err != nil {
		return err
	}
	b.programme = p
	now := b.s.now()
	id, err := newID(b.s.cfg.Rand, now)
	if err != nil {
		return err
	}
	b.batch = Batch{
		ID: id, Programme: p.ID, Version: p.Version, Source: source, State: BatchRunning,
		Started: now, Changed: now, Manifest: int64(len(manifestHeader)),
	}
	t := b.r.terms()
	t.Batch, t.Version, t.Source = id, p.Version, source
	if err := b.folder.writeTerms(t); err != nil {
		return err
	}
	if err := b.save(ctx, audit.BatchStarted); err != nil {
		return err
	}
	return b.folder.startManifest()
}

// approved returns the programme to begin the batch under, if it and the source are
// what the caller wants them to be.
func (b *batchRun) approved(ctx context.Context, source string) (*programme.Programme, error) {
	p, err := b.s.Programme(ctx, b.r.Programme, 0)
	if err != nil {
		return nil, err
	}
	if b.r.Version != 0 && p.Version != b.r.Version {
		return nil, fmt.Errorf("programme %q: version %d is in use, not %d: %w", p.ID, p.Version, b.r.Version, ErrMoved)
	}
	if b.r.Fingerprint != "" && source != b.r.Fingerprint {
		return nil, fmt.Errorf("%w: it is not what was asked for", ErrSourceChanged)
	}
	return p, nil
}

// resume clears away what the last run left unmarked and releases what it left
// unreleased.
func (b *batchRun) resume(ctx context.Context) error {
	p, err := b.s.Programme(ctx, b.batch.Programme, b.batch.Version)
	if err != nil {
		return err
	}
	b.programme = p
	left, err := b.s.sweep(ctx, Query{Batch: b.batch.ID, State: Intended})
	b.leftovers.Add(int64(len(left)))
	if err != nil {
		return err
	}
	marked := func(n int64) bool { return n < b.batch.Chunks }
	if err := b.folder.recover(marked, b.batch.Manifest, b.s.cfg.Workers); err != nil {
		return err
	}
	b.batch.Changed = later(b.s.now(), b.batch.Changed)
	return b.save(ctx, audit.BatchResumed)
}

// save stores the batch with an audit event.
func (b *batchRun) save(ctx context.Context, kind audit.Kind) error {
	err := b.s.cfg.Store.Write(ctx, func(tx Tx) error {
		if err := tx.SaveBatch(b.batch); err != nil {
			return err
		}
		return tx.Append([]audit.Event{b.batch.Event(kind, b.r.Actor, b.batch.Changed)})
	})
	if err != nil {
		return fmt.Errorf("store batch %s: %w", b.batch.ID, err)
	}
	return nil
}

func outcome(b Batch) Outcome {
	switch {
	case b.State != BatchFinished:
		return Stopped
	case b.Failed > 0:
		return Partial
	}
	return Complete
}
