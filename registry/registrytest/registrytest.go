// Package registrytest checks that a [registry.Source] keeps the contract of
// its interface, and has a source in memory for the tests of others.
//
// A connector calls [TestSource] from a test of its own.
package registrytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sanad-id/sanad/registry"
)

// A Table is what a source is to hold. Its first column identifies records.
type Table struct {
	Columns []string
	Rows    [][]string
}

// A Subject is a source under test and the ways to change what it holds.
type Subject struct {
	Source registry.Source
	// Replace makes the source hold another table of the same columns.
	Replace func(*testing.T, Table)
	// Break makes the record with this id one that cannot be read, until the
	// next Replace. Optional: some sources have no such records.
	Break func(t *testing.T, id string)
	// Again opens the same records once more, as another process would.
	// Optional.
	Again func(*testing.T) registry.Source
	// OwnOrder says that the source has an order of its own and does not keep
	// that of the table.
	OwnOrder bool
}

// TestSource checks the contract of [registry.Source] against the sources that
// open returns, and that of [registry.Ranger] if they are such.
func TestSource(t *testing.T, open func(*testing.T, Table) Subject) {
	t.Run("records", func(t *testing.T) { testRecords(t, open) })
	t.Run("lookup", func(t *testing.T) { testLookup(t, open) })
	t.Run("changes", func(t *testing.T) { testChanges(t, open) })
	t.Run("broken records", func(t *testing.T) { testBroken(t, open) })
	t.Run("fingerprint", func(t *testing.T) { testFingerprint(t, open) })
	t.Run("cancellation", func(t *testing.T) { testCancellation(t, open) })
	t.Run("many at once", func(t *testing.T) { testConcurrent(t, open) })
	if _, ok := open(t, good()).Source.(registry.Ranger); ok {
		t.Run("ranges", func(t *testing.T) { testRanges(t, open) })
	}
}

var columns = []string{"id", "name", "note"}

// good is a table with values that sources have trouble with.
func good() Table {
	return Table{columns, [][]string{
		{"1", "Ayesha", "plain"},
		{"2", "আয়েশা", ""},
		{"B-07/3", `says "no", twice`, "two\nlines"},
		{"4", " blanks ", "semicolon; tab\tbar|"},
		{"৫", "D'Rozario Rene\u0301e", "\U0001F600"},
		{"6", "", ""},
		{"7", strings.Repeat("long ", 2000), "x"},
	}}
}

func testRecords(t *testing.T, open func(*testing.T, Table) Subject) {
	t.Run("each is delivered, in order, as it stands", func(t *testing.T) {
		s := open(t, good())
		var kept []registry.Record
		last := 0
		for r, err := range s.Source.Records(t.Context()) {
			if err != nil {
				t.Fatalf("Records: %v", err)
			}
			if r.Line != 0 && r.Line <= last {
				t.Errorf("line %d after line %d", r.Line, last)
			}
			last = r.Line
			kept = append(kept, r)
		}
		// Looked at only now: a record is still good after the next one.
		var got [][]string
		for _, r := range kept {
			got = append(got, row(t, r))
		}
		want := good().Rows
		if s.OwnOrder {
			slices.SortFunc(got, slices.Compare)
			slices.SortFunc(want, slices.Compare)
		}
		if !slices.EqualFunc(want, got, slices.Equal) {
			t.Errorf("records %q, want %q", got, want)
		}
	})
	t.Run("none", func(t *testing.T) {
		s := open(t, Table{Columns: columns}).Source
		for r, err := range s.Records(t.Context()) {
			t.Errorf("Records: %v, %v; want nothing", r, err)
		}
	})
	t.Run("an id that occurs twice is delivered twice", func(t *testing.T) {
		s := open(t, Table{columns, [][]string{{"1", "a", ""}, {"2", "b", ""}, {"1", "c", ""}}})
		want := "1 2 1"
		if s.OwnOrder {
			want = "1 1 2"
		}
		if got := ids(t, s.Source); got != want {
			t.Errorf("ids %s, want %s", got, want)
		}
	})
	t.Run("one may stop early and begin again", func(t *testing.T) {
		s := open(t, good()).Source
		want := ids(t, s)
		for range s.Records(t.Context()) {
			break
		}
		if got := ids(t, s); got != want {
			t.Errorf("ids %s, want %s", got, want)
		}
	})
	t.Run("a sequence can be run twice", func(t *testing.T) {
		s := open(t, good()).Source
		records := s.Records(t.Context())
		for n := range 2 {
			count := 0
			for range records {
				count++
			}
			if count != len(good().Rows) {
				t.Errorf("run %d: %d records, want %d", n+1, count, len(good().Rows))
			}
		}
	})
	t.Run("what the source holds now", func(t *testing.T) {
		s := open(t, good())
		s.Replace(t, Table{columns, [][]string{{"9", "z", ""}}})
		if got := ids(t, s.Source); got != "9" {
			t.Errorf("ids %s, want 9", got)
		}
	})
}

