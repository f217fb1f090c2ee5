package batchwork

import (
	"context"
	"time"
)

// A Query selects jobs. A zero field selects nothing away.
type Query struct {
	Office string
	States []State
	// Files selects jobs whose files are not erased yet.
	Files bool
	// Kinds selects jobs of these kinds.
	Kinds []Kind
	// Printing selects jobs whose print is to be made.
	Printing bool
	// Before selects jobs made before this moment, Since those made from this one on.
	Before, Since time.Time
	// Limit is the greatest number of jobs, 0 for all.
	Limit int
}

// A Store keeps jobs. Its methods may be called at once from several goroutines and
// from several processes. An error without a sentinel of this package means that it is
// not known whether the call has had an effect.
type Store interface {
	// AddJob stores a new job, durably once it returns nil.
	AddJob(ctx context.Context, j Job) error

	// Job returns [ErrNoJob] if there is none with this id.
	Job(ctx context.Context, id string) (Job, error)

	// Jobs returns the jobs that match, the newest first.
	Jobs(ctx context.Context, q Query) ([]Job, error)

	// SaveJob stores the job and returns it with the next revision, if the stored one
	// has the revision of j: of several who change the same one wins and the others get
	// [ErrMoved]. ID, Office, Programme, Source, Digest and Made do not change.
	SaveJob(ctx context.Context, j Job) (Job, error)

	// Lease reports whether worker has this work of a job until a moment: because
	// nobody has it, because he has it already, or because whoever had it is over time.
	Lease(ctx context.Context, job, work, worker string, now, until time.Time) (bool, error)

	// Unlease gives it back, if worker has it.
	Unlease(ctx context.Context, job, work, worker string) error

	// Leased reports whether anybody has any work of the job.
	Leased(ctx context.Context, job string, now time.Time) (bool, error)
}

// Change changes a job: f is called with the stored one, again if somebody else was
// faster. An error of f is returned as it is, and nothing is stored.
func Change(ctx context.Context, s Store, id string, f func(Job) (Job, error)) (Job, error) {
	return change(ctx, s, id, f)
}
