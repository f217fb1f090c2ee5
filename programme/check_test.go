package programme_test

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	mathrand "math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/registry"
)

func TestCheckReport(t *testing.T) {
	bad, partial, long := goodRow(), goodRow(), goodRow()
	bad["given"], bad["persons"] = "Rah\x07ima", "many"
	partial["born"] = "1984"
	bad["number"], partial["number"], long["number"] = "AB-2", "AB-3", "AB-4"
	letters := mathrand.New(mathrand.NewPCG(1, 2)) // does not compress, as names do not
	for _, column := range []string{"address", "given"} {
		var b strings.Builder
		for range 180 {
			b.WriteRune('ক' + rune(letters.IntN(33)))
		}
		long[column] = b.String()
	}
	list := func(yield func(registry.Record, error) bool) {
		for _, row := range []map[string]string{bad, goodRow(), partial, long} {
			if !yield(record(t, row), nil) {
				return
			}
		}
		yield(registry.Record{}, &registry.RowError{Line: 9, Code: "columns", Detail: "has 3 cells in place of 20"})
	}
	report, err := goodProgramme(t).Check(t.Context(), list, programme.CheckOptions{Now: now, Rand: rand.Reader, Problems: 2})
	if err != nil {
		t.Fatal(err)
	}
	if report.Records != 5 || report.Issuable != 2 || report.Failed != 3 || report.Noted != 1 || len(report.Problems) != 2 {
		t.Errorf("%+v", report)
	}
	wantFatal := map[string]int{"control_characters": 1, "not_an_integer": 1, "too_big": 2, "columns": 1}
	if diff := cmp.Diff(wantFatal, report.Fatal); diff != "" {
		t.Errorf("fatal (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"loss": 1}, report.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if got := len(report.Problems) + report.More; got != 6 {
		t.Errorf("%d problems listed or counted, want 6", got)
	}
	if report.SampleLine != 7 || len(report.Sample) != 3 || report.Sample[0].Form != "qr" || len(report.Sample[0].Claims) < 15 {
		t.Errorf("sample %+v of line %d", report.Sample, report.SampleLine)
	}
	for _, f := range report.Forms {
		total := 0
		for _, n := range f.Versions {
			total += n
		}
		if total != 3 {
			t.Errorf("form %s: %d codes measured, want 3", f.Name, total)
		}
	}
}

// TestCheckTwins: of several records with one id the first that can be issued is, as in a batch.
func TestCheckTwins(t *testing.T) {
	broken := goodRow()
	broken["persons"] = "many"
	many := strings.Replace(string(readFile(t, "testdata/good.yaml")), "id_column: number", "id_column: number\n  one_per_record: false", 1)
	other := goodRow()
	other["number"] = "AB-2"
	tests := []struct {
		name      string
		programme string
		rows      []map[string]string
		twins     int
	}{
		{"each once", "", []map[string]string{goodRow(), other}, 0},
		{"one twice", "", []map[string]string{goodRow(), other, goodRow()}, 1},
		{"one three times", "", []map[string]string{goodRow(), goodRow(), goodRow()}, 2},
		{"the first is refused anyway", "", []map[string]string{broken, goodRow()}, 0},
		{"the second is refused anyway", "", []map[string]string{goodRow(), broken}, 0},
		{"many of one record", many, []map[string]string{goodRow(), goodRow()}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := goodProgramme(t)
			if tt.programme != "" {
				p = parse(t, []byte(tt.programme))
			}
			report, err := p.Check(t.Context(), rows(t, tt.rows...), programme.CheckOptions{Now: now, Rand: rand.Reader})
			if err != nil {
				t.Fatal(err)
			}
			faults := report.Fatal["not_an_integer"]
			if report.Fatal["duplicate_id"] != tt.twins || report.Failed != tt.twins+faults || report.Issuable != len(tt.rows)-report.Failed {
				t.Errorf("%+v, want %d twins", report, tt.twins)
			}
		})
	}
}

func TestCheckStops(t *testing.T) {
	p := goodProgramme(t)
	report, err := p.Check(t.Context(), rows(t, goodRow(), goodRow(), goodRow()), programme.CheckOptions{Now: now, Rand: rand.Reader, Records: 2})
	if err != nil || report.Records != 2 {
		t.Errorf("%v, %v, want two records", report, err)
	}

	broken := errors.New("the disk is gone")
	var failing iter.Seq2[registry.Record, error] = func(yield func(registry.Record, error) bool) { yield(registry.Record{}, broken) }
	if _, err := p.Check(t.Context(), failing, programme.CheckOptions{Now: now, Rand: rand.Reader}); !errors.Is(err, broken) {
		t.Errorf("Check: %v, want the source's error", err)
	}

	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Check(stopped, rows(t, goodRow()), programme.CheckOptions{Now: now, Rand: rand.Reader}); !errors.Is(err, context.Canceled) {
		t.Errorf("Check: %v, want context.Canceled", err)
	}

	for name, o := range map[string]programme.CheckOptions{"no time": {Rand: rand.Reader}, "no randomness": {Now: now}} {
		if _, err := p.Check(t.Context(), rows(t, goodRow()), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestCapacity holds the table of versions against the one that draws the codes.
func TestCapacity(t *testing.T) {
	for _, level := range []string{"L", "M", "Q"} {
		f := programme.Form{Level: level, MaxVersion: 25}
		for n := 1; n <= 1900; n++ {
			got, ok := f.Version(n)
			want := image.VersionFor(n, image.Level(level))
			if want > 25 {
				want = 0
			}
			if got != want || ok != (want != 0) {
				t.Fatalf("%d characters at level %s: version %d, %v, want %d", n, level, got, ok, want)
			}
		}
	}
	if v, ok := (programme.Form{Level: "M", MaxVersion: 10}).Version(312); v != 11 || ok {
		t.Errorf("312 characters: version %d, %v, want 11 and too large", v, ok)
	}
}
