//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package issuance

import (
	"errors"
	"os"
	"syscall"
)

// lockFolder keeps other runs out of a folder until the file it returns is
// closed or the program ends.
func lockFolder(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.New("another run is writing to it")
		}
		return nil, err
	}
	return f, nil
}
