package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"

	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/internal/sqldb"
)

//go:embed migrations/sqlite/*.sql migrations/postgres/*
var migrations embed.FS

// steps are the migrations of SQLite in their order; a variable for tests.
var steps = embedded("migrations/sqlite")

func embedded(dir string) fs.FS {
	files, err := fs.Sub(migrations, dir)
	if err != nil {
		panic(fmt.Sprintf("store: internal error: %v", err))
	}
	return files
}

const (
	// applicationID marks our files in SQLite's header ("SAND").
	applicationID = 0x53414e44

	lockSuffix = ".lock"

	// checkedFor is how long a page check counts for a file that nobody touched.
	checkedFor = 24 * time.Hour
)

// Primary result codes of SQLite (https://www.sqlite.org/rescode.html).
const (
	codeError      = 1
	codeBusy       = 5
	codeReadOnly   = 8
	codeIOError    = 10
	codeCorrupt    = 11
	codeFull       = 13
	codeCannotOpen = 14
	codeNotADB     = 26

	// codeSharedSize is an extended code: there is no room for the index of the write-ahead
	// log (SQLITE_IOERR_SHMSIZE), without which nothing is read either.
	codeSharedSize = codeIOError | 19<<8
)

// resultCode returns the primary result code of an error, 0 if it is not one of
// SQLite's.
func resultCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// fullDisk reports whether SQLite found no room.
func fullDisk(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code() == codeSharedSize || e.Code()&0xff == codeFull)
}

// A batch writes more random pages than any memory holds. The write-ahead log is moved into the file beside the
// writer, which would wait for all those pages to be synced, whenever so many rows were
// written since; the writer itself does what is left and begins the log anew when it has
// the number of pages in writerPragmas.
const checkpointRows = 8000

// writerPages is what writerPragmas keeps of a file, and a few for those who read.
const writerPages = 2000

// ReserveMemory sets aside what a program that writes much to one file keeps of it in
// memory, so that a page takes half of what it takes else. It comes before any file of
// the process is opened, and fails afterwards.
func ReserveMemory() error { return sqldb.ReservePages(writerPages) }

// writerPragmas: a page cache for the random places of slots and records in
// their indexes, and a write-ahead log that gathers several changes of a page
// before it goes into the file. The driver's memory takes twice what the cache is
// said to take, since it rounds up to powers of two.
var writerPragmas = []string{"journal_mode(WAL)", "cache_size(-8192)", "wal_autocheckpoint(16384)"}

// openPool opens connections to a database file. Opening one takes longer than a hundred
// reads, so that many stay open.
func openPool(path, mode string, conns int, pragmas ...string) (*sql.DB, error) {
	db, err := sqldb.OpenFile(path, mode, conns, 16, append([]string{"recursive_triggers(1)"}, pragmas...)...)
	if err != nil {
		return nil, fmt.Errorf("store: %v", err)
	}
	return db, nil
}

// createSQLite makes a database file and opens it.
func createSQLite(ctx context.Context, path string, o Options) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := checkFree(path); err != nil {
		return nil, err
	}
	l, err := lockFor(path)
	if err != nil {
		return nil, err
	}
	if err := build(ctx, path, o); err != nil {
		return nil, errors.Join(err, l.release(condition{}))
	}
	return openLocked(ctx, path, o, l)
}

// checkFree reports what is in the way of a new database.
func checkFree(path string) error {
	for _, p := range []string{path, path + "-wal", path + "-journal"} {
		if _, err := os.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return refuse(ErrUnreadable, p, "%v", reason(err))
			}
			return refuse(ErrExists, p, "")
		}
	}
	return nil
}

