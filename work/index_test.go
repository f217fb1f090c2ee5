package work_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/work"
)

// found are the record ids of results, as the register has them.
func found(r *work.Results) string {
	var ids []string
	for _, f := range r.Found {
		ids = append(ids, f.Record.ID)
	}
	return strings.Join(ids, " ")
}

func (b *bed) find(by staff.Operator, text string) *work.Results {
	b.Helper()
	r, err := b.Find(b.Context(), by, work.Search{Text: text})
	b.must(err)
	return r
}

func TestSearch(t *testing.T) {
	b := newBed(t)
	b.register.add("N-10", "Mohammed Rahman", "", "1990-01-01", "North")
	b.register.add("N-11", "Muhamad Rohman", "", "1991-01-01", "North")
	b.register.add("N-12", "Élodie Łuczak", "", "1992-01-01", "North")
	b.register.add("N-13", "Fatema Khatun", "ফাতেমা খাতুন", "1993-01-01", "North")
	b.register.add("S-10", "Mohammed Rahman", "", "1990-01-01", "South")
	b.register.add("", "Nobody", "", "", "North")
	before, err := b.Find(t.Context(), clerk, work.Search{Text: "N-10"})
	b.must(err)
	if found(before) != "N-10" || len(before.Building) != 1 {
		t.Errorf("before there is an index: %q, building %v", found(before), before.Building)
	}
	var told []work.Progress
	b.must(b.Refresh(t.Context(), "births", func(p work.Progress) { told = append(told, p) }))
	if len(told) == 0 || !told[len(told)-1].Done || told[len(told)-1].Records != 10 {
		t.Errorf("progress %v", told)
	}
	i := b.signed(1)
	for _, tt := range []struct {
		by         staff.Operator
		text, want string
	}{
		{clerk, "Mohammed Rahman", "N-10 N-11"},
		{clerk, "muhamad rohman", "N-11 N-10"},
		{clerk, "মোহাম্মদ রহমান", "N-10 N-11"},
		{clerk, "محمد", "N-10 N-11"},
		{clerk, "elodie luczak", "N-12"},
		{clerk, "Fatima", "N-13"},
		{clerk, "فاطمة", "N-13"},
		{clerk, "n-10", "N-10"},
		{clerk, "N 10", "N-10"},
		{clerk, "S-10", ""},
		{clerk, "S 10", ""},
		{southern, "Mohammed Rahman", "S-10"},
		{southern, "N-10", ""},
		{clerk, i.Made, "B-1"},
		{clerk, strings.ToLower(i.Made), "B-1"},
		{southern, i.Made, ""},
		{clerk, "Mohammed Khatun", ""},
		{clerk, "00000000000000000000000000", ""},
		{person("x", "other", staff.Clerk), "Mohammed", ""},
	} {
		if got := found(b.find(tt.by, tt.text)); got != tt.want {
			t.Errorf("%s finds %q for %q, want %q", tt.by.Office, got, tt.text, tt.want)
		}
	}
	for _, nothing := range []string{"", "   ", "—", strings.Repeat("a", 201)} {
		if _, err := b.Find(t.Context(), clerk, work.Search{Text: nothing}); !errors.Is(err, work.ErrSearch) {
			t.Errorf("Find(%q): %v", nothing, err)
		}
	}
}

// TestSearchFollows: a change in the registry is found by the next refresh, which reads
// what changed and nothing else; another division of the offices reads all again.
func TestSearchFollows(t *testing.T) {
	b := newBed(t)
	b.must(b.Refresh(t.Context(), "births", nil))
	b.must(b.Refresh(t.Context(), "births", nil))
	if b.register.read != 1 {
		t.Errorf("read %d times though nothing changed", b.register.read)
	}
	b.register.set("B-1", "name", "Somebody Else")
	b.register.remove("B-3")
	b.register.add("B-9", "Newly Born", "", "2026-01-01", "North")
	b.register.set("B-5", "district", "South")
	b.must(b.Refresh(t.Context(), "births", nil))
	if b.register.read != 1 {
		t.Errorf("all records were read again for four changes")
	}
	for text, want := range map[string]string{"Canary": "", "Somebody": "B-1", "Newly": "B-9", "B 3": ""} {
		if got := found(b.find(clerk, text)); got != want {
			t.Errorf("%q finds %q, want %q", text, got, want)
		}
	}
	if got := found(b.find(southern, "Canary")); got != "B-2 B-4 B-5" {
		t.Errorf("the south finds %q", got)
	}
	old := offices
	t.Cleanup(func() { offices = old })
	offices = append(slices.Clone(old), staff.Office{ID: "head", Name: "Head office"})
	b.must(b.Refresh(t.Context(), "births", nil))
	if b.register.read != 2 {
		t.Errorf("read %d times after a new office", b.register.read)
	}
	if got := found(b.find(person("h", "head", staff.Head), "Canary")); got != "B-2 B-4 B-5" {
		t.Errorf("the head office finds %q", got)
	}
}

