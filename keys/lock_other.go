//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package keys

import (
	"context"
	"errors"
	"os"
)

// lockFile always fails: without a lock two programs could lose each other's
// keys.
func lockFile(context.Context, string) (unlock func(), err error) {
	return nil, errors.New("this system has no file locks; change the keystore on one that has")
}

// keepOwner does nothing.
func keepOwner(*os.File, os.FileInfo) error { return nil }
