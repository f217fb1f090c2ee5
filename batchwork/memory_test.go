package batchwork_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sanad-id/sanad/batchwork"
)

// memory is a [batchwork.Store] that forgets. Package store/desk holds its own to the
// same contract (batchworktest).
type memory struct {
	mu     sync.Mutex
	jobs   map[string]batchwork.Job
	leases map[[2]string]lease
	fault  func() error // asked before every call
}

type lease struct {
	worker string
	until  time.Time
}

func newMemory() *memory {
	return &memory{jobs: map[string]batchwork.Job{}, leases: map[[2]string]lease{}, fault: func() error { return nil }}
}

func (m *memory) lock() error {
	m.mu.Lock()
	return m.fault()
}

func (m *memory) AddJob(_ context.Context, j batchwork.Job) error {
	err := m.lock()
	defer m.mu.Unlock()
	if err == nil {
		m.jobs[j.ID] = j
	}
	return err
}

func (m *memory) Job(_ context.Context, id string) (batchwork.Job, error) {
	err := m.lock()
	defer m.mu.Unlock()
	j, ok := m.jobs[id]
	if err == nil && !ok {
		err = batchwork.ErrNoJob
	}
	return j, err
}

func (m *memory) Jobs(_ context.Context, q batchwork.Query) ([]batchwork.Job, error) {
	err := m.lock()
	defer m.mu.Unlock()
	var all []batchwork.Job
	for _, j := range m.jobs {
		switch {
		case q.Office != "" && j.Office != q.Office,
			len(q.States) > 0 && !slices.Contains(q.States, j.State),
			len(q.Kinds) > 0 && !slices.Contains(q.Kinds, j.Kind),
			q.Printing && !j.Print.Pending(),
			q.Files && !j.Erased.IsZero(),
			!q.Before.IsZero() && !j.Made.Before(q.Before),
			!q.Since.IsZero() && j.Made.Before(q.Since):
			continue
		}
		all = append(all, j)
	}
	slices.SortFunc(all, func(a, b batchwork.Job) int { return b.Made.Compare(a.Made) })
	if q.Limit > 0 && len(all) > q.Limit {
		all = all[:q.Limit]
	}
	return all, err
}

func (m *memory) SaveJob(_ context.Context, j batchwork.Job) (batchwork.Job, error) {
	err := m.lock()
	defer m.mu.Unlock()
	if err != nil {
		return j, err
	}
	old, ok := m.jobs[j.ID]
	switch {
	case !ok:
		return j, batchwork.ErrNoJob
	case old.Revision != j.Revision:
		return j, batchwork.ErrMoved
	}
	j.Revision++
	m.jobs[j.ID] = j
	return j, nil
}

func (m *memory) Lease(_ context.Context, job, work, worker string, now, until time.Time) (bool, error) {
	err := m.lock()
	defer m.mu.Unlock()
	k := [2]string{job, work}
	if l, ok := m.leases[k]; err != nil || ok && l.worker != worker && l.until.After(now) {
		return false, err
	}
	m.leases[k] = lease{worker, until}
	return true, nil
}

func (m *memory) Unlease(_ context.Context, job, work, worker string) error {
	err := m.lock()
	defer m.mu.Unlock()
	if k := [2]string{job, work}; err == nil && m.leases[k].worker == worker {
		delete(m.leases, k)
	}
	return err
}

func (m *memory) Leased(_ context.Context, job string, now time.Time) (bool, error) {
	err := m.lock()
	defer m.mu.Unlock()
	for k, l := range m.leases {
		if k[0] == job && l.until.After(now) {
			return true, err
		}
	}
	return false, err
}
