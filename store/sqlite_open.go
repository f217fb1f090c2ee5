package store

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// openSQLite opens a database file.
func openSQLite(ctx context.Context, path string, o Options) (*DB, error) {
	path, err := resolve(path)
	if err != nil {
		return nil, err
	}
	// A file that no process of ours ever locked is looked at first, so that no
	// lock file is put beside something that is not our database.
	if _, err := os.Lstat(path + lockSuffix); errors.Is(err, fs.ErrNotExist) {
		if err := checkHeader(path); err != nil {
			return nil, err
		}
	}
	var l *lock
	if !o.ReadOnly {
		if l, err = lockFor(path); err != nil {
			return nil, err
		}
	}
	return openLocked(ctx, path, o, l)
}

// resolve returns the one path of an existing file, so that two names of it
// share a lock.
func resolve(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", refuse(ErrMissing, path, "")
	}
	if err != nil {
		return "", refuse(ErrUnreadable, path, "%v", reason(err))
	}
	if real, err = filepath.Abs(real); err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	info, err := os.Stat(real)
	switch {
	case err != nil:
		return "", refuse(ErrUnreadable, path, "%v", reason(err))
	case !info.Mode().IsRegular():
		return "", refuse(ErrNotAFile, path, "")
	}
	return real, nil
}

// lockFor locks the database at path.
func lockFor(path string) (*lock, error) {
	l, err := acquire(path + lockSuffix)
	if errors.Is(err, ErrInUse) {
		return nil, refuse(ErrInUse, path, "%v", err)
	}
	if err != nil {
		return nil, refuse(ErrUnreadable, path, "%v", reason(err))
	}
	return l, nil
}

// reason is what the system says about a path, without the path.
func reason(err error) error {
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e
	}
	return err
}

// openLocked opens a database whose lock we have, unless it is read-only. It
// takes over the lock.
func openLocked(ctx context.Context, path string, o Options, l *lock) (*DB, error) {
	e := &sqliteEngine{path: path, readOnly: o.ReadOnly, now: o.Now, lock: l, stmts: map[string]*sql.Stmt{}, bulk: map[string]driver.Stmt{}}
	return start(ctx, e, path, o, func() error { return e.open(ctx, o) }, e.translate)
}

func (e *sqliteEngine) open(ctx context.Context, o Options) (err error) {
	if e.readers, err = openPool(e.path, "rw", 0, "query_only(1)"); err != nil {
		return err
	}
	if !e.readOnly { // who only reads must not touch the file beside SQLite's own locks
		if err := checkHeader(e.path); err != nil {
			return err
		}
	}
	if err := e.checkSchema(ctx); err != nil {
		return e.translate(err)
	}
	if err := e.checkPages(ctx, o); err != nil {
		return e.translate(err)
	}
	if e.readOnly {
		return nil
	}
	if e.writers, err = openPool(e.path, "rw", 1, writerPragmas...); err != nil {
		return err
	}
	if e.conn, err = e.writers.Conn(ctx); err != nil {
		return e.translate(storeError(err))
	}
	if e.known, err = os.Stat(e.path); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// translate turns SQLite's complaints about the file into ours.
func (e *sqliteEngine) translate(err error) error {
	if _, ok := errors.AsType[*StateError](err); ok {
		return err
	}
	if fullDisk(err) {
		return refuse(ErrNoSpace, e.path, "%v", err)
	}
	switch resultCode(err) {
	case codeError, codeCorrupt, codeNotADB: // the header was fine, and so are our statements
		return refuse(ErrCorrupt, e.path, "%v", err)
	case codeCannotOpen, codeReadOnly, codeIOError:
		return refuse(ErrUnreadable, e.path, "%v", err)
	case codeBusy:
		return refuse(ErrInUse, e.path, "another program has locked it")
	}
	return err
}

// checkHeader looks at the first 100 bytes of the file before SQLite does
// (https://www.sqlite.org/fileformat.html section 1.3).
func checkHeader(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return refuse(ErrUnreadable, path, "%v", reason(err))
	}
	defer f.Close() // only read
	info, err := f.Stat()
	if err != nil {
		return refuse(ErrUnreadable, path, "%v", reason(err))
	}
	if info.Size() == 0 {
		return refuse(ErrEmpty, path, "")
	}
	var h [100]byte
	magic := []byte("SQLite format 3\x00")
	switch n, err := io.ReadFull(f, h[:]); {
	case n < len(magic) || !bytes.Equal(h[:len(magic)], magic):
		return refuse(ErrNotADatabase, path, "")
	case err != nil:
		return refuse(ErrTruncated, path, "it ends within its header")
	}
	if binary.BigEndian.Uint32(h[68:]) != applicationID {
		return refuse(ErrForeign, path, "")
	}
	// Behind a crash the write-ahead log may hold what the file lacks.
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		return nil
	}
	page := int64(binary.BigEndian.Uint16(h[16:]))
	if page == 1 {
		page = 65536
	}
	if want := page * int64(binary.BigEndian.Uint32(h[28:])); info.Size() < want {
		return refuse(ErrTruncated, path, "it has %d bytes of %d", info.Size(), want)
	}
	return nil
}

// checkSchema tells an older, a newer and an incomplete schema from ours.
func (e *sqliteEngine) checkSchema(ctx context.Context) error {
	var application uint32
	if err := e.readers.QueryRowContext(ctx, "PRAGMA application_id").Scan(&application); err != nil {
		return storeError(err)
	}
	if application != applicationID {
		return refuse(ErrForeign, e.path, "")
	}
	found, err := readSchema(ctx, e.readers)
	if err != nil {
		return err
	}
	var versioned bool
	if err := e.readers.QueryRowContext(ctx, existsVersions).Scan(&versioned); err != nil {
		return storeError(err)
	}
	if !versioned {
		return refuse(ErrAltered, e.path, "it does not say its version")
	}
	version, err := e.version(ctx)
	if err != nil {
		return err
	}
	ours, err := newest(steps)
	if err != nil {
		return err
	}
	if err := checkVersion(e.path, version, ours); err != nil {
		return err
	}
	want, err := schemaOf(ctx, version)
	if err != nil {
		return err
	}
	return judgeSchema(e.path, version, ours, want, found)
}

// version returns the newest migration that was applied. Those before it must
// have been applied, too.
func (e *sqliteEngine) version(ctx context.Context) (int64, error) {
	var version, count int64
	err := e.readers.QueryRowContext(ctx, selectVersion).Scan(&version, &count)
	if err != nil {
		return 0, storeError(err)
	}
	if count != version {
		return 0, refuse(ErrAltered, e.path, "%d of %d migrations were applied", count, version)
	}
	return version, nil
}

// checkPages reads all pages through, unless the file is just as we left it.
func (e *sqliteEngine) checkPages(ctx context.Context, o Options) error {
	if e.readOnly && !o.CheckPages {
		return nil
	}
	if e.lock != nil && !o.CheckPages {
		left, now := e.lock.left, e.now()
		info, err := os.Stat(e.path)
		if wal, e := os.Stat(e.path + "-wal"); e == nil && wal.Size() > 0 {
			left = condition{} // the last process did not end in order
		}
		if err == nil && left.size > 0 && info.Size() == left.size && info.ModTime().Equal(left.modified) &&
			!now.Before(left.checked) && now.Sub(left.checked) < checkedFor {
			e.checked = left.checked
			return nil
		}
	}
	var result string
	if err := e.readers.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result); err != nil {
		return storeError(err)
	}
	if result != "ok" {
		return refuse(ErrCorrupt, e.path, "%.120s", result)
	}
	e.checked = e.now()
	return nil
}
