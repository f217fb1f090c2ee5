package issuance_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
)

// spoiled is how a record goes wrong, and what the dry run says of it.
type spoiled struct {
	code, column string
	do           func(registry.Record) (registry.Record, error)
}

func set(column, value string) func(registry.Record) (registry.Record, error) {
	return func(r registry.Record) (registry.Record, error) { return changed(r, column, value), nil }
}

var ways = []spoiled{
	{programme.CodeMissing, "name", set("name", "")},
	{programme.CodeDate, "born", set("born", "1984-13-41")},
	{programme.CodeNumber, "plot", set("plot", "one and a half")},
	{programme.CodeControl, "village", set("village", "Jes\x00sore")},
	{registry.RowQuote, "", func(r registry.Record) (registry.Record, error) {
		return registry.Record{}, &registry.RowError{Line: r.Line, Code: registry.RowQuote, Detail: "a quotation mark is never closed"}
	}},
	{programme.CodeTooBig, "", func(r registry.Record) (registry.Record, error) { return changed(r, "village", noise(170)), nil }},
}

// noise is a text that cannot be compressed away.
func noise(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteRune(rune('a' + (i*i*7+i*13+i/3)%26))
		if i%9 == 8 {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// TestDryRunFindsWhatTheBatchRefuses is acceptance check 3 of the console: of a big
// import with 37 faulty records the others are issued for, and the 37 are named by
// row, column and reason before anything is issued.
func TestDryRunFindsWhatTheBatchRefuses(t *testing.T) {
	n, faulty := count(800, 400, 10_000), 37
	odd := map[int]func(registry.Record) (registry.Record, error){}
	want := map[int]spoiled{}
	for i := range faulty {
		row := 3 + i*(n-10)/faulty
		want[row] = ways[i%len(ways)]
		odd[row] = want[row].do
	}
	store := newMemory()
	b := newBed(t, store, func(c *issuance.Config) {
		c.Fits = func(f programme.Form, characters int) error {
			if _, ok := f.Version(characters); !ok {
				return errors.New("larger than the form allows")
			}
			return nil
		}
	})
	src := people{n: n, odd: odd}
	writes, events := store.writes, len(store.events)

	found := map[int]issuance.Fault{}
	reports := 0
	last := issuance.Progress{}
	dry, err := b.service.DryRun(t.Context(), issuance.DryRunRequest{
		Programme: "farmer-card", Source: src, Total: int64(n),
		Fault:    func(f issuance.Fault) error { found[int(f.Row)] = f; return nil },
		Progress: func(p issuance.Progress) { reports++; last = p },
	})
	if err != nil {
		t.Fatal(err)
	}
	if store.writes != writes || len(store.events) != events {
		t.Errorf("the dry run has written %d times", store.writes-writes)
	}
	if dry.Records != int64(n) || dry.Failed != int64(faulty) || dry.Issuable != int64(n-faulty) || dry.Skipped != 0 || dry.Version != 1 {
		t.Errorf("dry run: %+v", dry)
	}
	if reports == 0 || last.Done != int64(n) || last.Failed != int64(faulty) || last.Total != int64(n) {
		t.Errorf("the last of %d reports: %+v", reports, last)
	}
	for row, w := range want {
		f, ok := found[row]
		if !ok {
			t.Errorf("row %d (%s) is not named", row, w.code)
			continue
		}
		if f.Line != row+1 || f.Problems[0].Code != w.code || f.Problems[0].Column != w.column || f.Skipped {
			t.Errorf("row %d: %+v, want %s in column %q", row, f, w.code, w.column)
		}
		if strings.Contains(fmt.Sprint(f.Problems), canary) {
			t.Errorf("row %d quotes a value", row)
		}
	}
	if len(found) != len(want) {
		t.Errorf("%d rows are named, want %d", len(found), len(want))
	}

	// The batch itself, on exactly that.
	r := request(src, t.TempDir())
	r.Version, r.Fingerprint = dry.Version, dry.Source
	result, err := b.service.RunBatch(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if result.Outcome != issuance.Partial || result.Batch.Issued != dry.Issuable || result.Batch.Failed != dry.Failed {
		t.Errorf("the batch: %+v, the dry run said %+v", result.Batch, dry)
	}
	bad := map[int]bool{}
	for row := range want {
		bad[row] = true
	}
	b.checkBatch(r.Folder, n, bad)
}

func TestDryRunSkips(t *testing.T) {
	eachStore(t, func(t *testing.T, s issuance.Store) {
		b := newBed(t, s)
		b.issue(2)
		suspended := b.issue(3)
		if _, err := b.service.Suspend(t.Context(), suspended.Credential.ID, issuance.Investigation, "tester"); err != nil {
			t.Fatal(err)
		}
		revoked := b.issue(4)
		if _, err := b.service.Revoke(t.Context(), revoked.Credential.ID, issuance.Lost, "tester"); err != nil {
			t.Fatal(err)
		}
		src := people{n: 300, odd: map[int]func(registry.Record) (registry.Record, error){
			9:   set("id", person(5).ID), // in the same chunk
			290: set("id", person(6).ID), // in a later one
		}}
		for _, supersede := range []bool{false, true} {
			var got []string
			dry, err := b.service.DryRun(t.Context(), issuance.DryRunRequest{
				Programme: "farmer-card", Source: src, Supersede: supersede,
				Fault: func(f issuance.Fault) error {
					if !f.Skipped || f.Record == "" {
						t.Errorf("%+v", f)
					}
					got = append(got, fmt.Sprintf("%d %s", f.Row, f.Problems[0].Code))
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"2 already_issued", "3 already_issued", "9 duplicate_id", "290 duplicate_id"}
			if supersede {
				want = want[2:]
			}
			if !slices.Equal(got, want) || dry.Skipped != int64(len(want)) || dry.Failed != 0 {
				t.Errorf("supersede %t: %q, want %q; %+v", supersede, got, want, dry)
			}
		}
	})
}

func TestDryRunNotes(t *testing.T) {
	b := newBed(t, newMemory())
	lossy := strings.NewReplacer("id: farmer-card", "id: lossy-card", "from: born}", "from: born, on_loss: omit}").Replace(card)
	if _, err := b.service.AddProgramme(t.Context(), []byte(lossy), "tester"); err != nil {
		t.Fatal(err)
	}
	src := people{n: 3, odd: map[int]func(registry.Record) (registry.Record, error){2: set("born", "1984-04-00")}}
	rows := 0
	dry, err := b.service.DryRun(t.Context(), issuance.DryRunRequest{
		Programme: "lossy-card", Source: src,
		Notes: func(row int64, record string, notes []programme.Problem) error {
			if rows++; row != 2 || record != person(2).ID || len(notes) == 0 {
				t.Errorf("row %d, record %s: %v", row, record, notes)
			}
			return nil
		},
	})
	if err != nil || dry.Issuable != 3 {
		t.Fatalf("%+v, %v", dry, err)
	}
	if rows != 1 || dry.Noted != 1 {
		t.Errorf("%d rows with notes, %d counted, want 1", rows, dry.Noted)
	}
}

func TestDryRunDraws(t *testing.T) {
	b := newBed(t, newMemory())
	errDraw := errors.New("no room")
	dry, err := b.service.DryRun(t.Context(), issuance.DryRunRequest{
		Programme: "farmer-card", Source: people{n: 5}, Kinds: []issuance.FileKind{issuance.FilePNG},
		Draw: func(_ issuance.FileKind, f programme.Form, text string) ([]byte, error) {
			if f.Name == "strip" {
				return nil, errDraw
			}
			if text == "" {
				t.Error("an empty code is drawn")
			}
			return []byte("picture"), nil
		},
	})
	if err != nil || dry.Failed != 5 || dry.Codes[issuance.CodeDraw] != 5 {
		t.Errorf("%+v, %v", dry, err)
	}
}

func TestDryRunRefuses(t *testing.T) {
	errStop := errors.New("stop")
	moves := 0
	tests := []struct {
		name  string
		spoil func(b *bed, r *issuance.DryRunRequest)
		want  error
	}{
		{"no such programme", func(_ *bed, r *issuance.DryRunRequest) { r.Programme = "nothing" }, issuance.ErrNoProgramme},
		{"more records than allowed", func(_ *bed, r *issuance.DryRunRequest) { r.MaxRecords = 19 }, issuance.ErrTooMany},
		{"the source moves", func(_ *bed, r *issuance.DryRunRequest) { r.Source = &moving{people{n: 20}, &moves} }, issuance.ErrSourceChanged},
		{"the caller has seen enough", func(_ *bed, r *issuance.DryRunRequest) {
			r.Source = people{n: 20, odd: map[int]func(registry.Record) (registry.Record, error){2: set("name", "")}}
			r.Fault = func(issuance.Fault) error { return errStop }
		}, errStop},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, newMemory())
			r := issuance.DryRunRequest{Programme: "farmer-card", Source: people{n: 20}, MaxRecords: 20}
			if _, err := b.service.DryRun(t.Context(), r); err != nil {
				t.Fatalf("a good dry run: %v", err)
			}
			tt.spoil(b, &r)
			if _, err := b.service.DryRun(t.Context(), r); !errors.Is(err, tt.want) {
				t.Errorf("DryRun: %v, want %v", err, tt.want)
			}
		})
	}
}

// moving is a source that is another one each time that it is asked.
type moving struct {
	people
	n *int
}

func (m *moving) Fingerprint(context.Context) (string, error) {
	*m.n++
	return fmt.Sprint(*m.n), nil
}

// TestBatchOfWhatWasApproved: a batch does not begin on another programme version or
// source than the caller names.
func TestBatchOfWhatWasApproved(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(r *issuance.BatchRequest)
		want  error
	}{
		{"another version of the programme", func(r *issuance.BatchRequest) { r.Version = 2 }, issuance.ErrMoved},
		{"another source", func(r *issuance.BatchRequest) { r.Fingerprint = "4 persons" }, issuance.ErrSourceChanged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := newMemory()
			b := newBed(t, store)
			r := request(people{n: 3}, t.TempDir())
			r.Version, r.Fingerprint = 1, "3 persons"
			bad := r
			tt.spoil(&bad)
			writes := store.writes
			if _, err := b.service.RunBatch(t.Context(), bad); !errors.Is(err, tt.want) || store.writes != writes {
				t.Errorf("RunBatch: %v after %d writes, want %v and none", err, store.writes-writes, tt.want)
			}
			var begun string
			r.Begun = func(id string) { begun = id }
			result, err := b.service.RunBatch(t.Context(), r)
			if err != nil || result.Batch.Issued != 3 || begun != result.Batch.ID {
				t.Errorf("a good one: %+v, %v, begun as %q", result, err, begun)
			}
		})
	}
}
