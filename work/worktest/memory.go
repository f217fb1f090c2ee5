package worktest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sanad-id/sanad/work"
)

// Memory is a store that forgets, for tests. Fault, if set, is asked before each method
// that writes and may break it off before or after it is done.
type Memory struct {
	mu      sync.Mutex
	items   map[string]work.Item
	events  []work.Event
	prints  map[string][]byte
	indexes map[string]*index

	Fault func(method string) (err error, after bool)
}

var (
	_ work.Store = (*Memory)(nil)
	_ work.Index = (*Memory)(nil)
)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{items: map[string]work.Item{}, prints: map[string][]byte{}, indexes: map[string]*index{}}
}

// write runs a method under the lock with its faults.
func (m *Memory) write(method string, f func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var fault error
	if m.Fault != nil {
		var after bool
		if fault, after = m.Fault(method); fault != nil && !after {
			return fault
		}
	}
	if err := f(); err != nil {
		return err
	}
	return fault
}

// AddItem implements [work.Store].
func (m *Memory) AddItem(_ context.Context, i work.Item, e work.Event) error {
	return m.write("AddItem", func() error {
		for _, other := range m.items {
			if other.State.Open() && other.Programme == i.Programme && other.Record == i.Record {
				return work.ErrBusy
			}
		}
		i.Rev = 1
		m.items[i.ID] = i
		m.events = append(m.events, e)
		return nil
	})
}

// SaveItem implements [work.Store].
func (m *Memory) SaveItem(_ context.Context, c work.Change) error {
	return m.write("SaveItem", func() error {
		old, ok := m.items[c.Item.ID]
		switch {
		case !ok:
			return work.ErrNoItem
		case old.Rev != c.Item.Rev:
			return work.ErrMoved
		}
		c.Item.Rev++
		m.items[c.Item.ID] = c.Item
		if c.Event.Deed != "" {
			m.events = append(m.events, c.Event)
		}
		if c.Print != nil {
			m.prints[c.Item.ID] = slices.Clone(c.Print)
		}
		if c.ErasePrint {
			delete(m.prints, c.Item.ID)
		}
		return nil
	})
}

// Item implements [work.Store].
func (m *Memory) Item(_ context.Context, office, id string) (work.Item, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, ok := m.items[id]
	if !ok || office != "" && i.Office != office {
		return work.Item{}, work.ErrNoItem
	}
	return i, nil
}

// Items implements [work.Store].
func (m *Memory) Items(_ context.Context, q work.ItemQuery) ([]work.Item, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []work.Item
	for _, i := range m.items {
		if i.Office == q.Office && (q.Queue == "" || i.Queue() == q.Queue) && (q.Record == "" || i.Programme == q.Programme && i.Record == q.Record) {
			list = append(list, i)
		}
	}
	order := func(a, b work.Item) int { return cmp.Or(a.Changed.Compare(b.Changed), cmp.Compare(a.ID, b.ID)) }
	slices.SortFunc(list, order)
	if q.After != nil {
		list = slices.DeleteFunc(list, func(i work.Item) bool { return order(i, *q.After) <= 0 })
	}
	return list[:min(len(list), q.Limit)], nil
}

// CountItems implements [work.Store].
func (m *Memory) CountItems(_ context.Context, office string) (map[work.Queue]int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := map[work.Queue]int{}
	for _, i := range m.items {
		if q := i.Queue(); i.Office == office && q != "" {
			counts[q]++
		}
	}
	return counts, nil
}

// DueItems implements [work.Store].
func (m *Memory) DueItems(_ context.Context, now time.Time, limit int) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var due []work.Item
	for _, i := range m.items {
		if i.State == work.Agreed && !now.Before(i.Due) && !now.Before(i.Until) {
			due = append(due, i)
		}
	}
	slices.SortFunc(due, func(a, b work.Item) int { return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID)) })
	var ids []string
	for _, i := range due[:min(len(due), limit)] {
		ids = append(ids, i.ID)
	}
	return ids, nil
}

// ItemEvents implements [work.Store].
func (m *Memory) ItemEvents(_ context.Context, q work.EventQuery) ([]work.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []work.Event
	for _, e := range m.events {
		i := m.items[e.Item]
		if q.Item == e.Item || q.Item == "" && i.Office == q.Office && i.Programme == q.Programme && i.Record == q.Record {
			list = append(list, e)
		}
	}
	return list, nil
}

