package trust_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/trust"
)

func load(t testing.TB, dir string) trust.State {
	t.Helper()
	st, err := trust.NewDirMemory(dir).Load()
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func save(t testing.TB, dir string, st trust.State) {
	t.Helper()
	if err := trust.NewDirMemory(dir).Save(st); err != nil {
		t.Fatal(err)
	}
}

// stored returns the path of the one bundle in the folder.
func stored(t testing.TB, dir string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "bundle-*.trust"))
	if err != nil || len(all) != 1 {
		t.Fatalf("bundles in the folder: %v, %v", all, err)
	}
	return all[0]
}

func TestDirMemory(t *testing.T) {
	c := newCountry(t)
	first := c.sign(t, c.content(t))
	dir := filepath.Join(t.TempDir(), "deep", "verifier")
	if st := load(t, dir); st.Trusted() || st.Damaged {
		t.Errorf("a folder that is not there: %+v", st)
	}
	if err := trust.NewDirMemory(dir).Save(trust.State{}); err == nil {
		t.Error("the zero State was saved")
	}
	st := trusted(t, first)
	save(t, dir, st)
	if diff := cmp.Diff(st, load(t, dir)); diff != "" {
		t.Errorf("state (-saved +loaded):\n%s", diff)
	}
	st = trusted(t, first, c.daily(t, first, 8))
	st.NewestSeen = days(40)
	save(t, dir, st)
	if diff := cmp.Diff(st, load(t, dir)); diff != "" {
		t.Errorf("state (-saved +loaded):\n%s", diff)
	}
	stored(t, dir) // and no other
	// What was seen is not forgotten by somebody who did not see it.
	st.NewestSeen = days(3)
	save(t, dir, st)
	if got := load(t, dir).NewestSeen; !got.Equal(days(40)) {
		t.Errorf("P20 newest date %v, want %v", got, days(40))
	}
	if info, err := os.Stat(filepath.Join(dir, "mark")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mark: %v, %v", info.Mode(), err)
	}
}

