package batchwork

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// Sweep erases the files of jobs that are over, or that nobody has touched, for longer
// than they are kept, and uploads that came to no job.
func (r *Runner) Sweep(ctx context.Context) error {
	jobs, err := r.cfg.Store.Jobs(ctx, Query{Files: true, Before: r.now().Add(-r.cfg.Keep)})
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if j.State == Running || j.Print.Pending() || r.now().Sub(j.Changed) < r.cfg.Keep {
			continue
		}
		err = errors.Join(err, r.erase(ctx, j))
	}
	return errors.Join(err, r.sweepIncoming(), r.sweepLost(ctx))
}

// lostAfter is how long an upload stays that no job has.
const lostAfter = 24 * time.Hour

// sweepLost removes uploads whose job was never stored: the store was away, or the process
// ended in between. What a job has made is not touched.
func (r *Runner) sweepLost(ctx context.Context) error {
	f := r.cfg.Folder
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		id := e.Name()
		if info, err := e.Info(); !ValidID(id) || err != nil || time.Since(info.ModTime()) <= lostAfter {
			continue
		}
		if files, err := os.ReadDir(f.of(id)); err != nil || len(files) != 1 || files[0].Name() != uploadName {
			continue
		}
		if _, err := r.cfg.Store.Job(ctx, id); errors.Is(err, ErrNoJob) {
			if err := f.Erase(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweepIncoming removes uploads that were never finished.
func (r *Runner) sweepIncoming() error {
	dir := filepath.Join(r.cfg.Folder.path, incoming)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > lostAfter {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	return nil
}

// erase erases the files of one job. A job that waited for somebody is given up.
func (r *Runner) erase(ctx context.Context, j Job) error {
	ok, err := r.lease(ctx, j.ID, workErase)
	if err != nil || !ok {
		return err
	}
	defer r.unlease(ctx, j.ID, workErase)
	if !j.State.Over() {
		_, err := change(ctx, r.cfg.Store, j.ID, func(now Job) (Job, error) {
			if now.Revision != j.Revision {
				return now, ErrMoved
			}
			return now.Do(Cancel, "", r.now())
		})
		if err != nil {
			if errors.Is(err, ErrMoved) || errors.Is(err, ErrState) {
				return nil
			}
			return err
		}
	}
	if err := r.cfg.Folder.Erase(j.ID); err != nil {
		return err
	}
	r.cfg.Crash(PointErased)
	_, err = change(ctx, r.cfg.Store, j.ID, func(j Job) (Job, error) {
		j.Erased, j.Name, j.Print = r.now(), "", Print{}
		return j, nil
	})
	return err
}