// Print implements [work.Store].
func (m *Memory) Print(_ context.Context, item string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.prints[item]
	if !ok {
		return nil, work.ErrNoPrint
	}
	return slices.Clone(b), nil
}

// SweepItems implements [work.Store].
func (m *Memory) SweepItems(_ context.Context, now, closed time.Time) (lost []string, err error) {
	err = m.write("SweepItems", func() error {
		for id, i := range m.items {
			switch {
			case i.State == work.Signed && !now.Before(i.Expires):
				delete(m.prints, id)
				lost = append(lost, id)
			case !i.State.Open() && i.Changed.Before(closed):
				delete(m.items, id)
				delete(m.prints, id)
				m.events = slices.DeleteFunc(m.events, func(e work.Event) bool { return e.Item == id })
			}
		}
		return nil
	})
	slices.Sort(lost)
	return lost, err
}

// An index is that of one programme.
type index struct {
	state       work.IndexState
	turn        int64
	generations map[int64][]entry
	n           int64
}

type entry struct {
	n int64
	work.Entry
}

func (m *Memory) index(programme string) *index {
	x := m.indexes[programme]
	if x == nil {
		x = &index{generations: map[int64][]entry{}}
		m.indexes[programme] = x
	}
	return x
}

// IndexState implements [work.Index].
func (m *Memory) IndexState(_ context.Context, programme string) (work.IndexState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.index(programme).state, nil
}

// BeginIndex implements [work.Index].
func (m *Memory) BeginIndex(_ context.Context, programme, worker string, now, until time.Time) (turn int64, err error) {
	err = m.write("BeginIndex", func() error {
		x := m.index(programme)
		if x.state.Worker != "" && now.Before(x.state.Until) {
			return work.ErrBusy
		}
		for g := range x.generations {
			if g != x.state.Generation {
				delete(x.generations, g)
			}
		}
		x.turn++
		turn = x.turn
		x.state.Worker, x.state.Until, x.state.Building = worker, until, 0
		return nil
	})
	return turn, err
}

// PutIndex implements [work.Index].
func (m *Memory) PutIndex(_ context.Context, p work.IndexPart) error {
	return m.write("PutIndex", func() error {
		x := m.index(p.Programme)
		if x.turn != p.Turn || x.state.Worker == "" {
			return work.ErrMoved
		}
		list := slices.DeleteFunc(x.generations[p.Generation], func(e entry) bool { return slices.Contains(p.Remove, e.Record) })
		for _, e := range p.Put {
			if slices.ContainsFunc(list, func(o entry) bool { return o.Record == e.Record }) {
				continue
			}
			x.n++
			list = append(list, entry{x.n, e})
		}
		x.generations[p.Generation] = list
		x.state.Until, x.state.Building = p.Until, p.Records
		return nil
	})
}

// FinishIndex implements [work.Index].
func (m *Memory) FinishIndex(_ context.Context, programme string, turn int64, s work.IndexState) error {
	return m.write("FinishIndex", func() error {
		x := m.index(programme)
		if x.turn != turn || x.state.Worker == "" {
			return work.ErrMoved
		}
		s.Worker, s.Until, s.Building, s.Records = "", time.Time{}, 0, int64(len(x.generations[s.Generation]))
		x.state = s
		for g := range x.generations {
			if g != s.Generation {
				delete(x.generations, g)
			}
		}
		return nil
	})
}

// DropIndex implements [work.Index].
func (m *Memory) DropIndex(_ context.Context, programme string) error {
	return m.write("DropIndex", func() error {
		x := m.index(programme)
		x.generations, x.state = map[int64][]entry{}, work.IndexState{}
		x.turn++
		return nil
	})
}

// FindRecords implements [work.Index].
func (m *Memory) FindRecords(_ context.Context, q work.FindQuery) ([]work.Hit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.index(q.Programme)
	var hits []work.Hit
	for _, e := range x.generations[x.state.Generation] {
		if slices.Contains(e.Offices, q.Office) == q.Others || e.n <= q.After || len(q.Words) == 0 {
			continue
		}
		all := true
		for _, w := range q.Words {
			all = all && slices.ContainsFunc(w, func(k int64) bool { return slices.Contains(e.Keys, k) })
		}
		if all && len(hits) < q.Limit {
			hits = append(hits, work.Hit{N: e.n, Record: e.Record})
		}
	}
	return hits, nil
}
