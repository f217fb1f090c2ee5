package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/batchwork"
)

var _ batchwork.Store = (*DB)(nil)

// AddJob implements [batchwork.Store].
func (db *DB) AddJob(ctx context.Context, j batchwork.Job) error {
	document, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return db.write(ctx, func(t tx) error {
		n, err := t.exec(`INSERT INTO batch_job (id, office, state, made, erased, revision, document, kind) VALUES ($1, $2, $3, $4, 0, $5, $6, $7)
			ON CONFLICT (id) DO NOTHING`, j.ID, j.Office, string(j.State), milli(j.Made), j.Revision, string(document), string(j.Kind))
		if err == nil && n == 0 {
			err = ErrExists
		}
		return err
	})
}

func scanJob(scan func(...any) error) (j batchwork.Job, err error) {
	var document string
	var revision int64
	if err := scan(&document, &revision); err != nil {
		return j, err
	}
	if err := json.Unmarshal([]byte(document), &j); err != nil {
		return j, fmt.Errorf("a job of batches is damaged")
	}
	j.Revision = revision
	return j, nil
}

// Job implements [batchwork.Store].
func (db *DB) Job(ctx context.Context, id string) (j batchwork.Job, err error) {
	err = batchwork.ErrNoJob
	e := db.read(ctx, func(t tx) error {
		return t.each(`SELECT document, revision FROM batch_job WHERE id = $1`, []any{id}, func(scan func(...any) error) (e error) {
			j, e = scanJob(scan)
			err = nil
			return e
		})
	})
	if e != nil {
		return batchwork.Job{}, e
	}
	return j, err
}

// Jobs implements [batchwork.Store].
func (db *DB) Jobs(ctx context.Context, q batchwork.Query) (all []batchwork.Job, err error) {
	query, args := `SELECT document, revision FROM batch_job WHERE ($1 = '' OR office = $1)`, []any{q.Office}
	if len(q.States) > 0 {
		query += ` AND state IN (` + marks(len(args)+1, len(q.States)) + `)`
		for _, s := range q.States {
			args = append(args, string(s))
		}
	}
	if len(q.Kinds) > 0 {
		query += ` AND kind IN (` + marks(len(args)+1, len(q.Kinds)) + `)`
		for _, k := range q.Kinds {
			args = append(args, string(k))
		}
	}
	if q.Printing {
		query += ` AND printing = 1`
	}
	if q.Files {
		query += ` AND erased = 0`
	}
	if !q.Before.IsZero() {
		args = append(args, milli(q.Before))
		query += ` AND made < ` + marks(len(args), 1)
	}
	if !q.Since.IsZero() {
		args = append(args, milli(q.Since))
		query += ` AND made >= ` + marks(len(args), 1)
	}
	query += ` ORDER BY made DESC, id`
	if q.Limit > 0 {
		args = append(args, q.Limit)
		query += ` LIMIT ` + marks(len(args), 1)
	}
	err = db.read(ctx, func(t tx) error {
		all = nil
		return t.each(query, args, func(scan func(...any) error) error {
			j, err := scanJob(scan)
			all = append(all, j)
			return err
		})
	})
	return all, err
}

// SaveJob implements [batchwork.Store].
func (db *DB) SaveJob(ctx context.Context, j batchwork.Job) (batchwork.Job, error) {
	next := j
	next.Revision++
	document, err := json.Marshal(next)
	if err != nil {
		return j, err
	}
	err = db.write(ctx, func(t tx) error {
		n, err := t.exec(`UPDATE batch_job SET state = $2, erased = $3, revision = revision + 1, document = $4, printing = $6 WHERE id = $1 AND revision = $5`,
			j.ID, string(j.State), milli(j.Erased), string(document), j.Revision, bit(j.Print.Pending()))
		if err != nil || n > 0 {
			return err
		}
		var there int64
		if ok, err := t.one(`SELECT 1 FROM batch_job WHERE id = $1`, []any{j.ID}, &there); err != nil || ok {
			if err == nil {
				err = batchwork.ErrMoved
			}
			return err
		}
		return batchwork.ErrNoJob
	})
	if err != nil {
		return j, err
	}
	return next, nil
}

// BatchFolder returns the id of the folder of batches that all servers work in. If there
// is none yet, or change says so, it is this one from now on.
func (db *DB) BatchFolder(ctx context.Context, id string, change bool) (known string, err error) {
	err = db.write(ctx, func(t tx) error {
		update := `DO NOTHING`
		if change {
			update = `DO UPDATE SET id = excluded.id`
		}
		if _, err := t.exec(`INSERT INTO batch_folder (one, id) VALUES (1, $1) ON CONFLICT (one) `+update, id); err != nil {
			return err
		}
		_, err := t.one(`SELECT id FROM batch_folder WHERE one = 1`, nil, &known)
		return err
	})
	return known, err
}

// bit is 1 for true.
func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Lease implements [batchwork.Store].
func (db *DB) Lease(ctx context.Context, job, work, worker string, now, until time.Time) (ok bool, err error) {
	err = db.write(ctx, func(t tx) error {
		n, err := t.exec(`INSERT INTO batch_lease (job, work, worker, until) VALUES ($1, $2, $3, $4)
			ON CONFLICT (job, work) DO UPDATE SET worker = excluded.worker, until = excluded.until
			WHERE batch_lease.worker = excluded.worker OR batch_lease.until <= $5`, job, work, worker, milli(until), milli(now))
		ok = n > 0
		return err
	})
	return ok && err == nil, err
}

// Unlease implements [batchwork.Store].
func (db *DB) Unlease(ctx context.Context, job, work, worker string) error {
	return db.write(ctx, func(t tx) error {
		_, err := t.exec(`DELETE FROM batch_lease WHERE job = $1 AND work = $2 AND worker = $3`, job, work, worker)
		return err
	})
}

// Leased implements [batchwork.Store].
func (db *DB) Leased(ctx context.Context, job string, now time.Time) (ok bool, err error) {
	err = db.read(ctx, func(t tx) error {
		var one int64
		ok, err = t.one(`SELECT 1 FROM batch_lease WHERE job = $1 AND until > $2 LIMIT 1`, []any{job, milli(now)}, &one)
		return err
	})
	return ok, err
}