// TestDirMemoryRefuses spoils one thing at a time in a good folder with version 2.
func TestDirMemoryRefuses(t *testing.T) {
	c := newCountry(t)
	first := c.sign(t, c.content(t))
	second := c.daily(t, first, 8)
	older, st := trusted(t, first), trusted(t, first, second)
	write := func(path string, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// remark writes a mark with the checksum that it should have.
	remark := func(dir, old, new string) {
		_, rest, _ := strings.Cut(string(read(filepath.Join(dir, "mark"))), "\n")
		if !strings.Contains(rest, old) {
			t.Fatalf("the mark does not hold %q", old)
		}
		rest = strings.Replace(rest, old, new, 1)
		sum := sha256.Sum256([]byte(rest))
		write(filepath.Join(dir, "mark"), []byte(hex.EncodeToString(sum[:])+"\n"+rest))
	}
	type outcome int
	const (
		dropped outcome = iota // the bundle is gone, the mark holds
		failed                 // ErrMemory
		forgot                 // like a new verifier
	)
	tests := []struct {
		name  string
		spoil func(dir string)
		want  outcome
	}{
		{"OFF-05 one bit of the bundle turned", func(dir string) { write(stored(t, dir), flip(second, 77)) }, dropped},
		{"OFF-05 an older bundle in its place", func(dir string) { write(stored(t, dir), first) }, dropped},
		{"OFF-07 half of the bundle", func(dir string) { write(stored(t, dir), second[:len(second)/2]) }, dropped},
		{"OFF-07 an empty bundle", func(dir string) { write(stored(t, dir), nil) }, dropped},
		{"OFF-09 a huge bundle", func(dir string) { write(stored(t, dir), make([]byte, 4<<20+1)) }, dropped},
		{"the bundle removed", func(dir string) { _ = os.Remove(stored(t, dir)) }, dropped},
		{"a folder in place of the bundle", func(dir string) { p := stored(t, dir); _ = os.Remove(p); _ = os.Mkdir(p, 0o700) }, dropped},
		{"a mark that leads elsewhere", func(dir string) { remark(dir, `"file_sha256": "`, `"file_sha256": "../../../`) }, dropped},
		{"OFF-05 one bit of the mark turned", func(dir string) { p := filepath.Join(dir, "mark"); write(p, flip(read(p), 90)) }, failed},
		{"OFF-05 a lower number in the mark", func(dir string) {
			p := filepath.Join(dir, "mark")
			write(p, bytes.Replace(read(p), []byte(`"high_water": 2`), []byte(`"high_water": 1`), 1))
		}, failed},
		{"OFF-07 half of the mark", func(dir string) { p := filepath.Join(dir, "mark"); write(p, read(p)[:100]) }, failed},
		{"an empty mark", func(dir string) { write(filepath.Join(dir, "mark"), nil) }, failed},
		{"OFF-09 a huge mark", func(dir string) { write(filepath.Join(dir, "mark"), make([]byte, 1<<20)) }, failed},
		{"a mark of noise", func(dir string) { remark(dir, "{", "<") }, failed},
		{"a mark without a root", func(dir string) { remark(dir, `"root_fingerprint": "`, `"x": "`) }, failed},
		{"a mark without a version", func(dir string) { remark(dir, `"high_water": 2`, `"high_water": 0`) }, failed},
		{"a mark with half a hash", func(dir string) { remark(dir, `"bundle_hash": "`, `"bundle_hash": "zz`) }, failed},
		{"the mark removed", func(dir string) { _ = os.Remove(filepath.Join(dir, "mark")) }, forgot},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			save(t, dir, st)
			tt.spoil(dir)
			got, err := trust.NewDirMemory(dir).Load()
			switch tt.want {
			case dropped:
				want := st
				want.Bundle, want.Damaged = nil, true
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("Load: %v (-want +got):\n%s", err, diff)
				}
				if _, _, err := trust.Accept(got, first, nil); !errors.Is(err, trust.ErrRollback) {
					t.Errorf("then the older bundle: %v", err)
				}
				// The same bundle again heals it.
				again, _, err := trust.Accept(got, second, nil)
				if err != nil {
					t.Fatal(err)
				}
				left, _ := filepath.Glob(filepath.Join(dir, "bundle-*.trust"))
				for _, path := range left {
					_ = os.Remove(path)
				}
				save(t, dir, again)
				if healed := load(t, dir); healed.Damaged || !bytes.Equal(healed.Bundle, second) {
					t.Errorf("after the same bundle again: %+v", healed)
				}
			case failed:
				if !errors.Is(err, trust.ErrMemory) || got.Trusted() {
					t.Errorf("Load: %+v, %v, want %v", got, err, trust.ErrMemory)
				}
				if err := trust.NewDirMemory(dir).Save(older); !errors.Is(err, trust.ErrMemory) {
					t.Errorf("Save over it: %v, want %v", err, trust.ErrMemory)
				}
			case forgot:
				if err != nil || got.Trusted() || !got.Damaged {
					t.Errorf("Load: %+v, %v, want a new verifier that was warned", got, err)
				}
			}
		})
	}
}

// TestSaveRefuses is a second process that knows less than the folder.
func TestSaveRefuses(t *testing.T) {
	c, elsewhere := newCountry(t), newCountry(t)
	first := c.sign(t, c.content(t))
	second := c.daily(t, first, 8)
	st := trusted(t, first, second)
	otherSecond := trusted(t, first, c.daily(t, first, 9))
	otherRoot := trusted(t, elsewhere.sign(t, elsewhere.content(t)))
	lowerRoot, fork := st, st
	lowerRoot.HighWater = 3
	fork.RootHash[0] ^= 1
	dir := t.TempDir()
	st.RootVersion = 2
	save(t, dir, st)
	st.RootVersion, fork.RootVersion = 2, 2
	for name, tt := range map[string]struct {
		st   trust.State
		want error
	}{
		"OFF-06 an older bundle":    {trusted(t, first), trust.ErrRollback},
		"an older root":             {lowerRoot, trust.ErrRollback},
		"another root":              {otherRoot, trust.ErrOtherRoot},
		"another root of a version": {fork, trust.ErrMixed},
		"another bundle of it":      {func() trust.State { s := otherSecond; s.RootVersion = 2; return s }(), trust.ErrMixed},
	} {
		if err := trust.NewDirMemory(dir).Save(tt.st); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if diff := cmp.Diff(st, load(t, dir)); diff != "" {
			t.Errorf("%s changed the folder:\n%s", name, diff)
		}
	}
	// A state that lost its bundle leaves the stored one where it is.
	lost := st
	lost.Bundle = nil
	save(t, dir, lost)
	if got := load(t, dir); !bytes.Equal(got.Bundle, second) {
		t.Error("the stored bundle went with it")
	}
}

