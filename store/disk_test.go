package store_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sanad-id/sanad/store"
)

// TestDB02Opening: a database on a disk that is full before anybody opens it is told from one
// that the disk or a mode of a file keeps from us.
func TestDB02Opening(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("no small disk can be made here (%v)", err)
	}
	defer func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(disk, "issuer.db")
	db, err := store.Create(context.Background(), path, options)
	must(t, err)
	must(t, db.Close())
	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 8<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	for _, readOnly := range []bool{false, true} {
		o := options
		o.ReadOnly = readOnly
		_, err := store.Open(t.Context(), path, o)
		if e, ok := errors.AsType[*store.StateError](err); !errors.Is(err, store.ErrNoSpace) || !ok || e.Hint == "" {
			t.Errorf("read-only %t: %v, want ErrNoSpace and what to do", readOnly, err)
		}
	}
	must(t, os.Remove(filler))
	db, err = store.Open(t.Context(), path, options)
	must(t, err)
	must(t, db.Close())
}

// TestLostConnection: an error of a file is none of the way to a server.
func TestLostConnection(t *testing.T) {
	if err := (&fs.PathError{Op: "write", Path: "manifest.csv", Err: syscall.ENOSPC}); store.LostConnection(err) {
		t.Errorf("%v is taken for a connection that was lost", err)
	}
}
