package store_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// closed is a database with some content that nobody has open.
func closed(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "issuer.db")
	sample.Do(func() {
		db, err := store.Create(t.Context(), path, options)
		must(t, err)
		fill(t, db, 500)
		must(t, db.Close())
		sampleBytes, err = os.ReadFile(path)
		must(t, err)
	})
	must(t, os.WriteFile(path, sampleBytes, 0o600))
	return path
}

// sample is made once: the tests that spoil a database need many of them.
var (
	sample      sync.Once
	sampleBytes []byte
)

// wantRefusal fails the test unless err says this and what to do about it.
func wantRefusal(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%v, want %v", err, want)
	}
	state, ok := errors.AsType[*store.StateError](err)
	if !ok || state.Hint == "" || state.Path == "" || !strings.Contains(err.Error(), state.Path) {
		t.Errorf("%v: no hint, or it does not name the file", err)
	}
}

// edit changes the bytes of a file.
func edit(t *testing.T, path string, f func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, f(b), 0o600))
}

// next is a migration of a version to come.
func next(t *testing.T) fs.FS {
	t.Helper()
	files := fstest.MapFS{"00005_next.sql": {Data: []byte("-- +goose Up\nCREATE TABLE next (a INTEGER) STRICT;\n")}}
	must(t, fs.WalkDir(store.Migrations(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(store.Migrations(), path)
		files[path] = &fstest.MapFile{Data: b}
		return err
	}))
	return files
}

