//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package issuance

import (
	"errors"
	"os"
)

// lockFolder always fails: without a lock two runs could lose each other's
// output.
func lockFolder(string) (*os.File, error) {
	return nil, errors.New("this system has no file locks; run batches on one that has")
}
