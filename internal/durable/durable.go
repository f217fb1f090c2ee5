// Package durable writes files that survive a loss of power and keeps processes
// out of each other's way with file locks.
//
// Start with [Replace] for a whole file in one step and [TryLock] for a lock. An
// error of a sync is final: what the file then holds is unknown, and the caller must
// not go on as if nothing had happened.
//
// Left to others: what is in the files, and databases.
package durable

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

var (
	// ErrLocked: somebody else holds the lock.
	ErrLocked = errors.New("durable: locked by somebody else")
	// ErrNoLocks: this system has no file locks.
	ErrNoLocks = errors.New("durable: this system has no file locks")
)

// Replace puts content in the place of the file at path, or makes it: as a whole
// or not at all, durably once it returns nil. An existing file keeps its owner and
// mode where the system knows such; a new one gets mode. Whoever replaces one file
// from several places takes turns: the new content stands in path.new meanwhile.
func Replace(path string, content []byte, mode fs.FileMode) error {
	return ReplaceFunc(path, mode, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// ReplaceFunc is [Replace] with the content that write writes.
func ReplaceFunc(path string, mode fs.FileMode, write func(io.Writer) error) error {
	old, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	next := path + ".new"
	// A crash may have left one behind.
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if old != nil {
		mode = old.Mode().Perm()
		err = keepOwner(out, old)
	}
	if err == nil {
		err = out.Chmod(mode)
	}
	if err == nil {
		err = fill(out, write)
	}
	if err = errors.Join(err, out.Close()); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return Sync(filepath.Dir(path))
}

// Create writes a file that must not exist yet (fs.ErrExist otherwise), durably
// once it returns nil.
func Create(path string, content []byte, mode fs.FileMode) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = out.Write(content)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(path)) // it was ours, and is of no use
	}
	return Sync(filepath.Dir(path))
}

// link is os.Link; a test has file systems without.
var link = os.Link

// Place gives a finished file the name path, durably once it returns nil, if nothing has that
// name (fs.ErrExist otherwise). Temp is a name beside it, which goes.
func Place(temp, path string) error {
	err := link(temp, path)
	switch {
	case err == nil:
		err = os.Remove(temp)
	case !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist):
		// A stick with FAT or exFAT has no links. The name is taken first, by an empty file, so that
		// what came meanwhile stays.
		var claim *os.File
		if claim, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			err = claim.Close()
		}
		if err == nil {
			if err = os.Rename(temp, path); err != nil {
				err = errors.Join(err, os.Remove(path)) // it was ours, and is of no use
			}
		}
	}
	if err != nil {
		return err
	}
	return Sync(filepath.Dir(path))
}

// Write writes a file in its place and makes the content durable, but not the name:
// that needs [Sync] of its folder. A crash may leave a part of it, so this is for
// files that carry a checksum.
func Write(path string, content []byte, mode fs.FileMode) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = out.Write(content)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

func fill(f *os.File, write func(io.Writer) error) error {
	w := bufio.NewWriterSize(f, 64<<10)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

// Sync makes the content of a file, or the names in a folder, durable.
func Sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// TryLock takes the exclusive lock of an open file or folder, until that is
// closed or the process ends. It returns [ErrLocked] if somebody else has it and
// [ErrNoLocks] where there is no such thing.
func TryLock(f *os.File) error {
	if err := tryLock(f); err != nil {
		return fmt.Errorf("%w: %s", err, f.Name())
	}
	return nil
}

// Unlock gives a lock free without closing the file.
func Unlock(f *os.File) error { return unlock(f) }

// retry is how long to wait between two tries to get a lock that another program
// holds for the few milliseconds of a change.
const retry = 5 * time.Millisecond

// Lock takes the exclusive lock of an open file and waits for it.
func Lock(ctx context.Context, f *os.File) error {
	for {
		err := TryLock(f)
		if !errors.Is(err, ErrLocked) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retry):
		}
	}
}
