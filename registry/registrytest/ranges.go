package registrytest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/sanad-id/sanad/registry"
)

// element is one element of a sequence of records, to compare: the record with
// its line, or the row error.
func element(t *testing.T, r registry.Record, err error) string {
	t.Helper()
	if e, ok := errors.AsType[*registry.RowError](err); ok {
		return fmt.Sprintf("%d! %s %s", e.Line, e.Code, e.Detail)
	}
	if err != nil {
		t.Fatalf("%v, want a record", err)
	}
	return fmt.Sprintf("%d: %s %q", r.Line, r.ID, row(t, r))
}

func elements(t *testing.T, records iter.Seq2[registry.Record, error]) []string {
	t.Helper()
	var list []string
	for r, err := range records {
		list = append(list, element(t, r, err))
	}
	return list
}

// cut returns the ranges of a source, each with its records.
func cut(t *testing.T, s registry.Source, n int) (ranges []registry.Range, parts [][]string) {
	t.Helper()
	first := int64(1)
	for r, err := range s.(registry.Ranger).Ranges(t.Context(), n) {
		if err != nil {
			t.Fatalf("Ranges: %v", err)
		}
		if r.First != first || r.N < 1 || r.N > n {
			t.Fatalf("a range of %d records from %d, want 1 to %d from %d", r.N, r.First, n, first)
		}
		first += int64(r.N)
		ranges = append(ranges, r)
	}
	for _, r := range ranges {
		part := elements(t, s.(registry.Ranger).Range(t.Context(), r))
		if len(part) != r.N {
			t.Errorf("%d records, want %d", len(part), r.N)
		}
		parts = append(parts, part)
	}
	return ranges, parts
}

// many is a table of n records.
func many(n int) Table {
	table := Table{Columns: columns}
	for i := range n {
		table.Rows = append(table.Rows, []string{fmt.Sprintf("R-%04d", i+1), fmt.Sprintf("name of %d", i+1), ""})
	}
	return table
}

func testRanges(t *testing.T, open func(*testing.T, Table) Subject) {
	twice := Table{columns, [][]string{{"1", "a", ""}, {"2", "b", ""}, {"1", "c", ""}, {"1", "d", ""}, {"1", "e", "x"}, {"3", "f", ""}}}
	for name, table := range map[string]Table{"good values": good(), "many": many(157), "ids that occur twice": twice, "none": {Columns: columns}} {
		t.Run(name, func(t *testing.T) { testCuts(t, open(t, table)) })
	}
	t.Run("of nothing", func(t *testing.T) {
		for _, n := range []int{0, -1} {
			count := 0
			for r, err := range open(t, good()).Source.(registry.Ranger).Ranges(t.Context(), n) {
				if count++; err == nil {
					t.Errorf("a range from %d, want an error", r.First)
				}
			}
			if count != 1 {
				t.Errorf("%d elements, want one error", count)
			}
		}
	})
	t.Run("with a record that is broken", func(t *testing.T) {
		s := open(t, many(11))
		if s.Break == nil {
			t.Skip("the source has no way to break a record")
		}
		s.Break(t, "R-0007")
		testCuts(t, s)
	})
	t.Run("one may stop early", func(t *testing.T) {
		s := open(t, good()).Source.(registry.Ranger)
		var first registry.Range
		for r := range s.Ranges(t.Context(), 2) {
			first = r
			break
		}
		for range s.Range(t.Context(), first) {
			break
		}
		if got := elements(t, s.Range(t.Context(), first)); len(got) != first.N {
			t.Errorf("%d records, want %d", len(got), first.N)
		}
	})
	t.Run("moved", func(t *testing.T) { testMoved(t, open) })
	t.Run("spoiled", func(t *testing.T) { testSpoiledRanges(t, open) })
	t.Run("cancellation", func(t *testing.T) { testRangesCancelled(t, open) })
}

// testCuts cuts a source in several ways and puts it together again.
func testCuts(t *testing.T, s Subject) {
	want := elements(t, s.Source.Records(t.Context()))
	for _, n := range []int{1, 2, 3, 5, 10, 156, 157, 1000} {
		ranges, parts := cut(t, s.Source, n)
		if got := slices.Concat(parts...); !slices.Equal(got, want) {
			t.Errorf("ranges of %d: %q, want %q", n, got, want)
		}
		again := s.Source.(registry.Ranger)
		if s.Again != nil {
			again = s.Again(t).(registry.Ranger)
		}
		var wg sync.WaitGroup
		for i := range min(len(ranges), 8) {
			// From both ends, at once.
			if i%2 == 1 {
				i = len(ranges) - 1 - i
			}
			wg.Go(func() {
				var got []string
				for r, err := range again.Range(t.Context(), ranges[i]) {
					if _, ok := errors.AsType[*registry.RowError](err); err != nil && !ok {
						t.Errorf("Range: %v", err)
						return
					}
					got = append(got, element(t, r, err))
				}
				if !slices.Equal(got, parts[i]) {
					t.Errorf("range %d of %d alone: %q, want %q", i+1, n, got, parts[i])
				}
			})
		}
		wg.Wait()
	}
}

