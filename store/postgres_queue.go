package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/sanad-id/sanad/issuance"
)

// The queue on PostgreSQL is river's, in a schema of its own. It decides nothing:
// a job is a hint that a chunk may be taken on, and the chunk's row says whether it
// may. So the service may do with the queue what it likes, a backup leaves it out,
// and jobs that are missing are added again.
const queueSchema = "sanad_queue"

const (
	// jobPatience is longer than any chunk takes, jobRescue when river hands out a
	// job whose process is alive and does not move. Those of processes which are
	// gone are handed out by missingJobs, long before that.
	jobPatience = 30 * time.Minute
	jobRescue   = time.Hour
	// jobAgain is when a chunk that failed is handed out again.
	jobAgain = 2 * time.Second
	// jobAttempts is how often river tries a job by itself.
	jobAttempts = 1000
)

// queueRights are what a service needs of the queue.
var queueRights = []string{
	"USAGE ON SCHEMA " + queueSchema,
	"SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA " + queueSchema,
	"USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA " + queueSchema,
}

// A chunkJob names a chunk, and nothing else: jobs rest in plain text and stay for
// a while when they are done.
type chunkJob struct {
	Batch string `json:"batch"`
	Chunk int64  `json:"chunk"`
}

// Kind implements river.JobArgs.
func (chunkJob) Kind() string { return "batch_chunk" }

// queueOf is the name of a batch's queue. River's names have fewer characters than
// ids may have.
func queueOf(batch string) string {
	sum := sha256.Sum256([]byte(batch))
	return "batch_" + hex.EncodeToString(sum[:16])
}

// quiet is a logger for river, which would log to standard output.
var quiet = slog.New(slog.DiscardHandler)

// migrateQueue brings the queue's tables up to date.
func (e *postgresEngine) migrateQueue(ctx context.Context) error {
	pool, err := pgxpool.NewWithConfig(ctx, e.pools.Copy())
	if err != nil {
		return postgresError(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+queueSchema); err != nil {
		return postgresError(err)
	}
	m, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: queueSchema, Logger: quiet})
	if err != nil {
		return fmt.Errorf("store: %v", err)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate the queue: %w", postgresError(err))
	}
	return nil
}

// lineUp makes jobs of chunks, as part of the transaction.
func (t *tx) lineUp(batch string, chunks []int64) error {
	s, ok := t.s.(*postgresTx)
	if !ok || len(chunks) == 0 {
		return t.ready() // one process alone finds its work by itself
	}
	if err := t.ready(); err != nil {
		return err
	}
	client, err := river.NewClient(riverpgxv5.New(nil), &river.Config{Schema: queueSchema, Logger: quiet})
	if err != nil {
		return t.lose(fmt.Errorf("store: %v", err))
	}
	jobs := make([]river.InsertManyParams, len(chunks))
	for i, n := range chunks {
		jobs[i] = river.InsertManyParams{
			Args: chunkJob{batch, n}, InsertOpts: &river.InsertOpts{Queue: queueOf(batch), MaxAttempts: jobAttempts},
		}
	}
	if _, err := client.InsertManyFastTx(s.ctx, within{s.e.conn}, jobs); err != nil {
		return t.fail(fmt.Errorf("line up chunks: %w", postgresError(err)))
	}
	return nil
}

// within is the transaction that a connection is in, for river. It is not
// river's to end.
type within struct{ *conn }

// conn has the methods of a connection under another name, since pgx.Tx has one
// that is called Conn.
type conn = pgx.Conn

var _ pgx.Tx = within{}

var errWithin = errors.New("store: internal error: not in somebody else's transaction")

// Begin implements pgx.Tx.
func (within) Begin(context.Context) (pgx.Tx, error) { return nil, errWithin }

// Commit implements pgx.Tx.
func (within) Commit(context.Context) error { return errWithin }

// Rollback implements pgx.Tx.
func (within) Rollback(context.Context) error { return errWithin }

// LargeObjects implements pgx.Tx.
func (within) LargeObjects() pgx.LargeObjects { return pgx.LargeObjects{} }

