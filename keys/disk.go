package keys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

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

// replaceWhole puts b in the place of the file at path, durably, in one step.
// The caller holds the lock.
func replaceWhole(path string, b []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	next := path + ".new"
	// A crash may have left one behind. The lock says that nobody writes it now.
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = keepOwner(out, info)
	if err != nil {
		out.Close()
	} else {
		err = writeSync(out, b)
	}
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return syncDir(filepath.Dir(path))
}

// writeSync writes b to disk and closes out.
func writeSync(out *os.File, b []byte) error {
	_, err := out.Write(b)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// syncDir makes a new name in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
