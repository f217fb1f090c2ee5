package sqltable_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/sqltable"
)

// read returns what Records delivers, one string an element.
func read(t *testing.T, s registry.Source) (got []string, last error) {
	t.Helper()
	for r, err := range s.Records(t.Context()) {
		if e, ok := errors.AsType[*registry.RowError](err); ok {
			got = append(got, fmt.Sprintf("%d!%s", e.Line, e.Code))
			continue
		}
		if err != nil {
			return got, err
		}
		var values []string
		for i := range r.Columns().Len() {
			values = append(values, r.At(i))
		}
		got = append(got, strings.Join(values, "|"))
	}
	return got, nil
}

// at is the value at place i, or nothing of no record.
func at(r registry.Record, i int) string {
	if r.Columns() == nil {
		return ""
	}
	return r.At(i)
}

func TestValuesOfPostgreSQL(t *testing.T) {
	s := postgresServer(t)
	s.do(t, `CREATE TYPE mood AS ENUM ('good', 'so so')`, `CREATE DOMAIN plate AS varchar(10)`)
	tests := []struct{ kind, value, want string }{
		{"text", "'  as it stands '", "  as it stands "}, {"text", "NULL", ""}, {"varchar(20)", `'back\slash'`, `back\slash`}, {"char(6)", "'ab '", "ab"},
		{"plate", "'XA 12'", "XA 12"}, {"mood", "'so so'", "so so"}, {"name", "'n'", "n"}, {`"char"`, "'c'", "c"},
		{"smallint", "-7", "-7"}, {"bigint", "9223372036854775807", "9223372036854775807"}, {"integer", "NULL", ""},
		{"numeric", "1200.50", "1200.50"}, {"numeric", "1e20", "100000000000000000000"}, {"numeric(12,0)", "007", "7"},
		{"double precision", "0.1", "0.1"}, {"double precision", "1e20", "100000000000000000000"}, {"real", "5", "5"}, {"double precision", "'NaN'", "NaN"},
		{"boolean", "true", "true"}, {"boolean", "false", "false"}, {"boolean", "NULL", ""},
		{"date", "'31.1.2026'::text::date", "2026-01-31"}, {"time", "'8:05'", "08:05:00"}, {"date", "'infinity'", "infinity"},
		{"timestamp", "'2026-01-31 8:05:00.25'", "2026-01-31T08:05:00.25"}, {"timestamp", "'-infinity'", "-infinity"}, {"timestamp", "'0044-03-15 BC'", "0044-03-15 00:00:00 BC"},
		{"timestamptz", "'2026-01-31 14:05:00.25+06'", "2026-01-31T08:05:00.25Z"},
		{"uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		{"json", `'{"b": 1,  "a":2}'`, `{"b": 1,  "a":2}`}, {"jsonb", `'{"b": 1,  "a":2}'`, `{"a": 2, "b": 1}`},
	}
	for i, tt := range tests {
		t.Run(tt.kind+" "+tt.value, func(t *testing.T) {
			name := fmt.Sprintf("v%d", i)
			// Other habits of the role must not show.
			s.do(t, "SET datestyle = 'German, DMY'; CREATE TABLE "+name+" (id integer PRIMARY KEY, v "+tt.kind+"); INSERT INTO "+name+" VALUES (1, "+tt.value+"); RESET datestyle")
			s.grant(t, name)
			src := open(t, sqltable.Options{Database: s.database, Table: name, IDColumn: "id"})
			if got, err := read(t, src); err != nil || !slices.Equal(got, []string{"1|" + tt.want}) {
				t.Errorf("Records: %q, %v; want %q", got, err, tt.want)
			}
			if r, err := src.Lookup(t.Context(), "1"); err != nil || at(r, 1) != tt.want {
				t.Errorf("Lookup: %q, %v; want %q", at(r, 1), err, tt.want)
			}
		})
	}
}

func TestValuesOfSQLite(t *testing.T) {
	s := sqliteServer(t)
	s.do(t, `CREATE TABLE people (id INTEGER PRIMARY KEY, v, b BOOLEAN, d DATETIME)`,
		`INSERT INTO people VALUES (1, 'text', 1, '2026-01-31 08:05:00'), (2, 12, 0, 1769846700), (3, 0.1, 2, '2026-01-31'), (4, 1e20, 'yes', NULL), (5, NULL, NULL, 0.5),
			(6, x'00ff', 1, ''), (7, cast(x'ff41' AS TEXT), 1, ''), (8, cast(x'410042' AS TEXT), 1, ''), (9, 5.0, 1, '')`)
	src := open(t, sqltable.Options{Database: s.database, Table: "people", IDColumn: "id"})
	want := []string{
		"1|text|true|2026-01-31 08:05:00", "2|12|false|1769846700", "3|0.1|2|2026-01-31", "4|100000000000000000000|yes|", "5|||0.5",
		"6!encoding", "7!encoding", "8!encoding", "9|5|true|",
	}
	if got, err := read(t, src); err != nil || !slices.Equal(got, want) {
		t.Errorf("Records: %q, %v; want %q", got, err, want)
	}
	if _, err := src.Lookup(t.Context(), "6"); err == nil || errors.Is(err, registry.ErrNoRecord) {
		t.Errorf("Lookup of bytes: %v, want an error that says so", err)
	}
}

// TestIDs checks which records have an id, and in which order they come.
func TestIDs(t *testing.T) {
	servers(t, func(t *testing.T, start func(testing.TB) server) {
		s := start(t)
		long := strings.Repeat("x", 1025)
		s.do(t, `CREATE TABLE words (id TEXT, v TEXT)`, `INSERT INTO words VALUES (NULL, 'a'), ('2', 'b'), ('', 'c'), ('10', 'd'), ('`+long+`', 'e'), ('2', 'a'), ('  ', 'f'), ('007', 'g')`,
			`CREATE TABLE numbers (id INTEGER, v TEXT)`, `INSERT INTO numbers VALUES (NULL, 'a'), (2, 'b'), (10, 'd'), (-1, 'e'), (2, 'a')`)
		tests := []struct {
			table string
			want  []string
		}{
			{"numbers", []string{"-1|e", "2|a", "2|b", "10|d", "5!no_id"}},
			{"words", []string{"1!no_id", "007|g", "10|d", "2|a", "2|b", "6!no_id", "7!no_id", "8!too_long"}},
		}
		for _, tt := range tests {
			t.Run(tt.table, func(t *testing.T) {
				s.grant(t, tt.table)
				src := open(t, sqltable.Options{Database: s.database, Table: tt.table, IDColumn: "id"})
				if got, err := read(t, src); err != nil || !slices.Equal(got, tt.want) {
					t.Errorf("Records: %q, %v; want %q", got, err, tt.want)
				}
				for n := range 9 {
					var got []string
					for g, err := range src.Ranges(t.Context(), n+1) {
						if err != nil {
							t.Fatal(err)
						}
						for r, err := range src.Range(t.Context(), g) {
							if e, ok := errors.AsType[*registry.RowError](err); ok {
								got = append(got, fmt.Sprintf("%d!%s", e.Line, e.Code))
								continue
							}
							if err != nil {
								t.Fatalf("Range: %v", err)
							}
							got = append(got, at(r, 0)+"|"+at(r, 1))
						}
					}
					if !slices.Equal(got, tt.want) {
						t.Errorf("ranges of %d: %q, want %q", n+1, got, tt.want)
					}
				}
				for _, id := range []string{"1", "02", "2.0", " 2", "x", "9999999999999999999999", "' OR 1=1 --"} {
					if _, err := src.Lookup(t.Context(), id); !errors.Is(err, registry.ErrNoRecord) {
						t.Errorf("Lookup %q: %v, want ErrNoRecord", id, err)
					}
				}
				if _, err := src.Lookup(t.Context(), "2"); !errors.Is(err, registry.ErrAmbiguous) {
					t.Errorf("Lookup of an id that occurs twice: %v, want ErrAmbiguous", err)
				}
				if r, err := src.Lookup(t.Context(), "10"); err != nil || at(r, 1) != "d" {
					t.Errorf("Lookup: %v", err)
				}
			})
		}
	})
}

// hostile is SQL and what else means something to a database, or to those who
// put statements together (DB-11).
var hostile = []string{
	`'; DROP TABLE canary; --`, `"; DROP TABLE canary; --`, `x" FROM canary; DELETE FROM canary; --`, `1 OR 1=1`, `' OR ''='`, `') UNION SELECT v, v FROM canary --`,
	`$1`, `$$; DROP TABLE canary; $$`, `$x$; DROP TABLE canary; $x$`, `\'; DROP TABLE canary; --`, `E'\x27'`, `%s%d%!`, `:id`, `?1`, `@v`, `/*`, `*/ DROP TABLE canary`,
	`"`, `""`, `'`, `''`, `\`, "a\nb", "tab\t", `[x]`, "`x`", `${jndi:x}`, `{{.}}`, "é\u0301", "\u202e", "main.canary", "public.canary", `pg_catalog.pg_class`, "-1", "−1", "0x27",
}

// TestHostileText puts such text where names and values are. It is delivered as
// it stands and has no other effect.
func TestHostileText(t *testing.T) {
	quote := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	servers(t, func(t *testing.T, start func(testing.TB) server) {
		s := start(t)
		s.do(t, `CREATE TABLE canary (id TEXT, v TEXT)`, `INSERT INTO canary VALUES ('1', 'alive')`)
		s.grant(t, "canary")
		canary := open(t, sqltable.Options{Database: s.database, Table: "canary", IDColumn: "id"})
		for i, text := range hostile {
			t.Run(fmt.Sprintf("%d %q", i, text), func(t *testing.T) {
				table := text + " t"
				s.do(t, "CREATE TABLE "+quote(table)+" ("+quote(text)+" TEXT, "+quote(text+" 2")+" TEXT)",
					"INSERT INTO "+quote(table)+" VALUES ("+quoted([]string{text, text + text})+"), ('plain', "+quoted([]string{text})+")")
				s.grant(t, quote(table))
				o := sqltable.Options{Database: s.database, Table: table, IDColumn: text, ChangedColumn: text + " 2"}
				src := open(t, o)
				r, err := src.Lookup(t.Context(), text)
				if v, ok := r.Value(text + " 2"); err != nil || r.ID != text || !ok || v != text+text {
					t.Errorf("Lookup: %q, %v", v, err)
				}
				got, err := read(t, src)
				want := []string{text + "|" + text + text, "plain|" + text}
				slices.Sort(got)
				slices.Sort(want)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("Records: %q, %v; want %q", got, err, want)
				}
				n := 0
				for g, err := range src.Ranges(t.Context(), 1) {
					if err != nil {
						t.Fatal(err)
					}
					for _, err := range src.Range(t.Context(), g) {
						if err != nil {
							t.Errorf("Range: %v", err)
						}
						n++
					}
				}
				if n != 2 {
					t.Errorf("%d records in ranges, want 2", n)
				}
				mark, err := src.Mark(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for c, err := range src.Changes(t.Context(), mark) {
					if err != nil || c.Kind != registry.Reached {
						t.Errorf("Changes: %s, %v", c.Kind, err)
					}
				}
				refused := []sqltable.Options{
					{Database: s.database, Table: text, IDColumn: "id"},
					{Database: s.database, Table: "canary", IDColumn: text},
					{Database: s.database, Table: "canary", IDColumn: "id", ChangedColumn: text},
				}[i%3]
				if _, err := sqltable.Open(t.Context(), refused); !errors.Is(err, sqltable.ErrTable) && !errors.Is(err, sqltable.ErrColumn) {
					t.Errorf("Open with names that are not there: %v", err)
				}
				if _, err := canary.Lookup(t.Context(), text); !errors.Is(err, registry.ErrNoRecord) {
					t.Errorf("Lookup: %v, want ErrNoRecord", err)
				}
				if got, err := read(t, canary); err != nil || !slices.Equal(got, []string{"1|alive"}) {
					t.Fatalf("the canary is %q, %v", got, err)
				}
			})
		}
	})
}

// TestErrorsQuoteNothing has the database fail over a value, which PostgreSQL
// quotes in its message. Ours may not.
func TestErrorsQuoteNothing(t *testing.T) {
	views := map[string]string{
		"SQLite":     `CREATE VIEW people AS SELECT id, json_extract(name, '$.x') AS v FROM base`,
		"PostgreSQL": `CREATE VIEW people AS SELECT id, name::integer AS v FROM base`,
	}
	servers(t, func(t *testing.T, start func(testing.TB) server) {
		s := start(t)
		s.do(t, `CREATE TABLE base (id TEXT PRIMARY KEY, name TEXT)`, `INSERT INTO base VALUES ('B-1', '12'), ('B-2', 'Canary Persona')`,
			views[strings.TrimPrefix(t.Name(), "TestErrorsQuoteNothing/")])
		s.grant(t, "people")
		src := open(t, sqltable.Options{Database: s.database, Table: "people", IDColumn: "id"})
		_, streamed := read(t, src)
		_, looked := src.Lookup(t.Context(), "B-2")
		_, marked := src.Mark(t.Context())
		_, printed := src.Fingerprint(t.Context())
		for _, err := range []error{streamed, looked, marked, printed} {
			if err == nil || strings.Contains(err.Error(), "Canary") || strings.Contains(err.Error(), "B-2") {
				t.Errorf("error %v, want one without the value", err)
			}
		}
		// The connection serves on.
		if r, err := src.Lookup(t.Context(), "B-1"); err != nil && s.role != "" || r.ID != "B-1" && s.role != "" {
			t.Errorf("Lookup of another: %v", err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	servers(t, func(t *testing.T, start func(testing.TB) server) {
		s := start(t)
		wide := make([]string, 1025)
		for i := range wide {
			wide[i] = fmt.Sprintf("c%d TEXT", i)
		}
		s.do(t, `CREATE TABLE people (id TEXT, name TEXT)`, `CREATE TABLE closed (id TEXT)`)
		s.grant(t, "people")
		good := sqltable.Options{Database: s.database, Table: "people", IDColumn: "id"}
		tests := []struct {
			name  string
			spoil func(*sqltable.Options)
			want  error
			text  string
		}{
			{"no table", func(o *sqltable.Options) { o.Table = "" }, sqltable.ErrTable, `"people"`},
			{"another table", func(o *sqltable.Options) { o.Table = "persons" }, sqltable.ErrTable, `"people"`},
			{"capitals", func(o *sqltable.Options) { o.Table = "People" }, sqltable.ErrTable, `"people"`},
			{"no id column", func(o *sqltable.Options) { o.IDColumn = "" }, sqltable.ErrColumn, `"id", "name"`},
			{"another id column", func(o *sqltable.Options) { o.IDColumn = "number" }, sqltable.ErrColumn, `"id", "name"`},
			{"another changed column", func(o *sqltable.Options) { o.ChangedColumn = "version" }, sqltable.ErrColumn, `"id", "name"`},
			{"a file that is not there", func(o *sqltable.Options) { o.Database = filepath.Join(t.TempDir(), "x.db") }, sqltable.ErrConnect, ""},
			{"a folder", func(o *sqltable.Options) { o.Database = t.TempDir() }, sqltable.ErrConnect, "not a file"},
			{"two hosts", func(o *sqltable.Options) { o.Database = "postgres://u@localhost/d?host=/tmp" }, sqltable.ErrLocation, "twice"},
			{"nobody listens", func(o *sqltable.Options) { o.Database = "postgres:///d?user=u&host=" + t.TempDir() }, sqltable.ErrConnect, ""},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				o := good
				tt.spoil(&o)
				_, err := sqltable.Open(t.Context(), o)
				if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("Open: %v, want %v with %s", err, tt.want, tt.text)
				}
			})
		}
		if s.role == "" {
			s.do(t, "CREATE TABLE wide ("+strings.Join(wide, ", ")+")")
			if _, err := sqltable.Open(t.Context(), sqltable.Options{Database: s.database, Table: "wide", IDColumn: "c0"}); !errors.Is(err, sqltable.ErrColumn) {
				t.Errorf("Open with 1025 columns: %v, want ErrColumn", err)
			}
			return
		}
		if _, err := sqltable.Open(t.Context(), sqltable.Options{Database: s.database, Table: "closed", IDColumn: "id"}); !errors.Is(err, sqltable.ErrRight) ||
			!strings.Contains(err.Error(), `GRANT SELECT ON "public"."closed" TO "`+s.role+`"`) {
			t.Errorf("Open without the right: %v, want ErrRight with the statement that gives it", err)
		}
	})
}

// TestOpenRefusesTypes opens tables with columns that have no text of one form.
func TestOpenRefusesTypes(t *testing.T) {
	s := postgresServer(t)
	for i, kind := range []string{"bytea", "text[]", "interval", "money", "point", "xml", "timetz", "int4range", "inet", "bit(3)"} {
		t.Run(kind, func(t *testing.T) {
			name := fmt.Sprintf("t%d", i)
			s.do(t, "CREATE TABLE "+name+" (id text, odd "+kind+")")
			s.grant(t, name)
			if _, err := sqltable.Open(t.Context(), sqltable.Options{Database: s.database, Table: name, IDColumn: "id"}); !errors.Is(err, sqltable.ErrColumn) || !strings.Contains(err.Error(), `"odd"`) {
				t.Errorf("Open: %v, want ErrColumn for odd", err)
			}
		})
	}
	for i, kind := range []string{"numeric", "numeric(8,2)", "boolean", "date", "json", "double precision", `text COLLATE "blind"`} {
		t.Run("id "+kind, func(t *testing.T) {
			name := fmt.Sprintf("i%d", i)
			if i == 0 {
				s.do(t, `CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`)
			}
			s.do(t, "CREATE TABLE "+name+" (id "+kind+", name text)")
			s.grant(t, name)
			if _, err := sqltable.Open(t.Context(), sqltable.Options{Database: s.database, Table: name, IDColumn: "id"}); !errors.Is(err, sqltable.ErrColumn) {
				t.Errorf("Open: %v, want ErrColumn", err)
			}
		})
	}
}

func TestUTF16IsRefused(t *testing.T) {
	s := sqliteServer(t)
	s.do(t, `PRAGMA encoding = 'UTF-16le'; CREATE TABLE people (id TEXT)`)
	if _, err := sqltable.Open(t.Context(), sqltable.Options{Database: s.database, Table: "people", IDColumn: "id"}); !errors.Is(err, sqltable.ErrLocation) {
		t.Errorf("Open: %v, want ErrLocation", err)
	}
}

// TestWarnings opens a table as roles that can do more than read.
func TestWarnings(t *testing.T) {
	s := postgresServer(t)
	s.do(t, `CREATE TABLE people (id TEXT, name TEXT)`, `CREATE VIEW view AS SELECT * FROM people`)
	s.grant(t, "people")
	s.grant(t, "view")
	warnings := func(o sqltable.Options) int {
		t.Helper()
		return len(open(t, o).Warnings())
	}
	o := sqltable.Options{Database: s.database, Table: "people", IDColumn: "id"}
	if n := warnings(o); n != 0 {
		t.Errorf("%d warnings for a role that may read, want none", n)
	}
	for _, right := range []string{"INSERT", "UPDATE (name)", "DELETE", "TRUNCATE"} {
		s.do(t, "GRANT "+right+" ON people TO "+s.role)
		if n := warnings(o); n != 1 {
			t.Errorf("%d warnings for a role that has %s, want one", n, right)
		}
		s.do(t, "REVOKE "+right+" ON people FROM "+s.role)
	}
	s.do(t, "REVOKE SELECT ON people FROM "+s.role, "GRANT SELECT (id) ON people TO "+s.role)
	if got := open(t, o).Columns().Names(); !slices.Equal(got, []string{"id"}) {
		t.Errorf("columns %q for a role that may read id alone", got)
	}
}

// TestReadOnly has a view try to write, as the keepers of a registry might have
// built it.
func TestReadOnly(t *testing.T) {
	s := postgresServer(t)
	s.do(t, `CREATE TABLE base (id TEXT)`, `INSERT INTO base VALUES ('1')`,
		`CREATE FUNCTION count_me(text) RETURNS text VOLATILE SECURITY DEFINER LANGUAGE sql AS 'INSERT INTO base VALUES (''2'') RETURNING id'`,
		`CREATE VIEW people AS SELECT id, count_me(id) AS v FROM base`)
	s.grant(t, "people")
	src := open(t, sqltable.Options{Database: s.database, Table: "people", IDColumn: "id"})
	if _, err := read(t, src); err == nil || !strings.Contains(err.Error(), "25006") {
		t.Errorf("Records: %v, want SQLSTATE 25006", err)
	}
}

// TestMemory streams 80 MB, and finds the heap small all the way.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("80 MB are too much for -short")
	}
	views := map[string]string{
		"SQLite": `CREATE VIEW people AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
			SELECT i AS id, hex(zeroblob(1000)) AS v FROM n`,
		"PostgreSQL": `CREATE VIEW people AS SELECT i AS id, repeat('x', 2000) AS v FROM generate_series(1, 40000) AS i`,
	}
	servers(t, func(t *testing.T, start func(testing.TB) server) {
		s := start(t)
		s.do(t, views[strings.TrimPrefix(t.Name(), "TestMemory/")])
		s.grant(t, "people")
		src := open(t, sqltable.Options{Database: s.database, Table: "people", IDColumn: "id"})
		n, most := 0, uint64(0)
		for r, err := range src.Records(t.Context()) {
			if err != nil || len(at(r, 1)) != 2000 {
				t.Fatalf("Records: %v, %v", r, err)
			}
			if n++; n%5000 == 0 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
		if n != 40_000 || most > 24<<20 {
			t.Errorf("%d records, %d MB of heap; want 40000 and less than 24 MB", n, most>>20)
		}
	})
}

// TestSnapshot changes the table while it is read.
func TestSnapshot(t *testing.T) {
	servers(t, func(t *testing.T, start func(testing.TB) server) {
		s := start(t)
		if s.role == "" {
			s.do(t, "PRAGMA journal_mode = wal")
		}
		s.do(t, `CREATE TABLE people (id INTEGER PRIMARY KEY, v TEXT)`,
			`INSERT INTO people WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i, 'old' FROM n`)
		s.grant(t, "people")
		src := open(t, sqltable.Options{Database: s.database, Table: "people", IDColumn: "id"})
		n := 0
		for r, err := range src.Records(t.Context()) {
			if err != nil || at(r, 1) != "old" {
				t.Fatalf("record %d: %q, %v", n, at(r, 1), err)
			}
			if n++; n == 1 {
				s.do(t, "UPDATE people SET v = 'new'; DELETE FROM people WHERE id > 1000")
			}
		}
		if n != 2000 {
			t.Errorf("%d records, want the 2000 that were there when the reading began", n)
		}
		if r, err := src.Lookup(t.Context(), "1"); err != nil || at(r, 1) != "new" {
			t.Errorf("Lookup: %q, %v; want the present record", at(r, 1), err)
		}
	})
}

func TestPassword(t *testing.T) {
	s := postgresServer(t)
	s.do(t, `CREATE TABLE people (id TEXT)`)
	s.grant(t, "people")
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("s3cret-word\nsecond line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := sqltable.Options{Database: s.database, Table: "people", IDColumn: "id", PasswordFile: path}
	open(t, o) // a server that asks for none takes the connection
	o.PasswordFile = path + "x"
	if _, err := sqltable.Open(context.Background(), o); !errors.Is(err, sqltable.ErrConnect) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open without the file: %v, want ErrConnect", err)
	}
	o.PasswordFile = path
	for _, u := range []string{"postgres://u:s3cret-word@h/d", "postgres://u@h/d?password=s3cret-word", "postgres://u:s3cret-word@h:port/d", "postgres://u@h:s3cret-word/d"} {
		o.Database = u
		if _, err := sqltable.Open(context.Background(), o); !errors.Is(err, sqltable.ErrLocation) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Open: %v, want ErrLocation without the password", err)
		}
	}
}

// TestOtherEncoding reads a database that does not keep text as UTF-8, in whose
// order of bytes small letters come before capitals of the same script.
func TestOtherEncoding(t *testing.T) {
	c := pgtest.Start(t, pgtest.Options{})
	owner, _ := c.New(t)
	u, err := url.Parse(owner)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/koi"
	c.Exec(t, "postgres", "CREATE DATABASE koi ENCODING 'KOI8R' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	c.Exec(t, "koi", "CREATE TABLE people (id TEXT PRIMARY KEY, name TEXT)")
	c.Exec(t, "koi", `INSERT INTO people VALUES (U&'\0430', U&'\043C'), (U&'\042F', ''), (U&'\044E', ''), (U&'\0411', '')`)
	c.Exec(t, "koi", "GRANT SELECT ON people TO PUBLIC")
	src := open(t, sqltable.Options{Database: u.String(), Table: "people", IDColumn: "id"})
	var got []string
	for change, err := range src.Changes(t.Context(), nil) {
		if err != nil {
			t.Fatalf("Changes: %v", err)
		}
		got = append(got, change.ID)
	}
	if want := []string{"Б", "Я", "а", "ю", ""}; !slices.Equal(got, want) {
		t.Errorf("changes %q, want %q", got, want)
	}
	if r, err := src.Lookup(t.Context(), "а"); err != nil || at(r, 1) != "м" {
		t.Errorf("Lookup: %q, %v", at(r, 1), err)
	}
	if _, err := src.Lookup(t.Context(), "আ"); err == nil {
		t.Error("Lookup of an id that the encoding has no letters for: no error")
	}
}
