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
	"slices"
	"strings"
	"syscall"

	"github.com/sanad-id/sanad/issuance"
)

// Open opens the database of the issuer o.Instance at path. It opens what
// [Create] made and this version knows, and refuses everything else with a
// [StateError]; it never makes or repairs a database.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
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
	db := &DB{
		path: path, readOnly: o.ReadOnly, now: o.Now, lock: l, turn: make(chan struct{}, 1), journal: o.Journal, confirms: o.WhileFenced,
		stmts: map[string]*sql.Stmt{}, bulk: map[string]driver.Stmt{},
	}
	err := db.open(ctx, o)
	db.turn <- struct{}{}
	if err == nil && !o.ReadOnly {
		err = db.translate(db.enlist(ctx))
	}
	if err != nil {
		db.broken = err
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (db *DB) open(ctx context.Context, o Options) (err error) {
	if db.readers, err = openPool(db.path, "rw", 0, "query_only(1)"); err != nil {
		return err
	}
	if !db.readOnly { // who only reads must not touch the file beside SQLite's own locks
		if err := checkHeader(db.path); err != nil {
			return err
		}
	}
	if err := db.checkSchema(ctx); err != nil {
		return db.translate(err)
	}
	if err := db.checkPages(ctx, o); err != nil {
		return db.translate(err)
	}
	if err := db.readMeta(ctx, o); err != nil {
		return db.translate(err)
	}
	if db.readOnly {
		return nil
	}
	if db.writers, err = openPool(db.path, "rw", 1, writerPragmas...); err != nil {
		return err
	}
	if db.conn, err = db.writers.Conn(ctx); err != nil {
		return db.translate(storeError(err))
	}
	if db.known, err = os.Stat(db.path); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// enlist makes this process one of the writers, after a look at the journal.
func (db *DB) enlist(ctx context.Context) error {
	fenced := db.confirms
	db.confirms = true // it changes nothing that a restore might contradict
	defer func() { db.confirms = fenced }()
	return db.Write(ctx, func(w issuance.Tx) error {
		t, ok := w.(*tx)
		if !ok {
			return errors.New("store: internal error: a transaction of another kind")
		}
		if err := t.checkJournal(); err != nil {
			return err
		}
		_, err := t.row(insertWriter, []any{fromTime(db.now())}, &db.writer)
		return err
	})
}

// translate turns SQLite's complaints about the file into ours.
func (db *DB) translate(err error) error {
	if _, ok := errors.AsType[*StateError](err); ok {
		return err
	}
	switch resultCode(err) {
	case codeError, codeCorrupt, codeNotADB: // the header was fine, and so are our statements
		return refuse(ErrCorrupt, db.path, "%v", err)
	case codeCannotOpen, codeReadOnly, codeIOError:
		return refuse(ErrUnreadable, db.path, "%v", err)
	case codeBusy:
		return refuse(ErrInUse, db.path, "another program has locked it")
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
func (db *DB) checkSchema(ctx context.Context) error {
	var application uint32
	if err := db.readers.QueryRowContext(ctx, "PRAGMA application_id").Scan(&application); err != nil {
		return storeError(err)
	}
	if application != applicationID {
		return refuse(ErrForeign, db.path, "")
	}
	found, err := readSchema(ctx, db.readers)
	if err != nil {
		return err
	}
	var versioned bool
	if err := db.readers.QueryRowContext(ctx, existsVersions).Scan(&versioned); err != nil {
		return storeError(err)
	}
	if !versioned {
		return refuse(ErrAltered, db.path, "it does not say its version")
	}
	version, err := db.version(ctx)
	if err != nil {
		return err
	}
	ours, err := newest()
	if err != nil {
		return err
	}
	if version > ours {
		return refuse(ErrNewer, db.path, "version %d, this program knows %d", version, ours)
	}
	if version == 0 {
		return refuse(ErrAltered, db.path, "its first migration broke off")
	}
	want, err := schemaOf(ctx, version)
	if err != nil {
		return err
	}
	if s, missing := difference(want, found); s != "" {
		if missing {
			return refuse(ErrAltered, db.path, "%s is missing or was changed", s)
		}
		return refuse(ErrAltered, db.path, "%s does not belong there", s)
	}
	if version < ours {
		return refuse(ErrOlder, db.path, "version %d, this program needs %d", version, ours)
	}
	return nil
}

// version returns the newest migration that was applied. Those before it must
// have been applied, too.
func (db *DB) version(ctx context.Context) (int64, error) {
	var version, count int64
	err := db.readers.QueryRowContext(ctx, selectVersion).Scan(&version, &count)
	if err != nil {
		return 0, storeError(err)
	}
	if count != version {
		return 0, refuse(ErrAltered, db.path, "%d of %d migrations were applied", count, version)
	}
	return version, nil
}

// difference names an object in which two schemas differ.
func difference(want, found []string) (name string, missing bool) {
	for _, s := range want {
		if !slices.Contains(found, s) {
			return objectName(s), true
		}
	}
	for _, s := range found {
		if !slices.Contains(want, s) {
			return objectName(s), false
		}
	}
	return "", false
}

// objectName is the first line of what readSchema returns: kind and name.
func objectName(s string) string {
	name, _, _ := strings.Cut(s, "\n")
	return fmt.Sprintf("%.80q", name)
}

// checkPages reads all pages through, unless the file is just as we left it.
func (db *DB) checkPages(ctx context.Context, o Options) error {
	if db.readOnly && !o.CheckPages {
		return nil
	}
	if db.lock != nil && !o.CheckPages {
		left, now := db.lock.left, db.now()
		info, err := os.Stat(db.path)
		if wal, e := os.Stat(db.path + "-wal"); e == nil && wal.Size() > 0 {
			left = condition{} // the last process did not end in order
		}
		if err == nil && left.size > 0 && info.Size() == left.size && info.ModTime().Equal(left.modified) &&
			!now.Before(left.checked) && now.Sub(left.checked) < checkedFor {
			db.checked = left.checked
			return nil
		}
	}
	var result string
	if err := db.readers.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result); err != nil {
		return storeError(err)
	}
	if result != "ok" {
		return refuse(ErrCorrupt, db.path, "%.120s", result)
	}
	db.checked = db.now()
	return nil
}

// readMeta compares the database with what was expected.
func (db *DB) readMeta(ctx context.Context, o Options) error {
	var created int64
	err := db.readers.QueryRowContext(ctx, selectMeta).Scan(&db.instance, &db.epoch, &created, &db.fence, &db.logNo)
	if errors.Is(err, sql.ErrNoRows) {
		return refuse(ErrAltered, db.path, "it does not say whose it is")
	}
	if err != nil {
		return storeError(err)
	}
	db.created = toTime(created)
	// Whoever only reads takes the newest writer for alive.
	if err := db.readers.QueryRowContext(ctx, selectLastWriter).Scan(&db.writer); err != nil {
		return storeError(err)
	}
	return db.checkInstance(o)
}

func (db *DB) checkInstance(o Options) error {
	if db.instance != o.Instance {
		return refuse(ErrOtherInstance, db.path, "it belongs to %.40q, not to %.40q", db.instance, o.Instance)
	}
	return nil
}
