package samplecountry_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/registry/samplecountry"
)

func script(t testing.TB, c samplecountry.Config, registry string) string {
	t.Helper()
	var b bytes.Buffer
	if err := samplecountry.WriteSQL(t.Context(), c, registry, &b); err != nil {
		t.Fatalf("WriteSQL: %v", err)
	}
	return b.String()
}

// TestWriteSQL checks that a script is the same each time and has every row once.
// Whether databases take it is tested in registry/sqltable.
func TestWriteSQL(t *testing.T) {
	c := samplecountry.Config{Seed: 1, Persons: 200}
	for _, r := range samplecountry.Registries() {
		t.Run(r.Name, func(t *testing.T) {
			s := script(t, c, r.Name)
			if s != script(t, c, r.Name) {
				t.Error("the second time it is another script")
			}
			n := 0
			rows, err := samplecountry.Rows(c, r.Name)
			if err != nil {
				t.Fatal(err)
			}
			for row := range rows {
				n++
				line := "('" + row[0] + "',"
				if strings.Count(s, line) != 1 {
					t.Errorf("%d times the row %s", strings.Count(s, line), row[0])
				}
			}
			if n == 0 {
				t.Error("no rows")
			}
			for _, v := range r.Views {
				for _, column := range v.Columns {
					if !slices.Contains(r.Header(), column) {
						t.Errorf("view %s has a column %s, which the registry lacks", v.Name, column)
					}
				}
				if v.Columns[0] != r.Columns[0].Name {
					t.Errorf("view %s begins with %s", v.Name, v.Columns[0])
				}
			}
		})
	}
	sum := sha256.Sum256([]byte(script(t, c, "births")))
	const want = "8c7af271aaaf3ade"
	if got := hex.EncodeToString(sum[:8]); got != want {
		t.Errorf("births: digest %s, want %s", got, want)
	}
}

// TestWriteSQLStatements checks that a statement stays shorter than SQLite takes.
func TestWriteSQLStatements(t *testing.T) {
	for part := range strings.SplitSeq(script(t, samplecountry.Config{Seed: 1, Persons: 5000}, "births"), ";\n") {
		if len(part) > 300_000 {
			t.Errorf("a statement of %d bytes", len(part))
		}
	}
}

func TestWriteSQLRefuses(t *testing.T) {
	good := samplecountry.Config{Seed: 1, Persons: 20}
	tests := []struct {
		name  string
		spoil func(*samplecountry.Config)
	}{
		{"a delimiter", func(c *samplecountry.Config) { c.Delimiter = ';' }},
		{"an encoding", func(c *samplecountry.Config) { c.Encoding = "utf-16le" }},
		{"nobody", func(c *samplecountry.Config) { c.Persons = 0 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.spoil(&c)
			if err := samplecountry.WriteSQL(t.Context(), c, "births", io.Discard); err == nil {
				t.Error("WriteSQL: no error")
			}
		})
	}
	if err := samplecountry.WriteSQL(t.Context(), good, "people", io.Discard); !errors.Is(err, samplecountry.ErrNoRegistry) {
		t.Errorf("WriteSQL of another registry: %v, want ErrNoRegistry", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := samplecountry.WriteSQL(cancelled, good, "births", io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("WriteSQL: %v, want Canceled", err)
	}
	full := errors.New("full")
	if err := samplecountry.WriteSQL(t.Context(), good, "births", fullWriter{full}); !errors.Is(err, full) {
		t.Errorf("WriteSQL to a full disk: %v", err)
	}
}

type fullWriter struct{ err error }

func (w fullWriter) Write([]byte) (int, error) { return 0, w.err }