// TestCrash stops Save after each of its steps, in the only ways a file system
// can be found afterwards: with the new bundle and the old mark, or with both
// bundles and the new mark.
func TestCrash(t *testing.T) {
	c := newCountry(t)
	first := c.sign(t, c.content(t))
	second := c.daily(t, first, 8)
	older, newer := trusted(t, first), trusted(t, first, second)

	before, after := t.TempDir(), t.TempDir()
	save(t, before, older)
	save(t, after, newer)
	copyFile := func(to, from string) {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(from)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	firstFile, secondFile := stored(t, before), stored(t, after)
	copyFile(before, secondFile)
	copyFile(after, firstFile)
	if err := os.WriteFile(filepath.Join(before, ".new-123"), second[:10], 0o600); err != nil {
		t.Fatal(err)
	}
	if got := load(t, before); got.HighWater != 1 || got.Damaged || !bytes.Equal(got.Bundle, first) {
		t.Errorf("before the mark was written: %+v", got)
	}
	if got := load(t, after); got.HighWater != 2 || got.Damaged || !bytes.Equal(got.Bundle, second) {
		t.Errorf("before the old bundle was removed: %+v", got)
	}
	save(t, before, newer)
	stored(t, before)
}

// TestSaversRace has many savers, each with its own memory of the same folder,
// bring states in any order. What is stored never goes back.
func TestSaversRace(t *testing.T) {
	c := newCountry(t)
	files := [][]byte{c.sign(t, c.content(t))}
	states := []trust.State{trusted(t, files[0])}
	for i := range uint64(9) {
		files = append(files, c.daily(t, files[len(files)-1], 100+i))
		st, _, err := trust.Accept(states[len(states)-1], files[len(files)-1], nil)
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, st)
	}
	dir := t.TempDir()
	save(t, dir, states[0])
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			seen := uint64(0)
			for i := range 20 {
				m := trust.NewDirMemory(dir)
				err := m.Save(states[(i*7+worker*3)%len(states)])
				if err != nil && !errors.Is(err, trust.ErrRollback) {
					t.Errorf("Save: %v", err)
				}
				st, err := m.Load()
				if err != nil || st.HighWater < seen {
					t.Errorf("P07 version %d after %d: %v", st.HighWater, seen, err)
				}
				seen = st.HighWater
			}
		})
	}
	wg.Wait()
	if got := load(t, dir); got.HighWater != 10 || got.Damaged {
		t.Errorf("ended at version %d, damaged %v", got.HighWater, got.Damaged)
	}
}

// FuzzDirMemory puts any mark into a folder. None is taken for a trusted one
// unless it carries its checksum.
func FuzzDirMemory(f *testing.F) {
	c := newCountry(f)
	dir := f.TempDir()
	save(f, dir, trusted(f, c.sign(f, c.content(f))))
	good, err := os.ReadFile(filepath.Join(dir, "mark"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("\n{}"))
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "mark"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		st, err := trust.NewDirMemory(dir).Load()
		if err != nil {
			if !errors.Is(err, trust.ErrMemory) {
				t.Fatalf("Load: %v", err)
			}
			return
		}
		sum := sha256.Sum256(b[min(65, len(b)):])
		if !bytes.HasPrefix(b, []byte(hex.EncodeToString(sum[:])+"\n")) || !st.Trusted() || st.Bundle != nil {
			t.Fatalf("took a mark for good: %+v", st)
		}
	})
}
