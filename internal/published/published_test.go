package published

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func folder(t *testing.T) (string, Index) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.cwt"), "list")
	write(t, filepath.Join(dir, "xa.trust"), "bundle")
	bundle := File{File: "xa.trust", Number: 3, SHA256: Digest([]byte("bundle"))}
	x := Index{Lists: []File{{URI: "https://a", File: "a.cwt", Number: 1, SHA256: Digest([]byte("list"))}}, Trust: &bundle}
	if err := x.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir, x
}

// TestReaderHandsOutWhatWasPublished spoils one thing a row.
func TestReaderHandsOutWhatWasPublished(t *testing.T) {
	tests := []struct {
		name   string
		spoil  func(dir string, x *Index)
		file   string
		number uint64 // 0: refused
	}{
		{"as published", func(string, *Index) {}, "a.cwt", 1},
		{"other bytes", func(dir string, _ *Index) { write(t, filepath.Join(dir, "a.cwt"), "tsil") }, "a.cwt", 0},
		{"cut off", func(dir string, _ *Index) { write(t, filepath.Join(dir, "a.cwt"), "") }, "a.cwt", 0},
		{"gone", func(dir string, _ *Index) { _ = os.Remove(filepath.Join(dir, "a.cwt")) }, "a.cwt", 0},
		{"a folder", func(dir string, _ *Index) {
			_ = os.Remove(filepath.Join(dir, "a.cwt"))
			_ = os.Mkdir(filepath.Join(dir, "a.cwt"), 0o700)
		}, "a.cwt", 0},
		{"no digest in the index", func(_ string, x *Index) { x.Lists[0].SHA256 = "" }, "a.cwt", 0},
		{"replaced, and the index knows it", func(dir string, x *Index) {
			write(t, filepath.Join(dir, "a.cwt"), "next")
			x.Next = []File{{File: "a.cwt", Number: 2, SHA256: Digest([]byte("next"))}}
		}, "a.cwt", 2},
		{"to be replaced", func(_ string, x *Index) {
			x.Next = []File{{File: "a.cwt", Number: 2, SHA256: Digest([]byte("next"))}}
		}, "a.cwt", 1},
		{"elsewhere", func(_ string, x *Index) { x.Lists[0].File = "../a.cwt" }, "../a.cwt", 0},
		{"not in the index", func(dir string, _ *Index) { write(t, filepath.Join(dir, "b.cwt"), "list") }, "b.cwt", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, x := folder(t)
			r := NewReader(dir)
			r.now = func() time.Time { return time.Now().Add(time.Hour) }
			if got, err := r.File(x, "a.cwt"); err != nil || string(got.Content) != "list" {
				t.Fatalf("before: %q, %v", got.Content, err)
			}
			tt.spoil(dir, &x)
			got, err := r.File(x, tt.file)
			if (err == nil) != (tt.number > 0) || err != nil && !errors.Is(err, ErrDamaged) || err == nil && got.Number != tt.number {
				t.Errorf("%+v, %v, want number %d", got, err, tt.number)
			}
			if f, err := x.Verify(dir, tt.file); (err == nil) != (tt.number > 0) || f.Number != tt.number {
				t.Errorf("Verify: %+v, %v, want number %d", f, err, tt.number)
			}
		})
	}
}

// TestReaderDigestsOnce: a file is digested once, and again when it has changed; one
// that changed just now could change again without a later date.
func TestReaderDigestsOnce(t *testing.T) {
	dir, x := folder(t)
	r := NewReader(dir)
	at := time.Now().Add(time.Hour)
	r.now = func() time.Time { return at }
	for range 5 {
		if _, err := r.File(x, "a.cwt"); err != nil {
			t.Fatal(err)
		}
	}
	if r.hashed != 1 {
		t.Errorf("digested %d times, want once", r.hashed)
	}
	write(t, filepath.Join(dir, "a.cwt"), "spoilt")
	for range 5 {
		if _, err := r.File(x, "a.cwt"); !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
	}
	if r.hashed != 2 {
		t.Errorf("digested %d times, want twice", r.hashed)
	}
	info, err := os.Stat(filepath.Join(dir, "xa.trust"))
	if err != nil {
		t.Fatal(err)
	}
	at = info.ModTime()
	for range 2 {
		if _, err := r.File(x, "xa.trust"); err != nil {
			t.Fatal(err)
		}
	}
	if r.hashed != 4 {
		t.Errorf("digested %d times, want each time while it is new", r.hashed)
	}
}

func TestRead(t *testing.T) {
	dir, x := folder(t)
	if got, err := Read(dir); err != nil || !got.Same(x) {
		t.Errorf("%+v, %v, want %+v", got, err, x)
	}
	for _, content := range []string{"", "garbage", "{}", "null", "[]", `{"lists":null}`, `{"lists":[{"number":-1}]}`} {
		write(t, filepath.Join(dir, IndexName), content)
		if got, err := Read(dir); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %+v, %v", content, got, err)
		}
	}
	if _, err := Read(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no index: %v", err)
	}
	y := x
	y.Next = []File{{File: "a.cwt"}}
	if x.Same(y) {
		t.Error(fmt.Sprint("the same: ", x, y))
	}
}
