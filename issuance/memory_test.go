package issuance_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
)

// memory is a store that forgets, for tests that look at the ladder and not at
// the database. It keeps the contract of [issuance.Store] (TestStores runs the
// same tests on it and on the real one) and can be told to fail.
type memory struct {
	mu         sync.Mutex
	creds      map[string]issuance.Credential
	holds      map[string]string
	redeemed   map[[32]byte]string
	slots      map[issuance.Slot]string
	lists      []issuance.List
	programmes []issuance.ProgrammeRow
	batches    map[string]issuance.Batch
	chunks     map[string][]issuance.Chunk
	handed     map[string]int // chunks in somebody's hands
	published  map[string]issuance.Publication
	clock      time.Time
	events     []audit.Event
	// writer counts the programs that had the store so far, and by says which of
	// them intended a credential.
	writer int
	by     map[string]int

	// fault is asked at the end of every transaction: an error to report, and
	// whether the transaction is stored all the same.
	fault  func(n int) (err error, stored bool)
	writes int
}

func newMemory() *memory {
	return &memory{
		creds: map[string]issuance.Credential{}, holds: map[string]string{}, redeemed: map[[32]byte]string{},
		slots: map[issuance.Slot]string{}, batches: map[string]issuance.Batch{}, chunks: map[string][]issuance.Chunk{}, handed: map[string]int{}, published: map[string]issuance.Publication{},
		by: map[string]int{},
	}
}

// memoryTx undoes what it did unless it is stored.
type memoryTx struct {
	*memory
	undo []func()
}

func (m *memory) Write(ctx context.Context, f func(issuance.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	tx := &memoryTx{memory: m}
	err := f(tx)
	stored := err == nil
	m.writes++
	if err == nil && m.fault != nil {
		err, stored = m.fault(m.writes)
		stored = stored || err == nil
	}
	if !stored {
		for _, u := range slices.Backward(tx.undo) {
			u()
		}
	}
	return err
}

// crash makes the program that has the store a thing of the past.
func (m *memory) crash() { m.writer++ }

// put sets a map entry and remembers how to undo that.
func put[K comparable, V any](tx *memoryTx, m map[K]V, k K, v V) {
	old, had := m[k]
	tx.undo = append(tx.undo, func() {
		if had {
			m[k] = old
		} else {
			delete(m, k)
		}
	})
	m[k] = v
}

func drop[K comparable, V any](tx *memoryTx, m map[K]V, k K) {
	old, had := m[k]
	if had {
		tx.undo = append(tx.undo, func() { m[k] = old })
		delete(m, k)
	}
}

func (m *memory) Credential(_ context.Context, id string) (issuance.Credential, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.creds[id]
	if !ok {
		return c, issuance.ErrNoCredential
	}
	return c, nil
}

func (m *memory) Find(_ context.Context, q issuance.Query) iter.Seq2[issuance.Credential, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []issuance.Credential
	ids := slices.Sorted(maps.Keys(m.creds))
	for _, id := range ids {
		c := m.creds[id]
		if q.Programme != "" && c.Programme != q.Programme || q.Record != (issuance.Pseudonym{}) && c.Record != q.Record ||
			q.Batch != "" && c.Batch != q.Batch || q.State != "" && c.State != q.State || id <= q.After ||
			q.PartOf != "" && c.PartOf != q.PartOf || q.Number != "" && issuance.DocumentNumber(c.ID) != q.Number || q.FirstRow > 0 && c.Row < q.FirstRow || q.LastRow > 0 && c.Row > q.LastRow || q.Abandoned && m.by[id] == m.writer ||
			q.List != "" && !slices.ContainsFunc(c.Forms, func(f issuance.FormRecord) bool { return f.Slot.List == q.List }) {
			continue
		}
		if found = append(found, c); len(found) == q.Limit {
			break
		}
	}
	return func(yield func(issuance.Credential, error) bool) {
		for _, c := range found {
			if !yield(c, nil) {
				return
			}
		}
	}
}

func (m *memory) Programmes(context.Context) ([]issuance.ProgrammeRow, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.programmes), nil
}

func (m *memory) Batch(_ context.Context, id string) (issuance.Batch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.batches[id]
	if !ok {
		return b, issuance.ErrNoBatch
	}
	return b, nil
}

func (m *memory) Publication(_ context.Context, name string) (issuance.Publication, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.published[name], nil
}

func (m *memory) Lists(context.Context) ([]issuance.List, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.lists), nil
}

func (tx *memoryTx) Lists() ([]issuance.List, error) { return slices.Clone(tx.lists), nil }

func (tx *memoryTx) Publication(name string) (issuance.Publication, error) {
	return tx.published[name], nil
}

