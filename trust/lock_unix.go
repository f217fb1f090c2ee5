//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package trust

import (
	"os"
	"syscall"
)

// lock waits until no other process holds the lock file, and returns what lets it
// go. The system does so too when the process ends.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
