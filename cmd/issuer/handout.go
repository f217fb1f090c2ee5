package main

import (
	"context"
	"errors"
	"os"

	"github.com/sanad-id/sanad/internal/durable"
)

// handOut puts a publication where verifiers fetch it: as a whole or not at all,
// since a web server may be reading.
func handOut(path string, content []byte) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // /dev/stdout
		return os.WriteFile(path, content, 0o644)
	}
	return durable.Replace(path, content, 0o644)
}

// holdFolder keeps other publishers away from a folder until release is called.
// Without it the one that stored its publication first could write its file
// last, and what is served would go back in time.
func holdFolder(ctx context.Context, folder string) (release func(), err error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	if err := durable.Lock(ctx, f); err != nil && !errors.Is(err, durable.ErrNoLocks) {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
