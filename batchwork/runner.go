package batchwork

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
)

// An Issuer is what a runner needs of an [issuance.Service].
type Issuer interface {
	Programme(ctx context.Context, id string, version int) (*programme.Programme, error)
	DryRun(ctx context.Context, r issuance.DryRunRequest) (issuance.DryRun, error)
	RunBatch(ctx context.Context, r issuance.BatchRequest) (issuance.Result, error)
}

// A Table is a source with the names of its columns.
type Table interface {
	registry.Source
	Columns() *registry.Columns
}

// A SourceError says that a source cannot be used, and why.
type SourceError struct {
	Why Why
	Err error
	// Columns are those that are missing, and those that there are. Optional.
	Columns Columns
}

func (e *SourceError) Error() string { return fmt.Sprintf("%s: %v", e.Why, e.Err) }
func (e *SourceError) Unwrap() error { return e.Err }

// Limits bound what is taken from outside.
type Limits struct {
	// Bytes of an uploaded file; 64 MiB if 0. Records of a source; 200 000 for a file
	// and 5 000 000 for a source of the settings if 0. Columns of a file; 200 if 0.
	Bytes         int64
	FileRecords   int64
	SourceRecords int64
	Columns       int
}

func (l *Limits) fill() {
	for _, d := range []struct {
		value    *int64
		standard int64
	}{{&l.Bytes, 64 << 20}, {&l.FileRecords, 200_000}, {&l.SourceRecords, 5_000_000}} {
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	if l.Columns == 0 {
		l.Columns = 200
	}
}

// Config is what a [Runner] needs. Fields without "optional" must be set.
type Config struct {
	Store  Store
	Folder *Folder
	// Worker names this process, and no other one that ever was.
	Worker string
	// Node names the part folder of this process, which it has again after a restart:
	// letters, digits and hyphens.
	Node string
	// Issuer gives the open issuer to do; it is held open so long.
	Issuer func(ctx context.Context, do func(Issuer) error) error
	// Open opens the source of a job: the file at path, or that of the settings if path
	// is empty. What it returns is closed if it can be. A [*SourceError] says what is
	// wrong with it.
	Open func(ctx context.Context, j Job, path string, p *programme.Programme) (Table, error)
	// Revoker gives the open issuer to do, as Issuer does; optional, nothing is revoked if
	// nil. Registry opens the registry of a job's programme, to see whose records are;
	// needed where an office does not see all.
	Revoker  func(ctx context.Context, do func(Revoker) error) error
	Registry func(ctx context.Context, j Job) (registry.Source, func(), error)
	// Share says which records of the source the job's office works on; optional, all if
	// nil or if its Sees is nil.
	Share func(ctx context.Context, j Job) (Share, error)
	// Draw and Sync are those of [issuance.BatchRequest]; Sync is optional.
	Draw func(k issuance.FileKind, f programme.Form, text string) ([]byte, error)
	Sync func(folder string) error
	// Print writes all certificates of a job into one file, in memory for a few of them;
	// optional, there are no prints if nil. An error that is [ErrUnprintable] lasts.
	Print func(ctx context.Context, o PrintOrder, to io.Writer) (Printed, error)
	// Shared lets every process that has a runner take part in a batch.
	Shared bool
	// Limits bound sources. Optional.
	Limits Limits
	// Keep is how long files stay after a job is over or was last touched; optional, 30
	// days if 0.
	Keep time.Duration
	// Term is how long a lease lasts; it is renewed three times in it. Optional, 15
	// seconds if 0.
	Term time.Duration
	// Poll is how often a runner looks for work; optional, a second if 0.
	Poll time.Duration
	// Chunk is that of [issuance.BatchRequest]; optional.
	Chunk int
	Log   *slog.Logger
	// Now is the clock; optional.
	Now func() time.Time
	// Crash is called at every [Point]; for tests, nil otherwise.
	Crash func(Point)
}

// A Point is a place in a runner's work at which a crash must do no harm.
type Point string

// The points. Tests end the process at each.
const (
	PointTried  Point = "tried"  // the dry run is done, the job does not say so
	PointBegun  Point = "begun"  // the batch is begun, the job does not name it
	PointNamed  Point = "named"  // the job names the batch, nothing is issued
	PointIssued Point = "issued" // the batch is finished, the job does not say so
	PointErased Point = "erased" // files are erased, the job does not say so
	// PointPrinted: the print is there, the job does not say so.
	PointPrinted Point = "printed"
)

// A Runner does the work of jobs in the background.
type Runner struct {
	cfg  Config
	kick chan struct{}

	mu     sync.Mutex
	inHand map[string]bool
	later  map[string]time.Time // when to try a job again
	failed map[string]int
}

var nodeName = regexp.MustCompile(`^[A-Za-z0-9-]{1,63}$`)

// NewRunner returns a Runner, or an error that names the field which is missing.
func NewRunner(c Config) (*Runner, error) {
	switch {
	case c.Store == nil:
		return nil, errors.New("batchwork: Config.Store is not set")
	case c.Folder == nil:
		return nil, errors.New("batchwork: Config.Folder is not set")
	case c.Worker == "":
		return nil, errors.New("batchwork: Config.Worker is not set")
	case !nodeName.MatchString(c.Node):
		return nil, errors.New("batchwork: Config.Node is not a name of letters, digits and hyphens")
	case c.Issuer == nil:
		return nil, errors.New("batchwork: Config.Issuer is not set")
	case c.Open == nil:
		return nil, errors.New("batchwork: Config.Open is not set")
	case c.Log == nil:
		return nil, errors.New("batchwork: Config.Log is not set")
	}
	c.Limits.fill()
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&c.Keep, 30 * 24 * time.Hour}, {&c.Term, 15 * time.Second}, {&c.Poll, time.Second}} {
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Crash == nil {
		c.Crash = func(Point) {}
	}
	return &Runner{cfg: c, kick: make(chan struct{}, 1), inHand: map[string]bool{}, later: map[string]time.Time{}, failed: map[string]int{}}, nil
}

