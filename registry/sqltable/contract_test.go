package sqltable_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/registrytest"
	"github.com/sanad-id/sanad/registry/sqltable"
)

// A server is one of the two databases, as whoever keeps the registry sees it.
type server struct {
	database string // what Options.Database is to be
	role     string // whom to grant what is to be read; none in SQLite
	exec     func(t testing.TB, statement string)
}

func sqliteServer(t testing.TB) server {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registry's file?.db")
	return server{database: path, exec: func(t testing.TB, statement string) {
		t.Helper()
		// It waits as an application would: who was cancelled while it read lets go a little later.
		db, err := sql.Open("sqlite", "file:"+strings.ReplaceAll(path, "?", "%3f")+"?_pragma=busy_timeout(10000)")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.ExecContext(context.Background(), statement); err != nil {
			t.Fatalf("%.200s: %v", statement, err)
		}
	}}
}

// do runs statements.
func (s server) do(t testing.TB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		s.exec(t, statement)
	}
}

// grant lets the role read a table.
func (s server) grant(t testing.TB, table string) {
	t.Helper()
	if s.role != "" {
		s.do(t, "GRANT SELECT ON "+table+" TO "+s.role)
	}
}

func open(t testing.TB, o sqltable.Options) *sqltable.Source {
	t.Helper()
	s, err := sqltable.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func quoted(values []string) string {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("'" + strings.ReplaceAll(v, "'", "''") + "'")
	}
	return b.String()
}

// servers runs a test on both databases.
func servers(t *testing.T, test func(*testing.T, func(testing.TB) server)) {
	t.Run("SQLite", func(t *testing.T) { test(t, sqliteServer) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, postgresServer) })
}

func TestContract(t *testing.T) {
	// %[1]d is a number, so that each case has tables of its own in one database.
	ways := map[string]struct{ make, changed string }{
		"view": {"CREATE TABLE base_%[1]d (id TEXT, name TEXT, note TEXT, version TEXT); CREATE INDEX by_id_%[1]d ON base_%[1]d (id); " +
			"CREATE VIEW people_%[1]d AS SELECT * FROM base_%[1]d", ""},
		"column of last changes": {"CREATE TABLE base_%[1]d (id TEXT, name TEXT, note TEXT, version TEXT)", "version"},
	}
	servers(t, func(t *testing.T, start func(testing.TB) server) {
		for name, way := range ways {
			t.Run(name, func(t *testing.T) {
				s, n := start(t), 0
				registrytest.TestSource(t, func(t *testing.T, table registrytest.Table) registrytest.Subject {
					n++
					s.do(t, fmt.Sprintf(way.make, n))
					base := fmt.Sprintf("base_%d", n)
					read := base
					if strings.Contains(way.make, "VIEW") {
						read = fmt.Sprintf("people_%d", n)
					}
					s.grant(t, read)
					return subject(t, s, table, base, sqltable.Options{Database: s.database, Table: read, IDColumn: "id", ChangedColumn: way.changed})
				})
			})
		}
	})
}

// subject is a source that reads what is put into a table.
func subject(t *testing.T, s server, table registrytest.Table, base string, o sqltable.Options) registrytest.Subject {
	put := func(t *testing.T, table registrytest.Table) {
		statement := "DELETE FROM " + base + "; "
		for _, row := range table.Rows {
			// The version follows from the values, so that a record that is as it
			// was has the version it had.
			row = append(row[:len(row):len(row)], fmt.Sprintf("%x", strings.Join(row, "|")))
			statement += "INSERT INTO " + base + " VALUES (" + quoted(row) + "); "
		}
		s.do(t, "BEGIN; "+statement+"COMMIT")
	}
	put(t, table)
	return registrytest.Subject{
		Source:   open(t, o),
		Again:    func(t *testing.T) registry.Source { return open(t, o) },
		Replace:  put,
		OwnOrder: true,
		Break: func(t *testing.T, id string) {
			s.do(t, "UPDATE "+base+" SET version = 'long', note = '"+strings.Repeat("x", 1<<20+1)+"' WHERE id = "+quoted([]string{id}))
		},
	}
}