// build makes the database beside path and links it into its place complete.
func build(ctx context.Context, path string, o Options) error {
	if err := checkFree(path); err != nil { // again, now that we have the lock
		return err
	}
	temp := path + ".new"
	defer removeAll(temp)
	removeAll(temp) // of a Create that broke off; the lock is ours
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return refuse(ErrUnreadable, temp, "%v", reason(err))
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := fill(ctx, temp, o); err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	if err := durable.Sync(temp); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := os.Link(temp, path); err != nil {
		return refuse(ErrExists, path, "%v", reason(err))
	}
	return durable.Sync(filepath.Dir(path))
}

func removeAll(temp string) {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		_ = os.Remove(temp + suffix) // most of them never were
	}
}

// fill writes schema and meta into an empty file.
func fill(ctx context.Context, path string, o Options) error {
	db, err := openPool(path, "rw", 1, writerPragmas...)
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
		return errors.Join(storeError(err), db.Close())
	}
	if err := migrate(ctx, db, 0); err != nil {
		return errors.Join(err, db.Close())
	}
	_, err = db.ExecContext(ctx, insertMeta, o.Instance, o.Now().UnixMilli())
	if err != nil {
		return errors.Join(storeError(err), db.Close())
	}
	return db.Close()
}

// migrate brings the schema to a version, 0 for the newest.
func migrate(ctx context.Context, db *sql.DB, version int64) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, db, steps,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("store: %v", err)
	}
	if version == 0 {
		if version, err = newest(steps); err != nil {
			return err
		}
	}
	if _, err := p.UpTo(ctx, version); err != nil {
		return fmt.Errorf("migrate: %v", err)
	}
	return nil
}

// schemas are the schemas that the migrations make, by version.
var schemas = struct {
	sync.Mutex
	known map[int64][]string
}{known: map[int64][]string{}}

// schemaOf returns the schema of a version, found by making it in memory.
func schemaOf(ctx context.Context, version int64) ([]string, error) {
	schemas.Lock()
	defer schemas.Unlock()
	if s, ok := schemas.known[version]; ok {
		return s, nil
	}
	db, err := openPool(":memory:", "memory", 1)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, db, version); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s, err := readSchema(ctx, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	schemas.known[version] = s
	return s, db.Close()
}

// readSchema returns the schema as SQL, an object each.
func readSchema(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, selectSchema)
	if err != nil {
		return nil, storeError(err)
	}
	defer rows.Close() // its error is that of rows.Err
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, storeError(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		return nil, storeError(err)
	}
	return all, nil
}

// migrateSQLite brings a database file with an older schema up to date.
func migrateSQLite(ctx context.Context, path string, o Options) error {
	path, err := resolve(path)
	if err != nil {
		return err
	}
	l, err := lockFor(path)
	if err != nil {
		return err
	}
	err = migrateFile(ctx, path, o)
	return errors.Join(err, l.release(condition{}))
}

func migrateFile(ctx context.Context, path string, o Options) error {
	db, err := openPool(path, "rw", 1, writerPragmas...)
	if err != nil {
		return err
	}
	// Of meta only what its first version had.
	var instance string
	if err := db.QueryRowContext(ctx, selectInstance).Scan(&instance); err != nil {
		return errors.Join(storeError(err), db.Close())
	}
	if err := checkInstance(path, instance, o); err != nil {
		return errors.Join(err, db.Close())
	}
	return errors.Join(migrate(ctx, db, 0), db.Close())
}

// rolledBack reports that SQLite had rolled back by itself, as it does when the
// disk is full.
func rolledBack(err error) bool { return strings.Contains(err.Error(), "no transaction is active") }

// storeError keeps SQLite's code but not its promise: callers get our errors.
func storeError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &sqlError{err}
}

// An sqlError is an error of the database that has no meaning for callers.
type sqlError struct{ err error }

// Error is what the database said.
func (e *sqlError) Error() string { return "store: " + e.err.Error() }

// As lets this package look at the code.
func (e *sqlError) As(target any) bool {
	if t, ok := target.(**sqlite.Error); ok {
		return errors.As(e.err, t)
	}
	return false
}