// Limits are those that the runner keeps.
func (r *Runner) Limits() Limits { return r.cfg.Limits }

// Folder is where the files are.
func (r *Runner) Folder() *Folder { return r.cfg.Folder }

// Store is where the jobs are.
func (r *Runner) Store() Store { return r.cfg.Store }

// Kick tells the runner that there may be something to do.
func (r *Runner) Kick() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

func (r *Runner) now() time.Time { return r.cfg.Now().UTC().Truncate(time.Millisecond) }

// sweepEvery is how often files are looked at that are to be erased.
const sweepEvery = 10 * time.Minute

// Run works until ctx ends and then leaves everything so that it goes on later.
func (r *Runner) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	var swept time.Time
	for ctx.Err() == nil {
		if now := r.cfg.Now(); now.Sub(swept) >= sweepEvery {
			swept = now
			if err := r.Sweep(ctx); err != nil && ctx.Err() == nil {
				r.cfg.Log.WarnContext(ctx, "old files of batches are still there", "err", err)
			}
		}
		if err := r.round(ctx, &wg); err != nil && ctx.Err() == nil {
			r.cfg.Log.WarnContext(ctx, "jobs cannot be read", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-r.kick:
		case <-time.After(r.cfg.Poll):
		}
	}
}

// round takes up what is to be done: one dry run, one batch and one print at a time.
func (r *Runner) round(ctx context.Context, wg *sync.WaitGroup) error {
	jobs, err := r.cfg.Store.Jobs(ctx, Query{States: []State{Checking, Running}})
	if err != nil {
		return err
	}
	if r.Prints() {
		prints, err := r.cfg.Store.Jobs(ctx, Query{Printing: true})
		if err != nil {
			return err
		}
		jobs = append(jobs, prints...)
	}
	for i := len(jobs) - 1; i >= 0; i-- { // the oldest first
		j := jobs[i]
		if j.Waits(r.now()) {
			continue
		}
		work := j.stage()
		if !r.take(work, j.ID) {
			continue
		}
		wg.Go(func() {
			defer r.put(work)
			r.do(ctx, j)
		})
	}
	return nil
}

// take notes that this process does this kind of work now, if it does not already and
// the job is not to wait.
func (r *Runner) take(work, job string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inHand[work] || r.cfg.Now().Before(r.later[job]) {
		return false
	}
	r.inHand[work] = true
	return true
}

func (r *Runner) put(work string) {
	r.mu.Lock()
	delete(r.inHand, work)
	r.mu.Unlock()
	r.Kick()
}

// wait keeps a job from being tried again at once: a second, then longer, up to a
// minute. After a success it is 0.
func (r *Runner) wait(job string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ok {
		delete(r.later, job)
		delete(r.failed, job)
		return
	}
	pause := min(time.Second<<min(r.failed[job], 10), time.Minute)
	r.failed[job]++
	r.later[job] = r.cfg.Now().Add(pause)
}

// works of a job that have a lease.
const (
	workCheck = "check"
	workRun   = "run"
	workErase = "erase"
	workPrint = "print"
)

