package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/copytext"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// A dumped is a dump in memory.
type dumped struct {
	schema int64
	tables []store.Table
	rows   [][]byte
}

// take takes the dump of a database.
func take(t testing.TB, db *store.DB) dumped {
	t.Helper()
	s, err := db.Snapshot(t.Context())
	must(t, err)
	d := read(t, s)
	must(t, s.Close())
	return d
}

func read(t testing.TB, s *store.Snapshot) dumped {
	t.Helper()
	d := dumped{schema: s.Schema, tables: s.Tables}
	for _, table := range s.Tables {
		var b bytes.Buffer
		n, err := s.Copy(t.Context(), table.Name, &b)
		must(t, err)
		if lines := int64(bytes.Count(b.Bytes(), []byte("\n"))); lines != n {
			t.Errorf("%s: %d lines, %d rows", table.Name, lines, n)
		}
		d.rows = append(d.rows, b.Bytes())
	}
	return d
}

// load is the dump as Load reads it.
func (d dumped) load() store.Dump {
	i := -1
	return store.Dump{Schema: d.schema, Next: func() (store.Table, io.Reader, error) {
		if i++; i == len(d.tables) {
			return store.Table{}, nil, io.EOF
		}
		return d.tables[i], bytes.NewReader(d.rows[i]), nil
	}}
}

// table is where the rows of a table are.
func (d dumped) table(name string) *[]byte {
	i := slices.IndexFunc(d.tables, func(t store.Table) bool { return t.Name == name })
	return &d.rows[i]
}

// full is a database with something in every table that a store fills.
func full(t testing.TB) *store.DB {
	t.Helper()
	db := create(t)
	stock(t, db)
	return db
}

func stock(t testing.TB, db *store.DB) {
	t.Helper()
	fill(t, db, 20)
	appendEvents(t, db, 30)
	_, err := db.Checkpoint(t.Context(), now, sign(auditKey(t, 1)))
	must(t, err)
}

// TestLoadAcross takes dumps from each engine to each and back: the rows stay the
// same, and what comes out is fenced until it is confirmed.
func TestLoadAcross(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector finds nothing here: all of it happens one after the other")
	}
	from := map[string]func(*testing.T) *store.DB{
		"SQLite": func(t *testing.T) *store.DB { return create(t) }, "PostgreSQL": func(t *testing.T) *store.DB { return createPostgres(t) },
	}
	to := map[string]func(*testing.T, dumped) (location string){
		"SQLite": func(t *testing.T, d dumped) string {
			path := filepath.Join(t.TempDir(), "again.db")
			must(t, store.Load(t.Context(), path, options, d.load()))
			return path
		},
		"PostgreSQL": func(t *testing.T, d dumped) string {
			s := newServer(t)
			o := options
			o.ServiceRole = role(t, s.service)
			must(t, store.Load(t.Context(), s.owner, o, d.load()))
			if err := store.Load(t.Context(), s.owner, o, d.load()); !errors.Is(err, store.ErrExists) {
				t.Errorf("Load over a database: %v", err)
			}
			return s.owner
		},
	}
	for name, make := range from {
		for target, load := range to {
			t.Run(name+" to "+target, func(t *testing.T) {
				db := make(t)
				stock(t, db)
				before := take(t, db)
				location := load(t, before)
				again, err := store.Open(t.Context(), location, options)
				must(t, err)
				defer again.Close()
				agrees(t, again)
				after := take(t, again)
				for _, table := range before.tables {
					if table.Name == "meta" || table.Name == "writer" {
						continue
					}
					got, want := sorted(*after.table(table.Name), after.columns(table.Name)), sorted(*before.table(table.Name), table.Columns)
					if got != want {
						t.Errorf("%s: got\n%.600s\nwant\n%.600s", table.Name, got, want)
					}
				}
				err = again.Write(t.Context(), func(tx issuance.Tx) error { return tx.Append(events(1)) })
				if !errors.Is(err, store.ErrFenced) || again.Fenced() != store.FenceRestored {
					t.Errorf("Write: %v, fenced %q", err, again.Fenced())
				}
				must(t, again.Close())
				o := options
				o.WhileFenced = true
				again, err = store.Open(t.Context(), location, o)
				must(t, err)
				must(t, again.Confirm(t.Context(), now, func(tx issuance.Tx) error { return tx.Append(events(1)) }))
				must(t, again.Close())
				again, err = store.Open(t.Context(), location, options)
				must(t, err)
				must(t, again.Write(t.Context(), func(tx issuance.Tx) error { return tx.Append(events(1)) }))
				if again.Epoch() != 2 || again.Fenced() != "" {
					t.Errorf("epoch %d, fenced %q", again.Epoch(), again.Fenced())
				}
			})
		}
	}
}