// Conn implements pgx.Tx.
func (w within) Conn() *pgx.Conn { return w.conn }

// missingJobs are the chunks that are not done and that nobody who is alive works
// on or will be handed. $1 is the batch, $2 its queue.
const missingJobs = `SELECT c.chunk_no FROM batch_chunk c JOIN batch b ON b.batch_no = c.batch_no
	WHERE b.batch_id = $1 AND c.done_at IS NULL AND c.chunk_no NOT IN (
		SELECT (j.args ->> 'chunk')::bigint FROM ` + queueSchema + `.river_job j
		WHERE j.queue = $2 AND (j.state IN ('available', 'pending', 'retryable', 'scheduled') OR j.state = 'running'
			AND split_part(j.attempted_by[array_upper(j.attempted_by, 1)], '-', 2)::bigint IN (` + livingWriters + `)))
	ORDER BY c.chunk_no LIMIT 1000`

// clients counts those of this process, so that their names differ.
var clients atomic.Int64

// workTogether hands out chunks to all processes.
func (e *postgresEngine) workTogether(ctx context.Context, db *DB, batch string, n int, do func(ctx context.Context, chunk int64) error) error {
	base := context.WithoutCancel(ctx)
	pool, err := pgxpool.NewWithConfig(base, e.pools.Copy())
	if err != nil {
		return postgresError(err)
	}
	defer pool.Close()
	workers := river.NewWorkers()
	river.AddWorker(workers, &chunkWorker{do: do})
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		ID:     "writer-" + strconv.FormatInt(db.writer, 10) + "-" + strconv.FormatInt(clients.Add(1), 10),
		Schema: queueSchema, Logger: quiet, Workers: workers,
		Queues:     map[string]river.QueueConfig{queueOf(batch): {MaxWorkers: n}},
		JobTimeout: jobPatience, RescueStuckJobsAfter: jobRescue, MaxAttempts: jobAttempts,
		FetchCooldown: 20 * time.Millisecond, FetchPollInterval: 500 * time.Millisecond,
		ReindexerSchedule: river.NeverSchedule(), // it is not the service's to do
	})
	if err != nil {
		return fmt.Errorf("store: %v", err)
	}
	if err := client.Start(base); err != nil {
		return fmt.Errorf("queue: %w", postgresError(err))
	}
	for pause(ctx, lookEvery) {
		if err := db.addMissingJobs(ctx, batch); err != nil && ctx.Err() == nil {
			if !errors.Is(err, errQueueBusy) {
				return errors.Join(err, client.Stop(base))
			}
		}
	}
	return client.Stop(base) // it waits for the jobs under way
}

// errQueueBusy: the database did not answer; there is another time.
var errQueueBusy = errors.New("store: the queue could not be looked through")

// addMissingJobs makes jobs of chunks that have none.
func (db *DB) addMissingJobs(ctx context.Context, batch string) error {
	var missing []int64
	add := func(scan scan) error {
		var n int64
		err := scan(&n)
		missing = append(missing, n)
		return err
	}
	if err := db.engine.read(ctx, missingJobs, true, []any{batch, queueOf(batch)}, add); err != nil {
		return fmt.Errorf("%w: %w", errQueueBusy, err)
	}
	if len(missing) == 0 {
		return nil
	}
	return db.Write(ctx, func(w issuance.Tx) error {
		t, ok := w.(*tx)
		if !ok {
			return errors.New("store: internal error: a transaction of another kind")
		}
		missing = missing[:0] // again, now that nobody else adds any
		if err := t.rows(missingJobs, []any{batch, queueOf(batch)}, add); err != nil {
			return err
		}
		return t.lineUp(batch, missing)
	})
}

// A chunkWorker does what the jobs say.
type chunkWorker struct {
	river.WorkerDefaults[chunkJob]
	do func(ctx context.Context, chunk int64) error
}

// Work implements river.Worker. What failed is handed out again, to anybody.
func (w *chunkWorker) Work(ctx context.Context, job *river.Job[chunkJob]) error {
	if err := w.do(ctx, job.Args.Chunk); err != nil {
		return river.JobSnooze(jobAgain)
	}
	return nil
}