// TestSearchOneBuilder: while one process builds another does not; when the first is
// gone the next begins anew, and nobody searches in what is half done.
func TestSearchOneBuilder(t *testing.T) {
	b := newBed(t)
	n := 0
	b.store.Fault = func(method string) (error, bool) {
		if method == "FinishIndex" {
			n++
			return errors.New("gone"), false
		}
		return nil, false
	}
	if err := b.Refresh(t.Context(), "births", nil); err == nil || n != 1 {
		t.Fatalf("Refresh: %v", err)
	}
	b.store.Fault = nil
	if r := b.find(clerk, "Canary"); len(r.Found) != 0 || len(r.Building) != 1 || r.Building[0].Records != 5 {
		t.Errorf("found %q in half an index, building %v", found(r), r.Building)
	}
	other := b.open()
	b.wants(other.Refresh(t.Context(), "births", nil), work.ErrBusy)
	b.later(3 * time.Minute)
	b.must(other.Refresh(t.Context(), "births", nil))
	if got := found(b.find(clerk, "Canary")); got != "B-1 B-3 B-5" {
		t.Errorf("found %q", got)
	}
}

func TestSearchPages(t *testing.T) {
	b := newBed(t)
	for n := range 50 {
		b.register.add(fmt.Sprintf("N-%02d", n), "Rahima Begum", "", fmt.Sprintf("1990-01-%02d", n%28+1), "North")
	}
	b.must(b.Refresh(t.Context(), "births", nil))
	seen := map[string]bool{}
	s := work.Search{Text: "rohima begam"}
	for page := 1; ; page++ {
		r, err := b.Find(t.Context(), clerk, s)
		b.must(err)
		for _, f := range r.Found {
			if seen[f.Record.ID] {
				t.Errorf("%s twice", f.Record.ID)
			}
			seen[f.Record.ID] = true
		}
		if !r.More {
			break
		}
		if page > 5 {
			t.Fatal("no end")
		}
		s.After, s.Programme = r.After, r.In
	}
	if len(seen) != 50 {
		t.Errorf("%d of 50 found", len(seen))
	}
}

// TestTwins: another record with the same name, however written, and date of birth is
// shown; one of another office is only counted.
func TestTwins(t *testing.T) {
	b := newBed(t)
	b.register.add("N-1", "Fatema Khatun", "", "1993-01-01", "North")
	b.register.add("N-2", "Fatima Khatoon", "", "1993-01-01", "North")
	b.register.add("N-3", "Fatema Khatun", "", "1994-01-01", "North")
	b.register.add("N-4", "Khatun Fatima", "", "1993-01-01", "North")
	b.register.add("S-1", "Fatimah Khatun", "", "1993-01-01", "South")
	b.must(b.Refresh(t.Context(), "births", nil))
	c, err := b.Case(t.Context(), clerk, b.Ref("births", "N-1"))
	b.must(err)
	var twins []string
	for _, f := range c.Twins {
		twins = append(twins, f.Record.ID)
	}
	slices.Sort(twins)
	if strings.Join(twins, " ") != "N-2 N-4" || c.Elsewhere != 1 {
		t.Errorf("twins %v, %d elsewhere", twins, c.Elsewhere)
	}
	// What the index says is not believed when the record says otherwise now.
	b.register.set("N-2", "born", "2001-01-01")
	c, err = b.Case(t.Context(), clerk, b.Ref("births", "N-1"))
	b.must(err)
	if len(c.Twins) != 1 {
		t.Errorf("%d twins after a correction", len(c.Twins))
	}
}
