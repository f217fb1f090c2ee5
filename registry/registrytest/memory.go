package registrytest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/sanad-id/sanad/registry"
)

// A Memory is a [registry.Source] that holds a table in memory, for tests of
// those who use sources.
type Memory struct {
	columns *registry.Columns

	mu     sync.Mutex
	rows   [][]string
	broken map[string]bool
}

var _ registry.Ranger = (*Memory)(nil)

// NewMemory returns a source of the rows of a table. It panics if two columns
// have one name.
func NewMemory(table Table) *Memory {
	c, err := registry.NewColumns(table.Columns)
	if err != nil {
		panic(fmt.Sprintf("registrytest: %v", err))
	}
	return &Memory{columns: c, rows: table.Rows}
}

// Replace gives the source other rows.
func (m *Memory) Replace(rows [][]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows, m.broken = rows, nil
}

// Break makes the records with this id ones that cannot be read, until the next
// Replace.
func (m *Memory) Break(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = maps.Clone(m.broken)
	if m.broken == nil {
		m.broken = map[string]bool{}
	}
	m.broken[id] = true
}

func (m *Memory) now() ([][]string, map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rows, m.broken
}

// Records implements [registry.Source].
func (m *Memory) Records(ctx context.Context) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) {
		rows, broken := m.now()
		m.deliver(ctx, rows, broken, 1, yield)
	}
}

// deliver yields rows, of which the first is on this line.
func (m *Memory) deliver(ctx context.Context, rows [][]string, broken map[string]bool, line int, yield func(registry.Record, error) bool) {
	for i, values := range rows {
		if err := ctx.Err(); err != nil {
			yield(registry.Record{}, err)
			return
		}
		var err error
		r := registry.Record{}
		if broken[values[0]] {
			err = &registry.RowError{Line: line + i, Code: registry.RowColumns, Detail: "broken by the test"}
		} else {
			r = registry.NewRecord(values[0], line+i, m.columns, slices.Clone(values))
		}
		if !yield(r, err) {
			return
		}
	}
	if err := ctx.Err(); err != nil && len(rows) == 0 {
		yield(registry.Record{}, err)
	}
}

// rangeMark is the mark of a range of rows.
func rangeMark(first int64, rows [][]string) (registry.Mark, error) {
	b, err := json.Marshal([]any{first, rows})
	return registry.Mark("range " + digest(b)), err
}

// Ranges implements [registry.Ranger].
func (m *Memory) Ranges(ctx context.Context, n int) iter.Seq2[registry.Range, error] {
	return func(yield func(registry.Range, error) bool) {
		rows, _ := m.now()
		if err := ctx.Err(); err != nil || n < 1 {
			yield(registry.Range{}, errors.Join(err, fmt.Errorf("registrytest: ranges of %d records", n)))
			return
		}
		first := int64(1)
		for part := range slices.Chunk(rows, n) {
			start, err := rangeMark(first, part)
			if !yield(registry.Range{First: first, N: len(part), Start: start}, err) {
				return
			}
			first += int64(len(part))
		}
	}
}

// Range implements [registry.Ranger].
func (m *Memory) Range(ctx context.Context, r registry.Range) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) {
		rows, broken := m.now()
		from := int(r.First) - 1
		if from < 0 || r.N < 1 || from+r.N > len(rows) {
			yield(registry.Record{}, registry.ErrMark)
			return
		}
		rows = rows[from : from+r.N]
		start, err := rangeMark(r.First, rows)
		if err == nil && !slices.Equal(start, r.Start) {
			err = registry.ErrMark
		}
		if err != nil {
			yield(registry.Record{}, err)
			return
		}
		m.deliver(ctx, rows, broken, int(r.First), yield)
	}
}

