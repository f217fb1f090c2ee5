package proof

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestDiskFull is DB-02: the disk is full at some write or other, and later it
// is not. Nothing is lost, nothing is half done, and what is asked for again works.
func TestDiskFull(t *testing.T) {
	disk := t.TempDir()
	const size = 24 << 20
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("no small disk can be made here (%v); that a disk is full is tried by TestFileFaults only", err)
	}
	defer func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	base := newOffice(t, "sqlite")
	base.people("people.csv", 1, 3)
	base.issue(run{}, base.root+"/people.csv", record(1))
	base.publish(run{}, "status", true)
	base.publish(run{}, "trust", true)
	base.newJob(100, 60)
	rnd := rand.New(rand.NewPCG(8, 1))
	rounds, failed, violations := count(2, 100), 0, 0
	for range rounds {
		for _, d := range deeds {
			o := base.cloneTo(t, filepath.Join(disk, "root"))
			var free syscall.Statfs_t
			if err := syscall.Statfs(disk, &free); err != nil {
				t.Fatal(err)
			}
			// Some writes still find space.
			left := int64(rnd.IntN(60)) << 12
			filler := filepath.Join(disk, "filler")
			if err := os.WriteFile(filler, make([]byte, int64(free.Bavail)*free.Bsize-left), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := d.do(o, run{mayFail: true}); got.code != 0 {
				failed++
			}
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			violations += o.check(false, false)
			o.fetch()
			d.again(o)
			violations += o.check(true, false)
			if err := os.RemoveAll(o.root); err != nil {
				t.Fatal(err)
			}
		}
	}
	if failed == 0 {
		t.Error("nothing failed; the test tests little")
	}
	proved(t, "DB-02", "sqlite", fmt.Sprintf("full=%d failed=%d", rounds*len(deeds), failed), violations)
}

// TestFileIsTakenAway is DB-04 and DB-09: while a batch runs its database is
// removed, replaced, cut off or made read-only, or a second program wants it.
func TestFileIsTakenAway(t *testing.T) {
	type meddling struct {
		name string
		// do meddles with the database, undo puts it right; without undo it cannot
		// be, and the program must refuse it from then on.
		do, undo func(o *office) error
	}
	aside := func(o *office) string { return o.store + ".aside" }
	back := func(o *office) error { return os.Rename(aside(o), o.store) }
	tests := []meddling{
		{"removed", func(o *office) error { return os.Rename(o.store, aside(o)) }, back},
		{"replaced by a copy", func(o *office) error {
			if err := os.Rename(o.store, aside(o)); err != nil {
				return err
			}
			return copyFile(aside(o), o.store)
		}, back},
		{"read-only", func(o *office) error { return os.Chmod(o.store, 0o400) }, func(o *office) error { return os.Chmod(o.store, 0o600) }},
		{"cut off", func(o *office) error { return os.Truncate(o.store, 8192) }, nil},
	}
	var mu sync.Mutex
	violations := 0
	t.Run("each", func(t *testing.T) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				o := newOffice(t, "sqlite")
				j := o.newJob(1, 1000)
				var wg sync.WaitGroup
				var got result
				wg.Go(func() { got = o.batch(run{mayFail: true}, j) })
				manifest := filepath.Join(j.folder, "manifest.csv")
				for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
					if info, err := os.Stat(manifest); err == nil && info.Size() > 4000 {
						break
					}
					if time.Now().After(end) {
						t.Fatal("the batch does not begin")
					}
				}
				second, _ := o.second()
				if second.code == 0 || !strings.Contains(second.stderr, "in use") {
					t.Errorf("DB-09: a second program: %s", second)
				}
				if err := tt.do(o); err != nil {
					t.Fatal(err)
				}
				wg.Wait()
				if got.code == 0 || got.killed || !strings.Contains(got.stderr, "issuer: error:") {
					t.Fatalf("DB-04: the batch went on: %s", got)
				}
				if tt.undo == nil {
					if got := o.batch(run{mayFail: true}, j); got.code == 0 || !strings.Contains(got.stderr, "hint") {
						t.Errorf("DB-04: it is taken for whole: %s", got)
					}
					return
				}
				if err := tt.undo(o); err != nil {
					t.Fatal(err)
				}
				// The batch was stopped in the middle of its work.
				bad := o.check(false, false)
				if got := o.batch(run{}, j); got.code != 0 || !j.done.Load() {
					t.Errorf("resumed: %s", got)
				}
				bad += o.check(true, true)
				mu.Lock()
				defer mu.Unlock()
				violations += bad
			})
		}
	})
	proved(t, "DB-04", "sqlite", fmt.Sprintf("faults=%d second_programs=%d", len(tests), len(tests)), violations)
}

// second runs a second program on the same database.
func (o *office) second() (result, string) {
	source := o.people("second.csv", 9000, 1)
	got := o.run(run{args: []string{"issue", "--programme", "farmer-card", "--source", source, "--record", record(9000), "--out", o.root + "/second"}})
	return got, source
}