// TestP26 prepares the states in which a database must not be opened.
func TestP26(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector finds nothing here: all of it happens one after the other")
	}
	tests := []struct {
		name    string
		prepare func(t *testing.T, path string) string // returns the path to open
		want    error
	}{
		{"P26 missing", func(t *testing.T, path string) string { return path + ".not" }, store.ErrMissing},
		{"P26 in a folder that is missing", func(t *testing.T, path string) string { return filepath.Join(path+".not", "issuer.db") }, store.ErrMissing},
		{"P26 link to nowhere", func(t *testing.T, path string) string {
			must(t, os.Symlink(path+".not", path+".link"))
			return path + ".link"
		}, store.ErrMissing},
		{"P26 a directory", func(t *testing.T, path string) string { return filepath.Dir(path) }, store.ErrNotAFile},
		{"P26 a device", func(t *testing.T, _ string) string { return os.DevNull }, store.ErrNotAFile},
		{"P26 unreadable", func(t *testing.T, path string) string { return filepath.Join(path, "issuer.db") }, store.ErrUnreadable},
		{"P26 empty", func(t *testing.T, path string) string {
			must(t, os.Truncate(path, 0))
			return path
		}, store.ErrEmpty},
		{"P26 a text file", func(t *testing.T, path string) string {
			must(t, os.WriteFile(path, bytes.Repeat([]byte("not a database\n"), 1000), 0o600))
			return path
		}, store.ErrNotADatabase},
		{"P26 three bytes", func(t *testing.T, path string) string {
			must(t, os.WriteFile(path, []byte("SQL"), 0o600))
			return path
		}, store.ErrNotADatabase},
		{"P26 SQLite of another program", func(t *testing.T, path string) string {
			edit(t, path, func(b []byte) []byte { binary.BigEndian.PutUint32(b[68:], 0x12345678); return b })
			return path
		}, store.ErrForeign},
		{"P26 SQLite of no program", func(t *testing.T, path string) string {
			must(t, os.Remove(path))
			must(t, os.WriteFile(path, nil, 0o600))
			must(t, execute(t, path, "CREATE TABLE credential (a)"))
			return path
		}, store.ErrForeign},
		{"P26 older", func(t *testing.T, path string) string {
			store.SetMigrations(t, next(t))
			return path
		}, store.ErrOlder},
		{"P26 newer", func(t *testing.T, path string) string {
			ours := store.Migrations()
			store.SetMigrations(t, next(t))
			must(t, store.Migrate(t.Context(), path, options))
			store.SetMigrations(t, ours)
			return path
		}, store.ErrNewer},
		{"P26 half migrated: version without tables", func(t *testing.T, path string) string {
			store.SetMigrations(t, next(t))
			must(t, execute(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (5, 1)"))
			return path
		}, store.ErrAltered},
		{"P26 half migrated: tables without version", func(t *testing.T, path string) string {
			store.SetMigrations(t, next(t))
			must(t, execute(t, path, "CREATE TABLE next (a INTEGER) STRICT"))
			return path
		}, store.ErrAltered},
		{"P26 half migrated: a version left out", func(t *testing.T, path string) string {
			store.SetMigrations(t, next(t))
			must(t, execute(t, path, "CREATE TABLE next (a INTEGER) STRICT"))
			must(t, execute(t, path, "DELETE FROM goose_db_version"))
			must(t, execute(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (4, 1)"))
			return path
		}, store.ErrAltered},
		{"P26 the first migration broke off", func(t *testing.T, path string) string {
			must(t, execute(t, path, "DELETE FROM goose_db_version WHERE version_id = 1"))
			return path
		}, store.ErrAltered},
		{"P26 no version at all", func(t *testing.T, path string) string {
			must(t, execute(t, path, "DROP TABLE goose_db_version"))
			return path
		}, store.ErrAltered},
		{"P26 a trigger taken away", func(t *testing.T, path string) string {
			must(t, execute(t, path, "DROP TRIGGER credential_update"))
			return path
		}, store.ErrAltered},
		{"P26 a trigger replaced", func(t *testing.T, path string) string {
			must(t, execute(t, path, "DROP TRIGGER meta_delete"))
			must(t, execute(t, path, "CREATE TRIGGER meta_delete BEFORE DELETE ON meta BEGIN SELECT 1; END"))
			return path
		}, store.ErrAltered},
		{"P26 an index taken away", func(t *testing.T, path string) string {
			must(t, execute(t, path, "DROP INDEX credential_form_slot"))
			return path
		}, store.ErrAltered},
		{"P26 a trigger put in", func(t *testing.T, path string) string {
			must(t, execute(t, path, "CREATE TRIGGER extra AFTER INSERT ON credential BEGIN SELECT 1; END"))
			return path
		}, store.ErrAltered},
		{"P26 nobody's", func(t *testing.T, path string) string {
			must(t, execute(t, path, "DROP TRIGGER meta_delete"))
			must(t, execute(t, path, "DELETE FROM meta"))
			must(t, execute(t, path, "CREATE TRIGGER meta_delete BEFORE DELETE ON meta\nBEGIN SELECT RAISE(ABORT, 'sanad: meta is kept'); END"))
			return path
		}, store.ErrAltered},
		{"DB-15 a page overwritten", func(t *testing.T, path string) string {
			edit(t, path, func(b []byte) []byte { copy(b[len(b)/2:len(b)/2+4096], bytes.Repeat([]byte{0xff}, 4096)); return b })
			return path
		}, store.ErrCorrupt},
		{"DB-15 pages swapped", func(t *testing.T, path string) string {
			edit(t, path, func(b []byte) []byte {
				n := len(b) / 4096
				x, y := b[n/3*4096:][:4096], b[n/2*4096:][:4096]
				z := bytes.Clone(x)
				copy(x, y)
				copy(y, z)
				return b
			})
			return path
		}, store.ErrCorrupt},
		{"P26 truncated", func(t *testing.T, path string) string {
			edit(t, path, func(b []byte) []byte { return b[:len(b)-4096] })
			return path
		}, store.ErrTruncated},
		{"P26 truncated to its header", func(t *testing.T, path string) string {
			must(t, os.Truncate(path, 60))
			return path
		}, store.ErrTruncated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := tt.prepare(t, closed(t))
			before := list(t, filepath.Dir(path))
			for range 2 { // the second time as well
				db, err := store.Open(t.Context(), path, options)
				if err == nil {
					_ = db.Close()
				}
				wantRefusal(t, err, tt.want)
			}
			db, err := store.Open(t.Context(), path, store.Options{Instance: options.Instance, ReadOnly: true, CheckPages: true})
			if err == nil {
				_ = db.Close()
				t.Error("opened for reading")
			}
			if after := list(t, filepath.Dir(path)); after != before {
				t.Errorf("the folder had\n%s\nand has\n%s", before, after)
			}
		})
	}
	t.Run("P26 another instance", func(t *testing.T) {
		_, err := store.Open(t.Context(), closed(t), store.Options{Instance: "office-2"})
		wantRefusal(t, err, store.ErrOtherInstance)
	})
	t.Run("P26 no expectation", func(t *testing.T) {
		if _, err := store.Open(t.Context(), closed(t), store.Options{}); err == nil {
			t.Error("opened")
		}
	})
	t.Run("all of it is good otherwise", func(t *testing.T) {
		path := closed(t)
		for _, o := range []store.Options{options, {Instance: "office-1", CheckPages: true}, {Instance: "office-1", ReadOnly: true}} {
			db, err := store.Open(t.Context(), path, o)
			must(t, err)
			if db.Instance() != "office-1" || db.Epoch() != 1 || db.Created().IsZero() {
				t.Errorf("instance %q, epoch %d, created %v", db.Instance(), db.Epoch(), db.Created())
			}
			must(t, db.Close())
		}
	})
}

// list is what is in a folder: names and sizes, but for what a lock file says
// and SQLite's own index of the write-ahead log.
func list(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || dir == "/dev" {
		return ""
	}
	var b strings.Builder
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		if !strings.HasSuffix(e.Name(), ".lock") && !strings.HasSuffix(e.Name(), "-shm") && !strings.HasSuffix(e.Name(), "-wal") {
			fmt.Fprintln(&b, e.Name(), info.Size(), info.Mode())
		}
	}
	return b.String()
}

func TestCreateRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	for _, name := range []string{path, path + "-wal", path + "-journal"} {
		must(t, os.WriteFile(name, []byte("mine"), 0o600))
		_, err := store.Create(t.Context(), path, options)
		wantRefusal(t, err, store.ErrExists)
		b, err := os.ReadFile(name)
		if err != nil || string(b) != "mine" {
			t.Errorf("%s holds %q, %v", name, b, err)
		}
		must(t, os.Remove(name))
	}
	_, err := store.Create(t.Context(), filepath.Join(path, "issuer.db"), options)
	wantRefusal(t, err, store.ErrUnreadable)
	if _, err := store.Create(t.Context(), path, store.Options{}); err == nil {
		t.Error("created for nobody")
	}
	if _, err := store.Create(t.Context(), path, store.Options{Instance: strings.Repeat("a", 513)}); err == nil {
		t.Error("created for an endless name")
	}
	if _, err := store.Create(t.Context(), path, store.Options{Instance: "a", ReadOnly: true}); err == nil {
		t.Error("created for reading only")
	}
	// What a Create that broke off left behind is in nobody's way.
	must(t, os.WriteFile(path+".new", []byte("half"), 0o600))
	db, err := store.Create(t.Context(), path, options)
	must(t, err)
	must(t, db.Close())
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the database has mode %v", info.Mode())
	}
	if left := list(t, filepath.Dir(path)); strings.Count(left, "\n") != 1 {
		t.Errorf("the folder has\n%s", left)
	}
	if _, err := store.Create(t.Context(), path, options); !errors.Is(err, store.ErrExists) {
		t.Errorf("created again: %v", err)
	}
}