// testMoved changes the source after it was cut. Each range is then read as it
// was cut, or refused as a whole.
func testMoved(t *testing.T, open func(*testing.T, Table) Subject) {
	without := func(table Table, i int) Table {
		table.Rows = slices.Delete(slices.Clone(table.Rows), i, i+1)
		return table
	}
	with := func(table Table, id string) Table {
		i, _ := slices.BinarySearchFunc(table.Rows, id, func(r []string, id string) int {
			if r[0] < id {
				return -1
			}
			return 1
		})
		table.Rows = slices.Insert(slices.Clone(table.Rows), i, []string{id, "another", ""})
		return table
	}
	tests := map[string]Table{
		"the first is gone":     without(many(20), 0),
		"one is gone":           without(many(20), 9),
		"the last is gone":      without(many(20), 19),
		"one more at the front": with(many(20), "R-0000"),
		"one more in between":   with(many(20), "R-0010a"),
		"one for another":       with(without(many(20), 9), "R-0010a"),
		"all are gone":          {Columns: columns},
		"others":                {columns, good().Rows},
	}
	for name, table := range tests {
		t.Run(name, func(t *testing.T) {
			s := open(t, many(20))
			ranges, parts := cut(t, s.Source, 3)
			s.Replace(t, table)
			refused := 0
			for i, r := range ranges {
				var got []string
				for r, err := range s.Source.(registry.Ranger).Range(t.Context(), r) {
					if errors.Is(err, registry.ErrMark) {
						refused++
						if len(got) > 0 {
							t.Errorf("range %d is refused after %d records", i, len(got))
						}
						break
					}
					got = append(got, element(t, r, err))
				}
				if len(got) > 0 && !slices.Equal(got, parts[i]) {
					t.Errorf("range %d: %q, want %q or a refusal", i, got, parts[i])
				}
			}
			if refused == 0 {
				t.Error("no range is refused")
			}
		})
	}
	t.Run("what comes behind does not matter", func(t *testing.T) {
		s := open(t, many(20))
		ranges, parts := cut(t, s.Source, 3)
		s.Replace(t, many(25))
		for i, r := range ranges[:6] {
			if got := elements(t, s.Source.(registry.Ranger).Range(t.Context(), r)); !slices.Equal(got, parts[i]) {
				t.Errorf("range %d: %q, want %q", i, got, parts[i])
			}
		}
	})
}

// testSpoiledRanges checks that a range that is not one of the source's is
// refused.
func testSpoiledRanges(t *testing.T, open func(*testing.T, Table) Subject) {
	spoil := map[string]func(*registry.Range){
		"another number":   func(r *registry.Range) { r.First++ },
		"number 0":         func(r *registry.Range) { r.First = 0 },
		"another length":   func(r *registry.Range) { r.N-- },
		"a negative one":   func(r *registry.Range) { r.N = -r.N },
		"no mark":          func(r *registry.Range) { r.Start = nil },
		"not a mark":       func(r *registry.Range) { r.Start = registry.Mark("yesterday") },
		"a mark cut off":   func(r *registry.Range) { r.Start = r.Start[:len(r.Start)-1] },
		"a mark cut short": func(r *registry.Range) { r.Start = r.Start[:len(r.Start)/2] },
		"a longer mark":    func(r *registry.Range) { r.Start = append(r.Start, 0) },
		"one bit turned":   func(r *registry.Range) { r.Start[len(r.Start)/2] ^= 1 },
		"the first bit":    func(r *registry.Range) { r.Start[0] ^= 0x80 },
	}
	for _, name := range slices.Sorted(maps.Keys(spoil)) {
		t.Run(name, func(t *testing.T) {
			s := open(t, many(7)).Source
			ranges, _ := cut(t, s, 3)
			r := ranges[1]
			r.Start = slices.Clone(r.Start)
			spoil[name](&r)
			wantRefused(t, s, r)
		})
	}
	t.Run("the mark of another range", func(t *testing.T) {
		s := open(t, many(7)).Source
		ranges, _ := cut(t, s, 3)
		r := ranges[1]
		r.Start = ranges[0].Start
		wantRefused(t, s, r)
	})
	t.Run("the mark of a point in time", func(t *testing.T) {
		s := open(t, many(7)).Source
		ranges, _ := cut(t, s, 3)
		mark, err := s.Mark(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r := ranges[0]
		r.Start = mark
		wantRefused(t, s, r)
		for c, err := range s.Changes(t.Context(), ranges[0].Start) {
			if !errors.Is(err, registry.ErrMark) {
				t.Errorf("Changes since the mark of a range: %s, %v; want ErrMark", c.Kind, err)
			}
		}
	})
}

func wantRefused(t *testing.T, s registry.Source, r registry.Range) {
	t.Helper()
	n := 0
	for record, err := range s.(registry.Ranger).Range(t.Context(), r) {
		if n++; !errors.Is(err, registry.ErrMark) {
			t.Errorf("Range: %v, %v; want ErrMark", record, err)
		}
	}
	if n != 1 {
		t.Errorf("%d elements, want one error", n)
	}
}

func testRangesCancelled(t *testing.T, open func(*testing.T, Table) Subject) {
	s := open(t, many(9)).Source.(registry.Ranger)
	ranges, _ := cut(t, s, 4)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	n := 0
	for _, err := range s.Ranges(cancelled, 4) {
		if n++; !errors.Is(err, context.Canceled) {
			t.Errorf("Ranges: %v, want Canceled", err)
		}
	}
	for _, err := range s.Range(cancelled, ranges[0]) {
		if n++; !errors.Is(err, context.Canceled) {
			t.Errorf("Range: %v, want Canceled", err)
		}
	}
	if n != 2 {
		t.Errorf("%d errors, want one of each sequence", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	n = 0
	for _, err := range s.Range(ctx, ranges[0]) {
		n++
		last = err
		cancel()
	}
	if !errors.Is(last, context.Canceled) || n != 2 {
		t.Errorf("%d elements, the last with %v; want Canceled after the first", n, last)
	}
}