// TestStartsOnWhatItKnows is P26: on anything but the files that it made the
// program refuses to start, says what to do, and leaves everything as it is.
func TestStartsOnWhatItKnows(t *testing.T) {
	base := newOffice(t, "sqlite")
	base.people("people.csv", 1, 2)
	base.issue(run{}, base.root+"/people.csv", record(1))
	other := newOffice(t, "sqlite")
	exec := func(statement string) func(o *office) error {
		return func(o *office) error {
			(&fixture{t: t, scene: scene{store: o.store}}).keep(statement)
			return nil
		}
	}
	write := func(name string, content string) func(o *office) error {
		return func(o *office) error { return os.WriteFile(filepath.Join(o.dir, name), []byte(content), 0o600) }
	}
	remove := func(name string) func(o *office) error {
		return func(o *office) error { return os.Remove(filepath.Join(o.dir, name)) }
	}
	half := func(name string) func(o *office) error {
		return func(o *office) error {
			info, err := os.Stat(filepath.Join(o.dir, name))
			if err != nil {
				return err
			}
			return os.Truncate(filepath.Join(o.dir, name), info.Size()/2)
		}
	}
	states := []struct {
		name  string
		spoil func(o *office) error
	}{
		{"no database", remove("issuer.db")},
		{"an empty database", write("issuer.db", "")},
		{"a text for a database", write("issuer.db", strings.Repeat("not a database\n", 1000))},
		{"half a database", half("issuer.db")},
		{"a folder for a database", func(o *office) error {
			return os.Rename(filepath.Join(o.dir, "trust"), o.store+".d")
		}},
		{"a database of something else", exec("PRAGMA application_id = 1")},
		{"a newer database", exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)")},
		{"a migration that is missing", exec("DELETE FROM goose_db_version WHERE version_id = 1")},
		{"a trigger taken away", exec("DROP TRIGGER credential_update")},
		{"a table more", exec("CREATE TABLE more (n INTEGER)")},
		{"the database of another issuer", func(o *office) error { return copyFile(other.store, o.store) }},
		{"a damaged page", func(o *office) error {
			f, err := os.OpenFile(o.store, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt(make([]byte, 512), 3*4096)
			return err
		}},
		{"no keystore", remove("keystore.sanad")},
		{"an empty keystore", write("keystore.sanad", "")},
		{"half a keystore", half("keystore.sanad")},
		{"a keystore of another issuer", func(o *office) error {
			return copyFile(filepath.Join(other.dir, "keystore.sanad"), filepath.Join(o.dir, "keystore.sanad"))
		}},
		{"a keystore that all can read", func(o *office) error { return os.Chmod(filepath.Join(o.dir, "keystore.sanad"), 0o644) }},
		{"another passphrase", write("secrets/passphrase", "correct horse battery staple\n")},
		{"no settings", remove("issuer.yaml")},
		{"settings that end in the middle of the issuer", cutSettings("names:")},
		{"settings that end before the keystore", cutSettings("keystore:")},
		{"settings that end before the journal", cutSettings("journal:")},
	}
	refused := 0
	for _, tt := range states {
		t.Run(tt.name, func(t *testing.T) {
			o := base.clone(t)
			if err := tt.spoil(o); err != nil {
				t.Fatal(err)
			}
			if tt.name == "a folder for a database" {
				if err := os.Remove(o.store); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(o.store+".d", o.store); err != nil {
					t.Fatal(err)
				}
			}
			before := fingerprint(t, o.dir)
			_, got := o.issue(run{mayFail: true}, o.root+"/people.csv", record(2))
			if got.code == 0 || !strings.Contains(got.stderr, "issuer: error:") || strings.Contains(got.stderr, "goroutine ") {
				t.Errorf("it started: %s", got)
			}
			if after := fingerprint(t, o.dir); after != before {
				t.Errorf("it changed something:\n%s\n%s", before, after)
			}
			refused++
		})
	}
	proved(t, "P26", "sqlite", fmt.Sprintf("states=%d", refused), 0)
}

// keep runs statements and drops nothing, as somebody does who is at home there.
func (f *fixture) keep(statement string) {
	f.t.Helper()
	db, done := f.open()
	defer done()
	if _, err := db.Exec(statement); err != nil {
		f.t.Fatal(err)
	}
}

// cutSettings ends the settings before a key.
func cutSettings(key string) func(*office) error {
	return func(o *office) error {
		path := filepath.Join(o.dir, "issuer.yaml")
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		at := strings.Index(string(text), key)
		if at < 0 {
			return fmt.Errorf("the settings have no %s", key)
		}
		return os.Truncate(path, int64(at))
	}
}

// fingerprint names the content of a folder, but for lock files.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".lock") {
			return err
		}
		content, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %x\n", strings.TrimPrefix(path, dir), sha256.Sum256(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
