//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package keys

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// lockRetry is how long to wait between two tries to get a lock that another
// program holds for the few milliseconds of a change.
const lockRetry = 5 * time.Millisecond

// lockFile waits until no other program changes the file and keeps others from
// it until unlock is called or the program ends.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	for {
		f, err := tryLock(path)
		if err != nil {
			return nil, err
		}
		if f != nil {
			return func() { f.Close() }, nil // closing releases the lock
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockRetry):
		}
	}
}

// tryLock returns nil without an error if another program has the lock or has
// just replaced the file.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // some network file systems lock only what is open for writing
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
			return nil, nil
		}
		return nil, err
	}
	// Whoever had the lock before may have put a new file in the place of the one
	// that we have locked, which is then nobody's.
	locked, err1 := f.Stat()
	there, err2 := os.Stat(path)
	if err1 == nil && err2 == nil && os.SameFile(locked, there) {
		return f, nil
	}
	f.Close()
	return nil, errors.Join(err1, err2)
}

// keepOwner gives a file to the owner of the one that it replaces, so that an
// administrator's change does not lock the service out.
func keepOwner(f *os.File, old os.FileInfo) error {
	was, ok := old.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return f.Chown(int(was.Uid), int(was.Gid))
}
