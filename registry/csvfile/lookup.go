package csvfile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"slices"

	"github.com/sanad-id/sanad/registry"
)

// maxIndex is how many records an index has at most, which is 96 MB. In longer
// files each lookup reads the file.
var maxIndex = 4 << 20

// An index says where in the file records begin.
type index struct {
	info    fs.FileInfo // the state of the file it describes
	entries []entry     // by hash; none if there are too many records
	broken  int         // how many records could not be read
}

type entry struct {
	hash uint64 // of the id
	off  int64
	line int
}

// Lookup implements [registry.Source]. The first call, and the first one after
// the file has changed, reads the whole file; others only the record.
func (s *Source) Lookup(ctx context.Context, id string) (registry.Record, error) {
	if err := ctx.Err(); err != nil {
		return registry.Record{}, err
	}
	x, err := s.indexed(ctx)
	if err != nil {
		return registry.Record{}, err
	}
	if x.entries == nil {
		return s.search(ctx, id)
	}
	r, err := s.read(lookupChunk)
	if err != nil {
		return registry.Record{}, err
	}
	defer r.file.Close()
	if !same(x.info, r.before) {
		return registry.Record{}, fmt.Errorf("%w: %s", ErrChanged, s.path)
	}
	hash := maphash.String(s.seed, id)
	i, _ := slices.BinarySearchFunc(x.entries, hash, func(e entry, h uint64) int { return cmp.Compare(e.hash, h) })
	var m match
	for ; i < len(x.entries) && x.entries[i].hash == hash && m.count < 2; i++ {
		r.at(x.entries[i].off, x.entries[i].line)
		record, err := r.record()
		if err != nil {
			return registry.Record{}, fmt.Errorf("read %s: %w", s.path, plain(err))
		}
		m.add(record, id)
	}
	if err := r.finish(); err != nil {
		return registry.Record{}, err
	}
	return m.result(x.broken)
}

// A match is what a lookup has found so far.
type match struct {
	record registry.Record
	count  int
}

func (m *match) add(r registry.Record, id string) {
	if r.ID != id {
		return
	}
	if m.count == 0 {
		m.record = r
	}
	m.count++
}

func (m *match) result(broken int) (registry.Record, error) {
	switch {
	case m.count == 1:
		return m.record, nil
	case m.count > 1:
		return registry.Record{}, registry.ErrAmbiguous
	case broken > 0:
		return registry.Record{}, fmt.Errorf("%w that can be read; %d cannot be", registry.ErrNoRecord, broken)
	}
	return registry.Record{}, registry.ErrNoRecord
}

// search is Lookup by reading the whole file.
func (s *Source) search(ctx context.Context, id string) (registry.Record, error) {
	var m match
	broken := 0
	for r, err := range s.Records(ctx) {
		if _, ok := errors.AsType[*registry.RowError](err); ok {
			broken++
			continue
		}
		if err != nil {
			return registry.Record{}, err
		}
		m.add(r, id)
	}
	return m.result(broken)
}

// indexed returns the index of the file as it is now, made if need be. Several
// calls at once make it once.
func (s *Source) indexed(ctx context.Context) (*index, error) {
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r, err := s.read(wholeChunk)
	if err != nil {
		return nil, err
	}
	defer r.file.Close()
	if s.index != nil && same(s.index.info, r.before) {
		return s.index, nil
	}
	x, err := r.index(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.path, err)
	}
	s.index = x
	return x, nil
}

// index reads the whole file.
func (r *reading) index(ctx context.Context) (*index, error) {
	x := &index{info: r.before, entries: []entry{}}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		record, err := r.record()
		if err == io.EOF {
			break
		}
		if err != nil {
			if _, ok := errors.AsType[*registry.RowError](err); !ok {
				return nil, err
			}
			x.broken++
			continue
		}
		if len(x.entries) == maxIndex {
			x.entries = nil
			return x, nil
		}
		x.entries = append(x.entries, entry{maphash.String(r.source.seed, record.ID), r.scanner.record.off, record.Line})
	}
	slices.SortFunc(x.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.off, b.off))
	})
	return x, r.finish()
}
