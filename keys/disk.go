//go:build !js

package keys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/sanad-id/sanad/internal/durable"
)

// racy is the age at which the time of a file's last change tells it from a later one:
// file systems count in seconds at worst.
const racy = 3 * time.Second

// look is what the file system says of a file.
func look(path string) (fs.FileInfo, error) { return os.Stat(path) }

// settled is what identifies the content of a file, or nil if a change that comes now
// might not show.
func settled(info fs.FileInfo) fs.FileInfo {
	if info == nil || time.Since(info.ModTime()) < racy {
		return nil
	}
	return info
}

// unchanged reports whether a file is the one that was seen, with the same content and
// rights. Seen may be nil.
func unchanged(seen, now fs.FileInfo) bool {
	return seen != nil && os.SameFile(seen, now) && seen.Size() == now.Size() && seen.ModTime().Equal(now.ModTime()) && seen.Mode() == now.Mode()
}

// readPrivate reads a regular file that nobody but its owner may read or change.
func readPrivate(path string) ([]byte, error) {
	// A look before opening, which would wait for ever on a pipe.
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; check the path in the settings, and never replace a lost file by a new one", ErrNoFile)
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is not a regular file; check the path in the settings", ErrForeignFile)
	}
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if info, err = in.Stat(); err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%w: its mode is %04o; if nobody has read it, set 0600 with chmod, and otherwise replace what is in it",
			ErrFileMode, mode)
	}
	b, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%w: it is larger than %d bytes; check the path in the settings", ErrForeignFile, maxFile)
	}
	return b, err
}

// lockFile waits until no other program changes the file and keeps others from it
// until unlock is called or the program ends.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR, 0) // some network file systems lock only what is open for writing
		if err != nil {
			return nil, err
		}
		if err := durable.Lock(ctx, f); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		// Whoever had the lock before may have put a new file in the place of the
		// one that we have locked, which is then nobody's.
		locked, err1 := f.Stat()
		there, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(locked, there) {
			return func() { f.Close() }, nil // closing releases the lock
		}
		f.Close()
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
	}
}
