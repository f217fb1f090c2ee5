package batchwork

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
)

// open opens the source of a job.
func (r *Runner) open(ctx context.Context, j Job, p *programme.Programme) (Table, func(), error) {
	path := ""
	if j.Source == "" {
		path = r.cfg.Folder.Upload(j.ID)
		if _, err := os.Stat(path); err != nil {
			return nil, nil, &SourceError{Why: FilesGone, Err: err}
		}
	}
	var share Share
	if r.cfg.Share != nil {
		var err error
		if share, err = r.cfg.Share(ctx, j); err != nil {
			return nil, nil, err
		}
	}
	t, err := r.cfg.Open(ctx, j, path, p)
	if err == nil {
		t, err = limit(t, j, share)
	}
	if err != nil {
		return nil, nil, err
	}
	return t, func() { _ = closeTable(t) }, nil
}

// shared reports whether several processes work on a job.
func (r *Runner) shared(j Job) bool { return r.cfg.Shared && !j.Alone }

// maxRecords is how many records a job may have.
func (r *Runner) maxRecords(j Job) int64 {
	if j.Source == "" {
		return r.cfg.Limits.FileRecords
	}
	return r.cfg.Limits.SourceRecords
}

// check makes the dry run of a job.
func (r *Runner) check(ctx context.Context, j Job) error {
	if j.Kind == Revoking {
		return r.list(ctx, j)
	}
	var dry issuance.DryRun
	err := r.cfg.Issuer(ctx, func(s Issuer) (err error) {
		dry, err = r.try(ctx, s, j)
		return err
	})
	if goesOn, err := r.looked(ctx, j.ID, dry.Records, err); !goesOn {
		return err
	}
	r.cfg.Crash(PointTried)
	return r.settle(ctx, j.ID, Find, func(j *Job) {
		j.Version, j.Fingerprint = dry.Version, dry.Source
		j.Dry = Counts{dry.Records, dry.Issuable, dry.Failed, dry.Skipped, dry.Noted}
		j.Done, j.Rate = Counts{}, 0
	})
}

// looked is told how a look at the records of a job ended, and reports whether there is
// something to do. If not the job is rejected, or the next look begins anew.
func (r *Runner) looked(ctx context.Context, job string, records int64, err error) (goesOn bool, _ error) {
	if ctx.Err() != nil {
		return false, nil // stopped
	}
	why, lasting := NothingToDo, true
	if err != nil {
		why, lasting = reason(err)
	}
	switch {
	case !lasting:
		return false, errors.Join(err, r.trouble(ctx, job, why))
	case err != nil || records == 0:
		if e, ok := errors.AsType[*SourceError](err); ok && len(e.Columns.Lacks) > 0 {
			if err := r.cfg.Folder.keepColumns(job, e.Columns); err != nil {
				return false, err
			}
		}
		return false, r.settle(ctx, job, Reject, func(j *Job) { j.Why = why })
	}
	return true, nil
}

// try makes the dry run and writes what it finds.
func (r *Runner) try(ctx context.Context, s Issuer, j Job) (dry issuance.DryRun, err error) {
	p, err := s.Programme(ctx, j.Programme, 0)
	if err != nil {
		return dry, err
	}
	src, done, err := r.open(ctx, j, p)
	if err != nil {
		return dry, err
	}
	defer done()
	if n := src.Columns().Len(); n > r.cfg.Limits.Columns {
		return dry, &SourceError{Why: TooManyColumns, Err: fmt.Errorf("%d columns", n)}
	}
	others := slices.DeleteFunc(p.Columns(), func(c string) bool { return c == p.Records.IDColumn })
	if !hasAny(src.Columns(), others) {
		return dry, &SourceError{Why: NoColumns, Err: errors.New("none of the columns of the programme"), Columns: Columns{Lacks: others, Has: src.Columns().Names()}}
	}
	if err := r.cfg.Folder.prepare(j.ID); err != nil {
		return dry, err
	}
	faults, err := r.cfg.Folder.newFaultWriter(j.ID, faultsName)
	if err != nil {
		return dry, err
	}
	notes, err := r.cfg.Folder.newFaultWriter(j.ID, notesName)
	if err != nil {
		return dry, errors.Join(err, faults.close())
	}
	dry, err = s.DryRun(ctx, issuance.DryRunRequest{
		Programme: j.Programme, Source: src, Supersede: j.Supersede, MaxRecords: r.maxRecords(j), Fault: faults.fault,
		Notes: func(row int64, record string, found []programme.Problem) error {
			line := 0
			if len(found) > 0 {
				line = found[0].Line
			}
			return notes.lines(row, line, record, "noted", found)
		},
		Progress: r.reporter(ctx, j.ID, Checking),
	})
	return dry, errors.Join(err, faults.close(), notes.close())
}

// hasAny reports whether a source has one of these columns.
func hasAny(c *registry.Columns, names []string) bool {
	for _, n := range names {
		if _, ok := c.Index(n); ok {
			return true
		}
	}
	return false
}

// reporter returns what saves progress, twice a second at most.
func (r *Runner) reporter(ctx context.Context, id string, when State) func(issuance.Progress) {
	var last time.Time
	var mu sync.Mutex
	return func(p issuance.Progress) {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if now.Sub(last) < 500*time.Millisecond {
			return
		}
		last = now
		_, _ = change(ctx, r.cfg.Store, id, func(j Job) (Job, error) { // the next report says it again
			if j.State != when || j.Done.Records > p.Done {
				return j, ErrState
			}
			j.Done = Counts{Records: p.Done, Good: p.Issued, Faulty: p.Failed, Skipped: p.Skipped}
			j.Rate, j.Why = p.Rate, NoReason
			return j, nil
		})
	}
}

// trouble notes why a job does not go on for now.
func (r *Runner) trouble(ctx context.Context, id string, why Why) error {
	_, err := change(context.WithoutCancel(ctx), r.cfg.Store, id, func(j Job) (Job, error) {
		if j.Why == why || j.State != Checking && j.State != Running {
			return j, ErrState
		}
		j.Why = why
		return j, nil
	})
	if errors.Is(err, ErrState) {
		return nil
	}
	return err
}