// do does what a job needs, if nobody else does.
func (r *Runner) do(ctx context.Context, j Job) {
	work, stage := workCheck, j.stage()
	switch {
	case j.Print.Pending():
		work = workPrint
	case j.State == Running:
		work = workRun
		if r.shared(j) && j.Batch != "" {
			work += "/" + r.cfg.Node // everybody takes part, but each node once
		}
	}
	ok, err := r.lease(ctx, j.ID, work)
	if err != nil || !ok {
		r.wait(j.ID, false)
		if err != nil && ctx.Err() == nil {
			r.cfg.Log.WarnContext(ctx, "no lease of a job", "job", j.ID, "err", err)
		}
		return
	}
	if j, err = r.cfg.Store.Job(ctx, j.ID); err != nil || j.stage() != stage || j.State.Over() && !j.Print.Pending() {
		r.unlease(ctx, j.ID, work)
		return
	}
	held, stop := r.hold(ctx, j, work)
	switch {
	case j.Print.Pending():
		err = r.print(held, j)
	case j.State == Checking:
		err = r.check(held, j)
	default:
		err = r.run(held, j)
	}
	stop()
	r.unlease(ctx, j.ID, work)
	r.wait(j.ID, err == nil)
	if err != nil && ctx.Err() == nil {
		r.cfg.Log.WarnContext(ctx, "a job does not go on", "job", j.ID, "state", string(j.State), "err", err)
	}
}

func (r *Runner) lease(ctx context.Context, job, work string) (bool, error) {
	now := r.now()
	return r.cfg.Store.Lease(ctx, job, work, r.cfg.Worker, now, now.Add(r.cfg.Term))
}

func (r *Runner) unlease(ctx context.Context, job, work string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = r.cfg.Store.Unlease(ctx, job, work, r.cfg.Worker) // otherwise it runs out
}

// hold returns a context that ends when the lease is lost or somebody stops the job. The
// lease is kept until the work is put down, which takes longer than to be told so.
func (r *Runner) hold(ctx context.Context, j Job, work string) (context.Context, func()) {
	held, cancel := context.WithCancel(ctx)
	down, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		good := r.cfg.Now() // when the lease was surely ours
		ctx := context.WithoutCancel(ctx)
		look, renew := time.NewTicker(r.cfg.Poll), time.NewTicker(r.cfg.Term/3)
		defer look.Stop()
		defer renew.Stop()
		for {
			select {
			case <-down:
				return
			case <-look.C:
				if now, err := r.cfg.Store.Job(ctx, j.ID); err == nil && now.stage() != j.stage() {
					cancel()
				}
				continue
			case <-renew.C:
			}
			ok, err := r.lease(ctx, j.ID, work)
			switch {
			case err == nil && ok:
				good = r.cfg.Now()
			case err == nil, r.cfg.Now().Sub(good) > r.cfg.Term:
				cancel()
				return
			}
		}
	}()
	return held, func() {
		cancel()
		close(down)
		<-done
	}
}

// change changes a job and tries again if somebody else was faster.
func change(ctx context.Context, s Store, id string, f func(Job) (Job, error)) (Job, error) {
	for range 20 {
		j, err := s.Job(ctx, id)
		if err != nil {
			return Job{}, err
		}
		if j, err = f(j); err != nil {
			return j, err
		}
		saved, err := s.SaveJob(ctx, j)
		if !errors.Is(err, ErrMoved) {
			return saved, err
		}
	}
	return Job{}, ErrMoved
}

// settle does a deed of the runner, whatever became of the context: it is what was
// done. A job that is in no state for it any more is left alone.
func (r *Runner) settle(ctx context.Context, id string, d Deed, also func(*Job)) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := change(ctx, r.cfg.Store, id, func(j Job) (Job, error) {
		also(&j)
		return j.Do(d, "", r.now())
	})
	if errors.Is(err, ErrState) {
		return nil
	}
	return err
}

// reasons maps errors to why a job stops, and whether that lasts.
var reasons = []struct {
	err     error
	why     Why
	lasting bool
}{
	{issuance.ErrNoProgramme, NoProgramme, true},
	{issuance.ErrMoved, Moved, true},
	{issuance.ErrSourceChanged, SourceChanged, true},
	{issuance.ErrGivenUp, GivenUp, true},
	{issuance.ErrOtherBatch, FilesGone, true},
	{issuance.ErrTooMany, TooManyRecords, true},
	{issuance.ErrNotShared, Unreadable, true},
	{ErrUnprintable, Unprintable, true},
	{ErrErased, FilesGone, true},
	{issuance.ErrClock, ClockBack, false},
	{issuance.ErrClockAhead, ClockAhead, false},
	{issuance.ErrAuditDebt, NoWitness, false},
	{issuance.ErrAuditContradicted, Contradicted, false},
	{issuance.ErrFolder, FilesGone, false},
	{keys.ErrNoKey, NoKey, false},
	{keys.ErrSignWindow, NoKey, false},
	{keys.ErrNotActive, NoKey, false},
	{keys.ErrNotPublished, NoKey, false},
}

func reason(err error) (Why, bool) {
	if e, ok := errors.AsType[*SourceError](err); ok {
		return e.Why, e.Why != Away
	}
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.why, r.lasting
		}
	}
	return Away, false
}
