package batchwork

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/registry"
)

// run issues, or takes part in issuing.
func (r *Runner) run(ctx context.Context, j Job) error {
	if j.Kind == Revoking {
		return r.revoke(ctx, j)
	}
	if !j.sound() {
		return r.settle(ctx, j.ID, Fail, func(j *Job) { j.Why = Moved })
	}
	var result issuance.Result
	err := r.cfg.Issuer(ctx, func(s Issuer) (err error) {
		result, err = r.issue(ctx, s, j)
		if err == nil && result.Batch.State == issuance.BatchFinished && r.shared(j) {
			err = r.complete(ctx, s, j, result.Batch.ID)
		}
		return err
	})
	if err == nil && result.Batch.State != issuance.BatchFinished {
		return r.settleCounts(ctx, j.ID, result.Batch)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil // stopped before anything was begun
		}
		why, lasting := reason(err)
		if !lasting {
			return errors.Join(err, r.trouble(ctx, j.ID, why))
		}
		return errors.Join(err, r.settle(ctx, j.ID, Fail, func(j *Job) { j.Why = why }))
	}
	r.cfg.Crash(PointIssued)
	if err := r.settleCounts(ctx, j.ID, result.Batch); err != nil {
		return err
	}
	return r.settle(ctx, j.ID, Finish, func(*Job) {})
}

// count takes the numbers of a batch into its job.
func count(j *Job, b issuance.Batch) {
	if b.Rows >= j.Done.Records {
		j.Done = Counts{Records: b.Rows, Good: b.Issued, Faulty: b.Failed, Skipped: b.Skipped}
	}
	if j.Batch == "" {
		j.Batch = b.ID
	}
}

// settleCounts notes how far a batch was when it was stopped.
func (r *Runner) settleCounts(ctx context.Context, id string, b issuance.Batch) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := change(ctx, r.cfg.Store, id, func(j Job) (Job, error) {
		count(&j, b)
		j.Rate = 0
		return j, nil
	})
	return err
}

// issue runs the batch in the folder of this node.
func (r *Runner) issue(ctx context.Context, s Issuer, j Job) (issuance.Result, error) {
	p, err := s.Programme(ctx, j.Programme, j.Version)
	if err != nil {
		return issuance.Result{}, err
	}
	src, done, err := r.open(ctx, j, p)
	if err != nil {
		return issuance.Result{}, err
	}
	defer done()
	if err := r.cfg.Folder.prepare(j.ID); err != nil {
		return issuance.Result{}, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	request := r.request(ctx, j, src, r.part(j))
	request.Begun = func(batch string) {
		r.cfg.Crash(PointBegun)
		if err := r.name(ctx, j.ID, batch); err != nil {
			stop() // nothing is issued for a batch that the job does not name
			return
		}
		r.cfg.Crash(PointNamed)
	}
	result, err := s.RunBatch(ctx, request)
	if err == nil && ctx.Err() != nil {
		// What was done is counted; whether somebody stopped it the job says.
		return result, nil
	}
	return result, err
}

func (r *Runner) request(ctx context.Context, j Job, src registry.Source, folder string) issuance.BatchRequest {
	request := issuance.BatchRequest{
		Programme: j.Programme, Source: src, Folder: folder, Kinds: j.Kinds, Draw: r.cfg.Draw, Supersede: j.Supersede, Actor: j.Requester,
		Version: j.Version, Fingerprint: j.Fingerprint, Chunk: r.cfg.Chunk, Total: j.Dry.Records, Sync: r.cfg.Sync,
		Progress: r.reporter(ctx, j.ID, Running),
	}
	if r.shared(j) {
		if request.Join = j.Batch; j.Batch == "" {
			request.Shared = true
		}
	}
	return request
}

// part is the folder of this node. One that began a batch which others have begun, too,
// and faster, takes part in another folder.
func (r *Runner) part(j Job) string {
	name := partPrefix + "1"
	if r.shared(j) {
		name = partPrefix + r.cfg.Node
		if j.Batch != "" && otherBatch(r.cfg.Folder.of(j.ID, name), j.Batch) {
			name += "-" + j.Batch
		}
	}
	return r.cfg.Folder.of(j.ID, name)
}

// name notes the batch in its job: the first one counts.
func (r *Runner) name(ctx context.Context, id, batch string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := change(ctx, r.cfg.Store, id, func(j Job) (Job, error) {
		switch {
		case j.Batch == batch:
			return j, errNamed
		case j.Batch != "":
			return j, ErrMoved
		case j.State != Running:
			return j, ErrState
		}
		j.Batch = batch
		if j.Began.IsZero() {
			j.Began = r.now()
		}
		return j, nil
	})
	if errors.Is(err, errNamed) {
		return nil
	}
	return err
}

var errNamed = errors.New("batchwork: internal error: the job names the batch already")

// complete releases what processes that are gone had finished and not handed out: a
// folder with a spool is taken part in once more, which does that.
func (r *Runner) complete(ctx context.Context, s Issuer, j Job, batch string) error {
	parts, err := r.cfg.Folder.parts(j.ID)
	if err != nil {
		return err
	}
	p, err := s.Programme(ctx, j.Programme, j.Version)
	if err != nil {
		return err
	}
	src, done, err := r.open(ctx, j, p)
	if err != nil {
		return err
	}
	defer done()
	j.Batch = batch
	for _, part := range parts {
		if _, err := os.Stat(filepath.Join(part, ".spool")); errors.Is(err, fs.ErrNotExist) || otherBatch(part, batch) {
			continue
		}
		if _, err := s.RunBatch(ctx, r.request(ctx, j, src, part)); err != nil {
			return err // somebody is still at it, or it cannot be used: try again
		}
	}
	return nil
}

// otherBatch reports whether a folder belongs to a batch of another id.
func otherBatch(folder, batch string) bool {
	id, err := issuance.BatchOfFolder(folder)
	return err == nil && id != batch
}
