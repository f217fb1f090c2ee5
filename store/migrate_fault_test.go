//go:build unix

package store_test

import (
	"bytes"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"modernc.org/sqlite"

	"github.com/sanad-id/sanad/store"
)

// migrateEnv tells a copy of the test program what to migrate, or to make, and
// where to kill itself: "migrate|create PATH FILE STATEMENT".
const migrateEnv = "SANAD_STORE_TEST_MIGRATE"

// die is the SQL function that ends the process like kill -9.
const die = "die_here"

// TestMigrateChild is what that copy does.
func TestMigrateChild(t *testing.T) {
	text := os.Getenv(migrateEnv)
	if text == "" {
		return
	}
	var what, path, file string
	var n int
	if _, err := fmt.Sscan(text, &what, &path, &file, &n); err != nil {
		t.Fatal(err)
	}
	must(t, sqlite.RegisterScalarFunction(die, 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		return nil, syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}))
	store.SetMigrations(t, deadly(t, file, n))
	if what == "migrate" {
		must(t, store.Migrate(t.Context(), path, options))
		return
	}
	db, err := store.Create(t.Context(), path, options)
	must(t, err)
	must(t, db.Close())
}

// statements cuts a migration after its head and after each of its statements.
func statements(text []byte) []string {
	var parts []string
	var part strings.Builder
	block := false
	for line := range strings.Lines(string(text)) {
		part.WriteString(line)
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "-- +goose StatementBegin"):
			block = true
		case strings.HasPrefix(line, "-- +goose StatementEnd"):
			block = false
		}
		if line == "-- +goose Up" || strings.HasPrefix(line, "-- +goose StatementEnd") || !block && strings.HasSuffix(line, ";") {
			parts = append(parts, part.String())
			part.Reset()
		}
	}
	if part.Len() > 0 {
		parts[len(parts)-1] += part.String()
	}
	return parts
}

// deadly is the migrations with a death after statement n of a file (0: before
// the first); none if n is negative.
func deadly(t *testing.T, file string, n int) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	for _, name := range migrationFiles(t) {
		text, err := fs.ReadFile(store.Migrations(), name)
		must(t, err)
		if name == file && n >= 0 {
			parts := statements(text)
			text = []byte(strings.Join(slices.Insert(parts, n+1, "SELECT "+die+"();\n"), ""))
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	return files
}

func migrationFiles(t *testing.T) []string {
	t.Helper()
	names, err := fs.Glob(store.Migrations(), "*.sql")
	must(t, err)
	return names
}

// migrateIn lets a copy of the program migrate or create a database, and says
// whether it was killed: by itself, or by us after a time.
func migrateIn(t *testing.T, what, path, file string, n int, after time.Duration) (killed bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMigrateChild$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s %d", migrateEnv, what, path, file, n))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	if after > 0 {
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
	}
	err := cmd.Wait()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if killed = status.Signaled() && status.Signal() == syscall.SIGKILL; err != nil && !killed {
		t.Fatalf("%s: %v\n%s", what, err, out.String())
	}
	return killed
}

// everyStatement calls f for some statements of each migration, or all of them
// every night; times is how often for each.
func everyStatement(t *testing.T, times int, f func(file string, n int)) (steps int) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(28, uint64(times)))
	for _, name := range migrationFiles(t) {
		text, err := fs.ReadFile(store.Migrations(), name)
		must(t, err)
		all := rnd.Perm(len(statements(text)))
		// Per change the first, the last, and three between.
		some := append([]int{0, len(all) - 1}, all[:min(3, len(all))]...)
		if os.Getenv("SANAD_SOAK") == "1" {
			some = slices.Repeat(all, times)
		}
		for _, n := range some {
			f(name, n)
			steps++
			if t.Failed() {
				t.Fatalf("after a kill behind statement %d of %s", n, name)
			}
		}
	}
	return steps
}

// olderThan reports whether a database has the rows of version 1, alone or with the
// columns that whole steps since have added behind them.
func olderThan(got, first []string) bool {
	return slices.EqualFunc(got, first, func(row, was string) bool { return strings.HasPrefix(row, strings.TrimSuffix(was, "]")) })
}