// Lookup implements [registry.Source].
func (m *Memory) Lookup(ctx context.Context, id string) (registry.Record, error) {
	found, n := registry.Record{}, 0
	for r, err := range m.Records(ctx) {
		if _, ok := errors.AsType[*registry.RowError](err); ok {
			continue
		}
		if err != nil {
			return registry.Record{}, err
		}
		if r.ID == id {
			found = r
			n++
		}
	}
	switch n {
	case 0:
		return registry.Record{}, registry.ErrNoRecord
	case 1:
		return found, nil
	}
	return registry.Record{}, registry.ErrAmbiguous
}

// A memoryMark is a mark as JSON, with a digest of the JSON before it.
type memoryMark map[string]string

func (m memoryMark) encode() (registry.Mark, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return append([]byte(digest(b)), b...), nil
}

func decodeMemoryMark(b registry.Mark) (memoryMark, error) {
	const n = 2 * sha256.Size
	if len(b) < n || digest(b[n:]) != string(b[:n]) {
		return nil, registry.ErrMark
	}
	var m memoryMark
	if err := json.Unmarshal(b[n:], &m); err != nil {
		return nil, registry.ErrMark
	}
	return m, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Changes implements [registry.Source].
func (m *Memory) Changes(ctx context.Context, since registry.Mark) iter.Seq2[registry.Change, error] {
	return func(yield func(registry.Change, error) bool) {
		old := memoryMark{}
		if since != nil {
			var err error
			if old, err = decodeMemoryMark(since); err != nil {
				yield(registry.Change{}, err)
				return
			}
		}
		now, broken := memoryMark{}, false
		for r, err := range m.Records(ctx) {
			if _, ok := errors.AsType[*registry.RowError](err); ok {
				broken = true
			}
			change := registry.Change{}
			if err == nil {
				if change, err = now.add(r, old); err == nil && change.Kind == "" {
					continue
				}
			}
			if _, ok := errors.AsType[*registry.RowError](err); !yield(change, err) || err != nil && !ok {
				return
			}
		}
		for _, id := range slices.Sorted(maps.Keys(old)) {
			if _, ok := now[id]; ok {
				continue
			}
			if broken {
				now[id] = old[id]
				continue
			}
			if !yield(registry.Change{Kind: registry.Removed, ID: id}, nil) {
				return
			}
		}
		mark, err := now.encode()
		yield(registry.Change{Kind: registry.Reached, Mark: mark}, err)
	}
}

// add takes a record into the mark and returns how it differs from the old one.
func (m memoryMark) add(r registry.Record, old memoryMark) (registry.Change, error) {
	if _, ok := m[r.ID]; ok {
		return registry.Change{}, &registry.RowError{
			Line: r.Line, Code: registry.RowDuplicateID, Detail: "an earlier record has the same id",
		}
	}
	var values []string
	for i := range r.Columns().Len() {
		values = append(values, r.At(i))
	}
	text, err := json.Marshal(values)
	if err != nil {
		return registry.Change{}, err
	}
	m[r.ID] = digest(text)
	switch before, ok := old[r.ID]; {
	case !ok:
		return registry.Change{Kind: registry.Added, ID: r.ID, Record: r}, nil
	case before != m[r.ID]:
		return registry.Change{Kind: registry.Changed, ID: r.ID, Record: r}, nil
	}
	return registry.Change{}, nil
}

// Mark implements [registry.Source].
func (m *Memory) Mark(ctx context.Context) (registry.Mark, error) {
	for c, err := range m.Changes(ctx, nil) {
		if _, ok := errors.AsType[*registry.RowError](err); err != nil && !ok {
			return nil, err
		}
		if c.Kind == registry.Reached {
			return c.Mark, nil
		}
	}
	return nil, ctx.Err()
}

// Fingerprint implements [registry.Source].
func (m *Memory) Fingerprint(ctx context.Context) (string, error) {
	rows, _ := m.now()
	b, err := json.Marshal(rows)
	if err != nil {
		return "", err
	}
	return digest(b), ctx.Err()
}