// TestOddPaths opens databases whose names mean something in a URI.
func TestOddPaths(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector finds nothing here: all of it happens one after the other")
	}
	for _, name := range []string{"a b.db", "50%.db", "a?mode=memory.db", "#1.db", "a&b=c.db", "ঢাকা.db", "%41.db", "a;b'c.db"} {
		path := filepath.Join(t.TempDir(), name)
		db, err := store.Create(t.Context(), path, options)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		fill(t, db, 2)
		must(t, db.Close())
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		link := filepath.Join(t.TempDir(), "link")
		must(t, os.Symlink(path, link))
		db, err = store.Open(t.Context(), link, options)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := store.Open(t.Context(), path, options); !errors.Is(err, store.ErrInUse) {
			t.Errorf("%s by two names: %v, want ErrInUse", name, err)
		}
		must(t, db.Close())
	}
}

// TestSettings asks SQLite for the settings that our promises stand on.
func TestSettings(t *testing.T) {
	db := create(t)
	for name, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "recursive_triggers": "1", "trusted_schema": "0", "busy_timeout": "10000",
		"cell_size_check": "1", "query_only": "0", "locking_mode": "normal",
	} {
		if got, err := db.PragmaWriter(t.Context(), name); err != nil || got != want {
			t.Errorf("%s = %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestMigrate(t *testing.T) {
	path := closed(t)
	must(t, store.Migrate(t.Context(), path, options)) // nothing to do
	store.SetMigrations(t, next(t))
	if err := store.Migrate(t.Context(), path, store.Options{Instance: "office-2"}); !errors.Is(err, store.ErrOtherInstance) {
		t.Errorf("Migrate of somebody else's: %v", err)
	}
	_, err := store.Open(t.Context(), path, options)
	wantRefusal(t, err, store.ErrOlder)
	must(t, store.Migrate(t.Context(), path, options))
	must(t, store.Migrate(t.Context(), path, options)) // DB-12: twice
	db, err := store.Open(t.Context(), path, options)
	must(t, err)
	if n := count(t, db, issuance.Query{}); n != 500 {
		t.Errorf("%d credentials, want 500", n)
	}
	if err := store.Migrate(t.Context(), path, options); !errors.Is(err, store.ErrInUse) {
		t.Errorf("Migrate of an open database: %v", err)
	}
	must(t, db.Close())
	t.Run("a step that fails", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "issuer.db")
		db, err := store.Create(t.Context(), path, options)
		must(t, err)
		must(t, db.Close())
		files := next(t).(fstest.MapFS)
		files["00006_later.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE later (a INTEGER) STRICT;\nINSERT INTO nowhere VALUES (1);\n")}
		store.SetMigrations(t, files)
		if err := store.Migrate(t.Context(), path, options); err == nil {
			t.Fatal("migrated")
		}
		_, err = store.Open(t.Context(), path, options)
		wantRefusal(t, err, store.ErrOlder) // whole steps only
		files["00006_later.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE later (a INTEGER) STRICT;\n")}
		store.SetMigrations(t, files)
		must(t, store.Migrate(t.Context(), path, options))
		if db, err = store.Open(t.Context(), path, options); err != nil {
			t.Fatal(err)
		}
		must(t, db.Close())
	})
}