// agrees fails if a database finds that what it derives is not what it says.
func agrees(t testing.TB, db *store.DB) {
	t.Helper()
	for _, found := range damage(t, db) {
		t.Error(found)
	}
}

// damage is what a database finds wrong with what it derives.
func damage(t testing.TB, db *store.DB) []string {
	t.Helper()
	s, err := db.Snapshot(t.Context())
	must(t, err)
	found, err := s.CheckDerived(t.Context())
	must(t, errors.Join(err, s.Close()))
	return found
}

func (d dumped) columns(name string) []string {
	i := slices.IndexFunc(d.tables, func(t store.Table) bool { return t.Name == name })
	return d.tables[i].Columns
}

// sorted are rows with their columns by name, whatever the engine's order was.
func sorted(rows []byte, columns []string) string {
	by := slices.Clone(columns)
	slices.Sort(by)
	var lines []string
	for line := range strings.Lines(string(rows)) {
		values := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		out := ""
		for _, c := range by {
			out += c + "=" + values[slices.Index(columns, c)] + " "
		}
		lines = append(lines, out)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestDumpKnowsEveryTable fails when a migration adds a table that dumps lack.
func TestDumpKnowsEveryTable(t *testing.T) {
	db := full(t)
	d := take(t, db)
	var got []string
	for _, table := range d.tables {
		got = append(got, table.Name)
	}
	slices.Sort(got)
	var want []string
	rows, err := plain(t, db.Path()).Query(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'goose_db_version'
		AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name`)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var name string
		must(t, rows.Scan(&name))
		want = append(want, name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the dump has the tables %q, the database %q", got, want)
	}
}

func TestLoad(t *testing.T) {
	db := full(t)
	before := take(t, db)
	path := filepath.Join(t.TempDir(), "again.db")
	must(t, store.Load(t.Context(), path, options, before.load()))
	again, err := store.Open(t.Context(), path, options)
	must(t, err)
	defer again.Close()
	after := take(t, again)
	for i, table := range before.tables {
		if table.Name == "meta" || table.Name == "writer" { // the fence; whoever opened it since
			continue
		}
		if !bytes.Equal(before.rows[i], after.rows[i]) {
			t.Errorf("%s: got\n%.400s\nwant\n%.400s", table.Name, after.rows[i], before.rows[i])
		}
	}
	if n := count(t, again, issuance.Query{}); n != 20 {
		t.Errorf("%d credentials, want 20", n)
	}
	if err := store.Load(t.Context(), path, options, before.load()); !errors.Is(err, store.ErrExists) {
		t.Errorf("Load over a database: %v", err)
	}
}

// TestSnapshotIsOneMoment writes while a dump is read.
func TestSnapshotIsOneMoment(t *testing.T) {
	db := full(t)
	want := take(t, db)
	s, err := db.Snapshot(t.Context())
	must(t, err)
	appendEvents(t, db, 5)
	if got := read(t, s); !bytes.Equal(bytes.Join(got.rows, nil), bytes.Join(want.rows, nil)) {
		t.Error("the snapshot has what was written after it was taken")
	}
	n := 0
	for row, err := range s.Rows(t.Context(), "credential") {
		must(t, err)
		if len(row) != len(s.Columns("credential")) {
			t.Fatalf("%d values, %d columns", len(row), len(s.Columns("credential")))
		}
		if n++; n == 3 {
			break // a reader may leave early
		}
	}
	must(t, s.Close())
}

// TestLoadRefuses spoils one thing of a good dump at a time.
func TestLoadRefuses(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector finds nothing here: all of it happens one after the other")
	}
	good := take(t, full(t))
	replace := func(table, old, with string) func(*dumped) {
		return func(d *dumped) {
			rows := d.table(table)
			spoiled := strings.Replace(string(*rows), old, with, 1)
			if spoiled == string(*rows) {
				panic(fmt.Sprintf("nothing to spoil in %s: %.300q", table, *rows))
			}
			*rows = []byte(spoiled)
		}
	}
	firstLine := func(d *dumped, table string) string {
		line, _, _ := strings.Cut(string(*d.table(table)), "\n")
		return line + "\n"
	}
	tests := []struct {
		name  string
		spoil func(*dumped)
		want  error // nil: any
	}{
		{"another issuer", replace("meta", "office-1", "office-2"), store.ErrOtherInstance},
		{"no meta", func(d *dumped) { *d.table("meta") = nil }, copytext.ErrMalformed},
		{"a newer schema", func(d *dumped) { d.schema = 99 }, store.ErrNewer},
		{"schema 0", func(d *dumped) { d.schema = 0 }, store.ErrNewer},
		{"an unknown table", func(d *dumped) { d.tables[2].Name = "sqlite_schema" }, copytext.ErrMalformed},
		{"a table twice", func(d *dumped) { d.tables[2] = d.tables[1]; d.rows[2] = d.rows[1] }, copytext.ErrMalformed},
		{"a column more", func(d *dumped) { d.tables[0].Columns = append(d.tables[0].Columns, "x") }, copytext.ErrMalformed},
		{"a column of another name", func(d *dumped) { d.tables[0].Columns[0] = "one) VALUES (1); --" }, copytext.ErrMalformed},
		{"a row of too few columns", replace("credential", "\t", ""), copytext.ErrMalformed},
		{"text for a number", replace("credential", "1\t", "one\t"), copytext.ErrMalformed},
		{"a row breaks off", func(d *dumped) { r := d.table("credential"); *r = (*r)[:len(*r)-1] }, copytext.ErrMalformed},
		{"a form without its credential", func(d *dumped) {
			r := d.table("credential")
			*r = (*r)[len(firstLine(d, "credential")):]
		}, nil},
		{"a row twice", func(d *dumped) { r := d.table("credential"); *r = append(*r, firstLine(d, "credential")...) }, nil},
		{"a state that there is not", replace("credential", "\tactive\t", "\tforgiven\t"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := dumped{schema: good.schema, rows: slices.Clone(good.rows)}
			for i := range good.tables {
				d.tables = append(d.tables, store.Table{Name: good.tables[i].Name, Columns: slices.Clone(good.tables[i].Columns)})
				d.rows[i] = slices.Clone(good.rows[i])
			}
			tt.spoil(&d)
			dir := t.TempDir()
			err := store.Load(t.Context(), filepath.Join(dir, "x.db"), options, d.load())
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Load: %v, want %v", err, tt.want)
			}
			wantNothing(t, dir)
		})
	}
	t.Run("not verified", func(t *testing.T) {
		l, dir, no := good.load(), t.TempDir(), errors.New("no")
		l.Verify = func() error { return no }
		if err := store.Load(t.Context(), filepath.Join(dir, "x.db"), options, l); !errors.Is(err, no) {
			t.Errorf("Load: %v, want %v", err, no)
		}
		wantNothing(t, dir)
	})
}

// wantNothing fails the test if something but a lock file is in a folder.
func wantNothing(t testing.TB, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	must(t, err)
	for _, f := range left {
		if !strings.HasSuffix(f.Name(), ".lock") {
			t.Errorf("%s is left", f.Name())
		}
	}
}