// TestP28SQLite kills a migration behind its statements. The database is then as
// it was before one of the steps, is refused as older, and the next migration brings it to the end
// with all its rows.
func TestP28SQLite(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector finds nothing here: all of it happens one after the other")
	}
	original, err := os.ReadFile(versionOne(t))
	must(t, err)
	dir := t.TempDir()
	tables := []string{"meta", "programme", "programme_version", "batch", "status_list", "credential", "credential_form", "publication"}
	write := func(name string) string {
		path := filepath.Join(dir, name)
		for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
			if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		must(t, os.WriteFile(path, original, 0o600))
		return path
	}
	control := write("control.db")
	before := content(t, control, tables)
	must(t, store.Migrate(t.Context(), control, options))
	want := content(t, control, tables)
	kills, late := 0, 0
	check := func(path string) {
		t.Helper()
		_, err := store.Open(t.Context(), path, store.Options{Instance: "office-1", ReadOnly: true})
		switch {
		case err == nil: // it had come to its end before the kill
			late++
		case !errors.Is(err, store.ErrOlder):
			t.Errorf("P28: after the kill: %v, want ErrOlder", err)
		default:
			if got := content(t, path, tables); !olderThan(got, before) {
				t.Errorf("P28: after the kill it has\n%s\nand before it had\n%s", strings.Join(got, "\n"), strings.Join(before, "\n"))
			}
		}
		must(t, store.Migrate(t.Context(), path, options))
		if got := content(t, path, tables); !slices.Equal(got, want) {
			t.Errorf("P28: in the end it has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		db, err := store.Open(t.Context(), path, options)
		must(t, err)
		must(t, db.Close())
	}
	everyStatement(t, 5, func(file string, n int) {
		if file == migrationFiles(t)[0] {
			return // version 1 has it already
		}
		path := write("killed.db")
		if !migrateIn(t, "migrate", path, file, n, 0) {
			t.Errorf("P28: not killed behind statement %d of %s", n, file)
		}
		kills++
		check(path)
	})
	for range counted(5, 100) {
		path := write("killed.db")
		if migrateIn(t, "migrate", path, "none", -1, time.Duration(20+rand.IntN(100))*time.Millisecond) {
			kills++
		}
		check(path)
	}
	t.Logf("%d kills; %d databases had come to the end all the same, the others did in the next try", kills, late)
}

// TestP28CreateSQLite kills the making of a database: there is nothing at its
// path afterwards, and it can be made.
func TestP28CreateSQLite(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector finds nothing here: all of it happens one after the other")
	}
	dir := t.TempDir()
	i := 0
	kills := everyStatement(t, 5, func(file string, n int) {
		i++
		path := filepath.Join(dir, fmt.Sprintf("issuer%d.db", i))
		if !migrateIn(t, "create", path, file, n, 0) {
			t.Errorf("P28: not killed behind statement %d of %s", n, file)
		}
		_, err := store.Open(t.Context(), path, options)
		wantRefusal(t, err, store.ErrMissing)
		db, err := store.Create(t.Context(), path, options)
		must(t, err)
		must(t, db.Close())
	})
	t.Logf("%d kills", kills)
}

// TestDB12SQLite lets two processes migrate at once: one does it, the other finds
// it in use or done.
func TestDB12SQLite(t *testing.T) {
	path := versionOne(t)
	results := make(chan error, 2)
	for range 2 {
		go func() { results <- store.Migrate(t.Context(), path, options) }()
	}
	done := 0
	for range 2 {
		switch err := <-results; {
		case err == nil:
			done++
		case !errors.Is(err, store.ErrInUse):
			t.Errorf("DB-12: %v, want ErrInUse", err)
		}
	}
	if done == 0 {
		t.Error("DB-12: nobody migrated")
	}
	db, err := store.Open(t.Context(), path, options)
	must(t, err)
	must(t, db.Close())
}

// counted is how often to do something: on every change, and every night.
func counted(change, night int) int {
	if os.Getenv("SANAD_SOAK") == "1" {
		return night
	}
	return change
}