func count(t testing.TB, db *store.DB, q issuance.Query) int {
	t.Helper()
	n := 0
	for _, err := range db.Find(t.Context(), q) {
		must(t, err)
		n++
	}
	return n
}

// TestPageCheck holds when the pages are read through at start: always but for
// a file that is just as the program left it a short time ago.
func TestPageCheck(t *testing.T) {
	clock := now
	o := store.Options{Instance: "office-1", Now: func() time.Time { return clock }}
	path := filepath.Join(t.TempDir(), "issuer.db")
	db, err := store.Create(t.Context(), path, o)
	must(t, err)
	fill(t, db, 500)
	must(t, db.Close())
	var page int // one that is in use, and that nobody reads at start
	q := plain(t, path)
	must(t, q.QueryRow("SELECT rootpage FROM sqlite_schema WHERE name = 'credential_form'").Scan(&page))
	must(t, q.Close())
	// The damage below is invisible but for the check, since size and time of the
	// file are put back.
	damage := func(restore bool) {
		info, err := os.Stat(path)
		must(t, err)
		edit(t, path, func(b []byte) []byte {
			for i := range 4096 {
				b[(page-1)*4096+i] ^= 0xff
			}
			return b
		})
		if restore {
			must(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
		}
	}
	open := func(o store.Options) error {
		db, err := store.Open(t.Context(), path, o)
		if err != nil {
			return err
		}
		return db.Close()
	}
	damage(true)
	if err := open(o); err != nil {
		t.Errorf("just as it was left: %v, but nobody looks", err)
	}
	checked := o
	checked.CheckPages = true
	if err := open(checked); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("asked to look: %v", err)
	}
	if err := open(o); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("after a refusal: %v", err)
	}
	damage(true) // and whole again
	must(t, open(o))
	damage(true)
	clock = clock.Add(25 * time.Hour)
	if err := open(o); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("after a day: %v", err)
	}
	damage(true)
	must(t, open(o))
	clock = clock.AddDate(-1, 0, 0)
	damage(true)
	if err := open(o); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("with a clock set back: %v", err)
	}
	damage(true)
	must(t, open(o))
	damage(false)
	if err := open(o); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("touched by somebody: %v", err)
	}
}

// FuzzOpen overwrites a part of a good database. It is refused with a reason, or
// it opens and can be read; nothing is ever made of it.
func FuzzOpen(f *testing.F) {
	f.Add(uint32(0), []byte("SQLite format 3\x00"))
	f.Add(uint32(16), []byte{0, 0})
	f.Add(uint32(18), []byte{2, 2})
	f.Add(uint32(28), []byte{0xff, 0xff, 0xff, 0xff})
	f.Add(uint32(68), []byte("SAND"))
	f.Add(uint32(100), []byte{13, 0, 0})
	f.Add(uint32(4096), bytes.Repeat([]byte{0}, 64))
	f.Add(uint32(9000), bytes.Repeat([]byte{0xff}, 300))
	f.Fuzz(func(t *testing.T, at uint32, with []byte) {
		path := closed(t)
		edit(t, path, func(b []byte) []byte { copy(b[int(at)%len(b):], with); return b })
		before := list(t, filepath.Dir(path))
		db, err := store.Open(t.Context(), path, options)
		if err == nil {
			for range db.Find(t.Context(), issuance.Query{}) {
				continue
			}
			must(t, db.Close())
			return
		}
		if _, ok := errors.AsType[*store.StateError](err); !ok {
			t.Errorf("Open: %v, which is no reason", err)
		}
		if after := list(t, filepath.Dir(path)); after != before {
			t.Errorf("the folder had\n%s\nand has\n%s", before, after)
		}
	})
}
