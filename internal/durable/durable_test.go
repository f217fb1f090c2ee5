package durable_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/durable"
)

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, content := range []string{"first", "", "third, which is longer"} {
		if err := durable.Replace(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%q, %v, want %q", got, err, content)
		}
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := durable.ReplaceFunc(path, 0o600, func(w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		return broken
	}); !errors.Is(err, broken) {
		t.Errorf("ReplaceFunc: %v, want the writer's error", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "third, which is longer" {
		t.Errorf("a write that failed left %q", got)
	}
	if err := durable.Replace(path, []byte("fourth"), 0o600); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v, want that of the file that was there", info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files are left, want 1", len(left))
	}
}

func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := durable.Create(path, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.Create(path, []byte("second"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create: %v, want fs.ErrExist", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "first" {
		t.Errorf("the file holds %q", got)
	}
}

// TestPlace: a name that somebody has stays theirs, on file systems without links, too.
func TestPlace(t *testing.T) {
	for _, name := range []string{"links", "no links"} {
		t.Run(name, func(t *testing.T) {
			if name == "no links" {
				durable.WithoutLinks(t)
			}
			dir := t.TempDir()
			temp, path := filepath.Join(dir, "a.part"), filepath.Join(dir, "a")
			for i, want := range []error{nil, fs.ErrExist} {
				if err := os.WriteFile(temp, []byte{byte(i)}, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := durable.Place(temp, path); !errors.Is(err, want) {
					t.Errorf("Place: %v, want %v", err, want)
				}
				if b, err := os.ReadFile(path); err != nil || string(b) != "\x00" {
					t.Errorf("%q, %v, want what came first", b, err)
				}
				if _, err := os.Stat(temp); (err == nil) != (want != nil) {
					t.Errorf("the file beside it: %v", err)
				}
			}
			if err := durable.Place(filepath.Join(dir, "none"), filepath.Join(dir, "b")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Place: %v, want ErrNotExist", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "b")); err == nil {
				t.Error("a file of nothing got a name")
			}
		})
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first, second := open(), open()
	defer second.Close()
	if err := durable.TryLock(first); err != nil {
		t.Fatal(err)
	}
	if err := durable.TryLock(second); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("TryLock: %v, want ErrLocked", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := durable.Lock(ctx, second); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock: %v, want the end of the context", err)
	}
	first.Close()
	if err := durable.Lock(t.Context(), second); err != nil {
		t.Errorf("Lock after the first was closed: %v", err)
	}
}