func (tx *memoryTx) Tick(now time.Time) (time.Time, error) {
	if now.After(tx.clock) {
		old := tx.clock
		tx.undo = append(tx.undo, func() { tx.clock = old })
		tx.clock = now
	}
	return tx.clock, nil
}

func holdKey(programme string, record issuance.Pseudonym) string {
	return programme + string(record[:])
}

func (tx *memoryTx) Held(programme string, records []issuance.Pseudonym) (map[issuance.Pseudonym]issuance.Holding, error) {
	held := map[issuance.Pseudonym]issuance.Holding{}
	for _, r := range records {
		if id, ok := tx.holds[holdKey(programme, r)]; ok {
			c := tx.creds[id]
			held[r] = issuance.Holding{ID: id, State: c.State, Batch: c.Batch, Row: c.Row, Expires: c.Expires}
		}
	}
	return held, nil
}

func (tx *memoryTx) Redeemed(key [32]byte) (issuance.Credential, error) {
	id, ok := tx.redeemed[key]
	if !ok {
		return issuance.Credential{}, issuance.ErrNoCredential
	}
	return tx.creds[id], nil
}

func (tx *memoryTx) Parts(id string) ([]issuance.Part, error) {
	var parts []issuance.Part
	for _, c := range tx.creds {
		if c.PartOf == id && c.State != issuance.Revoked {
			parts = append(parts, issuance.Part{ID: c.ID, State: c.State})
		}
	}
	slices.SortFunc(parts, func(a, b issuance.Part) int { return cmp.Compare(a.ID, b.ID) })
	return parts, nil
}

func (tx *memoryTx) Intend(creds []issuance.Credential) error {
	for _, c := range creds {
		key := holdKey(c.Programme, c.Record)
		if tx.holds[key] != "" && !c.Many {
			return issuance.ErrActiveExists
		}
		if _, used := tx.redeemed[c.Idempotency]; used && c.Idempotency != ([32]byte{}) {
			return issuance.ErrIdempotencyUsed
		}
		if _, there := tx.creds[c.ID]; there || c.State != issuance.Intended || len(c.Forms) == 0 {
			return errors.New("memory: not a new credential")
		}
		if whole := tx.creds[c.PartOf]; c.PartOf != "" &&
			(whole.State != issuance.Active || whole.PartOf != "" || whole.Record != c.Record || whole.Programme != c.Programme || !c.Many) {
			return issuance.ErrState
		}
		c.Forms = slices.Clone(c.Forms)
		for _, f := range c.Forms {
			if f.Slot.List == "" {
				continue
			}
			if _, taken := tx.slots[f.Slot]; taken {
				return issuance.ErrSlotTaken
			}
			put(tx, tx.slots, f.Slot, c.ID)
		}
		put(tx, tx.creds, c.ID, c)
		put(tx, tx.by, c.ID, tx.writer)
		if !c.Many {
			put(tx, tx.holds, key, c.ID)
		}
		if c.Idempotency != ([32]byte{}) {
			put(tx, tx.redeemed, c.Idempotency, c.ID)
		}
	}
	return nil
}

func (tx *memoryTx) Complete(marks []issuance.Mark, at time.Time) error {
	for _, m := range marks {
		c, ok := tx.creds[m.ID]
		switch {
		case !ok:
			return issuance.ErrNoCredential
		case c.State == issuance.Revoked:
			return issuance.ErrFinal
		case c.State != issuance.Intended, c.PartOf != "" && tx.creds[c.PartOf].State != issuance.Active:
			return issuance.ErrState
		}
		c.Forms = slices.Clone(c.Forms)
		for i := range c.Forms {
			c.Forms[i].Signed = m.Signed[i]
		}
		c.State, c.Changed = issuance.Active, at
		put(tx, tx.creds, m.ID, c)
	}
	return nil
}

func (tx *memoryTx) Change(id string, to issuance.State, r issuance.Reason, at time.Time) (issuance.Credential, error) {
	c, ok := tx.creds[id]
	legal := map[issuance.State][]issuance.State{
		issuance.Intended:  {issuance.Revoked},
		issuance.Active:    {issuance.Suspended, issuance.Revoked},
		issuance.Suspended: {issuance.Active, issuance.Revoked},
	}
	switch {
	case !ok:
		return c, issuance.ErrNoCredential
	case c.State == issuance.Revoked:
		return c, issuance.ErrFinal
	case !slices.Contains(legal[c.State], to) || r == issuance.Leftover && c.State != issuance.Intended:
		return c, issuance.ErrState
	}
	if c.PartOf != "" && to == issuance.Active && tx.creds[c.PartOf].State != issuance.Active {
		return c, issuance.ErrState
	}
	parts, _ := tx.Parts(id)
	for _, p := range parts {
		if to == issuance.Revoked || to == issuance.Suspended && p.State == issuance.Active {
			return c, issuance.ErrState
		}
	}
	c.State, c.Reason, c.Changed = to, r, at
	put(tx, tx.creds, id, c)
	if to == issuance.Revoked && !c.Many {
		drop(tx, tx.holds, holdKey(c.Programme, c.Record))
	}
	return c, nil
}