func testLookup(t *testing.T, open func(*testing.T, Table) Subject) {
	t.Run("agrees with the stream", func(t *testing.T) {
		s := open(t, good()).Source
		for want, err := range s.Records(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Lookup(t.Context(), want.ID)
			if err != nil {
				t.Fatalf("Lookup %q: %v", want.ID, err)
			}
			if got.ID != want.ID || got.Line != 0 && got.Line != want.Line || !slices.Equal(row(t, got), row(t, want)) {
				t.Errorf("Lookup %q is another record than that of the stream", want.ID)
			}
		}
	})
	for _, id := range []string{"", "8", "1 ", "plain", "id", strings.Repeat("1", 10_000)} {
		t.Run(fmt.Sprintf("there is no %.10q", id), func(t *testing.T) {
			if _, err := open(t, good()).Source.Lookup(t.Context(), id); !errors.Is(err, registry.ErrNoRecord) {
				t.Errorf("Lookup: %v, want ErrNoRecord", err)
			}
		})
	}
	t.Run("several", func(t *testing.T) {
		s := open(t, Table{columns, [][]string{{"1", "a", ""}, {"2", "b", ""}, {"1", "a", ""}, {"1", "c", ""}}}).Source
		if _, err := s.Lookup(t.Context(), "1"); !errors.Is(err, registry.ErrAmbiguous) {
			t.Errorf("Lookup: %v, want ErrAmbiguous", err)
		}
		if _, err := s.Lookup(t.Context(), "2"); err != nil {
			t.Errorf("Lookup of another: %v", err)
		}
	})
	t.Run("what the source holds now", func(t *testing.T) {
		s := open(t, good())
		if _, err := s.Source.Lookup(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
		s.Replace(t, Table{columns, [][]string{{"0", "y", ""}, {"1", "z", "new"}}})
		r, err := s.Source.Lookup(t.Context(), "1")
		if v, _ := r.Value("note"); err != nil || v != "new" {
			t.Errorf("Lookup: %q, %v", v, err)
		}
		if _, err := s.Source.Lookup(t.Context(), "2"); !errors.Is(err, registry.ErrNoRecord) {
			t.Errorf("Lookup of one that is gone: %v, want ErrNoRecord", err)
		}
	})
}

// follow applies the changes since a mark to what was known, and returns them
// as words with the mark to keep.
func follow(t *testing.T, s registry.Source, since registry.Mark, known map[string][]string) (words []string, reached registry.Mark) {
	t.Helper()
	for c, err := range s.Changes(t.Context(), since) {
		if e, ok := errors.AsType[*registry.RowError](err); ok {
			words = append(words, e.Code)
			continue
		}
		if err != nil {
			t.Fatalf("Changes: %v", err)
		}
		if reached != nil {
			t.Fatalf("Changes: %s after reached", c.Kind)
		}
		switch c.Kind {
		case registry.Added, registry.Changed:
			if c.Record.ID != c.ID {
				t.Errorf("the change is of %q, its record of %q", c.ID, c.Record.ID)
			}
			known[c.ID] = row(t, c.Record)
		case registry.Removed:
			delete(known, c.ID)
		case registry.Reached:
			if c.ID != "" || len(c.Mark) == 0 {
				t.Errorf("reached with id %q and a mark of %d bytes", c.ID, len(c.Mark))
			}
			reached = c.Mark
			continue
		}
		words = append(words, string(c.Kind)+" "+c.ID)
	}
	if reached == nil {
		t.Fatal("Changes ended without reached")
	}
	return words, reached
}

func byID(table Table) map[string][]string {
	m := map[string][]string{}
	for _, r := range table.Rows {
		m[r[0]] = r
	}
	return m
}

func testChanges(t *testing.T, open func(*testing.T, Table) Subject) {
	first := Table{columns, [][]string{{"1", "a", ""}, {"2", "b", ""}, {"3", "c", ""}}}
	second := Table{columns, [][]string{{"4", "d", ""}, {"1", "a", ""}, {"3", "c", "new"}}}
	t.Run("without a mark all are added", func(t *testing.T) {
		known := map[string][]string{}
		words, _ := follow(t, open(t, first).Source, nil, known)
		if want := []string{"added 1", "added 2", "added 3"}; !slices.Equal(words, want) {
			t.Errorf("changes %q, want %q", words, want)
		}
		if want := byID(first); !maps.EqualFunc(known, want, slices.Equal) {
			t.Errorf("records %q, want %q", known, want)
		}
	})
	t.Run("nothing has changed", func(t *testing.T) {
		s := open(t, first).Source
		_, reached := follow(t, s, nil, map[string][]string{})
		mark, err := s.Mark(t.Context())
		if err != nil {
			t.Fatalf("Mark: %v", err)
		}
		for name, m := range map[string]registry.Mark{"reached": reached, "Mark": mark} {
			if words, _ := follow(t, s, m, map[string][]string{}); len(words) > 0 {
				t.Errorf("since the mark of %s: %q", name, words)
			}
		}
	})
	t.Run("added, changed, removed", func(t *testing.T) {
		s := open(t, first)
		mark, err := s.Source.Mark(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.Replace(t, second)
		words, _ := follow(t, s.Source, mark, map[string][]string{})
		slices.Sort(words)
		if want := []string{"added 4", "changed 3", "removed 2"}; !slices.Equal(words, want) {
			t.Errorf("changes %q, want %q", words, want)
		}
	})
	t.Run("in another order nothing has changed", func(t *testing.T) {
		s := open(t, good())
		_, mark := follow(t, s.Source, nil, map[string][]string{})
		turned := good()
		slices.Reverse(turned.Rows)
		s.Replace(t, turned)
		if words, _ := follow(t, s.Source, mark, map[string][]string{}); len(words) > 0 {
			t.Errorf("changes %q", words)
		}
	})
	t.Run("a follower always knows what the source holds", func(t *testing.T) {
		s := open(t, Table{Columns: columns})
		known := map[string][]string{}
		var mark registry.Mark
		for i, table := range []Table{{Columns: columns}, first, second, good(), first, {Columns: columns}, second} {
			s.Replace(t, table)
			_, mark = follow(t, s.Source, mark, known)
			if want := byID(table); !maps.EqualFunc(known, want, slices.Equal) {
				t.Fatalf("after state %d: %q, want %q", i, known, want)
			}
		}
	})
	t.Run("one may stop early", func(t *testing.T) {
		s := open(t, first).Source
		for range s.Changes(t.Context(), nil) {
			break
		}
		if words, _ := follow(t, s, nil, map[string][]string{}); len(words) != 3 {
			t.Errorf("changes %q, want 3", words)
		}
	})
	t.Run("of records with one id the first counts", func(t *testing.T) {
		s := open(t, Table{columns, [][]string{{"1", "a", ""}, {"1", "b", ""}, {"2", "c", ""}}})
		known := map[string][]string{}
		words, mark := follow(t, s.Source, nil, known)
		if want := []string{"added 1", registry.RowDuplicateID, "added 2"}; !slices.Equal(words, want) || known["1"][1] != "a" {
			t.Errorf("changes %q, want %q and the first record", words, want)
		}
		if words, _ := follow(t, s.Source, mark, known); len(words) != 1 || words[0] != registry.RowDuplicateID {
			t.Errorf("changes %q, want only %s", words, registry.RowDuplicateID)
		}
	})
	testMarks(t, open, first)
}

// testMarks checks that a spoiled mark is refused.
func testMarks(t *testing.T, open func(*testing.T, Table) Subject, table Table) {
	spoiled := map[string]func(registry.Mark) registry.Mark{
		"empty":       func(registry.Mark) registry.Mark { return registry.Mark{} },
		"not a mark":  func(registry.Mark) registry.Mark { return registry.Mark("yesterday") },
		"cut off":     func(m registry.Mark) registry.Mark { return m[:len(m)-1] },
		"cut in half": func(m registry.Mark) registry.Mark { return m[:len(m)/2] },
		"extended":    func(m registry.Mark) registry.Mark { return append(m, 0) },
		"one bit turned": func(m registry.Mark) registry.Mark {
			m[len(m)/2] ^= 1
			return m
		},
	}
	for _, name := range slices.Sorted(maps.Keys(spoiled)) {
		t.Run("a mark that is "+name, func(t *testing.T) {
			s := open(t, table).Source
			mark, err := s.Mark(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for c, err := range s.Changes(t.Context(), spoiled[name](slices.Clone(mark))) {
				n++
				if !errors.Is(err, registry.ErrMark) {
					t.Errorf("Changes: %s, %v; want ErrMark", c.Kind, err)
				}
			}
			if n != 1 {
				t.Errorf("%d elements, want one error", n)
			}
		})
	}
}

func testBroken(t *testing.T, open func(*testing.T, Table) Subject) {
	table := Table{columns, [][]string{{"1", "a", ""}, {"2", "b", ""}, {"3", "c", ""}}}
	s := open(t, table)
	if s.Break == nil {
		t.Skip("the source has no way to break a record")
	}
	_, mark := follow(t, s.Source, nil, map[string][]string{})
	s.Break(t, "2")

	t.Run("the others are delivered", func(t *testing.T) {
		var got []string
		for r, err := range s.Source.Records(t.Context()) {
			switch e, ok := errors.AsType[*registry.RowError](err); {
			case ok && (e.Code == "" || e.Detail == ""):
				t.Errorf("a row error without code or detail: %+v", e)
			case ok:
				got = append(got, "error")
			case err != nil:
				t.Fatalf("Records: %v", err)
			default:
				got = append(got, r.ID)
			}
		}
		if want := []string{"1", "error", "3"}; !slices.Equal(got, want) {
			t.Errorf("records %q, want %q", got, want)
		}
		if _, err := s.Source.Lookup(t.Context(), "3"); err != nil {
			t.Errorf("Lookup of another: %v", err)
		}
		if _, err := s.Source.Lookup(t.Context(), "2"); err == nil {
			t.Error("Lookup of the broken one: no error")
		}
	})
	t.Run("it is not removed", func(t *testing.T) {
		words, broken := follow(t, s.Source, mark, map[string][]string{})
		if len(words) != 1 || strings.HasPrefix(words[0], string(registry.Removed)) {
			t.Errorf("changes %q, want one row error", words)
		}
		s.Replace(t, table)
		if words, _ := follow(t, s.Source, broken, map[string][]string{}); len(words) != 0 {
			t.Errorf("changes after it can be read again: %q", words)
		}
		s.Replace(t, Table{columns, [][]string{{"1", "a", ""}, {"3", "c", ""}}})
		if words, _ := follow(t, s.Source, broken, map[string][]string{}); len(words) != 1 || words[0] != "removed 2" {
			t.Errorf("changes after it is gone: %q, want removed 2", words)
		}
	})
}

func testFingerprint(t *testing.T, open func(*testing.T, Table) Subject) {
	s := open(t, good())
	fingerprint := func() string {
		t.Helper()
		f, err := s.Source.Fingerprint(t.Context())
		if err != nil || f == "" {
			t.Fatalf("Fingerprint: %q, %v", f, err)
		}
		return f
	}
	before := fingerprint()
	if again := fingerprint(); again != before {
		t.Errorf("two fingerprints of one state: %s and %s", before, again)
	}
	other := good()
	other.Rows[3][2] += "."
	s.Replace(t, other)
	if after := fingerprint(); after == before {
		t.Error("another state has the same fingerprint")
	}
	s.Replace(t, good())
	if after := fingerprint(); after != before {
		t.Error("the first state has another fingerprint the second time")
	}
}

func testCancellation(t *testing.T, open func(*testing.T, Table) Subject) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	s := open(t, good()).Source
	t.Run("beforehand", func(t *testing.T) {
		if _, err := s.Lookup(cancelled, "1"); !errors.Is(err, context.Canceled) {
			t.Errorf("Lookup: %v, want Canceled", err)
		}
		if _, err := s.Mark(cancelled); !errors.Is(err, context.Canceled) {
			t.Errorf("Mark: %v, want Canceled", err)
		}
		if _, err := s.Fingerprint(cancelled); !errors.Is(err, context.Canceled) {
			t.Errorf("Fingerprint: %v, want Canceled", err)
		}
		n := 0
		for _, err := range s.Records(cancelled) {
			if n++; !errors.Is(err, context.Canceled) {
				t.Errorf("Records: %v, want Canceled", err)
			}
		}
		for _, err := range s.Changes(cancelled, nil) {
			if n++; !errors.Is(err, context.Canceled) {
				t.Errorf("Changes: %v, want Canceled", err)
			}
		}
		if n != 2 {
			t.Errorf("%d errors, want one of each sequence", n)
		}
	})
	t.Run("on the way", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last error
		n := 0
		for _, err := range s.Records(ctx) {
			if last != nil {
				t.Error("the sequence went on after its error")
			}
			n++
			last = err
			cancel()
		}
		if !errors.Is(last, context.Canceled) || n > 2 {
			t.Errorf("%d elements, the last with %v; want Canceled after the first", n, last)
		}
	})
}

func testConcurrent(t *testing.T, open func(*testing.T, Table) Subject) {
	s := open(t, good()).Source
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id := good().Rows[i%len(good().Rows)][0]
			if r, err := s.Lookup(t.Context(), id); err != nil || r.ID != id {
				t.Errorf("Lookup: %v", err)
			}
			n := 0
			for _, err := range s.Records(t.Context()) {
				if err != nil {
					t.Errorf("Records: %v", err)
				}
				n++
			}
			if n != len(good().Rows) {
				t.Errorf("%d records, want %d", n, len(good().Rows))
			}
			if _, err := s.Mark(t.Context()); err != nil {
				t.Errorf("Mark: %v", err)
			}
			if _, err := s.Fingerprint(t.Context()); err != nil {
				t.Errorf("Fingerprint: %v", err)
			}
		})
	}
	wg.Wait()
}

// row is the values of a record in the order of columns.
func row(t *testing.T, r registry.Record) []string {
	t.Helper()
	values := make([]string, len(columns))
	for i, c := range columns {
		v, ok := r.Value(c)
		if !ok {
			t.Fatalf("%v has no column %s", r, c)
		}
		values[i] = v
	}
	if _, ok := r.Value("no such column"); ok {
		t.Error("a column that is not there has a value")
	}
	return values
}

// ids are those of all records, in order.
func ids(t *testing.T, s registry.Source) string {
	t.Helper()
	var list []string
	for r, err := range s.Records(t.Context()) {
		if err != nil {
			t.Fatalf("Records: %v", err)
		}
		list = append(list, r.ID)
	}
	return strings.Join(list, " ")
}
