package main

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/programme"
)

// TestWrongSource: a source that is there and not what the settings say is not away. A batch
// that would wait for it for ever is told so.
func TestWrongSource(t *testing.T) {
	dir := t.TempDir()
	file, list := filepath.Join(dir, "registry.db"), filepath.Join(dir, "list.csv")
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE birth (number TEXT PRIMARY KEY, name TEXT)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, []byte("number,name\n1,Amina\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	table := func(name, id, changed string) SourceConfig {
		return SourceConfig{SQL: SQLConfig{Database: file, Table: name, ChangedColumn: changed}, IDColumn: id}
	}
	for _, row := range []struct {
		name   string
		source SourceConfig
		why    batchwork.Why // none if empty
	}{
		{"as it should be", table("birth", "number", ""), ""},
		{"another id column", table("birth", "no", ""), batchwork.WrongSource},
		{"another changed column", table("birth", "number", "version"), batchwork.WrongSource},
		{"another table", table("death", "number", ""), batchwork.WrongSource},
		{"another database", SourceConfig{SQL: SQLConfig{Database: file + "x", Table: "birth"}, IDColumn: "number"}, batchwork.Away},
		{"a file with another id column", SourceConfig{CSV: list, IDColumn: "no"}, batchwork.NoIDColumn},
		{"no file", SourceConfig{CSV: list + "x", IDColumn: "no"}, batchwork.Away},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := &managers{d: &desk{cfg: Config{Sources: map[string]SourceConfig{"births": row.source}}}}
			src, err := m.table(t.Context(), batchwork.Job{Source: "births"}, "", &programme.Programme{})
			if src != nil {
				closeSource(src)
			}
			var got batchwork.Why
			if e, ok := errors.AsType[*batchwork.SourceError](err); ok {
				got = e.Why
			}
			if got != row.why || (err == nil) != (row.why == "") {
				t.Errorf("%v: %q, want %q", err, got, row.why)
			}
		})
	}
}