func (tx *memoryTx) keepLists() {
	old := slices.Clone(tx.lists)
	tx.undo = append(tx.undo, func() { tx.lists = old })
}

func (tx *memoryTx) OpenList(l issuance.List) error {
	for _, o := range tx.lists {
		if o.URI == l.URI || o.Kind == l.Kind && o.Next < o.Size && o.Sealed.IsZero() && o.Closed.IsZero() {
			return issuance.ErrListOpen
		}
	}
	tx.keepLists()
	tx.lists = append(tx.lists, l)
	return nil
}

func (tx *memoryTx) TakeSlots(kind issuance.ListKind, n uint64) (issuance.Range, error) {
	for i, l := range tx.lists {
		if l.Kind == kind && l.Next < l.Size && l.Sealed.IsZero() && l.Closed.IsZero() {
			r := issuance.Range{List: l.URI, Size: l.Size, First: l.Next, N: min(n, l.Size-l.Next)}
			tx.keepLists()
			tx.lists[i].Next += r.N
			return r, nil
		}
	}
	return issuance.Range{}, nil
}

func (tx *memoryTx) SealLists(at time.Time) error {
	tx.keepLists()
	for i := range tx.lists {
		if tx.lists[i].Sealed.IsZero() {
			tx.lists[i].Sealed = at
		}
	}
	return nil
}

func (tx *memoryTx) SlotStates(uri string) iter.Seq2[issuance.SlotState, error] {
	var states []issuance.SlotState
	for s, id := range tx.slots {
		if s.List != uri {
			continue
		}
		switch tx.creds[id].State {
		case issuance.Revoked:
			states = append(states, issuance.SlotState{Index: s.Index, Value: 1})
		case issuance.Suspended:
			states = append(states, issuance.SlotState{Index: s.Index, Value: 2})
		}
	}
	slices.SortFunc(states, func(a, b issuance.SlotState) int { return cmp.Compare(a.Index, b.Index) })
	return func(yield func(issuance.SlotState, error) bool) {
		for _, s := range states {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func (tx *memoryTx) IssuedSlots(uri string) iter.Seq2[uint64, error] {
	var issued []uint64
	for s := range tx.slots {
		if s.List == uri {
			issued = append(issued, s.Index)
		}
	}
	slices.Sort(issued)
	return func(yield func(uint64, error) bool) {
		for _, s := range issued {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func (tx *memoryTx) SavePublication(p issuance.Publication) error {
	old := tx.published[p.Name]
	if p.Number != old.Number+1 || p.IssuedAt.Before(old.IssuedAt) {
		return issuance.ErrMoved
	}
	put(tx, tx.published, p.Name, p)
	return nil
}

func (tx *memoryTx) SaveProgramme(p issuance.ProgrammeRow) error {
	for _, o := range tx.programmes {
		if o.ID == p.ID && o.Version >= p.Version {
			return issuance.ErrMoved
		}
	}
	old := slices.Clone(tx.programmes)
	tx.undo = append(tx.undo, func() { tx.programmes = old })
	tx.programmes = append(tx.programmes, p)
	slices.SortFunc(tx.programmes, func(a, b issuance.ProgrammeRow) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Version, b.Version))
	})
	return nil
}

func (tx *memoryTx) SaveBatch(b issuance.Batch) error {
	old, ok := tx.batches[b.ID]
	if ok && (old.State == issuance.BatchFinished || b.Chunks < old.Chunks || b.Chunks > old.Chunks+1 || b.Rows < old.Rows ||
		b.Source != old.Source || b.Shared != old.Shared || b.Version != old.Version) || !ok && b.Chunks != 0 {
		return issuance.ErrMoved
	}
	put(tx, tx.batches, b.ID, b)
	return nil
}

func (tx *memoryTx) Append(events []audit.Event) error {
	for _, e := range events {
		if _, err := e.Marshal(int64(len(tx.events))); err != nil {
			return fmt.Errorf("append to the audit log: %w", err)
		}
	}
	n := len(tx.events)
	tx.undo = append(tx.undo, func() { tx.events = tx.events[:n] })
	tx.memory.events = append(tx.memory.events, events...)
	return nil
}
