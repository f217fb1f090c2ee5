package sqltable_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/csvfile"
	"github.com/sanad-id/sanad/registry/samplecountry"
	"github.com/sanad-id/sanad/registry/sqltable"
)

// all returns the values of all records, by id.
func all(t *testing.T, s registry.Source) map[string][]string {
	t.Helper()
	m := map[string][]string{}
	for r, err := range s.Records(t.Context()) {
		if err != nil {
			t.Fatalf("Records: %v", err)
		}
		values := make([]string, r.Columns().Len())
		for i := range values {
			values[i] = r.At(i)
		}
		if _, ok := m[r.ID]; ok {
			t.Fatalf("%v: its id occurs twice", r)
		}
		m[r.ID] = values
	}
	return m
}

// TestSampleCountry loads the scripts of the sample country, as they stand, and
// wants the records of its CSV files back, byte for byte.
func TestSampleCountry(t *testing.T) {
	config := samplecountry.Config{Seed: 7, Persons: 600}
	servers(t, func(t *testing.T, start func(testing.TB) server) {
		s := start(t)
		for _, r := range samplecountry.Registries() {
			t.Run(r.Name, func(t *testing.T) {
				var script, file bytes.Buffer
				if err := samplecountry.WriteSQL(t.Context(), config, r.Name, &script); err != nil {
					t.Fatal(err)
				}
				if err := samplecountry.Write(t.Context(), config, r.Name, &file); err != nil {
					t.Fatal(err)
				}
				s.do(t, script.String())
				s.grant(t, r.Name)
				path := filepath.Join(t.TempDir(), "a.csv")
				if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
				fromFile, err := csvfile.Open(path, csvfile.Options{IDColumn: r.Columns[0].Name})
				if err != nil {
					t.Fatal(err)
				}
				fromTable := open(t, sqltable.Options{Database: s.database, Table: r.Name, IDColumn: r.Columns[0].Name})
				if got, want := fromTable.Columns().Names(), fromFile.Columns().Names(); !slices.Equal(got, want) {
					t.Errorf("columns %q, want %q", got, want)
				}
				want, got := all(t, fromFile), all(t, fromTable)
				if len(want) < 10 || len(got) != len(want) {
					t.Errorf("%d records, want %d", len(got), len(want))
				}
				for id, values := range want {
					if !slices.Equal(got[id], values) {
						t.Errorf("record %s: %q, want %q", id, got[id], values)
					}
				}
				ranges(t, fromTable, 97)
				for _, v := range r.Views {
					view(t, s, r, v, got)
				}
			})
		}
	})
}

// ranges checks that the ranges of a source have its records in their order.
func ranges(t *testing.T, s *sqltable.Source, n int) {
	t.Helper()
	var want, got []string
	for r, err := range s.Records(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, r.ID)
	}
	for g, err := range s.Ranges(t.Context(), n) {
		if err != nil {
			t.Fatalf("Ranges: %v", err)
		}
		for r, err := range s.Range(t.Context(), g) {
			if err != nil {
				t.Fatalf("Range: %v", err)
			}
			got = append(got, r.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d records in ranges, want the same %d", len(got), len(want))
	}
}

// view checks that a view has the records of its table that are in force, as the
// programme for it wants them.
func view(t *testing.T, s server, r samplecountry.Registry, v samplecountry.View, records map[string][]string) {
	t.Helper()
	s.grant(t, v.Name)
	got := all(t, open(t, sqltable.Options{Database: s.database, Table: v.Name, IDColumn: r.Columns[0].Name}))
	column, word, _ := strings.Cut(v.Where, " = ")
	column, word = strings.Trim(column, `"`), strings.Trim(word, "'")
	n := 0
	for id, values := range records {
		if i := slices.Index(r.Header(), column); i >= 0 && values[i] != word {
			continue
		}
		n++
		for i, name := range v.Columns {
			if got[id] == nil || got[id][i] != values[slices.Index(r.Header(), name)] {
				t.Errorf("%s: record %s has another %s", v.Name, id, name)
			}
		}
	}
	if n == 0 || len(got) != n {
		t.Errorf("%s: %d records, want %d", v.Name, len(got), n)
	}
	b, err := os.ReadFile(filepath.Join("..", "..", "examples", "programmes", strings.ReplaceAll(v.Name, "_", "-")+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := programme.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if p.Records.IDColumn != r.Columns[0].Name {
		t.Errorf("%s: the programme's id column is %s", v.Name, p.Records.IDColumn)
	}
	for _, name := range p.Columns() {
		// The sample country has no pictures.
		if !slices.Contains(v.Columns, name) && name != "face" {
			t.Errorf("%s lacks %s, which the programme reads", v.Name, name)
		}
	}
}
